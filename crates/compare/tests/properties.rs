//! Properties of any two responses: no panic, identical responses match, and swapping them changes only the words.

#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossfade_compare::{
    Answer, Class, Comparison, Place, Pointer, Rules, Salt, Settings, Tolerance, TreatEqual, Unordered, Verdict,
    compare,
};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Returns a time that no small number stands for.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn with(rules: &Rules, media_type: &str, coding: &str, primary: &[u8], mirror: &[u8]) -> Comparison {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_str(media_type).unwrap());
    headers.insert(CONTENT_ENCODING, HeaderValue::from_str(coding).unwrap());
    let answer = |body| Answer { status: StatusCode::OK, headers: &headers, body, time: now() };
    let comparison = compare(&answer(primary), &answer(mirror), &Settings::new(rules, now(), &Salt::default()));
    let work = comparison.work;
    // Proportional to the input, unless it is compressed.
    let most = 20_000 + 2_000 * (primary.len() + mirror.len()) as u64;
    assert!(!coding.is_empty() || work <= most, "{work}");
    comparison
}

fn json_with(rules: &Rules, primary: &str, mirror: &str) -> Comparison {
    with(rules, "application/json", "", primary.as_bytes(), mirror.as_bytes())
}

fn places(comparison: &Comparison) -> BTreeSet<(Class, String)> {
    comparison.differences.iter().map(|difference| (difference.class, difference.pointer.clone())).collect()
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..3_u64).prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no others", |number| number.is_finite()).prop_map(Value::from),
        "[a-c]{0,2}|\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-d]|[a-z/~]{1,4}|[0-9]{1,3}", inner, 0..6)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// Writes the same document with its members in reverse order.
fn reversed(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push_str("[ ");
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ",\n" } else { "" });
                reversed(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (name, member)) in members.iter().rev().enumerate() {
                out.push_str(if index > 0 { " , " } else { "" });
                out.push_str(&format!("{} : ", Value::from(name.clone())));
                reversed(member, out);
            }
            out.push('}');
        }
        leaf => out.push_str(&leaf.to_string()),
    }
}

/// Changes the leaf, or empty container, that the numbers lead to, and returns its pointer.
fn mutate(value: &mut Value, way: &[usize]) -> String {
    let (step, way) = way.split_first().map_or((0, way), |(step, way)| (*step, way));
    match value {
        Value::Array(items) if !items.is_empty() => {
            let index = step % items.len();
            format!("/*{}", mutate(&mut items[index], way))
        }
        Value::Object(members) if !members.is_empty() => {
            let index = step % members.len();
            let (name, member) = members.iter_mut().nth(index).unwrap();
            let name = if name.bytes().all(|byte| byte.is_ascii_digit()) {
                "*".to_owned()
            } else {
                name.replace('~', "~0").replace('/', "~1")
            };
            format!("/{name}{}", mutate(member, way))
        }
        other => {
            *other = json!("something else that nobody has");
            String::new()
        }
    }
}

proptest! {
    #[test]
    fn a_document_is_the_same_as_itself_however_it_is_written(value in values()) {
        let mut other = String::new();
        reversed(&value, &mut other);
        let comparison = json_with(&Rules::default(), &value.to_string(), &other);
        prop_assert_eq!(comparison.verdict, Verdict::Match, "{:?}", comparison.differences);
    }

    #[test]
    fn swapping_the_responses_changes_only_the_words(one in values(), other in values()) {
        let (rules, one, other) = (Rules::default(), one.to_string(), other.to_string());
        let (there, back) = (json_with(&rules, &one, &other), json_with(&rules, &other, &one));
        prop_assert_eq!(there.verdict, back.verdict);
        // Of several alignments that are equally good, another one may be chosen.
        let has_gaps = places(&there).iter().any(|(class, _)| *class == Class::Length);
        if there.more == 0 && back.more == 0 && !has_gaps {
            let swapped = |(class, pointer): (Class, String)| match class {
                Class::Missing => (Class::Extra, pointer),
                Class::Extra => (Class::Missing, pointer),
                class => (class, pointer),
            };
            prop_assert_eq!(places(&there), places(&back).into_iter().map(swapped).collect::<BTreeSet<_>>());
        }
    }

    #[test]
    fn a_change_is_found_where_it_is(value in values(), way in prop::collection::vec(0..10_usize, 6)) {
        let mut changed = value.clone();
        let pointer = mutate(&mut changed, &way);
        let pointer = if pointer.is_empty() { "body".to_owned() } else { pointer };
        let comparison = json_with(&Rules::default(), &value.to_string(), &changed.to_string());
        prop_assert_eq!(comparison.verdict, Verdict::Different);
        let found: Vec<_> = comparison.differences.iter().map(|difference| difference.pointer.as_str()).collect();
        prop_assert_eq!(found, [pointer]);
    }

    #[test]
    fn a_shuffled_array_is_in_another_order(
        (items, shuffled) in prop::collection::vec(values(), 0..8)
            .prop_flat_map(|items| (Just(items.clone()), Just(items).prop_shuffle())),
    ) {
        let (items, shuffled) = (Value::from(items).to_string(), Value::from(shuffled).to_string());
        let comparison = json_with(&Rules::default(), &items, &shuffled);
        let found: Vec<_> = comparison.differences.iter().map(|difference| difference.class).collect();
        prop_assert!(found.is_empty() || found == [Class::Order], "{:?}", comparison.differences);
        let unordered = Unordered { pointer: Pointer::parse("/**").unwrap(), by: None };
        let rules = Rules { unordered: vec![unordered], ..Rules::default() };
        prop_assert_eq!(json_with(&rules, &items, &shuffled).verdict, Verdict::Match);
    }

    #[test]
    fn ignored_and_unordered_trees_are_equal_at_any_depth(
        value in values(),
        name in "[a-d]",
        depth in 0..20_usize,
    ) {
        let nested = |inside: &str| format!("{}{inside}{}", "{\"x\":[".repeat(depth), "]}".repeat(depth));
        let (one, other) = (nested(&format!("{{\"{name}\":{value}}}")), nested(&format!("{{\"{name}\":\"other\"}}")));
        let places = |pointer: &str| vec![Place::parse(pointer).unwrap()];
        let rules = Rules { ignore: places(&format!("/**/{name}")), ..Rules::default() };
        prop_assert_eq!(json_with(&rules, &one, &other).verdict, Verdict::Match);
        let rules = Rules { ignore: places(&format!("/**/x/*/{name}")), ..Rules::default() };
        let found = json_with(&rules, &one, &other).verdict;
        prop_assert_eq!(found, if depth == 0 { Verdict::Different } else { Verdict::Match });
        let (low, high) = (nested("[1,2,3.5]"), nested("[3,2.2,1.2]"));
        let unordered = vec![Unordered { pointer: Pointer::parse("/**").unwrap(), by: None }];
        let tolerance = vec![(Pointer::parse("/**").unwrap(), Tolerance::Absolute(2.5))];
        let rules = Rules { unordered, tolerance, ..Rules::default() };
        prop_assert_eq!(json_with(&rules, &low, &high).verdict, Verdict::Match);
    }

    #[test]
    fn ignored_places_are_not_reported(one in values(), other in values()) {
        let (one, other) = (one.to_string(), other.to_string());
        for difference in json_with(&Rules::default(), &one, &other).differences {
            let ignore = vec![Place::parse(&difference.pointer).unwrap()];
            let comparison = json_with(&Rules { ignore, ..Rules::default() }, &one, &other);
            let place = (difference.class, difference.pointer);
            prop_assert!(!places(&comparison).contains(&place), "{:?}", place);
        }
    }

    #[test]
    fn any_bytes_are_compared(
        primary in prop::collection::vec(any::<u8>(), 0..200),
        mirror in prop::collection::vec(any::<u8>(), 0..200),
        text in "\\PC{0,60}|[<>!/a='\" \\-&;#x\\[\\]{}:,0-9]{0,60}",
        media_type in "application/json|text/html|text/plain|application/xml|image/png|x|",
        coding in "|gzip|deflate|br|zstd|gzip, br|unknown",
    ) {
        use TreatEqual::{Hash, Timestamp, Token, Uuid};
        let rules =
            Rules { treat_equal: vec![Uuid, Timestamp, Hash, Token], keep_values: true, ..Rules::default() };
        let _ = with(&rules, &media_type, &coding, &primary, &mirror);
        let _ = with(&rules, &media_type, "", text.as_bytes(), &mirror);
        let _ = with(&rules, &media_type, "", &primary, text.as_bytes());
        prop_assert_eq!(with(&rules, &media_type, &coding, &primary, &primary).verdict, Verdict::Match);
    }
}

/// Hostile documents must end with a verdict.
#[test]
fn hostile_documents_have_a_verdict() {
    let mut rules = Rules { keep_values: true, ..Rules::default() };
    let verdict = |rules: &Rules, one: &str, other: &str| {
        let comparison = json_with(rules, one, other);
        assert!(comparison.differences.len() <= 200);
        (comparison.verdict, comparison.reason)
    };
    let unknown = (Verdict::Unknown, Some("too-large"));
    let different = (Verdict::Different, None);

    let deep = "[".repeat(1_000_000);
    assert_eq!(verdict(&rules, &deep, &format!("{deep}[")), unknown);
    let zeros = format!("[{}0]", "0,".repeat(500_000));
    assert_eq!(verdict(&rules, &zeros, &format!("{zeros} ")), unknown);

    let numbers = |step: usize| {
        let items: Vec<String> = (0..100_000).map(|index| (index * step % 100_003).to_string()).collect();
        format!("[{}]", items.join(","))
    };
    assert_eq!(verdict(&rules, &numbers(1), &numbers(7)), different);
    let keys = |prefix: &str| {
        let members: Vec<String> = (0..100_000).map(|index| format!("\"{prefix}{index}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(verdict(&rules, &keys("a"), &keys("b")), different);

    // Long names at every level, and many leaves.
    let tower = |leaf: &str| {
        let name = "n".repeat(60);
        let leaves: Vec<String> = (0..20_000).map(|index| format!("{{\"k{index}\":{leaf}}}")).collect();
        format!("{}[{}]{}", format!("{{\"{name}\":").repeat(90), leaves.join(","), "}".repeat(90))
    };
    rules.ignore = vec![Place::parse("/**/x/**/y").unwrap(); 20];
    assert_eq!(verdict(&rules, &tower("1"), &tower("2")), different);
}
