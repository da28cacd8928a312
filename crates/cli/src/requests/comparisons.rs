//! An earlier comparison log: the requests whose responses differed, to send them again.

use std::io::{BufRead, Result};

use crossfade_journal::comparison::{Against, Record, Verdict};
use crossfade_journal::redaction::HIDDEN;

use super::{Line, Skip, request};
use crate::report::input::{Unreadable, read_plain};

pub(super) fn read(
    name: &str,
    file: impl BufRead,
    unreadable: &mut Unreadable,
    each: &mut impl FnMut(Line),
) -> Result<()> {
    let mut garbled = 0;
    read_plain(name, file, unreadable, &mut |record: Record| {
        if record.against == Against::Mirror {
            match again(&record) {
                Ok(line) => each(line),
                Err(_) => garbled += 1,
            }
        }
    })?;
    unreadable.count += garbled;
    Ok(())
}

/// The request of a record, as the primary got it.
fn again(record: &Record) -> super::Parsed {
    if record.verdict != Verdict::Different {
        return Ok(Line::Skipped(Skip::NotDifferent));
    }
    match &record.primary.url {
        Some(url) if !url.contains(HIDDEN) => request(record.method.as_bytes(), url.as_bytes()),
        _ => Ok(Line::Skipped(Skip::Masked)),
    }
}
