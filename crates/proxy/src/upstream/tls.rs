//! Whom we trust and what we offer in a TLS handshake. Certificates are always verified; there is no switch for it.

use std::path::PathBuf;
use std::sync::Arc;

use crossfade_route::{Backend, Http2};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};

/// PEM texts that the configuration names, read by whoever may read files.
#[derive(Debug, Default)]
pub struct Trust {
    /// Trusted for every back end, besides the built-in roots: the file named by `SSL_CERT_FILE`.
    pub everywhere: Option<PemText>,
    /// For each `tls.caFile` of the configuration: its path there, and the text.
    pub ca_files: Vec<PemText>,
}

/// A PEM file as it was read.
#[derive(Debug)]
pub struct PemText {
    /// As the configuration or the environment writes it.
    pub path: PathBuf,
    /// All of it.
    pub text: Vec<u8>,
}

/// Why no client can be made for a back end.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file of certificates that holds none.
    #[error("{path}: {reason}; a PEM file with `BEGIN CERTIFICATE` blocks is expected")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A name that no certificate can have.
    #[error("back end `{backend}`: `{name}` is not a server name; set `tls.serverName`")]
    ServerName {
        /// The back end.
        backend: String,
        /// The name.
        name: String,
    },
    /// The TLS library does not start.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// How to open TLS to a back end.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) config: Arc<ClientConfig>,
    pub(super) server_name: ServerName<'static>,
}

impl Tls {
    pub(super) fn new(backend: &Backend, trust: &Trust) -> Result<Self, SetupError> {
        let name = backend.tls.server_name.as_ref().unwrap_or(&backend.host);
        let server_name = ServerName::try_from(name.clone())
            .map_err(|_| SetupError::ServerName { backend: backend.name.clone(), name: name.clone() })?;

        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let of_backend = trust.ca_files.iter().filter(|pem| Some(&pem.path) == backend.tls.ca_file.as_ref());
        for pem in trust.everywhere.iter().chain(of_backend) {
            add(&mut roots, pem)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = match backend.http2 {
            Http2::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Http2::Never => vec![b"http/1.1".to_vec()],
            Http2::Always => vec![b"h2".to_vec()],
        };
        Ok(Tls { config: Arc::new(config), server_name })
    }
}

fn add(roots: &mut RootCertStore, pem: &PemText) -> Result<(), SetupError> {
    let wrong = |reason: String| SetupError::CaFile { path: pem.path.clone(), reason };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem.text)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(error.to_string()))?;
    // A bundle of a system may have one that is too odd for the library; the others count.
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 { Err(wrong("no certificate in it".to_owned())) } else { Ok(()) }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}
