//! Content as a client gets it: mapped to the public URL, and compressed.

use std::io::{Read, Write};

use http::Method;

use crate::support::{Answer, Origin, Tls, ask, config, request};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn text(answer: &Answer) -> String {
    let mut text = String::new();
    match answer.fields.get("content-encoding") {
        Some(coding) => {
            assert_eq!(coding, "gzip");
            flate2::read::GzDecoder::new(&answer.body[..]).read_to_string(&mut text).unwrap();
        }
        None => text.push_str(std::str::from_utf8(&answer.body).unwrap()),
    }
    text
}

/// A page with a link to `https://localhost`, the host of the back end, compressed unless the path is `/plain`.
async fn origin() -> Origin {
    Origin::start(Tls::Plain, |mut conn| async move {
        while let Some(request) = conn.request().await {
            let page = format!("<a href='https://localhost{}'>", request.split(' ').nth(1).unwrap());
            let is_plain = request.starts_with("GET /v2/plain");
            let (coding, body) = match is_plain {
                true => ("", page.into_bytes()),
                false => ("content-encoding: gzip\r\n", gzip(&page)),
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n{coding}etag: \"1\"\r\ncontent-security-policy: \
                 default-src 'self' https://localhost localhost:8443/v2/ cdn.example; report-uri /v2/csp\r\n\
                 content-length: {}\r\n\r\n",
                body.len()
            );
            conn.write([head.as_bytes(), &body].concat()).await;
        }
    })
    .await
}

#[tokio::test]
async fn pages_are_mapped_and_keep_their_coding_if_the_client_takes_it() {
    let origin = origin().await;
    let proxy = config(
        &format!(
            "backends:\n  modern: {{ url: '{}/v2', publicUrl: {{ url: https://shop.example.com, content: text/html }} \
             }}\ndefault: {{ forward: modern }}\n",
            origin.url()
        ),
        &[],
    );
    for (target, accepted, coding, sent) in [
        ("/a", "gzip, dcb, br;q=0.5", Some("gzip"), "gzip, br;q=0.5"),
        ("/a", "br", None, "br"),
        ("/a", "dcb", None, "identity"),
        ("/plain", "gzip", None, "gzip"),
    ] {
        let fields = [("host", "shop.example.com"), ("accept-encoding", accepted)];
        let answer = ask(&proxy, request(Method::GET, target, &fields, "")).await;
        assert_eq!(text(&answer), format!("<a href='https://shop.example.com{target}'>"));
        let got = answer.fields.get("content-encoding").map(|value| value.to_str().unwrap());
        // A page of a few bytes does not become smaller.
        assert!(got.is_none() || got == coding, "{target} {accepted}: {got:?}");
        assert_eq!(answer.fields["etag"], "W/\"1\"");
        assert_eq!(
            answer.fields["content-security-policy"],
            "default-src 'self' https://shop.example.com shop.example.com/ cdn.example; report-uri /csp"
        );
        let requests = origin.requests();
        let field = requests.last().unwrap().lines().find_map(|line| line.strip_prefix("accept-encoding: "));
        assert_eq!(field, Some(sent), "{accepted}");
    }
}

#[tokio::test]
async fn text_is_compressed_for_clients_that_take_it() {
    let page = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n\r\n";
    let body: &'static str = Box::leak(format!("{page}{}", "[1]\n".repeat(1000)).into_boxed_str());
    let origin = Origin::answering(Tls::Plain, body).await;
    let proxy = config(&format!("backends:\n  a: {}\ndefault: {{ forward: a, compress: true }}\n", origin.url()), &[]);
    for (accepted, is_compressed) in [("gzip", true), ("*", true), ("br", false), ("gzip;q=0", false)] {
        let answer = ask(&proxy, request(Method::GET, "/", &[("accept-encoding", accepted)], "")).await;
        assert_eq!(answer.fields.contains_key("content-encoding"), is_compressed, "{accepted}");
        assert_eq!(answer.fields["vary"], "accept-encoding");
        assert_eq!(text(&answer), "[1]\n".repeat(1000));
        assert_eq!(answer.record["response_bytes"], answer.body.len());
    }
}

#[tokio::test]
async fn errors_of_ours_have_the_page_that_the_client_accepts_and_those_of_back_ends_their_own() {
    let origin = Origin::answering(Tls::Plain, "HTTP/1.1 502 Oops\r\ncontent-length: 4\r\n\r\noops").await;
    let text = format!(
        "backends:\n  up: {}\n  down: http://127.0.0.1:{}\nroutes:\n  - {{ name: up, priority: 1, conditions: {{ path: \
         /up }}, forward: up }}\ndefault: {{ forward: down }}\nerrorPages:\n  - {{ codes: 5xx, contentType: text/html, \
         body: <h1>Sorry</h1> }}\n  - {{ codes: 502, contentType: application/json, body: '{{}}' }}\n",
        origin.url(),
        crate::support::closed_port()
    );
    let proxy = config(&text, &[]);
    for (target, accepted, body) in [
        ("/", "text/html, */*;q=0.1", "<h1>Sorry</h1>"),
        ("/", "application/json", "{}"),
        ("/", "image/png", "Bad Gateway\n"),
        ("/up", "text/html", "oops"),
    ] {
        let answer = ask(&proxy, request(Method::GET, target, &[("accept", accepted)], "")).await;
        assert_eq!((answer.status, &answer.body[..]), (502, body.as_bytes()), "{target} {accepted}");
        assert_eq!(answer.fields.contains_key("proxy-status"), target == "/");
    }
    let answer = ask(&proxy, request(Method::HEAD, "/", &[], "")).await;
    assert_eq!((answer.fields["content-type"].as_bytes(), answer.body.len()), (&b"text/html"[..], 0));
}
