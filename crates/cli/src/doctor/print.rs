//! The findings as text and as JSON.

use serde_json::{Value, json};

use super::{Facts, Finding, Verdict, counted};
use crate::terminal::printable;

/// The number of findings with a verdict.
pub(crate) fn count(findings: &[Finding], verdict: Verdict) -> usize {
    findings.iter().filter(|finding| finding.verdict == verdict).count()
}

/// One block for people: verdict, check, the finding, and below it the remedy.
pub(crate) fn text(facts: &Facts, findings: &[Finding]) -> String {
    const LEFT: usize = 27;
    let mut text = format!("{} in {}\n\n", facts.deployed.name, facts.region);
    for Finding { check, verdict, found, hint } in findings {
        text += &format!("{:<11}  {check:<13} {}\n", verdict.name(), printable(found));
        if let Some(hint) = hint {
            text += &format!("{:LEFT$}hint: {}\n", "", printable(hint));
        }
    }
    let counts = [(Verdict::Error, "error"), (Verdict::Warning, "warning")];
    let counts = counts.map(|(verdict, noun)| counted(count(findings, verdict), noun));
    let (ok, unchecked) = (count(findings, Verdict::Ok), count(findings, Verdict::NotChecked));
    text + &format!("\n{}, {ok} ok, {unchecked} not checked\n", counts.join(", "))
}

/// One document for programs.
pub(crate) fn json(facts: &Facts, findings: &[Finding]) -> String {
    let list: Vec<Value> = findings
        .iter()
        .map(|Finding { check, verdict, found, hint }| {
            let mut value = json!({ "check": check, "verdict": verdict.name(), "found": found });
            if let Some(hint) = hint {
                value["hint"] = json!(hint);
            }
            value
        })
        .collect();
    let document = json!({
        "version": 1,
        "function": facts.deployed.name,
        "region": facts.region,
        "errors": count(findings, Verdict::Error),
        "warnings": count(findings, Verdict::Warning),
        "notChecked": count(findings, Verdict::NotChecked),
        "findings": list,
    });
    format!("{document:#}\n")
}
