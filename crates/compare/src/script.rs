//! Compares scripts: the data in them by variable, at places such as `variable: window.config >> /user/name`, and the rest
//! line by line, where each piece of data is one character. Owns the pairing of variables; `scan` finds the data, `literal`
//! turns it into JSON.
//!
//! For `text/javascript` and `application/javascript`, JSONP, and the content of script elements.

mod literal;
mod scan;

use std::borrow::Cow;

use crossfade_journal::comparison::Class;

use crate::align::{Aligned, align};
use crate::endpoint::is_id;
use crate::evidence::{NOWHERE, continued};
use crate::findings::{Findings, Seen, Values};
use crate::json::{self, NoTree};
use crate::shown;
use crate::sorting;
use crate::spot::{Inner, Spot};
use crate::work::{Stop, Work};
use crate::{lines, walk};

/// Digits of a name that are random.
const MIN_RANDOM: usize = 3;
/// Cost of a piece of data, in addition to its bytes, in units of work.
const DATA_WORK: usize = 64;

/// A piece of data.
struct Piece {
    /// Its name as places show it.
    name: String,
    json: String,
}

/// A script, taken apart.
struct Script {
    pieces: Vec<Piece>,
    /// The text without them.
    rest: String,
}

/// Reports all differences.
pub(crate) fn compare(primary: &str, mirror: &str, findings: &mut Findings<'_>) -> Result<(), Stop> {
    let work = findings.work;
    work.spend(primary.len() + mirror.len())?;
    let (mut ours, mut theirs) = (Script::read(primary, work)?, Script::read(mirror, work)?);
    if let (Some(one), Some(other)) = (ours.callback(), theirs.callback()) {
        if one != other {
            let pointer = place(&one);
            let spot = Spot::Other(&Inner { pointer: &pointer, at: Some("name of the callback"), above: &[] });
            findings.report(Class::Value, &spot, findings.marks(&Spot::Body), &|| Values::texts(&*one, &*other))?;
        }
        // The same data, whatever the function is called.
        for script in [&mut ours, &mut theirs] {
            script.pieces.iter_mut().for_each(|piece| piece.name.clone_from(&one));
            script.rest.clear();
        }
    }
    variables(&ours.pieces, &theirs.pieces, findings)?;
    lines::compare_code(&ours.rest, &theirs.rest, findings)
}

impl Script {
    fn read(text: &str, work: &Work<'_>) -> Result<Self, Stop> {
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        let (mut pieces, mut rest, mut behind) = (Vec::new(), String::with_capacity(text.len()), 0);
        for data in scan::data(text, work)? {
            let (begin, end) = data.range;
            let Some(written) = text.get(begin..end) else { continue };
            work.spend(DATA_WORK + 4 * written.len())?;
            let inner = written.get(1..written.len().saturating_sub(1)).unwrap_or_default();
            let json = if data.is_encoded { literal::text(inner) } else { Some(literal::json(written)) };
            let Some(json) = json else { continue };
            match json::parse(json.as_bytes(), json::MAX_TREES, work) {
                Ok(_) => {}
                Err(NoTree::NotJson) => continue,
                Err(NoTree::Stopped(stop)) => return Err(stop),
            }
            pieces.push(Piece { name: folded(data.name, MIN_RANDOM), json });
            // An assignment that is nothing else leaves nothing behind.
            let statement = data.statement.filter(|statement| *statement >= behind);
            rest.push_str(text.get(behind..statement.unwrap_or(begin)).unwrap_or_default());
            behind = end;
            if statement.is_some() {
                behind += after_statement(text.get(end..).unwrap_or_default());
            } else {
                rest.push('…');
            }
        }
        rest.push_str(text.get(behind..).unwrap_or_default());
        Ok(Script { pieces, rest })
    }

    /// Returns the name of the function, if the script does nothing but call it with data (JSONP).
    fn callback(&self) -> Option<String> {
        let [piece] = self.pieces.as_slice() else { return None };
        let text = self.rest.trim();
        let text = text.strip_prefix("/*").and_then(|text| text.split_once("*/")).map_or(text, |(_, text)| text);
        // `typeof callback === 'function' && callback(…)`
        let text = if text.trim_start().starts_with("typeof ") { text.split_once("&&")?.1 } else { text };
        let name = text.trim().trim_end_matches(';').trim_end().strip_suffix("(…)")?.trim();
        (folded(name, MIN_RANDOM) == piece.name).then(|| folded(name, 1))
    }
}

/// Returns the length of the end of a statement, with the end of its line.
fn after_statement(text: &str) -> usize {
    let rest = text.trim_start_matches([' ', '\t']);
    let rest = rest.strip_prefix(';').unwrap_or(rest);
    let behind = rest.trim_start_matches([' ', '\t', '\r']);
    text.len() - behind.strip_prefix('\n').unwrap_or(rest).len()
}

/// Returns a name without white space, in which `*` replaces numbers of at least `min` digits: callbacks have names such as
/// `jQuery3510249_17`.
fn folded(name: &str, min: usize) -> String {
    let (mut out, mut digits) = (String::with_capacity(name.len()), String::new());
    for letter in name.chars().filter(|letter| !letter.is_whitespace()).map(Some).chain([None]) {
        match letter {
            Some(digit) if digit.is_ascii_digit() => digits.push(digit),
            letter => {
                out.push_str(if digits.len() < min { &digits } else { "*" });
                digits.clear();
                out.extend(letter);
            }
        }
    }
    out
}

/// Returns the place of a variable.
fn place(name: &str) -> String {
    let is_shown = !is_id(name) && shown::value(name, false) == name;
    format!("variable: {}", if is_shown { name } else { "*" })
}

/// Compares variables with the same name: one by one if both scripts have the same number of them, otherwise aligned by their
/// values.
fn variables(ours: &[Piece], theirs: &[Piece], findings: &mut Findings<'_>) -> Result<(), Stop> {
    let (left, right) = (by_name(ours, findings.work)?, by_name(theirs, findings.work)?);
    let (mut left, mut right) = (left.as_slice(), right.as_slice());
    loop {
        let name = match (left.first(), right.first()) {
            (None, None) => return Ok(()),
            (Some(one), Some(other)) => one.name.as_str().min(&other.name),
            (Some(one), None) | (None, Some(one)) => &one.name,
        };
        let (ours, after_ours) = left.split_at(left.partition_point(|piece| piece.name.as_str() <= name));
        let (theirs, after_theirs) = right.split_at(right.partition_point(|piece| piece.name.as_str() <= name));
        (left, right) = (after_ours, after_theirs);
        if ours.len() == theirs.len() {
            for (at, (one, other)) in ours.iter().zip(theirs).enumerate() {
                pair(one, other, (at, ours.len()), findings)?;
            }
            continue;
        }
        let digests = |pieces: &[&Piece]| -> Vec<u64> {
            pieces.iter().map(|piece| continued(NOWHERE, piece.json.as_bytes())).collect()
        };
        let digests = [digests(ours), digests(theirs)];
        let (mut one, mut other) = (0, 0);
        // Those between equal ones are paired by similarity.
        for aligned in align(&digests[0], &digests[1], findings.work)?.into_iter().map(Some).chain([None]) {
            match aligned {
                Some(Aligned::Ours(_) | Aligned::Theirs(_)) => continue,
                both => {
                    let (end, opposite) = match both {
                        Some(Aligned::Both(end, opposite)) => (end, opposite),
                        _ => (ours.len(), theirs.len()),
                    };
                    gap(ours, theirs, (one, end), (other, opposite), findings)?;
                    (one, other) = (end + 1, opposite + 1);
                }
            }
        }
    }
}

/// Compares the pieces between two that are equal.
fn gap<'p>(
    ours: &[&'p Piece],
    theirs: &[&'p Piece],
    (begin, end): (usize, usize),
    (other_begin, other_end): (usize, usize),
    findings: &mut Findings<'_>,
) -> Result<(), Stop> {
    let left = ours.get(begin..end).unwrap_or_default();
    let right = theirs.get(other_begin..other_end).unwrap_or_default();
    let texts =
        |pieces: &[&'p Piece]| -> Vec<(u64, &'p str)> { pieces.iter().map(|piece| (0, &*piece.json)).collect() };
    for aligned in lines::align_similar(&texts(left), &texts(right), findings.work)? {
        let (one, other) = match aligned {
            Aligned::Both(one, other) => (Some(one), Some(other)),
            Aligned::Ours(one) => (Some(one), None),
            Aligned::Theirs(other) => (None, Some(other)),
        };
        let at = (begin + one.unwrap_or(0), ours.len());
        match (one.and_then(|one| left.get(one)), other.and_then(|other| right.get(other))) {
            (Some(one), Some(other)) => pair(one, other, at, findings)?,
            (Some(one), None) => single(Class::Missing, one, at, findings)?,
            (None, Some(other)) => single(Class::Extra, other, at, findings)?,
            (None, None) => {}
        }
    }
    Ok(())
}

/// Sorts pieces by name; those with the same name stay in their order.
fn by_name<'p>(pieces: &'p [Piece], work: &Work<'_>) -> Result<Vec<&'p Piece>, Stop> {
    work.spend(pieces.len() * (DATA_WORK + pieces.len().checked_ilog2().unwrap_or(0) as usize))?;
    let mut sorted: Vec<&Piece> = pieces.iter().collect();
    sorting::sort_by(&mut sorted, &|one, other| one.name.cmp(&other.name));
    Ok(sorted)
}

/// Compares two pieces with the same name, the `number`-th of `count`.
fn pair(one: &Piece, other: &Piece, of: (usize, usize), findings: &mut Findings<'_>) -> Result<(), Stop> {
    let work = findings.work;
    work.spend(DATA_WORK + one.json.len())?;
    if one.json == other.json {
        return Ok(());
    }
    let pointer = place(&one.name);
    let at = which(&pointer, of);
    let spot = Spot::Other(&Inner { pointer: &pointer, at: at.as_deref(), above: &[] });
    let marks = findings.marks(&Spot::Body);
    let compared = findings.inside(&spot, marks, |findings| {
        let stop = |error| match error {
            NoTree::Stopped(stop) => stop,
            NoTree::NotJson => Stop::TooLarge, // it was JSON before
        };
        let mut ours = json::parse(one.json.as_bytes(), json::MAX_TREES, work).map_err(stop)?;
        let left = json::MAX_TREES.saturating_sub(ours.memory());
        let mut theirs = json::parse(other.json.as_bytes(), left, work).map_err(stop)?;
        walk::compare(&mut ours, &mut theirs, findings)
    })?;
    if compared.is_none() {
        findings.report(Class::Value, &spot, marks, &|| Values::of(seen(one), seen(other)))?;
    }
    Ok(())
}

/// Reports a piece that only one script has.
fn single(class: Class, piece: &Piece, of: (usize, usize), findings: &mut Findings<'_>) -> Result<(), Stop> {
    let pointer = place(&piece.name);
    let at = which(&pointer, of);
    let spot = Spot::Other(&Inner { pointer: &pointer, at: at.as_deref(), above: &[] });
    let values = || match class {
        Class::Missing => Values::of(seen(piece), Seen::Absent),
        _ => Values::of(Seen::Absent, seen(piece)),
    };
    findings.report(class, &spot, findings.marks(&Spot::Body), &values)
}

/// Says which of several variables with the same name it is.
fn which(pointer: &str, (number, count): (usize, usize)) -> Option<String> {
    (count > 1).then(|| format!("{pointer}, {} of {count}", number + 1))
}

/// Returns a piece as records show it: the contents of arrays and objects are not shown.
fn seen(piece: &Piece) -> Seen<'_> {
    let json = piece.json.as_str();
    let shown = match json.bytes().next() {
        Some(b'[') => "[…]",
        Some(b'{') => "{…}",
        _ => return Seen::Text(Cow::Borrowed(json.trim_matches('"'))),
    };
    Seen::Digested { shown: shown.into(), digest: continued(NOWHERE, json.as_bytes()) }
}
