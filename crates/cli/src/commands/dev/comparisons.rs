//! The comparisons that the function logs, kept in a file for `crossfade report`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use crossfade_emulator::Notice;

use super::append_to;

/// The file's name in the folder of a run.
const FILE: &str = "comparisons.log";

/// What every line of a comparison begins with.
const BEGINNING: &str = r#"{"type":"compare","#;

pub(super) struct Comparisons {
    path: PathBuf,
    file: File,
}

impl Comparisons {
    /// Appends to a file: the one that is named, or one in the folder of the run, which goes with it.
    pub(super) fn start(named: Option<&Path>, folder: &Path) -> Result<Comparisons> {
        let path = named.map_or_else(|| folder.join(FILE), Path::to_owned);
        let file = append_to(&path)?;
        Ok(Comparisons { path, file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps a line of the function's log if it is a comparison.
    pub(super) fn keep(&mut self, notice: &Notice) {
        if let Notice::FunctionLine { line, .. } = notice
            && line.starts_with(BEGINNING)
        {
            // A full disk is no reason to stop serving; the line is on the screen, too.
            let _ = self.file.write_all(format!("{line}\n").as_bytes());
        }
    }
}
