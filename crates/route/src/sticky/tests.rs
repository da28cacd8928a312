//! Tests of the choice of a target: opt-in, pins, hashes, weights, tokens.

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
    Forward { targets: targets.iter().enumerate().map(target).collect(), sticky: None, opt_in: None, failover: None }
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
    lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
}

fn request<'a>(query: &'a str, headers: &'a HeaderMap) -> RequestView<'a> {
    let query = Some(query.as_bytes());
    RequestView {
        method: "GET",
        host: b"a.example",
        path: crossfade_rule::normalised(b"/"),
        query,
        headers,
        source_ip: None,
    }
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
    assert_eq!(claim(r#"{"sub":123456789012345678901234567890}"#).as_deref(), Some("123456789012345678901234567890"));
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
