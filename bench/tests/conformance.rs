//! The conformance suite as a test: Crossfade passes every case, and the article's handler fails exactly the expected ones.

use std::process::ExitCode;

use crossfade_bench::conformance::{self, Case, CaseResult};
use crossfade_bench::function::{ARTICLE, Function, build_for_tests, install_node_packages};
use crossfade_testkit::tests;
use crossfade_testkit::tools::{self, Absent, NODE, Tool};

/// Node.js, with what the article's handler needs.
static HANDLER: Tool = Tool::new(|| {
    NODE.find()?;
    install_node_packages().map_err(|error| Absent::Broken(format!("{error:#}")))
});

fn main() -> ExitCode {
    tools::run(tests! {
        [] ours_passes_every_case_in_both_header_modes;
        [] every_front_end_carries_what_the_cases_say;
        [HANDLER] the_article_fails_exactly_what_its_cases_say;
    })
}

fn outcomes(function: Function, cases: &[Case]) -> Vec<CaseResult> {
    let rows = conformance::run(&[function], cases).expect("the test bed");
    rows.into_iter().map(|mut row| row.remove(0)).collect()
}

fn ours_passes_every_case_in_both_header_modes() {
    let target = build_for_tests().expect("cargo builds the function");
    let cases = conformance::load().expect("the cases");
    let mut failed = Vec::new();
    for (case, outcome) in cases.iter().zip(outcomes(Function::ours(&target), &cases)) {
        for (mode, result) in outcome {
            if let Err(reason) = result {
                failed.push(format!("{} ({mode:?}): {reason}", case.name));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn every_front_end_carries_what_the_cases_say() {
    let target = build_for_tests().expect("cargo builds the function");
    let cases = conformance::load().expect("the cases");
    let rows = conformance::run_fronts(&Function::ours(&target), &cases).expect("the test bed");
    let mut wrong = Vec::new();
    for (case, lost) in &rows {
        let names: Vec<_> = lost.iter().map(|(kind, _)| kind.name()).collect();
        if names != case.lost {
            wrong.push(format!("{}: lost: {}; {lost:?}", case.name, names.join(" ")));
        }
    }
    assert!(wrong.is_empty(), "not as the cases say:\n{}", wrong.join("\n"));
}

fn the_article_fails_exactly_what_its_cases_say() {
    let mut cases = conformance::load().expect("the cases");
    for case in &mut cases {
        case.modes.truncate(1);
    }
    let mut wrong = Vec::new();
    for (case, outcome) in cases.iter().zip(outcomes(Function::node(ARTICLE), &cases)) {
        let known = case.fails.iter().any(|name| name == ARTICLE);
        match outcome.into_iter().next() {
            Some((_, Ok(()))) if known => wrong.push(format!("{}: passes", case.name)),
            Some((_, Err(reason))) if !known => wrong.push(format!("{}: fails: {reason}", case.name)),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "not as the cases say:\n{}", wrong.join("\n"));
}
