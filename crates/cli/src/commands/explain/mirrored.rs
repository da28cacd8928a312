//! The shadow request that `mirror` would send: whether there is one, and its content.

use bytes::Bytes;
use crossfade_proxy::{Context, Invocation, Outgoing, Proxy, Sending};
use crossfade_route::{Mirror, RequestView};
use http::Request;
use serde::Serialize;

use super::upstream::Upstream;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct Mirrored {
    pub(super) backend: String,
    pub(super) copied: Copied,
    /// The reason, for people.
    pub(super) why: String,
    /// Absent if there is no copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) upstream: Option<Upstream>,
}

/// The decision to copy a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Copied {
    Yes,
    No,
    ByChance,
}

impl Mirrored {
    pub(super) fn of(
        proxy: &Proxy,
        context: &Context<'_>,
        sending: &Sending<'_>,
        asked: &Request<Bytes>,
        invocation: &Invocation,
    ) -> Option<Mirrored> {
        let mirror = context.route.mirror.as_ref()?;
        let backend = proxy.table().backends().get(mirror.backend)?;
        let (copied, why) = if sending.outgoing.index == mirror.backend {
            (Copied::No, "it already receives the request".to_owned())
        } else {
            copied(mirror, asked, context)
        };
        let upstream = match copied {
            Copied::No => None,
            // A mirror skips copies that it cannot build.
            Copied::Yes | Copied::ByChance => proxy.copy(context, sending, invocation).ok(),
        };
        let upstream = upstream.map(|Outgoing { backend, parts, .. }| Upstream::of(backend, &parts, asked.headers()));
        Some(Mirrored { backend: backend.name.clone(), copied, why, upstream })
    }
}

fn copied(mirror: &Mirror, asked: &Request<Bytes>, context: &Context<'_>) -> (Copied, String) {
    let method = asked.method();
    if !method.is_safe() && !mirror.methods.contains(method) {
        return (Copied::No, format!("{method} is not a safe method, and `methods` does not name it"));
    }
    let view = RequestView::new(method, asked.uri(), asked.headers(), context.client_ip);
    // If the lowest and the highest random number agree, the decision is not random.
    let copied = match [0, u128::MAX].map(|seed| mirror.takes(method, &view, seed)) {
        [true, true] => Copied::Yes,
        [false, false] => Copied::No,
        _ => Copied::ByChance,
    };
    let percent = mirror.share.percent();
    let by = mirror.sticky.as_ref().map(crossfade_route::Sticky::describe);
    let why = match (copied, by) {
        (Copied::ByChance, Some(by)) => format!("{percent} % at random, since the request has no {by}"),
        (_, Some(by)) => format!("hash of {by} ({percent} %)"),
        (_, None) => format!("{percent} % at random"),
    };
    (copied, why)
}
