//! Whom we trust, who we are and what we offer in a TLS handshake. Certificates are verified unless the back end's
//! `insecureSkipVerify` says otherwise.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossfade_route::{Backend, ClientCert, Http2, PemFile, Scheme, TlsSettings, TlsVersion};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

/// A reason why no client can be made for a back end.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file of certificates that holds none.
    #[error("{path}: {reason}; a PEM file with `BEGIN CERTIFICATE` blocks is expected")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// A client certificate that cannot be used.
    #[error("back end `{backend}`: `tls.clientCert`: {reason}")]
    ClientCert {
        /// The back end.
        backend: String,
        /// The problem.
        reason: String,
    },
    /// A name that no certificate can have. Not which one: it may be a value from the environment.
    #[error("back end `{backend}`: no certificate can have its name; set `tls.serverName`")]
    ServerName {
        /// The back end.
        backend: String,
    },
    /// The TLS library does not start.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// TLS settings for connections to a back end.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) config: Arc<ClientConfig>,
    pub(super) server_name: ServerName<'static>,
}

/// The settings of all back ends of a configuration, equal ones once: it may have many thousands of back ends, and the
/// built-in roots alone take 13 KB. Files are equal by their paths.
#[derive(Debug)]
pub(super) struct TlsConfigs<'c> {
    cert_file: Option<&'c PemFile>,
    provider: Arc<CryptoProvider>,
    /// Number of sessions to keep for all back ends with the same settings.
    sessions: usize,
    verifiers: HashMap<Option<&'c Path>, Arc<Verifier>>,
    configs: HashMap<Setting<'c>, Arc<ClientConfig>>,
}

/// All that two back ends can differ in, the name apart.
type Setting<'c> = (Option<&'c Path>, Option<(&'c Path, &'c Path)>, TlsVersion, bool, Http2);

impl<'c> TlsConfigs<'c> {
    pub(super) fn new(back_ends: usize, cert_file: Option<&'c PemFile>) -> Self {
        TlsConfigs {
            cert_file,
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            // The library keeps eight for a server; 256 are its default.
            sessions: back_ends.saturating_mul(8).clamp(256, 8 * 1024),
            verifiers: HashMap::new(),
            configs: HashMap::new(),
        }
    }

    /// `None` for a back end without TLS.
    pub(super) fn of(&mut self, backend: &'c Backend) -> Result<Option<Tls>, SetupError> {
        if backend.scheme == Scheme::Http {
            return Ok(None);
        }
        let name = backend.tls.server_name.as_ref().unwrap_or(&backend.host);
        let server_name =
            ServerName::try_from(name.clone()).map_err(|_| SetupError::ServerName { backend: backend.name.clone() })?;
        let TlsSettings { ca, client_cert, min_version, insecure_skip_verify, .. } = &backend.tls;
        let client_paths = client_cert.as_ref().map(|cert| (&*cert.certificates.path, &*cert.key.path));
        let ca_path = ca.as_ref().map(|ca| &*ca.path);
        let setting = (ca_path, client_paths, *min_version, *insecure_skip_verify, backend.http2);
        let config = match self.configs.get(&setting) {
            Some(config) => config.clone(),
            None => {
                let config = Arc::new(self.config(backend)?);
                self.configs.insert(setting, config.clone());
                config
            }
        };
        Ok(Some(Tls { config, server_name }))
    }

    fn config(&mut self, backend: &'c Backend) -> Result<ClientConfig, SetupError> {
        let verifier = if backend.tls.insecure_skip_verify {
            Arc::new(Verifier { trust: Trust::Anyone, algorithms: self.provider.signature_verification_algorithms })
        } else {
            self.verifier(backend.tls.ca.as_deref())?
        };
        let versions = match backend.tls.min_version {
            TlsVersion::Tls12 => rustls::DEFAULT_VERSIONS,
            TlsVersion::Tls13 => &[&rustls::version::TLS13],
        };
        let builder = ClientConfig::builder_with_provider(self.provider.clone()).with_protocol_versions(versions)?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match &backend.tls.client_cert {
            None => builder.with_no_client_auth(),
            Some(client_cert) => {
                let wrong = |reason: String| SetupError::ClientCert { backend: backend.name.clone(), reason };
                let (certificates, key) = identity(client_cert).map_err(wrong)?;
                builder.with_client_auth_cert(certificates, key).map_err(|error| wrong(error.to_string()))?
            }
        };
        config.resumption = Resumption::in_memory_sessions(self.sessions);
        config.alpn_protocols = match backend.http2 {
            Http2::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Http2::Never => vec![b"http/1.1".to_vec()],
            Http2::Always => vec![b"h2".to_vec()],
        };
        Ok(config)
    }

    fn verifier(&mut self, ca: Option<&'c PemFile>) -> Result<Arc<Verifier>, SetupError> {
        let path = ca.map(|ca| &*ca.path);
        if let Some(verifier) = self.verifiers.get(&path) {
            return Ok(verifier.clone());
        }
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let mut named = Vec::new();
        for pem in self.cert_file.into_iter().chain(ca) {
            named.extend(add(&mut roots, pem)?);
        }
        let algorithms = self.provider.signature_verification_algorithms;
        let verifier = Arc::new(Verifier { trust: Trust::Named { roots, certificates: named }, algorithms });
        self.verifiers.insert(path, verifier.clone());
        Ok(verifier)
    }
}

/// Trusts the certificates of a file, and returns them.
fn add(roots: &mut RootCertStore, pem: &PemFile) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let wrong = |reason: String| SetupError::CaFile { path: pem.path.clone(), reason };
    let certificates = certificates(pem).map_err(wrong)?;
    // A bundle of a system may have one that is too odd for the library; the others count.
    let (added, _) = roots.add_parsable_certificates(certificates.iter().cloned());
    if added == 0 { Err(wrong("no certificate in it".to_owned())) } else { Ok(certificates) }
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

/// The certificates that identify the back end. In every case it must prove that it has the key of its certificate.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Trust {
    /// `insecureSkipVerify`.
    Anyone,
    /// A certificate for the expected name, issued by one of these authorities.
    Named {
        roots: RootCertStore,
        /// The certificates of the files. Who shows one of them needs no authority: that is how a self-signed one is trusted.
        certificates: Vec<CertificateDer<'static>>,
    },
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Trust::Named { roots, certificates } = &self.trust else { return Ok(ServerCertVerified::assertion()) };
        let parsed = ParsedCertificate::try_from(shown)?;
        let is_named = certificates.iter().any(|named| named == shown);
        let intermediates = if is_named { &[] } else { intermediates };
        match verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, self.algorithms.all) {
            // The dates of the certificate itself come first, and who has signed it last.
            Err(rustls::Error::InvalidCertificate(error)) if is_named && !is_unusable(&error) => {}
            verified => verified?,
        }
        verify_server_name(&parsed, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Returns whether a certificate is invalid, whoever issued it.
fn is_unusable(error: &CertificateError) -> bool {
    matches!(
        error,
        CertificateError::BadEncoding
            | CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
            | CertificateError::InvalidPurpose
            | CertificateError::InvalidPurposeContext { .. }
    )
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crossfade_route::{RoutingTable, Surroundings};
    use crossfade_testkit::authority::Identity;

    use super::*;

    /// Every file has the same certificate.
    struct Files(Vec<u8>);

    impl Surroundings for Files {
        fn variable(&self, _: &str) -> Option<String> {
            None
        }

        fn file(&self, _: &Path) -> Result<Vec<u8>, String> {
            Ok(self.0.clone())
        }
    }

    #[test]
    fn what_is_equal_is_there_once() {
        let certificate = Identity::self_signed(&["a.example.com"]);
        let files = Files(certificate.pem().into_bytes());
        // (tls and http2, how many settings there are by then, how many sets of roots)
        let cases = [
            ("", 1, 1),
            ("", 1, 1),
            ("tls: { serverName: b.example.com, allowMissingCloseNotify: true }", 1, 1),
            ("http2: never", 2, 1),
            ("tls: { minVersion: '1.3' }", 3, 1),
            ("tls: { caFile: a.pem }", 4, 2),
            ("tls: { caFile: a.pem }, http2: never", 5, 2),
            ("tls: { caFile: b.pem }", 6, 3),
            ("tls: { insecureSkipVerify: true }", 7, 3),
            ("tls: { insecureSkipVerify: true, caFile: a.pem }", 8, 3),
            ("tls: { caFile: a.pem }", 8, 3),
        ];
        let back_ends: String = (0..)
            .zip(&cases)
            .map(|(index, (keys, ..))| format!("  b{index}: {{ url: 'https://{index}.example.com', {keys} }}\n"))
            .collect();
        let text = format!("version: 1\nbackends:\n{back_ends}default: {{ forward: b0 }}\n");
        let table = RoutingTable::from_config(&text, "test.yaml", &files).unwrap();
        let mut configs = TlsConfigs::new(cases.len(), None);
        for (backend, (keys, settings, roots)) in table.backends().iter().zip(cases) {
            assert!(configs.of(backend).unwrap().is_some());
            assert_eq!((configs.configs.len(), configs.verifiers.len()), (settings, roots), "{keys}");
        }
        let shared = |a: usize, b: usize| {
            let [a, b] = [a, b].map(|index| table.backends()[index].tls.ca.clone().unwrap());
            Arc::ptr_eq(&a, &b)
        };
        assert!(shared(5, 6) && shared(5, 10) && !shared(5, 7));
    }
}
