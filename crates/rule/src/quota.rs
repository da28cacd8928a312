//! ALB's quotas for the conditions of one rule. Apart from the conditions themselves, since a rule that never goes to an
//! ALB need not keep them.

use thiserror::Error;

use crate::Condition;

/// Condition values per rule (page "Quotas for your Application Load Balancers").
pub const MAX_VALUES_PER_RULE: usize = 5;

/// Wildcards per rule (same page; "Condition types for listener rules" says 5, the quota page, which counts, says 6).
pub const MAX_WILDCARDS_PER_RULE: usize = 6;

/// A rule that ALB would refuse although each of its conditions is fine.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum QuotaError {
    /// No condition at all: only the default rule has none.
    #[error("a rule needs at least one condition")]
    NoCondition,
    /// More than [`MAX_VALUES_PER_RULE`] values over all conditions.
    #[error("{0} condition values, but ALB allows {MAX_VALUES_PER_RULE} per rule; split the rule in two")]
    TooManyValues(usize),
    /// More than [`MAX_WILDCARDS_PER_RULE`] wildcards over all conditions.
    #[error("{0} wildcards, but ALB allows {MAX_WILDCARDS_PER_RULE} per rule; split the rule in two")]
    TooManyWildcards(usize),
}

/// Checks the conditions of one rule against the quotas of an ALB.
pub fn check_quotas(conditions: &[Condition]) -> Result<(), QuotaError> {
    if conditions.is_empty() {
        return Err(QuotaError::NoCondition);
    }
    let values = conditions.iter().map(Condition::value_count).sum();
    if values > MAX_VALUES_PER_RULE {
        return Err(QuotaError::TooManyValues(values));
    }
    let wildcards = conditions.iter().map(Condition::wildcard_count).sum();
    if wildcards > MAX_WILDCARDS_PER_RULE {
        return Err(QuotaError::TooManyWildcards(wildcards));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_wildcards_count_over_the_whole_rule() {
        let host = Condition::host(["a.example.com", "b.example.com"]).unwrap();
        let three = Condition::path(["/a", "/b", "/c"]).unwrap();
        let four = Condition::path(["/a", "/b", "/c", "/d"]).unwrap();
        assert_eq!(check_quotas(&[host.clone(), three]), Ok(()));
        assert_eq!(check_quotas(&[host, four]), Err(QuotaError::TooManyValues(6)));
        let stars = Condition::path(["/*/*/*/*", "/?/?/?"]).unwrap();
        assert_eq!(check_quotas(&[stars]), Err(QuotaError::TooManyWildcards(7)));
        assert_eq!(check_quotas(&[]), Err(QuotaError::NoCondition));
    }
}
