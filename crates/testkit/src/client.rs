//! An HTTP/1.1 client by hand, for where the bytes matter: it writes what it is given. Blocking, without TLS.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs};

use crate::message::{Kind, Message, Reader, find, read_some};
use crate::wait::PATIENCE;

/// A connection.
pub struct Client(Reader<TcpStream>);

/// An answer.
pub struct Response {
    /// 0 if the status line has none.
    pub status: u16,
    /// Status line and fields with their line ends, the empty line included.
    pub head: String,
    /// The content, out of its chunks.
    pub body: Vec<u8>,
}

impl Client {
    /// A connection to `ADDRESS:PORT`, also of a URL.
    ///
    /// # Panics
    /// When nobody listens there.
    pub fn connect(address: impl ToSocketAddrs) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(Reader::new(stream))
    }

    /// Sends these bytes.
    ///
    /// # Panics
    /// When the connection ended before all was sent.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.stream.write_all(bytes.as_ref()).expect("the connection ended before all was sent");
    }

    /// The next answer, also an interim one.
    ///
    /// # Panics
    /// When there is none, or not a whole one.
    pub fn read(&mut self) -> Response {
        self.read_kind(Kind::Response)
    }

    /// The next answer if it has no body whatever its length field says, as to a HEAD.
    ///
    /// # Panics
    /// As [`Client::read`].
    pub fn read_bodyless(&mut self) -> Response {
        self.read_kind(Kind::ResponseToHead)
    }

    fn read_kind(&mut self, kind: Kind) -> Response {
        let message = self.0.read(kind).expect("the answer did not come");
        Response::of(&message.expect("the connection ended without an answer"))
    }

    /// All that comes until the connection ends or breaks, as it is.
    pub fn read_all(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.0.stream.read_to_end(&mut bytes);
        bytes
    }

    /// The next bytes as they are; empty at the end of the connection.
    ///
    /// # Errors
    /// The socket's own.
    pub fn read_some(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 4096];
        let count = read_some(&mut self.0.stream, &mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Waits for the next byte: whether the connection ends instead.
    pub fn is_closed(&mut self) -> bool {
        !self.0.has_more() && matches!(self.0.fill(), Ok(0) | Err(_))
    }
}

impl Response {
    fn of(message: &Message<'_>) -> Self {
        let head = String::from_utf8_lossy(message.head).into_owned();
        Self { status: message.status(), head, body: message.body.to_vec() }
    }

    /// An answer as `curl --include` prints it, without framing. `None` without a whole head.
    #[must_use]
    pub fn of_curl(output: &[u8]) -> Option<Self> {
        let (head, body) = output.split_at(find(output, b"\r\n\r\n")? + 4);
        Some(Self::of(&Message { head, body: body.into() }))
    }

    /// The fields in their order: name in lower case, value without surrounding blanks.
    pub fn fields(&self) -> impl Iterator<Item = (String, &str)> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
    }

    /// The first field of that name, in whatever letter case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The content as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The content as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Head and content as one text.
    #[must_use]
    pub fn whole(&self) -> String {
        format!("{}{}", self.head, String::from_utf8_lossy(&self.body))
    }
}

/// `ADDRESS:PORT` of an `http` URL without a path.
///
/// # Panics
/// When it is another one.
#[must_use]
pub fn host(url: &str) -> &str {
    url.strip_prefix("http://").unwrap_or_else(|| panic!("not an `http` URL: {url}"))
}

/// Sends one request on a connection of its own.
pub fn send(address: impl ToSocketAddrs, request: impl AsRef<[u8]>) -> Response {
    let mut client = Client::connect(address);
    client.write(request);
    client.read()
}

/// A GET for this target at an `http` URL.
#[must_use]
pub fn get(url: &str, target: &str) -> Response {
    get_with(url, target, "")
}

/// The same with more fields, each with its CR LF.
#[must_use]
pub fn get_with(url: &str, target: &str, fields: &str) -> Response {
    let host = host(url);
    send(host, format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n{fields}connection: close\r\n\r\n"))
}
