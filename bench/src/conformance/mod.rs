//! The conformance suite: the same raw requests through the local ALB to each function, compared with what the origin
//! must receive and the client must get. It owns the run and the table; cases are text files in `bench/cases`, read by
//! `case`.

mod case;
mod run;

use std::fmt::Write as _;

use crossfade_emulator::EndpointKind;
use crossfade_event::HeaderMode;

pub use case::{Case, load};
pub use run::{Bed, Through};

use crate::function::Function;

/// The results of one case with one function: for each header mode, success or a short description of the failure.
pub type CaseResult = Vec<(HeaderMode, Result<(), String>)>;

/// Runs every case on every function, in the header modes that each case names.
///
/// # Errors
/// When the test bed cannot be made; a function's failure is an outcome.
pub fn run(functions: &[Function], cases: &[Case]) -> anyhow::Result<Vec<Vec<CaseResult>>> {
    let bed = Bed::new()?;
    let mut rows = Vec::with_capacity(cases.len());
    for case in cases {
        let row: Vec<CaseResult> = functions
            .iter()
            .map(|function| {
                case.modes.iter().map(|&mode| (mode, bed.try_case(case, function, Through::Alb(mode)))).collect()
            })
            .collect();
        rows.push(row);
    }
    Ok(rows)
}

/// Runs every case that is not about the load balancer itself through each other front end. A result has the front ends that
/// cannot carry the case, with the reasons.
///
/// # Errors
/// When the test bed cannot be made.
pub fn run_fronts<'c>(function: &Function, cases: &'c [Case]) -> anyhow::Result<Vec<(&'c Case, Lost)>> {
    let bed = Bed::new()?;
    let lost = |case| {
        let results = EndpointKind::ALL.map(|kind| (kind, bed.try_case(case, function, Through::Endpoint(kind))));
        results.into_iter().filter_map(|(kind, result)| Some((kind, result.err()?))).collect()
    };
    Ok(cases.iter().filter(|case| case.is_for_every_front()).map(|case| (case, lost(case))).collect())
}

/// The front ends that cannot carry a case, and why.
pub type Lost = Vec<(EndpointKind, String)>;

/// The same as a table in Markdown: a row for each case that some front end cannot carry, and the totals.
#[must_use]
pub fn table_of_fronts(rows: &[(&Case, Lost)]) -> String {
    let mut table = "| case |".to_owned();
    EndpointKind::ALL.iter().for_each(|kind| table.extend([" ", kind.name(), " |"]));
    table.push_str(&format!("\n|---|{}\n", "---|".repeat(EndpointKind::ALL.len())));
    for (case, lost) in rows.iter().filter(|(_, lost)| !lost.is_empty()) {
        let _ = write!(table, "| {}: {} |", case.name, case.about);
        for kind in EndpointKind::ALL {
            let reason = lost.iter().find(|(lost, _)| *lost == kind).map(|(_, reason)| reason.replace('|', "\\|"));
            let _ = write!(table, " {} |", reason.as_deref().unwrap_or("carried"));
        }
        table.push('\n');
    }
    table.push_str("| **carried** |");
    for kind in EndpointKind::ALL {
        let carried = rows.iter().filter(|(_, lost)| lost.iter().all(|(lost, _)| *lost != kind)).count();
        let _ = write!(table, " **{carried} of {}** |", rows.len());
    }
    table.push('\n');
    table
}

/// The table in Markdown: a row for each case, a column for each function, and the totals.
#[must_use]
pub fn table(functions: &[Function], cases: &[Case], rows: &[Vec<CaseResult>]) -> String {
    let names: Vec<&str> = functions.iter().map(|function| function.name).collect();
    let mut table = format!("| case | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
    for (case, row) in cases.iter().zip(rows) {
        let _ = write!(table, "| {}: {}", case.name, case.about);
        for outcome in row {
            let _ = write!(table, " | {}", cell(outcome));
        }
        table.push_str(" |\n");
    }
    let totals = (0..names.len()).map(|column| {
        let column: Vec<&CaseResult> = rows.iter().map(|row| &row[column]).collect();
        let passed = column.iter().filter(|outcome| outcome.iter().all(|(_, result)| result.is_ok())).count();
        let [single, multi] = [HeaderMode::Single, HeaderMode::Multi].map(|mode| {
            let tried: Vec<_> = column.iter().flat_map(|outcome| outcome.iter()).filter(|one| one.0 == mode).collect();
            format!("{} of {}", tried.iter().filter(|(_, result)| result.is_ok()).count(), tried.len())
        });
        format!("**{passed} of {}** (single-value {single}, multi-value {multi})", column.len())
    });
    let _ = writeln!(table, "| **passed** | | {} |", totals.collect::<Vec<_>>().join(" | "));
    table
}

/// `pass`, or the first reason; a failure in one of two modes says which.
fn cell(outcome: &CaseResult) -> String {
    let failed: Vec<_> = outcome.iter().filter_map(|(mode, result)| Some((mode, result.as_ref().err()?))).collect();
    let Some((mode, reason)) = failed.first() else {
        return "pass".to_owned();
    };
    let reason = reason.replace('|', "\\|");
    match (failed.len() < outcome.len(), mode) {
        (false, _) => format!("FAIL: {reason}"),
        (true, HeaderMode::Single) => format!("FAIL in single-value mode: {reason}"),
        (true, HeaderMode::Multi) => format!("FAIL in multi-value mode: {reason}"),
    }
}
