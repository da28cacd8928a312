//! `tracing`: its keys and checks.

use crossfade_document::Node;

use crate::mirror::Share;
use crate::read::{Collector, Read};
use crate::tracing::Tracing;

pub(super) fn read(node: &Node, diagnostics: &mut Collector) -> Option<Tracing> {
    let [xray, w3c, sampled] = node.keys(diagnostics, ["xray", "w3c", "sampled"])?;
    let xray = xray.and_then(|node| node.boolean(diagnostics)).unwrap_or_default();
    let creates = w3c.and_then(|node| node.word(diagnostics, &[("forward", false), ("create", true)]));
    let share = sampled.and_then(|node| node.share(diagnostics));
    if let (Some(node), Some(_)) = (sampled, share) {
        let problem = match (creates, xray) {
            (Some(true), false) => None,
            // `w3c` is an error already.
            (None, _) if w3c.is_some() => None,
            (Some(true), true) => Some(("with `xray: true`, X-Ray decides what is sampled", "remove `sampled`")),
            (Some(false) | None, _) => Some((
                "only a `traceparent` that is created can be sampled",
                "add `w3c: create`; one that is forwarded keeps its flags",
            )),
        };
        if let Some((message, hint)) = problem {
            node.error(diagnostics, message, Some(hint.into()));
        }
    }
    let created = creates.unwrap_or_default().then(|| share.unwrap_or(Share::ALL));
    Some(Tracing { xray, created })
}
