//! When a change of the live state takes effect: from when on nearly all requests are decided by it. Environments read the
//! state one by one, and some only when the next request comes.

use std::time::SystemTime;

use crossfade_journal::AccessRecord;

use crate::proportion::share;
use crate::timeline::{Merge, Timeline};

/// The share of older requests that does not matter.
const STRAGGLERS: f64 = 0.01;
/// Fewer requests at the end of the log have no such share: their clock may be ahead of the others'.
const FEW: u64 = 100;

/// Requests before and since a version of the live state.
#[derive(Debug)]
pub struct Effect {
    version: u32,
    timeline: Timeline<Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    before: u64,
    since: u64,
}

impl Merge for Counts {
    fn merge(&mut self, other: Self) {
        self.before += other.before;
        self.since += other.since;
    }
}

impl Effect {
    /// Returns the effect of a version, without any requests yet.
    #[must_use]
    pub fn of(version: u32) -> Effect {
        Effect { version, timeline: Timeline::default() }
    }

    /// Counts an access line. The order does not matter.
    pub fn add(&mut self, record: &AccessRecord<'_>) {
        let bucket = self.timeline.bucket(record.time);
        match record.live {
            Some(version) if version >= self.version => bucket.since += record.requests(),
            _ => bucket.before += record.requests(),
        }
    }

    /// Returns the time from which on nearly all requests are decided by the version, or by a later one; `None` if that is
    /// not so for the latest requests.
    #[must_use]
    pub fn since(&self) -> Option<SystemTime> {
        let (mut total, mut found) = (Counts::default(), None);
        for (number, counts) in self.timeline.buckets.iter().rev() {
            total.merge(*counts);
            if share(total.before, total.before + total.since) <= STRAGGLERS {
                found = Some(number * self.timeline.width);
            } else if found.is_some() || total.before + total.since >= FEW {
                break;
            }
        }
        found.map(|seconds| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
    }

    /// Returns the share of the requests of the last minute of the log that the version, or a later one, decides; `None` without
    /// requests.
    #[must_use]
    pub fn recent(&self) -> Option<f64> {
        let (last, _) = self.timeline.buckets.last_key_value()?;
        let width = self.timeline.width;
        let mut total = Counts::default();
        for (_, counts) in self.timeline.buckets.iter().rev().take_while(|(number, _)| (last - *number) * width < 60) {
            total.merge(*counts);
        }
        Some(share(total.since, total.before + total.since))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    /// The effect of version 5 on requests by second and version.
    fn effect(requests: &[(u64, Option<u32>, u64)]) -> Effect {
        let mut effect = Effect::of(5);
        for (second, version, count) in requests {
            let time = humantime::format_rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000 + second));
            let line = json!({ "type": "access", "version": 2, "time": time.to_string(), "live": version });
            let line: AccessRecord<'_> = serde_json::from_value(line).unwrap();
            (0..*count).for_each(|_| effect.add(&line));
        }
        effect
    }

    #[test]
    fn it_counts_from_when_nearly_all_follow() {
        let since = |requests: &[(u64, Option<u32>, u64)]| {
            effect(requests)
                .since()
                .map(|time| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() - 1_900_000_000)
        };
        assert_eq!(since(&[]), None);
        assert_eq!(since(&[(0, Some(4), 100), (10, Some(5), 10)]), Some(10));
        assert_eq!(since(&[(0, None, 100), (10, Some(5), 50), (10, Some(4), 50), (20, Some(6), 100)]), Some(20));
        // A straggler among a thousand does not matter, one among ten does.
        assert_eq!(since(&[(10, Some(5), 1000), (20, Some(4), 1), (30, Some(5), 1000)]), Some(10));
        assert_eq!(since(&[(10, Some(5), 10), (20, Some(4), 1)]), None);
        // A clock is an hour ahead.
        assert_eq!(since(&[(0, Some(4), 100), (96, Some(5), 1000), (3600, Some(4), 3)]), Some(96));
        assert_eq!(since(&[(10, Some(5), 1000), (20, Some(4), 100)]), None);
        // Each of the older requests stands for others that are not logged.
        let mut sampled = effect(&[(10, Some(5), 1000)]);
        let time = "2030-03-17T17:46:50Z";
        let line = json!({ "type": "access", "version": 3, "time": time, "weight": 100 });
        sampled.add(&serde_json::from_value(line).unwrap());
        assert_eq!(sampled.since(), None);
        assert_eq!(effect(&[(0, Some(4), 300), (100, Some(5), 3), (100, Some(4), 1)]).recent(), Some(0.75));
    }
}
