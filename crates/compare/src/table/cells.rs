//! Reads delimited text (RFC 4180): the delimiter, the header, rows and cells. Keeps only where rows are: cells are read when
//! they are needed.

use crate::sorting;
use std::borrow::Cow;

use crate::work::{Stop, Work};

/// Rows of a table.
const MAX_ROWS: usize = 100_000;
/// Columns of a table.
const MAX_COLUMNS: usize = 1_000;
/// Bytes of a column's name.
const MAX_NAME: usize = 100;
/// Cost of a row, in addition to its bytes, in units of work.
const ROW_WORK: usize = 8;
/// Delimiters, by preference.
const DELIMITERS: [u8; 4] = *b",;\t|";

pub(super) struct Table<'a> {
    text: &'a str,
    pub(super) delimiter: u8,
    pub(super) has_header: bool,
    /// Names of the columns, or their numbers from 1.
    pub(super) columns: Vec<Cow<'a, str>>,
    /// Begin and end of each row but the header.
    pub(super) rows: Vec<(u32, u32)>,
}

/// The cells of a row, as ranges of its text.
#[derive(Default)]
pub(super) struct Cells<'a> {
    text: &'a str,
    cells: Vec<(u32, u32)>,
}

impl<'a> Table<'a> {
    /// Reads a table; `has_header` if that is known. `None` if it is too large, or a quote has no end.
    pub(super) fn read(text: &'a str, has_header: Option<bool>, work: &Work<'_>) -> Result<Option<Self>, Stop> {
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        work.spend(text.len())?;
        let first = text.split('\n').next().unwrap_or_default();
        work.spend(8 * first.len())?;
        let count = |delimiter: u8| {
            let mut state = State::Begin;
            let is_outside = |byte: &u8| {
                state = state.behind(*byte, delimiter);
                state != State::Quoted && *byte == delimiter
            };
            first.bytes().filter(is_outside).count()
        };
        let delimiter = DELIMITERS.iter().rev().max_by_key(|delimiter| count(**delimiter)).copied().unwrap_or(b',');
        let (mut rows, mut begin, mut state) = (Vec::new(), 0, State::Begin);
        for (at, byte) in text.bytes().enumerate() {
            state = state.behind(byte, delimiter);
            if byte == b'\n' && state != State::Quoted {
                push(text, begin, at, &mut rows);
                begin = at + 1;
                work.spend(ROW_WORK)?;
                if rows.len() > MAX_ROWS {
                    return Ok(None);
                }
            }
        }
        if state == State::Quoted {
            return Ok(None);
        }
        push(text, begin, text.len(), &mut rows);
        let mut table = Table { text, delimiter, has_header: false, columns: Vec::new(), rows };
        let mut cells = Cells::default();
        table.cells(0, &mut cells, work)?;
        if cells.cells.len() > MAX_COLUMNS {
            return Ok(None);
        }
        let names: Vec<_> = (0..cells.cells.len()).map(|at| cells.get(at)).map(trimmed).collect();
        table.has_header = !table.rows.is_empty() && has_header.unwrap_or_else(|| is_header(&names));
        if table.has_header {
            table.columns = names;
            table.rows.remove(0);
        } else {
            table.columns = (1..=names.len()).map(|number| number.to_string().into()).collect();
        }
        Ok(Some(table))
    }

    /// Returns a row as it is written.
    pub(super) fn row(&self, row: usize) -> &'a str {
        let range = self.rows.get(row).map(|(begin, end)| *begin as usize..*end as usize);
        range.and_then(|range| self.text.get(range)).unwrap_or_default()
    }

    /// Reads the cells of a row.
    pub(super) fn cells(&self, row: usize, cells: &mut Cells<'a>, work: &Work<'_>) -> Result<(), Stop> {
        let text = self.row(row);
        work.spend(ROW_WORK + text.len())?;
        cells.text = text;
        cells.cells.clear();
        let (mut begin, mut state) = (0, State::Begin);
        for (at, byte) in text.bytes().enumerate() {
            state = state.behind(byte, self.delimiter);
            if byte == self.delimiter && state != State::Quoted {
                cells.cells.push((begin as u32, at as u32));
                begin = at + 1;
            }
        }
        cells.cells.push((begin as u32, text.len() as u32));
        Ok(())
    }
}

impl<'a> Cells<'a> {
    /// Returns a cell without its quotes; empty if the row has fewer cells.
    pub(super) fn get(&self, at: usize) -> Cow<'a, str> {
        let range = self.cells.get(at).map(|(begin, end)| *begin as usize..*end as usize);
        let cell = range.and_then(|range| self.text.get(range)).unwrap_or_default();
        match cell.trim().strip_prefix('"').and_then(|cell| cell.strip_suffix('"')) {
            Some(inner) if inner.contains("\"\"") || inner.contains('\r') => {
                inner.replace("\"\"", "\"").replace("\r\n", "\n").into()
            }
            Some(inner) => inner.into(),
            None if cell.contains('\r') => cell.replace("\r\n", "\n").into(),
            None => cell.into(),
        }
    }

    /// Returns what a row has behind this number of cells.
    pub(super) fn beyond(&self, count: usize) -> Cow<'a, str> {
        let beyond = self.cells.get(count).and_then(|(begin, _)| self.text.get(*begin as usize..));
        match beyond.unwrap_or_default() {
            text if text.contains('\r') => text.replace("\r\n", "\n").into(),
            text => text.into(),
        }
    }
}

fn push(text: &str, begin: usize, end: usize, rows: &mut Vec<(u32, u32)>) {
    let row = text.get(begin..end).unwrap_or_default();
    let row = row.strip_suffix('\r').unwrap_or(row);
    if !row.is_empty() {
        rows.push((begin as u32, (begin + row.len()) as u32));
    }
}

/// The position behind a byte, within its cell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the begin of a cell: only there a quote opens one that is quoted.
    Begin,
    Plain,
    Quoted,
    /// Behind a quote that ends a cell, unless another one follows.
    Closed,
}

impl State {
    /// Returns the state behind a byte.
    fn behind(self, byte: u8, delimiter: u8) -> State {
        match (self, byte) {
            (State::Begin | State::Closed, b'"') => State::Quoted,
            (State::Quoted, b'"') => State::Closed,
            (State::Quoted, _) => State::Quoted,
            (_, b'\n') => State::Begin,
            (_, byte) if byte == delimiter => State::Begin,
            (State::Begin, b' ') => State::Begin,
            _ => State::Plain,
        }
    }
}

fn trimmed(name: Cow<'_, str>) -> Cow<'_, str> {
    match name {
        Cow::Borrowed(name) => name.trim().into(),
        Cow::Owned(name) => name.trim().to_owned().into(),
    }
}

/// Returns `true` if these are names: all different, and none of them a number.
fn is_header(names: &[Cow<'_, str>]) -> bool {
    let is_name = |name: &str| !name.is_empty() && name.len() <= MAX_NAME && name.parse::<f64>().is_err();
    let mut sorted: Vec<&str> = names.iter().map(|name| &**name).collect();
    sorting::sort(&mut sorted);
    sorted.iter().all(|name| is_name(name)) && sorted.iter().zip(sorted.iter().skip(1)).all(|(one, other)| one != other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::never_over;

    #[test]
    fn tables_are_read() {
        let work = Work::new(&never_over);
        for (text, delimiter, has_header, expected) in [
            ("a,b\n1,2\n", b',', true, "a|b / 1|2"),
            ("\u{FEFF}a;b\r\n\"1;\n\"\"2\"\"\";x\r\n", b';', true, "a|b / 1;\n\"2\"|x"),
            ("1\t2\n3\t4", b'\t', false, "1|2 / 1|2 / 3|4"),
            ("a,a\n1,2", b',', false, "1|2 / a|a / 1|2"),
            ("a,b\n\n5\" disk,2\n", b',', true, "a|b / 5\" disk|2"),
            ("a,b\n1\n", b',', true, "a|b / 1|"),
            ("", b',', false, "1"),
        ] {
            let table = Table::read(text, None, &work).unwrap().unwrap();
            let mut cells = Cells::default();
            let mut rows = vec![table.columns.join("|")];
            for row in 0..table.rows.len() {
                table.cells(row, &mut cells, &work).unwrap();
                rows.push((0..table.columns.len()).map(|at| cells.get(at)).collect::<Vec<_>>().join("|"));
            }
            assert_eq!((table.delimiter, table.has_header, &*rows.join(" / ")), (delimiter, has_header, expected));
        }
        assert!(Table::read("a,b\n1,\"2\n", None, &work).unwrap().is_none());
    }
}
