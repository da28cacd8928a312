//! Selectors of rules: a subset of CSS. Owns their syntax, and matching them while descending into a document or along a place
//! as records write it.
//!
//! ```text
//! selector: form#login input[name^=csrf], td.date
//! selector: main > a.buy @href
//! ```
//!
//! A selector is an automaton, like the pointers of `matcher`: bit `n` of its state means that its first `n + 1` compounds have
//! matched. Each step into the document advances it, so that the cost of a place does not depend on its depth.

use std::borrow::Cow;

use crate::work::{Stop, Work};

/// The beginning of a selector in a rule, and of a place in markup in a record.
pub(crate) const BEGIN: &str = "selector: ";
/// Between a place and one in the content of its value.
const INSIDE: &str = " >> ";
/// Bytes of a selector.
const MAX_LENGTH: usize = 1_000;
/// Compounds of a selector, and alternatives.
const MAX_COMPOUNDS: usize = 16;

/// Elements, or one attribute of them: `selector: main > a.buy @href`.
///
/// The subset of CSS is: element names, `*`, `#id`, `.class`, `[attribute]`, `[attribute=value]` with `=`, `~=`, `^=`, `$=` and
/// `*=`, `:root`, `:nth-of-type(3)`, descendants, children (`>`), and lists with commas. `:nth-of-type` matches the number that a
/// record has at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    alternatives: Vec<Vec<Compound>>,
    /// The attribute; `*` stands for all whose names are data.
    attribute: Option<Box<str>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Compound {
    /// `true` if it must be a child of the one before.
    is_child: bool,
    /// Empty for `*`.
    name: Box<str>,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Root,
    NthOfType(u32),
    Has(Box<str>),
    Attribute(Box<str>, Comparison, Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Word,
    Begin,
    End,
    Part,
}

/// An element, as selectors see it.
pub(super) trait Element {
    fn name(&self) -> &str;
    fn attribute(&self, name: &str) -> Option<Cow<'_, str>>;
    fn is_root(&self) -> bool;
    /// Its number among its siblings of the same name, where that is known.
    fn nth_of_type(&self) -> Option<u32>;
}

impl Selector {
    /// Parses a selector with `selector: ` before it. Returns `None` if it is invalid, or not of the subset.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(BEGIN.trim_end())?.trim();
        if text.len() > MAX_LENGTH || text.contains(INSIDE) {
            return None;
        }
        let (list, attribute) = match text.rsplit_once(" @") {
            Some((list, name)) if !name.contains(|character: char| !is_name(character) && character != '*') => {
                (list, Some(Box::from(Some(name).filter(|name| !name.is_empty())?)))
            }
            _ => (text, None),
        };
        let mut reader = Reader { rest: list };
        let mut alternatives = Vec::new();
        loop {
            alternatives.push(reader.compounds()?);
            match reader.take(",") {
                true if alternatives.len() < MAX_COMPOUNDS => {}
                true => return None,
                false => break,
            }
        }
        reader.rest.is_empty().then_some(Selector { alternatives, attribute })
    }

    /// Returns `true` if a place, as records write it, is one of these elements, one of these attributes, or below.
    #[must_use]
    pub fn covers(&self, pointer: &str) -> bool {
        pointer.split(INSIDE).filter_map(|place| place.strip_prefix(BEGIN)).any(|place| self.covers_written(place))
    }

    fn covers_written(&self, place: &str) -> bool {
        let (path, attribute) = match place.split_once(" @") {
            Some((path, attribute)) => (path, Some(attribute)),
            None => (place, None),
        };
        let mut matching = Matching::new(std::iter::once(self));
        let work = Work::new(&crate::work::never_over);
        let mut steps = path.split(" > ").map(Written::parse);
        let is_element =
            steps.try_fold(false, |_, step| step.and_then(|step| matching.enter(&step, &work).ok())).unwrap_or(false);
        is_element || attribute.is_some_and(|attribute| matching.is_attribute(attribute))
    }
}

/// An element of a place as records write it.
struct Written(Compound);

impl Written {
    fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { rest: text };
        let compound = reader.compound()?;
        reader.rest.is_empty().then_some(Written(compound))
    }
}

impl Element for Written {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.conditions.iter().find_map(|condition| match condition {
            Condition::Attribute(known, _, value) if known.eq_ignore_ascii_case(name) => Some(Cow::Borrowed(&**value)),
            _ => None,
        })
    }

    fn is_root(&self) -> bool {
        self.0.conditions.contains(&Condition::Root)
    }

    fn nth_of_type(&self) -> Option<u32> {
        self.0.conditions.iter().find_map(|condition| match condition {
            Condition::NthOfType(number) => Some(*number),
            _ => None,
        })
    }
}

/// Follows a path of elements; see the module.
#[derive(Debug)]
pub(super) struct Matching<'s> {
    rules: Vec<(&'s [Compound], Option<&'s str>)>,
    /// For each level and alternative: the states of the element itself, and of those it is in.
    states: Vec<[u32; 2]>,
}

impl<'s> Matching<'s> {
    pub(super) fn new(selectors: impl Iterator<Item = &'s Selector>) -> Self {
        let alternatives = |selector: &'s Selector| {
            selector.alternatives.iter().map(|compounds| (&**compounds, selector.attribute.as_deref()))
        };
        let rules: Vec<_> = selectors.flat_map(alternatives).collect();
        let states = vec![[0; 2]; rules.len()];
        Matching { rules, states }
    }

    /// Descends into an element. Returns `true` if a selector without an attribute covers it.
    pub(super) fn enter(&mut self, element: &impl Element, work: &Work<'_>) -> Result<bool, Stop> {
        let begin = self.states.len().saturating_sub(self.rules.len());
        let mut is_covered = false;
        for (index, (compounds, attribute)) in self.rules.iter().enumerate() {
            let [parent, above] = self.states.get(begin + index).copied().unwrap_or_default();
            let mut here = 0_u32;
            for (at, compound) in compounds.iter().enumerate() {
                let before = if compound.is_child { parent } else { above };
                let is_reached = match at.checked_sub(1) {
                    None => true,
                    Some(last) => before & (1 << last) != 0,
                };
                if is_reached && compound.holds(element, work)? {
                    here |= 1 << at;
                }
            }
            let states = [here, above | here];
            is_covered |= attribute.is_none() && is_last(states[1], compounds);
            self.states.push(states);
        }
        Ok(is_covered)
    }

    pub(super) fn leave(&mut self) {
        self.states.truncate(self.states.len().saturating_sub(self.rules.len()));
    }

    /// Returns `true` if a selector covers an attribute of the present element.
    pub(super) fn is_attribute(&self, name: &str) -> bool {
        let begin = self.states.len().saturating_sub(self.rules.len());
        self.rules.iter().enumerate().any(|(index, (compounds, attribute))| {
            let [here, _] = self.states.get(begin + index).copied().unwrap_or_default();
            attribute.is_some_and(|attribute| attribute.eq_ignore_ascii_case(name)) && is_last(here, compounds)
        })
    }
}

fn is_last(states: u32, compounds: &[Compound]) -> bool {
    compounds.len().checked_sub(1).is_some_and(|last| states & (1 << last) != 0)
}

impl Compound {
    fn holds(&self, element: &impl Element, work: &Work<'_>) -> Result<bool, Stop> {
        work.spend(1)?;
        if !self.name.is_empty() && !self.name.eq_ignore_ascii_case(element.name()) {
            return Ok(false);
        }
        for condition in &self.conditions {
            let holds = match condition {
                Condition::Root => element.is_root(),
                Condition::NthOfType(number) => element.nth_of_type() == Some(*number),
                Condition::Has(name) => element.attribute(name).is_some(),
                Condition::Attribute(name, comparison, value) => match element.attribute(name) {
                    Some(actual) => {
                        work.spend(actual.len())?;
                        comparison.holds(&actual, value)
                    }
                    None => false,
                },
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Comparison {
    fn holds(self, actual: &str, value: &str) -> bool {
        match self {
            Comparison::Equal => actual == value,
            Comparison::Word => actual.split_ascii_whitespace().any(|word| word == value),
            Comparison::Begin => actual.starts_with(value),
            Comparison::End => actual.ends_with(value),
            Comparison::Part => actual.contains(value),
        }
    }
}

/// Reads selectors.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn compounds(&mut self) -> Option<Vec<Compound>> {
        let mut compounds = Vec::new();
        let mut is_child = false;
        self.rest = self.rest.trim_start();
        loop {
            compounds.push(Compound { is_child, ..self.compound()? });
            let is_space = self.rest.starts_with(char::is_whitespace);
            self.rest = self.rest.trim_start();
            is_child = self.take(">");
            self.rest = self.rest.trim_start();
            if !is_child && (self.rest.is_empty() || self.rest.starts_with(',')) {
                return Some(compounds);
            }
            if (!is_child && !is_space) || compounds.len() >= MAX_COMPOUNDS {
                return None;
            }
        }
    }

    fn compound(&mut self) -> Option<Compound> {
        let begin = self.rest;
        let name = if self.take("*") { "" } else { self.word() };
        let mut compound = Compound { name: name.into(), ..Compound::default() };
        loop {
            let condition = if self.take("#") {
                Condition::Attribute("id".into(), Comparison::Equal, self.some_word()?)
            } else if self.take(".") {
                Condition::Attribute("class".into(), Comparison::Word, self.some_word()?)
            } else if self.take("[") {
                self.attribute()?
            } else if self.take(":root") {
                Condition::Root
            } else if self.take(":nth-of-type(") {
                let number = self.word().parse().ok().filter(|number| *number > 0)?;
                self.take(")").then_some(Condition::NthOfType(number))?
            } else {
                break;
            };
            compound.conditions.push(condition);
            if compound.conditions.len() > MAX_COMPOUNDS {
                return None;
            }
        }
        (self.rest.len() < begin.len()).then_some(compound)
    }

    /// Reads the rest of `[name=value]`.
    fn attribute(&mut self) -> Option<Condition> {
        let length = self.rest.find(|character: char| !is_name(character) && character != ':')?;
        let (name, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        if name.is_empty() {
            return None;
        }
        if self.take("]") {
            return Some(Condition::Has(name.into()));
        }
        let comparisons = [
            ("~=", Comparison::Word),
            ("^=", Comparison::Begin),
            ("$=", Comparison::End),
            ("*=", Comparison::Part),
            ("=", Comparison::Equal),
        ];
        let comparison = comparisons.into_iter().find_map(|(sign, kind)| self.take(sign).then_some(kind))?;
        let quote = ["\"", "'"].into_iter().find(|quote| self.take(quote));
        let (value, rest) = self.rest.split_once(quote.unwrap_or("]"))?;
        self.rest = rest;
        let is_end = quote.is_none() || self.take("]");
        // An empty part is in every value.
        let is_valid = !value.is_empty() || comparison == Comparison::Equal;
        (is_end && is_valid).then(|| Condition::Attribute(name.into(), comparison, value.into()))
    }

    fn some_word(&mut self) -> Option<Box<str>> {
        Some(self.word()).filter(|word| !word.is_empty()).map(Box::from)
    }

    fn word(&mut self) -> &'a str {
        let length = self.rest.find(|character| !is_name(character)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(length).unwrap_or_default();
        self.rest = rest;
        word
    }

    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

/// Returns `true` for characters of names of elements, attributes, classes and IDs.
pub(super) fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '-' || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_read() {
        for text in [
            "p",
            "*",
            "#a",
            ".b",
            "p.a.b#c",
            "main > p",
            "main p",
            "main>p",
            "a, b",
            "[x]",
            "a[b=c]",
            "a[b='c d']",
            "a[b^=\"c\"] @href",
            "li:nth-of-type(3)",
            ":root @doctype",
            "meta[property=og:title] @content",
            "a @*",
        ] {
            assert!(Selector::parse(&format!("selector: {text}")).is_some(), "{text}");
        }
        for text in [
            "",
            ">",
            "> a",
            "a >",
            "a,",
            "a:hover",
            "a[",
            "a[b",
            "a[b=",
            "a[b^=]",
            "a..b",
            "a + b",
            "a:nth-of-type(0)",
            "a:nth-of-type(n)",
            "a >> b",
            "@href",
            "a > > b",
            "a[]",
        ] {
            assert_eq!(Selector::parse(&format!("selector: {text}")), None, "{text}");
        }
        assert_eq!(Selector::parse("p"), None);
    }

    #[test]
    fn selectors_cover_written_places() {
        for (selector, pointer, expected) in [
            ("p", "main > p", true),
            ("p", "main > p > b", true),
            ("p", "main > p @title", true),
            ("main > p", "main > div > p", false),
            ("main p", "main > div > p", true),
            ("div p", "main > p", false),
            ("p.a", "main > p.a", true),
            ("p.a", "main > p", false),
            ("p#x", "p#x > b", true),
            ("p @title", "main > p @title", true),
            ("p @title", "main > p", false),
            ("p @title", "main > p @href", false),
            ("p @title", "p > b @title", false),
            ("li:nth-of-type(2)", "ul > li:nth-of-type(2) > a", true),
            ("li:nth-of-type(2)", "ul > li:nth-of-type(3) > a", false),
            ("meta[property=og:title]", "head > meta[property=og:title] @content", true),
            ("script#data", "script#data >> /props/price", true),
            ("div, li", "ul > li", true),
            ("*", "p", true),
            (":root", ":root @doctype", true),
        ] {
            let rule = Selector::parse(&format!("selector: {selector}")).unwrap();
            assert_eq!(rule.covers(&format!("selector: {pointer}")), expected, "{selector} {pointer}");
        }
        let rule = Selector::parse("selector: p").unwrap();
        assert!(rule.covers("/html >> selector: p"));
        assert!(!rule.covers("/p"));
    }
}
