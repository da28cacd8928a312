//! The access log of a load balancer: one line of 33 fields for each request (user guide, "Access logs for your
//! Application Load Balancer"). Owns the format; where lines go is the caller's business.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use crate::{Exchange, RuleRef};

/// Placeholders for names that only AWS assigns.
const LOAD_BALANCER: &str = "app/local/0000000000000000";
const CERTIFICATE: &str = "arn:aws:acm:us-east-1:000000000000:certificate/local";

/// The line of one request, without a line break.
#[must_use]
pub fn line(exchange: &Exchange) -> String {
    let mut line = Line(String::with_capacity(512));
    let answered = exchange.time + exchange.duration;
    line.plain(exchange.kind);
    line.plain(&timestamp(answered));
    line.plain(LOAD_BALANCER);
    line.plain(&exchange.client.map_or_else(|| "-".to_owned(), |client| client.to_string()));
    // A function has no address.
    line.plain("-");
    let (request, target, response) = times(exchange);
    line.plain(&request);
    line.plain(&target);
    line.plain(&response);
    line.plain(&exchange.status.to_string());
    line.plain(&exchange.target_status.map_or_else(|| "-".to_owned(), |status| status.to_string()));
    line.plain(&exchange.wire_bytes.0.to_string());
    line.plain(&exchange.wire_bytes.1.to_string());
    line.quoted(&request_line(exchange));
    line.quoted(or_dash(&exchange.user_agent));
    let tls = exchange.tls.as_ref();
    line.plain(tls.map_or("-", |tls| tls.cipher_suite));
    line.plain(tls.map_or("-", |tls| tls.version));
    line.plain(exchange.target_group.as_deref().unwrap_or("-"));
    line.quoted(or_dash(&exchange.trace_id));
    line.quoted(tls.and_then(|tls| tls.server_name.as_deref()).unwrap_or("-"));
    line.quoted(if tls.is_some() { CERTIFICATE } else { "-" });
    line.plain(&match exchange.rule {
        RuleRef::Priority(priority) => priority.to_string(),
        RuleRef::Default => "0".to_owned(),
        RuleRef::None => "-".to_owned(),
    });
    line.plain(&timestamp(exchange.time));
    line.quoted(if exchange.actions.is_empty() { "-".to_owned() } else { exchange.actions.join(",") }.as_str());
    line.quoted(exchange.redirect.as_deref().unwrap_or("-"));
    line.quoted(exchange.elb_reason.as_deref().unwrap_or("-"));
    line.quoted("-");
    // On a 502 of its own a load balancer has no status of a function's.
    line.quoted(&exchange.target_status.map_or_else(|| "-".to_owned(), |status| status.to_string()));
    let classification = exchange.classification.as_ref();
    let suspicious = classification.filter(|classification| classification.reason.is_some());
    line.quoted(suspicious.map_or("-", |classification| classification.tier));
    line.quoted(suspicious.and_then(|classification| classification.reason.as_deref()).unwrap_or("-"));
    line.plain(&format!("TID_{:032x}", exchange.connection));
    let transformed = exchange.transformed.as_ref();
    line.quoted(transformed.and_then(|it| it.host.as_deref()).unwrap_or("-"));
    line.quoted(transformed.and_then(|it| it.uri.as_deref()).unwrap_or("-"));
    line.quoted(transformed.map_or("-", |it| it.status));
    line.0
}

struct Line(String);

impl Line {
    fn plain(&mut self, text: &str) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(text);
    }

    /// Characters that could end the field or the line are written as `\xNN`.
    fn quoted(&mut self, text: &str) {
        self.0.push_str(" \"");
        for character in text.chars() {
            match character {
                '"' | '\\' => {
                    let _ = write!(self.0, "\\x{:02X}", u32::from(character));
                }
                control if control.is_control() => {
                    let _ = write!(self.0, "\\x{:02X}", u32::from(control));
                }
                other => self.0.push(other),
            }
        }
        self.0.push('"');
    }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// Seconds until the function was invoked, until it had responded, and until the response was sent; -1 if it was not
/// invoked.
fn times(exchange: &Exchange) -> (String, String, String) {
    let seconds = |duration: Duration| format!("{:.3}", duration.as_secs_f64());
    match exchange.target_times {
        Some((asked, answered)) => (
            seconds(asked),
            seconds(answered.saturating_sub(asked)),
            seconds(exchange.duration.saturating_sub(answered)),
        ),
        None => ("-1".to_owned(), "-1".to_owned(), "-1".to_owned()),
    }
}

/// `"GET http://host:port/path?query HTTP/1.1"`; a request that could not be read is `"- http://-:port- -"`.
fn request_line(exchange: &Exchange) -> String {
    let scheme = if exchange.tls.is_some() { "https" } else { "http" };
    let port = exchange.local.map_or(0, |local| local.port());
    let host = or_dash(&exchange.host);
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let port = if has_port { String::new() } else { format!(":{port}") };
    format!("{} {scheme}://{host}{port}{} {}", exchange.method, exchange.target, exchange.version)
}

fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_micros(time).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::{Classification, TlsInfo, Transformed};

    fn fields(line: &str) -> Vec<String> {
        let mut fields = vec![String::new()];
        let mut quoted = false;
        for character in line.chars() {
            match character {
                '"' => quoted = !quoted,
                ' ' if !quoted => fields.push(String::new()),
                other => fields.last_mut().unwrap().push(other),
            }
        }
        assert!(!quoted, "{line}");
        fields
    }

    #[test]
    fn a_line_has_the_33_fields_in_their_order() {
        let mut exchange = Exchange::new("GET", "/a?b=\"c\\\n");
        exchange.time = UNIX_EPOCH + Duration::from_millis(1_530_571_342_364);
        exchange.kind = "https";
        exchange.client = Some(([192, 168, 131, 39], 2817).into());
        exchange.local = Some(([10, 0, 0, 1], 443).into());
        exchange.host = "www.example.com".into();
        exchange.version = "HTTP/1.1";
        exchange.user_agent = "curl/7.46.0".into();
        exchange.trace_id = "Root=1-58337281-1d84f3d73c47ec4e58577259".into();
        exchange.tls = Some(TlsInfo {
            version: "TLSv1.2",
            cipher_suite: "ECDHE-RSA-AES128-GCM-SHA256",
            server_name: Some("www.example.com".into()),
        });
        exchange.rule = RuleRef::Priority(7);
        exchange.actions = vec!["rewrite", "forward"];
        exchange.target_group = Some("arn:tg".into());
        exchange.status = 200;
        exchange.target_status = Some(200);
        exchange.duration = Duration::from_millis(123);
        exchange.target_times = Some((Duration::from_millis(20), Duration::from_millis(120)));
        exchange.wire_bytes = (34, 366);
        exchange.classification = Some(Classification { tier: "Acceptable", reason: Some("SpaceInUri".into()) });
        exchange.connection = 255;
        exchange.transformed = Some(Transformed { host: None, uri: Some("/x".into()), status: "TransformSuccess" });
        let expected = [
            "https",
            "2018-07-02T22:42:22.487000Z",
            "app/local/0000000000000000",
            "192.168.131.39:2817",
            "-",
            "0.020",
            "0.100",
            "0.003",
            "200",
            "200",
            "34",
            "366",
            "GET https://www.example.com:443/a?b=\\x22c\\x5C\\x0A HTTP/1.1",
            "curl/7.46.0",
            "ECDHE-RSA-AES128-GCM-SHA256",
            "TLSv1.2",
            "arn:tg",
            "Root=1-58337281-1d84f3d73c47ec4e58577259",
            "www.example.com",
            "arn:aws:acm:us-east-1:000000000000:certificate/local",
            "7",
            "2018-07-02T22:42:22.364000Z",
            "rewrite,forward",
            "-",
            "-",
            "-",
            "200",
            "Acceptable",
            "SpaceInUri",
            "TID_000000000000000000000000000000ff",
            "-",
            "/x",
            "TransformSuccess",
        ];
        assert_eq!(fields(&line(&exchange)), expected);
        assert_eq!(expected.len(), 33);
        assert_eq!(fields(&line(&Exchange::new("-", "-"))).len(), 33);
    }
}
