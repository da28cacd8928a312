//! The load balancer's access log, in a file: a line for each request, in ALB's own format (docs/local-alb.md).

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use crossfade_emulator::{Notice, access_log};

use super::append_to;

pub(super) struct AccessLog(Option<File>);

impl AccessLog {
    /// Appends to the file, if one is named.
    pub(super) fn start(named: Option<&Path>) -> Result<AccessLog> {
        Ok(AccessLog(named.map(append_to).transpose()?))
    }

    pub(super) fn keep(&mut self, notice: &Notice) {
        if let (Some(file), Notice::Exchange(exchange)) = (&mut self.0, notice) {
            // A full disk is no reason to stop serving; the request is on the screen, too.
            let _ = file.write_all(format!("{}\n", access_log::line(exchange)).as_bytes());
        }
    }
}
