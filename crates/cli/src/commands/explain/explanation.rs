//! The routing of a request, as data. Owns selecting the facts of the proxy's plan; `asked` builds the request, and `balancer`
//! evaluates listener rules.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use bytes::Bytes;
use crossfade_emulator::{LoadBalancerAttributes, Settings};
use crossfade_event::{Event, Front, HeaderMode};
use crossfade_journal::redaction::{HIDDEN, is_secret_parameter};
use crossfade_proxy::{Invocation, Outgoing, Plan, Proxy, ProxyError, Sending, Step};
use crossfade_route::{
    Action, ErrorPage, Failover, Forward, Overlay, PublicUrl, Reason, Retry, Route, RoutingTable, Share, Spill,
    Tracing, normalised,
};
use http::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use http::{Method, Response};
use serde::Serialize;
use tokio::time::Instant;

use super::asked::Asked;
use super::balancer::LoadBalancer;
use super::mirrored::Mirrored;
use super::upstream::{Upstream, lossy};
use crate::commands::environment::Environment;
use crate::commands::migration;
use crate::routes::{Collected, Skipped, SkippedList, Taken, why};

/// The routing of a request. Members that do not apply are absent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct Explanation {
    pub(in crate::commands) method: String,
    pub(in crate::commands) url: String,
    /// The path as conditions see it, if it was sent in another form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) normalised_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) load_balancer: Option<LoadBalancer>,
    #[serde(flatten)]
    pub(super) skipped: SkippedList,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) route: Option<Taken>,
    /// Of the route; absent if it is not part of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) migration: Option<Migrating>,
    #[serde(flatten)]
    pub(in crate::commands) outcome: Outcome,
}

/// The migration of a route.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct Migrating {
    pub(super) from: String,
    pub(super) to: String,
    phase: &'static str,
    /// Percentage of the users on the new system.
    share: f64,
    /// The version of the live state that is applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) live: Option<u32>,
    /// The progress, for people.
    #[serde(skip)]
    pub(super) progress: String,
}

/// The fate of the request.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(in crate::commands) enum Outcome {
    /// A back end receives it.
    Sent(Box<Sent>),
    /// Crossfade or the load balancer responds.
    Answered { answer: Answer },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct Sent {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) transforms: Option<Change>,
    pub(in crate::commands) target: Target,
    pub(in crate::commands) upstream: Upstream,
    pub(super) timeouts: Timeouts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outlier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failover: Option<String>,
    /// The place for a response that is too large.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) spill: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) public_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) compress: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) streaming: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tracing: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error_pages: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mirror: Option<Mirrored>,
}

/// Path and query.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    pub(super) before: String,
    pub(super) after: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct Target {
    pub(in crate::commands) backend: String,
    /// The reason, as a value of the access log.
    pub(super) chosen: &'static str,
    /// True if an equal request could get another target.
    pub(in crate::commands) by_chance: bool,
    /// The reason, for people.
    pub(in crate::commands) why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) set_cookie: Option<String>,
}

/// In milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Timeouts {
    pub(super) connect: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) backend_request: Option<u128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request: Option<u128>,
}

#[derive(Debug, Serialize)]
pub(in crate::commands) struct Answer {
    pub(in crate::commands) status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) location: Option<String>,
    /// The component that responds, and its reason.
    pub(super) by: String,
}

impl Migrating {
    /// The table may have the overlay applied.
    pub(super) fn of(table: &RoutingTable, overlay: Option<&Overlay>, route: Option<&Taken>) -> Option<Migrating> {
        let plan = table.plan.as_ref()?;
        let route = route.filter(|route| plan.routes.contains(&route.name))?;
        let progress = table.progress(plan, overlay, &route.name);
        Some(Migrating {
            from: plan.from.clone(),
            to: plan.to.clone(),
            phase: progress.phase.as_str(),
            share: progress.share.percent(),
            live: overlay.map(|overlay| overlay.version),
            progress: migration::progress(plan, progress),
        })
    }
}

impl Explanation {
    /// Replaces values of the environment with their names, and hides whatever else looks like a secret in the query of a URL,
    /// unless it was on the command line.
    pub(super) fn without_secrets(mut self, environment: &Environment) -> Explanation {
        // Before anything is cut: only whole values are found.
        self.texts().into_iter().for_each(|text| *text = environment.hide(text));
        let asked: Vec<String> = environment.hide(&self.url).split(['?', '&']).skip(1).map(str::to_owned).collect();
        let redact = |url: &mut String| {
            let Some((path, query)) = url.split_once('?') else { return };
            let pairs = query.split('&').map(|pair| match pair.split_once('=') {
                Some((key, _)) if is_secret_parameter(key) && !asked.iter().any(|asked| asked == pair) => {
                    format!("{key}={HIDDEN}")
                }
                _ => pair.to_owned(),
            });
            *url = format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"));
        };
        match &mut self.outcome {
            Outcome::Sent(sent) => {
                let copy = sent.mirror.as_mut().and_then(|mirror| mirror.upstream.as_mut());
                let change = sent.transforms.as_mut().map(|change| &mut change.after);
                change
                    .into_iter()
                    .chain([&mut sent.upstream.url])
                    .chain(copy.map(|copy| &mut copy.url))
                    .for_each(redact);
            }
            Outcome::Answered { answer } => answer.location.iter_mut().for_each(redact),
        }
        self
    }

    /// All texts that come from files; the request comes from the command line.
    fn texts(&mut self) -> Vec<&mut String> {
        let Explanation { method: _, url: _, normalised_path: _, load_balancer, skipped, route, migration, outcome } =
            self;
        let mut texts = Vec::new();
        if let Some(LoadBalancer { skipped, rule, does, answer: _, mode: _ }) = load_balancer {
            texts.extend(skipped.skipped.iter_mut().flat_map(Skipped::texts));
            texts.extend(rule.iter_mut().flat_map(Taken::texts));
            texts.extend(does);
        }
        texts.extend(skipped.skipped.iter_mut().flat_map(Skipped::texts));
        texts.extend(route.iter_mut().flat_map(Taken::texts));
        texts.extend(migration.iter_mut().flat_map(|it| [&mut it.from, &mut it.to, &mut it.progress]));
        match outcome {
            Outcome::Sent(sent) => {
                let Sent {
                    transforms,
                    target,
                    upstream,
                    timeouts: _,
                    retry,
                    outlier,
                    failover,
                    spill,
                    public_url,
                    compress: _,
                    streaming: _,
                    tracing: _,
                    error_pages,
                    mirror,
                } = sent.as_mut();
                texts.extend(transforms.iter_mut().map(|change| &mut change.after));
                texts.extend([&mut target.backend, &mut target.why]);
                texts.extend(target.set_cookie.iter_mut().chain(retry).chain(outlier).chain(failover).chain(spill));
                texts.extend(public_url.iter_mut().chain(error_pages));
                let copy = mirror.as_mut().map(|mirror| {
                    texts.extend([&mut mirror.backend, &mut mirror.why]);
                    &mut mirror.upstream
                });
                for Upstream { method: _, url, headers, addresses } in
                    [upstream].into_iter().chain(copy.into_iter().flatten())
                {
                    texts.push(url);
                    texts.extend(headers.iter_mut().flat_map(|(name, value)| [name, value]));
                    texts.extend(addresses);
                }
            }
            Outcome::Answered { answer: Answer { status: _, location, by } } => {
                texts.extend(location);
                texts.push(by);
            }
        }
        texts
    }

    /// Evaluates the listener rules, if any, and then the proxy's routes. Shows at most `most` skipped ones of each.
    pub(in crate::commands) fn of(
        proxy: &Proxy,
        rules: Option<&Settings>,
        asked: &Asked,
        most: usize,
    ) -> Result<Explanation> {
        let mut request = asked.request()?;
        let mut load_balancer = rules.map(|rules| LoadBalancer::of(rules, asked, most, &mut request));
        let (method, url) = (asked.method.to_string(), asked.url.to_string());
        let normalised_path = match normalised(asked.url.path().as_bytes()) {
            Cow::Owned(path) => Some(String::from_utf8_lossy(&path).into_owned()),
            Cow::Borrowed(_) => None,
        };
        if let Some(answer) = load_balancer.as_mut().and_then(|it| it.answer.take()) {
            let (skipped, outcome) = (SkippedList::default(), Outcome::Answered { answer });
            let (route, migration) = (None, None);
            return Ok(Explanation { method, url, normalised_path, load_balancer, skipped, route, migration, outcome });
        }
        let mode = load_balancer.as_ref().map_or(HeaderMode::Multi, |it| it.mode);
        let attributes = rules.map_or_else(LoadBalancerAttributes::default, |rules| rules.load_balancer.clone());
        let Event { request, front } = asked.event(request, &attributes, mode)?;
        let invocation = invocation(front);
        let seen = request.clone();
        let mut skipped = Collected::default();
        let (route, outcome) = match proxy.plan(request, &invocation, &mut skipped) {
            Ok(Plan { context, step }) => {
                let outcome = match step {
                    Step::Send(sending) => {
                        let mirror = Mirrored::of(proxy, &context, &sending, &seen, &invocation);
                        let spill = spill(proxy.table(), context.route, &asked.method);
                        let sent = Sent::of(proxy, context.route, *sending, seen.uri().to_string(), seen.headers());
                        Outcome::Sent(Box::new(Sent { spill, mirror, ..sent }))
                    }
                    Step::Answer(response) => Outcome::Answered { answer: Answer::of(&response, context.route) },
                    Step::Fail(error) => Outcome::Answered { answer: Answer::of_failure(&error) },
                };
                (Some(Taken::of(context.route)), outcome)
            }
            Err(error) => (None, Outcome::Answered { answer: Answer::of_failure(&error) }),
        };
        let skipped = skipped.nearest(most);
        let migration = None;
        Ok(Explanation { method, url, normalised_path, load_balancer, skipped, route, migration, outcome })
    }
}

/// Its values are never shown: random or time-dependent results are marked as such.
fn invocation(front: Front) -> Invocation {
    let started = Instant::now();
    Invocation {
        front,
        request_id: "00000000-0000-0000-0000-000000000000".to_owned(),
        trace_id: None,
        trace: None,
        deployment: None,
        started,
        time: SystemTime::now(),
        deadline: started + Duration::from_secs(30),
        seed: 0,
    }
}

impl Sent {
    fn of(proxy: &Proxy, route: &Route, sending: Sending<'_>, path_and_query: String, asked: &HeaderMap) -> Sent {
        let Sending { forward, choice, outgoing, .. } = sending;
        let Outgoing { backend, transformed, parts, .. } = outgoing;
        let table = proxy.table();
        let name_of = |index: usize| table.backends().get(index).map_or("", |backend| backend.name.as_str());
        Sent {
            transforms: transformed.map(|after| Change { before: path_and_query, after }),
            target: Target {
                backend: backend.name.clone(),
                chosen: choice.reason.as_str(),
                by_chance: is_by_chance(forward, choice.reason),
                why: why(forward, choice.reason),
                set_cookie: choice.set_cookie.as_ref().map(lossy),
            },
            upstream: Upstream::of(backend, &parts, asked),
            timeouts: Timeouts {
                connect: backend.timeouts.connect.as_millis(),
                backend_request: backend.timeouts.backend_request.map(|limit| limit.as_millis()),
                request: table.request_timeout.map(|limit| limit.as_millis()),
            },
            retry: backend.retry.as_ref().map(retry),
            outlier: backend
                .outlier
                .map(|it| format!("{} failures in a row open the circuit breaker for {:?}", it.failures, it.hold)),
            failover: forward
                .failover
                .as_ref()
                .filter(|failover| name_of(failover.to) != backend.name)
                .map(|it| failover(it, name_of(it.to))),
            spill: None,
            public_url: backend.public_url.as_ref().map(public_url),
            compress: route.compress.map(|compress| match compress {
                true => "all text, with gzip for clients that accept it",
                false => "never",
            }),
            streaming: listed(table.streaming.names(), " and ").map(|names| format!("responses through {names}")),
            tracing: tracing(table.tracing),
            error_pages: listed(table.error_pages.iter().map(error_page), "; "),
            mirror: None,
        }
    }
}

/// Texts with this between them; `None` without one.
fn listed<T: ToString>(texts: impl Iterator<Item = T>, between: &str) -> Option<String> {
    let texts: Vec<String> = texts.map(|text| text.to_string()).collect();
    (!texts.is_empty()).then(|| texts.join(between))
}

fn tracing(tracing: Tracing) -> Option<String> {
    let Tracing { xray, created } = tracing;
    let xray = xray.then(|| "a subsegment of X-Ray for each attempt, if the request is sampled".to_owned());
    let flag =
        |share: Share| if xray.is_some() { "as X-Ray decides".to_owned() } else { format!("{} %", share.percent()) };
    let created = created.map(|share| format!("a `traceparent` if there is no valid one, sampled: {}", flag(share)));
    listed(xray.into_iter().chain(created), "; ")
}

fn error_page(page: &ErrorPage) -> String {
    let content_type = lossy(&page.content_type);
    format!("{} for {}", content_type.split(';').next().unwrap_or_default().trim(), page.codes)
}

fn public_url(public: &PublicUrl) -> String {
    let PublicUrl { origin, host: _, base_path, content } = public;
    let types: String = if content.is_empty() { String::new() } else { format!(" and in {}", content.join(", ")) };
    format!("{origin}{base_path} in response fields{types}")
}

/// The place of a response that the front end cannot carry.
fn spill(table: &RoutingTable, route: &Route, method: &Method) -> Option<String> {
    let Spill { bucket, prefix, expires } = table.spill.as_ref().filter(|_| route.spills && *method == Method::GET)?;
    Some(format!("a response that is too large goes to s3://{bucket}/{prefix}, with a link for {expires:?}"))
}

fn is_by_chance(forward: &Forward, reason: Reason) -> bool {
    let possible = forward.targets.iter().filter(|target| target.weight > 0).count();
    possible > 1 && matches!(reason, Reason::Weight | Reason::Assigned)
}

fn retry(retry: &Retry) -> String {
    let Retry { attempts, codes, backoff, methods, budget } = retry;
    let codes = if codes.is_empty() { String::new() } else { format!(", {codes}") };
    let methods: String = methods.iter().map(|method| format!(" and {method}")).collect();
    format!(
        "at most {attempts} more on connectError, timeout, reset{codes}; idempotent methods{methods}; first wait {backoff:?}, \
         budget {budget} %"
    )
}

fn failover(failover: &Failover, to: &str) -> String {
    let Failover { on_connect_error, on_timeout, on_reset, on_codes, methods, .. } = failover;
    let named = [(on_connect_error, "connectError"), (on_timeout, "timeout"), (on_reset, "reset")];
    let mut on: Vec<String> = named.iter().filter(|(is_on, _)| **is_on).map(|(_, name)| (*name).to_owned()).collect();
    on.extend(Some(on_codes.to_string()).filter(|codes| !codes.is_empty()));
    let methods: String = methods.iter().map(|method| format!(" and {method}")).collect();
    format!("to {to} on {}; safe methods{methods}, others if nothing was sent", on.join(", "))
}

impl Answer {
    fn of(response: &Response<Bytes>, route: &Route) -> Answer {
        let fields = response.headers();
        let location = fields.get(LOCATION).map(lossy);
        let by = match &route.action {
            Action::FixedResponse(fixed) if fixed.is_maintenance => {
                let value = |name| fields.get(name).map(lossy).unwrap_or_default();
                format!("maintenance: {}, Retry-After: {}", value(CONTENT_TYPE), value(RETRY_AFTER))
            }
            _ if location.is_some() => "redirect".to_owned(),
            _ => "fixedResponse".to_owned(),
        };
        Answer { status: response.status().as_u16(), location, by }
    }

    fn of_failure(error: &ProxyError) -> Answer {
        let by = format!("the proxy: {error} ({})", error.error_type());
        Answer { status: error.status().as_u16(), location: None, by }
    }
}
