//! The six condition types of an ALB listener rule: which values each accepts, and when it matches.
//!
//! Implements the page "Condition types for listener rules" of the ALB user guide and the ELBv2 API reference. Does not
//! own wildcard matching (`wildcard.rs`) or quotas on the number and length of values (`quota.rs`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderName, header};
use ipnet::IpNet;
use thiserror::Error;

use crate::pattern::Pattern;
use crate::request::RequestView;
use crate::wildcard::{Case, Escapes};

/// One condition of a listener rule. It matches if any of its values matches; a rule matches if all its conditions do.
///
/// The constructors validate as ALB does and compile the values. Where ALB's alphabets do not apply, callers build the
/// variants from patterns. [`crate::check_quotas`] checks the number and length of values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// `host-header`: the host without its port, ignoring case.
    Host(Vec<Pattern>),
    /// `path-pattern`: the normalised path without the query, case-sensitive.
    Path(Vec<Pattern>),
    /// `http-request-method`: the exact method, without wildcards.
    Method(Vec<Box<str>>),
    /// `http-header`: any value of this field, ignoring case.
    Header {
        /// The field's name.
        name: HeaderName,
        /// Alternatives.
        values: Vec<Pattern>,
    },
    /// `query-string`: any pair of the query, not decoded, ignoring case.
    Query(Vec<QueryValue>),
    /// `source-ip`: ranges that contain the TCP peer's address.
    Ip(Vec<IpNet>),
}

/// One value of a query condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueryValue {
    /// `None` matches any key.
    pub key: Option<Pattern>,
    /// Pattern for the pair's value.
    pub value: Pattern,
}

/// A condition that ALB would reject.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConditionError {
    /// A condition without values.
    #[error("condition `{kind}` has no values")]
    NoValues {
        /// The condition type, as [`Condition::kind`] returns it.
        kind: &'static str,
    },
    /// An empty value, query key or header name.
    #[error("condition `{kind}` has an empty {part}")]
    Empty {
        /// The condition type.
        kind: &'static str,
        /// The empty part: `value`, `key` or `name`.
        part: &'static str,
    },
    /// An invalid or too large regex.
    #[error("condition `{kind}`: `{value}` is not a regex that ALB accepts: {problem}")]
    Regex {
        /// The condition type.
        kind: &'static str,
        /// The regex.
        value: String,
        /// The regex engine's error.
        problem: String,
    },
    /// A value with a character that ALB does not allow in this condition type.
    #[error("condition `{kind}`: `{value}` contains {character:?}, ALB allows {allowed}")]
    Character {
        /// The condition type.
        kind: &'static str,
        /// The value.
        value: String,
        /// The first character that is not allowed.
        character: char,
        /// The allowed characters in words.
        allowed: &'static str,
    },
    /// A host that ALB does not accept as a pattern.
    #[error("condition `host`: `{value}` is not a host pattern: it needs a `.` and only letters after the last one")]
    Host {
        /// The value.
        value: String,
    },
    /// An invalid header name, or `Host`.
    #[error("condition `header`: `{name}` {problem}")]
    HeaderName {
        /// The name.
        name: String,
        /// The problem, to be read after the name.
        problem: &'static str,
    },
    /// An invalid address range.
    #[error("condition `ip`: `{value}` {problem}")]
    Range {
        /// The value.
        value: String,
        /// The problem, to be read after the value.
        problem: &'static str,
    },
}

impl Condition {
    /// Builds a `host-header` condition. Values consist of `A-Z a-z 0-9 - . * ?` and have at least one `.`, with only
    /// letters after the last one.
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

    /// Builds a `path-pattern` condition. Values consist of `A-Z a-z 0-9 _ - . $ / ~ " ' @ : + & * ?` and `%`. The
    /// documented alphabet has no `%`, but users need it for non-ASCII characters. `&amp;` means `&`, as documented.
    pub fn path<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> Result<Self, ConditionError> {
        let allowed =
            Allowed { bytes: b"_-.$/~\"'@:+&*?%", described: "letters, digits and `_ - . $ / ~ \" ' @ : + & % * ?`" };
        collect("path", values, |value| {
            let plain = value.replace("&amp;", "&");
            check("path", &plain, &allowed)?;
            Ok(Pattern::wildcard(&plain, Case::Sensitive, Escapes::None).for_paths())
        })
        .map(Self::Path)
    }

    /// Builds an `http-request-method` condition. Values consist of `A-Z - _`.
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

    /// Builds an `http-header` condition. The name is a field name without wildcards and not `Host`, which has a
    /// condition of its own. Values consist of visible ASCII characters and spaces.
    pub fn header<S: AsRef<str>>(name: &str, values: impl IntoIterator<Item = S>) -> Result<Self, ConditionError> {
        let name = header_name(name)?;
        let values = collect("header", values, |value| {
            check("header", value, &VISIBLE)?;
            Ok(Pattern::wildcard(value, Case::Insensitive, Escapes::None))
        })?;
        Ok(Self::Header { name, values })
    }

    /// Builds a `host-header` condition from regexes, which are unanchored and ignore case.
    pub fn host_regex<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> Result<Self, ConditionError> {
        regexes("host", values, Case::Insensitive).map(Self::Host)
    }

    /// Builds a `path-pattern` condition from regexes, which are unanchored and case-sensitive.
    pub fn path_regex<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> Result<Self, ConditionError> {
        regexes("path", values, Case::Sensitive).map(Self::Path)
    }

    /// Builds an `http-header` condition from regexes, which are unanchored and ignore case.
    pub fn header_regex<S: AsRef<str>>(
        name: &str,
        values: impl IntoIterator<Item = S>,
    ) -> Result<Self, ConditionError> {
        let name = header_name(name)?;
        Ok(Self::Header { name, values: regexes("header", values, Case::Insensitive)? })
    }

    /// Builds a `query-string` condition. Each value is an optional key (`None` matches any key) and a value, both of
    /// visible ASCII characters. `\*` and `\?` are literal.
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

    /// Builds a `source-ip` condition from IPv4 or IPv6 ranges in CIDR notation, except `255.255.255.255/32`.
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
                return Err(error("is rejected by ALB"));
            }
            Ok(range)
        })?;
        Ok(Self::Ip(ranges))
    }

    /// Returns `true` if the request satisfies this condition.
    pub fn matches(&self, request: &RequestView<'_>) -> bool {
        match self {
            Self::Host(values) => {
                let host = request.host_name();
                values.iter().any(|value| value.matches(host))
            }
            Self::Path(values) => values.iter().any(|value| value.matches(&request.path)),
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

    /// Returns `true` only if this condition matches every request that `other` matches. May return `false` even if it
    /// does.
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

    /// Returns the condition type's name in configuration files: `host`, `path`, `method`, `header`, `query` or `ip`.
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

    /// Returns a copy for display, in which `hidden` replaces the values of fields and query keys that `is_secret` names.
    /// Values of `Cookie` stay, since they match only a part of the field, such as `*beta=1*`.
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

/// Renders as `path is /a/* or /b`, `header x-beta is 1`, `query has v=2 or *=3` or `ip is in 10.0.0.0/8`.
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

/// Renders as `key=value`; the key is `*` if any key matches.
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

/// ALB compares visible ASCII characters; header values may also contain spaces.
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

/// Compiles regexes; paths are case-sensitive, as with wildcards.
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
    // `*` is legal in a field name (RFC 9110 section 5.6.2), but ALB users expect it to be a wildcard.
    if name.contains(['*', '?']) {
        return Err(error("is not a header name: wildcards work in values only"));
    }
    match HeaderName::from_bytes(name.as_bytes()) {
        Ok(header::HOST) => Err(error("is not allowed here; use a `host` condition")),
        Ok(parsed) => Ok(parsed),
        Err(_) => Err(error("is not a header name")),
    }
}

/// Compiles each value. Rejects an empty list and empty values, as every condition type does.
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
