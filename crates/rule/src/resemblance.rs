//! How close a request is to a condition that does not match it, for listing the nearest of many rules. Decides nothing.

use std::cmp::Reverse;

use crate::condition::Condition;
use crate::request::RequestView;

impl Condition {
    /// Returns how many bytes a value of this condition and the request have in common at the beginning and at the end; `None`
    /// for conditions other than those on host and path.
    #[must_use]
    pub fn resemblance(&self, request: &RequestView<'_>) -> Option<usize> {
        let (values, found) = match self {
            Condition::Host(values) => (values, request.host_name()),
            Condition::Path(values) => (values, request.path),
            _ => return None,
        };
        values.iter().map(|value| in_common(value.source().trim_start_matches('^').as_bytes(), found)).max()
    }
}

/// The distance of a request from a rule whose conditions on it fail: their number, how many of them are on host and path,
/// and how little those resemble it. Less is nearer.
pub type Distance = (usize, usize, Reverse<usize>);

/// Returns the distance for the conditions that fail, each with its [`Condition::resemblance`].
#[must_use]
pub fn distance(failed: impl Iterator<Item = Option<usize>>) -> Distance {
    failed.fold((0, 0, Reverse(0)), |(all, places, Reverse(sum)): Distance, resemblance| {
        let places = places.saturating_add(usize::from(resemblance.is_some()));
        (all.saturating_add(1), places, Reverse(sum.saturating_add(resemblance.unwrap_or(0))))
    })
}

fn in_common(one: &[u8], other: &[u8]) -> usize {
    let is_same = |(one, other): &(&u8, &u8)| one.eq_ignore_ascii_case(other);
    let beginning = one.iter().zip(other).take_while(is_same).count();
    let rest = |all: &'_ [u8]| all.len().saturating_sub(beginning);
    let end = one.iter().rev().zip(other.iter().rev()).take_while(is_same).count();
    beginning.saturating_add(end.min(rest(one)).min(rest(other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_in_common_are_counted_once() {
        for (one, other, expected) in [
            ("/orders/*", "/orders/7", 8),
            ("/orders/*", "/ordrs/7", 4),
            ("a.example", "b.example", 8),
            ("/aa", "/aaa", 3),
            ("/a", "/b", 1),
            ("", "/b", 0),
        ] {
            assert_eq!(in_common(one.as_bytes(), other.as_bytes()), expected, "{one} {other}");
        }
    }
}
