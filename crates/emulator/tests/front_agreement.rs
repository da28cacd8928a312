//! The events built here and the formats that Crossfade's function reads were written from the same sources, independently: each
//! must be able to read what the other writes.

use bytes::Bytes;
use crossfade_emulator::{BasePath, Endpoint, EndpointKind};
use crossfade_event::{FORMATS, decode_request};
use http::Response;

use crate::support::{self, Alb};

fn start(kind: EndpointKind) -> Alb {
    let mut endpoint = Endpoint::new(kind, 0);
    endpoint.binary_media_types.push("*/*".to_owned());
    let mut settings = support::endpoint(endpoint);
    settings.keep_messages = true;
    Alb::start(settings)
}

/// The name of the format that reads the events of a kind.
fn format_of(kind: EndpointKind) -> &'static str {
    match kind {
        EndpointKind::Lattice => "lattice-2",
        kind => kind.name(),
    }
}

#[test]
fn the_function_s_formats_read_these_events() {
    let plain = ["/", "/orders/7", "/a/b/?x=1&x=2", "/?q=a%20b%2Bc"];
    for kind in EndpointKind::ALL {
        let mut alb = start(kind);
        for target in plain {
            let body = b"\x00\xff{}";
            let head = format!(
                "POST {target} HTTP/1.1\r\nHost: shop.example.com\r\nCookie: a=1; b=2\r\nX-Two: 1\r\nX-Two: 2\r\n\
                 Content-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            assert_eq!(alb.send([head.as_bytes(), body].concat()).status, 200, "{kind:?} {target}");
            let event = alb.exchange().messages.unwrap().event.unwrap();
            let read = decode_request(FORMATS, &event).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
            assert_eq!(read.front.format.name, format_of(kind));
            let request = read.request;
            assert_eq!(request.method(), "POST");
            let expected = target;
            assert_eq!(request.uri().path(), expected.split('?').next().unwrap(), "{kind:?}");
            let query = request.uri().query().unwrap_or_default().replace('+', "%20");
            assert_eq!(query, expected.split_once('?').map_or("", |(_, query)| query), "{kind:?}");
            assert_eq!(request.headers()["host"], "shop.example.com", "{kind:?}");
            let cookies: Vec<&[u8]> = request.headers().get_all("cookie").iter().map(|it| it.as_bytes()).collect();
            assert_eq!(cookies.join(&b"; "[..]), b"a=1; b=2", "{kind:?}");
            let two: Vec<&[u8]> = request.headers().get_all("x-two").iter().map(|it| it.as_bytes()).collect();
            let two = String::from_utf8(two.join(&b","[..])).unwrap();
            assert_eq!(two.replace(", ", ","), "1,2", "{kind:?}");
            assert_eq!(request.body().as_ref(), body, "{kind:?}");
            let client = read.front.source_ip.map(|ip| ip.to_string());
            assert_eq!(client.as_deref(), Some("127.0.0.1"), "{kind:?}");
        }
    }
}

#[test]
fn these_front_ends_read_the_function_s_replies() {
    for kind in EndpointKind::ALL {
        let mut alb = start(kind);
        alb.get("/", "");
        let event = alb.exchange().messages.unwrap().event.unwrap();
        let format = decode_request(FORMATS, &event).unwrap().front.format;
        let mut response = Response::new(Bytes::from_static(b"\x00\xffab"));
        *response.status_mut() = http::StatusCode::IM_A_TEAPOT;
        for (name, value) in
            [("content-type", "image/png"), ("x-own", "1"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]
        {
            response.headers_mut().append(name, value.parse().unwrap());
        }
        let mut reply = Vec::new();
        (format.encode)(&response, &mut reply).unwrap();
        let reply = String::from_utf8(reply).unwrap();
        let received = alb.get("/", &format!("x-reply: {reply}\r\n"));
        assert_eq!((received.status, received.body.as_slice()), (418, &b"\x00\xffab"[..]), "{kind:?}: {reply}");
        for line in ["content-type: image/png", "x-own: 1", "set-cookie: a=1", "set-cookie: b=2"] {
            assert!(received.head.contains(&format!("\r\n{line}\r\n")), "{kind:?}: {line}\n{}", received.head);
        }
        let warnings = alb.exchange().warnings;
        assert!(warnings.is_empty(), "{kind:?}: {warnings:?}");
    }
}

/// The function gives back ends the path without the stage and the base path, whichever way a client comes.
#[test]
fn stages_and_base_paths_are_read() {
    let mapping = || BasePath::Mapping("v1".to_owned());
    for (kind, stage, base, sent, base_path) in [
        (EndpointKind::RestApi, "prod", BasePath::Stage, "/prod/a%20b", "/prod"),
        (EndpointKind::RestApi, "prod", BasePath::Root, "/a%20b", ""),
        (EndpointKind::RestApi, "prod", mapping(), "/v1/a%20b", "/v1"),
        (EndpointKind::HttpApi, "$default", BasePath::Root, "/a%20b", ""),
        (EndpointKind::HttpApi, "prod", BasePath::Stage, "/prod/a%20b", "/prod"),
        (EndpointKind::HttpApi, "prod", BasePath::Root, "/a%20b", ""),
        // No member of the event has the base path.
        (EndpointKind::HttpApi, "prod", mapping(), "/v1/a%20b", ""),
        (EndpointKind::HttpApi, "$default", mapping(), "/v1/a%20b", ""),
    ] {
        let case = format!("{kind:?} {stage} {base:?}");
        let mut settings = support::endpoint(Endpoint { stage: stage.to_owned(), base, ..Endpoint::new(kind, 0) });
        settings.keep_messages = true;
        let mut alb = Alb::start(settings);
        assert_eq!(alb.get(sent, "").status, 200, "{case}");
        let event = alb.exchange().messages.unwrap().event.unwrap();
        let read = decode_request(FORMATS, &event).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!((read.request.uri().path(), &*read.front.base_path), ("/a%20b", base_path), "{case}");
    }
}
