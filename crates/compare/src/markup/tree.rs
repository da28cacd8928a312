//! A document as a compact tree. Owns the elements that HTML implies, namespaces of XML, limits of size and depth, and
//! digests.

mod html;

use std::borrow::Cow;

use super::selector::{Element, Matching};
use super::tokens::{Attribute, Span, Token, Tokens};
use super::values::{self, Reading};
use crate::evidence::{NOWHERE, continued};
use crate::findings::Findings;
use crate::work::{Stop, Work};

/// Memory of a tree in bytes.
const MAX_TREE: usize = 12 * 1024 * 1024;
/// Nesting depth. Deeper elements are siblings.
const MAX_DEPTH: usize = 128;
/// Cost of an element or a text, in units of work.
const NODE_WORK: usize = 16;
/// The digest of an element that is ignored, and of a text without content.
pub(super) const NOTHING: u64 = 0;

/// Index of an element or a text.
pub(super) type Node = u32;

/// Elements that are there even if their tags are not.
const IMPLIED: [&str; 4] = ["html", "head", "body", "tbody"];

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The name of an element, without its prefix; or the text.
    span: Span,
    /// Indices of an element's attributes, sorted by name.
    attributes: Span,
    /// The slot behind its content.
    next: Node,
    /// Hash of an element's namespace; a text's reading.
    space: u32,
    digest: u64,
}

impl Slot {
    /// Marks a text, and an element whose name is implied.
    const TEXT: Span = Span { begin: u32::MAX, end: 0 };
    const NO_NAME: u32 = u32::MAX;

    fn is_text(&self) -> bool {
        self.attributes == Slot::TEXT
    }
}

/// A document: its elements and texts in their order, each followed by its content.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    text: &'a str,
    pub(super) is_html: bool,
    slots: Vec<Slot>,
    attributes: Vec<Attribute>,
    /// The document type, and the encoding that an XML declaration names.
    pub(super) doctype: Option<Span>,
    pub(super) encoding: Option<&'a str>,
}

impl<'a> Tree<'a> {
    /// Parses a document, whatever it is.
    pub(super) fn parse(text: &'a str, is_html: bool, work: &Work<'_>) -> Result<Self, Stop> {
        let slots = Vec::with_capacity((text.len() / 24).min(1024));
        let tree = Tree { text, is_html, slots, attributes: Vec::new(), doctype: None, encoding: None };
        let mut builder =
            Builder { tree, open: Vec::new(), sunk: 0, body: None, foreign: None, scopes: Vec::new(), work };
        builder.document()?;
        Ok(builder.tree)
    }

    /// Returns the elements and texts at the top.
    pub(super) fn roots(&self) -> Children<'_, 'a> {
        Children { tree: self, next: 0, end: self.slots.len() as u32 }
    }

    pub(super) fn children(&self, node: Node) -> Children<'_, 'a> {
        Children { tree: self, next: node.saturating_add(1), end: self.slot(node).next }
    }

    /// Returns the node behind everything that a node contains.
    pub(super) fn end(&self, node: Node) -> Node {
        self.slot(node).next
    }

    pub(super) fn is_text(&self, node: Node) -> bool {
        self.slot(node).is_text()
    }

    /// Returns the name of an element, as written.
    pub(super) fn name(&self, node: Node) -> &str {
        let span = self.slot(node).span;
        if span.begin == Slot::NO_NAME {
            return IMPLIED.get(span.end as usize).copied().unwrap_or_default();
        }
        span.of(self.text)
    }

    /// Returns the name of an element as it counts.
    pub(super) fn folded_name(&self, node: Node) -> Cow<'_, str> {
        let name = self.name(node);
        let is_folded = !self.is_html || !name.bytes().any(|byte| byte.is_ascii_uppercase());
        if is_folded { Cow::Borrowed(name) } else { Cow::Owned(name.to_ascii_lowercase()) }
    }

    pub(super) fn space(&self, node: Node) -> u32 {
        self.slot(node).space
    }

    /// Returns a text as it counts.
    pub(super) fn text(&self, node: Node) -> Cow<'_, str> {
        let slot = self.slot(node);
        values::text(slot.span.of(self.text), Reading::of_bits(slot.space))
    }

    /// Returns the length of a text as written.
    pub(super) fn length(&self, node: Node) -> usize {
        self.slot(node).span.of(self.text).len()
    }

    pub(super) fn digest(&self, node: Node) -> u64 {
        self.slot(node).digest
    }

    pub(super) fn attributes(&self, node: Node) -> &[Attribute] {
        let Slot { attributes: Span { begin, end }, .. } = self.slot(node);
        self.attributes.get(begin as usize..end as usize).unwrap_or_default()
    }

    /// Returns the name of an attribute, as written and without its prefix.
    pub(super) fn attribute_name(&self, attribute: &Attribute) -> &'a str {
        attribute.name.of(self.text)
    }

    /// Returns the value of an attribute as written.
    pub(super) fn raw_value(&self, attribute: &Attribute) -> &'a str {
        attribute.value.of(self.text)
    }

    /// Returns the value of an attribute as it counts.
    pub(super) fn value(&self, tag: &str, attribute: &Attribute) -> Option<Cow<'a, str>> {
        let (name, raw) = (attribute.name.of(self.text), attribute.value.of(self.text));
        let value = values::attribute(tag, name, raw, self.is_html)?;
        if !self.is_html && name == "type" && attribute.space != 0 {
            // The prefix of a type's name may be any.
            let begin = value.find(':').map_or(0, |at| at + 1);
            return Some(Cow::Owned(value.get(begin..).unwrap_or_default().to_owned()));
        }
        Some(value)
    }

    /// Returns the value of an element's attribute by its name.
    pub(super) fn attribute(&self, node: Node, name: &str) -> Option<Cow<'a, str>> {
        let attributes = self.attributes(node);
        let found = if self.is_html {
            let at = attributes.binary_search_by(|attribute| folded(attribute.name.of(self.text), name.bytes()));
            at.ok().and_then(|at| attributes.get(at))
        } else {
            attributes.iter().take(64).find(|attribute| attribute.name.of(self.text) == name)
        };
        self.value(&self.folded_name(node), found?)
    }

    /// Returns the words of the document type as they count.
    pub(super) fn doctype(&self) -> Option<String> {
        let words = self.doctype?.of(self.text).split_whitespace().collect::<Vec<_>>().join(" ");
        Some(if self.is_html { words.to_ascii_lowercase() } else { words.replace('\'', "\"") })
    }

    /// Sets the digests, which are equal for content that counts as equal.
    pub(super) fn fill_digests(&mut self, ignored: &mut Matching<'_>, findings: &Findings<'_>) -> Result<(), Stop> {
        let work = findings.work;
        // The elements around the present one, and what is known of their digests.
        let mut open: Vec<(Node, u64)> = Vec::new();
        let mut node: Node = 0;
        loop {
            while let Some((last, digest)) = open.last().copied()
                && self.end(last) <= node
            {
                open.pop();
                ignored.leave();
                self.close(last, digest, &mut open);
            }
            if node as usize >= self.slots.len() {
                return Ok(());
            }
            work.spend(NODE_WORK)?;
            if self.is_text(node) {
                work.spend(self.length(node))?;
                let digest = {
                    let text = self.text(node);
                    if text.is_empty() { NOTHING } else { continued(1, findings.without_masked(&text)?.as_bytes()) }
                };
                self.close(node, digest, &mut open);
                node = node.saturating_add(1);
                continue;
            }
            if ignored.enter(&Placed { tree: self, node, is_root: open.is_empty() }, work)? {
                ignored.leave();
                self.close(node, NOTHING, &mut open);
                node = self.end(node);
                continue;
            }
            let digest = self.digest_of_tag(node, ignored, findings)?;
            open.push((node, digest));
            node = node.saturating_add(1);
        }
    }

    fn close(&mut self, node: Node, digest: u64, open: &mut [(Node, u64)]) {
        // An element that HTML implies counts as absent if it is empty.
        let is_empty = self.end(node) == node.saturating_add(1) && !self.is_text(node);
        let is_nothing = is_empty && self.is_html && self.name(node) == "tbody" && self.attributes(node).is_empty();
        let digest = if is_nothing { NOTHING } else { digest };
        if let Some(slot) = self.slots.get_mut(node as usize) {
            slot.digest = digest;
        }
        if let (Some((_, above)), false) = (open.last_mut(), digest == NOTHING) {
            *above = continued(*above, &digest.to_le_bytes());
        }
    }

    fn digest_of_tag(&self, node: Node, ignored: &Matching<'_>, findings: &Findings<'_>) -> Result<u64, Stop> {
        let (tag, work) = (self.folded_name(node), findings.work);
        let mut digest = continued(continued(NOWHERE, tag.as_bytes()), &self.space(node).to_le_bytes());
        for attribute in self.attributes(node) {
            let name = attribute.name.of(self.text);
            work.spend(NODE_WORK + attribute.value.of(self.text).len())?;
            if ignored.is_attribute(name) {
                continue;
            }
            if let Some(value) = self.value(&tag, attribute) {
                for byte in name.bytes() {
                    let byte = if self.is_html { byte.to_ascii_lowercase() } else { byte };
                    digest = continued(digest, &[byte]);
                }
                digest = continued(continued(digest, b"="), findings.without_masked(&value)?.as_bytes());
            }
        }
        Ok(digest.max(1))
    }

    fn slot(&self, node: Node) -> Slot {
        let nothing = Slot { span: Span::default(), attributes: Slot::TEXT, next: u32::MAX, space: 0, digest: NOTHING };
        self.slots.get(node as usize).copied().unwrap_or(nothing)
    }
}

/// The elements and texts in an element that count.
#[derive(Debug)]
pub(super) struct Children<'t, 'a> {
    tree: &'t Tree<'a>,
    next: Node,
    end: Node,
}

impl Iterator for Children<'_, '_> {
    type Item = Node;

    fn next(&mut self) -> Option<Node> {
        let node = self.next;
        if node >= self.end || node as usize >= self.tree.slots.len() {
            return None;
        }
        self.next = self.tree.end(node).max(node.saturating_add(1));
        Some(node)
    }
}

/// An element in its document, as selectors see it.
pub(super) struct Placed<'t, 'a> {
    pub(super) tree: &'t Tree<'a>,
    pub(super) node: Node,
    pub(super) is_root: bool,
}

impl Element for Placed<'_, '_> {
    fn name(&self) -> &str {
        self.tree.name(self.node)
    }

    fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        self.tree.attribute(self.node, name)
    }

    fn is_root(&self) -> bool {
        self.is_root
    }

    fn nth_of_type(&self) -> Option<u32> {
        None
    }
}

/// Compares a name in any case with one in lower case.
fn folded(name: &str, other: impl Iterator<Item = u8>) -> std::cmp::Ordering {
    name.bytes().map(|byte| byte.to_ascii_lowercase()).cmp(other.map(|byte| byte.to_ascii_lowercase()))
}

/// An element whose end has not been read yet.
#[derive(Clone, Copy, Debug)]
struct Open {
    node: Node,
    /// Its name, if it is one that the rules of HTML mention.
    known: &'static str,
    reading: Reading,
    /// Number of namespace declarations outside.
    scopes: usize,
}

/// A namespace declaration: prefix, and hash of the name.
#[derive(Clone, Copy, Debug)]
struct Scope {
    prefix: Span,
    space: u32,
}

struct Builder<'a, 'w> {
    tree: Tree<'a>,
    open: Vec<Open>,
    /// Number of open elements below the deepest one that has content.
    sunk: usize,
    body: Option<Node>,
    /// Depth of the outermost `svg` or `math`.
    foreign: Option<usize>,
    scopes: Vec<Scope>,
    work: &'w Work<'w>,
}

impl<'a> Builder<'a, '_> {
    fn document(&mut self) -> Result<(), Stop> {
        let text = self.tree.text;
        let is_xml = !self.tree.is_html || text.trim_start().starts_with("<?xml ");
        let mut tokens = Tokens::new(text, !self.tree.is_html);
        if self.tree.is_html {
            self.begin_html()?;
        }
        loop {
            let begin = self.tree.attributes.len();
            tokens.has_cdata = !self.tree.is_html || self.foreign.is_some();
            let Some(token) = tokens.next(&mut self.tree.attributes, self.work)? else { break };
            match token {
                Token::Start { name, is_closed } if self.tree.is_html => {
                    if let Some(raw) = self.start_html(name, begin, is_closed, is_xml)? {
                        let span = tokens.raw(raw, self.work)?;
                        self.raw(raw, span)?;
                    }
                }
                Token::Start { name, is_closed } => self.start_xml(name, begin, is_closed)?,
                Token::End(name) if self.tree.is_html => self.end_html(name)?,
                Token::End(name) => self.end_xml(name)?,
                Token::Text { span, is_blank } => self.text(span, is_blank)?,
                Token::Doctype(span) => {
                    self.tree.doctype.get_or_insert(span);
                }
                Token::Declaration(span) => {
                    let words = span.of(text);
                    let quoted = words.split_once("encoding").map(|(_, rest)| rest.trim_start_matches([' ', '=']));
                    self.tree.encoding = quoted.and_then(|quoted| quoted.split(['"', '\'']).nth(1));
                }
            }
        }
        if self.tree.is_html {
            self.open_body()?;
        }
        while !self.open.is_empty() {
            self.close();
        }
        Ok(())
    }

    fn text(&mut self, span: Span, is_blank: bool) -> Result<(), Stop> {
        let reading = self.open.last().map(|open| open.reading).unwrap_or_default();
        if is_blank && !reading.is_preserved {
            return Ok(());
        }
        if self.tree.is_html && self.body.is_none() && self.open.len() <= 2 {
            self.open_body()?;
        }
        let has_cdata = !self.tree.is_html || self.foreign.is_some();
        self.push_text(span, Reading { has_cdata, ..reading })
    }

    fn push_text(&mut self, mut span: Span, reading: Reading) -> Result<(), Stop> {
        // The first line break in a `pre` or `textarea` is no part of it.
        let is_first = self.open.last().is_some_and(|open| {
            matches!(open.known, "pre" | "textarea" | "listing") && open.node as usize + 1 == self.tree.slots.len()
        });
        if is_first && self.tree.is_html {
            let text = span.of(self.tree.text);
            let rest = text.strip_prefix("\r\n").or(text.strip_prefix('\n')).unwrap_or(text);
            span.begin = span.begin.saturating_add((text.len() - rest.len()) as u32);
        }
        if span.is_empty() {
            return Ok(());
        }
        let node = self.tree.slots.len() as u32;
        let next = node.saturating_add(1);
        self.push(Slot { span, attributes: Slot::TEXT, next, space: reading.bits(), digest: NOTHING })
    }

    fn push(&mut self, slot: Slot) -> Result<(), Stop> {
        let memory = self.tree.slots.len() * size_of::<Slot>() + self.tree.attributes.len() * size_of::<Attribute>();
        if memory > MAX_TREE {
            return Err(Stop::TooLarge);
        }
        self.work.spend(NODE_WORK)?;
        self.tree.slots.push(slot);
        Ok(())
    }

    /// Sorts the attributes from `begin` on, of which the first of each name counts.
    fn sort(&mut self, begin: usize) -> Result<Span, Stop> {
        let (text, is_html) = (self.tree.text, self.tree.is_html);
        let all = self.tree.attributes.get_mut(begin..).unwrap_or_default();
        if all.len() > 1 {
            let names: usize = all.iter().map(|attribute| attribute.name.of(text).len()).sum();
            self.work.spend((all.len() + names) * (1 + all.len().ilog2() as usize))?;
            let order = |one: &Attribute, other: &Attribute| {
                let (left, right) = (one.name.of(text), other.name.of(text));
                let names = if is_html { folded(left, right.bytes()) } else { left.cmp(right) };
                one.space.cmp(&other.space).then(names)
            };
            if !all.is_sorted_by(|one, other| order(one, other).is_lt()) {
                all.sort_by(order);
                let mut sorted = self.tree.attributes.split_off(begin);
                sorted.dedup_by(|other, one| order(one, other).is_eq());
                self.tree.attributes.append(&mut sorted);
            }
        }
        Ok(Span::new(begin, self.tree.attributes.len()))
    }

    /// Adds an element, and opens it unless `is_void`.
    fn element(&mut self, name: Span, space: u32, attributes: Span, open: Open, is_void: bool) -> Result<(), Stop> {
        let node = self.tree.slots.len() as u32;
        self.push(Slot { span: name, attributes, next: node.saturating_add(1), space, digest: NOTHING })?;
        if is_void {
            self.scopes.truncate(open.scopes);
            return Ok(());
        }
        if self.open.len() >= MAX_DEPTH {
            self.scopes.truncate(open.scopes);
            self.sunk += 1;
            return Ok(());
        }
        self.open.push(Open { node, ..open });
        Ok(())
    }

    /// Ends the innermost element.
    fn close(&mut self) {
        self.sunk = 0;
        let next = self.tree.slots.len() as u32;
        let Some(open) = self.open.pop() else { return };
        if let Some(slot) = self.tree.slots.get_mut(open.node as usize) {
            slot.next = next;
        }
        self.scopes.truncate(open.scopes);
        self.foreign = self.foreign.filter(|depth| self.open.len() > *depth);
    }

    fn start_xml(&mut self, name: Span, begin: usize, is_closed: bool) -> Result<(), Stop> {
        let text = self.tree.text;
        let scopes = self.scopes.len();
        let mut reading = self.open.last().map(|open| open.reading).unwrap_or_default();
        let declared = self.tree.attributes.get(begin..).unwrap_or_default();
        for attribute in declared {
            let name = attribute.name.of(text);
            if name == "xmlns" || name.starts_with("xmlns:") {
                let prefix_begin = attribute.name.begin as usize + name.len().min("xmlns:".len());
                let prefix = Span::new(prefix_begin, attribute.name.end as usize);
                self.scopes.push(Scope { prefix, space: hash(attribute.value.of(text)) });
            } else if name == "xml:space" {
                reading.is_preserved = attribute.value.of(text) == "preserve";
            }
        }
        if self.scopes.len() > scopes {
            let mut kept = self.tree.attributes.split_off(begin);
            kept.retain(|attribute| {
                let name = attribute.name.of(text);
                name != "xmlns" && !name.starts_with("xmlns:")
            });
            self.tree.attributes.append(&mut kept);
        }
        for at in begin..self.tree.attributes.len() {
            let Some(Attribute { name, .. }) = self.tree.attributes.get(at).copied() else { break };
            let (prefix, local) = split(name, text);
            let space = if prefix.is_empty() { 0 } else { self.space(prefix)? };
            if let Some(attribute) = self.tree.attributes.get_mut(at) {
                (attribute.name, attribute.space) = (local, space);
            }
        }
        let attributes = self.sort(begin)?;
        let (prefix, local) = split(name, text);
        let space = self.space(prefix)?;
        self.element(local, space, attributes, Open { node: 0, known: "", reading, scopes }, is_closed)
    }

    /// Returns the hash of the namespace that a prefix stands for.
    fn space(&self, prefix: Span) -> Result<u32, Stop> {
        let name = prefix.of(self.tree.text);
        for (count, scope) in self.scopes.iter().rev().enumerate() {
            if scope.prefix.of(self.tree.text) == name {
                self.work.spend(count)?;
                return Ok(scope.space);
            }
        }
        self.work.spend(self.scopes.len())?;
        Ok(if name.is_empty() { 0 } else { hash(name) })
    }

    /// Ends the innermost element of this name, if there is one.
    fn end_xml(&mut self, name: Span) -> Result<(), Stop> {
        if self.sunk > 0 {
            self.sunk -= 1;
            return Ok(());
        }
        let (_, local) = split(name, self.tree.text);
        let local = local.of(self.tree.text);
        self.work.spend(self.open.len())?;
        let Some(at) = self.open.iter().rposition(|open| self.tree.name(open.node) == local) else { return Ok(()) };
        while self.open.len() > at {
            self.close();
        }
        Ok(())
    }
}

/// Splits a name into prefix and local name.
fn split(name: Span, text: &str) -> (Span, Span) {
    match name.of(text).find(':') {
        Some(at) if at > 0 => {
            let middle = name.begin as usize + at;
            (Span { begin: name.begin, end: middle as u32 }, Span { begin: (middle + 1) as u32, end: name.end })
        }
        _ => (Span { begin: name.begin, end: name.begin }, name),
    }
}

/// Returns a hash that is not 0, unless the text is empty.
fn hash(text: &str) -> u32 {
    if text.is_empty() { 0 } else { (continued(NOWHERE, text.as_bytes()) as u32).max(1) }
}
