//! The command line: which commands exist, their exit codes, and how an error is shown.
//!
//! Owns clap's top level and what several commands need; each has a file (or folder) of its own with its options. Exit
//! codes: 0 all well, 1 the command found something, 2 it could not run.

mod check;
mod dev;
mod environment;
mod explain;
mod function;
mod init;
mod report;
mod schema;
mod sources;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use crossfade_function::SettingsError;

use crate::terminal::{safe, say};

/// A reverse proxy for application migrations, 100 % serverless
#[derive(Parser)]
#[command(name = "crossfade", version, disable_help_subcommand = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Dev(Box<dev::Options>),
    Check(check::Options),
    Explain(explain::Options),
    Test(test::Options),
    Report(report::Options),
    Init(init::Options),
    Schema(schema::Options),
    /// The function itself, as a child of `dev`
    #[command(hide = true)]
    Function,
}

/// What a command that looks for something has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Clean,
    Findings,
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(error) => return refuse(&error),
    };
    let outcome = match command_line.command {
        Command::Dev(options) => dev::run(&options).map(|()| Verdict::Clean),
        Command::Check(options) => check::run(&options),
        Command::Explain(options) => explain::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Report(options) => report::run(&options),
        Command::Init(options) => init::run(&options).map(|()| Verdict::Clean),
        Command::Schema(options) => schema::run(&options).map(|()| Verdict::Clean),
        Command::Function => return function::run(),
    };
    match outcome {
        Ok(Verdict::Clean) => ExitCode::SUCCESS,
        Ok(Verdict::Findings) => ExitCode::from(1),
        Err(error) => {
            match error.downcast_ref::<SettingsError>() {
                Some(mistakes) => say(&format!("error: {}", with_lines(mistakes))),
                None => say(&format!("error: {error:#}")),
            }
            ExitCode::from(2)
        }
    }
}

/// What is wrong with a configuration, with its lines: this is the terminal of somebody who has the file. The function's
/// log gets none.
fn with_lines(error: &SettingsError) -> String {
    match error {
        SettingsError::Config(mistakes) => mistakes.with_lines().to_string(),
        other => other.to_string(),
    }
}

/// Help, the version, or what is wrong with the command line, with the exit code for it. Arguments may have anything in them.
fn refuse(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    match safe(&text) {
        // With its colours.
        same if same == text => _ = error.print(),
        safe => say(safe.trim_end()),
    }
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// `SSL_CERT_FILE`, made absolute: the user's word on whom to trust besides the public authorities.
fn cert_file() -> Result<Option<PathBuf>> {
    let file = std::env::var_os("SSL_CERT_FILE").filter(|file| !file.is_empty());
    file.map(std::path::absolute).transpose().context("`SSL_CERT_FILE`")
}
