//! Services: who answers commands later, on a thread of its own, and the bounded queues to it and back.
//!
//! Neither side of a queue makes the engine wait. A person whose command finds its queue full, its service gone, or no
//! reply within [`REPLY_WITHIN`] is told so in a `!!` line, and goes on.

use std::collections::VecDeque;
use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::Duration;

use super::server::Engine;
use crate::chat::{Command, Job, Reply, Ticket};
use crate::time::Moment;

/// Jobs of one service that wait for it; as many replies wait for the engine. One more job is refused.
pub const JOBS_MAX: usize = 64;
/// A job without a reply is refused after this time.
const REPLY_WITHIN: Duration = Duration::from_secs(10);

/// Both ends of the queues of a new service that answers `commands`. `wake_server` is called after each reply, and when
/// the service has ended; from its thread.
pub fn service(
    commands: &'static [Command],
    wake_server: impl Fn() + Send + 'static,
) -> (Service, ServiceWorker) {
    let (jobs, inbox) = sync_channel(JOBS_MAX);
    let (outbox, replies) = sync_channel(JOBS_MAX);
    let service = Service { commands, jobs, replies, waiting: VecDeque::new() };
    (service, ServiceWorker { jobs: inbox, replies: outbox, server: Wake(Box::new(wake_server)) })
}

/// The engine's end.
#[derive(Debug)]
pub struct Service {
    commands: &'static [Command],
    jobs: SyncSender<Job>,
    replies: Receiver<Reply>,
    /// Jobs that have no reply yet and when each is refused, oldest first. Some may have been answered since.
    waiting: VecDeque<(Moment, Ticket)>,
}

impl Service {
    fn answers(&self, command: &str) -> bool {
        self.commands.iter().any(|row| row.name() == command)
    }
}

/// The service's end. Dropping it says that the service has ended.
#[derive(Debug)]
pub struct ServiceWorker {
    jobs: Receiver<Job>,
    replies: SyncSender<Reply>,
    /// Dropped last, so that the server finds the queues cut off when it is woken.
    server: Wake,
}

impl ServiceWorker {
    /// Waits for the next job; `None` when the server has ended.
    #[must_use]
    pub fn next_job(&self) -> Option<Job> {
        self.jobs.recv().ok()
    }

    /// The next job, if one is there.
    #[must_use]
    pub fn poll_job(&self) -> Option<Job> {
        self.jobs.try_recv().ok()
    }

    /// Replies to a job and wakes the server. Waits while [`JOBS_MAX`] replies wait for the server. A server that has ended
    /// gets no reply, and gives no further job.
    pub fn reply(&self, reply: Reply) {
        if self.replies.send(reply).is_ok() {
            (self.server.0)();
        }
    }
}

/// Wakes the server, a last time when dropped.
struct Wake(Box<dyn Fn() + Send>);

impl Drop for Wake {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl fmt::Debug for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wake")
    }
}

/// All services.
#[derive(Debug, Default)]
pub(super) struct Services(Vec<Service>);

impl Services {
    /// Passes a job on, or gives the reason why it is refused.
    fn submit(&mut self, job: Job, now: Moment) -> Result<(), Reply> {
        let (ticket, command) = (job.ticket, job.command);
        let refused = |why: String| Reply { ticket, lines: Err(why) };
        let Some(service) = self.0.iter_mut().find(|service| service.answers(command)) else {
            return Err(refused(is_gone(command)));
        };
        match service.jobs.try_send(job) {
            Ok(()) => {
                service.waiting.push_back((now + REPLY_WITHIN, ticket));
                Ok(())
            }
            Err(TrySendError::Full(_)) => Err(refused(format!("/{command} is busy; try again later"))),
            Err(TrySendError::Disconnected(_)) => Err(refused(is_gone(command))),
        }
    }

    /// When the oldest job without a reply is refused.
    pub(super) fn next(&self) -> Option<Moment> {
        self.0.iter().filter_map(|service| service.waiting.front()).map(|(due, _)| *due).min()
    }

    /// Replies that have come, and those made for jobs that get none, at most [`JOBS_MAX`] of each and for each service.
    fn take_replies(&mut self, now: Moment, replies: &mut Vec<Reply>) {
        for service in &mut self.0 {
            let before = replies.len();
            let has_ended = loop {
                if replies.len() - before == JOBS_MAX {
                    break false;
                }
                match service.replies.try_recv() {
                    Ok(reply) => {
                        service.waiting.retain(|(_, ticket)| *ticket != reply.ticket);
                        replies.push(reply);
                    }
                    Err(TryRecvError::Empty) => break false,
                    Err(TryRecvError::Disconnected) => break true,
                }
            };
            while service.waiting.front().is_some_and(|(due, _)| has_ended || *due <= now) {
                let Some((_, ticket)) = service.waiting.pop_front() else { break };
                let why = if has_ended { "its service has ended" } else { "no answer came in time" };
                replies.push(Reply { ticket, lines: Err(format!("{why}; try again later")) });
            }
        }
    }
}

fn is_gone(command: &str) -> String {
    format!("/{command} is not available now; try again later")
}

impl Engine {
    /// A service answers its commands from now on.
    pub fn add_service(&mut self, service: Service) {
        self.hub.add_commands(service.commands);
        self.services.0.push(service);
    }

    /// Passes a person's job on to its service; the person's next message waits for the reply.
    pub(super) fn submit(&mut self, job: Job) {
        if let Err(refused) = self.services.submit(job, self.conns.now.moment) {
            self.hub.reply(refused, &mut self.conns);
        }
    }

    /// Goes on with the people whose commands services have answered. While the loop is behind with its writes, replies
    /// wait as messages do.
    pub(super) fn take_replies(&mut self) {
        if self.is_behind {
            return;
        }
        let mut replies = Vec::new();
        self.services.take_replies(self.conns.now.moment, &mut replies);
        for reply in replies {
            let slot = reply.ticket.slot();
            if self.hub.reply(reply, &mut self.conns) {
                self.note_answer(slot);
                self.parse(slot, &[]);
                self.conns.touch(slot);
            }
        }
    }
}
