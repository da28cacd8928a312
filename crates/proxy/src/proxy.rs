//! The proxy as all invocations share it: the routing table and the live clients of its back ends. Owns how it is made, from
//! nothing or from its predecessor, and the values that every stage needs. The steps of a request are `pipeline`'s.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use crossfade_compare::Salt;
use crossfade_event::Format;
use crossfade_route::{Backend, PemFile, PublicUrl, Route, RoutingTable};
use http::header::{CONTENT_LENGTH, HOST};
use http::{Method, Request, Response, StatusCode};

use crate::attempt::Bounds;
use crate::body::Body;
use crate::content::Mapper;
use crate::identity::Identity;
use crate::invocation::Invocation;
use crate::plan::{self, Outgoing, Planner};
use crate::respond::Preference;
use crate::upstream::{SetupError, Upstream, Upstreams};
use crate::{ProxyError, content, hop_by_hop, public_url, respond};

/// The proxy: a routing table and the live clients of its back ends. Shared by all invocations.
#[derive(Debug)]
pub struct Proxy {
    table: RoutingTable,
    /// In the order of [`RoutingTable::backends`].
    pub(crate) upstreams: Vec<Arc<Upstream>>,
    /// The same for copies of requests, which must not be felt by the requests themselves; empty if no route has a mirror.
    pub(crate) mirror_upstreams: Vec<Arc<Upstream>>,
    /// Authorities that are trusted besides the built-in roots.
    cert_file: Option<PemFile>,
    pub(crate) identity: Arc<Identity>,
    /// The salt of digests in comparison records.
    pub(crate) salt: Salt,
}

impl Proxy {
    /// Makes the clients; opens no connection. `cert_file` is trusted for every back end besides the built-in roots;
    /// `pseudonym` names this proxy, and no other of its account and region, in `CDN-Loop` and `Via`.
    ///
    /// # Errors
    ///
    /// [`SetupError`] for what cannot work with any request.
    pub fn new(table: RoutingTable, cert_file: Option<PemFile>, pseudonym: &str) -> Result<Self, SetupError> {
        Self::made(table, cert_file, Arc::new(Identity::new(pseudonym)), None)
    }

    /// Makes the proxy that takes the place of this one when the configuration has changed. A back end whose settings are the
    /// same keeps its connections, its circuit breaker and its retry budget, for requests and for copies of them.
    ///
    /// # Errors
    ///
    /// As [`Proxy::new`].
    pub fn successor(&self, table: RoutingTable, cert_file: Option<PemFile>) -> Result<Self, SetupError> {
        Self::made(table, cert_file, self.identity.clone(), Some(self))
    }

    fn made(
        table: RoutingTable,
        cert_file: Option<PemFile>,
        identity: Arc<Identity>,
        before: Option<&Proxy>,
    ) -> Result<Self, SetupError> {
        let salt = before.map_or_else(Salt::default, |before| before.salt.clone());
        // With other roots of trust no connection is the same.
        let before = before.filter(|before| before.cert_file == cert_file);
        let known: HashMap<&str, usize> = before.map_or_else(HashMap::new, |before| {
            before.table.backends().iter().enumerate().map(|(at, backend)| (&*backend.name, at)).collect()
        });
        let kept = |clients: fn(&Proxy) -> &[Arc<Upstream>], backend: &Backend| {
            let client = clients(before?).get(*known.get(&*backend.name)?)?;
            (*client.backend == *backend).then(|| client.clone())
        };
        let mut made = Upstreams::new(table.backends().len(), cert_file.as_ref());
        let mut upstreams = Vec::with_capacity(table.backends().len());
        for backend in table.backends() {
            upstreams.push(match kept(|proxy| &proxy.upstreams, backend) {
                Some(upstream) => upstream,
                None => Arc::new(made.upstream(backend)?),
            });
        }
        let has_mirror = table.routes().iter().chain([table.default_route()]).any(|route| route.mirror.is_some());
        let for_mirror = |upstream: &Arc<Upstream>| {
            kept(|proxy| &proxy.mirror_upstreams, &upstream.backend).unwrap_or_else(|| Arc::new(upstream.for_mirror()))
        };
        let mirror_upstreams = if has_mirror { upstreams.iter().map(for_mirror).collect() } else { Vec::new() };
        Ok(Proxy { table, upstreams, mirror_upstreams, cert_file, identity, salt })
    }

    /// The configuration.
    #[must_use]
    pub fn table(&self) -> &RoutingTable {
        &self.table
    }

    /// The name of a back end.
    pub(crate) fn name_of(&self, index: usize) -> &str {
        self.table.backends().get(index).map_or("", |backend| backend.name.as_str())
    }

    pub(crate) fn planner<'t>(&'t self, invocation: &'t Invocation) -> Planner<'t> {
        Planner { table: &self.table, identity: &self.identity, invocation }
    }

    /// Makes the answer of a back end that of the client's request.
    pub(crate) fn received<'t>(&self, response: &mut Response<Body<'t>>, sent: &Outgoing<'t>) {
        drop_length(&sent.parts.method, response);
        hop_by_hop::remove(response.headers_mut(), &self.table.request_id_field, |_| false);
        if let Some(public) = &sent.backend.public_url {
            public_url::apply(public, sent.backend, sent.parts.headers.get(HOST), response.headers_mut());
            if !public.content.is_empty() {
                map_content(public, response, sent);
            }
        }
    }

    /// Returns whether replies in this format are streamed.
    #[must_use]
    #[inline]
    pub fn streams(&self, format: &Format) -> bool {
        plan::streams(&self.table, format)
    }

    /// The facts of a request that choose the page of an error; `None` without `errorPages`. Boxed, so that a request has no room for
    /// them.
    #[must_use]
    #[inline]
    pub fn preference(&self, request: &Request<Bytes>) -> Option<Box<Preference>> {
        (!self.table.error_pages.is_empty()).then(|| Box::new(Preference::of(request)))
    }

    /// The response to a request that failed, with its page if the request is known.
    #[must_use]
    pub fn failure(&self, error: &ProxyError, preference: Option<&Preference>) -> Response<Bytes> {
        let mut response = respond::failure(error);
        if let Some(preference) = preference {
            preference.page(&self.table.error_pages, &mut response);
        }
        response
    }

    /// Returns whether responses of this route are stored if the front end cannot carry them.
    pub(crate) fn spills(&self, route: &Route) -> bool {
        self.table.spill.is_some() && route.spills
    }

    pub(crate) fn bounds(&self, invocation: &Invocation, route: &Route) -> Bounds {
        let deadline = match self.table.request_timeout {
            Some(limit) => invocation.deadline.min(invocation.started + limit),
            None => invocation.deadline,
        };
        let format = invocation.front.format;
        let is_streamed = self.streams(format);
        Bounds {
            deadline,
            format,
            is_streamed,
            spills: !is_streamed && self.spills(route),
            compresses: route.compress != Some(false),
            started: invocation.started,
            now: invocation.time,
            // The low bits choose targets.
            jitter: 0.5 + f64::from((invocation.seed >> 112) as u16) / f64::from(u16::MAX) / 2.0,
        }
    }
}

/// Maps the URLs in the content of a response, or has that done as the content arrives.
fn map_content<'t>(public: &'t PublicUrl, response: &mut Response<Body<'t>>, sent: &Outgoing<'t>) {
    let (method, fields, status) = (&sent.parts.method, &sent.parts.headers, response.status());
    match response.body_mut() {
        Body::Whole(content) => {
            let content = std::mem::take(content);
            let mut whole = std::mem::replace(response, Response::new(Body::Whole(Bytes::new()))).map(|_| content);
            content::map(public, sent.backend, method, fields, &mut whole);
            *response = whole.map(Body::Whole);
        }
        Body::Streamed(_) => {
            let mapper = Mapper::of(public, sent.backend, fields, status, response.headers_mut());
            if let Body::Streamed(streamed) = response.body_mut() {
                streamed.mapper = mapper.map(Box::new);
            }
        }
    }
}

/// The front end computes the length of what it gets. Only where there is no content by definition does the field
/// say something else (RFC 9110 section 8.6), and where the content is still to come: the client needs it there to notice that
/// something is missing.
fn drop_length(method: &Method, response: &mut Response<Body<'_>>) {
    if matches!(response.body(), Body::Whole(_))
        && *method != Method::HEAD
        && response.status() != StatusCode::NOT_MODIFIED
    {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
}
