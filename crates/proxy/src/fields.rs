//! `requestHeaders` and `responseHeaders`: the changes to fields that the configuration asks for, and the values of the
//! variables in them.

use std::net::IpAddr;

use crossfade_route::{Captures, FieldEdits, FieldValue, Variable};
use http::header::{HeaderMap, HeaderValue};

/// Values of the variables in a configured field value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variables<'a> {
    pub(crate) client_ip: Option<IpAddr>,
    pub(crate) request_id: &'a str,
    /// Without its port; empty if the request has not one host.
    pub(crate) host: &'a str,
    pub(crate) route: &'a str,
    /// Absent where the answer is ours.
    pub(crate) backend: Option<&'a str>,
    pub(crate) captures: &'a Captures,
}

/// Removes, then sets, then adds. A field that is set to no value is removed: the client's claim must not take its place.
pub(crate) fn apply(edits: &FieldEdits, fields: &mut HeaderMap, variables: Variables<'_>) {
    for name in &edits.remove {
        fields.remove(name);
    }
    for (name, value) in &edits.set {
        match render(value, variables) {
            Some(value) => fields.insert(name, value),
            None => fields.remove(name),
        };
    }
    for (name, value) in &edits.add {
        if let Some(value) = render(value, variables) {
            fields.append(name, value);
        }
    }
}

/// `None` if a variable has no value, or the result is not a valid field value.
fn render(value: &FieldValue, variables: Variables<'_>) -> Option<HeaderValue> {
    match value {
        FieldValue::Constant(value) => Some(value.clone()),
        FieldValue::Template(template) => {
            let text = template.render(&|variable| variables.value(variable))?;
            HeaderValue::try_from(text).ok()
        }
    }
}

impl Variables<'_> {
    fn value(self, variable: Variable) -> Option<String> {
        let text = match variable {
            Variable::ClientIp => return self.client_ip.map(|ip| ip.to_string()),
            Variable::RequestId => self.request_id,
            Variable::Host => Some(self.host).filter(|host| !host.is_empty())?,
            Variable::Route => self.route,
            Variable::Backend => self.backend?,
            Variable::Group(number) => self.captures.get(number)?,
            // Only redirects have these.
            Variable::Protocol | Variable::Port | Variable::Path | Variable::Query => return None,
        };
        Some(text.to_owned())
    }
}
