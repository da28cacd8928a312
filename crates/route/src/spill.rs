//! `spill`: the bucket for responses that the front end cannot carry. Owns no request to it.

use std::time::Duration;

/// A place in S3, and how long clients may read from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spill {
    /// The name of the bucket.
    pub bucket: String,
    /// The beginning of every key. Ends with `/`.
    pub prefix: String,
    /// The time for which a link is valid, in whole seconds.
    pub expires: Duration,
}

impl Spill {
    /// `prefix` by default.
    pub(crate) const PREFIX: &str = "responses/";

    /// `expires` by default. A client follows a redirect at once, and goes on with a download that broke off.
    pub(crate) const EXPIRES: Duration = Duration::from_secs(15 * 60);

    /// The longest `expires`: a week (S3 user guide, "Download and upload objects with presigned URLs").
    pub(crate) const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
}

/// Returns whether a name is that of a bucket (S3 user guide, "General purpose bucket naming rules").
pub(crate) fn is_bucket(name: &str) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = name.as_bytes();
    (3..=63).contains(&name.len())
        && is_end(bytes.first())
        && is_end(bytes.last())
        && bytes.iter().all(|byte| is_end(Some(byte)) || b".-".contains(byte))
        && !name.contains("..")
}

/// Returns whether a prefix stands in a URL as it is, in folders that all have names.
pub(crate) fn is_prefix(prefix: &str) -> bool {
    let is_part = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    prefix.len() <= 200 && prefix.strip_suffix('/').unwrap_or(prefix).split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_buckets() {
        for name in ["shop-responses", "a.b", "123", &"a".repeat(63)] {
            assert!(is_bucket(name), "{name}");
        }
        for name in
            ["", "ab", "Shop", "a_b", "-ab", "ab.", "a..b", "s3://shop", "a/b", "arn:aws:s3:::shop", &"a".repeat(64)]
        {
            assert!(!is_bucket(name), "{name}");
        }
    }

    #[test]
    fn prefixes() {
        for prefix in ["a", "a/", "responses/", "a/b-c_d.e/"] {
            assert!(is_prefix(prefix), "{prefix}");
        }
        for prefix in ["", "/", "/a", "a//b", "a//", "../a", "a b", "a%20", "ä"] {
            assert!(!is_prefix(prefix), "{prefix}");
        }
    }
}
