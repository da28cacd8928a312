//! What is shown of messages: everything but what looks like a secret. What looks like one is `crossfade-compare`'s to
//! say; here is where it is looked for: fields, paths and queries, JSON, forms, other text.
//!
//! What cannot be read cannot be looked through, and is not shown.

use std::io::Read;

use crossfade_compare::{hide_secrets, is_secret_name};
use crossfade_rule::Condition;

use super::json::{self, Laid};

/// Instead of a secret.
pub(super) const HIDDEN: &str = "•••";
/// What a compressed body is unpacked to at most.
const MOST_UNPACKED: u64 = 2 * 1024 * 1024;
/// As many digits may be the number of a card; compare does the same in texts.
const SECRET_DIGITS: usize = 13;
/// Names whose values are ids made for logs, however they look.
const PLAIN_NAMES: [&str; 6] =
    ["x-amzn-trace-id", "x-amzn-requestid", "x-request-id", "traceparent", "targetGroupArn", "x-amzn-tls-cipher-suite"];
/// Names of secrets in HTTP that compare has no reason to know: OAuth's code, the signature of a signed URL, what a client's
/// certificate and an identity provider say.
const SECRET_NAMES: [&str; 5] = ["code", "sig", "x-forwarded-client-cert", "x-amzn-oidc-data", "x-amzn-oidc-identity"];
/// How tokens of well-known services begin.
const TOKENS: [&str; 12] =
    ["AKIA", "ASIA", "AIza", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "sk_live_", "sk-"];

/// `crossfade dev --show-secrets` or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrets {
    Shown,
    Masked,
}

/// A body as it is shown.
pub(super) enum Content {
    Empty,
    /// Laid out.
    Json(Laid),
    Text(Laid),
    /// And why.
    NotShown(String),
}

fn is_secret(name: &str) -> bool {
    SECRET_NAMES.iter().any(|secret| name.eq_ignore_ascii_case(secret)) || is_secret_name(name)
}

impl Secrets {
    /// Free text that may have a target in it, such as why a request was refused.
    pub(crate) fn sentence(self, text: &str) -> String {
        let shown = self.text(text);
        let words = shown.split(' ').map(|word| if word.contains('?') { self.target(word) } else { word.to_owned() });
        words.collect::<Vec<_>>().join(" ")
    }

    /// A condition of a rule: what it compares a secret with is one, too.
    pub(super) fn condition(self, condition: &Condition) -> String {
        match self {
            Secrets::Shown => condition.to_string(),
            Secrets::Masked => condition.without_secrets(is_secret).to_string(),
        }
    }

    /// A URL that a file has, and no client: of its query what looks like a secret is hidden.
    pub(super) fn url(self, url: &str) -> String {
        match (self, url.split_once('?')) {
            (Secrets::Masked, Some((path, query))) => format!("{path}?{}", self.pairs(query)),
            _ => url.to_owned(),
        }
    }

    pub(crate) fn of(show_secrets: bool) -> Secrets {
        if show_secrets { Secrets::Shown } else { Secrets::Masked }
    }

    /// Free text.
    pub(super) fn text(self, text: &str) -> String {
        match self {
            Secrets::Shown => text.to_owned(),
            Secrets::Masked => without_tokens(&hide_secrets(&without_members(text), HIDDEN)),
        }
    }

    /// The value of a field.
    pub(super) fn field(self, name: &str, value: &str) -> String {
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
            name if is_secret(name) => HIDDEN.to_owned(),
            _ => self.text(value),
        }
    }

    /// A path with a query, or a whole URL.
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

    /// A query: its keys. What the client has put into it is nobody else's to see, whatever it is called; a fragment goes
    /// with it.
    fn query(self, query: &str) -> String {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((key, "")) => format!("{}=", self.encoded(key)),
            Some((key, _)) => format!("{}={HIDDEN}", self.encoded(key)),
            None => self.encoded(pair),
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    /// The pairs of a form.
    fn pairs(self, pairs: &str) -> String {
        let pairs = pairs.split('&').map(|pair| match pair.split_once('=') {
            Some((key, _)) if is_secret(&percent_decoded(key)) => format!("{key}={HIDDEN}"),
            Some((key, value)) => format!("{}={}", self.encoded(key), self.encoded(value)),
            None => self.encoded(pair),
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    /// Percent-encoded text: as it was sent, or nothing of it.
    fn encoded(self, text: &str) -> String {
        let decoded = percent_decoded(text);
        if self.text(&decoded) == decoded { text.to_owned() } else { HIDDEN.to_owned() }
    }

    /// A body by what its fields say of it.
    pub(super) fn content(self, content_type: &str, coding: &str, body: &[u8]) -> Content {
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if body.is_empty() {
            return Content::Empty;
        }
        let unpacked = match coding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => None,
            "gzip" | "x-gzip" => match unpacked(body) {
                Some(unpacked) => Some(unpacked),
                None => return Content::NotShown("compressed with `gzip`, and broken or very large".to_owned()),
            },
            other => return Content::NotShown(format!("compressed with `{other}`")),
        };
        let body = unpacked.as_deref().unwrap_or(body);
        if kind.starts_with("multipart/") && self == Secrets::Masked {
            return Content::NotShown("a form of several parts is not looked through for secrets".to_owned());
        }
        let text = match std::str::from_utf8(body) {
            // Such as UTF-16 without a mark: between the letters of a secret are others.
            Ok(text) if text.contains('\0') && self == Secrets::Masked => {
                return Content::NotShown("not looked through for secrets: it has NUL characters".to_owned());
            }
            Ok(text) => text.to_owned(),
            Err(_) if kind.starts_with("text/") && !body.contains(&0) => {
                body.iter().map(|byte| char::from(*byte)).collect()
            }
            Err(_) => return Content::NotShown("binary".to_owned()),
        };
        if kind == "application/x-www-form-urlencoded" {
            let shown = if self == Secrets::Shown { text.clone() } else { self.pairs(&text) };
            return Content::Text(Laid { is_changed: shown != text, text: shown });
        }
        if let Some(laid) = self.json(&text).or_else(|| self.json_lines(&text)) {
            return Content::Json(laid);
        }
        let shown = match self {
            Secrets::Shown => text.clone(),
            Secrets::Masked => self.text(&without_elements(&text)),
        };
        Content::Text(Laid { is_changed: shown != text, text: shown })
    }

    fn json(self, text: &str) -> Option<Laid> {
        json::lay_out(text, &|path, scalar| match self {
            Secrets::Shown => None,
            Secrets::Masked => self.member(path, scalar),
        })
    }

    /// A JSON document a line.
    fn json_lines(self, text: &str) -> Option<Laid> {
        let lines = text.lines().filter(|line| !line.trim().is_empty()).map(|line| self.json(line));
        let lines: Vec<Laid> = lines.collect::<Option<_>>()?;
        let compact: Vec<String> = lines.iter().map(Laid::compact).collect();
        Some(Laid { text: compact.join("\n"), is_changed: lines.iter().any(|line| line.is_changed) })
    }

    /// What replaces a scalar of a JSON document.
    fn member(self, path: &[String], scalar: &str) -> Option<String> {
        if path.iter().any(|name| is_secret_name(name)) {
            // `null`, `true` and `false` give nothing away.
            let is_word = matches!(scalar, "null" | "true" | "false");
            return (!is_word).then(|| quoted(HIDDEN));
        }
        let name = path.last().map_or("", String::as_str);
        let Ok(value) = serde_json::from_str::<String>(scalar) else {
            let digits = scalar.bytes().filter(u8::is_ascii_digit).count();
            let is_long = digits >= SECRET_DIGITS && !scalar.contains(['.', 'e', 'E']);
            return is_long.then(|| quoted(HIDDEN));
        };
        let is_document = value.trim_start().starts_with(['{', '[']);
        if let Some(laid) = is_document.then(|| self.json(&value)).flatten() {
            return laid.is_changed.then(|| quoted(&laid.compact()));
        }
        let shown = self.value(name, &value);
        (shown != value).then(|| quoted(&shown))
    }

    /// The event that a function gets, or its reply.
    pub(super) fn envelope(self, document: &[u8]) -> Content {
        let Ok(text) = std::str::from_utf8(document) else { return Content::NotShown("not UTF-8".to_owned()) };
        let envelope: Envelope<'_> = serde_json::from_str(text).unwrap_or_default();
        let laid = json::lay_out(text, &|path, scalar| {
            if self == Secrets::Shown {
                return None;
            }
            match path {
                [top] if top == "body" => self.body_of(&envelope, scalar),
                [top, name, ..] if top.ends_with("eaders") || top.ends_with("Parameters") => {
                    let value: String = serde_json::from_str(scalar).ok()?;
                    let shown = match top.ends_with("eaders") {
                        true => self.field(name, &value),
                        false if value.is_empty() => value.clone(),
                        false => HIDDEN.to_owned(),
                    };
                    (shown != value).then(|| quoted(&shown))
                }
                path => self.member(path, scalar),
            }
        });
        match laid {
            Some(laid) => Content::Json(laid),
            None => self.content("text/plain", "", document),
        }
    }

    /// The `body` of an event or a reply.
    fn body_of(self, envelope: &Envelope<'_>, scalar: &str) -> Option<String> {
        let body: String = serde_json::from_str(scalar).ok()?;
        let (content_type, coding) = (envelope.field("content-type"), envelope.field("content-encoding"));
        if !envelope.is_base64_encoded {
            return match self.content(&content_type, "", body.as_bytes()) {
                Content::Json(laid) if laid.is_changed => Some(quoted(&laid.compact())),
                Content::Text(laid) if laid.is_changed => Some(quoted(&laid.text)),
                Content::NotShown(why) => Some(quoted(&format!("{HIDDEN} ({why})"))),
                _ => None,
            };
        }
        let decoded = base64_simd::STANDARD.decode_to_vec(body.as_bytes()).ok();
        match decoded.map(|decoded| self.content(&content_type, &coding, &decoded)) {
            Some(Content::Json(laid) | Content::Text(laid)) if !laid.is_changed => None,
            Some(Content::Empty) => None,
            _ => {
                Some(quoted(&format!("{HIDDEN} ({} characters of base64, shown decoded with the message)", body.len())))
            }
        }
    }

    /// A value that two answers differ in.
    pub(super) fn difference(self, pointer: &str, value: &str) -> String {
        let is_secret = self == Secrets::Masked && pointer.split('/').any(is_secret_name);
        match is_secret {
            true => HIDDEN.to_owned(),
            false => self.value("", value),
        }
    }

    /// A value by its name; one that is a path or a URL as such.
    fn value(self, name: &str, value: &str) -> String {
        match value.starts_with('/') || value.contains("://") {
            true => self.target(value),
            false => self.field(name, value),
        }
    }
}

/// As much of an event or a reply as says what its body is.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Envelope<'a> {
    is_base64_encoded: bool,
    #[serde(borrow)]
    headers: Option<&'a serde_json::value::RawValue>,
    #[serde(borrow)]
    multi_value_headers: Option<&'a serde_json::value::RawValue>,
}

impl Envelope<'_> {
    fn field(&self, wanted: &str) -> String {
        for fields in [self.headers, self.multi_value_headers].into_iter().flatten() {
            let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(fields.get()) else { continue };
            for (name, value) in &fields {
                let value = value.as_array().and_then(|values| values.last()).unwrap_or(value);
                if name.eq_ignore_ascii_case(wanted) {
                    return value.as_str().unwrap_or_default().to_owned();
                }
            }
        }
        String::new()
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn unpacked(body: &[u8]) -> Option<Vec<u8>> {
    let mut unpacked = Vec::new();
    flate2::read::MultiGzDecoder::new(body).take(MOST_UNPACKED + 1).read_to_end(&mut unpacked).ok()?;
    (unpacked.len() as u64 <= MOST_UNPACKED).then_some(unpacked)
}

/// What a form would read: `%XX` and `+`; anything else stays.
pub(super) fn percent_decoded(text: &str) -> String {
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

/// Text with what is a token of a well-known service, or long and random enough to be one, hidden.
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

/// XML or HTML without the text of elements that are called like a secret, and without the values of such fields of a form.
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

/// The value of an attribute, in whatever quotes.
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

/// Text that looks like JSON and is none, such as a part of it: the values of members that are called like a secret.
fn without_members(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('"') {
        let name_end = json::end_of_string(rest.as_bytes(), start);
        let name = rest.get(start..name_end).unwrap_or_default().trim_matches('"');
        let behind = rest.get(name_end..).unwrap_or_default();
        let value = behind.trim_start().strip_prefix(':').map(str::trim_start).filter(|value| !value.is_empty());
        let Some(value) = value.filter(|_| name.len() <= 100 && is_secret_name(name)) else {
            // The next quote may be the opening one of a name, too.
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
            ("Authorization", "Bearer abc", "Bearer •••"),
            ("authorization", "abc", "•••"),
            ("cookie", "session=a; theme=dark", "session=•••; theme=•••"),
            ("set-cookie", "id=1; Path=/; HttpOnly", "id=•••; Path=/; HttpOnly"),
            ("x-api-key", "k", "•••"),
            ("X-Amzn-Trace-Id", "Root=1-67891233-012345678912345678912345", "Root=1-67891233-012345678912345678912345"),
            ("location", "/a?token=b&c=d", "/a?token=•••&c=•••"),
            ("accept", "text/html", "text/html"),
            ("x-note", "AKIAIOSFODNN7EXAMPLE", "•••"),
        ] {
            assert_eq!(MASKED.field(name, value), shown, "{name}");
            assert_eq!(Secrets::Shown.field(name, value), value, "{name}");
        }
    }

    #[test]
    fn targets_keep_their_form() {
        for (target, shown) in [
            ("/orders/42?q=a%20b&r=&s", "/orders/42?q=•••&r=&s"),
            ("/a?%74oken=x&b=jane%40example.com&c", "/a?%74oken=•••&b=•••&c"),
            ("/reset/eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln", "/reset/•••"),
            ("/a;jsessionid=abc", "/a;jsessionid=•••"),
            ("/u/jane%40example.com/x%20y", "/u/•••/x%20y"),
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
            "{\n  \"a\": 1,\n  \"password\": \"•••\",\n  \"card\": {\n    \"n\": \"•••\"\n  },\n  \"big\": \"•••\",\n  \"ok\": true\n}"
        );
        assert_eq!(text("application/x-www-form-urlencoded", "user=a&password=b"), "user=a&password=•••");
        assert_eq!(
            text("text/xml", "<a><password>my dog</password><b>c</b></a>"),
            "<a><password>•••</password><b>c</b></a>"
        );
        assert!(text("multipart/form-data; boundary=x", "--x").contains("several parts"));
        let utf_16: String = r#"{"password":"hunter2"}"#.chars().flat_map(|letter| [letter, '\0']).collect();
        assert!(text("application/json", &utf_16).contains("NUL characters"));
        assert!(!text("application/json", r#"{"a":"{\"\\u0070assword\":\"hunter2\"}"}"#).contains("hunter2"));
        assert_eq!(Secrets::Masked.target("/cb?code=abc&sig=x%3D&q=1"), "/cb?code=•••&sig=•••&q=•••");
        assert_eq!(Secrets::Masked.field("x-amzn-oidc-data", "opaque"), "•••");
        assert_eq!(Secrets::Masked.sentence("no rule for /a?%74oken=x here"), "no rule for /a?%74oken=••• here");
        assert_eq!(text("text/plain", "token: abc"), "token: •••");
        assert_eq!(
            text("text/plain", r#"{"password" : "a b\"c", "n": 1, "pin":12,"#),
            r#"{"password" : "•••", "n": 1, "pin":"•••","#
        );
        for (page, shown) in [
            (
                r#"<input name="csrf_token" type=hidden value='a b'>"#,
                r#"<input name="csrf_token" type=hidden value='•••'>"#,
            ),
            ("<meta content=abc name=csrf-token>", "<meta content=••• name=csrf-token>"),
            (r#"<input name="q" value="a b">"#, r#"<input name="q" value="a b">"#),
        ] {
            assert_eq!(text("text/html", page), shown);
        }
        let nested = text("application/json", r#"{"payload":"{\"password\":\"a b\"}"}"#);
        assert!(!nested.contains("a b"), "{nested}");
        assert!(matches!(MASKED.content("text/plain", "", b"p\0a\0\xff\0"), Content::NotShown(why) if why == "binary"));
        assert_eq!(text("", "{\"token\":\"a b\"}\n[1]\n"), "{\"token\":\"•••\"}\n[1]");
        assert!(matches!(MASKED.content("image/png", "", b"\x89PNG"), Content::NotShown(why) if why == "binary"));
    }

    #[test]
    fn an_event_is_masked_in_all_its_parts() {
        let event = r#"{"path":"/a","queryStringParameters":{"token":"x","q":"1"},"headers":{"cookie":"a=b","content-type":
            "application/x-www-form-urlencoded"},"body":"cGFzc3dvcmQ9YQ==","isBase64Encoded":true}"#;
        let Content::Json(laid) = MASKED.envelope(event.as_bytes()) else { panic!("no JSON") };
        for part in [
            "\"token\": \"•••\"",
            "\"q\": \"•••\"",
            "\"cookie\": \"a=•••\"",
            "\"body\": \"••• (16 characters of base64, shown decoded with the message)\"",
        ] {
            assert!(laid.text.contains(part), "{part}: {}", laid.text);
        }
    }
}
