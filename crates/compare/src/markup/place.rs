//! The notation of places in markup. Owns the words that name an element: readable, and the same for every response to requests
//! of one kind, whatever random names and numbers are in it.

use super::selector::is_name;
use super::tree::{Node, Tree};
use crate::endpoint::is_id;

/// Bytes of an ID, a class or a value in a place.
const MAX_WORD: usize = 40;
/// Elements of a place; those further out are left out.
const MAX_STEPS: usize = 6;
/// Siblings that are alike; among more, an element has no number.
const MAX_ALIKE: u32 = 8;

/// Attributes of HTML whose value names an element, apart from its ID.
const NAMES: &[&str] = &["name", "property", "itemprop", "data-testid", "data-test", "http-equiv", "rel"];
/// Attributes of XML whose value names an element.
const XML_NAMES: &[&str] = &["name", "key", "id", "code", "rel"];
/// Classes that say how an element is at present.
const STATES: &[&str] = &[
    "active",
    "current",
    "selected",
    "open",
    "hidden",
    "disabled",
    "show",
    "first",
    "last",
    "odd",
    "even",
    "collapsed",
    "expanded",
    "focus",
    "visible",
    "loaded",
    "loading",
    "lazyload",
    "lazyloaded",
];
/// Beginnings of classes that tools generate.
const GENERATED: &[&str] = &["css-", "sc-", "jsx-", "jss", "svelte-", "is-", "has-", "ng-", "emotion-"];

/// An element of a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Its name and what tells it from others, such as `p.price`.
    pub(super) word: String,
    /// Its number among the siblings with its name.
    pub(super) nth: u32,
    /// Number of siblings with the same word, itself included.
    pub(super) alike: u32,
    /// `true` if places may begin here.
    pub(super) is_start: bool,
}

/// Returns the place of the last of the steps.
pub(super) fn pointer(steps: &[Step]) -> String {
    let from = start(steps).max(steps.len().saturating_sub(MAX_STEPS));
    written(steps.get(from..).unwrap_or_default(), MAX_ALIKE)
}

/// Returns the exact place of the last of the steps.
pub(super) fn exact(steps: &[Step]) -> String {
    written(steps.get(start(steps)..).unwrap_or_default(), u32::MAX)
}

fn start(steps: &[Step]) -> usize {
    steps.iter().rposition(|step| step.is_start).unwrap_or_default()
}

fn written(steps: &[Step], max_alike: u32) -> String {
    let mut text = String::new();
    for step in steps {
        text.push_str(if text.is_empty() { "" } else { " > " });
        text.push_str(&step.word);
        if step.alike > 1 && step.alike <= max_alike {
            text.push_str(&format!(":nth-of-type({})", step.nth));
        }
    }
    text
}

/// Returns the word for an element, and `true` if it has an ID.
pub(super) fn word(tree: &Tree<'_>, node: Node) -> (String, bool) {
    let name: String = tree.folded_name(node).chars().filter(|character| is_name(*character)).take(MAX_WORD).collect();
    let name = if name.is_empty() { "*".to_owned() } else { name };
    let value = |attribute: &str| tree.attribute(node, attribute).filter(|value| is_stable(value));
    let is_plain = |text: &str| text.chars().all(is_name);
    if !tree.is_html {
        let known = XML_NAMES.iter().find_map(|attribute| Some((attribute, value(attribute)?)));
        return match known {
            Some((attribute, value)) => (format!("{name}[{attribute}={value}]"), false),
            None => (name, false),
        };
    }
    // Numbered IDs, such as those of advertisements, are another one in each response.
    let is_numbered = |id: &str| id.ends_with(|last: char| last.is_ascii_digit());
    if let Some(id) = value("id").filter(|id| is_plain(id) && !is_numbered(id)) {
        return (format!("{name}#{id}"), true);
    }
    let named = NAMES.iter().find_map(|attribute| Some((attribute, value(attribute)?)));
    if let Some((attribute, value)) = named.filter(|_| !matches!(&*name, "a")) {
        return (format!("{name}[{attribute}={value}]"), false);
    }
    if let Some(class) = class(tree, node) {
        return (format!("{name}.{class}"), false);
    }
    let kind = value("type").filter(|_| matches!(&*name, "input" | "button" | "script" | "link"));
    (kind.map_or(name.clone(), |kind| format!("{name}[type={kind}]")), false)
}

/// Returns the first class of an element that neither depends on its state nor on a build.
pub(super) fn class(tree: &Tree<'_>, node: Node) -> Option<String> {
    let attribute = tree.attributes(node).iter().find(|attribute| {
        let name = tree.attribute_name(attribute);
        name.len() == "class".len() && name.eq_ignore_ascii_case("class")
    })?;
    // In the order of the document.
    let classes = tree.raw_value(attribute);
    let is_class = |class: &&str| {
        class.chars().all(is_name)
            && is_stable(class)
            && !STATES.contains(class)
            && !GENERATED.iter().any(|begin| class.starts_with(begin))
    };
    classes.split_ascii_whitespace().take(16).find(is_class).map(str::to_owned)
}

/// Returns `true` if a name looks as if it were the same in every response.
pub(super) fn is_stable(name: &str) -> bool {
    let is_written = |character: char| is_name(character) || matches!(character, ':' | '.' | '/');
    !name.is_empty() && name.len() <= MAX_WORD && name.chars().all(is_written) && !is_id(name) && !is_random(name)
}

/// Returns `true` for names with a number of two digits or more, and for those with a part like that of a hash.
fn is_random(name: &str) -> bool {
    let is_part = |part: &str| {
        let digits = part.bytes().filter(u8::is_ascii_digit).count();
        let behind = part.trim_end_matches(|character: char| character.is_ascii_digit());
        // `h1` and `oauth2` end in their only digit.
        digits >= 2 || (digits == 1 && part.len() >= 5 && behind.len() == part.len())
    };
    let is_mixed = |part: &str| {
        let bytes = part.as_bytes();
        let changes = bytes
            .windows(2)
            .filter(|pair| matches!(pair, [one, other] if one.is_ascii_lowercase() && other.is_ascii_uppercase()));
        let vowels = part.bytes().filter(|byte| b"aeiouyAEIOUY".contains(byte)).count();
        // `XqZbTk`: neither a word nor several.
        part.len() >= 5 && part.len() <= 12 && changes.count() >= 1 && vowels * 6 < part.len()
    };
    name.split(|character: char| !character.is_alphanumeric()).any(|part| is_part(part) || is_mixed(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_random() {
        for name in ["Button_x3f9a", "css-1q2w3e", "post-1234", "a1b2c3", "input-42", "XqZbTk", "f47ac10b", "id2026"] {
            assert!(!is_stable(name), "{name}");
        }
        for name in ["price", "og:title", "nav-main", "h1", "oauth2", "step-3", "csrf_token", "camelCaseName", "X-UA"] {
            assert!(is_stable(name), "{name}");
        }
    }

    #[test]
    fn places_begin_at_an_id_and_have_numbers_where_they_are_few() {
        let step = |word: &str, nth, alike, is_start| Step { word: word.to_owned(), nth, alike, is_start };
        let steps = [
            step("html", 1, 1, false),
            step("body", 1, 1, true),
            step("main", 1, 1, true),
            step("ul.list", 2, 2, false),
            step("li", 7, 20, false),
            step("a", 1, 1, false),
        ];
        assert_eq!(pointer(&steps), "main > ul.list:nth-of-type(2) > li > a");
        assert_eq!(exact(&steps), "main > ul.list:nth-of-type(2) > li:nth-of-type(7) > a");
        let many: Vec<_> = (0..9).map(|at| step(&format!("x{at}"), 1, 1, false)).collect();
        assert_eq!(pointer(&many), "x3 > x4 > x5 > x6 > x7 > x8");
    }
}
