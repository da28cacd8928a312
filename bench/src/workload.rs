//! The workloads that are measured: the client's request, the event that ALB makes of it, the origin's response, and
//! the check of the response. It owns content and the origin's script, and measures nothing.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use crossfade_event::HeaderMode;
use crossfade_event::alb::{self, RequestLine};

use crossfade_testkit::message::Message;
use crossfade_testkit::server::{Action, At};

const KIB: usize = 1024;
const TARGET_GROUP: &str = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/bench/0123456789abcdef";

/// Fields of an ordinary browser request as they are behind ALB.
const FIELDS: [(&str, &str); 12] = [
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
    ("accept-encoding", "gzip, deflate, br"),
    ("accept-language", "en-GB,en;q=0.9,nl;q=0.8"),
    ("cookie", "session=5f2b8c1e9a7d4f60b3c2d1e0f9a8b7c6; customer_id=481516; theme=dark"),
    ("host", "www.example.com"),
    ("referer", "https://www.example.com/orders"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("upgrade-insecure-requests", "1"),
    ("x-amzn-trace-id", "Root=1-6a5145a7-5c3686ff7df3149177a89157"),
    ("x-forwarded-for", "203.0.113.7"),
    ("x-forwarded-port", "443"),
    ("x-forwarded-proto", "https"),
];

/// A request with its expected response.
#[derive(Debug)]
pub struct Workload {
    /// The name in the tables.
    pub name: &'static str,
    /// The number of small ones that are sent for each of these.
    pub share: usize,
    target: &'static str,
    upload: Option<Vec<u8>>,
    /// The content that the client must get.
    body: Vec<u8>,
    /// The origin's whole answer.
    answer: Arc<[u8]>,
}

impl Workload {
    fn get(name: &'static str, share: usize, target: &'static str, content_type: &'static str, body: Vec<u8>) -> Self {
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nCache-Control: private, max-age=60\r\nETag: \"5f2b8c1e\"\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        answer.extend_from_slice(&body);
        Self { name, share, target, upload: None, body, answer: answer.into() }
    }

    /// The small GET, then the larger bodies.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let upload = binary(100 * KIB);
        let accepted = format!("{{\"received\":{},\"sum\":{}}}", upload.len(), sum(&upload));
        vec![
            Self::get("GET 1 KiB JSON", 1, "/api/orders/42?page=2&sort=-created", "application/json", json(KIB)),
            Self::get("GET 100 KiB binary", 4, "/images/small", "image/png", binary(100 * KIB)),
            Self::get("GET 700 KiB binary", 10, "/images/large", "image/png", binary(700 * KIB)),
            Self::get("GET 700 KiB text", 10, "/pages/large", "text/html; charset=utf-8", text(700 * KIB)),
            Self {
                upload: Some(upload),
                ..Self::get("POST 100 KiB binary", 4, "/upload", "application/json", accepted.into_bytes())
            },
        ]
    }

    /// The event, as ALB's encoder writes it.
    ///
    /// # Errors
    /// If the event cannot be encoded, which would be a bug in this file.
    pub fn event(&self, mode: HeaderMode) -> anyhow::Result<Vec<u8>> {
        let mut request =
            http::Request::builder().method(if self.upload.is_some() { "POST" } else { "GET" }).uri(self.target);
        for (name, value) in FIELDS {
            request = request.header(name, value);
        }
        if let Some(upload) = &self.upload {
            request = request.header("content-type", "application/octet-stream").header("content-length", upload.len());
        }
        let (parts, ()) = request.body(())?.into_parts();
        let body = self.upload.as_deref().unwrap_or_default();
        alb::encode_request(mode, TARGET_GROUP, RequestLine::new(&parts.method, &parts.uri), &parts.headers, body)
            .context("ALB's encoder refused the request")
    }

    /// The same request as a client without any function in between sends it.
    #[must_use]
    pub fn direct(&self) -> Vec<u8> {
        self.request(|_| true)
    }

    /// The same request as a client sends it to a front end, which adds fields of its own.
    #[must_use]
    pub fn client(&self) -> Vec<u8> {
        self.request(|name| !name.starts_with("x-"))
    }

    fn request(&self, is_sent: fn(&str) -> bool) -> Vec<u8> {
        let method = if self.upload.is_some() { "POST" } else { "GET" };
        let mut head = format!("{method} {} HTTP/1.1\r\n", self.target);
        for (name, value) in FIELDS.iter().filter(|(name, _)| is_sent(name)) {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if let Some(upload) = &self.upload {
            let _ = write!(head, "content-type: application/octet-stream\r\ncontent-length: {}\r\n", upload.len());
        }
        head.push_str("\r\n");
        let mut request = head.into_bytes();
        request.extend_from_slice(self.upload.as_deref().unwrap_or_default());
        request
    }

    /// Checks that ALB accepts a function's reply, and that status and body are the expected ones. Fields are the
    /// conformance suite's business: the article's handler returns the wrong ones and is measured all the same.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn check(&self, mode: HeaderMode, reply: &[u8]) -> anyhow::Result<()> {
        let response = alb::decode_response(mode, reply)?.response;
        ensure!(
            response.status() == 200,
            "status {}: `{}`",
            response.status().as_u16(),
            String::from_utf8_lossy(response.body()).chars().take(120).collect::<String>()
        );
        self.check_body(response.body())
    }

    /// Checks that these are the bytes that the client must get.
    ///
    /// # Errors
    /// Says how they differ.
    pub fn check_body(&self, body: &[u8]) -> anyhow::Result<()> {
        ensure!(body == self.body, "a body of {} bytes that is not the {} bytes expected", body.len(), self.body.len());
        Ok(())
    }
}

/// The check for the anchors with a constant response.
///
/// # Errors
/// When it does not.
pub fn check_constant(mode: HeaderMode, reply: &[u8]) -> anyhow::Result<()> {
    let response = alb::decode_response(mode, reply)?.response;
    ensure!(response.status() == 200 && response.body() == "ok", "not the constant answer");
    Ok(())
}

/// The origin's script. It goes by path, so that a handler that loses the query is still served; the response to an
/// upload is what was really received.
pub fn script(workloads: &[Workload]) -> impl Fn(At, &Message<'_>) -> Action + Send + Sync + 'static {
    let answers: Vec<(&'static str, Arc<[u8]>, bool)> = workloads
        .iter()
        .map(|one| {
            let path = one.target.split('?').next().unwrap_or_default();
            (path, one.answer.clone(), one.upload.is_some())
        })
        .collect();
    let whole = sum(&binary(100 * KIB));
    let missing: Arc<[u8]> = (*b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").into();
    let partial: Arc<[u8]> = (*b"HTTP/1.1 422 Unprocessable Content\r\nContent-Length: 0\r\n\r\n").into();
    move |_, request| {
        let target = request.second_word();
        let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
        match answers.iter().find(|(known, ..)| known.as_bytes() == path) {
            None => Action::Send(missing.clone()),
            Some((_, _, true)) if sum(&request.body) != whole => Action::Send(partial.clone()),
            Some((_, answer, _)) => Action::Send(answer.clone()),
        }
    }
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(byte)).sum()
}

/// Bytes of every value, in no order that compresses (a linear congruential generator: the same in every run).
#[must_use]
pub fn binary(length: usize) -> Vec<u8> {
    let mut state: u32 = 2_463_534_242;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// HTML with the quotes and line ends that JSON must escape.
#[must_use]
pub fn text(length: usize) -> Vec<u8> {
    let line = "<li class=\"order\"><a href=\"/orders/42\">Bestelling n\u{b0} 42</a> delivered on time, nothing to report today</li>\n";
    let mut text = line.repeat(length / line.len());
    text.extend(std::iter::repeat_n('.', length - text.len()));
    text.into_bytes()
}

fn json(length: usize) -> Vec<u8> {
    let mut text = String::from("{\"orders\":[");
    while text.len() + 80 < length {
        text.push_str("{\"id\":42,\"state\":\"delivered\",\"total\":\"19.95\"},");
    }
    text.push_str("{\"note\":\"");
    text.extend(std::iter::repeat_n('.', length - text.len() - 4));
    text.push_str("\"}]}");
    text.into_bytes()
}
