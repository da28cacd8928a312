//! The binary `crossfade`. Owns nothing: the commands are in `commands`.

use std::process::ExitCode;

fn main() -> ExitCode {
    crossfade::commands::run()
}
