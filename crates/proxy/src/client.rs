//! A client for requests of the function's own, such as for live configuration. Owns nothing but its back end: connections,
//! and what happens to dead ones, are as for a client's request.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crossfade_event::{DecodeError, EncodeError, Format, Undecodable};
use crossfade_journal::{Journal, Role};
use crossfade_route::{Backend, PemFile};
use http::{Request, Response};
use tokio::time::Instant;

use crate::attempt::{self, Bounds};
use crate::body::Body;
use crate::upstream::{SetupError, Upstream, Upstreams};

/// The limit of responses, which no front end has to carry: a page of CloudWatch Logs is the largest.
static OWN: Format = Format {
    name: "own",
    service: "the function",
    prefix: "",
    recognizes: |_| false,
    decode: |_, _| Err(Undecodable { format: &OWN, error: DecodeError::UnknownFormat }),
    encode: |_, _| Err(EncodeError::TooLarge { service: OWN.service, size: 0, limit: 0 }),
    prelude: None,
    max_response_bytes: 8 * 1024 * 1024,
};

/// A client of one host.
#[derive(Debug)]
pub struct Client {
    upstream: Upstream,
}

impl Client {
    /// Makes the client; opens no connection. Responses may have 8 MiB.
    ///
    /// # Errors
    ///
    /// [`SetupError`] for what cannot work with any request.
    pub fn new(backend: &Arc<Backend>, cert_file: Option<&PemFile>) -> Result<Client, SetupError> {
        Ok(Client { upstream: Upstreams::new(1, cert_file).upstream(backend)? })
    }

    /// Sends a request and returns the whole response, within the time limit.
    ///
    /// # Errors
    ///
    /// The reason why there is no response, for the log.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        limit: Duration,
        now: SystemTime,
    ) -> Result<Response<Bytes>, String> {
        let (parts, body) = request.into_parts();
        let started = Instant::now();
        let bounds = Bounds {
            deadline: started + limit,
            format: &OWN,
            is_streamed: false,
            spills: false,
            compresses: false,
            started,
            now,
            jitter: 1.0,
        };
        let mut journal = Journal::default();
        let sent = attempt::send(&self.upstream, &parts, &body, bounds, Some(limit), Role::First, &mut journal).await;
        sent.map(|response| response.map(Body::whole)).map_err(|error| error.to_string())
    }
}
