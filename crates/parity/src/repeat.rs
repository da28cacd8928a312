//! A shell command that repeats a request to a back end.
//!
//! Guarantees that nothing except a URL and harmless fields gets into the command, whatever the log contains. The log usually has no query
//! values.

use std::collections::BTreeMap;

use crossfade_journal::comparison::REPEATED_FIELDS;

/// Characters of a value that is kept.
const LONGEST: usize = 200;

/// Returns the fields that a command can have.
pub(crate) fn harmless(fields: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_harmless = |(name, value): &(&String, &String)| {
        REPEATED_FIELDS.contains(&name.as_str()) && value.len() <= LONGEST && !value.contains(char::is_control)
    };
    fields.iter().filter(is_harmless).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Returns a `curl` command for a request, or a `#` comment with the reason why there is none. `fields` are [`harmless`];
/// `cacert` is a file with the authority that the back ends' certificates need.
pub(crate) fn command(
    method: &str,
    url: Option<&str>,
    fields: &BTreeMap<String, String>,
    cacert: Option<&str>,
) -> String {
    let option = match method {
        "GET" => "-i",
        "HEAD" => "-I",
        _ => return "# its content is not in the log, so it can't be repeated".to_owned(),
    };
    // Anything else could be an option or a file name.
    let Some(url) = url.filter(|url| url.starts_with("https://") || url.starts_with("http://")) else {
        return "# no URL in the log".to_owned();
    };
    let mut command = format!("curl -sS {option} --globoff --path-as-is");
    if let Some(file) = cacert.filter(|_| url.starts_with("https://")) {
        command.push_str(" --cacert ");
        command.push_str(&shell_words::quote(file));
    }
    for (name, value) in fields {
        match name.as_str() {
            // `curl` decompresses what it asks for.
            "accept-encoding" => command += " --compressed",
            "accept" if value == "*/*" => {}
            name => {
                command.push_str(" -H ");
                command.push_str(&shell_words::quote(&format!("{name}: {value}")));
            }
        }
    }
    format!("{command} {}", shell_words::quote(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_url_gets_into_a_command() {
        for (method, url, expected) in [
            ("GET", "https://a.example/x", "curl -sS -i --globoff --path-as-is https://a.example/x"),
            ("HEAD", "http://a.example/x?a=é&b", "curl -sS -I --globoff --path-as-is 'http://a.example/x?a=é&b'"),
            ("GET", "https://a/'; rm -rf ~ #", r"curl -sS -i --globoff --path-as-is 'https://a/'\''; rm -rf ~ #'"),
            ("GET", "https://a/$(id)`id`", "curl -sS -i --globoff --path-as-is 'https://a/$(id)`id`'"),
            ("GET", "-o/etc/passwd", "# no URL in the log"),
            ("GET", "file:///etc/passwd", "# no URL in the log"),
            ("GET; id", "https://a", "# its content is not in the log, so it can't be repeated"),
        ] {
            assert_eq!(command(method, Some(url), &BTreeMap::new(), None), expected);
        }
    }

    #[test]
    fn a_private_authority_is_named_where_tls_is_used() {
        for (url, file, expected) in [
            ("https://localhost/x", "/tmp/ca.pem", "--cacert /tmp/ca.pem https://localhost/x"),
            (
                "https://localhost/x",
                "/tmp/it's $(id)/ca.pem",
                r"--cacert '/tmp/it'\''s $(id)/ca.pem' https://localhost/x",
            ),
            ("http://localhost/x", "/tmp/ca.pem", "http://localhost/x"),
        ] {
            let expected = format!("curl -sS -i --globoff --path-as-is {expected}");
            assert_eq!(command("GET", Some(url), &BTreeMap::new(), Some(file)), expected);
        }
    }

    #[test]
    fn fields_that_matter_are_sent_again() {
        for (fields, expected) in [
            (&[("range", "bytes=0-99"), ("accept-encoding", "gzip, br")][..], "--compressed -H 'range: bytes=0-99' "),
            (&[("accept", "*/*")], ""),
            (
                &[("accept", "text/html"), ("origin", "https://a.example")],
                "-H 'accept: text/html' -H 'origin: https://a.example' ",
            ),
            (&[("if-none-match", "\"'$(id)\"")], r#"-H 'if-none-match: "'\''$(id)"' "#),
            // A log can say anything.
            (&[("cookie", "a=b"), ("authorization", "x"), ("-o/etc/passwd", "x"), ("range", "a\nHost: b")], ""),
        ] {
            let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let fields = harmless(&fields);
            let expected = format!("curl -sS -i --globoff --path-as-is {expected}https://a");
            assert_eq!(command("GET", Some("https://a"), &fields, None), expected);
        }
    }
}
