//! Values that a file has taken from the environment by `${env:NAME}`: they may be secrets, and are shown by their names.
//!
//! Owns finding them in a file and in what is to be shown. Messages about mistakes never have them: readers of files keep
//! the text as it is written.

const REFERENCE: &str = "${env:";
/// Shorter values are hidden only where they stand alone: `1` is in many a text by chance.
const SHORT: usize = 4;

/// The variables that a file refers to.
pub(super) struct Environment {
    /// Values, and parts of those that are URLs, with what is shown instead; the longest first.
    hidden: Vec<(String, String)>,
}

impl Environment {
    /// Of a file's text, with the values of this process.
    pub(super) fn of(text: &str) -> Environment {
        Environment::with(text, |name| std::env::var(name).ok())
    }

    fn with(text: &str, value_of: impl Fn(&str) -> Option<String>) -> Environment {
        let mut hidden = Vec::new();
        for (at, _) in text.match_indices(REFERENCE) {
            let rest = text.get(at + REFERENCE.len()..).unwrap_or_default();
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let name = rest.get(..end).unwrap_or_default();
            let Some(value) = value_of(name).filter(|value| !value.is_empty()) else { continue };
            let shown = format!("{REFERENCE}{name}}}");
            hidden.extend(parts(&value).map(|part| (part.to_owned(), shown.clone())));
            hidden.push((value, shown));
        }
        Environment { hidden }.sorted()
    }

    /// Those of two files.
    pub(super) fn and(mut self, other: Option<Environment>) -> Environment {
        self.hidden.extend(other.into_iter().flat_map(|other| other.hidden));
        self.sorted()
    }

    fn sorted(mut self) -> Environment {
        self.hidden.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        self.hidden.dedup();
        self
    }

    /// A text with `${env:NAME}` in place of each value.
    pub(super) fn hide(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let before = out.chars().next_back();
            match self.hidden.iter().find(|(value, _)| begins_with(rest, value, before)) {
                Some((value, shown)) => {
                    out.push_str(shown);
                    rest = rest.get(value.len()..).unwrap_or_default();
                }
                None => {
                    out.push(c);
                    rest = rest.get(c.len_utf8()..).unwrap_or_default();
                }
            }
        }
        out
    }
}

/// Of a URL its authority and its host, which are shown without the rest of it.
fn parts(value: &str) -> impl Iterator<Item = &str> {
    let authority = value.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let authority = authority.map(|authority| authority.rsplit('@').next().unwrap_or_default());
    let host = authority.and_then(|authority| authority.rsplit_once(':')).map(|(host, _)| host);
    [authority, host].into_iter().flatten().filter(|part| part.len() >= SHORT)
}

/// Hosts are compared without regard to case; whatever is shown in another case is hidden as well.
fn begins_with(text: &str, value: &str, before: Option<char>) -> bool {
    let Some((head, behind)) = text.split_at_checked(value.len()) else { return false };
    let stands_alone = || !before.into_iter().chain(behind.chars().next()).any(char::is_alphanumeric);
    head.eq_ignore_ascii_case(value) && (value.len() >= SHORT || stands_alone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_by_their_names() {
        let text =
            "a: ${env:TOKEN}, b: ${env:TOKEN:-x}, c: ${env:LONG}, d: ${env:N}, e: '${env:URL}', f: ${env:NO}, ${env:";
        let variables = [
            ("TOKEN", "s3cret"),
            ("LONG", "s3cret-and-more"),
            ("N", "15"),
            ("URL", "https://u:p@Old.example:8443/v1/"),
            ("OTHER", "free"),
        ];
        let value_of =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let environment = Environment::with(text, value_of);
        for (text, shown) in [
            ("nothing of it, and free", "nothing of it, and free"),
            ("/x?token=s3cret", "/x?token=${env:TOKEN}"),
            ("s3crets3cret", "${env:TOKEN}${env:TOKEN}"),
            ("S3CRET-AND-MORE", "${env:LONG}"),
            ("15 % of 150, a15, 15", "${env:N} % of 150, a15, ${env:N}"),
            ("https://old.example:8443/v1/orders", "https://${env:URL}/v1/orders"),
            ("https://u:p@old.example:8443/v1/orders", "${env:URL}orders"),
            ("host: old.example", "host: ${env:URL}"),
            ("äs3cretö", "ä${env:TOKEN}ö"),
            ("", ""),
        ] {
            assert_eq!(environment.hide(text), shown);
        }
        assert_eq!(Environment::with("", value_of).hide("s3cret"), "s3cret");
    }
}
