//! Reading the configuration anew while the loop goes on.
//!
//! It is read on a thread of its own, for files and name servers may take their time; the loop takes what has come of it
//! in one of its turns. At most one reading is under way: whoever asks meanwhile is answered with it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;

use super::reactor::Reactor;
use crate::config::settings::{Config, LogLevel};
use crate::engine::reload::Reloaded;
use crate::link::Response;

/// Reads the configuration; it is handed what is in force.
pub(super) type Loader = Arc<dyn Fn(&Config) -> Result<Reloaded, String> + Send + Sync>;

/// What is in force, and how to read it anew.
pub(super) struct Configuration {
    in_force: Config,
    loader: Option<Loader>,
    under_way: Option<Receiver<Result<Reloaded, String>>>,
    /// Requests of the onlooker that wait for it.
    tickets: Vec<u64>,
}

impl Configuration {
    pub(super) const fn new(in_force: Config) -> Self {
        Self { in_force, loader: None, under_way: None, tickets: Vec::new() }
    }

    pub(super) fn set_loader(&mut self, loader: Loader) {
        self.loader = Some(loader);
    }

    /// The onlooker asks for it.
    pub(super) fn ask(&mut self, ticket: u64) {
        self.tickets.push(ticket);
    }
}

impl Reactor {
    /// Once a turn: begins to read if somebody asks, and takes what was read.
    pub(super) fn see_to_reload(&mut self) {
        let is_wanted = self.engine.wants_reload() || !self.configuration.tickets.is_empty();
        if is_wanted && self.configuration.under_way.is_none() {
            self.begin_reload();
        }
        let Some(reading) = &self.configuration.under_way else { return };
        match reading.try_recv() {
            Ok(read) => self.take_configuration(read),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => self.take_configuration(Err("reading it failed".to_owned())),
        }
    }

    /// Begins to read, unless that is under way.
    pub(super) fn begin_reload(&mut self) {
        let Some(loader) = self.configuration.loader.clone() else {
            return self.take_configuration(Err("there is no configuration to read".to_owned()));
        };
        if self.configuration.under_way.is_some() {
            return;
        }
        let (done, reading) = channel();
        let (in_force, waker) = (self.configuration.in_force.clone(), self.poller.waker());
        let read = move || {
            // Nobody waits for it any more when the server has ended.
            let _ = done.send(loader(&in_force));
            waker.notify();
        };
        match thread::Builder::new().name("reload".to_owned()).spawn(read) {
            Ok(_) => self.configuration.under_way = Some(reading),
            Err(error) => self.take_configuration(Err(format!("no thread to read it: {error}"))),
        }
    }

    fn take_configuration(&mut self, read: Result<Reloaded, String>) {
        self.configuration.under_way = None;
        if let Ok(reloaded) = &read {
            self.configuration.in_force = reloaded.config.clone();
            self.sockets.set_keepalive(&reloaded.config.keepalive);
            if let Err(error) = self.reconfigure_listeners() {
                let text = format!("the options of new connections cannot be set: {error}");
                self.engine.note(LogLevel::Warn, text);
            }
        }
        let told = self.engine.reloaded(read);
        for ticket in std::mem::take(&mut self.configuration.tickets) {
            if let Some(mailbox) = &mut self.mailbox {
                mailbox.answer(Response::Verb { ticket, outcome: told.clone() });
            }
        }
    }

    /// Whom they accept from now on has the options of the new configuration.
    fn reconfigure_listeners(&self) -> io::Result<()> {
        self.listeners.iter().try_for_each(|listener| listener.reconfigure(&self.configuration.in_force))
    }
}
