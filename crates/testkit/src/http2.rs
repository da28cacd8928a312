//! The little of a server's HTTP/2 (RFC 9113) that back ends of tests need, frame by frame: one request at a time,
//! whose fields nobody reads.

use tokio::io::AsyncReadExt;

use crate::origin::Conn;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

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
