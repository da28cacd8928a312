//! Compares forms by field, at places such as `/NAME`. Owns their decoding (URL standard, 5.1). The order of fields with
//! different names has no meaning.
//!
//! For `application/x-www-form-urlencoded`.

use std::borrow::Cow;

use crossfade_journal::comparison::Class;

use crate::content;
use crate::endpoint::is_id;
use crate::findings::{Findings, Seen, Values};
use crate::lines::{self, are_equal};
use crate::matcher::Matcher;
use crate::sorting;
use crate::spot::{PathStep, Spot};
use crate::work::{Stop, Work};

/// Fields of a form.
const MAX_FIELDS: usize = 50_000;
/// Longer names are data.
const MAX_NAME: usize = 64;
/// Cost of a field, in addition to its bytes, in units of work.
const FIELD_WORK: usize = 32;

/// A field: its name, which of those with this name it is, and its value.
type Field<'a> = (Cow<'a, str>, usize, Cow<'a, str>);

/// Reports all differences. Texts that are not forms are compared by line.
pub(crate) fn compare(primary: &str, mirror: &str, findings: &mut Findings<'_>) -> Result<(), Stop> {
    let work = findings.work;
    let (Some(ours), Some(theirs)) = (fields(primary, work)?, fields(mirror, work)?) else {
        return lines::compare(primary, mirror, findings);
    };
    let mut matcher = Matcher::new(findings.rules, findings.now);
    let (mut left, mut right) = (ours.iter().peekable(), theirs.iter().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return Ok(()),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((one, at, _)), Some((other, opposite, _))) => (one, at).cmp(&(other, opposite)),
        };
        let one = if order.is_le() { left.next() } else { None };
        let other = if order.is_ge() { right.next() } else { None };
        let Some((name, number, _)) = one.or(other) else { return Ok(()) };
        // A field that occurs once is a member, others are elements of one.
        let is_list = *number > 0 || [left.peek(), right.peek()].into_iter().flatten().any(|(next, ..)| next == name);
        let path = [
            PathStep::Name { name, is_folded: name.len() > MAX_NAME || is_id(name) },
            PathStep::Index { index: *number, is_folded: true },
        ];
        let path = path.get(..if is_list { 2 } else { 1 }).unwrap_or_default();
        for step in path {
            matcher.enter(step, work)?;
        }
        let (spot, marks) = (Spot::Json(path), matcher.marks());
        path.iter().for_each(|_| matcher.leave());
        work.spend(FIELD_WORK)?;
        match (one, other) {
            _ if marks.is_ignored => {}
            (Some((.., one)), Some((.., other))) => {
                if !are_equal(one, other, findings)? && !content::compare_inside(&spot, marks, one, other, findings)? {
                    findings.report(Class::Value, &spot, marks, &|| Values::texts(&**one, &**other))?;
                }
            }
            (Some((.., one)), None) => {
                let values = || Values::of(Seen::Text(Cow::Borrowed(one)), Seen::Absent);
                findings.report(Class::Missing, &spot, marks, &values)?;
            }
            (None, Some((.., other))) => {
                let values = || Values::of(Seen::Absent, Seen::Text(Cow::Borrowed(other)));
                findings.report(Class::Extra, &spot, marks, &values)?;
            }
            (None, None) => {}
        }
    }
}

/// Reads a form: its fields by name, those with the same name in their order. `None` if it has too many fields.
fn fields<'a>(text: &'a str, work: &Work<'_>) -> Result<Option<Vec<Field<'a>>>, Stop> {
    work.spend(2 * text.len())?;
    if !text.contains('=') && !text.trim().is_empty() {
        return Ok(None);
    }
    let mut fields: Vec<Field<'a>> = Vec::new();
    for field in text.trim().split('&').filter(|field| !field.is_empty()) {
        work.spend(FIELD_WORK)?;
        if fields.len() >= MAX_FIELDS || field.contains('\n') {
            return Ok(None);
        }
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        fields.push((decoded(name), 0, decoded(value)));
    }
    work.spend(fields.len() * fields.len().checked_ilog2().unwrap_or(0) as usize)?;
    sorting::sort_by(&mut fields, &|(one, ..), (other, ..)| one.cmp(other));
    let mut before: Option<(Cow<'a, str>, usize)> = None;
    for (name, number, _) in &mut fields {
        *number = before.filter(|(before, _)| before == name).map_or(0, |(_, number)| number + 1);
        before = Some((name.clone(), *number));
    }
    Ok(Some(fields))
}

/// Decodes `+` and `%20`. Bytes that are not UTF-8 stay encoded.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['+', '%']) {
        return Cow::Borrowed(text);
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, behind @ ..] = rest {
        let digit = |at: usize| behind.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        (bytes, rest) = match (first, digit(0).zip(digit(1))) {
            (b'%', Some((high, low))) => {
                bytes.push((high << 4 | low) as u8);
                (bytes, behind.get(2..).unwrap_or_default())
            }
            (b'+', _) => {
                bytes.push(b' ');
                (bytes, behind)
            }
            (byte, _) => {
                bytes.push(*byte);
                (bytes, behind)
            }
        };
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}
