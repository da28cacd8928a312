//! Compares text line by line. Owns the pairing of lines, and their places: `line: KEY` for a line that names its value,
//! otherwise `line: 12`. `keys` finds the names, `calendar` reads calendars and contacts.
//!
//! For `text/plain` and all text without a comparison of its own: Markdown, YAML, TOML, INI, CSS, `robots.txt`, metrics,
//! server-sent events, `text/calendar`, `text/vcard`.

mod calendar;
mod keys;

use std::borrow::Cow;
use std::collections::HashMap;

use crossfade_journal::comparison::Class;

use crate::align::{Aligned, align};
use crate::content;
use crate::evidence::{NOWHERE, continued};
use crate::findings::{Findings, Seen, Values};
use crate::shown;
use crate::sorting;
use crate::spot::{self, Element, Inner, Spot};
use crate::work::{Stop, Work};

/// Lines that are compared one by one. The rest of a longer text counts as one line.
const MAX_LINES: usize = 80_000;
/// Lines beyond this number have no places of their own.
const MAX_NUMBER: usize = 200;
/// Longer lines are split into statements: minified scripts and style sheets are one line.
const MAX_LINE: usize = 1_000;
/// Bytes of a statement that is split off, so that there are not too many.
const MIN_PART: usize = 40;
/// Pairs of lines of a gap that are compared with each other, to find those that are similar.
pub(crate) const MAX_SIMILAR: usize = 400;
/// Bytes of a line that decide which lines are similar.
const MAX_COMPARED: usize = 200;
/// Cost of a line, in addition to its bytes, in units of work.
const LINE_WORK: usize = 16;

/// Reports all differences.
pub(crate) fn compare(primary: &str, mirror: &str, findings: &mut Findings<'_>) -> Result<(), Stop> {
    findings.work.spend(primary.len() + mirror.len())?;
    let [primary, mirror] = [primary, mirror].map(|text| text.strip_prefix('\u{FEFF}').unwrap_or(text));
    if calendar::is_calendar(primary) {
        let (ours, theirs) = (calendar::unfolded(primary), calendar::unfolded(mirror));
        let (ours, theirs) = (calendar::read(&ours, findings.work)?, calendar::read(&theirs, findings.work)?);
        return Pairing { ours, theirs, is_code: false }.compare(findings);
    }
    let (ours, theirs) = (keys::read(primary, findings.work)?, keys::read(mirror, findings.work)?);
    Pairing { ours, theirs, is_code: false }.compare(findings)
}

/// Reports all differences of two programs: their lines contain no other content.
pub(crate) fn compare_code(primary: &str, mirror: &str, findings: &mut Findings<'_>) -> Result<(), Stop> {
    findings.work.spend(primary.len() + mirror.len())?;
    let (ours, theirs) = (keys::read(primary, findings.work)?, keys::read(mirror, findings.work)?);
    Pairing { ours, theirs, is_code: true }.compare(findings)
}

/// A text, line by line.
struct Listing<'a> {
    lines: Vec<Line<'a>>,
    sections: Vec<Section>,
    /// Index of the section of the next line.
    section: usize,
    /// `true` if the order of lines matters.
    is_ordered: bool,
}

/// A line, without white space at its end.
#[derive(Clone, Copy)]
struct Line<'a> {
    text: &'a str,
    /// The range of its key; empty if it has none.
    key: (u32, u32),
    /// Begin of its value.
    value: u32,
    /// Index of its section.
    section: u32,
    /// The same for lines of the same section with the same key; 0 for lines without one.
    id: u64,
}

/// Lines below a heading.
#[derive(Default)]
struct Section {
    /// Begins the places of its lines.
    path: String,
    id: u64,
    /// `true` if keys that occur several times in it are places as well.
    has_lists: bool,
}

impl<'a> Listing<'a> {
    fn new() -> Self {
        Listing { lines: Vec::new(), sections: vec![Section::default()], section: 0, is_ordered: true }
    }

    /// Begins a section, and returns its index.
    fn enter(&mut self, section: Section) -> usize {
        self.section = self.sections.len();
        self.sections.push(section);
        self.section
    }

    fn push_plain(&mut self, text: &'a str) {
        self.lines.push(Line { text, key: (0, 0), value: 0, section: 0, id: 0 });
    }

    /// Adds a line with a key, which is compared as `name`.
    fn push(&mut self, text: &'a str, key: std::ops::Range<usize>, value: usize, name: &str) {
        let section = self.section;
        let begin = self.sections.get(section).map_or(0, |section| section.id);
        let id = continued(continued(NOWHERE, &begin.to_le_bytes()), name.as_bytes()).max(1);
        let key = (key.start as u32, key.end as u32);
        self.lines.push(Line { text, key, value: value as u32, section: section as u32, id });
    }
}

impl<'a> Line<'a> {
    fn key(&self) -> &'a str {
        self.text.get(self.key.0 as usize..self.key.1 as usize).unwrap_or_default()
    }

    fn indentation(&self) -> &'a str {
        self.text.get(..self.text.len() - self.text.trim_start().len()).unwrap_or_default()
    }

    fn value(&self) -> &'a str {
        self.text.get(self.value as usize..).unwrap_or_default().trim_start()
    }
}

/// Splits a text into lines, and long lines into statements, without white space at their ends and without empty ones at
/// the end.
fn split<'a>(text: &'a str, work: &Work<'_>) -> Result<Vec<&'a str>, Stop> {
    let (mut lines, text) = (Vec::new(), text.trim_end());
    let mut begin = 0;
    if text.is_empty() {
        return Ok(lines);
    }
    for line in text.split('\n') {
        let mut left = line;
        loop {
            work.spend(LINE_WORK)?;
            if lines.len() + 1 >= MAX_LINES {
                lines.push(text.get(begin..).unwrap_or_default());
                return Ok(lines);
            }
            let length = if line.len() > MAX_LINE { statement(left) } else { left.len() };
            let (part, behind) = left.split_at_checked(length).unwrap_or((left, ""));
            lines.push(part.trim_end());
            (left, begin) = (behind, begin + part.len());
            if left.is_empty() {
                break;
            }
        }
        begin += 1;
    }
    Ok(lines)
}

/// Returns the length of the first statement of a long line, or of the whole.
fn statement(line: &str) -> usize {
    let behind = line.bytes().skip(MIN_PART).position(|byte| matches!(byte, b';' | b'}'));
    behind.map_or(line.len(), |at| MIN_PART + at + 1)
}

/// Two lines that belong together, or one without an opposite.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    /// Number of the primary's lines before it.
    before: usize,
    ours: Option<usize>,
    theirs: Option<usize>,
}

struct Pairing<'a> {
    ours: Listing<'a>,
    theirs: Listing<'a>,
    is_code: bool,
}

/// Lines between two that are equal.
#[derive(Default)]
struct Gap {
    /// Number of the primary's lines before it.
    before: usize,
    ours: Vec<usize>,
    theirs: Vec<usize>,
}

impl<'a> Pairing<'a> {
    fn compare(&self, findings: &mut Findings<'_>) -> Result<(), Stop> {
        let digests = [digests(&self.ours, findings)?, digests(&self.theirs, findings)?];
        let mut gaps = Vec::new();
        let mut gap = Gap::default();
        for aligned in align(&digests[0], &digests[1], findings.work)? {
            match aligned {
                Aligned::Both(at, _) => {
                    let behind = Gap { before: at + 1, ..Gap::default() };
                    let gap = std::mem::replace(&mut gap, behind);
                    if !gap.ours.is_empty() || !gap.theirs.is_empty() {
                        gaps.push(gap);
                    }
                }
                Aligned::Ours(at) => gap.ours.push(at),
                Aligned::Theirs(at) => gap.theirs.push(at),
            }
        }
        gaps.push(gap);
        let contents = spot::varying(std::iter::empty(), [&digests[0], &digests[1]], findings.work)?;
        findings.vary_content(&contents)?;
        let counts = self.counts(&gaps, findings.work)?;
        let (mut pairs, moved) = self.moved(&mut gaps, &digests, &counts, findings.work)?;
        for gap in &gaps {
            self.within(gap, &mut pairs, findings.work)?;
        }
        findings.work.spend(pairs.len() * (1 + pairs.len().checked_ilog2().unwrap_or(0) as usize))?;
        sorting::sort(&mut pairs);
        findings.work.spend(8 * digests[0].len())?;
        let is_in_place = |at: usize| {
            let pair = Pair { before: at, ours: Some(at), theirs: Some(at) };
            digests[0].get(at) == digests[1].get(at) || pairs.binary_search(&pair).is_ok()
        };
        let moved_lines = (0..digests[0].len()).filter(|at| !is_in_place(*at));
        let moved_lines = spot::varying(moved_lines, [&[], &[]], findings.work)?;
        findings.vary_content(&moved_lines)?;
        let spot = Spot::Other(&Inner { pointer: "line: *", at: Some("order of lines"), above: &[] });
        if !moved {
            // The order of the lines that are in both depends on which these are.
            findings.vary_order(&spot);
        } else if self.ours.is_ordered {
            findings.report(Class::Order, &spot, findings.marks(&Spot::Body), &Values::unknown)?;
        }
        let mut last = (usize::MAX, 0);
        for pair in pairs {
            last = if last.0 == pair.before { (pair.before, last.1 + 1) } else { (pair.before, 1) };
            self.pair(pair, last.1, &counts, &digests, findings)?;
        }
        Ok(())
    }

    /// Counts how often each key of the lines in gaps occurs in both texts.
    fn counts(&self, gaps: &[Gap], work: &Work<'_>) -> Result<HashMap<u64, [u32; 2]>, Stop> {
        let mut counts = HashMap::new();
        for gap in gaps {
            let ours = gap.ours.iter().filter_map(|at| self.ours.lines.get(*at));
            let theirs = gap.theirs.iter().filter_map(|at| self.theirs.lines.get(*at));
            counts.extend(ours.chain(theirs).filter(|line| line.id != 0).map(|line| (line.id, [0, 0])));
        }
        if counts.is_empty() {
            return Ok(counts);
        }
        for (which, listing) in [&self.ours, &self.theirs].into_iter().enumerate() {
            work.spend(LINE_WORK * listing.lines.len())?;
            for line in &listing.lines {
                if let Some(count) = counts.get_mut(&line.id).and_then(|counts| counts.get_mut(which)) {
                    *count = count.saturating_add(1);
                }
            }
        }
        Ok(counts)
    }

    /// Takes lines out of their gaps that are elsewhere in the other text: the same lines, which only have to be in another
    /// order, and lines with the same key. Returns the pairs of the latter, and `true` if the order differs.
    fn moved(
        &self,
        gaps: &mut [Gap],
        digests: &[Vec<u64>; 2],
        counts: &HashMap<u64, [u32; 2]>,
        work: &Work<'_>,
    ) -> Result<(Vec<Pair>, bool), Stop> {
        let (mut pairs, mut is_moved) = (Vec::new(), false);
        let mut gone = [vec![false; self.ours.lines.len()], vec![false; self.theirs.lines.len()]];
        let digest = |which: usize, at: usize| digests.get(which).and_then(|all| all.get(at)).copied();
        let id = |which: usize, at: usize| {
            let listing = if which == 0 { &self.ours } else { &self.theirs };
            let id = listing.lines.get(at)?.id;
            counts.get(&id).is_some_and(|counts| *counts == [1, 1]).then_some(id)
        };
        for (is_equal, key) in [(true, &digest as &dyn Fn(usize, usize) -> Option<u64>), (false, &id)] {
            let sorted = |which: usize, gone: &[bool]| -> Result<Vec<(u64, usize, usize)>, Stop> {
                let mut list = Vec::new();
                for (number, gap) in gaps.iter().enumerate() {
                    let all = if which == 0 { &gap.ours } else { &gap.theirs };
                    let left = all.iter().filter(|at| !gone.get(**at).copied().unwrap_or(true));
                    list.extend(left.filter_map(|at| Some((key(which, *at)?, *at, number))));
                }
                work.spend(list.len() * (LINE_WORK + list.len().checked_ilog2().unwrap_or(0) as usize))?;
                sorting::sort(&mut list);
                Ok(list)
            };
            let (left, right) = (sorted(0, &gone[0])?, sorted(1, &gone[1])?);
            let mut right = right.into_iter().peekable();
            for (key, ours, gap) in left {
                while right.next_if(|(other, ..)| *other < key).is_some() {}
                let Some((_, theirs, other)) = right.next_if(|(other, ..)| *other == key) else { continue };
                for (gone, at) in gone.iter_mut().zip([ours, theirs]) {
                    gone.get_mut(at).into_iter().for_each(|gone| *gone = true);
                }
                is_moved |= is_equal || gap != other;
                if !is_equal {
                    pairs.push(Pair { before: ours, ours: Some(ours), theirs: Some(theirs) });
                }
            }
        }
        let [ours_gone, theirs_gone] = gone;
        let is_left = |gone: &[bool], at: usize| !gone.get(at).copied().unwrap_or(true);
        for gap in gaps {
            gap.ours.retain(|at| is_left(&ours_gone, *at));
            gap.theirs.retain(|at| is_left(&theirs_gone, *at));
        }
        Ok((pairs, is_moved))
    }

    /// Pairs the lines of a gap that have the same key, or none, in their order.
    fn within(&self, gap: &Gap, pairs: &mut Vec<Pair>, work: &Work<'_>) -> Result<(), Stop> {
        let texts = |listing: &Listing<'a>, lines: &[usize]| -> Vec<(u64, &'a str)> {
            lines.iter().filter_map(|at| listing.lines.get(*at)).map(|line| (line.id, line.text)).collect()
        };
        let aligned = align_similar(&texts(&self.ours, &gap.ours), &texts(&self.theirs, &gap.theirs), work)?;
        let mut before = gap.before;
        for aligned in aligned {
            let (one, other) = match aligned {
                Aligned::Both(one, other) => (Some(one), Some(other)),
                Aligned::Ours(one) => (Some(one), None),
                Aligned::Theirs(other) => (None, Some(other)),
            };
            let ours = one.and_then(|one| gap.ours.get(one)).copied();
            before = ours.map_or(before, |ours| ours + 1);
            let at = if ours.is_some() { before.saturating_sub(1) } else { before };
            pairs.push(Pair { before: at, ours, theirs: other.and_then(|other| gap.theirs.get(other)).copied() });
        }
        Ok(())
    }

    /// Compares a pair, or reports a line without an opposite: the primary's, or the `extra`-th one of the mirror behind
    /// the same line.
    fn pair(
        &self,
        pair: Pair,
        extra: usize,
        counts: &HashMap<u64, [u32; 2]>,
        digests: &[Vec<u64>; 2],
        findings: &mut Findings<'_>,
    ) -> Result<(), Stop> {
        let ours = pair.ours.and_then(|at| self.ours.lines.get(at));
        let theirs = pair.theirs.and_then(|at| self.theirs.lines.get(at));
        let (Some(line), listing) = (ours.or(theirs), if ours.is_some() { &self.ours } else { &self.theirs }) else {
            return Ok(());
        };
        let [is_unique, is_same] = [line, theirs.unwrap_or(line)]
            .map(|other| line.id == other.id && line.id != 0)
            .map(|has_key| has_key && counts.get(&line.id).is_none_or(|counts| counts.iter().all(|count| *count <= 1)));
        let section = listing.sections.get(line.section as usize);
        let (path, has_lists) = section.map_or(("", false), |section| (&section.path, section.has_lists));
        let has_place = line.id != 0 && (has_lists || (is_unique && is_same));
        let pointer = match pair.before + 1 {
            _ if has_place => format!("line: {path}{}", line.key()),
            // The number of an inserted line is that of another line.
            number if number > MAX_NUMBER || ours.is_none() => "line: *".to_owned(),
            number => format!("line: {number}"),
        };
        let total = self.ours.lines.len();
        let at = match ours {
            Some(_) => format!("line {} of {total}", pair.before + 1),
            None => format!("line {extra} behind line {} of {total}", pair.before),
        };
        // A line with a name of its own is at the same place wherever it is.
        let at = (!is_unique).then_some(&*at);
        let inner = Inner { pointer: &pointer, at, above: &[] };
        let digest = |which: usize, at: Option<usize>| digests.get(which).and_then(|all| all.get(at?)).copied();
        let contents = [digest(0, pair.ours), digest(1, pair.theirs)];
        let either = contents[0].or(contents[1]).unwrap_or_default();
        let loose = Spot::Element(&inner, Element::Loose(contents.map(|digest| digest.unwrap_or(either))), "");
        let spot = if is_unique { Spot::Other(&inner) } else { loose };
        // A content of its own may vary in parts.
        let outer = match pair.ours {
            Some(at) if !is_unique && pair.ours == pair.theirs => Spot::Element(&inner, Element::At(at), ""),
            _ => spot,
        };
        let marks = findings.marks(&Spot::Body);
        match (ours, theirs) {
            (Some(one), Some(other)) => {
                // In YAML, the indentation is the structure.
                let is_alike = one.id == other.id && one.indentation() == other.indentation();
                let (one, other) = if is_alike { (one.value(), other.value()) } else { (one.text, other.text) };
                if are_equal(one, other, findings)?
                    || (!self.is_code && content::compare_inside(&outer, marks, one, other, findings)?)
                {
                    return Ok(());
                }
                content::report_text(Class::Value, [&spot, &outer], marks, [one, other], seen, findings)
            }
            (Some(_), None) => {
                findings.report(Class::Missing, &spot, marks, &|| Values::of(seen(line.value()), Seen::Absent))
            }
            _ => findings.report(Class::Extra, &spot, marks, &|| Values::of(Seen::Absent, seen(line.value()))),
        }
    }
}

/// Returns a number for each line that is the same for equal lines.
fn digests(listing: &Listing<'_>, findings: &Findings<'_>) -> Result<Vec<u64>, Stop> {
    let digest = |line: &Line<'_>| {
        findings.work.spend(LINE_WORK + line.text.len())?;
        let text = findings.without_masked(line.text)?;
        let section = listing.sections.get(line.section as usize).map_or(0, |section| section.id);
        Ok(continued(continued(NOWHERE, &section.to_le_bytes()), text.as_bytes()))
    };
    listing.lines.iter().map(digest).collect()
}

/// Aligns texts that are not equal: as many as possible of those with the same number, and few of them those that are most
/// similar.
pub(crate) fn align_similar(
    ours: &[(u64, &str)],
    theirs: &[(u64, &str)],
    work: &Work<'_>,
) -> Result<Vec<Aligned>, Stop> {
    if ours.len().saturating_mul(theirs.len()) > MAX_SIMILAR {
        let numbers = |texts: &[(u64, &str)]| texts.iter().map(|(number, _)| *number).collect::<Vec<_>>();
        return align(&numbers(ours), &numbers(theirs), work);
    }
    // The weight of the best alignment of the rests that begin at each pair.
    let width = theirs.len() + 1;
    let mut best = vec![0_u32; (ours.len() + 1) * width];
    let mut weights = Vec::with_capacity(ours.len() * theirs.len());
    for (number, text) in ours {
        for (other, opposite) in theirs {
            let weight = if number == other { similarity(text, opposite, work)?.saturating_add(1) } else { 0 };
            weights.push(weight);
        }
    }
    let at = |best: &[u32], row: usize, column: usize| best.get(row * width + column).copied().unwrap_or(0);
    let with = |best: &[u32], row: usize, column: usize| {
        let weight =
            weights.get(row * (width - 1) + column).copied().filter(|weight| *weight > 0 && column + 1 < width);
        weight.map_or(0, |weight| weight.saturating_add(at(best, row + 1, column + 1)))
    };
    for row in (0..ours.len()).rev() {
        for column in (0..theirs.len()).rev() {
            let value = with(&best, row, column).max(at(&best, row + 1, column)).max(at(&best, row, column + 1));
            best.get_mut(row * width + column).into_iter().for_each(|slot| *slot = value);
        }
    }
    let (mut row, mut column, mut aligned) = (0, 0, Vec::new());
    while row < ours.len() || column < theirs.len() {
        let here = at(&best, row, column);
        if here > 0 && here == with(&best, row, column) {
            aligned.push(Aligned::Both(row, column));
            (row, column) = (row + 1, column + 1);
        } else if row < ours.len() && (column == theirs.len() || here == at(&best, row + 1, column)) {
            aligned.push(Aligned::Ours(row));
            row += 1;
        } else {
            aligned.push(Aligned::Theirs(column));
            column += 1;
        }
    }
    Ok(aligned)
}

/// Returns the share of two lines that is the same at their begin and end, of eight.
fn similarity(one: &str, other: &str, work: &Work<'_>) -> Result<u32, Stop> {
    let count = |same: usize, is_same: bool| if is_same { Ok(same + 1) } else { Err(same) };
    let length = |result: Result<usize, usize>| result.unwrap_or_else(|same| same);
    let (left, right) = (one.bytes().zip(other.bytes()), one.bytes().rev().zip(other.bytes().rev()));
    let begin = length(left.take(MAX_COMPARED).map(|(one, other)| one == other).try_fold(0, count));
    let end = length(right.take(MAX_COMPARED).map(|(one, other)| one == other).try_fold(0, count));
    work.spend(1 + begin + end)?;
    let longest = one.len().max(other.len()).clamp(1, 2 * MAX_COMPARED);
    Ok((8 * (begin + end).min(longest) / longest) as u32)
}

/// Returns `true` if two texts are equal for the rules, as a whole or word by word.
pub(crate) fn are_equal(one: &str, other: &str, findings: &Findings<'_>) -> Result<bool, Stop> {
    findings.work.spend(one.len() + other.len())?;
    if findings.are_equal(one, other)? {
        return Ok(true);
    }
    let is_delimiter = |letter: char| letter.is_whitespace() || "\"'<>()[]{},;=|".contains(letter);
    let (mut left, mut right) = (one.split_inclusive(is_delimiter), other.split_inclusive(is_delimiter));
    loop {
        let (one, other) = match (left.next(), right.next()) {
            (None, None) => return Ok(true),
            (Some(one), Some(other)) => (one, other),
            _ => return Ok(false),
        };
        let (word, opposite) = (one.trim_end_matches(is_delimiter), other.trim_end_matches(is_delimiter));
        if one.get(word.len()..) != other.get(opposite.len()..) || !findings.are_equal(word, opposite)? {
            return Ok(false);
        }
    }
}

/// Returns a text as a record may show it. If it mentions a secret nothing is shown, since the secret may be anywhere in it.
pub(crate) fn seen(text: &str) -> Seen<'_> {
    if shown::is_secret_name(shown::head(text)) {
        let digest = continued(NOWHERE, text.as_bytes());
        return Seen::Digested { shown: Cow::Borrowed(shown::HIDDEN), digest };
    }
    Seen::Text(Cow::Borrowed(text))
}
