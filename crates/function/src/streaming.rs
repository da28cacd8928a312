//! A response that is posted as it arrives: one piece at a time, no sooner than Lambda takes it. Owns the end of such a
//! response, whichever of the three it comes from: the back end, Lambda, or the clock.

use std::pin::pin;

use bytes::Bytes;
use crossfade_journal::AccessRecord;
use crossfade_proxy::{Invocation, Pending, Proxy, ProxyError, Streamed, TimeLimit};
use tokio::time::timeout_at;

use crate::invoke::{caught, line_of};
use crate::log::{Level, write_record};
use crate::run::MARGIN;
use crate::runtime_api::{ApiError, Posting, RuntimeApi};

/// A streamed response besides its content.
pub(crate) struct Stream<'s, 'p> {
    pub(crate) proxy: &'s Proxy,
    pub(crate) invocation: &'s Invocation,
    /// Is completed at the end.
    pub(crate) record: &'s mut AccessRecord<'p>,
    /// Likewise. Nothing is left if there is nothing to compare.
    pub(crate) pending: &'s mut Option<Box<Pending<'p>>>,
}

/// The reason why a response ends.
enum End {
    Complete,
    /// The back end failed, or its time is over.
    Failed(ProxyError),
    /// Lambda did not take a piece before the time was over, so it has a part of that.
    Late,
    /// Lambda takes no more of it: the client has gone, or there was too much.
    Refused(ApiError),
}

impl Stream<'_, '_> {
    /// Posts a beginning and the content that follows. Returns as [`RuntimeApi::respond`] does.
    pub(crate) async fn post(
        self,
        api: &mut RuntimeApi,
        invocation_id: Option<&str>,
        beginning: Bytes,
        content: Option<Box<Streamed<'_>>>,
    ) -> Result<(), ApiError> {
        let Stream { proxy, invocation, record, pending } = self;
        let mut posting = api.begin(&invocation.request_id, invocation_id, beginning).await?;
        let Some(mut content) = content else { return end(posting, None, invocation).await };
        let mut sent = 0;
        let passed = caught(pin!(pass(&mut content, &mut posting, &mut sent, invocation))).await;
        match passed.unwrap_or_else(|message| End::Failed(ProxyError::Internal(message))) {
            End::Complete => {
                content.conclude(sent, None, invocation, record, pending.as_deref_mut());
                end(posting, None, invocation).await
            }
            End::Late => {
                let error = ProxyError::ResponseTimeout(TimeLimit::Cut);
                content.conclude(sent, Some(&error), invocation, record, pending.as_deref_mut());
                Ok(())
            }
            End::Failed(error) => {
                content.conclude(sent, Some(&error), invocation, record, pending.as_deref_mut());
                let error_type = ["Crossfade.", error.error_type()].concat();
                // Lambda may hand it to the caller, so it names nothing internal.
                let message = format!("the response is incomplete: {}", error.error_type());
                end(posting, Some((&error_type, &message)), invocation).await
            }
            End::Refused(error) => {
                content.conclude(sent, None, invocation, record, None);
                let reason = match &error {
                    ApiError::Io(error) => error.to_string(),
                    error => error.to_string(),
                };
                record.detail = Some(format!("the front end took no more than {sent} bytes: {reason}").into());
                if let Some(pending) = pending.take()
                    && let Some(line) = line_of(proxy, &proxy.lost(&pending, invocation, "disconnected"))
                {
                    write_record(Level::Info, line);
                }
                match error {
                    ApiError::Status { .. } => Err(error),
                    // Whether the API is still there shows in the next call.
                    _ => Ok(()),
                }
            }
        }
    }
}

/// Ends a reply. Lambda may take its time, since a client may, but not more than the invocation has.
async fn end(posting: Posting<'_>, error: Option<(&str, &str)>, invocation: &Invocation) -> Result<(), ApiError> {
    timeout_at(invocation.deadline + MARGIN, posting.end(error)).await.unwrap_or(Ok(()))
}

/// Passes on one piece after the other.
async fn pass(content: &mut Streamed<'_>, posting: &mut Posting<'_>, sent: &mut u64, invocation: &Invocation) -> End {
    loop {
        let piece = tokio::select! {
            biased;
            piece = content.next() => piece,
            error = posting.refused() => return End::Refused(error),
        };
        let piece = match piece {
            None => return End::Complete,
            Some(Err(error)) => return End::Failed(error),
            Some(Ok(piece)) => piece,
        };
        let length = piece.len() as u64;
        match timeout_at(invocation.deadline, posting.write(piece)).await {
            Ok(Ok(())) => *sent += length,
            Ok(Err(error)) => return End::Refused(error),
            Err(_) => return End::Late,
        }
    }
}

#[cfg(test)]
mod tests;
