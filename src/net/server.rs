//! The server as its starters see it: bind, attach an onlooker, run.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::control::{self, Bound};
use super::listener::{BindError, Listener};
use super::reactor::{Reactor, Stop};
use crate::clock::Clock;
use crate::config::settings::{Config, ListenAddr, LogLevel};
use crate::engine::Engine;
use crate::engine::reload::Reloaded;
use crate::link::LinkError;
use crate::link::local::LocalLink;
use crate::model::event::Event;
use crate::poller::Poller;
use crate::time::Moment;

/// Takes each record as it happens; it must not block.
pub(super) type Sink = Box<dyn FnMut(&Event) + Send>;

/// A server whose listeners are bound and which is not running yet.
pub struct Server {
    reactor: Reactor,
    clock: Clock,
    labels: Vec<String>,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// How long it ran.
    pub uptime: Duration,
    /// Clients let in.
    pub clients: u64,
    /// Messages received.
    pub lines: u64,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everybody was told, flushed and closed, or the time for that was up.
    Drained(Totals),
    /// A second signal cut it short.
    AtOnce,
    /// This signal cut it short, and the process is to die of it: sockets are closed and their files removed.
    Signal(i32),
}

impl Server {
    /// Binds all listeners.
    ///
    /// # Errors
    ///
    /// When an address cannot be had; the error says why and what to do.
    pub fn bind(config: &Config, clock: Clock) -> Result<Self, BindError> {
        let listeners = config
            .listen
            .0
            .iter()
            .map(|listen| Listener::bind(listen, config))
            .collect::<Result<Vec<_>, _>>()?;
        let (control, told) = match control::bind(config, &listeners)? {
            Bound::At(listener, path) => {
                (Some(listener), Some((LogLevel::Info, format!("control socket: {}", path.display()))))
            }
            Bound::Off => (None, None),
            Bound::Nowhere(why) => (None, Some((LogLevel::Warn, format!("no control socket: {why}")))),
        };
        let labels: Vec<String> = listeners.iter().map(Listener::label).collect();
        let mut engine = Engine::new(config, clock.now());
        engine.set_listeners(labels.clone());
        if let Some((level, text)) = told {
            engine.note(level, text);
        }
        let poller = Poller::new().map_err(BindError::Loop)?;
        let reactor = Reactor::new(engine, poller, listeners, control, clock.clone(), config)
            .map_err(BindError::Loop)?;
        Ok(Self { reactor, clock, labels })
    }

    /// The listeners as they were bound: `127.0.0.1:6677 (lines)`.
    #[must_use]
    pub fn listeners(&self) -> &[String] {
        &self.labels
    }

    /// The addresses of the listeners as they were bound, with the ports that the system chose.
    pub fn addresses(&self) -> impl Iterator<Item = &ListenAddr> {
        self.reactor.listeners.iter().map(|listener| listener.address())
    }

    /// Gives every record to `sink` as it happens. It is called in the loop and must not block.
    pub fn set_sink(&mut self, sink: impl FnMut(&Event) + Send + 'static) {
        self.reactor.set_sink(Box::new(sink));
    }

    /// Records something about the server as a whole.
    pub fn note(&mut self, level: LogLevel, text: String) {
        self.reactor.engine.note(level, text);
    }

    /// How the configuration is read anew, on a thread of its own: `load` is handed what is in force, and says why when
    /// there is nothing to take.
    pub fn set_loader(&mut self, load: impl Fn(&Config) -> Result<Reloaded, String> + Send + Sync + 'static) {
        self.reactor.configuration.set_loader(Arc::new(load));
    }

    /// Lets an onlooker in; `wake_onlooker` is called when there is something for it, from the server's thread.
    #[must_use]
    pub fn attach(&mut self, wake_onlooker: impl Fn() + Send + Sync + 'static) -> LocalLink {
        let waker = self.reactor.poller.waker();
        self.reactor.onlookers.attach(move || waker.notify(), wake_onlooker)
    }

    /// Runs until the server is told to stop and has stopped.
    ///
    /// # Errors
    ///
    /// When the kernel's event queue fails, which nothing can be done about, or an invariant is broken: a panic ends
    /// here, and the error has its words.
    pub fn run(mut self) -> io::Result<End> {
        // The state may be in pieces after a panic; nothing but its counters is looked at any more.
        let ran = catch_unwind(AssertUnwindSafe(|| self.reactor.run()))
            .unwrap_or_else(|panic| Err(io::Error::other(words_of(panic.as_ref()))));
        std::mem::take(&mut self.reactor.onlookers).end(&match &ran {
            Ok(_) => LinkError::Ended,
            Err(error) => LinkError::Failed(error.to_string()),
        });
        if let Some(operators) = self.reactor.operators.take() {
            let end = self.reactor.engine.stop_deadline().filter(|_| matches!(ran, Ok(Stop::Drained)));
            operators.end(end.map(|end| end.since(self.clock.moment())).unwrap_or_default());
        }
        let (clients, lines) = self.reactor.engine.served();
        let uptime = self.clock.moment().since(Moment::START);
        Ok(match ran? {
            Stop::Drained => End::Drained(Totals { uptime, clients, lines }),
            Stop::AtOnce => End::AtOnce,
            Stop::Signal(signal) => End::Signal(signal),
        })
    }
}

/// What a panic said.
fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("broken invariant: {}", text.unwrap_or("it did not say which"))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::config::settings::ControlPath;
    use crate::link::{Link, Request};
    use crate::model::verbs::OperatorCommand;

    /// The bell of a request rings once: whatever the loop does when it comes, it must not sleep upon it.
    #[test]
    fn a_request_is_answered_however_soon_it_follows_the_last() {
        const DEADLINE: Duration = Duration::from_secs(10);
        let mut config = Config::default();
        config.listen.0[0].address = ListenAddr::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
        config.control.path = ControlPath::Off;
        let clock = Clock::start();
        let mut server = Server::bind(&config, clock.clone()).unwrap();
        let mut link = server.attach(|| {});
        let running = std::thread::spawn(move || server.run());
        for ticket in 0..2_000 {
            let asked = clock.moment();
            link.request(Request::Verb { ticket, command: OperatorCommand::Pause }).unwrap();
            while link.response().unwrap().is_none() {
                assert!(clock.moment().since(asked) < DEADLINE, "request {ticket} is not answered");
                std::hint::spin_loop();
            }
        }
        link.request(Request::Verb { ticket: 0, command: OperatorCommand::Stop }).unwrap();
        assert!(matches!(running.join().unwrap().unwrap(), End::Drained(_)));
    }
}
