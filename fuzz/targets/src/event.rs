//! Any bytes as an event: a request that is read can be built again, its target can be in a request line, and whatever sent
//! it can be answered.

use bytes::Bytes;
use crossfade_event::alb::RequestLine;
use crossfade_event::{FORMATS, HeaderMode, alb, decode_request};
use http::Response;

/// The event.
pub fn event(data: &[u8]) {
    let event = decode_request(FORMATS, &Bytes::copy_from_slice(data));
    let format = event.as_ref().map_or_else(|undecodable| undecodable.format, |event| event.front.format);
    assert!(
        (format.encode)(&Response::new(Bytes::copy_from_slice(data)), &mut Vec::new()).is_ok() || data.len() > 500_000
    );
    let Ok(event) = event else { return };
    let base = &event.front.base_path;
    assert!(base.is_empty() || (base.starts_with('/') && !base.ends_with('/')), "{base:?}");
    let (parts, body) = event.request.into_parts();
    assert!(parts.uri.scheme().is_none() && parts.uri.authority().is_none(), "the event names a host to go to");
    let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    assert!(!target.bytes().any(|byte| byte.is_ascii_control() || byte == b' '), "{target:?}");
    for mode in [HeaderMode::Single, HeaderMode::Multi] {
        // A text body or field that is not UTF-8 is the only thing an event cannot carry.
        let line = RequestLine::new(&parts.method, &parts.uri);
        let Ok(again) = alb::encode_request(mode, "arn", line, &parts.headers, &body) else { continue };
        let again = decode_request(FORMATS, &Bytes::from(again)).map(|again| again.request);
        let again = again.unwrap_or_else(|error| panic!("what was built cannot be read: {error}"));
        assert_eq!((again.method(), again.uri().path()), (&parts.method, parts.uri.path()));
        assert_eq!(again.body(), &body);
    }
}
