//! The rules of HTML for tags that may be left out, and for elements whose content is not markup (HTML, 13.1.2.4 and 13.2.6).
//! Simpler than a browser: elements that are closed in the wrong order are not repaired, but end together.

use super::{Builder, IMPLIED, Open, Slot};
use crate::markup::tokens::Span;
use crate::markup::values::Reading;
use crate::work::Stop;

/// Elements that the rules mention.
const KNOWN: &[&str] = &[
    "a",
    "address",
    "area",
    "article",
    "aside",
    "base",
    "blockquote",
    "body",
    "br",
    "button",
    "caption",
    "center",
    "col",
    "colgroup",
    "datalist",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "embed",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "frame",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hgroup",
    "hr",
    "html",
    "iframe",
    "img",
    "input",
    "li",
    "link",
    "listing",
    "main",
    "math",
    "menu",
    "meta",
    "nav",
    "noembed",
    "noframes",
    "noscript",
    "object",
    "ol",
    "optgroup",
    "option",
    "p",
    "param",
    "pre",
    "rp",
    "rt",
    "ruby",
    "script",
    "search",
    "section",
    "select",
    "source",
    "style",
    "summary",
    "svg",
    "table",
    "tbody",
    "td",
    "template",
    "textarea",
    "tfoot",
    "th",
    "thead",
    "title",
    "tr",
    "track",
    "ul",
    "wbr",
    "xmp",
];
const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "frame", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr",
];
/// Elements that belong into the head as long as there is no body.
const HEAD: &[&str] = &["base", "link", "meta", "noscript", "script", "style", "template", "title"];
/// Elements whose content contains no elements, and those without references as well.
const RAW: &[&str] = &["iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp"];
const CODE: &[&str] = &["iframe", "noembed", "noframes", "script", "style", "xmp"];
/// Elements that end a `p`.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "center",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dd",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hgroup",
    "hr",
    "li",
    "listing",
    "main",
    "menu",
    "nav",
    "ol",
    "p",
    "pre",
    "search",
    "section",
    "summary",
    "table",
    "ul",
    "xmp",
];
const HEADINGS: &[&str] = &["h1", "h2", "h3", "h4", "h5", "h6"];
/// Elements that no tag inside them ends.
const SCOPE: &[&str] =
    &["body", "button", "caption", "head", "html", "math", "object", "svg", "table", "td", "template", "th"];

/// Elements that a start tag ends, and those at which the search for them ends.
type Ends = (&'static [&'static str], &'static [&'static str]);

fn ends(name: &str) -> Option<Ends> {
    const TABLE: &[&str] = &["table", "template", "html", "body"];
    Some(match name {
        "li" => (&["li"], &["ul", "ol", "menu", "dir", "table", "td", "th", "template", "body", "html"]),
        "dt" | "dd" => (&["dt", "dd"], &["dl", "table", "td", "th", "template", "body", "html"]),
        "option" => (&["option"], &["select", "datalist", "optgroup", "body", "html"]),
        "optgroup" => (&["optgroup"], &["select", "datalist", "body", "html"]),
        "td" | "th" => (&["td", "th"], &["tr", "table", "template", "body", "html"]),
        "tr" => (&["tr", "caption", "colgroup"], &["tbody", "thead", "tfoot", "table", "template", "body", "html"]),
        "tbody" | "thead" | "tfoot" => (&["tbody", "thead", "tfoot", "caption", "colgroup"], TABLE),
        "colgroup" => (&["colgroup", "caption"], TABLE),
        "rt" | "rp" => (&["rt", "rp"], &["ruby", "body", "html"]),
        "a" => (&["a"], SCOPE),
        "button" => (&["button"], &["table", "td", "th", "template", "body", "html"]),
        _ => return None,
    })
}

fn known(name: &str) -> &'static str {
    KNOWN.iter().find(|known| known.eq_ignore_ascii_case(name)).copied().unwrap_or_default()
}

impl Builder<'_, '_> {
    /// Adds the elements that every document has.
    pub(super) fn begin_html(&mut self) -> Result<(), Stop> {
        self.implied("html")?;
        self.implied("head")
    }

    fn implied(&mut self, name: &'static str) -> Result<(), Stop> {
        let index = IMPLIED.iter().position(|implied| *implied == name).unwrap_or_default();
        let span = Span { begin: Slot::NO_NAME, end: index as u32 };
        let count = self.tree.attributes.len();
        let open = Open { node: 0, known: name, reading: Reading::default(), scopes: 0 };
        self.element(span, 0, Span::new(count, count), open, false)
    }

    /// Ends the head and begins the body.
    pub(super) fn open_body(&mut self) -> Result<(), Stop> {
        if self.body.is_some() {
            return Ok(());
        }
        while self.open.len() > 1 {
            self.close();
        }
        self.body = Some(self.tree.slots.len() as u32);
        self.implied("body")
    }

    /// Reads a start tag. Returns the element's name if its content is not markup.
    pub(super) fn start_html(
        &mut self,
        name: Span,
        begin: usize,
        is_closed: bool,
        is_xml: bool,
    ) -> Result<Option<&'static str>, Stop> {
        let known = known(name.of(self.tree.text));
        self.work.spend(KNOWN.len() / 8)?;
        let text = self.tree.text;
        let is_space = |attribute: &super::Attribute| attribute.name.of(text).to_ascii_lowercase().starts_with("xmlns");
        if self.tree.attributes.get(begin..).unwrap_or_default().iter().any(is_space) {
            let mut kept = self.tree.attributes.split_off(begin);
            kept.retain(|attribute| !is_space(attribute));
            self.tree.attributes.append(&mut kept);
        }
        let attributes = self.sort(begin)?;
        match known {
            "html" => return Ok(self.adopt(Some(0), attributes)),
            "head" if self.body.is_none() => return Ok(self.adopt(Some(1), attributes)),
            "head" => return Ok(None),
            "body" => {
                self.open_body()?;
                return Ok(self.adopt(self.body, attributes));
            }
            _ => {}
        }
        if self.body.is_none() && self.open.len() <= 2 && !HEAD.contains(&known) {
            self.open_body()?;
        }
        let is_foreign = self.foreign.is_some();
        if !is_foreign {
            self.imply(known)?;
        }
        if matches!(known, "svg" | "math") && !is_foreign && !is_closed {
            self.foreign = Some(self.open.len());
        }
        let above = self.open.last().map(|open| open.reading).unwrap_or_default();
        let is_preserved = above.is_preserved || matches!(known, "pre" | "textarea" | "listing");
        let reading = Reading { is_preserved, ..above };
        let is_void = (VOID.contains(&known) && !is_foreign) || (is_closed && (is_foreign || is_xml));
        self.element(name, 0, attributes, Open { node: 0, known, reading, scopes: 0 }, is_void)?;
        Ok(RAW.iter().find(|raw| **raw == known && !is_foreign && !is_void).copied())
    }

    /// Gives an element that is there already the attributes of its tag.
    fn adopt(&mut self, node: Option<u32>, attributes: Span) -> Option<&'static str> {
        let slot = node.and_then(|node| self.tree.slots.get_mut(node as usize));
        if let Some(slot) = slot.filter(|slot| slot.attributes.is_empty()) {
            slot.attributes = attributes;
        }
        None
    }

    /// Adds the content of an element that contains no markup. Its end tag follows.
    pub(super) fn raw(&mut self, name: &'static str, span: Span) -> Result<(), Stop> {
        let (is_code, is_preserved) = (CODE.contains(&name), name == "textarea");
        let is_blank = span.of(self.tree.text).trim().is_empty();
        if is_blank && !is_preserved {
            return Ok(());
        }
        self.push_text(span, Reading { is_preserved, is_raw: true, is_code, has_cdata: false })
    }

    /// Ends and begins the elements that a start tag implies.
    fn imply(&mut self, name: &'static str) -> Result<(), Stop> {
        if self.sunk > 0 || name.is_empty() {
            return Ok(());
        }
        if BLOCKS.contains(&name) {
            self.end_within(&["p"], SCOPE)?;
        }
        if HEADINGS.contains(&name) && self.open.last().is_some_and(|open| HEADINGS.contains(&open.known)) {
            self.close();
        }
        if let Some((ended, boundary)) = ends(name) {
            self.end_within(ended, boundary)?;
        }
        match (name, self.open.last().map(|open| open.known)) {
            ("tr", Some("table")) => self.implied("tbody"),
            _ => Ok(()),
        }
    }

    /// Ends the innermost element with one of these names, unless a boundary is between.
    fn end_within(&mut self, names: &[&str], boundary: &[&str]) -> Result<(), Stop> {
        self.work.spend(self.open.len())?;
        let is_end = |open: &Open| names.contains(&open.known) || boundary.contains(&open.known);
        let Some(at) = self.open.iter().rposition(is_end) else { return Ok(()) };
        if self.open.get(at).is_some_and(|open| names.contains(&open.known)) {
            while self.open.len() > at {
                self.close();
            }
        }
        Ok(())
    }

    /// Reads an end tag: it ends the innermost element of its name, with everything in it.
    pub(super) fn end_html(&mut self, name: Span) -> Result<(), Stop> {
        if self.sunk > 0 {
            self.sunk -= 1;
            return Ok(());
        }
        let text = self.tree.text;
        let name = name.of(text);
        let known = known(name);
        if matches!(known, "html" | "head" | "body") || VOID.contains(&known) {
            return Ok(());
        }
        self.work.spend(self.open.len() + KNOWN.len() / 8)?;
        let is_part = matches!(known, "caption" | "tbody" | "td" | "tfoot" | "th" | "thead" | "tr");
        let boundary: &[&str] = match known {
            "table" => &["html", "body"],
            _ if is_part => &["table", "html", "body"],
            _ => SCOPE,
        };
        let is_named = |open: &Open| {
            if known.is_empty() { self.tree.name(open.node).eq_ignore_ascii_case(name) } else { open.known == known }
        };
        let at = self.open.iter().rposition(|open| is_named(open) || boundary.contains(&open.known));
        if let Some(at) = at.filter(|at| self.open.get(*at).is_some_and(is_named)) {
            while self.open.len() > at {
                self.close();
            }
        }
        Ok(())
    }
}
