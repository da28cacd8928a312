//! Masks secrets in a configuration's own text: users and passwords in URLs, and everything after the name of a secret.
//! `crossfade-journal` decides which names are secrets. Owns no message.

use crossfade_journal::redaction::is_secret_name;

/// Keys of this file that look like names of secrets but hold names.
const OWN_KEYS: [&str; 4] = ["cookie", "credentials", "jwtClaim", "pin"];

/// Returns a line, a key or a value in which stars replace the characters of secrets, so that a caret below still
/// points to the right column. Everything after the name of a secret is masked: in a text with an error, the end of the
/// value is unknown.
pub(crate) fn masked(text: &str) -> String {
    let (shown, hidden) = text.split_at_checked(secret_begins(text)).unwrap_or((text, ""));
    let mut masked = without_users(shown);
    masked.extend(hidden.chars().map(star));
    masked
}

fn star(c: char) -> char {
    if c == ' ' { ' ' } else { '*' }
}

/// Returns the position after the first name of a secret that has a value, as in `token: x`, `?token=x` or `name:
/// token, values: [x]`; the length of the text if there is none.
fn secret_begins(text: &str) -> usize {
    let last_pair = text.rfind('=');
    let mut begin = 0;
    for (at, separator) in text.match_indices([':', '=']) {
        let (before, behind) = (text.get(begin..at).unwrap_or_default(), at + separator.len());
        begin = behind;
        let name = before.trim_end_matches([' ', '\'', '"']).rsplit(is_no_part_of_a_name).next().unwrap_or_default();
        // Unless it is a value of the field `Cookie`.
        let has_names = OWN_KEYS.contains(&name) && separator == ":" && last_pair.is_none_or(|last| last < at);
        if is_secret_name(name) && !has_names {
            return behind;
        }
        if name == "name" {
            let rest = text.get(behind..).unwrap_or_default();
            let value = rest.trim_start_matches([' ', '\'', '"']);
            let end = value.find(is_no_part_of_a_name).unwrap_or(value.len());
            if value.get(..end).is_some_and(is_secret_name) {
                return text.len() - value.len() + end;
            }
        }
    }
    text.len()
}

fn is_no_part_of_a_name(c: char) -> bool {
    !c.is_alphanumeric() && c != '-' && c != '_'
}

/// Masks user names and passwords in URLs. A password may contain any character except those that end a text or a word.
fn without_users(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for word in text.split_inclusive([' ', '\'', '"']) {
        let scheme = word.find("://").map_or(word.len(), |at| at + "://".len());
        let (scheme, rest) = word.split_at_checked(scheme).unwrap_or((word, ""));
        let (user, rest) = rest.split_at_checked(rest.rfind('@').unwrap_or(0)).unwrap_or(("", rest));
        shown.push_str(scheme);
        shown.extend(user.chars().map(star));
        shown.push_str(rest);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_urls_are_masked() {
        for (line, shown) in [
            (r#"{"a": "https://l.example", "b": "ftp://x@y"}"#, r#"{"a": "https://l.example", "b": "ftp://*@y"}"#),
            ("https://ann:a/b@m.example, https://n", "https://*******@m.example, https://n"),
            ("https://ann:12/34@h", "https://*********@h"),
            ("https://ann:a,b@h/x?y", "https://*******@h/x?y"),
            ("https://a://b@c", "https://*****@c"),
            ("https://[::1]:80/x", "https://[::1]:80/x"),
        ] {
            assert_eq!(masked(line), shown, "{line}");
        }
    }

    #[test]
    fn everything_after_the_name_of_a_secret_is_masked() {
        for (line, shown) in [
            ("set: { authorization: 'Bearer x', x-a: b }", "set: { authorization: ******* *** **** * *"),
            ("  authorization: Bearer a,b # c", "  authorization: ****** *** * *"),
            (r#"{"X-Token" : "it's", "b": 1}"#, r#"{"X-Token" : ******* **** **"#),
            ("x-api-key: 'a''rest'", "x-api-key: *********"),
            (r#"token: ["a]b", c]"#, "token: ******* **"),
            ("authorization:Bearer-x", "authorization:********"),
            ("cookie: 'session=1; b=2'", "cookie: *********** ****"),
            ("https://a.example/?token=x&b=1", "https://a.example/?token=*****"),
            ("header: { name: x-api-key, values: [a] }", "header: { name: x-api-key* ******* *** *"),
            // Names of cookies and fields are not secrets.
            ("sticky: { by: { cookie: customer_id } }", "sticky: { by: { cookie: customer_id } }"),
            ("credentials: [cookie, authorization]", "credentials: [cookie, authorization]"),
            ("forward: token", "forward: token"),
            ("token: 'äö", "token: ***"),
            ("token:", "token:"),
            ("", ""),
        ] {
            assert_eq!(masked(line), shown, "{line}");
            assert_eq!(masked(line).chars().count(), line.chars().count(), "{line}");
        }
    }

    #[test]
    fn long_text_takes_linear_time() {
        for text in ["cookie:", "token", "name:", "://", "a@://", "name: x"] {
            let long = text.repeat(100_000);
            assert_eq!(masked(&long).chars().count(), long.len());
        }
    }
}
