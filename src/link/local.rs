//! The link within one process: two bounded queues and a bell for either side.
//!
//! It knows no poller, only what to call to wake a side. Neither side ever waits for the other.
//!
//! Invariants: at most [`OUTSTANDING_MAX`] requests (of an operator: two) are without an answer that has been taken, so an answer always
//! finds room. However the server's side goes, by [`Mailbox::end`] or by unwinding, the onlooker is woken and
//! learns why.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};

use super::{Link, LinkError, Request, Response};
use crate::time::Moment;

/// Requests of one onlooker that may be under way, from being asked to the answer being taken. A person at the
/// keyboard stays far below it.
pub const OUTSTANDING_MAX: usize = 64;

/// Both ends of a new link. `wake_server` is called after each request and when the onlooker has gone,
/// `wake_onlooker` after each answer and when the server has gone; each from the other side's thread.
pub fn local(
    wake_server: impl Fn() + Send + Sync + 'static,
    wake_onlooker: impl Fn() + Send + Sync + 'static,
) -> (LocalLink, Mailbox) {
    with_capacity(OUTSTANDING_MAX, wake_server, wake_onlooker)
}

/// The same for an onlooker with at most `most` requests under way. One answer more fits in, which nobody asked for.
pub(super) fn with_capacity(
    most: usize,
    wake_server: impl Fn() + Send + Sync + 'static,
    wake_onlooker: impl Fn() + Send + Sync + 'static,
) -> (LocalLink, Mailbox) {
    let (requests, inbox) = sync_channel(most);
    let (answers, responses) = sync_channel(most + 1);
    let known = Arc::new(Known::default());
    let link = LocalLink {
        requests,
        responses,
        most,
        outstanding: 0,
        known: Arc::clone(&known),
        server: Bell(Box::new(wake_server)),
    };
    let mailbox = Mailbox { inbox, answers, watched: true, known, onlooker: Bell(Box::new(wake_onlooker)) };
    (link, mailbox)
}

/// What either side knows of the other beside the queues.
#[derive(Debug, Default)]
struct Known {
    /// Why the server went; set before its ends of the queues are dropped, unless it unwound.
    ended: OnceLock<LinkError>,
    /// The onlooker has gone.
    left: AtomicBool,
    /// Since when the onlooker has had nothing to ask, in microseconds; [`BUSY`] while it is answered.
    idle_since_us: AtomicU64,
    /// It has asked for something.
    has_asked: AtomicBool,
}

/// No moment: the onlooker is not idle.
const BUSY: u64 = u64::MAX;

/// The onlooker's end.
#[derive(Debug)]
pub struct LocalLink {
    requests: SyncSender<Request>,
    responses: Receiver<Response>,
    /// The most requests under way.
    most: usize,
    /// Requests whose answers have not been taken.
    outstanding: usize,
    known: Arc<Known>,
    /// Dropped last, so that the server finds the queues cut off when it rings.
    server: Bell,
}

impl LocalLink {
    /// Why the server's ends of the queues are gone.
    fn end(&self) -> LinkError {
        let unwound = || LinkError::Failed("it stopped without saying why".to_owned());
        self.known.ended.get().cloned().unwrap_or_else(unwound)
    }

    /// Says since when there has been nothing to ask; `None` while an answer is under way.
    pub fn set_idle(&self, since: Option<Moment>) {
        self.known.idle_since_us.store(since.map_or(BUSY, Moment::micros), Ordering::Relaxed);
    }

    /// Says that this onlooker has asked for something.
    pub fn set_asked(&self) {
        self.known.has_asked.store(true, Ordering::Relaxed);
    }
}

impl Drop for LocalLink {
    fn drop(&mut self) {
        self.known.left.store(true, Ordering::Relaxed);
    }
}

impl Link for LocalLink {
    fn request(&mut self, request: Request) -> Result<(), LinkError> {
        if self.outstanding == self.most {
            return Err(LinkError::Busy);
        }
        match self.requests.try_send(request) {
            Ok(()) => {
                self.outstanding += 1;
                self.server.ring();
                Ok(())
            }
            Err(TrySendError::Full(_)) => Err(LinkError::Busy),
            Err(TrySendError::Disconnected(_)) => Err(self.end()),
        }
    }

    fn response(&mut self) -> Result<Option<Response>, LinkError> {
        match self.responses.try_recv() {
            Ok(response) => {
                self.outstanding = self.outstanding.saturating_sub(1);
                Ok(Some(response))
            }
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(self.end()),
        }
    }
}

/// The server's end.
#[derive(Debug)]
pub struct Mailbox {
    inbox: Receiver<Request>,
    answers: SyncSender<Response>,
    watched: bool,
    known: Arc<Known>,
    /// Dropped last, so that the onlooker finds the queues cut off when it rings.
    onlooker: Bell,
}

impl Mailbox {
    /// The next request, if one is there. After a wake-up, take them until there is none.
    #[expect(clippy::should_implement_trait, reason = "an iterator's None is the end, this one is not yet")]
    pub fn next(&mut self) -> Option<Request> {
        match self.inbox.try_recv() {
            Ok(request) => Some(request),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                self.watched = false;
                None
            }
        }
    }

    /// Answers one request and wakes the onlooker. Each request is to be answered exactly once; an answer that
    /// nobody asked for is dropped when there is no room for it.
    pub fn answer(&mut self, response: Response) {
        match self.answers.try_send(response) {
            Ok(()) => self.onlooker.ring(),
            Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => self.watched = false,
        }
    }

    /// Whether the onlooker was still there when [`Mailbox::next`] or [`Mailbox::answer`] last looked. Requests it
    /// made before it went are still given out.
    #[must_use]
    pub const fn is_watched(&self) -> bool {
        self.watched
    }

    /// Tells the onlooker that the server has ended, and why. Dropping the mailbox without it says that the
    /// server failed.
    pub fn end(self, why: LinkError) {
        // The cell is empty: only this function fills it, and it consumes the only mailbox of the link.
        let _ = self.known.ended.set(why);
    }

    /// Whether the onlooker has gone. Requests that it made before may still be there.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.known.left.load(Ordering::Relaxed)
    }

    /// Since when the onlooker has had nothing to ask; `None` while it is answered.
    #[must_use]
    pub fn idle_since(&self) -> Option<Moment> {
        let since = self.known.idle_since_us.load(Ordering::Relaxed);
        (since != BUSY).then(|| Moment::from_micros(since))
    }

    /// Whether it has ever asked for something.
    #[must_use]
    pub fn has_asked(&self) -> bool {
        self.known.has_asked.load(Ordering::Relaxed)
    }
}

/// Wakes the other side, a last time when dropped.
struct Bell(Box<dyn Fn() + Send + Sync>);

impl Bell {
    fn ring(&self) {
        (self.0)();
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.ring();
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bell")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;
    use crate::model::answer::Done;
    use crate::model::verbs::OperatorCommand;

    /// A link whose bells are counted.
    struct Counted {
        link: LocalLink,
        mailbox: Mailbox,
        server_woken: Arc<AtomicUsize>,
        onlooker_woken: Arc<AtomicUsize>,
    }

    fn counted() -> Counted {
        let counts = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let [server_woken, onlooker_woken] = counts.clone();
        let [server, onlooker] = counts.map(|count| {
            move || {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        let (link, mailbox) = local(server, onlooker);
        Counted { link, mailbox, server_woken, onlooker_woken }
    }

    fn verb(ticket: u64) -> Request {
        Request::Verb { ticket, command: OperatorCommand::Pause }
    }

    fn done(ticket: u64) -> Response {
        Response::Verb { ticket, outcome: Ok(Done::default()) }
    }

    fn ticket(response: &Response) -> u64 {
        match response {
            Response::Verb { ticket, .. } => *ticket,
            other => panic!("not asked for: {other:?}"),
        }
    }

    #[test]
    fn requests_and_answers_keep_their_order_and_wake_the_other_side() {
        let Counted { mut link, mut mailbox, server_woken, onlooker_woken } = counted();
        link.request(verb(1)).expect("room");
        link.request(verb(2)).expect("room");
        assert_eq!(server_woken.load(Ordering::SeqCst), 2);
        while let Some(Request::Verb { ticket, .. }) = mailbox.next() {
            mailbox.answer(done(ticket));
        }
        assert_eq!(onlooker_woken.load(Ordering::SeqCst), 2);
        for expected in [1, 2] {
            let response = link.response().expect("the server is there").expect("an answer");
            assert_eq!(ticket(&response), expected);
        }
        assert!(link.response().expect("the server is there").is_none());
    }

    #[test]
    fn a_request_too_many_is_busy_until_an_answer_is_taken() {
        let Counted { mut link, mut mailbox, .. } = counted();
        for ticket in 0..OUTSTANDING_MAX as u64 {
            link.request(verb(ticket)).expect("room");
        }
        assert_eq!(link.request(verb(99)), Err(LinkError::Busy));
        while let Some(Request::Verb { ticket, .. }) = mailbox.next() {
            mailbox.answer(done(ticket));
        }
        assert_eq!(link.request(verb(99)), Err(LinkError::Busy), "answered, but not taken");
        assert!(link.response().expect("the server is there").is_some());
        link.request(verb(99)).expect("room for one");
        assert_eq!(link.request(verb(100)), Err(LinkError::Busy));
    }

    #[test]
    fn an_answer_nobody_asked_for_never_blocks() {
        let Counted { mut link, mut mailbox, .. } = counted();
        for ticket in 0..2 * OUTSTANDING_MAX as u64 {
            mailbox.answer(done(ticket));
        }
        assert_eq!(ticket(&link.response().expect("there").expect("an answer")), 0);
        link.request(verb(1)).expect("the count of requests under way is unharmed");
    }

    #[test]
    fn the_end_comes_after_the_answers_and_stays() {
        let Counted { mut link, mut mailbox, onlooker_woken, .. } = counted();
        link.request(verb(1)).expect("room");
        assert!(mailbox.next().is_some());
        mailbox.answer(done(1));
        mailbox.end(LinkError::Ended);
        assert_eq!(onlooker_woken.load(Ordering::SeqCst), 2);
        assert_eq!(link.request(verb(2)), Err(LinkError::Ended));
        assert!(link.response().expect("an answer is left").is_some());
        assert_eq!(link.response().expect_err("the end"), LinkError::Ended);
        assert_eq!(link.response().expect_err("the end"), LinkError::Ended);
    }

    #[test]
    fn a_server_that_unwinds_has_failed() {
        let Counted { mut link, mailbox, onlooker_woken, .. } = counted();
        let unwound = thread::spawn(move || {
            let _mailbox = mailbox;
            std::panic::resume_unwind(Box::new("a broken invariant"));
        });
        unwound.join().expect_err("it unwound");
        assert_eq!(onlooker_woken.load(Ordering::SeqCst), 1);
        assert!(matches!(link.response(), Err(LinkError::Failed(_))));
        assert!(matches!(link.request(verb(1)), Err(LinkError::Failed(_))));
    }

    #[test]
    fn the_server_notices_that_nobody_watches() {
        let Counted { mut link, mut mailbox, server_woken, .. } = counted();
        assert!(mailbox.next().is_none());
        assert!(mailbox.is_watched());
        link.request(verb(1)).expect("room");
        drop(link);
        assert_eq!(server_woken.load(Ordering::SeqCst), 2);
        assert!(mailbox.next().is_some(), "what was asked is still done");
        assert!(mailbox.next().is_none());
        assert!(!mailbox.is_watched());
    }

    #[test]
    fn answering_nobody_is_noticed_too() {
        let Counted { link, mut mailbox, .. } = counted();
        drop(link);
        mailbox.answer(done(1));
        assert!(!mailbox.is_watched());
    }
}
