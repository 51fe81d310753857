//! Reading the configuration anew while the loop goes on.
//!
//! It is read on a thread of its own, for files and name servers may take their time; the loop takes what has come of it
//! in one of its turns. At most one reading is waited for, and no longer than [`READING_MAX`]. Whoever asks while one is
//! under way is answered by the next: what they have just written is in it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use super::reactor::Reactor;
use crate::config::settings::{Config, LogLevel};
use crate::engine::reload::Reloaded;
use crate::link::onlookers::Asker;
use crate::time::Moment;

/// How long a reading is waited for.
const READING_MAX: Duration = Duration::from_secs(5);
/// Readings that nobody waits for any more and that have not ended; with so many there is no other.
const LOST_READINGS_MAX: usize = 4;

/// The answer to those who ask when it is too late.
const STOPPING: &str = "the server is stopping: the configuration stays as it is";

/// Reads the configuration; it is handed what is in force.
pub(super) type Loader = Arc<dyn Fn(&Config) -> Result<Reloaded, String> + Send + Sync>;

/// What is in force, and how to read it anew.
pub(super) struct Configuration {
    in_force: Config,
    loader: Option<Loader>,
    reading: Option<Reading>,
    /// SIGHUP asks for it.
    is_wanted: bool,
}

/// A reading under way, and who waits for it.
struct Reading {
    result: Receiver<Result<Reloaded, String>>,
    until: Moment,
    askers: Vec<Asker>,
}

impl Configuration {
    pub(super) const fn new(in_force: Config) -> Self {
        Self { in_force, loader: None, reading: None, is_wanted: false }
    }

    pub(super) const fn in_force(&self) -> &Config {
        &self.in_force
    }

    pub(super) fn set_loader(&mut self, loader: Loader) {
        self.loader = Some(loader);
    }

    /// SIGHUP asks for it.
    pub(super) const fn want(&mut self) {
        self.is_wanted = true;
    }

    /// When a reading is waited for no longer.
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        self.reading.as_ref().map(|reading| reading.until)
    }

    /// Begins to read; `wake` is called when it is done.
    fn read(
        &self,
        wake: impl FnOnce() + Send + 'static,
    ) -> Result<Receiver<Result<Reloaded, String>>, String> {
        let loader = self.loader.clone().ok_or("there is no configuration to read")?;
        // This one and that of the configuration itself are not lost.
        if Arc::strong_count(&loader) > LOST_READINGS_MAX + 2 {
            return Err("earlier readings have not come to an end; see to the file, or restart".to_owned());
        }
        let (done, result) = channel();
        let in_force = self.in_force.clone();
        let read = move || {
            // Nobody waits for it any more when it took too long, or the server has ended.
            let _ = done.send(loader(&in_force));
            wake();
        };
        let thread = thread::Builder::new().name("reload".to_owned()).spawn(read);
        thread.map(|_| result).map_err(|error| format!("no thread to read it: {error}"))
    }
}

impl Reactor {
    /// Once a turn: begins to read if somebody asks, and takes what was read.
    pub(super) fn see_to_reload(&mut self, now: Moment) {
        if self.configuration.reading.is_none() {
            self.begin_reload(now);
        }
        let Some(reading) = &self.configuration.reading else { return };
        let read = match reading.result.try_recv() {
            Err(TryRecvError::Empty) if self.engine.is_stopping() => Err(STOPPING.to_owned()),
            Ok(read) => read,
            Err(TryRecvError::Empty) if now < reading.until => return,
            Err(TryRecvError::Empty) => Err("reading the configuration takes too long".to_owned()),
            Err(TryRecvError::Disconnected) => Err("reading the configuration failed".to_owned()),
        };
        if let Some(Reading { askers, .. }) = self.configuration.reading.take() {
            self.take_configuration(read, &askers);
            // Somebody may have asked meanwhile.
            self.begin_reload(now);
        }
    }

    /// Begins to read if anybody asks.
    fn begin_reload(&mut self, now: Moment) {
        let configuration = &mut self.configuration;
        let is_wanted = std::mem::take(&mut configuration.is_wanted);
        if !is_wanted && !self.onlookers.want_reload() {
            return;
        }
        let askers = self.onlookers.take_reload_askers();
        if self.engine.is_stopping() {
            return self.take_configuration(Err(STOPPING.to_owned()), &askers);
        }
        let waker = self.poller.waker();
        match configuration.read(move || waker.notify()) {
            Ok(result) => {
                configuration.reading = Some(Reading { result, until: now + READING_MAX, askers });
            }
            Err(why) => self.take_configuration(Err(why), &askers),
        }
    }

    fn take_configuration(&mut self, read: Result<Reloaded, String>, askers: &[Asker]) {
        if let Ok(reloaded) = &read {
            self.configuration.in_force = reloaded.config.clone();
            self.sockets.set_keepalive(&reloaded.config.keepalive);
            if let Err(error) = self.reconfigure_listeners() {
                let text = format!("the options of new connections cannot be set: {error}");
                self.engine.note(LogLevel::Warn, text);
            }
        }
        let outcome = self.engine.reloaded(read);
        self.onlookers.answer_reload(askers, &outcome);
    }

    /// Whom they accept from now on has the options of the new configuration.
    fn reconfigure_listeners(&self) -> io::Result<()> {
        self.listeners.iter().try_for_each(|listener| listener.reconfigure(&self.configuration.in_force))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::SocketAddr;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::clock::Clock;
    use crate::config::settings::{ControlPath, ListenAddr};
    use crate::net::Server;

    const DEADLINE: Duration = Duration::from_secs(20);

    #[test]
    fn a_reload_under_way_is_answered_when_the_server_stops() {
        let path = std::env::temp_dir().join(format!("chatops-reload-{}.sock", std::process::id()));
        let mut config = Config::default();
        config.listen.0[0].address = ListenAddr::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
        config.control.path = ControlPath::At(path.clone());
        let mut server = Server::bind(&config, Clock::start()).unwrap();
        let (begun, begins) = channel();
        let (go_on, goes_on) = channel::<()>();
        let (begun, goes_on) = (std::sync::Mutex::new(begun), std::sync::Mutex::new(goes_on));
        server.set_loader(move |_| {
            begun.lock().unwrap().send(()).unwrap();
            let _ = goes_on.lock().unwrap().recv_timeout(DEADLINE);
            Err("it has ended".to_owned())
        });
        let running = thread::spawn(move || server.run());
        let request = |verb: &str| {
            let mut stream = UnixStream::connect(&path).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            writeln!(stream, "{verb}").unwrap();
            BufReader::new(stream)
        };
        let first = request("reload");
        begins.recv_timeout(DEADLINE).unwrap();
        let second = request("reload");
        let stop = request("stop");
        for (mut asking, told) in [(first, "is stopping"), (second, "is stopping"), (stop, "\"ok\":true")] {
            let mut answer = String::new();
            asking.read_line(&mut answer).unwrap();
            assert!(answer.contains(told), "{answer:?}");
        }
        running.join().unwrap().unwrap();
        drop(go_on);
    }
}
