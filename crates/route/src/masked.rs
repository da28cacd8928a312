//! What is shown of a configuration's own text: neither user and password of a URL nor what stands behind the name of a
//! secret. Which names are such is `crossfade-compare`'s to say. Owns no message.

use crossfade_compare::is_secret_name;

/// Keys of this file that look like names of secrets, and hold names.
const OWN_KEYS: [&str; 2] = ["cookie", "credentials"];

/// A line, a key or a value with stars in place of each character of a secret, so that a caret below still points right.
pub(crate) fn masked(text: &str) -> String {
    without_users(&without_values(text))
}

/// `name: value`, `name=value`.
fn without_values(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    let mut is_flow = false;
    while let Some(at) = rest.find([':', '=']) {
        let (before, after) = rest.split_at(at);
        is_flow |= before.contains(['{', '[']);
        let is_pair = after.starts_with('=');
        shown.push_str(before);
        shown.push_str(if is_pair { "=" } else { ":" });
        rest = after.get(1..).unwrap_or_default();
        let quoted = before.trim_end_matches(['\'', '"']);
        let name = quoted.rsplit(|c: char| !c.is_alphanumeric() && c != '-' && c != '_').next().unwrap_or_default();
        if !is_secret_name(name) {
            continue;
        }
        let value = value_of(rest, is_pair, is_flow);
        // A list of names, unless it is the value of the field `Cookie`.
        if OWN_KEYS.contains(&name) && !is_pair && !value.contains('=') {
            continue;
        }
        let (value, behind) = rest.split_at_checked(value.len()).unwrap_or((rest, ""));
        let quote = value.trim_start().chars().next().filter(|first| matches!(first, '\'' | '"'));
        shown.extend(value.chars().map(|c| if c == ' ' || Some(c) == quote { c } else { '*' }));
        rest = behind;
    }
    shown.push_str(rest);
    shown
}

/// As much as belongs to a value, with the space and the quotes around it. A map is none: the names in it say more.
fn value_of(text: &str, is_pair: bool, is_flow: bool) -> &str {
    let begin = text.len() - text.trim_start().len();
    let value = text.get(begin..).unwrap_or_default();
    let length = match value.chars().next() {
        Some('{') if !is_pair => Some(0),
        Some(quote @ ('\'' | '"')) => value.match_indices(quote).nth(1).map(|(end, _)| end),
        Some('[') => value.find(']'),
        _ if is_pair => value.find(['&', ';', ' ', '\'', '"', ',', '}']),
        _ if is_flow => value.find([',', '}', ']']),
        _ => None,
    };
    text.get(..begin + length.unwrap_or(value.len())).unwrap_or(text)
}

/// User names and passwords of URLs.
fn without_users(text: &str) -> String {
    let mut pieces = text.split("://");
    let mut shown = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        shown.push_str("://");
        let word = piece.split([' ', '\'', '"', ',']).next().unwrap_or_default();
        let authority = word.split('/').next().unwrap_or_default();
        // What is no port is a password, which may have a `/` in it.
        let port = authority.split_once(':').filter(|_| !authority.starts_with('[')).map_or("", |(_, port)| port);
        let end = authority
            .rfind('@')
            .or_else(|| if port.bytes().all(|byte| byte.is_ascii_digit()) { None } else { word.rfind('@') });
        match end.and_then(|end| piece.split_at_checked(end)) {
            Some((secret, rest)) => {
                shown.extend(secret.chars().map(|_| '*'));
                shown.push_str(rest);
            }
            None => shown.push_str(piece),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_user_of_a_url_is_shown() {
        let line = r#"{"a": "https://l.example", "b": "https://user:hunter2@m.example/@", "c": "ftp://x@y"}"#;
        let shown = r#"{"a": "https://l.example", "b": "https://************@m.example/@", "c": "ftp://*@y"}"#;
        assert_eq!(masked(line), shown);
        assert_eq!(
            masked("https://ann:a/b@m.example, https://[::1]:80/@x"),
            "https://*******@m.example, https://[::1]:80/@x"
        );
    }

    #[test]
    fn no_value_of_a_secrets_name_is_shown() {
        for (line, shown) in [
            ("set: { authorization: 'Bearer x y', x-a: \"b\" }", "set: { authorization: '****** * *', x-a: \"b\" }"),
            ("  authorization: Bearer a,b # c", "  authorization: ****** *** * *"),
            ("{ x-api-key: a b, x-b: c }", "{ x-api-key: * *, x-b: c }"),
            (r#"{"X-Token": "it's", "b": 1}"#, r#"{"X-Token": "****", "b": 1}"#),
            ("add: { set-cookie: [a=1, b=2], c: d }", "add: { set-cookie: ***** ***], c: d }"),
            ("authorization:Bearer-x", "authorization:********"),
            ("cookie: 'session=1; b=2'", "cookie: '********** ***'"),
            ("https://a.example/?token=x&b=1", "https://a.example/?token=*&b=1"),
            // Names of cookies and of fields are none.
            ("sticky: { by: { cookie: customer_id } }", "sticky: { by: { cookie: customer_id } }"),
            ("credentials: [cookie, authorization]", "credentials: [cookie, authorization]"),
            ("pin: { modern: [2] }", "pin: { modern: [2] }"),
            ("token: 'äö", "token: '**"),
            ("token:", "token:"),
            ("", ""),
        ] {
            assert_eq!(masked(line), shown, "{line}");
            assert_eq!(masked(line).chars().count(), line.chars().count(), "{line}");
        }
    }
}
