//! HTTPS listeners: HTTP/1 and HTTP/2 over TLS, what the function is told of the connection, client certificates. Keys and
//! certificates are made for each run.

use bytes::Bytes;
use crossfade_emulator::{MutualAuthentication, Notice, Settings, Tls, access_log};
use crossfade_event::HeaderMode;
use crossfade_testkit::authority::{Authority, Identity};
use crossfade_testkit::rcgen::{self, BasicConstraints, DistinguishedName, DnType, IsCa};
use crossfade_testkit::tls;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::{Alb, settings};

fn authority() -> Authority {
    Authority::with(|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        // Its default has a name already, in the first place.
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "NL");
        params.distinguished_name.push(DnType::OrganizationName, "Test, Ltd");
        params.distinguished_name.push(DnType::CommonName, "Test authority");
    })
}

fn issue(authority: &Authority, name: &str) -> Identity {
    authority.issue_with(&[name], |params| {
        params.serial_number = Some(vec![0x03, 0xa5, 0xb1].into());
        params.not_before = rcgen::date_time_ymd(2023, 9, 21);
        params.not_after = rcgen::date_time_ymd(2090, 9, 20);
    })
}

/// Settings with a listener that has a certificate of this authority.
fn listener(authority: &Authority, mutual: MutualAuthentication) -> Settings {
    let identity = issue(authority, "shop.example.com");
    let (certificate_pem, key_pem) = (identity.pem(), identity.key_pem());
    let mut settings = settings(HeaderMode::Single);
    settings.listeners[0].tls = Some(Tls { certificate_pem, key_pem, mutual });
    settings
}

fn client(authority: &Authority, identity: Option<Identity>, alpn: &[&str]) -> TlsConnector {
    tls::client(authority, rustls::DEFAULT_VERSIONS, identity.as_ref(), alpn).into()
}

/// A GET over TLS, by HTTP/2 if the listener chooses it: its version and the event.
fn get(alb: &Alb, connector: &TlsConnector) -> Result<(String, serde_json::Value), String> {
    alb.block_on(async {
        let stream = TcpStream::connect(alb.address).await.unwrap();
        let name = ServerName::try_from("shop.example.com").unwrap();
        let stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let stream = TokioIo::new(stream);
        let request = Request::get("https://shop.example.com/a%20b").header("host", "shop.example.com");
        // What a client says of itself under these names is not believed where the listener asks for certificates.
        let request = request.header("x-amzn-mtls-clientcert", "FORGED");
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let response = if is_http2 {
            let (mut client, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            client.send_request(request).await
        } else {
            let (mut client, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            client.send_request(request).await
        };
        let response = response.map_err(|error| error.to_string())?;
        let version = format!("{:?}", response.version());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Ok((version, serde_json::from_slice(&body).unwrap_or_default()))
    })
}

#[test]
fn https_speaks_both_versions_and_tells_the_function_so() {
    let authority = authority();
    let mut settings = listener(&authority, MutualAuthentication::Off);
    settings.load_balancer.tls_fields = true;
    settings.load_balancer.key_exchange_field = true;
    let mut alb = Alb::start(settings);
    for (alpn, version, kind) in [(&["http/1.1"][..], "HTTP/1.1", "https"), (&["h2", "http/1.1"][..], "HTTP/2.0", "h2")]
    {
        let (spoken, event) = get(&alb, &client(&authority, None, alpn)).unwrap();
        assert_eq!((spoken.as_str(), event["path"].as_str()), (version, Some("/a%20b")));
        assert_eq!(event["headers"]["x-forwarded-proto"], "https");
        assert_eq!(event["headers"]["host"], "shop.example.com");
        assert_eq!(event["headers"]["x-amzn-tls-version"], "TLSv1.3");
        let suite = event["headers"]["x-amzn-tls-cipher-suite"].as_str().unwrap().to_owned();
        assert!(suite.starts_with("TLS_"), "{suite}");
        assert_eq!(event["headers"]["x-amzn-tls-kx"], "x25519");
        let exchange = alb.exchange();
        assert_eq!(
            (exchange.kind, exchange.tls.as_ref().unwrap().server_name.as_deref()),
            (kind, Some("shop.example.com"))
        );
        let line = access_log::line(&exchange);
        let port = alb.address.port();
        let request = format!("\"GET https://shop.example.com:{port}/a%20b {version}\"");
        assert!(line.starts_with(&format!("{kind} ")) && line.contains(&request) && line.contains(&suite), "{line}");
    }
}

#[test]
fn tls_1_2_is_spoken_and_its_ciphers_have_openssl_s_names() {
    let authority = authority();
    let mut settings = listener(&authority, MutualAuthentication::Off);
    settings.load_balancer.tls_fields = true;
    let alb = Alb::start(settings);
    let (_, event) = get(&alb, &tls::client(&authority, &[&rustls::version::TLS12], None, &[]).into()).unwrap();
    assert_eq!(event["headers"]["x-amzn-tls-version"], "TLSv1.2");
    let suite = event["headers"]["x-amzn-tls-cipher-suite"].as_str().unwrap();
    assert!(suite.starts_with("ECDHE-ECDSA-"), "{suite}");
    assert_eq!(event["headers"].get("x-amzn-tls-kx"), None);
}

#[test]
fn without_http2_the_listener_speaks_http_1_and_fields_can_be_renamed() {
    let authority = authority();
    let mut settings = listener(&authority, MutualAuthentication::Off);
    settings.load_balancer.tls_fields = true;
    settings.load_balancer.http2 = false;
    let attributes = &mut settings.listeners[0].attributes;
    attributes.set("routing.http.request.x_amzn_tls_version.header_name", "x-my-tls").unwrap();
    let alb = Alb::start(settings);
    let (version, event) = get(&alb, &client(&authority, None, &["h2", "http/1.1"])).unwrap();
    assert_eq!((version.as_str(), event["headers"]["x-my-tls"].as_str()), ("HTTP/1.1", Some("TLSv1.3")));
    assert_eq!(event["headers"].get("x-amzn-tls-version"), None);
}

#[test]
fn passthrough_hands_any_client_certificate_to_the_function() {
    let (authority, stranger) = (authority(), authority());
    let alb = Alb::start(listener(&authority, MutualAuthentication::Passthrough));
    let (_, event) = get(&alb, &client(&authority, Some(issue(&stranger, "client")), &[])).unwrap();
    let certificate = event["headers"]["x-amzn-mtls-clientcert"].as_str().unwrap();
    assert!(certificate.starts_with("-----BEGIN%20CERTIFICATE-----%0AMII"), "{certificate}");
    assert!(certificate.ends_with("-----END%20CERTIFICATE-----%0A"), "{certificate}");
    let (_, event) = get(&alb, &client(&authority, None, &[])).unwrap();
    assert_eq!(event["headers"].get("x-amzn-mtls-clientcert"), None, "a client cannot claim a certificate");
}

#[test]
fn verify_demands_a_certificate_of_the_trust_store_and_tells_what_it_says() {
    let (authority, stranger) = (authority(), authority());
    let ca_pem = authority.pem();
    let alb = Alb::start(listener(&authority, MutualAuthentication::Verify { ca_pem }));
    let (_, event) = get(&alb, &client(&authority, Some(issue(&authority, "client")), &[])).unwrap();
    let fields = &event["headers"];
    assert_eq!(fields["x-amzn-mtls-clientcert-serial-number"], "03A5B1");
    assert_eq!(fields["x-amzn-mtls-clientcert-subject"], "CN=client");
    assert_eq!(fields["x-amzn-mtls-clientcert-issuer"], "CN=Test authority,O=Test\\, Ltd,C=NL");
    assert_eq!(
        fields["x-amzn-mtls-clientcert-validity"],
        "NotBefore=2023-09-21T00:00:00Z;NotAfter=2090-09-20T00:00:00Z"
    );
    assert!(fields["x-amzn-mtls-clientcert-leaf"].as_str().unwrap().contains("CERTIFICATE"));
    for identity in [None, Some(issue(&stranger, "client"))] {
        assert!(get(&alb, &client(&authority, identity, &[])).is_err());
    }
}

#[test]
fn a_handshake_that_fails_is_told() {
    let (authority, stranger) = (authority(), authority());
    let mut alb = Alb::start(listener(&authority, MutualAuthentication::Off));
    // A client that does not trust us, and one that does not speak TLS.
    assert!(get(&alb, &client(&stranger, None, &[])).is_err());
    alb.connect().write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for _ in 0..2 {
        let problem = alb.notice(|notice| match notice {
            Notice::Handshake { problem, .. } => Some(problem.clone()),
            _ => None,
        });
        assert!(!problem.is_empty());
    }
}

#[test]
fn a_certificate_that_is_none_is_told_at_start() {
    let authority = authority();
    for change in [
        (|tls: &mut Tls| tls.certificate_pem = "nothing".into()) as fn(&mut Tls),
        |tls| tls.key_pem.clear(),
        |tls| tls.mutual = MutualAuthentication::Verify { ca_pem: String::new() },
    ] {
        let mut settings = listener(&authority, MutualAuthentication::Off);
        change(settings.listeners[0].tls.as_mut().unwrap());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (sender, _notices) = tokio::sync::mpsc::unbounded_channel();
        let error = runtime.block_on(crossfade_emulator::start(settings, sender)).unwrap_err().to_string();
        assert!(error.starts_with("listener `http`: "), "{error}");
    }
}
