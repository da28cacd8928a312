//! The rules of a comparison: the compiled form of `compare` in the configuration, and the parsers of its values. The
//! modules of each kind of content apply them.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::HeaderName;
use regex_lite::{Regex, RegexBuilder};

use crate::endpoint::PathTemplate;
use crate::markup::Selector;
use crate::spot::Spot;
use crate::treat_equal::TreatEqual;
use crate::work::{Stop, Work};

/// Steps of a pointer.
pub(crate) const MAX_STEPS: usize = 64;
/// Occurrences of `**` in a pointer.
const MAX_ANY_DEPTH: usize = 2;

/// Bytes of a compiled mask.
const MAX_MASK: usize = 64 * 1024;
/// Beginnings of places in content that is not JSON.
pub(crate) const WRITTEN: [&str; 5] = ["selector: ", "column: ", "line: ", "variable: ", "url: "];

/// All rules. The default is that of an empty `compare`.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// `headers`: the fields that are compared.
    pub headers: FieldNames,
    /// `ignore`: places that may differ in any way, including everything below.
    pub ignore: Vec<Place>,
    /// `unordered`: arrays whose order does not matter.
    pub unordered: Vec<Unordered>,
    /// `tolerance`: numbers that may differ slightly.
    pub tolerance: Vec<(Pointer, Tolerance)>,
    /// `treatEqual`: kinds of texts whose values are interchangeable.
    pub treat_equal: Vec<TreatEqual>,
    /// `accepted`: known and intended differences.
    pub accepted: Vec<Accepted>,
    /// `keepValues`: `true` if records contain the values that differ.
    pub keep_values: bool,
    /// `redact`: places whose values never get into a record, in addition to those that look like secrets.
    pub redact: Vec<Place>,
    /// `endpoints`: templates for paths, of which the first match applies.
    pub endpoints: Vec<PathTemplate>,
    /// `mask`: parts of texts that may differ.
    pub mask: Vec<Mask>,
    /// `rules`: further rules for some endpoints.
    pub scoped: Vec<Scoped>,
}

/// An entry of `rules`: rules that hold for some paths, in addition to the others.
#[derive(Clone, Debug)]
pub struct Scoped {
    /// `endpoints`: the paths. They are not names of endpoints.
    pub paths: Vec<PathTemplate>,
    /// The rules. `headers`, if it is not the default, replaces that of all paths; `keepValues` can only be added.
    pub rules: Rules,
}

/// An entry of `mask`: a regular expression whose matches are interchangeable.
#[derive(Clone, Debug)]
pub struct Mask(Regex);

impl Mask {
    /// Parses a regular expression. It finds matches within a text: a line, a text of an element, a value.
    ///
    /// # Errors
    ///
    /// The reason why the expression is invalid, or a note that it matches the empty text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let regex = RegexBuilder::new(text).size_limit(MAX_MASK).build().map_err(|error| error.to_string())?;
        if regex.is_match("") {
            return Err("it matches the empty text".to_owned());
        }
        Ok(Mask(regex))
    }

    /// Replaces all matches.
    pub(crate) fn masked<'t>(&self, text: &'t str, work: &Work<'_>) -> Result<Cow<'t, str>, Stop> {
        work.spend(text.len().saturating_mul(self.0.as_str().len()))?;
        Ok(self.0.replace_all(text, "\u{FFFD}m"))
    }
}

impl Rules {
    /// Returns the rules for a path: these, and those of the entries of `rules` whose paths match.
    #[must_use]
    pub fn of(&self, path: &str) -> Cow<'_, Rules> {
        let mut rules = Cow::Borrowed(self);
        for scoped in self.scoped.iter().filter(|scoped| scoped.paths.iter().any(|template| template.fits(path))) {
            rules.to_mut().add(&scoped.rules);
        }
        rules
    }

    fn add(&mut self, more: &Rules) {
        if more.headers != FieldNames::Usual {
            self.headers.clone_from(&more.headers);
        }
        self.ignore.extend(more.ignore.iter().cloned());
        self.unordered.extend(more.unordered.iter().cloned());
        // The first that matches holds, and that of the endpoint comes first.
        self.tolerance.splice(0..0, more.tolerance.iter().cloned());
        self.treat_equal.extend(more.treat_equal.iter().copied());
        self.accepted.extend(more.accepted.iter().cloned());
        self.redact.extend(more.redact.iter().cloned());
        self.mask.extend(more.mask.iter().cloned());
        self.keep_values |= more.keep_values;
    }
}

/// The fields that are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FieldNames {
    /// Fields that clients act on: media type, location, caching, cookies and the like.
    #[default]
    Usual,
    /// All fields except those that differ by nature (`Date`, `Age`, `Server`, request IDs).
    All,
    /// These fields.
    Named(Vec<HeaderName>),
}

/// A place in a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `status`.
    Status,
    /// The name of a field.
    Field(HeaderName),
    /// `body`: the content as a whole.
    Body,
    /// `/items/*/price`: a place in JSON.
    Pointer(Pointer),
    /// `selector: main > p.price`: elements of HTML and XML.
    Selector(Selector),
    /// Any other place as records write it, and everything below: `set-cookie/basket`, `column: price`.
    Written(Box<str>),
}

/// A JSON Pointer (RFC 6901) in which `*` matches any one step and `**` any number of steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Named(Box<str>),
    Any,
    AnyDepth,
}

/// `unordered`: an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unordered {
    /// Place of the array.
    pub pointer: Pointer,
    /// `by`: the member that pairs elements. If absent, elements are paired by their whole content.
    pub by: Option<String>,
}

/// The largest difference between numbers that count as equal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// `0.01`.
    Absolute(f64),
    /// `1%` of the larger number, stored as 0.01.
    Relative(f64),
}

/// `accepted`: a known difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The place, including everything below.
    pub place: Place,
    /// `until`: the last day on which it is accepted, UTC.
    pub until: Option<Date>,
}

/// A date, which lasts until its end in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(SystemTime);

impl Place {
    /// Parses `status`, `body`, a field's name, or a pointer, which begins with `/`. Returns `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "status" => Some(Place::Status),
            "body" => Some(Place::Body),
            _ if text.starts_with("selector:") && !text.contains(" >> ") => Selector::parse(text).map(Place::Selector),
            "rows" => Some(Place::Written(text.into())),
            _ if text.contains(" >> ") || WRITTEN.iter().any(|begin| text.starts_with(begin)) => {
                Some(Place::Written(text.into()))
            }
            _ if text.starts_with('/') => Pointer::parse(text).map(Place::Pointer),
            _ => match text.split_once('/') {
                Some((name, part)) if !part.is_empty() => {
                    HeaderName::from_bytes(name.as_bytes()).ok()?;
                    Some(Place::Written(text.into()))
                }
                _ => HeaderName::from_bytes(text.as_bytes()).ok().map(Place::Field),
            },
        }
    }

    /// Returns `true` if a pointer, as records write it, is this place or below it. Other modules match fields and places in
    /// JSON as they descend.
    pub(crate) fn covers(&self, pointer: &str) -> bool {
        let place = match self {
            Place::Selector(selector) => return selector.covers(pointer),
            Place::Written(place) => place,
            _ => return false,
        };
        let rest = pointer.strip_prefix(&**place);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ' ']))
    }

    /// Returns `true` if a spot outside JSON is this place. `matcher` handles places in JSON.
    pub(crate) fn is(&self, spot: &Spot<'_>) -> bool {
        match (self, spot) {
            (Place::Status, Spot::Status) | (Place::Body, Spot::Body) => true,
            (Place::Field(name), Spot::Field(field) | Spot::Part(field, _)) => name == *field,
            _ => false,
        }
    }
}

impl Pointer {
    /// Parses a pointer, or `body` for the document itself. Returns `None` if it does not begin with `/`, has a `~`
    /// that is neither `~0` nor `~1`, more than 64 steps, or more than two `**`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "body" {
            return Some(Pointer(Vec::new()));
        }
        let steps = text.strip_prefix('/')?.split('/').map(|step| match step {
            "*" => Some(Step::Any),
            "**" => Some(Step::AnyDepth),
            _ => unescape(step).map(|name| Step::Named(name.into())),
        });
        let steps: Vec<Step> = steps.take(MAX_STEPS + 1).collect::<Option<_>>()?;
        let any_depth = steps.iter().filter(|step| **step == Step::AnyDepth).count();
        (steps.len() <= MAX_STEPS && any_depth <= MAX_ANY_DEPTH).then_some(Pointer(steps))
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }
}

/// Decodes a step (RFC 6901 section 4).
pub(crate) fn unescape(step: &str) -> Option<String> {
    let mut pieces = step.split('~');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        text.push(match piece.as_bytes().first()? {
            b'0' => '~',
            b'1' => '/',
            _ => return None,
        });
        text.push_str(piece.get(1..)?);
    }
    Some(text)
}

impl Tolerance {
    /// Parses `0.01` or `1%`. Returns `None` if it is negative or not a number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (number, is_relative) = match text.strip_suffix('%') {
            Some(number) => (number.trim_end(), true),
            None => (text, false),
        };
        let number: f64 = number.parse().ok()?;
        if !number.is_finite() || number < 0.0 {
            return None;
        }
        Some(if is_relative { Tolerance::Relative(number / 100.0) } else { Tolerance::Absolute(number) })
    }
}

impl Accepted {
    /// Returns `true` until the date has passed.
    pub(crate) fn holds(&self, now: SystemTime) -> bool {
        self.until.is_none_or(|until| !until.is_over(now))
    }
}

impl Date {
    /// Parses `2026-12-31`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // The library also accepts shorter forms.
        if text.len() != "2026-12-31".len() {
            return None;
        }
        let begin = humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).ok()?;
        begin.checked_add(Duration::from_secs(24 * 60 * 60)).map(Date)
    }

    pub(crate) fn is_over(self, now: SystemTime) -> bool {
        now >= self.0
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = self.0.checked_sub(Duration::from_secs(1)).unwrap_or(UNIX_EPOCH);
        let text = humantime::format_rfc3339_seconds(day).to_string();
        f.write_str(text.get(..10).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_an_endpoint_are_added() {
        let rule = |place| Rules { ignore: vec![Place::parse(place).unwrap()], ..Rules::default() };
        let paths = |path| vec![PathTemplate::parse(path).unwrap()];
        let rules = Rules {
            scoped: vec![
                Scoped { paths: paths("/orders/{id}"), rules: rule("/a") },
                Scoped { paths: paths("/orders/**"), rules: rule("/b") },
            ],
            ..rule("/c")
        };
        for (path, expected) in
            [("/orders/7", &["/c", "/a", "/b"][..]), ("/orders/7/items", &["/c", "/b"]), ("/", &["/c"])]
        {
            let expected: Vec<_> = expected.iter().map(|place| Place::parse(place).unwrap()).collect();
            assert_eq!(rules.of(path).ignore, expected, "{path}");
        }
    }

    #[test]
    fn masks_hide_what_they_match() {
        let work = Work::new(&crate::work::never_over);
        let mask = Mask::parse("build [0-9]+").unwrap();
        let masked = |text| mask.masked(text, &work).unwrap().into_owned();
        assert_eq!(masked("v1 build 7 ok"), masked("v1 build 812 ok"));
        assert_ne!(masked("v1 build 7 ok"), masked("v2 build 7 ok"));
        assert!(Mask::parse("(").is_err());
        assert!(Mask::parse("x*").is_err());
    }

    #[test]
    fn texts_are_read() {
        for text in ["", "a", "/~2", "/a~", "/**/a/**/b/**"] {
            assert_eq!(Pointer::parse(text), None, "{text}");
        }
        assert_eq!(Pointer::parse(&"/a".repeat(MAX_STEPS + 1)), None);
        assert!(Pointer::parse(&"/a".repeat(MAX_STEPS)).is_some());
        assert_eq!(Pointer::parse("/a~1b~0"), Some(Pointer(vec![Step::Named("a/b~".into())])));
        for text in ["-1", "x", "1 %%", "nan", "inf%", ""] {
            assert_eq!(Tolerance::parse(text), None, "{text}");
        }
        assert_eq!(Tolerance::parse("1%"), Some(Tolerance::Relative(0.01)));
        assert_eq!(Tolerance::parse("0.5"), Some(Tolerance::Absolute(0.5)));
        for text in ["2026-1-1", "2026-13-01", "tomorrow", "2026-02-30"] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
        let date = Date::parse("2026-12-31").unwrap();
        assert_eq!(date.to_string(), "2026-12-31");
        let at = |text: &str| humantime::parse_rfc3339(text).unwrap();
        assert!(!date.is_over(at("2026-12-31T23:59:59Z")));
        assert!(date.is_over(at("2027-01-01T00:00:00Z")));
    }
}
