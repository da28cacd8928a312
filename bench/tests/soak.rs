//! The short form of the soak.

use std::path::PathBuf;

use crossfade_bench::function::build_for_tests;
use crossfade_bench::soak::{Plan, Programs, run};

#[test]
fn every_answer_is_the_back_end_s_or_tells_why_it_cannot_be() {
    let folder = build_for_tests().expect("cargo builds the command and the function");
    let programs = Programs {
        crossfade: folder.join("crossfade"),
        bootstrap: folder.join("bootstrap"),
        bench: PathBuf::from(env!("CARGO_BIN_EXE_crossfade-bench")),
    };
    let figures = run(&Plan::short(), &programs).expect("the test bed");
    println!("{figures}");
    if let Err(wrong) = figures.verdict() {
        panic!("{wrong}\n{figures}");
    }
}
