//! Sends a request again, to the same listener over a new connection. It writes the bytes itself, because a library could
//! normalise or reject a target or a field that a client sent.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::Shared;
use super::store::Entry;

/// Maximum wait for the page of a replay; the request continues after that.
const PATIENCE: Duration = Duration::from_secs(20);
/// Maximum wait for the access line of a replay after its response.
const LINE_PATIENCE: Duration = Duration::from_millis(300);
/// A little more than the longest timeout of a function.
const LONGEST: Duration = Duration::from_secs(960);
const LOOK: Duration = Duration::from_millis(10);
/// Fields of the original connection, which are not part of the request.
const HOP_BY_HOP: [&str; 6] =
    ["connection", "keep-alive", "transfer-encoding", "content-length", "expect", "proxy-connection"];

/// Sends a request again. Returns the id of the new one, or `None` if it takes too long.
pub(super) async fn replay(shared: &Shared, entry: &Entry) -> Result<Option<u64>> {
    let exchange = &entry.exchange;
    let request = request(entry).context("this request was not kept completely")?;
    // The same listener as it is now.
    let balancer = shared.balancer();
    let (Some(address), Some(listener)) =
        (balancer.addresses.get(exchange.listener), balancer.listeners.get(exchange.listener))
    else {
        bail!("the listener of this request no longer exists");
    };
    let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to `{address}`"))?;
    let own = stream.local_addr().context("the address of the connection")?;
    match &listener.tls {
        None => drop(tokio::spawn(send(stream, request))),
        Some(tls) => {
            let name = exchange.tls.as_ref().and_then(|tls| tls.server_name.clone());
            let name = name
                .and_then(|name| ServerName::try_from(name).ok())
                .unwrap_or(ServerName::IpAddress(address.ip().into()));
            let config = pinned(&tls.certificate_pem)?;
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            let stream = connector.connect(name, stream).await.context("the TLS handshake of the replay failed")?;
            drop(tokio::spawn(send(stream, request)));
        }
    }
    Ok(arrived(shared, own).await)
}

/// Returns true if everything that affects the response was kept, which is not the case for malformed requests and rejected
/// bodies.
pub(super) fn can_be_repeated(entry: &Entry) -> bool {
    let (exchange, Some(messages)) = (&entry.exchange, entry.messages()) else { return false };
    let length = messages.request_fields.get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
    let has_body = length.is_none_or(|length: usize| length == messages.request_body.len());
    // Rules do not evaluate it.
    let needs_body = !exchange.actions.iter().any(|action| matches!(*action, "redirect" | "fixed-response"));
    exchange.method != "-" && (has_body || !needs_body)
}

/// Returns the bytes of the request in HTTP/1.1, whatever its original version.
fn request(entry: &Entry) -> Option<Vec<u8>> {
    let messages = entry.messages().filter(|_| can_be_repeated(entry))?;
    let exchange = &entry.exchange;
    let mut head = format!("{} {} HTTP/1.1\r\n", exchange.method, exchange.target);
    // The host of an absolute target took precedence.
    let _ = write!(head, "host: {}\r\n", exchange.host);
    let mut bytes = head.into_bytes();
    for (name, value) in &messages.request_fields {
        if name != "host" && !HOP_BY_HOP.contains(&name.as_str()) {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
    }
    let had_length =
        ["content-length", "transfer-encoding"].iter().any(|name| messages.request_fields.contains_key(*name));
    if had_length || !messages.request_body.is_empty() {
        bytes.extend_from_slice(format!("content-length: {}\r\n", messages.request_body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"connection: close\r\n\r\n");
    bytes.extend_from_slice(&messages.request_body);
    Some(bytes)
}

/// Sends the request and discards the response, which the emulator reports.
async fn send(stream: impl AsyncRead + AsyncWrite, request: Vec<u8>) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let write = async {
        // The listener may reject the request and close the connection before all of it is sent.
        let _ = writer.write_all(&request).await;
        let _ = writer.flush().await;
    };
    let read = async {
        let mut piece = vec![0; 16 * 1024];
        while reader.read(&mut piece).await.is_ok_and(|read| read > 0) {}
    };
    let _ = timeout(LONGEST, async { tokio::join!(write, read) }).await;
}

/// Waits for the request that arrived from an address, and briefly for its access line.
async fn arrived(shared: &Shared, client: SocketAddr) -> Option<u64> {
    let deadline = Instant::now() + PATIENCE;
    let mut line_deadline = None;
    loop {
        let found = shared
            .store()
            .of_client(client)
            .map(|entry| (entry.id, entry.access.is_some() || entry.exchange.environment.is_none()));
        let now = Instant::now();
        if let Some((id, is_complete)) = found {
            let until = *line_deadline.get_or_insert(now + LINE_PATIENCE);
            if is_complete || now >= until || !shared.setup.own_function {
                return Some(id);
            }
        } else if now >= deadline {
            return None;
        }
        sleep(LOOK).await;
    }
}

/// Trusts only the listener's own certificate, and no authority.
fn pinned(certificate_pem: &str) -> Result<ClientConfig> {
    let leaf =
        CertificateDer::from_pem_slice(certificate_pem.as_bytes()).context("cannot read the listener's certificate")?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Pinned { leaf, provider: Arc::clone(&provider) };
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.context("TLS")?.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(config.with_no_client_auth())
}

#[derive(Debug)]
struct Pinned {
    leaf: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity == self.leaf {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::General("this is not the listener's certificate".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
