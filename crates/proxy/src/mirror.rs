//! `mirror`: shadow requests to another back end, once the client has its response, and the records of the comparison.
//!
//! Owns the content of a shadow request, its time limits, and its record. The plan decides whether a request is mirrored;
//! `measuring` sends and compares. Nothing here can reach the client: shadow requests have connections and circuit breakers
//! of their own.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crossfade_compare::{Comparison, Digest, MAX_DECODED, Salt, endpoint};
use crossfade_journal::comparison::{Against, Kind, NotRepeated, REPEATED_FIELDS, Record, Side, VERSION, Verdict};
use crossfade_journal::redaction::{is_credential, shown_query};
use crossfade_journal::{Journal, Role};
use crossfade_route::{Credentials, Forward, MIRROR_FIELD, Mirror, PublicUrl};
use http::header::{ACCEPT, ACCEPT_LANGUAGE, HOST, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, RANGE};
use http::request::Parts;
use http::{Method, Response};
use tokio::time::Instant;

use crate::attempt::Bounds;
use crate::body::{Body, Kept};
use crate::comparing::{Arrived, End};
use crate::failover::Answered;
use crate::invocation::Invocation;
use crate::measuring::{Measured, Outcome, Shadows, System, answered_side, arrival, without_own_name};
use crate::plan::{Context, Outgoing, Planner, ShadowRequest};
use crate::proxy::Proxy;
use crate::{ProxyError, fields, lookalikes};

/// Bytes of a field that a record keeps.
const MAX_FIELD: usize = 200;

/// The work that is left for a request when its client has the response.
#[derive(Debug)]
pub struct Pending<'t> {
    pub(crate) copy: ShadowRequest<'t>,
    pub(crate) context: Context<'t>,
    pub(crate) forward: &'t Forward,
    pub(crate) body: Bytes,
    pub(crate) primary: Primary<'t>,
    /// The history so far.
    pub(crate) journal: Journal<'t>,
}

/// The result of the client's own request.
#[derive(Debug)]
pub(crate) struct Primary<'t> {
    /// The name of the back end that responded or failed.
    backend: &'t str,
    /// Its response, before the route's changes to it.
    answer: Result<Answered<'t, Kept>, &'static str>,
}

impl<'t> Primary<'t> {
    /// Of a streamed response, this is the head: the rest is for [`Primary::complete`].
    pub(crate) fn of(result: &mut Result<Answered<'t>, ProxyError>, backend: &'t str, mirror: &Mirror) -> Self {
        let answer = match result {
            Ok(Answered { response, sent, took }) => {
                let content = match response.body_mut() {
                    Body::Whole(content) => Kept::from(content.clone()),
                    Body::Streamed(streamed) => {
                        streamed.keeps = if mirror.compare.is_some() { MAX_DECODED } else { 0 };
                        Kept::default()
                    }
                };
                let mut kept = Response::new(content);
                (*kept.status_mut(), *kept.headers_mut()) = (response.status(), response.headers().clone());
                Ok(Answered { response: kept, sent: sent.clone(), took: *took })
            }
            Err(error) => Err(error.error_type()),
        };
        Primary { backend, answer }
    }

    /// The streamed content has ended, or failed, so long after its head.
    pub(crate) fn complete(&mut self, content: Result<Kept, &'static str>, more: Duration) {
        match (&mut self.answer, content) {
            (Ok(answered), Ok(content)) => {
                *answered.response.body_mut() = content;
                answered.took += more;
            }
            (_, Err(error)) => self.answer = Err(error),
            (Err(_), Ok(_)) => {}
        }
    }

    pub(crate) fn is(&self, backend: &str) -> bool {
        self.backend == backend
    }
}

impl<'t> Planner<'t> {
    /// Makes the shadow request from a received request. Also returns whether it lost credentials.
    pub(crate) fn copy(
        &self,
        context: &Context<'t>,
        forward: &'t Forward,
        copy: ShadowRequest<'t>,
        body: &Bytes,
    ) -> (Result<Outgoing<'t>, ProxyError>, bool) {
        let ShadowRequest { mirror, mut received } = copy;
        let is_withheld = withhold(&mirror.credentials, &mut received.headers);
        let transforms = mirror.transforms.as_ref().or_else(|| forward.transforms_for(mirror.backend));
        let mut outgoing = self.outgoing(context, transforms, mirror.backend, received, body);
        if let Ok(Outgoing { backend, parts, .. }) = &mut outgoing {
            if !mirror.request_fields.is_empty() {
                lookalikes::remove_edited(&mut parts.headers, &self.table.request_id_field, &mirror.request_fields);
                let variables = context.variables(self.invocation, Some(backend));
                fields::apply(&mirror.request_fields, &mut parts.headers, variables);
            }
            mark(&mut parts.headers);
        }
        (outgoing, is_withheld)
    }
}

impl Proxy {
    /// The record of a shadow request that was lost, with the reason.
    #[must_use]
    pub fn lost(&self, pending: &Pending<'_>, invocation: &Invocation, reason: &'static str) -> Record {
        let Pending { copy, context, primary, .. } = pending;
        let rules = copy.mirror.compare.as_deref();
        Record {
            kind: Kind::Compare,
            version: VERSION,
            time: invocation.time,
            against: Against::Mirror,
            request_id: invocation.request_id.clone(),
            route: context.route.name.clone(),
            method: copy.received.method.to_string(),
            endpoint: endpoint(copy.received.uri.path(), rules.map_or(&[], |rules| &rules.endpoints)),
            verdict: Verdict::Lost,
            reason: Some(reason.to_owned()),
            not_repeated: None,
            request: None,
            live: self.table().live,
            salt: None,
            differences: Vec::new(),
            more: 0,
            credentials_withheld: false,
            primary: primary.side(),
            mirror: Side { backend: self.name_of(copy.mirror.backend).to_owned(), ..Side::default() },
        }
    }

    /// Sends the shadow requests of a request that has its response, and compares the responses. Ends when everything is done,
    /// when the budget or the invocation's time is used up, or soon after `stop` completes with a reason. Responses that have
    /// not arrived or not been compared by then are recorded as lost.
    pub async fn mirror<'t>(
        &'t self,
        pending: Pending<'t>,
        invocation: &Invocation,
        stop: impl Future<Output = &'static str>,
    ) -> Vec<Record> {
        let common = self.lost(&pending, invocation, "");
        let Pending { copy, context, forward, body, primary, mut journal } = pending;
        let mirror = copy.mirror;
        let method = copy.received.method.clone();
        let neutral =
            PublicUrl { origin: String::new(), host: context.host_name().to_owned(), base_path: String::new() };
        let primary_side = primary.side();
        let (sent, first) = match primary.answer {
            Ok(Answered { mut response, sent, took }) => {
                without_own_name(&neutral, &mut response, &sent);
                let time = arrival(invocation, journal.deciding().and_then(|attempt| attempt.first_byte));
                (Ok(marked(sent)), Outcome::Answer(Arrived { response, time }, took))
            }
            Err(error) => (Err(error), Outcome::NoAnswer(error)),
        };
        let rules = mirror.compare.as_ref().map(|rules| match rules.of(copy.received.uri.path()) {
            Cow::Borrowed(_) => rules.clone(),
            Cow::Owned(rules) => Arc::new(rules),
        });
        let (copied, credentials_withheld) = self.planner(invocation).copy(&context, forward, copy, &body);
        let copied = copied.map_err(|error| error.error_type());

        let end = end_of(mirror, invocation);
        let shadows = Shadows {
            rules: rules.as_ref(),
            invocation,
            body: &body,
            neutral: &neutral,
            bounds: Bounds { deadline: end.at, ..self.bounds(invocation, context.route) },
            end,
            may_repeat: may_repeat(mirror, &method, invocation.seed),
            compares_itself: sent.is_ok() && mirror.compares_itself(&method, invocation.seed),
        };
        let to_primary = System { request: sent.clone(), first, role: Role::Again, limit: None };
        let not_yet = Outcome::Lost("");
        let to_mirror =
            System { request: copied.clone(), first: not_yet, role: Role::Mirror, limit: mirror.backend_request };
        let mut measured = Measured::default();
        // Boxed, so that a function without a mirror has no room for it.
        let measure = Box::pin(self.measure(shadows, to_primary, to_mirror, &mut journal, &mut measured));
        // The reason to stop comes first: what ends at the same moment may have ended because of it.
        let stopped = tokio::select! {
            biased;
            reason = stop => Some(reason),
            () = measure => None,
        };
        let (sent, copied) = (sent.ok(), copied.ok());
        if stopped.is_some() {
            // Their connections may have died meanwhile without a sign.
            let upstreams = copied.iter().chain(&sent).filter_map(|request| self.mirror_upstreams.get(request.index));
            upstreams.for_each(|upstream| upstream.discard_idle());
        }

        let lost = || Comparison::without_differences(Verdict::Lost, Some(stopped.unwrap_or("proxy_internal_error")));
        let keeps_values = rules.as_ref().is_some_and(|rules| rules.keep_values);
        let url = |outgoing: &Outgoing<'_>| url(outgoing, keeps_values);
        let record = |against, comparison: Option<Comparison>, requested: Option<&Outgoing<'_>>, side| {
            let Comparison { verdict, reason, differences, more, .. } = comparison.unwrap_or_else(lost);
            // How often a request does not differ tells slow noise from a difference, so that matches have digests as well.
            let is_compared = matches!(verdict, Verdict::Match | Verdict::Accepted | Verdict::Different);
            let compared = sent.as_ref().filter(|_| is_compared);
            let is_shown = verdict == Verdict::Different;
            let sent = sent.as_ref().filter(|_| is_shown);
            Record {
                against,
                verdict,
                reason: reason.map(str::to_owned),
                request: compared.map(|sent| digest(sent, &body, &self.salt)),
                salt: compared.map(|_| self.salt.name()),
                differences,
                more,
                primary: Side {
                    url: sent.map(url),
                    fields: sent.map(|sent| repeated_fields(sent, keeps_values)).unwrap_or_default(),
                    ..primary_side.clone()
                },
                mirror: Side {
                    backend: requested.map_or(self.name_of(mirror.backend), |it| &it.backend.name).to_owned(),
                    url: requested.filter(|_| is_shown).map(url),
                    ..side
                },
                ..common.clone()
            }
        };
        let Measured { mirror: side, of_mirror, not_repeated, again, of_itself } = measured;
        let of_mirror = record(Against::Mirror, of_mirror, copied.as_ref(), side);
        let mut records = vec![Record { not_repeated, credentials_withheld, ..of_mirror }];
        if shadows.compares_itself {
            records.push(record(Against::Itself, of_itself, sent.as_ref(), again));
        }
        records
    }
}

/// Returns the reason why a request is not repeated if its responses differ.
fn may_repeat(mirror: &Mirror, method: &Method, seed: u128) -> Result<(), NotRepeated> {
    match (method.is_safe(), mirror.repeats(seed)) {
        (false, _) => Err(NotRepeated::Unsafe),
        (true, false) => Err(NotRepeated::Share),
        (true, true) => Ok(()),
    }
}

/// The budget begins now.
fn end_of(mirror: &Mirror, invocation: &Invocation) -> End {
    let budget = Instant::now() + mirror.budget;
    if invocation.deadline < budget {
        End { at: invocation.deadline, reason: "time" }
    } else {
        End { at: budget, reason: "budget" }
    }
}

impl Primary<'_> {
    fn side(&self) -> Side {
        let side = Side { backend: self.backend.to_owned(), ..Side::default() };
        match &self.answer {
            Ok(answered) => answered_side(&answered.response, answered.took, side),
            Err(error) => Side { error: Some((*error).to_owned()), ..side },
        }
    }
}

/// Removes the client's credentials, in any spelling, but those that may pass; whether there were any.
fn withhold(credentials: &Credentials, fields: &mut HeaderMap) -> bool {
    let passes = |name: &HeaderName| match credentials {
        Credentials::Withheld => false,
        Credentials::Passed => true,
        Credentials::Only(names) => names.contains(name),
    };
    let withheld: Vec<HeaderName> = fields
        .keys()
        .filter(|name| is_credential(&lookalikes::plain(name.as_str())) && !passes(name))
        .cloned()
        .collect();
    for name in &withheld {
        fields.remove(name);
    }
    !withheld.is_empty()
}

fn mark(fields: &mut HeaderMap) {
    fields.insert(MIRROR_FIELD, HeaderValue::from_static("1"));
}

/// The same request once more.
fn marked(mut sent: Outgoing<'_>) -> Outgoing<'_> {
    mark(&mut sent.parts.headers);
    sent
}

/// Returns the digest of a request: of everything that usually decides about the response. Clients with other credentials or
/// preferences send another request.
fn digest(sent: &Outgoing<'_>, body: &Bytes, salt: &Salt) -> Digest {
    let Parts { method, uri, headers, .. } = &sent.parts;
    let decides = |name: &HeaderName| {
        [HOST, ACCEPT, ACCEPT_LANGUAGE, RANGE].contains(name) || is_credential(&lookalikes::plain(name.as_str()))
    };
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    let mut fields: Vec<[&[u8]; 2]> = headers
        .iter()
        .filter(|(name, _)| decides(name))
        .map(|(name, value)| [name.as_str().as_bytes(), value.as_bytes()])
        .collect();
    fields.sort_unstable();
    let pieces = [method.as_str().as_bytes(), target.as_bytes()].into_iter().chain(fields.into_iter().flatten());
    let mut text = Vec::new();
    for piece in pieces {
        text.extend_from_slice(piece);
        text.push(b'\n'); // occurs in none of them
    }
    text.extend_from_slice(&salt.digest(body).0.to_le_bytes());
    salt.digest(&text)
}

/// The fields of a request that a record keeps, without long values. An entity tag may identify a user, so it is a value.
fn repeated_fields(outgoing: &Outgoing<'_>, keeps_values: bool) -> BTreeMap<String, String> {
    let value = |name: &&str| outgoing.parts.headers.get(*name)?.to_str().ok().filter(|value| value.len() <= MAX_FIELD);
    let names = REPEATED_FIELDS.iter().filter(|name| keeps_values || **name != IF_NONE_MATCH.as_str());
    let fields = names.filter_map(|name| Some((*name, value(name)?)));
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The URL of the request.
fn url(outgoing: &Outgoing<'_>, keep_values: bool) -> String {
    let Outgoing { backend, parts, .. } = outgoing;
    let scheme = backend.scheme.as_str();
    let mut url = format!("{scheme}://{}{}", backend.authority.to_str().unwrap_or_default(), parts.uri.path());
    if let Some(query) = parts.uri.query() {
        url.push('?');
        url.push_str(&shown_query(query, keep_values));
    }
    url
}
