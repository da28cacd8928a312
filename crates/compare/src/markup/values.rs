//! Texts and attribute values as they count: without references, comments and insignificant white space. Owns the attributes
//! whose value is a set, a list or a word in any case.

use std::borrow::Cow;

use super::entities::referenced;
use super::tokens::{end_of_comment, is_space};
use crate::sorting;

/// The way in which a text is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// White space counts.
    pub(super) is_preserved: bool,
    /// There are no comments in it.
    pub(super) is_raw: bool,
    /// There are no comments and no references in it, and lines matter.
    pub(super) is_code: bool,
    pub(super) has_cdata: bool,
}

impl Reading {
    pub(super) fn bits(self) -> u32 {
        [self.is_preserved, self.is_raw, self.is_code, self.has_cdata]
            .iter()
            .fold(0, |bits, flag| bits << 1 | u32::from(*flag))
    }

    pub(super) fn of_bits(bits: u32) -> Self {
        let [has_cdata, is_code, is_raw, is_preserved] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
        Reading { is_preserved, is_raw, is_code, has_cdata }
    }
}

/// Returns a text without references, comments and insignificant white space.
pub(super) fn text(raw: &str, reading: Reading) -> Cow<'_, str> {
    if reading.is_code {
        return code(raw);
    }
    let decoded = if reading.is_raw { decoded(raw) } else { uncommented(raw, reading.has_cdata) };
    if !reading.is_preserved {
        return collapsed(decoded);
    }
    match decoded {
        decoded if decoded.contains('\r') => decoded.replace("\r\n", "\n").into(),
        decoded => decoded,
    }
}

/// Returns code without white space at the ends of its lines and its own.
fn code(raw: &str) -> Cow<'_, str> {
    let trimmed = raw.trim();
    if !trimmed.contains(" \n") && !trimmed.contains("\t\n") && !trimmed.contains('\r') {
        return Cow::Borrowed(trimmed);
    }
    let lines: Vec<&str> = trimmed.lines().map(str::trim_end).collect();
    Cow::Owned(lines.join("\n"))
}

/// Decodes references, leaves out comments, and takes the content of CDATA sections.
fn uncommented(raw: &str, has_cdata: bool) -> Cow<'_, str> {
    if !raw.contains(['&', '<']) {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(['&', '<']) {
        out.push_str(rest.get(..at).unwrap_or_default());
        rest = rest.get(at..).unwrap_or_default();
        rest = if let Some(name) = rest.strip_prefix('&') {
            match referenced(name) {
                Some((character, behind)) => {
                    out.push(character);
                    behind
                }
                None => {
                    out.push('&');
                    name
                }
            }
        } else if rest.starts_with("<!--") {
            rest.get(end_of_comment(rest)..).unwrap_or_default()
        } else if let (true, Some(content)) = (has_cdata, rest.strip_prefix("<![CDATA[")) {
            let (content, behind) = content.split_once("]]>").unwrap_or((content, ""));
            out.push_str(content);
            behind
        } else if rest.starts_with("<!") || rest.starts_with("<?") || rest.starts_with("</") {
            let is_instruction = has_cdata && rest.starts_with("<?");
            rest.split_once(if is_instruction { "?>" } else { ">" }).map_or("", |(_, behind)| behind)
        } else {
            out.push('<');
            rest.get(1..).unwrap_or_default()
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Decodes references.
fn decoded(raw: &str) -> Cow<'_, str> {
    let mut pieces = raw.split('&');
    let first = pieces.next().unwrap_or_default();
    if first.len() == raw.len() {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    out.push_str(first);
    for piece in pieces {
        let (character, behind) = referenced(piece).unwrap_or(('&', piece));
        out.push(character);
        out.push_str(behind);
    }
    Cow::Owned(out)
}

/// Returns the words of a text, separated by single spaces.
fn collapsed(text: Cow<'_, str>) -> Cow<'_, str> {
    let is_blank = |character: char| character.is_ascii() && is_space(character as u8);
    let is_collapsed = !text.starts_with(is_blank)
        && !text.ends_with(is_blank)
        && !text.bytes().any(|byte| is_space(byte) && byte != b' ')
        && !text.contains("  ");
    if is_collapsed {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    for word in text.split(is_blank).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    Cow::Owned(out)
}

/// Attributes of HTML that are true if they are there.
const BOOLEAN: &[&str] = &[
    "allowfullscreen",
    "async",
    "autofocus",
    "autoplay",
    "checked",
    "controls",
    "default",
    "defer",
    "disabled",
    "formnovalidate",
    "hidden",
    "inert",
    "ismap",
    "itemscope",
    "loop",
    "multiple",
    "muted",
    "nomodule",
    "novalidate",
    "nowrap",
    "open",
    "playsinline",
    "readonly",
    "required",
    "reversed",
    "selected",
];
/// Attributes of HTML that are sets of words.
const SETS: &[&str] = &["class", "rel", "rev", "itemprop", "headers", "sandbox", "accesskey"];
/// Attributes of HTML whose case does not matter.
const WORDS: &[&str] = &[
    "rel",
    "method",
    "enctype",
    "http-equiv",
    "charset",
    "dir",
    "scope",
    "shape",
    "align",
    "valign",
    "crossorigin",
    "loading",
    "decoding",
    "autocomplete",
    "preload",
    "kind",
    "wrap",
];

/// Returns the value of an attribute as it counts; `None` for one that means the same as no attribute.
pub(super) fn attribute<'a>(tag: &str, name: &str, raw: &'a str, is_html: bool) -> Option<Cow<'a, str>> {
    let value = decoded(raw);
    if !is_html {
        return Some(collapsed(value));
    }
    let is = |known: &&str| known.eq_ignore_ascii_case(name);
    if BOOLEAN.iter().any(is) {
        // `until-found` is a value of its own.
        let is_word = value.eq_ignore_ascii_case("until-found");
        return Some(if is_word { value } else { Cow::Borrowed("") });
    }
    if is(&"value") {
        return Some(value);
    }
    let mut value = collapsed(value);
    let is_type = is(&"type") && !matches!(tag, "ol" | "ul" | "li");
    if (is_type || WORDS.iter().any(is)) && value.bytes().any(|byte| byte.is_ascii_uppercase()) {
        value = Cow::Owned(value.to_ascii_lowercase());
    }
    if SETS.iter().any(is) {
        let mut words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            return None;
        }
        if !words.is_sorted_by(|one, other| one < other) {
            sorting::sort(&mut words);
            words.dedup();
            return Some(Cow::Owned(words.join(" ")));
        }
        return Some(value);
    }
    if is(&"style") {
        let declarations = declarations(&value);
        return (!declarations.is_empty()).then_some(Cow::Owned(declarations));
    }
    if is(&"srcset") || is(&"imagesrcset") {
        let mut images: Vec<&str> = value.split(", ").map(str::trim).collect();
        sorting::sort(&mut images);
        return Some(Cow::Owned(images.join(", ")));
    }
    // `text/javascript` is the default of scripts, and `text/css` that of styles.
    let default = match tag {
        "script" => ["text/javascript", "application/javascript"],
        "style" | "link" => ["text/css", "text/css"],
        _ => return Some(value),
    };
    if is_type && default.contains(&&*value) { None } else { Some(value) }
}

/// Returns the declarations of a style, sorted by their properties; those of the same property keep their order.
fn declarations(style: &str) -> String {
    let mut list: Vec<(String, String)> = Vec::new();
    let (mut quote, mut depth) = (None, 0_usize);
    let is_end = |character: char| {
        match (quote, character) {
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            (None, ';') if depth == 0 => return true,
            _ => {}
        }
        false
    };
    for declaration in style.split(is_end).map(str::trim).filter(|declaration| !declaration.is_empty()) {
        let (property, value) = declaration.split_once(':').unwrap_or((declaration, ""));
        list.push((property.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    sorting::sort_by(&mut list, &|(one, _), (other, _)| one.cmp(other));
    list.iter().map(|(property, value)| format!("{property}: {value}")).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_that_mean_the_same_are_equal() {
        for (tag, name, one, other, is_same) in [
            ("p", "class", " b  a a", "a b", true),
            ("p", "class", "a", "b", false),
            ("input", "disabled", "", "disabled", true),
            ("p", "style", "color:red; margin : 0", "margin:0;COLOR: red;", true),
            ("p", "style", "color:red;color:blue", "color:blue;color:red", false),
            ("p", "style", "background:url('a;b')", "background:url('a;c')", false),
            ("img", "srcset", "a.png 1x, b.png 2x", "b.png 2x,  a.png 1x", true),
            ("a", "href", "?a=1&amp;b=2", "?a=1&b=2", true),
            ("a", "title", "a\n  b", "a b", true),
            ("input", "value", "a  b", "a b", false),
            ("form", "METHOD", "POST", "post", true),
            ("input", "type", "TEXT", "text", true),
            ("ol", "type", "A", "a", false),
            ("a", "rel", "noopener NOFOLLOW", "nofollow noopener", true),
        ] {
            let value = |raw| attribute(tag, name, raw, true);
            assert_eq!(value(one) == value(other), is_same, "{tag} {name} {one} {other}");
        }
        assert_eq!(attribute("p", "class", " ", true), None);
        assert_eq!(attribute("script", "type", "text/javascript", true), None);
        assert_eq!(attribute("a", "class", "b  a", false).as_deref(), Some("b a"));
    }

    #[test]
    fn texts_are_decoded() {
        let plain = Reading::default();
        let cdata = Reading { has_cdata: true, ..plain };
        for (raw, reading, expected) in [
            ("  a \n b ", plain, "a b"),
            ("a<!-- b -->c<!-->d<!-- --!>e", plain, "acde"),
            ("a &lt; b &amp;&amp; c", plain, "a < b && c"),
            ("a&nbsp;b", plain, "a\u{A0}b"),
            ("1 < 2 & 3", plain, "1 < 2 & 3"),
            ("<![CDATA[1 < 2]]> &amp; 3", cdata, "1 < 2 & 3"),
            ("a  b\r\n", Reading { is_preserved: true, ..plain }, "a  b\n"),
            ("a &amp; <!-- b -->", Reading { is_raw: true, ..plain }, "a & <!-- b -->"),
            ("a &amp; <!-- b -->\n", Reading { is_code: true, ..plain }, "a &amp; <!-- b -->"),
        ] {
            assert_eq!(text(raw, reading), expected, "{raw}");
        }
        assert_eq!(code("\n a; \n b;\r\n"), "a;\n b;");
        for bits in 0..16 {
            assert_eq!(Reading::of_bits(bits).bits(), bits);
        }
    }
}
