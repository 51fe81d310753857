//! Who says the next line, and when. PURE.

use std::num::NonZeroU32;
use std::ops::Range;

use super::plan::{Pace, Plan};
use super::script::Line;

/// Lines that one sender has under way at [`Pace::Max`]: enough to keep the server busy, few enough that latency is
/// not the length of a queue of ours.
const WINDOW_LINES: u32 = 32;

/// What each sender has said, and what it may say.
#[derive(Debug)]
pub(super) struct Pacing {
    said: Vec<u32>,
    mode: Mode,
}

#[derive(Debug)]
enum Mode {
    Rate { lines_per_second: NonZeroU32, started_us: u64, total: u64 },
    Windows(Vec<Window>),
}

/// Lines of one sender that have not reached everybody.
#[derive(Debug)]
struct Window {
    readers: u32,
    /// The first that has not reached everybody.
    oldest: u32,
    /// For each line from the oldest on, by its number modulo the window: the readers that it has not reached.
    waiting: [u32; WINDOW_LINES as usize],
}

impl Pacing {
    /// Nothing said yet; the time begins now.
    pub(super) fn new(plan: &Plan, now_us: u64) -> Self {
        let window = || Window { readers: plan.readers(), oldest: 0, waiting: [0; WINDOW_LINES as usize] };
        let mode = match plan.pace {
            Pace::Max => Mode::Windows((0..plan.senders).map(|_| window()).collect()),
            Pace::Rate(lines_per_second) => Mode::Rate { lines_per_second, started_us: now_us, total: 0 },
        };
        Self { said: vec![0; plan.senders as usize], mode }
    }

    /// How many lines each sender has said.
    pub(super) fn said(&self) -> &[u32] {
        &self.said
    }

    /// How many lines all have said.
    pub(super) fn total(&self) -> u64 {
        self.said.iter().copied().map(u64::from).sum()
    }

    /// When the next line is due, in microseconds; none if that depends on readers.
    pub(super) fn next_due_us(&self) -> Option<u64> {
        match &self.mode {
            Mode::Rate { lines_per_second, started_us, total } => {
                Some(started_us + total * 1_000_000 / u64::from(lines_per_second.get()))
            }
            Mode::Windows(_) => None,
        }
    }

    /// Has everybody who may say lines now say them, for as long as `say` tells that there is room for one more. At a
    /// rate a line bears the time at which it was due, so that a late one counts as slow.
    pub(super) fn take_due(&mut self, now_us: u64, say: &mut impl FnMut(Line) -> bool) {
        while let Some(due_us) = self.next_due_us().filter(|due_us| *due_us <= now_us) {
            if !self.take_rated(due_us, say) {
                return;
            }
        }
        if let Mode::Windows(windows) = &mut self.mode {
            for (sender, (window, said)) in (0..).zip(windows.iter_mut().zip(&mut self.said)) {
                while *said - window.oldest < WINDOW_LINES {
                    window.waiting[(*said % WINDOW_LINES) as usize] = window.readers;
                    let has_room = say(Line { sender, number: *said, said_us: now_us });
                    *said += 1;
                    if !has_room {
                        return;
                    }
                }
            }
        }
    }

    /// A reader is done with these lines of a sender: it has had them, or will not have them any more.
    pub(super) fn dealt_with(&mut self, sender: u32, numbers: Range<u32>) {
        let Mode::Windows(windows) = &mut self.mode else { return };
        let window = &mut windows[sender as usize];
        for number in numbers {
            window.waiting[(number % WINDOW_LINES) as usize] -= 1;
        }
        let said = self.said[sender as usize];
        while window.oldest < said && window.waiting[(window.oldest % WINDOW_LINES) as usize] == 0 {
            window.oldest += 1;
        }
    }

    fn take_rated(&mut self, due_us: u64, say: &mut impl FnMut(Line) -> bool) -> bool {
        let Mode::Rate { total, .. } = &mut self.mode else { return false };
        let senders = self.said.len() as u64;
        let sender = u32::try_from(*total % senders).expect("there are less than 2^32 senders");
        let said = &mut self.said[sender as usize];
        let has_room = say(Line { sender, number: *said, said_us: due_us });
        *said += 1;
        *total += 1;
        has_room
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bench::Target;

    fn pacing(pace: Pace) -> Pacing {
        let plan = Plan::new(Target::Private(None), 3, 2, pace, 64, Duration::from_secs(1)).unwrap();
        Pacing::new(&plan, 1_000)
    }

    fn due(pacing: &mut Pacing, now_us: u64) -> Vec<(u32, u32, u64)> {
        let mut lines = Vec::new();
        pacing.take_due(now_us, &mut |line| {
            lines.push((line.sender, line.number, line.said_us));
            true
        });
        lines
    }

    #[test]
    fn a_backlog_is_said_no_faster_than_there_is_room_for_it() {
        for pace in [Pace::Rate(NonZeroU32::new(1_000_000).unwrap()), Pace::Max] {
            let mut pacing = pacing(pace);
            for round in 1..=3 {
                let mut room = 5;
                pacing.take_due(1_000_000, &mut |_| {
                    room -= 1;
                    room > 0
                });
                assert_eq!((room, pacing.total()), (0, round * 5));
            }
        }
    }

    #[test]
    fn a_rate_is_shared_in_turn_and_lines_bear_the_time_they_were_due() {
        let mut pacing = pacing(Pace::Rate(NonZeroU32::new(1_000).unwrap()));
        assert_eq!(due(&mut pacing, 1_000), [(0, 0, 1_000)]);
        assert_eq!(due(&mut pacing, 1_999), []);
        assert_eq!(pacing.next_due_us(), Some(2_000));
        assert_eq!(due(&mut pacing, 4_500), [(1, 0, 2_000), (0, 1, 3_000), (1, 1, 4_000)]);
        assert_eq!((pacing.total(), pacing.said()), (4, &[2, 2][..]));
    }

    #[test]
    fn a_window_opens_when_its_oldest_line_has_reached_everybody() {
        let mut pacing = pacing(Pace::Max);
        assert_eq!(due(&mut pacing, 5).len(), 2 * WINDOW_LINES as usize);
        assert_eq!(due(&mut pacing, 6), []);
        pacing.dealt_with(1, 0..2);
        pacing.dealt_with(1, 1..2);
        assert_eq!(due(&mut pacing, 7), [], "the first has reached one reader of two");
        pacing.dealt_with(1, 0..1);
        assert_eq!(due(&mut pacing, 8), [(1, WINDOW_LINES, 8), (1, WINDOW_LINES + 1, 8)]);
    }
}
