//! Any bytes as a client's connection: however they are cut, the same requests are read; a second reader reads the
//! same; and the function gets the request that was sent.

use std::cell::RefCell;

use bytes::Bytes;
use crossfade_emulator::fuzzing::{self, Request};
use crossfade_event::{FORMATS, HeaderMode, decode_request};
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

/// The bytes of the connection; the client closes it after them.
pub fn http1(data: &[u8]) {
    let whole = requests(data, data.len());
    let cut = requests(data, 7);
    assert_eq!(whole.len(), cut.len(), "how it is cut decides how many requests there are");
    for (one, other) in whole.iter().zip(&cut) {
        match (one, other) {
            (Ok(one), Ok(other)) => assert_eq!((&one.bytes, &one.body), (&other.bytes, &other.body)),
            (one, other) => assert_eq!(one.as_ref().err().is_some(), other.as_ref().err().is_some()),
        }
    }
    for request in whole.into_iter().flatten() {
        let (tier, refused) = fuzzing::classify(&request.bytes);
        assert_eq!(refused, tier != "Compliant");
        if tier == "Compliant" {
            a_second_reader_agrees(&request);
        }
        the_function_gets_it(request);
    }
}

fn requests(data: &[u8], length: usize) -> Vec<Result<Request, u16>> {
    RUNTIME.with_borrow_mut(|runtime| {
        let new = || Builder::new_current_thread().enable_time().build().unwrap_or_else(|error| panic!("{error}"));
        runtime.get_or_insert_with(new).block_on(fuzzing::requests(data, length))
    })
}

/// Smuggling is two readers of one request that see two things in it.
fn a_second_reader_agrees(request: &Request) {
    let mut fields = [httparse::EMPTY_HEADER; 2100];
    let mut parsed = httparse::Request::new(&mut fields);
    let Ok(httparse::Status::Complete(end)) = parsed.parse(&request.bytes) else { return };
    assert_eq!(end, request.bytes.len());
    let (method, target) = request.line();
    assert_eq!(parsed.method, Some(method));
    // Without the authority of the absolute form, and what follows a `#`.
    let sent = parsed.path.unwrap_or_default().as_bytes();
    let sent = sent.split(|byte| *byte == b'#').next().unwrap_or_default();
    assert!(sent.ends_with(target) || target == b"/", "{sent:?} {target:?}");
    assert_eq!(parsed.headers.len(), request.fields().len());
    for field in parsed.headers.iter() {
        let mut values = request.fields().get_all(field.name).iter();
        assert!(values.any(|value| value.as_bytes() == field.value.trim_ascii()), "{}", field.name);
    }
}

fn the_function_gets_it(request: Request) {
    let method = request.line().0.to_owned();
    let target = request.line().1.to_vec();
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    for mode in [HeaderMode::Single, HeaderMode::Multi] {
        let Ok(event) = fuzzing::event(request.clone(), mode) else { continue };
        // The function must reject a target that cannot be in a request line.
        let Ok(event) = decode_request(FORMATS, &Bytes::from(event)) else { continue };
        assert_eq!(event.request.method().as_str(), method);
        assert_eq!(event.request.uri().path().as_bytes(), path);
        assert_eq!(event.request.body(), &request.body);
        let hosts = event.request.headers().get_all("host").iter().count();
        assert_eq!(hosts, 1);
    }
}
