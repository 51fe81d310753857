//! Snapshots: the server's state copied out for an onlooker.

use std::borrow::Cow;

use super::close::Gone;
use super::connection::Connection;
use super::server::Engine;
use crate::id::Slot;
use crate::model::snapshot::{
    CloseReason, Detail, Flags, HalfState, Kernel, Milestone, Phase, Query, Row, Snapshot, Status, Terminal,
};
use crate::session::{ConnectionLimits, Input, Output, Session};
use crate::time::Moment;

/// Connections out of sight whose kernel queues one picture reads: three system calls each.
const HELD_MAX: usize = 256;

impl Engine {
    /// A picture of the server. `kernel` reads the kernel's queues of one connection; it is asked for the rows in
    /// [`Query::visible`], and for `HELD_MAX` of those whose input is held back: what waits there is not known
    /// otherwise, and it is much. What only the process knows ([`Status::fds`] and the like) is left at its default.
    #[must_use]
    pub fn snapshot(&self, query: &Query, mut kernel: impl FnMut(Slot) -> Option<Kernel>) -> Snapshot {
        let now = self.conns.now;
        let mut rows: Vec<Row> = self.recently_gone().cloned().collect();
        rows.reserve(self.conns.slab.len());
        let mut visible: Vec<_> = query.visible.iter().take(Query::VISIBLE_MAX).copied().collect();
        visible.extend(query.detail);
        visible.sort_unstable();
        let mut held = 0;
        for (slot, conn) in self.conns.clients() {
            let mut row = self.row(slot, conn);
            let is_held = row.flow_since.is_some()
                || (conn.session.input() != Input::Ended && !conn.session.wants().read);
            held += usize::from(is_held);
            if visible.binary_search(&row.id).is_ok() || (is_held && held <= HELD_MAX) {
                row.kernel = kernel(slot);
            }
            rows.push(row);
        }
        rows.sort_unstable_by_key(|row| row.id);
        let events = self.conns.journal.after(query.events_after, Query::EVENTS_MAX);
        Snapshot {
            taken: now,
            status: self.status(),
            detail: query.detail.and_then(|id| self.detail(id)),
            events: events.map(Cow::into_owned).collect(),
            rows,
        }
    }

    /// Those that ended within [`Query::GONE_FOR`], the last one first.
    fn recently_gone(&self) -> impl Iterator<Item = &Row> {
        let now = self.conns.now.moment;
        let is_recent = move |row: &&Row| row.gone_at.is_some_and(|at| now.since(at) < Query::GONE_FOR);
        self.closed.iter().rev().map(|gone| &gone.row).take_while(is_recent)
    }

    /// The server as a whole, but for what only the process knows. Looks at every connection.
    #[must_use]
    pub fn status(&self) -> Status {
        let totals = &self.conns.totals;
        let limits = &self.conns.limits;
        let now = self.conns.now.moment;
        let counted = |is: fn(&Session, &ConnectionLimits, Moment) -> bool| {
            count(self.conns.clients().filter(|(_, conn)| is(&conn.session, limits, now)).count())
        };
        Status {
            name: self.name.clone(),
            uptime: now.since(Moment::START),
            listeners: self.listeners.to_vec(),
            clients: self.admission.clients(),
            half_closed: counted(|session, _, _| session.phase() == Phase::Eof),
            slow: counted(|session, limits, now| session.is_slow(limits) || session.is_stalled(now, limits)),
            accepted: totals.accepted,
            refused: totals.refused,
            accept_failures: totals.accept_failures,
            closed: totals.closed.iter().map(|(word, count)| (Cow::Borrowed(*word), *count)).collect(),
            bytes_in: totals.bytes_in,
            bytes_out: totals.bytes_out,
            lines_in: totals.lines_in,
            lines_incomplete: totals.lines_incomplete,
            dropped_bytes: totals.dropped_bytes,
            deliveries: totals.deliveries,
            lines_skipped: totals.lines_skipped,
            inbox_bytes: self.conns.inbox_bytes() as u64,
            outbox_bytes: self.conns.chunks.queued() as u64,
            outbox_total_limit: self.conns.outbox_total as u64,
            outbox_limit: self.conns.limits.outbox_bytes as u64,
            rooms: self::count(self.hub.room_count()),
            bans: self::count(self.bans.len()),
            paused: self.admission.paused,
            draining: self.is_stopping(),
            ..Status::default()
        }
    }

    /// More about a connection that is here, or of one that is gone what is still known.
    pub(super) fn detail(&self, id: crate::id::ConnId) -> Option<Detail> {
        match self.conns.clients().find(|(_, conn)| conn.id == id) {
            Some((slot, conn)) => Some(self.life(slot, conn)),
            None => self.closed.find(id).map(|gone| gone.detail.clone()),
        }
    }

    fn life(&self, slot: Slot, conn: &Connection) -> Detail {
        let now = self.conns.now;
        let mut timeline = vec![(now.earlier(conn.session.since()), Milestone::Connected)];
        timeline.extend(conn.session.milestones().map(|(at, what)| (now.earlier(*at), what.clone())));
        Detail {
            id: conn.id,
            rooms: self.hub.person(slot).into_iter().flat_map(|person| person.rooms().copied()).collect(),
            timeline,
            outbox_limit: self.conns.limits.outbox_bytes as u64,
        }
    }

    /// A connection whose socket is closed, for the last time.
    pub(super) fn gone(&self, slot: Slot, reason: &CloseReason) -> Option<Gone> {
        let conn = self.conns.get(slot)?;
        let row = Row {
            state: Phase::Gone,
            reason: Some(reason.clone()),
            gone_at: Some(self.conns.now.moment),
            stuck_since: None,
            flow_since: None,
            ..self.row(slot, conn)
        };
        let mut detail = self.life(slot, conn);
        detail.timeline.shrink_to_fit();
        Some(Gone { row, detail })
    }

    pub(super) fn row(&self, slot: Slot, conn: &Connection) -> Row {
        let now = self.conns.now.moment;
        let session = &conn.session;
        let counters = session.counters();
        let person = self.hub.person(slot);
        let ended = session.input() == Input::Ended;
        Row {
            id: conn.id,
            nick: self.nick(slot),
            peer: conn.peer(),
            listener: conn.listener,
            state: session.phase(),
            read: match session.input() {
                Input::Open => HalfState::Open,
                Input::Discarded { .. } => HalfState::Shut,
                Input::Ended => HalfState::Eof,
            },
            write: if session.output() == Output::Open { HalfState::Open } else { HalfState::Shut },
            since: session.since(),
            // Kept in tenths of a second: whoever was heard at once was not heard before it came.
            heard: session.last_received().max(session.since()),
            eof_at: ended.then_some(session.eof_at()),
            rooms: person.map_or(0, |person| count(person.room_count())),
            bytes_in: counters.bytes_in,
            bytes_out: counters.bytes_out,
            lines_in: counters.lines_in.into(),
            lines_incomplete: session.ended_incomplete().into(),
            lines_out: counters.lines_out,
            lines_skipped: counters.lines_skipped.into(),
            scrubbed: counters.scrubbed.into(),
            inbox_bytes: session.inbox_bytes() as u64,
            outbox_bytes: session.outbox().bytes() as u64,
            outbox_age: session.outbox_age(now),
            outbox_max: counters.outbox_max.into(),
            send_q_seen: session.send_q(),
            kernel: None,
            stuck_since: session.stuck_since(),
            flow_since: session.flow_since(),
            flags: self.flags(slot, conn),
            terminal: terminal(session),
            reason: session.reason().cloned(),
            gone_at: None,
        }
    }

    fn flags(&self, slot: Slot, conn: &Connection) -> Flags {
        let (now, limits) = (self.conns.now.moment, &self.conns.limits);
        let session = &conn.session;
        Flags::default()
            .with(Flags::FLOW, session.flow_since().is_some())
            .with(Flags::SLOW, session.is_slow(limits))
            .with(Flags::STALLED, session.is_stalled(now, limits))
            .with(Flags::MUTED, self.hub.is_muted(slot))
            .with(Flags::TELNET, session.speaks_telnet())
            .with(Flags::LISTEN, session.listens())
            .with(Flags::OP, session.is_shut_by_operator())
            .with(Flags::HALF, session.phase() == Phase::Eof)
    }
}

/// What a telnet client told of its terminal, if it told anything.
fn terminal(session: &Session) -> Option<Box<Terminal>> {
    let (name, window) = (session.terminal(), session.window());
    if name.is_none() && window.is_none_or(|window| window == (0, 0)) {
        return None;
    }
    let (columns, rows) = window.unwrap_or_default();
    Some(Box::new(Terminal { name: name.map(Box::from), columns, rows }))
}

/// Counts of connections and rooms fit in 32 bits: their limits do.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
