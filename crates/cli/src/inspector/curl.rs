//! A request as a curl command for a POSIX shell with `$'…'` (bash, zsh). A placeholder replaces each masked value.

use std::fmt::Write;

use crossfade_journal::redaction::HIDDEN;

use super::Shared;
use super::secrets::{Content, Secrets};
use super::store::Entry;

/// Replaces a secret.
pub(super) const PLACEHOLDER: &str = "REPLACE_ME";
/// The command reads longer bodies from a file.
const MOST_BODY: usize = 100_000;
/// Fields that curl derives from the body or the URL.
const OWN: [&str; 5] = ["content-length", "transfer-encoding", "connection", "host", "expect"];

/// Returns the command, or `None` if the messages of the request were not kept.
pub(super) fn text(shared: &Shared, entry: &Entry) -> Option<String> {
    let messages = entry.messages().filter(|_| super::replay::can_be_repeated(entry))?;
    let exchange = &entry.exchange;
    let secrets = shared.setup.secrets;
    let balancer = shared.balancer_of(exchange);
    let address = balancer.addresses.get(exchange.listener)?.to_string();
    let is_tls = balancer.listeners.get(exchange.listener)?.tls.is_some();
    let scheme = if is_tls { "https" } else { "http" };
    let unhidden = |text: &str| text.replace(HIDDEN, PLACEHOLDER);

    let mut command = "curl -i --globoff --path-as-is".to_owned();
    if is_tls {
        command += " --insecure";
    }
    let has_body = !messages.request_body.is_empty();
    match exchange.method.as_str() {
        "GET" if !has_body => {}
        "HEAD" if !has_body => command += " --head",
        method => command += &format!(" -X {}", quoted(method.as_bytes())),
    }
    let url = format!("{scheme}://{address}{}", unhidden(&entry.shown.target));
    let _ = write!(command, " {}", quoted(url.as_bytes()));
    if entry.shown.host != address && !entry.shown.host.is_empty() {
        let _ = write!(command, " \\\n  -H {}", quoted(format!("host: {}", entry.shown.host).as_bytes()));
    }
    for (name, value) in &messages.request_fields {
        if OWN.contains(&name.as_str()) {
            continue;
        }
        let text = String::from_utf8_lossy(value.as_bytes());
        let shown = secrets.field(name.as_str(), &text);
        // Bytes that are not UTF-8 stay as they are if secrets are shown.
        let shown = if shown == text { value.as_bytes().to_vec() } else { unhidden(&shown).into_bytes() };
        // Without the semicolon curl omits a field that has no value.
        let field = match shown.is_empty() {
            true => format!("{name};").into_bytes(),
            false => [name.as_str().as_bytes(), b": ", &shown].concat(),
        };
        let _ = write!(command, " \\\n  -H {}", quoted(&field));
    }
    // Fields that curl would otherwise add.
    let mut added = vec!["accept", "user-agent"];
    if has_body {
        added.push("content-type");
    }
    for name in added {
        if !messages.request_fields.contains_key(name) {
            let _ = write!(command, " \\\n  -H {}", quoted(format!("{name}:").as_bytes()));
        }
    }
    if has_body {
        let field = |name| messages.request_fields.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let body = &messages.request_body;
        let is_fit = body.len() <= MOST_BODY && !body.contains(&0);
        let content = is_fit
            .then(|| secrets.content(field(http::header::CONTENT_TYPE), field(http::header::CONTENT_ENCODING), body));
        // A marker that the client sent is indistinguishable from one of ours.
        let has_marker = body.windows(HIDDEN.len()).any(|bytes| bytes == HIDDEN.as_bytes());
        let data = match content.unwrap_or(Content::Empty) {
            Content::Json(laid) | Content::Text(laid) if laid.is_changed && has_marker => None,
            // A truncated body was not searched for secrets to its end.
            Content::Json(laid) | Content::Text(laid) if laid.rest.is_some() => {
                (secrets == Secrets::Shown && std::str::from_utf8(body).is_ok()).then(|| body.to_vec())
            }
            Content::Json(laid) if laid.is_changed => Some(unhidden(&laid.compact()).into_bytes()),
            Content::Text(laid) if laid.is_changed => Some(unhidden(&laid.text).into_bytes()),
            // Unchanged, but a command cannot contain a compressed body.
            Content::Json(_) | Content::Text(_) if std::str::from_utf8(body).is_ok() => Some(body.to_vec()),
            _ => None,
        };
        let _ = match data {
            Some(data) => write!(command, " \\\n  --data-raw {}", quoted(&data)),
            None => write!(command, " \\\n  --data-binary @BODY_FILE"),
        };
    }
    Some(command)
}

/// Quotes a word for the shell. Characters that a terminal or a page would not show are escaped.
fn quoted(bytes: &[u8]) -> String {
    let is_plain = |text: &str| crate::terminal::printable(text) == text && !text.contains(['\t', '\u{a0}']);
    if let Ok(text) = std::str::from_utf8(bytes)
        && text.split('\n').all(is_plain)
        && !text.contains('!')
    {
        return shell_words::quote(text).into_owned();
    }
    let mut word = "$'".to_owned();
    for byte in bytes {
        match byte {
            b'\'' | b'\\' => {
                word.push('\\');
                word.push(char::from(*byte));
            }
            b'\n' => word += "\\n",
            b' '..=b'~' => word.push(char::from(*byte)),
            // Hexadecimal escapes would include digits that follow; octal ones end after three.
            _ => {
                let _ = write!(word, "\\{byte:03o}");
            }
        }
    }
    word + "'"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_bash() {
        for (bytes, word) in [
            (&b"plain"[..], "plain"),
            (b"it's $HOME `id` \"x\" \\", r#"'it'\''s $HOME `id` "x" \'"#),
            (b"two\nlines", "'two\nlines'"),
            (b"tab\there", r"$'tab\011here'"),
            (b"1\xff2\\", r"$'1\3772\\'"),
            ("bidi \u{202e}x é'".as_bytes(), r"$'bidi \342\200\256x \303\251\''"),
            (b"!history", "$'!history'"),
            (b"", "''"),
        ] {
            assert_eq!(quoted(bytes), word);
        }
    }
}
