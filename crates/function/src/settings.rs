//! Every environment variable that the function reads, and the files they name. Nothing else in the workspace's
//! function reads either.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crossfade_proxy::PemText;
use crossfade_proxy::Trust;
use crossfade_route::{Diagnostics, RoutingTable};

/// What the environment says.
#[derive(Debug)]
pub(crate) struct Settings {
    /// `AWS_LAMBDA_RUNTIME_API`: `host:port` of the Runtime API.
    pub(crate) runtime_api: String,
    /// From `CROSSFADE_BACKEND`, `CROSSFADE_CONFIG` or the `crossfade.yaml` beside the program. An error here is one
    /// of the init phase: it is posted to the Runtime API.
    pub(crate) config: Result<ConfigSource, SettingsError>,
    /// `SSL_CERT_FILE`: a PEM file that is trusted besides the built-in roots.
    pub(crate) cert_file: Option<PathBuf>,
    /// Our name in `Via`: `crossfade-` and `AWS_LAMBDA_FUNCTION_NAME`.
    pub(crate) pseudonym: String,
    /// `AWS_LAMBDA_MAX_CONCURRENCY`: invocations at a time, set by Lambda Managed Instances; otherwise 1.
    pub(crate) concurrency: usize,
}

/// Where the configuration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// A URL that gets everything.
    BackendUrl(String),
    /// A `crossfade.yaml`.
    File(PathBuf),
}

/// What keeps the function from starting.
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
        /// What the system said.
        error: std::io::Error,
    },
    /// The file that the environment names is not there or may not be read.
    #[error("`SSL_CERT_FILE`: {0}")]
    CertFile(Box<SettingsError>),
    /// Mistakes in the configuration.
    #[error("{0}")]
    Config(#[from] Diagnostics),
}

impl Settings {
    pub(crate) fn from_env() -> Result<Settings, SettingsError> {
        let text = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let task_root = text("LAMBDA_TASK_ROOT").map(PathBuf::from).unwrap_or_default();
        Ok(Settings {
            runtime_api: text("AWS_LAMBDA_RUNTIME_API").ok_or(SettingsError::NotInLambda)?,
            config: config_source(
                text("CROSSFADE_BACKEND"),
                text("CROSSFADE_CONFIG").map(PathBuf::from),
                task_root.join("crossfade.yaml"),
            ),
            cert_file: text("SSL_CERT_FILE").map(PathBuf::from),
            pseudonym: match text("AWS_LAMBDA_FUNCTION_NAME") {
                Some(name) => format!("crossfade-{name}"),
                None => "crossfade".to_owned(),
            },
            concurrency: text("AWS_LAMBDA_MAX_CONCURRENCY").and_then(|count| count.parse().ok()).unwrap_or(1).max(1),
        })
    }
}

fn config_source(url: Option<String>, named: Option<PathBuf>, beside: PathBuf) -> Result<ConfigSource, SettingsError> {
    let file = match named {
        Some(path) => Some((format!("`CROSSFADE_CONFIG={}`", path.display()), path)),
        None if beside.is_file() => Some((beside.display().to_string(), beside)),
        None => None,
    };
    match (url, file) {
        (Some(url), None) => Ok(ConfigSource::BackendUrl(url)),
        (None, Some((_, path))) => Ok(ConfigSource::File(path)),
        (Some(_), Some((name, _))) => Err(SettingsError::TwoConfigs(name)),
        (None, None) => Err(SettingsError::NoConfig),
    }
}

/// Compiles the configuration and reads the certificates that it names; their paths are relative to its file.
/// `cert_file` is trusted besides, for every back end.
///
/// # Errors
///
/// [`SettingsError`] for files that cannot be read and for every mistake in the configuration.
pub fn load(source: &ConfigSource, cert_file: Option<&Path>) -> Result<(RoutingTable, Trust), SettingsError> {
    let (table, folder) = match source {
        ConfigSource::BackendUrl(url) => (RoutingTable::from_backend_url(url, "CROSSFADE_BACKEND")?, Path::new("")),
        ConfigSource::File(path) => {
            let text = String::from_utf8_lossy(&read(path)?).into_owned();
            let table = RoutingTable::from_config(&text, &path.display().to_string())?;
            (table, path.parent().unwrap_or(Path::new("")))
        }
    };
    let mut trust = Trust::default();
    if let Some(path) = cert_file {
        let text = read(path).map_err(|error| SettingsError::CertFile(Box::new(error)))?;
        trust.everywhere = Some(PemText { path: path.to_owned(), text });
    }
    for backend in table.backends() {
        if let Some(path) = &backend.tls.ca_file {
            trust.ca_files.push(PemText { path: path.clone(), text: read(&folder.join(path))? });
        }
    }
    Ok((table, trust))
}

fn read(path: &Path) -> Result<Vec<u8>, SettingsError> {
    fs::read(path).map_err(|error| SettingsError::File { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_configuration() {
        let nowhere = PathBuf::from("/nonexistent/crossfade.yaml");
        let here = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        let url = || Some("https://a".to_owned());
        assert_eq!(config_source(url(), None, nowhere.clone()).unwrap(), ConfigSource::BackendUrl("https://a".into()));
        assert_eq!(
            config_source(None, Some("x.yaml".into()), here.clone()).unwrap(),
            ConfigSource::File("x.yaml".into())
        );
        assert_eq!(config_source(None, None, here.clone()).unwrap(), ConfigSource::File(here.clone()));
        assert!(matches!(config_source(None, None, nowhere), Err(SettingsError::NoConfig)));
        assert!(matches!(config_source(url(), None, here), Err(SettingsError::TwoConfigs(_))));
    }
}
