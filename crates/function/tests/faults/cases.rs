//! The table: what a back end does, and what must come of it. What a case does not say is as in `CASE`.
//! Those of HTTP/2 are in `cases/http2.rs`.

mod http2;

use crossfade_testkit::origin::Tls;

/// The moment at which a back end misbehaves, once; before and after it responds correctly.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum When {
    /// The port is taken, but nobody listens.
    Refused,
    /// The queue of connections that wait to be accepted is full.
    Full,
    /// A TCP connection is there.
    Accepted,
    /// The TLS handshake has a certificate that is not right.
    Shown(Certificate),
    /// TLS is there, no request was read.
    Connected,
    /// A request was read.
    Asked,
    /// A request was answered.
    Idle,
    /// All of a sudden the back end is at another of its addresses.
    Moved,
    /// Never: where it is said to be is the fault. If it is not there at all, the next request goes by another route.
    Never,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Certificate {
    Of(Tls),
    WeakKey,
    WeakSignature,
}

/// An action of a back end. It continues as usual afterwards, unless it closes, resets or stalls.
pub(crate) enum Act {
    Write(&'static [u8]),
    /// With so many bytes of content between the two.
    WriteLarge(&'static [u8], usize, &'static [u8]),
    /// HTTP/2: type, flags and payload, on the stream of the request.
    Frame(u8, u8, &'static [u8]),
    /// On stream 0.
    ConnectionFrame(u8, &'static [u8]),
    /// Until the client goes, as fast as can be.
    Repeat(&'static [u8]),
    RepeatFrame(u8, u8, &'static [u8]),
    /// Some times a second.
    RepeatSlowly(&'static [u8]),
    /// Reads a part of the request.
    ReadSome,
    /// A byte a second, over and over.
    Trickle(&'static [u8]),
    /// So that the client has read what was written.
    Pause,
    Stall,
    /// With an end of TLS.
    Close,
    /// Without.
    Break,
    Reset,
}

pub(crate) struct Case {
    pub fault: &'static str,
    pub method: &'static str,
    /// The connection has served a request before.
    pub kept: bool,
    pub tls: Tls,
    /// `PORT` is the back end's, `OTHER` a second one of its, `CLOSED` nobody's, `MUTE` one that accepts and no more.
    pub url: &'static str,
    /// More keys of the back end.
    pub keys: &'static str,
    pub when: When,
    pub acts: &'static [Act],

    pub status: u16,
    /// `Proxy-Status` without `crossfade; error=`; empty if there must be none.
    pub error: &'static str,
    /// The beginning of `detail` in the log.
    pub detail: &'static str,
    /// `attempts` of the log.
    pub sent: u32,
    /// The content; the back end's good answer if empty.
    pub body: &'static str,
    /// The connection of the next request is not a new one.
    pub next_kept: bool,
}

use Act::*;
use When::*;

const CASE: Case = Case {
    fault: "",
    method: "GET",
    kept: false,
    tls: Tls::Good,
    url: "https://localhost:PORT",
    keys: "",
    when: Asked,
    acts: &[],
    status: 502,
    error: "",
    detail: "",
    sent: 1,
    body: "",
    next_kept: false,
};

/// No connection.
const UNCONNECTED: Case = Case { when: Accepted, sent: 0, ..CASE };
const BAD_CERTIFICATE: Case = Case { error: "tls_certificate_error", sent: 0, ..CASE };
const TIMEOUT: Case =
    Case { status: 504, error: "http_response_timeout", detail: "no complete response in time", ..CASE };
/// The connection broke without an answer.
const BROKEN: Case =
    Case { error: "connection_terminated", detail: "the connection closed before the response: ", ..CASE };
/// It broke within the answer.
const INCOMPLETE: Case = Case { error: "http_response_incomplete", detail: "the response is incomplete: ", ..CASE };
const INVALID: Case = Case { error: "http_protocol_error", detail: "the response is not valid HTTP: ", ..CASE };
const CODED: Case =
    Case { error: "http_response_transfer_coding", detail: "the response has a `Transfer-Encoding`", ..CASE };
const TOO_MANY_FIELDS: Case = Case {
    error: "http_response_header_section_size; details=\"the response fields are too many or too large to be read\"",
    detail: "the response fields are too many or too large to be read",
    ..CASE
};
/// A case that is harmless.
const FINE: Case = Case { status: 200, next_kept: true, ..CASE };

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";

/// In the order of the page.
pub(crate) fn all() -> Vec<&'static Case> {
    HTTP1.iter().chain(http2::CASES).collect()
}

const HTTP1: &[Case] = &[
    // Name and address.
    Case {
        fault: "the name has no address",
        url: "https://no-such-host.invalid",
        when: Never,
        error: "dns_error",
        detail: "no address for `no-such-host.invalid`: ",
        ..UNCONNECTED
    },
    Case {
        fault: "the first of two addresses refuses the connection",
        keys: "addresses: ['127.0.0.1:CLOSED', '127.0.0.1:PORT']",
        when: Never,
        ..FINE
    },
    Case {
        fault: "the first of two addresses does not respond",
        keys: "addresses: ['127.0.0.1:MUTE', '127.0.0.1:PORT']\ntimeouts: { connect: 2s }",
        when: Never,
        ..FINE
    },
    Case {
        fault: "the back end moves to its other address, with a connection kept; GET",
        kept: true,
        keys: "addresses: ['127.0.0.1:PORT', '127.0.0.1:OTHER']",
        when: Moved,
        ..FINE
    },
    Case {
        fault: "the same; POST",
        method: "POST",
        kept: true,
        keys: "addresses: ['127.0.0.1:PORT', '127.0.0.1:OTHER']",
        when: Moved,
        ..FINE
    },
    // TCP.
    Case {
        fault: "refuses the connection",
        when: Refused,
        error: "connection_refused",
        detail: "connection refused by ",
        ..UNCONNECTED
    },
    Case {
        fault: "does not accept the connection",
        when: Full,
        status: 504,
        error: "connection_timeout",
        detail: "no connection to ",
        ..UNCONNECTED
    },
    Case {
        fault: "resets before the TLS handshake",
        acts: &[Reset],
        error: "connection_terminated",
        detail: "the connection closed before it could be used: ",
        ..UNCONNECTED
    },
    // TLS.
    Case {
        fault: "stalls before the TLS handshake",
        acts: &[Stall],
        status: 504,
        error: "connection_timeout",
        detail: "no connection to ",
        ..UNCONNECTED
    },
    Case {
        fault: "stalls in the TLS handshake",
        acts: &[Write(b"\x16\x03\x03\x00\x7a\x02\x00"), Stall],
        status: 504,
        error: "connection_timeout",
        detail: "no connection to ",
        ..UNCONNECTED
    },
    Case {
        fault: "resets in the TLS handshake",
        acts: &[Write(b"\x16\x03\x03\x00\x7a\x02\x00"), Pause, Reset],
        error: "connection_terminated",
        detail: "the connection closed before it could be used: ",
        ..UNCONNECTED
    },
    Case {
        fault: "closes in the TLS handshake",
        acts: &[Write(b"\x16\x03\x03\x00\x7a\x02\x00"), Close],
        error: "connection_terminated",
        detail: "the connection closed before it could be used: ",
        ..UNCONNECTED
    },
    Case {
        fault: "sends its part of the TLS handshake byte by byte",
        acts: &[Trickle(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03")],
        status: 504,
        error: "connection_timeout",
        detail: "no connection to ",
        ..UNCONNECTED
    },
    Case {
        fault: "does not speak TLS",
        acts: &[Write(b"HTTP/1.1 400 Bad Request\r\nset-cookie: canary-answer\r\n\r\n"), Close],
        error: "tls_protocol_error",
        detail: "TLS: ",
        ..UNCONNECTED
    },
    Case {
        fault: "offers only an older version of TLS",
        acts: &[Write(b"\x15\x03\x01\x00\x02\x02\x46"), Close],
        error: "tls_alert_received",
        detail: "TLS: received fatal alert: ",
        ..UNCONNECTED
    },
    // Certificates.
    Case {
        fault: "presents an expired certificate",
        when: Shown(Certificate::Of(Tls::Expired)),
        detail: "certificate: invalid peer certificate: certificate expired",
        ..BAD_CERTIFICATE
    },
    Case {
        fault: "presents a certificate that is not yet valid",
        when: Shown(Certificate::Of(Tls::NotYetValid)),
        detail: "certificate: invalid peer certificate: certificate not valid yet",
        ..BAD_CERTIFICATE
    },
    Case {
        fault: "presents a certificate for another host",
        when: Shown(Certificate::Of(Tls::WrongHost)),
        detail: "certificate: invalid peer certificate: certificate not valid for name \"localhost\"",
        ..BAD_CERTIFICATE
    },
    Case {
        fault: "presents a self-signed certificate",
        when: Shown(Certificate::Of(Tls::SelfSigned)),
        detail: "certificate: invalid peer certificate: ",
        ..BAD_CERTIFICATE
    },
    Case {
        fault: "presents a certificate from an unknown authority",
        when: Shown(Certificate::Of(Tls::Untrusted)),
        detail: "certificate: invalid peer certificate: ",
        ..BAD_CERTIFICATE
    },
    Case {
        fault: "presents a certificate signed with a weak key (RSA, 1024 bits)",
        when: Shown(Certificate::WeakKey),
        detail: "certificate: invalid peer certificate: ",
        ..BAD_CERTIFICATE
    },
    Case {
        fault: "presents a certificate with a weak signature (SHA-1)",
        when: Shown(Certificate::WeakSignature),
        detail: "certificate: invalid peer certificate: ",
        ..BAD_CERTIFICATE
    },
    Case { fault: "requires a client certificate", when: Shown(Certificate::Of(Tls::Mutual)), ..BROKEN },
    // After the request.
    Case { fault: "closes after the TLS handshake", when: Connected, acts: &[Close], ..BROKEN },
    Case { fault: "closes after the request", acts: &[Close], ..BROKEN },
    Case { fault: "resets after the request; GET", acts: &[Reset], ..BROKEN },
    Case { fault: "resets after the request; POST", method: "POST", acts: &[Reset], ..BROKEN },
    Case { fault: "stalls after the request; GET", acts: &[Stall], ..TIMEOUT },
    Case { fault: "stalls after the request; POST", method: "POST", acts: &[Stall], ..TIMEOUT },
    Case {
        fault: "stalls after the request, longer than `backendRequest`",
        keys: "timeouts: { backendRequest: 500ms }",
        acts: &[Stall],
        ..TIMEOUT
    },
    Case {
        fault: "resets while it reads the request on a kept connection; GET",
        kept: true,
        when: Idle,
        acts: &[ReadSome, Reset],
        sent: 2,
        ..FINE
    },
    Case {
        fault: "the same; POST of 720 KB",
        method: "POST",
        kept: true,
        when: Idle,
        acts: &[ReadSome, Reset],
        ..BROKEN
    },
    // In the head of the answer.
    Case {
        fault: "closes in the head",
        acts: &[Write(b"HTTP/1.1 200 OK\r\nset-cookie: canary-ans"), Close],
        ..INCOMPLETE
    },
    Case {
        fault: "resets in the head",
        acts: &[Write(b"HTTP/1.1 200 OK\r\nset-cookie: canary-ans"), Pause, Reset],
        ..INCOMPLETE
    },
    Case { fault: "stalls in the head", acts: &[Write(b"HTTP/1.1 200 OK\r\nset-coo"), Stall], ..TIMEOUT },
    Case { fault: "sends the head byte by byte", acts: &[Trickle(b"HTTP/1.1 200 OK\r\nx-long: trickle")], ..TIMEOUT },
    // In its body.
    Case {
        fault: "closes in the body, before its `Content-Length`",
        acts: &[Write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"), Close],
        ..INCOMPLETE
    },
    Case {
        fault: "resets in the body",
        acts: &[Write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"), Pause, Reset],
        ..INCOMPLETE
    },
    Case {
        fault: "stalls in the body",
        acts: &[Write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"), Stall],
        ..TIMEOUT
    },
    Case {
        fault: "sends the body byte by byte",
        acts: &[Write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"), Trickle(b"x")],
        ..TIMEOUT
    },
    Case {
        fault: "closes in a chunk",
        acts: &[Write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"), Close],
        ..INCOMPLETE
    },
    Case {
        fault: "closes before the last chunk",
        acts: &[Write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n"), Close],
        ..INCOMPLETE
    },
    Case {
        fault: "resets in a body without a length",
        acts: &[Write(b"HTTP/1.1 200 OK\r\n\r\nhalf"), Pause, Reset],
        ..INCOMPLETE
    },
    Case {
        fault: "ends a body without a length, and without close_notify",
        acts: &[Write(b"HTTP/1.1 200 OK\r\n\r\nhalf"), Pause, Break],
        ..INCOMPLETE
    },
    Case {
        fault: "the same with `allowMissingCloseNotify`",
        keys: "tls: { allowMissingCloseNotify: true }",
        acts: &[Write(b"HTTP/1.1 200 OK\r\n\r\nhalf"), Pause, Break],
        body: "half",
        next_kept: false,
        ..FINE
    },
    Case {
        fault: "truncates a body with a length, with `allowMissingCloseNotify`",
        keys: "tls: { allowMissingCloseNotify: true }",
        acts: &[Write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"), Pause, Break],
        ..INCOMPLETE
    },
    Case {
        fault: "requests connection-based authentication (NTLM)",
        acts: &[Write(b"HTTP/1.1 401 Unauthorized\r\nwww-authenticate: NTLM\r\ncontent-length: 4\r\n\r\nfine")],
        status: 401,
        body: "fine",
        next_kept: false,
        ..FINE
    },
    Case {
        fault: "sends a body that is too large for the load balancer",
        acts: &[WriteLarge(b"HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n", 2_000_000, b"")],
        error: "http_response_body_size; details=\"the response is too large for the load balancer: more than 1048576 bytes of content; send it compressed, in pages, or past the proxy\"",
        detail: "the response is too large",
        ..CASE
    },
    Case {
        fault: "sends an endless body",
        acts: &[Write(b"HTTP/1.1 200 OK\r\n\r\n"), Repeat(&[b'x'; 10_000])],
        error: "http_response_body_size; details=\"the response is too large for the load balancer: more than 1048576 bytes of content; send it compressed, in pages, or past the proxy\"",
        detail: "the response is too large",
        ..CASE
    },
    // Framing.
    Case {
        fault: "sends a body that is longer than its `Content-Length`",
        acts: &[Write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine and more")],
        body: "fine",
        next_kept: false,
        ..FINE
    },
    Case {
        fault: "sends a second response after the first",
        acts: &[Write(
            b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfineHTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled",
        )],
        body: "fine",
        next_kept: false,
        ..FINE
    },
    Case {
        fault: "sends an unsolicited response while idle; POST",
        method: "POST",
        kept: true,
        when: Idle,
        acts: &[Write(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled")],
        ..FINE
    },
    Case {
        fault: "sends content with a 204",
        acts: &[Write(b"HTTP/1.1 204 No Content\r\ncontent-length: 8\r\n\r\nsmuggled")],
        status: 204,
        body: "-",
        next_kept: false,
        ..FINE
    },
    Case {
        fault: "sends content in response to HEAD",
        method: "HEAD",
        acts: &[Write(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled")],
        body: "-",
        next_kept: false,
        ..FINE
    },
    Case {
        fault: "sends `Content-Length` and `Transfer-Encoding`",
        acts: &[Write(
            b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n",
        )],
        body: "fine",
        next_kept: false,
        ..FINE
    },
    Case {
        fault: "sends a transfer coding besides `chunked`",
        acts: &[Write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n")],
        ..CODED
    },
    Case {
        fault: "sends a final transfer coding other than `chunked`, and a length",
        acts: &[
            Write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, identity\r\ncontent-length: 3\r\n\r\n"),
            Write(b"4\r\nfine\r\n0\r\n\r\n"),
            Close,
        ],
        ..CODED
    },
    Case {
        fault: "sends two lengths that differ",
        acts: &[Write(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab")],
        ..INVALID
    },
    Case {
        fault: "sends the same length twice",
        acts: &[Write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 4\r\n\r\nfine")],
        body: "fine",
        ..FINE
    },
    Case {
        fault: "sends a length that is not a number",
        acts: &[Write(b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nab")],
        ..INVALID
    },
    Case {
        fault: "sends a chunk size that is not a number",
        acts: &[Write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n")],
        ..INVALID
    },
    Case {
        fault: "sends a chunk size beyond 64 bits",
        acts: &[Write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10000000000000005\r\nabcde\r\n0\r\n\r\n")],
        ..INVALID
    },
    Case {
        fault: "sends a chunk that is longer than its size",
        acts: &[Write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabcde\r\n0\r\n\r\n")],
        ..INVALID
    },
    Case {
        fault: "sends an endless chunk extension",
        acts: &[Write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;"), Repeat(&[b'x'; 1000])],
        ..INVALID
    },
    Case {
        fault: "sends endless trailers",
        acts: &[
            Write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"),
            Repeat(b"x-more: canary-answer\r\n"),
        ],
        ..INVALID
    },
    // Early answers.
    Case {
        fault: "sends 100 before its response; POST",
        method: "POST",
        acts: &[Write(b"HTTP/1.1 100 Continue\r\n\r\n"), Pause, Write(OK)],
        body: "fine",
        ..FINE
    },
    Case {
        fault: "sends 103 twice before its response",
        acts: &[
            Write(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </b>\r\n\r\n"),
            Pause,
            Write(OK),
        ],
        body: "fine",
        ..FINE
    },
    Case {
        fault: "sends 103 endlessly",
        acts: &[RepeatSlowly(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")],
        ..TIMEOUT
    },
    Case {
        fault: "sends 103 endlessly, as fast as it can",
        acts: &[Repeat(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")],
        ..TIMEOUT
    },
    Case {
        fault: "switches protocols without being asked",
        acts: &[Write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")],
        error: "http_protocol_error",
        detail: "the response has the invalid status 101",
        ..CASE
    },
    Case {
        fault: "responds before it has read the request, and closes; POST",
        method: "POST",
        when: Connected,
        acts: &[ReadSome, Write(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 4\r\n\r\nfine"), Pause, Close],
        status: 401,
        body: "fine",
        next_kept: false,
        ..FINE
    },
    // Fields.
    Case {
        fault: "sends fields that are too large for the load balancer",
        acts: &[WriteLarge(
            b"HTTP/1.1 200 OK\r\nset-cookie: canary-answer",
            40_000,
            b"\r\ncontent-length: 4\r\n\r\nfine",
        )],
        error: "http_response_header_section_size; details=\"the response fields are too large for the load balancer: \
                40027 bytes, 32768 are allowed\"",
        detail: "the response fields are too large for the load balancer",
        next_kept: true,
        ..CASE
    },
    Case {
        fault: "sends a field of a megabyte",
        acts: &[WriteLarge(
            b"HTTP/1.1 200 OK\r\nset-cookie: canary-answer",
            1_000_000,
            b"\r\ncontent-length: 4\r\n\r\nfine",
        )],
        ..TOO_MANY_FIELDS
    },
    Case {
        fault: "sends endless fields",
        acts: &[Write(b"HTTP/1.1 200 OK\r\n"), Repeat(b"x-more: canary-answer\r\n")],
        ..TOO_MANY_FIELDS
    },
    Case {
        fault: "sends an endless reason phrase",
        acts: &[Write(b"HTTP/1.1 200 "), Repeat(b"fine ")],
        ..TOO_MANY_FIELDS
    },
    Case {
        fault: "sends a field with a control character",
        acts: &[Write(b"HTTP/1.1 200 OK\r\nx-bad: canary-answer\x01\r\ncontent-length: 4\r\n\r\nfine")],
        ..INVALID
    },
    Case {
        fault: "sends a field with a NUL",
        acts: &[Write(b"HTTP/1.1 200 OK\r\nx-bad: canary-answer\0\r\ncontent-length: 4\r\n\r\nfine")],
        ..INVALID
    },
    Case {
        fault: "sends a field with a bare CR",
        acts: &[Write(b"HTTP/1.1 200 OK\r\nx-bad: canary\r-answer\r\ncontent-length: 4\r\n\r\nfine")],
        ..INVALID
    },
    Case {
        fault: "sends a field without a colon",
        acts: &[Write(b"HTTP/1.1 200 OK\r\ncanary-answer\r\ncontent-length: 4\r\n\r\nfine")],
        ..INVALID
    },
    Case {
        fault: "sends a field with a space in its name",
        acts: &[Write(b"HTTP/1.1 200 OK\r\nx-bad : canary-answer\r\ncontent-length: 4\r\n\r\nfine")],
        ..INVALID
    },
    Case {
        fault: "sends a field over two lines (obs-fold)",
        acts: &[Write(b"HTTP/1.1 200 OK\r\nx-bad: canary\r\n answer\r\ncontent-length: 4\r\n\r\nfine")],
        ..INVALID
    },
    Case {
        fault: "sends an invalid status (999)",
        acts: &[Write(b"HTTP/1.1 999 No\r\ncontent-length: 4\r\n\r\nfine")],
        error: "http_protocol_error",
        detail: "the response has the invalid status 999",
        ..CASE
    },
    Case { fault: "speaks another protocol", acts: &[Write(b"220 smtp.example.com ESMTP\r\n")], ..INVALID },
    // Kept connections.
    Case { fault: "closes an idle connection; GET", kept: true, when: Idle, acts: &[Close], ..FINE },
    Case { fault: "closes an idle connection; POST", method: "POST", kept: true, when: Idle, acts: &[Close], ..FINE },
    Case {
        fault: "resets an idle connection; POST",
        method: "POST",
        kept: true,
        when: Idle,
        acts: &[Pause, Reset],
        ..FINE
    },
    Case { fault: "closes a kept connection with a request on it; GET", kept: true, acts: &[Close], sent: 2, ..FINE },
    Case { fault: "resets a kept connection with a request on it; GET", kept: true, acts: &[Reset], sent: 2, ..FINE },
    Case {
        fault: "resets a kept connection with a request on it; POST",
        method: "POST",
        kept: true,
        acts: &[Reset],
        ..BROKEN
    },
    Case {
        fault: "resets a kept connection in its response; GET",
        kept: true,
        acts: &[Write(b"HTTP/1.1 200 OK\r\nset-coo"), Pause, Reset],
        ..INCOMPLETE
    },
];
