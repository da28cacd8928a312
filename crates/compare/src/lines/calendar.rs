//! Reads calendars (RFC 5545) and contacts (RFC 6350): folded lines, properties and components.

use std::borrow::Cow;

use super::keys::is_name;
use super::{Listing, Section, split};
use crate::evidence::continued;
use crate::work::{Stop, Work};

/// Components within components.
const MAX_DEPTH: usize = 16;
/// Bytes of a path that is not extended.
const MAX_PATH: usize = 60;

pub(super) fn is_calendar(text: &str) -> bool {
    text.trim_start().get(.."BEGIN:V".len()).is_some_and(|begin| begin.eq_ignore_ascii_case("BEGIN:V"))
}

/// Joins lines that were folded: a line that begins with white space continues the one before.
pub(super) fn unfolded(text: &str) -> Cow<'_, str> {
    if !text.contains("\n ") && !text.contains("\n\t") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        match line.strip_prefix([' ', '\t']) {
            Some(rest) => out.push_str(rest),
            None => {
                out.push_str(if out.is_empty() { "" } else { "\n" });
                out.push_str(line);
            }
        }
    }
    Cow::Owned(out)
}

/// Reads an unfolded text. Properties are paired within their component, and components by what identifies them.
pub(super) fn read<'a>(text: &'a str, work: &Work<'_>) -> Result<Listing<'a>, Stop> {
    work.spend(4 * text.len())?;
    let lines = split(text, work)?;
    let mut ids = ids(&lines).into_iter();
    let mut listing = Listing::new();
    // The order of properties and components has no meaning.
    listing.is_ordered = false;
    // The names of the components that are open, and their sections.
    let mut open = vec![("", listing.enter(Section { has_lists: true, ..Section::default() }))];
    for line in lines {
        let (name, value) = property(line);
        if name.is_empty() {
            listing.push_plain(line);
            continue;
        }
        if name.eq_ignore_ascii_case("BEGIN") && open.len() < MAX_DEPTH {
            let id = ids.next().unwrap_or_default();
            let above = open.last().and_then(|(_, section)| listing.sections.get(*section));
            let section = listing.enter(below(above, value, id, open.len()));
            open.push((value, section));
        }
        let begin = line.len() - line.trim_start().len();
        let end = begin + name.len();
        let is_colon = line.get(end..).is_some_and(|rest| rest.starts_with(':'));
        listing.push(line, begin..end, end + usize::from(is_colon), &name.to_ascii_uppercase());
        if name.eq_ignore_ascii_case("END") && open.len() > 1 {
            open.pop();
            listing.section = open.last().map_or(0, |(_, section)| *section);
        }
    }
    Ok(listing)
}

/// Returns the section of a component.
fn below(above: Option<&Section>, name: &str, id: &str, depth: usize) -> Section {
    let (path, begin) = above.map_or(("", 0), |above| (above.path.as_str(), above.id));
    let shown = if is_name(name) { name } else { "*" };
    // That everything is in a VCALENDAR goes without saying.
    let path = if depth == 2 { "" } else { path };
    let path = if path.len() > MAX_PATH { path.to_owned() } else { format!("{path}{shown}/") };
    let id = [name, id].iter().fold(begin, |hash, text| continued(hash, text.as_bytes()));
    Section { path, id: continued(id, b""), has_lists: true }
}

/// Returns what identifies each component, in the order of the text.
fn ids<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let (mut ids, mut open): (Vec<&str>, Vec<usize>) = (Vec::new(), Vec::new());
    for line in lines {
        let (name, value) = property(line);
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("BEGIN") && open.len() + 1 < MAX_DEPTH {
            open.push(ids.len());
            ids.push("");
        } else if is("END") {
            open.pop();
        } else if is("UID") || is("TZID") || is("FN") {
            let id = open.last().and_then(|at| ids.get_mut(*at));
            id.filter(|id| id.is_empty() || is("UID")).into_iter().for_each(|id| *id = value);
        }
    }
    ids
}

/// Returns the name of a property, and its value without parameters.
fn property(line: &str) -> (&str, &str) {
    let line = line.trim_start();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let end = line.bytes().take_while(|byte| is_name(*byte)).count();
    match line.split_at_checked(end) {
        Some((name, rest)) if rest.starts_with([':', ';']) => {
            (name, rest.split_once(':').map_or("", |(_, value)| value.trim()))
        }
        _ => ("", ""),
    }
}
