//! `crossfade schema`: the JSON Schema of `crossfade.yaml`, for editors. Owns the destination;
//! `crossfade-route` owns the schema.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Print the JSON Schema of crossfade.yaml for completion and validation in your editor
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade schema --output crossfade.schema.json

Then start crossfade.yaml with this line, as `crossfade init` does:
  # yaml-language-server: $schema=./crossfade.schema.json")]
pub(super) struct Options {
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<()> {
    match &options.output {
        Some(file) if file != Path::new("-") => {
            fs::write(file, crossfade_route::SCHEMA).with_context(|| format!("cannot write `{}`", file.display()))
        }
        _ => crate::terminal::print(crossfade_route::SCHEMA),
    }
}
