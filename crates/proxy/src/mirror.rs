//! `mirror`: shadow requests to another back end, once the client has its response, and the records of the comparison.
//!
//! Owns the content of a shadow request, its time limits, and its record. The plan decides whether a request is mirrored;
//! `comparing` runs the comparison. Nothing here can reach the client: shadow requests have connections and circuit breakers
//! of their own.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crossfade_compare::{Comparison, Rules, endpoint};
use crossfade_journal::comparison::{Against, Class, Difference, Kind, Record, Side, VERSION, Verdict};
use crossfade_journal::redaction::{is_credential, shown_query};
use crossfade_journal::{Journal, Role, milliseconds};
use crossfade_route::{Credentials, Forward, MIRROR_FIELD, Mirror, PublicUrl};
use http::Response;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::attempt::{self, Bounds};
use crate::comparing::{self, End};
use crate::failover::Answered;
use crate::invocation::Invocation;
use crate::plan::{Context, Outgoing, Planner, ShadowRequest};
use crate::proxy::Proxy;
use crate::time::SHORTEST;
use crate::{ProxyError, fields, lookalikes, public_url, retry};

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
    answer: Result<Answered<'t>, &'static str>,
}

/// The result of a shadow request.
#[derive(Debug)]
enum Outcome {
    Answer(Response<Bytes>, Duration),
    NoAnswer(&'static str),
    /// Not sent, or given up. The word is the reason in the record.
    Lost(&'static str),
}

/// The values that the shadow requests of one request share.
#[derive(Clone, Copy, Debug)]
struct Copies<'a> {
    body: &'a Bytes,
    neutral: &'a PublicUrl,
    bounds: Bounds,
    end: End,
}

impl<'t> Primary<'t> {
    pub(crate) fn of(result: &Result<Answered<'t>, ProxyError>, backend: &'t str) -> Self {
        let answer = match result {
            Ok(answered) => Ok(answered.clone()),
            Err(error) => Err(error.error_type()),
        };
        Primary { backend, answer }
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
        let Pending { copy, context, forward, body, mut primary, mut journal } = pending;
        let mirror = copy.mirror;
        let neutral =
            PublicUrl { origin: String::new(), host: context.host_name().to_owned(), base_path: String::new() };
        if let Ok(Answered { response, sent, .. }) = &mut primary.answer {
            without_own_name(&neutral, response, sent);
        }
        let method = copy.received.method.clone();
        let (outgoing, credentials_withheld) = self.planner(invocation).copy(&context, forward, copy, &body);
        let again = match &primary.answer {
            Ok(answered) if mirror.compares_itself(&method, invocation.seed) => Some(marked(&answered.sent)),
            _ => None,
        };

        let end = end_of(mirror, invocation);
        let bounds = Bounds { deadline: end.at, ..self.bounds(invocation) };
        let copies = Copies { body: &body, neutral: &neutral, bounds, end };
        let (mut of_mirror, mut of_itself) = (None, None);
        // One after the other: in parallel they would slow each other down, and differ from the primary by that.
        let both = async {
            of_mirror = Some(match &outgoing {
                Ok(outgoing) => {
                    self.send_copy(outgoing, Role::Mirror, mirror.backend_request, copies, &mut journal).await
                }
                Err(error) => Outcome::Lost(error.error_type()),
            });
            if let Some(again) = &again {
                of_itself = Some(self.send_copy(again, Role::Again, None, copies, &mut journal).await);
            }
        };
        let mut stop = pin!(stop);
        // The reason to stop comes first: what ends at the same moment may have ended because of it.
        let mut stopped = tokio::select! {
            biased;
            reason = &mut stop => Some(reason),
            () = both => None,
        };
        if stopped.is_some() {
            // Their connections may have died meanwhile without a sign.
            let copies = outgoing.iter().chain(&again).filter_map(|outgoing| self.mirror_upstreams.get(outgoing.index));
            copies.for_each(|upstream| upstream.discard_idle());
        }
        let not_sent = Outcome::Lost(stopped.unwrap_or("proxy_internal_error"));
        let copies = [(Against::Mirror, outgoing.as_ref().ok(), of_mirror)].into_iter();
        let copies = copies.chain(again.iter().map(|again| (Against::Itself, Some(again), of_itself.take())));

        let rules = mirror.compare.as_ref();
        let url = |outgoing: &Outgoing<'_>| url(outgoing, rules.is_some_and(|rules| rules.keep_values));
        let sent = primary.answer.as_ref().ok().map(|answered| &answered.sent);
        let mut records = Vec::new();
        for (against, outgoing, outcome) in copies {
            let outcome = outcome.as_ref().unwrap_or(&not_sent);
            let now = invocation.time + invocation.started.elapsed();
            let comparison = match stopped {
                Some(reason) => judge(&primary, outcome, rules, now, end.stopped(reason)).await,
                None => tokio::select! {
                    biased;
                    reason = &mut stop => {
                        stopped = Some(reason);
                        Comparison::without_differences(Verdict::Lost, Some(reason))
                    }
                    comparison = judge(&primary, outcome, rules, now, end) => comparison,
                },
            };
            let Comparison { verdict, reason, differences, more, .. } = comparison;
            let is_shown = verdict == Verdict::Different;
            records.push(Record {
                against,
                verdict,
                reason: reason.map(str::to_owned),
                differences,
                more,
                credentials_withheld: credentials_withheld && against == Against::Mirror,
                primary: Side { url: sent.filter(|_| is_shown).map(url), ..primary.side() },
                mirror: Side {
                    backend: outgoing.map_or(self.name_of(mirror.backend), |it| &it.backend.name).to_owned(),
                    url: outgoing.filter(|_| is_shown).map(url),
                    ..outcome.side()
                },
                ..common.clone()
            });
        }
        records
    }

    /// Sends a copy, within the limit that is its own and until the end that is everything's.
    async fn send_copy<'t>(
        &'t self,
        outgoing: &Outgoing<'_>,
        role: Role,
        limit: Option<Duration>,
        Copies { body, neutral, bounds, end }: Copies<'_>,
        journal: &mut Journal<'t>,
    ) -> Outcome {
        let now = Instant::now();
        let Some(upstream) = self.mirror_upstreams.get(outgoing.index) else {
            return Outcome::Lost("proxy_internal_error");
        };
        if upstream.health.is_open(bounds.wall_clock()) {
            journal.skip(&upstream.backend.name, role, bounds.started.elapsed());
            return Outcome::Lost("open");
        }
        if end.at < now + SHORTEST {
            return Outcome::Lost(end.reason);
        }
        let limit = limit.or(outgoing.backend.timeouts.backend_request);
        let result = attempt::send(upstream, &outgoing.parts, body, bounds, limit, role, journal).await;
        upstream.health.note(retry::signal(&outgoing.parts, &result), bounds.wall_clock());
        match result {
            Ok(mut response) => {
                self.received(&mut response, outgoing);
                without_own_name(neutral, &mut response, outgoing);
                Outcome::Answer(response, journal.last().map_or(Duration::ZERO, |attempt| attempt.took))
            }
            Err(error) if error.is_timeout() && end.at <= Instant::now() => Outcome::Lost(end.reason),
            Err(error) => Outcome::NoAnswer(error.error_type()),
        }
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

impl Outcome {
    /// Without the name of the back end.
    fn side(&self) -> Side {
        match self {
            Outcome::Answer(response, took) => answered_side(response, *took, Side::default()),
            Outcome::NoAnswer(error) => Side { error: Some((*error).to_owned()), ..Side::default() },
            Outcome::Lost(_) => Side::default(),
        }
    }
}

fn answered_side(response: &Response<Bytes>, took: Duration, side: Side) -> Side {
    Side {
        status: Some(response.status().as_u16()),
        ms: Some(milliseconds(took)),
        bytes: Some(response.body().len() as u64),
        ..side
    }
}

/// The verdict on a shadow request, reached before the end of the budget.
async fn judge(
    primary: &Primary<'_>,
    outcome: &Outcome,
    rules: Option<&Arc<Rules>>,
    now: SystemTime,
    end: End,
) -> Comparison {
    let nothing = Comparison::without_differences;
    let primary = match &primary.answer {
        Ok(answered) if !answered.response.status().is_server_error() => Some(&answered.response),
        _ => None,
    };
    match (primary, outcome, rules) {
        (_, Outcome::Lost(reason), _) => nothing(Verdict::Lost, Some(*reason)),
        (_, _, None) => nothing(Verdict::Unknown, Some("off")),
        (None, ..) => nothing(Verdict::Failed, None),
        (Some(primary), Outcome::NoAnswer(error), Some(rules)) => breakdown(primary, error, rules),
        (Some(primary), Outcome::Answer(mirror, _), Some(rules)) if mirror.status().is_server_error() => {
            breakdown(primary, mirror.status().as_str(), rules)
        }
        (Some(primary), Outcome::Answer(mirror, _), Some(rules)) => {
            comparing::compare(primary.clone(), mirror.clone(), rules.clone(), now, end).await
        }
    }
}

/// A mirror that fails where the primary does not: no rule makes that right.
fn breakdown(primary: &Response<Bytes>, mirror: &str, rules: &Rules) -> Comparison {
    let difference = Difference {
        primary: rules.keep_values.then(|| primary.status().as_str().to_owned()),
        mirror: rules.keep_values.then(|| mirror.to_owned()),
        ..Difference::new(Class::Status, "status")
    };
    Comparison::of(difference)
}

/// Two systems redirect to the same place, each by its own name: where `publicUrl` does not say what the client sees, both
/// names are left out.
fn without_own_name(neutral: &PublicUrl, response: &mut Response<Bytes>, sent: &Outgoing<'_>) {
    if sent.backend.public_url.is_none() {
        public_url::apply(neutral, sent.backend, sent.parts.headers.get(HOST), response.headers_mut());
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
fn marked<'t>(sent: &Outgoing<'t>) -> Outgoing<'t> {
    let mut again = sent.clone();
    mark(&mut again.parts.headers);
    again
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
