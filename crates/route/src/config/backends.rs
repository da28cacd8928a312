//! `backends`: where requests can go.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossfade_document::{Node, did_you_mean};
use http::Method;
use http::header::HeaderValue;

use crate::backend_url::{self, BackendUrl};
use crate::policy::{Codes, Outlier, Retry};
use crate::reach::Reach;
use crate::read::{Findings, Read};
use crate::surroundings::Surroundings;
use crate::table::{
    Backend, ClientCert, HostHeader, Http2, PemFile, PublicUrl, Scheme, Timeouts, TlsSettings, TlsVersion,
};

/// The back ends of a file. One with a mistake keeps its name and its index; with any mistake the table is not used.
#[derive(Debug, Default)]
pub(super) struct Backends<'n> {
    named: Vec<(&'n str, &'n Node)>,
    pub(super) compiled: Vec<Arc<Backend>>,
    used: Vec<bool>,
}

impl<'n> Backends<'n> {
    pub(super) fn read(node: &'n Node, surroundings: &dyn Surroundings, mistakes: &mut Findings) -> Self {
        let members = node.map(mistakes).unwrap_or_default();
        if members.is_empty() && node.as_map().is_some() {
            node.wrong(mistakes, "there is no back end", Some("name at least one: `legacy: https://…`".into()));
        }
        let named: Vec<_> = members.iter().map(|(key, node)| (&*key.name, node)).collect();
        let mut pems = Pems { surroundings, read: BTreeMap::new() };
        let read = |(name, node): &(&'n str, &'n Node)| read_backend(name, node, &mut pems, mistakes).map(Arc::new);
        let compiled = named.iter().filter_map(read).collect();
        Backends { used: vec![false; named.len()], named, compiled }
    }

    /// The index of the back end that a node names.
    pub(super) fn find(&mut self, node: &'n Node, mistakes: &mut Findings) -> Option<usize> {
        let name = node.text(mistakes)?;
        let index = self.named.iter().position(|(known, _)| *known == name);
        match index.and_then(|index| self.used.get_mut(index)) {
            Some(used) => *used = true,
            None => node.wrong(mistakes, format!("there is no back end `{}`", node.shown()), Some(self.hint(name))),
        }
        index
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.named.iter().any(|(known, _)| *known == name)
    }

    /// For a name that is none of them.
    pub(super) fn hint(&self, name: &str) -> String {
        let names: Vec<&str> = self.named.iter().map(|(name, _)| *name).collect();
        did_you_mean(name, &names).unwrap_or_else(|| format!("back ends in this file: {}", names.join(", ")))
    }

    /// What is known of one, unless it has mistakes.
    pub(super) fn get(&self, index: usize) -> Option<&Backend> {
        let (name, _) = self.named.get(index)?;
        self.compiled.iter().find(|backend| backend.name == *name).map(|backend| &**backend)
    }

    /// What has no effect in this file.
    pub(super) fn doubt_unused(&self, mistakes: &mut Findings) {
        for ((name, node), used) in self.named.iter().zip(&self.used) {
            if !used {
                node.doubtful(mistakes, format!("nothing forwards to `{name}`"), None);
            }
        }
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

/// Names that can stand in logs, cookies and fields.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn read_backend(name: &str, node: &Node, pems: &mut Pems<'_>, mistakes: &mut Findings) -> Option<Backend> {
    let surroundings = pems.surroundings;
    if !is_name(name) {
        node.wrong(mistakes, "a back end's name has letters, digits, `-`, `_` and `.` only", None);
    }
    if node.as_text().is_some() {
        let url = read_url(node, mistakes)?;
        let reach = Reach::new(url.scheme, false, surroundings);
        check_reach(node, &reach, &url.host, url.port, mistakes);
        return Some(Backend::new(name, url, reach));
    }
    let [url, public_url, addresses, allow_link_local, host_header, via, tls, http2, timeouts, retry, outlier] = node
        .keys(
        mistakes,
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
    let public_url = public_url.and_then(|node| read_public_url(node, mistakes));
    let is_host_left_open = host_header.is_none();
    let host_header = host_header.and_then(|node| read_host_header(node, mistakes)).unwrap_or(HostHeader::Backend);
    let via = via.and_then(|node| node.boolean(mistakes)).unwrap_or_default();
    let tls_settings = tls.and_then(|node| read_tls(node, pems, mistakes)).unwrap_or_default();
    let words = [("auto", Http2::Auto), ("never", Http2::Never), ("always", Http2::Always)];
    let http2 = http2.and_then(|node| node.word(mistakes, &words)).unwrap_or_default();
    let timeouts = timeouts.and_then(|node| read_timeouts(node, mistakes)).unwrap_or_default();
    let retry = retry.and_then(|node| read_retry(node, mistakes));
    let outlier_settings = outlier.and_then(|node| read_outlier(node, mistakes));
    if let Some(node) = outlier.filter(|_| timeouts.backend_request.is_none()) {
        let message =
            "a back end that hangs never opens the breaker: a timeout counts only after a full `backendRequest`";
        node.doubtful(mistakes, message, Some("give it a limit: `timeouts: {backendRequest: 5s}`".into()));
    }
    let Some(url) = url else {
        node.wrong(mistakes, "`url` is missing", Some("write `url: https://host`".into()));
        return None;
    };
    let parsed = read_url(url, mistakes)?;
    if parsed.scheme == Scheme::Http
        && let Some(tls) = tls
    {
        tls.wrong(mistakes, "`tls` has no meaning for a plain `http` URL", Some("write https, or leave it out".into()));
    }
    if let (Some(node), Some(public)) = (public_url_node, &public_url)
        && is_host_left_open
        && public.origin.split_once("://").is_none_or(|(_, authority)| parsed.authority != authority)
    {
        let message = "logins and forms may be rejected: their `Origin` is the public URL, but the back end gets its own \
                       host as `Host`";
        let hint = "`hostHeader: preserve` sends the client's host; `hostHeader: backend` is for a back end that trusts \
                    `X-Forwarded-Host`, or has no logins and forms";
        node.doubtful(mistakes, message, Some(hint.into()));
    }
    let link_local = allow_link_local.and_then(|node| node.boolean(mistakes)).unwrap_or_default();
    let reach = Reach::new(parsed.scheme, link_local, surroundings);
    check_reach(url, &reach, &parsed.host, parsed.port, mistakes);
    let addresses = addresses.map(|node| read_addresses(node, &parsed, &reach, mistakes)).unwrap_or_default();
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

fn read_url(node: &Node, mistakes: &mut Findings) -> Option<BackendUrl> {
    match backend_url::parse(node.text(mistakes)?) {
        Ok(url) => Some(url),
        Err(mistake) => {
            node.wrong(mistakes, mistake.message, Some(mistake.hint.to_owned()));
            None
        }
    }
}

/// What a connection would be refused for is said where it is written.
fn check_reach(node: &Node, reach: &Reach, host: &str, port: u16, mistakes: &mut Findings) {
    if let Err(prohibited) = reach.check_host(host, port) {
        node.wrong(mistakes, format!("`{}` {prohibited}", node.shown()), Some(prohibited.hint().into()));
    }
}

fn read_public_url(node: &Node, mistakes: &mut Findings) -> Option<PublicUrl> {
    let url = read_url(node, mistakes)?;
    let scheme = match url.scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    let origin = format!("{scheme}://{}", url.authority.to_str().unwrap_or_default());
    Some(PublicUrl { origin, host: url.host, base_path: url.base_path })
}

/// Where to connect: `host`, `host:port`, an IP address; the port is that of the URL where none is written.
fn read_addresses<'n>(node: &'n Node, url: &BackendUrl, reach: &Reach, mistakes: &mut Findings) -> Vec<(String, u16)> {
    let items = node.one_or_more(mistakes).unwrap_or_default();
    let read = |item: &'n Node, mistakes: &mut Findings| {
        let text = item.text(mistakes)?;
        let is_v6 = text.parse::<std::net::Ipv6Addr>().is_ok();
        let authority = if is_v6 { format!("[{text}]") } else { text.to_owned() };
        let scheme = if url.scheme == Scheme::Http { "http" } else { "https" };
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        match backend_url::parse(&format!("{scheme}://{authority}")) {
            Ok(parsed) if parsed.base_path.is_empty() && !authority.ends_with('/') => {
                let port = if has_port { parsed.port } else { url.port };
                check_reach(item, reach, &parsed.host, port, mistakes);
                Some((parsed.host, port))
            }
            _ => {
                let message = format!("`{}` is no address for this back end", item.shown());
                item.wrong(mistakes, message, Some("write a host or an IP address, with or without a port".into()));
                None
            }
        }
    };
    items.iter().filter_map(|item| read(item, mistakes)).collect()
}

fn read_host_header(node: &Node, mistakes: &mut Findings) -> Option<HostHeader> {
    match node.text(mistakes)? {
        "backend" => Some(HostHeader::Backend),
        "preserve" => Some(HostHeader::Preserve),
        literal => {
            let is_authority = !literal.contains('/') && backend_url::parse(&format!("https://{literal}")).is_ok();
            let value = HeaderValue::from_str(literal).ok().filter(|_| is_authority);
            if value.is_none() {
                let hint = "write backend, preserve, or a host";
                node.wrong(mistakes, format!("`{}` is no host", node.shown()), Some(hint.into()));
            }
            value.map(HostHeader::Literal)
        }
    }
}

fn read_tls(node: &Node, pems: &mut Pems<'_>, mistakes: &mut Findings) -> Option<TlsSettings> {
    let [server_name, ca_file, client_cert, min_version, skip, bare_end] = node.keys(
        mistakes,
        ["serverName", "caFile", "clientCert", "minVersion", "insecureSkipVerify", "allowMissingCloseNotify"],
    )?;
    let client_cert = client_cert.and_then(|node| {
        let [cert, key] = node.keys(mistakes, ["certFile", "keyFile"])?;
        let (Some(cert), Some(key)) = (cert, key) else {
            let hint = "write `clientCert: {certFile: a.pem, keyFile: b.pem}`";
            node.wrong(mistakes, "`certFile` and `keyFile` belong together", Some(hint.into()));
            return None;
        };
        let (cert, key) = (pems.read(cert, mistakes), pems.read(key, mistakes));
        Some(ClientCert { certificates: cert?, key: key? })
    });
    let insecure_skip_verify = skip.and_then(|node| node.boolean(mistakes)).unwrap_or_default();
    if let Some(node) = skip.filter(|_| insecure_skip_verify) {
        let hint = "trust its certificate instead: `caFile: corp-ca.pem`";
        node.doubtful(mistakes, "any certificate will do for this back end, an attacker's too", Some(hint.into()));
    }
    let allow_missing_close_notify = bare_end.and_then(|node| node.boolean(mistakes)).unwrap_or_default();
    if let Some(node) = bare_end.filter(|_| allow_missing_close_notify) {
        let hint = "let the back end send `Content-Length` or chunks, or end TLS with close_notify";
        let message = "a response without a length that is cut off on the way passes for a complete one";
        node.doubtful(mistakes, message, Some(hint.into()));
    }
    Some(TlsSettings {
        server_name: server_name.and_then(|node| node.text(mistakes)).map(str::to_owned),
        ca: ca_file.and_then(|node| pems.read(node, mistakes)),
        client_cert,
        min_version: min_version
            .and_then(|node| node.word(mistakes, &[("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)]))
            .unwrap_or_default(),
        insecure_skip_verify,
        allow_missing_close_notify,
    })
}

/// The PEM files of all back ends, each read once: thousands of back ends may name the same.
struct Pems<'s> {
    surroundings: &'s dyn Surroundings,
    read: BTreeMap<String, Arc<PemFile>>,
}

impl Pems<'_> {
    fn read(&mut self, node: &Node, mistakes: &mut Findings) -> Option<Arc<PemFile>> {
        let path = node.text(mistakes)?;
        if let Some(pem) = self.read.get(path) {
            return Some(pem.clone());
        }
        let pem = Arc::new(PemFile { path: path.into(), text: read_file(node, self.surroundings, mistakes)? });
        self.read.insert(path.to_owned(), pem.clone());
        Some(pem)
    }
}

/// The content of the file that a node names.
pub(super) fn read_file(node: &Node, surroundings: &dyn Surroundings, mistakes: &mut Findings) -> Option<Vec<u8>> {
    let path = node.text(mistakes)?;
    match surroundings.file(Path::new(path)) {
        Ok(content) => Some(content),
        Err(error) => {
            let hint = "paths are relative to the folder of this file";
            node.wrong(mistakes, format!("cannot read `{}`: {error}", node.shown()), Some(hint.into()));
            None
        }
    }
}

fn read_timeouts(node: &Node, mistakes: &mut Findings) -> Option<Timeouts> {
    let [connect, backend_request] = node.keys(mistakes, ["connect", "backendRequest"])?;
    Some(Timeouts {
        connect: connect.and_then(|node| node.duration(mistakes)).unwrap_or(Timeouts::default().connect),
        backend_request: backend_request.and_then(|node| node.duration(mistakes)),
    })
}

fn read_retry(node: &Node, mistakes: &mut Findings) -> Option<Retry> {
    let [attempts, codes, backoff, methods, budget] =
        node.keys(mistakes, ["attempts", "codes", "backoff", "methods", "budget"])?;
    Some(Retry {
        attempts: attempts.and_then(|node| node.whole(mistakes, 1..=5)).unwrap_or(1),
        codes: codes.map(|node| read_codes(node, mistakes)).unwrap_or_default(),
        backoff: backoff.and_then(|node| node.duration(mistakes)).unwrap_or(Duration::from_millis(50)),
        methods: methods.map(|node| read_methods(node, mistakes)).unwrap_or_default(),
        budget: budget.and_then(|node| node.percent(mistakes)).unwrap_or(20),
    })
}

fn read_outlier(node: &Node, mistakes: &mut Findings) -> Option<Outlier> {
    let [failures, hold] = node.keys(mistakes, ["failures", "for"])?;
    Some(Outlier {
        failures: failures.and_then(|node| node.whole(mistakes, 1..=1000)).unwrap_or(5),
        hold: hold.and_then(|node| node.duration(mistakes)).unwrap_or(Duration::from_secs(30)),
    })
}

fn read_codes(node: &Node, mistakes: &mut Findings) -> Codes {
    let items = node.one_or_more(mistakes).unwrap_or_default();
    items.iter().filter_map(|item| read_code(item, mistakes)).collect()
}

/// A status from 400 to 599, or `5xx` for all of those.
pub(super) fn read_code(node: &Node, mistakes: &mut Findings) -> Option<RangeInclusive<u16>> {
    let text = node.text(mistakes)?;
    let codes = match text {
        "5xx" => Some(500..=599),
        _ => text.parse().ok().filter(|code| (400..=599).contains(code)).map(|code: u16| code..=code),
    };
    if codes.is_none() {
        let message = format!("`{}` is no status from 400 to 599", node.shown());
        node.wrong(mistakes, message, Some("write codes like 502 or 503, or 5xx for all from 500".into()));
    }
    codes
}

/// Methods that are safe to repeat here though HTTP does not say so.
pub(super) fn read_methods<'n>(node: &'n Node, mistakes: &mut Findings) -> Vec<Method> {
    let items = node.one_or_more(mistakes).unwrap_or_default();
    let read = |item: &'n Node, mistakes: &mut Findings| read_method(item, mistakes);
    items.iter().filter_map(|item| read(item, mistakes)).collect()
}

/// A method in capital letters: case counts in HTTP (RFC 9110 section 9.1), and all that are in use are written so.
pub(super) fn read_method(node: &Node, mistakes: &mut Findings) -> Option<Method> {
    let text = node.text(mistakes)?;
    let method = Method::from_bytes(text.as_bytes()).ok();
    let method = method.filter(|_| !text.bytes().any(|byte| byte.is_ascii_lowercase()));
    if method.is_none() {
        let hint = Some(format!("did you mean `{}`?", text.to_ascii_uppercase()));
        let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        // What comes from the environment is not shown.
        let hint = hint.filter(|_| is_word && node.shown() == text);
        node.wrong(mistakes, format!("`{}` is no method", node.shown()), hint);
    }
    method
}
