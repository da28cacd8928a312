//! The Lambda function: settings, the Runtime API loop, and between the two the proxy.
//!
//! Owns all that is Lambda's: environment variables, invocations, deadlines, the log on stdout (`log`). Knows no ALB rule and
//! no back end connection. The same code is the binary `bootstrap` in Lambda and a child process of `crossfade dev`.

#[cfg(test)]
mod another_format;
mod current;
mod deployment;
mod http1;
mod invoke;
mod log;
mod run;
mod runtime_api;
mod settings;
mod spilling;
mod streaming;
mod xray;

use std::process::ExitCode;

pub use crossfade_live::{FileVersion, Remote, Source};
pub use settings::{ConfigSource, LocalSurroundings, SettingsError, load};

use self::log::log_fatal;

/// The function's entry point: reads the environment and serves until the end of it.
#[must_use]
pub fn main() -> ExitCode {
    log::start(settings::log_format());
    invoke::log_panics();
    let settings = match settings::Settings::from_env() {
        Ok(settings) => settings,
        Err(error) => {
            log_fatal(&error.to_string());
            return ExitCode::from(2);
        }
    };
    let runtime = match run::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            log_fatal(&format!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run::run(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log_fatal(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
