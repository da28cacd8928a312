//! A migration whose truth is known: an application of some hundred endpoints in its old and its new form, and what the
//! verdict must say about each. `README.md` documents the files in `endpoints`.

#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

mod application;
mod shadow;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crossfade_parity::{Judgement, Mark, Tally, judge};

use crate::application::{Endpoint, Truth, endpoints};
use crate::shadow::Run;

#[test]
fn explore() {
    let all = endpoints();
    let only = std::env::var("ONLY").ok();
    let list: Vec<&Endpoint> =
        all.iter().filter(|e| only.as_ref().is_none_or(|only| e.name().contains(only.as_str()))).collect();
    let begin = Instant::now();
    let mut found: Vec<BTreeMap<(String, String, Option<crossfade_compare::Repeated>), u64>> =
        vec![BTreeMap::new(); list.len()];
    let mut n = 0;
    Run::new(&list, false, 1).records(|e| e.requests, &mut |index, record| {
        n += 1;
        if record.against == crossfade_journal::comparison::Against::Itself {
            return;
        }
        for d in &record.differences {
            *found[index].entry((d.pointer.clone(), d.class.as_str().to_owned(), d.repeated)).or_default() += 1;
        }
        if record.differences.is_empty() {
            *found[index]
                .entry((format!("{:?} {:?}", record.verdict, record.reason), String::new(), None))
                .or_default() += 1;
        }
    });
    for (e, found) in list.iter().zip(&found) {
        println!("{} ({})\n    {:?}", e.name(), e.about, e.truths);
        for ((place, class, repeated), count) in found {
            println!("  {count:4} {class} {place} {}", repeated.map_or(String::new(), |r| format!("{r:?}")));
        }
    }
    println!("{n} {:?}", begin.elapsed());
}
