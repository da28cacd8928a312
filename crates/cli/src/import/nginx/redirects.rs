//! `return` and `rewrite` with a URL as `redirect`, and `return` with a text as `fixedResponse`.

use super::model::Foreign;
use super::syntax::Place;
use super::text::{Piece, Text};
use crate::import::file::LEFT_OUT;
use crate::import::yaml::Yaml;

/// The action of a route, and what belongs to it.
pub(super) type Body = Vec<(String, Yaml)>;

/// Statuses that `redirect` can have.
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// `return`.
///
/// # Errors
///
/// The reason why there is no such action.
pub(super) fn returned(
    status: u16,
    text: Option<&Text>,
    content_type: Option<&str>,
    names: &Names<'_>,
) -> Result<Body, String> {
    match text {
        _ if status == 444 => Err("Crossfade cannot close a connection without a response".to_owned()),
        Some(url) if REDIRECTS.contains(&status) => redirect(url, status, Query::Replaced, names),
        _ if !(200..=599).contains(&status) => Err(format!("Crossfade has no response with status {status}")),
        text => {
            let mut response = vec![("status".to_owned(), Yaml::number(status))];
            if let Some(text) = text.filter(|text| !text.0.is_empty()) {
                let Some(body) = text.as_literal() else {
                    return Err("a text with variables is not supported".to_owned());
                };
                response.push(("contentType".to_owned(), Yaml::text(content_type.unwrap_or("text/plain"))));
                response.push(("body".to_owned(), Yaml::text(body)));
            }
            Ok(vec![("fixedResponse".to_owned(), Yaml::Map(response))])
        }
    }
}

/// The fate of the client's query if the URL says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Query {
    /// `return`.
    Replaced,
    /// `rewrite`.
    Appended,
}

/// The variables of a place: groups of the path's regex, and the server's name.
pub(super) struct Names<'n> {
    pub(super) groups: &'n [String],
    pub(super) server: Option<&'n str>,
}

/// A redirect to a URL, which may begin with a scheme or with `/`.
pub(super) fn redirect(url: &Text, status: u16, query: Query, names: &Names<'_>) -> Result<Body, String> {
    let mut text = template(url, names)?;
    let (mut keeps_query, mut own_query) = (query == Query::Appended, None);
    // `$request_uri` has the query.
    if let Some(before) = text.strip_suffix(REQUEST_URI) {
        text = format!("{before}/#{{path}}");
        keeps_query = true;
    } else if text.contains(REQUEST_URI) {
        return Err("`$request_uri` is supported at the end only".to_owned());
    }
    if let Some(before) = text.strip_suffix(&format!("{IS_ARGS}#{{query}}")) {
        text = before.to_owned();
        keeps_query = true;
    } else if text.contains(IS_ARGS) {
        return Err("`$is_args` is supported before `$args` at the end only".to_owned());
    }
    if let Some((before, after)) = text.clone().split_once('?') {
        text = before.to_owned();
        own_query = Some(match (after, query) {
            // A `?` at its end discards the client's query.
            ("", _) => String::new(),
            (after, Query::Replaced) => after.to_owned(),
            (after, Query::Appended) => match after.strip_suffix('?') {
                Some(after) => after.to_owned(),
                None => format!("{after}&#{{query}}"),
            },
        });
    }
    let mut redirect = Vec::new();
    let mut add = |key: &str, value: &str| redirect.push((key.to_owned(), Yaml::template(value)));
    let path = match text.split_once("://") {
        Some((protocol, rest)) => {
            let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            let (host, port) = match authority.rsplit_once(':') {
                Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(port)),
                _ => (authority, None),
            };
            if protocol != "#{protocol}" {
                add("protocol", protocol);
            }
            if host != "#{host}" {
                add("host", host);
            }
            if let Some(port) = port {
                redirect.push(("port".to_owned(), Yaml::number(port)));
            }
            if path.is_empty() { "/".to_owned() } else { path.to_owned() }
        }
        None if text.starts_with('/') => text,
        None => return Err("the URL begins neither with a scheme nor with `/`".to_owned()),
    };
    if path != "/#{path}" || redirect.is_empty() {
        redirect.push(("path".to_owned(), Yaml::template(&path)));
    }
    match own_query {
        Some(query) => redirect.push(("query".to_owned(), Yaml::template(&query))),
        None if !keeps_query => redirect.push(("query".to_owned(), Yaml::text(""))),
        None => {}
    }
    redirect.push(("status".to_owned(), Yaml::number(status)));
    Ok(vec![("redirect".to_owned(), Yaml::Map(redirect))])
}

/// Stand for variables without a keyword of ours while the URL is taken apart. No file has control characters in a URL.
const REQUEST_URI: &str = "\u{1}";
const IS_ARGS: &str = "\u{2}";

fn template(url: &Text, names: &Names<'_>) -> Result<String, String> {
    let mut text = String::new();
    for piece in &url.0 {
        match piece {
            Piece::Literal(literal) => text += &literal.replace('$', "$$"),
            Piece::Variable(name) => match &**name {
                "request_uri" => text += REQUEST_URI,
                "is_args" => text += IS_ARGS,
                "scheme" => text += "#{protocol}",
                "host" | "http_host" => text += "#{host}",
                "uri" | "document_uri" => text += "/#{path}",
                "args" | "query_string" => text += "#{query}",
                "server_name" if names.server.is_some() => text += names.server.unwrap_or_default(),
                name if names.groups.iter().any(|group| group == name) => text += &format!("${{{name}}}"),
                name => return Err(format!("the variable `${name}` is not supported in a redirect")),
            },
        }
    }
    Ok(text)
}

/// Instead of what could not be imported: the requests go to NGINX itself, or get a status that nobody takes for success.
pub(super) fn instead(foreign: &Foreign, file: &str, fallback: Option<&str>) -> (Vec<String>, Body) {
    let Foreign { place: Place { line, .. }, shown, reason } = foreign;
    let comment = format!("{LEFT_OUT}`{}` ({file}:{line}): {reason}.", shown.chars().take(80).collect::<String>());
    let body = match fallback {
        Some(backend) => vec![("forward".to_owned(), Yaml::text(backend))],
        None => {
            let text = format!("not imported from {file}:{line}\n");
            let response =
                [("status", Yaml::number(501)), ("contentType", Yaml::text("text/plain")), ("body", Yaml::text(&text))];
            vec![("fixedResponse".to_owned(), Yaml::map(response))]
        }
    };
    (vec![comment], body)
}
