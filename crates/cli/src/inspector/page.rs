//! What all pages have in common: their frame, escaping, figures. Nothing of a message gets into a page but through
//! [`escape`], and never into a tag's name, a link or a style; the policy of every answer forbids foreign scripts all the
//! same.

use std::time::{Duration, SystemTime};

use crossfade_parity::number;

pub(super) use crate::report::html::escape;

use super::Shared;
use super::secrets::Secrets;

/// The frame round a page's `main`. `main` is HTML, `title` is not.
pub(super) fn frame(shared: &Shared, title: &str, main: &str) -> String {
    let secrets = match shared.setup.secrets {
        Secrets::Masked => "secrets are hidden",
        Secrets::Shown => "<strong>secrets are shown</strong>",
    };
    let listeners: Vec<String> = shared
        .setup
        .listeners
        .iter()
        .zip(&shared.listeners)
        .map(|(listener, address)| format!("{}://{address}", if listener.tls.is_some() { "https" } else { "http" }))
        .collect();
    format!(
        r##"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{}</title>
<link rel="stylesheet" href="/style.css">
<script src="/script.js" defer></script>
</head>
<body data-token="{}">
<a class="skip" href="#main">Skip to content</a>
<header>
<p class="brand"><a href="/">Crossfade <b>inspector</b></a></p>
<p class="where"><code>{}</code> · {secrets}</p>
</header>
<main id="main" tabindex="-1">
{main}</main>
<footer>
<details id="keys"><summary>Keyboard</summary>
<dl><div><dt><kbd>j</kbd> <kbd>k</kbd> or <kbd>↓</kbd> <kbd>↑</kbd></dt><dd>next, previous request</dd></div>
<div><dt><kbd>Enter</kbd></dt><dd>open it</dd></div>
<div><dt><kbd>r</kbd></dt><dd>replay it</dd></div>
<div><dt><kbd>/</kbd></dt><dd>filter</dd></div>
<div><dt><kbd>p</kbd></dt><dd>pause, go on</dd></div>
<div><dt><kbd>u</kbd></dt><dd>back to the list</dd></div>
<div><dt><kbd>?</kbd></dt><dd>this help</dd></div></dl>
<p><label><input type="checkbox" id="use-keys" checked> Use single keys</label></p>
</details>
</footer>
<p id="news" class="unseen" role="status"></p>
</body>
</html>
"##,
        escape(title),
        shared.token,
        escape(&listeners.join(", "))
    )
}

/// A page that says why there is none.
pub(super) fn sorry(title: &str, why: &str) -> String {
    let (title, why) = (escape(title), escape(why));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
         <body>\n<h1>{title}</h1>\n<p>{why}</p>\n</body>\n</html>\n"
    )
}

/// Foreign text of several lines, for `pre`.
pub(super) fn escape_lines(text: &str) -> String {
    let lines = text.split('\n').map(|line| escape(line.strip_suffix('\r').unwrap_or(line)));
    lines.collect::<Vec<_>>().join("\n")
}

/// `1,234 bytes`, `12.3 KB`.
pub(super) fn bytes(count: usize) -> String {
    match count {
        1 => "1 byte".to_owned(),
        0..=999 => format!("{count} bytes"),
        1000..=999_999 => format!("{:.1} KB", count as f64 / 1000.0),
        _ => format!("{:.2} MB", count as f64 / 1_000_000.0),
    }
}

pub(super) fn milliseconds(duration: Duration) -> String {
    number::milliseconds(duration.as_secs_f64() * 1000.0)
}

/// `10:57:42.123` in UTC, as a `time` element.
pub(super) fn time(time: SystemTime) -> String {
    let full = humantime::format_rfc3339_millis(time).to_string();
    let short = full.get(11..23).unwrap_or_default();
    format!("<time datetime=\"{full}\" title=\"{full}\">{short}</time>")
}

/// A status with its class, for colour; the digits say it too.
pub(super) fn status(status: u16) -> String {
    format!("<span class=\"status s{}\">{status}</span>", status / 100)
}
