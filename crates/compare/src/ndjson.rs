//! Compares JSON documents that follow each other, one per line. Owns the lines; the documents are compared as the elements
//! of an array, at places such as `/*/price`.
//!
//! For `application/x-ndjson`, `application/jsonl` and `application/json-seq`.

use crate::findings::Findings;
use crate::json::{self, NoTree, Tree, Value};
use crate::work::{Stop, Work};
use crate::{lines, walk};

/// Reports all differences.
pub(crate) fn compare(primary: &str, mirror: &str, findings: &mut Findings<'_>) -> Result<(), Stop> {
    findings.work.spend(primary.len() + mirror.len())?;
    let (ours, theirs) = (array(primary), array(mirror));
    let Some(mut one) = parsed(&ours, json::MAX_TREES, findings.work)? else {
        return lines::compare(primary, mirror, findings);
    };
    let left = json::MAX_TREES.saturating_sub(one.memory());
    let Some(mut other) = parsed(&theirs, left, findings.work)? else {
        return lines::compare(primary, mirror, findings);
    };
    walk::compare(&mut one, &mut other, findings)
}

/// Returns the tree of an array with this number of lines, or `None` if a line is not a document.
fn parsed<'a>((text, count): &'a (String, usize), memory: usize, work: &Work<'_>) -> Result<Option<Tree<'a>>, Stop> {
    match json::parse(text.as_bytes(), memory, work) {
        // A document of several lines would be another number of elements.
        Ok(tree) => Ok(matches!(tree.value(Tree::ROOT), Value::Array(found) if found == *count).then_some(tree)),
        Err(NoTree::NotJson) => Ok(None),
        Err(NoTree::Stopped(stop)) => Err(stop),
    }
}

/// Returns the array of all lines, and their number. Lines without content do not count.
fn array(text: &str) -> (String, usize) {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let (mut array, mut count) = (String::with_capacity(text.len() + 2), 0);
    // A sequence has a separator before each document (RFC 7464).
    for line in text.split('\n').map(|line| line.trim_start_matches('\u{1E}').trim()).filter(|line| !line.is_empty()) {
        array.push(if count == 0 { '[' } else { ',' });
        array.push_str(line);
        count += 1;
    }
    array.push_str(if count == 0 { "[]" } else { "]" });
    (array, count)
}
