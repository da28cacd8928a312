//! The command line: which commands exist, their exit codes, and how an error is shown.
//!
//! Owns clap's top level; each command has a file (or folder) of its own with its options. Exit codes: 0 all well, 1 the
//! command found something, 2 it could not run.

mod dev;
mod function;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A reverse proxy for application migrations, 100 % serverless
#[derive(Parser)]
#[command(name = "crossfade", version, disable_help_subcommand = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Dev(dev::Options),
    /// The function itself, as a child of `dev`
    #[command(hide = true)]
    Function,
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Dev(options) => dev::run(&options),
        Command::Function => return function::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
