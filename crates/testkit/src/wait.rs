//! Waiting for what happens elsewhere, with a bound. It asserts no time: the bound is for what hangs.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

/// Nothing in a test takes this long unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something is there and returns it; `look` says what is there instead.
///
/// # Panics
/// When it takes longer than [`PATIENCE`]; the message has `what` and what was there at last.
pub fn until_ok<T, E: Display>(what: &str, mut look: impl FnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(instead) => assert!(Instant::now() < end, "{what} did not happen: {instead}"),
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The same without a word on what is there instead.
///
/// # Panics
/// As [`until_ok`].
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    until_ok(what, || look().ok_or("not yet"))
}

/// Waits until something holds.
///
/// # Panics
/// As [`until_ok`].
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    until(what, || holds().then_some(()));
}
