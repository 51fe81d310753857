//! Why a peer's next message waits, and with it the reading of its socket.

use super::connection::{Output, Session};
use super::limits::ConnectionLimits;

/// Why the next message of a peer waits; a peer that is held is not read either.
///
/// Several reasons may apply at once. The one that is kept is the first in this order; the others are found again when it
/// ends, because the next message is then asked for.
///
/// | hold | begins | ends |
/// | --- | --- | --- |
/// | `Waiting` | [`Session::wait`] | [`Session::let_in`] |
/// | `Flood` | the peer is over its rate | [`super::timers::Timer::Flow`], [`Session::forgive_flood`] |
/// | `Answer` | [`Session::set_answering`] | the same, when the answer is complete |
/// | `OwnAnswers` | [`Session::next_message`] finds too many answers unsent | enough of them are written |
/// | `Budget` | [`Session::defer`] | the next turn |
///
/// `Answer` and `OwnAnswers` hold neither input that is discarded nor the input of a peer to which nothing can be sent. A
/// farewell ends them all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// Nothing holds it.
    #[default]
    None,
    /// The connection waits to be let in.
    Waiting,
    /// It is over its rate.
    Flood,
    /// An answer is under way, or comes later.
    Answer,
    /// Its unsent answers fill half of its outbox, or all outboxes together are too full.
    OwnAnswers,
    /// This turn has no work left for it.
    Budget,
}

impl Session {
    /// Why its next message waits, and its socket is not read.
    #[must_use]
    pub const fn hold(&self) -> Hold {
        self.hold
    }

    /// An answer that is made as its reader takes it, or that comes later, is under way, or is complete.
    pub fn set_answering(&mut self, on: bool) {
        self.is_answering = on;
        if on && !self.is_held_fast() && self.waits_for_answers() {
            self.hold = Hold::Answer;
        } else if !on && self.hold == Hold::Answer {
            self.hold = Hold::None;
        }
    }

    /// Keeps `input` unparsed: this turn has no work left. `true` if there is anything to parse later.
    pub fn defer(&mut self, input: &mut &[u8]) -> bool {
        self.keep(input);
        let is_left = self.framer.held_bytes() > 0;
        if !self.is_held_fast() && self.hold != Hold::Answer {
            self.hold = if is_left { Hold::Budget } else { Hold::None };
        }
        is_left
    }

    /// Judges whether the next message waits. `is_crowded` says that all outboxes together are more than half full.
    pub(super) fn judge_hold(&mut self, limits: &ConnectionLimits, is_crowded: bool) -> Hold {
        if !self.is_held_fast() {
            let answers = self.outbox.kept_bytes();
            // Answers are never skipped, so a peer that does not read them gets no further.
            let is_full = answers > limits.outbox_bytes / 2 || (is_crowded && answers > 0);
            self.hold = match () {
                () if !self.waits_for_answers() => Hold::None,
                () if self.is_answering => Hold::Answer,
                () if is_full => Hold::OwnAnswers,
                () => Hold::None,
            };
        }
        self.hold
    }

    /// Its input is discarded from now on, or nothing can be sent to it: it no longer waits for answers to be read.
    pub(super) fn end_hold(&mut self) {
        if !self.is_held_fast() {
            self.hold = Hold::None;
        }
    }

    /// It is within its rate again.
    pub(super) fn end_flood_hold(&mut self) {
        if self.hold == Hold::Flood {
            let is_waiting = self.is_answering && self.waits_for_answers();
            self.hold = if is_waiting { Hold::Answer } else { Hold::None };
        }
    }

    /// Whether a hold is under way that only its own event ends.
    const fn is_held_fast(&self) -> bool {
        matches!(self.hold, Hold::Waiting | Hold::Flood)
    }

    /// Whether its input is parsed, and answered.
    fn waits_for_answers(&self) -> bool {
        self.output == Output::Open && !self.discards_input()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::settings::Config;
    use crate::session::timers::Timer;
    use crate::session::{CloseReason, Linger};
    use crate::time::Moment;
    use crate::wire::chunks::Chunks;
    use crate::wire::framing::Framing;
    use crate::wire::outbox::Keep;

    const NOW: Moment = Moment::START;

    /// A session, its limits, and the memory of its outbox.
    struct Peer {
        session: Session,
        limits: ConnectionLimits,
        chunks: Chunks,
    }

    impl Peer {
        fn new() -> Self {
            let session = Session::new(NOW, Framing::Lines, false);
            Self { session, limits: ConnectionLimits::from(&Config::default()), chunks: Chunks::default() }
        }

        fn has_next(&mut self, mut input: &[u8]) -> bool {
            let mut text = String::new();
            self.session.next_message(&mut input, &mut text, NOW, &self.limits, false).is_some()
        }

        fn answer(&mut self, bytes: usize) {
            self.session.queue_own(&mut self.chunks, Keep::Always, NOW, &self.limits, |out| {
                out.resize(out.len() + bytes, b'x');
                0
            });
        }

        /// Sends as many lines as its rate allows, and one more.
        fn flood(&mut self) {
            while self.session.hold() != Hold::Flood {
                self.has_next(b"x\n");
            }
        }

        fn is_read(&self) -> bool {
            self.session.wants().read
        }
    }

    #[test]
    fn a_peer_is_read_exactly_while_nothing_holds_it() {
        let mut peer = Peer::new();
        assert_eq!((peer.session.hold(), peer.is_read()), (Hold::None, true));
        peer.session.wait();
        assert_eq!((peer.session.hold(), peer.is_read()), (Hold::Waiting, false));
        peer.session.let_in();
        assert_eq!((peer.session.hold(), peer.is_read()), (Hold::None, true));
        peer.session.defer(&mut &b"later\n"[..]);
        assert_eq!((peer.session.hold(), peer.is_read()), (Hold::Budget, false));
        assert!(peer.has_next(b""));
        assert_eq!((peer.session.hold(), peer.is_read()), (Hold::None, true));
        peer.session.set_answering(true);
        assert_eq!((peer.session.hold(), peer.is_read()), (Hold::Answer, false));
        peer.session.set_answering(false);
        assert_eq!((peer.session.hold(), peer.is_read()), (Hold::None, true));
        peer.answer(peer.limits.outbox_bytes / 2 + 1);
        assert!(!peer.has_next(b"waits\n"));
        assert_eq!((peer.session.hold(), peer.is_read()), (Hold::OwnAnswers, false));
        assert!(peer.session.wrote(&mut peer.chunks, 1, 1, NOW, &peer.limits), "lines that waited may go on");
        assert!(peer.has_next(b""));
        peer.flood();
        assert!(!peer.is_read());
        let later = NOW + Duration::from_secs(60);
        assert_eq!(peer.session.handle_timeout(later, &peer.limits), Some(Timer::Flow));
        assert_eq!((peer.session.hold(), peer.is_read()), (Hold::None, true));
    }

    #[test]
    fn the_first_of_several_holds_is_given_and_the_others_are_not_lost() {
        let mut peer = Peer::new();
        peer.flood();
        peer.session.set_answering(true);
        assert_eq!(peer.session.hold(), Hold::Flood);
        peer.session.defer(&mut &b"later\n"[..]);
        peer.session.forgive_flood(NOW);
        assert_eq!(peer.session.hold(), Hold::Answer, "a turn without work left does not end an answer");
        peer.session.set_answering(false);
        assert!(peer.has_next(b""), "what waited is taken");
    }

    #[test]
    fn input_that_is_discarded_waits_for_no_answer() {
        let mut peer = Peer::new();
        peer.session.set_answering(true);
        assert!(peer.session.shut_read(NOW));
        assert_eq!((peer.session.hold(), peer.is_read()), (Hold::None, true));
        peer.session.defer(&mut &[][..]);
        assert!(peer.is_read(), "there is nothing left to parse in a later turn");
        assert!(peer.session.handle_eof(NOW));
        assert!(!peer.session.input_is_done(), "the answer goes on");
        peer.session.set_answering(false);
        assert!(peer.session.input_is_done());
    }

    #[test]
    fn a_peer_that_can_receive_nothing_waits_for_no_answer() {
        for end in [
            (|session| session.lose_output()) as fn(&mut Session),
            |session| assert!(session.shut_write(NOW)),
            |session| session.break_off(CloseReason::ResetByPeer, NOW),
            |session| assert!(session.farewell(CloseReason::Shutdown, Linger::FAREWELL, NOW)),
        ] {
            for hold in [Hold::Answer, Hold::Budget] {
                let mut peer = Peer::new();
                match hold {
                    Hold::Answer => peer.session.set_answering(true),
                    _ => drop(peer.session.defer(&mut &b"later\n"[..])),
                }
                assert_eq!(peer.session.hold(), hold);
                end(&mut peer.session);
                assert_eq!(peer.session.hold(), Hold::None, "{hold:?}");
            }
        }
    }
}
