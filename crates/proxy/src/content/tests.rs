//! The mapping of content, as tables: a back end, its public URL, and what becomes of a text.

use std::sync::Arc;

use bytes::Bytes;
use crossfade_route::{Nothing, RoutingTable};
use http::header::HeaderValue;
use http::{HeaderMap, Method, Response};

use super::mapping::map;

/// A back end, what clients see, and the `Host` that the back end got.
#[derive(Clone, Copy)]
struct Case(&'static str, &'static str, Option<&'static str>);

const PLAIN: Case = Case("https://old.example.com", "https://shop.example.com", None);
const BASED: Case = Case("https://old.example.com:8443/v2", "https://shop.example.com", None);
const BELOW: Case = Case("https://old.example.com", "https://shop.example.com/new", None);

fn response(Case(url, public, host): Case, fields: &[(&'static str, &'static str)], body: &[u8]) -> Response<Bytes> {
    let text = format!(
        "{{version: 1, backends: {{b: {{url: '{url}', publicUrl: {{url: '{public}', content: ['text/*', \
         application/json]}}}}}}, default: {{forward: b}}}}"
    );
    let table = RoutingTable::from_config(&text, "", &Nothing).unwrap();
    let backend = &table.backends()[0];
    let mut response = Response::new(Bytes::copy_from_slice(body));
    for (name, value) in fields {
        response.headers_mut().append(*name, HeaderValue::from_static(value));
    }
    let host = host.map_or_else(|| backend.authority.clone(), HeaderValue::from_static);
    let request = HeaderMap::from_iter([(http::header::HOST, host)]);
    map(backend.public_url.as_ref().unwrap(), backend, &Method::GET, &request, &mut response);
    response
}

fn mapped(case: Case, media_type: &'static str, text: &str) -> String {
    let response = response(case, &[("content-type", media_type)], text.as_bytes());
    // The pieces that a text comes in do not matter.
    for size in [1, 2, 3, 7] {
        assert_eq!(in_pieces(case, media_type, text, size), response.body()[..], "{text}");
    }
    String::from_utf8(response.into_body().to_vec()).unwrap()
}

fn in_pieces(Case(url, public, host): Case, media_type: &str, text: &str, size: usize) -> Vec<u8> {
    let text_of_file = format!(
        "{{version: 1, backends: {{b: {{url: '{url}', publicUrl: {{url: '{public}', content: ['text/*', \
         application/json]}}}}}}, default: {{forward: b}}}}"
    );
    let table = RoutingTable::from_config(&text_of_file, "", &Nothing).unwrap();
    let backend = &table.backends()[0];
    let host = host.map_or_else(|| backend.authority.clone(), HeaderValue::from_static);
    let public = backend.public_url.as_ref().unwrap();
    let names = Arc::new(super::names::Names::new(public, backend, Some(&host)));
    let mut mapping = super::mapping::Mapping::new(names, public, media_type.split(';').next().unwrap());
    let mut out = Vec::new();
    for piece in text.as_bytes().chunks(size) {
        mapping.push(piece, &mut out);
    }
    mapping.finish(&mut out);
    out
}

#[test]
fn urls_of_the_back_end_become_public_in_any_text() {
    for (text, expected) in [
        ("https://old.example.com/a", "https://shop.example.com/a"),
        ("HTTP://OLD.example.com", "https://shop.example.com"),
        (r#"{"a": "https:\/\/old.example.com\/x"}"#, r#"{"a": "https:\/\/shop.example.com\/x"}"#),
        (r#""\/\/old.example.com\/x""#, r#""\/\/shop.example.com\/x""#),
        (r#"{\"a\": \"https:\\\/\\\/old.example.com\"}"#, r#"{\"a\": \"https:\\\/\\\/shop.example.com\"}"#),
        (r#""https:\u002F\u002Fold.example.com\u002Fx""#, r#""https:\u002F\u002Fshop.example.com\u002Fx""#),
        ("(//old.example.com/x)", "(//shop.example.com/x)"),
        ("https://old.example.com:443/a", "https://shop.example.com/a"),
        ("http://old.example.com:80", "https://shop.example.com"),
        ("see https://old.example.com.", "see https://shop.example.com."),
        ("https://old.example.com./a", "https://shop.example.com/a"),
        ("https://old.example.com: that", "https://shop.example.com: that"),
        ("https://old.example.com,https://old.example.com", "https://shop.example.com,https://shop.example.com"),
        ("\u{201C}https://old.example.com\u{201D}", "\u{201C}https://shop.example.com\u{201D}"),
        ("httphttps://old.example.com?q#f", "httphttps://shop.example.com?q#f"),
        ("https://https://old.example.com/", "https://https://shop.example.com/"),
    ] {
        assert_eq!(mapped(PLAIN, "application/json", text), expected, "{text}");
    }
}

#[test]
fn no_other_host_is_one_of_the_back_end() {
    for text in [
        "https://gold.example.com/",
        "https://old.example.com.evil.org/",
        "https://old.example.community/",
        "https://old.example.com-evil.org/",
        "https://old.example.com_/",
        "https://old.example.com@evil.org/",
        "https://old.example.com:443@evil.org/",
        "https://old.example.com:secret@evil.org/",
        "https://old.example.com:9000/",
        "https://old.example.com:4430/",
        "https://old.example.com:44300000/",
        "https://old.example.com%2Eevil.org/",
        "https://old.example.com\u{E9}.fr/",
        "https://user@old.example.com/",
        "ftp://old.example.com/",
        "old.example.com",
        "https://other.example.com//old.example.com/",
        "https:/old.example.com",
        "https%3A%2F%2Fold.example.com%2Fcart",
        "https://shop.example.com/",
        "https://",
        "//",
        "h",
        "",
    ] {
        assert_eq!(mapped(PLAIN, "text/html", text), text);
    }
}

#[test]
fn base_paths_are_mapped_with_their_host() {
    for (case, text, expected) in [
        (BASED, "https://old.example.com:8443/v2/a", "https://shop.example.com/a"),
        (BASED, "https://old.example.com/v2?q", "https://shop.example.com?q"),
        (BASED, r#""https:\/\/old.example.com:8443\/v2\/a""#, r#""https:\/\/shop.example.com\/a""#),
        (BASED, "https://old.example.com/v22/a", "https://old.example.com/v22/a"),
        (BASED, "https://old.example.com/admin", "https://old.example.com/admin"),
        (BELOW, "https://old.example.com/a", "https://shop.example.com/new/a"),
        (BELOW, r#""https:\/\/old.example.com\/a""#, r#""https:\/\/shop.example.com\/new\/a""#),
        (
            Case("https://10.0.0.1:8443", "https://shop.example.com", Some("old.example.com:81")),
            "https://old.example.com:81/ http://10.0.0.1:8443/",
            "https://shop.example.com/ https://shop.example.com/",
        ),
        (
            Case("https://[fd00::1]", "https://shop.example.com", None),
            "https://[FD00::1]/a",
            "https://shop.example.com/a",
        ),
    ] {
        assert_eq!(mapped(case, "application/json", text), expected, "{text}");
    }
}

#[test]
fn html() {
    for (text, expected) in [
        (r#"<a href="/v2/a">/v2/a</a>"#, r#"<a href="/a">/v2/a</a>"#),
        ("<a HREF = /v2/a>", "<a HREF = /a>"),
        ("<a href='/v2'>", "<a href='/'>"),
        ("<a href='/v2?x=1&amp;y'>", "<a href='/?x=1&amp;y'>"),
        ("<a href=/v2>", "<a href=/>"),
        ("<a href=' /v2/a'>", "<a href=' /a'>"),
        ("<a href='&#x2F;v2&#47;a'>", "<a href='&#47;a'>"),
        ("<a href='/v2//evil.example/'>", "<a href='https://shop.example.com//evil.example/'>"),
        ("<a href='/v22/a' title='/v2/a' href>", "<a href='/v22/a' title='/v2/a' href>"),
        ("<a href='//old.example.com/v2/a'>", "<a href='//shop.example.com/a'>"),
        (
            "<a href='https&#x3A;&#x2F;&#x2F;old.example.com&#x2F;v2'>",
            "<a href='https&#x3A;&#x2F;&#x2F;shop.example.com'>",
        ),
        ("<img srcset='/v2/a.png 1x,/v2/b.png 2x, /v2/c.png'>", "<img srcset='/a.png 1x,/b.png 2x, /c.png'>"),
        ("<base href='https://old.example.com:8443/v2/'>", "<base href='https://shop.example.com/'>"),
        ("<meta http-equiv=Refresh content='5; url=/v2/a'>", "<meta http-equiv=Refresh content='5; url=/a'>"),
        ("<meta name=x content='5; url=/v2/a'>", "<meta name=x content='5; url=/v2/a'>"),
        ("<p style='background: url(/v2/a)'>", "<p style='background: url(/a)'>"),
        (
            "<style>a { background: URL( '/v2/a' ) } @import \"/v2/b\";</style>url(/v2/c)",
            "<style>a { background: URL( '/a' ) } @import \"/b\";</style>url(/v2/c)",
        ),
        (
            "<script>a = '<a href=/v2/a>'; b = 'https://old.example.com/v2/b'</script><a href=/v2/c>",
            "<script>a = '<a href=/v2/a>'; b = 'https://shop.example.com/b'</script><a href=/c>",
        ),
        ("<!-- <a href=/v2/a> --><a href=/v2/b>", "<!-- <a href=/v2/a> --><a href=/b>"),
        ("<!--><a href=/v2/b>", "<!--><a href=/b>"),
        ("<!doctype html><a href=/v2/b>", "<!doctype html><a href=/b>"),
        ("1 < 2 <3 <a href=/v2/b", "1 < 2 <3 <a href=/v2/b"),
        ("<a title='>' href=/v2/b>", "<a title='>' href=/b>"),
        ("<a title=it's href=/v2/b>", "<a title=it's href=/b>"),
        ("<textarea><a href=/v2/a></textarea >", "<textarea><a href=/v2/a></textarea >"),
        // The hash of a resource that is mapped is wrong; another host's is not.
        ("<link rel=stylesheet integrity='sha384-x' href='/v2/a.css'>", "<link rel=stylesheet  href='/a.css'>"),
        ("<script src=a.js integrity=sha384-x></script>", "<script src=a.js ></script>"),
        (
            "<script src=https://cdn.example/a.js integrity=sha384-x></script>",
            "<script src=https://cdn.example/a.js integrity=sha384-x></script>",
        ),
        (
            "<script src=https://old.example.com/v2/a.js integrity=sha384-x></script>",
            "<script src=https://shop.example.com/a.js ></script>",
        ),
    ] {
        assert_eq!(mapped(BASED, "text/html; charset=utf-8", text), expected, "{text}");
    }
    assert_eq!(
        mapped(BELOW, "text/html", "<a href=/a><a href=a><a href=//x/a>"),
        "<a href=/new/a><a href=a><a href=//x/a>"
    );
    assert_eq!(mapped(BELOW, "text/css", "url(/a) url(a) url('//x/a')"), "url(/new/a) url(a) url('//x/a')");
}

#[test]
fn a_tag_that_does_not_end_takes_no_memory() {
    let text = format!("<img src='data:{}' title='https://old.example.com/v2/a'><a href=/v2/a>", "x".repeat(200_000));
    let expected = text.replace("old.example.com/v2", "shop.example.com").replace("=/v2/a", "=/a");
    assert_eq!(mapped(BASED, "text/html", &text), expected);
}

#[test]
fn fields_follow_the_content() {
    let html = [("content-type", "text/html"), ("etag", "\"a\""), ("accept-ranges", "bytes")];
    let untouched = response(PLAIN, &html, b"https://other.example.com/");
    assert_eq!((&untouched.headers()["etag"], untouched.headers().len()), (&HeaderValue::from_static("\"a\""), 3));
    let changed = response(PLAIN, &html, b"https://old.example.com/");
    assert_eq!((&changed.headers()["etag"], changed.headers().len()), (&HeaderValue::from_static("W/\"a\""), 2));
    for fixed in [("cache-control", "no-transform"), ("content-range", "bytes 0-1/2"), ("content-encoding", "x")] {
        let it = response(PLAIN, &[&html[..], &[fixed]].concat(), b"https://old.example.com/");
        assert_eq!((&it.body()[..], it.headers().len()), (&b"https://old.example.com/"[..], 4), "{fixed:?}");
    }
    let it = response(PLAIN, &[("content-type", "image/png")], b"https://old.example.com/");
    assert_eq!(&it.body()[..], b"https://old.example.com/");
    // UTF-16 is left alone.
    let wide: Vec<u8> = "https://old.example.com/".bytes().flat_map(|byte| [byte, 0]).collect();
    assert_eq!(response(PLAIN, &html, &wide).body(), &wide);
}

#[test]
fn random_text_without_a_name_stays_the_same_and_pieces_do_not_matter() {
    let parts = [
        "<",
        ">",
        "a",
        "href",
        "=",
        "'",
        "\"",
        "/",
        "v2",
        "\\/",
        "https:",
        "//",
        "old.example.com",
        ":8443",
        "script",
        "</script>",
        "<style>",
        "url(",
        "@import",
        " ",
        "&#x2F;",
        "<!--",
        "-->",
        "srcset",
        ",",
        "integrity",
        "\u{E9}",
        ".",
    ];
    let mut seed = 7_u64;
    for _ in 0..3000 {
        let mut text = String::new();
        for _ in 0..14 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(parts[(seed >> 33) as usize % parts.len()]);
        }
        let whole = in_pieces(BASED, "text/html", &text, usize::MAX);
        for size in [1, 5] {
            assert_eq!(in_pieces(BASED, "text/html", &text, size), whole, "{text}");
        }
        let foreign = text.replace("old", "other").replace("/v2", "/v3").replace("integrity", "x").replace("\\/v2", "");
        let same = in_pieces(PLAIN, "text/html", &foreign, 3);
        assert_eq!(String::from_utf8_lossy(&same), foreign);
    }
}
