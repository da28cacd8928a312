//! TLS of one run: the files of a new authority and of the origin's certificate, and the settings of client and server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use crossfade_testkit::authority::Authority;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Names the certificate holds. `www.example.com` is what clients ask the local ALB for: a handler that copies `Host`
/// (the article's does) makes Node check the certificate against it, and must not fail for that alone.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "www.example.com"];

/// Files of the origin's certificate and of its key, DER.
const CERTIFICATE: &str = "origin.der";
const KEY: &str = "origin.key";

/// TLS for both sides of one run.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The origin's certificate and key; HTTP/1.1 only.
    pub server: Arc<ServerConfig>,
    /// A client that trusts the authority.
    pub client: Arc<ClientConfig>,
    /// The authority's certificate as a PEM file, for `SSL_CERT_FILE` and `NODE_EXTRA_CA_CERTS`.
    pub ca_file: PathBuf,
}

impl Tls {
    /// Makes an authority and a certificate for `localhost`, and writes the authority to `folder`.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn generate(folder: &Path) -> anyhow::Result<Self> {
        let authority = Authority::new();
        let origin = authority.issue(&NAMES);

        let ca_file = folder.join("ca.pem");
        std::fs::write(&ca_file, authority.pem()).with_context(|| format!("cannot write `{}`", ca_file.display()))?;

        std::fs::write(folder.join(CERTIFICATE), origin.der())?;
        std::fs::write(folder.join(KEY), origin.key_der().secret_der())?;
        let server = server_of(folder)?;

        let mut roots = RootCertStore::empty();
        roots.add(authority.der())?;
        let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(Self { server, client: Arc::new(client), ca_file })
    }
}

/// Reads the certificate and key that an origin in another process presents from the folder in which they were made.
///
/// # Errors
/// When it is not there.
pub fn server_of(folder: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let chain = vec![CertificateDer::from(std::fs::read(folder.join(CERTIFICATE))?)];
    let key = PrivateKeyDer::Pkcs8(std::fs::read(folder.join(KEY))?.into());
    let mut server = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(server))
}
