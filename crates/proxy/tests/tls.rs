//! TLS as the configuration asks for it: who we are, which versions, and the one switch that takes verification off.

use std::path::Path;

use crossfade_route::Surroundings;
use crossfade_testkit::authority::{Authority, Identity, key_der, new_key};
use crossfade_testkit::rcgen::{self, BasicConstraints, CertificateParams, IsCa, KeyPair};
use crossfade_testkit::tls::server_showing;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::{OK, Origin, Pems, ProxyOf as _, Tls, ask, config_with, get, proxy};

#[tokio::test]
async fn verification_can_be_switched_off_for_one_back_end_alone() {
    for tls in [Tls::SelfSigned, Tls::Expired, Tls::WrongHost, Tls::Good] {
        let origin = Origin::answering(tls, OK).await;
        assert_eq!(ask(&proxy(&origin.url(), "tls: { insecureSkipVerify: true }", b""), get("/")).await.status, 200);
        assert_eq!(ask(&proxy(&origin.url(), "", b""), get("/")).await.error(), "tls_certificate_error");
    }
}

#[tokio::test]
async fn the_least_version_is_held() {
    let old = Origin::answering(Tls::Tls12, OK).await;
    assert_eq!(ask(&old.proxy(), get("/")).await.status, 200);
    assert_eq!(ask(&old.proxy_with("tls: { minVersion: '1.3' }"), get("/")).await.error(), "tls_alert_received");
    let new = Origin::answering(Tls::Good, OK).await;
    assert_eq!(ask(&new.proxy_with("tls: { minVersion: '1.3' }"), get("/")).await.status, 200);
}

struct Files<'p>(&'p Pems);

impl Surroundings for Files<'_> {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, path: &Path) -> Result<Vec<u8>, String> {
        match path.to_str() {
            Some("client.pem") => Ok(self.0.client.clone()),
            Some("client.key") => Ok(self.0.client_key.clone()),
            other => Err(format!("{other:?} is not there")),
        }
    }
}

#[tokio::test]
async fn a_back_end_that_wants_a_certificate_gets_ours() {
    let origin = Origin::answering(Tls::Mutual, OK).await;
    // With TLS 1.3 the refusal comes after the handshake.
    let refused = ask(&origin.proxy(), get("/")).await;
    assert_eq!(refused.status, 502, "{}", refused.record);
    let text = format!(
        "backends:\n  b: {{ url: '{}', tls: {{ clientCert: {{ certFile: client.pem, keyFile: client.key }} }} }}\n\
         default: {{ forward: b }}\n",
        origin.url()
    );
    let answer = ask(&config_with(&text, &Files(&origin.pems), &[&origin.ca_pem]), get("/")).await;
    assert_eq!(answer.status, 200, "{}", answer.record);
}

/// A back end that shows a certificate and has some key.
fn showing(certificate: &Identity, key: &KeyPair) -> Origin {
    let acceptor = TlsAcceptor::from(server_showing(certificate.der(), key_der(key)));
    Origin::new(Tls::Good, move |door| {
        let acceptor = acceptor.clone();
        async move {
            if let Some(conn) = door.open_with(acceptor).await {
                conn.answer_all(OK).await;
            }
        }
    })
}

#[tokio::test]
async fn a_certificate_that_is_named_needs_no_authority_and_everything_else() {
    let (key, other_key) = (new_key(), new_key());
    let self_signed = |change: fn(&mut CertificateParams)| {
        Identity::self_signed_for(&key, &["localhost"], |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            change(params);
        })
    };
    let own = self_signed(|_| {});
    let expired = self_signed(|it| it.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let early = self_signed(|it| it.not_before = rcgen::date_time_ymd(3000, 1, 1));
    let without_ca = self_signed(|it| it.is_ca = IsCa::NoCa);
    // Another one of the same name and key.
    let twin = self_signed(|it| it.serial_number = Some(7.into()));
    let issued = Authority::new().issue_for(&key, &["localhost"], |_| {});
    for (name, shown, key, named, keys, is_accepted) in [
        ("self-signed", &own, &key, &own, "", true),
        ("self-signed, no authority's", &without_ca, &key, &without_ca, "", true),
        ("of an authority that is not named", &issued, &key, &issued, "", true),
        ("expired", &expired, &key, &expired, "", false),
        ("not valid yet", &early, &key, &early, "", false),
        ("for another name", &own, &key, &own, "tls: { serverName: www.example.com }", false),
        ("another one of the same key", &twin, &key, &own, "", false),
        ("without its key", &own, &other_key, &own, "", false),
    ] {
        let mut origin = showing(shown, key);
        origin.listen(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let answer = ask(&proxy(&origin.url(), keys, named.pem().as_bytes()), get("/")).await;
        assert_eq!(answer.status, if is_accepted { 200 } else { 502 }, "{name}: {}", answer.record);
        if !is_accepted {
            assert_eq!(answer.error(), "tls_certificate_error", "{name}");
        }
    }
}
