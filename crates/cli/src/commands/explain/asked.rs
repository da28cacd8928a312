//! A client's request as the command line describes it, and the event in which the function receives it.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use crossfade_emulator::{LoadBalancerAttributes, add_client_fields};
use crossfade_event::alb::{RequestLine, encode_request};
use crossfade_event::{Event, FORMATS, HeaderMode, decode_request};
use crossfade_route::request_url;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use http::{Method, Request, Uri};

use crate::inspector::percent_decoded;
use crate::terminal::printable;

/// The load balancer's is random.
const TRACE_ID: &str = "1-00000000-000000000000000000000000";
/// The same of the client's port.
const CLIENT_PORT: u16 = 50_000;

/// A client's request.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Asked {
    pub(in crate::commands) method: Method,
    pub(in crate::commands) url: Uri,
    pub(in crate::commands) headers: Vec<(HeaderName, HeaderValue)>,
    pub(in crate::commands) ip: IpAddr,
}

impl Asked {
    /// Reads the URL as curl does: its user name and password become `Authorization`.
    pub(super) fn new(
        method: Method,
        url: &str,
        mut headers: Vec<(HeaderName, HeaderValue)>,
        ip: IpAddr,
    ) -> Result<Asked> {
        let scheme_end = url.find("://").filter(|at| !url[..*at].contains(['/', '?', '#']));
        let start = scheme_end.map_or(0, |at| at + 3);
        let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
        let (user, host) =
            url[start..end].rsplit_once('@').map_or((None, start), |(user, _)| (Some(user), start + user.len() + 1));
        if let Some(user) = user.filter(|_| !headers.iter().any(|(name, _)| *name == AUTHORIZATION)) {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            let pair = format!("{}:{}", percent_decoded(name), percent_decoded(password));
            let value = format!("Basic {}", base64_simd::STANDARD.encode_to_string(pair));
            headers.push((AUTHORIZATION, HeaderValue::try_from(value)?));
        }
        let text = format!("{}{}", &url[..start], &url[host..]);
        let url = request_url(&text).map_err(|problem| {
            anyhow!("`{}` is not a URL of a request: {problem}\n  hint: write `https://host/path`", printable(&text))
        })?;
        Ok(Asked { method, url, headers, ip })
    }

    pub(super) fn is_https(&self) -> bool {
        self.url.scheme_str() == Some("https")
    }

    /// The port that the client connects to.
    pub(super) fn port(&self) -> u16 {
        self.url.port_u16().unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// The request as the client sends it.
    pub(super) fn request(&self) -> Result<Request<Bytes>> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = self.method.clone();
        let path_and_query = self.url.path_and_query().map_or("/", |it| it.as_str());
        *request.uri_mut() = path_and_query.parse().with_context(|| format!("`{path_and_query}`"))?;
        let fields = request.headers_mut();
        let authority = self.url.authority().map_or("", |authority| authority.as_str());
        fields.insert(HOST, authority.parse().with_context(|| format!("`{authority}`"))?);
        for (name, value) in &self.headers {
            if *name == HOST {
                fields.insert(name, value.clone());
            } else {
                fields.append(name, value.clone());
            }
        }
        Ok(request)
    }

    /// What the function makes of the event in which a load balancer passes a request on.
    pub(super) fn event(
        &self,
        mut request: Request<Bytes>,
        attributes: &LoadBalancerAttributes,
        mode: HeaderMode,
    ) -> Result<Event> {
        let client = SocketAddr::new(self.ip, CLIENT_PORT);
        add_client_fields(request.headers_mut(), attributes, client, self.port(), self.is_https(), TRACE_ID);
        let line = RequestLine::new(request.method(), request.uri());
        let event = encode_request(mode, "", line, request.headers(), &[]).context("a load balancer rejects it")?;
        match decode_request(FORMATS, &event.into()) {
            Ok(event) => Ok(event),
            Err(error) => bail!("the function cannot read the event: {error}"),
        }
    }
}
