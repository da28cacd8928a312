//! The name of this program in the commands that it prints, so that they work where they are printed.

use std::path::Path;

use clap::Command;

/// Its name when it is installed.
const INSTALLED: &str = "crossfade";
/// The alias of a checkout, in `.cargo/config.toml`.
const ALIAS: &str = "cargo crossfade";

/// Returns the start of a command that runs this program again, quoted for a shell: the name by which it was called, or
/// `cargo crossfade` if cargo runs it from a checkout.
pub(crate) fn name() -> String {
    let called = std::env::args_os().next().map(|name| name.to_string_lossy().into_owned());
    let package = std::env::var("CARGO_PKG_NAME").ok();
    name_of(called.as_deref(), package.as_deref())
}

/// Returns the commands with help whose examples work where it is printed: in a checkout, they begin with the alias.
pub(crate) fn in_help(command: Command) -> Command {
    if name() != ALIAS {
        return command;
    }
    let in_checkout = |command: Command| match command.get_after_help().map(ToString::to_string) {
        Some(help) => command.after_help(help.replace(&format!(" {INSTALLED} "), &format!(" {ALIAS} "))),
        None => command,
    };
    in_checkout(command.bin_name(ALIAS)).mut_subcommands(in_checkout)
}

/// `package` is the one that cargo runs: `cargo run` and `cargo test` set it for the processes that they start, and those
/// inherit it. Only `cargo run` calls the program by a path from the current folder.
fn name_of(called: Option<&str>, package: Option<&str>) -> String {
    let called = called.filter(|called| !called.is_empty()).unwrap_or(INSTALLED);
    let is_of_cargo = package == Some(env!("CARGO_PKG_NAME"));
    let is_in_checkout = Path::new(called).is_relative() && Path::new(called).components().count() > 1;
    if is_of_cargo && is_in_checkout { ALIAS.to_owned() } else { shell_words::quote(called).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_works_where_it_is_printed() {
        let ours = Some("crossfade");
        for (called, package, expected) in [
            (Some("crossfade"), None, "crossfade"),
            (Some("xfade"), None, "xfade"),
            (Some("./crossfade"), None, "./crossfade"),
            (Some("target/debug/crossfade"), None, "target/debug/crossfade"),
            (Some("/opt/my tools/crossfade"), None, "'/opt/my tools/crossfade'"),
            (None, None, "crossfade"),
            (Some(""), None, "crossfade"),
            (Some("target/debug/crossfade"), ours, "cargo crossfade"),
            // Installed, and started by the program or the test of a package.
            (Some("crossfade"), ours, "crossfade"),
            (Some("target/debug/crossfade"), Some("shop"), "target/debug/crossfade"),
            // Outside the folder in which cargo was called, or with another target folder: a path works everywhere.
            (Some("/work/target/debug/crossfade"), ours, "/work/target/debug/crossfade"),
        ] {
            assert_eq!(name_of(called, package), expected, "{called:?} {package:?}");
        }
    }
}
