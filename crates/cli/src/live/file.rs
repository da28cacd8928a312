//! Live state in a file, for a laptop. Owns the lock that lets one writer at a time compare and write, and earlier versions,
//! which are files in a folder beside it.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Document, WriteError};

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
        let folder = self.beside(".history");
        fs::create_dir_all(&folder).with_context(|| self.cannot("write"))?;
        fs::write(folder.join(format!("{version:010}.json")), text).with_context(|| self.cannot("write"))?;
        // A link stays one, and a reader, which may be another user, never sees half of the file.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let permissions = fs::Permissions::from_mode(0o644);
        let next = tempfile::Builder::new().permissions(permissions).tempfile_in(parent);
        let mut next = next.with_context(|| self.cannot("write"))?;
        next.write_all(text.as_bytes()).with_context(|| self.cannot("write"))?;
        next.persist(&path).with_context(|| self.cannot("write"))?;
        Ok(())
    }

    pub(super) fn history(&self, most: usize) -> Result<Vec<Document>> {
        let folder = self.beside(".history");
        let mut files: Vec<PathBuf> = match fs::read_dir(&folder) {
            Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", folder.display())),
        };
        files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
        files.sort();
        let documents = files.iter().rev().take(most).map(|file| {
            let bytes = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
            let revision = file.file_stem().unwrap_or_default().to_string_lossy().trim_start_matches('0').to_owned();
            Ok(Document { revision, bytes: Some(bytes) })
        });
        documents.collect()
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

/// The text itself: two contents that differ are two revisions.
fn revision(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
