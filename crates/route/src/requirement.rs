//! The conditions of a route: those of ALB from `crossfade-rule`, and what ALB has no word for. Owns when they hold and how
//! they read; how they are written in the file is `config`'s.

use std::fmt;

use crossfade_journal::redaction::{HIDDEN, is_secret_name, is_secret_parameter};
use crossfade_rule::{Condition, Pattern, RequestView};
use http::header::{AUTHORIZATION, COOKIE, HeaderName, PROXY_AUTHORIZATION};

/// One thing that must hold for a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Requirement {
    /// One of ALB's six.
    Alb(Condition),
    /// `cookie`: any cookie of this name has one of the values.
    Cookie { name: Box<str>, values: Vec<Pattern> },
    /// `anyOf`: all of one group.
    AnyOf(Vec<Vec<Requirement>>),
    /// `not`: these do not hold together.
    Not(Vec<Requirement>),
}

/// Whether all of them hold.
pub(crate) fn all_hold(requirements: &[Requirement], request: &RequestView<'_>) -> bool {
    requirements.iter().all(|requirement| requirement.holds(request))
}

impl Requirement {
    pub(crate) fn holds(&self, request: &RequestView<'_>) -> bool {
        match self {
            Requirement::Alb(condition) => condition.matches(request),
            Requirement::Cookie { name, values } => request
                .cookies()
                .any(|(key, value)| key == name.as_bytes() && values.iter().any(|wanted| wanted.matches(value))),
            Requirement::AnyOf(groups) => groups.iter().any(|group| all_hold(group, request)),
            Requirement::Not(group) => !all_hold(group, request),
        }
    }

    /// Whether it holds for every request that `other` holds for. May say no though it does.
    pub(crate) fn covers(&self, other: &Requirement) -> bool {
        match (self, other) {
            (Requirement::Alb(wide), Requirement::Alb(narrow)) => wide.covers(narrow),
            (Requirement::AnyOf(groups), narrow) if self != narrow => {
                groups.iter().any(|group| matches!(group.as_slice(), [only] if only.covers(narrow)))
            }
            (wide, narrow) => wide == narrow,
        }
    }

    /// The values of a `path` condition.
    pub(crate) fn path_patterns(&self) -> Option<&[Pattern]> {
        match self {
            Requirement::Alb(Condition::Path(patterns)) => Some(patterns),
            _ => None,
        }
    }

    /// The values of a `host` condition.
    pub(crate) fn host_patterns(&self) -> Option<&[Pattern]> {
        match self {
            Requirement::Alb(Condition::Host(patterns)) => Some(patterns),
            _ => None,
        }
    }

    /// What a request has where this looks, for people. No credentials.
    pub(crate) fn found(&self, request: &RequestView<'_>) -> String {
        match self {
            Requirement::Alb(Condition::Host(_)) => format!("the host is {}", lossy(request.host_name())),
            Requirement::Alb(Condition::Path(_)) => format!("the path is {}", lossy(request.path)),
            Requirement::Alb(Condition::Method(_)) => format!("the method is {}", request.method),
            Requirement::Alb(Condition::Header { name, .. }) => found_field(request, name),
            Requirement::Alb(Condition::Query(_)) => match request.query {
                Some(query) => format!("the query is {}", lossy(query)),
                None => "there is no query".to_owned(),
            },
            Requirement::Alb(Condition::Ip(_)) => match request.source_ip {
                Some(ip) => format!("the client is {ip}"),
                None => "the client's address is not known".to_owned(),
            },
            Requirement::Alb(_) => String::new(),
            Requirement::Cookie { name, .. } => {
                let mut sent = request.cookies().filter(|(key, _)| *key == name.as_bytes()).peekable();
                if sent.peek().is_none() {
                    format!("there is no cookie {name}")
                } else {
                    "it has another value".to_owned()
                }
            }
            Requirement::AnyOf(_) => "none of them holds".to_owned(),
            Requirement::Not(_) => "that holds".to_owned(),
        }
    }
}

fn found_field(request: &RequestView<'_>, name: &HeaderName) -> String {
    let lines: Vec<_> = request.headers.get_all(name).iter().map(|value| lossy(value.as_bytes())).collect();
    if lines.is_empty() {
        format!("there is no field {name}")
    } else if [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].contains(name) {
        "it has another value".to_owned()
    } else {
        format!("it is {}", lines.join(" and "))
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `path is /a/* or /b`, `cookie beta is 1`, `not (method is GET and path is /a)`, `any of (host is a.b), (ip is in ::/0)`.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Requirement::Alb(condition) => condition.without_secrets(is_secret_parameter, HIDDEN).fmt(f),
            Requirement::Cookie { name, .. } if is_secret_name(name) => write!(f, "cookie {name} is {HIDDEN}"),
            Requirement::Cookie { name, values } => {
                let values: Vec<_> = values.iter().map(ToString::to_string).collect();
                write!(f, "cookie {name} is {}", values.join(" or "))
            }
            Requirement::AnyOf(groups) => {
                let groups: Vec<_> = groups.iter().map(|group| format!("({})", All(group))).collect();
                write!(f, "any of {}", groups.join(", "))
            }
            Requirement::Not(group) => write!(f, "not ({})", All(group)),
        }
    }
}

/// All of some, in words.
pub(crate) struct All<'a>(pub(crate) &'a [Requirement]);

impl fmt::Display for All<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " and " };
            write!(f, "{separator}{requirement}")?;
        }
        Ok(())
    }
}
