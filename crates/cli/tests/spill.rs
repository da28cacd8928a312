//! Responses that are too large for the load balancer, by way of a bucket of moto: through `crossfade dev`, with curl as the client.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crossfade_testkit::client::{self, Client, Response};
use crossfade_testkit::moto::Moto;
use crossfade_testkit::server::{Call, response, serve};
use crossfade_testkit::wait;
use serde_json::Value;

use crate::support::Dev;

const MB: usize = 1 << 20;

/// Bytes that nothing makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 7u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn pdf() -> Vec<u8> {
    [b"%PDF-1.7\n".to_vec(), noise(5_000_000), b"\n%%EOF\n".to_vec()].concat()
}

/// The system: a PDF of a known length, a film without one, and a film that breaks off.
fn back_end() -> SocketAddr {
    serve(|call: Call| match call.target() {
        "/cut" => chunked(&noise(10 * MB), false),
        "/film.mp4" => chunked(&noise(20 * MB), true),
        _ => response(
            "200 OK",
            &[
                ("content-type", "application/pdf"),
                ("content-disposition", "inline; filename=\"report.pdf\""),
                ("cache-control", "private, max-age=60"),
                ("set-cookie", "seen=report"),
            ],
            &if call.line.starts_with("HEAD") { Vec::new() } else { pdf() },
        ),
    })
}

fn chunked(content: &[u8], is_complete: bool) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\ncontent-type: video/mp4\r\n\r\n";
    let mut answer = head.as_bytes().to_vec();
    for chunk in content.chunks(65_536) {
        answer.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        answer.extend_from_slice(chunk);
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(if is_complete { b"0\r\n\r\n" } else { b"not a chunk\r\n" });
    answer
}

/// Sends a request to moto, which checks no signature.
fn ask(moto: &Moto, method: &str, target: &str) -> Response {
    let address = client::host(&moto.url);
    let mut client = Client::connect(address);
    client.write(format!(
        "{method} {target} HTTP/1.1\r\nhost: {address}\r\nauthorization: AWS4-HMAC-SHA256 \
         Credential=AKID/20261128/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\ncontent-length: 0\r\n\r\n"
    ));
    client.read()
}

fn start(folder: &Path, moto: &Moto, bucket: &str) -> Dev {
    let back_end = back_end();
    let config = format!(
        "version: 1\nspill: {{ bucket: '${{env:BUCKET}}' }}\nbackends: {{ legacy: 'http://{back_end}' }}\n\
         default: {{ forward: legacy }}\n"
    );
    std::fs::write(folder.join("crossfade.yaml"), config).unwrap();
    let variables = [
        ("BUCKET", bucket),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "s3cret"),
        ("AWS_SESSION_TOKEN", "t0ken"),
        ("AWS_ENDPOINT_URL_S3", &moto.url),
    ];
    Dev::start_with(
        folder,
        &["--config", "crossfade.yaml", "--log", "function.log", "--access-log", "alb.log"],
        &variables,
    )
}

/// Asks with curl, which follows redirects, and returns all heads and the last content.
fn curl(dev: &Dev, target: &str, arguments: &[&str]) -> (String, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let content = folder.path().join("content");
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--location", "--dump-header", "-", "--max-time", "50", "--noproxy", "*"])
        .args(arguments)
        .arg("--output")
        .arg(&content)
        .arg(format!("{}{target}", dev.alb))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).unwrap().to_ascii_lowercase(), std::fs::read(content).unwrap_or_default())
}

/// The function's log, once it has so many requests: a line comes after its response.
fn log(folder: &Path, requests: usize) -> String {
    wait::until("the lines of all requests", || {
        let log = std::fs::read_to_string(folder.join("function.log")).ok()?;
        (log.matches("\"type\":\"access\"").count() >= requests).then_some(log)
    })
}

pub(crate) fn a_file_comes_through_the_load_balancer_by_way_of_a_bucket() {
    let (folder, moto) = (tempfile::tempdir().unwrap(), Moto::start(&[]));
    assert_eq!(ask(&moto, "PUT", "/shop-responses").status, 200);
    let dev = start(folder.path(), &moto, "shop-responses");

    let (heads, content) = curl(&dev, "/files/report.pdf", &[]);
    assert!(content == pdf(), "{} bytes\n{heads}", content.len());
    let (first, second) = heads.split_once("\r\n\r\n").unwrap();
    assert!(first.contains(" 307 ") && first.contains("set-cookie: seen=report"), "{heads}");
    assert!(first.contains("cache-control: no-store") && !first.contains("application/pdf"), "{heads}");
    assert!(first.contains("/report.pdf?x-amz-algorithm="), "{heads}");
    for field in [
        "content-type: application/pdf",
        "content-disposition: inline; filename=\"report.pdf\"",
        "cache-control: private, max-age=60",
    ] {
        assert!(second.contains(field), "{field}\n{heads}");
    }

    // A redirect keeps `Range`, and S3 has them all.
    let (heads, content) = curl(&dev, "/files/report.pdf", &["--range", "0-7"]);
    assert!(content == b"%PDF-1.7" && heads.contains(" 206 "), "{heads}");

    let (heads, content) = curl(&dev, "/film.mp4", &[]);
    assert!(content == noise(20 * MB), "{} bytes\n{heads}", content.len());
    assert!(heads.contains("content-type: video/mp4"), "{heads}");

    // A back end that breaks off leaves nothing, and a client that changes something gets no redirect.
    for (target, arguments) in [("/cut", &[][..]), ("/files/report.pdf", &["--data", "x=1"])] {
        let (heads, _) = curl(&dev, target, arguments);
        assert!(heads.contains(" 502 "), "{target}\n{heads}");
    }
    let uploads = ask(&moto, "GET", "/shop-responses?uploads");
    assert!(!uploads.text().contains("<UploadId>"), "{}", uploads.text());
    let (heads, _) = curl(&dev, "/files/report.pdf", &["--head"]);
    assert!(heads.contains(" 200 ") && !heads.contains("location"), "{heads}");

    let objects = ask(&moto, "GET", "/shop-responses?list-type=2");
    assert_eq!(objects.text().matches("<Key>responses/").count(), 3, "{}", objects.text());

    // The link is a secret.
    let said = [dev.banner.clone(), std::iter::from_fn(|| dev.stdout.try_recv().ok()).collect::<Vec<_>>().join("\n")];
    let alb = std::fs::read_to_string(folder.path().join("alb.log")).unwrap();
    let files = [log(folder.path(), 6), alb];
    for text in said.iter().chain(&files) {
        assert!(!text.to_ascii_lowercase().contains("x-amz-signature"), "{text}");
    }
    let spilled: Vec<u64> = files[0]
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["spilled_bytes"].as_u64())
        .collect();
    assert_eq!(spilled, [pdf().len() as u64, pdf().len() as u64, 20 * MB as u64], "{}", files[0]);
}

pub(crate) fn without_the_bucket_the_client_gets_a_502() {
    let (folder, moto) = (tempfile::tempdir().unwrap(), Moto::start(&[]));
    let dev = start(folder.path(), &moto, "no-such-bucket");
    for target in ["/files/report.pdf", "/film.mp4"] {
        let (heads, _) = curl(&dev, target, &[]);
        assert!(
            heads.contains(" 502 ") && heads.contains("send it compressed, in pages, or past the proxy"),
            "{heads}"
        );
    }
    let log = log(folder.path(), 2);
    assert_eq!(log.matches("S3 responded NoSuchBucket; create the bucket of `spill`").count(), 2, "{log}");
}
