//! `${env:NAME}` in values: its syntax and replacement. Owns no tree.

use crossfade_document::{Piece, Unresolved};

use crate::surroundings::Surroundings;

/// The start of an environment variable.
const VARIABLE: &str = "${env:";

/// Returns a text with its variables replaced; `None` if it has none.
pub(crate) fn substitute(text: &str, surroundings: &dyn Surroundings) -> Option<Result<Vec<Piece>, Unresolved>> {
    text.contains(VARIABLE).then(|| expand(text, surroundings))
}

/// Replaces `${env:NAME}` and `${env:NAME, default}`; `$${env:` is a literal `${env:`.
fn expand(text: &str, surroundings: &dyn Surroundings) -> Result<Vec<Piece>, Unresolved> {
    let (mut pieces, mut of_file) = (Vec::new(), String::new());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(VARIABLE) {
        if let Some(before) = before.strip_suffix('$') {
            of_file.push_str(before);
            of_file.push_str(VARIABLE);
            rest = after;
            continue;
        }
        let Some((inner, behind)) = after.split_once('}') else {
            let hint = "write `${env:NAME}` or `${env:NAME, default}`".to_owned();
            return Err(Unresolved { message: "`${env:` without a closing `}`".to_owned(), hint });
        };
        let (name, default) = match inner.split_once(',') {
            Some((name, default)) => (name.trim(), Some(unquoted(default.trim()))),
            None => (inner.trim(), None),
        };
        let value = surroundings.variable(name).or_else(|| default.map(str::to_owned)).ok_or_else(|| {
            let hint = format!("set it, or give a default: `${{env:{name}, value}}`");
            Unresolved { message: format!("the environment variable `{name}` is not set"), hint }
        })?;
        of_file.push_str(before);
        pieces.extend([Piece::OfFile(std::mem::take(&mut of_file)), Piece::OfEnvironment(value)]);
        rest = behind;
    }
    of_file.push_str(rest);
    pieces.push(Piece::OfFile(of_file));
    Ok(pieces)
}

fn unquoted(text: &str) -> &str {
    let within = |quote| text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    within('\'').or_else(|| within('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use crossfade_document::Scalar;

    use super::*;

    struct Variables;

    impl Surroundings for Variables {
        fn variable(&self, name: &str) -> Option<String> {
            (name == "PORT").then(|| "8443".to_owned())
        }

        fn file(&self, _: &std::path::Path) -> Result<Vec<u8>, String> {
            Err(String::new())
        }
    }

    #[test]
    fn variables_of_the_environment() {
        let expand = |text| expand(text, &Variables).map(|pieces| Scalar::expanded(text, pieces).text.into_string());
        assert_eq!(expand("https://h:${env:PORT}/").unwrap(), "https://h:8443/");
        assert_eq!(expand("${env:PORT}${env:NONE, a b}${env:NONE,''}").unwrap(), "8443a b");
        assert_eq!(expand("$${env:PORT}").unwrap(), "${env:PORT}");
        assert!(expand("${env:NONE}").unwrap_err().message.contains("NONE"));
        assert!(expand("${env:NONE").is_err());
        assert_eq!(
            Scalar::expanded("${env:PORT}", super::expand("${env:PORT}", &Variables).unwrap()).as_number(),
            Some(8443.0)
        );
        assert!(substitute("$env", &Variables).is_none());
    }
}
