//! Live state in a file, for a laptop. Owns the lock that lets one writer at a time compare and write, and earlier versions,
//! which are files in a folder beside it.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Document, WriteError};
use crate::system::temporary;

/// Versions of the same number that are kept.
const MAX_BY_HAND: u32 = 99;

/// A file.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    pub(super) fn new(path: PathBuf) -> Self {
        Store { path }
    }

    pub(super) fn read(&self) -> Result<Option<Document>> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(Some(Document { revision: revision(&bytes), bytes: Some(bytes) })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| self.cannot("read")),
        }
    }

    pub(super) fn write(&self, text: &str, version: u32, revision: Option<&str>) -> Result<(), WriteError> {
        let lock = File::create(self.beside(".lock")).with_context(|| self.cannot("lock"))?;
        lock.lock().with_context(|| self.cannot("lock"))?;
        if self.read()?.map(|document| document.revision).as_deref() != revision {
            return Err(WriteError::Conflict);
        }
        Ok(self.overwrite(text, version)?)
    }

    pub(super) fn overwrite(&self, text: &str, version: u32) -> Result<()> {
        // Somebody may have written it by hand, and whatever number it claims, it comes after those that were kept.
        if let Ok(present) = fs::read(&self.path) {
            self.keep(version_of(&present).unwrap_or_default().max(self.last_version()), &present)?;
        }
        self.keep(version, text.as_bytes())?;
        // A link stays one, and a reader, which may be another user, never sees half of the file.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let next = temporary(0o644).tempfile_in(parent);
        let mut next = next.with_context(|| self.cannot("write"))?;
        next.write_all(text.as_bytes()).with_context(|| self.cannot("write"))?;
        next.persist(&path).with_context(|| self.cannot("write"))?;
        Ok(())
    }

    /// Keeps a version, unless it is there already. One that somebody has written by hand may have the number of another.
    fn keep(&self, version: u32, bytes: &[u8]) -> Result<()> {
        let folder = self.beside(".history");
        fs::create_dir_all(&folder).with_context(|| self.cannot("write"))?;
        let name = format!("{version:010}");
        // In the order of their names, these come after the version without an addition.
        let additions = (1..=MAX_BY_HAND).map(|number| format!(".manual-{number:02}"));
        for addition in [String::new()].into_iter().chain(additions) {
            let path = folder.join(format!("{name}{addition}.json"));
            match fs::read(&path) {
                Ok(kept) if kept == bytes => return Ok(()),
                Ok(_) => {}
                Err(_) => return fs::write(&path, bytes).with_context(|| self.cannot("write")),
            }
        }
        Ok(())
    }

    /// The versions that were kept, the newest last.
    fn kept(&self) -> Result<Vec<PathBuf>> {
        let folder = self.beside(".history");
        let mut files: Vec<PathBuf> = match fs::read_dir(&folder) {
            Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", folder.display())),
        };
        files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
        files.sort();
        Ok(files)
    }

    /// The highest number of a version that was kept; 0 without any.
    pub(super) fn last_version(&self) -> u32 {
        let last = self.kept().ok().and_then(|mut files| files.pop());
        let name = last.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        name.and_then(|name| name.get(..10)?.parse().ok()).unwrap_or_default()
    }

    pub(super) fn history(&self, most: usize) -> Result<Vec<Document>> {
        let mut documents = Vec::new();
        for file in self.kept()?.iter().rev().take(most) {
            let bytes = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
            let revision = file.file_stem().unwrap_or_default().to_string_lossy().trim_start_matches('0').to_owned();
            documents.push(Document { revision, bytes: Some(bytes) });
        }
        // One that somebody has written by hand.
        if let Some(Document { bytes: Some(bytes), .. }) = self.read()?
            && !documents.iter().any(|document| document.bytes.as_ref() == Some(&bytes))
        {
            documents.insert(0, Document { revision: "by hand".to_owned(), bytes: Some(bytes) });
        }
        Ok(documents)
    }

    pub(super) fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    fn cannot(&self, what: &str) -> String {
        format!("cannot {what} `{}`", self.path.display())
    }
}

/// The version that a text claims to have; `None` if it cannot be read.
fn version_of(bytes: &[u8]) -> Option<u32> {
    let document: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    u32::try_from(document["version"].as_u64()?).ok()
}

/// The text itself: two contents that differ are two revisions.
fn revision(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
