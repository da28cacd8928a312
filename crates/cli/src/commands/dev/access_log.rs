//! Writes the load balancer's access log to a file: a line per request, in ALB's format (docs/local-alb.md). Requests of other
//! front ends are not in it.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use crossfade_emulator::{Notice, access_log};

use super::append_to;

pub(super) struct AccessLog(Option<File>);

impl AccessLog {
    /// Appends to the named file, if any.
    pub(super) fn start(named: Option<&Path>) -> Result<AccessLog> {
        Ok(AccessLog(named.map(append_to).transpose()?))
    }

    pub(super) fn keep(&mut self, notice: &Notice) {
        if let (Some(file), Notice::Exchange(exchange)) = (&mut self.0, notice)
            && exchange.is_of_load_balancer()
        {
            // A full disk must not stop `dev`; the terminal shows the request as well.
            let _ = file.write_all(format!("{}\n", access_log::line(exchange)).as_bytes());
        }
    }
}
