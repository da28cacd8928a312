//! The mistakes that no section of `crates/route/tests/mistakes.txt` can show, and the limits.

use super::*;
use crate::yaml::{Options, parse};

fn judge(text: &str) -> Judgement {
    let options =
        Options::<std::convert::Infallible> { file: 0, tag: None, merge: None, substitute: None, mask: str::to_owned };
    match parse(text, &options, &mut Vec::new()) {
        Ok(_) => Ok(Vec::new()),
        Err(error) => Err(error.place.unwrap()),
    }
}

fn explained(text: &str) -> Option<Explained> {
    explain(text, judge(text).unwrap_err(), str::to_owned, &judge)
}

// `crates/route/tests/mistakes.txt` has the mistakes themselves.
#[test]
fn the_corrected_text_can_be_read_further() {
    for (text, place, hint, corrected) in [
        ("a: \"^/\\d\"\n", (1, 7), "use single quotes: `a: '^/\\d'`", "a: '^/\\d'\n"),
        ("a:\n\t- b\n", (2, 1), "indent with spaces: YAML does not allow tabs there", "a:\n  - b\n"),
        ("a: b\r\nc: *.d\r\n", (2, 4), "put the value in quotes: `c: \"*.d\"`", "a: b\nc: \"*.d\"\n"),
        ("# ü\nü: [ü, ü\na: b # c\n", (2, 4), "write `ü: [ü, ü]`", "# ü\nü: [ü, ü]\na: b # c\n"),
        ("a: b\n\n# c\n\n\nd:e\nf: g\n", (6, 2), "write `d: e`", "a: b\n\n# c\n\n\nd: e\nf: g\n"),
    ] {
        let explained = explained(text).unwrap();
        let found = explained.diagnostic.place.unwrap();
        assert_eq!((found.line, found.column), place, "{text:?}");
        assert_eq!(explained.diagnostic.hint.as_deref(), Some(hint), "{text:?}");
        assert_eq!(explained.text, corrected);
        assert!(judge(corrected).is_ok(), "{text:?}");
    }
}

#[test]
fn the_corrected_line_is_masked_and_has_no_comment() {
    let text = "a: @b # c\n";
    let explained = explain(text, judge(text).unwrap_err(), |text| text.replace('b', "*"), &judge).unwrap();
    assert_eq!(explained.diagnostic.hint.as_deref(), Some("put the value in quotes: `a: \"@*\"`"));
}

#[test]
fn conflicts_are_named_and_left_to_the_author() {
    let text = "a: b\nc:\n<<<<<<< HEAD\n  d: e\n=======\n  d: f\n>>>>>>> branch\n";
    let explained = explained(text).unwrap();
    assert_eq!(explained.diagnostic.message, "a merge conflict is not resolved");
    assert_eq!(explained.diagnostic.place, Some(Place::new(3, 1)));
    assert_eq!(explained.text, text);
}

#[test]
fn errors_that_no_change_of_a_line_removes_are_not_explained() {
    let long = format!("a: @b\n# {}\n", "x".repeat(MAX_TEXT));
    for text in ["a: b\n---\nc: d\n", &long] {
        assert!(explained(text).is_none(), "{text:?}");
    }
}

#[test]
fn attempts_are_bounded_and_do_not_panic() {
    let valid = "a: &x { b: [c, \"d\"] } # h
ü:
  - i: |
      j
    k: *x
";
    let mut attempts = std::cell::Cell::new(0);
    for (at, _) in valid.char_indices() {
        for insert in ["", "\t", " ", "\"", "]", "{", ": ", "“", "\0"] {
            let (start, rest) = valid.split_at(at);
            let rest = if insert.is_empty() { rest.chars().skip(1).collect() } else { rest.to_owned() };
            let text = format!("{start}{insert}{rest}");
            let count = |text: &str| {
                attempts.set(attempts.get() + 1);
                judge(text)
            };
            attempts.set(0);
            if let Err(place) = judge(&text)
                && let Some(explained) = explain(&text, place, str::to_owned, &count)
            {
                assert!(explained.diagnostic.hint.is_some_and(|hint| !hint.is_empty()), "{text:?}");
                let lines = |text: &str| text.lines().count();
                assert_eq!(lines(&explained.text), lines(&text), "{text:?}");
            }
            assert!(*attempts.get_mut() <= MAX_ATTEMPTS + 1, "{text:?}");
        }
    }
}
