//! The records of the function's log that count for the present state, read on from one look to the next. It is the file that
//! `crossfade promote` is told to read, so that both come to the same conclusion.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow};
use crossfade_migration::{Evidences, Judgement};

use crate::inspector::line::Line;
use crate::migration::Migration;

pub(super) struct Collected {
    evidences: Evidences<'static>,
    /// The end of the last whole line that was read.
    offset: u64,
}

impl Collected {
    pub(super) fn new(migration: &Migration) -> Result<Collected> {
        Ok(Collected { evidences: migration.evidences()?.into_owned(), offset: 0 })
    }

    pub(super) fn judgements(&self, now: SystemTime) -> Vec<Judgement> {
        self.evidences.judgements(now)
    }

    /// Reads the new lines. A file that has become shorter is read again.
    pub(super) async fn read_on(mut self, migration: &Migration, log: PathBuf) -> Result<Collected> {
        let length = std::fs::metadata(&log).map_or(0, |file| file.len());
        if length < self.offset {
            self = Collected::new(migration)?;
        }
        let read = move || {
            self.read(&log).with_context(|| format!("cannot read `{}`", log.display()))?;
            Ok(self)
        };
        tokio::task::spawn_blocking(read).await.map_err(|error| anyhow!("cannot read the log: {error}"))?
    }

    fn read(&mut self, log: &Path) -> std::io::Result<()> {
        let mut file = match File::open(log) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            file => BufReader::new(file?),
        };
        file.seek(SeekFrom::Start(self.offset))?;
        let mut line = Vec::new();
        while file.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            self.offset += line.len() as u64;
            match std::str::from_utf8(&line).ok().and_then(Line::parse) {
                Some(Line::Access { access, .. }) => self.evidences.add_access(&access),
                Some(Line::Comparison { record, .. }) => self.evidences.add_comparison(&record),
                None => {}
            }
            line.clear();
        }
        Ok(())
    }
}
