//! HTTPS listeners: the server's certificate, client certificates, and the fields about them that ALB adds to requests
//! (user guide, "Mutual authentication with TLS"; API reference,
//! `routing.http.x_amzn_tls_version_and_cipher_suite.enabled` and `routing.http.x_amzn_tls_kx.enabled`).

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use base64_simd::STANDARD as BASE64;
use http::{HeaderName, HeaderValue};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CipherSuite, DigitallySignedStruct, DistinguishedName, NamedGroup, ProtocolVersion, RootCertStore, ServerConfig,
    ServerConnection, SignatureScheme,
};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};
use x509_parser::time::ASN1Time;

use crate::{ListenerAttributes, LoadBalancerAttributes, MutualAuthentication, Tls, TlsInfo};

/// A client's TLS connection.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) info: TlsInfo,
    pub(super) is_http2: bool,
    /// The fields that the target gets.
    pub(super) fields: Vec<(HeaderName, HeaderValue)>,
    /// Names of fields that only the load balancer sets on this listener: those that clients send are removed.
    pub(super) own_names: Vec<HeaderName>,
}

/// The fields that mutual TLS can add.
const MUTUAL_FIELDS: [&str; 6] = [
    "x-amzn-mtls-clientcert",
    "x-amzn-mtls-clientcert-serial-number",
    "x-amzn-mtls-clientcert-issuer",
    "x-amzn-mtls-clientcert-subject",
    "x-amzn-mtls-clientcert-validity",
    "x-amzn-mtls-clientcert-leaf",
];

/// Returns rustls's configuration of a listener.
///
/// # Errors
///
/// A message about a certificate, key or trust store that cannot be used.
pub(super) fn server_config(tls: &Tls, http2: bool) -> Result<ServerConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = certificates(&tls.certificate_pem, "certificate")?;
    let key = PrivateKeyDer::from_pem_slice(tls.key_pem.as_bytes())
        .map_err(|error| format!("the private key cannot be read: {error}"))?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &tls.mutual {
        MutualAuthentication::Off => builder.with_no_client_auth(),
        MutualAuthentication::Passthrough => builder.with_client_cert_verifier(Arc::new(AnyCertificate(provider))),
        MutualAuthentication::Verify { ca_pem } => {
            let mut roots = RootCertStore::empty();
            for root in certificates(ca_pem, "trust store")? {
                roots
                    .add(root)
                    .map_err(|error| format!("the trust store has a certificate that cannot be used: {error}"))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| format!("the trust store: {error}"))?)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| format!("certificate and private key cannot be used: {error}"))?;
    if http2 {
        config.alpn_protocols.push(b"h2".to_vec());
    }
    config.alpn_protocols.push(b"http/1.1".to_vec());
    Ok(config)
}

fn certificates(pem: &str, what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let chain = chain.map_err(|error| format!("the {what} cannot be read: {error}"))?;
    if chain.is_empty() { Err(format!("the {what} has no certificate in PEM")) } else { Ok(chain) }
}

/// Returns the facts about a connection after its handshake.
pub(super) fn session(
    connection: &ServerConnection,
    mutual: &MutualAuthentication,
    balancer: &LoadBalancerAttributes,
    attributes: &ListenerAttributes,
) -> Session {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLSv1.3",
    };
    let suite = connection.negotiated_cipher_suite().map_or("-", |suite| openssl_name(suite.suite()));
    let mut fields = Vec::new();
    let mut tell = |own: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            fields.push((attributes.name_of(own), value));
        }
    };
    if balancer.tls_fields {
        tell("x-amzn-tls-version", version);
        tell("x-amzn-tls-cipher-suite", suite);
    }
    // A resumed session of TLS 1.2 has none.
    if balancer.key_exchange_field
        && let Some(group) = connection.negotiated_key_exchange_group()
    {
        tell("x-amzn-tls-kx", iana_name(group.name()));
    }
    let chain = connection.peer_certificates().unwrap_or_default();
    match mutual {
        MutualAuthentication::Off => {}
        MutualAuthentication::Passthrough if chain.is_empty() => {}
        MutualAuthentication::Passthrough => {
            tell("x-amzn-mtls-clientcert", &chain.iter().map(|der| url_encoded_pem(der)).collect::<String>());
        }
        MutualAuthentication::Verify { .. } => {
            if let Some(leaf) = chain.first() {
                tell("x-amzn-mtls-clientcert-leaf", &url_encoded_pem(leaf));
                if let Ok((_, certificate)) = X509Certificate::from_der(leaf) {
                    let validity = certificate.validity();
                    let validity =
                        format!("NotBefore={};NotAfter={}", rfc3339(validity.not_before), rfc3339(validity.not_after));
                    tell("x-amzn-mtls-clientcert-serial-number", &hexadecimal(certificate.raw_serial()));
                    tell("x-amzn-mtls-clientcert-issuer", &rfc2253(certificate.issuer()));
                    tell("x-amzn-mtls-clientcert-subject", &rfc2253(certificate.subject()));
                    tell("x-amzn-mtls-clientcert-validity", &validity);
                }
            }
        }
    }
    let server_name = connection.server_name().map(str::to_owned);
    let info = TlsInfo { version, cipher_suite: suite, server_name };
    let own_names = match mutual {
        MutualAuthentication::Off => Vec::new(),
        _ => MUTUAL_FIELDS.iter().map(|own| attributes.name_of(own)).collect(),
    };
    Session { info, is_http2: connection.alpn_protocol() == Some(b"h2"), fields, own_names }
}

/// The access log has OpenSSL's names.
fn openssl_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-ECDSA-CHACHA20-POLY1305",
        // None else is offered.
        _ => "-",
    }
}

/// The name in IANA's registry "TLS Supported Groups".
fn iana_name(group: NamedGroup) -> &'static str {
    match group {
        NamedGroup::X25519 => "x25519",
        NamedGroup::secp256r1 => "secp256r1",
        NamedGroup::secp384r1 => "secp384r1",
        // None else is offered.
        _ => "-",
    }
}

/// A certificate in PEM, percent-encoded except for `+`, `=`, `/` and unreserved characters.
fn url_encoded_pem(der: &[u8]) -> String {
    let base64 = BASE64.encode_to_string(der);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in base64.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).unwrap_or_default());
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    let mut encoded = String::with_capacity(pem.len() + 64);
    for byte in pem.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~+=/".contains(&byte) {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// A serial number in upper-case hexadecimal, without the leading zero byte that keeps it positive.
fn hexadecimal(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(&[0]).filter(|rest| !rest.is_empty()).unwrap_or(bytes);
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

fn rfc3339(time: ASN1Time) -> String {
    let seconds = u64::try_from(time.timestamp()).unwrap_or_default();
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

/// RFC 2253: the last part first.
fn rfc2253(name: &X509Name<'_>) -> String {
    let mut parts = Vec::new();
    for part in name.iter_rdn() {
        let attributes: Vec<String> = part
            .iter()
            .map(|attribute| {
                let oid = attribute.attr_type();
                let key = match oid.to_id_string().as_str() {
                    "2.5.4.3" => "CN".to_owned(),
                    "2.5.4.6" => "C".to_owned(),
                    "2.5.4.7" => "L".to_owned(),
                    "2.5.4.8" => "ST".to_owned(),
                    "2.5.4.9" => "STREET".to_owned(),
                    "2.5.4.10" => "O".to_owned(),
                    "2.5.4.11" => "OU".to_owned(),
                    "0.9.2342.19200300.100.1.25" => "DC".to_owned(),
                    "0.9.2342.19200300.100.1.1" => "UID".to_owned(),
                    other => other.to_owned(),
                };
                format!("{key}={}", escape(attribute.as_str().unwrap_or_default()))
            })
            .collect();
        parts.push(attributes.join("+"));
    }
    parts.reverse();
    parts.join(",")
}

/// RFC 2253 section 2.4.
fn escape(value: &str) -> String {
    let mut out = String::new();
    let last = value.chars().count().saturating_sub(1);
    for (index, character) in value.chars().enumerate() {
        let at_edge = character == ' ' && (index == 0 || index == last);
        if at_edge || (character == '#' && index == 0) || ",+\"\\<>;".contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// Passthrough: accepts any client certificate, which the target must verify. Checks only that the client has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_written_as_documented() {
        assert_eq!(hexadecimal(&[0x00, 0xa5, 0x0b]), "A50B");
        assert_eq!(hexadecimal(&[0]), "00");
        assert_eq!(escape(r#" a,b+"c"#), r#"\ a\,b\+\"c"#);
        assert_eq!(escape("#a b "), "\\#a b\\ ");
        assert!(url_encoded_pem(&[0xfb, 0xff]).starts_with("-----BEGIN%20CERTIFICATE-----%0A+/8=%0A"));
    }
}
