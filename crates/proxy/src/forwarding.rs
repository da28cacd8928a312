//! Fields that tell the back end about the request: `Host`, `X-Forwarded-Host`, `CDN-Loop`, `Via`, the request's id and
//! trace. The front end's `X-Forwarded-For`, `-Proto` and `-Port` pass unchanged. Detecting loops is `identity`'s.

use bytes::Bytes;
use crossfade_route::{Backend, HostHeader, MIRROR_FIELD, is_host};
use http::Method;
use http::header::{CONTENT_LENGTH, COOKIE, Entry, HOST, HeaderMap, HeaderName, HeaderValue, UPGRADE, VIA};
use http::uri::Authority;

use crate::ProxyError;
use crate::identity::{CDN_LOOP, Identity};

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// The field of AWS X-Ray, which Lambda and the services in front of it share.
pub(crate) const X_AMZN_TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// Returns whether a field of this name never passes, whatever `Connection` says. The client library writes the length of
/// the content; the front end has answered `Expect` itself; nothing on the way keeps `Forwarded` true, so it can only be the
/// client's claim; some servers hand `Proxy` to programs as `HTTP_PROXY`, the address of an outgoing proxy (httpoxy); and
/// only a shadow request of ours is marked as one.
#[inline]
pub(crate) fn is_removed(name: &str) -> bool {
    matches!(name, "content-length" | "expect" | "forwarded" | "proxy") || name == MIRROR_FIELD
}

/// Returns whether the client asks for a WebSocket.
#[inline]
pub(crate) fn is_websocket(fields: &HeaderMap) -> bool {
    fields
        .get_all(UPGRADE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|protocol| protocol.trim().eq_ignore_ascii_case("websocket"))
}

/// The values of the fields that Crossfade adds to the client's.
pub(crate) struct Forwarding<'a> {
    pub(crate) backend: &'a Backend,
    /// The client's host after a transform, used instead of the one that `hostHeader` selects.
    pub(crate) host: Option<HeaderValue>,
    pub(crate) identity: &'a Identity,
    pub(crate) deployment: Option<u32>,
    pub(crate) request_id_field: &'a HeaderName,
    pub(crate) request_id: &'a str,
    pub(crate) trace_id: Option<&'a HeaderValue>,
}

impl Forwarding<'_> {
    /// Makes a client's fields those of the request to the back end. Hop-by-hop fields, and those
    /// that never pass, must be gone already.
    ///
    /// Fails if the client's own host is to be used and is invalid.
    #[inline]
    pub(crate) fn apply(self, fields: &mut HeaderMap, method: &Method, body: &Bytes) -> Result<(), ProxyError> {
        // The client library writes no length of nothing, and some servers answer 411 to a POST without a length (RFC 9110 section 8.6).
        if body.is_empty() && matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
            fields.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        join_cookies(fields);
        append_member(fields, &CDN_LOOP, self.identity.member(self.deployment));
        if self.backend.via {
            append_member(fields, &VIA, self.identity.via.clone());
        }
        if !fields.contains_key(self.request_id_field)
            && let Ok(value) = HeaderValue::from_str(self.request_id)
        {
            fields.insert(self.request_id_field.clone(), value);
        }
        if let Some(trace_id) = self.trace_id
            && !fields.contains_key(X_AMZN_TRACE_ID)
        {
            fields.insert(X_AMZN_TRACE_ID, trace_id.clone());
        }
        self.set_host(fields)
    }

    /// `X-Forwarded-Host` is always ours: no front end sets it, so what is there is the client's claim.
    #[inline]
    fn set_host(self, fields: &mut HeaderMap) -> Result<(), ProxyError> {
        let received = match (&self.backend.host_header, self.host) {
            (_, Some(host)) => fields.insert(HOST, host),
            (HostHeader::Backend, None) => fields.insert(HOST, self.backend.authority.clone()),
            (HostHeader::Literal(host), None) => fields.insert(HOST, host.clone()),
            (HostHeader::Preserve, None) => preserve_host(fields, &self.backend.authority)?,
        };
        match received {
            Some(host) => fields.insert(X_FORWARDED_HOST, host),
            None => fields.remove(X_FORWARDED_HOST),
        };
        Ok(())
    }
}

/// Appends a member to a list (RFC 9110 section 5.6.1), in one line with those that are there: of several lines a front
/// end may hand on the last one only.
#[inline]
fn append_member(fields: &mut HeaderMap, name: &HeaderName, member: HeaderValue) {
    match fields.entry(name) {
        Entry::Vacant(entry) => {
            entry.insert(member);
        }
        Entry::Occupied(mut entry) => {
            let lines: Vec<&[u8]> = entry.iter().chain([&member]).map(HeaderValue::as_bytes).collect();
            let joined = HeaderValue::from_bytes(&lines.join(&b", "[..])).unwrap_or(member);
            entry.insert(joined);
        }
    }
}

/// Leaves the one valid host that the client sent. With several a back end might route by another than we do (RFC 9112
/// section 3.2); health checks have none.
#[inline]
fn preserve_host(fields: &mut HeaderMap, instead: &HeaderValue) -> Result<Option<HeaderValue>, ProxyError> {
    if !fields.contains_key(HOST) {
        fields.insert(HOST, instead.clone());
        return Ok(None);
    }
    let host = only_host(fields).filter(|host| is_authority(host)).cloned();
    host.map(Some).ok_or_else(|| ProxyError::RequestInvalid("`Host` is missing, repeated or invalid".to_owned()))
}

/// The `Host` of a request that has one line of it.
#[inline]
pub(crate) fn only_host(fields: &HeaderMap) -> Option<&HeaderValue> {
    let mut hosts = fields.get_all(HOST).iter();
    hosts.next().filter(|_| hosts.next().is_none())
}

/// Returns whether a `Host` is a host with an optional port. The library only checks brackets and colons.
#[inline]
pub(crate) fn is_authority(host: &HeaderValue) -> bool {
    if host.as_bytes().contains(&b'@') {
        return false;
    }
    let Ok(authority) = Authority::try_from(host.as_bytes()) else { return false };
    let name = authority.host();
    let is_named = if name.starts_with('[') { is_host(name) } else { !name.is_empty() };
    let rest = authority.as_str().strip_prefix(name);
    is_named
        && rest.is_some_and(|rest| match rest.strip_prefix(':') {
            Some(port) => port.bytes().all(|byte| byte.is_ascii_digit()),
            None => rest.is_empty(),
        })
}

/// HTTP/2 clients may split their cookies over several fields; HTTP/1.1 knows one only (RFC 9113 section 8.2.3).
#[inline]
fn join_cookies(fields: &mut HeaderMap) {
    let lines: Vec<&[u8]> = fields.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..]))
    {
        fields.insert(COOKIE, joined);
    }
}
