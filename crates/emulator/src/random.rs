//! Random identifiers, from the random keys that the standard library gives every hash map. Good enough to be unique;
//! not for secrets.

use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};

/// Returns this number of random lower-case hexadecimal digits.
pub(crate) fn hex(digits: usize) -> String {
    let mut text = String::with_capacity(digits + 16);
    while text.len() < digits {
        let _ = write!(text, "{:016x}", number());
    }
    text.truncate(digits);
    text
}

/// A random number.
pub(crate) fn number() -> u64 {
    RandomState::new().hash_one(0)
}

/// A random UUID (RFC 9562, version 4), the form of Lambda's request ids.
pub(crate) fn uuid() -> String {
    format!("{}-{}-4{}-a{}-{}", hex(8), hex(4), hex(3), hex(3), hex(12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_their_form_and_differ() {
        assert_eq!(hex(24).len(), 24);
        let ids: std::collections::BTreeSet<String> = (0..1000).map(|_| uuid()).collect();
        assert_eq!(ids.len(), 1000);
        for id in &ids {
            let lengths: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
        }
    }
}
