//! The conditions of a route: ALB's from `crossfade-rule`, and those that ALB lacks. Owns their evaluation and
//! description; `config` owns their syntax.

use std::fmt;

use crossfade_journal::redaction::{HIDDEN, is_secret_name, is_secret_parameter};
use crossfade_rule::{Condition, Pattern, RequestView};
use http::header::{AUTHORIZATION, COOKIE, HeaderName, PROXY_AUTHORIZATION};

/// One condition of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Requirement {
    /// One of ALB's six condition types.
    Alb(Condition),
    /// `cookie`: any cookie of this name has one of the values.
    Cookie { name: Box<str>, values: Vec<Pattern> },
    /// `anyOf`: all conditions of one group hold.
    AnyOf(Vec<Vec<Requirement>>),
    /// `not`: not all of these hold.
    Not(Vec<Requirement>),
}

/// Returns `true` if all conditions hold.
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

    /// Returns the condition of ALB, if it is one.
    pub(crate) fn as_alb(&self) -> Option<&Condition> {
        if let Requirement::Alb(condition) = self { Some(condition) } else { None }
    }

    /// Returns `true` only if this condition holds for every request that `other` holds for. May return `false` even if
    /// it does.
    pub(crate) fn covers(&self, other: &Requirement) -> bool {
        match (self, other) {
            (Requirement::Alb(wide), Requirement::Alb(narrow)) => wide.covers(narrow),
            (Requirement::AnyOf(groups), narrow) if self != narrow => {
                groups.iter().any(|group| matches!(group.as_slice(), [only] if only.covers(narrow)))
            }
            (wide, narrow) => wide == narrow,
        }
    }

    /// As [`Condition::resemblance`].
    pub(crate) fn resemblance(&self, request: &RequestView<'_>) -> Option<usize> {
        match self {
            Requirement::Alb(condition) => condition.resemblance(request),
            Requirement::Cookie { .. } | Requirement::AnyOf(_) | Requirement::Not(_) => None,
        }
    }

    /// Returns the values of a `path` condition.
    pub(crate) fn path_patterns(&self) -> Option<&[Pattern]> {
        match self {
            Requirement::Alb(Condition::Path(patterns)) => Some(patterns),
            _ => None,
        }
    }

    /// Returns the values of a `host` condition.
    pub(crate) fn host_patterns(&self) -> Option<&[Pattern]> {
        match self {
            Requirement::Alb(Condition::Host(patterns)) => Some(patterns),
            _ => None,
        }
    }

    /// Describes the tested part of the request, without credentials.
    pub(crate) fn found(&self, request: &RequestView<'_>) -> String {
        match self {
            Requirement::Alb(Condition::Host(_)) => format!("the host is {}", lossy(request.host_name())),
            Requirement::Alb(Condition::Path(_)) => format!("the path is {}", lossy(&request.path)),
            Requirement::Alb(Condition::Method(_)) => format!("the method is {}", request.method),
            Requirement::Alb(Condition::Header { name, .. }) => found_field(request, name),
            Requirement::Alb(Condition::Query(_)) => match request.query {
                Some(query) => format!("the query is {}", lossy(query)),
                None => "there is no query".to_owned(),
            },
            Requirement::Alb(Condition::Ip(_)) => match request.source_ip {
                Some(ip) => format!("the client is {ip}"),
                None => "the client's address is unknown".to_owned(),
            },
            Requirement::Cookie { name, .. } => {
                let mut sent = request.cookies().filter(|(key, _)| *key == name.as_bytes()).peekable();
                if sent.peek().is_none() {
                    format!("there is no cookie {name}")
                } else {
                    "it has another value".to_owned()
                }
            }
            Requirement::AnyOf(_) => "none of them matches".to_owned(),
            Requirement::Not(_) => "its conditions hold".to_owned(),
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

/// Renders as `path is /a/* or /b`, `cookie beta is 1`, `not (method is GET and path is /a)` or `any of (host is a.b),
/// (ip is in ::/0)`.
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

/// Renders conditions, joined by `and`.
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
