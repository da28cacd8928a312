//! The Lambda function: settings, the Runtime API loop, and between the two the proxy.
//!
//! Owns all that is Lambda's: environment variables, invocations, deadlines, the log on stdout. Knows no ALB rule and
//! no back end connection. The same code is the binary `bootstrap` in Lambda and a child process of `crossfade dev`.

#[cfg(test)]
mod another_format;
mod current;
mod deployment;
mod http1;
mod invoke;
mod run;
mod runtime_api;
mod settings;
mod spilling;
mod streaming;

use std::process::ExitCode;

pub use crossfade_live::{FileVersion, Remote, Source};
pub use settings::{ConfigSource, LocalSurroundings, SettingsError, load};

/// The function's entry point: reads the environment and serves until the end of it.
#[must_use]
pub fn main() -> ExitCode {
    invoke::log_panics();
    let settings = match settings::Settings::from_env() {
        Ok(settings) => settings,
        Err(error) => {
            log_error(&error.to_string());
            return ExitCode::from(2);
        }
    };
    let runtime = match run::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            log_error(&format!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run::run(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log_error(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Something that belongs to no request. Lambda takes stdout and stderr into the same log.
fn log_error(message: &str) {
    let line = serde_json::json!({ "type": "error", "level": "ERROR", "message": message });
    write_line(line.to_string());
}

/// The same for what works, but should not stay so.
fn log_warning(message: &str) {
    let line = serde_json::json!({ "type": "warning", "level": "WARN", "message": message });
    write_line(line.to_string());
}

/// One line of the log, in one system call, so that lines of several processes do not mix.
fn write_line(line: impl Into<Vec<u8>>) {
    use std::io::Write;
    let mut line = line.into();
    line.push(b'\n');
    // Without a log there is no place to report that.
    let _ = std::io::stdout().lock().write_all(&line);
}
