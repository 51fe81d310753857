//! Time in tests: the only clock reading and the only sleep of all black-box tests.

use std::time::{Duration, Instant};

/// How long a test waits for an event; long enough for busy machines.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// The longest time for something that must not be delayed, also on a busy machine.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(3);

/// The time between two checks of a condition.
const PAUSE: Duration = Duration::from_millis(5);

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "black-box tests measure real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Checks `condition` until it holds; fails with `what` if it does not within `deadline`.
#[track_caller]
pub(crate) fn wait_until(deadline: Duration, what: &str, condition: impl FnMut() -> bool) {
    assert!(holds_within(deadline, condition), "not within {deadline:?}: {what}");
}

/// Whether `condition` holds at some time within `deadline`.
#[expect(clippy::disallowed_methods, reason = "a pause between two checks of a condition")]
pub(crate) fn holds_within(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() >= deadline {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Waits, for tests about time itself: "in two idle seconds", "not before one second".
pub(crate) fn let_pass(span: Duration) {
    let start = now();
    wait_until(span + DEADLINE, "time passes", || start.elapsed() >= span);
}
