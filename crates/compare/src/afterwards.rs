//! Applies rules to a difference from a log, as far as that is possible without the responses. `findings` and the modules of
//! each kind of content apply them while they compare.

use std::time::SystemTime;

use crossfade_journal::comparison::{Class, Difference};
use http::header::HeaderName;

use crate::matcher::Matcher;
use crate::rules::{FieldNames, Place, Rules, Tolerance, WRITTEN, unescape};
use crate::spot::PathStep;
use crate::work::{Work, never_over};

/// Mark of a value that was truncated or hidden.
const INCOMPLETE: [&str; 2] = ["…", "***"];

/// The effect of rules on a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It would not have been a difference.
    Ignored,
    /// It is accepted.
    Accepted,
    /// It is a difference.
    Unchanged,
    /// It is a difference, but a mask might have hidden it: that cannot be decided without both values.
    Undecided,
}

impl Rules {
    /// Returns the effect of these rules on a difference in a log. `time` is that of the request, for entries of `accepted`
    /// that expire. Entries of `rules` have no effect: see [`Rules::of`].
    #[must_use]
    pub fn effect(&self, difference: &Difference, time: SystemTime) -> Effect {
        let pointer = difference.pointer.as_str();
        let field = field(difference);
        let is_at = |place: &Place| match place {
            Place::Status => pointer == "status",
            Place::Field(name) => field.is_some_and(|field| name.as_str().eq_ignore_ascii_case(field)),
            Place::Selector(_) | Place::Written(_) => place.covers(pointer),
            // `Matcher` follows these.
            Place::Body | Place::Pointer(_) => false,
        };
        let work = Work::new(&never_over);
        // The place behind a digest may be in a field.
        let may_be_field =
            pointer.starts_with('#') && matches!(difference.class, Class::Header | Class::Missing | Class::Extra);
        let is_content = pointer != "status" && field.is_none() && !may_be_field;
        let mut matcher = Matcher::new(self, time);
        let mut is_known = is_content;
        // The content of a value is below that value.
        let (path, is_inside) = match pointer.split_once(" >> ") {
            Some((path, _)) => (path, true),
            None => (pointer, false),
        };
        for step in path.strip_prefix('/').into_iter().flat_map(|path| path.split('/')) {
            let name = unescape(step);
            is_known &= match name.as_deref() {
                Some(name) => matcher.enter(&path_step(name), &work).is_ok(),
                None => false,
            };
        }
        let marks = matcher.marks();
        let is_place = is_known && !is_inside && (path == "body" || path.starts_with('/'));
        let is_tolerated = is_place
            && difference
                .distance
                .zip(matcher.tolerance())
                .is_some_and(|(distance, tolerance)| tolerates(tolerance, distance));
        let is_unordered = is_place && difference.class == Class::Order && matcher.unordered().is_some();
        let is_compared = match (&self.headers, field) {
            (FieldNames::Named(names), Some(field)) => {
                names.iter().any(|name| name.as_str().eq_ignore_ascii_case(field))
            }
            _ => true,
        };
        let is_interchangeable =
            self.treat_equal.iter().any(|kind| difference.kinds.iter().any(|name| name == kind.name()));
        if is_known && marks.is_ignored
            || self.ignore.iter().any(is_at)
            || is_tolerated
            || is_unordered
            || !is_compared
            || is_interchangeable
        {
            return Effect::Ignored;
        }
        let mut accepted = self.accepted.iter().filter(|accepted| accepted.holds(time));
        if is_known && marks.is_accepted || accepted.any(|accepted| is_at(&accepted.place)) {
            return Effect::Accepted;
        }
        match self.masked(difference, &work) {
            _ if !is_content => Effect::Unchanged,
            Some(true) => Effect::Ignored,
            Some(false) => Effect::Unchanged,
            None => Effect::Undecided,
        }
    }

    /// Returns whether masks make both values equal; `None` if the record does not have them.
    fn masked(&self, difference: &Difference, work: &Work<'_>) -> Option<bool> {
        if self.mask.is_empty() || !matches!(difference.class, Class::Value | Class::Text) {
            return Some(false);
        }
        let (Some(primary), Some(mirror)) = (&difference.primary, &difference.mirror) else { return None };
        let is_incomplete = |text: &String| INCOMPLETE.iter().any(|mark| text.contains(mark));
        // The values are those of one exact place.
        if difference.slot.is_some() || is_incomplete(primary) || is_incomplete(mirror) {
            return None;
        }
        let masked = |text: &str| {
            self.mask
                .iter()
                .try_fold(text.to_owned(), |text, mask| mask.masked(&text, work).map(|text| text.into_owned()))
        };
        Some(masked(primary).ok()? == masked(mirror).ok()?)
    }
}

/// Returns the name of the field that a difference is in.
fn field(difference: &Difference) -> Option<&str> {
    let pointer = difference.pointer.as_str();
    let name = pointer.split('/').next().unwrap_or_default();
    let is_other = matches!(pointer, "status" | "body" | "rows")
        || pointer.starts_with(['/', '#'])
        || WRITTEN.iter().any(|begin| pointer.starts_with(begin))
        || pointer.contains(" >> ");
    (!is_other && HeaderName::from_bytes(name.as_bytes()).is_ok()).then_some(name)
}

/// A step as records write it. A position that is folded has none.
fn path_step(name: &str) -> PathStep<'_> {
    let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    match inner.and_then(|inner| inner.split_once('=')) {
        Some((by, key)) => PathStep::Keyed { by, key, index: usize::MAX, is_stable: true, is_folded: false },
        None => PathStep::Name { name, is_folded: false },
    }
}

fn tolerates(tolerance: Tolerance, [absolute, relative]: [f64; 2]) -> bool {
    match tolerance {
        Tolerance::Absolute(most) => absolute <= most,
        Tolerance::Relative(most) => relative <= most,
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::{Accepted, Date, Mask, Pointer, TreatEqual, Unordered};

    fn ignoring(place: &str) -> Rules {
        Rules { ignore: vec![Place::parse(place).unwrap()], ..Rules::default() }
    }

    #[test]
    fn places_cover_differences() {
        for (place, class, pointer, is_covered) in [
            ("status", Class::Status, "status", true),
            ("status", Class::Value, "/status", false),
            ("cache-control", Class::Header, "cache-control/max-age", true),
            ("Cache-Control", Class::Missing, "cache-control", true),
            ("cache-control/max-age", Class::Header, "cache-control", false),
            ("set-cookie/basket", Class::Header, "set-cookie/basket/secure", true),
            ("set-cookie/basket", Class::Header, "set-cookie/basketball", false),
            ("/items/*/price", Class::Value, "/items/*/price", true),
            ("/items/*/price", Class::Value, "/items/3/price/net", true),
            ("/items/3/price", Class::Value, "/items/*/price", false),
            ("/**/price", Class::Value, "/a/b/price", true),
            ("/a~1b", Class::Value, "/a~1b/c", true),
            ("/a", Class::Value, "/a~2", false),
            ("/facts/[name=currency]", Class::Value, "/facts/[name=currency]/value", true),
            ("/facts/[name=uptime]", Class::Value, "/facts/[name=currency]/value", false),
            ("/html", Class::Text, "/html >> selector: p", true),
            ("/html/a", Class::Text, "/html >> selector: p", false),
            ("selector: main", Class::Text, "selector: main > p", true),
            ("selector: main", Class::Text, "selector: mainly", false),
            ("body", Class::Value, "/a", true),
            ("body", Class::Text, "selector: p", true),
            ("body", Class::Header, "etag", false),
            ("body", Class::Status, "status", false),
            ("body", Class::Value, "#00c0ffee", true),
            ("/a", Class::Value, "#00c0ffee", false),
        ] {
            let difference = Difference::new(class, pointer);
            let effect = |rules: &Rules| rules.effect(&difference, UNIX_EPOCH);
            let expected = |effect| if is_covered { effect } else { Effect::Unchanged };
            assert_eq!(effect(&ignoring(place)), expected(Effect::Ignored), "{place}: {pointer}");
            let accepted = vec![Accepted { place: Place::parse(place).unwrap(), until: Date::parse("2026-12-31") }];
            let accepting = Rules { accepted, ..Rules::default() };
            assert_eq!(effect(&accepting), expected(Effect::Accepted), "{place}: {pointer}");
        }
    }

    #[test]
    fn other_rules_need_what_the_record_says_of_values() {
        let value = || Difference::new(Class::Value, "/a");
        let numbers = |distance| Difference { distance: Some(distance), ..value() };
        let texts = |primary: &str, mirror: &str| Difference {
            primary: Some(primary.to_owned()),
            mirror: Some(mirror.to_owned()),
            ..value()
        };
        let pointer = |text| Pointer::parse(text).unwrap();
        let within = |tolerance| Rules {
            tolerance: vec![(pointer("/a"), Tolerance::parse(tolerance).unwrap())],
            ..Rules::default()
        };
        let uuids = Rules { treat_equal: vec![TreatEqual::Uuid], ..Rules::default() };
        let unordered =
            |at| Rules { unordered: vec![Unordered { pointer: pointer(at), by: None }], ..Rules::default() };
        let masks = || Rules { mask: vec![Mask::parse("[0-9]+").unwrap()], ..Rules::default() };
        let named = Rules { headers: FieldNames::Named(vec![http::header::ETAG]), ..Rules::default() };
        let order = || Difference::new(Class::Order, "/a");
        for (rules, difference, expected) in [
            (within("0.01"), numbers([0.01, 0.5]), Effect::Ignored),
            (within("0.01"), numbers([0.02, 0.001]), Effect::Unchanged),
            (within("1%"), numbers([5.0, 0.01]), Effect::Ignored),
            (within("1%"), value(), Effect::Unchanged),
            (uuids.clone(), Difference { kinds: vec!["uuid".to_owned()], ..value() }, Effect::Ignored),
            (uuids, Difference { kinds: vec!["hash".to_owned()], ..value() }, Effect::Unchanged),
            (unordered("/a"), order(), Effect::Ignored),
            (unordered("/b"), order(), Effect::Unchanged),
            (unordered("/a"), value(), Effect::Unchanged),
            (masks(), texts("v1", "v22"), Effect::Ignored),
            (masks(), texts("v1", "w1"), Effect::Unchanged),
            (masks(), texts("v1…", "v2…"), Effect::Undecided),
            (masks(), Difference { slot: Some(3), ..texts("v1", "v2") }, Effect::Undecided),
            (masks(), value(), Effect::Undecided),
            (masks(), order(), Effect::Unchanged),
            (named.clone(), Difference::new(Class::Header, "vary"), Effect::Ignored),
            (named.clone(), Difference::new(Class::Header, "etag"), Effect::Unchanged),
            (named, value(), Effect::Unchanged),
        ] {
            assert_eq!(rules.effect(&difference, UNIX_EPOCH), expected, "{rules:?} {difference:?}");
        }
    }

    #[test]
    fn accepted_differences_expire() {
        let accepted = vec![Accepted { place: Place::Status, until: Date::parse("2026-12-31") }];
        let rules = Rules { accepted, ..Rules::default() };
        let status = Difference::new(Class::Status, "status");
        let at = |text| rules.effect(&status, humantime::parse_rfc3339(text).unwrap());
        assert_eq!(at("2026-12-31T23:59:59Z"), Effect::Accepted);
        assert_eq!(at("2027-01-01T00:00:00Z"), Effect::Unchanged);
    }
}
