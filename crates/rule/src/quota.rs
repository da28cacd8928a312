//! ALB's quotas for the conditions of one rule: counts and lengths (user guide, "Quotas for your Application Load
//! Balancers" and "Condition types for listener rules"). Separate from `condition`, since rules that are never deployed
//! to an ALB need not meet them.

use thiserror::Error;

use crate::{Condition, Pattern};

/// Condition values per rule.
pub const MAX_VALUES_PER_RULE: usize = 5;

/// Wildcards per rule. "Condition types for listener rules" says 5; the quotas page, which is authoritative, says 6.
pub const MAX_WILDCARDS_PER_RULE: usize = 6;

/// Documented number of values of one condition; the API accepts as many as a rule may have.
const DOCUMENTED_VALUES: usize = 3;
/// Length in characters of a value in a host, path, header or query condition, wildcards and regexes alike.
const MAX_VALUE: usize = 128;
/// Length in characters of a header name or a method.
const MAX_WORD: usize = 40;
/// Address ranges of one condition.
const MAX_RANGES: usize = 5;

/// A quota that the conditions of a rule exceed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum QuotaError {
    /// More than [`MAX_VALUES_PER_RULE`] values in all conditions together.
    #[error("{0} condition values, but ALB allows {MAX_VALUES_PER_RULE} per rule; split the rule in two")]
    TooManyValues(usize),
    /// More than [`MAX_WILDCARDS_PER_RULE`] wildcards in all conditions together.
    #[error("{0} wildcards, but ALB allows {MAX_WILDCARDS_PER_RULE} per rule; split the rule in two")]
    TooManyWildcards(usize),
    /// A condition type that occurs more than once, though a rule may have only one.
    #[error("{count} conditions `{kind}`, but ALB allows one per rule; put their values into one")]
    Repeated {
        /// The condition type.
        kind: &'static str,
        /// Number of conditions of this type.
        count: usize,
    },
    /// A value, header name or method that is too long.
    #[error("condition `{kind}`: `{value}` is {length} characters long, ALB allows {limit}")]
    TooLong {
        /// The condition type.
        kind: &'static str,
        /// The value.
        value: String,
        /// Its length in characters.
        length: usize,
        /// The longest that ALB accepts.
        limit: usize,
    },
    /// Too many address ranges.
    #[error("condition `ip` has {0} ranges, ALB allows {MAX_RANGES}")]
    TooManyRanges(usize),
    /// More values in one condition than documented.
    #[error(
        "condition `{kind}` has {count} values; {DOCUMENTED_VALUES} are documented, {MAX_VALUES_PER_RULE} were seen to work"
    )]
    Undocumented {
        /// The condition type.
        kind: &'static str,
        /// Number of values.
        count: usize,
    },
}

impl QuotaError {
    /// Returns `true` if ALB is known to reject the rule.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        !matches!(self, QuotaError::Undocumented { .. })
    }
}

/// Returns all quotas that the conditions of one rule exceed.
#[must_use]
pub fn check_quotas(conditions: &[Condition]) -> Vec<QuotaError> {
    let mut broken = Vec::new();
    let values = conditions.iter().map(Condition::value_count).sum();
    if values > MAX_VALUES_PER_RULE {
        broken.push(QuotaError::TooManyValues(values));
    }
    let wildcards = conditions.iter().map(Condition::wildcard_count).sum();
    if wildcards > MAX_WILDCARDS_PER_RULE {
        broken.push(QuotaError::TooManyWildcards(wildcards));
    }
    for kind in ["host", "path", "method", "ip"] {
        let count = conditions.iter().filter(|condition| condition.kind() == kind).count();
        if count > 1 {
            broken.push(QuotaError::Repeated { kind, count });
        }
    }
    for condition in conditions {
        check_one(condition, values, &mut broken);
    }
    broken
}

fn check_one(condition: &Condition, values_of_rule: usize, broken: &mut Vec<QuotaError>) {
    let kind = condition.kind();
    let mut word = |value: &str, limit| {
        let length = value.chars().count();
        if length > limit {
            broken.push(QuotaError::TooLong { kind, value: value.to_owned(), length, limit });
        }
    };
    match condition {
        Condition::Host(values) | Condition::Path(values) => {
            values.iter().for_each(|value| word(value.source(), MAX_VALUE));
        }
        Condition::Header { name, values } => {
            word(name.as_str(), MAX_WORD);
            values.iter().for_each(|value| word(value.source(), MAX_VALUE));
        }
        Condition::Query(pairs) => {
            for pair in pairs {
                word(pair.key.as_ref().map_or("", Pattern::source), MAX_VALUE);
                word(pair.value.source(), MAX_VALUE);
            }
        }
        Condition::Method(values) => values.iter().for_each(|value| word(value, MAX_WORD)),
        Condition::Ip(ranges) if ranges.len() > MAX_RANGES => broken.push(QuotaError::TooManyRanges(ranges.len())),
        Condition::Ip(_) => {}
    }
    let count = condition.value_count();
    // With more values the whole rule is rejected, which is already reported.
    if count > DOCUMENTED_VALUES && values_of_rule <= MAX_VALUES_PER_RULE {
        broken.push(QuotaError::Undocumented { kind, count });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_wildcards_count_over_the_whole_rule() {
        let host = Condition::host(["a.example.com", "b.example.com"]).unwrap();
        let three = Condition::path(["/a", "/b", "/c"]).unwrap();
        let four = Condition::path(["/a", "/b", "/c", "/d"]).unwrap();
        assert_eq!(check_quotas(&[host.clone(), three]), []);
        assert_eq!(check_quotas(&[host, four.clone()]), [QuotaError::TooManyValues(6)]);
        let stars = Condition::path(["/*/*/*/*", "/?/?/?"]).unwrap();
        assert_eq!(check_quotas(&[stars]), [QuotaError::TooManyWildcards(7)]);
        let undocumented = check_quotas(&[four]);
        assert_eq!(undocumented, [QuotaError::Undocumented { kind: "path", count: 4 }]);
        assert!(!undocumented[0].is_certain());
    }

    #[test]
    fn all_exceeded_quotas_are_reported_at_once() {
        let long = "/".repeat(129);
        let regex = format!("^{}$", "a".repeat(128));
        let conditions = [
            Condition::path([&long]).unwrap(),
            Condition::path_regex([&regex]).unwrap(),
            Condition::header(&"h".repeat(41), ["v"]).unwrap(),
            Condition::method(["M".repeat(41)]).unwrap(),
        ];
        let errors: Vec<String> = check_quotas(&conditions).iter().map(ToString::to_string).collect();
        assert_eq!(errors[0], "2 conditions `path`, but ALB allows one per rule; put their values into one");
        assert_eq!(errors[1], format!("condition `path`: `{long}` is 129 characters long, ALB allows 128"));
        assert!(errors[2].ends_with("is 130 characters long, ALB allows 128"), "{}", errors[2]);
        assert!(errors[3].ends_with("is 41 characters long, ALB allows 40"), "{}", errors[3]);
        assert_eq!(errors.len(), 5);
        let ranges = check_quotas(&[Condition::ip(["10.0.0.0/8"; 6]).unwrap()]);
        assert_eq!(ranges, [QuotaError::TooManyValues(6), QuotaError::TooManyRanges(6)]);
    }
}
