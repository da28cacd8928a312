//! Whom we trust, who we are and what we offer in a TLS handshake. Certificates are verified unless the back end's
//! `insecureSkipVerify` says otherwise.

use std::path::PathBuf;
use std::sync::Arc;

use crossfade_route::{Backend, ClientCert, Http2, PemFile, TlsVersion};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

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
    /// A client certificate that cannot be used.
    #[error("back end `{backend}`: `tls.clientCert`: {reason}")]
    ClientCert {
        /// The back end.
        backend: String,
        /// What is wrong.
        reason: String,
    },
    /// A name that no certificate can have. Not which one: it may be a value from the environment.
    #[error("back end `{backend}`: its name is none that a certificate can have; set `tls.serverName` to one")]
    ServerName {
        /// The back end.
        backend: String,
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
    pub(super) fn new(backend: &Backend, cert_file: Option<&PemFile>) -> Result<Self, SetupError> {
        let name = backend.tls.server_name.as_ref().unwrap_or(&backend.host);
        let server_name =
            ServerName::try_from(name.clone()).map_err(|_| SetupError::ServerName { backend: backend.name.clone() })?;

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = match backend.tls.min_version {
            TlsVersion::Tls12 => rustls::DEFAULT_VERSIONS,
            TlsVersion::Tls13 => &[&rustls::version::TLS13],
        };
        let builder = ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions)?;
        let builder = if backend.tls.insecure_skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        } else {
            let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
            for pem in cert_file.into_iter().chain(&backend.tls.ca) {
                add(&mut roots, pem)?;
            }
            builder.with_root_certificates(roots)
        };
        let mut config = match &backend.tls.client_cert {
            None => builder.with_no_client_auth(),
            Some(client_cert) => {
                let wrong = |reason: String| SetupError::ClientCert { backend: backend.name.clone(), reason };
                let (certificates, key) = identity(client_cert).map_err(wrong)?;
                builder.with_client_auth_cert(certificates, key).map_err(|error| wrong(error.to_string()))?
            }
        };
        config.alpn_protocols = match backend.http2 {
            Http2::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Http2::Never => vec![b"http/1.1".to_vec()],
            Http2::Always => vec![b"h2".to_vec()],
        };
        Ok(Tls { config: Arc::new(config), server_name })
    }
}

fn add(roots: &mut RootCertStore, pem: &PemFile) -> Result<(), SetupError> {
    let wrong = |reason: String| SetupError::CaFile { path: pem.path.clone(), reason };
    // A bundle of a system may have one that is too odd for the library; the others count.
    let (added, _) = roots.add_parsable_certificates(certificates(pem).map_err(wrong)?);
    if added == 0 { Err(wrong("no certificate in it".to_owned())) } else { Ok(()) }
}

fn certificates(pem: &PemFile) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(&pem.text).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

fn identity(cert: &ClientCert) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let in_file = |pem: &PemFile, reason: String| format!("{}: {reason}", pem.path.display());
    let chain = certificates(&cert.certificates).map_err(|reason| in_file(&cert.certificates, reason))?;
    let key = PrivateKeyDer::from_pem_slice(&cert.key.text).map_err(|error| in_file(&cert.key, error.to_string()))?;
    Ok((chain, key))
}

/// `insecureSkipVerify`: whoever answers is taken for the back end. That it has the key of the certificate it shows is
/// checked all the same.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}
