//! The two forms of a function's response, whole and streamed, and the channel of a streamed one: from the Runtime API, piece
//! by piece, to whoever invoked the function. Holds a few pieces at a time, so a slow reader slows the function down.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderValue;
use tokio::sync::{mpsc, oneshot};

use super::failure::Failure;
use super::pool::Pool;

/// The pieces that may wait for a slow reader.
const WAITING: usize = 4;

/// A function's response.
pub(crate) enum Answer {
    Whole(Bytes),
    Streamed(Streamed),
}

impl Answer {
    /// The whole response, for callers that take no other. Waits for the end of a streamed one, as Lambda does.
    pub(crate) async fn whole(self) -> Result<Bytes, Failure> {
        match self {
            Self::Whole(bytes) => Ok(bytes),
            Self::Streamed(mut streamed) => {
                while streamed.next().await.transpose()?.is_some() {}
                Err(Failure::Streaming)
            }
        }
    }
}

/// A streamed response. Dropping it does not stop the function, as in Lambda.
pub(crate) struct Streamed {
    /// `Content-Type` of the function's call: it says whether a prelude with status and fields comes first.
    pub(crate) content_type: Option<HeaderValue>,
    pieces: mpsc::Receiver<Piece>,
    ended: Option<oneshot::Receiver<()>>,
    /// The function's timeout, and the time at which it is over.
    limit: Option<(Duration, Instant)>,
    /// Where the environment is to be reported as having responded, and the number of its invocation.
    busy: Option<(Arc<Pool>, u32, u64)>,
}

/// `Ok(None)` is the end: without it, the response was cut off.
type Piece = Result<Option<Bytes>, Failure>;

/// The function's end of a streamed response.
pub(super) struct Sink {
    pieces: mpsc::Sender<Piece>,
    #[expect(dead_code, reason = "held for its drop")]
    ended: oneshot::Sender<()>,
}

pub(super) fn channel(content_type: Option<HeaderValue>) -> (Sink, Streamed) {
    let (sender, pieces) = mpsc::channel(WAITING);
    let (ended, end) = oneshot::channel();
    (Sink { pieces: sender, ended }, Streamed { content_type, pieces, ended: Some(end), limit: None, busy: None })
}

impl Sink {
    /// Waits until the reader takes it. Lost if there is no reader any longer.
    pub(super) async fn send(&self, piece: Piece) {
        let _ = self.pieces.send(piece).await;
    }
}

impl Streamed {
    /// Returns the next piece; `None` after the last one.
    ///
    /// # Errors
    ///
    /// The failure that cut the response off, or that the function reported in its trailers.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        match self.pieces.recv().await {
            Some(Ok(Some(piece))) => Some(Ok(piece)),
            Some(Ok(None)) => {
                if let Some((pool, environment, turn)) = self.busy.take() {
                    pool.answered(environment, turn);
                }
                None
            }
            Some(Err(Failure::CutOff)) | None => Some(Err(match self.limit {
                Some((limit, until)) if Instant::now() >= until => Failure::TimedOut { limit, killed: true },
                _ => Failure::CutOff,
            })),
            Some(Err(failure)) => Some(Err(failure)),
        }
    }

    /// Sets what to report the end to.
    pub(super) fn keeps_busy(&mut self, pool: Arc<Pool>, environment: u32, turn: u64) {
        self.busy = Some((pool, environment, turn));
    }

    /// Sets the function's timeout. Returns the receiver that closes when the function has posted everything.
    pub(super) fn limited(&mut self, limit: Duration, until: Instant) -> Option<oneshot::Receiver<()>> {
        self.limit = Some((limit, until));
        self.ended.take()
    }
}
