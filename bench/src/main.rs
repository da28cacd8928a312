//! The command: `run`, `front-cost`, `streaming`, `at-once`, `routes`, `compare`, `mirror`, `live` and `emulator` measure, `soak` lasts, `budget` holds limits, `conformance` compares,
//! and `folder` says where to keep figures. It owns the command line alone.

use std::path::Path;
use std::process::ExitCode;

use crossfade_bench::conformance;
use crossfade_bench::function::{ARTICLE, FIXED, Function, OURS, build, install_node_packages};
use crossfade_bench::routes::{self, Meets};
use crossfade_bench::soak::{Plan, Programs};

const USAGE: &str = "usage: cargo run --release -p crossfade-bench -- run [--quick] [FUNCTION...]
       cargo run --release -p crossfade-bench -- front-cost
       cargo run --release -p crossfade-bench -- streaming
       cargo run --release -p crossfade-bench -- at-once
       cargo run --release -p crossfade-bench -- routes
       cargo run --release -p crossfade-bench -- compare
       cargo run --release -p crossfade-bench -- mirror
       cargo run --release -p crossfade-bench -- live
       cargo run --release -p crossfade-bench -- emulator [--quick]
       cargo run --release -p crossfade-bench -- soak [--minutes N]
       cargo run -p crossfade-bench -- budget
       cargo run -p crossfade-bench -- conformance [FUNCTION...]
       cargo run -p crossfade-bench -- fronts
       cargo run -p crossfade-bench -- folder";

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["run", "--quick", only @ ..] => crossfade_bench::run::run(true, only)?,
        ["run", only @ ..] => crossfade_bench::run::run(false, only)?,
        ["front-cost"] => crossfade_bench::front_cost::run()?,
        ["record-event", file] => crossfade_bench::front_cost::record(file.as_ref())?,
        ["streaming"] => crossfade_bench::streaming::run()?,
        ["at-once"] => crossfade_bench::at_once::run()?,
        ["routes"] => routes::run()?,
        ["compare"] => crossfade_bench::compare::run()?,
        ["compare-probe", case, times] => crossfade_bench::compare::probe(case.parse()?, times.parse()?)?,
        ["mirror"] => crossfade_bench::mirror::run()?,
        ["live"] => crossfade_bench::live::run()?,
        ["emulator"] => crossfade_bench::emulator::run(false)?,
        ["emulator", "--quick"] => crossfade_bench::emulator::run(true)?,
        ["routes-probe", file, routes, selections, meets] => {
            let meets = if *meets == "last" { Meets::Last } else { Meets::None };
            routes::probe(file.as_ref(), routes.parse()?, selections.parse()?, meets)?;
        }
        ["soak"] => return soak(30),
        ["soak", "--minutes", minutes] => return soak(minutes.parse()?),
        ["soak-back-end", port, folder] => crossfade_bench::soak::serve(port.parse()?, folder.as_ref())?,
        ["budget"] if !crossfade_bench::budget::check()? => return Ok(ExitCode::FAILURE),
        ["budget"] => {}
        ["conformance", only @ ..] => return conformance(only),
        ["fronts"] => {
            let cases = conformance::load()?;
            let ours = Function::ours(&build("crossfade-function", &["bootstrap"])?);
            println!("{}", conformance::table_of_fronts(&conformance::run_fronts(&ours, &cases)?));
        }
        ["folder"] => {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("runs").join(crossfade_bench::process::run_name());
            std::fs::create_dir_all(&folder)?;
            println!("{}", folder.display());
        }
        _ => {
            eprintln!("{USAGE}");
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the figures; the exit status is a failure if anything is wrong with them.
fn soak(minutes: u64) -> anyhow::Result<ExitCode> {
    let programs = Programs {
        crossfade: build("crossfade", &["crossfade"])?.join("crossfade"),
        bootstrap: build("crossfade-function", &["bootstrap"])?.join("bootstrap"),
        bench: std::env::current_exe()?,
    };
    let figures = crossfade_bench::soak::run(&Plan::long(minutes), &programs)?;
    println!("{}\n\n{figures}", crossfade_bench::process::machine());
    match figures.verdict() {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(wrong) => {
            eprintln!("{wrong}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Prints the table; the exit status is a failure if Crossfade's own function fails a case.
fn conformance(only: &[&str]) -> anyhow::Result<ExitCode> {
    if let Some(unknown) = only.iter().find(|name| ![OURS, ARTICLE, FIXED].contains(name)) {
        anyhow::bail!("no function `{unknown}`: there are {OURS}, {ARTICLE}, {FIXED}");
    }
    install_node_packages()?;
    let functions: Vec<Function> = [OURS, ARTICLE, FIXED]
        .into_iter()
        .filter(|name| only.is_empty() || only.contains(name))
        .map(|name| match name {
            OURS => Ok(Function::ours(&build("crossfade-function", &["bootstrap"])?)),
            name => Ok(Function::node(name)),
        })
        .collect::<anyhow::Result<_>>()?;
    let cases = conformance::load()?;
    let rows = conformance::run(&functions, &cases)?;
    println!("{}", conformance::table(&functions, &cases, &rows));
    let ours = functions.iter().position(|function| function.name == OURS);
    let failed = ours.is_some_and(|at| rows.iter().any(|row| row[at].iter().any(|(_, result)| result.is_err())));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
