//! Chooses the target of a request: by opt-in, by the user's pin or hash, or by weight. Owns those decisions and the
//! cookies that remember them. Randomness is an argument. Reads no configuration.

use std::borrow::Cow;
use std::collections::HashMap;

use crossfade_rule::RequestView;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::value::RawValue;

use crate::table::{Forward, Target};

/// `Max-Age` of an assigned cookie: 400 days, the longest that browsers keep (RFC 6265bis).
const ASSIGNED_MAX_AGE: u64 = 400 * 24 * 60 * 60;
/// Length in bytes of the longest token that is parsed.
const MAX_TOKEN: usize = 16 * 1024;
/// Fractional bits of a logarithm.
const FRACTION_BITS: u32 = 48;

/// `sticky` of a `forward`.
#[derive(Clone, Debug)]
pub struct Sticky {
    /// Identifies users.
    pub(crate) by: StickyKey,
    /// Pinned values: indices into the targets of the forward, whatever their weight.
    pub(crate) pins: HashMap<Box<[u8]>, usize>,
    /// Target of requests without a value; `None` chooses by weight. No effect with `assigned`.
    pub(crate) otherwise: Option<usize>,
}

/// The part of a request that identifies its user. An empty value counts as absent.
#[derive(Clone, Debug)]
pub(crate) enum StickyKey {
    /// The first cookie of this name that is not empty.
    Cookie(Box<[u8]>),
    /// The first field of this name.
    Header(HeaderName),
    /// The first pair of the query with this key, not decoded.
    Query(Box<[u8]>),
    /// The client's address.
    Ip,
    /// A claim of a JWT: a string or a number at the top level.
    JwtClaim {
        /// Its name.
        claim: String,
        /// Location of the token.
        from: JwtSource,
    },
    /// A random ID in a cookie that Crossfade sets.
    Assigned {
        /// The cookie's name.
        cookie: String,
    },
}

/// The part of a request that holds its JWT.
#[derive(Clone, Debug)]
pub(crate) enum JwtSource {
    /// `Authorization: Bearer <token>`.
    Authorization,
    /// The first field of this name, whose value is the token alone.
    Header(HeaderName),
    /// The first cookie of this name that is not empty.
    Cookie(Box<[u8]>),
}

/// `optIn` of a `forward`: a request names its target itself, whatever the target's weight. The query precedes the
/// header, the header precedes the cookie. Values that name no target are ignored.
#[derive(Clone, Debug)]
pub struct OptIn {
    /// A key of the query; its first pair counts, not decoded.
    pub(crate) query: Option<Box<[u8]>>,
    /// A field; the first of this name counts.
    pub(crate) header: Option<HeaderName>,
    /// Name of the cookie that remembers the opt-in.
    pub(crate) cookie: String,
    /// `Max-Age` of that cookie in seconds.
    pub(crate) max_age: u64,
}

/// The target of a request, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Index into the targets of the forward.
    pub target: usize,
    /// Reason for the choice.
    pub reason: Reason,
    /// `Set-Cookie` for the client.
    pub set_cookie: Option<HeaderValue>,
}

/// A reason for the choice of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is the only target.
    Only,
    /// Random choice by weight.
    Weight,
    /// Hash of the user's value, by weight.
    Hash,
    /// The user's value is pinned.
    Pin,
    /// The request named it.
    OptIn,
    /// The request has no value.
    Otherwise,
    /// Hash of a new ID, which the client gets as a cookie.
    Assigned,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 7] =
        [Self::Only, Self::Weight, Self::Hash, Self::Pin, Self::OptIn, Self::Otherwise, Self::Assigned];

    /// Returns the word for logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Only => "only",
            Self::Weight => "weight",
            Self::Hash => "hash",
            Self::Pin => "pin",
            Self::OptIn => "opt-in",
            Self::Otherwise => "otherwise",
            Self::Assigned => "assigned",
        }
    }
}

impl Forward {
    /// Returns the target that every request gets; `None` if there are several.
    #[must_use]
    pub fn only_target(&self) -> Option<&Target> {
        let mut used = self.targets.iter().enumerate().filter(|(_, target)| target.weight > 0);
        let ((index, target), None) = (used.next()?, used.next()) else { return None };
        let is_it = |other: &usize| *other == index;
        let has_others = self.sticky.as_ref().is_some_and(|sticky| {
            !sticky.pins.values().all(is_it) || sticky.otherwise.as_ref().is_some_and(|other| !is_it(other))
        });
        // Even the only target's opt-in sets a cookie, which a load balancer does not.
        (self.opt_in.is_none() && !has_others).then_some(target)
    }

    /// Chooses the target for a request. `seed` must be random where the choice is to be random.
    #[must_use]
    pub fn choose(&self, request: &RequestView<'_>, is_https: bool, seed: u128) -> Choice {
        let Some(opt_in) = &self.opt_in else { return self.assign(request, is_https, seed) };
        match opt_in.state(request, &self.targets) {
            OptInState::Requested { target, name } => {
                let set_cookie = set_cookie(&opt_in.cookie, name, opt_in.max_age, is_https);
                Choice { target, reason: Reason::OptIn, set_cookie }
            }
            OptInState::Remembered { target } => Choice { target, reason: Reason::OptIn, set_cookie: None },
            // Only one cookie can be set. This one takes precedence: an assigned ID can wait for the next request, a
            // user who opts out cannot.
            OptInState::Revoked => Choice {
                set_cookie: set_cookie(&opt_in.cookie, "", 0, is_https),
                ..self.assign(request, is_https, seed)
            },
            OptInState::None => self.assign(request, is_https, seed),
        }
    }

    /// Chooses the target of a request without opt-in.
    fn assign(&self, request: &RequestView<'_>, is_https: bool, seed: u128) -> Choice {
        let choice = |target, reason| Choice { target, reason, set_cookie: None };
        if self.targets.len() == 1 {
            return choice(0, Reason::Only);
        }
        let Some(sticky) = &self.sticky else { return choice(self.by_weight(seed), Reason::Weight) };
        if let Some(value) = sticky.value(request) {
            return match sticky.pins.get(&*value) {
                Some(&target) => choice(target, Reason::Pin),
                None => choice(self.by_hash(&value), Reason::Hash),
            };
        }
        match (&sticky.by, sticky.otherwise) {
            (StickyKey::Assigned { cookie }, _) => {
                let id = assigned_id(seed);
                let set_cookie = set_cookie(cookie, &id, ASSIGNED_MAX_AGE, is_https);
                Choice { set_cookie, ..choice(self.by_hash(id.as_bytes()), Reason::Assigned) }
            }
            (_, Some(target)) => choice(target, Reason::Otherwise),
            (_, None) => choice(self.by_weight(seed), Reason::Weight),
        }
    }

    /// Returns the index of a target, in proportion to its weight if seeds are uniform.
    fn by_weight(&self, seed: u128) -> usize {
        let total: u64 = self.targets.iter().map(|target| u64::from(target.weight)).sum();
        let mut left = (seed as u64).checked_rem(total).unwrap_or_default();
        let hit = self.targets.iter().position(|target| match left.checked_sub(target.weight.into()) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        });
        hit.unwrap_or_default()
    }

    /// Returns the index of a value's target, by weighted rendezvous hashing: each target draws a number u in (0, 1)
    /// from its name and the value, and the greatest `weight / -log2(u)` wins. A target whose weight increases can only
    /// gain users, one whose weight decreases can only lose them: no user moves between two targets that did not
    /// change.
    ///
    /// Only the targets' names are hashed, so that all routes with the same targets agree on a user. Only integers are
    /// used, so that all machines agree.
    #[expect(clippy::arithmetic_side_effects, reason = "products of 32 and 64 bits")]
    fn by_hash(&self, value: &[u8]) -> usize {
        let scores = self.targets.iter().enumerate().map(|(index, target)| {
            (index, u128::from(target.weight), u128::from(minus_log2(hash(target.name.as_bytes(), value))))
        });
        // Compares fractions without a division. Weight 0 gives score 0, which never wins.
        let best = scores.reduce(|best, next| if next.1 * best.2 > best.1 * next.2 { next } else { best });
        best.map_or(0, |(index, ..)| index)
    }
}

impl Sticky {
    /// Describes the source of the value as in the configuration: `cookie customer_id`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.by {
            StickyKey::Cookie(name) => format!("cookie {}", String::from_utf8_lossy(name)),
            StickyKey::Header(name) => format!("header {name}"),
            StickyKey::Query(key) => format!("query {}", String::from_utf8_lossy(key)),
            StickyKey::Ip => "ip".to_owned(),
            StickyKey::JwtClaim { claim, .. } => format!("jwtClaim {claim}"),
            StickyKey::Assigned { cookie } => format!("assigned cookie {cookie}"),
        }
    }

    /// Returns the number of pinned values.
    #[must_use]
    pub fn pinned(&self) -> usize {
        self.pins.len()
    }

    /// Returns the target of requests without a value, as an index into the targets of the forward; `None` if it is chosen by
    /// weight.
    #[must_use]
    pub fn otherwise(&self) -> Option<usize> {
        self.otherwise
    }

    /// Returns a `Sticky` without pins.
    pub(crate) fn by(by: StickyKey) -> Self {
        Sticky { by, pins: HashMap::new(), otherwise: None }
    }

    /// Returns [`Sticky::value`], or for a new user the ID that [`Forward::choose`] assigns with this seed.
    pub(crate) fn value_or_assigned<'a>(&self, request: &RequestView<'a>, seed: u128) -> Option<Cow<'a, [u8]>> {
        self.value(request).or_else(|| match self.by {
            StickyKey::Assigned { .. } => Some(assigned_id(seed).into_bytes().into()),
            _ => None,
        })
    }

    /// Returns the value that identifies the user of a request; never empty.
    fn value<'a>(&self, request: &RequestView<'a>) -> Option<Cow<'a, [u8]>> {
        let value: Cow<'a, [u8]> = match &self.by {
            StickyKey::Cookie(name) => cookie(request, name)?.into(),
            StickyKey::Header(name) => field(request, name)?.into(),
            StickyKey::Query(key) => query(request, key)?.into(),
            // A dual-stack socket shows IPv4 peers as `::ffff:a.b.c.d`.
            StickyKey::Ip => request.source_ip?.to_canonical().to_string().into_bytes().into(),
            StickyKey::JwtClaim { claim, from } => jwt_claim(from.token(request)?, claim)?.into_bytes().into(),
            StickyKey::Assigned { cookie: name } => cookie(request, name.as_bytes())?.into(),
        };
        (!value.is_empty()).then_some(value)
    }
}

impl JwtSource {
    fn token<'a>(&self, request: &RequestView<'a>) -> Option<&'a [u8]> {
        match self {
            Self::Authorization => {
                let (scheme, token) = field(request, &AUTHORIZATION)?.split_at_checked("Bearer ".len())?;
                scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
            }
            Self::Header(name) => field(request, name),
            Self::Cookie(name) => cookie(request, name),
        }
    }
}

/// The opt-in of a request.
enum OptInState<'a> {
    /// Named in this request's query or header.
    Requested { target: usize, name: &'a str },
    /// Named earlier: the request has the cookie.
    Remembered { target: usize },
    /// The request clears an earlier opt-in.
    Revoked,
    /// There is no opt-in.
    None,
}

impl OptIn {
    fn state<'a>(&self, request: &RequestView<'_>, targets: &'a [Target]) -> OptInState<'a> {
        let named = |value: &[u8]| targets.iter().enumerate().find(|(_, target)| target.name.as_bytes() == value);
        let in_query = self.query.as_deref().and_then(|key| query(request, key));
        let in_field = self.header.as_ref().and_then(|name| field(request, name));
        for value in [in_query, in_field].into_iter().flatten() {
            if value.is_empty() {
                return OptInState::Revoked;
            }
            if let Some((target, Target { name, .. })) = named(value) {
                return OptInState::Requested { target, name };
            }
        }
        let remembered = cookies(request, self.cookie.as_bytes()).find_map(named);
        remembered.map_or(OptInState::None, |(target, _)| OptInState::Remembered { target })
    }
}

/// Returns the values of all cookies of a name.
fn cookies<'a>(request: &RequestView<'a>, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    request.cookies().filter(move |(sent, _)| *sent == name).map(|(_, value)| value)
}

/// Returns the first cookie of a name that is not empty.
fn cookie<'a>(request: &RequestView<'a>, name: &[u8]) -> Option<&'a [u8]> {
    cookies(request, name).find(|value| !value.is_empty())
}

/// Returns the first field of a name.
fn field<'a>(request: &RequestView<'a>, name: &HeaderName) -> Option<&'a [u8]> {
    request.headers.get(name).map(|value| value.as_bytes().trim_ascii())
}

/// Returns the first pair of the query with a key.
fn query<'a>(request: &RequestView<'a>, key: &[u8]) -> Option<&'a [u8]> {
    request.query_pairs().find(|(sent, _)| *sent == key).map(|(_, value)| value)
}

/// Returns the ID of a new user.
fn assigned_id(seed: u128) -> String {
    format!("{seed:032x}")
}

/// Returns a cookie for the whole site, invisible to scripts; `None` if a name is not valid in a field.
fn set_cookie(name: &str, value: &str, max_age: u64, is_https: bool) -> Option<HeaderValue> {
    let secure = if is_https { "; Secure" } else { "" };
    HeaderValue::try_from(format!("{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}")).ok()
}

/// Returns a claim of a JWT: a string, or a number as it is written.
///
/// The signature is not verified, which is up to the back ends. A forged token only reaches the other system of the
/// migration.
fn jwt_claim(token: &[u8], claim: &str) -> Option<String> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let mut payload = token.split(|byte| *byte == b'.').nth(1)?;
    // There should be no padding (RFC 7515 section 2), but ALB pads the tokens that it creates.
    while let Some(unpadded) = payload.strip_suffix(b"=") {
        payload = unpadded;
    }
    let payload = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(payload).ok()?;
    // Raw, since a number converted to a float would change.
    let claims: HashMap<String, &RawValue> = serde_json::from_slice(&payload).ok()?;
    let value = claims.get(claim)?.get();
    match value.as_bytes().first()? {
        b'"' => serde_json::from_str(value).ok(),
        b'-' | b'0'..=b'9' => Some(value.to_owned()),
        _ => None,
    }
}

/// FNV-1a of a name and a value, mixed by the finaliser of MurmurHash3.
pub(crate) fn hash(name: &[u8], value: &[u8]) -> u64 {
    // Names are UTF-8 and cannot contain 0xFF, so the boundary between name and value is unambiguous.
    let bytes = name.iter().chain(&[0xFF]).chain(value);
    let mut hash =
        bytes.fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3));
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    hash ^ (hash >> 33)
}

/// Returns `-log2(u)` for u = `(hash | 1) / 2^64`, which is neither 0 nor 1, with [`FRACTION_BITS`]; never 0.
#[expect(clippy::arithmetic_side_effects, reason = "a product of 64 and 64 bits; the fraction is below its whole")]
fn minus_log2(hash: u64) -> u64 {
    let number = hash | 1;
    let zeros = number.leading_zeros();
    // From 1 to below 2, with 63 fractional bits. Each squaring doubles the logarithm and so yields one more bit.
    let mut mantissa = number << zeros;
    let mut fraction = 0;
    for _ in 0..FRACTION_BITS {
        let square = (u128::from(mantissa) * u128::from(mantissa)) >> 63;
        let bit = (square >> 64) as u64;
        mantissa = (square >> bit) as u64;
        fraction = (fraction << 1) | bit;
    }
    // log2(number) is 63 - zeros + fraction.
    (u64::from(zeros + 1) << FRACTION_BITS) - fraction
}

#[cfg(test)]
mod tests;
