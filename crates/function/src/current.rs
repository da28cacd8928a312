//! The proxy of the current configuration. Owns its start, and what replaces it: a changed file if that is enabled
//! (`CROSSFADE_RELOAD`), and live state (`crossfade-live` reads it). Watches nothing in between requests.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crossfade_journal::Metrics;
use crossfade_live::{Change, Connect, FileVersion, InUse, Live, LiveError, Notice, Outcome, Spill, Task};
use crossfade_proxy::{Client, Proxy, SetupError};
use crossfade_route::{Backend, Overlaid, Overlay, PemFile, RoutingTable, Share, Streaming};
use http::{Request, Response};
use tokio::time::Instant;

use crate::invoke::caught;
use crate::log::{Level, has, log_error, log_warning, write_line};
use crate::settings::{ConfigSource, LocalSurroundings, Settings, SettingsError, load, variable};

/// The proxy, and the sources that it is made from.
pub(crate) struct Current {
    config: ConfigSource,
    cert_file: Option<PathBuf>,
    replaced: Replaced,
    reload: bool,
    live: Option<Live>,
    /// Makes clients for requests of the function's own.
    connect: Connect,
    /// The place for subsegments of X-Ray, as the environment has it.
    pub(crate) xray_daemon: Option<String>,
    /// The bucket for responses that the front end cannot carry, once there was one.
    spill: Mutex<Option<Arc<Spill>>>,
    loaded: Mutex<Loaded>,
}

/// Values of the environment that replace the file's.
#[derive(Clone)]
struct Replaced {
    access_log: Option<Share>,
    metrics: Option<Option<Metrics>>,
    /// The namespace of metrics, unless the file has one.
    namespace: String,
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
    base: Option<(Arc<RoutingTable>, Option<PemFile>)>,
    overlay: Option<Arc<Overlay>>,
}

/// A client of one host, for requests of the function's own.
struct Own(Client);

impl crossfade_live::Client for Own {
    fn send(
        &self,
        request: Request<Bytes>,
        limit: Duration,
        now: SystemTime,
    ) -> Task<'_, Result<Response<Bytes>, String>> {
        Box::pin(self.0.send(request, limit, now))
    }
}

/// Makes clients that trust these authorities besides the built-in roots.
fn connect(certificates: Option<PemFile>) -> Connect {
    Box::new(move |url| {
        let backend = Backend::own("live", url, &LocalSurroundings { folder: Path::new("") })?;
        let client = Client::new(&Arc::new(backend), certificates.as_ref()).map_err(|error| error.to_string())?;
        Ok(Box::new(Own(client)))
    })
}

impl Current {
    /// Compiles the configuration, and finds the place of the live state.
    pub(crate) fn start(settings: Settings) -> Result<Self, ConfigurationError> {
        let Settings { config, cert_file, access_log, metrics, namespace, streaming, .. } = settings;
        let Settings { pseudonym, reload, live, xray_daemon, .. } = settings;
        let replaced = Replaced { access_log: access_log?, metrics: metrics?, namespace, streaming: streaming? };
        let config = config?;
        let version = version(&config);
        let (table, certificates) = compile(&config, cert_file.as_deref(), &replaced)?;
        let live = live.map(|place| Live::new(&place, &variable, connect(certificates.clone())));
        let live = live.transpose()?;
        let connect = connect(certificates.clone());
        let base = live.is_some().then(|| (Arc::new(table.clone()), certificates.clone()));
        let proxy = Arc::new(Proxy::new(table, certificates, &pseudonym)?);
        let loaded = Mutex::new(Loaded { proxy, version, base, overlay: None });
        let spill = Mutex::default();
        Ok(Current { config, cert_file, replaced, reload, live, connect, xray_daemon, spill, loaded })
    }

    /// For the next request. A file that has changed is compiled anew; if it is wrong, the last good one stays.
    pub(crate) fn proxy(&self) -> Arc<Proxy> {
        let mut loaded = self.loaded();
        if self.reload {
            let version = version(&self.config);
            if version.is_some() && version != loaded.version {
                let compiled = compile(&self.config, self.cert_file.as_deref(), &self.replaced);
                let replaced = compiled.and_then(|(table, certificates)| match &mut loaded.base {
                    None => loaded.replace(table, certificates),
                    Some(base) => {
                        *base = (Arc::new(table), certificates);
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

    /// The bucket of a table's `spill`, or the reason why it cannot be used.
    pub(crate) fn spill(&self, table: &RoutingTable) -> Result<Arc<Spill>, String> {
        let settings = table.spill.as_ref().ok_or_else(|| "`spill` names no bucket".to_owned())?;
        let mut known = self.spill.lock().unwrap_or_else(PoisonError::into_inner);
        match known.as_ref().filter(|spill| spill.is(settings)) {
            Some(spill) => Ok(spill.clone()),
            None => Ok(known.insert(Arc::new(Spill::new(settings, &variable, &self.connect)?)).clone()),
        }
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
        let change = live.refresh(now).await;
        let before = self.loaded().proxy.table().live;
        let mismatches = match &change {
            Change::To(overlay) => self.apply(overlay.clone()),
            Change::None | Change::Failed(..) => Vec::new(),
        };
        if let Some(line) = live.line(&change, before, &mismatches) {
            let is_failure = matches!(change, Change::Failed(..) | Change::To(None)) || !mismatches.is_empty();
            write_line(if is_failure { Level::Error } else { Level::Info }, line);
        }
    }

    /// Does what an event asks for that is not a request, and puts the result in use.
    pub(crate) async fn act(&self, notice: &Notice, now: SystemTime, deadline: Instant) -> Outcome {
        let live = self.live.as_ref();
        let in_use = live.and_then(|live| {
            let loaded = self.loaded();
            let (table, _) = loaded.base.as_ref()?;
            Some(InUse { live, table: table.clone(), overlay: loaded.overlay.clone() })
        });
        let acted = caught(notice.act(in_use, now, deadline).as_mut()).await;
        let mut outcome = acted.unwrap_or_else(|panic| notice.lost(live, panic));
        if let Some(next) = outcome.next.take() {
            outcome.note(&self.apply(Some(next)));
        }
        outcome
    }

    /// Puts an overlay in use, or the file alone. Returns the changes that do not fit.
    fn apply(&self, overlay: Option<Arc<Overlay>>) -> Vec<String> {
        let mut loaded = self.loaded();
        loaded.overlay = overlay;
        loaded.apply().unwrap_or_else(|error| vec![error.to_string()])
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
            None => Overlaid { table: RoutingTable::clone(table), mismatches: Vec::new() },
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

/// The table, with the values that replace the file's, and the authorities that are trusted besides the built-in roots.
/// Warns of settings that should not stay.
fn compile(
    config: &ConfigSource,
    cert_file: Option<&Path>,
    replaced: &Replaced,
) -> Result<(RoutingTable, Option<PemFile>), ConfigurationError> {
    let (mut table, cert_file) = load(config, cert_file)?;
    table.access_log = replaced.access_log.unwrap_or(table.access_log);
    table.streaming = replaced.streaming.unwrap_or(table.streaming);
    if let Some(metrics) = &replaced.metrics {
        let named = table.metrics.take().and_then(|metrics| metrics.namespace);
        table.metrics = metrics.clone().map(|metrics| Metrics { namespace: named, ..metrics });
    }
    if let Some(metrics) = &mut table.metrics {
        metrics.namespace.get_or_insert_with(|| replaced.namespace.clone());
    }
    // Then only lines of failures are written, as with `accessLog: false`.
    if !has(Level::Info) {
        table.access_log = Share::NONE;
        if table.metrics.is_some() {
            log_warning("`metrics`: with a log level above INFO no requests and durations are counted, only failures");
        }
    }
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
