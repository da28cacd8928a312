//! Regexes of NGINX (PCRE) as those of a configuration, and a text that one of them matches, for tests.
//!
//! Owns the differences between the two syntaxes. `crossfade-rule` has the engine.

use crossfade_rule::Regex;

use super::model::Pattern;

/// The regex as a configuration has it.
///
/// # Errors
///
/// The reason why it has no counterpart, such as look-around.
pub(super) fn translated(pattern: &Pattern) -> Result<String, String> {
    let source = &pattern.source;
    let text = if pattern.ignores_case { format!("(?i){source}") } else { source.clone() };
    match Regex::new(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("the regex is not supported: {error}")),
    }
}

/// A regex that matches whatever `source` matches in, as a whole, with the same groups.
pub(super) fn whole(source: &str) -> String {
    let (flags, rest) = match source.strip_prefix("(?i)") {
        Some(rest) => ("(?i)", rest),
        None => ("", source),
    };
    let has_alternatives = rest.contains('|');
    let end_is_escaped =
        rest.len() - rest.trim_end_matches('$').trim_end_matches('\\').len() > 1 && rest.ends_with("\\$");
    match (rest.starts_with('^'), rest.ends_with('$') && !end_is_escaped, has_alternatives) {
        (true, true, false) => source.to_owned(),
        (true, false, false) => format!("{source}.*$"),
        (false, true, false) => format!("{flags}^.*?{rest}"),
        _ => format!("{flags}^.*?(?:{rest}).*$"),
    }
}

/// A text in which the regex matches; `None` if none was found. It is short, and made of letters where it can be.
pub(super) fn sample(source: &str) -> Option<String> {
    let source = source.strip_prefix("(?i)").unwrap_or(source);
    let mut sampler = Sampler { rest: source.chars().peekable(), depth: 0 };
    let text = sampler.alternatives()?;
    sampler.rest.peek().is_none().then_some(text)
}

/// Writes one text for a regex as it reads it. What it does not know ends it; callers check that the text matches.
struct Sampler<'s> {
    rest: std::iter::Peekable<std::str::Chars<'s>>,
    depth: usize,
}

impl Sampler<'_> {
    /// The first alternative that is not empty.
    fn alternatives(&mut self) -> Option<String> {
        self.depth += 1;
        if self.depth > 50 {
            return None;
        }
        let mut first = self.sequence()?;
        while self.rest.next_if_eq(&'|').is_some() {
            let next = self.sequence()?;
            if first.is_empty() {
                first = next;
            }
        }
        self.depth -= 1;
        Some(first)
    }

    fn sequence(&mut self) -> Option<String> {
        let mut text = String::new();
        while let Some(c) = self.rest.next_if(|c| !['|', ')'].contains(c)) {
            let piece = match c {
                '^' | '$' => continue,
                '.' => "x".to_owned(),
                '[' => self.class()?.to_string(),
                '(' => self.group()?,
                '\\' => match self.rest.next()? {
                    'd' => "7".to_owned(),
                    'w' | 'D' | 'S' => "x".to_owned(),
                    's' => " ".to_owned(),
                    'W' => "-".to_owned(),
                    'b' | 'B' | 'A' | 'z' | 'Z' => continue,
                    'n' | 't' | 'r' => return None,
                    c => c.to_string(),
                },
                c => c.to_string(),
            };
            let times = self.times()?;
            if text.len() + piece.len() * times > 500 {
                return None;
            }
            text += &piece.repeat(times);
        }
        Some(text)
    }

    fn group(&mut self) -> Option<String> {
        if self.rest.next_if_eq(&'?').is_some() {
            loop {
                match self.rest.next()? {
                    ':' | '>' => break,
                    'P' | '<' | '\'' | '_' => {}
                    c if c.is_ascii_alphanumeric() => {}
                    _ => return None,
                }
            }
        }
        let text = self.alternatives()?;
        self.rest.next_if_eq(&')').map(|_| text)
    }

    /// A character of a class: a letter or digit if there is one.
    fn class(&mut self) -> Option<char> {
        let is_negated = self.rest.next_if_eq(&'^').is_some();
        let (mut members, mut is_first) = (Vec::<(char, char)>::new(), true);
        loop {
            match self.rest.next()? {
                ']' if !is_first => break,
                '\\' => match self.rest.next()? {
                    'd' => members.push(('0', '9')),
                    'w' => members.extend([('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')]),
                    's' => members.push((' ', ' ')),
                    c => members.push((c, c)),
                },
                '[' => return None,
                c => members.push((c, c)),
            }
            is_first = false;
            if self.rest.peek() == Some(&'-') {
                self.rest.next();
                match self.rest.peek().copied() {
                    Some(']') => members.push(('-', '-')),
                    Some(end) => {
                        self.rest.next();
                        if let Some((_, last)) = members.last_mut() {
                            *last = end;
                        }
                    }
                    None => return None,
                }
            }
        }
        let is_member = |c: char| members.iter().any(|(first, last)| (*first..=*last).contains(&c));
        if is_negated {
            return ('a'..='z').chain('0'..='9').chain("-_./".chars()).find(|c| !is_member(*c));
        }
        ('a'..='z').chain('0'..='9').find(|c| is_member(*c)).or(members.first().map(|(first, _)| *first))
    }

    /// The number of repetitions: once where that is allowed.
    fn times(&mut self) -> Option<usize> {
        let times = match self.rest.peek() {
            Some('*' | '+' | '?') => {
                self.rest.next();
                1
            }
            Some('{') => {
                self.rest.next();
                let mut digits = String::new();
                while let Some(c) = self.rest.next_if(char::is_ascii_digit) {
                    digits.push(c);
                }
                while self.rest.next()? != '}' {}
                digits.parse::<usize>().ok()?.clamp(1, 100)
            }
            _ => 1,
        };
        // Lazy and possessive repetitions.
        _ = self.rest.next_if(|c| ['?', '+'].contains(c));
        Some(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_match() {
        for source in [
            r"\.php$",
            r"^/(?<lang>de|en)/(?P<rest>.*)$",
            r"\.(?:css|js|png)$",
            r"^/v[0-9]+/orders/[^/]+(?:/items)?$",
            r"^/a{2,3}/\d{4}-[\w-]+/?$",
            r"^/(|x)$",
            r"(?i)^/ADMIN",
        ] {
            let text = sample(source).unwrap();
            assert!(Regex::new(source).unwrap().is_match(text.as_bytes()), "{source} {text}");
        }
        assert_eq!(sample("(?=a)"), None);
    }

    #[test]
    fn the_whole_path_is_matched_with_the_same_groups() {
        for (source, path, group) in [
            ("^/old/(.*)$", "/old/x", Some("x")),
            ("^/old/(.)", "/old/xyz", Some("x")),
            ("/(x|y)", "/a/y/b", Some("y")),
            (r"cost(\$)", "/cost$/b", Some("$")),
            (r"(a)\$", "/ca$/b", Some("a")),
            ("(?i)B$", "/ab", None),
        ] {
            let whole = whole(source);
            let regex = Regex::new(&whole).unwrap();
            let captures = regex.captures(path).unwrap();
            assert_eq!(
                (captures.get(0).map(|it| it.as_str()), captures.get(1).map(|it| it.as_str())),
                (Some(path), group),
                "{whole}"
            );
        }
    }
}
