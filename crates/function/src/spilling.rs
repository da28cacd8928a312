//! A response that the front end cannot carry: its content goes to the bucket of `spill`, and the client is redirected to it. Owns the reply and
//! the record, whichever of the three fails: the back end, the bucket, or the clock.

use bytes::Bytes;
use crossfade_journal::{AccessRecord, milliseconds};
use crossfade_live::{Broken, Content, Spill, SpillError, Task};
use crossfade_proxy::{
    Body, Invocation, Pending, Preference, Proxy, ProxyError, TimeLimit, fields_of_content, redirect,
};
use http::{HeaderValue, Response};

use crate::invoke::{caught, replacement};

/// Such a response.
pub(crate) struct Large<'p> {
    pub(crate) response: Response<Body<'p>>,
    /// The limit that it exceeds.
    pub(crate) problem: String,
    /// For a page, if it cannot be stored.
    pub(crate) preference: Option<Box<Preference>>,
}

/// The content as it is stored.
struct Pieces<'p> {
    body: Body<'p>,
    error: Option<ProxyError>,
}

impl Content for Pieces<'_> {
    fn next(&mut self) -> Task<'_, Result<Option<Bytes>, Broken>> {
        Box::pin(async {
            match &mut self.body {
                Body::Whole(content) => Ok(Some(std::mem::take(content)).filter(|content| !content.is_empty())),
                Body::Streamed(streamed) => match streamed.next().await.transpose() {
                    Ok(piece) => Ok(piece),
                    Err(error) => {
                        self.error = Some(error);
                        Err(Broken)
                    }
                },
            }
        })
    }
}

impl Large<'_> {
    /// Stores a response and writes the reply into a buffer, which must be empty. Completes the record and what is compared.
    pub(crate) async fn spill(
        self,
        proxy: &Proxy,
        bucket: Result<&Spill, String>,
        invocation: &Invocation,
        record: &mut AccessRecord<'_>,
        pending: Option<&mut Pending<'_>>,
        reply: &mut Vec<u8>,
    ) {
        let Large { response, problem, preference } = self;
        let preference = preference.as_deref();
        let (parts, body) = response.into_parts();
        let mut content = Pieces { body, error: None };
        let path = record.path.as_deref().unwrap_or_default().to_owned();
        let stored = match bucket {
            Ok(bucket) => {
                let fields = fields_of_content(&parts.headers);
                let now = invocation.time + invocation.started.elapsed();
                let mut stored = bucket.store(&path, fields, &mut content, now, invocation.deadline);
                let stored = caught(stored.as_mut()).await;
                stored.unwrap_or_else(|panic| Err(SpillError::Store(panic)))
            }
            Err(reason) => Err(SpillError::Store(reason)),
        };
        let result = stored.and_then(|stored| match HeaderValue::try_from(stored.location) {
            Ok(location) => Ok((location, stored.bytes)),
            Err(_) => Err(SpillError::Store("the link is not valid".to_owned())),
        });
        let result = result.map_err(|error| match (error, content.error) {
            (SpillError::Broken, Some(error)) => error,
            (SpillError::Broken | SpillError::Time, _) => ProxyError::ResponseTimeout(TimeLimit::Cut),
            (SpillError::Store(reason), _) => ProxyError::not_stored(&problem, reason),
        });
        if let Body::Streamed(streamed) = content.body {
            let stored = result.as_ref().map_or(0, |(_, bytes)| *bytes);
            streamed.conclude(stored, result.as_ref().err(), invocation, record, pending);
        }
        let response = match result {
            Ok((location, bytes)) => {
                record.spilled_bytes = Some(bytes);
                redirect(parts, location)
            }
            Err(error) => {
                error.note(record);
                proxy.failure(&error, preference)
            }
        };
        record.status = response.status().as_u16();
        record.response_bytes = response.body().len() as u64;
        record.total_ms = milliseconds(invocation.started.elapsed());
        let encode = invocation.front.format.encode;
        if let Err(error) = encode(&response, reply) {
            // A page is limited so that it fits.
            let _ = encode(&replacement(proxy, preference, &error, record), reply);
        }
    }
}
