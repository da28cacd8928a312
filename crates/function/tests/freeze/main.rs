//! Lambda stops the process between invocations, and a busy host, a debugger or a suspended machine also within one.
//! Meanwhile back ends close connections, restart and move; when it goes on, all of that and the next event are there at
//! once. Nothing of it may reach a client, nothing may be sent twice that must not be, and no comparison may be made of it.
//!
//! Three runs of random choices, each with several environments: `between` invocations, in the middle of `copies`, and
//! with several invocations `at_once`. `INVOCATIONS=6000` for the long form, `SEED=…` for the same choices again.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod at_once;
mod back_end;
mod between;
mod copies;
mod records;
mod stand_still;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossfade_testkit::process::Signal;
use tokio::runtime::Runtime;

use support::Function;

/// Each with its own back ends, at the same time: they mostly sleep.
const ENVIRONMENTS: u64 = 6;
const SHORT_FORM: u64 = 300;

/// For one invocation.
const LIMIT: Duration = Duration::from_secs(15);

/// Counts of the events of a run.
#[derive(Default)]
struct Figures(BTreeMap<String, u64>);

impl Figures {
    fn count(&mut self, name: impl Into<String>) {
        self.add(name, 1);
    }

    fn add(&mut self, name: impl Into<String>, count: u64) {
        *self.0.entry(name.into()).or_insert(0) += count;
    }

    fn most(&mut self, name: &str, number: u64) {
        let most = self.0.entry(name.to_owned()).or_insert(0);
        *most = number.max(*most);
    }
}

/// Goes through the invocations in several environments, and prints what happened.
fn run(name: &str, environment: impl Fn(Random, &Runtime, u64) -> Figures + Sync) {
    let number = |name| env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let invocations = number("INVOCATIONS").unwrap_or(SHORT_FORM);
    let seed =
        number("SEED").unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64);
    // Shown if the test fails.
    println!("{name}: SEED={seed} INVOCATIONS={invocations}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let started = Instant::now();
    let mut all = Figures::default();
    thread::scope(|scope| {
        let runs: Vec<_> = (0..ENVIRONMENTS)
            .map(|index| {
                let (runtime, environment) = (&runtime, &environment);
                let random = Random(seed.wrapping_add(index));
                scope.spawn(move || environment(random, runtime, invocations / ENVIRONMENTS))
            })
            .collect();
        for run in runs {
            for (name, count) in run.join().expect("see above").0 {
                if name.starts_with("most ") { all.most(&name, count) } else { all.add(name, count) }
            }
        }
    });
    println!("{name}: {:#?}\n{:?}", all.0, started.elapsed());
}

fn signal(function: &Function, signal: Signal) {
    function.child.signal(signal);
}

/// The resources of a process: descriptors, and memory in KiB.
fn held(function: &Function) -> Option<(u64, u64)> {
    let folder = format!("/proc/{}", function.child.id());
    let descriptors = fs::read_dir(format!("{folder}/fd")).ok()?.count() as u64;
    let status = fs::read_to_string(format!("{folder}/status")).ok()?;
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))?;
    Some((descriptors, memory.trim().parse().ok()?))
}

/// Neither descriptors nor memory grow with the number of invocations. `warm` was taken after some of them.
fn assert_flat(warm: Option<(u64, u64)>, function: &Function, figures: &mut Figures) {
    if let (Some((_, before)), Some((descriptors, after))) = (warm, held(function)) {
        assert!(descriptors < 64, "{descriptors} descriptors");
        assert!(after < before + 8 * 1024, "{before} KiB at first, {after} KiB at the end");
        figures.most("most descriptors at the end", descriptors);
        figures.most("most KiB more than when warm", after.saturating_sub(before));
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn of<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        let index = self.below(items.len() as u64) as usize;
        &items[index]
    }

    /// The length of a freeze, mostly a moment.
    fn pause(&mut self) -> Duration {
        Duration::from_millis(match self.below(10) {
            0..7 => 2 + self.below(8),
            7..9 => 10 + self.below(40),
            _ => 50 + self.below(100),
        })
    }
}
