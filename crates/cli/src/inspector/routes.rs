//! The section on Crossfade's routes: the one that a request matched, and those before it with the condition that failed, as
//! `crossfade explain` shows them. It evaluates the event that the function received.

use std::borrow::Cow;
use std::sync::Arc;

use crossfade_event::{Event, FORMATS, decode_request};
use crossfade_parity::number::grouped;
use crossfade_route::{Action, Overlay, Reason, RequestView, Route, RoutingTable, normalised};
use http::{HeaderMap, HeaderValue, Request, Uri};
use maud::{Markup, html};

use super::Shared;
use super::line::Access;
use super::page;
use super::rules::Check;
use super::secrets::Secrets;
use super::store::Entry;
use crate::commands::environment::Environment;
use crate::html::table_head;
use crate::routes::{Collected, MOST_SHOWN, Skipped, Taken, shares, why};

/// A configuration of Crossfade's function, while it is in use.
pub(crate) struct Routes {
    pub(crate) table: RoutingTable,
    /// The variables in it, whose values are not shown.
    pub(crate) environment: Environment,
}

impl Routes {
    fn named(&self, name: &str) -> Option<&Route> {
        let routes = self.table.routes().iter().chain([self.table.default_route()]);
        routes.into_iter().find(|route| route.name == name)
    }

    fn shown(&self, secrets: Secrets, text: &str) -> String {
        match secrets {
            Secrets::Masked => self.environment.hide(text),
            Secrets::Shown => text.to_owned(),
        }
    }
}

/// The name of a request's route, once the function has logged it.
pub(super) fn name(entry: &Entry) -> Option<&str> {
    entry.access.as_ref()?.route.as_deref()
}

/// The part of Crossfade that responded to a request that went to no back end.
pub(super) fn own_response(entry: &Entry) -> Option<&'static str> {
    let access = entry.access.as_deref().filter(|access| access.backend.is_none())?;
    let route = name(entry).filter(|_| access.error.is_none());
    let route = route.and_then(|name| entry.routes.as_deref()?.named(name));
    Some(match route.map(|route| &route.action) {
        Some(Action::Redirect(_)) => "redirect",
        Some(Action::FixedResponse(fixed)) if fixed.is_maintenance => "maintenance",
        Some(Action::FixedResponse(_)) => "fixedResponse",
        Some(Action::Forward(_)) | None => "Crossfade",
    })
}

/// `live` is the live state that decided, if the request had one that is still known.
pub(super) fn section(shared: &Shared, entry: &Entry, live: Option<&Overlay>) -> Markup {
    let Some(access) = entry.access.as_deref() else { return html! {} };
    let secrets = shared.setup.secrets;
    let content = match (access.route.as_deref(), entry.routes.as_deref(), event(entry)) {
        (None, ..) => html! { p { "Crossfade rejected the request before it evaluated any route." } },
        (Some("health-check"), ..) => html! { p { "Crossfade responded to a health check of the load balancer." } },
        (Some(name), Some(routes), Some(event)) => {
            let table = live.map_or(Cow::Borrowed(&routes.table), |live| Cow::Owned(routes.table.overlaid(live).table));
            evaluated(secrets, access, name, routes, &table, &event)
        }
        (Some(name), ..) => html! {
            p { "Matched " b { (name) } ". The other routes are not shown, because the event of this request was not kept." }
        },
    };
    page::section("routes", "Route", content)
}

/// The request as the function received it.
fn event(entry: &Entry) -> Option<Event> {
    decode_request(FORMATS, entry.messages()?.event.as_ref()?).ok()
}

fn evaluated(
    secrets: Secrets,
    access: &Access,
    name: &str,
    routes: &Routes,
    table: &RoutingTable,
    event: &Event,
) -> Markup {
    let Event { request, front } = event;
    let ip = front.client_ip(request.headers(), table.trusted_hops);
    let masked = masked(secrets, request);
    let shown = RequestView::new(request.method(), &masked.0, &masked.1, ip);
    let view = RequestView::new(request.method(), request.uri(), request.headers(), ip);
    let mut collected = Collected::showing(Some(shown));
    let route = table.select_observed(&view, &mut collected);
    if route.name != name {
        return html! {
            p {
                "Matched " b { (name) } ". The configuration changed while the request was under way; the present one has it \
                 match " b { (route.name) } "."
            }
        };
    }
    let list = collected.nearest(MOST_SHOWN);
    let taken = Taken::of(route);
    let text = |text: &str| routes.shown(secrets, text);
    html! {
        dl.facts {
            div { dt { "Matched" } dd { b { (taken.name) } } }
            div { dt { "Action" } dd { (text(&action(route))) } }
            @if let Cow::Owned(path) = normalised(request.uri().path().as_bytes()) {
                div {
                    dt { "Path in routes" }
                    dd { code { (secrets.target(&String::from_utf8_lossy(&path))) } " " small { "for conditions; forwarded as sent" } }
                }
            }
            @if let Some(reason) = reason(route, access) { div { dt { "Target" } dd { (text(&reason)) } } }
        }
        @if list.skipped_left_out > 0 {
            p.lead {
                "The nearest " (list.skipped.len()) " of " (grouped((list.skipped.len() + list.skipped_left_out) as u64))
                " routes that do not match. " code { "crossfade explain --all" } " prints all."
            }
        }
        div.scroll tabindex="0" role="region" aria-label="Routes" {
            table {
                caption.unseen { "Routes and the results of their conditions" }
                (table_head(["Route", "Condition", "Outcome"].map(|name| (name, ""))))
                @for Skipped { priority, name, condition, found } in &list.skipped {
                    tbody {
                        tr {
                            th scope="row" { (name) (priority_of(*priority)) }
                            td { code { (text(condition)) } " " small { (text(found)) } }
                            td { (Check::Fails.html()) }
                        }
                    }
                }
                tbody.met {
                    tr {
                        th scope="row" { (taken.name) (priority_of(taken.priority)) }
                        td {
                            @if taken.priority.is_none() { "all requests that match no other route" } @else if taken.conditions.is_empty() {
                                "all requests"
                            } @else { code { (text(&taken.conditions)) } }
                        }
                        td { (Check::Holds.html()) }
                    }
                }
            }
        }
    }
}

fn priority_of(priority: Option<u32>) -> Markup {
    html! { @if let Some(priority) = priority { small { "priority " (priority) } } }
}

fn action(route: &Route) -> String {
    match &route.action {
        Action::Forward(forward) => match forward.targets.as_slice() {
            [only] => format!("forward to {}", only.name),
            _ => format!("forward to {}", shares(forward)),
        },
        Action::Redirect(redirect) => format!("redirect {}", redirect.status.as_u16()),
        Action::FixedResponse(fixed) if fixed.is_maintenance => format!("maintenance {}", fixed.status.as_u16()),
        Action::FixedResponse(fixed) => format!("fixedResponse {}", fixed.status.as_u16()),
    }
}

/// The chosen target and the reason for it, as `explain` says it.
fn reason(route: &Route, access: &Access) -> Option<String> {
    let Action::Forward(forward) = &route.action else { return None };
    let (target, word) = (access.target.as_ref().or(access.backend.as_ref())?, access.chosen.as_deref()?);
    let reason = Reason::ALL.into_iter().find(|reason| reason.as_str() == word)?;
    Some(format!("{target}: {}", why(forward, reason)))
}

/// Target and fields of a request as the page may show them.
fn masked(secrets: Secrets, request: &Request<bytes::Bytes>) -> (Uri, HeaderMap) {
    let target = secrets.target(&request.uri().to_string()).parse().unwrap_or_default();
    let mut fields = HeaderMap::with_capacity(request.headers().len());
    for (name, value) in request.headers() {
        let value = secrets.field(name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
        fields.append(name, HeaderValue::try_from(value).unwrap_or_else(|_| HeaderValue::from_static("")));
    }
    (target, fields)
}

/// The configuration in use, for requests that arrive from now on.
pub(super) type Current = std::sync::Mutex<Option<Arc<Routes>>>;
