//! Function URLs in files: `url` of the Serverless Framework, `FunctionUrlConfig` of SAM, and `AWS::Lambda::Url`. Owns which of
//! their settings are read.

use crossfade_document::Place;

use super::{Resources, is_text, listener_of, say_not_emulated};
use crate::source::draft::Draft;
use crate::source::node::{Node, Value, excerpt};
use crate::{EndpointKind, Route};

pub(super) const URL: &str = "AWS::Lambda::Url";

/// Reads the `url` of a function in a file of the framework.
pub(in crate::source) fn url(draft: &mut Draft<'_>, key: &str, function: usize, url: &Node) {
    match &url.value {
        Value::Map(_) => say_not_emulated(draft, "`url`", url, &["invokeMode"]),
        _ if draft.findings.boolean("url", url) != Some(true) => return,
        _ => {}
    }
    let streamed = is_text(url.get("invokeMode"), "RESPONSE_STREAM");
    add(draft, key, function, &url.place, streamed);
}

/// Reads the `FunctionUrlConfig` of a function.
pub(super) fn of_sam(draft: &mut Draft<'_>, id: &str, function: usize, url: &Node) {
    say_not_emulated(draft, "`FunctionUrlConfig`", url, &["InvokeMode"]);
    add(draft, id, function, &url.place, is_text(url.get("InvokeMode"), "RESPONSE_STREAM"));
}

/// Reads the resources.
pub(super) fn read(draft: &mut Draft<'_>, resources: &Resources<'_>) {
    for resource in resources.of_kind(URL) {
        draft.findings.set_part(format!("`{}`", excerpt(&resource.id)));
        let properties = &resource.properties;
        say_not_emulated(draft, "a function URL", properties, &["TargetFunctionArn", "InvokeMode", "Qualifier"]);
        let Some(target) = properties.get("TargetFunctionArn") else {
            draft.findings.missing(&resource.place, properties, "TargetFunctionArn");
            continue;
        };
        let function = resources.function(draft, target);
        let streamed = is_text(properties.get("InvokeMode"), "RESPONSE_STREAM");
        add(draft, &resource.id, function, &resource.place, streamed);
    }
}

fn add(draft: &mut Draft<'_>, name: &str, function: usize, place: &Place, streamed: bool) {
    let id = format!("function-url of {}", excerpt(name));
    let origin = draft.origin(place);
    let at = listener_of(draft, &id, &id, EndpointKind::FunctionUrl, place, |_| {});
    let listener = draft.listeners.get_mut(at).and_then(|listener| listener.listener.endpoint.as_mut());
    let Some(endpoint) = listener else { return };
    if !endpoint.routes.is_empty() {
        return draft.findings.error(place, format!("`{}` has more than one function URL", excerpt(name)));
    }
    endpoint.routes.push(Route { streamed, origin, ..Route::all(function) });
}
