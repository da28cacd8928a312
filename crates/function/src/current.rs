//! The proxy of the current configuration. Owns its start, and reloading a changed file if that is enabled
//! (`CROSSFADE_RELOAD`); watches nothing in between requests.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crossfade_proxy::{Proxy, SetupError};
use crossfade_route::{PemFile, RoutingTable, Share};

use crate::settings::{ConfigSource, Settings, SettingsError, load};
use crate::{log_error, log_warning};

/// The proxy, and the sources that it is made from.
pub(crate) struct Current {
    config: ConfigSource,
    cert_file: Option<PathBuf>,
    access_log: Option<Share>,
    reload: bool,
    loaded: Mutex<Loaded>,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigurationError {
    #[error("{0}")]
    Settings(#[from] SettingsError),
    #[error("{0}")]
    Setup(#[from] SetupError),
}

struct Loaded {
    proxy: Arc<Proxy>,
    version: Option<FileVersion>,
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
    /// Compiles the configuration.
    pub(crate) fn start(settings: Settings) -> Result<Self, ConfigurationError> {
        let Settings { config, cert_file, access_log, pseudonym, reload, .. } = settings;
        let (config, access_log) = (config?, access_log?);
        let version = version(&config);
        let (table, certificates) = compile(&config, cert_file.as_deref(), access_log)?;
        let proxy = Arc::new(Proxy::new(table, certificates, &pseudonym)?);
        Ok(Current { config, cert_file, access_log, reload, loaded: Mutex::new(Loaded { proxy, version }) })
    }

    /// For the next request. A file that has changed is compiled anew; if it is wrong, the last good one stays.
    pub(crate) fn proxy(&self) -> Arc<Proxy> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if self.reload {
            let version = version(&self.config);
            if version.is_some() && version != loaded.version {
                let compiled = compile(&self.config, self.cert_file.as_deref(), self.access_log);
                let successor = compiled.and_then(|(table, certificates)| {
                    loaded.proxy.successor(table, certificates).map_err(ConfigurationError::from)
                });
                match successor {
                    Ok(proxy) => loaded.proxy = Arc::new(proxy),
                    Err(error) => log_error(&format!("the configuration is unchanged: {error}")),
                }
                loaded.version = version;
            }
        }
        loaded.proxy.clone()
    }
}

/// The table, with this share of the access log if there is one, and the authorities that are trusted besides the built-in roots.
/// Warns of settings that should not stay.
fn compile(
    config: &ConfigSource,
    cert_file: Option<&Path>,
    access_log: Option<Share>,
) -> Result<(RoutingTable, Option<PemFile>), ConfigurationError> {
    let (mut table, cert_file) = load(config, cert_file)?;
    table.access_log = access_log.unwrap_or(table.access_log);
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
