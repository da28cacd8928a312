//! Any bytes as a function's reply: what passes the load balancer's checks is one HTTP answer and no more, and can be
//! written as a reply again.

use bytes::Bytes;
use crossfade_emulator::fuzzing;
use crossfade_event::{HeaderMode, alb};
use http::{Method, Response};

/// The reply, in either header mode.
pub fn reply(data: &[u8]) {
    for mode in [HeaderMode::Single, HeaderMode::Multi] {
        let Ok(reply) = alb::decode_response(mode, data) else { continue };
        let response = reply.response;
        assert!((200..=599).contains(&response.status().as_u16()));
        is_one_answer(&response);
        let mut out = Vec::new();
        if (mode.format().encode)(&response, &mut out).is_ok() {
            let again = alb::decode_response(mode, &out).map(|again| again.response);
            let again = again.unwrap_or_else(|error| panic!("what was written cannot be read: {error}"));
            assert_eq!((again.status(), again.body()), (response.status(), response.body()));
        }
    }
}

/// Checks that the bytes for the client are one response: it ends where its framing says, and has one line for each
/// field.
fn is_one_answer(response: &Response<Bytes>) {
    let (head, body) = fuzzing::answer(&Method::GET, response.clone());
    let text = |at: usize| head.get(at..).unwrap_or_default();
    let end = head.windows(4).position(|window| window == b"\r\n\r\n");
    assert_eq!(end.map(|end| text(end + 4)), Some(&b""[..]), "the head ends early");
    let mut fields = [httparse::EMPTY_HEADER; 4096];
    let mut parsed = httparse::Response::new(&mut fields);
    if let Ok(status) = parsed.parse(&head) {
        assert_eq!(status, httparse::Status::Complete(head.len()));
        let named = |name: &str| parsed.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).count();
        assert_eq!(named("transfer-encoding"), 0);
        assert!(named("content-length") <= 1);
        let length = parsed.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
        if let Some(length) = length.and_then(|field| std::str::from_utf8(field.value).ok()?.parse::<usize>().ok()) {
            // That of the content that another response would have (RFC 9110 section 8.6).
            assert!(length == body.len() || (parsed.code == Some(304) && body.is_empty()));
        }
    }
}
