//! `crossfade init --nginx` and `--refactor-spaces`: writes what an import finds, with tests that prove the same choice, and lists what is missing.
//!
//! Owns the files that `include` names, and the comparison of each request's expected result with `explain`. `crate::import`
//! reads the foreign file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use crossfade_document::decode;
use crossfade_proxy::Proxy;
use http::header::{COOKIE, HeaderName, HeaderValue};

use super::super::Verdict;
use super::super::explain::{Asked, Explanation, LOCALHOST, Outcome, proxy};
use super::Options;
use crate::import::expected::{Answer, Request};
use crate::import::file::{File, Test};
use crate::import::findings::{Findings, Kind};
use crate::import::{Imported, nginx, refactor_spaces};
use crate::program;
use crate::terminal::{print, say};

/// Largest file that `include` may name, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Imports `nginx.conf`.
pub(super) fn nginx(options: &Options, file: &Path, fallback: Option<&str>) -> Result<Verdict> {
    let text = read(file).map_err(|reason| anyhow::anyhow!("cannot read `{}`: {reason}", file.display()))?;
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    let include = |pattern: &str| included(&folder, pattern);
    let name = file.file_name().map_or_else(|| file.display().to_string(), |name| name.to_string_lossy().into_owned());
    let Imported { mut file, mut findings, requests } = nginx::import(&name, &text, &include, fallback)?;
    with_tests(&mut file, &mut findings, &requests)?;
    finish(options, &file, &findings, &format!("`{name}` by `crossfade init --nginx`"))
}

/// Imports the output of `list-routes` and `list-services`.
pub(super) fn refactor_spaces(options: &Options, files: &[PathBuf], fallback: Option<&str>) -> Result<Verdict> {
    let read = |file: &PathBuf| {
        let text = read(file).map_err(|reason| anyhow::anyhow!("cannot read `{}`: {reason}", file.display()))?;
        Ok((file.display().to_string(), text))
    };
    let texts = files.iter().map(read).collect::<Result<Vec<_>>>()?;
    let Imported { mut file, mut findings, requests } = refactor_spaces::import(&texts, fallback)?;
    with_tests(&mut file, &mut findings, &requests)?;
    finish(options, &file, &findings, "Refactor Spaces by `crossfade init --refactor-spaces`")
}

/// Writes the file, and says what is missing.
pub(super) fn finish(options: &Options, file: &File, findings: &Findings, origin: &str) -> Result<Verdict> {
    let list = findings.text();
    let about = format!(
        "Imported from {origin}. What is not the same:\n{}",
        list.lines().map(|line| format!("  {line}\n")).collect::<String>()
    );
    let text = file.text(if list.is_empty() { about.lines().next().unwrap_or_default() } else { &about });
    if options.output() == Path::new("-") {
        print(&text)?;
    } else {
        super::write(options.output(), &text, options.force)?;
        let (name, count) = (options.output().display().to_string(), file.tests.len());
        let quoted = shell_words::quote(&name);
        say(&format!("wrote `{name}` with {count} tests; next: `{} test {quoted}`", program::name()));
    }
    say(list.trim_end());
    Ok(if findings.has_omissions() { Verdict::Findings } else { Verdict::Clean })
}

/// Adds a test for each request with the other proxy's response, after checking that the file makes the same choice.
fn with_tests(file: &mut File, findings: &mut Findings, requests: &[(Request, Answer)]) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let path = folder.path().join("crossfade.yaml");
    fs::write(&path, file.text("")).with_context(|| format!("cannot write `{}`", path.display()))?;
    let proxy = proxy(&path, None).context("the imported file is invalid; this is a bug")?;
    for (request, answer) in requests {
        let found = explained(&proxy, request)?;
        match expectation(file, answer, &found) {
            Ok(expect) if expect.is_empty() => {}
            Ok(expect) => file.tests.push(Test { expect, ..test(request) }),
            Err(reason) => {
                let shown = format!("{} {}", request.method, url(request));
                findings.add(Kind::NotImported, (0, 0, 0), &shown, &reason);
            }
        }
    }
    Ok(())
}

fn url(request: &Request) -> String {
    format!("{}://{}{}", request.scheme(), request.host, request.target())
}

fn fields(request: &Request) -> Vec<(String, String)> {
    let mut fields = request.fields.clone();
    if !request.cookies.is_empty() {
        let cookies = request.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        fields.push(("cookie".to_owned(), cookies.join("; ")));
    }
    fields
}

fn test(request: &Request) -> Test {
    Test { method: request.method.clone(), url: url(request), headers: fields(request), ip: None, expect: Vec::new() }
}

fn explained(proxy: &Proxy, request: &Request) -> Result<Explanation> {
    let header = |(name, value): (String, String)| {
        let name = if name == "cookie" { COOKIE } else { HeaderName::try_from(name)? };
        Ok::<_, anyhow::Error>((name, HeaderValue::try_from(value)?))
    };
    let headers = fields(request).into_iter().map(header).collect::<Result<_>>()?;
    let asked = Asked { method: request.method.parse()?, url: url(request).parse()?, headers, ip: LOCALHOST };
    Explanation::of(proxy, None, &asked, 0)
}

/// The keys of `expect`; none if Crossfade lacks the response.
///
/// # Errors
///
/// The difference, if the file makes another choice.
fn expectation(file: &File, answer: &Answer, found: &Explanation) -> Result<Vec<(&'static str, String)>, String> {
    let route = found.route.as_ref().map_or("", |route| &route.name);
    let other = |what: &str| {
        Err(format!("NGINX {what}; the route `{route}` does something else, which is a bug of the import"))
    };
    if file.is_left_out(route) {
        return Ok(Vec::new());
    }
    match (answer, &found.outcome) {
        (Answer::From { servers, path }, Outcome::Sent(sent)) => {
            let urls: BTreeSet<&str> = file.urls(route);
            let is_same = urls.len() == servers.len() && servers.iter().all(|server| urls.contains(&**server));
            let upstream = super::super::test::path_of(&sent.upstream.url);
            if !is_same || upstream != path {
                let servers = servers.iter().map(String::as_str).collect::<Vec<_>>();
                return other(&format!("sends the request to {} as `{path}`", servers.join(" or ")));
            }
            Ok(match urls.len() {
                1 => vec![("backend", sent.target.backend.clone()), ("upstream", path.clone())],
                _ => vec![("route", route.to_owned())],
            })
        }
        (Answer::Redirect { status, url }, Outcome::Answered { answer }) => {
            let location = answer.location.as_deref().unwrap_or_default();
            if answer.status != *status || location != url {
                return other(&format!("redirects with {status} to `{url}`"));
            }
            Ok(vec![("status", status.to_string()), ("location", url.clone())])
        }
        (Answer::Status(status), Outcome::Answered { answer }) if answer.status == *status => {
            Ok(vec![("status", status.to_string())])
        }
        (Answer::Foreign, Outcome::Answered { .. }) => Ok(Vec::new()),
        (Answer::From { servers, .. }, _) => other(&format!(
            "sends the request to {}",
            servers.iter().map(String::as_str).collect::<Vec<_>>().join(" or ")
        )),
        (Answer::Redirect { url, .. }, _) => other(&format!("redirects to `{url}`")),
        (Answer::Status(status), _) => other(&format!("responds with {status}")),
        (Answer::Foreign, _) => other("does something that Crossfade lacks"),
    }
}

fn read(file: &Path) -> Result<String, String> {
    let size = fs::metadata(file).map_err(|error| error.to_string())?;
    if !size.is_file() || size.len() > MAX_FILE {
        return Err(format!("it is not a file of at most {MAX_FILE} bytes"));
    }
    let bytes = fs::read(file).map_err(|error| error.to_string())?;
    decode(bytes).ok_or_else(|| "it is neither UTF-8 nor UTF-16".to_owned())
}

/// The files that an `include` names, in the order of their names, as NGINX reads them.
fn included(folder: &Path, pattern: &str) -> Result<Vec<(String, String)>, String> {
    // A copy of NGINX's folder is elsewhere.
    let copied = pattern.strip_prefix("/etc/nginx/").filter(|_| !Path::new(pattern).parent().is_some_and(Path::exists));
    let files = matching(folder, copied.unwrap_or(pattern));
    if files.is_empty() && !pattern.contains(['*', '?', '[']) {
        return Err("there is no such file".to_owned());
    }
    let read = |file: PathBuf| {
        let text = read(&file)?;
        let name = file.strip_prefix(folder).unwrap_or(&file).display().to_string();
        Ok((name, text))
    };
    files.into_iter().map(read).collect()
}

/// The files whose path matches, segment by segment.
fn matching(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![if pattern.starts_with('/') { PathBuf::from("/") } else { folder.to_owned() }];
    for segment in pattern.split('/').filter(|segment| !segment.is_empty()) {
        let mut next = Vec::new();
        for folder in found {
            if !segment.contains(['*', '?', '[']) {
                next.push(folder.join(segment));
                continue;
            }
            let folder_or_here = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
            let names = fs::read_dir(folder_or_here).into_iter().flatten().flatten();
            let names = names.filter_map(|entry| entry.file_name().into_string().ok());
            let is_hidden = |name: &str| name.starts_with('.') && !segment.starts_with('.');
            let mut names: Vec<String> = names.filter(|name| !is_hidden(name) && glob(segment, name)).collect();
            names.sort();
            next.extend(names.into_iter().take(1000).map(|name| folder.join(name)));
        }
        found = next;
    }
    found.retain(|file| file.is_file());
    found
}

/// Returns true if `*`, `?` and literal characters match; a set of characters matches any one.
fn glob(pattern: &str, name: &str) -> bool {
    let mut regex = String::from("^");
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' => regex += ".*",
            '?' => regex += ".",
            '[' => {
                regex += ".";
                while rest.next().is_some_and(|c| c != ']') {}
            }
            c => regex += &crate::import::conditions::escaped(&c.to_string()),
        }
    }
    crossfade_rule::Regex::new(&(regex + "$")).is_ok_and(|regex| regex.is_match(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Locations with all modifiers, nested and with borders in common, in a file.
    fn conf() -> impl Strategy<Value = String> {
        let segment = proptest::sample::select(vec!["/", "/a", "/a/", "/a/b", "/a/b/", "/ab", "/a/c.x", "/b.x"]);
        let regex = proptest::sample::select(vec![r"\.x$", "^/a/", "b", "(?i)^/A/B", "/c"]);
        let location = (segment, regex, 0..5_u8, proptest::bool::ANY);
        let nested = proptest::collection::vec(location.clone(), 0..3);
        proptest::collection::vec((location, nested), 1..6).prop_map(|locations| {
            let mut text = String::from("server { listen 80; server_name a.example.com;\n");
            let mut number = 0;
            let mut head = |(segment, regex, kind, slash): (&str, &str, u8, bool),
                            outer: &str,
                            seen: &mut Vec<String>| {
                number += 1;
                let path = if segment.starts_with(outer) {
                    segment.to_owned()
                } else {
                    format!("{outer}{segment}").replace("//", "/")
                };
                let words = match kind {
                    0 => format!("= {path}"),
                    1 => format!("^~ {path}"),
                    2 => format!("~ {regex}"),
                    _ => path.clone(),
                };
                // NGINX rejects the same prefix twice.
                let key = if kind == 1 { path.clone() } else { words.clone() };
                let is_new = !seen.contains(&key);
                seen.push(key);
                let uri = if slash && kind != 2 { "/u" } else { "" };
                is_new.then(|| (format!("location {words} {{ proxy_pass http://10.0.0.{number}{uri}; "), path, kind))
            };
            let mut seen = Vec::new();
            for (location, nested) in locations {
                let Some((start, path, kind)) = head(location, "", &mut seen) else { continue };
                text += &start;
                let mut inner_seen = Vec::new();
                for inner in nested {
                    // NGINX has only regexes within a regex, and nothing within a single path.
                    let inner = if kind == 2 { (inner.0, inner.1, 2, inner.3) } else { inner };
                    if kind > 0 {
                        let outer = if kind == 2 { "" } else { &*path };
                        if let Some((start, ..)) = head(inner, outer, &mut inner_seen) {
                            text += &format!("{start}}} ");
                        }
                    }
                }
                text += "}\n";
            }
            text + "}\n"
        })
    }

    fn mistakes(text: &str) -> String {
        let include = |_: &str| Err("none".to_owned());
        let Imported { mut file, mut findings, requests } = nginx::import("nginx.conf", text, &include, None).unwrap();
        with_tests(&mut file, &mut findings, &requests).unwrap();
        let list = findings.text();
        list.lines().filter(|line| line.contains("a bug")).map(|line| format!("{line}\n")).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn routes_choose_as_nginx_chooses_locations(text in conf()) {
            prop_assert_eq!(mistakes(&text), "", "{}", text);
        }

        #[test]
        fn no_file_makes_it_fail(words in proptest::collection::vec(proptest::sample::select(vec![
            "server", "location", "{", "}", ";", "/a/", "~", "=", "proxy_pass", "http://a", "$x", "map", "if", "($x", "= 1)", "return", "301",
            "rewrite", "^/(a)$", "/$1", "break", "upstream", "a", "split_clients", "10%", "*", "server_name", "mirror", "include", "internal",
        ]), 0..60)) {
            let include = |_: &str| Err("none".to_owned());
            let text = words.join(" ");
            if let Ok(Imported { mut file, mut findings, requests }) = nginx::import("nginx.conf", &text, &include, None) {
                prop_assert!(with_tests(&mut file, &mut findings, &requests).is_ok(), "{}", text);
            }
        }
    }

    #[test]
    fn patterns_of_include_are_those_of_a_shell() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("a?.[ab]", "a1.b", true),
            ("a.c", "abc", false),
        ] {
            assert_eq!(glob(pattern, name), expected, "{pattern} {name}");
        }
    }
}
