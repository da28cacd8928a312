//! The proxy of the current configuration. Owns its start, and what replaces it: a changed file if that is enabled
//! (`CROSSFADE_RELOAD`), and live state (`live` reads it). Watches nothing in between requests.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crossfade_proxy::{Proxy, SetupError};
use crossfade_route::{Overlaid, Overlay, PemFile, RoutingTable, Share, Streaming};
use serde_json::json;

use crate::live::{Change, Live, LiveError};
use crate::settings::{ConfigSource, Settings, SettingsError, load, variable};
use crate::{log_error, log_warning, write_line};

/// Changes of an overlay that do not fit, in a line of the log.
const MAX_TOLD: usize = 10;

/// The proxy, and the sources that it is made from.
pub(crate) struct Current {
    config: ConfigSource,
    cert_file: Option<PathBuf>,
    replaced: Replaced,
    reload: bool,
    live: Option<Live>,
    loaded: Mutex<Loaded>,
}

/// Values of the environment that replace the file's.
#[derive(Clone, Copy)]
struct Replaced {
    access_log: Option<Share>,
    streaming: Option<Streaming>,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigurationError {
    #[error("{0}")]
    Settings(#[from] SettingsError),
    #[error("{0}")]
    Setup(#[from] SetupError),
    #[error("{0}")]
    Live(#[from] LiveError),
}

struct Loaded {
    proxy: Arc<Proxy>,
    version: Option<FileVersion>,
    /// With live state: the configuration as it is in the file, to which every overlay applies.
    base: Option<(RoutingTable, Option<PemFile>)>,
    overlay: Option<Box<Overlay>>,
}

/// Tells one content of a file from the next: time, inode, size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileVersion(i64, i64, u64, u64);

impl FileVersion {
    /// The version that exists now; `None` without a file.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(FileVersion(file.mtime(), file.mtime_nsec(), file.ino(), file.size()))
    }
}

impl Current {
    /// Compiles the configuration, and finds the place of the live state.
    pub(crate) fn start(settings: Settings) -> Result<Self, ConfigurationError> {
        let Settings { config, cert_file, access_log, streaming, pseudonym, reload, live, .. } = settings;
        let (config, replaced) = (config?, Replaced { access_log: access_log?, streaming: streaming? });
        let version = version(&config);
        let (table, certificates) = compile(&config, cert_file.as_deref(), replaced)?;
        let live = live.map(|place| Live::new(&place, certificates.as_ref(), &variable));
        let live = live.transpose()?;
        let base = live.is_some().then(|| (table.clone(), certificates.clone()));
        let proxy = Arc::new(Proxy::new(table, certificates, &pseudonym)?);
        let loaded = Mutex::new(Loaded { proxy, version, base, overlay: None });
        Ok(Current { config, cert_file, replaced, reload, live, loaded })
    }

    /// For the next request. A file that has changed is compiled anew; if it is wrong, the last good one stays.
    pub(crate) fn proxy(&self) -> Arc<Proxy> {
        let mut loaded = self.loaded();
        if self.reload {
            let version = version(&self.config);
            if version.is_some() && version != loaded.version {
                let compiled = compile(&self.config, self.cert_file.as_deref(), self.replaced);
                let replaced = compiled.and_then(|(table, certificates)| match &mut loaded.base {
                    None => loaded.replace(table, certificates),
                    Some(base) => {
                        *base = (table, certificates);
                        loaded.apply().map(|mismatches| mismatches.iter().for_each(|mismatch| log_error(mismatch)))
                    }
                });
                if let Err(error) = replaced {
                    log_error(&format!("the configuration is unchanged: {error}"));
                }
                loaded.version = version;
            }
        }
        loaded.proxy.clone()
    }

    /// Returns `true` if reading the live state takes no time, so that it is read before a request.
    pub(crate) fn is_live_at_hand(&self) -> bool {
        self.live.as_ref().is_some_and(Live::is_at_hand)
    }

    /// Reads the live state if it is time to. A read that takes longer than `patience` goes on by itself. Without a valid state, the
    /// last one stays in use.
    pub(crate) async fn refresh(self: &Arc<Self>, now: SystemTime, patience: Duration) {
        let Some(live) = self.live.as_ref().filter(|live| live.is_due(now)) else { return };
        if live.is_at_hand() {
            return self.read(live, now).await;
        }
        let current = self.clone();
        let read = tokio::spawn(async move {
            if let Some(live) = &current.live {
                current.read(live, now).await;
            }
        });
        let _ = tokio::time::timeout(patience, read).await;
    }

    async fn read(&self, live: &Live, now: SystemTime) {
        let mut line = json!({ "type": "live", "level": "INFO", "place": live.place() });
        match live.refresh(now).await {
            Change::None => return,
            Change::Failed(failures, error) => {
                line["version"] = json!(self.loaded().proxy.table().live);
                (line["failures"], line["error"]) = (json!(failures), json!(error));
            }
            Change::To(overlay) => {
                line["replaces"] = json!(self.loaded().proxy.table().live);
                match &overlay {
                    Some(overlay) => {
                        (line["version"], line["by"], line["change"]) =
                            (json!(overlay.version), json!(overlay.by), json!(overlay.change));
                    }
                    None => line["error"] = json!("it is gone: the file alone decides"),
                }
                let mismatches = self.apply(overlay);
                if !mismatches.is_empty() {
                    line["error"] = json!(told(&mismatches));
                }
            }
        }
        if line.get("error").is_some() {
            line["level"] = json!("ERROR");
        }
        write_line(line.to_string());
    }

    /// Puts an overlay in use, or the file alone. Returns the changes that do not fit.
    pub(crate) fn apply(&self, overlay: Option<Box<Overlay>>) -> Vec<String> {
        let mut loaded = self.loaded();
        loaded.overlay = overlay;
        loaded.apply().unwrap_or_else(|error| vec![error.to_string()])
    }

    /// The live state's place.
    pub(crate) fn live(&self) -> Option<&Live> {
        self.live.as_ref()
    }

    /// With live state: the configuration in the file, and the overlay in use.
    pub(crate) fn base(&self) -> Option<(RoutingTable, Option<Overlay>)> {
        let loaded = self.loaded();
        let (table, _) = loaded.base.as_ref()?;
        Some((table.clone(), loaded.overlay.as_deref().cloned()))
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loaded {
    /// Applies the overlay to the base. Returns the changes that do not fit.
    fn apply(&mut self) -> Result<Vec<String>, ConfigurationError> {
        let Some((table, certificates)) = &self.base else { return Ok(Vec::new()) };
        let certificates = certificates.clone();
        let Overlaid { table, mismatches } = match &self.overlay {
            Some(overlay) => table.overlaid(overlay),
            None => Overlaid { table: table.clone(), mismatches: Vec::new() },
        };
        self.replace(table, certificates)?;
        Ok(mismatches)
    }

    /// Makes the proxy anew. Back ends that are the same keep their connections, circuit breakers and budgets.
    fn replace(&mut self, table: RoutingTable, certificates: Option<PemFile>) -> Result<(), ConfigurationError> {
        self.proxy = Arc::new(self.proxy.successor(table, certificates)?);
        Ok(())
    }
}

/// The first changes that do not fit, since there may be thousands.
fn told(mismatches: &[String]) -> String {
    let mut text = mismatches.iter().take(MAX_TOLD).cloned().collect::<Vec<_>>().join("; ");
    if mismatches.len() > MAX_TOLD {
        text.push_str(&format!("; and {} more", mismatches.len() - MAX_TOLD));
    }
    text
}

/// The table, with the values that replace the file's, and the authorities that are trusted besides the built-in roots.
/// Warns of settings that should not stay.
fn compile(
    config: &ConfigSource,
    cert_file: Option<&Path>,
    replaced: Replaced,
) -> Result<(RoutingTable, Option<PemFile>), ConfigurationError> {
    let (mut table, cert_file) = load(config, cert_file)?;
    table.access_log = replaced.access_log.unwrap_or(table.access_log);
    table.streaming = replaced.streaming.unwrap_or(table.streaming);
    for backend in table.backends().iter().filter(|backend| backend.tls.insecure_skip_verify) {
        log_warning(&format!("back end `{}`: its certificate is not verified (`insecureSkipVerify`)", backend.name));
    }
    for backend in table.backends().iter().filter(|backend| backend.tls.allow_missing_close_notify) {
        log_warning(&format!(
            "back end `{}`: a response without a length that is cut off passes for a complete one (`allowMissingCloseNotify`)",
            backend.name
        ));
    }
    Ok((table, cert_file))
}

fn version(config: &ConfigSource) -> Option<FileVersion> {
    match config {
        ConfigSource::File { path, .. } => FileVersion::of(path),
        ConfigSource::BackendUrl(_) => None,
    }
}
