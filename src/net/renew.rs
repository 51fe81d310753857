//! Files of sockets that are gone: a logout empties the runtime directory, a cleaner removes what looks old. Their
//! sockets live on, but nobody can connect to them any more, so new ones take their place.

use std::collections::BTreeMap;
use std::time::Duration;

use super::control;
use super::listener::Listener;
use super::reactor::{KEY_CONTROL, KEY_LISTENERS, Reactor};
use super::socket_file::Obstacle;
use crate::config::settings::LogLevel;
use crate::poller::{Interest, Watched};
use crate::time::Moment;

/// How often it is looked whether all files are there.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// When it is looked next, and what was in the way the last time.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    next: Moment,
    /// By the key of the listener: said once, not at every look.
    obstacles: BTreeMap<usize, String>,
}

impl Renewal {
    /// The next turn looks, whenever it was last done.
    pub(super) fn hurry(&mut self) {
        self.next = Moment::START;
        self.obstacles.clear();
    }
}

impl Reactor {
    /// Once a turn; every few seconds it looks whether each socket still has its file, and makes new ones.
    pub(super) fn renew_files(&mut self, now: Moment) {
        if now < self.renewal.next || self.engine.is_stopping() {
            return;
        }
        self.renewal.next = now + LOOK_EVERY;
        for index in 0..self.listeners.len() {
            if self.listeners[index].missed_file().is_some() {
                let renewed = self.listeners[index].renewed(self.configuration.in_force());
                if let Some(new) = self.take_renewed(renewed, KEY_LISTENERS + index) {
                    retire(std::mem::replace(&mut self.listeners[index], new));
                }
            }
        }
        let missed = self.control.as_ref().and_then(|control| control.missed_file());
        if let Some(gone) = missed.map(|file| file.path().to_owned()) {
            let renewed = control::renewed(&gone);
            if let Some(new) = self.take_renewed(renewed, KEY_CONTROL)
                && let Some(old) = self.control.replace(new)
            {
                retire(old);
            }
        }
    }

    /// Watches a listener with a new file, and says what has become of the old one.
    fn take_renewed(&mut self, renewed: Result<Listener, Obstacle>, key: usize) -> Option<Watched<Listener>> {
        let watched = renewed.map_err(|obstacle| obstacle.to_string()).and_then(|listener| {
            let address = listener.address().to_string();
            let watched = self.poller.watch(listener, key, Interest::READ);
            watched.map(|watched| (watched, address)).map_err(|(_, error)| error.to_string())
        });
        let what = if key == KEY_CONTROL { "the control socket" } else { "a listener" };
        match watched {
            Ok((watched, address)) => {
                self.renewal.obstacles.remove(&key);
                let text = format!("the file of {what} was gone; it is at {address} now");
                self.engine.note(LogLevel::Warn, text);
                Some(watched)
            }
            Err(why) => {
                let text = format!("the file of {what} is gone and cannot be made again: {why}");
                if self.renewal.obstacles.insert(key, text.clone()).as_ref() != Some(&text) {
                    self.engine.note(LogLevel::Error, text);
                }
                None
            }
        }
    }
}

/// Closes a listener whose path has another one by now.
fn retire(old: Watched<Listener>) {
    old.into_inner().forget_file();
}
