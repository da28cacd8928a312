//! The tests that did not run, by the lists that `crossfade_testkit::tools` leaves. Used by `ci` and, as a module of its own, by the
//! last test binary.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The reasons why tests did not run, each with the tests: of the latest run of each test binary in this folder of cargo's.
pub(crate) fn by_reason(target: &Path) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let lists = fs::read_dir(target.join("did-not-run")).into_iter().flatten().flatten();
    let mut lists: Vec<_> = lists.map(|list| list.path()).collect();
    lists.sort();
    for list in lists {
        for line in fs::read_to_string(&list).unwrap_or_default().lines() {
            // `::` is in names of tests.
            let (test, reason) = line.split_once(": ").unwrap_or((line, ""));
            found.entry(reason.to_owned()).or_default().push(test.to_owned());
        }
    }
    found
}

/// In lines for a reader; empty if there is nothing to say.
pub(crate) fn summary(by_reason: &BTreeMap<String, Vec<String>>) -> String {
    let count: usize = by_reason.values().map(Vec::len).sum();
    if count == 0 {
        return String::new();
    }
    let mut text = format!("{count} {} NOT RUN:\n", if count == 1 { "test was" } else { "tests were" });
    for (reason, tests) in by_reason {
        text += &format!("  {reason}\n    {}\n", tests.join("\n    "));
    }
    text + "With `CI=true`, they fail instead.\n"
}
