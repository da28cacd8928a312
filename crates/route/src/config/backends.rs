//! `backends`: the destinations of requests. Owns their keys, checks and warnings.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossfade_document::{Node, did_you_mean};
use http::Method;
use http::header::HeaderValue;

use crate::backend::{Backend, ClientCert, HostHeader, Http2, PemFile, PublicUrl, Timeouts, TlsSettings, TlsVersion};
use crate::backend_url::{self, BackendUrl};
use crate::policy::{Codes, Outlier, Retry};
use crate::reach::Reach;
use crate::read::{Collector, Expected, Read};
use crate::scheme::Scheme;
use crate::surroundings::Surroundings;

/// The back ends of a file. One with an error keeps its name and index; with any error the table is not used.
#[derive(Debug, Default)]
pub(super) struct Backends<'n> {
    named: Vec<(&'n str, &'n Node)>,
    pub(super) compiled: Vec<Arc<Backend>>,
    used: Vec<bool>,
}

impl<'n> Backends<'n> {
    pub(super) fn read(node: &'n Node, surroundings: &dyn Surroundings, diagnostics: &mut Collector) -> Self {
        let members = node.map_of(diagnostics, Expected::Backends).unwrap_or_default();
        if members.is_empty() && node.as_map().is_some() {
            node.error(
                diagnostics,
                "no back ends are defined",
                Some("define at least one: `legacy: https://…`".into()),
            );
        }
        let named: Vec<_> = members.iter().map(|(key, node)| (&*key.name, node)).collect();
        let mut pems = Pems { surroundings, read: BTreeMap::new() };
        let read = |(name, node): &(&'n str, &'n Node)| read_backend(name, node, &mut pems, diagnostics).map(Arc::new);
        let compiled = named.iter().filter_map(read).collect();
        Backends { used: vec![false; named.len()], named, compiled }
    }

    /// Returns the index of the back end that a node names.
    pub(super) fn find(&mut self, node: &'n Node, diagnostics: &mut Collector) -> Option<usize> {
        let name = node.text(diagnostics)?;
        let index = self.named.iter().position(|(known, _)| *known == name);
        match index.and_then(|index| self.used.get_mut(index)) {
            Some(used) => *used = true,
            // Without any back end, the section is missing or malformed, which has been reported.
            None if self.named.is_empty() => {}
            None => node.error(diagnostics, format!("unknown back end `{}`", node.shown()), Some(self.hint(name))),
        }
        index
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.named.iter().any(|(known, _)| *known == name)
    }

    /// Returns `true` if the section is missing or malformed.
    pub(super) fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// Returns a hint for an unknown name.
    pub(super) fn hint(&self, name: &str) -> String {
        let names: Vec<&str> = self.named.iter().map(|(name, _)| *name).collect();
        did_you_mean(name, &names).unwrap_or_else(|| format!("back ends in this file: {}", names.join(", ")))
    }

    /// Returns a back end, unless it has errors.
    pub(super) fn get(&self, index: usize) -> Option<&Backend> {
        let (name, _) = self.named.get(index)?;
        self.compiled.iter().find(|backend| backend.name == *name).map(|backend| &**backend)
    }

    /// Returns the node of each back end.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &'n Node> {
        self.named.iter().map(|(_, node)| *node)
    }

    /// Returns the back ends that no route uses, with their nodes.
    pub(super) fn unused(&self) -> impl Iterator<Item = (&'n str, &'n Node)> {
        self.named.iter().zip(&self.used).filter(|(_, used)| !**used).map(|(named, _)| *named)
    }
}

impl Backend {
    pub(super) fn new(name: &str, url: BackendUrl, reach: Reach) -> Self {
        Backend {
            name: name.to_owned(),
            scheme: url.scheme,
            host: url.host,
            port: url.port,
            authority: url.authority,
            base_path: url.base_path,
            host_header: HostHeader::Backend,
            via: false,
            tls: TlsSettings::default(),
            http2: Http2::default(),
            timeouts: Timeouts::default(),
            addresses: Vec::new(),
            reach,
            retry: None,
            outlier: None,
            public_url: None,
        }
    }
}

/// Returns `true` for names that are safe in logs, cookies and fields.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn read_backend(name: &str, node: &Node, pems: &mut Pems<'_>, diagnostics: &mut Collector) -> Option<Backend> {
    let surroundings = pems.surroundings;
    if !is_name(name) {
        node.error(diagnostics, "a back end's name may contain only letters, digits, `-`, `_` and `.`", None);
    }
    if node.as_text().is_some() {
        let url = read_url(node, diagnostics)?;
        let reach = Reach { scheme: url.scheme, link_local: false, runtime_api: surroundings.runtime_api() };
        check_reach(node, &reach, &url.host, url.port, diagnostics);
        return Some(Backend::new(name, url, reach));
    }
    let [url, public_url, addresses, allow_link_local, host_header, via, tls, http2, timeouts, retry, outlier] = node
        .keys(
        diagnostics,
        [
            "url",
            "publicUrl",
            "addresses",
            "allowLinkLocal",
            "hostHeader",
            "via",
            "tls",
            "http2",
            "timeouts",
            "retry",
            "outlier",
        ],
    )?;
    let public_url_node = public_url;
    let public_url = public_url.and_then(|node| read_public_url(node, diagnostics));
    let is_host_left_open = host_header.is_none();
    let host_header = host_header.and_then(|node| read_host_header(node, diagnostics)).unwrap_or(HostHeader::Backend);
    let via = via.and_then(|node| node.boolean(diagnostics)).unwrap_or_default();
    let tls_settings = tls.and_then(|node| read_tls(node, pems, diagnostics)).unwrap_or_default();
    let words = [("auto", Http2::Auto), ("never", Http2::Never), ("always", Http2::Always)];
    let http2 = http2.and_then(|node| node.word(diagnostics, &words)).unwrap_or_default();
    let timeouts = timeouts.and_then(|node| read_timeouts(node, diagnostics)).unwrap_or_default();
    let retry = retry.and_then(|node| read_retry(node, diagnostics));
    let outlier_settings = outlier.and_then(|node| read_outlier(node, diagnostics));
    if let Some(node) = outlier.filter(|_| timeouts.backend_request.is_none()) {
        let message = "a back end that hangs never opens the circuit breaker: only an expired `backendRequest` counts as a failure";
        node.warn(diagnostics, message, Some("set a limit: `timeouts: {backendRequest: 5s}`".into()));
    }
    let Some(url) = url else {
        node.missing(diagnostics, "url", "write `url: https://host`");
        return None;
    };
    let parsed = read_url(url, diagnostics)?;
    if parsed.scheme == Scheme::Http
        && let Some(tls) = tls
    {
        tls.error(diagnostics, "`tls` requires an `https` URL", Some("use https, or remove `tls`".into()));
    }
    if let (Some(node), Some(public)) = (public_url_node, &public_url)
        && is_host_left_open
        && public.origin.split_once("://").is_none_or(|(_, authority)| parsed.authority != authority)
    {
        let message = "the back end may reject logins and forms: their `Origin` is the public URL, but `Host` is the back end's own \
                       host";
        let hint = "set `hostHeader: preserve` to send the client's host, or `hostHeader: backend` if the back end trusts \
                    `X-Forwarded-Host` or has no logins and forms";
        node.warn(diagnostics, message, Some(hint.into()));
    }
    let link_local = allow_link_local.and_then(|node| node.boolean(diagnostics)).unwrap_or_default();
    let reach = Reach { scheme: parsed.scheme, link_local, runtime_api: surroundings.runtime_api() };
    check_reach(url, &reach, &parsed.host, parsed.port, diagnostics);
    let addresses = addresses.map(|node| read_addresses(node, &parsed, &reach, diagnostics)).unwrap_or_default();
    let backend = Backend::new(name, parsed, reach);
    Some(Backend {
        host_header,
        via,
        tls: tls_settings,
        http2,
        timeouts,
        addresses,
        retry,
        outlier: outlier_settings,
        public_url,
        ..backend
    })
}

fn read_url(node: &Node, diagnostics: &mut Collector) -> Option<BackendUrl> {
    match backend_url::parse(node.text(diagnostics)?) {
        Ok(url) => Some(url),
        Err(error) => {
            node.invalid(diagnostics, error.message, Some(error.hint), Expected::Url);
            None
        }
    }
}

/// Reports a host that connections would be refused to, at its place in the file.
fn check_reach(node: &Node, reach: &Reach, host: &str, port: u16, diagnostics: &mut Collector) {
    if let Err(prohibited) = reach.check_host(host, port) {
        node.error(diagnostics, format!("`{}` {prohibited}", node.shown()), Some(prohibited.hint().into()));
    }
}

fn read_public_url(node: &Node, diagnostics: &mut Collector) -> Option<PublicUrl> {
    let (mut content, mut url) = (Vec::new(), Some(node));
    if node.as_map().is_some() {
        let [map_url, types] = node.keys(diagnostics, ["url", "content"])?;
        if map_url.is_none() {
            node.missing(diagnostics, "url", "write `url: https://shop.example.com`");
        }
        content = types.map(|node| read_media_types(node, diagnostics)).unwrap_or_default();
        url = map_url;
    }
    let url = read_url(url?, diagnostics)?;
    let scheme = match url.scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    let origin = format!("{scheme}://{}", url.authority.to_str().unwrap_or_default());
    Some(PublicUrl { origin, host: url.host, base_path: url.base_path, content })
}

/// Reads media types: `text/html`, or `text/*` for all of a kind.
fn read_media_types<'n>(node: &'n Node, diagnostics: &mut Collector) -> Vec<String> {
    let items = node.one_or_more(diagnostics).unwrap_or_default();
    let read = |item: &'n Node, diagnostics: &mut Collector| {
        let text = item.text(diagnostics)?;
        let is_token = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
        };
        let is_type = |(kind, subtype): (&str, &str)| is_token(kind) && (subtype == "*" || is_token(subtype));
        if text.split_once('/').is_some_and(is_type) {
            return Some(text.to_ascii_lowercase());
        }
        let hint = "write a media type without parameters, like text/html, or text/* for all of a kind";
        item.error(diagnostics, format!("`{}` is not a media type", item.shown()), Some(hint.into()));
        None
    };
    items.iter().filter_map(|item| read(item, diagnostics)).collect()
}

/// Reads the addresses to connect to: `host`, `host:port` or an IP address. The port defaults to that of the URL.
fn read_addresses<'n>(
    node: &'n Node,
    url: &BackendUrl,
    reach: &Reach,
    diagnostics: &mut Collector,
) -> Vec<(String, u16)> {
    let items = node.one_or_more(diagnostics).unwrap_or_default();
    let read = |item: &'n Node, diagnostics: &mut Collector| {
        let text = item.text(diagnostics)?;
        let is_v6 = text.parse::<std::net::Ipv6Addr>().is_ok();
        let authority = if is_v6 { format!("[{text}]") } else { text.to_owned() };
        let scheme = if url.scheme == Scheme::Http { "http" } else { "https" };
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        match backend_url::parse(&format!("{scheme}://{authority}")) {
            Ok(parsed) if parsed.base_path.is_empty() && !authority.ends_with('/') => {
                let port = if has_port { parsed.port } else { url.port };
                check_reach(item, reach, &parsed.host, port, diagnostics);
                Some((parsed.host, port))
            }
            _ => {
                let message = format!("`{}` is not a valid address for this back end", item.shown());
                item.error(diagnostics, message, Some("write a host or an IP address, with or without a port".into()));
                None
            }
        }
    };
    items.iter().filter_map(|item| read(item, diagnostics)).collect()
}

fn read_host_header(node: &Node, diagnostics: &mut Collector) -> Option<HostHeader> {
    match node.text(diagnostics)? {
        "backend" => Some(HostHeader::Backend),
        "preserve" => Some(HostHeader::Preserve),
        literal => {
            let is_authority = !literal.contains('/') && backend_url::parse(&format!("https://{literal}")).is_ok();
            // Words that other proxies have here, or ours in other letters.
            let is_word = |word: &&str| literal.eq_ignore_ascii_case(word);
            let is_host = is_authority && !["backend", "preserve", "origin", "true", "false"].iter().any(is_word);
            let value = HeaderValue::from_str(literal).ok().filter(|_| is_host);
            if value.is_none() {
                let hint = "write backend, preserve, or a host, like `shop.example.com`";
                node.error(diagnostics, format!("`{}` is not a valid host", node.shown()), Some(hint.into()));
            }
            value.map(HostHeader::Literal)
        }
    }
}

fn read_tls(node: &Node, pems: &mut Pems<'_>, diagnostics: &mut Collector) -> Option<TlsSettings> {
    let [server_name, ca_file, client_cert, min_version, skip, bare_end] = node.keys(
        diagnostics,
        ["serverName", "caFile", "clientCert", "minVersion", "insecureSkipVerify", "allowMissingCloseNotify"],
    )?;
    let client_cert = client_cert.and_then(|node| {
        let [cert, key] = node.keys(diagnostics, ["certFile", "keyFile"])?;
        let (Some(cert), Some(key)) = (cert, key) else {
            let hint = "write `clientCert: {certFile: a.pem, keyFile: b.pem}`";
            node.error(diagnostics, "`certFile` and `keyFile` must be set together", Some(hint.into()));
            return None;
        };
        let (cert, key) = (pems.read(cert, diagnostics), pems.read(key, diagnostics));
        Some(ClientCert { certificates: cert?, key: key? })
    });
    let insecure_skip_verify = skip.and_then(|node| node.boolean(diagnostics)).unwrap_or_default();
    if let Some(node) = skip.filter(|_| insecure_skip_verify) {
        let hint = "trust its certificate instead: `caFile: corp-ca.pem`";
        node.warn(
            diagnostics,
            "the certificate is not verified, so an attacker can impersonate this back end",
            Some(hint.into()),
        );
    }
    let allow_missing_close_notify = bare_end.and_then(|node| node.boolean(diagnostics)).unwrap_or_default();
    if let Some(node) = bare_end.filter(|_| allow_missing_close_notify) {
        let hint = "make the back end send `Content-Length` or chunks, or end TLS with close_notify";
        let message = "a response without a length that is cut off is treated as complete";
        node.warn(diagnostics, message, Some(hint.into()));
    }
    Some(TlsSettings {
        server_name: server_name.and_then(|node| node.text(diagnostics)).map(str::to_owned),
        ca: ca_file.and_then(|node| pems.read(node, diagnostics)),
        client_cert,
        min_version: min_version
            .and_then(|node| node.word(diagnostics, &[("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)]))
            .unwrap_or_default(),
        insecure_skip_verify,
        allow_missing_close_notify,
    })
}

/// The PEM files of all back ends, each read once: thousands of back ends may use the same file.
struct Pems<'s> {
    surroundings: &'s dyn Surroundings,
    read: BTreeMap<String, Arc<PemFile>>,
}

impl Pems<'_> {
    fn read(&mut self, node: &Node, diagnostics: &mut Collector) -> Option<Arc<PemFile>> {
        let path = node.text(diagnostics)?;
        if let Some(pem) = self.read.get(path) {
            return Some(pem.clone());
        }
        let pem = Arc::new(PemFile { path: path.into(), text: read_file(node, self.surroundings, diagnostics)? });
        self.read.insert(path.to_owned(), pem.clone());
        Some(pem)
    }
}

/// Returns the content of the file that a node names.
pub(super) fn read_file(node: &Node, surroundings: &dyn Surroundings, diagnostics: &mut Collector) -> Option<Vec<u8>> {
    let path = node.text(diagnostics)?;
    match surroundings.file(Path::new(path)) {
        Ok(content) => Some(content),
        Err(error) => {
            let hint = "paths are relative to the folder of this file";
            node.error(diagnostics, format!("cannot read `{}`: {error}", node.shown()), Some(hint.into()));
            None
        }
    }
}

fn read_timeouts(node: &Node, diagnostics: &mut Collector) -> Option<Timeouts> {
    let [connect, backend_request] = node.keys(diagnostics, ["connect", "backendRequest"])?;
    Some(Timeouts {
        connect: connect.and_then(|node| node.duration(diagnostics)).unwrap_or(Timeouts::default().connect),
        backend_request: backend_request.and_then(|node| node.duration(diagnostics)),
    })
}

fn read_retry(node: &Node, diagnostics: &mut Collector) -> Option<Retry> {
    let [attempts, codes, backoff, methods, budget] =
        node.keys(diagnostics, ["attempts", "codes", "backoff", "methods", "budget"])?;
    Some(Retry {
        attempts: attempts.and_then(|node| node.whole(diagnostics, 1..=5)).unwrap_or(1),
        codes: codes.map(|node| read_codes(node, diagnostics)).unwrap_or_default(),
        backoff: backoff.and_then(|node| node.duration(diagnostics)).unwrap_or(Duration::from_millis(50)),
        methods: methods.map(|node| read_methods(node, diagnostics)).unwrap_or_default(),
        budget: budget.and_then(|node| node.percent(diagnostics)).unwrap_or(20),
    })
}

fn read_outlier(node: &Node, diagnostics: &mut Collector) -> Option<Outlier> {
    let [failures, hold] = node.keys(diagnostics, ["failures", "for"])?;
    Some(Outlier {
        failures: failures.and_then(|node| node.whole(diagnostics, 1..=1000)).unwrap_or(5),
        hold: hold.and_then(|node| node.duration(diagnostics)).unwrap_or(Duration::from_secs(30)),
    })
}

fn read_codes(node: &Node, diagnostics: &mut Collector) -> Codes {
    let items = node.one_or_more(diagnostics).unwrap_or_default();
    items.iter().filter_map(|item| read_code(item, diagnostics)).collect()
}

/// Reads a status from 400 to 599, or `5xx` for all from 500.
pub(super) fn read_code(node: &Node, diagnostics: &mut Collector) -> Option<RangeInclusive<u16>> {
    let text = node.text(diagnostics)?;
    let codes = match text {
        "5xx" => Some(500..=599),
        _ => text.parse().ok().filter(|code| (400..=599).contains(code)).map(|code: u16| code..=code),
    };
    if codes.is_none() {
        let message = format!("`{}` is not a status from 400 to 599", node.shown());
        node.error(diagnostics, message, Some("write codes like 502 or 503, or 5xx for 500 to 599".into()));
    }
    codes
}

/// Reads methods that may be repeated although HTTP does not define them as idempotent or safe.
pub(super) fn read_methods<'n>(node: &'n Node, diagnostics: &mut Collector) -> Vec<Method> {
    let items = node.one_or_more(diagnostics).unwrap_or_default();
    let read = |item: &'n Node, diagnostics: &mut Collector| read_method(item, diagnostics);
    items.iter().filter_map(|item| read(item, diagnostics)).collect()
}

/// Reads a method in capital letters. Methods are case-sensitive (RFC 9110 section 9.1), and all in use are in
/// capitals.
pub(super) fn read_method(node: &Node, diagnostics: &mut Collector) -> Option<Method> {
    let text = node.text(diagnostics)?;
    let method = Method::from_bytes(text.as_bytes()).ok();
    let method = method.filter(|_| !text.bytes().any(|byte| byte.is_ascii_lowercase()));
    if method.is_none() {
        let hint = Some(format!("did you mean `{}`?", text.to_ascii_uppercase()));
        let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        // Values from the environment are not shown.
        let hint = hint.filter(|_| is_word && node.shown() == text);
        let message = format!("`{}` is not an HTTP method", node.shown());
        node.invalid(diagnostics, message, hint.as_deref(), Expected::Words);
    }
    method
}
