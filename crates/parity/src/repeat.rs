//! A shell command that repeats a request to a back end.
//!
//! Guarantees that nothing except a URL gets into the command, whatever the log contains. The log usually has no query
//! values.

/// Returns a `curl` command for a request, or a `#` comment with the reason why there is none.
pub(crate) fn command(method: &str, url: Option<&str>) -> String {
    let option = match method {
        "GET" => "-i",
        "HEAD" => "-I",
        _ => return "# its content is not in the log, so it can't be repeated".to_owned(),
    };
    // Anything else could be an option or a file name.
    let Some(url) = url.filter(|url| url.starts_with("https://") || url.starts_with("http://")) else {
        return "# no URL in the log".to_owned();
    };
    format!("curl -sS {option} --globoff --path-as-is {}", shell_words::quote(url))
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
            assert_eq!(command(method, Some(url)), expected);
        }
    }
}
