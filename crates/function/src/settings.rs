//! Every environment variable that the function reads, and the files they name. Nothing else in the workspace's
//! function reads either.

use std::env;
use std::fs;
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crossfade_journal::Metrics;
use crossfade_route::{Diagnostics, PemFile, RoutingTable, RuntimeApi, Share, Streaming, Surroundings, decode};

use crate::log::Format;
use crate::runtime_api;

const RUNTIME_API_VARIABLE: &str = "AWS_LAMBDA_RUNTIME_API";

/// The settings in the environment.
#[derive(Debug)]
pub(crate) struct Settings {
    /// `AWS_LAMBDA_RUNTIME_API`: `host:port` of the Runtime API.
    pub(crate) runtime_api: String,
    /// From `CROSSFADE_BACKEND`, `CROSSFADE_CONFIG` or the `crossfade.yaml` beside the program; relative paths in the file
    /// begin where it is, or at `CROSSFADE_CONFIG_FOLDER`. An error here is one of the init phase: it is posted to the
    /// Runtime API.
    pub(crate) config: Result<ConfigSource, SettingsError>,
    /// `SSL_CERT_FILE`: a PEM file that is trusted besides the built-in roots.
    pub(crate) cert_file: Option<PathBuf>,
    /// Our name in `CDN-Loop` and `Via`: `crossfade-` and `AWS_LAMBDA_FUNCTION_NAME`.
    pub(crate) pseudonym: String,
    /// `CROSSFADE_RELOAD=1`: take up changes of the configuration file while running. `crossfade dev` sets it; in Lambda a
    /// new version of the function is the way.
    pub(crate) reload: bool,
    /// `CROSSFADE_ACCESS_LOG`: a percentage that replaces the file's `accessLog`. `crossfade dev` sets it, since it shows every
    /// request.
    pub(crate) access_log: Result<Option<Share>, SettingsError>,
    /// `CROSSFADE_METRICS`: `off`, `on` or `routes`, which replaces the file's `metrics`, save its namespace.
    pub(crate) metrics: Result<Option<Option<Metrics>>, SettingsError>,
    /// The namespace of metrics, unless the file has one: `Crossfade/` and `AWS_LAMBDA_FUNCTION_NAME`.
    pub(crate) namespace: String,
    /// `CROSSFADE_STREAMING`: front ends that replace the file's `streaming`.
    pub(crate) streaming: Result<Option<Streaming>, SettingsError>,
    /// `CROSSFADE_LIVE`: the place of the live state.
    pub(crate) live: Option<String>,
    /// `AWS_XRAY_DAEMON_ADDRESS`: the place for subsegments of X-Ray.
    pub(crate) xray_daemon: Option<String>,
    /// `AWS_LAMBDA_MAX_CONCURRENCY`: invocations at a time, set by Lambda Managed Instances; otherwise 1.
    pub(crate) concurrency: usize,
}

/// The source of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// A URL that gets everything.
    BackendUrl(String),
    /// A `crossfade.yaml`.
    File {
        /// The file.
        path: PathBuf,
        /// The folder that relative paths in it start from.
        folder: PathBuf,
    },
}

impl ConfigSource {
    /// A file whose relative paths begin where it is.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        ConfigSource::File { path, folder }
    }
}

/// A problem that keeps the function from starting.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Started by hand.
    #[error(
        "`AWS_LAMBDA_RUNTIME_API` is not set: this program is started by AWS Lambda. To run it here: `crossfade dev`"
    )]
    NotInLambda,
    /// Nothing says where requests go.
    #[error(
        "no configuration: set `CROSSFADE_BACKEND=https://host`, or put a `crossfade.yaml` beside the program, or name \
         one in `CROSSFADE_CONFIG`"
    )]
    NoConfig,
    /// Two things say where requests go.
    #[error("both `CROSSFADE_BACKEND` and {0} say where requests go: keep one")]
    TwoConfigs(String),
    /// A file that is not there or may not be read.
    #[error("cannot read `{path}`: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// A configuration file that is not text.
    #[error("`{0}` is neither UTF-8 nor UTF-16")]
    NotText(PathBuf),
    /// The file that the environment names is not there or may not be read.
    #[error("`SSL_CERT_FILE`: {0}")]
    CertFile(Box<SettingsError>),
    /// A share of the requests that is none.
    #[error("`CROSSFADE_ACCESS_LOG` is not a percentage from 0 to 100, like 10 or 0.5")]
    AccessLog,
    /// Another word for metrics.
    #[error("`CROSSFADE_METRICS` is not `off`, `on` or `routes`")]
    Metrics,
    /// Front ends that take no streamed replies.
    #[error("`CROSSFADE_STREAMING` is not a list of `function-url` and `rest-api`, with commas between them")]
    Streaming,
    /// Mistakes in the configuration.
    #[error(transparent)]
    Config(#[from] Diagnostics),
}

impl Settings {
    pub(crate) fn from_env() -> Result<Settings, SettingsError> {
        let text = variable;
        let function = text("AWS_LAMBDA_FUNCTION_NAME");
        let task_root = text("LAMBDA_TASK_ROOT").map(PathBuf::from).unwrap_or_default();
        Ok(Settings {
            runtime_api: text(RUNTIME_API_VARIABLE).ok_or(SettingsError::NotInLambda)?,
            config: config_source(
                text("CROSSFADE_BACKEND"),
                text("CROSSFADE_CONFIG").map(PathBuf::from),
                text("CROSSFADE_CONFIG_FOLDER").map(PathBuf::from),
                task_root.join("crossfade.yaml"),
            ),
            cert_file: text("SSL_CERT_FILE").map(PathBuf::from),
            pseudonym: match &function {
                Some(name) => format!("crossfade-{name}"),
                None => "crossfade".to_owned(),
            },
            access_log: match text("CROSSFADE_ACCESS_LOG") {
                Some(percent) => Share::parse(&percent).map(Some).ok_or(SettingsError::AccessLog),
                None => Ok(None),
            },
            metrics: match text("CROSSFADE_METRICS") {
                Some(word) => metrics(&word).map(Some),
                None => Ok(None),
            },
            namespace: function
                .as_deref()
                .map(|name| [Metrics::NAMESPACE, name].join("/"))
                .filter(|namespace| Metrics::is_namespace(namespace))
                .unwrap_or_else(|| Metrics::NAMESPACE.to_owned()),
            streaming: match text("CROSSFADE_STREAMING") {
                Some(names) => Streaming::parse(&names).map(Some).ok_or(SettingsError::Streaming),
                None => Ok(None),
            },
            reload: text("CROSSFADE_RELOAD").is_some_and(|value| value == "1"),
            live: text("CROSSFADE_LIVE"),
            xray_daemon: text("AWS_XRAY_DAEMON_ADDRESS"),
            concurrency: text("AWS_LAMBDA_MAX_CONCURRENCY").and_then(|count| count.parse().ok()).unwrap_or(1).max(1),
        })
    }
}

fn config_source(
    url: Option<String>,
    named: Option<PathBuf>,
    folder: Option<PathBuf>,
    beside: PathBuf,
) -> Result<ConfigSource, SettingsError> {
    let file = match named {
        Some(path) => Some((format!("`CROSSFADE_CONFIG={}`", path.display()), path)),
        None if beside.is_file() => Some((beside.display().to_string(), beside)),
        None => None,
    };
    match (url, file) {
        (Some(url), None) => Ok(ConfigSource::BackendUrl(url)),
        (None, Some((_, path))) => Ok(match folder {
            Some(folder) => ConfigSource::File { path, folder },
            None => ConfigSource::file(path),
        }),
        (Some(_), Some((name, _))) => Err(SettingsError::TwoConfigs(name)),
        (None, None) => Err(SettingsError::NoConfig),
    }
}

/// Compiles the configuration, with the files and environment variables that it names; the paths are relative to its file.
/// Besides, what `cert_file` holds, which is trusted for every back end.
///
/// # Errors
///
/// [`SettingsError`] for files that cannot be read, and with all errors of the configuration.
pub fn load(source: &ConfigSource, cert_file: Option<&Path>) -> Result<(RoutingTable, Option<PemFile>), SettingsError> {
    let table = match source {
        ConfigSource::BackendUrl(url) => {
            RoutingTable::from_backend_url(url, "CROSSFADE_BACKEND", &LocalSurroundings { folder: Path::new("") })?
        }
        ConfigSource::File { path, folder } => {
            let text = decode(read(path)?).ok_or_else(|| SettingsError::NotText(path.clone()))?;
            RoutingTable::from_config(&text, &path.display().to_string(), &LocalSurroundings { folder })?
        }
    };
    let pem = |path: &Path| {
        let text = read(path).map_err(|error| SettingsError::CertFile(Box::new(error)))?;
        Ok::<_, SettingsError>(PemFile { path: path.to_owned(), text })
    };
    Ok((table, cert_file.map(pem).transpose()?))
}

fn metrics(word: &str) -> Result<Option<Metrics>, SettingsError> {
    match word {
        "off" => Ok(None),
        "on" => Ok(Some(Metrics::default())),
        "routes" => Ok(Some(Metrics { routes: true, ..Metrics::default() })),
        _ => Err(SettingsError::Metrics),
    }
}

/// `AWS_LAMBDA_LOG_FORMAT` and `AWS_LAMBDA_LOG_LEVEL`.
pub(crate) fn log_format() -> Format {
    Format::new(variable("AWS_LAMBDA_LOG_FORMAT").as_deref(), variable("AWS_LAMBDA_LOG_LEVEL").as_deref())
}

/// Returns the value of a variable unless it is empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The surroundings that a configuration may refer to: this process's environment, and the files of a folder.
#[derive(Clone, Copy, Debug)]
pub struct LocalSurroundings<'p> {
    /// The folder that relative paths start from.
    pub folder: &'p Path,
}

impl Surroundings for LocalSurroundings<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        env::var(name).ok()
    }

    fn file(&self, path: &Path) -> Result<Vec<u8>, String> {
        fs::read(self.folder.join(path)).map_err(|error| error.to_string())
    }

    fn runtime_api(&self) -> Option<Arc<RuntimeApi>> {
        /// Asked for each back end. The address is one for as long as the process lives.
        static RUNTIME_API: OnceLock<Option<Arc<RuntimeApi>>> = OnceLock::new();
        let find = || env::var(RUNTIME_API_VARIABLE).ok().and_then(|address| resolve(&address)).map(Arc::new);
        RUNTIME_API.get_or_init(find).clone()
    }
}

/// Looks a Runtime API up as a connection to it would, so that every spelling that leads there is known. In Lambda it is an
/// IP address. A name without an address yet is compared by itself alone.
fn resolve(address: &str) -> Option<RuntimeApi> {
    let (authority, _) = runtime_api::split(address);
    let (host, port) = authority.rsplit_once(':')?;
    let addresses = authority.to_socket_addrs().map(|addresses| addresses.map(|address| address.ip()).collect());
    Some(RuntimeApi {
        host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        port: port.parse().ok()?,
        addresses: addresses.unwrap_or_default(),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, SettingsError> {
    fs::read(path).map_err(|error| SettingsError::File { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_api_is_found_by_every_spelling_that_leads_there() {
        for address in [
            "127.0.0.1:9001",
            "127.0.0.1:9001/",
            "http://127.0.0.1:9001",
            "HTTP://127.0.0.1:9001/shop/",
            "localhost:9001",
            "LOCALHOST:9001/",
            "[::1]:9001",
            "[::ffff:127.0.0.1]:9001",
            // As the resolver reads it.
            "127.1:9001",
            "2130706433:9001",
        ] {
            let found = resolve(address).unwrap();
            assert_eq!(found.port, 9001, "{address}");
            assert!(!found.addresses.is_empty(), "{address}");
            assert!(found.addresses.iter().all(|ip| ip.to_canonical().is_loopback()), "{address} {found:?}");
        }
        let unknown = resolve("http://no-such-host.invalid:9001/").unwrap();
        assert_eq!((unknown.host.as_str(), unknown.port), ("no-such-host.invalid", 9001));
        for none in ["", "127.0.0.1", "127.0.0.1:x", "http://127.0.0.1/"] {
            assert_eq!(resolve(none), None, "{none}");
        }
    }

    #[test]
    fn exactly_one_configuration() {
        let nowhere = PathBuf::from("/nonexistent/crossfade.yaml");
        let here = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        let url = || Some("https://a".to_owned());
        assert_eq!(
            config_source(url(), None, None, nowhere.clone()).unwrap(),
            ConfigSource::BackendUrl("https://a".into())
        );
        assert_eq!(
            config_source(None, Some("a/x.yaml".into()), None, here.clone()).unwrap(),
            ConfigSource::File { path: "a/x.yaml".into(), folder: "a".into() }
        );
        assert_eq!(
            config_source(None, Some("a/x.yaml".into()), Some("b".into()), here.clone()).unwrap(),
            ConfigSource::File { path: "a/x.yaml".into(), folder: "b".into() }
        );
        assert_eq!(config_source(None, None, None, here.clone()).unwrap(), ConfigSource::file(here.clone()));
        assert!(matches!(config_source(None, None, None, nowhere), Err(SettingsError::NoConfig)));
        assert!(matches!(config_source(url(), None, None, here), Err(SettingsError::TwoConfigs(_))));
    }
}
