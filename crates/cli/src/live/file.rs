//! Live state in a file, for a laptop. Owns the lock that lets one writer at a time compare and write, and earlier versions,
//! which are files in a folder beside it.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use crossfade_route::Overlay;

use super::{Stored, WriteError, parsed};

/// A file.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
}

impl Store {
    pub(super) fn new(path: PathBuf) -> Self {
        Store { path }
    }

    pub(super) fn read(&self) -> Result<Stored> {
        let Some(text) = self.text()? else { return Ok(Stored { overlay: None, revision: None }) };
        let overlay = parsed(&text, &self.path.display().to_string())?;
        Ok(Stored { overlay: Some(overlay), revision: Some(text) })
    }

    pub(super) fn write(&self, overlay: &Overlay, revision: Option<&str>) -> Result<(), WriteError> {
        let lock = File::create(self.beside(".lock")).with_context(|| self.cannot("lock"))?;
        lock.lock().with_context(|| self.cannot("lock"))?;
        if self.text()?.as_deref() != revision {
            return Err(WriteError::Conflict);
        }
        Ok(self.overwrite(overlay)?)
    }

    pub(super) fn overwrite(&self, overlay: &Overlay) -> Result<()> {
        let text = overlay.to_text();
        let folder = self.beside(".history");
        fs::create_dir_all(&folder).with_context(|| self.cannot("write"))?;
        fs::write(folder.join(format!("{:010}.json", overlay.version)), &text).with_context(|| self.cannot("write"))?;
        // A reader never sees half of it.
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut next = tempfile::NamedTempFile::new_in(parent).with_context(|| self.cannot("write"))?;
        next.write_all(text.as_bytes()).with_context(|| self.cannot("write"))?;
        next.persist(&self.path).with_context(|| self.cannot("write"))?;
        Ok(())
    }

    pub(super) fn history(&self, most: usize) -> Result<Vec<Overlay>> {
        let folder = self.beside(".history");
        let mut files: Vec<PathBuf> = match fs::read_dir(&folder) {
            Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", folder.display())),
        };
        files.sort();
        let versions = files.iter().rev().take(most).map(|file| {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
            parsed(&text, &file.display().to_string())
        });
        versions.collect()
    }

    fn text(&self) -> Result<Option<String>> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| self.cannot("read")),
        }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::SystemTime;

    use super::*;

    fn overlay(version: u32) -> Overlay {
        let (by, change) = ("anna".to_owned(), "test".to_owned());
        Overlay { version, at: SystemTime::UNIX_EPOCH, by, change, reason: None, routes: BTreeMap::new() }
    }

    #[test]
    fn two_writers_cannot_lose_an_update() {
        const WRITES: u32 = 200;
        let folder = tempfile::tempdir().unwrap();
        let store = || Store::new(folder.path().join("live.json"));
        let writer = || {
            let (store, mut conflicts) = (store(), 0);
            for _ in 0..WRITES {
                loop {
                    let Stored { overlay: before, revision } = store.read().unwrap();
                    match store.write(&overlay(before.map_or(1, |it| it.version + 1)), revision.as_deref()) {
                        Ok(()) => break,
                        Err(WriteError::Conflict) => conflicts += 1,
                        Err(WriteError::Failed(error)) => panic!("{error}"),
                    }
                }
            }
            conflicts
        };
        std::thread::scope(|scope| {
            for handle in [scope.spawn(writer), scope.spawn(writer)] {
                let _: u32 = handle.join().unwrap();
            }
        });
        assert_eq!(store().read().unwrap().overlay.unwrap().version, 2 * WRITES);
        let history = store().history(3).unwrap();
        assert_eq!(history.iter().map(|it| it.version).collect::<Vec<_>>(), [400, 399, 398]);
    }
}
