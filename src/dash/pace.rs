//! When to draw and when to request a snapshot: at once after input, rarely while nothing changes.
//!
//! Pure: moments are the input, decisions the output. A snapshot is requested when the last one has been drawn, so a
//! terminal that takes no frames causes no requests.

use std::time::Duration;

use crate::id::ConnId;
use crate::model::snapshot::{Query, Snapshot};
use crate::time::Moment;

/// At most 20 frames a second.
pub(super) const FRAME_INTERVAL: Duration = Duration::from_millis(50);

/// Between two snapshots while the server is active.
pub(super) const BUSY_INTERVAL: Duration = Duration::from_millis(250);

/// Between two snapshots while the server is idle. The clock on the screen stays right; each snapshot costs two
/// wake-ups.
pub(super) const QUIET_INTERVAL: Duration = Duration::from_millis(500);

/// The longest sleep, so that ages on the screen are right.
pub(super) const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// Decides when to draw and when to request.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Something visible has changed since the last frame.
    changed: bool,
    drawn_at: Option<Moment>,
    state: SnapshotState,
    requested_at: Moment,
    request_from: Moment,
    requested: Wanted,
    /// The requested snapshot will be too old.
    outdated: bool,
    seen: Activity,
}

/// The state of the current snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum SnapshotState {
    /// It is drawn.
    #[default]
    Drawn,
    /// It has arrived and is not drawn.
    Answered,
    /// It has been requested.
    Waiting,
}

/// The parts of a query whose change is requested at once. New events are not one of them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    visible: Vec<ConnId>,
    detail: Option<ConnId>,
}

/// Counters that change when the server is active.
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
    /// Something visible has changed.
    pub(super) fn mark_changed(&mut self) {
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
        if self.state == SnapshotState::Answered {
            self.state = SnapshotState::Drawn;
        }
    }

    /// Whether to request a snapshot: when the interval has passed, or at once when the query has changed.
    pub(super) fn may_request(&self, now: Moment, query: &Query) -> bool {
        self.state == SnapshotState::Drawn && (self.request_from <= now || !self.requested.is(query))
    }

    /// A snapshot was requested.
    pub(super) fn snapshot_requested(&mut self, now: Moment, query: Query) {
        self.state = SnapshotState::Waiting;
        self.requested_at = now;
        self.outdated = false;
        self.requested = Wanted { visible: query.visible, detail: query.detail };
    }

    /// The link did not take a request.
    pub(super) fn request_refused(&mut self, now: Moment) {
        self.request_from = now + BUSY_INTERVAL;
    }

    /// A snapshot arrived.
    pub(super) fn snapshot_received(&mut self, snapshot: &Snapshot) {
        let activity = Activity::of(snapshot);
        let quiet = activity == self.seen && snapshot.events.is_empty();
        self.seen = activity;
        self.state = SnapshotState::Answered;
        self.request_from = match (self.outdated, quiet) {
            (true, _) => self.requested_at,
            (false, true) => self.requested_at + QUIET_INTERVAL,
            (false, false) => self.requested_at + BUSY_INTERVAL,
        };
        self.changed = true;
    }

    /// A verb has run: its effect is shown at once. A snapshot requested before does not have it.
    pub(super) fn request_soon(&mut self) {
        self.outdated = true;
        self.request_from = Moment::START;
        self.changed = true;
    }

    /// How long to sleep if no input arrives. `can_draw`: the terminal has taken the last frame.
    pub(super) fn sleep(&self, now: Moment, can_draw: bool) -> Duration {
        let draw_at = self.drawn_at.map_or(Moment::START, |at| at + FRAME_INTERVAL);
        let until_draw = (self.changed && can_draw).then(|| draw_at - now);
        let until_ask = (self.state == SnapshotState::Drawn).then(|| self.request_from - now);
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

    /// A snapshot requested, received and drawn in the same millisecond.
    fn round(pace: &mut Pace, ms: u64, query: &Query, snapshot: &Snapshot) {
        pace.snapshot_requested(at(ms), query.clone());
        pace.snapshot_received(snapshot);
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
        pace.mark_changed();
        assert!(pace.may_draw(at(0)), "the first at once");
        pace.drawn(at(0));
        assert!(!pace.may_draw(at(1_000)));
        pace.mark_changed();
        assert!(!pace.may_draw(at(49)));
        assert_eq!(pace.sleep(at(49), true).max(Duration::from_millis(1)), Duration::from_millis(1));
        assert!(pace.may_draw(at(50)));
    }

    #[test]
    fn the_next_snapshot_waits_until_the_last_is_drawn() {
        let (mut pace, query) = (Pace::default(), Query::default());
        assert!(pace.may_request(at(0), &query));
        pace.snapshot_requested(at(0), query.clone());
        assert!(!pace.may_request(at(60_000), &query), "not answered");
        assert_eq!(pace.sleep(at(0), true), TICK_INTERVAL);
        pace.snapshot_received(&moved(1));
        assert!(!pace.may_request(at(60_000), &query), "not drawn");
        assert_eq!(pace.sleep(at(60_000), false), TICK_INTERVAL, "a stalled terminal is no reason to wake");
        pace.drawn(at(60_000));
        assert!(pace.may_request(at(60_000), &query));
    }

    #[test]
    fn an_idle_server_gets_half_the_requests() {
        let (mut pace, query) = (Pace::default(), Query::default());
        round(&mut pace, 0, &query, &moved(1));
        assert_eq!(pace.sleep(at(0), true), BUSY_INTERVAL);
        assert!(!pace.may_request(at(249), &query));
        assert!(pace.may_request(at(250), &query));
        round(&mut pace, 250, &query, &moved(1));
        assert_eq!(pace.sleep(at(250), true), QUIET_INTERVAL);
        round(&mut pace, 750, &query, &moved(2));
        assert_eq!(pace.sleep(at(750), true), BUSY_INTERVAL);
    }

    #[test]
    fn a_new_query_or_a_finished_verb_is_requested_at_once_but_new_events_are_not() {
        let (mut pace, query) = (Pace::default(), Query::default());
        round(&mut pace, 0, &query, &moved(1));
        assert!(!pace.may_request(at(1), &Query { events_after: 9, ..Query::default() }));
        let scrolled = Query { visible: vec![ConnId::FIRST], ..Query::default() };
        assert!(pace.may_request(at(1), &scrolled));
        round(&mut pace, 1, &scrolled, &moved(1));
        assert!(!pace.may_request(at(2), &scrolled));
        pace.request_soon();
        assert!(pace.may_request(at(2), &scrolled));
        pace.snapshot_requested(at(2), scrolled.clone());
        pace.request_soon();
        pace.snapshot_received(&moved(1));
        pace.drawn(at(3));
        assert!(pace.may_request(at(3), &scrolled), "the verb was done after the snapshot was asked for");
    }

    #[test]
    fn a_busy_link_gets_no_request_for_a_while() {
        let (mut pace, query) = (Pace::default(), Query::default());
        pace.request_refused(at(0));
        assert!(!pace.may_request(at(249), &query));
        assert!(pace.may_request(at(250), &query));
    }
}
