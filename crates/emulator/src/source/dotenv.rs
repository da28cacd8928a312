//! The syntax of `.env` files, as the package `dotenv` reads it for the Serverless Framework, and the expansion of
//! `$NAME` in their values, as `dotenv-expand` does it for v3 and osls. Owns no file and no precedence.
//!
//! As there: a line that is no assignment is ignored, `#` begins a comment outside quotes, only double quotes know `\n`,
//! and a quote that does not end is part of the value.

use std::collections::BTreeMap;

/// The most levels of `${A:-${B:-...}}`.
const MAX_NESTING: usize = 16;
/// The longest text between `${` and `}`, in bytes.
const MAX_BRACED: usize = 1024;
/// The most text that one file's values may grow to, in bytes. Each value may double the one before.
const MAX_GROWN: usize = 1024 * 1024;

/// Returns the variables in the order of their first line. Of several lines with the same name the last one counts.
pub(super) fn parse(text: &str) -> Vec<(String, String)> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut found: Vec<(String, String)> = Vec::new();
    let mut numbers = BTreeMap::new();
    let mut rest = text.as_str();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return found;
        }
        let Some((name, value, after)) = assignment(rest) else {
            rest = line_and_rest(rest).1;
            continue;
        };
        rest = after;
        let number = *numbers.entry(name.to_owned()).or_insert(found.len());
        match found.get_mut(number) {
            Some((_, known)) => *known = value,
            None => found.push((name.to_owned(), value)),
        }
    }
}

/// Reads `NAME=value`, `NAME: value` or one of them after `export`. Returns the name, the value, and the text behind its
/// line.
fn assignment(text: &str) -> Option<(&str, String, &str)> {
    let exported = text.strip_prefix("export").filter(|rest| rest.starts_with(char::is_whitespace));
    let of = |text| {
        let (name, rest) = name_and_rest(text)?;
        let rest = match rest.trim_start().strip_prefix('=') {
            Some(rest) => rest,
            None => rest.strip_prefix(':').filter(|rest| rest.starts_with(char::is_whitespace))?,
        };
        let (value, after) = quoted(rest).unwrap_or_else(|| {
            let (line, after) = line_and_rest(rest);
            (line.split('#').next().unwrap_or_default(), after)
        });
        Some((name, plain(value.trim()), after))
    };
    exported.and_then(|rest| of(rest.trim_start())).or_else(|| of(text))
}

fn name_and_rest(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c))).unwrap_or(text.len());
    text.split_at_checked(end).filter(|(name, _)| !name.is_empty())
}

fn line_and_rest(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

/// Returns a value with its quotes, and the text behind its line. `None` unless only a comment follows the closing quote.
/// If the last quote is no such one, it may be an earlier one with a backslash.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let quote = text.chars().next().filter(|first| matches!(first, '\'' | '"' | '`'))?;
    let mut ends = Vec::new();
    let mut is_escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        if c == quote {
            ends.push(index + 1);
            if !is_escaped {
                break;
            }
        }
        is_escaped = c == '\\';
    }
    ends.into_iter().rev().find_map(|end| {
        let (value, behind) = text.split_at_checked(end)?;
        let tail = behind.trim_start_matches(|c: char| c != '\n' && c.is_whitespace());
        (tail.is_empty() || tail.starts_with(['\n', '#'])).then(|| (value, line_and_rest(tail).1))
    })
}

/// Removes the quotes around a value.
fn plain(value: &str) -> String {
    let within = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    let text = within('\'').or_else(|| within('"')).or_else(|| within('`')).unwrap_or(value);
    match value.starts_with('"') {
        true => text.replace("\\n", "\n").replace("\\r", "\r"),
        false => text.to_owned(),
    }
}

/// Replaces `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}` by the shell's value or that of another line. `\$` is
/// a dollar sign. A variable within its own value is empty.
pub(super) fn expand(
    variables: Vec<(String, String)>,
    shell: &dyn Fn(&str) -> Option<String>,
) -> Vec<(String, String)> {
    let numbers = variables.iter().enumerate().map(|(number, (name, _))| (name.as_str(), number)).collect();
    let done = vec![None; variables.len()];
    let mut expansion = Expansion { variables: &variables, numbers, shell, done, open: 0, grown: 0 };
    let all = (0..variables.len()).map(|number| expansion.value(number)).collect::<Vec<_>>();
    variables.into_iter().zip(all).map(|((name, _), value)| (name, value)).collect()
}

/// The expansion of one file.
struct Expansion<'v> {
    variables: &'v [(String, String)],
    numbers: BTreeMap<&'v str, usize>,
    shell: &'v dyn Fn(&str) -> Option<String>,
    /// By number. A variable that is being expanded is empty.
    done: Vec<Option<String>>,
    /// The number of values and defaults that are being expanded, one within the other.
    open: usize,
    grown: usize,
}

impl Expansion<'_> {
    /// The value of a line.
    fn value(&mut self, number: usize) -> String {
        let raw = self.variables.get(number).map(|(_, value)| value.as_str()).unwrap_or_default();
        match self.done.get_mut(number) {
            Some(Some(value)) => return value.clone(),
            Some(open) => *open = Some(String::new()),
            None => {}
        }
        let value = if self.grown < MAX_GROWN { self.text(raw) } else { raw.to_owned() };
        self.grown += value.len();
        if let Some(done) = self.done.get_mut(number) {
            *done = Some(value.clone());
        }
        value
    }

    /// The value of a name, if it is not empty.
    fn known(&mut self, name: &str) -> Option<String> {
        let own = |this: &mut Self| this.numbers.get(name).copied().map(|number| this.value(number));
        (self.shell)(name).filter(|value| !value.is_empty()).or_else(|| own(self)).filter(|value| !value.is_empty())
    }

    fn text(&mut self, text: &str) -> String {
        if self.open > MAX_NESTING {
            return text.to_owned();
        }
        self.open += 1;
        let mut whole = String::new();
        let mut rest = text;
        while self.grown + whole.len() < MAX_GROWN
            && let Some((before, after)) = rest.split_once('$')
        {
            whole.push_str(before);
            if whole.ends_with('\\') {
                whole.pop();
                whole.push('$');
                rest = after;
                continue;
            }
            let (value, behind) = match (after.strip_prefix('{').and_then(braced), unbraced(after)) {
                (Some((inner, behind)), _) => (self.substitute(inner), behind),
                (None, Some((name, behind))) => (self.known(name).unwrap_or_default(), behind),
                (None, None) => ("$".to_owned(), after),
            };
            whole.push_str(&value);
            rest = behind;
        }
        self.open -= 1;
        whole + rest
    }

    /// The value of what stands between `${` and `}`.
    fn substitute(&mut self, inner: &str) -> String {
        let at = inner.find(['-', '+']).unwrap_or(inner.len());
        let (name, operation) = inner.split_at_checked(at).unwrap_or((inner, ""));
        let value = self.known(name.strip_suffix(':').filter(|_| !operation.is_empty()).unwrap_or(name));
        match (operation.strip_prefix('+'), operation.strip_prefix('-'), value) {
            (Some(other), _, Some(_)) | (None, Some(other), None) => self.text(other),
            (Some(_), _, None) => String::new(),
            (None, _, value) => value.unwrap_or_default(),
        }
    }
}

/// Splits behind `${` at the closing brace.
fn braced(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    let (end, _) = text.char_indices().take_while(|(index, _)| *index < MAX_BRACED).find(|(_, c)| {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return true,
            '}' => depth -= 1,
            _ => {}
        }
        false
    })?;
    let (inner, rest) = text.split_at_checked(end)?;
    rest.strip_prefix('}').filter(|_| !inner.is_empty()).map(|rest| (inner, rest))
}

/// Splits behind `$` at the end of a name.
fn unbraced(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    text.split_at_checked(end).filter(|_| begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(variables: Vec<(String, String)>) -> String {
        let lines: Vec<String> = variables.into_iter().map(|(name, value)| format!("{name}=<{value}>")).collect();
        lines.join(" ")
    }

    /// Each expectation is what `dotenv` 17.4 returns.
    #[test]
    fn the_syntax_is_that_of_dotenv() {
        for (text, expected) in [
            ("A=b", "A=<b>"),
            ("\u{feff}", ""),
            ("  export A = b c  # d", "A=<b c>"),
            ("export=x\nexportB=y", "export=<x> exportB=<y>"),
            ("A: b\nB:c", "A=<b>"),
            ("a.b-c_1=x", "a.b-c_1=<x>"),
            ("A=b#c", "A=<b>"),
            ("A=#c\nB=\nC= \nD", "A=<> B=<> C=<>"),
            ("# A=1\n #B=2\nC=3", "C=<3>"),
            ("A='b # c' # d", "A=<b # c>"),
            ("A=\"b\\nc\\\"d\"", "A=<b\nc\\\"d>"),
            ("A='b\\nc'\nB=`it's \"x\"`", "A=<b\\nc> B=<it's \"x\">"),
            ("A=b\\nc", "A=<b\\nc>"),
            ("A=\"b\nc=d\n# e\" # f\nG=h", "A=<b\nc=d\n# e> G=<h>"),
            ("A='b\nC=d", "A=<'b> C=<d>"),
            ("A=\"b#c", "A=<\"b>"),
            ("A='b' c\nD=\"e#f\" g", "A=<'b' c> D=<\"e>"),
            ("A='b' 'c'", "A=<b' 'c>"),
            ("A='b\\'\nC='d'", "A=<b\\> C=<d>"),
            ("A=\n'b'\nC=d", "A=<b> C=<d>"),
            ("A\n=b", "A=<b>"),
            ("A=1\r\nB='2\r\n3'\rC=4", "A=<1> B=<2\n3> C=<4>"),
            ("A=1\nA=2\nB=3", "A=<2> B=<3>"),
            ("=x\nA B=c\n{\"D\": 1}", ""),
            ("A=b=c==", "A=<b=c==>"),
            ("A=$B\nC='\\$B'", "A=<$B> C=<\\$B>"),
        ] {
            assert_eq!(shown(parse(text)), expected, "{text:?}");
        }
    }

    /// Each expectation is what `dotenv-expand` 13 returns.
    #[test]
    fn values_are_expanded_as_dotenv_expand_does() {
        for (text, expected) in [
            ("P=https\nH=a.example\nU=$P://${H}/x", "P=<https> H=<a.example> U=<https://a.example/x>"),
            ("A=$B\nB=$C\nC=1", "A=<1> B=<1> C=<1>"),
            ("E=\nA=${E:-x}${E-y}${E:+z}", "E=<> A=<xy>"),
            ("A=$SHELL_HAS-$NO", "A=<shell->"),
            ("A=${NO:-x} ${NO-y} ${SHELL_HAS:-z} ${NO:-}", "A=<x y shell >"),
            ("A=${SHELL_HAS:+x}${NO:+y}${SHELL_HAS+z}", "A=<xz>"),
            ("A=${NO:-${SHELL_HAS}} ${NO:-${NO:-b}}", "A=<shell b>"),
            ("A='$SHELL_HAS'", "A=<shell>"),
            ("A=\\$B \\${C}\nD=$1 $ ${ ${E", "A=<$B ${C}> D=<$1 $ ${ ${E>"),
            ("A=$A", "A=<>"),
            ("A=${NO:-a:-b+c}", "A=<a:-b+c>"),
        ] {
            let shell = |name: &str| (name == "SHELL_HAS").then(|| "shell".to_owned());
            assert_eq!(shown(expand(parse(text), &shell)), expected, "{text:?}");
        }
    }

    #[test]
    fn hostile_files_end_in_a_moment() {
        let mut doubling = "A0=0123456789\n".to_owned();
        for level in 1..100 {
            doubling += &format!("A{level}=$A{0}$A{0}\n", level - 1);
        }
        for text in [
            doubling,
            format!("B={}\nA={}", "x".repeat(500_000), "$B".repeat(20_000)),
            "A='".repeat(20_000),
            "A='\\'\n".repeat(20_000),
            "A\n\n\n\n".repeat(20_000),
            "A=\n\n\n\n".repeat(20_000),
            format!("A={}", "${A:-".repeat(20_000)),
            format!("A={}", "${A:-".repeat(20_000) + &"}".repeat(20_000)),
            (0..20_000).map(|number| format!("A{number}=$A{}\n", number + 1)).collect(),
            format!("A='{}", "\\'  ".repeat(20_000)),
        ] {
            expand(parse(&text), &|_| None);
        }
    }
}
