//! Compares fields, those with a structure part by part. Owns the default set of fields and the fields that differ by nature;
//! `read` owns the structures.

mod cookie;
mod grammar;
mod read;

use std::borrow::Cow;
use std::collections::BTreeSet;

use crossfade_journal::comparison::Class;
use http::HeaderMap;
use http::header::HeaderName;

use crate::clock;
use crate::findings::{Findings, Seen, Values};
use crate::parts;
use crate::rules::FieldNames;
use crate::spot::Spot;
use crate::work::Stop;

/// The fields of [`FieldNames::Usual`]: those that browsers and other clients act on.
const USUAL: &[&str] = &[
    "accept-ranges",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "allow",
    "cache-control",
    "clear-site-data",
    "content-disposition",
    "content-language",
    "content-location",
    "content-range",
    "content-security-policy",
    "content-type",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "link",
    "location",
    "permissions-policy",
    "referrer-policy",
    "refresh",
    "retry-after",
    "set-cookie",
    "sourcemap",
    "strict-transport-security",
    "vary",
    "www-authenticate",
    "x-content-type-options",
    "x-frame-options",
    "x-robots-tag",
];

/// Fields that [`FieldNames::All`] excludes: they differ on every response, or describe the connection, the software or
/// the transfer encoding of the content, which is decoded before comparison.
const BY_NATURE: &[&str] = &[
    "age",
    "alt-svc",
    "apigw-requestid",
    "cf-ray",
    "connection",
    "content-encoding",
    "content-length",
    "date",
    "etag",
    "expires",
    "keep-alive",
    "last-modified",
    "nel",
    "proxy-connection",
    "proxy-status",
    "report-to",
    "reporting-endpoints",
    "request-id",
    "server",
    "server-timing",
    "trace-id",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-cache",
    "x-cache-hits",
    "x-correlation-id",
    "x-powered-by",
    "x-process-time",
    "x-request-id",
    "x-response-time",
    "x-runtime",
    "x-served-by",
    "x-timer",
    "x-trace-id",
    "x-transaction-id",
];
/// Prefixes of further fields that [`FieldNames::All`] excludes.
const BY_NATURE_BEGIN: &[&str] =
    &["lambda-web-", "x-amz-", "x-amzn-", "x-b3-", "x-datadog-", "x-ratelimit-", "ratelimit"];

/// Cost of comparing a field, in addition to its length, in units of work.
const FIELD_WORK: usize = 64;

/// Reports each field, or part of one, that differs.
pub(crate) fn compare(primary: &HeaderMap, mirror: &HeaderMap, findings: &mut Findings<'_>) -> Result<(), Stop> {
    let all: BTreeSet<&str>;
    let names: Vec<Cow<'_, HeaderName>> = match &findings.rules.headers {
        FieldNames::Usual => USUAL.iter().map(|name| Cow::Owned(HeaderName::from_static(name))).collect(),
        FieldNames::Named(names) => names.iter().map(Cow::Borrowed).collect(),
        FieldNames::All => {
            // Sorted, so that the order of a record does not depend on hashing.
            all = primary.keys().chain(mirror.keys()).map(HeaderName::as_str).collect();
            let compared = all.iter().filter(|name| !differs_by_nature(name));
            compared.filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()).map(Cow::Owned).collect()
        }
    };
    names.iter().try_for_each(|name| field(name, [primary, mirror], findings))
}

fn field(name: &HeaderName, headers: [&HeaderMap; 2], findings: &mut Findings<'_>) -> Result<(), Stop> {
    let length = |headers: &HeaderMap| headers.get_all(name).iter().map(|line| line.len()).sum::<usize>();
    findings.work.spend(FIELD_WORK + 16 * headers.map(length).iter().sum::<usize>())?;
    let ([ours, theirs], [time, their_time]) = (headers, findings.times);
    let lines = [Lines::of(ours, name, time), Lines::of(theirs, name, their_time)];
    let [ours, theirs] = &lines;
    if ours.texts == theirs.texts {
        return Ok(());
    }
    if ours.texts.is_empty() != theirs.texts.is_empty() && !read::is_open(name) {
        let class = if theirs.texts.is_empty() { Class::Missing } else { Class::Extra };
        let spot = Spot::Field(name);
        let marks = findings.marks(&spot);
        return findings.report(class, &spot, marks, &|| Values::of(ours.seen(), theirs.seen()));
    }
    let [ours, theirs] = read::read(name, &lines);
    parts::compare(ours, theirs, findings, &mut |findings, class, part, seen| {
        let spot = if part.is_empty() { Spot::Field(name) } else { Spot::Part(name, part) };
        let marks = findings.marks(&spot);
        let [ours, theirs] = seen;
        findings.report(class, &spot, marks, &|| Values::of(ours.clone(), theirs.clone()))
    })
}

/// The lines of a field in one response.
struct Lines {
    texts: Vec<String>,
    /// Time at which the response arrived, in seconds since 1970.
    time: f64,
}

impl Lines {
    fn of(headers: &HeaderMap, name: &HeaderName, time: std::time::SystemTime) -> Self {
        let text = |line: &http::HeaderValue| match std::str::from_utf8(line.as_bytes()) {
            Ok(text) => text.to_owned(),
            // Bytes beyond ASCII have no defined meaning (RFC 9110 section 5.5).
            Err(_) => line.as_bytes().iter().map(|byte| char::from(*byte)).collect(),
        };
        Lines { texts: headers.get_all(name).iter().map(text).collect(), time: clock::seconds(time) }
    }

    /// Returns the whole value (RFC 9110 section 5.3).
    fn joined(&self) -> String {
        self.texts.iter().map(|line| line.trim()).collect::<Vec<_>>().join(", ")
    }

    fn seen(&self) -> Seen<'_> {
        if self.texts.is_empty() { Seen::Absent } else { Seen::Text(self.joined().into()) }
    }
}

fn differs_by_nature(name: &str) -> bool {
    BY_NATURE.contains(&name) || BY_NATURE_BEGIN.iter().any(|begin| name.starts_with(begin))
}

#[cfg(test)]
mod tests;
