//! The load balancer's options of `crossfade dev`: HTTPS, attributes, the access log.

use std::process::Command;

use crate::support::{Dev, word_after};

/// The output of curl: head and body.
fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--include", "--max-time", "25", "--noproxy", "*"])
        .args(arguments)
        .output()
        .expect("curl is installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn https_with_a_certificate_of_this_run_attributes_and_an_access_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let dev = Dev::start(&[
        "--https-port",
        "0",
        "--access-log",
        log.to_str().unwrap(),
        "--attribute",
        "routing.http.response.x_frame_options.header_value=DENY",
        "--attribute",
        "routing.http.x_amzn_tls_version_and_cipher_suite.enabled=true",
        "--attribute",
        "routing.http.x_amzn_tls_kx.enabled=true",
    ]);
    let address = word_after(&dev.banner, "https://127.0.0.1:");
    let url = format!("https://127.0.0.1:{address}/echo?a=%20b");
    let authority = word_after(&dev.banner, "--cacert");
    for (version, line) in [("--http2", "HTTP/2 200"), ("--http1.1", "HTTP/1.1 200")] {
        let answer = curl(&["--cacert", &authority, version, &url]);
        assert!(answer.starts_with(line) && answer.contains("x-frame-options: DENY\r\n"), "{answer}");
        assert!(answer.contains("x-amzn-tls-version") && answer.contains("x-amzn-tls-kx"), "{answer}");
        dev.next_line();
    }
    let missing = curl(&["--request", "TRACE", &format!("{}/x", dev.alb)]);
    assert!(missing.starts_with("HTTP/1.1 405 "), "{missing}");
    dev.next_line();
    let log = std::fs::read_to_string(log).unwrap();
    let kinds: Vec<&str> = log.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(kinds, ["h2", "https", "http"], "{log}");
    let request = format!("\"GET https://127.0.0.1:{address}/echo?a=%20b HTTP/2.0\"");
    assert!(log.lines().next().unwrap().contains(&request), "{log}");
}

#[test]
fn errors_in_options_are_reported_before_anything_starts() {
    for (arguments, words) in [
        (&["--attribute", "nonsense"][..], "expected KEY=VALUE"),
        (&["--attribute", "routing.http2.enabled=maybe"], "it must be true or false"),
        (&["--attribute", "deletion_protection.enabled=true"], "unsupported attribute"),
        (&["--client-certificates", "passthrough"], "there is no HTTPS listener"),
        (&["--https-port", "0", "--client-certificates", "/no/such/file"], "cannot read `/no/such/file`"),
        (&["--https-port", "0", "--certificate", "/no/such/file", "--key", "/no/such/key"], "cannot read"),
        (&["--access-log", "/no/such/folder/access.log"], "cannot write"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_crossfade"))
            .args(["dev", "--port", "0"])
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(words), "{arguments:?}: {said}");
    }
}

#[test]
fn a_trust_store_that_only_aws_has_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("template.yml");
    let text = "Resources:\n  Secure:\n    Type: AWS::ElasticLoadBalancingV2::Listener\n    Properties:\n      Port: 443\n      \
                Protocol: HTTPS\n      MutualAuthentication: { Mode: verify, TrustStoreArn: 'arn:x' }\n      DefaultActions:\n        \
                - { Type: fixed-response, FixedResponseConfig: { StatusCode: '404' } }\n";
    std::fs::write(&template, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_crossfade"))
        .args(["dev", "--port", "0", "--template", template.to_str().unwrap()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("listener `Secure` verifies") && said.contains("--client-certificates FILE"), "{said}");
}
