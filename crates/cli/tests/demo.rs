//! The demo back ends from outside: over TLS, with an independent client.

use std::process::Command;

use crossfade::demo::{BackendStats, Demo};

/// Standard output of curl, trusting the demo authority only.
async fn curl(demo: &Demo, arguments: &[String]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &demo.ca_pem).unwrap();
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--cacert"]).arg(ca).args(arguments);
    let output = tokio::task::spawn_blocking(move || curl.output()).await.unwrap().expect("curl is installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

pub(crate) async fn both_versions_of_http_give_the_same_bytes() {
    let demo = Demo::start().await.unwrap();
    for (address, name) in [(demo.legacy, "legacy"), (demo.modern, "modern")] {
        for path in ["/", "/image", "/gzip", "/latin1", "/bytes/300000", "/text/0", "/orders/42"] {
            let url = format!("https://localhost:{}{path}", address.port());
            let old = curl(&demo, &["--http1.1".into(), url.clone()]).await;
            let new = curl(&demo, &["--http2".into(), url]).await;
            assert!(old == new, "{name} {path}: {} and {} bytes", old.len(), new.len());
            assert_eq!(old.is_empty(), path == "/text/0");
        }
        for (version, told) in [("--http1.1", "HTTP/1.1 200"), ("--http2", "HTTP/2 200")] {
            let head =
                curl(&demo, &[version.into(), "--head".into(), format!("https://localhost:{}/head", address.port())])
                    .await;
            let head = String::from_utf8(head).unwrap();
            assert!(head.starts_with(told), "{head}");
            assert!(head.contains("content-length: 1024") && head.contains("x-demo-method: HEAD"), "{head}");
            assert!(head.contains(&format!("x-demo-backend: {name}")), "{head}");
        }
    }
}

/// The certificates name the address and the host, and only this run's authority signed them.
pub(crate) async fn only_the_demo_authority_vouches_for_the_back_ends() {
    let demo = Demo::start().await.unwrap();
    curl(&demo, &[format!("https://127.0.0.1:{}/", demo.legacy.port())]).await;
    let stranger = Demo::start().await.unwrap();
    let url = format!("https://localhost:{}/", stranger.legacy.port());
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &demo.ca_pem).unwrap();
    let refused = tokio::task::spawn_blocking(move || {
        Command::new("curl")
            .args(["--silent", "--max-time", "20", "--noproxy", "*", "--cacert"])
            .arg(ca)
            .arg(url)
            .status()
    });
    assert_eq!(refused.await.unwrap().expect("curl is installed").code(), Some(60), "60: not verified");
    assert_eq!(stranger.stats().legacy, BackendStats { connections: 0, requests: 0 });
}

pub(crate) async fn connections_and_requests_are_counted_apart() {
    let demo = Demo::start().await.unwrap();
    let url = format!("https://localhost:{}/echo", demo.legacy.port());
    curl(&demo, &[url.clone(), url.clone(), url]).await;
    assert_eq!(demo.stats().legacy, BackendStats { connections: 1, requests: 3 });
    assert_eq!(demo.stats().modern, BackendStats { connections: 0, requests: 0 });
}

pub(crate) async fn closing_connections_ends_open_ones_and_accepts_new_ones() {
    let demo = Demo::start().await.unwrap();
    let port = demo.modern.port();
    let waiting = {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, &demo.ca_pem).unwrap();
        tokio::task::spawn_blocking(move || {
            let url = format!("https://localhost:{port}/slow?ms=15000");
            let curl = Command::new("curl")
                .args(["--silent", "--max-time", "20", "--noproxy", "*", "--cacert"])
                .arg(ca)
                .arg(url)
                .status();
            drop(folder);
            curl
        })
    };
    for _ in 0..500 {
        if demo.stats().modern.requests == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    demo.close_connections();
    let status = waiting.await.unwrap().expect("curl is installed");
    assert!(!status.success() && status.code() != Some(28), "cut off, not timed out: {status}");
    curl(&demo, &[format!("https://localhost:{port}/")]).await;
}
