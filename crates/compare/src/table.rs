//! Compares tables by row and column. Owns the pairing of rows, and the places: `column: NAME` for cells, `rows` for rows
//! that only one table has, or that are in another order. `cells` reads the text.
//!
//! For `text/csv`, `application/csv` and `text/tab-separated-values`.

mod cells;

use std::borrow::Cow;

use crossfade_journal::comparison::Class;

use self::cells::{Cells, Table};
use crate::align::{Aligned, align, longest_run};
use crate::content;
use crate::endpoint::is_id;
use crate::evidence::{NOWHERE, continued};
use crate::findings::{Findings, Seen, Values, text};
use crate::lines::{self, are_equal};
use crate::shown;
use crate::sorting;
use crate::spot::{self, Element, Elements, Inner, Spot};
use crate::work::{Stop, Work};

/// Longer keys of rows are not shown.
const MAX_KEY: usize = 64;
/// Columns that identify a row by their name, before others.
const KEYS: [&str; 12] = ["id", "uuid", "guid", "key", "sku", "ean", "isbn", "code", "number", "slug", "name", "email"];
/// Cost of a row, in addition to its bytes, in units of work.
const ROW_WORK: usize = 32;

/// Reports all differences. Texts that are not tables are compared by line.
pub(crate) fn compare(primary: &str, mirror: &str, findings: &mut Findings<'_>) -> Result<(), Stop> {
    let work = findings.work;
    work.spend(primary.len() + mirror.len())?;
    let (Some(ours), Some(theirs)) = (Table::read(primary, None, work)?, Table::read(mirror, None, work)?) else {
        return lines::compare(primary, mirror, findings);
    };
    // The primary decides if there is a header.
    let theirs = match ours.has_header == theirs.has_header {
        true => theirs,
        false => match Table::read(mirror, Some(ours.has_header), work)? {
            Some(theirs) => theirs,
            None => return lines::compare(primary, mirror, findings),
        },
    };
    if ours.delimiter != theirs.delimiter && ours.columns.len() > 1 && theirs.columns.len() > 1 {
        let spot = Spot::Other(&Inner { pointer: "column: *", at: Some("delimiter"), above: &[] });
        let values = || Values::texts(char::from(ours.delimiter).to_string(), char::from(theirs.delimiter).to_string());
        findings.report(Class::Value, &spot, findings.marks(&Spot::Body), &values)?;
    }
    let columns = columns(&ours, &theirs, findings)?;
    if columns.is_empty() {
        return Ok(());
    }
    Pairing { ours: &ours, theirs: &theirs, columns, key: None }.compare(findings)
}

/// The order of rows.
const ORDER: Spot<'_> = Spot::Other(&Inner { pointer: "rows", at: Some("order of rows"), above: &[] });

/// A column of both tables that is not ignored.
struct Column<'t> {
    name: &'t str,
    place: String,
    at: [usize; 2],
}

/// Reports columns that only one table has, or that are in another order, and returns those of both, in the primary's order.
fn columns<'t>(
    ours: &'t Table<'_>,
    theirs: &'t Table<'_>,
    findings: &mut Findings<'_>,
) -> Result<Vec<Column<'t>>, Stop> {
    let sorted = |table: &'t Table<'_>| {
        let mut names: Vec<_> = table.columns.iter().enumerate().map(|(at, name)| (&**name, at)).collect();
        sorting::sort(&mut names);
        names
    };
    findings.work.spend(ROW_WORK * (ours.columns.len() + theirs.columns.len()))?;
    let others = sorted(theirs);
    let mut is_shared = vec![false; theirs.columns.len()];
    let mut shared = Vec::new();
    for (at, name) in ours.columns.iter().enumerate() {
        let opposite = others.binary_search_by_key(&&**name, |(name, _)| name).ok().and_then(|at| others.get(at));
        let place = place(name);
        let Some((_, opposite)) = opposite else {
            report(Class::Missing, &place, None, &[], findings, &Values::unknown)?;
            continue;
        };
        is_shared.get_mut(*opposite).into_iter().for_each(|is| *is = true);
        shared.push(Column { name, place, at: [at, *opposite] });
    }
    for (name, _) in theirs.columns.iter().zip(is_shared).filter(|(_, is_shared)| !is_shared) {
        report(Class::Extra, &place(name), None, &[], findings, &Values::unknown)?;
    }
    let order: Vec<usize> = shared.iter().map(|column| column.at[1]).collect();
    let in_order = longest_run(&order);
    for (at, column) in shared.iter().enumerate() {
        if in_order.binary_search(&at).is_err() {
            report(Class::Order, &column.place, Some("order of columns"), &[], findings, &Values::unknown)?;
        }
    }
    let is_ignored = |column: &Column<'_>| {
        findings.is_ignored(&Spot::Other(&Inner { pointer: &column.place, at: None, above: &[] }))
    };
    shared.retain(|column| !is_ignored(column));
    Ok(shared)
}

/// Returns the place of a column.
fn place(name: &str) -> String {
    let is_data = name.len() > MAX_KEY || (is_id(name) && name.parse::<usize>().is_err());
    let is_shown = !is_data && !name.contains(char::is_control) && !name.contains(" >> ");
    format!("column: {}", if is_shown { name } else { "*" })
}

/// Reports a difference in a table.
fn report<'v>(
    class: Class,
    pointer: &str,
    at: Option<&str>,
    above: &[String],
    findings: &mut Findings<'_>,
    values: &dyn Fn() -> Values<'v>,
) -> Result<(), Stop> {
    let spot = Spot::Other(&Inner { pointer, at, above });
    findings.report(class, &spot, findings.marks(&Spot::Body), values)
}

/// Hashes of rows, sorted, with their numbers.
type Keys = Vec<(u64, usize)>;

/// Rows of both tables, without their headers.
struct Pairing<'t, 'a> {
    ours: &'t Table<'a>,
    theirs: &'t Table<'a>,
    columns: Vec<Column<'t>>,
    /// Index of the column that identifies rows.
    key: Option<usize>,
}

impl<'t> Pairing<'t, '_> {
    fn compare(mut self, findings: &mut Findings<'_>) -> Result<(), Stop> {
        let digests = [self.digests(0, findings)?, self.digests(1, findings)?];
        if digests[0] == digests[1] {
            return Ok(());
        }
        if let Some(keys) = self.find_key(findings)? {
            return self.by_key(keys, findings);
        }
        self.by_position(&digests, findings)
    }

    fn table(&self, which: usize) -> &Table<'_> {
        if which == 0 { self.ours } else { self.theirs }
    }

    /// Returns a number for each row that is the same for equal rows.
    fn digests(&self, which: usize, findings: &Findings<'_>) -> Result<Vec<u64>, Stop> {
        let (table, mut cells, mut digests) = (self.table(which), Cells::default(), Vec::new());
        digests.reserve_exact(table.rows.len());
        for row in 0..table.rows.len() {
            findings.work.spend(ROW_WORK + self.columns.len())?;
            table.cells(row, &mut cells, findings.work)?;
            let mut hash = NOWHERE;
            for column in &self.columns {
                let cell = cells.get(column.at.get(which).copied().unwrap_or(0));
                hash = continued(hash, findings.without_masked(&cell)?.as_bytes());
            }
            digests.push(continued(hash, cells.beyond(table.columns.len()).as_bytes()));
        }
        Ok(digests)
    }

    /// Finds the column that identifies rows: unique in both tables, and mostly the same. Returns its values' hashes, sorted,
    /// with the numbers of their rows.
    fn find_key(&mut self, findings: &Findings<'_>) -> Result<Option<[Keys; 2]>, Stop> {
        if !self.ours.has_header {
            return Ok(None);
        }
        let rank = |name: &str| {
            let name: String =
                name.chars().filter(|letter| letter.is_alphanumeric()).collect::<String>().to_lowercase();
            KEYS.iter().position(|key| name == *key).or_else(|| {
                // `order_id`, `productKey`
                KEYS.iter().position(|key| key.len() > 1 && name.ends_with(key)).map(|at| KEYS.len() + at)
            })
        };
        let mut candidates: Vec<(usize, usize)> =
            self.columns.iter().enumerate().filter_map(|(at, column)| Some((rank(column.name)?, at))).collect();
        sorting::sort(&mut candidates);
        candidates.truncate(4);
        for (_, at) in candidates {
            let keys = [self.keys(at, 0, findings)?, self.keys(at, 1, findings)?];
            let [Some(ours), Some(theirs)] = keys else { continue };
            let shared =
                ours.iter().filter(|(key, _)| theirs.binary_search_by_key(key, |(key, _)| *key).is_ok()).count();
            if 2 * shared >= ours.len().min(theirs.len()) && shared > 0 {
                self.key = Some(at);
                return Ok(Some([ours, theirs]));
            }
        }
        Ok(None)
    }

    /// Returns the hashes of a column's values, sorted, with the numbers of their rows; `None` if they are not unique.
    fn keys(&self, column: usize, which: usize, findings: &Findings<'_>) -> Result<Option<Keys>, Stop> {
        let table = self.table(which);
        let Some(at) = self.columns.get(column).and_then(|column| column.at.get(which)) else { return Ok(None) };
        let (mut cells, mut keys) = (Cells::default(), Vec::with_capacity(table.rows.len()));
        findings.work.spend(table.rows.len() * (ROW_WORK + table.rows.len().checked_ilog2().unwrap_or(0) as usize))?;
        for row in 0..table.rows.len() {
            table.cells(row, &mut cells, findings.work)?;
            keys.push((continued(NOWHERE, cells.get(*at).as_bytes()), row));
        }
        sorting::sort(&mut keys);
        let is_unique = keys.iter().zip(keys.iter().skip(1)).all(|((one, _), (other, _))| one != other);
        Ok(is_unique.then_some(keys))
    }

    /// Compares rows with the same key, wherever they are.
    fn by_key(&self, [ours, theirs]: [Keys; 2], findings: &mut Findings<'_>) -> Result<(), Stop> {
        let (mut pairs, mut extra) = (vec![None; self.ours.rows.len()], Vec::new());
        let mut left = ours.iter().peekable();
        for (key, row) in &theirs {
            while left.next_if(|(other, _)| other < key).is_some() {}
            match left.next_if(|(other, _)| other == key) {
                Some((_, at)) => pairs.get_mut(*at).into_iter().for_each(|pair| *pair = Some(*row)),
                None => extra.push(*row),
            }
        }
        drop((ours, theirs));
        let shared: Vec<usize> = pairs.iter().copied().flatten().collect();
        if !shared.is_sorted() {
            self.report_order(findings)?;
        } else if shared.len() < pairs.len() || !extra.is_empty() {
            findings.vary_order(&ORDER);
        }
        findings.vary_content(&[Elements::Keyed])?;
        for (at, pair) in pairs.into_iter().enumerate() {
            match pair {
                Some(opposite) => self.pair(at, opposite, None, findings)?,
                None => self.single(Class::Missing, at, None, None, findings)?,
            }
        }
        sorting::sort(&mut extra);
        extra.into_iter().try_for_each(|row| self.single(Class::Extra, row, None, None, findings))
    }

    /// Identifies a row of a table by its key, or by its position if that is the same as its partner's, or by its content and its
    /// partner's. `digests` are the contents, without keys.
    fn element(
        &self,
        [ours, theirs]: [Option<usize>; 2],
        cells: &Cells<'_>,
        digests: Option<&[Vec<u64>; 2]>,
    ) -> Element {
        let which = usize::from(ours.is_none());
        let Some([left, right]) = digests else {
            let column = self.key.and_then(|key| self.columns.get(key)?.at.get(which).copied());
            return Element::Keyed(continued(NOWHERE, cells.get(column.unwrap_or(0)).as_bytes()));
        };
        if let (Some(at), true) = (ours, ours == theirs) {
            return Element::At(at);
        }
        let content = |digests: &[u64], row: Option<usize>| digests.get(row?).copied();
        let contents = [content(left, ours), content(right, theirs)];
        let either = contents[0].or(contents[1]).unwrap_or_default();
        Element::Loose(contents.map(|content| content.unwrap_or(either)))
    }

    /// Compares rows that are between the same equal rows.
    fn by_position(&self, digests: &[Vec<u64>; 2], findings: &mut Findings<'_>) -> Result<(), Stop> {
        let (mut only, mut gaps, mut gap) = ([Vec::new(), Vec::new()], Vec::new(), [0, 0]);
        // Rows of the primary at another position.
        let mut shifted = Vec::new();
        for aligned in align(&digests[0], &digests[1], findings.work)? {
            if let Aligned::Both(at, opposite) = aligned
                && at != opposite
            {
                shifted.push(at);
            }
            match aligned {
                Aligned::Both(at, _) if only[0].len() > gap[0] || only[1].len() > gap[1] => {
                    gap = [only[0].len(), only[1].len()];
                    gaps.push((gap, at));
                }
                Aligned::Both(..) => {}
                Aligned::Ours(at) => only[0].push(at),
                Aligned::Theirs(at) => only[1].push(at),
            }
        }
        gaps.push(([only[0].len(), only[1].len()], self.ours.rows.len()));
        // Rows that are elsewhere in the other table are only in another order.
        let moved = moved(&only, digests, findings.work)?;
        if moved.iter().any(|moved| moved.contains(&true)) {
            self.report_order(findings)?;
        } else {
            // The order of the rows that are in both depends on which these are.
            findings.vary_order(&ORDER);
        }
        let (mut begin, mut lists) = ([0, 0], Vec::new());
        for (end, before) in gaps {
            let left = |which: usize| -> Vec<usize> {
                let range = begin.get(which).copied().unwrap_or(0)..end.get(which).copied().unwrap_or(0);
                let all = range.filter(|at| moved.get(which).and_then(|moved| moved.get(*at)) == Some(&false));
                all.filter_map(|at| only.get(which)?.get(at).copied()).collect()
            };
            lists.push(([left(0), left(1)], before));
            begin = end;
        }
        let elsewhere = only[0].iter().zip(&moved[0]).filter(|(_, moved)| **moved).map(|(at, _)| *at);
        let apart = lists.iter().flat_map(|([ours, theirs], _)| {
            let pairs = ours.iter().zip(theirs.iter().map(Some).chain(std::iter::repeat(None)));
            let is_even = ours.len() == theirs.len();
            pairs.filter(move |(one, other)| !is_even || Some(*one) != *other).map(|(one, _)| *one)
        });
        let shifted = shifted.into_iter().chain(elsewhere).chain(apart);
        findings.vary_content(&[Elements::Keyless])?;
        findings.vary_content(&spot::varying(shifted, [&digests[0], &digests[1]], findings.work)?)?;
        lists.iter().try_for_each(|([ours, theirs], before)| self.gap(ours, theirs, *before, digests, findings))
    }

    /// Compares the rows of a gap: one by one if both have the same number, otherwise those that are similar.
    fn gap(
        &self,
        ours: &[usize],
        theirs: &[usize],
        before: usize,
        digests: &[Vec<u64>; 2],
        findings: &mut Findings<'_>,
    ) -> Result<(), Stop> {
        if ours.len() == theirs.len() {
            return ours
                .iter()
                .zip(theirs)
                .try_for_each(|(one, other)| self.pair(*one, *other, Some(digests), findings));
        }
        // Of many, only those are similar that begin with the same cell.
        let is_large = ours.len().saturating_mul(theirs.len()) > lines::MAX_SIMILAR;
        let (work, mut cells) = (findings.work, Cells::default());
        let mut texts = |which: usize, rows: &[usize]| -> Result<Vec<(u64, &'t str)>, Stop> {
            let table = if which == 0 { self.ours } else { self.theirs };
            let first = self.columns.first().and_then(|column| column.at.get(which)).copied().unwrap_or(0);
            let text = |row: &usize| {
                table.cells(*row, &mut cells, work)?;
                let number = if is_large { continued(NOWHERE, cells.get(first).as_bytes()) } else { 0 };
                Ok((number, table.row(*row)))
            };
            rows.iter().map(text).collect()
        };
        let (one, other) = (texts(0, ours)?, texts(1, theirs)?);
        let mut extra = 0;
        for aligned in lines::align_similar(&one, &other, work)? {
            match aligned {
                Aligned::Both(one, other) => {
                    let (Some(one), Some(other)) = (ours.get(one), theirs.get(other)) else { continue };
                    self.pair(*one, *other, Some(digests), findings)?;
                }
                Aligned::Ours(one) => {
                    let Some(one) = ours.get(one) else { continue };
                    self.single(Class::Missing, *one, None, Some(digests), findings)?;
                }
                Aligned::Theirs(other) => {
                    extra += 1;
                    let Some(other) = theirs.get(other) else { continue };
                    self.single(Class::Extra, *other, Some((extra, before)), Some(digests), findings)?;
                }
            }
        }
        Ok(())
    }

    fn pair(
        &self,
        one: usize,
        other: usize,
        digests: Option<&[Vec<u64>; 2]>,
        findings: &mut Findings<'_>,
    ) -> Result<(), Stop> {
        findings.work.spend(ROW_WORK + self.columns.len())?;
        let (mut ours, mut theirs) = (Cells::default(), Cells::default());
        self.ours.cells(one, &mut ours, findings.work)?;
        self.theirs.cells(other, &mut theirs, findings.work)?;
        for column in &self.columns {
            let (cell, opposite) = (ours.get(column.at[0]), theirs.get(column.at[1]));
            if cell == opposite || are_equal(&cell, &opposite, findings)? {
                continue;
            }
            let row = self.row(0, one, &ours);
            let at = format!("{row}, {}", column.place);
            let inner = Inner { pointer: &column.place, at: Some(&at), above: &[] };
            let element = self.element([Some(one), Some(other)], &ours, digests);
            let spot = Spot::Element(&inner, element, &column.place);
            let marks = findings.marks(&Spot::Body);
            if !content::compare_inside(&spot, marks, &cell, &opposite, findings)? {
                content::report_text(Class::Value, [&spot; 2], marks, [&cell, &opposite], text, findings)?;
            }
        }
        let beyond = [ours.beyond(self.ours.columns.len()), theirs.beyond(self.theirs.columns.len())];
        if beyond[0] != beyond[1] && !are_equal(&beyond[0], &beyond[1], findings)? {
            let at = format!("{}, behind the last column", self.row(0, one, &ours));
            let inner = Inner { pointer: "column: *", at: Some(&at), above: &[] };
            let element = self.element([Some(one), Some(other)], &ours, digests);
            let spot = Spot::Element(&inner, element, "column: *");
            let values = || Values::texts(&*beyond[0], &*beyond[1]);
            findings.report(Class::Value, &spot, findings.marks(&Spot::Body), &values)?;
        }
        Ok(())
    }

    /// Reports a row that only one table has. `behind` is its number in a gap, and the number of the primary's rows before
    /// it.
    fn single(
        &self,
        class: Class,
        row: usize,
        behind: Option<(usize, usize)>,
        digests: Option<&[Vec<u64>; 2]>,
        findings: &mut Findings<'_>,
    ) -> Result<(), Stop> {
        let which = usize::from(class == Class::Extra);
        let (table, mut cells) = (self.table(which), Cells::default());
        table.cells(row, &mut cells, findings.work)?;
        let at = match behind {
            Some((number, before)) => format!("row {number} before row {} of {}", before + 1, self.ours.rows.len()),
            None => self.row(which, row, &cells),
        };
        let digest = continued(NOWHERE, table.row(row).as_bytes());
        let seen = || Seen::Digested { shown: Cow::Borrowed("[…]"), digest };
        let values = || if which == 0 { Values::of(seen(), Seen::Absent) } else { Values::of(Seen::Absent, seen()) };
        let inner = Inner { pointer: "rows", at: Some(&at), above: &[] };
        let rows = if which == 0 { [Some(row), None] } else { [None, Some(row)] };
        let spot = Spot::Element(&inner, self.element(rows, &cells, digests), "");
        findings.report(class, &spot, findings.marks(&Spot::Body), &values)
    }

    fn report_order(&self, findings: &mut Findings<'_>) -> Result<(), Stop> {
        findings.report(Class::Order, &ORDER, findings.marks(&Spot::Body), &Values::unknown)
    }

    /// Describes a row by its key, if that may be shown, or by its number.
    fn row(&self, which: usize, row: usize, cells: &Cells<'_>) -> String {
        let by_number = || format!("row {} of {}", row + 1, self.table(which).rows.len());
        let Some(column) = self.key.and_then(|key| self.columns.get(key)) else { return by_number() };
        let key = cells.get(column.at.get(which).copied().unwrap_or(0));
        let is_hidden = shown::is_secret_name(column.name) || key.len() > MAX_KEY || shown::value(&key, false) != *key;
        if is_hidden || key.contains(['\n', '\r']) || key.contains(" >> ") {
            return by_number();
        }
        format!("row {}={key}", column.name)
    }
}

/// Returns for each row of two lists if there is an equal one in the other list.
fn moved(only: &[Vec<usize>; 2], digests: &[Vec<u64>; 2], work: &Work<'_>) -> Result<[Vec<bool>; 2], Stop> {
    let mut moved = [vec![false; only[0].len()], vec![false; only[1].len()]];
    let sorted = |which: usize| -> Result<Keys, Stop> {
        let (only, digests) = (only.get(which).map_or(&[][..], |only| only), digests.get(which));
        work.spend(only.len() * (ROW_WORK + only.len().checked_ilog2().unwrap_or(0) as usize))?;
        let digest = |at: &usize| digests.and_then(|digests| digests.get(*at)).copied().unwrap_or(0);
        let mut list: Vec<_> = only.iter().map(digest).zip(0..).collect();
        sorting::sort(&mut list);
        Ok(list)
    };
    let (left, right) = (sorted(0)?, sorted(1)?);
    let mut right = right.into_iter().peekable();
    for (digest, one) in left {
        while right.next_if(|(other, _)| *other < digest).is_some() {}
        if let Some((_, other)) = right.next_if(|(other, _)| *other == digest) {
            moved[0].get_mut(one).into_iter().for_each(|moved| *moved = true);
            moved[1].get_mut(other).into_iter().for_each(|moved| *moved = true);
        }
    }
    Ok(moved)
}
