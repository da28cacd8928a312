//! `cargo xtask`: repository chores that outgrow a shell line.
//!
//! Owns the command line. `package` makes what is deployed, `ci` runs the checks; rules about the tree itself are tests in
//! `xtask/tests/`.

mod ci;
mod not_run;
mod package;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(about = "Repository chores", bin_name = "cargo xtask", disable_help_subcommand = true)]
enum Chore {
    /// Build the function and zip it for Lambda's `provided.al2023`
    Package(package::Options),
    /// Run every check that a change has to pass
    Ci,
}

fn main() -> ExitCode {
    let outcome = match Chore::parse() {
        Chore::Package(options) => package::run(&options).map(|()| true),
        Chore::Ci => ci::run(),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
