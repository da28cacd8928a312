//! Writes the log of Crossfade's own function to a file: access lines and comparisons, as a log group has them. `crossfade report`
//! and the commands of a migration read it, and the inspector judges a step by it. Owns that file and nothing of the formats.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use crossfade_emulator::Notice;

use super::append_to;
use crate::inspector::is_record;

/// Name of the default file, in the folder of a run.
const FILE: &str = "function.log";

pub(super) struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// Appends to the named file, or to one in the folder of the run, which is removed with it.
    pub(super) fn start(named: Option<&Path>, folder: &Path) -> Result<Log> {
        let path = named.map_or_else(|| Ok(folder.join(FILE)), std::path::absolute).context("`--log`")?;
        let file = append_to(&path)?;
        Ok(Log { path, file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a line of the function's log if it is of a request.
    pub(super) fn keep(&mut self, notice: &Notice) {
        if let Notice::FunctionLine { line, .. } = notice
            && is_record(line)
        {
            // A full disk must not stop `dev`; the terminal shows the request as well.
            let _ = self.file.write_all(format!("{line}\n").as_bytes());
        }
    }
}
