//! The load balancer's access log, in a file: a line for each request, in ALB's own format (docs/local-alb.md).

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use crossfade_emulator::{Notice, access_log};

pub(super) struct AccessLog(Option<File>);

impl AccessLog {
    /// Appends to the file, if one is named.
    pub(super) fn start(named: Option<&Path>) -> Result<AccessLog> {
        let open = |path: &Path| {
            let file = OpenOptions::new().append(true).create(true).open(path);
            file.with_context(|| format!("cannot write `{}`", path.display()))
        };
        Ok(AccessLog(named.map(open).transpose()?))
    }

    pub(super) fn keep(&mut self, notice: &Notice) {
        if let (Some(file), Notice::Exchange(exchange)) = (&mut self.0, notice) {
            // A full disk is no reason to stop serving; the request is on the screen, too.
            let _ = file.write_all(format!("{}\n", access_log::line(exchange)).as_bytes());
        }
    }
}
