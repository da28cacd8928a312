//! One invocation: event in, reply out, and the record of it. Every failure becomes a reply.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use crossfade_event::{DecodeError, EncodeError, Event, Format, Front, Undecodable, decode_request, fallback};
use crossfade_journal::comparison::Record;
use crossfade_journal::{AccessRecord, Journal, milliseconds};
use crossfade_proxy::{
    Body, Exchange, Invocation, Pending, Preference, Proxy, ProxyError, Streamed, compress, failure, healthy,
    is_spillable,
};
use crossfade_route::HealthCheck;
use http::{Request, Response};

use crate::log::log_error;
use crate::spilling::Large;

/// Reads an event that has one of these formats.
pub(crate) fn decode(formats: &[&'static Format], event: &Bytes) -> (Result<Request<Bytes>, DecodeError>, Front) {
    match catch_unwind(|| decode_request(formats, event)) {
        Ok(Ok(Event { request, front })) => (Ok(request), front),
        Ok(Err(Undecodable { format, error })) => (Err(error), Front::new(format)),
        Err(panic) => (Err(DecodeError::Json(message_of(&*panic))), Front::new(fallback(event))),
    }
}

/// An answer whose reply is in a buffer.
pub(crate) struct Answered<'p> {
    pub(crate) record: AccessRecord<'p>,
    /// The work that is left once the reply has been posted.
    pub(crate) pending: Option<Box<Pending<'p>>>,
    pub(crate) reply: Reply<'p>,
}

/// The part of a reply that the buffer has, and so the way to post it.
pub(crate) enum Reply<'p> {
    /// All of it.
    Whole,
    /// The beginning of a streamed reply. Without more it is all of one.
    Beginning(Option<Box<Streamed<'p>>>),
    /// Nothing: the front end cannot carry the response, which may be stored elsewhere.
    TooLarge(Box<Large<'p>>),
}

/// Writes the reply to a request, or to an event that could not be decoded, into `reply`, which must be empty.
pub(crate) async fn answer<'p>(
    proxy: &'p Proxy,
    request: Result<Request<Bytes>, DecodeError>,
    invocation: &'p Invocation,
    reply: &mut Vec<u8>,
) -> Answered<'p> {
    let Front { format, is_health_check, .. } = invocation.front;
    let preference = request.as_ref().ok().and_then(|request| proxy.preference(request));
    let exchange = match request {
        Ok(_) if is_health_check && proxy.table().health_check == HealthCheck::Function => {
            own(invocation, healthy(), |record| record.route = Some("health-check".into()))
        }
        Ok(request) => {
            // A panic costs this one request a 500.
            caught(pin!(proxy.handle(request, invocation))).await.unwrap_or_else(|message| {
                let error = ProxyError::Internal(message);
                own(invocation, proxy.failure(&error, preference.as_deref()), |record| error.note(record))
            })
        }
        // Neither its method nor its `Accept` is known, which a page depends on.
        Err(error) => {
            let error = refused(&error);
            own(invocation, failure(&error), |record| error.note(record))
        }
    };
    let Exchange { response, mut record, mut pending } = exchange;
    if let Some(prelude) = format.prelude.filter(|_| proxy.streams(format)) {
        let (parts, body) = response.into_parts();
        let rest = match (prelude(&parts, reply), body) {
            (Ok(()), Body::Streamed(streamed)) => Some(streamed),
            (Ok(()), Body::Whole(content)) => {
                reply.extend_from_slice(&content);
                None
            }
            (Err(error), _) => {
                // Nothing has been read that could be compared.
                pending = None;
                let (parts, content) = replacement(proxy, preference.as_deref(), &error, &mut record).into_parts();
                // Our own fields are small.
                let _ = prelude(&parts, reply);
                reply.extend_from_slice(&content);
                None
            }
        };
        return Answered { record, pending, reply: Reply::Beginning(rest) };
    }
    if matches!(response.body(), Body::Streamed(_)) {
        let problem = format!("the response is too large for {}", format.service);
        let large = Large { response, problem, preference };
        return Answered { record, pending, reply: Reply::TooLarge(Box::new(large)) };
    }
    let mut response = response.map(Body::whole);
    let mut encoded = (format.encode)(&response, reply);
    if let Err(EncodeError::TooLarge { .. }) = encoded
        && compress(&mut response)
    {
        record.response_bytes = response.body().len() as u64;
        encoded = (format.encode)(&response, reply);
    }
    if let Err(error @ EncodeError::TooLarge { .. }) = &encoded
        && is_spillable(&response)
    {
        let large = Large { response: response.map(Body::Whole), problem: error.to_string(), preference };
        return Answered { record, pending, reply: Reply::TooLarge(Box::new(large)) };
    }
    if let Err(error) = encoded {
        // A page is limited so that it fits.
        let _ = (format.encode)(&replacement(proxy, preference.as_deref(), &error, &mut record), reply);
    }
    Answered { record, pending, reply: Reply::Whole }
}

/// Sends the shadow requests of a request that has been answered, and returns the log lines about them. A panic there
/// reaches no client, and leaves a line in the log.
pub(crate) async fn mirror(
    proxy: &Proxy,
    pending: Pending<'_>,
    invocation: &Invocation,
    stop: impl Future<Output = &'static str>,
) -> Vec<Vec<u8>> {
    let lost = proxy.lost(&pending, invocation, "proxy_internal_error");
    let records = caught(pin!(proxy.mirror(pending, invocation, stop))).await.unwrap_or_else(|message| {
        log_error(&format!("mirroring {} failed: {message}", invocation.request_id));
        vec![lost]
    });
    records.iter().filter_map(|record| line_of(proxy, record)).collect()
}

/// Returns the line of a comparison.
pub(crate) fn line_of(proxy: &Proxy, record: &Record) -> Option<Vec<u8>> {
    let mut line = serde_json::to_vec(record).ok()?;
    if let Some(metrics) = &proxy.table().metrics {
        metrics.add_to_comparison(&mut line, record);
    }
    Some(line)
}

/// The error that the sender of an event reads.
fn refused(error: &DecodeError) -> ProxyError {
    match error {
        DecodeError::UnknownFormat | DecodeError::Unsupported(_) => ProxyError::EventUnsupported(error.to_string()),
        _ => ProxyError::RequestInvalid(error.to_string()),
    }
}

/// An answer that no back end gave.
fn own<'p>(
    invocation: &'p Invocation,
    response: Response<Bytes>,
    note: impl FnOnce(&mut AccessRecord<'p>),
) -> Exchange<'p> {
    let mut record = AccessRecord::new(invocation.time, &invocation.request_id, &Journal::default());
    record.status = response.status().as_u16();
    record.response_bytes = response.body().len() as u64;
    record.total_ms = milliseconds(invocation.started.elapsed());
    note(&mut record);
    Exchange { response: response.map(Body::Whole), record, pending: None }
}

/// The answer that takes the place of one that cannot be carried.
pub(crate) fn replacement(
    proxy: &Proxy,
    preference: Option<&Preference>,
    error: &EncodeError,
    record: &mut AccessRecord<'_>,
) -> Response<Bytes> {
    let error = match error {
        EncodeError::TooLarge { .. } => ProxyError::too_large(error),
        EncodeError::FieldsTooLarge { .. } => ProxyError::ResponseFieldsTooLarge(error.to_string()),
    };
    let response = proxy.failure(&error, preference);
    error.note(record);
    record.status = response.status().as_u16();
    record.response_bytes = response.body().len() as u64;
    response
}

/// A panic would end the process and with it every other invocation: here it is an error with its message. The future stays
/// where it is: one is kilobytes large, and each move would be a copy.
pub(crate) async fn caught<T>(mut future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Result<T, String> {
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(message_of(&*panic))),
    })
    .await
}

/// The message of a panic. One that was formatted may have a piece of the request in it, so only literal ones are used; the
/// hook has logged the place.
fn message_of(panic: &(dyn Any + Send)) -> String {
    panic.downcast_ref::<&str>().copied().unwrap_or("panic").to_owned()
}

/// Logs the place of a panic and not its message, see [`message_of`].
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        log_error(&format!("panic at {place}"));
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_tells_nothing_of_the_request() {
        let secret = "canary".to_owned();
        assert_eq!(
            caught(pin!(async { panic!("as it is written") })).await,
            Err::<(), _>("as it is written".to_owned())
        );
        assert_eq!(caught(pin!(async { panic!("it is {secret}") })).await, Err::<(), _>("panic".to_owned()));
    }
}
