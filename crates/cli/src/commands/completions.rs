//! `crossfade completions`: a script for the user's shell that completes commands and options. Owns nothing of the scripts: clap
//! writes them.

use anyhow::Result;
use clap_complete::Shell;

use crate::terminal::print;

/// Print a script that completes commands and options in your shell
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade completions bash > ~/.local/share/bash-completion/completions/crossfade
  crossfade completions zsh > ~/.zfunc/_crossfade              with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc
  crossfade completions fish > ~/.config/fish/completions/crossfade.fish
  crossfade completions powershell >> $PROFILE
  crossfade completions elvish >> ~/.config/elvish/rc.elv")]
pub(super) struct Options {
    /// Name of the shell
    shell: Shell,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut super::public(), "crossfade", &mut script);
    print(&String::from_utf8(script)?)
}
