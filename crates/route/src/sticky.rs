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
mod tests {
    use std::collections::BTreeMap;
    use std::net::IpAddr;

    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;
    use crate::transform::Transforms;

    fn forward(targets: &[(&str, u32)]) -> Forward {
        let target = |(backend, &(name, weight)): (usize, &(&str, u32))| Target {
            backend,
            name: name.to_owned(),
            weight,
            transforms: Transforms::default(),
        };
        Forward {
            targets: targets.iter().enumerate().map(target).collect(),
            sticky: None,
            opt_in: None,
            failover: None,
        }
    }

    /// All traffic to `legacy`.
    fn migration() -> Forward {
        forward(&[("legacy", 1), ("modern", 0)])
    }

    fn sticky(by: StickyKey) -> Sticky {
        Sticky { by, pins: HashMap::new(), otherwise: None }
    }

    fn by_header() -> StickyKey {
        StickyKey::Header(HeaderName::from_static("x-user"))
    }

    fn by_claim(from: JwtSource) -> StickyKey {
        StickyKey::JwtClaim { claim: "sub".to_owned(), from }
    }

    fn with_opt_in(forward: Forward) -> Forward {
        let opt_in = OptIn {
            query: Some(b"side".as_slice().into()),
            header: Some(HeaderName::from_static("x-side")),
            cookie: "side".to_owned(),
            max_age: 3600,
        };
        Forward { opt_in: Some(opt_in), ..forward }
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn request<'a>(query: &'a str, headers: &'a HeaderMap) -> RequestView<'a> {
        let query = Some(query.as_bytes());
        RequestView { method: "GET", host: b"a.example", path: b"/", query, headers, source_ip: None }
    }

    /// Returns target, reason and cookie over https.
    fn chosen(forward: &Forward, query: &str, lines: &[(&'static str, &str)]) -> (usize, &'static str, Option<String>) {
        let Choice { target, reason, set_cookie } = forward.choose(&request(query, &headers(lines)), true, 0);
        (target, reason.as_str(), set_cookie.map(|value| value.to_str().unwrap().to_owned()))
    }

    fn value(by: StickyKey, query: &str, lines: &[(&'static str, &str)]) -> Option<String> {
        let headers = headers(lines);
        let value = sticky(by).value(&request(query, &headers))?;
        Some(String::from_utf8(value.into_owned()).unwrap())
    }

    fn token(payload: &str) -> String {
        format!("e30.{}.c2ln", base64_simd::URL_SAFE_NO_PAD.encode_to_string(payload))
    }

    fn claim(payload: &str) -> Option<String> {
        jwt_claim(token(payload).as_bytes(), "sub")
    }

    fn users() -> impl Iterator<Item = String> {
        (0..2000).map(|user| format!("user-{user}"))
    }

    // --- opt-in

    const REMEMBER_MODERN: &str = "side=modern; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure";
    const FORGET: &str = "side=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure";

    #[test]
    fn a_request_opts_in_by_query_or_header_and_is_remembered() {
        let forward = with_opt_in(migration());
        let remembered = (1, "opt-in", Some(REMEMBER_MODERN.to_owned()));
        assert_eq!(chosen(&forward, "a=b&side=modern", &[]), remembered);
        assert_eq!(chosen(&forward, "", &[("x-side", " modern ")]), remembered);
        assert_eq!(chosen(&forward, "", &[("cookie", "a=b; side=modern")]), (1, "opt-in", None));
    }

    #[test]
    fn the_query_precedes_the_header_and_the_header_the_cookie() {
        let forward = with_opt_in(migration());
        assert_eq!(chosen(&forward, "side=modern", &[("x-side", "legacy"), ("cookie", "side=legacy")]).0, 1);
        assert_eq!(chosen(&forward, "", &[("x-side", "modern"), ("cookie", "side=legacy")]).0, 1);
    }

    #[test]
    fn an_unknown_opt_in_value_leaves_the_decision_to_the_next() {
        let forward = with_opt_in(migration());
        assert_eq!(chosen(&forward, "side=old", &[("x-side", "modern")]).0, 1);
        assert_eq!(chosen(&forward, "side=old", &[("x-side", "")]).2.as_deref(), Some(FORGET));
        assert_eq!(chosen(&forward, "side=old", &[("x-side", "old"), ("cookie", "side=modern")]), (1, "opt-in", None));
        assert_eq!(chosen(&forward, "", &[("cookie", "side=old; side=modern")]), (1, "opt-in", None));
        assert_eq!(chosen(&forward, "side=old", &[("cookie", "side=; side=old")]), (0, "weight", None));
    }

    #[test]
    fn an_empty_opt_in_deletes_the_cookie_and_is_ignored() {
        let forward = with_opt_in(migration());
        let forgotten = (0, "weight", Some(FORGET.to_owned()));
        assert_eq!(chosen(&forward, "side=", &[("x-side", "modern"), ("cookie", "side=modern")]), forgotten);
        assert_eq!(chosen(&forward, "side", &[("cookie", "side=modern")]), forgotten);
        assert_eq!(chosen(&forward, "", &[("x-side", ""), ("cookie", "side=modern")]), forgotten);

        let sticky = sticky(StickyKey::Assigned { cookie: "crossfade".to_owned() });
        let forward = Forward { sticky: Some(sticky), ..forward };
        assert_eq!(chosen(&forward, "side=", &[]), (0, "assigned", Some(FORGET.to_owned())));
    }

    #[test]
    fn opt_in_values_are_compared_as_sent_and_only_the_first_counts() {
        let forward = with_opt_in(migration());
        for query in
            ["Side=modern", "side=Modern", "side=mod%65rn", "s%69de=modern", "side=modern2", "side=old&side=modern"]
        {
            assert_eq!(chosen(&forward, query, &[]), (0, "weight", None), "{query}");
        }
        assert_eq!(chosen(&forward, "", &[("x-side", "old"), ("x-side", "modern")]).1, "weight");
        assert_eq!(chosen(&forward, "", &[("cookie", "Side=modern")]).1, "weight");
    }

    #[test]
    fn only_configured_sources_opt_in() {
        let mut forward = with_opt_in(migration());
        let everywhere = [("x-side", "modern"), ("cookie", "side=modern")];
        forward.opt_in.as_mut().unwrap().query = None;
        assert_eq!(chosen(&forward, "side=", &everywhere).2.as_deref(), Some(REMEMBER_MODERN));
        forward.opt_in.as_mut().unwrap().header = None;
        assert_eq!(chosen(&forward, "side=", &everywhere), (1, "opt-in", None));
        forward.opt_in = None;
        assert_eq!(chosen(&forward, "side=modern", &everywhere), (0, "weight", None));
    }

    #[test]
    fn a_wish_goes_before_a_pin() {
        let mut sticky = sticky(by_header());
        sticky.pins.insert(b"ann".as_slice().into(), 0);
        let forward = with_opt_in(Forward { sticky: Some(sticky), ..migration() });
        assert_eq!(chosen(&forward, "side=modern", &[("x-user", "ann")]).0, 1);
        assert_eq!(chosen(&forward, "", &[("x-user", "ann")]), (0, "pin", None));
    }

    #[test]
    fn cookies_are_secure_only_over_https() {
        let forward = with_opt_in(migration());
        let set_cookie = |query| forward.choose(&request(query, &HeaderMap::new()), false, 0).set_cookie.unwrap();
        assert_eq!(set_cookie("side=modern"), "side=modern; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax");
        assert_eq!(set_cookie("side="), "side=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }

    // --- Only, pins, otherwise

    #[test]
    fn a_single_target_gets_every_user() {
        let sticky = sticky(StickyKey::Assigned { cookie: "crossfade".to_owned() });
        let forward = Forward { sticky: Some(sticky), ..forward(&[("legacy", 1)]) };
        assert_eq!(chosen(&forward, "", &[]), (0, "only", None));
        assert_eq!(chosen(&forward, "", &[("cookie", "crossfade=1")]), (0, "only", None));
        assert_eq!(chosen(&with_opt_in(forward), "side=", &[]), (0, "only", Some(FORGET.to_owned())));
    }

    #[test]
    fn a_pin_goes_before_the_hash_and_reaches_a_target_without_weight() {
        let mut sticky = sticky(by_header());
        sticky.pins.insert(b"ann".as_slice().into(), 1);
        let forward = Forward { sticky: Some(sticky), ..migration() };
        assert_eq!(chosen(&forward, "", &[("x-user", "ann")]), (1, "pin", None));
        assert_eq!(chosen(&forward, "", &[("x-user", "bob")]), (0, "hash", None));
    }

    #[test]
    fn a_request_without_a_value_uses_otherwise_or_weight() {
        let mut forward = Forward { sticky: Some(sticky(by_header())), ..migration() };
        assert_eq!(chosen(&forward, "", &[]), (0, "weight", None));
        forward.sticky.as_mut().unwrap().otherwise = Some(1);
        assert_eq!(chosen(&forward, "", &[]), (1, "otherwise", None));
        assert_eq!(chosen(&forward, "", &[("x-user", " ")]), (1, "otherwise", None));
        assert_eq!(chosen(&forward, "", &[("x-user", "ann")]), (0, "hash", None));
    }

    // --- Values

    #[test]
    fn the_first_cookie_that_is_not_empty_counts() {
        let by = || StickyKey::Cookie(b"user".as_slice().into());
        let lines = [("cookie", "User=a; user=; xuser=b"), ("cookie", "user=c; user=d")];
        assert_eq!(value(by(), "", &lines).as_deref(), Some("c"));
        assert_eq!(value(by(), "", &[("cookie", "user=; user")]), None);
    }

    #[test]
    fn the_first_field_and_the_first_pair_count() {
        assert_eq!(value(by_header(), "", &[("x-user", " ann "), ("x-user", "bob")]).as_deref(), Some("ann"));
        assert_eq!(value(by_header(), "", &[("x-user", ""), ("x-user", "bob")]), None);
        let by = || StickyKey::Query(b"u".as_slice().into());
        assert_eq!(value(by(), "U=1&u=a%20b&u=2", &[]).as_deref(), Some("a%20b"));
        assert_eq!(value(by(), "u=&u=2", &[]), None);
        assert_eq!(value(by(), "U=1", &[]), None);
    }

    #[test]
    fn an_address_is_the_same_in_both_notations() {
        let headers = HeaderMap::new();
        let value = |source_ip: Option<IpAddr>| {
            let value = sticky(StickyKey::Ip).value(&RequestView { source_ip, ..request("", &headers) })?;
            Some(String::from_utf8(value.into_owned()).unwrap())
        };
        assert_eq!(value("192.0.2.1".parse().ok()).as_deref(), Some("192.0.2.1"));
        assert_eq!(value("::ffff:192.0.2.1".parse().ok()).as_deref(), Some("192.0.2.1"));
        assert_eq!(value("2001:DB8:0::1".parse().ok()).as_deref(), Some("2001:db8::1"));
        assert_eq!(value(None), None);
    }

    #[test]
    fn a_claim_is_a_string_or_a_number_at_the_top() {
        assert_eq!(claim(r#"{"sub":"ann","a":[{}]}"#).as_deref(), Some("ann"));
        assert_eq!(claim(r#"{"s\u0075b":"z\u006f\u00eb\n"}"#).as_deref(), Some("zoë\n"));
        assert_eq!(claim(r#"{"sub": 42 }"#).as_deref(), Some("42"));
        assert_eq!(claim(r#"{"sub":-1.50e3}"#).as_deref(), Some("-1.50e3"));
        assert_eq!(
            claim(r#"{"sub":123456789012345678901234567890}"#).as_deref(),
            Some("123456789012345678901234567890")
        );
        let deep = format!(r#"{{"a":{}{},"sub":"ann"}}"#, "[".repeat(5000), "]".repeat(5000));
        assert_eq!(claim(&deep).as_deref(), Some("ann"));
        for payload in [
            r#"{"a":{"sub":"ann"}}"#,
            r#"{"sub":null}"#,
            r#"{"sub":true}"#,
            r#"{"sub":["ann"]}"#,
            r#"{"sub":{"sub":"ann"}}"#,
            r#"{"sub":"\ud800"}"#,
            r#"{"sub":01}"#,
            r#"{"sub":"ann""#,
            r#"{"sub":"ann"} x"#,
            r#"["sub","ann"]"#,
            "",
        ] {
            assert_eq!(claim(payload), None, "{payload}");
        }
    }

    #[test]
    fn a_token_may_be_padded_but_not_huge() {
        // Lengths of all remainders, and bytes whose base64url differs from base64.
        for user in ["ÿ~", "ÿ~~", "ÿ~~~", "ÿ~~~~"] {
            let payload = base64_simd::URL_SAFE.encode_to_string(format!(r#"{{"sub":"{user}"}}"#));
            assert_eq!(jwt_claim(format!("e30=.{payload}.c2ln").as_bytes(), "sub").as_deref(), Some(user));
        }
        let long = |length: usize| token(&format!(r#"{{"sub":"ann","a":"{}"}}"#, "a".repeat(length)));
        let (fits, huge) = (long(12_000), long(12_500));
        assert!(fits.len() <= MAX_TOKEN && huge.len() > MAX_TOKEN);
        assert_eq!(jwt_claim(fits.as_bytes(), "sub").as_deref(), Some("ann"));
        assert_eq!(jwt_claim(huge.as_bytes(), "sub"), None);
    }

    #[test]
    fn a_token_without_a_payload_has_no_claim() {
        for token in ["", ".", "..", "e30", "e30.", "e30.!.c2ln", "e30.e.c2ln", "e30.=.c2ln", "eyJzdWIiOiJhbm4ifQ"] {
            assert_eq!(jwt_claim(token.as_bytes(), "sub"), None, "{token}");
        }
        assert_eq!(jwt_claim(&[b'.', 0xFF, b'.'], "sub"), None);
        let not_utf8 = base64_simd::URL_SAFE_NO_PAD.encode_to_string(b"{\"sub\":\"\xFF\"}");
        assert_eq!(jwt_claim(format!("e30.{not_utf8}.").as_bytes(), "sub"), None);
    }

    #[test]
    fn a_token_is_found_where_the_configuration_says() {
        let token = token(r#"{"sub":"ann"}"#);
        let found = |from, name, text: String| value(by_claim(from), "", &[(name, &text)]).as_deref() == Some("ann");
        for scheme in ["Bearer", "bearer", "BEARER", "Bearer  "] {
            assert!(found(JwtSource::Authorization, "authorization", format!("{scheme} {token}")), "{scheme}");
        }
        for scheme in ["", "Basic ", "Bearer", "Bearerx "] {
            assert!(!found(JwtSource::Authorization, "authorization", format!("{scheme}{token}")), "{scheme}");
        }
        assert!(!found(JwtSource::Authorization, "authorization", "Bearer".to_owned()));
        let header = || JwtSource::Header(HeaderName::from_static("x-amzn-oidc-data"));
        assert!(found(header(), "x-amzn-oidc-data", token.clone()));
        assert!(!found(header(), "authorization", format!("Bearer {token}")));
        let cookie = || JwtSource::Cookie(b"session".as_slice().into());
        assert!(found(cookie(), "cookie", format!("session=; session={token}")));
        assert!(!found(cookie(), "cookie", format!("other={token}")));
    }

    #[test]
    fn a_claim_identifies_the_user_and_garbage_does_not() {
        let mut sticky = sticky(by_claim(JwtSource::Authorization));
        sticky.pins.insert(b"42".as_slice().into(), 1);
        let forward = Forward { sticky: Some(sticky), ..migration() };
        let bearer = |payload| format!("Bearer {}", token(payload));
        assert_eq!(chosen(&forward, "", &[("authorization", &bearer(r#"{"sub":42}"#))]), (1, "pin", None));
        assert_eq!(chosen(&forward, "", &[("authorization", &bearer(r#"{"sub":"ann"}"#))]), (0, "hash", None));
        assert_eq!(chosen(&forward, "", &[("authorization", &bearer(r#"{"sub":""}"#))]), (0, "weight", None));
        assert_eq!(chosen(&forward, "", &[("authorization", "Bearer garbage")]), (0, "weight", None));
    }

    // --- Assigned

    #[test]
    fn a_new_client_gets_an_id_that_leads_to_the_same_target() {
        let sticky = Sticky { otherwise: Some(0), ..sticky(StickyKey::Assigned { cookie: "crossfade".to_owned() }) };
        let forward = Forward { sticky: Some(sticky), ..forward(&[("legacy", 50), ("modern", 50)]) };
        let nobody = HeaderMap::new();
        let mut met = [0, 0];
        for seed in 0..200 {
            let seed = seed << 120 | 0xAB;
            let first = forward.choose(&request("", &nobody), true, seed);
            let id = format!("{seed:0>32x}");
            let cookie = format!("crossfade={id}; Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax; Secure");
            assert_eq!(
                (first.reason, first.set_cookie.unwrap()),
                (Reason::Assigned, HeaderValue::try_from(cookie).unwrap())
            );
            let again = chosen(&forward, "", &[("cookie", &format!("crossfade={id}"))]);
            assert_eq!(again, (first.target, "hash", None));
            met[first.target] += 1;
        }
        assert!(met.iter().all(|count| *count > 60), "{met:?}");

        let plain = forward.choose(&request("", &nobody), false, 0xAB).set_cookie.unwrap();
        let text = "crossfade=000000000000000000000000000000ab; Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax";
        assert_eq!(plain, text);
    }

    #[test]
    fn an_assigned_id_can_be_pinned_and_an_empty_one_is_replaced() {
        let mut sticky = sticky(StickyKey::Assigned { cookie: "crossfade".to_owned() });
        sticky.pins.insert(b"me".as_slice().into(), 1);
        let forward = Forward { sticky: Some(sticky), ..migration() };
        assert_eq!(chosen(&forward, "", &[("cookie", "crossfade=me")]), (1, "pin", None));
        assert_eq!(chosen(&forward, "", &[("cookie", "crossfade=")]).1, "assigned");
    }

    // --- Weight and hash

    #[test]
    fn seeds_are_distributed_exactly_by_weight() {
        let forward = forward(&[("a", 0), ("b", 3), ("c", 0), ("d", 7)]);
        let mut met = [0; 4];
        for seed in 0..1000 {
            met[forward.by_weight(seed)] += 1;
        }
        assert_eq!(met, [0, 300, 0, 700]);
        assert_eq!(forward.choose(&request("", &HeaderMap::new()), true, 3).target, 3);
        assert!(forward.by_weight(u128::MAX) < 4);
    }

    #[test]
    fn users_keep_their_target_in_every_version() {
        // These must never change: users would switch systems in the middle of a migration. They come from a second
        // implementation with 200 bits of precision; the customers are the closest decisions among the first 3000.
        for (user, at_90_10, at_50_50) in [
            ("42", "modern", "modern"),
            ("alice", "legacy", "modern"),
            ("judy", "modern", "modern"),
            ("zoë", "legacy", "modern"),
            ("user@example.com", "legacy", "modern"),
            ("78@example.com", "modern", "modern"),
            ("6f1c2a52-8d0e-4b57-9c39-2f5d7a1e0b44", "legacy", "legacy"),
            ("00000000000000000000000000000001", "legacy", "modern"),
            ("203.0.113.7", "legacy", "modern"),
            ("2001:db8::1", "legacy", "legacy"),
            ("customer-2343", "modern", "modern"),
            ("customer-1593", "legacy", "legacy"),
            ("customer-277", "legacy", "legacy"),
            ("customer-1232", "legacy", "modern"),
            ("customer-1571", "legacy", "modern"),
        ] {
            let sides = [[90, 10], [50, 50]].map(|[legacy, modern]| {
                let forward = forward(&[("legacy", legacy), ("modern", modern)]);
                forward.targets[forward.by_hash(user.as_bytes())].name.clone()
            });
            assert_eq!(sides, [at_90_10, at_50_50], "{user}");
        }
        assert_eq!(hash(b"legacy", b"42"), 0x1AA8_3350_A943_032D);
    }

    #[test]
    fn routes_with_the_same_targets_agree_on_a_user() {
        let one = Forward { sticky: Some(sticky(by_header())), ..forward(&[("legacy", 50), ("modern", 50)]) };
        let other = Forward { sticky: Some(sticky(StickyKey::Query(b"u".as_slice().into()))), ..one.clone() };
        for user in users() {
            let by_field = one.choose(&request("", &headers(&[("x-user", &user)])), true, 1);
            let by_query = other.choose(&request(&format!("u={user}"), &HeaderMap::new()), false, 2);
            assert_eq!(by_field, by_query, "{user}");
        }
    }

    #[test]
    fn a_logarithm_is_never_zero() {
        assert_eq!(minus_log2(u64::MAX), 1);
        assert_eq!(minus_log2(0), 64 << FRACTION_BITS);
        assert_eq!(minus_log2(1 << 63), 1 << FRACTION_BITS);
    }

    #[test]
    fn every_key_has_its_words() {
        let words = [
            (StickyKey::Cookie(b"customer_id".as_slice().into()), "cookie customer_id"),
            (by_header(), "header x-user"),
            (StickyKey::Query(b"u".as_slice().into()), "query u"),
            (StickyKey::Ip, "ip"),
            (by_claim(JwtSource::Authorization), "jwtClaim sub"),
            (StickyKey::Assigned { cookie: "crossfade".to_owned() }, "assigned cookie crossfade"),
        ];
        for (by, expected) in words {
            assert_eq!(sticky(by).describe(), expected);
        }
    }

    /// Targets with different names, at least one of them with a weight.
    fn weights() -> impl Strategy<Value = Vec<(String, u32)>> {
        let weight = prop_oneof![1 => Just(0), 4 => 0..=999_u32];
        let targets = proptest::collection::btree_map("[a-z][a-z0-9-]{0,8}", weight, 2..6);
        let targets = targets.prop_map(|targets: BTreeMap<String, u32>| targets.into_iter().collect::<Vec<_>>());
        targets.prop_filter("all weights are 0", |targets| targets.iter().any(|(_, weight)| *weight > 0)).prop_shuffle()
    }

    /// Returns the names of the users' targets.
    fn sides(weights: &[(String, u32)]) -> Vec<String> {
        let weights: Vec<_> = weights.iter().map(|(name, weight)| (name.as_str(), *weight)).collect();
        let forward = forward(&weights);
        users().map(|user| forward.targets[forward.by_hash(user.as_bytes())].name.clone()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn users_are_distributed_by_weight(weights in weights(), prefix in "[a-z]{0,8}") {
            const USERS: u32 = 20_000;
            let weights: Vec<_> = weights.iter().map(|(name, weight)| (name.as_str(), *weight)).collect();
            let forward = forward(&weights);
            let mut met = vec![0_u32; weights.len()];
            for user in 0..USERS {
                met[forward.by_hash(format!("{prefix}{user}").as_bytes())] += 1;
            }
            let total: u32 = weights.iter().map(|(_, weight)| weight).sum();
            for ((name, weight), met) in weights.into_iter().zip(met) {
                let (wanted, got) = (f64::from(weight) / f64::from(total), f64::from(met) / f64::from(USERS));
                prop_assert!((wanted - got).abs() < 0.02, "{name}: {got} instead of {wanted}");
                prop_assert!(weight > 0 || met == 0, "{name} has no weight");
            }
        }

        #[test]
        fn an_increased_weight_only_gains_users(weights in weights(), chosen: prop::sample::Index, more in 1..999_u32) {
            let mut raised = weights.clone();
            let (name, weight) = chosen.get_mut(&mut raised);
            *weight += more;
            let name = name.clone();
            for (before, after) in sides(&weights).into_iter().zip(sides(&raised)) {
                prop_assert!(after == before || after == name, "{before} to {after}");
            }
        }

        #[test]
        fn adding_or_removing_a_target_moves_only_its_own_users(weights in weights(), place: prop::sample::Index) {
            let mut more = weights.clone();
            more.insert(place.index(weights.len() + 1), ("0".to_owned(), 500));
            for (without, with) in sides(&weights).into_iter().zip(sides(&more)) {
                prop_assert!(with == without || with == "0", "{without} to {with}");
            }
            for (_, weight) in more.iter_mut().filter(|(name, _)| name == "0") {
                *weight = 0;
            }
            prop_assert_eq!(sides(&weights), sides(&more));
        }

        #[test]
        fn the_order_of_targets_does_not_matter(
            (weights, shuffled) in weights().prop_flat_map(|same| (Just(same.clone()), Just(same).prop_shuffle())),
        ) {
            prop_assert_eq!(sides(&weights), sides(&shuffled));
        }

        #[test]
        fn the_seed_does_not_affect_a_user(weights in weights(), user in "[a-z]{1,8}", seeds: (u128, u128)) {
            let weights: Vec<_> = weights.iter().map(|(name, weight)| (name.as_str(), *weight)).collect();
            let forward = Forward { sticky: Some(sticky(by_header())), ..forward(&weights) };
            let headers = headers(&[("x-user", &user)]);
            let chosen = |seed| forward.choose(&request("", &headers), true, seed);
            prop_assert_eq!(chosen(seeds.0), chosen(seeds.1));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn a_logarithm_is_right(hash: u64, shift in 0..64) {
            let hash = hash >> shift;
            let expected = -((hash | 1) as f64 / 2_f64.powi(64)).log2();
            let got = minus_log2(hash) as f64 / 2_f64.powi(FRACTION_BITS as i32);
            prop_assert!((got - expected).abs() < 1e-9, "{got} instead of {expected}");
        }

        #[test]
        fn arbitrary_bytes_have_no_claim(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let payload = base64_simd::URL_SAFE_NO_PAD.encode_to_string(&bytes);
            prop_assert_eq!(jwt_claim(&bytes, "sub"), None);
            prop_assert_eq!(jwt_claim(format!("e30.{payload}.c2ln").as_bytes(), "sub"), None);
        }
    }
}
