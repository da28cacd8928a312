//! Finds which elements of two sequences belong together. Owns the alignment of equal elements in their order, in n log n
//! time; what is equal, and how elements that are not are compared, is decided by the caller.
//!
//! Equal elements at both ends are taken first. In between, elements that occur once in each sequence are anchors, of which
//! the longest run in order is kept (patience), and the gaps between anchors are treated alike. Small gaps without
//! anchors get their longest common subsequence.

use crate::sorting;
use crate::work::{Stop, Work};

/// Rounds of finding anchors within gaps.
const MAX_ROUNDS: usize = 6;
/// Pairs of elements in a gap that are all looked at.
const MAX_GAP: usize = 4_096;
/// Cost of an element in a round, in units of work.
const ELEMENT_WORK: usize = 8;

/// An element of one sequence or of both, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aligned {
    /// Equal elements.
    Both(usize, usize),
    Ours(usize),
    Theirs(usize),
}

/// A pair of ranges that have not been aligned yet.
#[derive(Clone, Copy, Debug)]
struct Gap {
    ours: (usize, usize),
    theirs: (usize, usize),
}

/// Aligns two sequences of digests. The result has every element once, each sequence in its order.
pub(crate) fn align(ours: &[u64], theirs: &[u64], work: &Work<'_>) -> Result<Vec<Aligned>, Stop> {
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    let mut gaps = vec![Gap { ours: (0, ours.len()), theirs: (0, theirs.len()) }];
    for round in 0..MAX_ROUNDS {
        let mut next = Vec::new();
        for gap in gaps {
            let gap = trimmed(gap, ours, theirs, &mut pairs, work)?;
            let (left, right) = (gap.ours.1 - gap.ours.0, gap.theirs.1 - gap.theirs.0);
            if left == 0 || right == 0 {
                continue;
            }
            if left.saturating_mul(right) <= MAX_GAP {
                common(gap, ours, theirs, &mut pairs, work)?;
                continue;
            }
            let anchors = anchors(gap, ours, theirs, work)?;
            if anchors.is_empty() || round + 1 == MAX_ROUNDS {
                pairs.extend(anchors);
                continue;
            }
            let (mut one, mut other) = (gap.ours.0, gap.theirs.0);
            for (at, opposite) in anchors {
                pairs.push((at, opposite));
                next.push(Gap { ours: (one, at), theirs: (other, opposite) });
                (one, other) = (at + 1, opposite + 1);
            }
            next.push(Gap { ours: (one, gap.ours.1), theirs: (other, gap.theirs.1) });
        }
        gaps = next;
    }
    sorting::sort(&mut pairs);
    Ok(listed(&pairs, ours.len(), theirs.len()))
}

/// Pairs the equal elements at both ends of a gap and returns the rest.
fn trimmed(
    mut gap: Gap,
    ours: &[u64],
    theirs: &[u64],
    pairs: &mut Vec<(usize, usize)>,
    work: &Work<'_>,
) -> Result<Gap, Stop> {
    while gap.ours.0 < gap.ours.1 && gap.theirs.0 < gap.theirs.1 && ours.get(gap.ours.0) == theirs.get(gap.theirs.0) {
        work.spend(1)?;
        pairs.push((gap.ours.0, gap.theirs.0));
        gap = Gap { ours: (gap.ours.0 + 1, gap.ours.1), theirs: (gap.theirs.0 + 1, gap.theirs.1) };
    }
    while gap.ours.0 < gap.ours.1
        && gap.theirs.0 < gap.theirs.1
        && ours.get(gap.ours.1 - 1) == theirs.get(gap.theirs.1 - 1)
    {
        work.spend(1)?;
        gap = Gap { ours: (gap.ours.0, gap.ours.1 - 1), theirs: (gap.theirs.0, gap.theirs.1 - 1) };
        pairs.push((gap.ours.1, gap.theirs.1));
    }
    Ok(gap)
}

/// Returns the longest run, in order in both sequences, of the elements that occur once in each.
fn anchors(gap: Gap, ours: &[u64], theirs: &[u64], work: &Work<'_>) -> Result<Vec<(usize, usize)>, Stop> {
    let (left, right) = (once(gap.ours, ours, work)?, once(gap.theirs, theirs, work)?);
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    let mut shared = Vec::new();
    while let (Some((one, at)), Some((other, opposite))) = (left.peek(), right.peek()) {
        match one.cmp(other) {
            std::cmp::Ordering::Equal => {
                shared.push((*at, *opposite));
                left.next();
                right.next();
            }
            std::cmp::Ordering::Less => drop(left.next()),
            std::cmp::Ordering::Greater => drop(right.next()),
        }
    }
    sorting::sort(&mut shared);
    let kept = longest_run(&shared.iter().map(|(_, opposite)| *opposite).collect::<Vec<_>>());
    Ok(kept.into_iter().filter_map(|at| shared.get(at).copied()).collect())
}

/// Returns the digests that occur once in a range, sorted, with their indices.
fn once((begin, end): (usize, usize), all: &[u64], work: &Work<'_>) -> Result<Vec<(u64, usize)>, Stop> {
    let range = all.get(begin..end).unwrap_or_default();
    work.spend(range.len() * (ELEMENT_WORK + range.len().checked_ilog2().unwrap_or(0) as usize))?;
    let mut sorted: Vec<_> = range.iter().copied().zip(begin..).collect();
    sorting::sort(&mut sorted);
    let is_once = |at: usize| {
        let digest = |at: usize| sorted.get(at).map(|(digest, _)| *digest);
        digest(at + 1) != digest(at) && (at == 0 || digest(at - 1) != digest(at))
    };
    Ok((0..sorted.len()).filter(|at| is_once(*at)).filter_map(|at| sorted.get(at).copied()).collect())
}

/// Returns the indices of the longest ascending run (patience sorting).
pub(crate) fn longest_run(values: &[usize]) -> Vec<usize> {
    let value = |at: usize| values.get(at).copied().unwrap_or(usize::MAX);
    // The index of the smallest last value of a run of each length, and for each value the one before it.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(values.len());
    for at in 0..values.len() {
        let length = ends.partition_point(|end| value(*end) < value(at));
        before.push(length.checked_sub(1).and_then(|shorter| ends.get(shorter).copied()));
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut run = Vec::with_capacity(ends.len());
    let mut next = ends.last().copied();
    while let Some(at) = next {
        run.push(at);
        next = before.get(at).copied().flatten();
    }
    run.reverse();
    run
}

/// Pairs the longest common subsequence of a small gap.
fn common(
    gap: Gap,
    ours: &[u64],
    theirs: &[u64],
    pairs: &mut Vec<(usize, usize)>,
    work: &Work<'_>,
) -> Result<(), Stop> {
    let left = ours.get(gap.ours.0..gap.ours.1).unwrap_or_default();
    let right = theirs.get(gap.theirs.0..gap.theirs.1).unwrap_or_default();
    work.spend(left.len() * right.len())?;
    // The length of the longest common subsequence of the rests that begin at each pair.
    let width = right.len() + 1;
    let mut lengths = vec![0_u16; (left.len() + 1) * width];
    let length = |lengths: &[u16], row: usize, column: usize| lengths.get(row * width + column).copied().unwrap_or(0);
    for (row, one) in left.iter().enumerate().rev() {
        for (column, other) in right.iter().enumerate().rev() {
            let best = if one == other {
                length(&lengths, row + 1, column + 1).saturating_add(1)
            } else {
                length(&lengths, row + 1, column).max(length(&lengths, row, column + 1))
            };
            if let Some(slot) = lengths.get_mut(row * width + column) {
                *slot = best;
            }
        }
    }
    let (mut row, mut column) = (0, 0);
    while let (Some(one), Some(other)) = (left.get(row), right.get(column)) {
        if one == other {
            pairs.push((gap.ours.0 + row, gap.theirs.0 + column));
            (row, column) = (row + 1, column + 1);
        } else if length(&lengths, row + 1, column) >= length(&lengths, row, column + 1) {
            row += 1;
        } else {
            column += 1;
        }
    }
    Ok(())
}

/// Lists all elements: those of a gap before the pair that ends it, ours first.
fn listed(pairs: &[(usize, usize)], ours: usize, theirs: usize) -> Vec<Aligned> {
    let mut list = Vec::with_capacity(ours.max(theirs));
    let (mut one, mut other) = (0, 0);
    for (at, opposite) in pairs.iter().copied().chain([(ours, theirs)]) {
        list.extend((one..at).map(Aligned::Ours));
        list.extend((other..opposite).map(Aligned::Theirs));
        if at < ours {
            list.push(Aligned::Both(at, opposite));
        }
        (one, other) = (at + 1, opposite + 1);
    }
    list
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::work::never_over;

    fn of(ours: &[u64], theirs: &[u64]) -> Vec<Aligned> {
        align(ours, theirs, &Work::new(&never_over)).unwrap()
    }

    fn pairs(ours: &[u64], theirs: &[u64]) -> Vec<(usize, usize)> {
        let both = |aligned| if let Aligned::Both(one, other) = aligned { Some((one, other)) } else { None };
        of(ours, theirs).into_iter().filter_map(both).collect()
    }

    #[test]
    fn insertions_deletions_and_moves() {
        for (ours, theirs, expected) in [
            (&[1, 2, 3][..], &[1, 2, 3][..], &[(0, 0), (1, 1), (2, 2)][..]),
            (&[1, 2, 3], &[1, 9, 2, 3], &[(0, 0), (1, 2), (2, 3)]),
            (&[1, 2, 3], &[1, 3], &[(0, 0), (2, 1)]),
            (&[1, 2, 3, 4], &[4, 1, 2, 3], &[(0, 1), (1, 2), (2, 3)]),
            (&[1, 1, 1], &[1, 1], &[(0, 0), (1, 1)]),
            (&[], &[1], &[]),
            (&[1], &[2], &[]),
        ] {
            assert_eq!(pairs(ours, theirs), expected, "{ours:?} {theirs:?}");
        }
        assert_eq!(of(&[1, 2], &[3, 1]), [Aligned::Theirs(0), Aligned::Both(0, 1), Aligned::Ours(1)]);
    }

    #[test]
    fn long_sequences_take_little_more_work_than_their_length() {
        let count = 100_000_u64;
        let shuffled: Vec<u64> = (0..count).map(|at| at.wrapping_mul(0x9E37_79B9_7F4A_7C15) % count).collect();
        for theirs in
            [shuffled, (0..count).rev().collect(), (0..count).map(|at| at % 7).collect(), (7..count + 7).collect()]
        {
            let work = Work::new(&never_over);
            align(&(0..count).collect::<Vec<_>>(), &theirs, &work).unwrap();
            assert!(work.spent() < 400 * count, "{}", work.spent());
        }
        let shifted: Vec<u64> = (7..count).collect();
        assert_eq!(pairs(&(0..count).collect::<Vec<_>>(), &shifted).len(), shifted.len());
    }

    proptest! {
        #[test]
        fn every_element_is_listed_once_in_order(
            ours in prop::collection::vec(0..9_u64, 0..90), theirs in prop::collection::vec(0..9_u64, 0..90),
        ) {
            let (mut one, mut other) = (0, 0);
            for aligned in of(&ours, &theirs) {
                match aligned {
                    Aligned::Both(at, opposite) => {
                        prop_assert_eq!((at, opposite), (one, other));
                        prop_assert_eq!(ours[at], theirs[opposite]);
                        (one, other) = (one + 1, other + 1);
                    }
                    Aligned::Ours(at) => { prop_assert_eq!(at, one); one += 1; }
                    Aligned::Theirs(at) => { prop_assert_eq!(at, other); other += 1; }
                }
            }
            prop_assert_eq!((one, other), (ours.len(), theirs.len()));
        }
    }
}
