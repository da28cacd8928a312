//! Entry points for `fuzz/`: the readers of outside bytes, without sockets and files. Not part of the public interface.
//! Owns only the stream that carries the bytes.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use crate::alb::fuzzing::{Request, answer, classify, event, requests};
use crate::source::{self, Loaded, Options, SourceError};

/// Reads a text as a file of the Serverless Framework, as a template, and as the output of `describe-rules` and `terraform show`.
pub fn rules(file: &Path, text: &str, options: &Options) -> [Result<Loaded, SourceError>; 4] {
    source::interpret_as_each(file, text, options)
}

/// Bytes that come in pieces of one length; what is written is lost.
pub(crate) struct Pieces<'b> {
    pub(crate) rest: &'b [u8],
    pub(crate) length: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let length = self.length.min(buffer.remaining()).min(self.rest.len());
        let (piece, rest) = self.rest.split_at_checked(length).unwrap_or_default();
        buffer.put_slice(piece);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
