//! Any content of a back end with `publicUrl.content`: it is mapped in pieces as it is in the whole, little of it waits, and once
//! mapped it stays as it is.

use std::sync::OnceLock;

use crossfade_proxy::fuzzing::{decoded, mapped};
use crossfade_route::{Nothing, RoutingTable};

const TYPES: [&str; 4] = ["text/html", "text/css", "application/json", "text/plain"];
/// Bytes of a tag that wait for its end, and of a URL.
const MOST_HELD: usize = 64 * 1024 + 512;
/// Bytes of decoded content.
const MOST_DECODED: usize = 64 * 1024;

const CONFIG: &str = "
version: 1
backends:
  plain: { url: https://old.example, publicUrl: { url: https://new.example, content: 'text/*' } }
  based: { url: https://old.example:8443/v2, publicUrl: { url: https://new.example, content: ['text/*', text/javascript] } }
  below: { url: https://old.example, publicUrl: { url: http://new.example:81/new, content: 'text/*' } }
default: { forward: plain }
";

/// Three characters choose the back end, the media type and the length of the pieces; the rest is the content.
pub fn content(data: &[u8]) {
    let Some((&[backend, kind, length], text)) = data.split_first_chunk() else { return };
    let table = table();
    let index = usize::from(backend % 3);
    let Some(backend) = table.backends().get(index) else { return };
    let media_type = TYPES.get(usize::from(kind % 4)).copied().unwrap_or_default();
    let length = usize::from(length % 16) + 1;

    let whole = mapped(backend, media_type, [text]).expect("a public URL");
    let pieces = mapped(backend, media_type, text.chunks(length)).expect("a public URL");
    assert_eq!((&pieces.content, pieces.is_changed), (&whole.content, whole.is_changed), "pieces of {length}");
    assert!(pieces.held <= MOST_HELD && whole.held <= MOST_HELD, "{} {}", pieces.held, whole.held);
    assert_eq!(whole.is_changed, whole.content != text);
    if index == 0 {
        let url = b"https://old.example/";
        assert!(!whole.content.windows(url.len()).any(|window| window.eq_ignore_ascii_case(url)));
        let again = mapped(backend, media_type, [&whole.content[..]]).expect("a public URL");
        assert_eq!((&again.content, again.is_changed), (&whole.content, false));
    }

    assert_eq!(decoded(text.chunks(length), MOST_DECODED), decoded([text], MOST_DECODED));
}

fn table() -> &'static RoutingTable {
    static TABLE: OnceLock<RoutingTable> = OnceLock::new();
    TABLE.get_or_init(|| {
        RoutingTable::from_config(CONFIG, "fuzz.yaml", &Nothing).unwrap_or_else(|errors| panic!("{errors}"))
    })
}
