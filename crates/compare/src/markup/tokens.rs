//! Tags and texts of HTML and XML, in their order. Owns the syntax: quotes, comments, declarations, unfinished tags. Each byte
//! is visited a bounded number of times.

use crate::work::{Stop, Work};

/// Cost of a tag, a text or an attribute, in addition to its length, in units of work.
const PIECE_WORK: usize = 16;

/// Attributes of a tag.
const MAX_ATTRIBUTES: usize = 100_000;

/// A part of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) begin: u32,
    pub(super) end: u32,
}

impl Span {
    pub(super) fn new(begin: usize, end: usize) -> Self {
        Span { begin: begin as u32, end: end as u32 }
    }

    pub(super) fn of(self, text: &str) -> &str {
        text.get(self.begin as usize..self.end as usize).unwrap_or_default()
    }

    pub(super) fn is_empty(self) -> bool {
        self.begin >= self.end
    }
}

/// An attribute as written; its value is empty if it has none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute {
    pub(super) name: Span,
    pub(super) value: Span,
    /// Hash of the namespace; 0 for none.
    pub(super) space: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Start {
        name: Span,
        /// `true` if it ends in `/>`.
        is_closed: bool,
    },
    End(Span),
    /// Text up to the next tag, with the comments in it. `is_blank` if it is nothing but white space.
    Text {
        span: Span,
        is_blank: bool,
    },
    /// The words of a document type declaration.
    Doctype(Span),
    /// The words of an XML declaration.
    Declaration(Span),
}

/// Reads a text.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
    is_xml: bool,
    /// `true` where `<![CDATA[` begins text: in XML, and within SVG and MathML.
    pub(super) has_cdata: bool,
    has_doctype: bool,
    /// Quotes that no later one closes: they are ordinary characters.
    open_quotes: [bool; 2],
}

/// Something that `<` begins, and its end.
enum Opening {
    Tag,
    Doctype,
    Declaration,
    /// A comment, or anything else that browsers treat as one.
    Comment(usize),
    Cdata(usize),
    Character,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str, is_xml: bool) -> Self {
        let at = text.len() - text.trim_start_matches('\u{FEFF}').len();
        Tokens { text, at, is_xml, has_cdata: is_xml, has_doctype: false, open_quotes: [false; 2] }
    }

    /// Returns the next token; the attributes of a tag are added to `attributes`.
    pub(super) fn next(&mut self, attributes: &mut Vec<Attribute>, work: &Work<'_>) -> Result<Option<Token>, Stop> {
        let begin = self.at;
        if self.rest().is_empty() {
            return Ok(None);
        }
        let token = match opening(self.text, self.at, self) {
            Opening::Tag => self.tag(attributes, work)?,
            Opening::Doctype => {
                self.has_doctype = true;
                let rest = self.rest();
                let subset = rest.find('[').filter(|at| rest.find('>').is_none_or(|end| *at < end));
                let end = subset.and_then(|_| rest.find("]>")).map(|at| at + 1).or_else(|| rest.find('>'));
                let end = begin + end.unwrap_or(rest.len());
                self.at = (end + 1).min(self.text.len());
                Token::Doctype(Span::new((begin + "<!doctype".len()).min(end), end))
            }
            Opening::Declaration => {
                let end = self.find("?>", begin).unwrap_or(self.text.len());
                self.at = (end + 2).min(self.text.len());
                Token::Declaration(Span::new((begin + "<?xml".len()).min(end), end))
            }
            Opening::Comment(_) | Opening::Cdata(_) | Opening::Character => self.characters(work)?,
        };
        work.spend(PIECE_WORK + self.at.saturating_sub(begin))?;
        Ok(Some(token))
    }

    /// Reads the content of an element that contains no markup, up to its end tag.
    pub(super) fn raw(&mut self, name: &str, work: &Work<'_>) -> Result<Span, Stop> {
        let (begin, rest) = (self.at, self.rest());
        work.spend(PIECE_WORK + rest.len().min(64))?;
        let is_end = |at: &usize| {
            let name_begin = at + "</".len();
            let end = name_begin + name.len();
            rest.get(name_begin..end).is_some_and(|sent| sent.eq_ignore_ascii_case(name))
                && rest.as_bytes().get(end).is_none_or(|byte| is_space(*byte) || matches!(byte, b'/' | b'>'))
        };
        let length = rest.match_indices("</").map(|(at, _)| at).find(is_end).unwrap_or(rest.len());
        work.spend(length)?;
        self.at = begin + length;
        Ok(Span::new(begin, self.at))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn find(&self, text: &str, from: usize) -> Option<usize> {
        self.text.get(from..)?.find(text).map(|at| from + at)
    }

    /// Reads text up to the next tag.
    fn characters(&mut self, work: &Work<'_>) -> Result<Token, Stop> {
        let begin = self.at;
        let mut is_blank = true;
        while !self.rest().is_empty() {
            let plain = self.rest().find('<').unwrap_or(self.rest().len());
            is_blank &= self.rest().as_bytes().iter().take(plain).all(|byte| is_space(*byte));
            self.at += plain;
            work.spend(1)?;
            match opening(self.text, self.at, self) {
                Opening::Tag | Opening::Doctype | Opening::Declaration => break,
                Opening::Comment(end) => self.at = end,
                Opening::Cdata(end) => {
                    is_blank = false;
                    self.at = end;
                }
                Opening::Character => {
                    is_blank &= self.rest().is_empty();
                    self.at = (self.at + 1).min(self.text.len());
                }
            }
        }
        Ok(Token::Text { span: Span::new(begin, self.at), is_blank })
    }

    /// Reads a tag; everything that is left is text if it has no end.
    fn tag(&mut self, attributes: &mut Vec<Attribute>, work: &Work<'_>) -> Result<Token, Stop> {
        let (begin, count) = (self.at, attributes.len());
        let is_end = self.rest().starts_with("</");
        self.at += if is_end { 2 } else { 1 };
        let name = self.take(|byte| is_space(byte) || matches!(byte, b'/' | b'>'));
        let mut is_closed = false;
        loop {
            match self.byte() {
                Some(b'>') => {
                    self.at += 1;
                    break;
                }
                None => {
                    attributes.truncate(count);
                    return Ok(Token::Text { span: Span::new(begin, self.text.len()), is_blank: false });
                }
                Some(byte) if byte == b'/' || is_space(byte) => {
                    is_closed = byte == b'/';
                    self.at += 1;
                }
                Some(_) => {
                    is_closed = false;
                    work.spend(PIECE_WORK)?;
                    let attribute = self.attribute();
                    if !is_end {
                        attributes.push(attribute);
                    }
                    if attributes.len() - count > MAX_ATTRIBUTES {
                        return Err(Stop::TooLarge);
                    }
                }
            }
        }
        Ok(if is_end { Token::End(name) } else { Token::Start { name, is_closed } })
    }

    fn attribute(&mut self) -> Attribute {
        // A `=` at the start is part of the name, so that each step consumes something.
        let begin = self.at;
        self.at += usize::from(self.byte() == Some(b'='));
        let end = self.take(|byte| is_space(byte) || matches!(byte, b'/' | b'>' | b'=')).end;
        let name = Span { begin: begin as u32, end };
        let behind = self.at;
        self.take(|byte| !is_space(byte));
        if self.byte() != Some(b'=') {
            self.at = behind;
            return Attribute { name, value: Span { begin: end, end }, space: 0 };
        }
        self.at += 1;
        self.take(|byte| !is_space(byte));
        let value = self.quoted().unwrap_or_else(|| self.take(|byte| is_space(byte) || byte == b'>'));
        Attribute { name, value, space: 0 }
    }

    /// Reads a value in quotes.
    fn quoted(&mut self) -> Option<Span> {
        let quote = self.byte().filter(|byte| matches!(byte, b'"' | b'\''))?;
        let is_open = self.open_quotes.get_mut(usize::from(quote == b'"'))?;
        if *is_open {
            return None;
        }
        let begin = self.at + 1;
        match self.text.get(begin..)?.find(char::from(quote)) {
            Some(length) => {
                self.at = begin + length + 1;
                Some(Span::new(begin, begin + length))
            }
            None => {
                *is_open = true;
                None
            }
        }
    }

    /// Consumes the bytes before the next one that `is_end` holds for.
    fn take(&mut self, is_end: impl Fn(u8) -> bool) -> Span {
        let begin = self.at;
        let rest = self.rest().as_bytes();
        self.at += rest.iter().position(|byte| is_end(*byte)).unwrap_or(rest.len());
        Span::new(begin, self.at)
    }
}

/// Returns the construct that begins at a position.
fn opening(text: &str, at: usize, tokens: &Tokens<'_>) -> Opening {
    let rest = text.get(at..).unwrap_or_default();
    let until = |end: &str| rest.find(end).map_or(text.len(), |found| at + found + end.len());
    let is_name =
        |byte: u8| byte.is_ascii_alphabetic() || (tokens.is_xml && (byte == b'_' || byte == b':' || !byte.is_ascii()));
    match rest.as_bytes() {
        [b'<', b'/', first, ..] | [b'<', first, ..] if is_name(*first) => Opening::Tag,
        [b'<', b'/', _, ..] => Opening::Comment(until(">")),
        [b'<', b'!', b'-', b'-', ..] => Opening::Comment(at + end_of_comment(rest)),
        [b'<', b'!', ..] if tokens.has_cdata && rest.starts_with("<![CDATA[") => Opening::Cdata(until("]]>")),
        [b'<', b'!', ..] => {
            let is_doctype = rest.get(2..9).is_some_and(|word| word.eq_ignore_ascii_case("doctype"));
            if is_doctype && !tokens.has_doctype { Opening::Doctype } else { Opening::Comment(until(">")) }
        }
        [b'<', b'?', ..] => match rest.strip_prefix("<?xml") {
            Some(behind) if behind.starts_with([' ', '\t', '\r', '\n']) => Opening::Declaration,
            _ => Opening::Comment(until(if tokens.is_xml { "?>" } else { ">" })),
        },
        _ => Opening::Character,
    }
}

/// Returns the length of a comment.
pub(super) fn end_of_comment(comment: &str) -> usize {
    let behind = comment.get(4..).unwrap_or_default();
    if let Some(begin) = ["->", ">"].into_iter().find(|end| behind.starts_with(end)) {
        return 4 + begin.len();
    }
    let mut from = 0;
    while let Some(found) = behind.get(from..).and_then(|rest| rest.find("--")) {
        let end = from + found + 2;
        match behind.as_bytes().get(end..) {
            Some([b'>', ..]) => return 4 + end + 1,
            Some([b'!', b'>', ..]) => return 4 + end + 2,
            _ => from = end - 1,
        }
    }
    comment.len()
}

/// Returns `true` for the white space of HTML and XML, to which `&nbsp;` does not belong.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0C)
}
