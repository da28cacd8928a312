//! Sends nothing: asks both systems, and makes the records of a run as the proxy does. Owns the order of requests and
//! their times; `application` owns the responses.

use std::time::{Duration, SystemTime};

use crossfade_compare::{Answer, Comparison, Difference, Repeated, Rules, Salt, Settings, compare};
use crossfade_journal::comparison::{Against, Class, Kind, NotRepeated, Record, Side, VERSION, Verdict};

use crate::application::{Endpoint, Response};
use crate::template::{Moment, Random};

/// The time of the first request.
const BEGIN: &str = "2026-06-01T06:00:00Z";
/// The time over which the requests of each endpoint are spread.
const SPAN: Duration = Duration::from_secs(6 * 60 * 60);
/// One request in so many is repeated to the primary whatever the mirror said.
const SELF_COMPARED: u64 = 100;

/// A run over a list of endpoints.
pub(crate) struct Run<'a> {
    endpoints: &'a [&'a Endpoint],
    /// Number of responses that each system has sent, for each endpoint.
    counters: Vec<[u64; 2]>,
    /// `true` if the old application is both systems.
    is_same: bool,
    seed: u64,
    rules: Rules,
    salt: Salt,
}

/// One of the two systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    Primary,
    Mirror,
}

impl<'a> Run<'a> {
    pub(crate) fn new(endpoints: &'a [&'a Endpoint], is_same: bool, seed: u64) -> Self {
        let counters = vec![[0; 2]; endpoints.len()];
        Run { endpoints, counters, is_same, seed, rules: Rules::default(), salt: Salt::default() }
    }

    /// Calls `each` with the records of all requests in the order of time. `requests` returns the number of an endpoint's
    /// requests.
    pub(crate) fn records(&mut self, requests: impl Fn(&Endpoint) -> u64, each: &mut dyn FnMut(usize, &Record)) {
        let begin = humantime::parse_rfc3339(BEGIN).unwrap();
        let mut order = Vec::new();
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            let count = requests(endpoint);
            let mut random = Random::of(&[self.seed, index as u64]);
            order.extend((0..count).map(|number| {
                let part = SPAN.as_millis() as u64 / count;
                let millis = number * part + random.below(part);
                (begin + Duration::from_millis(millis), index, number)
            }));
        }
        order.sort_unstable();
        for (time, index, number) in order {
            self.request(time, index, number, &mut |record| each(index, record));
        }
    }

    fn request(&mut self, time: SystemTime, index: usize, number: u64, each: &mut dyn FnMut(&Record)) {
        let endpoint = self.endpoints[index];
        let mut random = Random::of(&[self.seed, index as u64, number, 1]);
        // Each thing is requested equally often, in a random order.
        let id = if number < endpoint.ids { number } else { random.below(endpoint.ids) };
        let millis = [0; 4].map(|_| 20 + random.below(40));
        let is_chosen = random.below(SELF_COMPARED) == 0;
        let mut clock = time;
        let mut asked = 0;
        let mut is_conditional = true;
        let mut ask = |run: &mut Self, system, is_conditional| {
            clock += Duration::from_millis(millis[asked % 4]);
            asked += 1;
            let moment = run.moment(index, system, id, clock, random.next());
            endpoint.response(&moment, is_conditional)
        };

        let mut primary = ask(self, System::Primary, true);
        let mut mirror = ask(self, System::Mirror, true);
        let is_safe = matches!(endpoint.method.as_str(), "GET" | "HEAD" | "OPTIONS");
        if is_safe && is_not_modified(&primary) != is_not_modified(&mirror) {
            is_conditional = false;
            let (silent, system) =
                if is_not_modified(&primary) { (&mut primary, System::Primary) } else { (&mut mirror, System::Mirror) };
            let whole = ask(self, system, false);
            if !is_not_modified(&whole) {
                *silent = whole;
            }
        }
        let mut comparison = self.judge(&primary, &mirror, time);
        let is_different = comparison.verdict == Verdict::Different;
        let mut not_repeated = (is_different && !is_safe).then_some(NotRepeated::Unsafe);
        let mut itself = None;
        if is_safe && (is_different || is_chosen) {
            let again = ask(self, System::Primary, is_conditional);
            let of_primary = self.judge(&primary, &again, time);
            let shows_nothing = (is_setback(&again) && !is_setback(&primary)) || !of_primary.is_conclusive();
            if is_different && shows_nothing {
                not_repeated = Some(NotRepeated::Failed);
            } else if is_different {
                comparison.repeat(&of_primary, None);
                if comparison.differences.iter().any(|difference| difference.repeated == Some(Repeated::Primary)) {
                    let again = ask(self, System::Mirror, is_conditional);
                    let of_mirror = self.judge_mirror(&mirror, &again, time);
                    comparison.repeat(&of_primary, of_mirror.as_ref());
                }
            }
            itself = is_chosen.then_some((of_primary, again));
        }

        let target = endpoint.target(&self.moment_of(index, id, time));
        let record = |against, comparison: Comparison, not_repeated, primary: &Response, mirror: &Response| Record {
            kind: Kind::Compare,
            version: VERSION,
            time,
            against,
            request_id: format!("{index}-{number}"),
            route: "all".to_owned(),
            method: endpoint.method.clone(),
            endpoint: endpoint.path_template(),
            verdict: comparison.verdict,
            reason: comparison.reason.map(str::to_owned),
            not_repeated,
            live: None,
            request: Some(self.salt.digest(format!("{} {target}", endpoint.method).as_bytes())),
            salt: Some(self.salt.name()),
            differences: comparison.differences,
            more: comparison.more,
            credentials_withheld: false,
            primary: side("old", primary, millis[0]),
            mirror: side(if against == Against::Itself { "old" } else { "new" }, mirror, millis[1]),
        };
        each(&record(Against::Mirror, comparison, not_repeated, &primary, &mirror));
        if let Some((comparison, again)) = itself {
            each(&record(Against::Itself, comparison, None, &primary, &again));
        }
    }

    fn moment(&mut self, index: usize, system: System, id: u64, time: SystemTime, seed: u64) -> Moment {
        let counter = &mut self.counters[index][system as usize];
        *counter += 1;
        let counter = *counter;
        Moment {
            is_new: system == System::Mirror && !self.is_same,
            system: system as u64,
            counter,
            random: Random(seed),
            ..self.moment_of(index, id, time)
        }
    }

    /// The moment without what belongs to one response.
    fn moment_of(&self, index: usize, id: u64, time: SystemTime) -> Moment {
        let seed = self.seed.wrapping_mul(1000).wrapping_add(index as u64);
        Moment { is_new: false, system: 0, id, time, counter: 0, random: Random(0), seed }
    }

    /// The comparison of two responses, as the proxy makes it.
    fn judge(&self, primary: &Response, other: &Response, now: SystemTime) -> Comparison {
        let nothing = Comparison::without_differences;
        match (answer(primary), answer(other)) {
            _ if matches!(other, Response::Lost) => nothing(Verdict::Lost, Some("budget")),
            _ if is_broken(primary) => nothing(Verdict::Failed, None),
            _ if is_broken(other) => Comparison::of(Difference::new(Class::Status, "status")),
            (Some(primary), Some(other)) => compare(&primary, &other, &Settings::new(&self.rules, now, &self.salt)),
            _ => nothing(Verdict::Failed, None),
        }
    }

    /// The comparison of the mirror's two responses, likewise.
    fn judge_mirror(&self, first: &Response, again: &Response, now: SystemTime) -> Option<Comparison> {
        match () {
            () if matches!(again, Response::Lost) => None,
            () if is_broken(first) && is_broken(again) => Some(Comparison::without_differences(Verdict::Match, None)),
            () if is_broken(first) => Some(Comparison::of(Difference::new(Class::Status, "status"))),
            () if is_setback(again) => None,
            () => Some(self.judge(first, again, now)),
        }
    }
}

fn status(response: &Response) -> Option<u16> {
    answer(response).map(|answer| answer.status.as_u16())
}

fn is_not_modified(response: &Response) -> bool {
    status(response) == Some(304)
}

fn is_broken(response: &Response) -> bool {
    matches!(response, Response::None) || status(response).is_some_and(|status| status >= 500)
}

fn is_setback(response: &Response) -> bool {
    is_broken(response) || status(response) == Some(429)
}

fn answer(response: &Response) -> Option<Answer<'_>> {
    match response {
        Response::Received { status, headers, body, time } => {
            Some(Answer { status: *status, headers, body, time: *time })
        }
        Response::None | Response::Lost => None,
    }
}

fn side(backend: &str, response: &Response, millis: u64) -> Side {
    let side = Side { backend: backend.to_owned(), ..Side::default() };
    match response {
        Response::Received { status, body, .. } => {
            Side { status: Some(status.as_u16()), ms: Some(millis as f64), bytes: Some(body.len() as u64), ..side }
        }
        Response::None => Side { error: Some("connection_timeout".to_owned()), ..side },
        Response::Lost => side,
    }
}
