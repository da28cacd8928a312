//! A place at which responses differ, with its counts.
//!
//! Owns the identity of places, and the meaning of a repeated request for the kind of difference. `tally` owns the limits,
//! `evidence` the statistics.

use std::collections::BTreeMap;

use crossfade_journal::comparison::{Class, Difference, Digest, NotRepeated, Repeated};

use crate::assessment::{Change, Example as Shown, ExampleResponse as ShownResponse, Outcomes, Why};
use crate::history::History;
use crate::repeat;
use crate::tally::{OTHER, cut};

/// Identifies a place of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PlaceKey {
    /// `None` for the place that collects everything beyond the limits.
    pub(crate) class: Option<Class>,
    pub(crate) change: Change,
    pub(crate) pointer: String,
    /// Only of places that are known by their digests.
    salt: Option<Digest>,
}

impl PlaceKey {
    pub(crate) fn of(difference: &Difference, salt: Option<Digest>) -> PlaceKey {
        let pointer = cut(&difference.pointer);
        let salt = salt.filter(|_| is_digest(&pointer));
        PlaceKey { class: Some(difference.class), change: Change::of(difference), pointer, salt }
    }

    pub(crate) fn other() -> PlaceKey {
        PlaceKey { class: None, change: Change::Value, pointer: OTHER.to_owned(), salt: None }
    }

    /// Returns the place that stands for this one and its neighbours when there is no room for each: `[name=x]` becomes `*`.
    /// `None` if there is nothing to fold.
    pub(crate) fn folded(&self) -> Option<PlaceKey> {
        let mut pointer = String::new();
        let mut rest = self.pointer.as_str();
        while let Some((before, after)) = rest.split_once('[') {
            pointer += before;
            rest = match after.split_once(']') {
                Some((key, after)) if key.contains('=') => {
                    pointer.push('*');
                    after
                }
                _ => {
                    pointer.push('[');
                    after
                }
            };
        }
        pointer += rest;
        (pointer != self.pointer).then(|| PlaceKey { pointer, ..self.clone() })
    }

    /// Returns the place at which the value is there in the other system only; `None` if the values are in both.
    pub(crate) fn opposite(&self) -> Option<PlaceKey> {
        let change = match self.change {
            Change::Value => return None,
            Change::Missing => Change::Extra,
            Change::Extra => Change::Missing,
        };
        let class = self.class.map(|class| match class {
            Class::Missing => Class::Extra,
            Class::Extra => Class::Missing,
            other => other,
        });
        Some(PlaceKey { class, change, ..self.clone() })
    }
}

/// Returns whether a pointer is the digest of a place that did not fit into the record.
fn is_digest(pointer: &str) -> bool {
    pointer.strip_prefix('#').is_some_and(|hex| hex.len() == 8 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl Change {
    fn of(difference: &Difference) -> Change {
        match (difference.class, difference.digests) {
            (Class::Missing, _) | (_, [Some(_), None]) => Change::Missing,
            (Class::Extra, _) | (_, [None, Some(_)]) => Change::Extra,
            _ => Change::Value,
        }
    }

    /// Returns the values that matter: of a value that only one system has, that it is there.
    pub(crate) fn values(self, digests: [Option<Digest>; 2]) -> [Option<Digest>; 2] {
        match self {
            Change::Value => digests,
            Change::Missing => [Some(Digest(0)), None],
            Change::Extra => [None, Some(Digest(0))],
        }
    }
}

/// A place where responses differ, with counts.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) key: PlaceKey,
    /// `true` if it stands for several places, or for one that is not known: it never explains a difference.
    pub(crate) collects: bool,
    /// Records in which the mirror differs at this place, and those among them in which the difference is accepted.
    pub(crate) raw: u64,
    pub(crate) accepted: u64,
    /// Those in which the mirror failed and the primary did not.
    pub(crate) failed: u64,
    /// Without accepted differences.
    pub(crate) outcomes: Outcomes,
    /// The sides of the sign test. A repeated value that is neither system's is a tie.
    pub(crate) likeness: Likeness,
    /// Repeated requests by exact place.
    pub(crate) slots: Slots,
    /// Requests that were not repeated, by reason: in the order of [`REASONS`].
    not_repeated: [u64; REASONS.len()],
    /// Records in which the primary differs from itself at this place.
    pub(crate) noise: u64,
    pub(crate) history: History,
    pub(crate) favourite: Favourite,
    pub(crate) examples: Vec<Example>,
}

const REASONS: [Why; 5] = [Why::Unsafe, Why::Share, Why::Budget, Why::Failed, Why::NeverRepeated];

/// Number of slots: others than these are in no record of ours.
const SLOTS: u8 = 64;

/// Repeated requests by exact place, if a place stands for several: see [`Difference::slot`]. One that is reproducible must not
/// be lost among many that vary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slots(Vec<(Option<u8>, Trials)>);

/// Repeated requests, and those of them in which both systems gave their own value again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trials {
    pub(crate) same: u64,
    pub(crate) all: u64,
}

/// The value that the mirror gave most often so far where the primary varies at once, and which system gave it since. One that is
/// always there may be the null, the empty list or the error of a system that is broken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Favourite {
    salt: Option<Digest>,
    /// By majority vote (Boyer and Moore).
    value: Option<Digest>,
    votes: u64,
    /// Differences in which only one system gave it.
    pub(crate) mirror: u64,
    pub(crate) primary: u64,
}

impl Favourite {
    pub(crate) fn count(&mut self, salt: Option<Digest>, [primary, mirror]: [Option<Digest>; 2]) {
        if primary.is_none() || mirror.is_none() {
            return;
        }
        if self.salt != salt {
            *self = Favourite { salt, mirror: self.mirror, primary: self.primary, ..Favourite::default() };
        }
        if self.votes > 0 {
            self.mirror += u64::from(mirror == self.value);
            self.primary += u64::from(primary == self.value);
        }
        match self.votes {
            0 => (self.value, self.votes) = (mirror, 1),
            _ if self.value == mirror => self.votes += 1,
            _ => self.votes -= 1,
        }
    }
}

impl Slots {
    pub(crate) fn count(&mut self, difference: &Difference) {
        let Some(repeated) = difference.repeated else { return };
        let slot = difference.slot.map(|slot| slot % SLOTS);
        let index = self.0.iter().position(|(known, _)| *known == slot).unwrap_or_else(|| {
            self.0.push((slot, Trials::default()));
            self.0.len() - 1
        });
        if let Some((_, trials)) = self.0.get_mut(index) {
            trials.same += u64::from(repeated == Repeated::Same);
            trials.all += 1;
        }
    }

    pub(crate) fn trials(&self) -> impl Iterator<Item = Trials> {
        self.0.iter().map(|(_, trials)| *trials)
    }
}

/// Repeated requests, by what the repeated response of the primary is like where the two responses differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Likeness {
    pub(crate) primary: u64,
    pub(crate) mirror: u64,
}

impl Place {
    pub(crate) fn new(key: PlaceKey, is_folded: bool) -> Place {
        Place {
            collects: is_folded || key.class.is_none() || is_digest(&key.pointer),
            key,
            raw: 0,
            accepted: 0,
            failed: 0,
            outcomes: Outcomes::default(),
            likeness: Likeness::default(),
            slots: Slots::default(),
            not_repeated: [0; REASONS.len()],
            noise: 0,
            history: History::default(),
            favourite: Favourite::default(),
            examples: Vec::new(),
        }
    }

    /// Counts the result of repeating a request whose responses differ here.
    pub(crate) fn count(&mut self, repeated: Option<Repeated>, reason: Option<NotRepeated>) {
        let outcomes = &mut self.outcomes;
        *match repeated {
            Some(Repeated::Same) => &mut outcomes.same,
            Some(Repeated::Primary) => &mut outcomes.primary,
            Some(Repeated::Unstable) => &mut outcomes.unstable,
            Some(Repeated::Varies) => &mut outcomes.varies,
            Some(Repeated::Swapped) => &mut outcomes.swapped,
            None => {
                let reason = reason.map_or(Why::NeverRepeated, Why::from);
                for (count, _) in self.not_repeated.iter_mut().zip(REASONS).filter(|(_, known)| *known == reason) {
                    *count += 1;
                }
                &mut outcomes.not_repeated
            }
        } += 1;
    }

    /// Counts the evidence of a difference: that of its exact place.
    pub(crate) fn weigh(&mut self, difference: &Difference) {
        self.slots.count(difference);
        // Without values, the mirror's is not recognised. Among several exact places, or at one that is known by its content,
        // it often is not; nor is an order, of which only the elements that both responses have count.
        if difference.digests == [None; 2] || difference.slot.is_some() || difference.class == Class::Order {
            return;
        }
        match difference.repeated {
            Some(Repeated::Same | Repeated::Primary | Repeated::Unstable) => self.likeness.primary += 1,
            Some(Repeated::Swapped) => self.likeness.mirror += 1,
            Some(Repeated::Varies) | None => {}
        }
    }

    /// Returns the most frequent reason why requests were not repeated.
    pub(crate) fn why_not_repeated(&self) -> Why {
        let most = self.not_repeated.iter().zip(REASONS).max_by_key(|(count, _)| **count);
        most.map_or(Why::NeverRepeated, |(_, reason)| reason)
    }

    /// Returns the number of repeated requests in which the primary differs from itself.
    pub(crate) fn varied(&self) -> u64 {
        self.outcomes.varied()
    }

    /// Returns whether the place says too little about what differs: content that is compared as a whole.
    pub(crate) fn is_opaque(&self) -> bool {
        match self.key.class {
            Some(Class::Bytes) => true,
            Some(Class::Status | Class::Header) => false,
            _ => self.key.pointer == "body" || self.key.pointer.ends_with(">> body"),
        }
    }
}

/// A record that contains a difference, as an example.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    pub(crate) time: std::time::SystemTime,
    pub(crate) request_id: String,
    pub(crate) at: String,
    pub(crate) primary: ExampleResponse,
    pub(crate) mirror: ExampleResponse,
}

#[derive(Clone, Debug)]
pub(crate) struct ExampleResponse {
    pub(crate) backend: String,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
    pub(crate) value: Option<String>,
    /// `None` if it is too long to be kept: a truncated URL could not be repeated.
    pub(crate) url: Option<String>,
    /// Fields of the request; only of the primary.
    pub(crate) fields: BTreeMap<String, String>,
}

impl Example {
    pub(crate) fn shown(&self, method: &str, cacert: Option<&str>) -> Shown {
        let side = |side: &ExampleResponse| ShownResponse {
            backend: side.backend.clone(),
            outcome: match (side.status, &side.error) {
                (Some(status), _) => status.to_string(),
                (None, Some(error)) => error.clone(),
                (None, None) => "no response".to_owned(),
            },
            value: side.value.clone(),
            // Both systems got the same request.
            repeat: repeat::command(method, side.url.as_deref(), &self.primary.fields, cacert),
        };
        Shown {
            time: humantime::format_rfc3339_millis(self.time).to_string(),
            request_id: self.request_id.clone(),
            at: self.at.clone(),
            primary: side(&self.primary),
            mirror: side(&self.mirror),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyed_places_fold_to_one() {
        for (pointer, folded) in [
            ("/facts/[name=currency]/value", Some("/facts/*/value")),
            ("/a/[id=1]/b/[id=2]", Some("/a/*/b/*")),
            ("/a/[id=1", None),
            ("/a/[b]/c", None),
            ("/items/*/price", None),
        ] {
            let key = PlaceKey::of(&Difference::new(Class::Value, pointer), None);
            assert_eq!(key.folded().map(|key| key.pointer), folded.map(str::to_owned), "{pointer}");
        }
    }

    #[test]
    fn digests_are_places_of_their_salt() {
        let key = |pointer, salt| PlaceKey::of(&Difference::new(Class::Value, pointer), Some(Digest(salt)));
        assert_ne!(key("#00c0ffee", 1), key("#00c0ffee", 2));
        assert_eq!(key("/c0ffee", 1), key("/c0ffee", 2));
        assert!(Place::new(key("#00c0ffee", 1), false).collects && !Place::new(key("/a", 1), false).collects);
    }

    #[test]
    fn a_value_that_only_the_mirror_has_again_and_again_is_noticed() {
        let mut favourite = Favourite::default();
        for (primary, mirror) in [(1, 9), (2, 9), (3, 8), (4, 9), (9, 5), (6, 9), (7, 9)] {
            favourite.count(Some(Digest(0)), [primary, mirror].map(|value| Some(Digest(value))));
        }
        favourite.count(Some(Digest(0)), [Some(Digest(1)), None]);
        favourite.count(Some(Digest(1)), [9, 9].map(|value| Some(Digest(value))));
        assert_eq!((favourite.mirror, favourite.primary), (4, 1));
    }

    #[test]
    fn signs_are_those_of_known_values_at_one_place() {
        let value = [Some(Digest(1)), Some(Digest(2))];
        for (digests, slot, repeated, likeness) in [
            (value, None, Repeated::Same, (1, 0)),
            (value, None, Repeated::Unstable, (1, 0)),
            (value, None, Repeated::Swapped, (0, 1)),
            (value, None, Repeated::Varies, (0, 0)),
            (value, Some(1), Repeated::Same, (0, 0)),
            ([None; 2], None, Repeated::Same, (0, 0)),
            ([Some(Digest(1)), None], None, Repeated::Swapped, (0, 1)),
        ] {
            let difference =
                Difference { digests, slot, repeated: Some(repeated), ..Difference::new(Class::Value, "/a") };
            let mut place = Place::new(PlaceKey::of(&difference, None), false);
            place.weigh(&difference);
            let Likeness { primary, mirror } = place.likeness;
            assert_eq!((primary, mirror), likeness, "{difference:?}");
        }
    }
}
