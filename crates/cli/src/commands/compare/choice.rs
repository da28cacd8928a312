//! The requests of the input that are sent: methods, hosts, duplicates, the sample; and the counts of those that are not.

use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use anyhow::{Result, bail};
use crossfade_route::Backend;
use http::Method;

use super::systems;
use crate::requests::{Asked, Format, Line, Skip};

/// Requests that are kept in memory. At the default rate, they take more than a day.
const MAX_REQUESTS: usize = 1_000_000;
/// Distinct hosts, and distinct methods, that are counted by name.
const MAX_NAMES: usize = 1_000;
/// Bytes that are kept of such a name.
const LONGEST_NAME: usize = 100;

/// `--sample`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sample {
    /// So many requests, or all if there are fewer.
    Count(usize),
    /// A share of them, of 2^64.
    Share(u64),
}

/// The requests of the input, as far as they have been read.
pub(super) struct Choice<'o> {
    methods: &'o [Method],
    backends: &'o [Arc<Backend>],
    sample: Option<Sample>,
    seen: Option<HashSet<u64>>,
    /// The smallest draws with the number of their request, for a count; the largest one is on top.
    kept: BinaryHeap<(u64, usize)>,
    /// By number.
    chosen: BTreeMap<usize, Asked>,
    pub(super) counts: Counts,
}

/// Numbers of requests, for the summary.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Entries of the input.
    pub(super) read: usize,
    skipped: BTreeMap<Skip, usize>,
    methods: BTreeMap<String, usize>,
    hosts: BTreeMap<String, usize>,
    duplicates: usize,
    not_in_sample: usize,
    not_kept: usize,
    /// Requests that had content, of which an access log has none.
    without_content: usize,
}

impl Sample {
    /// Parses `500` or `10%`.
    pub(super) fn parse(text: &str) -> Result<Sample, &'static str> {
        const EXPECTED: &str = "expected a number of requests such as `500`, or a share such as `10%`";
        match text.strip_suffix('%') {
            Some(percent) => {
                let percent = percent.parse().ok().filter(|percent: &f64| *percent > 0.0 && *percent <= 100.0);
                // A cast of a larger number yields the largest one.
                percent.map(|percent| Sample::Share((percent / 100.0 * u64::MAX as f64) as u64)).ok_or(EXPECTED)
            }
            None => text.parse().ok().filter(|count| *count > 0).map(Sample::Count).ok_or(EXPECTED),
        }
    }
}

impl<'o> Choice<'o> {
    /// `methods` are sent besides the safe ones.
    pub(super) fn new(
        methods: &'o [Method],
        backends: &'o [Arc<Backend>],
        sample: Option<Sample>,
        dedupe: bool,
    ) -> Choice<'o> {
        Choice {
            methods,
            backends,
            sample,
            seen: dedupe.then(HashSet::new),
            kept: BinaryHeap::new(),
            chosen: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    /// Takes the next entry of the input.
    pub(super) fn take(&mut self, format: Format, line: Line) {
        let counts = &mut self.counts;
        counts.read += 1;
        let asked = match line {
            Line::Request(asked) => asked,
            Line::Skipped(skip) => return *counts.skipped.entry(skip).or_default() += 1,
            Line::Nothing => return,
        };
        let Asked { method, host, target, .. } = &asked;
        let Some(target) = systems::target(format, host.as_ref(), target, self.backends) else {
            return count(&mut counts.hosts, host.as_ref().map_or("", |host| host.as_str()));
        };
        if !(matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) || self.methods.contains(method)) {
            return count(&mut counts.methods, method.as_str());
        }
        if let Some(seen) = &mut self.seen {
            let mut hasher = DefaultHasher::new();
            (method, target.as_str()).hash(&mut hasher);
            if !seen.insert(hasher.finish()) {
                return counts.duplicates += 1;
            }
        }
        let is_log = !matches!(format, Format::Har | Format::List);
        counts.without_content += usize::from(is_log && !method.is_safe());
        self.keep(Asked { target, ..asked });
    }

    fn keep(&mut self, asked: Asked) {
        let number = self.counts.read;
        let draw = draw(number as u64);
        match self.sample {
            Some(Sample::Share(share)) if draw > share => return self.counts.not_in_sample += 1,
            Some(Sample::Count(count)) => {
                self.kept.push((draw, number));
                if self.kept.len() > count {
                    self.counts.not_in_sample += 1;
                    match self.kept.pop() {
                        Some((_, last)) if last != number => _ = self.chosen.remove(&last),
                        _ => return,
                    }
                }
            }
            _ => {}
        }
        if self.chosen.len() < MAX_REQUESTS {
            self.chosen.insert(number, asked);
        } else {
            self.counts.not_kept += 1;
        }
    }

    /// The chosen requests in the order of the input.
    ///
    /// # Errors
    ///
    /// If there are too many.
    pub(super) fn finish(self) -> Result<(Vec<Asked>, Counts)> {
        let not_kept = self.counts.not_kept;
        if not_kept > 0 {
            bail!(
                "the input has {} requests, more than {MAX_REQUESTS}\n  hint: send some of them: `--sample 10000`",
                MAX_REQUESTS + not_kept
            );
        }
        Ok((self.chosen.into_values().collect(), self.counts))
    }
}

impl Counts {
    /// A line for each reason why requests are not sent.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = |count: usize, text: &str| {
            if count > 0 {
                lines.push(format!("{count} {text}"));
            }
        };
        let methods: usize = self.methods.values().sum();
        line(methods, &format!("skipped: the method is not safe ({}); `--method` sends them", names(&self.methods)));
        let hosts: usize = self.hosts.values().sum();
        line(
            hosts,
            &format!("skipped: for other hosts or paths than `--legacy` and `--modern` ({})", names(&self.hosts)),
        );
        for (skip, count) in &self.skipped {
            line(
                *count,
                match skip {
                    Skip::NoRequest => "skipped: the server could not read the request either",
                    Skip::WebSocket => "skipped: WebSockets",
                    Skip::OtherScheme => "skipped: not HTTP",
                    Skip::NotDifferent => "skipped: the responses did not differ",
                    Skip::Masked => "skipped: the query has values that the log hides as `***`",
                },
            );
        }
        line(self.duplicates, "skipped: duplicates");
        line(self.not_in_sample, "skipped: not in the sample");
        line(self.without_content, "will be sent without content: logs have none");
        lines
    }
}

/// Counts by name, with limits on the number of names and on their length.
fn count(counts: &mut BTreeMap<String, usize>, name: &str) {
    let name = name.get(..LONGEST_NAME).unwrap_or(name);
    let name = if counts.len() < MAX_NAMES || counts.contains_key(name) { name } else { "others" };
    *counts.entry(name.to_owned()).or_default() += 1;
}

/// The most frequent names.
fn names(counts: &BTreeMap<String, usize>) -> String {
    let mut names: Vec<(&String, &usize)> = counts.iter().collect();
    names.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let more = if names.len() > 3 { ", …" } else { "" };
    let names: Vec<String> = names.iter().take(3).map(|(name, count)| format!("{name} {count}")).collect();
    format!("{}{more}", names.join(", "))
}

/// A number for each request that looks like chance and is the same in every run: SplitMix64.
fn draw(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use crossfade_route::{Nothing, RoutingTable};

    use super::*;

    fn chosen(sample: Option<Sample>, dedupe: bool, lines: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let table = RoutingTable::from_backend_url("https://old.example", "", &Nothing).unwrap();
        let methods = [Method::PUT];
        let mut choice = Choice::new(&methods, table.backends(), sample, dedupe);
        for (method, url) in lines {
            let mut unreadable = crate::report::input::Unreadable::default();
            let line = format!("{method} {url}\n");
            crate::requests::read("", line.as_bytes(), &mut unreadable, &mut |format, line| choice.take(format, line))
                .unwrap();
            assert_eq!(unreadable.count, 0);
        }
        let (chosen, counts) = choice.finish().unwrap();
        (chosen.iter().map(|asked| format!("{} {}", asked.method, asked.target)).collect(), counts.lines())
    }

    #[test]
    fn safe_requests_to_the_systems_are_chosen() {
        let lines = [
            ("GET", "/a"),
            ("POST", "/a"),
            ("PUT", "https://old.example/b"),
            ("DELETE", "/a"),
            ("POST", "/c"),
            ("TRACE", "/a"),
            ("GET", "https://cdn.example/d"),
            ("GET", "wss://old.example/d"),
            ("GET", "/a"),
        ];
        let (chosen, told) = chosen(None, true, &lines);
        assert_eq!(chosen, ["GET /a", "PUT /b"]);
        assert_eq!(
            told,
            [
                "4 skipped: the method is not safe (POST 2, DELETE 1, TRACE 1); `--method` sends them",
                "1 skipped: for other hosts or paths than `--legacy` and `--modern` (cdn.example 1)",
                "1 skipped: WebSockets",
                "1 skipped: duplicates",
            ]
        );
    }

    #[test]
    fn a_sample_is_the_same_in_every_run_and_in_the_order_of_the_input() {
        let urls: Vec<String> = (0..1000).map(|number| format!("/{number:04}")).collect();
        let lines: Vec<(&str, &str)> = urls.iter().map(|url| ("GET", url.as_str())).collect();
        let of = |text| chosen(Some(Sample::parse(text).unwrap()), false, &lines).0;
        assert_eq!(of("37").len(), 37);
        assert_eq!(of("37"), of("37"));
        assert!(of("37").is_sorted());
        assert_eq!(of("5000").len(), 1000);
        assert_eq!(of("100%").len(), 1000);
        let tenth = of("10%");
        assert!((70..130).contains(&tenth.len()), "{}", tenth.len());
        assert!(of("5%").iter().all(|request| tenth.contains(request)), "a larger share only adds requests");
        for wrong in ["0", "-1", "x", "0%", "101%", "NaN%", "%", "1.5"] {
            assert!(Sample::parse(wrong).is_err(), "{wrong}");
        }
    }
}
