//! HTTP/1 messages whose content is not kept: it is handed on piece by piece, as it comes out of the socket. What fits into
//! memory is read by `crossfade_testkit::message`.

use std::io::{self, Read};

use anyhow::{Context as _, bail, ensure};
use crossfade_testkit::message::{find, read_some};

/// Larger than what a socket has at a time, so that the harness's own reads cost little.
const ROOM: usize = 256 * 1024;

/// A stream and what was read from it but not yet used.
#[derive(Debug)]
pub(super) struct Wire<S> {
    pub(super) stream: S,
    held: Box<[u8]>,
    from: usize,
    to: usize,
}

impl<S: Read> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, held: vec![0; ROOM].into(), from: 0, to: 0 }
    }

    /// Start line and fields; `None` if the stream has ended before.
    pub(super) fn head(&mut self) -> anyhow::Result<Option<String>> {
        loop {
            if let Some(end) = find(&self.held[self.from..self.to], b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.held[self.from..self.from + end]).into_owned();
                self.from += end + 4;
                return Ok(Some(head));
            }
            if self.fill()? == 0 {
                ensure!(self.from == self.to, "the connection ended within a head");
                return Ok(None);
            }
        }
    }

    /// Hands on so many bytes.
    pub(super) fn plain(
        &mut self,
        mut left: usize,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        while left > 0 {
            if self.from == self.to {
                ensure!(self.fill()? > 0, "the connection ended within content");
            }
            let piece = &self.held[self.from..self.to.min(self.from + left)];
            take(piece)?;
            left -= piece.len();
            self.from += piece.len();
        }
        Ok(())
    }

    /// Hands on content in chunks (RFC 9112 section 7.1), and returns its trailer section.
    pub(super) fn chunked(&mut self, mut take: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<String> {
        loop {
            let line = self.line()?;
            let size = usize::from_str_radix(line.trim(), 16).with_context(|| format!("the chunk size `{line}`"))?;
            if size == 0 {
                break;
            }
            self.plain(size, &mut take)?;
            ensure!(self.line()?.is_empty(), "a chunk longer than its size");
        }
        let mut trailers = String::new();
        loop {
            match self.line()? {
                line if line.is_empty() => return Ok(trailers),
                line => trailers.push_str(&line),
            }
        }
    }

    fn line(&mut self) -> anyhow::Result<String> {
        loop {
            if let Some(end) = find(&self.held[self.from..self.to], b"\r\n") {
                let line = String::from_utf8_lossy(&self.held[self.from..self.from + end]).into_owned();
                self.from += end + 2;
                return Ok(line);
            }
            if self.fill()? == 0 {
                bail!("the connection ended within a line");
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        if self.from > 0 {
            self.held.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
        }
        if self.to == self.held.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a head or line that does not end"));
        }
        let count = read_some(&mut self.stream, &mut self.held[self.to..])?;
        self.to += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte a read.
    struct Drip<'b>(&'b [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(&mut buffer[..1])
        }
    }

    #[test]
    fn content_comes_out_of_its_chunks_and_the_next_message_is_kept() {
        let bytes = b"POST /a HTTP/1.1\r\nx: y\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nt: 1\r\n\r\nGET /b HTTP/1.1\r\n\r\n";
        for stream in [Box::new(&bytes[..]) as Box<dyn Read>, Box::new(Drip(bytes))] {
            let mut wire = Wire::new(stream);
            assert_eq!(wire.head().unwrap().unwrap(), "POST /a HTTP/1.1\r\nx: y");
            let mut content = Vec::new();
            let trailers = wire.chunked(|piece| {
                content.extend_from_slice(piece);
                Ok(())
            });
            assert_eq!((content.as_slice(), trailers.unwrap().as_str()), (&b"abcde"[..], "t: 1"));
            assert_eq!(wire.head().unwrap().unwrap(), "GET /b HTTP/1.1");
            assert!(wire.head().unwrap().is_none());
        }
    }

    #[test]
    fn a_stream_that_ends_early_is_an_error() {
        for bytes in [&b"5\r\nabc"[..], b"3\r\nabc\r\n", b"3\r\nabcd\r\n", b"x\r\n"] {
            assert!(Wire::new(bytes).chunked(|_| Ok(())).is_err());
        }
    }
}
