//! HTML and XML as a sequence of tags and text. Owns what is insignificant: white space, comments, the order, quotes
//! and references of attributes, and in HTML the case of names. Builds no tree and knows no schema: markup that a
//! browser would repair is compared as it is. Each byte is visited a bounded number of times.

use std::borrow::Cow;

use crate::treat_equal::{TreatEqual, replaced};
use crate::work::{Stop, Work};

/// HTML elements whose content is not markup (HTML, 13.1.2).
const RAW: &[&str] = &["script", "style", "textarea", "title"];

/// Cost of a tag, a text or an attribute, in addition to its length, in units of work.
const PIECE_WORK: usize = 16;
/// Attributes of a tag.
const MAX_ATTRIBUTES: usize = 10_000;

/// A part of a text that is compared as a whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub(crate) text: Cow<'a, str>,
    /// Number of bytes before it.
    pub(crate) begin: usize,
    pub(crate) is_tag: bool,
}

/// An iterator over the pieces of a document.
pub(crate) struct Markup<'a, 'w> {
    text: &'a str,
    at: usize,
    is_html: bool,
    kinds: &'a [TreatEqual],
    work: &'w Work<'w>,
    /// The element whose content comes next, if that content is not markup.
    raw: Option<&'static str>,
    /// The implied end tag of an XML element that was closed in its start tag.
    end: Option<Piece<'a>>,
    /// `true` after an unclosed quote; from there on, quotes are ordinary characters.
    has_open_quote: bool,
}

impl<'a, 'w> Markup<'a, 'w> {
    pub(crate) fn new(text: &'a str, is_html: bool, kinds: &'a [TreatEqual], work: &'w Work<'w>) -> Self {
        Self { text, at: 0, is_html, kinds, work, raw: None, end: None, has_open_quote: false }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Consumes `end` and everything before it, and returns what comes before it; everything that is left if `end` is
    /// absent.
    fn take_until(&mut self, end: &str) -> &'a str {
        let rest = self.rest();
        let (taken, length) = match rest.find(end) {
            Some(at) => (rest.get(..at).unwrap_or_default(), at + end.len()),
            None => (rest, rest.len()),
        };
        self.at += length;
        taken
    }

    /// Reads the content of an element that contains no markup.
    fn raw_text(&mut self, name: &str) -> &'a str {
        let rest = self.rest();
        let is_end = |at: &usize| {
            let name_begin = at + "</".len();
            rest.get(name_begin..name_begin + name.len()).is_some_and(|sent| sent.eq_ignore_ascii_case(name))
        };
        let end = rest.match_indices("</").map(|(at, _)| at).find(is_end).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// Reads text up to the next tag, without comments.
    fn text(&mut self) -> Result<String, Stop> {
        let mut text = Collapsed::default();
        loop {
            let (at, rest) = (self.at, self.rest());
            if rest.is_empty() || is_tag(rest) {
                return Ok(text.out);
            }
            if rest.starts_with("<!--") {
                self.take_until("-->");
            } else if let Some(behind) = rest.strip_prefix("<![CDATA[") {
                self.at += rest.len() - behind.len();
                text.push(self.take_until("]]>"), self.work)?;
            } else {
                // A `<` at the start does not begin a tag.
                let first = rest.chars().next().map_or(0, char::len_utf8);
                let end = rest.get(first..).and_then(|behind| behind.find('<')).map_or(rest.len(), |at| at + first);
                push_decoded(&mut text, rest.get(..end).unwrap_or_default(), self.work)?;
                self.at += end;
            }
            // Comments are not pushed, so their work is charged here.
            self.work.spend(PIECE_WORK + self.at - at)?;
        }
    }

    /// Reads a tag, or everything that is left if it has no end.
    fn tag(&mut self) -> Result<Piece<'a>, Stop> {
        let (begin, rest) = (self.at, self.rest());
        let quoted = if self.has_open_quote { None } else { end_of_tag(rest) };
        if quoted.is_none() && !self.has_open_quote {
            self.has_open_quote = true;
            self.work.spend(rest.len())?;
        }
        let Some(end) = quoted.or_else(|| rest.find('>')) else {
            self.at = self.text.len();
            return Ok(Piece { text: collapsed(rest, self.work)?.into(), begin, is_tag: false });
        };
        self.at += end + 1;
        self.work.spend(PIECE_WORK + end)?;
        let inside = rest.get(1..end).unwrap_or_default();
        if inside.starts_with(['!', '?']) {
            let text = collapsed(inside, self.work)?;
            let text = if self.is_html { text.to_lowercase() } else { text };
            // The XML declaration describes the encoding, not the content.
            let text = if text.starts_with("?xml ") { String::new() } else { format!("<{text}>") };
            return Ok(Piece { text: text.into(), begin, is_tag: true });
        }
        let (inside, is_closed) = match inside.strip_suffix('/') {
            Some(inside) => (inside, true),
            None => (inside, false),
        };
        let name = inside.split(char::is_whitespace).next().unwrap_or_default();
        let attributes = inside.get(name.len()..).unwrap_or_default();
        let name = self.name(name);
        if self.is_html {
            self.raw = RAW.iter().find(|raw| **raw == name).copied();
        } else if is_closed {
            self.end = Some(Piece { text: format!("</{name}>").into(), begin, is_tag: true });
        }
        let text = format!("<{name}{}>", self.attributes(attributes)?);
        Ok(Piece { text: text.into(), begin, is_tag: true })
    }

    /// Returns the attributes, sorted, each preceded by a space.
    fn attributes(&self, attributes: &'a str) -> Result<String, Stop> {
        // One string with positions: a string per attribute would take many times the memory.
        let (mut all, mut places) = (String::new(), Vec::new());
        for (name, value) in Attributes(attributes) {
            self.work.spend(PIECE_WORK)?;
            if places.len() >= MAX_ATTRIBUTES {
                return Err(Stop::TooLarge);
            }
            let begin = all.len();
            let mut decoded = Collapsed::default();
            push_decoded(&mut decoded, value, self.work)?;
            let value = replaced(&decoded.out, self.kinds, self.work)?;
            for part in [" ", &*self.name(name), "=\"", &*value, "\""] {
                all.push_str(part);
            }
            places.push((begin, all.len()));
        }
        if places.len() < 2 {
            return Ok(all);
        }
        self.work.spend(all.len() * places.len().ilog2() as usize)?;
        let text = |(begin, end): (usize, usize)| all.get(begin..end).unwrap_or_default();
        let mut sorted: Vec<&str> = places.into_iter().map(text).collect();
        sorted.sort_unstable();
        Ok(sorted.concat())
    }

    /// Returns the next piece; its text may be empty after white space.
    fn piece(&mut self) -> Result<Option<Piece<'a>>, Stop> {
        if let Some(end) = self.end.take() {
            return Ok(Some(end));
        }
        let begin = self.at;
        let piece = if let Some(name) = self.raw.take() {
            let text = self.raw_text(name);
            self.work.spend(PIECE_WORK + text.len())?;
            Piece { text: collapsed(text, self.work)?.into(), begin, is_tag: false }
        } else if self.rest().is_empty() {
            return Ok(None);
        } else if is_tag(self.rest()) {
            self.tag()?
        } else {
            // White space before a text is not part of its position.
            let rest = self.rest();
            let begin = begin + (rest.len() - rest.trim_start().len());
            Piece { text: self.text()?.into(), begin, is_tag: false }
        };
        Ok(Some(piece))
    }

    fn name<'n>(&self, name: &'n str) -> Cow<'n, str> {
        if self.is_html { name.to_ascii_lowercase().into() } else { name.into() }
    }
}

impl<'a> Iterator for Markup<'a, '_> {
    type Item = Result<Piece<'a>, Stop>;

    fn next(&mut self) -> Option<Result<Piece<'a>, Stop>> {
        loop {
            match self.piece() {
                Ok(Some(piece)) if piece.text.is_empty() => {}
                piece => return piece.transpose(),
            }
        }
    }
}

fn is_tag(text: &str) -> bool {
    match text.as_bytes() {
        [b'<', b'!', ..] => !text.starts_with("<!--") && !text.starts_with("<![CDATA["),
        [b'<', b'?', ..] => true,
        [b'<', b'/', first, ..] | [b'<', first, ..] => first.is_ascii_alphabetic(),
        _ => false,
    }
}

/// Returns the position of the `>` that ends a tag, outside quotes.
fn end_of_tag(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

/// An iterator over attributes and their values, which are empty for attributes without one.
struct Attributes<'a>(&'a str);

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        let rest = self.0.trim_start_matches(|character: char| character.is_whitespace() || character == '/');
        if rest.is_empty() {
            return None;
        }
        let is_end = |character: char| character.is_whitespace() || character == '=' || character == '/';
        // A `=` at the start is part of the name, so that each step consumes something.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let length = rest.get(first..).and_then(|behind| behind.find(is_end)).map_or(rest.len(), |at| at + first);
        let (name, rest) = rest.split_at_checked(length)?;
        let Some(value) = rest.trim_start().strip_prefix('=') else {
            self.0 = rest;
            return Some((name, ""));
        };
        let value = value.trim_start();
        let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.split_once(quote));
        let (value, rest) = quoted.unwrap_or_else(|| {
            value.split_at_checked(value.find(char::is_whitespace).unwrap_or(value.len())).unwrap_or((value, ""))
        });
        self.0 = rest;
        Some((name, value))
    }
}

/// Returns the words of a text, separated by single spaces.
fn collapsed(text: &str, work: &Work<'_>) -> Result<String, Stop> {
    let mut collapsed = Collapsed::default();
    collapsed.push(text, work)?;
    Ok(collapsed.out)
}

/// Collapses white space in a text that arrives in parts.
#[derive(Default)]
struct Collapsed {
    out: String,
    has_space: bool,
}

impl Collapsed {
    fn push(&mut self, text: &str, work: &Work<'_>) -> Result<(), Stop> {
        for (index, word) in text.split(char::is_whitespace).enumerate() {
            work.spend(1 + word.len())?;
            self.has_space |= index > 0;
            if word.is_empty() {
                continue;
            }
            if self.has_space && !self.out.is_empty() {
                self.out.push(' ');
            }
            self.has_space = false;
            self.out.push_str(word);
        }
        Ok(())
    }
}

/// Decodes character references: numeric ones, and those that serializers use inconsistently.
fn push_decoded(out: &mut Collapsed, text: &str, work: &Work<'_>) -> Result<(), Stop> {
    let mut pieces = text.split('&');
    out.push(pieces.next().unwrap_or_default(), work)?;
    for piece in pieces {
        match piece.split_once(';').and_then(|(name, behind)| Some((referenced(name)?, behind))) {
            Some((character, behind)) => {
                out.push(character.encode_utf8(&mut [0; 4]), work)?;
                out.push(behind, work)?;
            }
            None => {
                out.push("&", work)?;
                out.push(piece, work)?;
            }
        }
    }
    Ok(())
}

fn referenced(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{A0}'),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}
