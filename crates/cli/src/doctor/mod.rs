//! `crossfade doctor`: judges a deployed function.
//!
//! `gather` asks AWS, `facts` is the result together with the local files, and each check in `CHECKS` is a pure function of the facts. A
//! new check is one more function in that list. Owns the list and the forms of a finding; the command owns options and output.

mod checks;
mod described;
mod facts;
mod gather;
mod package;
mod policy;
pub(crate) mod print;
mod rules;
#[cfg(test)]
mod tests;

use crate::program;

pub(crate) use facts::{Configuration, Facts, Known, RuleFile, Unknown};
pub(crate) use gather::{Wanted, gather};
pub(crate) use package::read;

/// The judgement of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Ok,
    /// A fact is unknown, such as for a missing permission.
    NotChecked,
    Warning,
    Error,
}

impl Verdict {
    /// As the output names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::NotChecked => "not checked",
            Verdict::Warning => "warning",
            Verdict::Error => "error",
        }
    }
}

/// A line of the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The name of the check.
    pub(crate) check: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) found: String,
    /// The remedy, or a way to find out.
    pub(crate) hint: Option<String>,
}

/// A finding before its check is known.
struct Judged {
    verdict: Verdict,
    found: String,
    hint: Option<String>,
}

impl Judged {
    fn ok(found: impl Into<String>) -> Judged {
        Judged { verdict: Verdict::Ok, found: found.into(), hint: None }
    }

    fn warning(found: impl Into<String>, hint: impl Into<String>) -> Judged {
        Judged { verdict: Verdict::Warning, found: found.into(), hint: Some(hint.into()) }
    }

    fn error(found: impl Into<String>, hint: impl Into<String>) -> Judged {
        Judged { verdict: Verdict::Error, found: found.into(), hint: Some(hint.into()) }
    }

    fn not_checked(found: impl Into<String>) -> Judged {
        Judged { verdict: Verdict::NotChecked, found: found.into(), hint: None }
    }
}

/// An empty list: the check does not apply.
type Outcome = Result<Vec<Judged>, Unknown>;

type Check = fn(&Facts) -> Outcome;

/// All checks with their names, in the order of the output.
const CHECKS: [(&str, Check); 20] = [
    ("state", checks::function::state),
    ("runtime", checks::function::runtime),
    ("package", checks::function::package),
    ("configuration", checks::function::configuration),
    ("environment", checks::function::environment),
    ("timeout", checks::function::timeout),
    ("memory", checks::function::memory),
    ("concurrency", checks::function::concurrency),
    ("network", checks::function::network),
    ("rules", rules::as_in_the_file),
    ("rule order", rules::shadowed),
    ("permission", checks::traffic::permission),
    ("header mode", checks::traffic::header_mode),
    ("health check", checks::traffic::health_check),
    ("health", checks::traffic::health),
    ("live state", checks::operations::live),
    ("log format", checks::operations::log_format),
    ("log group", checks::operations::log_group),
    ("alarms", checks::operations::alarms),
    ("tracing", checks::operations::tracing),
];

/// The findings of all checks.
pub(crate) fn examine(facts: &Facts) -> Vec<Finding> {
    let judged = CHECKS.into_iter().flat_map(|(check, judge)| {
        let judged = judge(facts).unwrap_or_else(|Unknown(reason)| vec![Judged::not_checked(reason)]);
        judged.into_iter().map(move |Judged { verdict, found, hint }| Finding { check, verdict, found, hint })
    });
    judged.collect()
}

/// The fact, or the end of a check.
fn known<T>(fact: &Known<T>) -> Result<&T, Unknown> {
    fact.as_ref().map_err(Clone::clone)
}

/// The command for a change of the function's configuration.
fn update(facts: &Facts, option: &str) -> String {
    format!("`aws lambda update-function-configuration --function-name {} {option}`", facts.deployed.name)
}

/// The start of a command of this program.
fn crossfade() -> String {
    program::name()
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
