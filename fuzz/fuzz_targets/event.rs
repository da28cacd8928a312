//! Any bytes as an event and as a reply: no panic, and whatever is read can be written again.
#![no_main]

use bytes::Bytes;
use crossfade_event::{HeaderMode, alb, decode_request, encode_response};
use crossfade_event::alb::RequestLine;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(event) = decode_request(&Bytes::copy_from_slice(data)) {
        let (parts, body) = event.request.into_parts();
        for mode in [HeaderMode::Single, HeaderMode::Multi] {
            // A text body or field that is not UTF-8 is the only thing an event cannot carry.
            if let Ok(again) = alb::encode_request(mode, "arn", RequestLine::new(&parts.method, &parts.uri), &parts.headers, &body) {
                let again = decode_request(&Bytes::from(again)).expect("what was built can be read");
                assert_eq!(again.request.uri().path(), parts.uri.path());
                assert_eq!(again.request.body(), &body);
            }
        }
    }
    for mode in [HeaderMode::Single, HeaderMode::Multi] {
        if let Ok(reply) = alb::decode_response(mode, data) {
            let mut out = Vec::new();
            if encode_response(crossfade_event::EventFormat::Alb(mode), &reply.response, &mut out).is_ok() {
                let again = alb::decode_response(mode, &out).expect("what was written can be read");
                assert_eq!(again.response.body(), reply.response.body());
            }
        }
    }
});
