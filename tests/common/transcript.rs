//! The output of a process so far, collected by a thread so that the process never waits for the test.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::wait::{DEADLINE, now};

/// The growing output of one stream; clones share it.
#[derive(Clone)]
pub(crate) struct Transcript {
    shared: Arc<Shared>,
}

struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Default)]
struct Seen {
    bytes: Vec<u8>,
    ended: bool,
}

impl Transcript {
    /// Starts to collect the output of `source`.
    pub(crate) fn of(mut source: impl Read + Send + 'static) -> Self {
        let shared = Arc::new(Shared { seen: Mutex::default(), changed: Condvar::new() });
        let filled = Arc::clone(&shared);
        std::thread::spawn(move || {
            let mut chunk = [0; 8192];
            loop {
                let count = source.read(&mut chunk).unwrap_or(0);
                let mut seen = filled.seen.lock().unwrap();
                seen.bytes.extend_from_slice(&chunk[..count]);
                seen.ended = count == 0;
                filled.changed.notify_all();
                if seen.ended {
                    return;
                }
            }
        });
        Self { shared }
    }

    /// All text so far; bytes that are not UTF-8 are replaced.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen().bytes).into_owned()
    }

    /// All bytes so far.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.seen().bytes.clone()
    }

    /// Waits until `condition` holds for the text; fails with the text if it does not.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        match self.within(DEADLINE, |seen| condition(&String::from_utf8_lossy(&seen.bytes))) {
            Ok(text) => text,
            Err(text) => panic!("not within {DEADLINE:?}: {what}; seen so far:\n{text}"),
        }
    }

    /// Waits until the text contains `part`.
    #[track_caller]
    pub(crate) fn wait_for_text(&self, part: &str) -> String {
        self.wait_for(&format!("output with {part:?}"), |text| text.contains(part))
    }

    /// Waits for the end of the stream and returns all text.
    #[track_caller]
    pub(crate) fn wait_for_end(&self, deadline: Duration) -> String {
        match self.within(deadline, |seen| seen.ended) {
            Ok(text) => text,
            Err(text) => panic!("no end of output within {deadline:?}; seen so far:\n{text}"),
        }
    }

    /// The text when `condition` holds. The text is the error if it does not hold within the deadline or before the
    /// end.
    fn within(&self, deadline: Duration, condition: impl Fn(&Seen) -> bool) -> Result<String, String> {
        let start = now();
        let mut seen = self.seen();
        loop {
            let text = || String::from_utf8_lossy(&seen.bytes).into_owned();
            if condition(&seen) {
                return Ok(text());
            }
            let left = deadline.saturating_sub(start.elapsed());
            if left.is_zero() || seen.ended {
                return Err(text());
            }
            seen = self.shared.changed.wait_timeout(seen, left).unwrap().0;
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen.lock().unwrap()
    }
}
