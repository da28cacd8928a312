//! How much a comparison may do. Owns the limit of work, the question whether the time is over, and the reasons for which a
//! comparison ends early; what the work is spent on is for the modules that spend it.

use std::cell::Cell;

/// The most work of a comparison, in units: a byte looked at is one, a value some. A processor does it in a second or two,
/// and what content of a megabyte needs in a tenth of that.
pub const MAX_WORK: u64 = 128 * 1024 * 1024;
/// After so much work it is asked again whether the time is over: some tens of microseconds.
const ASK_AFTER: u64 = 16 * 1024;

pub(crate) const TOO_LARGE: &str = "too-large";
pub(crate) const CODING: &str = "coding";

/// Why a comparison ends before all has been compared. Both have the word that the record gives as the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Nobody can know: there is too much to compare, or it cannot be decoded.
    Unknown(&'static str),
    /// The time is over.
    Over(&'static str),
}

/// What is left to spend. Once it has ended it stays ended.
pub(crate) struct Work<'w> {
    left: Cell<u64>,
    unasked: Cell<u64>,
    stopped: Cell<Option<Stop>>,
    is_over: &'w dyn Fn() -> Option<&'static str>,
}

impl<'w> Work<'w> {
    pub(crate) fn new(is_over: &'w dyn Fn() -> Option<&'static str>) -> Self {
        Work { left: Cell::new(MAX_WORK), unasked: Cell::new(0), stopped: Cell::new(None), is_over }
    }

    /// To be called before the work is done.
    pub(crate) fn spend(&self, units: usize) -> Result<(), Stop> {
        if let Some(stop) = self.stopped.get() {
            return Err(stop);
        }
        let units = units as u64;
        let left = self.left.get().checked_sub(units);
        self.left.set(left.unwrap_or(0));
        let unasked = self.unasked.get().saturating_add(units);
        self.unasked.set(if unasked < ASK_AFTER { unasked } else { 0 });
        let over = if unasked < ASK_AFTER { None } else { (self.is_over)() };
        match (over, left) {
            (None, Some(_)) => Ok(()),
            (Some(reason), _) => self.stop(Stop::Over(reason)),
            (None, None) => self.stop(Stop::Unknown(TOO_LARGE)),
        }
    }

    /// Why it has ended, if it has.
    pub(crate) fn stopped(&self) -> Option<Stop> {
        self.stopped.get()
    }

    /// How much has been spent.
    pub(crate) fn spent(&self) -> u64 {
        MAX_WORK.saturating_sub(self.left.get())
    }

    fn stop(&self, stop: Stop) -> Result<(), Stop> {
        self.stopped.set(Some(stop));
        Err(stop)
    }
}

/// Nobody waits: only the work is limited.
pub(crate) fn never_over() -> Option<&'static str> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_ends_and_stays_ended() {
        let work = Work::new(&never_over);
        assert_eq!(work.spend(MAX_WORK as usize), Ok(()));
        assert_eq!(work.spent(), MAX_WORK);
        for _ in 0..2 {
            assert_eq!(work.spend(1), Err(Stop::Unknown(TOO_LARGE)));
        }
        let asked = Cell::new(0);
        let over = || {
            asked.set(asked.get() + 1);
            (asked.get() == 3).then_some("budget")
        };
        let work = Work::new(&over);
        let end = (0..ASK_AFTER * 10).find(|_| work.spend(1).is_err());
        assert_eq!((end, work.stopped()), (Some(3 * ASK_AFTER - 1), Some(Stop::Over("budget"))));
        assert_eq!(work.spend(usize::MAX), Err(Stop::Over("budget")));
    }
}
