//! The steps of a request, from top to bottom. The stages have their own modules; this one owns their order, and the
//! changes to the response.

use std::borrow::Cow;

use bytes::Bytes;
use crossfade_journal::{AccessRecord, Journal, milliseconds};
use crossfade_route::Observer;
use http::header::SET_COOKIE;
use http::{Request, Response};

use crate::body::Body;
use crate::content::{self, Compression};
use crate::failover::Answered;
use crate::invocation::Invocation;
use crate::mirror::{Pending, Primary};
use crate::plan::{Context, Outgoing, Plan, Sending, Step};
use crate::proxy::Proxy;
use crate::{ProxyError, shared_cache, spilling, tracing};

/// A response and the record of the request.
#[derive(Debug)]
pub struct Exchange<'t> {
    /// For the client. Its record is complete once [`crate::Streamed::conclude`] was called, if the content is streamed.
    pub response: Response<Body<'t>>,
    /// For the log.
    pub record: AccessRecord<'t>,
    /// For [`Proxy::mirror`], once the client has its response.
    pub pending: Option<Box<Pending<'t>>>,
}

impl Proxy {
    /// Responds to a request. A failure is a response as well.
    pub async fn handle<'t>(&'t self, request: Request<Bytes>, invocation: &'t Invocation) -> Exchange<'t> {
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let request_bytes = request.body().len() as u64;
        let preference = self.preference(&request);
        let trace = invocation.trace.as_deref();
        let w3c_trace_id = trace.and_then(|trace| tracing::w3c_trace_id(trace, request.headers()));
        let (mut journal, mut pending) = (Journal::default(), None);
        journal.trace = trace;
        let result = self.answer(request, invocation, &mut journal, &mut pending).await;

        let mut record = AccessRecord::new(invocation.time, &invocation.request_id, &journal);
        let response = result.unwrap_or_else(|error| {
            error.note(&mut record);
            self.failure(&error, preference.as_deref()).map(Body::Whole)
        });
        let trace_id = invocation.front.trace_id.as_ref().or(invocation.trace_id.as_ref());
        record.trace_id = trace_id.and_then(|value| value.to_str().ok()).map(Cow::from);
        if let Some(trace) = trace {
            record.xray_trace_id = trace.xray_trace_id().map(Cow::from);
            record.w3c_trace_id = w3c_trace_id.map(Cow::from);
        }
        record.front_request_id = invocation.front.request_id.as_deref().map(Cow::from);
        (record.method, record.path, record.live) = (Some(method.into()), Some(path.into()), self.table().live);
        record.status = response.status().as_u16();
        (record.request_bytes, record.response_bytes) = (request_bytes, response.body().len());
        record.total_ms = milliseconds(invocation.started.elapsed());
        if self.table().metrics.is_some() {
            record.backend_ms = journal.took().map(milliseconds);
        }
        if let Some(pending) = &mut pending {
            pending.journal = journal;
        }
        Exchange { response, record, pending }
    }

    async fn answer<'t>(
        &'t self,
        request: Request<Bytes>,
        invocation: &'t Invocation,
        journal: &mut Journal<'t>,
        pending: &mut Option<Box<Pending<'t>>>,
    ) -> Result<Response<Body<'t>>, ProxyError> {
        let (parts, body) = request.into_parts();
        let Plan { context, step } = self.planner(invocation).plan(parts, &body, &mut ())?;
        journal.route = Some(&context.route.name);

        let mut sending = match step {
            Step::Fail(error) => return Err(error),
            Step::Answer(response) => return Ok(response.map(Body::Whole)),
            Step::Send(sending) => sending,
        };
        journal.target = Some(&sending.outgoing.backend.name);
        journal.chosen = Some(sending.choice.reason.as_str());
        let (forward, set_cookie, copy) = (sending.forward, sending.choice.set_cookie.clone(), sending.copy.take());
        let mut result = self.send(&context, *sending, &body, invocation, journal).await;
        if let Ok(Answered { response, sent, .. }) = &mut result {
            self.received(response, sent);
        }
        let copied = copy.map(|copy| {
            let primary = Primary::of(&mut result, journal.backend().unwrap_or_default(), copy.mirror);
            (copy, primary)
        });
        let result = result.map(|Answered { mut response, sent, .. }| {
            context.edit_response(invocation, Some(sent.backend), response.headers_mut());
            // Ours comes last: without it users would change sides. But a cache would hand it to everyone.
            let is_shared = || shared_cache::may_store(&sent.parts.method, response.status(), response.headers());
            if let Some(cookie) = set_cookie.filter(|_| !is_shared()) {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            let (compression, carried) =
                (Compression::of(context.route.compress), invocation.front.format.max_response_bytes);
            let may_not_fit = |content: &Bytes| content.len() >= carried / 2 && self.spills(context.route);
            // Nearly always, and a response is large to move.
            let leaves = |content: &Bytes| compression.leaves(content.len(), carried) && !may_not_fit(content);
            if matches!(response.body(), Body::Whole(content) if leaves(content))
                && !content::is_to_be_recoded(&response)
            {
                return response;
            }
            let request = &sent.parts;
            let (parts, body) = response.into_parts();
            match body {
                Body::Whole(content) => {
                    let mut response = Response::from_parts(parts, content);
                    if may_not_fit(response.body()) && spilling::may_spill(&request.method, response.status()) {
                        spilling::mark(&mut response);
                    }
                    let accepted = || sent.accepted();
                    content::for_client(
                        compression,
                        &request.method,
                        &request.headers,
                        accepted,
                        carried,
                        &mut response,
                    );
                    response.map(Body::Whole)
                }
                Body::Streamed(mut streamed) => {
                    let mut head = Response::from_parts(parts, ());
                    streamed.encoder =
                        content::for_stream(compression, streamed.decodes(), || sent.accepted(), &mut head);
                    head.map(|()| Body::Streamed(streamed))
                }
            }
        });
        *pending =
            copied.filter(|(copy, primary)| !primary.is(self.name_of(copy.mirror.backend))).map(|(copy, primary)| {
                Box::new(Pending { copy: *copy, context, forward, body, primary, journal: Journal::default() })
            });
        result
    }

    /// Plans a request without sending anything. The observer learns of the routes that are skipped.
    ///
    /// # Errors
    ///
    /// The failure that the request would have before anything is sent.
    pub fn plan<'t, O: Observer>(
        &'t self,
        request: Request<Bytes>,
        invocation: &'t Invocation,
        observer: &mut O,
    ) -> Result<Plan<'t>, ProxyError> {
        let (parts, body) = request.into_parts();
        self.planner(invocation).plan(parts, &body, observer)
    }

    /// The copy of a request that the mirror of its route takes.
    ///
    /// # Errors
    ///
    /// The reason why no copy can be made, or [`ProxyError::Internal`] if the request is not mirrored.
    pub fn copy<'t>(
        &'t self,
        context: &Context<'t>,
        sending: &Sending<'t>,
        invocation: &'t Invocation,
    ) -> Result<Outgoing<'t>, ProxyError> {
        let copy = sending.copy.as_deref().cloned();
        let copy = copy.ok_or_else(|| ProxyError::Internal("nothing is copied".to_owned()))?;
        self.planner(invocation).copy(context, sending.forward, copy, &Bytes::new()).0
    }
}
