//! Watches the configuration file while `crossfade dev` runs.
//!
//! Checks each change. Only a valid one reaches the function, as a copy that it loads with its next request. Owns that copy
//! and the messages about changes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use crossfade_function::{ConfigSource, FileVersion, load};
use crossfade_route::RoutingTable;

use crate::commands::environment::Recorder;
use crate::commands::with_lines;
use crate::inspector::Routes;

/// The copy's name, beside the demo's own files.
const COPY: &str = "active.yaml";

/// A configuration file and the copy of its last valid content.
pub(super) struct Watch {
    file: PathBuf,
    copy: PathBuf,
    seen: Option<FileVersion>,
    /// The names of the back ends in the valid content, in its order.
    backends: Vec<String>,
    /// It has the plan of a migration.
    has_plan: bool,
}

/// The result of a change.
pub(super) enum Change {
    /// The next request uses it.
    Taken,
    /// It has these errors; the last valid one stays in use.
    Refused(String),
}

impl Watch {
    /// Copies a valid file into a folder.
    pub(super) fn start(file: &Path, folder: &Path) -> Result<Watch> {
        let seen = FileVersion::of(file);
        let (table, _) =
            load(&ConfigSource::file(file.to_owned()), None).map_err(|errors| anyhow!(with_lines(&errors)))?;
        let (backends, has_plan) = (names(&table), table.plan.is_some());
        let watch = Watch { file: file.to_owned(), copy: folder.join(COPY), seen, backends, has_plan };
        watch.take().with_context(|| format!("cannot copy `{}`", file.display()))?;
        Ok(watch)
    }

    /// The function's configuration file.
    pub(super) fn copy(&self) -> &Path {
        &self.copy
    }

    /// The folder at which relative paths in the configuration start.
    pub(super) fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// The names of the configuration's back ends, in its order.
    pub(super) fn backends(&self) -> &[String] {
        &self.backends
    }

    /// Returns true if the configuration was read with the plan of a migration.
    pub(super) fn has_plan(&self) -> bool {
        self.has_plan
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// The configuration in use, for the inspector, with the function's variables.
    pub(super) fn routes(&self, variables: &[(String, String)]) -> Option<Routes> {
        let text = crossfade_document::decode(fs::read(&self.copy).ok()?)?;
        let recorder = Recorder::new(self.folder()).overriding(variables);
        let table = RoutingTable::from_config(&text, "", &recorder).ok()?;
        Some(Routes { table, environment: recorder.environment() })
    }

    /// Checks whether the file has changed, and adopts a valid change. Ignores a missing file: an editor is about to write
    /// it.
    pub(super) fn look(&mut self) -> Option<Change> {
        let now = FileVersion::of(&self.file)?;
        if self.seen == Some(now) {
            return None;
        }
        self.seen = Some(now);
        let checked = load(&ConfigSource::file(self.file.clone()), None).map_err(|errors| with_lines(&errors));
        let taken = checked.and_then(|(table, _)| {
            (self.backends, self.has_plan) = (names(&table), table.plan.is_some());
            self.take().map_err(|error| error.to_string())
        });
        Some(match taken {
            Ok(()) => Change::Taken,
            Err(reasons) => Change::Refused(reasons),
        })
    }

    /// Replaces the copy atomically: the function never reads half a file.
    fn take(&self) -> std::io::Result<()> {
        let next = self.copy.with_extension("next");
        fs::write(&next, fs::read(&self.file)?)?;
        fs::rename(next, &self.copy)
    }
}

fn names(table: &RoutingTable) -> Vec<String> {
    table.backends().iter().map(|backend| backend.name.to_string()).collect()
}
