//! The plan for a request: its route, the target and the reason for it, and the request as that target gets it. Decides and
//! prepares, but sends nothing: `crossfade explain` shows exactly the plan that `pipeline` carries out.

use std::net::IpAddr;

use bytes::Bytes;
use crossfade_event::{Format, Front};
use crossfade_route::{
    Action, Backend, Captures, Choice, Failover, Forward, Mirror, Observer, Redirect, RequestParts, RequestView, Route,
    RoutingTable, Transforms, has_dot_segment,
};
use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use http::uri::{PathAndQuery, Scheme, Uri};
use http::{Method, Response, request};

use crate::fields::{self, Variables};
use crate::forwarding::{self, Forwarding};
use crate::identity::Identity;
use crate::invocation::Invocation;
use crate::{ProxyError, content, hop_by_hop, lookalikes, respond, tracing};

/// A request's way, up to the point where something is sent.
#[derive(Debug)]
pub struct Plan<'t> {
    /// Its route and what is known of it.
    pub context: Context<'t>,
    /// The action that follows.
    pub step: Step<'t>,
}

/// A request's route, and the facts that the route's action needs.
#[derive(Debug)]
pub struct Context<'t> {
    /// The route that it meets.
    pub route: &'t Route,
    /// The address of the client, as far as it is known.
    pub client_ip: Option<IpAddr>,
    /// As the client sent it, once.
    host: Option<HeaderValue>,
    captures: Captures,
}

/// The action for a request.
#[derive(Debug)]
pub enum Step<'t> {
    /// It gets this answer from us.
    Answer(Response<Bytes>),
    /// It goes to a back end.
    Send(Box<Sending<'t>>),
    /// Nothing can be made of it.
    Fail(ProxyError),
}

/// The destination of a request, and the reason for it.
#[derive(Debug)]
pub struct Sending<'t> {
    /// The targets it could go to.
    pub forward: &'t Forward,
    /// The target, and the reason for it.
    pub choice: Choice,
    /// The request to send.
    pub outgoing: Outgoing<'t>,
    /// The received request for `failover`; `None` without one.
    pub(crate) otherwise: Option<Box<Otherwise<'t>>>,
    /// The received request for the mirror; `None` unless the mirror takes it.
    pub(crate) copy: Option<Box<ShadowRequest<'t>>>,
}

/// A request as a back end gets it.
#[derive(Clone, Debug)]
pub struct Outgoing<'t> {
    /// Index into [`RoutingTable::backends`].
    pub index: usize,
    /// The same, looked up.
    pub backend: &'t Backend,
    /// Path and query after the transforms, before the base path; `None` if they did not change it.
    pub transformed: Option<String>,
    /// Method, target and fields.
    pub parts: request::Parts,
    /// The client's `Accept-Encoding`, if the configuration may have changed it.
    accepted: Option<Vec<HeaderValue>>,
}

impl Outgoing<'_> {
    /// The codings that the client accepts.
    pub(crate) fn accepted(&self) -> Vec<&HeaderValue> {
        match &self.accepted {
            Some(accepted) => accepted.iter().collect(),
            None => self.parts.headers.get_all(ACCEPT_ENCODING).iter().collect(),
        }
    }
}

/// A request as it was received, for another back end than the first.
#[derive(Debug)]
pub(crate) struct Otherwise<'t> {
    pub(crate) failover: &'t Failover,
    received: request::Parts,
}

/// A request that is to be copied, as it was received.
#[derive(Clone, Debug)]
pub(crate) struct ShadowRequest<'t> {
    pub(crate) mirror: &'t Mirror,
    pub(crate) received: request::Parts,
}

/// The values that plans of all requests share, and the invocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planner<'t> {
    pub(crate) table: &'t RoutingTable,
    pub(crate) identity: &'t Identity,
    pub(crate) invocation: &'t Invocation,
}

impl<'t> Planner<'t> {
    /// Takes a request up to where it would be sent.
    pub(crate) fn plan<O: Observer>(
        &self,
        parts: request::Parts,
        body: &Bytes,
        observer: &mut O,
    ) -> Result<Plan<'t>, ProxyError> {
        self.refuse(&parts)?;
        let client_ip = self.invocation.front.client_ip(&parts.headers, self.table.trusted_hops);
        let seen = view(&parts, client_ip);
        let route = self.table.select_observed(&seen, observer);
        let captures = route.captures(&seen.path);
        let host = forwarding::only_host(&parts.headers).cloned();
        let context = Context { route, client_ip, host, captures };
        let step = self.step(&context, parts, body).unwrap_or_else(Step::Fail);
        Ok(Plan { context, step })
    }

    #[inline]
    fn step(&self, context: &Context<'t>, parts: request::Parts, body: &Bytes) -> Result<Step<'t>, ProxyError> {
        let forward = match &context.route.action {
            Action::FixedResponse(fixed) => {
                return Ok(self.answer(context, respond::fixed(fixed, &parts.method, &parts.headers)));
            }
            Action::Redirect(redirect) => {
                return Ok(self.answer(context, context.redirect(redirect, &parts, &self.invocation.front)?));
            }
            Action::Forward(forward) => forward,
        };
        let is_https = self.invocation.front.scheme == Scheme::HTTPS;
        let (seen, seed) = (view(&parts, context.client_ip), self.invocation.seed);
        let choice = forward.choose(&seen, is_https, seed);
        let mirror = context.route.mirror.as_ref().filter(|mirror| mirror.takes(&parts.method, &seen, seed));
        let target = forward.targets.get(choice.target);
        let target = target.ok_or_else(|| ProxyError::Internal("unknown target".to_owned()))?;
        let failover = forward.failover.as_ref().filter(|failover| failover.to != target.backend);
        let otherwise = failover.map(|failover| Box::new(Otherwise { failover, received: parts.clone() }));
        let copy = mirror.map(|mirror| Box::new(ShadowRequest { mirror, received: parts.clone() }));
        let outgoing = self.outgoing(context, Some(&target.transforms), target.backend, parts, body)?;
        Ok(Step::Send(Box::new(Sending { forward, choice, outgoing, otherwise, copy })))
    }

    fn answer(&self, context: &Context<'t>, mut response: Response<Bytes>) -> Step<'t> {
        context.edit_response(self.invocation, None, response.headers_mut());
        Step::Answer(response)
    }

    /// The same request for the back end that `failover` names, with the transforms of that target if it is one.
    pub(crate) fn elsewhere(
        &self,
        context: &Context<'t>,
        forward: &'t Forward,
        otherwise: Otherwise<'t>,
        body: &Bytes,
    ) -> Result<Outgoing<'t>, ProxyError> {
        let to = otherwise.failover.to;
        self.outgoing(context, forward.transforms_for(to), to, otherwise.received, body)
    }

    /// Rejects requests that are never forwarded.
    #[inline]
    fn refuse(&self, parts: &request::Parts) -> Result<(), ProxyError> {
        if matches!(parts.method, Method::TRACE | Method::CONNECT) {
            return Err(ProxyError::MethodRefused(parts.method.clone()));
        }
        if forwarding::is_websocket(&parts.headers) {
            return Err(ProxyError::WebSocketRefused);
        }
        if let Some(field) = self.identity.already_in(&parts.headers, self.invocation.deployment) {
            return Err(ProxyError::Loop { field, id: self.identity.id.clone() });
        }
        Ok(())
    }

    /// Makes a received request that of a back end: fields, transforms, base path, and last what the configuration says
    /// of fields.
    #[inline]
    pub(crate) fn outgoing(
        &self,
        context: &Context<'t>,
        target: Option<&Transforms>,
        index: usize,
        mut parts: request::Parts,
        body: &Bytes,
    ) -> Result<Outgoing<'t>, ProxyError> {
        let backend = self.table.backends().get(index);
        let backend = backend.ok_or_else(|| ProxyError::Internal("unknown back end".to_owned()))?.as_ref();
        let (transformed, host) = transform(context, target, &parts)?;
        let edits = &context.route.request_fields;
        let id_field = &self.table.request_id_field;
        hop_by_hop::remove(&mut parts.headers, id_field, |name| {
            forwarding::is_removed(name) || lookalikes::is_lookalike(name, id_field.as_str())
        });
        lookalikes::remove_edited(&mut parts.headers, id_field, edits);
        self.forwarding(backend, host).apply(&mut parts.headers, &parts.method, body)?;
        if let Some(trace) = &self.invocation.trace {
            tracing::apply(trace, &mut parts.headers);
        }
        parts.uri = target_uri(backend, transformed.as_deref(), parts.uri)?;
        let mut accepted: Option<Vec<HeaderValue>> = None;
        let maps_content = backend.public_url.as_ref().is_some_and(|public| !public.content.is_empty());
        if maps_content || !edits.is_empty() {
            accepted = Some(parts.headers.get_all(ACCEPT_ENCODING).iter().cloned().collect());
        }
        if maps_content && let Some(accepted) = &accepted {
            let is_streamed = streams(self.table, self.invocation.front.format);
            if let Some(decodable) = content::only_decodable(accepted, is_streamed) {
                parts.headers.insert(ACCEPT_ENCODING, decodable);
            }
        }
        if !edits.is_empty() {
            fields::apply(edits, &mut parts.headers, context.variables(self.invocation, Some(backend)));
        }
        Ok(Outgoing { index, backend, transformed, parts, accepted })
    }

    /// The fields that a back end gets besides the client's. `host` is the client's host after the transforms.
    #[inline]
    fn forwarding<'a>(&'a self, backend: &'a Backend, host: Option<HeaderValue>) -> Forwarding<'a> {
        Forwarding {
            backend,
            host,
            identity: self.identity,
            deployment: self.invocation.deployment,
            request_id_field: &self.table.request_id_field,
            request_id: &self.invocation.request_id,
            trace_id: self.invocation.trace_id.as_ref(),
        }
    }
}

impl Context<'_> {
    /// `responseHeaders` of the route.
    #[inline]
    pub(crate) fn edit_response(&self, invocation: &Invocation, backend: Option<&Backend>, fields: &mut HeaderMap) {
        let edits = &self.route.response_fields;
        if !edits.is_empty() {
            fields::apply(edits, fields, self.variables(invocation, backend));
        }
    }

    /// The host that the client asked for, without its port; empty if what it sent is not one host.
    pub(crate) fn host_name(&self) -> &str {
        host_name(self.host.as_ref().filter(|host| forwarding::is_authority(host)))
    }

    /// Values of the variables that configured field values can refer to.
    pub(crate) fn variables<'a>(&'a self, invocation: &'a Invocation, backend: Option<&'a Backend>) -> Variables<'a> {
        Variables {
            client_ip: self.client_ip,
            request_id: &invocation.request_id,
            host: self.host_name(),
            route: &self.route.name,
            backend: backend.map(|backend| backend.name.as_str()),
            captures: &self.captures,
        }
    }

    fn redirect(
        &self,
        redirect: &Redirect,
        parts: &request::Parts,
        front: &Front,
    ) -> Result<Response<Bytes>, ProxyError> {
        let default_port = if front.scheme == Scheme::HTTPS { 443 } else { 80 };
        let location = redirect.location(&RequestParts {
            protocol: front.scheme.as_str(),
            host: self.host_name(),
            port: &front.port.unwrap_or(default_port).to_string(),
            base_path: &front.base_path,
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            captures: &self.captures,
        });
        let location = location.and_then(|location| HeaderValue::try_from(location).ok());
        let location = location.ok_or_else(|| {
            ProxyError::RequestInvalid("the redirect produced an invalid URL for this request".to_owned())
        })?;
        Ok(respond::redirect(redirect.status, location))
    }
}

/// Returns whether replies in this format are streamed.
#[inline]
pub(crate) fn streams(table: &RoutingTable, format: &Format) -> bool {
    format.prelude.is_some() && table.streaming.has(format.name)
}

/// A request as conditions see it: as it was received, with a normalised path.
#[inline]
fn view(parts: &request::Parts, source_ip: Option<IpAddr>) -> RequestView<'_> {
    RequestView::new(&parts.method, &parts.uri, &parts.headers, source_ip)
}

/// Applies the transforms of the route and then those of the target. `None` where nothing changes.
fn transform(
    context: &Context<'_>,
    target: Option<&Transforms>,
    parts: &request::Parts,
) -> Result<(Option<String>, Option<HeaderValue>), ProxyError> {
    let (mut path_and_query, mut host): (Option<String>, Option<String>) = (None, None);
    let failed = |error: crossfade_route::TransformError| ProxyError::TransformFailed(error.to_string());
    let all = [Some(&context.route.transforms), target];
    for transforms in all.into_iter().flatten().filter(|transforms| !transforms.is_empty()) {
        let received = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let changed = transforms.target(path_and_query.as_deref().unwrap_or(received)).map_err(failed)?;
        path_and_query = changed.or(path_and_query);
        let received = context.host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default();
        let changed = transforms.host(host.as_deref().unwrap_or(received)).map_err(failed)?;
        host = changed.or(host);
    }
    let host = host.map(HeaderValue::try_from).transpose();
    let host = host.map_err(|_| ProxyError::TransformFailed("the transform produced an invalid host".to_owned()))?;
    Ok((path_and_query, host))
}

/// The target for the back end: its base path, then path and query byte for byte. A host in it stays behind: it would count
/// for more than `Host` (RFC 9112 section 3.2.2).
#[inline]
fn target_uri(backend: &Backend, transformed: Option<&str>, uri: Uri) -> Result<Uri, ProxyError> {
    if backend.base_path.is_empty() && transformed.is_none() && uri.authority().is_none() {
        return Ok(uri);
    }
    let path_and_query = transformed.unwrap_or_else(|| uri.path_and_query().map_or("", PathAndQuery::as_str));
    let path = path_and_query.split('?').next().unwrap_or_default();
    if has_dot_segment(path) {
        let problem = "a path with dot segments could leave the base path";
        return Err(ProxyError::RequestInvalid(problem.to_owned()));
    }
    if !path_and_query.starts_with('/') {
        return Err(ProxyError::RequestInvalid(format!("`{path}` cannot be appended to a base path")));
    }
    PathAndQuery::try_from(format!("{}{path_and_query}", backend.base_path))
        .map(Uri::from)
        .map_err(|_| ProxyError::RequestInvalid("the target is too long for its back end".to_owned()))
}

/// A `Host` without its port.
fn host_name(host: Option<&HeaderValue>) -> &str {
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}
