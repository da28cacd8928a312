//! `crossfade export`: the routes of a migration that is done as listener rules. Owns the options; `crate::export` writes the rules.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use super::explain::proxy;
use super::{Verdict, migration};
use crate::export::{Export, Format, MAX_PRIORITY};
use crate::terminal::{print, say};

/// Write listener rules for routes that have settled on one back end, and name those that still need the function
#[derive(clap::Args)]
#[command(after_help = "\
A route has settled if all its users are on one back end, and nothing of it needs the function: no mirror, failover, transforms or
changed fields. The other routes keep rules that forward to the function. Target groups are parameters: create one for each back end.

Examples:
  crossfade export alb-rules --format terraform > rules.tf
  crossfade export alb-rules --live s3://bucket/live.json --format cloudformation > rules.json

Exit codes: 0 no route needs the function, 1 some do, 2 nothing was written.")]
pub(super) struct Options {
    /// Rules of an Application Load Balancer
    #[arg(value_enum)]
    what: What,
    /// Form of the output: commands of the AWS CLI, a CloudFormation template, or Terraform
    #[arg(long, value_enum)]
    format: Format,
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "crossfade.yaml")]
    config: PathBuf,
    /// Apply the live state in this place, as the function does: file:PATH, s3://BUCKET/KEY, ssm:/NAME or appconfig:APPLICATION/ENVIRONMENT/PROFILE [default: $CROSSFADE_LIVE]
    #[arg(long, value_name = "PLACE")]
    live: Option<String>,
    /// Priority of the first rule; the others follow. They must be lower than those of the rules for the function
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PRIORITY)))]
    first_priority: u32,
    /// File to write; `-` for standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum What {
    AlbRules,
}

pub(super) fn run(options: &Options) -> Result<Verdict> {
    let What::AlbRules = options.what;
    let overlay = migration::place(options.live.as_ref()).as_deref().map(migration::read).transpose()?.flatten();
    let proxy = proxy(&options.config, overlay.as_ref())?;
    let export = Export::of(proxy.table(), options.first_priority)
        .map_err(|reason| anyhow!("{reason}\n  hint: begin with a lower `--first-priority`"))?;
    let text = export.text(options.format, &proxy, &format!("`{}`", options.config.display()));
    if options.output == Path::new("-") {
        print(&text)?;
    } else {
        let file = options.output.display();
        fs::write(&options.output, text).with_context(|| format!("cannot write `{file}`"))?;
        say(&format!("wrote `{file}`"));
    }
    say(&export.findings().join("\n"));
    Ok(if export.kept.is_empty() { Verdict::Clean } else { Verdict::Findings })
}
