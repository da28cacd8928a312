//! The conclusion about each place of an endpoint.
//!
//! Owns the order in which the evidence counts. `evidence` and `history` own the statistics, `verdict` the conclusion about
//! everything.

use crate::assessment::{Change, Mark, Why};
use crate::evidence::{self, Counts, threshold};
use crate::history::Slow;
use crate::place::{Likeness, Place};
use crate::proportion::share;
use crate::tally::{Endpoint, Tally};

/// Of so many repeated requests, the primary must have differed from itself in at least one, for a place to be noise.
/// Of draws from the same values, at least half do.
const VARIES: u64 = 4;
/// Factor by which the primary must differ from itself more often over time than at once, for its values to change slowly.
const SLOWER: f64 = 2.0;
/// Of so many reproducible differences in which only one system has a value, only the other has it in at least one.
const ALTERNATES: u64 = 10;
/// E-value below which a place can be noise: there is no evidence against it.
const FOR_NOISE: f64 = 2.0;

/// The conclusion about a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conclusion {
    pub(crate) mark: Mark,
    pub(crate) why: Option<Why>,
    pub(crate) e_value: f64,
    /// Responses of the endpoint that would decide.
    pub(crate) needed: Option<u64>,
}

/// Returns the conclusions about all places of a tally: for each endpoint those of its places.
pub(crate) fn conclusions(tally: &Tally) -> Vec<Vec<Conclusion>> {
    let candidates: Vec<Vec<Candidate>> = tally.endpoints.iter().map(candidates).collect();
    let tested: Vec<f64> = candidates
        .iter()
        .flatten()
        .filter(|candidate| candidate.is_tested)
        .map(|candidate| candidate.e_value)
        .collect();
    let bound = threshold(&tested);
    let of = |(endpoint, candidates): (&Endpoint, &Vec<Candidate>)| {
        let places = endpoint.places.iter().zip(candidates);
        places.map(|(place, candidate)| candidate.conclusion(endpoint, place, bound)).collect()
    };
    tally.endpoints.iter().zip(&candidates).map(of).collect()
}

/// The evidence at a place.
struct Candidate {
    counts: Counts,
    e_value: f64,
    is_tested: bool,
    slow: Slow,
}

fn candidates(endpoint: &Endpoint) -> Vec<Candidate> {
    let responses = |request| endpoint.requests.get(&request).copied().unwrap_or_default();
    let candidate = |place: &Place| {
        let counts = counts(endpoint, place);
        // Now only one system has the value, now only the other.
        let alternates = endpoint
            .opposite(place)
            .is_some_and(|other| other.outcomes.same > 0 && other.outcomes.same * ALTERNATES >= place.outcomes.same);
        let slow = match place.history.slow(responses) {
            // Two requests at once differ about as often as any two.
            _ if SLOWER * share(place.varied(), place.outcomes.repeated()) > place.history.spread() => Slow::No,
            Slow::No if alternates => Slow::Changing,
            slow => slow,
        };
        // Values that change with the time are not exchangeable: their e-value means nothing.
        let e_value = counts.e_value();
        let of_slots = evidence::of_slots(place.slots.trials());
        let e_value = of_slots.map_or(e_value, |slots| (e_value + slots) / 2.0);
        let e_value = if slow == Slow::No { e_value } else { e_value.min(1.0) };
        let is_differing = place.raw > place.accepted && place.key.class.is_some();
        Candidate { counts, e_value, is_tested: is_differing && counts.is_testable(), slow }
    };
    endpoint.places.iter().map(candidate).collect()
}

fn counts(endpoint: &Endpoint, place: &Place) -> Counts {
    let compared = endpoint.mirror.compared();
    let mut likeness = place.likeness;
    // A primary that fails is not compared: the opposite of a mirror that fails is not among the differences, but counted.
    if place.failed > 0 {
        likeness = Likeness { primary: endpoint.pairs.mirror_failed, mirror: endpoint.pairs.primary_failed };
    }
    if let Some(Likeness { primary, mirror }) = endpoint.opposite(place).map(|opposite| opposite.likeness) {
        likeness.primary += primary;
        likeness.mirror += mirror;
    }
    Counts {
        same: place.outcomes.same,
        repeated: place.outcomes.repeated(),
        measured: (compared + endpoint.again).saturating_sub(place.outcomes.not_repeated + place.accepted),
        likeness,
        favourite: Likeness { primary: place.favourite.primary, mirror: place.favourite.mirror },
        mirror: compared,
        mirror_differs: place.raw.min(compared),
        itself: endpoint.itself.compared(),
        itself_differs: place.noise.min(endpoint.itself.compared()),
    }
}

impl Candidate {
    fn conclusion(&self, endpoint: &Endpoint, place: &Place, bound: f64) -> Conclusion {
        let (mark, why) = self.mark(endpoint, place, bound);
        let needed = (mark == Mark::Unclear).then(|| self.needed(place, bound)).flatten();
        Conclusion { mark, why, e_value: self.e_value, needed }
    }

    fn mark(&self, endpoint: &Endpoint, place: &Place, bound: f64) -> (Mark, Option<Why>) {
        let is_coarse = || match () {
            () if place.collects => Some(Why::Collected),
            () if place.is_opaque() => Some(Why::Opaque),
            () => None,
        };
        if place.raw == place.accepted {
            return (Mark::Accepted, None);
        }
        if place.key.class.is_none() {
            return (Mark::Unjudged, Some(Why::Collected));
        }
        if self.is_tested && self.e_value >= bound {
            return (Mark::Regression, None);
        }
        let repeated = place.outcomes.repeated();
        if repeated == 0 && endpoint.itself.compared() == 0 {
            return (Mark::NotMeasured, Some(place.why_not_repeated()));
        }
        let Likeness { primary, mirror } = self.counts.likeness;
        let varies = match place.key.change {
            _ if repeated == 0 => place.noise > 0,
            Change::Value => place.varied() * VARIES >= repeated,
            // Another value each time does not explain why only one system has one.
            Change::Missing | Change::Extra => mirror > 0 && mirror * VARIES >= primary + mirror,
        };
        // A mirror that fails where the primary did not is never noise.
        let is_noise = varies && self.counts.e_value() < FOR_NOISE && place.failed == 0;
        match (is_noise, self.slow, is_coarse()) {
            (true, _, Some(why)) | (false, Slow::Noise, Some(why)) => (Mark::Unjudged, Some(why)),
            (true, _, None) => (Mark::Noise, None),
            (false, Slow::Noise, None) => (Mark::Noise, Some(Why::Slow)),
            (false, Slow::Changing, _) if !varies => (Mark::NotMeasured, Some(Why::Changing)),
            (false, Slow::No | Slow::Changing, _) => (Mark::Unclear, None),
        }
    }

    /// Returns the number of further responses of the endpoint after which the place would be a regression, if as many of
    /// them differ as before, in the same way in both systems.
    fn needed(&self, place: &Place, bound: f64) -> Option<u64> {
        let differences = self.counts.further(bound.max(1.0))?;
        let differing = place.raw.saturating_sub(place.accepted).max(1);
        Some(differences.saturating_mul(self.counts.mirror).div_ceil(differing))
    }
}
