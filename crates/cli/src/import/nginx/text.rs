//! Values with variables: `$name`, `${name}` and the groups of regexes, `$1`. Owns their syntax, which is that of
//! `ngx_http_script_compile` (src/http/ngx_http_script.c). It knows the value of no variable.

/// A part of a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    Literal(String),
    /// The name of a variable, or the number of a group.
    Variable(String),
}

/// A value as a file has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Text(pub(crate) Vec<Piece>);

impl Text {
    pub(crate) fn parse(source: &str) -> Text {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = source;
        while let Some((before, after)) = rest.split_once('$') {
            literal.push_str(before);
            let (name, then) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
                Some(braced) => braced,
                // A group is one digit.
                None if after.starts_with(|c: char| c.is_ascii_digit()) => after.split_at(1),
                None => {
                    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    after.split_at(after.find(|c| !is_of_a_name(c)).unwrap_or(after.len()))
                }
            };
            if name.is_empty() {
                literal.push('$');
            } else {
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Variable(name.to_owned()));
            }
            rest = then;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Text(pieces)
    }

    pub(crate) fn literal(text: &str) -> Text {
        if text.is_empty() { Text::default() } else { Text(vec![Piece::Literal(text.to_owned())]) }
    }

    /// The text, if it has no variable.
    pub(crate) fn as_literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The name, if it is one variable and nothing else.
    pub(crate) fn as_variable(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Piece::Variable(name)] => Some(name),
            _ => None,
        }
    }

    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(&**name),
            Piece::Literal(_) => None,
        })
    }

    /// The value with those variables replaced for which there is a value.
    pub(crate) fn with(&self, value: &dyn Fn(&str) -> Option<Text>) -> Text {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut push = |piece: Piece| match (pieces.last_mut(), piece) {
            (Some(Piece::Literal(before)), Piece::Literal(text)) => before.push_str(&text),
            (_, piece) => pieces.push(piece),
        };
        for piece in &self.0 {
            match piece {
                Piece::Variable(name) => match value(name) {
                    Some(text) => text.0.into_iter().for_each(&mut push),
                    None => push(piece.clone()),
                },
                Piece::Literal(_) => push(piece.clone()),
            }
        }
        Text(pieces)
    }

    /// The value without these variables at its end; `None` if it ends otherwise.
    pub(crate) fn strip_suffix(&self, names: &[&str]) -> Option<Text> {
        let at = self.0.len().checked_sub(names.len())?;
        let (before, end) = self.0.split_at(at);
        let is_same =
            end.iter().zip(names).all(|(piece, name)| matches!(piece, Piece::Variable(found) if found == name));
        is_same.then(|| Text(before.to_vec()))
    }

    /// The value as a file has it.
    pub(crate) fn source(&self) -> String {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Literal(text) => text.clone(),
                Piece::Variable(name) => format!("${{{name}}}"),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_end_where_nginx_ends_them() {
        let pieces = |source: &str| {
            Text::parse(source)
                .0
                .into_iter()
                .map(|piece| match piece {
                    Piece::Literal(text) => text,
                    Piece::Variable(name) => format!("<{name}>"),
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(pieces("http://$host$request_uri"), ["http://", "<host>", "<request_uri>"]);
        assert_eq!(pieces("/a/$12/${name}x"), ["/a/", "<1>", "2/", "<name>", "x"]);
        assert_eq!(pieces("cost $ 5$"), ["cost $ 5$"]);
        assert_eq!(pieces(""), [""; 0]);
    }
}
