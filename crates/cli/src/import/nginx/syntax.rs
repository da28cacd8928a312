//! NGINX's syntax: directives, blocks, quotes, escapes, comments and `include`, as a tree whose words have positions.
//!
//! Owns the reading of words as `ngx_conf_read_token` (src/core/ngx_conf_file.c) does it, and the limits of size and depth. It
//! knows no directive but `include`, and reads no file itself.

use std::fmt;

/// Length of all files together, in bytes.
pub(crate) const MAX_TEXT: usize = 4 * 1024 * 1024;
/// Number of directives in all files.
const MAX_DIRECTIVES: usize = 100_000;
/// Nesting depth of blocks, and of `include`.
const MAX_DEPTH: usize = 32;
/// Number of files.
const MAX_FILES: usize = 500;

/// A position: a file of [`Tree::files`], and line and column from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) file: usize,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// A word, without its quotes and escapes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) place: Place,
}

/// A directive, with its block if it has one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Directive {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) words: Vec<Word>,
    pub(crate) block: Option<Vec<Directive>>,
}

impl Directive {
    /// The text of a word; empty if there are fewer.
    pub(crate) fn word(&self, index: usize) -> &str {
        self.words.get(index).map_or("", |word| &word.text)
    }

    /// The directive as its author wrote it, without its block.
    pub(crate) fn shown(&self) -> String {
        let words = self.words.iter().map(|word| &*word.text);
        std::iter::once(&*self.name).chain(words).collect::<Vec<_>>().join(" ")
    }
}

/// The directives of a file and of those that it includes.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) files: Vec<String>,
    pub(crate) directives: Vec<Directive>,
    /// `include` of files that cannot be read, with the reason.
    pub(crate) missing: Vec<(Directive, String)>,
}

/// Invalid syntax. NGINX would not start with this file.
#[derive(Debug, PartialEq)]
pub(crate) struct SyntaxError {
    pub(crate) file: String,
    pub(crate) place: Place,
    pub(crate) message: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.place.line, self.place.column, self.message)
    }
}

impl std::error::Error for SyntaxError {}

/// Returns the files that an `include` names, each with its name and text, or the reason why there are none.
pub(crate) type Include<'a> = &'a dyn Fn(&str) -> Result<Vec<(String, String)>, String>;

/// Parses a file and the files that it includes.
///
/// # Errors
///
/// [`SyntaxError`] if a file is invalid or too large.
pub(crate) fn parse(name: &str, text: &str, include: Include<'_>) -> Result<Tree, SyntaxError> {
    let mut parser = Parser { tree: Tree::default(), include, bytes: 0, directives: 0 };
    let directives = parser.file(name, text, 0)?;
    Ok(Tree { directives, ..parser.tree })
}

struct Parser<'a> {
    tree: Tree,
    include: Include<'a>,
    bytes: usize,
    directives: usize,
}

impl Parser<'_> {
    fn file(&mut self, name: &str, text: &str, depth: usize) -> Result<Vec<Directive>, SyntaxError> {
        let file = self.tree.files.len();
        self.tree.files.push(name.to_owned());
        let mut reader = Reader::new(text, file);
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > MAX_TEXT || file >= MAX_FILES {
            return Err(self.error(reader.place, format!("more than {MAX_TEXT} bytes or {MAX_FILES} files")));
        }
        self.block(&mut reader, depth, false)
    }

    fn block(&mut self, reader: &mut Reader<'_>, depth: usize, nested: bool) -> Result<Vec<Directive>, SyntaxError> {
        if depth > MAX_DEPTH {
            return Err(self.error(reader.place, format!("more than {MAX_DEPTH} levels of blocks and files")));
        }
        let mut found = Vec::new();
        let mut words: Vec<Word> = Vec::new();
        loop {
            let token = reader.next().map_err(|(place, message)| self.error(place, message.to_owned()))?;
            let (place, block) = match token {
                Token::Word(word) => {
                    words.push(word);
                    continue;
                }
                Token::Close(_) if nested && words.is_empty() => return Ok(found),
                Token::End(_) if !nested && words.is_empty() => return Ok(found),
                Token::Close(place) => return Err(self.error(place, "unexpected `}`".to_owned())),
                Token::End(place) => {
                    let missing = if words.is_empty() { "`}`" } else { "`;` or `{`" };
                    return Err(self.error(place, format!("the file ends, {missing} is missing")));
                }
                Token::Semicolon(place) => (place, false),
                Token::Open(place) => (place, true),
            };
            if words.is_empty() {
                let token = if block { "{" } else { ";" };
                return Err(self.error(place, format!("unexpected `{token}`, a directive has a name")));
            }
            self.directives += 1;
            if self.directives > MAX_DIRECTIVES {
                return Err(self.error(place, format!("more than {MAX_DIRECTIVES} directives")));
            }
            let mut rest = std::mem::take(&mut words).into_iter();
            let Some(Word { text: name, place }) = rest.next() else { continue };
            let words: Vec<Word> = rest.collect();
            // Its content is in other languages.
            let is_code = block && name.ends_with("_by_lua_block");
            let block = match block {
                true if is_code => {
                    reader.skip_code().map_err(|message| self.error(place, message.to_owned()))?;
                    Some(Vec::new())
                }
                true => Some(self.block(reader, depth + 1, true)?),
                false => None,
            };
            let directive = Directive { name, place, words, block };
            if directive.name == "include" && directive.block.is_none() && directive.words.len() == 1 {
                match (self.include)(directive.word(0)) {
                    Ok(files) => {
                        for (name, text) in files {
                            found.extend(self.file(&name, &text, depth + 1)?);
                        }
                    }
                    Err(reason) => self.tree.missing.push((directive, reason)),
                }
            } else {
                found.push(directive);
            }
        }
    }

    fn error(&self, place: Place, message: String) -> SyntaxError {
        let file = self.tree.files.get(place.file).cloned().unwrap_or_default();
        SyntaxError { file, place, message }
    }
}

enum Token {
    Word(Word),
    Semicolon(Place),
    Open(Place),
    Close(Place),
    End(Place),
}

struct Reader<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    place: Place,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str, file: usize) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Reader { rest: text.chars().peekable(), place: Place { file, line: 1, column: 1 } }
    }

    fn advance(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            self.place.line += 1;
            self.place.column = 1;
        } else {
            self.place.column += 1;
        }
        Some(c)
    }

    fn next(&mut self) -> Result<Token, (Place, &'static str)> {
        loop {
            match self.rest.peek() {
                Some('#') => while self.advance().is_some_and(|c| c != '\n') {},
                Some(c) if is_space(*c) => _ = self.advance(),
                _ => break,
            }
        }
        let place = self.place;
        match self.rest.peek() {
            None => Ok(Token::End(place)),
            Some(';') => Ok(self.single(Token::Semicolon(place))),
            Some('{') => Ok(self.single(Token::Open(place))),
            Some('}') => Ok(self.single(Token::Close(place))),
            Some(quote @ ('"' | '\'')) => {
                let quote = *quote;
                self.advance();
                let text = self.quoted(quote).ok_or((place, "the quote does not end"))?;
                match self.rest.peek() {
                    None | Some(';' | '{' | ')') => {}
                    Some(c) if is_space(*c) => {}
                    Some(_) => return Err((self.place, "a space, `;` or `{` must follow the quote")),
                }
                Ok(Token::Word(Word { text, place }))
            }
            Some(_) => Ok(Token::Word(Word { text: self.unquoted(), place })),
        }
    }

    fn single(&mut self, token: Token) -> Token {
        self.advance();
        token
    }

    fn quoted(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.advance()? {
                c if c == quote => return Some(text),
                '\\' => self.escaped(&mut text),
                c => text.push(c),
            }
        }
    }

    /// `{` begins a block, except in `${name}`.
    fn unquoted(&mut self) -> String {
        let mut text = String::new();
        while let Some(c) = self.rest.peek().copied() {
            let is_of_variable = c == '{' && text.ends_with('$');
            if is_space(c) || c == ';' || (c == '{' && !is_of_variable) {
                break;
            }
            self.advance();
            match c {
                '\\' => self.escaped(&mut text),
                c => text.push(c),
            }
        }
        text
    }

    /// A backslash before another character than these stays, as in `\.`.
    fn escaped(&mut self, text: &mut String) {
        match self.advance() {
            Some(c @ ('"' | '\'' | '\\')) => text.push(c),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('n') => text.push('\n'),
            Some(c) => text.extend(['\\', c]),
            None => text.push('\\'),
        }
    }

    /// Skips a block of Lua to the brace that closes it. Braces in its strings are rarely unbalanced.
    fn skip_code(&mut self) -> Result<(), &'static str> {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.advance().ok_or("the block of code does not end")? {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
        }
        Ok(())
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<Tree, String> {
        parse("nginx.conf", text, &|_| Err("no such file".to_owned())).map_err(|error| error.to_string())
    }

    fn words(text: &str) -> Vec<String> {
        let tree = parsed(text).unwrap();
        tree.directives[0].words.iter().map(|word| word.text.clone()).collect()
    }

    #[test]
    fn words_are_those_of_nginx() {
        assert_eq!(words(r#"d a "b c" 'd "e"' f\ g;"#), ["a", "b c", "d \"e\"", "f\\ g"]);
        assert_eq!(
            words(
                r"d ~ \.php$ a#b # c;
            e;"
            ),
            ["~", r"\.php$", "a#b", "e"]
        );
        assert_eq!(words(r#"d "a\"b\\c\.d\t" ${x}y{}"#), ["a\"b\\c\\.d\t", "${x}y"]);
        assert_eq!(words("d a}b {}"), ["a}b"]);
    }

    #[test]
    fn blocks_have_places() {
        let tree = parsed("http {\n  server { listen 80; }\n}\n").unwrap();
        let server = &tree.directives[0].block.as_ref().unwrap()[0];
        assert_eq!((server.place.line, server.place.column), (2, 3));
        assert_eq!(server.block.as_ref().unwrap()[0].shown(), "listen 80");
    }

    #[test]
    fn errors_have_a_place_and_a_reason() {
        for (text, expected) in [
            ("a {", "nginx.conf:1:4: the file ends, `}` is missing"),
            ("a b", "nginx.conf:1:4: the file ends, `;` or `{` is missing"),
            ("a;\n}", "nginx.conf:2:1: unexpected `}`"),
            (";", "nginx.conf:1:1: unexpected `;`, a directive has a name"),
            ("a \"b", "nginx.conf:1:3: the quote does not end"),
            ("a \"b\"c;", "nginx.conf:1:6: a space, `;` or `{` must follow the quote"),
            ("content_by_lua_block { {", "nginx.conf:1:1: the block of code does not end"),
        ] {
            assert_eq!(parsed(text).unwrap_err(), expected, "{text}");
        }
        let deep = "a {".repeat(40);
        assert!(parsed(&deep).unwrap_err().contains("more than 32 levels"));
    }

    #[test]
    fn a_file_that_includes_itself_ends() {
        let error =
            parse("a.conf", "include a.conf;", &|_| Ok(vec![("a.conf".to_owned(), "include a.conf;".to_owned())]));
        assert!(error.unwrap_err().to_string().contains("levels of blocks and files"));
        let wide = |_: &str| Ok(vec![("a.conf".to_owned(), "include a.conf; include a.conf;".to_owned()); 2]);
        assert!(parse("a.conf", "include a.conf;", &wide).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail(text in "[a-c ;{}\"'\\\\$#\n]{0,80}") {
            let _ = parsed(&text);
        }

        #[test]
        fn quoted_words_are_read_as_they_were(text in "[ -~]{0,40}") {
            let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
            prop_assert_eq!(words(&format!("d \"{quoted}\";")), [text]);
        }
    }
}
