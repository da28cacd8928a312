//! Mapping in HTML: paths in attributes that hold URLs, paths in styles, and the integrity of resources that are mapped themselves.
//! URLs with a host are mapped everywhere, by `urls`.
//!
//! Follows the tokenizer of the HTML standard as far as the ends of tags, comments, scripts and styles depend on it. A tag is
//! kept until its end, up to a limit; a longer one passes with its URLs mapped, but not its paths.

use std::ops::Range;
use std::sync::Arc;

use super::names::Names;
use super::spelling::Cursor;
use super::urls::{Urls, mapped};

/// Bytes of a tag. Images that are part of one are longer.
const MAX_TAG: usize = 64 * 1024;

/// Attributes with a URL.
const URLS: [&[u8]; 14] = [
    b"href",
    b"src",
    b"action",
    b"formaction",
    b"poster",
    b"data",
    b"cite",
    b"background",
    b"manifest",
    b"longdesc",
    b"xlink:href",
    b"codebase",
    b"icon",
    b"lowsrc",
];
/// Attributes with several.
const LISTS: [&[u8]; 2] = [b"srcset", b"imagesrcset"];

/// Maps a page that comes in pieces.
#[derive(Debug)]
pub(crate) struct Html<'n> {
    urls: Urls<'n>,
    /// The content of scripts or styles is mapped on its way, so the hash of their bytes is wrong.
    resources: Resources,
    state: State,
    /// The tag, or what may become one.
    tag: Vec<u8>,
    /// It is too long, and not in `tag`.
    is_long: bool,
    element: Element,
    attributes: Vec<Attribute>,
    ready: Vec<u8>,
    is_changed: bool,
}

/// The resources of a page whose content is mapped.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Resources {
    pub(super) scripts: bool,
    pub(super) styles: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Text,
    /// `<`
    Open,
    /// `<!`
    Declaration,
    /// To the next `>`: an end tag, a declaration.
    ToEnd,
    /// With so many `-` at its end.
    Comment(usize),
    Name,
    BeforeAttribute,
    AttributeName,
    AfterName,
    BeforeValue,
    Quoted(u8),
    Unquoted,
    /// Text of an element that has no tags in it.
    Raw,
    /// `</` in it.
    RawEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Script,
    Style,
    Textarea,
    Title,
    Link,
    Meta,
    Other,
}

impl Element {
    const RAW: [(&'static [u8], Element); 4] = [
        (b"</script", Element::Script),
        (b"</style", Element::Style),
        (b"</textarea", Element::Textarea),
        (b"</title", Element::Title),
    ];

    fn named(name: &[u8]) -> Self {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match Self::RAW.iter().find(|(end, _)| end.get(2..).is_some_and(is)) {
            Some((_, element)) => *element,
            None if is(b"link") => Element::Link,
            None if is(b"meta") => Element::Meta,
            None => Element::Other,
        }
    }

    /// The beginning of the end tag, without which its text does not end.
    fn end(self) -> Option<&'static [u8]> {
        Self::RAW.iter().find(|(_, element)| *element == self).map(|(end, _)| *end)
    }
}

#[derive(Clone, Debug, Default)]
struct Attribute {
    name: Range<usize>,
    value: Range<usize>,
    /// With its quotes.
    end: usize,
}

impl<'n> Html<'n> {
    pub(super) fn new(names: Arc<Names<'n>>, resources: Resources) -> Self {
        Html {
            urls: Urls::new(names, false),
            resources,
            state: State::Text,
            tag: Vec::new(),
            is_long: false,
            element: Element::Other,
            attributes: Vec::new(),
            ready: Vec::new(),
            is_changed: false,
        }
    }

    /// Takes a piece, and appends what is decided.
    pub(super) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        while let Some((byte, after)) = rest.split_first() {
            let text = match self.state {
                State::Text | State::Raw => rest.iter().position(|byte| *byte == b'<').unwrap_or(rest.len()),
                _ => 0,
            };
            if text > 0 {
                let (text, after) = rest.split_at_checked(text).unwrap_or((rest, &[]));
                self.ready.extend_from_slice(text);
                rest = after;
            } else if self.takes(*byte, out) {
                rest = after;
            }
        }
        self.pass(out);
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.keep();
        self.pass(out);
        self.urls.finish(out);
    }

    /// Returns the number of bytes that wait for the next piece.
    pub(super) fn held(&self) -> usize {
        self.tag.len() + self.urls.held()
    }

    pub(super) fn is_changed(&self) -> bool {
        self.is_changed || self.urls.is_changed
    }

    /// Gives what is ready to the mapping of URLs.
    fn pass(&mut self, out: &mut Vec<u8>) {
        self.urls.push(&self.ready, out);
        self.ready.clear();
    }

    /// Leaves as it is a text that looked like a tag, or a tag without changes.
    fn keep(&mut self) {
        self.ready.append(&mut self.tag);
    }

    /// Adds a byte to the tag.
    fn add(&mut self, byte: u8) {
        self.tag.push(byte);
        if self.is_long || self.tag.len() > MAX_TAG {
            self.is_long = true;
            self.keep();
        }
    }

    /// Returns `false` if the byte has to be looked at in the new state.
    fn takes(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        match self.state {
            State::Text => {
                self.add(byte);
                self.state = State::Open;
            }
            State::Open => {
                self.state = match byte {
                    b'/' | b'?' => State::ToEnd,
                    b'!' => State::Declaration,
                    byte if byte.is_ascii_alphabetic() => State::Name,
                    _ => {
                        self.keep();
                        self.state = State::Text;
                        return false;
                    }
                };
                self.add(byte);
                match self.state {
                    State::ToEnd => self.keep(),
                    State::Name => {
                        self.attributes.clear();
                        self.element = Element::Other;
                    }
                    _ => {}
                }
            }
            State::Declaration => {
                if byte != b'-' {
                    self.keep();
                    self.state = State::ToEnd;
                    return false;
                }
                self.add(byte);
                if self.tag.len() == 4 {
                    self.keep();
                    self.state = State::Comment(2);
                }
            }
            State::ToEnd => {
                self.ready.push(byte);
                if byte == b'>' {
                    self.state = State::Text;
                }
            }
            State::Comment(dashes) => {
                self.ready.push(byte);
                self.state = match byte {
                    b'-' => State::Comment(dashes.saturating_add(1)),
                    b'>' if dashes >= 2 => State::Text,
                    b'!' if dashes >= 2 => State::Comment(dashes),
                    _ => State::Comment(0),
                };
            }
            State::Raw => {
                self.add(byte);
                self.state = State::RawEnd;
            }
            State::RawEnd => return self.takes_end(byte, out),
            _ => return self.takes_in_tag(byte, out),
        }
        true
    }

    /// Within the text of a script, a style and so on, after a `<`.
    fn takes_end(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        let end = self.element.end().unwrap_or_default();
        match end.get(self.tag.len()) {
            Some(expected) if byte.eq_ignore_ascii_case(expected) => {
                self.add(byte);
                true
            }
            None if byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>') => {
                if self.urls.is_css {
                    self.pass(out);
                    self.urls.is_css = false;
                }
                self.keep();
                self.state = State::ToEnd;
                false
            }
            _ => {
                self.keep();
                self.state = State::Raw;
                false
            }
        }
    }

    fn takes_in_tag(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        let at = self.tag.len();
        let is_space = byte.is_ascii_whitespace();
        if self.state == State::Name && (is_space || matches!(byte, b'/' | b'>')) {
            self.element = Element::named(self.tag.get(1..).unwrap_or_default());
        }
        self.state = match (self.state, byte) {
            (State::Quoted(quote), byte) if byte == quote => {
                self.last(|it| (it.value.end, it.end) = (at, at + 1));
                State::BeforeAttribute
            }
            (State::Quoted(quote), _) => State::Quoted(quote),
            (State::Unquoted, b'>') => {
                self.last(|it| (it.value.end, it.end) = (at, at));
                return self.ends(out);
            }
            (State::Unquoted, _) if is_space => {
                self.last(|it| (it.value.end, it.end) = (at, at));
                State::BeforeAttribute
            }
            (State::Unquoted, _) => State::Unquoted,
            (State::AttributeName, b'=') => {
                self.last(|it| it.name.end = at);
                State::BeforeValue
            }
            (State::AttributeName, _) if is_space || matches!(byte, b'/' | b'>') => {
                self.last(|it| (it.name.end, it.end) = (at, at));
                match byte {
                    b'>' => return self.ends(out),
                    b'/' => State::BeforeAttribute,
                    _ => State::AfterName,
                }
            }
            (State::AttributeName, _) => State::AttributeName,
            (_, b'>') => return self.ends(out),
            (State::Name | State::BeforeAttribute | State::AfterName, _) if is_space || byte == b'/' => {
                match (self.state, byte) {
                    (State::AfterName, byte) if byte != b'/' => State::AfterName,
                    _ => State::BeforeAttribute,
                }
            }
            (State::Name, _) => State::Name,
            (State::AfterName, b'=') => State::BeforeValue,
            (State::BeforeValue, _) if is_space => State::BeforeValue,
            (State::BeforeValue, b'"' | b'\'') => {
                self.last(|it| it.value = at + 1..at + 1);
                State::Quoted(byte)
            }
            (State::BeforeValue, _) => {
                self.last(|it| it.value = at..at);
                State::Unquoted
            }
            _ => {
                if !self.is_long {
                    self.attributes.push(Attribute { name: at..at, value: 0..0, end: at });
                }
                State::AttributeName
            }
        };
        self.add(byte);
        true
    }

    fn last(&mut self, change: impl FnOnce(&mut Attribute)) {
        if let Some(attribute) = self.attributes.last_mut().filter(|_| !self.is_long) {
            change(attribute);
        }
    }

    /// The tag is complete.
    fn ends(&mut self, out: &mut Vec<u8>) -> bool {
        self.add(b'>');
        if !self.is_long {
            self.rewrite();
        }
        self.keep();
        self.is_long = false;
        self.state = if self.element.end().is_some() { State::Raw } else { State::Text };
        if self.element == Element::Style && self.urls.names.maps_paths() {
            self.pass(out);
            self.urls.is_css = true;
        }
        true
    }

    /// Makes the changes to a whole tag.
    fn rewrite(&mut self) {
        let (tag, names) = (std::mem::take(&mut self.tag), &self.urls.names);
        let part = |range: &Range<usize>| tag.get(range.clone()).unwrap_or_default();
        let value_of = |name: &[u8]| {
            let attribute = self.attributes.iter().find(|it| part(&it.name).eq_ignore_ascii_case(name));
            attribute.map(|it| part(&it.value))
        };
        let is_mapped = match self.element {
            Element::Script => self.resources.scripts && value_of(b"src").is_some_and(|url| names.is_own(url)),
            Element::Link => {
                (self.resources.styles || self.resources.scripts)
                    && value_of(b"href").is_some_and(|url| names.is_own(url))
            }
            _ => false,
        };
        let is_refresh = self.element == Element::Meta
            && value_of(b"http-equiv").is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(b"refresh"));
        let mut done = 0;
        for attribute in &self.attributes {
            let name = part(&attribute.name);
            let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
            let value = part(&attribute.value);
            let (range, text) = if is_mapped && is(b"integrity") {
                (attribute.name.start..attribute.end, Vec::new())
            } else if !names.maps_paths() {
                continue;
            } else {
                let text = if URLS.iter().any(|known| is(known)) {
                    path(names, value)
                } else if LISTS.iter().any(|known| is(known)) {
                    list(names, value)
                } else if is(b"style") {
                    mapped(names, true, value)
                } else if is_refresh && is(b"content") {
                    refresh(names, value)
                } else {
                    None
                };
                let Some(text) = text else { continue };
                (attribute.value.clone(), text)
            };
            self.ready.extend_from_slice(tag.get(done..range.start).unwrap_or_default());
            self.ready.extend_from_slice(&text);
            done = range.end;
            self.is_changed = true;
        }
        self.ready.extend_from_slice(tag.get(done..).unwrap_or_default());
    }
}

/// A reference that begins with a path of the back end.
fn path(names: &Names<'_>, value: &[u8]) -> Option<Vec<u8>> {
    let start = value.len() - value.trim_ascii_start().len();
    let replacement = names.path(Cursor::new(value.get(start..)?, true)).ok()?;
    Some([value.get(..start)?, &replacement.text, value.get(start + replacement.length..)?].concat())
}

/// `srcset`: URLs between commas, with a description each. A comma without white space after it is part of its URL.
fn list(names: &Names<'_>, value: &[u8]) -> Option<Vec<u8>> {
    let (mut out, mut rest, mut is_changed) = (Vec::new(), value, false);
    while !rest.is_empty() {
        let start = rest.iter().position(|byte| !byte.is_ascii_whitespace() && *byte != b',').unwrap_or(rest.len());
        let (space, after) = rest.split_at_checked(start)?;
        out.extend_from_slice(space);
        let end = after.iter().position(u8::is_ascii_whitespace).unwrap_or(after.len());
        let (url, description) = after.split_at_checked(end)?;
        let mapped = path(names, url);
        is_changed |= mapped.is_some();
        out.extend_from_slice(mapped.as_deref().unwrap_or(url));
        let end = if url.ends_with(b",") { 0 } else { end_of_description(description) };
        let (description, after) = description.split_at_checked(end)?;
        out.extend_from_slice(description);
        rest = after;
    }
    is_changed.then_some(out)
}

/// The next comma that is not in parentheses.
fn end_of_description(description: &[u8]) -> usize {
    let mut depth = 0_usize;
    let end = description.iter().position(|byte| {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' => return depth == 0,
            _ => {}
        }
        false
    });
    end.unwrap_or(description.len())
}

/// `5; url=/path`
fn refresh(names: &Names<'_>, value: &[u8]) -> Option<Vec<u8>> {
    let mut start = value.iter().position(|byte| matches!(byte, b';' | b','))? + 1;
    let skip_space = |start: usize| start + value.iter().skip(start).take_while(|it| it.is_ascii_whitespace()).count();
    start = skip_space(start);
    if value.get(start..start + 3).is_some_and(|name| name.eq_ignore_ascii_case(b"url")) {
        let equals = skip_space(start + 3);
        if value.get(equals) == Some(&b'=') {
            start = skip_space(equals + 1);
        }
    }
    let mut cursor = Cursor::new(value.get(start..)?, true);
    if cursor.quote().is_ok() {
        start += cursor.read;
    }
    let (head, rest) = value.split_at_checked(start)?;
    Some([head, &path(names, rest)?].concat())
}
