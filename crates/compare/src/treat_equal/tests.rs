//! Pairs of texts that are alike, and pairs that are not.

use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::work::never_over;

/// The times of the responses: Sat, 28 Nov 2026 19:12:03 GMT, and 2 s later.
const TIMES: [u64; 2] = [1_795_893_123, 1_795_893_125];

fn alike(primary: &str, mirror: &str, kinds: &[TreatEqual]) -> bool {
    let work = Work::new(&never_over);
    let alike = |one, other, times: [u64; 2]| {
        are_alike(one, other, kinds, times.map(|time| UNIX_EPOCH + Duration::from_secs(time)), &work).unwrap()
    };
    let is_alike = alike(primary, mirror, TIMES);
    assert_eq!(alike(mirror, primary, [TIMES[1], TIMES[0]]), is_alike, "{primary} {mirror}");
    // What is replaced by the same is alike.
    let replaced = |text| replaced(text, kinds, &work).unwrap();
    assert!(is_alike || primary == mirror || replaced(primary) != replaced(mirror), "{primary} {mirror}");
    assert!(replaced(primary).len() <= primary.len(), "{primary}");
    is_alike
}

/// The kinds that make two texts equal.
fn kinds(primary: &str, mirror: &str) -> Vec<&'static str> {
    TreatEqual::ALL.into_iter().filter(|kind| alike(primary, mirror, &[*kind])).map(TreatEqual::name).collect()
}

#[test]
fn kinds_that_make_texts_equal() {
    for (primary, mirror, expected) in [
        ("f47ac10b-58cc-4372-a567-0e02b2c3d479", "9ac05e1d-11ab-4f0e-8a3c-77b1c0d2e4f6", &["uuid", "token"][..]),
        ("f47ac10b58cc4372a5670e02b2c3d479", "a00ac10b58cc4372a5670e02b2c3d479", &["uuid", "hash", "token"]),
        ("{F47AC10B-58CC-4372-A567-0E02B2C3D479}", "{A47AC10B-11AB-4F0E-8A3C-77B1C0D2E4F6}", &["uuid"]),
        (
            "urn:uuid:f47ac10b-58cc-4372-a567-0e02b2c3d479",
            "urn:uuid:147ac10b-11ab-4f0e-8a3c-77b1c0d2e4f6",
            &["uuid", "token"],
        ),
        (
            "/a/f47ac10b-58cc-4372-a567-0e02b2c3d479/b?x=1",
            "/a/147ac10b-11ab-4f0e-8a3c-77b1c0d2e4f6/b?x=1",
            &["uuid", "token"],
        ),
        ("/a/f47ac10b-58cc-4372-a567-0e02b2c3d479/b", "/a/147ac10b-11ab-4f0e-8a3c-77b1c0d2e4f6/c", &[]),
        (
            "img-f47ac10b-58cc-4372-a567-0e02b2c3d479.png",
            "img-147ac10b-11ab-4f0e-8a3c-77b1c0d2e4f6.png",
            &["uuid", "token"],
        ),
        ("img-f47ac10b-58cc-4372-a567-0e02b2c3d479.png", "pic-147ac10b-11ab-4f0e-8a3c-77b1c0d2e4f6.png", &[]),
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "01BRZ3NDEKTSV4RRFFQ69G5FAV", &["uuid"]),
        ("d41d8cd98f00b204", "d41d8cd98f00b205", &["hash"]),
        ("d41d8cd98f00b204", "d41d8cd98f00b2041", &[]),
        ("d41d8cd98f00b204", "D41D8CD98F00B205", &["hash"]),
        ("d41d8cd9", "d41d8cd8", &[]),
        ("/js/app.3f2a9c1b.js", "/js/app.91c0ffe2.js", &["hash"]),
        ("/js/app.3f2a9c1b.js", "/js/lib.91c0ffe2.js", &[]),
        ("app-3f2a9c1b.css?v=1", "app-91c0ffe2.css?v=2", &[]),
        // Numbers are no hashes.
        ("20261128191203001", "20261128191203002", &[]),
        ("invoice-20261128.pdf", "invoice-20261129.pdf", &[]),
        ("3q2+7w9xYzABCDEFghijkl==", "4q2+8w9xYzABCDEFghijkl==", &["token"]),
        ("csrf=3q27w9xYzAB1CDEFg2hijkl; x", "csrf=9q27w9xYzAB1CDEFg2hijkl; x", &["token"]),
        ("sk_live_51H8abcXYZdefGHI", "sk_live_99H8abcXYZdefGHI", &["token"]),
        ("sk_live_51H8abcXYZdefGHI", "sk_test_99H8abcXYZdefGHI", &[]),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIyIn0.c2lu", &["token"]),
        // A token and a message about it.
        ("3q27w9xYzAB1CDEFg2hijkl", "something went wrong, 500", &[]),
        ("3q27w9xYzAB1CDEFg2hijkl", "", &[]),
    ] {
        assert_eq!(kinds(primary, mirror), expected, "{primary} {mirror}");
    }
}

#[test]
fn data_is_no_token() {
    for (primary, mirror) in [
        ("DE89370400440532013000", "DE89370400440532013001"),
        ("GB29NWBK60161331926819", "GB29NWBK60161331926818"),
        ("MT84MALT011000012345MTLCAST001S", "MT84MALT011000012345MTLCAST002S"),
        ("de89370400440532013000", "de89370400440532013001"),
        ("ORD-2026-000123-000000045678", "ORD-2026-000124-000000045678"),
        ("ord20260001230000000456789", "ord20260001240000000456789"),
        ("order-number-2026-000123456", "order-number-2026-000123457"),
        ("+49 (30) 1234567 ext 12345678", "+49 (30) 1234567 ext 12345679"),
        ("00493012345671234567890", "00493012345671234567891"),
        ("the-summer-sale-of-2026-is-on", "the-summer-sale-of-2027-is-on"),
        ("summerSaleOf2026Checkout", "summerSaleOf2027Checkout"),
        ("SKU-4711-BLACK-XL-2026-EU-01", "SKU-4711-BLACK-XL-2026-EU-02"),
        ("5493001KJTIIGC8Y1R12", "5493001KJTIIGC8Y1R13"),
        ("internationalization", "internationalisations"),
        ("/api/v2/customers/orders/1234567890", "/api/v2/customers/orders/1234567891"),
        ("4111111111111111111111", "4111111111111111111112"),
    ] {
        assert_eq!(kinds(primary, mirror), [""; 0], "{primary}");
    }
}

#[test]
fn clocks_need_no_rule() {
    for (primary, mirror, is_equal) in [
        ("2026-11-28T19:12:03Z", "2026-11-28T19:12:05Z", true),
        ("2026-11-28T19:12:03.1Z", "2026-11-28T19:12:05.123456Z", true),
        ("2026-11-28T19:12:03.1Z", "2026-11-28T19:12:05Z", false),
        ("2026-11-28T20:12:03+01:00", "2026-11-28T20:12:04+01:00", true),
        // Another notation, another zone, a stale time.
        ("2026-11-28T19:12:03Z", "2026-11-28T19:12:04+00:00", false),
        ("2026-11-28T19:12:03Z", "2026-11-28 19:12:04", false),
        ("2026-11-28T19:12:03Z", "2026-11-28T20:12:04Z", false),
        ("2026-11-28T19:12:03Z", "2026-11-28T19:10:59Z", false),
        ("2026-11-28T19:10:59Z", "2026-11-28T19:10:58Z", false),
        ("2026-11-27T19:12:03Z", "2026-11-27T19:12:04Z", false),
        ("Sat, 28 Nov 2026 19:12:03 GMT", "Sat, 28 Nov 2026 19:12:05 GMT", true),
        ("28 Nov 2026, 19:12", "28 Nov 2026, 19:11", true),
        ("11/28/2026 7:12 PM", "11/28/2026 7:11 PM", true),
        ("11/28/2026 7:12 PM", "28/11/2026 7:12 PM", false),
        ("1795893123", "1795893125", true),
        ("1795893123000", "1795893124000", true),
        ("1795893123", "1795893125000", false),
        ("1795893123", "1795880000", false),
        ("Generated at 2026-11-28 19:12:03 by web-1", "Generated at 2026-11-28 19:12:05 by web-1", true),
        ("Generated at 2026-11-28 19:12:03 by web-1", "Generated at 2026-11-28 19:12:05 by web-2", false),
        ("Generated at 2026-11-28 19:12:03, 5 hits", "Generated at 2026-11-28 19:12:05, 6 hits", false),
        ("on Saturday, 28-Nov-26 19:12:03 GMT.", "on Saturday, 28-Nov-26 19:12:04 GMT.", true),
        ("/a?t=1795893123&x=1", "/a?t=1795893124&x=1", true),
        ("x1795893123", "x1795893124", false),
        ("price 1795893123", "price 1795893124 EUR", false),
    ] {
        assert_eq!(alike(primary, mirror, &[]), is_equal, "{primary} {mirror}");
    }
}

#[test]
fn timestamps_are_those_of_the_response_in_any_notation_and_zone() {
    for (primary, mirror, is_equal) in [
        ("2026-11-28T19:12:03Z", "28.11.2026 20:12:04", true),
        ("2026-11-28 14:42:03", "2026-11-28T19:12:04+00:00", true),
        ("2026-11-28 20:12", "2026-11-28 20:12:04", true),
        // Two zones, of which none is UTC: a date that happens to be near in one.
        ("2026-11-28 18:12:03", "2026-11-28 17:12:04", false),
        ("1795893123", "1795893125000000", true),
        ("at 2026-11-28T19:12:03Z, done", "at 28 Nov 2026, 7:12 PM, done", true),
        ("2026-11-28T19:12:03Z", "2026-11-29T19:12:03Z", false),
        ("2026-11-28T19:12:03Z", "2026-11-28T20:12:03Z", false),
        ("2026-11-28", "2026-11-29", false),
        ("2001-01-01T00:00:00Z", "2001-01-02T00:00:00Z", false),
        ("2026-11-28T19:12:03Z", "", false),
    ] {
        assert_eq!(alike(primary, mirror, &[TreatEqual::Timestamp]), is_equal, "{primary} {mirror}");
    }
    let times = TIMES.map(|time| UNIX_EPOCH + Duration::from_secs(time));
    for (primary, mirror, without, with) in [
        (1_795_893_123.0, 1_795_893_125.5, true, true),
        (1_795_893_123_000.0, 1_795_893_125_000.0, true, true),
        (1_795_893_123.0, 1_795_893_125_000.0, false, true),
        (1_795_893_123.0, 1_795_880_000.0, false, false),
        (1.0, 2.0, false, false),
        (f64::NAN, f64::INFINITY, false, false),
    ] {
        assert_eq!(are_alike_numbers(primary, mirror, &[], times), without, "{primary} {mirror}");
        assert_eq!(are_alike_numbers(primary, mirror, &[TreatEqual::Timestamp], times), with, "{primary} {mirror}");
    }
}

/// Random tokens of several alphabets, from a fixed seed.
#[test]
fn most_random_texts_are_tokens() {
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for (alphabet, length, least) in [
        ("0123456789abcdef", 32, 97),
        ("0123456789abcdefghijklmnopqrstuvwxyz", 32, 85),
        ("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", 24, 85),
        ("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_", 43, 85),
        ("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/", 64, 80),
    ] {
        let mut text =
            || -> String { (0..length).map(|_| char::from(alphabet.as_bytes()[random(alphabet.len())])).collect() };
        let count = (0..1000).filter(|_| alike(&text(), &text(), &[TreatEqual::Token])).count();
        assert!(count >= least * 10, "{alphabet} {length}: {count}");
    }
}

#[test]
fn hostile_texts_take_linear_time() {
    let work = |unit: &str, length: usize| {
        let work = Work::new(&never_over);
        let [one, other] = ["1", "2"].map(|end| format!("{}{end}", unit.repeat(length / unit.len())));
        let times = TIMES.map(|time| UNIX_EPOCH + Duration::from_secs(time));
        let _ = are_alike(&one, &other, &TreatEqual::ALL, times, &work);
        work.spent()
    };
    for unit in [
        "a",
        "1",
        "a-",
        "a.",
        "a/",
        "a+a.a-",
        "1 ",
        "1:1 ",
        "Nov ",
        "2026-11-28 19:12:03 ",
        "a1b2c3d4-",
        "é",
        "eyJ.",
        "=",
        "00000000-",
    ] {
        let (some, many) = (work(unit, 2_000), work(unit, 20_000));
        assert!(many < 12 * some && many < 100 * 40_000, "{unit}: {some} {many}");
    }
}
