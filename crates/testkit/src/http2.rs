//! The little of a server's HTTP/2 (RFC 9113) that back ends of tests need, frame by frame: one request at a time,
//! whose fields nobody reads.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::origin::Conn;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// The setting's identifier.
const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
const FIRST_WINDOW: i64 = 65_535;
const LARGEST_FRAME: i64 = 16_384;

/// Exchanges all that comes before the first request.
pub async fn greet(conn: &mut Conn) -> Option<()> {
    conn.socket.read_exact(&mut [0; 24]).await.ok()?;
    // SETTINGS_INITIAL_WINDOW_SIZE, and the same for the connection: room for whatever a request brings.
    conn.write(frame(SETTINGS, 0, 0, b"\0\x04\x7f\xff\xff\xff")).await;
    conn.write(frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\0\0")).await;
    Some(())
}

/// The next request that is there as a whole: its stream and its content.
pub async fn request(conn: &mut Conn) -> Option<(u32, Vec<u8>)> {
    let mut content = Vec::new();
    loop {
        let mut head = [0; 9];
        conn.socket.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        conn.socket.read_exact(&mut payload).await.ok()?;
        match kind {
            SETTINGS if flags & ACK == 0 => conn.write(frame(SETTINGS, ACK, 0, b"")).await,
            PING if flags & ACK == 0 => conn.write(frame(PING, ACK, 0, &payload)).await,
            DATA => content.extend(payload),
            _ => {}
        }
        if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            return Some((u32::from_be_bytes(stream), content));
        }
    }
}

/// Status 200 with this content.
pub async fn answer(conn: &mut Conn, stream: u32, content: &[u8]) {
    // 0x88 is `:status: 200` (RFC 7541).
    let mut bytes = frame(HEADERS, END_HEADERS, stream, b"\x88");
    bytes.extend(frame(DATA, END_STREAM, stream, content));
    conn.write(bytes).await;
}

/// Status 200 and a part of the content; a field for its length if that is given.
pub async fn begin(conn: &mut Conn, stream: u32, length: Option<u8>, content: &[u8]) {
    let mut fields = b"\x88".to_vec();
    if let Some(length) = length {
        // A literal with the name at index 28 of the static table, `content-length`.
        let digits = length.to_string();
        fields.extend([0x0f, 0x0d, digits.len() as u8]);
        fields.extend(digits.bytes());
    }
    let mut bytes = frame(HEADERS, END_HEADERS, stream, &fields);
    bytes.extend(frame(DATA, 0, stream, content));
    conn.write(bytes).await;
}

/// The rest of the content.
pub async fn end(conn: &mut Conn, stream: u32, content: &[u8]) {
    conn.write(frame(DATA, END_STREAM, stream, content)).await;
}

/// RST_STREAM with this error code.
pub async fn reset(conn: &mut Conn, stream: u32, code: u32) {
    conn.write(frame(RST_STREAM, 0, stream, &code.to_be_bytes())).await;
}

/// GOAWAY: no stream after this one will be answered.
#[must_use]
pub fn go_away(last: u32) -> Vec<u8> {
    // With NO_ERROR.
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())
}

/// A frame (section 4.1).
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    let mut bytes = vec![a, b, c, kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Answers the first request with status 200 and content without end, as fast as the client's windows allow (section 5.2), and counts
/// the bytes. Returns the error code with which the client resets the stream; `None` if it closes the connection instead.
pub async fn pour(conn: Conn, sent: &AtomicU64) -> Option<u32> {
    let (reader, mut writer) = tokio::io::split(conn.socket);
    let (tell, mut told) = unbounded_channel();
    let reading = tokio::spawn(pass_on(reader, tell));
    writer.write_all(&frame(SETTINGS, 0, 0, b"")).await.ok()?;
    // Of the connection, and of its stream once that is open.
    let (mut connection, mut initial, mut open) = (FIRST_WINDOW, FIRST_WINDOW, None::<(u32, i64)>);
    let reset = loop {
        let room = open.map_or(0, |(_, room)| room.min(connection).min(LARGEST_FRAME));
        let told = if room > 0 { told.try_recv().ok() } else { Some(told.recv().await?) };
        match told {
            None => {
                let Some((stream, left)) = &mut open else { continue };
                let piece = frame(DATA, 0, *stream, &vec![b'x'; room as usize]);
                writer.write_all(&piece).await.ok()?;
                (*left, connection) = (*left - room, connection - room);
                sent.fetch_add(room as u64, Ordering::SeqCst);
            }
            Some((SETTINGS, flags, _, payload)) if flags & ACK == 0 => {
                for setting in payload.chunks_exact(6).filter(|setting| setting.starts_with(&INITIAL_WINDOW_SIZE)) {
                    initial = i64::from(number(&setting[2..]));
                }
                writer.write_all(&frame(SETTINGS, ACK, 0, b"")).await.ok()?;
            }
            Some((PING, flags, _, payload)) if flags & ACK == 0 => {
                writer.write_all(&frame(PING, ACK, 0, &payload)).await.ok()?;
            }
            Some((WINDOW_UPDATE, _, 0, payload)) => connection += i64::from(number(&payload)),
            Some((WINDOW_UPDATE, _, _, payload)) => {
                if let Some((_, room)) = &mut open {
                    *room += i64::from(number(&payload));
                }
            }
            Some((HEADERS, _, stream, _)) => {
                writer.write_all(&frame(HEADERS, END_HEADERS, stream, b"\x88")).await.ok()?;
                open = Some((stream, initial));
            }
            Some((RST_STREAM, _, _, payload)) => break number(&payload),
            Some(_) => {}
        }
    };
    reading.abort();
    Some(reset)
}

/// Kind, flags, stream and payload.
type Frame = (u8, u8, u32, Vec<u8>);

/// Reads frames until the connection ends.
async fn pass_on(mut reader: impl AsyncRead + Unpin, tell: UnboundedSender<Frame>) -> Option<()> {
    reader.read_exact(&mut [0; 24]).await.ok()?;
    loop {
        let mut head = [0; 9];
        reader.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        reader.read_exact(&mut payload).await.ok()?;
        tell.send((kind, flags, u32::from_be_bytes(stream), payload)).ok()?;
    }
}

fn number(payload: &[u8]) -> u32 {
    payload.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}
