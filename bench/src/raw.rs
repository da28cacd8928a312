//! A minimal loop for the Lambda Runtime API on one blocking socket, which the anchors `raw-floor` and `raw-proxy` share. It owns
//! the loop, not the response. It deliberately has no error path, timeout or validation: it is a lower bound for measurements, not
//! a runtime to use.

use std::io::{self, Write};
use std::net::TcpStream;

use crossfade_testkit::message::{Kind, Reader};

/// Digits that are kept free for the length of an answer which is known only when it is written. Leading zeros are within
/// `1*DIGIT` (RFC 9110 section 8.6).
const LENGTH_DIGITS: usize = 10;

/// Takes events and posts what `answer` appends to the buffer, until the other side closes the connection.
///
/// # Errors
/// Whatever the socket or `answer` returns; nothing is retried.
pub fn serve(mut answer: impl FnMut(&[u8], &mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
    let address = std::env::var("AWS_LAMBDA_RUNTIME_API").map_err(io::Error::other)?;
    let stream = TcpStream::connect(&address)?;
    stream.set_nodelay(true)?;
    let next = format!("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut api = Reader::new(stream);
    let mut post = Vec::with_capacity(8 * 1024);
    loop {
        api.stream.write_all(next.as_bytes())?;
        let Some(event) = api.read(Kind::Response)? else {
            return Ok(());
        };
        let id = event.field("lambda-runtime-aws-request-id").unwrap_or_default();
        let invocation = event.field("lambda-runtime-invocation-id").unwrap_or_default();
        post.clear();
        for piece in [
            b"POST /2018-06-01/runtime/invocation/",
            id,
            b"/response HTTP/1.1\r\nHost: ",
            address.as_bytes(),
            b"\r\nContent-Type: application/json\r\nLambda-Runtime-Invocation-Id: ",
            invocation,
            b"\r\nContent-Length: ",
        ] {
            post.extend_from_slice(piece);
        }
        let length_at = post.len();
        post.extend_from_slice(b"0000000000\r\n\r\n");
        let body_at = post.len();
        answer(&event.body, &mut post)?;
        let mut length = post.len() - body_at;
        for digit in post[length_at..length_at + LENGTH_DIGITS].iter_mut().rev() {
            *digit = b'0' + u8::try_from(length % 10).unwrap_or(0);
            length /= 10;
        }
        api.stream.write_all(&post)?;
        if api.read(Kind::Response)?.is_none() {
            return Ok(());
        }
    }
}
