//! TLS as the configuration asks for it: who we are, which versions, and the one switch that takes verification off.

mod support;

use std::path::Path;

use crossfade_route::Surroundings;
use support::{OK, Origin, Pems, Tls, ask, config_with, get, proxy};

#[tokio::test] // T25
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
