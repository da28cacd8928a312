//! The two systems of a comparison: the configuration that a function in front of them would have, and their URLs.
//!
//! Owns which requests of a file are for these systems, and the part of a URL that is appended to theirs.

use std::sync::Arc;

use anyhow::{Result, bail};
use crossfade_route::{Backend, Mirror, Nothing, PemFile, RoutingTable};
use http::uri::{Authority, PathAndQuery};
use serde_json::json;

use super::Options;
use crate::commands::{cert_file, configuration};
use crate::requests::Format;
use crate::terminal::printable;

/// Names of the back ends, in the order of [`RoutingTable::backends`].
pub(super) const NAMES: [&str; 2] = ["legacy", "modern"];

/// The configuration: everything goes to `legacy`, and `modern` gets a copy of it with all credentials.
pub(super) fn table(options: &Options) -> Result<(RoutingTable, Option<PemFile>)> {
    // Names the option in an error.
    RoutingTable::from_backend_url(&options.legacy, "--legacy", &Nothing)?;
    RoutingTable::from_backend_url(&options.modern, "--modern", &Nothing)?;
    let milliseconds = |duration: std::time::Duration| format!("{}ms", duration.as_millis());
    // Each response, and its repetition, may take as long as the limit.
    let (timeout, budget) = (milliseconds(options.timeout), milliseconds(options.timeout * 4));
    let host = if options.has_host() { "preserve" } else { "backend" };
    let backend = |url: &str| json!({ "url": url, "hostHeader": host, "timeouts": { "backendRequest": timeout } });
    let methods: Vec<&str> = options.method.iter().map(http::Method::as_str).collect();
    let mut mirror = json!({ "backend": "modern", "percent": 100, "credentials": true, "budget": budget });
    if let (false, Some(members)) = (methods.is_empty(), mirror.as_object_mut()) {
        members.insert("methods".to_owned(), json!(methods));
    }
    let configuration = json!({
        "version": 1,
        "backends": { "legacy": backend(&options.legacy), "modern": backend(&options.modern) },
        "default": { "forward": "legacy", "mirror": mirror },
    });
    let mut table = RoutingTable::from_config(&configuration.to_string(), "the options", &Nothing)?;
    let cert_file = cert_file()?;
    let cert_file = match &options.rules {
        None => pem(cert_file)?,
        Some(file) => {
            let (rules, cert_file) = configuration::compiled(file)?;
            table = with_rules(table, &rules, options)?;
            cert_file
        }
    };
    // The responses are the user's own, and stay on this machine.
    for rules in table.mirrors_mut().filter_map(|mirror| mirror.compare.as_mut()) {
        Arc::make_mut(rules).keep_values = !options.hide_values;
    }
    Ok((table, cert_file))
}

fn pem(file: Option<std::path::PathBuf>) -> Result<Option<PemFile>> {
    let Some(path) = file else { return Ok(None) };
    let text =
        std::fs::read(&path).map_err(|error| anyhow::anyhow!("`SSL_CERT_FILE`: `{}`: {error}", path.display()))?;
    Ok(Some(PemFile { path, text }))
}

/// The rules of each route for the requests that match it, or those of one route for all.
fn with_rules(mut table: RoutingTable, rules: &RoutingTable, options: &Options) -> Result<RoutingTable> {
    let Some(name) = &options.route else { return Ok(table.comparing_like(rules)) };
    let routes = || rules.routes().iter().chain([rules.default_route()]);
    let Some(route) = routes().find(|route| route.name == *name) else {
        let names: Vec<&str> = routes().map(|route| route.name.as_str()).collect();
        bail!("no route `{}` in the rules\n  hint: routes in this file: {}", printable(name), names.join(", "));
    };
    for mirror in table.mirrors_mut() {
        *mirror = Mirror::comparing_like(mirror, route.mirror.as_ref());
    }
    Ok(table)
}

/// The part of a target that is appended to the URLs of both systems; `None` for a request to another host. Logs of a load
/// balancer or a server are all for the old system, whatever its name was there.
pub(super) fn target(
    format: Format,
    host: Option<&Authority>,
    target: &PathAndQuery,
    backends: &[Arc<Backend>],
) -> Option<PathAndQuery> {
    let Some(host) = host else { return Some(target.clone()) };
    let of_system = backends.iter().filter(|backend| is_host(host, backend));
    let inside = of_system.filter_map(|backend| {
        let rest = target.as_str().strip_prefix(&*backend.base_path)?;
        match rest.bytes().next() {
            Some(b'/') => rest.parse().ok(),
            Some(b'?') | None => format!("/{rest}").parse().ok(),
            Some(_) => None,
        }
    });
    let is_bound = matches!(format, Format::List | Format::Har);
    inside.into_iter().next().or_else(|| (!is_bound).then(|| target.clone()))
}

/// The standard ports are one: a page at `http://` leads to `https://`.
fn is_host(host: &Authority, backend: &Backend) -> bool {
    let port = |port: Option<u16>| port.filter(|port| ![80, 443].contains(port));
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case(&backend.host) && port(host.port_u16()) == port(Some(backend.port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_appended_to_the_urls_of_both_systems() {
        let configuration = r#"{"version": 1, "backends": {"legacy": "https://Old.example/shop",
            "modern": "http://127.0.0.1:8080"}, "default": {"forward": "legacy"}}"#;
        let table = RoutingTable::from_config(configuration, "", &Nothing).unwrap();
        let of = |format, host: &str, path: &str| {
            let host = (!host.is_empty()).then(|| host.parse().unwrap());
            target(format, host.as_ref(), &path.parse().unwrap(), table.backends()).map(|target| target.to_string())
        };
        for (host, path, expected) in [
            ("", "/shop/a?b", Some("/shop/a?b")),
            ("old.example", "/shop/a?b", Some("/a?b")),
            ("OLD.example:80", "/shop?b", Some("/?b")),
            ("old.example", "/shop", Some("/")),
            ("old.example", "/shopping", None),
            ("old.example", "/", None),
            ("old.example:8443", "/shop/a", None),
            ("cdn.example", "/shop/a", None),
            ("127.0.0.1:8080", "/shop/a", Some("/shop/a")),
            ("127.0.0.1", "/shop/a", None),
        ] {
            for format in [Format::List, Format::Har] {
                assert_eq!(of(format, host, path).as_deref(), expected, "{host}{path}");
            }
            for format in [Format::Alb, Format::W3c, Format::Combined, Format::Comparisons] {
                assert_eq!(of(format, host, path).as_deref(), expected.or(Some(path)), "{host}{path}");
            }
        }
    }
}
