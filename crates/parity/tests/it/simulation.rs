//! Two systems with noise, and the records that comparing them makes: a model of the function without sockets.
//!
//! Owns the kinds of noise and the repetition of requests. Everything follows from a seed.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use crossfade_journal::comparison::{
    Against, Class, Difference, Digest, Kind, Record, Repeated, Side, VERSION, Verdict,
};

/// Numbers that look like chance and are the same on every machine (xorshift64*).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Uniform between 0 and 1.
    pub(crate) fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn is(&mut self, share: f64) -> bool {
        self.next() < share
    }

    pub(crate) fn below(&mut self, end: u32) -> u32 {
        (self.next() * f64::from(end)) as u32
    }

    /// Small numbers more often than large ones, as popular pages are.
    pub(crate) fn popular(&mut self, end: u32) -> u32 {
        (f64::from(end).powf(self.next()) as u32).min(end) - 1
    }
}

/// Dependencies of the value at a place, besides the request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Noise {
    /// Nothing.
    No,
    /// Another one each time.
    Token,
    /// Another one in this share of the responses.
    Glitch(f64),
    /// One of so many, each time at random.
    Draw(u32),
    /// There or not, with this probability.
    Optional(f64),
    /// The number of responses of this system so far, in tens.
    Counter,
    /// Changes after so many seconds, among so many values, at other times in each system.
    Banner(f64, u32),
    /// The time at which this system made the response, which it keeps for so many seconds for each request.
    Cache(f64),
    /// The data of now, or of so many seconds before, for each system; new ones after so many seconds.
    Feed(f64, f64),
}

/// A real difference of the mirror at a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Planted {
    /// Nothing.
    No,
    /// Another value, which depends on the request, for one of so many requests.
    Other(u32),
    /// No value.
    Nothing,
}

pub(crate) struct Endpoint {
    pub(crate) name: String,
    /// Number of different requests.
    pub(crate) requests: u32,
    pub(crate) places: Vec<(String, Noise, Planted)>,
}

pub(crate) struct World {
    pub(crate) chance: Chance,
    pub(crate) endpoints: Vec<Endpoint>,
    /// Share of requests whose primary is compared with itself.
    pub(crate) self_share: f64,
    /// By system: offsets of clocks, and responses so far.
    phases: [f64; 2],
    responses: [u64; 2],
    caches: BTreeMap<(usize, usize, u32, usize), f64>,
}

const PRIMARY: usize = 0;
const MIRROR: usize = 1;

type Response = Vec<Option<u64>>;

impl World {
    pub(crate) fn new(seed: u64, endpoints: Vec<Endpoint>) -> World {
        let mut chance = Chance::new(seed);
        let phases = [chance.next(), chance.next()];
        World { chance, endpoints, self_share: 0.02, phases, responses: [0; 2], caches: BTreeMap::new() }
    }

    fn respond(&mut self, system: usize, endpoint: usize, request: u32, time: f64) -> Response {
        self.responses[system] += 1;
        let places = self.endpoints[endpoint].places.clone();
        let value = |(place, (_, noise, planted)): (usize, &(String, Noise, Planted))| {
            let own = u64::from(request) * 1_000 + place as u64;
            let phase = self.phases[system];
            let value = match *noise {
                Noise::No => Some(own),
                Noise::Token => Some((self.chance.next() * 1e15) as u64),
                Noise::Glitch(share) if self.chance.is(share) => Some((self.chance.next() * 1e15) as u64),
                Noise::Glitch(_) => Some(own),
                Noise::Draw(count) => Some(u64::from(self.chance.below(count))),
                Noise::Optional(share) => self.chance.is(share).then_some(own),
                Noise::Counter => Some(self.responses[system] / 10),
                Noise::Banner(seconds, count) => Some((time / seconds + phase) as u64 % u64::from(count)),
                Noise::Cache(seconds) => {
                    let made = self.caches.entry((system, endpoint, request, place)).or_insert(time - phase * seconds);
                    *made += ((time - *made) / seconds).floor() * seconds;
                    Some((*made * 1000.0) as u64)
                }
                Noise::Feed(seconds, lag) => Some(((time - phase * lag).max(0.0) / seconds) as u64),
            };
            match *planted {
                Planted::Other(one_in) if system == MIRROR && request.is_multiple_of(one_in) => {
                    value.map(|value| value + 1_000_000_000)
                }
                Planted::Nothing if system == MIRROR => None,
                _ => value,
            }
        };
        places.iter().enumerate().map(value).collect()
    }

    /// Returns the records of a request at a time in seconds.
    pub(crate) fn request(&mut self, endpoint: usize, request: u32, time: f64) -> Vec<Record> {
        let primary = self.respond(PRIMARY, endpoint, request, time);
        let mut records = Vec::new();
        if self.chance.is(self.self_share) {
            let again = self.respond(PRIMARY, endpoint, request, time + 0.05);
            let found = self.differences(endpoint, &primary, &again, None);
            records.push(self.record(Against::Itself, endpoint, request, time, found));
        }
        let mirror = self.respond(MIRROR, endpoint, request, time + 0.02);
        let repeated = (primary != mirror).then(|| {
            let primary_again = self.respond(PRIMARY, endpoint, request, time + 0.1);
            let is_confirmed =
                (0..primary.len()).any(|at| primary[at] != mirror[at] && primary[at] == primary_again[at]);
            (primary_again, is_confirmed.then(|| self.respond(MIRROR, endpoint, request, time + 0.12)))
        });
        let found = self.differences(endpoint, &primary, &mirror, repeated.as_ref());
        records.push(self.record(Against::Mirror, endpoint, request, time, found));
        records
    }

    fn differences(
        &self,
        endpoint: usize,
        primary: &Response,
        mirror: &Response,
        repeated: Option<&(Response, Option<Response>)>,
    ) -> Vec<Difference> {
        let mut differences = Vec::new();
        for (at, (pointer, ..)) in self.endpoints[endpoint].places.iter().enumerate() {
            let (first, other) = (primary[at], mirror[at]);
            if first == other {
                continue;
            }
            let class = match (first, other) {
                (Some(_), None) => Class::Missing,
                (None, _) => Class::Extra,
                _ => Class::Value,
            };
            let outcome = |(again, mirror_again): &(Response, Option<Response>)| match again[at] {
                again if again == other => Repeated::Swapped,
                again if again != first => Repeated::Varies,
                _ => match mirror_again.as_ref().map(|again| again[at]) {
                    None => Repeated::Primary,
                    Some(again) if again == other => Repeated::Same,
                    Some(_) => Repeated::Unstable,
                },
            };
            differences.push(Difference {
                repeated: repeated.map(outcome),
                digests: [first, other].map(|value| value.map(|value| Digest((value % 0xffff_fffb) as u32))),
                ..Difference::new(class, pointer.as_str())
            });
        }
        differences
    }

    fn record(
        &mut self,
        against: Against,
        endpoint: usize,
        request: u32,
        time: f64,
        differences: Vec<Difference>,
    ) -> Record {
        let mut side = |backend: &str| {
            let spread: f64 = (0..6).map(|_| self.chance.next()).sum::<f64>() - 3.0;
            let ms = Some(40.0 * (spread * 0.7).exp());
            Side { backend: backend.to_owned(), status: Some(200), ms, ..Side::default() }
        };
        Record {
            time: UNIX_EPOCH + Duration::from_secs(1_700_000_000) + Duration::from_secs_f64(time),
            against,
            verdict: if differences.is_empty() { Verdict::Match } else { Verdict::Different },
            request: Some(Digest(request + 10_000 * endpoint as u32)),
            salt: Some(Digest(1)),
            differences,
            primary: side("legacy"),
            mirror: side("modern"),
            ..matching(&self.endpoints[endpoint].name)
        }
    }
}

/// A record of two equal responses.
pub(crate) fn matching(endpoint: &str) -> Record {
    let side =
        |backend: &str| Side { backend: backend.to_owned(), status: Some(200), ms: Some(40.0), ..Side::default() };
    Record {
        kind: Kind::Compare,
        version: VERSION,
        time: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        against: Against::Mirror,
        request_id: "r".to_owned(),
        route: "shop".to_owned(),
        method: "GET".to_owned(),
        endpoint: endpoint.to_owned(),
        verdict: Verdict::Match,
        reason: None,
        not_repeated: None,
        request: None,
        live: None,
        salt: None,
        differences: Vec::new(),
        more: 0,
        credentials_withheld: false,
        primary: side("legacy"),
        mirror: side("modern"),
    }
}
