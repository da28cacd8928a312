//! The content of a response: whole, or as it arrives from the back end. Owns the end of a streamed response: its limits of
//! time, what its failure says about the back end, its connection, and the part of it that a comparison gets.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crossfade_journal::{AccessRecord, milliseconds};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::time::Instant;

use crate::ProxyError;
use crate::attempt::{Bounds, broken, has_ended};
use crate::content::{Encoder, Mapper};
use crate::invocation::Invocation;
use crate::mirror::Pending;
use crate::time::{TimeLimit, by};
use crate::upstream::{Connection, Signal, Upstream};

/// The content of a response.
#[derive(Debug)]
pub enum Body<'t> {
    /// All of it.
    Whole(Bytes),
    /// Content that the back end is still sending.
    Streamed(Box<Streamed<'t>>),
}

impl Body<'_> {
    /// The content, if it is whole, and nothing of one that is streamed.
    #[must_use]
    pub fn whole(self) -> Bytes {
        match self {
            Body::Whole(content) => content,
            Body::Streamed(_) => Bytes::new(),
        }
    }

    /// The bytes that are there.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Body::Whole(content) => content.len() as u64,
            Body::Streamed(streamed) => streamed.received,
        }
    }
}

/// Content that the back end is still sending. At most one piece of it is in memory, as long as the caller keeps none: the
/// next one is not read before it is asked for.
#[derive(Debug)]
pub struct Streamed<'t> {
    /// `None` after the end.
    incoming: Option<Incoming>,
    /// Content that has been read already; mostly none.
    ahead: Bytes,
    promised: Option<u64>,
    received: u64,
    upstream: &'t Upstream,
    /// Taken at the end, and kept for other requests if they may use it.
    connection: Option<Connection>,
    may_be_kept: bool,
    keep_alive: Option<Duration>,
    bounds: Bounds,
    /// The arrival of the head.
    since: Instant,
    /// The end decides what the circuit breaker counts.
    pub(crate) is_noted_at_end: bool,
    /// For a comparison: so many bytes of the beginning.
    pub(crate) keeps: usize,
    kept: Vec<u8>,
    /// Bytes of content as clients get it, without the coding.
    length: u64,
    /// For content whose URLs are mapped.
    pub(crate) mapper: Option<Box<Mapper<'t>>>,
    /// For a client that gets the content compressed. Each piece is on its way at once.
    pub(crate) encoder: Option<Encoder>,
}

/// The content of a response as far as a comparison gets it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    /// The beginning.
    pub(crate) start: Bytes,
    /// The length of the whole.
    pub(crate) length: u64,
}

impl Kept {
    /// Returns whether something is missing.
    pub(crate) fn is_cut(&self) -> bool {
        self.length > self.start.len() as u64
    }
}

impl From<Bytes> for Kept {
    fn from(content: Bytes) -> Self {
        Kept { length: content.len() as u64, start: content }
    }
}

impl<'t> Streamed<'t> {
    pub(crate) fn new(
        incoming: Incoming,
        upstream: &'t Upstream,
        connection: Connection,
        may_be_kept: bool,
        keep_alive: Option<Duration>,
        bounds: Bounds,
    ) -> Self {
        Streamed {
            promised: incoming.size_hint().exact(),
            incoming: Some(incoming),
            ahead: Bytes::new(),
            received: 0,
            upstream,
            connection: Some(connection),
            may_be_kept,
            keep_alive,
            bounds,
            since: Instant::now(),
            is_noted_at_end: false,
            keeps: 0,
            kept: Vec::new(),
            length: 0,
            mapper: None,
            encoder: None,
        }
    }

    /// Returns whether the content had a coding, which was removed to map it.
    pub(crate) fn decodes(&self) -> bool {
        self.mapper.as_ref().is_some_and(|mapper| mapper.decodes())
    }

    /// The same with content that has been read already, and is not mapped.
    pub(crate) fn after(self, ahead: Bytes) -> Self {
        Streamed { ahead, ..self }
    }

    /// The next piece, as soon as it is there; `None` at the end. No piece is empty. Nothing comes after an error.
    pub async fn next(&mut self) -> Option<Result<Bytes, ProxyError>> {
        if !self.ahead.is_empty() {
            let ahead = std::mem::take(&mut self.ahead);
            self.received += ahead.len() as u64;
            return Some(Ok(self.passed(ahead)));
        }
        loop {
            // What is there already is taken also after a deadline, which would never end a response that is always there.
            let is_over = self.incoming.is_some() && self.bounds.deadline <= Instant::now();
            if !is_over && self.mapper.as_ref().is_some_and(|mapper| mapper.has_more()) {
                match self.mapped(None) {
                    Ok(content) if content.is_empty() => continue,
                    Ok(content) => return Some(Ok(self.passed(content))),
                    Err(error) => {
                        self.fail(&error);
                        return Some(Err(error));
                    }
                }
            }
            let frame = match is_over {
                true => Err(TimeLimit::Cut),
                false => by(self.bounds.deadline, TimeLimit::Cut, self.incoming.as_mut()?.frame()).await,
            };
            let error = match frame {
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(content) if !content.is_empty() => {
                        self.received += content.len() as u64;
                        let mapped = if self.mapper.is_some() { self.mapped(Some(content)) } else { Ok(content) };
                        match mapped {
                            // It may be the beginning of a URL.
                            Ok(content) if content.is_empty() => continue,
                            Ok(content) => return Some(Ok(self.passed(content))),
                            Err(error) => error,
                        }
                    }
                    // Trailers are dropped, as from whole responses.
                    _ => continue,
                },
                Ok(None) => match self.promised.filter(|promised| *promised != self.received) {
                    None if !self.is_reset() => match self.last() {
                        Ok(last) => {
                            self.end();
                            return Some(last).filter(|last| !last.is_empty()).map(Ok);
                        }
                        Err(error) => error,
                    },
                    promised => ProxyError::ResponseCutShort { promised, received: self.received },
                },
                Ok(Some(Err(error))) => broken(error),
                Err(limit) => ProxyError::ResponseTimeout(limit),
            };
            self.fail(&error);
            return Some(Err(error));
        }
    }

    /// Maps a piece, or the next part of the last one, and returns as much of the result as is decided.
    fn mapped(&mut self, content: Option<Bytes>) -> Result<Bytes, ProxyError> {
        let mut mapped = Vec::new();
        let result = self.mapper.as_mut().map(|mapper| match content {
            Some(content) => mapper.push(content, &mut mapped),
            None => mapper.pull(&mut mapped),
        });
        match result {
            Some(Err(_)) => Err(ProxyError::ContentCoding),
            _ => Ok(mapped.into()),
        }
    }

    /// The rest of the content at its end.
    fn last(&mut self) -> Result<Bytes, ProxyError> {
        let mut last = Bytes::new();
        if let Some(mapper) = &mut self.mapper {
            let mut mapped = Vec::new();
            mapper.finish(&mut mapped).map_err(|_| ProxyError::ContentCoding)?;
            if !mapped.is_empty() {
                last = self.passed(mapped.into());
            }
        }
        if let Some(encoder) = self.encoder.take() {
            let mut encoded = Vec::from(last);
            encoder.finish(&mut encoded);
            last = encoded.into();
        }
        Ok(last)
    }

    /// A piece as the client gets it. A comparison gets it without the coding.
    fn passed(&mut self, content: Bytes) -> Bytes {
        self.length += content.len() as u64;
        let room = self.keeps.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(content.get(..room).unwrap_or(&content));
        let Some(encoder) = &mut self.encoder else { return content };
        let mut encoded = Vec::new();
        encoder.push(&content, &mut encoded);
        encoder.flush(&mut encoded);
        encoded.into()
    }

    /// All of it, as far as a comparison gets it.
    pub(crate) async fn rest(mut self) -> Result<Kept, ProxyError> {
        while let Some(content) = self.next().await {
            content?;
        }
        Ok(self.into_kept())
    }

    fn into_kept(self) -> Kept {
        Kept { start: self.kept.into(), length: self.length }
    }

    /// Returns whether the back end has ended the stream, and not the response (see [`has_ended`]).
    fn is_reset(&self) -> bool {
        let is_http2 = self.connection.as_ref().is_some_and(Connection::is_http2);
        is_http2 && !self.incoming.as_ref().is_some_and(has_ended)
    }

    fn end(&mut self) {
        self.incoming = None;
        self.note(Signal::Success);
        if let Some(connection) = self.connection.take().filter(|_| self.may_be_kept) {
            self.upstream.checkin(connection, self.now(), self.keep_alive);
        }
    }

    fn fail(&mut self, error: &ProxyError) {
        (self.incoming, self.connection, self.mapper) = (None, None, None);
        self.upstream.discard_idle();
        self.note(if error.is_outage() { Signal::Failure } else { Signal::Ignored });
    }

    fn note(&self, signal: Signal) {
        if self.is_noted_at_end {
            self.upstream.health.note(signal, self.now());
        }
    }

    fn now(&self) -> SystemTime {
        self.bounds.wall_clock()
    }

    /// Completes the record of the request once nothing more of the response is sent: it got `sent` bytes and ended, or failed.
    /// Completes also what is compared.
    pub fn conclude(
        self,
        sent: u64,
        failure: Option<&ProxyError>,
        invocation: &Invocation,
        record: &mut AccessRecord<'_>,
        pending: Option<&mut Pending<'_>>,
    ) {
        let more = self.since.elapsed();
        if let (Some(trace), Some(backend)) = (&invocation.trace, record.backend.as_deref()) {
            trace.conclude(backend, more, sent, failure.map(ProxyError::error_type));
        }
        record.end(
            sent,
            milliseconds(invocation.started.elapsed()),
            milliseconds(more),
            failure.map(ProxyError::error_type),
        );
        if let Some(error) = failure {
            error.note(record);
        }
        if let Some(pending) = pending {
            pending
                .primary
                .complete(failure.map_or_else(|| Ok(self.into_kept()), |error| Err(error.error_type())), more);
        }
    }
}
