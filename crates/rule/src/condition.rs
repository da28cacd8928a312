//! The six condition types of an ALB listener rule: what each accepts as a value, and when each holds. The source of every
//! rule is the page "Condition types for listener rules" of the ALB user guide and the ELBv2 API reference.
//! Does not own the wildcard matching (`wildcard.rs`) nor how many and how long values may be (`quota.rs`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderName, header};
use ipnet::IpNet;
use thiserror::Error;

use crate::pattern::Pattern;
use crate::request::RequestView;
use crate::wildcard::{Case, Escapes};

/// One condition of a listener rule. It holds if any of its values matches; a rule holds if all its conditions do.
///
/// Made by the constructors, which validate as ALB does and compile the values; or, where ALB's alphabets do not hold, put
/// together of patterns. How many and how long values may be is [`crate::check_quotas`]'s.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Condition {
    /// `host-header`: the host without its port; case is ignored.
    Host(Vec<Pattern>),
    /// `path-pattern`: the path without the query; case counts.
    Path(Vec<Pattern>),
    /// `http-request-method`: exact, no wildcards.
    Method(Vec<Box<str>>),
    /// `http-header`: any of the values that the request has for this field; case is ignored.
    Header {
        /// The field's name.
        name: HeaderName,
        /// Any of these.
        values: Vec<Pattern>,
    },
    /// `query-string`: any pair of the query, undecoded; case is ignored.
    Query(Vec<QueryValue>),
    /// `source-ip`: the TCP peer is in one of the ranges.
    Ip(Vec<IpNet>),
}

/// One value of a query condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueryValue {
    /// `None`: any key.
    pub key: Option<Pattern>,
    /// What the pair's value must match.
    pub value: Pattern,
}

/// A condition that ALB would refuse.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConditionError {
    /// A condition without values.
    #[error("condition `{kind}` has no values")]
    NoValues {
        /// The kind of condition.
        kind: &'static str,
    },
    /// An empty value (or key, or header name).
    #[error("condition `{kind}` has an empty {part}")]
    Empty {
        /// The kind of condition.
        kind: &'static str,
        /// The part of it.
        part: &'static str,
    },
    /// A regex that is none, or too large.
    #[error("condition `{kind}`: `{value}` is no regex that ALB takes: {problem}")]
    Regex {
        /// The kind of condition.
        kind: &'static str,
        /// The value.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A value with a character that ALB does not take in this kind of condition.
    #[error("condition `{kind}`: `{value}` contains {character:?}, ALB allows {allowed}")]
    Character {
        /// The kind of condition.
        kind: &'static str,
        /// The value.
        value: String,
        /// The first character that is not allowed.
        character: char,
        /// What is.
        allowed: &'static str,
    },
    /// A host that ALB does not take as a pattern.
    #[error("condition `host`: `{value}` is not a host pattern: it needs a `.` and only letters after the last one")]
    Host {
        /// The value.
        value: String,
    },
    /// A header name that cannot be one, or `Host`.
    #[error("condition `header`: `{name}` {problem}")]
    HeaderName {
        /// The name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An address range that is none.
    #[error("condition `ip`: `{value}` {problem}")]
    Range {
        /// The value.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Condition {
    /// `host-header`. Of `A-Z a-z 0-9 - . * ?`, at least one `.`, only letters after the last.
    pub fn host<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> Result<Self, ConditionError> {
        let allowed = Allowed { bytes: b"-.*?", described: "letters, digits and `- . * ?`" };
        collect("host", values, |value| {
            check("host", value, &allowed)?;
            let last_label = value.rsplit_once('.').map(|(_, label)| label);
            if !last_label.is_some_and(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphabetic())) {
                return Err(ConditionError::Host { value: value.to_owned() });
            }
            Ok(Pattern::wildcard(value, Case::Insensitive, Escapes::None))
        })
        .map(Self::Host)
    }

    /// `path-pattern`. Of `A-Z a-z 0-9 _ - . $ / ~ " ' @ : + & * ?`, and `%`: the documented alphabet has no `%`,
    /// yet it is how users write what is not ASCII. `&` may be written `&amp;`, as the documentation asks for.
    pub fn path<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> Result<Self, ConditionError> {
        let allowed =
            Allowed { bytes: b"_-.$/~\"'@:+&*?%", described: "letters, digits and `_ - . $ / ~ \" ' @ : + & % * ?`" };
        collect("path", values, |value| {
            let plain = value.replace("&amp;", "&");
            check("path", &plain, &allowed)?;
            Ok(Pattern::wildcard(&plain, Case::Sensitive, Escapes::None))
        })
        .map(Self::Path)
    }

    /// `http-request-method`. Of `A-Z - _`.
    pub fn method<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> Result<Self, ConditionError> {
        collect("method", values, |value| {
            match value.chars().find(|c| !(c.is_ascii_uppercase() || matches!(c, '-' | '_'))) {
                Some(character) => Err(ConditionError::Character {
                    kind: "method",
                    value: value.to_owned(),
                    character,
                    allowed: "capital letters, `-` and `_`",
                }),
                None => Ok(value.into()),
            }
        })
        .map(Self::Method)
    }

    /// `http-header`. The name: a field name without wildcards, not `Host` (there is a condition for
    /// that). Values: visible ASCII characters and spaces.
    pub fn header<S: AsRef<str>>(name: &str, values: impl IntoIterator<Item = S>) -> Result<Self, ConditionError> {
        let name = header_name(name)?;
        let values = collect("header", values, |value| {
            check("header", value, &VISIBLE)?;
            Ok(Pattern::wildcard(value, Case::Insensitive, Escapes::None))
        })?;
        Ok(Self::Header { name, values })
    }

    /// `host-header` by regexes, which search and ignore case.
    pub fn host_regex<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> Result<Self, ConditionError> {
        regexes("host", values, Case::Insensitive).map(Self::Host)
    }

    /// `path-pattern` by regexes, which search; case counts.
    pub fn path_regex<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> Result<Self, ConditionError> {
        regexes("path", values, Case::Sensitive).map(Self::Path)
    }

    /// `http-header` by regexes, which search and ignore case.
    pub fn header_regex<S: AsRef<str>>(
        name: &str,
        values: impl IntoIterator<Item = S>,
    ) -> Result<Self, ConditionError> {
        let name = header_name(name)?;
        Ok(Self::Header { name, values: regexes("header", values, Case::Insensitive)? })
    }

    /// `query-string`. Each value is a pair of an optional key (`None`: any key) and a value, of visible ASCII
    /// characters; `\*` and `\?` are the characters themselves.
    pub fn query<K: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (Option<K>, V)>,
    ) -> Result<Self, ConditionError> {
        let compile = |text: &str, part| {
            if text.is_empty() {
                return Err(ConditionError::Empty { kind: "query", part });
            }
            check("query", text, &VISIBLE)?;
            Ok(Pattern::wildcard(text, Case::Insensitive, Escapes::Backslash))
        };
        let mut values = Vec::new();
        for (key, value) in pairs {
            let key = key.map(|key| compile(key.as_ref(), "key")).transpose()?;
            values.push(QueryValue { key, value: compile(value.as_ref(), "value")? });
        }
        if values.is_empty() {
            return Err(ConditionError::NoValues { kind: "query" });
        }
        Ok(Self::Query(values))
    }

    /// `source-ip`. Ranges in CIDR notation, IPv4 or IPv6, not `255.255.255.255/32`.
    pub fn ip<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> Result<Self, ConditionError> {
        let ranges = collect("ip", values, |value| {
            let error = |problem| ConditionError::Range { value: value.to_owned(), problem };
            let range: IpNet = match value.parse() {
                Ok(range) => range,
                Err(_) if value.parse::<Ipv4Addr>().is_ok() => {
                    return Err(error("is not a CIDR range; for one address add `/32`"));
                }
                Err(_) if value.parse::<IpAddr>().is_ok() => {
                    return Err(error("is not a CIDR range; for one address add `/128`"));
                }
                Err(_) => return Err(error("is not a CIDR range such as `192.0.2.0/24` or `2001:db8::/32`")),
            };
            if range.addr() == IpAddr::V4(Ipv4Addr::BROADCAST) && range.prefix_len() == 32 {
                return Err(error("is not allowed by ALB"));
            }
            Ok(range)
        })?;
        Ok(Self::Ip(ranges))
    }

    /// Whether the request meets this condition.
    pub fn matches(&self, request: &RequestView<'_>) -> bool {
        match self {
            Self::Host(values) => {
                let host = request.host_name();
                values.iter().any(|value| value.matches(host))
            }
            Self::Path(values) => values.iter().any(|value| value.matches(request.path)),
            Self::Method(values) => values.iter().any(|value| **value == *request.method),
            Self::Header { name, values } => {
                let mut sent = request.headers.get_all(name).iter();
                sent.any(|field| values.iter().any(|value| value.matches(field.as_bytes())))
            }
            Self::Query(values) => request.query_pairs().any(|(key, value)| {
                values.iter().any(|wanted| {
                    wanted.key.as_ref().is_none_or(|pattern| pattern.matches(key)) && wanted.value.matches(value)
                })
            }),
            Self::Ip(ranges) => request.source_ip.is_some_and(|address| {
                // A dual-stack socket shows IPv4 peers as `::ffff:a.b.c.d`.
                let address = address.to_canonical();
                ranges.iter().any(|range| range.contains(&address))
            }),
        }
    }

    /// Whether it holds for every request that `other` holds for. May say no though it does.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Host(wide), Self::Host(narrow)) | (Self::Path(wide), Self::Path(narrow)) => {
                each_is_covered(wide, narrow, Pattern::covers)
            }
            (Self::Method(wide), Self::Method(narrow)) => each_is_covered(wide, narrow, |wide, narrow| wide == narrow),
            (Self::Header { name, values: wide }, Self::Header { name: other, values: narrow }) => {
                name == other && each_is_covered(wide, narrow, Pattern::covers)
            }
            (Self::Query(wide), Self::Query(narrow)) => each_is_covered(wide, narrow, QueryValue::covers),
            (Self::Ip(wide), Self::Ip(narrow)) => each_is_covered(wide, narrow, |wide, narrow| wide.contains(narrow)),
            _ => false,
        }
    }

    /// The word for this kind of condition in configuration files: `host`, `path`, `method`, `header`, `query` or `ip`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Host(_) => "host",
            Self::Path(_) => "path",
            Self::Method(_) => "method",
            Self::Header { .. } => "header",
            Self::Query(_) => "query",
            Self::Ip(_) => "ip",
        }
    }

    /// Returns the condition for people to read: `hidden` replaces the values of fields and of keys of the query that
    /// `is_secret` names. Those of `Cookie` stay, since a condition on it is a part of one, such as `*beta=1*`.
    #[must_use]
    pub fn without_secrets(&self, is_secret: impl Fn(&str) -> bool, hidden: &str) -> Self {
        let hidden = || Pattern::exact(hidden);
        match self {
            Self::Header { name, .. } if *name != header::COOKIE && is_secret(name.as_str()) => {
                Self::Header { name: name.clone(), values: vec![hidden()] }
            }
            Self::Query(values) => {
                let is_shown = |pair: &QueryValue| !pair.key.as_ref().is_some_and(|key| is_secret(key.source()));
                let shown = |pair: &QueryValue| {
                    let value = if is_shown(pair) { pair.value.clone() } else { hidden() };
                    QueryValue { key: pair.key.clone(), value }
                };
                Self::Query(values.iter().map(shown).collect())
            }
            _ => self.clone(),
        }
    }

    pub(crate) fn value_count(&self) -> usize {
        match self {
            Self::Host(values) | Self::Path(values) | Self::Header { values, .. } => values.len(),
            Self::Method(values) => values.len(),
            Self::Query(values) => values.len(),
            Self::Ip(ranges) => ranges.len(),
        }
    }

    pub(crate) fn wildcard_count(&self) -> usize {
        match self {
            Self::Host(values) | Self::Path(values) | Self::Header { values, .. } => {
                values.iter().map(Pattern::wildcards).sum()
            }
            Self::Query(values) => {
                values.iter().map(|pair| pair.key.as_ref().map_or(0, Pattern::wildcards) + pair.value.wildcards()).sum()
            }
            Self::Method(_) | Self::Ip(_) => 0,
        }
    }
}

/// `path is /a/* or /b`, `header x-beta is 1`, `query v=2 or *=3`, `ip is in 10.0.0.0/8`.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(values) => write!(f, "host is {}", Or(values)),
            Self::Path(values) => write!(f, "path is {}", Or(values)),
            Self::Method(values) => write!(f, "method is {}", Or(values)),
            Self::Header { name, values } => write!(f, "header {name} is {}", Or(values)),
            Self::Query(values) => write!(f, "query has {}", Or(values)),
            Self::Ip(ranges) => write!(f, "ip is in {}", Or(ranges)),
        }
    }
}

impl QueryValue {
    fn covers(&self, other: &Self) -> bool {
        let any_key = self.key.is_none();
        let key =
            any_key || self.key.as_ref().zip(other.key.as_ref()).is_some_and(|(wide, narrow)| wide.covers(narrow));
        key && self.value.covers(&other.value)
    }
}

fn each_is_covered<T>(wide: &[T], narrow: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
    narrow.iter().all(|narrow| wide.iter().any(|wide| covers(wide, narrow)))
}

/// `key=value`; a pair that takes any key is shown with the key `*`.
impl fmt::Display for QueryValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{key}={}", self.value),
            None => write!(f, "*={}", self.value),
        }
    }
}

struct Or<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Or<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, value) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " or " };
            write!(f, "{separator}{value}")?;
        }
        Ok(())
    }
}

/// The characters of a value besides ASCII letters and digits.
struct Allowed {
    bytes: &'static [u8],
    described: &'static str,
}

/// ALB compares visible ASCII characters; a space is one of a header value's.
const VISIBLE: Allowed =
    Allowed { bytes: b" !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", described: "visible ASCII characters" };

fn check(kind: &'static str, value: &str, allowed: &Allowed) -> Result<(), ConditionError> {
    let Allowed { bytes, described } = allowed;
    let fits = |c: &char| c.is_ascii_alphanumeric() || u8::try_from(*c).is_ok_and(|byte| bytes.contains(&byte));
    match value.chars().find(|c| !fits(c)) {
        Some(character) => {
            Err(ConditionError::Character { kind, value: value.to_owned(), character, allowed: described })
        }
        None => Ok(()),
    }
}

/// Case counts in paths only, as with globs.
fn regexes<S: AsRef<str>>(
    kind: &'static str,
    values: impl IntoIterator<Item = S>,
    case: Case,
) -> Result<Vec<Pattern>, ConditionError> {
    collect(kind, values, |value| {
        Pattern::regex(value, case).map_err(|error| ConditionError::Regex {
            kind,
            value: value.to_owned(),
            problem: error.to_string(),
        })
    })
}

fn header_name(name: &str) -> Result<HeaderName, ConditionError> {
    let error = |problem| ConditionError::HeaderName { name: name.to_owned(), problem };
    if name.is_empty() {
        return Err(ConditionError::Empty { kind: "header", part: "name" });
    }
    // `*` is a legal character of a field name (RFC 9110 section 5.6.2), but ALB users mean a wildcard by it.
    if name.contains(['*', '?']) {
        return Err(error("is not a header name: wildcards work in values only"));
    }
    match HeaderName::from_bytes(name.as_bytes()) {
        Ok(header::HOST) => Err(error("is not allowed here; use a `host` condition")),
        Ok(parsed) => Ok(parsed),
        Err(_) => Err(error("is not a header name")),
    }
}

/// Compiles each value; none at all and an empty one are errors in every kind of condition.
fn collect<S: AsRef<str>, T>(
    kind: &'static str,
    values: impl IntoIterator<Item = S>,
    compile: impl Fn(&str) -> Result<T, ConditionError>,
) -> Result<Vec<T>, ConditionError> {
    let mut compiled = Vec::new();
    for value in values {
        let value = value.as_ref();
        if value.is_empty() {
            return Err(ConditionError::Empty { kind, part: "value" });
        }
        compiled.push(compile(value)?);
    }
    if compiled.is_empty() {
        return Err(ConditionError::NoValues { kind });
    }
    Ok(compiled)
}
