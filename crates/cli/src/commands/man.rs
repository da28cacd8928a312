//! `crossfade man`: manual pages, one for each command. Owns where they go: clap writes them.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Command;
use clap_mangen::Man;

use crate::terminal::print;

/// Print a manual page, or write all of them to a folder
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade man --output ~/.local/share/man/man1    then `man crossfade`, `man crossfade-dev` and so on
  crossfade man dev | man -l -")]
pub(super) struct Options {
    /// Command whose page is printed [default: the page about all commands]
    #[arg(value_name = "COMMAND", conflicts_with = "output")]
    command: Option<String>,
    /// Write a page for each command to this folder, which is created if necessary
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let mut all = super::public();
    // Names the subcommands.
    all.build();
    let commands = || std::iter::once(&all).chain(all.get_subcommands());
    if let Some(folder) = &options.output {
        let write = || -> Result<()> {
            fs::create_dir_all(folder)?;
            for command in commands() {
                fs::write(folder.join(Man::new(command.clone()).get_filename()), page(command)?)?;
            }
            Ok(())
        };
        return write().with_context(|| format!("cannot write to `{}`", folder.display()));
    }
    let name = options.command.as_deref().unwrap_or(all.get_name());
    match commands().find(|command| command.get_name() == name) {
        Some(command) => print(&page(command)?),
        None => {
            let names: Vec<&str> = all.get_subcommands().map(Command::get_name).collect();
            bail!("`{name}` is not a command\n  hint: the commands are {}", names.join(", "))
        }
    }
}

/// The page of a command. Its examples keep their lines: troff would hyphenate them.
fn page(command: &Command) -> Result<String> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    Ok(String::from_utf8(page)?.replace(".SH EXTRA\n", ".SH EXAMPLES\n.nf\n"))
}
