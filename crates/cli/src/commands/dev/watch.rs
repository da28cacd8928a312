//! The configuration file while `crossfade dev` runs: each change is checked here, and only a good one reaches the
//! function, as a copy that it takes up with its next request. Owns that copy and what is said about changes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use crossfade_function::{ConfigSource, FileVersion, load};

use crate::commands::with_lines;

/// The copy's name, beside the demo's own files.
const COPY: &str = "active.yaml";

/// A configuration file and the copy of its last good content.
pub(super) struct Watch {
    file: PathBuf,
    copy: PathBuf,
    seen: Option<FileVersion>,
}

/// What has become of a change.
pub(super) enum Change {
    /// It is in use from the next request.
    Taken,
    /// It is wrong, for these reasons; the last good one stays.
    Refused(String),
}

impl Watch {
    /// Copies a file that is known to be good into a folder.
    pub(super) fn start(file: &Path, folder: &Path) -> Result<Watch> {
        let watch = Watch { file: file.to_owned(), copy: folder.join(COPY), seen: FileVersion::of(file) };
        watch.take().with_context(|| format!("cannot copy `{}`", file.display()))?;
        Ok(watch)
    }

    /// Where the function finds the configuration.
    pub(super) fn copy(&self) -> &Path {
        &self.copy
    }

    /// Where relative paths in the configuration begin.
    pub(super) fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Looks whether the file has changed, and takes the change up if it is good. A file that is gone is one that an
    /// editor is about to write.
    pub(super) fn look(&mut self) -> Option<Change> {
        let now = FileVersion::of(&self.file)?;
        if self.seen == Some(now) {
            return None;
        }
        self.seen = Some(now);
        let checked = load(&ConfigSource::file(self.file.clone()), None).map_err(|mistakes| with_lines(&mistakes));
        let taken = checked.and_then(|_| self.take().map_err(|error| error.to_string()));
        Some(match taken {
            Ok(()) => Change::Taken,
            Err(reasons) => Change::Refused(reasons),
        })
    }

    /// A function sees the old copy or the new one, never a half of it.
    fn take(&self) -> std::io::Result<()> {
        let next = self.copy.with_extension("next");
        fs::write(&next, fs::read(&self.file)?)?;
        fs::rename(next, &self.copy)
    }
}
