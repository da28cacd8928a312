//! `mirror` of a route: selects the requests that are copied to another back end after the client got its response.
//! Owns that choice. Sends nothing, and stores the rules of comparison without interpreting them.

use std::sync::Arc;
use std::time::Duration;

use crossfade_compare::Rules;
use crossfade_rule::RequestView;
use http::Method;
use http::header::HeaderName;

use crate::field_edits::FieldEdits;
use crate::sticky::{Sticky, hash};
use crate::transform::Transforms;

/// Field that marks a copy for its back end; its value is `1`. It is removed from clients' requests.
pub const MIRROR_FIELD: HeaderName = HeaderName::from_static("x-crossfade-mirror");

/// 100 % in the units of a [`Share`].
const WHOLE: u32 = 100_000;

/// Hashed with users. It is never the name of a target, so that being mirrored does not depend on a user's target.
const SALT: &[u8] = b"\xFFmirror";

/// `mirror` of a route.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// Index into `RoutingTable::backends`.
    pub backend: usize,
    /// `percent`: share of the requests, or of the users if they can be identified.
    pub share: Share,
    /// Identifies users: `mirror.sticky`, or that of `forward`.
    pub sticky: Option<Sticky>,
    /// `methods`: unsafe methods that are mirrored as well.
    pub methods: Vec<Method>,
    /// Applied after those of the route. `None`: those of the target with the same back end, if there is one.
    pub transforms: Option<Transforms>,
    /// `requestHeaders`, applied after those of the route.
    pub request_fields: FieldEdits,
    /// `credentials`: the client's credentials that a copy carries.
    pub credentials: Credentials,
    /// `timeouts.backendRequest`: overrides that of the back end for copies.
    pub backend_request: Option<Duration>,
    /// `budget`: time limit for copies and comparisons, counted from the response.
    pub budget: Duration,
    /// `compare`. `None` records statuses and times without comparing. Shared with the thread that compares.
    pub compare: Option<Arc<Rules>>,
    /// `compare.noise`: the requests that are repeated to measure noise.
    pub noise: Noise,
}

/// `compare.noise`. Only requests with a safe method are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise {
    /// `repeat`: share of the requests whose responses differ.
    pub repeat: Share,
    /// `selfCompare`: share of all mirrored requests.
    pub self_compare: Share,
}

/// A share of requests, in thousandths of a percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(pub(crate) u32);

/// `mirror.credentials`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// No credentials: they are for the system that the client talks to.
    #[default]
    Withheld,
    /// All credentials.
    Passed,
    /// These fields.
    Only(Vec<HeaderName>),
}

impl Mirror {
    /// Returns `true` if a request is mirrored. For an identified user the result is always the same, and a larger
    /// share includes the users of a smaller one; other requests are chosen by `seed`.
    #[must_use]
    pub fn takes(&self, method: &Method, request: &RequestView<'_>, seed: u128) -> bool {
        if !method.is_safe() && !self.methods.contains(method) {
            return false;
        }
        match self.sticky.as_ref().and_then(|sticky| sticky.value_or_assigned(request, seed)) {
            Some(value) => self.share.has(hash(SALT, &value)),
            // Not the bits that choose a target.
            None => self.share.has((seed >> 48) as u64),
        }
    }

    /// Returns this mirror with the rules of comparison of another one, if there is one: `compare` as a whole.
    #[must_use]
    pub fn comparing_like(&self, other: Option<&Mirror>) -> Mirror {
        let Some(other) = other else { return self.clone() };
        let Mirror { backend, share, backend_request, budget, .. } = *self;
        let Mirror { sticky, methods, transforms, request_fields, credentials, .. } = self.clone();
        Mirror {
            backend,
            share,
            sticky,
            methods,
            transforms,
            request_fields,
            credentials,
            backend_request,
            budget,
            ..other.clone()
        }
    }

    /// Returns `true` if the request is sent to the primary again, whatever the mirror responds.
    #[must_use]
    pub fn compares_itself(&self, method: &Method, seed: u128) -> bool {
        method.is_safe() && self.noise.self_compare.has((seed >> 32) as u64)
    }

    /// Returns `true` if a request whose responses differ may be repeated. It must have a safe method.
    #[must_use]
    pub fn repeats(&self, seed: u128) -> bool {
        self.noise.repeat.has((seed >> 16) as u64)
    }
}

impl Noise {
    /// Nothing is repeated.
    pub const NONE: Noise = Noise { repeat: Share(0), self_compare: Share(0) };
}

impl Default for Noise {
    /// All that differ, and one in a hundred.
    fn default() -> Self {
        Noise { repeat: Share::ALL, self_compare: Share(WHOLE / 100) }
    }
}

impl Share {
    /// 0 %.
    pub const NONE: Share = Share(0);
    /// 100 %.
    pub const ALL: Share = Share(WHOLE);

    /// Returns a share of so many percent; of 100, if there are more.
    #[must_use]
    pub const fn percents(percent: u32) -> Share {
        if percent >= 100 { Share::ALL } else { Share(percent.saturating_mul(1000)) }
    }

    /// Returns the share of one weight in two; 0 % of nothing.
    #[must_use]
    pub fn of(weight: u32, other: u32) -> Share {
        let sum = u64::from(weight).saturating_add(u64::from(other));
        let share = u64::from(weight).saturating_mul(u64::from(WHOLE)).checked_div(sum).unwrap_or_default();
        Share(u32::try_from(share).unwrap_or(WHOLE))
    }

    /// Returns the smallest weights from 0 to 999 of which the second has this share; `None` for a share with more than one
    /// decimal.
    #[must_use]
    pub fn weights(self) -> Option<(u32, u32)> {
        let of = |unit: u32| {
            let parts = (self.0.checked_rem(unit) == Some(0)).then(|| self.0.checked_div(unit))??;
            Some((WHOLE.checked_div(unit)?.checked_sub(parts)?, parts))
        };
        of(1000).or_else(|| of(100))
    }

    /// Parses a percentage from 0 to 100 with at most three decimals.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(decimals) || whole.len() > 3 || decimals.len() > 3 {
            return None;
        }
        let thousandths: u32 = format!("{whole}{decimals:0<3}").parse().ok()?;
        (thousandths <= WHOLE).then_some(Share(thousandths))
    }

    /// Returns `true` for this share of uniformly distributed numbers.
    #[expect(clippy::arithmetic_side_effects, reason = "a product of 64 and 32 bits")]
    #[must_use]
    pub fn has(self, number: u64) -> bool {
        (u128::from(number) * u128::from(WHOLE)) >> 64 < u128::from(self.0)
    }

    /// Returns the number of requests that one of this share stands for. A fraction is rounded up for that share of uniformly
    /// distributed numbers, so that the mean is exact; nothing stands for a share of 0, so that is 1.
    #[must_use]
    pub fn stands_for(self, number: u32) -> u32 {
        let (Some(whole), Some(rest)) = (WHOLE.checked_div(self.0), WHOLE.checked_rem(self.0)) else { return 1 };
        let is_up = u64::from(number).saturating_mul(u64::from(self.0)) >> 32 < u64::from(rest);
        whole.saturating_add(u32::from(is_up))
    }

    /// Returns the part of this share that is not in a smaller one.
    #[must_use]
    pub fn without(self, other: Share) -> Share {
        Share(self.0.saturating_sub(other.0))
    }

    /// Returns the share in percent.
    #[must_use]
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 1000.0
    }

    /// Returns `true` if the share is 0.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::sticky::StickyKey;

    fn mirror(percent: u32, sticky: bool) -> Mirror {
        let sticky = sticky.then(|| Sticky::by(StickyKey::Header(HeaderName::from_static("x-user"))));
        Mirror {
            backend: 1,
            share: Share(percent * 1000),
            sticky,
            methods: Vec::new(),
            transforms: None,
            request_fields: FieldEdits::default(),
            credentials: Credentials::Withheld,
            backend_request: None,
            budget: Duration::from_secs(1),
            compare: None,
            noise: Noise { repeat: Share(50_000), self_compare: Share(2_000) },
        }
    }

    fn takes(mirror: &Mirror, method: &Method, user: Option<u32>, seed: u128) -> bool {
        let headers: HeaderMap = user
            .map(|user| (HeaderName::from_static("x-user"), user.to_string().parse().unwrap()))
            .into_iter()
            .collect();
        let view = RequestView {
            method: method.as_str(),
            host: b"a",
            path: crossfade_rule::normalised(b"/"),
            query: None,
            headers: &headers,
            source_ip: None,
        };
        mirror.takes(method, &view, seed)
    }

    /// Returns a seed as random as the function's.
    fn seed(number: u64) -> u128 {
        u128::from(hash(b"a", &number.to_le_bytes())) << 64 | u128::from(hash(b"b", &number.to_le_bytes()))
    }

    #[test]
    fn all_requests_of_a_user_are_mirrored_and_a_larger_share_only_adds_users() {
        let [ten, half] = [mirror(10, true), mirror(50, true)];
        let taken = |mirror: &Mirror, draw: u64| -> Vec<u32> {
            (0..2000).filter(|user| takes(mirror, &Method::GET, Some(*user), seed(draw))).collect()
        };
        let first = taken(&ten, 1);
        assert!((150..250).contains(&first.len()), "{}", first.len());
        assert_eq!(first, taken(&ten, 2), "whatever the seed is");
        let more = taken(&half, 3);
        assert!((900..1100).contains(&more.len()), "{}", more.len());
        assert!(first.iter().all(|user| more.contains(user)));
        assert_eq!(taken(&mirror(0, true), 1).len() + taken(&mirror(100, true), 1).len(), 2000);
    }

    #[test]
    fn requests_without_a_user_are_mirrored_at_random() {
        let taken = |percent, sticky| {
            (0..10_000).filter(|draw| takes(&mirror(percent, sticky), &Method::GET, None, seed(*draw))).count()
        };
        for sticky in [true, false] {
            assert!((1800..2200).contains(&taken(20, sticky)));
            assert_eq!((taken(0, sticky), taken(100, sticky)), (0, 10_000));
        }
    }

    #[test]
    fn only_safe_methods_are_copied_unless_named() {
        let mut mirror = mirror(100, false);
        let taken = |mirror: &Mirror| {
            [Method::GET, Method::HEAD, Method::OPTIONS, Method::POST, Method::PUT, Method::DELETE]
                .map(|method| takes(mirror, &method, None, 7))
        };
        assert_eq!(taken(&mirror), [true, true, true, false, false, false]);
        mirror.methods = vec![Method::POST];
        assert_eq!(taken(&mirror), [true, true, true, true, false, false]);
        assert!(!mirror.compares_itself(&Method::POST, 0), "a write is not repeated to learn about noise");
        assert!(mirror.compares_itself(&Method::GET, 0));
    }

    #[test]
    fn mirroring_is_independent_of_target_choice_and_repeats() {
        let (mirror, draws) = (mirror(50, false), 20_000);
        let both =
            (0..draws).filter(|draw| takes(&mirror, &Method::GET, None, seed(*draw)) && seed(*draw).is_multiple_of(2));
        assert!((4_700..5_300).contains(&both.count()));
        let both = (0..draws).filter(|draw| {
            takes(&mirror, &Method::GET, None, seed(*draw)) && mirror.compares_itself(&Method::GET, seed(*draw))
        });
        assert!((150..250).contains(&both.count()));
        let both =
            (0..draws).filter(|draw| takes(&mirror, &Method::GET, None, seed(*draw)) && mirror.repeats(seed(*draw)));
        assert!((4_700..5_300).contains(&both.count()));
    }

    #[test]
    fn one_of_a_share_stands_for_the_rest_on_average() {
        for (percent, mean) in [("100", 1.0), ("10", 10.0), ("30", 100.0 / 30.0), ("70", 100.0 / 70.0), ("0.001", 1e5)]
        {
            let share = Share::parse(percent).unwrap();
            let sum: u64 = (0..10_000_u32).map(|number| u64::from(share.stands_for(number * 429_496))).sum();
            assert!((sum as f64 / 10_000.0 - mean).abs() < mean / 1000.0, "{percent}: {sum}");
        }
        assert_eq!(Share::NONE.stands_for(7), 1);
    }
}
