//! Parses JSON text (RFC 8259) into a tree. Owns the grammar; `json` owns the tree and its limits.

use std::fmt::Write;

use super::{MAX_DEPTH, MAX_NODES, NoTree, Node, Slot, TOO_MUCH, Tag, Tree, VALUE_WORK};
use crate::work::Work;

/// Bytes that an escape can become: the replacement character and four digits.
const MAX_ESCAPE: usize = '\u{FFFD}'.len_utf8() + 4;

/// Returns the length of a word for a value that is no number.
fn not_a_number(text: &str) -> Option<usize> {
    ["NaN", "Infinity", "-Infinity"].iter().find(|word| text.starts_with(**word)).map(|word| word.len())
}

/// Parses a document without recursion.
pub(super) struct Reader<'a, 'w> {
    tree: Tree<'a>,
    at: usize,
    values: usize,
    memory: usize,
    work: &'w Work<'w>,
}

impl<'a, 'w> Reader<'a, 'w> {
    pub(super) fn new(tree: Tree<'a>, memory: usize, work: &'w Work<'w>) -> Self {
        Reader { tree, at: 0, values: 0, memory, work }
    }

    pub(super) fn document(mut self) -> Result<Tree<'a>, NoTree> {
        // Arrays and objects that are open.
        let mut open: Vec<u32> = Vec::new();
        loop {
            // At the start of a value; in an object, behind its name.
            if self.value(&mut open)? {
                continue;
            }
            loop {
                let Some(container) = open.last().copied() else {
                    return if self.peek().is_none() { Ok(self.tree) } else { Err(NoTree::NotJson) };
                };
                let is_object = self.tree.slot(Node(container)).tag == Tag::Object;
                match (self.next(), is_object) {
                    (Some(b','), false) => break,
                    (Some(b','), true) => {
                        self.name()?;
                        break;
                    }
                    (Some(b']'), false) | (Some(b'}'), true) => self.close(&mut open),
                    _ => return Err(NoTree::NotJson),
                }
            }
        }
    }

    /// Reads a value. Returns `true` if it is an array or object that is not empty, which stays open.
    fn value(&mut self, open: &mut Vec<u32>) -> Result<bool, NoTree> {
        self.work.spend(VALUE_WORK)?;
        self.values += 1;
        if self.values > MAX_NODES {
            return Err(TOO_MUCH);
        }
        if let Some(slot) = open.last().and_then(|open| self.tree.slots.get_mut(*open as usize)) {
            slot.low = slot.low.saturating_add(1);
        }
        let next = self.peek();
        let rest = self.tree.text.get(self.at..).unwrap_or_default();
        let slot = match next {
            Some(b'"') => self.text()?,
            // Not JSON, but what several languages write.
            Some(b'N' | b'I' | b'-') if let Some(length) = not_a_number(rest) => {
                self.tree.invalid.get_or_insert(self.at);
                let begin = self.at;
                self.at += length;
                Slot { tag: Tag::NotANumber, low: begin as u32, high: self.at as u32 }
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b'[' | b'{') => return self.open(open),
            _ => {
                let words = [("null", Tag::Null), ("false", Tag::False), ("true", Tag::True)];
                let (word, tag) = words.iter().find(|(word, _)| rest.starts_with(word)).ok_or(NoTree::NotJson)?;
                self.at += word.len();
                Slot::of(*tag, 0)
            }
        };
        self.push(slot)?;
        Ok(false)
    }

    fn open(&mut self, open: &mut Vec<u32>) -> Result<bool, NoTree> {
        if open.len() >= MAX_DEPTH {
            return Err(TOO_MUCH);
        }
        let is_object = self.next() == Some(b'{');
        open.push(self.tree.slots.len() as u32);
        self.push(Slot::of(if is_object { Tag::Object } else { Tag::Array }, 0))?;
        self.push(Slot::of(Tag::Digest, 0))?;
        if self.peek() == Some(if is_object { b'}' } else { b']' }) {
            self.next();
            self.close(open);
            return Ok(false);
        }
        if is_object {
            self.name()?;
        }
        Ok(true)
    }

    fn close(&mut self, open: &mut Vec<u32>) {
        let behind = self.tree.slots.len() as u32;
        if let Some(slot) = open.pop().and_then(|open| self.tree.slots.get_mut(open as usize)) {
            slot.high = behind;
        }
    }

    fn name(&mut self) -> Result<(), NoTree> {
        if self.peek() != Some(b'"') {
            return Err(NoTree::NotJson);
        }
        let name = self.text()?;
        self.push(name)?;
        if self.next() == Some(b':') { Ok(()) } else { Err(NoTree::NotJson) }
    }

    fn push(&mut self, slot: Slot) -> Result<(), NoTree> {
        let slots = &mut self.tree.slots;
        // Only invalid JSON, or a document over the limit, needs more than was counted.
        if slots.len() == slots.capacity() || self.tree.unescaped.len() > self.memory {
            return Err(TOO_MUCH);
        }
        slots.push(slot);
        Ok(())
    }

    /// Skips white space and returns the next byte without consuming it.
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.byte() {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Returns the byte at the current position.
    fn byte(&self) -> Option<u8> {
        self.tree.text.as_bytes().get(self.at).copied()
    }

    /// Reads a text in quotes.
    fn text(&mut self) -> Result<Slot, NoTree> {
        self.at += 1;
        let (begin, unescaped) = (self.at, self.tree.unescaped.len());
        let mut copied = begin;
        loop {
            let at = self.at;
            match self.byte().ok_or(NoTree::NotJson)? {
                b'"' if copied == begin => {
                    self.at += 1;
                    return Ok(Slot { tag: Tag::Text, low: begin as u32, high: at as u32 });
                }
                b'"' => {
                    self.copy(copied, at)?;
                    self.at += 1;
                    let end = self.tree.unescaped.len();
                    return Ok(Slot { tag: Tag::Unescaped, low: unescaped as u32, high: end as u32 });
                }
                b'\\' => {
                    self.copy(copied, at)?;
                    self.escape().ok_or(NoTree::NotJson)?;
                    copied = self.at;
                }
                0..=0x1F => return Err(NoTree::NotJson),
                _ => self.at += 1,
            }
        }
    }

    /// Copies a part of the document to the unescaped texts.
    fn copy(&mut self, from: usize, to: usize) -> Result<(), NoTree> {
        let text = self.tree.text.get(from..to).unwrap_or_default();
        let Tree { slots, unescaped, .. } = &mut self.tree;
        let left = self.memory.saturating_sub(slots.capacity() * size_of::<Slot>());
        // Includes the escape that follows.
        let length = unescaped.len() + text.len() + MAX_ESCAPE;
        if length > left {
            return Err(TOO_MUCH);
        }
        if length > unescaped.capacity() {
            let capacity = (2 * unescaped.capacity()).clamp(length, left);
            unescaped.try_reserve_exact(capacity - unescaped.len()).map_err(|_| TOO_MUCH)?;
        }
        unescaped.push_str(text);
        Ok(())
    }

    /// Reads an escape and appends its character; for one half of a surrogate pair, its number behind a mark.
    fn escape(&mut self) -> Option<()> {
        let kind = self.tree.text.as_bytes().get(self.at + 1)?;
        self.at += 2;
        let character = match kind {
            b'"' | b'\\' | b'/' => char::from(*kind),
            b'b' => '\u{8}',
            b'f' => '\u{C}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hexadecimal()?;
                let behind = self.at;
                let second = self.second_half().filter(|_| (0xD800..0xDC00).contains(&first));
                if second.is_none() {
                    self.at = behind;
                }
                match char::decode_utf16([first].into_iter().chain(second)).next()? {
                    Ok(character) => character,
                    Err(_) => {
                        let _ = write!(self.tree.unescaped, "\u{FFFD}{first:04x}"); // a String takes all
                        return Some(());
                    }
                }
            }
            _ => return None,
        };
        self.tree.unescaped.push(character);
        Some(())
    }

    /// Reads the second half of a surrogate pair, if there is one.
    fn second_half(&mut self) -> Option<u16> {
        self.tree.text.get(self.at..)?.strip_prefix("\\u")?;
        self.at += 2;
        self.hexadecimal().filter(|second| (0xDC00..0xE000).contains(second))
    }

    fn hexadecimal(&mut self) -> Option<u16> {
        let digits = self.tree.text.get(self.at..self.at + 4)?;
        self.at += 4;
        // `from_str_radix` accepts a sign.
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok()).flatten()
    }

    fn number(&mut self) -> Result<Slot, NoTree> {
        let begin = self.at;
        self.skip(b'-');
        let is_zero = self.skip(b'0');
        let mut is_right = is_zero || self.digits();
        if self.skip(b'.') {
            is_right &= self.digits();
        }
        if self.skip(b'e') || self.skip(b'E') {
            let _ = self.skip(b'+') || self.skip(b'-');
            is_right &= self.digits();
        }
        if !is_right {
            return Err(NoTree::NotJson);
        }
        let text = self.tree.text.get(begin..self.at).unwrap_or_default();
        self.work.spend(text.len())?;
        Ok(Slot { tag: Tag::Number, low: begin as u32, high: self.at as u32 })
    }

    fn skip(&mut self, byte: u8) -> bool {
        let is_there = self.byte() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn digits(&mut self) -> bool {
        let begin = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at > begin
    }
}
