//! The normal form of a path, which conditions are evaluated on: "rule evaluation happens only after URI normalization"
//! (ALB user guide, "Condition types"), for which this takes RFC 3986 section 6.2.2. Does not own the path that is
//! forwarded, which stays as it was sent.

use std::borrow::Cow;

/// Returns the path in its normal form; borrowed if it has that form already, which costs one look at each byte.
///
/// Escapes of letters, digits and `- . _ ~` are decoded, the others get hex digits in upper case, and dot segments are
/// removed. `//` stays, and so do escapes such as `%2F` and a `%` without two hex digits. Takes time linear in the length
/// of the path. The normal form of a normal form is itself, and that of ASCII or UTF-8 is UTF-8.
#[must_use]
pub fn normalised(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.contains(&b'%') && !path.windows(2).any(|pair| matches!(pair, [b'/', b'.'])) {
        return Cow::Borrowed(path);
    }
    let normal = without_dot_segments(with_normal_escapes(path));
    if normal == path { Cow::Borrowed(path) } else { Cow::Owned(normal) }
}

/// Replaces each escape as soon as its last byte is read: a decoded digit may complete another one after a stray `%`.
pub(crate) fn with_normal_escapes(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        out.push(*byte);
        while let Some([b'%', high, low]) = out.last_chunk_mut()
            && let Some(byte) = decoded(*high, *low)
        {
            if !is_unreserved(byte) {
                high.make_ascii_uppercase();
                low.make_ascii_uppercase();
                break;
            }
            out.truncate(out.len() - 3);
            out.push(byte);
        }
    }
    out
}

fn decoded(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// RFC 3986 section 5.2.4. What does not begin with `/`, such as `*`, has no segments.
fn without_dot_segments(path: Vec<u8>) -> Vec<u8> {
    let Some(b'/') = path.first() else { return path };
    let mut out = Vec::with_capacity(path.len());
    let mut segments = path.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            b"." => {}
            b".." => out.truncate(out.iter().rposition(|byte| *byte == b'/').unwrap_or(0)),
            name => {
                out.push(b'/');
                out.extend_from_slice(name);
                continue;
            }
        }
        // The last one is a directory.
        if is_last {
            out.push(b'/');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str) -> String {
        String::from_utf8(normalised(path.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn paths_and_their_normal_forms() {
        for (path, normal) in [
            ("/", "/"),
            ("", ""),
            ("*", "*"),
            ("/api/x", "/api/x"),
            ("/favicon.ico", "/favicon.ico"),
            ("/zzz/../api/x", "/api/x"),
            ("/%61pi/x", "/api/x"),
            ("/zzz/%2e%2E/api/x", "/api/x"),
            ("/zzz/.%2e/%61pi/x", "/api/x"),
            ("/a/b/..", "/a/"),
            ("/a/b/.", "/a/b/"),
            ("/a/./b", "/a/b"),
            ("/..", "/"),
            ("/.", "/"),
            ("/../../a", "/a"),
            ("/a/../../b", "/b"),
            ("/a/b/c/./../../g", "/a/g"),
            ("//a", "//a"),
            ("/a//../b", "/a/b"),
            ("/..//a", "//a"),
            ("/a//", "/a//"),
            ("/...", "/..."),
            ("/.well-known/a", "/.well-known/a"),
            ("/a/..b/.c", "/a/..b/.c"),
            ("/a/..;/b", "/a/..;/b"),
            ("/a%2fb", "/a%2Fb"),
            ("/a/..%2fb", "/a/..%2Fb"),
            ("/a%2Fb%3f%23", "/a%2Fb%3F%23"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/caf\u{e9}/%7Ea", "/caf\u{e9}/~a"),
            ("/%2561", "/%2561"),
            ("/%252e%252e/a", "/%252e%252e/a"),
            ("/100%", "/100%"),
            ("/%4", "/%4"),
            ("/%zz/%+1", "/%zz/%+1"),
            ("/%00", "/%00"),
            ("/%%361", "/a"),
            ("/a/%%32e%%32e/b", "/b"),
        ] {
            assert_eq!(text(path), normal, "{path}");
        }
    }

    #[test]
    fn what_is_normal_is_borrowed() {
        for path in ["/", "*", "/a/b.c?", "//", "/caf%C3%A9", "/.well-known", "/\u{ff}", "/100%"] {
            assert!(matches!(normalised(path.as_bytes()), Cow::Borrowed(_)), "{path}");
        }
        assert_eq!(normalised(b"/\xff/../\xfe%41"), &b"/\xfeA"[..]);
    }

    #[test]
    fn hostile_paths_take_linear_time() {
        let many = 100_000;
        assert_eq!(text(&"/a/..".repeat(many)), "/");
        assert_eq!(text(&("/a".repeat(many) + &"/..".repeat(many))), "/");
        assert_eq!(text(&("/".to_owned() + &"%".repeat(many) + &"41".repeat(many))), {
            let left = many - 1;
            format!("/{}A{}", "%".repeat(left), "41".repeat(left))
        });
    }

    /// One pass over the escapes, as section 6.2.2 describes it.
    fn one_pass(path: &str) -> String {
        let mut out = String::new();
        let mut rest = path;
        while let Some(first) = rest.chars().next() {
            let code = rest.get(1..3).filter(|code| first == '%' && code.bytes().all(|it| it.is_ascii_hexdigit()));
            match code.map(|code| (code, char::from(u8::from_str_radix(code, 16).unwrap()))) {
                Some((_, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_' | '~')) => {
                    out.push(char::from(u8::from_str_radix(&rest[1..3], 16).unwrap()));
                    rest = &rest[3..];
                }
                Some((code, _)) => {
                    out.push('%');
                    out.push_str(&code.to_uppercase());
                    rest = &rest[3..];
                }
                None => {
                    out.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        out
    }

    /// The steps of section 5.2.4, word for word.
    fn remove_dot_segments(path: &str) -> String {
        let (mut input, mut output) = (path.to_owned(), String::new());
        let remove_last = |output: &mut String| output.truncate(output.rfind('/').unwrap_or(0));
        while !input.is_empty() {
            if let Some(rest) = input.strip_prefix("/./") {
                input = format!("/{rest}");
            } else if input == "/." {
                input = "/".to_owned();
            } else if let Some(rest) = input.strip_prefix("/../") {
                input = format!("/{rest}");
                remove_last(&mut output);
            } else if input == "/.." {
                input = "/".to_owned();
                remove_last(&mut output);
            } else {
                let end = input[1..].find('/').map_or(input.len(), |at| at + 1);
                output.push_str(&input[..end]);
                input = input[end..].to_owned();
            }
        }
        output
    }

    /// Pass after pass until nothing changes.
    fn slowly(path: &str) -> String {
        let mut path = path.to_owned();
        loop {
            let next = one_pass(&path);
            if next == path {
                return remove_dot_segments(&path);
            }
            path = next;
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(1_000))]

        #[test]
        fn it_is_what_the_rfc_says(path in "/([a/.%]|%2[eEfF5]|%[346][0-9a-f]|\\.\\./|\u{e9}){0,12}") {
            proptest::prop_assert_eq!(text(&path), slowly(&path));
        }

        #[test]
        fn once_is_enough(path in proptest::collection::vec(
            proptest::prop_oneof![
                proptest::strategy::Just(b'%'),
                proptest::strategy::Just(b'/'),
                proptest::strategy::Just(b'.'),
                proptest::sample::select(b"24567eEfF".to_vec()),
                proptest::num::u8::ANY,
            ],
            0..40,
        )) {
            let once = normalised(&path).into_owned();
            proptest::prop_assert_eq!(&*normalised(&once), &*once);
            proptest::prop_assert!(once.len() <= path.len());
        }
    }
}
