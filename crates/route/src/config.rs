//! The file format: which keys there are, what each may hold, and which [`RoutingTable`] they make.

use std::path::PathBuf;

use http::header::{HeaderName, HeaderValue};

use crate::backend_url::{self, BackendUrl};
use crate::diagnostic::{Diagnostic, Diagnostics, without_secrets};
use crate::document::{At, Mistakes, closest};
use crate::table::{Backend, HealthCheck, HostHeader, Http2, RoutingTable, Scheme, Timeouts, TlsSettings};
use crate::yaml;

/// Fields that the proxy sets itself or that belong to one connection: no place for a request's id.
const NOT_FOR_THE_ID: [&str; 20] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
];

impl RoutingTable {
    /// The configuration that a single URL stands for: everything goes there. `source_name` is for messages.
    ///
    /// # Errors
    ///
    /// [`Diagnostics`] with the one thing that is wrong with the URL.
    pub fn from_backend_url(url: &str, source_name: &str) -> Result<RoutingTable, Diagnostics> {
        match backend_url::parse(url) {
            Ok(url) => Ok(RoutingTable::new(vec![Backend::new("backend", url)], 0)),
            Err(mistake) => {
                let message = format!("{} in `{}`", mistake.message, without_secrets(url));
                let hint = Some(mistake.hint.to_owned());
                let list = vec![Diagnostic { place: None, path: String::new(), message, hint }];
                Err(Diagnostics { source_name: source_name.to_owned(), text: String::new(), list })
            }
        }
    }

    /// Compiles the text of a `crossfade.yaml` (or of the same in JSON).
    ///
    /// # Errors
    ///
    /// [`Diagnostics`] with every mistake in the text.
    pub fn from_config(text: &str, source_name: &str) -> Result<RoutingTable, Diagnostics> {
        let mut mistakes = Mistakes::default();
        let table = match yaml::parse(text) {
            Ok(document) => table(&At::top(&document), &mut mistakes),
            Err(mistake) => {
                mistakes.0.push(mistake);
                None
            }
        };
        match table {
            Some(table) if mistakes.0.is_empty() => Ok(table),
            _ => {
                mistakes.0.sort_by_key(|mistake| mistake.place);
                Err(Diagnostics { source_name: source_name.to_owned(), text: text.to_owned(), list: mistakes.0 })
            }
        }
    }

    fn new(backends: Vec<Backend>, default: usize) -> Self {
        RoutingTable {
            backends,
            default,
            request_timeout: None,
            request_id_field: HeaderName::from_static("x-request-id"),
            health_check: HealthCheck::default(),
        }
    }
}

impl Backend {
    fn new(name: &str, url: BackendUrl) -> Self {
        Backend {
            name: name.to_owned(),
            scheme: url.scheme,
            host: url.host,
            port: url.port,
            authority: url.authority,
            base_path: url.base_path,
            host_header: HostHeader::Backend,
            tls: TlsSettings::default(),
            http2: Http2::default(),
            timeouts: Timeouts::default(),
        }
    }
}

fn table(top: &At<'_>, mistakes: &mut Mistakes) -> Option<RoutingTable> {
    let [version, backends, default, timeouts, request_id, health_check] =
        top.keys(mistakes, ["version", "backends", "default", "timeouts", "requestId", "healthCheck"])?;
    match version {
        None => top.wrong(mistakes, "`version` is missing", Some("begin the file with `version: 1`".into())),
        Some(at) => {
            if at.number(mistakes).is_some_and(|number| number != 1.0) {
                at.wrong(mistakes, "this program reads version 1", None);
            }
        }
    }
    let (names, backends) = match &backends {
        Some(at) => read_backends(at, mistakes),
        None => {
            let hint = "name at least one: `backends: {legacy: https://…}`";
            top.wrong(mistakes, "`backends` is missing", Some(hint.into()));
            (Vec::new(), Vec::new())
        }
    };
    // Names of back ends with mistakes are known, too; with any mistake the table is not used.
    let default = match &default {
        Some(at) => read_default(at, &names, mistakes),
        None => {
            let hint = "say where requests go: `default: {forward: NAME}`";
            top.wrong(mistakes, "`default` is missing", Some(hint.into()));
            None
        }
    };
    let request_timeout = timeouts.and_then(|at| {
        let [request] = at.keys(mistakes, ["request"])?;
        request?.duration(mistakes)
    });
    let request_id_field = request_id.and_then(|at| {
        let [header] = at.keys(mistakes, ["header"])?;
        read_request_id_field(&header?, mistakes)
    });
    let health_check = health_check.and_then(|at| {
        let [answer] = at.keys(mistakes, ["answer"])?;
        answer?.word(mistakes, &[("function", HealthCheck::Function), ("backend", HealthCheck::Backend)])
    });
    let unset = RoutingTable::new(backends, default?);
    Some(RoutingTable {
        request_timeout,
        request_id_field: request_id_field.unwrap_or_else(|| unset.request_id_field.clone()),
        health_check: health_check.unwrap_or_default(),
        ..unset
    })
}

fn read_backends<'n>(at: &At<'n>, mistakes: &mut Mistakes) -> (Vec<&'n str>, Vec<Backend>) {
    let Some(entries) = at.entries(mistakes) else { return (Vec::new(), Vec::new()) };
    if entries.is_empty() {
        at.wrong(mistakes, "there is no back end", Some("name at least one: `legacy: https://…`".into()));
    }
    let names = entries.iter().map(|(name, _)| *name).collect();
    let backends = entries.iter().filter_map(|(name, at)| read_backend(name, at, mistakes)).collect();
    (names, backends)
}

fn read_backend(name: &str, at: &At<'_>, mistakes: &mut Mistakes) -> Option<Backend> {
    let is_token = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if name.is_empty() || !is_token(name) {
        at.wrong(mistakes, "a back end's name has letters, digits, `-`, `_` and `.` only", None);
    }
    if at.as_text().is_some() {
        return Some(Backend::new(name, read_url(at, mistakes)?));
    }
    let [url, host_header, tls, http2, timeouts] =
        at.keys(mistakes, ["url", "hostHeader", "tls", "http2", "timeouts"])?;
    let host_header = host_header.and_then(|at| read_host_header(&at, mistakes)).unwrap_or(HostHeader::Backend);
    let tls = tls.and_then(|at| read_tls(&at, mistakes)).unwrap_or_default();
    let words = [("auto", Http2::Auto), ("never", Http2::Never), ("always", Http2::Always)];
    let http2 = http2.and_then(|at| at.word(mistakes, &words)).unwrap_or_default();
    let timeouts = timeouts.and_then(|at| read_timeouts(&at, mistakes)).unwrap_or_default();
    let Some(url) = url else {
        at.wrong(mistakes, "`url` is missing", Some("write `url: https://host`".into()));
        return None;
    };
    let parsed = read_url(&url, mistakes)?;
    if parsed.scheme == Scheme::Http && tls != TlsSettings::default() {
        at.wrong(mistakes, "`tls` has no meaning for a plain `http` URL", Some("write https, or leave it out".into()));
    }
    Some(Backend { host_header, tls, http2, timeouts, ..Backend::new(name, parsed) })
}

fn read_url(at: &At<'_>, mistakes: &mut Mistakes) -> Option<BackendUrl> {
    match backend_url::parse(at.text(mistakes)?) {
        Ok(url) => Some(url),
        Err(mistake) => {
            at.wrong(mistakes, mistake.message, Some(mistake.hint.to_owned()));
            None
        }
    }
}

fn read_host_header(at: &At<'_>, mistakes: &mut Mistakes) -> Option<HostHeader> {
    match at.text(mistakes)? {
        "backend" => Some(HostHeader::Backend),
        "preserve" => Some(HostHeader::Preserve),
        literal => {
            let is_authority = !literal.contains('/') && backend_url::parse(&format!("https://{literal}")).is_ok();
            let value = HeaderValue::from_str(literal).ok().filter(|_| is_authority);
            if value.is_none() {
                at.wrong(
                    mistakes,
                    format!("`{literal}` is no host"),
                    Some("write backend, preserve, or a host".into()),
                );
            }
            value.map(HostHeader::Literal)
        }
    }
}

fn read_tls(at: &At<'_>, mistakes: &mut Mistakes) -> Option<TlsSettings> {
    let [server_name, ca_file] = at.keys(mistakes, ["serverName", "caFile"])?;
    Some(TlsSettings {
        server_name: server_name.and_then(|at| at.text(mistakes)).map(str::to_owned),
        ca_file: ca_file.and_then(|at| at.text(mistakes)).map(PathBuf::from),
    })
}

fn read_timeouts(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Timeouts> {
    let [connect, backend_request] = at.keys(mistakes, ["connect", "backendRequest"])?;
    Some(Timeouts {
        connect: connect.and_then(|at| at.duration(mistakes)).unwrap_or(Timeouts::default().connect),
        backend_request: backend_request.and_then(|at| at.duration(mistakes)),
    })
}

fn read_request_id_field(at: &At<'_>, mistakes: &mut Mistakes) -> Option<HeaderName> {
    let text = at.text(mistakes)?;
    match HeaderName::from_bytes(text.as_bytes()) {
        Ok(name) if !NOT_FOR_THE_ID.contains(&name.as_str()) => Some(name),
        Ok(_) => {
            at.wrong(mistakes, format!("`{text}` has another meaning"), Some("choose a field of its own".into()));
            None
        }
        Err(_) => {
            at.wrong(mistakes, format!("`{text}` is not a field name"), None);
            None
        }
    }
}

fn read_default(at: &At<'_>, names: &[&str], mistakes: &mut Mistakes) -> Option<usize> {
    let [forward] = at.keys(mistakes, ["forward"])?;
    let Some(forward) = forward else {
        at.wrong(mistakes, "`forward` is missing", Some("write `default: {forward: NAME}`".into()));
        return None;
    };
    let name = forward.text(mistakes)?;
    let index = names.iter().position(|known| *known == name);
    if index.is_none() {
        let hint = match closest(name, names) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("back ends in this file: {}", names.join(", ")),
        };
        forward.wrong(mistakes, format!("there is no back end `{name}`"), Some(hint));
    }
    index
}
