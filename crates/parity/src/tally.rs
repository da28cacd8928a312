//! Counts records in constant memory, however many there are.
//!
//! Owns the counters and their limits: everything beyond a limit is counted together, differences as differences. `judge`
//! interprets the counts. Noise is known only after the last record, so records are kept as counts of equal sets of
//! differences.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::time::SystemTime;

use crossfade_journal::comparison::{Against, Class, Difference, Digest, Record, Repeated, Side, Verdict};

use crate::assessment::EndpointName;
use crate::latency::Histogram;
use crate::place::{Example, ExampleResponse, Place, PlaceKey};
use crate::repeat;
use crate::timeline::{Merge, Timeline};

/// Endpoints in total; later ones are counted together, per route.
pub(crate) const MAX_ENDPOINTS: usize = 1000;
const MAX_ROUTES: usize = 200;
/// Places per endpoint and in total, and the room beyond for folded ones. Besides, each endpoint has one place for the rest.
const MAX_PLACES: (usize, usize) = (500, 20_000);
const MAX_FOLDED: (usize, usize) = (100, 4_000);
/// Distinct sets of differences per endpoint and in total.
const MAX_SIGNATURES: (usize, usize) = (500, 5_000);
/// Places in all sets of differences.
const MAX_MEMBERS: usize = 200_000;
/// Requests whose values are kept, of all places.
const MAX_TRACKS: usize = 20_000;
/// Requests that are counted, of all endpoints.
const MAX_REQUESTS: usize = 100_000;
/// The sets of differences that noise cannot explain, and the union of those beyond a limit.
const UNEXPLAINED: usize = 0;
const BEYOND: usize = 1;
/// Distinct error types, and distinct reasons.
const MAX_REASONS: usize = 30;
/// Examples in total, whatever the limit per place is.
const MAX_EXAMPLES: usize = 1_000;
/// Characters that are kept of a name, a pointer, a value or a URL.
const MAX_TEXT: usize = 200;
const LONGEST_URL: usize = 2_000;
/// Name of the entry that collects everything beyond a limit.
pub(crate) const OTHER: &str = "(other)";

/// Counts of records, for [`judge`](crate::judge()). Memory is bounded, however many records there are and whatever
/// clients put into them; `docs/report.md` documents the limits.
#[derive(Debug, Default)]
pub struct Tally {
    pub(crate) endpoints: Vec<Endpoint>,
    index: HashMap<EndpointName, usize>,
    routes: BTreeSet<String>,
    /// Records against the mirror over time.
    pub(crate) timeline: Timeline<Bucket>,
    /// Times of the first and the last request.
    pub(crate) span: Option<(SystemTime, SystemTime)>,
    /// Names of the compared back ends, from the first such record.
    pub(crate) backends: Option<(String, String)>,
    pub(crate) records: u64,
    /// `true` if endpoints, or places and sets of differences, exceeded a limit and were counted together.
    pub(crate) folded_endpoints: bool,
    pub(crate) folded_differences: bool,
    examples_of_place: usize,
    pub(crate) cacert: Option<String>,
    places: usize,
    signatures: usize,
    members: usize,
    tracks: usize,
    requests: usize,
    examples: usize,
}

#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: EndpointName,
    /// Records against the mirror, and self-comparisons of the primary.
    pub(crate) mirror: Verdicts,
    pub(crate) itself: Verdicts,
    /// Compared responses to requests that were sent again because the responses had differed.
    pub(crate) again: u64,
    pub(crate) places: Vec<Place>,
    place_index: HashMap<PlaceKey, usize>,
    /// Sets of differences in records against the mirror; the first two are [`UNEXPLAINED`] and [`BEYOND`].
    pub(crate) signatures: Vec<Signature>,
    signature_index: HashMap<Vec<usize>, usize>,
    pub(crate) pairs: PairCounts,
    /// Compared pairs in which both systems responded with 304.
    pub(crate) not_modified: u64,
    /// Compared responses by salt and request.
    pub(crate) requests: HashMap<(Digest, Digest), u64>,
    /// Copies sent without the client's credentials that got 401 or 403 while the request did not.
    pub(crate) denied: u64,
    pub(crate) lost: BTreeMap<String, u64>,
    pub(crate) unknown: BTreeMap<String, u64>,
}

/// Number of records by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdicts {
    pub(crate) matching: u64,
    pub(crate) accepted: u64,
    pub(crate) different: u64,
    pub(crate) failed: u64,
    pub(crate) unknown: u64,
    pub(crate) lost: u64,
}

/// Records with the same differences.
#[derive(Debug, Default)]
pub(crate) struct Signature {
    /// Differences that are not accepted, as sorted indices of places. Empty if they are not all known: then noise can't
    /// explain them.
    pub(crate) places: Vec<usize>,
    pub(crate) count: u64,
}

/// Responses of both systems.
#[derive(Clone, Debug, Default)]
pub(crate) struct PairCounts {
    pub(crate) primary: ResponseCounts,
    pub(crate) mirror: ResponseCounts,
    /// Number of pairs.
    pub(crate) count: u64,
    /// Pairs in which the primary responded below 500 and the mirror did not, and the other way round.
    pub(crate) mirror_failed: u64,
    pub(crate) primary_failed: u64,
}

/// Responses of one system.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResponseCounts {
    /// Of pairs in which both responded below 500.
    pub(crate) latency: Histogram,
    /// Indexed by the first digit minus 1.
    pub(crate) statuses: [u64; 5],
    pub(crate) errors: BTreeMap<String, u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// Records that match or whose differences are accepted.
    pub(crate) same: u64,
    /// Other records, by the indices of endpoint and set of differences.
    pub(crate) different: BTreeMap<(usize, usize), u64>,
}

impl Tally {
    /// Returns an empty tally, which keeps at most `examples_of_place` examples of each place, and 1,000 in total.
    pub fn new(examples_of_place: usize) -> Tally {
        Tally { examples_of_place, ..Tally::default() }
    }

    /// Sets the file with the authority that the `curl` commands of examples trust instead of the public ones.
    #[must_use]
    pub fn with_cacert(self, cacert: Option<String>) -> Tally {
        Tally { cacert, ..self }
    }

    /// Counts a record. The order of records matters only beyond a limit, where later ones are counted together, and
    /// for the choice of examples.
    pub fn add(&mut self, record: &Record) {
        self.records += 1;
        let (first, last) = self.span.unwrap_or((record.time, record.time));
        self.span = Some((first.min(record.time), last.max(record.time)));
        let endpoint = self.endpoint(record);
        match record.against {
            Against::Mirror => self.against_mirror(endpoint, record),
            Against::Itself => self.against_itself(endpoint, record),
            Against::Again => self.again(endpoint, record),
        }
    }

    fn endpoint(&mut self, record: &Record) -> usize {
        let mut name =
            EndpointName { route: cut(&record.route), method: cut(&record.method), endpoint: cut(&record.endpoint) };
        if let Some(index) = self.index.get(&name) {
            return *index;
        }
        if !self.routes.contains(&name.route) && self.routes.len() >= MAX_ROUTES {
            name.route = OTHER.to_owned();
        }
        if self.endpoints.len() >= MAX_ENDPOINTS {
            self.folded_endpoints = true;
            (name.method, name.endpoint) = ("*".to_owned(), OTHER.to_owned());
        }
        self.routes.insert(name.route.clone());
        let next = self.endpoints.len();
        let index = *self.index.entry(name.clone()).or_insert(next);
        if index == next {
            self.endpoints.push(Endpoint::new(name));
        }
        index
    }

    fn against_itself(&mut self, index: usize, record: &Record) {
        let found = self.places_of(index, record);
        let Some(endpoint) = self.endpoints.get_mut(index) else { return };
        endpoint.itself.count(record.verdict);
        for (place, _) in found {
            if let Some(place) = endpoint.places.get_mut(place) {
                place.noise += 1;
            }
        }
    }

    fn against_mirror(&mut self, index: usize, record: &Record) {
        if self.backends.is_none() {
            self.backends = Some((cut(&record.primary.backend), cut(&record.mirror.backend)));
        }
        let found = self.places_of(index, record);
        let Some(endpoint) = self.endpoints.get_mut(index) else { return };
        endpoint.mirror.count(record.verdict);
        let reason = || record.reason.as_deref().unwrap_or("no reason given");
        match record.verdict {
            Verdict::Lost => return count_word(&mut endpoint.lost, reason()),
            Verdict::Unknown => count_word(&mut endpoint.unknown, reason()),
            Verdict::Match | Verdict::Accepted | Verdict::Different | Verdict::Failed => {}
        }
        endpoint.pairs.count(record);
        let was_denied = |side: &Side| matches!(side.status, Some(401 | 403));
        if record.credentials_withheld && was_denied(&record.mirror) && !was_denied(&record.primary) {
            endpoint.denied += 1;
        }
        let is_not_modified = |side: &Side| side.status == Some(304);
        let is_compared = matches!(record.verdict, Verdict::Match | Verdict::Accepted | Verdict::Different);
        let is_empty = is_compared && is_not_modified(&record.primary) && is_not_modified(&record.mirror);
        endpoint.not_modified += u64::from(is_empty);
        endpoint.count_request(record, is_compared, &mut self.requests);
        for (place, difference) in &found {
            let Some(place) = endpoint.places.get_mut(*place) else { continue };
            place.raw += 1;
            if difference.is_some_and(|difference| difference.accepted) {
                place.accepted += 1;
                continue;
            }
            place.failed += u64::from(place.key.class == Some(Class::Status) && mirror_failed(record));
            place.take_evidence(record, *difference, &mut self.tracks);
            let Some(difference) = difference else { continue };
            // Only these have URLs.
            let is_wanted = record.verdict == Verdict::Different;
            if is_wanted && place.examples.len() < self.examples_of_place && self.examples < MAX_EXAMPLES {
                self.examples += 1;
                place.examples.push(Example::of(record, difference));
            }
        }
        match record.verdict {
            Verdict::Match | Verdict::Accepted => self.timeline.bucket(record.time).same += 1,
            Verdict::Different => {
                let signature = self.signature(index, &found);
                *self.timeline.bucket(record.time).different.entry((index, signature)).or_default() += 1;
            }
            Verdict::Failed | Verdict::Unknown | Verdict::Lost => {}
        }
    }

    /// Counts what a request that was sent again shows about its differences. It is chosen because they differed, so it says
    /// nothing about how often they do.
    fn again(&mut self, index: usize, record: &Record) {
        let found = self.places_of(index, record);
        let Some(endpoint) = self.endpoints.get_mut(index) else { return };
        let is_compared = matches!(record.verdict, Verdict::Match | Verdict::Accepted | Verdict::Different);
        endpoint.again += u64::from(is_compared);
        endpoint.count_request(record, is_compared, &mut self.requests);
        for (place, difference) in &found {
            let Some(place) = endpoint.places.get_mut(*place) else { continue };
            // A place at which the first responses did not differ is not passed over.
            place.raw = place.raw.max(1);
            if difference.is_some_and(|difference| difference.accepted) {
                place.accepted = place.accepted.max(1);
                continue;
            }
            place.take_evidence(record, *difference, &mut self.tracks);
        }
    }

    /// Returns the places of a record's differences, each once, sorted. Differences that are not listed are at the place that
    /// collects everything beyond the limits.
    fn places_of<'r>(&mut self, endpoint: usize, record: &'r Record) -> Vec<(usize, Option<&'r Difference>)> {
        let mut found = Vec::new();
        for difference in &record.differences {
            let place = self.place(endpoint, PlaceKey::of(difference, record.salt));
            found.push((place, Some(difference)));
        }
        let is_different = record.verdict == Verdict::Different;
        let has_reason = record.differences.iter().any(|difference| !difference.accepted);
        if record.more > 0 || (is_different && !has_reason) {
            found.push((self.place(endpoint, PlaceKey::other()), None));
        }
        // Of several differences at one place, the most certain one counts, and an accepted one last.
        found.sort_by_key(|(place, difference)| {
            let repeated = difference.and_then(|difference| difference.repeated);
            (*place, difference.is_some_and(|difference| difference.accepted), repeated.is_none(), repeated)
        });
        found.dedup_by_key(|(place, _)| *place);
        found
    }

    /// Returns the index of a place. If there is no room for it, it is counted at one that stands for several, or at the one
    /// for everything.
    fn place(&mut self, endpoint: usize, key: PlaceKey) -> usize {
        let Some(endpoint) = self.endpoints.get_mut(endpoint) else { return 0 };
        if let Some(place) = endpoint.place_index.get(&key) {
            return *place;
        }
        let has_room =
            |more: (usize, usize)| endpoint.places.len() < MAX_PLACES.0 + more.0 && self.places < MAX_PLACES.1 + more.1;
        let (key, is_folded) = if has_room((0, 0)) {
            (key, false)
        } else {
            self.folded_differences = true;
            let folded = key.folded().filter(|key| endpoint.place_index.contains_key(key) || has_room(MAX_FOLDED));
            (folded.unwrap_or_else(PlaceKey::other), true)
        };
        let next = endpoint.places.len();
        let place = *endpoint.place_index.entry(key.clone()).or_insert(next);
        if place == next {
            self.places += 1;
            endpoint.places.push(Place::new(key, is_folded));
        }
        place
    }

    /// Returns the index of the record's set of differences.
    fn signature(&mut self, endpoint: usize, found: &[(usize, Option<&Difference>)]) -> usize {
        let Some(endpoint) = self.endpoints.get_mut(endpoint) else { return UNEXPLAINED };
        let is_exact = |place: &usize| endpoint.places.get(*place).is_some_and(|place| !place.collects);
        let is_accepted = |difference: &Option<&Difference>| difference.is_some_and(|difference| difference.accepted);
        let key: Vec<usize> =
            found.iter().filter(|(_, difference)| !is_accepted(difference)).map(|(place, _)| *place).collect();
        let index = if !key.iter().all(is_exact) {
            UNEXPLAINED
        } else if let Some(index) = endpoint.signature_index.get(&key) {
            *index
        } else if endpoint.signatures.len() < MAX_SIGNATURES.0
            && self.signatures < MAX_SIGNATURES.1
            && self.members + key.len() <= MAX_MEMBERS
        {
            self.signatures += 1;
            self.members += key.len();
            endpoint.signatures.push(Signature { places: key.clone(), count: 0 });
            endpoint.signature_index.insert(key, endpoint.signatures.len() - 1);
            endpoint.signatures.len() - 1
        } else {
            // Explained only if noise explains every place of every such set.
            if let Some(beyond) = endpoint.signatures.get_mut(BEYOND) {
                beyond.places.extend(key);
                beyond.places.sort_unstable();
                beyond.places.dedup();
            }
            BEYOND
        };
        if let Some(signature) = endpoint.signatures.get_mut(index) {
            signature.count += 1;
        }
        index
    }
}

impl Endpoint {
    fn new(name: EndpointName) -> Endpoint {
        Endpoint {
            name,
            mirror: Verdicts::default(),
            itself: Verdicts::default(),
            again: 0,
            places: Vec::new(),
            place_index: HashMap::new(),
            signatures: vec![Signature::default(), Signature::default()],
            signature_index: HashMap::from([(Vec::new(), UNEXPLAINED)]),
            pairs: PairCounts::default(),
            not_modified: 0,
            requests: HashMap::new(),
            denied: 0,
            lost: BTreeMap::new(),
            unknown: BTreeMap::new(),
        }
    }
}

impl Place {
    /// Counts what repeating a request showed about one of its differences.
    fn take_evidence(&mut self, record: &Record, difference: Option<&Difference>, tracks: &mut usize) {
        self.count(difference.and_then(|difference| difference.repeated), record.not_repeated);
        let Some(difference) = difference else { return };
        self.weigh(difference);
        if difference.repeated == Some(Repeated::Varies) {
            self.favourite.count(record.salt, difference.digests);
        }
        if let (Some(salt), Some(request)) = (record.salt, record.request)
            && difference.digests != [None; 2]
        {
            let mut room = MAX_TRACKS.saturating_sub(*tracks);
            let varies = matches!(difference.repeated, Some(Repeated::Unstable | Repeated::Varies | Repeated::Swapped));
            let values = (!varies).then(|| self.key.change.values(difference.digests));
            self.history.add(&mut room, salt, exact(difference), request, values);
            *tracks = MAX_TRACKS.saturating_sub(room);
        }
    }
}

impl Endpoint {
    /// Counts a response to a request by its digest. `requests` is the number of all that are counted.
    fn count_request(&mut self, record: &Record, is_compared: bool, requests: &mut usize) {
        if let (true, Some(salt), Some(request)) = (is_compared, record.salt, record.request) {
            let is_known = self.requests.contains_key(&(salt, request));
            if is_known || *requests < MAX_REQUESTS {
                *requests += usize::from(!is_known);
                *self.requests.entry((salt, request)).or_default() += 1;
            }
        }
    }

    /// Returns the place at which the value is in the other system only.
    pub(crate) fn opposite(&self, place: &Place) -> Option<&Place> {
        self.places.get(*self.place_index.get(&place.key.opposite()?)?)
    }
}

impl Verdicts {
    fn count(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Match => &mut self.matching,
            Verdict::Accepted => &mut self.accepted,
            Verdict::Different => &mut self.different,
            Verdict::Failed => &mut self.failed,
            Verdict::Unknown => &mut self.unknown,
            Verdict::Lost => &mut self.lost,
        } += 1;
    }

    pub(crate) fn merge(&mut self, other: &Verdicts) {
        self.matching += other.matching;
        self.accepted += other.accepted;
        self.different += other.different;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.lost += other.lost;
    }

    /// Records that contribute to parity.
    pub(crate) fn compared(&self) -> u64 {
        self.matching + self.accepted + self.different
    }

    /// All copies, whether sent or not.
    pub(crate) fn all(&self) -> u64 {
        self.compared() + self.failed + self.unknown + self.lost
    }
}

impl PairCounts {
    fn count(&mut self, record: &Record) {
        let (primary_is_well, mirror_is_well) = (is_well(&record.primary), is_well(&record.mirror));
        self.count += 1;
        self.mirror_failed += u64::from(mirror_failed(record));
        self.primary_failed += u64::from(!primary_is_well && mirror_is_well);
        self.primary.count(&record.primary);
        self.mirror.count(&record.mirror);
        if let (true, true, Some(primary), Some(mirror)) =
            (primary_is_well, mirror_is_well, record.primary.ms, record.mirror.ms)
        {
            self.primary.latency.add(primary);
            self.mirror.latency.add(mirror);
        }
    }

    pub(crate) fn merge(&mut self, other: &PairCounts) {
        self.primary.merge(&other.primary);
        self.mirror.merge(&other.mirror);
        self.count += other.count;
        self.mirror_failed += other.mirror_failed;
        self.primary_failed += other.primary_failed;
    }
}

fn is_well(side: &Side) -> bool {
    side.status.is_some_and(|status| status < 500)
}

fn mirror_failed(record: &Record) -> bool {
    is_well(&record.primary) && !is_well(&record.mirror)
}

impl ResponseCounts {
    fn count(&mut self, side: &Side) {
        let digit = side.status.and_then(|status| (status / 100).checked_sub(1));
        if let Some(count) = digit.and_then(|digit| self.statuses.get_mut(usize::from(digit))) {
            *count += 1;
        }
        if let Some(error) = &side.error {
            count_word(&mut self.errors, error);
        }
    }

    fn merge(&mut self, other: &ResponseCounts) {
        self.latency.merge(&other.latency);
        for (count, more) in self.statuses.iter_mut().zip(other.statuses) {
            *count += more;
        }
        merge_words(&mut self.errors, &other.errors);
    }
}

impl Example {
    fn of(record: &Record, difference: &Difference) -> Example {
        let side = |side: &Side, value: &Option<String>| ExampleResponse {
            backend: cut(&side.backend),
            status: side.status,
            error: side.error.as_deref().map(cut),
            value: value.as_deref().map(cut),
            url: side.url.clone().filter(|url| url.len() <= LONGEST_URL),
            fields: repeat::harmless(&side.fields),
        };
        Example {
            time: record.time,
            request_id: cut(&record.request_id),
            at: cut(difference.at.as_deref().unwrap_or(&difference.pointer)),
            primary: side(&record.primary, &difference.primary),
            mirror: side(&record.mirror, &difference.mirror),
        }
    }
}

impl Merge for Bucket {
    fn merge(&mut self, other: Bucket) {
        self.same += other.same;
        for (key, count) in other.different {
            *self.different.entry(key).or_default() += count;
        }
    }
}

/// Returns a hash of the exact place of a difference, if the responses differ at several.
fn exact(difference: &Difference) -> Option<u64> {
    let slot = difference.slot?;
    let mut hasher = DefaultHasher::new();
    (slot, &difference.at).hash(&mut hasher);
    Some(hasher.finish())
}

fn count_word(words: &mut BTreeMap<String, u64>, word: &str) {
    let word = cut(word);
    let word = if words.len() < MAX_REASONS || words.contains_key(&word) { word } else { OTHER.to_owned() };
    *words.entry(word).or_default() += 1;
}

pub(crate) fn merge_words(words: &mut BTreeMap<String, u64>, other: &BTreeMap<String, u64>) {
    for (word, count) in other {
        *words.entry(word.clone()).or_default() += count;
    }
}

/// Truncates text from a record.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use crossfade_journal::comparison::{Kind, Repeated};

    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::assessment::Mark;

    /// Returns a record with differences at these pointers, `seconds` after a fixed time.
    pub(crate) fn record(against: &str, endpoint: &str, pointers: &[&str], seconds: u64) -> Record {
        let difference = |pointer: &&str| Difference::new(Class::Value, *pointer);
        Record {
            kind: Kind::Compare,
            version: 1,
            time: UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds),
            against: if against == "self" { Against::Itself } else { Against::Mirror },
            request_id: "r".to_owned(),
            route: "orders".to_owned(),
            method: "GET".to_owned(),
            endpoint: endpoint.to_owned(),
            verdict: if pointers.is_empty() { Verdict::Match } else { Verdict::Different },
            reason: None,
            not_repeated: None,
            request: None,
            live: None,
            salt: None,
            differences: pointers.iter().map(difference).collect(),
            more: 0,
            credentials_withheld: false,
            primary: Side { status: Some(200), ..Side::default() },
            mirror: Side { status: Some(200), ..Side::default() },
        }
    }

    #[test]
    fn requests_that_are_sent_again_are_evidence_and_no_sample() {
        let mut tally = Tally::new(1);
        let again = |pointer: &str| {
            let mut record = Record { against: Against::Again, ..record("mirror", "/a", &[pointer], 1) };
            record.differences.iter_mut().for_each(|difference| difference.repeated = Some(Repeated::Same));
            record
        };
        tally.add(&Record { against: Against::Mirror, ..again("/price") });
        for other in 0..99 {
            tally.add(&record("mirror", "/a", &[], other));
        }
        let marks = |tally: &Tally| {
            let assessment = crate::judge(tally);
            let places = assessment.endpoints.iter().flat_map(|endpoint| &endpoint.differences);
            let marks: Vec<_> = places.map(|place| (place.pointer.clone(), place.mark, place.count)).collect();
            (assessment.overall.compared, marks)
        };
        assert_eq!(marks(&tally), (100, vec![("/price".to_owned(), Mark::Unclear, 1)]));
        for _ in 0..7 {
            tally.add(&again("/price"));
        }
        assert_eq!(marks(&tally), (100, vec![("/price".to_owned(), Mark::Regression, 1)]));
        // The first responses were the same there.
        tally.add(&again("/late"));
        let late = ("/late".to_owned(), Mark::Unclear, 1);
        assert_eq!(marks(&tally), (100, vec![("/price".to_owned(), Mark::Regression, 1), late]));
    }

    /// Clients can create as many endpoints and members as they send requests.
    #[test]
    fn memory_is_bounded_and_every_record_is_counted() {
        let mut tally = Tally::new(3);
        for number in 0..3_000 {
            let mut record = record("mirror", &format!("/{number}"), &[&format!("/{number}"), "/same"], number);
            tally.add(&record);
            record.endpoint = "/".to_owned();
            record.reason = Some(number.to_string());
            tally.add(&record);
            record.verdict = Verdict::Lost;
            tally.add(&record);
        }
        assert!(tally.folded_endpoints && tally.folded_differences);
        assert_eq!(tally.endpoints.len(), MAX_ENDPOINTS + 1);
        assert_eq!(tally.endpoints.iter().map(|endpoint| endpoint.mirror.different).sum::<u64>(), 6_000);
        let root = tally.endpoints.iter().find(|endpoint| endpoint.name.endpoint == "/").unwrap();
        assert!(root.places.len() <= MAX_PLACES.0 + 1 && root.signatures.len() <= MAX_SIGNATURES.0);
        assert_eq!(root.signatures.iter().map(|signature| signature.count).sum::<u64>(), 3_000);
        assert_eq!((root.lost.len(), root.lost.values().sum::<u64>()), (MAX_REASONS + 1, 3_000));
        assert_eq!(tally.endpoints.last().map(|endpoint| endpoint.name.endpoint.as_str()), Some(OTHER));
        let examples = tally.endpoints.iter().flat_map(|endpoint| &endpoint.places).map(|place| place.examples.len());
        assert!(examples.sum::<usize>() <= MAX_EXAMPLES);
    }

    #[test]
    fn buckets_widen_with_the_time_that_is_covered() {
        for (seconds, width) in [(&[0, 1][..], 1), (&[0, 239], 1), (&[0, 300], 2), (&[90_000_000, 5, 0], 524_288)] {
            let mut tally = Tally::new(0);
            for second in seconds {
                tally.add(&record("mirror", "/", &["/a"], *second));
                tally.add(&record("mirror", "/", &[], *second));
            }
            let timeline = &tally.timeline;
            assert_eq!(timeline.width, width, "{seconds:?}");
            let sums = timeline.buckets.values().map(|bucket| (bucket.same, bucket.different.values().sum::<u64>()));
            let count = seconds.len() as u64;
            assert_eq!(sums.fold((0, 0), |sum, bucket| (sum.0 + bucket.0, sum.1 + bucket.1)), (count, count));
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut(&"ä".repeat(300)), format!("{}…", "ä".repeat(200)));
        assert_eq!(cut("short"), "short");
    }
}
