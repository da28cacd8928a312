//! A client of the Lambda Runtime API: `next`, `response`, `init/error` over one kept connection, and replies in pieces, each
//! of which is the last on its connection.
//!
//! Owns the protocol (Lambda guide, "Using the Lambda runtime API for custom runtimes") and the memory of events: one
//! buffer is read into again and again. How HTTP frames a message is `http1`'s. Decides nothing about invocations.
//!
//! An own client because the official crate cannot lend the event's memory, and alone takes as many instructions as a
//! whole request here (`echo-floor` in bench/runs); a general HTTP client took some 20 k more.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::header::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;

use crate::http1::{self, Framing, Head, Malformed};

/// Room for the head of a request, so that its buffer does not grow on the way.
const HEAD: usize = 512;

/// Waits before asking again when the API does not answer.
const BACK_OFF: [Duration; 3] = [Duration::from_millis(10), Duration::from_millis(100), Duration::from_secs(1)];

/// Least room for a read.
const READ_SIZE: usize = 16 * 1024;

/// `Content-Type` of a reply in pieces that begins with a status and fields.
const STREAMED: &str = "application/vnd.awslambda.http-integration-response";

/// Trailers of a reply that could not be completed. The body is base64, since a field cannot have every byte.
const ERROR_TYPE: &str = "Lambda-Runtime-Function-Error-Type";
const ERROR_BODY: &str = "Lambda-Runtime-Function-Error-Body";

/// The memory of a larger event is given back: it is full of escapes, and each lane would keep it.
const LARGEST_KEPT: usize = 2 * 1024 * 1024;

/// A connection to the Runtime API.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    authority: String,
    /// Before every path: nothing in Lambda, the function's name in `cargo lambda watch`.
    base: String,
    stream: Option<TcpStream>,
    /// Bytes that have been read and not used.
    inbox: BytesMut,
    /// A part of the present response has arrived.
    has_begun: bool,
    /// The last content was larger than the buffer that is kept.
    was_large: bool,
    /// The function's deployment, known from the first event on.
    deployment: Option<u32>,
}

/// One invocation, as the API hands it out.
#[derive(Debug)]
pub(crate) struct NextEvent {
    pub(crate) request_id: String,
    /// To be sent back as it came.
    pub(crate) invocation_id: Option<String>,
    /// Milliseconds since 1970; absent only if the API is not Lambda's.
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) trace_id: Option<HeaderValue>,
    /// Of the function's ARN.
    pub(crate) deployment: Option<u32>,
    pub(crate) event: Bytes,
}

/// The Runtime API does not do its part. Fatal, but for what [`RuntimeApi::respond`] says of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("the Runtime API cannot be reached: {0}")]
    Io(#[from] std::io::Error),
    #[error("the Runtime API does not speak HTTP: {0}")]
    Http(#[from] Malformed),
    #[error("the Runtime API answered {status} to {call}")]
    Status { call: &'static str, status: u16 },
    #[error("the Runtime API sent an event without a request id")]
    NoRequestId,
}

impl RuntimeApi {
    /// `address` is `host:port` in Lambda. Others write a URL with a path.
    pub(crate) fn new(address: &str) -> Self {
        let (authority, base) = split(address);
        RuntimeApi {
            authority: authority.to_owned(),
            base: [base.trim_end_matches('/'), "/2018-06-01/runtime"].concat(),
            stream: None,
            inbox: BytesMut::new(),
            has_begun: false,
            was_large: false,
            deployment: None,
        }
    }

    /// Waits for the next event, for as long as it takes: the environment may be frozen in here.
    pub(crate) async fn next(&mut self) -> Result<NextEvent, ApiError> {
        let mut waits = BACK_OFF.iter();
        loop {
            let error = match self.ask_next().await {
                Ok(event) => return Ok(event),
                Err(error) => error,
            };
            match (&error, waits.next()) {
                // "Container error. Non-recoverable state. Runtime should exit promptly."
                (ApiError::Status { status: 500.., .. }, _) | (_, None) => return Err(error),
                (_, Some(wait)) => tokio::time::sleep(*wait).await,
            }
        }
    }

    async fn ask_next(&mut self) -> Result<NextEvent, ApiError> {
        let head = ["GET ", &self.base, "/invocation/next HTTP/1.1\r\nhost: ", &self.authority, "\r\n\r\n"].concat();
        let (head, event) = self.call(head.into(), Bytes::new()).await?;
        if head.status != 200 {
            return Err(ApiError::Status { call: "next", status: head.status });
        }
        Ok(NextEvent {
            request_id: head.request_id.ok_or(ApiError::NoRequestId)?,
            invocation_id: head.invocation_id,
            deadline_ms: head.deadline_ms,
            trace_id: head.trace_id,
            deployment: self.deployment,
            event,
        })
    }

    /// Posts the reply to an invocation.
    ///
    /// # Errors
    ///
    /// `Status` says that Lambda has given the invocation up (410 Gone, 400) or refuses the reply; the next event can
    /// be requested anyway, unless the status is 5xx.
    pub(crate) async fn respond(
        &mut self,
        request_id: &str,
        invocation_id: Option<&str>,
        reply: Bytes,
    ) -> Result<(), ApiError> {
        let field = invocation_id.map(|id| ("lambda-runtime-invocation-id", id));
        self.post("response", &["/invocation/", request_id, "/response"].concat(), field, reply).await
    }

    /// Begins to post a reply in pieces. The connection carries nothing else afterwards.
    ///
    /// # Errors
    ///
    /// The API cannot be reached.
    pub(crate) async fn begin(
        &mut self,
        request_id: &str,
        invocation_id: Option<&str>,
        beginning: Bytes,
    ) -> Result<Posting<'_>, ApiError> {
        let mut head =
            ["POST ", &self.base, "/invocation/", request_id, "/response HTTP/1.1\r\nhost: ", &self.authority].concat();
        for piece in invocation_id.map(|id| ["\r\nlambda-runtime-invocation-id: ", id]).iter().flatten() {
            head.push_str(piece);
        }
        head.push_str(&format!(
            "\r\ncontent-type: {STREAMED}\r\nlambda-runtime-function-response-mode: streaming\r\n\
             transfer-encoding: chunked\r\ntrailer: {ERROR_TYPE}, {ERROR_BODY}\r\n\r\n"
        ));
        let stream = match self.stream.take().filter(is_open) {
            Some(kept) => kept,
            None => self.connect().await?,
        };
        self.inbox.clear();
        let mut posting = Posting { stream, inbox: &mut self.inbox };
        posting.stream.write_all_buf(&mut Bytes::from(head).chain(chunk(beginning))).await?;
        Ok(posting)
    }

    /// Posts an error instead of a reply. Lambda tries the event again if nobody waits for a reply.
    pub(crate) async fn fail(
        &mut self,
        request_id: &str,
        invocation_id: Option<&str>,
        message: &str,
    ) -> Result<(), ApiError> {
        let field = invocation_id.map(|id| ("lambda-runtime-invocation-id", id));
        let path = ["/invocation/", request_id, "/error"].concat();
        self.post("error", &path, field, error_body("Crossfade.Live", message)).await
    }

    /// Tells Lambda why the function cannot start.
    pub(crate) async fn init_error(&mut self, error_type: &str, message: &str) -> Result<(), ApiError> {
        let field = Some(("lambda-runtime-function-error-type", error_type));
        self.post("init/error", "/init/error", field, error_body(error_type, message)).await
    }

    async fn post(
        &mut self,
        call: &'static str,
        path: &str,
        field: Option<(&str, &str)>,
        body: Bytes,
    ) -> Result<(), ApiError> {
        let length = body.len().to_string();
        let mut head = String::with_capacity(HEAD);
        for piece in ["POST ", &self.base, path, " HTTP/1.1\r\nhost: ", &self.authority, "\r\n"] {
            head.push_str(piece);
        }
        for (name, value) in field.into_iter().chain([("content-length", length.as_str())]) {
            for piece in [name, ": ", value, "\r\n"] {
                head.push_str(piece);
            }
        }
        head.push_str("\r\n");
        let (head, _) = self.call(head.into(), body).await?;
        match head.status {
            200..=299 => Ok(()),
            status => Err(ApiError::Status { call, status }),
        }
    }

    /// Sends a request and reads the answer; once more over a new connection if a kept one turns out to be closed.
    /// That is safe for all calls: an answer that is posted twice is refused the second time.
    async fn call(&mut self, head: Bytes, body: Bytes) -> Result<(Head, Bytes), ApiError> {
        if let Some(kept) = self.stream.take() {
            match self.exchange(kept, head.clone(), body.clone()).await {
                Err(ApiError::Io(_)) if !self.has_begun => {}
                answer => return answer,
            }
        }
        let stream = self.connect().await?;
        self.exchange(stream, head, body).await
    }

    async fn connect(&self) -> Result<TcpStream, ApiError> {
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn exchange(&mut self, mut stream: TcpStream, head: Bytes, body: Bytes) -> Result<(Head, Bytes), ApiError> {
        if std::mem::take(&mut self.was_large) {
            self.inbox = BytesMut::new();
        }
        self.inbox.clear();
        self.has_begun = false;
        stream.write_all_buf(&mut head.chain(body)).await?;
        let head = loop {
            match http1::parse_head(&self.inbox, &mut self.deployment)? {
                // 100 Continue and its like come before the answer.
                Some(head) if head.status < 200 => self.inbox.advance(head.length),
                Some(head) => break head,
                None => self.fill(&mut stream).await?,
            }
        };
        self.inbox.advance(head.length);
        let content = match head.framing {
            Framing::Length(length) => {
                self.inbox.reserve(length.saturating_sub(self.inbox.len()));
                while self.inbox.len() < length {
                    self.fill(&mut stream).await?;
                }
                self.inbox.split_to(length).freeze()
            }
            Framing::Chunked => loop {
                match http1::parse_chunked(&self.inbox)? {
                    Some(content) => break content,
                    None => self.fill(&mut stream).await?,
                }
            },
        };
        if head.keeps_connection {
            self.stream = Some(stream);
        }
        self.was_large = content.len() > LARGEST_KEPT;
        Ok((head, content))
    }

    async fn fill(&mut self, stream: &mut TcpStream) -> Result<(), ApiError> {
        // Takes the memory of earlier events, if nothing of them is in use any more.
        self.inbox.reserve(READ_SIZE);
        match stream.read_buf(&mut self.inbox).await? {
            0 => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
            _ => {
                self.has_begun = true;
                Ok(())
            }
        }
    }
}

/// A reply that is posted in pieces.
pub(crate) struct Posting<'a> {
    stream: TcpStream,
    inbox: &'a mut BytesMut,
}

impl Posting<'_> {
    /// Posts a piece. Waits until the connection has room for it, or until the API responds although the reply has not ended.
    ///
    /// # Errors
    ///
    /// The API takes no more of the reply.
    pub(crate) async fn write(&mut self, piece: Bytes) -> Result<(), ApiError> {
        let (reader, mut writer) = self.stream.split();
        let mut chunk = chunk(piece);
        tokio::select! {
            biased;
            written = writer.write_all_buf(&mut chunk) => Ok(written?),
            // With the chunk half written there is no way back.
            early = early(&reader, self.inbox) => Err(early?),
        }
    }

    /// Waits until the API responds, or closes the connection, although the reply has not ended. Returns the reason to stop.
    pub(crate) async fn refused(&mut self) -> ApiError {
        let (reader, _) = self.stream.split();
        early(&reader, self.inbox).await.unwrap_or_else(|error| error)
    }

    /// Ends the reply, with an error of this type and message if it is not complete, and waits for the answer to it.
    ///
    /// # Errors
    ///
    /// As [`RuntimeApi::respond`].
    pub(crate) async fn end(mut self, error: Option<(&str, &str)>) -> Result<(), ApiError> {
        let mut end = "0\r\n".to_owned();
        if let Some((error_type, message)) = error {
            let body = base64_simd::STANDARD.encode_to_string(error_body(error_type, message));
            end.push_str(&format!("{ERROR_TYPE}: {error_type}\r\n{ERROR_BODY}: {body}\r\n"));
        }
        end.push_str("\r\n");
        self.stream.write_all(end.as_bytes()).await?;
        loop {
            match http1::parse_head(self.inbox, &mut Some(0))? {
                Some(head) if head.status < 200 => self.inbox.advance(head.length),
                Some(head) => return accepted(head.status),
                None if self.stream.read_buf(self.inbox).await? == 0 => return Err(closed()),
                None => {}
            }
        }
    }
}

/// Waits for a response that comes too early.
async fn early(reader: &ReadHalf<'_>, inbox: &mut BytesMut) -> Result<ApiError, ApiError> {
    loop {
        reader.readable().await?;
        match reader.try_read_buf(inbox) {
            Ok(0) => return Ok(closed()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => return Ok(error.into()),
        }
        match http1::parse_head(inbox, &mut Some(0))? {
            Some(head) if head.status < 200 => inbox.advance(head.length),
            Some(head) => return Ok(ApiError::Status { call: "response", status: head.status }),
            None => {}
        }
    }
}

fn accepted(status: u16) -> Result<(), ApiError> {
    match status {
        200..=299 => Ok(()),
        status => Err(ApiError::Status { call: "response", status }),
    }
}

fn closed() -> ApiError {
    std::io::Error::from(ErrorKind::UnexpectedEof).into()
}

/// Returns whether a kept connection has neither been closed nor broken, nor said something unasked.
fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// A piece of content as a chunk (RFC 9112 section 7.1). An empty one would be the end.
fn chunk(piece: Bytes) -> impl Buf {
    let head = Bytes::from(format!("{:x}\r\n", piece.len()));
    head.chain(piece).chain(&b"\r\n"[..])
}

fn error_body(error_type: &str, message: &str) -> Bytes {
    serde_json::json!({ "errorMessage": message, "errorType": error_type, "stackTrace": [] }).to_string().into()
}

/// Takes the address of a Runtime API apart: `host:port`, to connect to, and the path before every call.
pub(crate) fn split(address: &str) -> (&str, &str) {
    const SCHEME: &str = "http://";
    let address = match address.split_at_checked(SCHEME.len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => rest,
        _ => address,
    };
    address.split_at(address.find('/').unwrap_or(address.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_lambda_and_of_cargo_lambda() {
        for (address, authority, base) in [
            ("127.0.0.1:9001", "127.0.0.1:9001", "/2018-06-01/runtime"),
            ("http://[::1]:9123/shop", "[::1]:9123", "/shop/2018-06-01/runtime"),
            ("127.0.0.1:9001/", "127.0.0.1:9001", "/2018-06-01/runtime"),
            ("HTTP://localhost:9001", "localhost:9001", "/2018-06-01/runtime"),
        ] {
            let api = RuntimeApi::new(address);
            assert_eq!((api.authority.as_str(), api.base.as_str()), (authority, base));
        }
    }
}
