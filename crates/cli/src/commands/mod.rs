//! The command line: which commands exist, their exit codes, and how an error is shown.
//!
//! Owns clap's top level and the helpers that several commands share. Each command and its options are in a file (or folder)
//! of its own. Exit codes: 0 success, 1 the command has findings, 2 it could not run.

mod check;
mod compare;
mod completions;
mod configuration;
mod cost;
mod dev;
mod doctor;
pub(crate) mod environment;
mod explain;
mod export;
mod function;
mod init;
mod man;
mod migration;
mod package;
mod report;
mod schema;
mod sources;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use crossfade_emulator::EndpointKind;
use crossfade_function::SettingsError;

use crate::program;
use crate::terminal::{safe, say};

const FIRST_STEP: &str = "\
Before anything is deployed, compare the responses of your old and your new system:
  crossfade compare --legacy https://old.example.com --modern https://new.example.com paths.txt";

/// A serverless reverse proxy for application migrations
#[derive(Parser)]
#[command(name = "crossfade", version, disable_help_subcommand = true, after_help = FIRST_STEP)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Compare(Box<compare::Options>),
    Dev(Box<dev::Options>),
    Check(check::Options),
    Explain(explain::Options),
    Test(test::Options),
    Report(report::Options),
    Cost(Box<cost::Options>),
    Package(package::Options),
    Doctor(Box<doctor::Options>),
    Status(migration::Status),
    Plan(migration::PlanOptions),
    Promote(migration::Promote),
    Pause(migration::Pause),
    Resume(migration::Resume),
    Abort(migration::Abort),
    Undo(migration::Undo),
    Set(migration::Set),
    History(migration::History),
    Init(init::Options),
    Export(export::Options),
    Schema(schema::Options),
    Completions(completions::Options),
    Man(man::Options),
    /// The function itself, as a child of `dev`
    #[command(hide = true)]
    Function,
}

/// The result of a command that looks for findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Clean,
    Findings,
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let command_line = match parse() {
        Ok(command_line) => command_line,
        Err(error) => return refuse(&error),
    };
    let outcome = match command_line.command {
        Command::Compare(options) => compare::run(&options),
        Command::Dev(options) => dev::run(&options).map(|()| Verdict::Clean),
        Command::Check(options) => check::run(&options),
        Command::Explain(options) => explain::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Report(options) => report::run(&options),
        Command::Cost(options) => cost::run(&options),
        Command::Package(options) => package::run(&options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Status(options) => options.run(),
        Command::Plan(options) => options.run(),
        Command::Promote(options) => options.run(),
        Command::Pause(options) => options.run(),
        Command::Resume(options) => options.run(),
        Command::Abort(options) => options.run(),
        Command::Undo(options) => options.run(),
        Command::Set(options) => options.run(),
        Command::History(options) => options.run(),
        Command::Init(options) => init::run(&options),
        Command::Export(options) => export::run(&options),
        Command::Schema(options) => schema::run(&options).map(|()| Verdict::Clean),
        Command::Completions(options) => completions::run(&options).map(|()| Verdict::Clean),
        Command::Man(options) => man::run(&options).map(|()| Verdict::Clean),
        Command::Function => return function::run(),
    };
    match outcome {
        Ok(Verdict::Clean) => ExitCode::SUCCESS,
        Ok(Verdict::Findings) => ExitCode::from(1),
        Err(error) => {
            match error.downcast_ref::<SettingsError>() {
                Some(errors) => say(&format!("error: {}", with_lines(errors))),
                None => say(&format!("error: {error:#}")),
            }
            ExitCode::from(2)
        }
    }
}

fn parse() -> Result<CommandLine, clap::Error> {
    let mut command = program::in_help(CommandLine::command());
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    CommandLine::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// The commands for users, without the function.
fn public() -> clap::Command {
    let all = CommandLine::command();
    let commands: Vec<_> = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect();
    let about = all.get_about().cloned().unwrap_or_default();
    let empty = clap::Command::new("crossfade").version(env!("CARGO_PKG_VERSION")).about(about).after_help(FIRST_STEP);
    empty.disable_help_subcommand(true).subcommand_required(true).subcommands(commands)
}

/// The errors of a configuration with their lines. The reader of this terminal has the file; the function's log never gets
/// its lines.
fn with_lines(error: &SettingsError) -> String {
    match error {
        SettingsError::Config(errors) => check::explained(errors).as_ref().unwrap_or(errors).with_lines().to_string(),
        other => other.to_string(),
    }
}

/// Prints help, the version or an error of the command line, and returns its exit code. Arguments may contain anything.
fn refuse(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    match safe(&text) {
        // With its colours.
        same if same == text => _ = error.print(),
        safe => say(safe.trim_end()),
    }
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// The load balancer, as a value of `--front`.
const ALB: &str = "alb";

/// Reads a value of `--front`; `None` is the load balancer.
fn front(name: &str) -> Result<Option<EndpointKind>, String> {
    match EndpointKind::of_name(name) {
        None if name != ALB => {
            let names: Vec<&str> = [ALB].into_iter().chain(EndpointKind::ALL.map(EndpointKind::name)).collect();
            Err(format!("expected one of {}", names.join(", ")))
        }
        kind => Ok(kind),
    }
}

/// `SSL_CERT_FILE` as an absolute path: certificates to trust in addition to the public authorities.
fn cert_file() -> Result<Option<PathBuf>> {
    let file = std::env::var_os("SSL_CERT_FILE").filter(|file| !file.is_empty());
    file.map(std::path::absolute).transpose().context("`SSL_CERT_FILE`")
}
