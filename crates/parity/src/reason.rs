//! The reasons of a verdict, as data and as sentences.
//!
//! Owns their forms and wording. `verdict` decides which apply, and their order.

use std::fmt::{Display, Formatter, Result};

use crossfade_journal::comparison::Class;
use serde::Serialize;

use crate::assessment::{Change, EndpointName, Verdict, Why, rounded};
use crate::latency::Percentile;
use crate::number::{grouped, milliseconds, percent};
use crate::proportion::share;

/// A reason why the verdict is not [`Verdict::Same`]. `Display` is a sentence without a full stop; it contains text from the
/// log, which whoever shows it must escape.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Reason {
    /// Places of an endpoint are regressions.
    Regressions {
        /// The endpoint.
        #[serde(flatten)]
        endpoint: EndpointName,
        /// Number of places that are regressions.
        places: u64,
        /// The one with the most differences.
        place: Place,
        /// Responses that differ there.
        responses: u64,
        /// Responses of the endpoint that were compared.
        compared: u64,
    },
    /// The mirror fails more often than the primary.
    MirrorFails {
        /// The endpoint.
        #[serde(flatten)]
        endpoint: EndpointName,
        /// Pairs in which only the mirror failed.
        mirror: u64,
        /// Pairs in which only the primary failed.
        primary: u64,
        /// All pairs.
        pairs: u64,
    },
    /// The mirror is slower.
    Slower {
        /// The endpoint; `None` for all together.
        #[serde(flatten, skip_serializing_if = "Option::is_none")]
        endpoint: Option<EndpointName>,
        /// The lowest percentile that is slower: most responses are above it.
        percentile: Percentile,
        /// Its milliseconds at the primary.
        #[serde(serialize_with = "rounded")]
        primary: f64,
        /// Its milliseconds at the mirror.
        #[serde(serialize_with = "rounded")]
        mirror: f64,
        /// Number of pairs.
        pairs: u64,
    },
    /// Too few of the endpoint's responses were compared, although there were copies.
    NotCompared {
        /// The endpoint.
        #[serde(flatten)]
        endpoint: EndpointName,
        /// All copies.
        copies: u64,
        /// Copies that were compared, without those that were 304 in both systems.
        compared: u64,
        /// The most frequent reason, such as `failed`, `not-modified`, `time`.
        mostly: String,
    },
    /// Too many copies were lost: the others may not be representative.
    Lost {
        /// Copies that were lost.
        lost: u64,
        /// All copies.
        copies: u64,
    },
    /// Differences of an endpoint could not be judged.
    Unjudged {
        /// The endpoint.
        #[serde(flatten)]
        endpoint: EndpointName,
        /// Number of such places.
        places: u64,
        /// The one with the most differences.
        place: Place,
        /// Responses that differ there.
        responses: u64,
        /// Reason for that place.
        why: Why,
    },
    /// Differences of an endpoint were not measured.
    NotMeasured {
        /// The endpoint.
        #[serde(flatten)]
        endpoint: EndpointName,
        /// Number of such places.
        places: u64,
        /// The one with the most differences.
        place: Place,
        /// Responses that differ there.
        responses: u64,
        /// Reason for that place.
        why: Why,
    },
    /// Differences of an endpoint are too rare to be judged yet.
    Unclear {
        /// The endpoint.
        #[serde(flatten)]
        endpoint: EndpointName,
        /// Number of such places.
        places: u64,
        /// The one with the most differences.
        place: Place,
        /// Responses that differ there.
        responses: u64,
        /// Responses of the endpoint that were compared.
        compared: u64,
        /// Responses of the endpoint that would decide if it goes on like this; `None` if that is not known.
        needed: Option<u64>,
    },
    /// Too few responses were compared, or too many of them differ at places that are too rare to be judged.
    FewSamples {
        /// Responses that were compared.
        compared: u64,
        /// Those that differ at places that are not noise.
        different: u64,
        /// Further responses that would decide if it goes on like this; `None` if that is not known.
        needed: Option<u64>,
    },
    /// There was no copy of a request.
    NoData,
}

/// A place at which responses differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The kind of difference; `None` for the place `(other)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// The system that has a value there.
    pub change: Change,
    /// As in [`Difference::pointer`](crate::Difference::pointer).
    pub pointer: String,
}

impl Reason {
    /// Returns the verdict that this reason alone would lead to.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        match self {
            Reason::Regressions { .. } | Reason::MirrorFails { .. } | Reason::Slower { .. } => Verdict::Differs,
            Reason::NotCompared { .. } | Reason::Lost { .. } | Reason::Unjudged { .. } | Reason::NotMeasured { .. } => {
                Verdict::CannotBeJudged
            }
            Reason::Unclear { .. } | Reason::FewSamples { .. } | Reason::NoData => Verdict::NotEnoughSamples,
        }
    }

    /// Returns the endpoint that the reason is about; `None` if it is about all of them.
    #[must_use]
    pub const fn endpoint(&self) -> Option<&EndpointName> {
        match self {
            Reason::Regressions { endpoint, .. }
            | Reason::MirrorFails { endpoint, .. }
            | Reason::NotCompared { endpoint, .. }
            | Reason::Unjudged { endpoint, .. }
            | Reason::NotMeasured { endpoint, .. }
            | Reason::Unclear { endpoint, .. } => Some(endpoint),
            Reason::Slower { endpoint, .. } => endpoint.as_ref(),
            Reason::Lost { .. } | Reason::FewSamples { .. } | Reason::NoData => None,
        }
    }
}

impl Display for Reason {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if let Some(endpoint) = self.endpoint() {
            write!(f, "{endpoint}: ")?;
        }
        match self {
            Reason::Regressions { places, place, responses, compared, .. } => {
                let (part, whole) = (grouped(*responses), grouped(*compared));
                write!(f, "{part} of {whole} responses differ: {place}{}", and_more(*places))
            }
            Reason::MirrorFails { mirror, primary, pairs, .. } => {
                let (mirror, primary, pairs) = (grouped(*mirror), grouped(*primary), grouped(*pairs));
                write!(
                    f,
                    "only the new system failed {mirror} times, only the old one {primary} times, in {pairs} pairs"
                )
            }
            Reason::Slower { percentile, primary, mirror, pairs, .. } => {
                let (old, new, pairs) = (milliseconds(*primary), milliseconds(*mirror), grouped(*pairs));
                write!(f, "slower: {} rose from {old} to {new} in {pairs} pairs", percentile.as_str())
            }
            Reason::NotCompared { copies, compared, mostly, .. } => {
                let (compared, copies) = (grouped(*compared), grouped(*copies));
                write!(f, "only {compared} of {copies} responses were compared; the others are mostly `{mostly}`")
            }
            Reason::Lost { lost, copies } => {
                let percent = percent(share(*lost, *copies));
                write!(f, "{percent} of the copies were lost, perhaps the slowest")
            }
            Reason::Unjudged { places, place, responses, why, .. }
            | Reason::NotMeasured { places, place, responses, why, .. } => {
                let (responses, noun) =
                    (grouped(*responses), if *responses == 1 { "response differs" } else { "responses differ" });
                write!(f, "{responses} {noun} at {place}{}: {}", and_more(*places), why.as_str())
            }
            Reason::Unclear { places, place, responses, compared, needed, .. } => {
                let (part, whole) = (grouped(*responses), grouped(*compared));
                write!(f, "{part} of {whole} responses differ, too few to judge: {place}{}", and_more(*places))?;
                match needed {
                    Some(needed) => write!(f, "; about {} more responses would decide", grouped(*needed)),
                    None => Ok(()),
                }
            }
            Reason::FewSamples { compared, different, needed } => {
                write!(f, "{} responses were compared", grouped(*compared))?;
                if *different > 0 {
                    write!(f, ", {} of them differ", grouped(*different))?;
                }
                match needed {
                    Some(needed) => write!(f, "; about {} more would be enough", grouped(*needed)),
                    None => f.write_str(" at places that are too rare to judge"),
                }
            }
            Reason::NoData => f.write_str("the log has no copy of a request"),
        }
    }
}

fn and_more(places: u64) -> String {
    match places.saturating_sub(1) {
        0 => String::new(),
        more => format!(" and {} more", grouped(more)),
    }
}

impl Display for EndpointName {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} {}", self.method, self.endpoint)
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let class = self.class.map_or("", Class::as_str);
        let change = match self.change {
            Change::Missing if class != "missing" => "missing ",
            Change::Extra if class != "extra" => "extra ",
            _ => "",
        };
        match class {
            _ if class.is_empty() || class == self.pointer => write!(f, "{change}{}", self.pointer),
            _ => write!(f, "{change}{class} {}", self.pointer),
        }
    }
}

impl Why {
    /// Returns the reason as part of a sentence, and advice.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::Unsafe => {
                "writes are not repeated, so noise is not known; accept or ignore the place if it is expected"
            }
            Why::Share => "the requests were not repeated: raise `noise.repeat`",
            Why::Budget => "there was no time to repeat the requests: raise the function's timeout",
            Why::Failed => "the old system did not respond when the requests were repeated",
            Why::NeverRepeated => "the requests were not repeated, so noise is not known",
            Why::Changing => {
                "the old system's values change over time and the new one's are never among them; \
                 accept or ignore the place if it is expected"
            }
            Why::Slow => "the old system's values change over time, and the new one's are among them",
            Why::Opaque => "the old system varies there, and the content cannot be compared in parts",
            Why::Collected => {
                "several places are counted together there, beyond a limit of the record or of the report"
            }
        }
    }
}
