//! Limits the work of a comparison. Owns the limit, the check for the end of time, and the reasons for which a
//! comparison ends early; other modules spend the work.

use std::cell::Cell;

/// Units of work of a comparison: one per byte visited, a few per value. A processor needs a second or two for all, and
/// a tenth of that for a megabyte of content.
pub const MAX_WORK: u64 = 128 * 1024 * 1024;
/// Units of work between two checks of the time: some tens of microseconds.
const ASK_AFTER: u64 = 16 * 1024;

/// A reason why a comparison ends before everything has been compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// There is too much to compare.
    TooLarge,
    /// A coding is not supported.
    Coding,
    /// Only one response has content, because the client has the other in its cache.
    NotModified,
    /// Time ran out. [`Work::reason`] returns the reason.
    Over,
}

/// The remaining work. Once it has ended it stays ended.
pub(crate) struct Work<'w> {
    /// Units that may be spent before the next check.
    granted: Cell<u64>,
    /// Further units.
    left: Cell<u64>,
    stopped: Cell<Option<Stop>>,
    reason: Cell<&'static str>,
    is_over: &'w dyn Fn() -> Option<&'static str>,
}

impl<'w> Work<'w> {
    pub(crate) fn new(is_over: &'w dyn Fn() -> Option<&'static str>) -> Self {
        let left = Cell::new(MAX_WORK.saturating_sub(ASK_AFTER));
        Work { granted: Cell::new(ASK_AFTER), left, stopped: Cell::new(None), reason: Cell::new(""), is_over }
    }

    /// Charges units; call it before doing the work.
    #[inline]
    pub(crate) fn spend(&self, units: usize) -> Result<(), Stop> {
        match self.granted.get().checked_sub(units as u64) {
            Some(granted) => {
                self.granted.set(granted);
                Ok(())
            }
            None => self.ask(units as u64),
        }
    }

    #[cold]
    #[inline(never)]
    fn ask(&self, units: u64) -> Result<(), Stop> {
        if let Some(stop) = self.stopped.get() {
            return Err(stop);
        }
        let all = self.left.get().saturating_add(self.granted.replace(0));
        self.left.set(all);
        if let Some(reason) = (self.is_over)() {
            self.reason.set(reason);
            return self.stop(Stop::Over);
        }
        let Some(left) = all.checked_sub(units) else {
            self.left.set(0);
            return self.stop(Stop::TooLarge);
        };
        let granted = left.min(ASK_AFTER);
        self.granted.set(granted);
        self.left.set(left.saturating_sub(granted));
        Ok(())
    }

    /// Returns the reason why it has ended, if it has.
    pub(crate) fn stopped(&self) -> Option<Stop> {
        self.stopped.get()
    }

    /// Returns the reason that `is_over` gave.
    pub(crate) fn reason(&self) -> &'static str {
        self.reason.get()
    }

    /// Returns the units spent.
    pub(crate) fn spent(&self) -> u64 {
        MAX_WORK.saturating_sub(self.left.get()).saturating_sub(self.granted.get())
    }

    fn stop(&self, stop: Stop) -> Result<(), Stop> {
        self.stopped.set(Some(stop));
        Err(stop)
    }
}

/// For callers without a time limit: only the work is limited.
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
            assert_eq!(work.spend(1), Err(Stop::TooLarge));
        }
        let asked = Cell::new(0);
        let over = || {
            asked.set(asked.get() + 1);
            (asked.get() == 3).then_some("budget")
        };
        let work = Work::new(&over);
        let end = (0..ASK_AFTER * 10).find(|_| work.spend(1).is_err());
        assert_eq!((end, work.stopped()), (Some(3 * ASK_AFTER + 2), Some(Stop::Over)));
        assert_eq!((work.spend(usize::MAX), work.reason()), (Err(Stop::Over), "budget"));
    }
}
