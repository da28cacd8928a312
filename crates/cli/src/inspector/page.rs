//! The common parts of all pages: frame, section, figures. The templates escape all text of messages, which is never the name of
//! a tag, a link or a style; in addition, the content security policy of every response forbids foreign scripts.

use std::time::{Duration, SystemTime};

use crossfade_parity::number;
use maud::{DOCTYPE, Markup, html};

use super::Shared;
use super::secrets::Secrets;

/// The keyboard shortcuts, as the help shows them.
const KEYS: [(&[&str], &str); 6] = [
    (&["Enter"], "open it"),
    (&["r"], "replay it"),
    (&["/"], "filter"),
    (&["p"], "pause, go on"),
    (&["u"], "back to the list"),
    (&["?"], "this help"),
];

/// A complete page with this `main` element.
pub(super) fn frame(shared: &Shared, title: &str, main: Markup) -> Markup {
    let balancer = shared.balancer();
    let listeners = balancer.listeners.iter().zip(&balancer.addresses);
    let scheme = |is_https| if is_https { "https" } else { "http" };
    let listeners = listeners.map(|(listener, address)| format!("{}://{address}", scheme(listener.tls.is_some())));
    let listeners: Vec<String> = listeners.collect();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " - Crossfade inspector" }
                link rel="stylesheet" href="/style.css";
                script src="/script.js" defer {}
            }
            body data-token=(shared.token) {
                a.skip href="#main" { "Skip to content" }
                header {
                    p.brand { a href="/" { "Crossfade " b { "inspector" } } }
                    @if shared.setup.own_function {
                        nav aria-label="Pages" { a href="/" { "Requests" } " " a href="/migration" { "Migration" } }
                    }
                    p.where {
                        code { (listeners.join(", ")) } " · "
                        @match shared.setup.secrets {
                            Secrets::Masked => "secrets are hidden",
                            Secrets::Shown => strong { "secrets are shown" },
                        }
                    }
                }
                main #main tabindex="-1" { (main) }
                footer {
                    details #keys {
                        summary { "Keyboard" }
                        dl {
                            div {
                                dt { kbd { "j" } " " kbd { "k" } " or " kbd { "↓" } " " kbd { "↑" } }
                                dd { "next, previous request" }
                            }
                            @for (keys, meaning) in KEYS { div { dt { @for key in keys { kbd { (key) } } } dd { (meaning) } } }
                        }
                        p { label { input #use-keys type="checkbox" checked; " Use single-key shortcuts" } }
                    }
                }
                p.unseen #news role="status" {}
            }
        }
    }
}

/// An error page with the reason.
pub(super) fn sorry(title: &str, why: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { (title) } }
            body { h1 { (title) } p { (why) } }
        }
    }
}

/// A section with a heading.
pub(super) fn section(id: &str, title: &str, content: Markup) -> Markup {
    html! {
        section id=(id) aria-labelledby={ (id) "-title" } { h2 id={ (id) "-title" } { (title) } (content) }
    }
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
pub(super) fn time(time: SystemTime) -> Markup {
    let full = humantime::format_rfc3339_millis(time).to_string();
    html! { time datetime=(full) title=(full) { (full.get(11..23).unwrap_or_default()) } }
}

/// A status with its class as a colour.
pub(super) fn status(status: u16) -> Markup {
    html! { span class={ "status s" (status / 100) } { (status) } }
}
