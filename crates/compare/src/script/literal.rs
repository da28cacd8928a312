//! Turns literals of JavaScript into JSON.

use std::fmt::Write;

use super::scan::end_of_string;

/// Returns the JSON of an object, array or scalar literal. What is not a literal becomes something that is not JSON.
pub(super) fn json(literal: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(literal.len() + 16), literal);
    while let Some(first) = rest.bytes().next() {
        let length = match first {
            b'"' | b'\'' => {
                let end = end_of_string(rest).unwrap_or(rest.len());
                push_string(&mut out, rest.get(1..end - 1).unwrap_or_default());
                end
            }
            b'/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            b'!' if rest.starts_with("!0") || rest.starts_with("!1") => {
                out.push_str(if rest.starts_with("!0") { "true" } else { "false" });
                2
            }
            b']' | b'}' => {
                // A comma at the end adds no element.
                if out.ends_with(',') {
                    out.pop();
                }
                out.push(char::from(first));
                1
            }
            _ if first.is_ascii_whitespace() => 1,
            _ if is_word(first) => {
                let end = rest.bytes().position(|byte| !is_word(byte)).unwrap_or(rest.len());
                push_word(&mut out, rest.get(..end).unwrap_or_default(), rest.get(end..).unwrap_or_default());
                end
            }
            _ => {
                out.push(char::from(first));
                1
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

/// Returns the text of a string literal, without its quotes.
pub(super) fn text(inner: &str) -> Option<String> {
    let mut json = String::new();
    push_string(&mut json, inner);
    unquoted(&json)
}

pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.' | b'+') || !byte.is_ascii()
}

/// Adds a number or keyword as it is, and a name as a string.
fn push_word(out: &mut String, word: &str, behind: &str) {
    let is_name = behind.trim_start().starts_with(':');
    match word {
        // JSON has no such values; texts like these are unlikely.
        _ if is_name || matches!(word, "undefined" | "NaN" | "Infinity") => {
            let _ = write!(out, "\"{word}\""); // a String takes all
        }
        _ if word.starts_with('.') => {
            let _ = write!(out, "0{word}");
        }
        _ => out.push_str(word),
    }
}

/// Adds a string with the escapes of JSON.
fn push_string(out: &mut String, inner: &str) {
    out.push('"');
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => match letters.next() {
                Some(escape @ ('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't')) => out.extend(['\\', escape]),
                Some('x') => {
                    let digits: String = letters.by_ref().take(2).collect();
                    let _ = write!(out, "\\u00{digits}");
                }
                Some('u') if letters.as_str().starts_with('{') => {
                    let code = letters.as_str().split_once('}').map_or("", |(code, _)| code);
                    letters.nth(code.len());
                    let code = u32::from_str_radix(code.trim_start_matches('{'), 16).ok().and_then(char::from_u32);
                    out.push(code.unwrap_or('\u{FFFD}'));
                }
                Some('u') => out.push_str("\\u"),
                Some('v') => out.push_str("\\u000b"),
                Some('0') => out.push_str("\\u0000"),
                Some('\n') | None => {}
                Some(other) => out.push(other),
            },
            control if control < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Decodes a JSON string.
fn unquoted(json: &str) -> Option<String> {
    let (mut out, mut units) = (String::with_capacity(json.len()), Vec::new());
    let mut letters = json.strip_prefix('"')?.strip_suffix('"')?.chars();
    while let Some(letter) = letters.next() {
        let plain = match letter {
            '\\' => match letters.next()? {
                'b' => '\u{8}',
                'f' => '\u{C}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let digits: String = letters.by_ref().take(4).collect();
                    units.push(u16::from_str_radix(&digits, 16).ok()?);
                    continue;
                }
                other => other,
            },
            other => other,
        };
        out.extend(char::decode_utf16(units.drain(..)).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
        out.push(plain);
    }
    out.extend(char::decode_utf16(units.drain(..)).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_json() {
        for (literal, expected) in [
            ("{a: 1, 'b': \"c\",}", r#"{"a":1,"b":"c"}"#),
            (r"'it\'s \x41 \u{1F600} \u0041 \v' ", r#""it's \u0041 😀 \u0041 \u000b""#),
            ("'\"'", r#""\"""#),
            ("[!0, !1, .5, null, undefined]", r#"[true,false,0.5,null,"undefined"]"#),
            ("[1 /* one */, // two\n 2]", "[1,2]"),
        ] {
            assert_eq!(json(literal), expected, "{literal}");
        }
        assert_eq!(text(r#"{\"a\":\"\u00e9\\n\"}"#).as_deref(), Some("{\"a\":\"é\\n\"}"));
        assert_eq!(text(r"\ud83d\ude00"), Some("😀".to_owned()));
        assert_eq!(text(r"\uzz"), None);
    }
}
