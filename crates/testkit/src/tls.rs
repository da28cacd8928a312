//! TLS settings of servers and clients in tests, by `ring` as in the product. It owns no certificate.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

use crate::authority::{Authority, Identity};

/// Versions of TLS, such as [`rustls::DEFAULT_VERSIONS`].
pub type Versions<'a> = &'a [&'static SupportedProtocolVersion];

/// A server that shows this certificate. It demands one of its clients if there is an authority for those.
#[must_use]
pub fn server(
    identity: &Identity,
    versions: Versions<'_>,
    clients: Option<&Authority>,
    alpn: &[&str],
) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(authority)), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let mut config = builder.with_single_cert(vec![identity.der()], identity.key_der()).unwrap();
    config.alpn_protocols = protocols(alpn);
    Arc::new(config)
}

/// A server that shows this certificate and has this key, whether or not they belong together.
#[must_use]
pub fn server_showing(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let shown = CertifiedKey::new(vec![certificate], provider.key_provider.load_private_key(key).unwrap());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_no_client_auth().with_cert_resolver(Arc::new(SingleCertAndKey::from(shown))))
}

/// A client that trusts this authority alone, with a certificate of its own if there is one.
#[must_use]
pub fn client(
    authority: &Authority,
    versions: Versions<'_>,
    identity: Option<&Identity>,
    alpn: &[&str],
) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let builder = builder.with_root_certificates(roots(authority));
    let mut config = match identity {
        Some(identity) => builder.with_client_auth_cert(vec![identity.der()], identity.key_der()).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = protocols(alpn);
    Arc::new(config)
}

fn roots(authority: &Authority) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der()).unwrap();
    roots
}

fn protocols(alpn: &[&str]) -> Vec<Vec<u8>> {
    alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect()
}
