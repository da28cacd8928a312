//! `crossfade function`: the Lambda function in this executable, so that one binary is the whole tool.
//!
//! Owns nothing: it is the same code as the binary `bootstrap`, and reads its settings from the environment as that does.

use std::process::ExitCode;

pub(super) fn run() -> ExitCode {
    crossfade_function::main()
}
