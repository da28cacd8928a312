//! The table's part for HTTP/2, with frames byte by byte. Kinds of outcome are `cases.rs`'s.

use super::*;

// RFC 9113 section 6, RFC 7541.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const STATUS_200: &[u8] = b"\x88";
const STATUS_200_LENGTH_10: &[u8] = b"\x88\x0f\x0d\x0210";

const HTTP2: Case = Case { tls: Tls::Http2, ..CASE };

pub(super) const CASES: &[Case] = &[
    Case { fault: "HTTP/2: closes after the request", acts: &[Close], tls: Tls::Http2, ..BROKEN },
    Case { fault: "HTTP/2: stalls, and does not acknowledge PING", acts: &[Stall], tls: Tls::Http2, ..TIMEOUT },
    Case {
        fault: "HTTP/2: stalls with a PING of its own",
        acts: &[ConnectionFrame(PING, b"12345678"), Stall],
        tls: Tls::Http2,
        ..TIMEOUT
    },
    Case {
        fault: "HTTP/2: stalls in the body",
        acts: &[Frame(HEADERS, END_HEADERS, STATUS_200), Frame(DATA, 0, b"half"), Stall],
        tls: Tls::Http2,
        ..TIMEOUT
    },
    Case {
        fault: "HTTP/2: never opens the flow-control window for the request's content; POST",
        method: "POST",
        when: Connected,
        acts: &[ConnectionFrame(SETTINGS, b"\0\x04\0\0\0\0"), Stall],
        tls: Tls::Http2,
        ..TIMEOUT
    },
    Case {
        fault: "HTTP/2: resets the stream (INTERNAL_ERROR)",
        acts: &[Frame(RST_STREAM, 0, b"\0\0\0\x02")],
        tls: Tls::Http2,
        ..BROKEN
    },
    Case {
        fault: "HTTP/2: resets the stream in the body",
        acts: &[
            Frame(HEADERS, END_HEADERS, STATUS_200),
            Frame(DATA, 0, b"half"),
            Pause,
            Frame(RST_STREAM, 0, b"\0\0\0\x02"),
        ],
        tls: Tls::Http2,
        ..INCOMPLETE
    },
    Case {
        fault: "HTTP/2: resets the stream without an error (NO_ERROR) before its `Content-Length`",
        acts: &[
            Frame(HEADERS, END_HEADERS, STATUS_200_LENGTH_10),
            Frame(DATA, 0, b"half"),
            Pause,
            Frame(RST_STREAM, 0, b"\0\0\0\0"),
        ],
        tls: Tls::Http2,
        ..INCOMPLETE
    },
    Case {
        fault: "HTTP/2: sends GOAWAY without an error before its `Content-Length`",
        acts: &[
            Frame(HEADERS, END_HEADERS, STATUS_200_LENGTH_10),
            Frame(DATA, 0, b"half"),
            Pause,
            ConnectionFrame(GOAWAY, b"\0\0\0\0\0\0\0\0"),
            Close,
        ],
        tls: Tls::Http2,
        ..INCOMPLETE
    },
    Case {
        fault: "HTTP/2: refuses the stream (REFUSED_STREAM); POST",
        method: "POST",
        kept: true,
        acts: &[Frame(RST_STREAM, 0, b"\0\0\0\x07")],
        sent: 2,
        status: 200,
        next_kept: true,
        ..HTTP2
    },
    Case {
        fault: "HTTP/2: sends GOAWAY while idle; POST",
        method: "POST",
        kept: true,
        when: Idle,
        acts: &[ConnectionFrame(GOAWAY, b"\0\0\0\x01\0\0\0\0"), Close],
        status: 200,
        next_kept: true,
        ..HTTP2
    },
    Case {
        fault: "HTTP/2: sends GOAWAY without having processed the request; POST",
        method: "POST",
        kept: true,
        acts: &[ConnectionFrame(GOAWAY, b"\0\0\0\x01\0\0\0\0"), Pause, Close],
        status: 200,
        sent: 2,
        next_kept: true,
        ..HTTP2
    },
    Case {
        fault: "HTTP/2: sends GOAWAY and closes during the request; GET",
        kept: true,
        acts: &[ConnectionFrame(GOAWAY, b"\0\0\0\x03\0\0\0\0"), Pause, Close],
        status: 200,
        sent: 2,
        next_kept: true,
        ..HTTP2
    },
    Case {
        fault: "HTTP/2: sends GOAWAY and closes during the request; POST",
        method: "POST",
        kept: true,
        acts: &[ConnectionFrame(GOAWAY, b"\0\0\0\x03\0\0\0\0"), Pause, Close],
        tls: Tls::Http2,
        ..BROKEN
    },
    Case {
        fault: "HTTP/2: sends GOAWAY, but still responds",
        acts: &[
            ConnectionFrame(GOAWAY, b"\0\0\0\x01\0\0\0\0"),
            Frame(HEADERS, END_HEADERS, STATUS_200),
            Frame(DATA, END_STREAM, b"fine"),
        ],
        status: 200,
        body: "fine",
        ..HTTP2
    },
    Case {
        fault: "HTTP/2: sends GOAWAY (ENHANCE_YOUR_CALM)",
        acts: &[ConnectionFrame(GOAWAY, b"\0\0\0\x01\0\0\0\x0b"), Close],
        tls: Tls::Http2,
        ..BROKEN
    },
    Case {
        fault: "HTTP/2: sends a body that is shorter than its `Content-Length`",
        acts: &[Frame(HEADERS, END_HEADERS, STATUS_200_LENGTH_10), Frame(DATA, END_STREAM, b"half")],
        tls: Tls::Http2,
        ..INVALID
    },
    Case {
        fault: "HTTP/2: sends a body that is longer than its `Content-Length`",
        acts: &[Frame(HEADERS, END_HEADERS, STATUS_200_LENGTH_10), Frame(DATA, END_STREAM, b"fine and more")],
        tls: Tls::Http2,
        ..INVALID
    },
    Case {
        fault: "HTTP/2: sends endless fields",
        acts: &[Frame(HEADERS, 0, STATUS_200), RepeatFrame(CONTINUATION, 0, b"\x00\x06x-more\x0dcanary-answer")],
        tls: Tls::Http2,
        ..INVALID
    },
    Case {
        fault: "HTTP/2: sends 103 endlessly, as fast as it can",
        acts: &[RepeatFrame(HEADERS, END_HEADERS, b"\x08\x03103")],
        tls: Tls::Http2,
        ..TIMEOUT
    },
    Case {
        fault: "HTTP/2: sends empty DATA frames endlessly",
        acts: &[Frame(HEADERS, END_HEADERS, STATUS_200), RepeatFrame(DATA, 0, b"")],
        tls: Tls::Http2,
        ..INVALID
    },
    Case {
        fault: "HTTP/2: sends fields that cannot be decompressed",
        acts: &[Frame(HEADERS, END_HEADERS, b"\xff\xff\xff\xff\xff\xff")],
        tls: Tls::Http2,
        ..INVALID
    },
    Case {
        fault: "HTTP/2: sends a field with a line end",
        acts: &[Frame(HEADERS, END_HEADERS | END_STREAM, b"\x88\x00\x05x-bad\x0ba\r\nb: canary")],
        tls: Tls::Http2,
        ..INVALID
    },
    Case {
        fault: "HTTP/2: speaks HTTP/1.1",
        when: Connected,
        acts: &[Write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine"), Pause, Close],
        tls: Tls::Http2,
        ..INVALID
    },
];
