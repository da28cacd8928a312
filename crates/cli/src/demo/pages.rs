//! The responses of a demo back end: a pure function of the request and the time, with one arm per path.
//!
//! Owns status, fields and the choice of content. `content` has the bytes, `shop` the pages that differ between the systems, and
//! `demo` the sockets and waiting.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, LOCATION, SET_COOKIE,
};
use http::request::Parts;
use http::{Method, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Body;
use maud::{DOCTYPE, html};
use serde_json::json;

use super::answer::{Answer, content, text};
use super::{MAX_BODY, System, content, shop};
use crate::html::render;

/// Field that names the system that responded. Unlike `Server`, it is not replaced on the way.
const DEMO_BACKEND: HeaderName = HeaderName::from_static("x-demo-backend");
const DEMO_METHOD: HeaderName = HeaderName::from_static("x-demo-method");
const OBS_TEXT: HeaderName = HeaderName::from_static("x-obs-text");

/// Maximum wait of `/slow`.
const MAX_DELAY: Duration = Duration::from_secs(60);

const ENTITY_TAG: &str = "\"crossfade-demo-1\"";

static PICTURE: LazyLock<Bytes> = LazyLock::new(|| content::png().into());

/// Response time: `/slow?ms=N` waits `N` ms, at most a minute; the shop defines the other pages.
pub(super) fn delay(system: System, uri: &Uri) -> Duration {
    if uri.path() != "/slow" {
        return shop::delay(system, uri);
    }
    let milliseconds = query_value(uri, "ms").and_then(|value| value.parse().ok()).unwrap_or(0);
    Duration::from_millis(milliseconds).min(MAX_DELAY)
}

/// Returns the response to a request.
pub(super) fn answer(system: System, parts: &Parts, body: Bytes, now: SystemTime) -> Answer {
    let path = parts.uri.path();
    let mut answer = match path {
        "/" => index(system),
        "/echo" => echo(system, parts, &body),
        "/image" => content("image/png", PICTURE.clone()),
        "/gzip" => gzip(),
        "/latin1" => content("text/html; charset=iso-8859-1", &b"<p>Caf\xe9\n<p>d\xe9j\xe0 vu\n"[..]),
        "/cookies" => cookies(),
        "/redirect" => redirect(&parts.uri),
        "/slow" => text(StatusCode::OK, "here at last\n"),
        "/upload" => upload(parts, body),
        "/head" => head(parts),
        "/etag" => etag(parts),
        "/obs-text" => obs_text(),
        _ => match path.rsplit_once('/') {
            Some(("/bytes", n)) => sized(n, "application/octet-stream", content::noise),
            Some(("/text", n)) => sized(n, "text/plain; charset=utf-8", content::prose),
            Some(("/status", code)) => status(code),
            _ => shop::page(system, path, now).unwrap_or_else(|| text(StatusCode::NOT_FOUND, "no such page\n")),
        },
    };
    answer.headers_mut().insert(DEMO_BACKEND, HeaderValue::from_static(system.name()));
    if parts.method == Method::HEAD { without_body(answer) } else { answer }
}

/// The fields of a GET without its body (RFC 9110 section 9.3.2). hyper omits the body in HTTP/1.1 only.
fn without_body(answer: Answer) -> Answer {
    let (mut head, body) = answer.into_parts();
    if let Some(length) = body.size_hint().exact()
        && !matches!(head.status.as_u16(), 204 | 304)
    {
        head.headers.insert(CONTENT_LENGTH, length.into());
    }
    Response::from_parts(head, Full::default())
}

/// Paths that demonstrate the abilities of a demo back end.
const PATHS: [&str; 21] = [
    "/orders/42",
    "/products/7",
    "/customers/10",
    "/carts/3",
    "/reviews/5",
    "/search?q=cup",
    "/help/returns",
    "/invoices/9.pdf",
    "/echo?q=a%20b",
    "/image",
    "/bytes/1000",
    "/text/1000",
    "/gzip",
    "/latin1",
    "/cookies",
    "/redirect?to=/orders/42",
    "/status/404",
    "/slow?ms=500",
    "/head",
    "/etag",
    "/obs-text",
];

/// The page that a newcomer sees first.
fn index(system: System) -> Answer {
    let title = format!("The {} system", system.name());
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { (title) } }
            body {
                h1 { (title) }
                p { "A demo back end of Crossfade. POST something to " code { "/upload" } " and it comes back." }
                ul { @for path in PATHS { li { a href=(path) { (path) } } } }
            }
        }
    };
    content("text/html; charset=utf-8", render(page) + "\n")
}

/// The request as it arrived, one field per line. Field names are in lower case, as in HTTP/2; fields with the same name are
/// grouped; bytes of a value above 0x7F are shown as Latin-1 characters.
fn echo(system: System, parts: &Parts, body: &[u8]) -> Answer {
    let latin1 = |value: &HeaderValue| value.as_bytes().iter().copied().map(char::from).collect::<String>();
    let fields: Vec<String> =
        parts.headers.iter().map(|(name, value)| format!("    {}", json!([name.as_str(), latin1(value)]))).collect();
    let members = [
        ("backend", json!(system.name())),
        ("method", json!(parts.method.as_str())),
        ("target", json!(parts.uri.path_and_query().map(|target| target.as_str()))),
        ("authority", json!(parts.uri.authority().map(|authority| authority.as_str()))),
        ("version", json!(format!("{:?}", parts.version))),
        ("bodyLength", json!(body.len())),
        ("bodyBase64", json!(base64_simd::STANDARD.encode_to_string(body))),
    ];
    let members: String = members.iter().map(|(name, value)| format!("  \"{name}\": {value},\n")).collect();
    content("application/json", format!("{{\n{members}  \"fields\": [\n{}\n  ]\n}}\n", fields.join(",\n")))
}

fn gzip() -> Answer {
    let mut answer = content("text/plain; charset=utf-8", content::gzip(&content::prose(2_000)));
    answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    answer
}

/// Three cookies, one of them with a comma: folding them into one field would break them (RFC 6265 section 3).
fn cookies() -> Answer {
    let mut answer = text(StatusCode::OK, "three cookies\n");
    for cookie in [
        "session=abc123; Path=/; HttpOnly",
        "theme=dark; Path=/; Expires=Wed, 09 Jun 2100 10:18:14 GMT",
        "lang=fr; Path=/; SameSite=Lax",
    ] {
        answer.headers_mut().append(SET_COOKIE, HeaderValue::from_static(cookie));
    }
    answer
}

/// `?to=` becomes `Location` byte for byte.
fn redirect(uri: &Uri) -> Answer {
    let Ok(to) = HeaderValue::from_str(query_value(uri, "to").unwrap_or("/")) else {
        return text(StatusCode::BAD_REQUEST, "`to` cannot be a field value\n");
    };
    let mut answer = text(StatusCode::FOUND, "look elsewhere\n");
    answer.headers_mut().insert(LOCATION, to);
    answer
}

/// The unchanged body, with the client's `Content-Type` and `Content-Encoding`.
fn upload(parts: &Parts, body: Bytes) -> Answer {
    let mut answer = content("application/octet-stream", body);
    for name in [CONTENT_TYPE, CONTENT_ENCODING] {
        if let Some(value) = parts.headers.get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}

/// Returns the method in a field, because the response to HEAD has no body.
fn head(parts: &Parts) -> Answer {
    let mut answer = content("text/plain; charset=utf-8", content::prose(1_024));
    let method = if parts.method == Method::HEAD { "HEAD" } else { "not HEAD" };
    answer.headers_mut().insert(DEMO_METHOD, HeaderValue::from_static(method));
    answer
}

fn etag(parts: &Parts) -> Answer {
    let known = parts
        .headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| matches!(tag.trim(), "*" | ENTITY_TAG) || tag.trim().strip_prefix("W/") == Some(ENTITY_TAG));
    let mut answer = if known { empty(StatusCode::NOT_MODIFIED) } else { text(StatusCode::OK, "the first version\n") };
    answer.headers_mut().insert(ETAG, HeaderValue::from_static(ENTITY_TAG));
    answer
}

/// A field value that is valid in HTTP (RFC 9110 section 5.5, `obs-text`) but not UTF-8: `caf` and the byte 0xE9.
fn obs_text() -> Answer {
    let mut answer = text(StatusCode::OK, "see the field `x-obs-text`\n");
    if let Ok(value) = HeaderValue::from_bytes(b"caf\xe9") {
        answer.headers_mut().insert(OBS_TEXT, value);
    }
    answer
}

fn sized(n: &str, media_type: &'static str, make: fn(usize) -> Vec<u8>) -> Answer {
    match n.parse() {
        Ok(n) if n <= MAX_BODY => content(media_type, make(n)),
        _ => text(StatusCode::BAD_REQUEST, "a size from 0 to 16777216\n"),
    }
}

fn status(code: &str) -> Answer {
    match code.parse::<StatusCode>() {
        Ok(code) if matches!(code.as_u16(), 204 | 304) => empty(code),
        Ok(code) if (200..=599).contains(&code.as_u16()) => text(code, "as you asked\n"),
        _ => text(StatusCode::BAD_REQUEST, "a status from 200 to 599\n"),
    }
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

/// The first value of a key, exactly as sent.
fn query_value<'a>(uri: &'a Uri, key: &str) -> Option<&'a str> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::BodyExt;

    use super::*;

    fn ask(system: System, request: http::request::Builder, body: &'static [u8]) -> (Response<()>, Vec<u8>) {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let (head, body) = answer(system, &parts, Bytes::from_static(body), SystemTime::UNIX_EPOCH).into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        (Response::from_parts(head, ()), runtime.block_on(body.collect()).unwrap().to_bytes().to_vec())
    }

    #[test]
    fn echo_tells_target_fields_and_body_exactly() {
        let request = Request::post("https://h/echo?q=a%20b+c&q=%E9%2F&flag")
            .header("x-two", "1")
            .header("X-Two", HeaderValue::from_bytes(b"\xe9").unwrap());
        let (_, body) = ask(System::Modern, request, b"\x00\xff");
        let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(told["target"], "/echo?q=a%20b+c&q=%E9%2F&flag");
        assert_eq!(told["fields"], json!([["x-two", "1"], ["x-two", "\u{e9}"]]));
        assert_eq!((&told["bodyLength"], &told["bodyBase64"]), (&json!(2), &json!("AP8=")));
        assert_eq!(told["backend"], "modern");
    }

    #[test]
    fn head_has_the_fields_of_get_and_no_body() {
        let (get, page) = ask(System::Legacy, Request::get("/"), b"");
        let (head, body) = ask(System::Legacy, Request::head("/"), b"");
        assert_eq!(body, b"");
        assert_eq!(head.headers()[CONTENT_LENGTH], page.len().to_string());
        assert_eq!(head.headers()[CONTENT_TYPE], get.headers()[CONTENT_TYPE]);
    }

    #[test]
    fn a_name_in_a_page_stays_text() {
        for (system, words) in [(System::Legacy, "Call us"), (System::Modern, "Write to us")] {
            let (_, page) = ask(system, Request::get("/help/\"onload='x'&{}"), b"");
            let page = String::from_utf8(page).unwrap();
            assert!(page.contains(&format!("<p>About &quot;onload='x'&amp;{{}}. {words}")), "{page}");
        }
    }

    #[test]
    fn the_two_systems_differ_in_the_data_and_in_the_field_that_names_them() {
        let (legacy, old) = ask(System::Legacy, Request::get("/orders/42"), b"");
        let (modern, new) = ask(System::Modern, Request::get("/orders/42"), b"");
        assert_eq!(
            (&legacy.headers()[DEMO_BACKEND], &modern.headers()[DEMO_BACKEND]),
            (&"legacy".parse().unwrap(), &"modern".parse().unwrap())
        );
        assert_ne!(old, new);
    }

    #[test]
    fn statuses_outside_200_to_599_and_absurd_sizes_are_refused() {
        for path in ["/status/100", "/status/99", "/status/600", "/status/x", "/bytes/16777217", "/bytes/-1", "/text/"]
        {
            assert_eq!(ask(System::Legacy, Request::get(path), b"").0.status(), 400, "{path}");
        }
        for path in ["/orders/", "/orders", "/nothing", "//echo", "/echo/"] {
            assert_eq!(ask(System::Legacy, Request::get(path), b"").0.status(), 404, "{path}");
        }
        assert_eq!(ask(System::Legacy, Request::get("/status/599"), b"").0.status(), 599);
    }

    #[test]
    fn an_entity_tag_is_found_in_a_list_and_weakly() {
        for (value, status) in [
            ("\"x\", \"crossfade-demo-1\"", 304),
            ("W/\"crossfade-demo-1\"", 304),
            ("*", 304),
            ("\"crossfade-demo-2\"", 200),
        ] {
            let (answer, body) = ask(System::Legacy, Request::get("/etag").header(IF_NONE_MATCH, value), b"");
            assert_eq!((answer.status().as_u16(), body.is_empty()), (status, status == 304), "{value}");
        }
    }

    #[test]
    fn an_upload_comes_back_under_its_own_type_and_coding() {
        let request = Request::post("/upload").header("content-type", "text/x-odd").header("content-encoding", "br");
        let (answer, body) = ask(System::Legacy, request, b"\x1f\x8b\x00");
        assert_eq!(body, b"\x1f\x8b\x00");
        assert_eq!(
            (&answer.headers()["content-type"], &answer.headers()["content-encoding"]),
            (&"text/x-odd".parse().unwrap(), &"br".parse().unwrap())
        );
    }

    #[test]
    fn the_wait_is_bounded_and_belongs_to_one_path() {
        let wait = |uri: &'static str| delay(System::Legacy, &Uri::from_static(uri));
        assert_eq!(wait("/slow?ms=20"), Duration::from_millis(20));
        assert_eq!(wait("/slow?x=1&ms=99999999"), MAX_DELAY);
        assert_eq!((wait("/slow?ms=-1"), wait("/echo?ms=20")), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn a_redirect_keeps_its_target_byte_for_byte() {
        let (answer, _) = ask(System::Legacy, Request::get("/redirect?to=https://x/%2f?a%20b"), b"");
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()[LOCATION]),
            (302, &"https://x/%2f?a%20b".parse().unwrap())
        );
    }
}
