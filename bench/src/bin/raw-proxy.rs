//! The anchor `raw-proxy`: `raw-floor` plus one kept, blocking rustls connection to the back end, the minimal proxy. It forwards
//! method, path, query, a few fields and the body, and responds with base64. It deliberately lacks validation, timeouts, hop-by-hop
//! rules and the unescaping of text bodies.

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;

use crossfade_testkit::message::{Kind, Message, Reader};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

type Backend = Reader<StreamOwned<ClientConnection, TcpStream>>;

const FORWARDED: [&[u8]; 5] = [b"accept", b"accept-encoding", b"user-agent", b"content-type", b"cookie"];
const RETURNED: [&str; 4] = ["content-type", "etag", "cache-control", "set-cookie"];

fn main() -> io::Result<()> {
    let url = std::env::var("CROSSFADE_BACKEND").map_err(io::Error::other)?;
    let authority = url.strip_prefix("https://").unwrap_or(&url).to_owned();
    let tls = client_config()?;
    let mut kept: Option<Backend> = None;
    let mut request = Vec::with_capacity(8 * 1024);
    crossfade_bench::raw::serve(|event, answer| {
        request.clear();
        let multi = write_request(event, &authority, &mut request);
        let backend = match &mut kept {
            Some(backend) => backend,
            None => kept.insert(connect(&authority, &tls)?),
        };
        backend.stream.write_all(&request)?;
        let response = backend.read(Kind::Response)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        write_answer(&response, multi, answer);
        Ok(())
    })
}

fn client_config() -> io::Result<Arc<ClientConfig>> {
    let file = std::env::var("SSL_CERT_FILE").map_err(io::Error::other)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(io::Error::other)? {
        roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}

fn connect(authority: &str, tls: &Arc<ClientConfig>) -> io::Result<Backend> {
    let stream = TcpStream::connect(authority)?;
    stream.set_nodelay(true)?;
    let host = authority.split(':').next().unwrap_or(authority).to_owned();
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    let connection = ClientConnection::new(tls.clone(), name).map_err(io::Error::other)?;
    Ok(Reader::new(StreamOwned::new(connection, stream)))
}

/// Writes the request for the back end; says whether the event is in multi-value mode.
fn write_request(event: &[u8], authority: &str, request: &mut Vec<u8>) -> bool {
    let mut method: &[u8] = b"GET";
    let mut path: &[u8] = b"/";
    let (mut query, mut fields) = (Json(b"{}"), Json(b"{}"));
    let (mut body, mut base64, mut multi): (&[u8], bool, bool) = (b"", false, false);
    Json(event).members(|key, value| match key {
        b"httpMethod" => method = value.string(),
        b"path" => path = value.string(),
        b"body" => body = value.string(),
        b"isBase64Encoded" => base64 = value.skip() == b"true",
        b"headers" => fields = Json(value.skip()),
        b"multiValueHeaders" => (multi, fields) = (true, Json(value.skip())),
        b"queryStringParameters" | b"multiValueQueryStringParameters" => query = Json(value.skip()),
        _ => {
            value.skip();
        }
    });
    request.extend_from_slice(method);
    request.push(b' ');
    request.extend_from_slice(path);
    let mut separator = b'?';
    query.each(|key, value| {
        request.push(separator);
        request.extend_from_slice(key);
        request.push(b'=');
        request.extend_from_slice(value);
        separator = b'&';
    });
    request.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    request.extend_from_slice(authority.as_bytes());
    request.extend_from_slice(b"\r\n");
    fields.each(|name, value| {
        if FORWARDED.contains(&name) || name.starts_with(b"x-") {
            request.extend_from_slice(name);
            request.extend_from_slice(b": ");
            request.extend_from_slice(value);
            request.extend_from_slice(b"\r\n");
        }
    });
    if body.is_empty() {
        request.extend_from_slice(b"\r\n");
    } else if base64 {
        let padding = body.iter().rev().take_while(|&&byte| byte == b'=').count();
        let length = body.len() / 4 * 3 - padding;
        let _ = write!(request, "content-length: {length}\r\n\r\n");
        let _ = base64_simd::STANDARD.decode_append(body, request);
    } else {
        let _ = write!(request, "content-length: {}\r\n\r\n", body.len());
        request.extend_from_slice(body);
    }
    multi
}

fn write_answer(response: &Message<'_>, multi: bool, answer: &mut Vec<u8>) {
    let status = response.start_line().get(9..).unwrap_or_default();
    answer.extend_from_slice(b"{\"statusCode\":");
    answer.extend_from_slice(&status[..3.min(status.len())]);
    answer.extend_from_slice(b",\"statusDescription\":\"");
    answer.extend_from_slice(status);
    answer.extend_from_slice(if multi { b"\",\"multiValueHeaders\":{" } else { b"\",\"headers\":{" });
    let (open, close): (&[u8], &[u8]) = if multi { (b"\":[\"", b"\"]") } else { (b"\":\"", b"\"") };
    let mut first = true;
    for name in RETURNED {
        if let Some(value) = response.field(name) {
            answer.extend_from_slice(if first { b"\"" } else { b",\"" });
            answer.extend_from_slice(name.as_bytes());
            answer.extend_from_slice(open);
            for &byte in value {
                if matches!(byte, b'"' | b'\\') {
                    answer.push(b'\\');
                }
                answer.push(byte);
            }
            answer.extend_from_slice(close);
            first = false;
        }
    }
    answer.extend_from_slice(b"},\"body\":\"");
    // Text as well: escaping costs more than it saves.
    base64_simd::STANDARD.encode_append(&*response.body, answer);
    answer.extend_from_slice(b"\",\"isBase64Encoded\":true}");
}

/// The unread rest of a JSON text, which is assumed to be well formed. Strings keep their escapes.
struct Json<'a>(&'a [u8]);

impl<'a> Json<'a> {
    fn blank(&mut self) -> u8 {
        self.0 = self.0.trim_ascii_start();
        self.0.first().copied().unwrap_or(b'}')
    }

    fn bump(&mut self) {
        self.0 = self.0.get(1..).unwrap_or_default();
    }

    fn members(&mut self, mut visit: impl FnMut(&'a [u8], &mut Json<'a>)) {
        self.blank();
        self.bump();
        while self.blank() != b'}' {
            let key = self.string();
            self.blank();
            self.bump();
            visit(key, self);
            if self.blank() == b',' {
                self.bump();
            }
        }
        self.bump();
    }

    fn items(&mut self, mut visit: impl FnMut(&mut Json<'a>)) {
        self.bump();
        while !matches!(self.blank(), b']' | b'}') {
            visit(self);
            if self.blank() == b',' {
                self.bump();
            }
        }
        self.bump();
    }

    /// Each pair of an object of strings or of arrays of strings.
    fn each(&mut self, mut visit: impl FnMut(&'a [u8], &'a [u8])) {
        self.members(|key, value| match value.blank() {
            b'[' => value.items(|item| visit(key, item.string())),
            _ => visit(key, value.string()),
        });
    }

    fn string(&mut self) -> &'a [u8] {
        if self.blank() != b'"' {
            self.skip();
            return b"";
        }
        let text = &self.0[1..];
        let mut end = 0;
        while let Some(found) = text.get(end..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
            end += found;
            if text[end] == b'"' {
                break;
            }
            end += 2;
        }
        let end = end.min(text.len());
        self.0 = text.get(end + 1..).unwrap_or_default();
        &text[..end]
    }

    /// Passes over one value and returns it.
    fn skip(&mut self) -> &'a [u8] {
        let first = self.blank();
        let from = self.0;
        match first {
            b'"' => {
                self.string();
            }
            b'{' => self.members(|_, value| {
                value.skip();
            }),
            b'[' => self.items(|item| {
                item.skip();
            }),
            _ => {
                let end = from.iter().position(|b| b",]} \t\r\n".contains(b));
                self.0 = &from[end.unwrap_or(from.len())..];
            }
        }
        &from[..from.len() - self.0.len()]
    }
}
