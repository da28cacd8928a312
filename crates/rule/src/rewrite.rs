//! Replaces the first match of a regex by a template, as ALB's transforms do (user guide, "Transforms for listener
//! rules"). Callers choose the input and validate the result.

use crate::Regex;

/// A regex and the replacement for its first match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    regex: Regex,
    replace: Box<str>,
    pieces: Vec<Piece>,
}

/// A part of a replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement<'p> {
    /// Text with group references.
    Template(&'p str),
    /// Literal text.
    Text(&'p str),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Group(usize),
}

impl Rewrite {
    /// In `replace`, `$1`, `${1}` and `${name}` are groups and `$$` is a dollar. Unbraced references are digits only:
    /// `$1x` is group 1 followed by an `x`.
    ///
    /// # Errors
    ///
    /// The name of a group that the regex does not have.
    pub fn new(regex: Regex, replace: &str) -> Result<Self, String> {
        Rewrite::of_parts(regex, [Replacement::Template(replace)])
    }

    /// Like [`Rewrite::new`], for a replacement of several parts, some of which are literal.
    ///
    /// # Errors
    ///
    /// The name of a group that the regex does not have.
    pub fn of_parts<'p>(regex: Regex, parts: impl IntoIterator<Item = Replacement<'p>>) -> Result<Self, String> {
        let (mut replace, mut pieces) = (String::new(), Vec::new());
        for part in parts {
            let (Replacement::Template(text) | Replacement::Text(text)) = part;
            replace.push_str(text);
            match part {
                Replacement::Template(text) => pieces.extend(parse(text, &regex)?),
                Replacement::Text(text) => pieces.push(Piece::Text(text.into())),
            }
        }
        Ok(Rewrite { regex, replace: replace.into(), pieces })
    }

    /// Returns the input with its first match replaced; `None` if nothing matches.
    #[must_use]
    pub fn apply(&self, input: &str) -> Option<String> {
        let captures = self.regex.captures(input)?;
        let whole = captures.get(0)?;
        let (before, after) = (input.get(..whole.start())?, input.get(whole.end()..)?);
        let mut result = before.to_owned();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => result.push_str(text),
                // A group that did not take part in the match is empty.
                Piece::Group(group) => result.push_str(captures.get(*group).map_or("", |it| it.as_str())),
            }
        }
        result.push_str(after);
        Some(result)
    }

    /// Returns the regex as it was written.
    #[must_use]
    pub fn regex(&self) -> &str {
        self.regex.source()
    }

    /// Returns the replacement as it was written. Several parts are joined; a `$` may then be literal.
    #[must_use]
    pub fn replace(&self) -> &str {
        &self.replace
    }
}

fn parse(text: &str, regex: &Regex) -> Result<Vec<Piece>, String> {
    let names: Vec<Option<&str>> = regex.group_names().collect();
    let group = |name: &str| match name.parse::<usize>() {
        Ok(number) => (number < names.len()).then_some(number),
        Err(_) => names.iter().position(|known| *known == Some(name)),
    };
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        plain.push_str(before);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let (name, behind) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(braced) => braced,
            None => after.split_at(digits),
        };
        let is_name = |next: char| next.is_ascii_alphabetic() || next == '_' || next == '{';
        if name.is_empty() && after.starts_with(is_name) {
            return Err(after.chars().take_while(|next| is_name(*next) || next.is_ascii_digit()).collect());
        }
        if name.is_empty() {
            plain.push('$');
            rest = after.strip_prefix('$').unwrap_or(after);
            continue;
        }
        let group = group(name).ok_or_else(|| name.to_owned())?;
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
        }
        pieces.push(Piece::Group(group));
        rest = behind;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain.into()));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(regex: &str, replace: &str, input: &str) -> Option<String> {
        Rewrite::new(Regex::new(regex).unwrap(), replace).unwrap().apply(input)
    }

    #[test]
    fn the_first_match_alone_is_replaced() {
        assert_eq!(apply("a", "b", "/aa").as_deref(), Some("/ba"));
        assert_eq!(apply("x", "b", "/aa"), None);
    }

    #[test]
    fn groups_in_replacements() {
        let regex = "^/(?P<who>[a-z]+)/([0-9]+)$";
        assert_eq!(apply(regex, "/$2x/${who}/$$1/${1}0", "/jo/7").as_deref(), Some("/7x/jo/$1/jo0"));
        assert_eq!(apply("^/a(/b)?", "/c$1", "/a").as_deref(), Some("/c"));
        let two = || Regex::new("(a)(?P<b>b)").unwrap();
        assert_eq!(Rewrite::new(two(), "$3"), Err("3".to_owned()));
        assert_eq!(Rewrite::new(two(), "${c}"), Err("c".to_owned()));
        assert_eq!(Rewrite::new(two(), "/$b"), Err("b".to_owned()));
        assert!(Rewrite::new(two(), "${b").is_err());
        let parts = [Replacement::Template("/$1"), Replacement::Text("0$2$$"), Replacement::Template("$2")];
        assert_eq!(Rewrite::of_parts(two(), parts).unwrap().apply("ab").as_deref(), Some("/a0$2$$b"));
    }
}
