//! The shadow requests and comparisons of one request, in their order: to the mirror; to the primary again, to measure how much
//! it differs from itself; to the mirror again, where the primary confirms a difference. Owns that order, and the choice of
//! responses that are evidence. `crossfade-compare` draws the conclusions.
//!
//! One after the other: in parallel they would slow each other down, and differ from the primary by that. It also means that
//! the primary's second response comes at least as long after its first as the mirror's did.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crossfade_compare::{Comparison, MAX_DECODED, Repeated, Rules};
use crossfade_journal::comparison::{Class, Difference, NotRepeated, Side, Verdict};
use crossfade_journal::{Journal, Role, milliseconds};
use crossfade_route::PublicUrl;
use http::header::{HOST, HeaderMap, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};
use http::{Response, StatusCode};
use tokio::time::Instant;

use crate::attempt::{self, Bounds};
use crate::body::{Body, Kept};
use crate::comparing::{self, Arrived, End};
use crate::invocation::Invocation;
use crate::plan::Outgoing;
use crate::proxy::Proxy;
use crate::time::{SHORTEST, TimeLimit, by};
use crate::{ProxyError, public_url, retry};

/// The values that the shadow requests of one request share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shadows<'a> {
    /// For the path of the request; `None` if nothing is compared.
    pub(crate) rules: Option<&'a Arc<Rules>>,
    pub(crate) invocation: &'a Invocation,
    pub(crate) body: &'a Bytes,
    pub(crate) neutral: &'a PublicUrl,
    pub(crate) bounds: Bounds,
    pub(crate) end: End,
    /// The request may be repeated if the responses differ, or the reason why it may not.
    pub(crate) may_repeat: Result<(), NotRepeated>,
    /// The random share of requests that the primary gets again in any case includes this one.
    pub(crate) compares_itself: bool,
}

/// One of the two systems.
#[derive(Debug)]
pub(crate) struct System<'t> {
    /// The shadow request to it, or the reason why there is none.
    pub(crate) request: Result<Outgoing<'t>, &'static str>,
    /// Its response to the client's request, or to the first copy of it.
    pub(crate) first: Outcome,
    pub(crate) role: Role,
    /// The limit that is its own.
    pub(crate) limit: Option<Duration>,
}

/// The result of a request.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// The response, and the time that it took.
    Answer(Arrived, Duration),
    NoAnswer(&'static str),
    /// Not sent, or given up. The word is the reason in the record.
    Lost(&'static str),
}

/// The results so far: of what was cut off there is none.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// The mirror's response, without the name of the back end.
    pub(crate) mirror: Side,
    /// The primary's response compared with it.
    pub(crate) of_mirror: Option<Comparison>,
    pub(crate) not_repeated: Option<NotRepeated>,
    /// The primary's second response, likewise.
    pub(crate) again: Side,
    /// The primary's response compared with it.
    pub(crate) of_itself: Option<Comparison>,
}

impl Proxy {
    /// Sends the shadow requests and compares the responses. The primary's first response is there.
    pub(crate) async fn measure<'t>(
        &'t self,
        shadows: Shadows<'_>,
        mut primary: System<'t>,
        mut mirror: System<'t>,
        journal: &mut Journal<'t>,
        measured: &mut Measured,
    ) {
        mirror.first = self.send_copy(&mirror, shadows, journal).await;
        measured.mirror = mirror.first.side();
        if shadows.may_repeat.is_ok()
            && let Some(system) = not_modified(&mut primary, &mut mirror)
        {
            let whole = self.send_copy(system, shadows, journal).await;
            if whole.status().is_some_and(|status| status != StatusCode::NOT_MODIFIED) && !whole.is_setback() {
                system.first = whole;
            }
        }

        let Measured { of_mirror, not_repeated, again, of_itself, .. } = measured;
        let comparison = of_mirror.insert(self.judge(&primary.first, &mirror.first, shadows).await);
        let is_different = comparison.verdict == Verdict::Different;
        // Until there is evidence.
        *not_repeated = is_different.then(|| shadows.may_repeat.err().unwrap_or(NotRepeated::Budget));
        let is_repeated = shadows.compares_itself || (is_different && shadows.may_repeat.is_ok());
        if !is_repeated {
            return;
        }
        let second = self.send_copy(&primary, shadows, journal).await;
        *again = second.side();
        let of_itself = of_itself.insert(self.judge(&primary.first, &second, shadows).await);
        if !is_different {
            return;
        }
        *not_repeated = no_evidence(&primary.first, &second, of_itself);
        if not_repeated.is_some() {
            return;
        }
        comparison.repeat(of_itself, None);
        // Its memory is for the next one.
        drop(second);
        let is_confirmed =
            |difference: &Difference| !difference.accepted && difference.repeated == Some(Repeated::Primary);
        if shadows.may_repeat.is_err() || !comparison.differences.iter().any(is_confirmed) {
            return;
        }
        let second = self.send_copy(&mirror, shadows, journal).await;
        let of_theirs = self.judge_mirror(&mirror.first, &second, shadows).await;
        comparison.repeat(of_itself, of_theirs.as_ref());
    }

    /// Sends a shadow request, within the limit of the system and until the end that is everything's.
    async fn send_copy<'t>(&'t self, system: &System<'t>, shadows: Shadows<'_>, journal: &mut Journal<'t>) -> Outcome {
        let Shadows { body, neutral, bounds, end, invocation, .. } = shadows;
        let outgoing = match &system.request {
            Ok(outgoing) => outgoing,
            Err(reason) => return Outcome::Lost(reason),
        };
        let now = Instant::now();
        let Some(upstream) = self.mirror_upstreams.get(outgoing.index) else {
            return Outcome::Lost("proxy_internal_error");
        };
        if upstream.health.is_open(bounds.wall_clock()) {
            journal.skip(&upstream.backend.name, system.role, bounds.started.elapsed());
            return Outcome::Lost("open");
        }
        if end.at < now + SHORTEST {
            return Outcome::Lost(end.reason);
        }
        let limit = system.limit.or(outgoing.backend.timeouts.backend_request);
        let sent = attempt::send(upstream, &outgoing.parts, body, bounds, limit, system.role, journal).await;
        let mut took = journal.last().map_or(Duration::ZERO, |attempt| attempt.took);
        let result = match sent {
            Ok(mut response) => {
                self.received(&mut response, outgoing);
                without_own_name(neutral, &mut response, outgoing);
                let (head, last) = (Instant::now(), limit.map(|limit| now + limit));
                let whole = whole(response, shadows.rules.is_some(), last, bounds.deadline).await;
                took += head.elapsed();
                if let Some(trace) = journal.trace {
                    let length = whole.as_ref().map_or(0, |whole| whole.body().length);
                    let error = whole.as_ref().err().map(ProxyError::error_type);
                    trace.conclude(&upstream.backend.name, head.elapsed(), length, error);
                }
                whole
            }
            Err(error) => Err(error),
        };
        upstream.health.note(retry::signal(&outgoing.parts, &result), bounds.wall_clock());
        match result {
            Ok(response) => {
                let time = arrival(invocation, journal.last().and_then(|attempt| attempt.first_byte));
                Outcome::Answer(Arrived { response, time }, took)
            }
            Err(error) if error.is_timeout() && end.at <= Instant::now() => Outcome::Lost(end.reason),
            Err(error) => Outcome::NoAnswer(error.error_type()),
        }
    }

    /// The verdict on a response compared with the primary's.
    async fn judge(&self, primary: &Outcome, other: &Outcome, shadows: Shadows<'_>) -> Comparison {
        let nothing = Comparison::without_differences;
        match (primary, other, shadows.rules) {
            (_, Outcome::Lost(reason), _) => nothing(Verdict::Lost, Some(*reason)),
            (_, _, None) => nothing(Verdict::Unknown, Some("off")),
            (Outcome::Answer(ours, _), Outcome::NoAnswer(error), Some(rules)) if !primary.is_broken() => {
                breakdown(&ours.response, error, rules)
            }
            (Outcome::Answer(ours, _), Outcome::Answer(theirs, _), Some(rules)) if !primary.is_broken() => {
                if other.is_broken() {
                    breakdown(&ours.response, theirs.response.status().as_str(), rules)
                } else {
                    self.compare(ours, theirs, rules, shadows).await
                }
            }
            _ => nothing(Verdict::Failed, None),
        }
    }

    /// Compares the mirror's two responses; `None` if they say nothing about its first one.
    async fn judge_mirror(&self, first: &Outcome, again: &Outcome, shadows: Shadows<'_>) -> Option<Comparison> {
        let rules = shadows.rules?;
        match (first, again) {
            (_, Outcome::Lost(_)) => None,
            _ if first.is_broken() && again.is_broken() => Some(Comparison::without_differences(Verdict::Match, None)),
            _ if first.is_broken() => Some(Comparison::of(Difference::new(Class::Status, "status"))),
            (Outcome::Answer(first, _), Outcome::Answer(second, _)) if !again.is_setback() => {
                Some(self.compare(first, second, rules, shadows).await)
            }
            _ => None,
        }
    }

    async fn compare(&self, one: &Arrived, other: &Arrived, rules: &Arc<Rules>, shadows: Shadows<'_>) -> Comparison {
        let now = shadows.invocation.time + shadows.invocation.started.elapsed();
        comparing::compare([one.clone(), other.clone()], rules.clone(), self.salt.clone(), now, shadows.end).await
    }
}

impl Outcome {
    fn status(&self) -> Option<StatusCode> {
        match self {
            Outcome::Answer(arrived, _) => Some(arrived.response.status()),
            Outcome::NoAnswer(_) | Outcome::Lost(_) => None,
        }
    }

    /// Returns whether the system failed.
    fn is_broken(&self) -> bool {
        matches!(self, Outcome::NoAnswer(_)) || self.status().is_some_and(|status| status.is_server_error())
    }

    /// Returns whether the system may have failed because it was asked once more.
    fn is_setback(&self) -> bool {
        self.is_broken() || self.status() == Some(StatusCode::TOO_MANY_REQUESTS)
    }

    /// Without the name of the back end.
    pub(crate) fn side(&self) -> Side {
        match self {
            Outcome::Answer(arrived, took) => answered_side(&arrived.response, *took, Side::default()),
            Outcome::NoAnswer(error) => Side { error: Some((*error).to_owned()), ..Side::default() },
            Outcome::Lost(_) => Side::default(),
        }
    }
}

pub(crate) fn answered_side(response: &Response<Kept>, took: Duration, side: Side) -> Side {
    Side {
        status: Some(response.status().as_u16()),
        ms: Some(milliseconds(took)),
        bytes: Some(response.body().length),
        ..side
    }
}

/// Waits for the rest of a response that is streamed, and keeps as much of it as is compared.
async fn whole(
    response: Response<Body<'_>>,
    is_compared: bool,
    own_end: Option<Instant>,
    deadline: Instant,
) -> Result<Response<Kept>, ProxyError> {
    let (parts, body) = response.into_parts();
    let content = match body {
        Body::Whole(content) => Kept::from(content),
        Body::Streamed(mut streamed) => {
            streamed.keeps = if is_compared { MAX_DECODED } else { 0 };
            let (end, limit) = match own_end.filter(|end| *end < deadline) {
                Some(end) => (end, TimeLimit::Own),
                None => (deadline, TimeLimit::Cut),
            };
            by(end, limit, streamed.rest()).await.unwrap_or_else(|limit| Err(ProxyError::ResponseTimeout(limit)))?
        }
    };
    Ok(Response::from_parts(parts, content))
}

/// The date at which a response began to arrive, that long after the beginning of the invocation.
pub(crate) fn arrival(invocation: &Invocation, first_byte: Option<Duration>) -> SystemTime {
    invocation.time + first_byte.unwrap_or_else(|| invocation.started.elapsed())
}

/// Two systems redirect to the same place, each by its own name: where `publicUrl` does not say what the client sees, both
/// names are left out.
pub(crate) fn without_own_name<B>(neutral: &PublicUrl, response: &mut Response<B>, sent: &Outgoing<'_>) {
    if sent.backend.public_url.is_none() {
        public_url::apply(neutral, sent.backend, sent.parts.headers.get(HOST), response.headers_mut());
    }
}

/// A mirror that fails where the primary does not: no rule makes that right.
fn breakdown(primary: &Response<Kept>, mirror: &str, rules: &Rules) -> Comparison {
    let difference = Difference {
        primary: rules.keep_values.then(|| primary.status().as_str().to_owned()),
        mirror: rules.keep_values.then(|| mirror.to_owned()),
        ..Difference::new(Class::Status, "status")
    };
    Comparison::of(difference)
}

/// Returns the reason why the primary's second response shows nothing about the first.
fn no_evidence(first: &Outcome, again: &Outcome, comparison: &Comparison) -> Option<NotRepeated> {
    match again {
        Outcome::Lost("open" | "proxy_internal_error") | Outcome::NoAnswer(_) => Some(NotRepeated::Failed),
        Outcome::Lost(_) => Some(NotRepeated::Budget),
        Outcome::Answer(..) if again.is_setback() && !first.is_setback() => Some(NotRepeated::Failed),
        Outcome::Answer(..) if comparison.is_conclusive() => None,
        Outcome::Answer(..) if comparison.verdict == Verdict::Lost => Some(NotRepeated::Budget),
        Outcome::Answer(..) => Some(NotRepeated::Failed),
    }
}

/// If exactly one of two successful responses is a 304, returns that system, and makes the requests to both unconditional: a
/// validator belongs to one system, so only contents can be compared.
fn not_modified<'a, 't>(primary: &'a mut System<'t>, mirror: &'a mut System<'t>) -> Option<&'a mut System<'t>> {
    let (silent, other) = match (primary.first.status()?, mirror.first.status()?) {
        (StatusCode::NOT_MODIFIED, other) if other.is_success() => (primary, mirror),
        (other, StatusCode::NOT_MODIFIED) if other.is_success() => (mirror, primary),
        _ => return None,
    };
    let is_partial = other.first.status() == Some(StatusCode::PARTIAL_CONTENT);
    for system in [&mut *silent, other] {
        if let Ok(request) = &mut system.request {
            without_conditions(&mut request.parts.headers, is_partial);
        }
    }
    Some(silent)
}

/// Removes conditions that belong to the client's copy of a response. `Range` stays only if the other system honoured it.
fn without_conditions(fields: &mut HeaderMap, is_partial: bool) {
    for name in [IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_RANGE] {
        fields.remove(name);
    }
    if !is_partial {
        fields.remove(RANGE);
    }
}
