//! Writes the comparisons that the function logs to a file, for `crossfade report`. Owns that file and nothing of the format.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use crossfade_emulator::Notice;

use super::append_to;

/// Name of the default file, in the folder of a run.
const FILE: &str = "comparisons.log";

/// The start of every comparison's line.
const BEGINNING: &str = r#"{"type":"compare","#;

pub(super) struct Comparisons {
    path: PathBuf,
    file: File,
}

impl Comparisons {
    /// Appends to the named file, or to one in the folder of the run, which is removed with it.
    pub(super) fn start(named: Option<&Path>, folder: &Path) -> Result<Comparisons> {
        let path = named.map_or_else(|| folder.join(FILE), Path::to_owned);
        let file = append_to(&path)?;
        Ok(Comparisons { path, file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a line of the function's log if it is a comparison.
    pub(super) fn keep(&mut self, notice: &Notice) {
        if let Notice::FunctionLine { line, .. } = notice
            && line.starts_with(BEGINNING)
        {
            // A full disk must not stop `dev`; the terminal shows the result as well.
            let _ = self.file.write_all(format!("{line}\n").as_bytes());
        }
    }
}
