//! Redaction of messages: everything is shown except what looks like a secret. `crossfade-journal` defines what looks like
//! one; this module looks for it in fields, paths and queries, JSON, forms and other text.
//!
//! Content that cannot be decoded cannot be searched, so it is not shown.

use std::io::Read;

use crossfade_journal::redaction::{HIDDEN, hide_secrets, is_secret_name, is_secret_parameter};
use crossfade_rule::Condition;

use super::json::{self, Laid, Masks, Path, Rest};

/// Maximum size of a decompressed body.
const MOST_UNPACKED: u64 = 2 * 1024 * 1024;
/// Maximum bytes of a document that are searched and shown, and how far its last word may extend beyond them.
pub(super) const MOST_SHOWN: usize = 200_000;
const LONGEST_WORD: usize = 64 * 1024;
/// Longer names of fields and members are inspected once at most.
const LONGEST_NAME: usize = 256;
/// Names whose values are ids for logs, even if they look like secrets.
const PLAIN_NAMES: [&str; 7] = [
    "x-amzn-trace-id",
    "x-amzn-requestid",
    "x-request-id",
    "traceparent",
    "targetGroupArn",
    "x-amzn-tls-cipher-suite",
    "x-amzn-tls-kx",
];
/// Prefixes of the tokens of well-known services.
const TOKENS: [&str; 12] =
    ["AKIA", "ASIA", "AIza", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "sk_live_", "sk-"];

/// The mode: `Shown` with `crossfade dev --show-secrets`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrets {
    Shown,
    Masked,
}

/// A body as the page shows it.
pub(super) enum Content {
    Empty,
    /// Re-indented.
    Json(Laid),
    Text(Laid),
    /// With the reason.
    NotShown(String),
}

impl Secrets {
    /// Redacts free text that may contain a target, such as the reason for a rejection.
    pub(crate) fn sentence(self, text: &str) -> String {
        let shown = self.text(text);
        let words = shown.split(' ').map(|word| if word.contains('?') { self.target(word) } else { word.to_owned() });
        words.collect::<Vec<_>>().join(" ")
    }

    /// Redacts a condition of a rule: a value that it compares with a secret is a secret as well.
    pub(super) fn condition(self, condition: &Condition) -> String {
        match self {
            Secrets::Shown => condition.to_string(),
            Secrets::Masked => condition.without_secrets(is_secret_parameter, HIDDEN).to_string(),
        }
    }

    /// Redacts a URL from a file: hides only values in its query that look like secrets.
    pub(super) fn url(self, url: &str) -> String {
        match (self, url.split_once('?')) {
            (Secrets::Masked, Some((path, query))) => format!("{path}?{}", self.pairs(query)),
            _ => url.to_owned(),
        }
    }

    pub(crate) fn of(show_secrets: bool) -> Secrets {
        if show_secrets { Secrets::Shown } else { Secrets::Masked }
    }

    /// Redacts free text.
    pub(super) fn text(self, text: &str) -> String {
        match self {
            Secrets::Shown => text.to_owned(),
            Secrets::Masked => without_tokens(&hide_secrets(&without_members(text))),
        }
    }

    /// Redacts the value of a field.
    pub(super) fn field(self, name: &str, value: &str) -> String {
        if self == Secrets::Masked && name.len() > LONGEST_NAME {
            return HIDDEN.to_owned();
        }
        if self == Secrets::Shown || PLAIN_NAMES.iter().any(|plain| name.eq_ignore_ascii_case(plain)) {
            return value.to_owned();
        }
        let pair = |pair: &str| match pair.split_once('=') {
            Some((key, _)) => format!("{key}={HIDDEN}"),
            None => HIDDEN.to_owned(),
        };
        match name.to_ascii_lowercase().as_str() {
            "cookie" => value.split("; ").map(pair).collect::<Vec<_>>().join("; "),
            "set-cookie" => match value.split_once(';') {
                Some((first, attributes)) => format!("{};{attributes}", pair(first)),
                None => pair(value),
            },
            "authorization" | "proxy-authorization" => match value.split_once(' ') {
                Some((scheme, _)) => format!("{scheme} {HIDDEN}"),
                None => HIDDEN.to_owned(),
            },
            "location" | "content-location" | "referer" => self.target(value),
            name if is_secret_parameter(name) => HIDDEN.to_owned(),
            _ => self.text(value),
        }
    }

    /// Redacts a path with a query, or a whole URL.
    pub(crate) fn target(self, target: &str) -> String {
        if self == Secrets::Shown {
            return target.to_owned();
        }
        match target.split_once('?') {
            Some((path, query)) => format!("{}?{}", self.path(path), self.query(query)),
            None => self.path(target),
        }
    }

    fn path(self, path: &str) -> String {
        let shown = self.text(path);
        if shown != path || !path.contains('%') {
            return shown;
        }
        let segments = path.split('/').map(|segment| self.encoded(segment));
        segments.collect::<Vec<_>>().join("/")
    }

    /// Redacts a query of a client: keeps the keys and hides all values, whatever their keys, and the fragment.
    fn query(self, query: &str) -> String {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((key, "")) => format!("{}=", self.encoded(key)),
            Some((key, _)) => format!("{}={HIDDEN}", self.encoded(key)),
            None => self.encoded(pair),
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    /// Redacts the pairs of a form.
    fn pairs(self, pairs: &str) -> String {
        let pairs = pairs.split('&').map(|pair| match pair.split_once('=') {
            Some((key, _)) if is_secret_parameter(&percent_decoded(key)) => format!("{key}={HIDDEN}"),
            Some((key, value)) => format!("{}={}", self.encoded(key), self.encoded(value)),
            None => self.encoded(pair),
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    /// Returns percent-encoded text as it was sent, or a marker in place of all of it.
    fn encoded(self, text: &str) -> String {
        let decoded = percent_decoded(text);
        if self.text(&decoded) == decoded { text.to_owned() } else { HIDDEN.to_owned() }
    }

    /// Redacts a body according to its `Content-Type` and `Content-Encoding`.
    pub(super) fn content(self, content_type: &str, coding: &str, body: &[u8]) -> Content {
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if body.is_empty() {
            return Content::Empty;
        }
        let unpacked = match coding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => None,
            "gzip" | "x-gzip" => match unpacked(body) {
                Some(unpacked) => Some(unpacked),
                None => return Content::NotShown("compressed with `gzip`, and invalid or very large".to_owned()),
            },
            other => return Content::NotShown(format!("compressed with `{other}`")),
        };
        let body = unpacked.as_deref().unwrap_or(body);
        if kind.starts_with("multipart/") && self == Secrets::Masked {
            return Content::NotShown("a multipart form cannot be searched for secrets".to_owned());
        }
        let text = match std::str::from_utf8(body) {
            // For example UTF-16 without a byte order mark, which separates the letters of a secret.
            Ok(text) if text.contains('\0') && self == Secrets::Masked => {
                return Content::NotShown("it contains NUL characters and cannot be searched for secrets".to_owned());
            }
            Ok(text) => text.to_owned(),
            Err(_) if kind.starts_with("text/") && !body.contains(&0) => {
                body.iter().map(|byte| char::from(*byte)).collect()
            }
            Err(_) => return Content::NotShown("binary".to_owned()),
        };
        let is_form = kind == "application/x-www-form-urlencoded";
        if let Some(laid) =
            Some(&text).filter(|_| !is_form).and_then(|text| self.json(text).or_else(|| self.json_lines(text)))
        {
            return Content::Json(laid);
        }
        let text = match beginning(&text) {
            "" => return Content::NotShown("a word is too long to be searched for secrets".to_owned()),
            beginning => beginning,
        };
        let rest = body.len().saturating_sub(text.len());
        let shown = match self {
            Secrets::Shown => text.to_owned(),
            Secrets::Masked if is_form => self.pairs(text),
            Secrets::Masked => self.text(&without_elements(text)),
        };
        Content::Text(Laid { is_changed: shown != text, text: shown, rest: (rest > 0).then_some(Rest::Bytes(rest)) })
    }

    fn json(self, text: &str) -> Option<Laid> {
        self.lay_out(text, &|path, scalar| self.member(path, scalar))
    }

    fn lay_out(self, text: &str, replace: &dyn Fn(&Path, &str) -> Option<String>) -> Option<Laid> {
        let masks = match self {
            Secrets::Shown => Masks { is_secret: &|_| false, replace: &|_, _| None },
            Secrets::Masked => Masks { is_secret: &is_secret_name, replace },
        };
        json::lay_out(text, MOST_SHOWN, &masks)
    }

    /// Redacts one JSON document per line.
    fn json_lines(self, text: &str) -> Option<Laid> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let mut all = Laid { text: String::new(), is_changed: false, rest: None };
        while let Some(line) = lines.next() {
            let laid = self.json(line)?;
            if !all.text.is_empty() {
                all.text.push('\n');
            }
            all.text += &laid.compact();
            all.is_changed |= laid.is_changed;
            all.rest = laid.rest;
            if all.text.len() >= MOST_SHOWN || laid.rest.is_some() {
                let here = match laid.rest {
                    Some(Rest::Values(here)) => here,
                    _ => 0,
                };
                let rest = here + lines.count();
                all.rest = (rest > 0).then_some(Rest::Values(rest));
                break;
            }
        }
        Some(all)
    }

    /// Returns the replacement of a scalar of a JSON document.
    fn member(self, path: &Path, scalar: &str) -> Option<String> {
        if path.is_secret() {
            // `null`, `true` and `false` reveal nothing.
            let is_word = matches!(scalar, "null" | "true" | "false");
            return (!is_word).then(|| quoted(HIDDEN));
        }
        // A longer name was already found not to be that of a secret.
        let name = path.names().next_back().filter(|name| name.len() <= LONGEST_NAME).unwrap_or_default();
        let Ok(value) = serde_json::from_str::<String>(scalar) else {
            return (hide_secrets(scalar) != scalar).then(|| quoted(HIDDEN));
        };
        let is_document = value.trim_start().starts_with(['{', '[']);
        if let Some(laid) = is_document.then(|| self.json(&value)).flatten() {
            return (!laid.is_as_sent()).then(|| quoted(&laid.compact()));
        }
        let shown = self.value(name, &value);
        (shown != value).then(|| quoted(&shown))
    }

    /// Redacts the event of a function, or its reply.
    pub(super) fn envelope(self, document: &[u8]) -> Content {
        let Ok(text) = std::str::from_utf8(document) else { return Content::NotShown("not UTF-8".to_owned()) };
        let envelope = Envelope::of(text);
        let laid = self.lay_out(text, &|path, scalar| {
            let mut names = path.names();
            match (names.next(), names.next()) {
                (Some("body"), None) => self.body_of(&envelope, scalar),
                (Some(top), Some(name)) if top.ends_with("eaders") || top.ends_with("Parameters") => {
                    let value: String = serde_json::from_str(scalar).ok()?;
                    let shown = match top.ends_with("eaders") {
                        true => self.field(name, &value),
                        false if value.is_empty() => value.clone(),
                        false => HIDDEN.to_owned(),
                    };
                    (shown != value).then(|| quoted(&shown))
                }
                _ => self.member(path, scalar),
            }
        });
        match laid {
            Some(laid) => Content::Json(laid),
            None => self.content("text/plain", "", document),
        }
    }

    /// Redacts the `body` of an event or a reply.
    fn body_of(self, envelope: &Envelope, scalar: &str) -> Option<String> {
        let body: String = serde_json::from_str(scalar).ok()?;
        let Envelope { is_base64_encoded, content_type, coding } = envelope;
        if !is_base64_encoded {
            return match self.content(content_type, "", body.as_bytes()) {
                Content::Json(laid) if !laid.is_as_sent() => Some(quoted(&laid.compact())),
                Content::Text(laid) if !laid.is_as_sent() => {
                    Some(quoted(&if laid.rest.is_some() { laid.text + "…" } else { laid.text }))
                }
                Content::NotShown(why) => Some(quoted(&format!("{HIDDEN} ({why})"))),
                _ => None,
            };
        }
        let decoded = base64_simd::STANDARD.decode_to_vec(body.as_bytes()).ok();
        match decoded.map(|decoded| self.content(content_type, coding, &decoded)) {
            Some(Content::Json(laid) | Content::Text(laid)) if laid.is_as_sent() => None,
            Some(Content::Empty) => None,
            _ => {
                Some(quoted(&format!("{HIDDEN} ({} characters of base64, shown decoded with the message)", body.len())))
            }
        }
    }

    /// Redacts a value in which two responses differ.
    pub(super) fn difference(self, pointer: &str, value: &str) -> String {
        let is_secret = self == Secrets::Masked && pointer.split('/').any(is_secret_name);
        match is_secret {
            true => HIDDEN.to_owned(),
            false => self.value("", value),
        }
    }

    /// Redacts a value according to its name, or as a URL if it is a path or a URL.
    fn value(self, name: &str, value: &str) -> String {
        match value.starts_with('/') || value.contains("://") {
            true => self.target(value),
            false => self.field(name, value),
        }
    }
}

/// The members of an event or a reply that describe its body.
struct Envelope {
    is_base64_encoded: bool,
    content_type: String,
    coding: String,
}

impl Envelope {
    fn of(document: &str) -> Envelope {
        let sent: serde_json::Map<String, serde_json::Value> = serde_json::from_str(document).unwrap_or_default();
        let fields =
            || ["headers", "multiValueHeaders"].iter().filter_map(|name| sent.get(*name)?.as_object()).flatten();
        let field = |wanted: &str| {
            let value = fields().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
            let value = value.and_then(|value| value.as_array().map_or(Some(value), |values| values.last()));
            value.and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
        };
        let (content_type, coding) = (field("content-type"), field("content-encoding"));
        let is_base64_encoded = sent.get("isBase64Encoded").and_then(serde_json::Value::as_bool).unwrap_or_default();
        Envelope { is_base64_encoded, content_type, coding }
    }
}

/// Truncates a text. Never cuts a word, because half a secret does not look like one.
fn beginning(text: &str) -> &str {
    if text.len() <= MOST_SHOWN {
        return text;
    }
    let ends = |(at, c): (usize, char)| {
        let is_in_number = text.get(..at).is_some_and(|before| before.ends_with(|c: char| c.is_ascii_digit()));
        ("\n\r\t <>{}[]&;,\"'".contains(c) && !is_in_number).then_some(at)
    };
    let limit = (0..=MOST_SHOWN).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    let (before, behind) = text.split_at(limit);
    let end = behind.char_indices().take(LONGEST_WORD).find_map(|(at, c)| ends((limit + at, c)));
    let end = end.or_else(|| before.char_indices().rev().find_map(ends));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn unpacked(body: &[u8]) -> Option<Vec<u8>> {
    let mut unpacked = Vec::new();
    flate2::read::MultiGzDecoder::new(body).take(MOST_UNPACKED + 1).read_to_end(&mut unpacked).ok()?;
    (unpacked.len() as u64 <= MOST_UNPACKED).then_some(unpacked)
}

/// Decodes `%XX` and `+` as in a form, and keeps everything else.
pub(crate) fn percent_decoded(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let sent = text.as_bytes();
    let mut bytes = Vec::with_capacity(sent.len());
    let mut at = 0;
    while let Some(byte) = sent.get(at) {
        at += 1;
        match (byte, digit(sent.get(at)), digit(sent.get(at + 1))) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) => bytes.push(b' '),
            _ => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Hides tokens of well-known services, and words that are long and random enough to be tokens.
fn without_tokens(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (word, tail) = rest.split_at(rest.find(|c| !is_part(c)).unwrap_or(rest.len()));
        out.push_str(if is_token(word) { HIDDEN } else { word });
        let (other, tail) = tail.split_at(tail.find(is_part).unwrap_or(tail.len()));
        out.push_str(other);
        rest = tail;
    }
    out
}

fn is_token(word: &str) -> bool {
    let has = |wanted: fn(&u8) -> bool| word.as_bytes().iter().any(wanted);
    let is_known = word.len() >= 16 && TOKENS.iter().any(|beginning| word.starts_with(beginning));
    is_known
        || (word.len() >= 40
            && !word.contains('.')
            && has(u8::is_ascii_digit)
            && has(u8::is_ascii_uppercase)
            && has(u8::is_ascii_lowercase))
}

/// Hides the text of XML or HTML elements whose name is that of a secret, and the values of such form fields.
fn without_elements(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let end = tag.find('>').map_or(tag.len(), |end| end + 1);
        let (tag, behind) = tag.split_at(end);
        let name = tag.trim_start_matches('<').split([' ', '>', '/', '\n', '\t']).next().unwrap_or_default();
        let is_field = ["name", "id", "property"].iter().any(|key| attribute(tag, key).is_some_and(is_secret_name));
        let value = ["value", "content"].iter().find_map(|key| attribute(tag, key)).filter(|_| is_field);
        match value.filter(|value| !value.is_empty()) {
            Some(value) => out.push_str(&tag.replace(value, HIDDEN)),
            None => out.push_str(tag),
        }
        rest = behind;
        let content = behind.find('<').unwrap_or(behind.len());
        if content > 0 && !name.is_empty() && is_secret_name(name) {
            out.push_str(HIDDEN);
            rest = behind.split_at(content).1;
        }
    }
    out.push_str(rest);
    out
}

/// Returns the value of an attribute, quoted or not.
fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let mut rest = tag;
    while let Some(at) = rest.find(name) {
        let (before, from) = rest.split_at(at);
        let behind = from.get(name.len()..)?;
        rest = behind;
        let Some(value) = behind.trim_start().strip_prefix('=').map(str::trim_start) else { continue };
        if !before.ends_with(char::is_whitespace) {
            continue;
        }
        return match value.chars().next()? {
            quote @ ('"' | '\'') => value.get(1..)?.split(quote).next(),
            _ => value.split([' ', '\n', '\t', '>']).next(),
        };
    }
    None
}

/// Hides the values of members with the name of a secret in text that looks like JSON but is invalid, such as a part of a
/// document.
fn without_members(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('"') {
        // Ignores longer names, which bounds the search.
        let near = rest.as_bytes().get(..start + LONGEST_NAME).unwrap_or(rest.as_bytes());
        let name_end = json::end_of_string(near, start);
        let is_name = name_end < near.len() || name_end == rest.len();
        let name = rest.get(start..name_end).unwrap_or_default().trim_matches('"');
        let behind = rest.get(name_end..).unwrap_or_default();
        let value = behind.trim_start().strip_prefix(':').map(str::trim_start).filter(|value| !value.is_empty());
        let Some(value) = value.filter(|_| is_name && is_secret_name(name)) else {
            // The next quote may also open a name.
            let (before, behind) = rest.split_at(start + 1);
            out.push_str(before);
            rest = behind;
            continue;
        };
        let end = match value.starts_with('"') {
            true => json::end_of_string(value.as_bytes(), 0),
            false => value.find([',', '}', ']', '\n']).unwrap_or(value.len()),
        };
        out.push_str(rest.get(..rest.len() - value.len()).unwrap_or_default());
        out.push_str(&quoted(HIDDEN));
        rest = value.get(end..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASKED: Secrets = Secrets::Masked;

    #[test]
    fn fields_keep_what_is_no_secret() {
        for (name, value, shown) in [
            ("Authorization", "Bearer abc", "Bearer ***"),
            ("authorization", "abc", "***"),
            ("cookie", "session=a; theme=dark", "session=***; theme=***"),
            ("set-cookie", "id=1; Path=/; HttpOnly", "id=***; Path=/; HttpOnly"),
            ("x-api-key", "k", "***"),
            ("X-Amzn-Trace-Id", "Root=1-67891233-012345678912345678912345", "Root=1-67891233-012345678912345678912345"),
            ("location", "/a?token=b&c=d", "/a?token=***&c=***"),
            ("accept", "text/html", "text/html"),
            ("x-note", "AKIAIOSFODNN7EXAMPLE", "***"),
        ] {
            assert_eq!(MASKED.field(name, value), shown, "{name}");
            assert_eq!(Secrets::Shown.field(name, value), value, "{name}");
        }
    }

    #[test]
    fn targets_keep_their_form() {
        for (target, shown) in [
            ("/orders/42?q=a%20b&r=&s", "/orders/42?q=***&r=&s"),
            ("/a?%74oken=x&b=jane%40example.com&c", "/a?%74oken=***&b=***&c"),
            ("/reset/eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln", "/reset/***"),
            ("/a;jsessionid=abc", "/a;jsessionid=***"),
            ("/u/jane%40example.com/x%20y", "/u/***/x%20y"),
            ("/%E4%zz", "/%E4%zz"),
        ] {
            assert_eq!(MASKED.target(target), shown);
        }
    }

    #[test]
    fn bodies_are_looked_through_by_their_kind() {
        let text = |kind: &str, body: &str| match MASKED.content(kind, "", body.as_bytes()) {
            Content::Json(laid) | Content::Text(laid) => laid.text,
            Content::Empty => "empty".to_owned(),
            Content::NotShown(why) => why,
        };
        let laid =
            text("application/json", r#"{"a":1,"password":"x","card":{"n":1},"big":4111111111111111,"ok":true}"#);
        assert_eq!(
            laid,
            "{\n  \"a\": 1,\n  \"password\": \"***\",\n  \"card\": {\n    \"n\": \"***\"\n  },\n  \"big\": \"***\",\n  \"ok\": true\n}"
        );
        assert_eq!(text("application/x-www-form-urlencoded", "user=a&password=b"), "user=a&password=***");
        assert_eq!(
            text("text/xml", "<a><password>my dog</password><b>c</b></a>"),
            "<a><password>***</password><b>c</b></a>"
        );
        assert!(text("multipart/form-data; boundary=x", "--x").contains("multipart"));
        let utf_16: String = r#"{"password":"hunter2"}"#.chars().flat_map(|letter| [letter, '\0']).collect();
        assert!(text("application/json", &utf_16).contains("NUL characters"));
        assert!(!text("application/json", r#"{"a":"{\"\\u0070assword\":\"hunter2\"}"}"#).contains("hunter2"));
        assert_eq!(Secrets::Masked.target("/cb?code=abc&sig=x%3D&q=1"), "/cb?code=***&sig=***&q=***");
        assert_eq!(Secrets::Masked.field("x-amzn-oidc-data", "opaque"), "***");
        assert_eq!(Secrets::Masked.sentence("no rule for /a?%74oken=x here"), "no rule for /a?%74oken=*** here");
        assert_eq!(text("text/plain", "token: abc"), "token: ***");
        assert_eq!(
            text("text/plain", r#"{"password" : "a b\"c", "n": 1, "pin":12,"#),
            r#"{"password" : "***", "n": 1, "pin":"***","#
        );
        for (page, shown) in [
            (
                r#"<input name="csrf_token" type=hidden value='a b'>"#,
                r#"<input name="csrf_token" type=hidden value='***'>"#,
            ),
            ("<meta content=abc name=csrf-token>", "<meta content=*** name=csrf-token>"),
            (r#"<input name="q" value="a b">"#, r#"<input name="q" value="a b">"#),
        ] {
            assert_eq!(text("text/html", page), shown);
        }
        let nested = text("application/json", r#"{"payload":"{\"password\":\"a b\"}"}"#);
        assert!(!nested.contains("a b"), "{nested}");
        assert!(matches!(MASKED.content("text/plain", "", b"p\0a\0\xff\0"), Content::NotShown(why) if why == "binary"));
        assert_eq!(text("", "{\"token\":\"a b\"}\n[1]\n"), "{\"token\":\"***\"}\n[1]");
        assert!(matches!(MASKED.content("image/png", "", b"\x89PNG"), Content::NotShown(why) if why == "binary"));
    }

    #[test]
    fn an_event_is_masked_in_all_its_parts() {
        let event = r#"{"path":"/a","queryStringParameters":{"token":"x","q":"1"},"headers":{"cookie":"a=b","content-type":
            "application/x-www-form-urlencoded"},"body":"cGFzc3dvcmQ9YQ==","isBase64Encoded":true}"#;
        let Content::Json(laid) = MASKED.envelope(event.as_bytes()) else { panic!("no JSON") };
        for part in [
            "\"token\": \"***\"",
            "\"q\": \"***\"",
            "\"cookie\": \"a=***\"",
            "\"body\": \"*** (16 characters of base64, shown decoded with the message)\"",
        ] {
            assert!(laid.text.contains(part), "{part}: {}", laid.text);
        }
    }

    /// A truncated text shows no part of a secret at its end.
    #[test]
    fn long_bodies_are_cut_where_no_secret_is() {
        let rest = |content: Content| match content {
            Content::Json(laid) | Content::Text(laid) => (laid.text.len(), laid.rest, laid.text),
            Content::Empty | Content::NotShown(_) => panic!("nothing is shown"),
        };
        let long = "hunter2hunter2".repeat(2000);
        let texts: &[&dyn Fn(&str) -> String] = &[
            &|secret| format!("&password={secret}&c=d "),
            &|secret| format!(" Bearer {secret} c"),
            &|secret| format!(" \"password\" : \"{secret}\", "),
            &|secret| format!(" token: {secret}"),
            &|secret| format!(" <password>{secret}</password>"),
        ];
        let forms = texts.get(..1).unwrap();
        for (kind, texts) in [
            ("text/plain", texts),
            ("text/html", texts),
            ("application/json", texts),
            ("application/x-www-form-urlencoded", forms),
        ] {
            for (shift, secret) in (0..40).step_by(7).flat_map(|shift| texts.iter().map(move |secret| (shift, secret)))
            {
                let before = "x ".repeat((MOST_SHOWN - 30) / 2 + shift);
                let text = format!("{before}{}{}", secret(&long), "y ".repeat(100_000));
                let (length, left_out, shown) = rest(MASKED.content(kind, "", text.as_bytes()));
                assert!(length <= MOST_SHOWN + LONGEST_WORD + 10, "{kind} {length}");
                assert!(matches!(left_out, Some(Rest::Bytes(bytes)) if bytes > 100_000), "{left_out:?}");
                assert!(!shown.contains("hunter2"), "{kind} {shift}: {}", secret(""));
            }
        }
        let list = format!("[{}]", vec!["1"; 400_000].join(","));
        let (length, left_out, _) = rest(MASKED.content("application/json", "", list.as_bytes()));
        assert!(length <= MOST_SHOWN + 10);
        assert!(matches!(left_out, Some(Rest::Values(count)) if count > 300_000), "{left_out:?}");
        // The event does not show the hidden body either.
        let hidden = format!(r#"{{"a":[{}],"password":"hunter2"}}"#, vec!["1"; 400_000].join(","));
        let event =
            serde_json::json!({ "headers": { "content-type": "application/json" }, "body": hidden }).to_string();
        let (_, _, shown) = rest(MASKED.envelope(event.as_bytes()));
        assert!(!shown.contains("hunter2") && shown.contains('…'));
        let lines = "{\"a\":1}\n".repeat(100_000);
        let (length, left_out, _) = rest(MASKED.content("application/x-ndjson", "", lines.as_bytes()));
        assert!(length <= MOST_SHOWN + 10);
        assert!(matches!(left_out, Some(Rest::Values(count)) if count > 70_000), "{left_out:?}");
        assert!(matches!(MASKED.content("", "", &[b'a'; 1 << 20]), Content::NotShown(_)));
    }

    /// Documents that could take quadratic time are processed in linear time.
    #[test]
    fn no_document_takes_long() {
        let started = std::time::Instant::now();
        let name = "n".repeat(400_000);
        let numbers = vec!["1"; 400_000].join(",");
        for document in [
            format!("[{numbers}]"),
            format!(r#"{{"{name}":[{numbers}]}}"#),
            format!(r#"{{"headers":{{"{name}":[{}]}}}}"#, vec![r#""a""#; 200_000].join(",")),
            format!(r#"{{"headers":{{"x":"{name}"}},{}"a":1}}"#, r#""body":"x","#.repeat(100_000)),
            "\"\\".repeat(500_000),
            "\\\"".repeat(500_000),
            "\"".repeat(1_000_000),
            "<".repeat(1_000_000),
            "<a name=".repeat(100_000),
            "password=".repeat(100_000),
            "1 ".repeat(500_000),
        ] {
            for kind in ["application/json", "text/html", "application/x-www-form-urlencoded"] {
                MASKED.content(kind, "", document.as_bytes());
                MASKED.envelope(document.as_bytes());
            }
        }
        // Quadratic time would be hours for each of them.
        assert!(started.elapsed() < std::time::Duration::from_secs(300));
    }
}
