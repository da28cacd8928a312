//! `crossfade history`: who changed the live state, when and why.

use std::fmt::Write;
use std::time::SystemTime;

use anyhow::Result;
use crossfade_route::Overlay;
use serde_json::{Value, json};

use super::text;
use super::{Common, DOCUMENT, block_on};
use crate::commands::Verdict;
use crate::live::{Store, Version};
use crate::migration::{MAX_HISTORY, change_json};
use crate::terminal::{print, print_json};

/// List the changes of the live state, the newest first: version, time, who, what and why
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade history --live s3://bucket/live.json
  crossfade history --json | jq -r '.versions[] | [.version, .by, .change] | @tsv'

A file keeps its versions in a folder beside it, a bucket if its versioning is enabled, Systems Manager the latest 100.
Exit codes: 0 shown, 2 it could not run.")]
pub(crate) struct History {
    #[command(flatten)]
    common: Common,
    /// Number of changes
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=MAX_HISTORY as i64))]
    most: u16,
}

impl History {
    pub(crate) fn run(&self) -> Result<Verdict> {
        let place = self.common.place()?;
        let versions = block_on(async { Store::open(&place).await?.history(usize::from(self.most)).await })?;
        match self.common.json {
            true => print_json(&format!("{:#}\n", document(&place, &versions)))?,
            false => print(&text(&place, &versions, SystemTime::now()))?,
        }
        Ok(Verdict::Clean)
    }
}

fn text(place: &str, versions: &[Version], now: SystemTime) -> String {
    let mut text = String::new();
    for Version { revision, overlay } in versions {
        let _ = match overlay {
            Ok(overlay) => {
                let Overlay { version, at, .. } = overlay;
                writeln!(text, "{version:>5}  {}  {}", text::time(*at, now), text::change(overlay))
            }
            Err(reason) => writeln!(text, "    ?  cannot be read: {reason} (revision {revision})"),
        };
    }
    if versions.is_empty() {
        let _ = writeln!(text, "no change yet in {place}: the file alone decides");
    }
    text
}

fn document(place: &str, versions: &[Version]) -> Value {
    let version = |Version { revision, overlay }: &Version| match overlay {
        Ok(overlay) => change_json(overlay),
        Err(error) => json!({ "revision": revision, "unreadable": error }),
    };
    json!({ "format": DOCUMENT, "place": place, "versions": versions.iter().map(version).collect::<Vec<_>>() })
}
