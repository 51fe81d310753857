//! When to draw and when to ask for a snapshot, so that the dashboard is quick for a person and costs nothing idle.
//!
//! Pure: moments come in, decisions come out. A snapshot is asked for when the last one has been drawn; so a terminal
//! that takes no frames asks for none.

use std::time::Duration;

use crate::id::ConnId;
use crate::model::snapshot::{Query, Snapshot};
use crate::time::Moment;

/// At most 20 frames a second.
pub(super) const FRAME_INTERVAL: Duration = Duration::from_millis(50);

/// From one snapshot to the next while something goes on in the server.
pub(super) const BUSY_INTERVAL: Duration = Duration::from_millis(250);

/// From one snapshot to the next while nothing does: two wake-ups each, and the clock on the screen stays right.
pub(super) const QUIET_INTERVAL: Duration = Duration::from_millis(500);

/// The longest sleep: what shows an age is looked at so often.
pub(super) const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// Decides when to draw and when to ask.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Something to be seen has changed since the last frame.
    changed: bool,
    drawn_at: Option<Moment>,
    asking: Asking,
    asked_at: Moment,
    ask_from: Moment,
    asked_for: Wanted,
    /// The snapshot under way will be too old.
    hurried: bool,
    seen: Activity,
}

/// How far the current snapshot is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asking {
    /// It is on the screen.
    #[default]
    Drawn,
    /// It is here, but not drawn.
    Answered,
    /// It was asked for.
    Waiting,
}

/// What of a query is worth asking anew at once. That newer events are wanted each time is not.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    visible: Vec<ConnId>,
    detail: Option<ConnId>,
}

/// What moves when something goes on in the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Activity {
    bytes_in: u64,
    bytes_out: u64,
    accepted: u64,
    clients: u32,
    outbox_bytes: u64,
    lines_skipped: u64,
}

impl Pace {
    /// Something to be seen has changed.
    pub(super) fn change(&mut self) {
        self.changed = true;
    }

    /// Whether a frame is due.
    pub(super) fn may_draw(&self, now: Moment) -> bool {
        self.changed && self.drawn_at.is_none_or(|at| at + FRAME_INTERVAL <= now)
    }

    /// A frame was drawn.
    pub(super) fn drawn(&mut self, now: Moment) {
        self.changed = false;
        self.drawn_at = Some(now);
        if self.asking == Asking::Answered {
            self.asking = Asking::Drawn;
        }
    }

    /// Whether to ask for a snapshot: in its time, or at once when something else is wanted than was asked for.
    pub(super) fn may_ask(&self, now: Moment, query: &Query) -> bool {
        self.asking == Asking::Drawn && (self.ask_from <= now || !self.asked_for.is(query))
    }

    /// A snapshot was asked for.
    pub(super) fn asked(&mut self, now: Moment, query: Query) {
        self.asking = Asking::Waiting;
        self.asked_at = now;
        self.hurried = false;
        self.asked_for = Wanted { visible: query.visible, detail: query.detail };
    }

    /// The link took no question.
    pub(super) fn refused(&mut self, now: Moment) {
        self.ask_from = now + BUSY_INTERVAL;
    }

    /// A snapshot came.
    pub(super) fn answered(&mut self, snapshot: &Snapshot) {
        let activity = Activity::of(snapshot);
        let quiet = activity == self.seen && snapshot.events.is_empty();
        self.seen = activity;
        self.asking = Asking::Answered;
        self.ask_from = match (self.hurried, quiet) {
            (true, _) => self.asked_at,
            (false, true) => self.asked_at + QUIET_INTERVAL,
            (false, false) => self.asked_at + BUSY_INTERVAL,
        };
        self.changed = true;
    }

    /// The server has done something that is to be seen at once: a snapshot asked for before does not show it.
    pub(super) fn hurry(&mut self) {
        self.hurried = true;
        self.ask_from = Moment::START;
        self.changed = true;
    }

    /// How long there is nothing to do, if nothing comes. `can_draw`: the terminal has taken the last frame.
    pub(super) fn sleep(&self, now: Moment, can_draw: bool) -> Duration {
        let draw_at = self.drawn_at.map_or(Moment::START, |at| at + FRAME_INTERVAL);
        let until_draw = (self.changed && can_draw).then(|| draw_at - now);
        let until_ask = (self.asking == Asking::Drawn).then(|| self.ask_from - now);
        [until_draw, until_ask].into_iter().flatten().fold(TICK_INTERVAL, Duration::min)
    }
}

impl Wanted {
    fn is(&self, query: &Query) -> bool {
        self.visible == query.visible && self.detail == query.detail
    }
}

impl Activity {
    fn of(snapshot: &Snapshot) -> Self {
        let status = &snapshot.status;
        Self {
            bytes_in: status.bytes_in,
            bytes_out: status.bytes_out,
            accepted: status.accepted,
            clients: status.clients,
            outbox_bytes: status.outbox_bytes,
            lines_skipped: status.lines_skipped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::from_micros(ms * 1_000)
    }

    /// One snapshot asked for, answered and drawn in the same millisecond.
    fn round(pace: &mut Pace, ms: u64, query: &Query, snapshot: &Snapshot) {
        pace.asked(at(ms), query.clone());
        pace.answered(snapshot);
        pace.drawn(at(ms));
    }

    fn moved(bytes_in: u64) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.status.bytes_in = bytes_in;
        snapshot
    }

    #[test]
    fn at_most_twenty_frames_a_second_and_none_for_nothing() {
        let mut pace = Pace::default();
        assert!(!pace.may_draw(at(0)));
        pace.change();
        assert!(pace.may_draw(at(0)), "the first at once");
        pace.drawn(at(0));
        assert!(!pace.may_draw(at(1_000)));
        pace.change();
        assert!(!pace.may_draw(at(49)));
        assert_eq!(pace.sleep(at(49), true).max(Duration::from_millis(1)), Duration::from_millis(1));
        assert!(pace.may_draw(at(50)));
    }

    #[test]
    fn the_next_snapshot_waits_until_the_last_is_drawn() {
        let (mut pace, query) = (Pace::default(), Query::default());
        assert!(pace.may_ask(at(0), &query));
        pace.asked(at(0), query.clone());
        assert!(!pace.may_ask(at(60_000), &query), "not answered");
        assert_eq!(pace.sleep(at(0), true), TICK_INTERVAL);
        pace.answered(&moved(1));
        assert!(!pace.may_ask(at(60_000), &query), "not drawn");
        assert_eq!(pace.sleep(at(60_000), false), TICK_INTERVAL, "a stalled terminal is no reason to wake");
        pace.drawn(at(60_000));
        assert!(pace.may_ask(at(60_000), &query));
    }

    #[test]
    fn a_quiet_server_is_asked_half_as_often() {
        let (mut pace, query) = (Pace::default(), Query::default());
        round(&mut pace, 0, &query, &moved(1));
        assert_eq!(pace.sleep(at(0), true), BUSY_INTERVAL);
        assert!(!pace.may_ask(at(249), &query));
        assert!(pace.may_ask(at(250), &query));
        round(&mut pace, 250, &query, &moved(1));
        assert_eq!(pace.sleep(at(250), true), QUIET_INTERVAL);
        round(&mut pace, 750, &query, &moved(2));
        assert_eq!(pace.sleep(at(750), true), BUSY_INTERVAL);
    }

    #[test]
    fn a_new_wish_or_a_verb_done_is_asked_for_at_once_but_new_records_are_not() {
        let (mut pace, query) = (Pace::default(), Query::default());
        round(&mut pace, 0, &query, &moved(1));
        assert!(!pace.may_ask(at(1), &Query { events_after: 9, ..Query::default() }));
        let scrolled = Query { visible: vec![ConnId::FIRST], ..Query::default() };
        assert!(pace.may_ask(at(1), &scrolled));
        round(&mut pace, 1, &scrolled, &moved(1));
        assert!(!pace.may_ask(at(2), &scrolled));
        pace.hurry();
        assert!(pace.may_ask(at(2), &scrolled));
        pace.asked(at(2), scrolled.clone());
        pace.hurry();
        pace.answered(&moved(1));
        pace.drawn(at(3));
        assert!(pace.may_ask(at(3), &scrolled), "the verb was done after the snapshot was asked for");
    }

    #[test]
    fn a_busy_link_is_left_alone_for_a_while() {
        let (mut pace, query) = (Pace::default(), Query::default());
        pace.refused(at(0));
        assert!(!pace.may_ask(at(249), &query));
        assert!(pace.may_ask(at(250), &query));
    }
}
