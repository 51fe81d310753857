//! What a configuration that is read anew changes in a server that runs.

use super::keys::{KEYS, LISTEN};
use super::rules::check_framing;
use super::settings::{Config, Listen};

/// Keys that are looked at when the server starts, and not again.
const NEED_RESTART: [&str; 5] = [LISTEN, "server.on_hangup", "control.path", "log.level", "dashboard."];

/// What is different, by key, in the order of `config.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// In force from now on.
    pub applied: Vec<&'static str>,
    /// Not before the next start.
    pub needs_restart: Vec<&'static str>,
}

/// What is in force once `new` is read while the server runs with `running`, and what of it is different.
///
/// # Errors
///
/// When the new limits do not fit the listeners, which stay those that are in force.
pub fn reload(running: &Config, new: Config) -> Result<(Config, Changes), String> {
    for listen in &running.listen.0 {
        check_framing(listen.framing, &new.limits).map_err(|why| {
            let Listen { address, .. } = listen;
            format!("listen.framing: {why}; {address} is in force until a restart")
        })?;
    }
    let mut changes = Changes::default();
    if running.listen != new.listen {
        changes.needs_restart.push(LISTEN);
    }
    for key in KEYS.iter().filter(|key| (key.write)(running) != (key.write)(&new)) {
        let needs_restart = NEED_RESTART.iter().any(|path| key.path.starts_with(path));
        let list = if needs_restart { &mut changes.needs_restart } else { &mut changes.applied };
        list.push(key.path);
    }
    let kept = running.clone();
    let mut config = Config { listen: kept.listen, control: kept.control, log: kept.log, ..new };
    config.server.on_hangup = kept.server.on_hangup;
    config.dashboard = kept.dashboard;
    Ok((config, changes))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::settings::{ByteSize, ControlPath, Framing, LogLevel, OnHangup};

    #[test]
    fn what_needs_a_restart_is_as_it_was() {
        let running = Config::default();
        let mut new = Config::default();
        new.server.motd = "hello".to_owned();
        new.server.on_hangup = OnHangup::Drain;
        new.limits.clients = 7;
        new.flood.enabled = false;
        new.keepalive.idle = Duration::from_secs(9);
        new.listen.0[0].framing = Framing::Nul;
        new.control.path = ControlPath::Off;
        new.log.level = LogLevel::Debug;
        new.dashboard.ascii = true;
        let (config, changes) = reload(&running, new.clone()).unwrap();
        assert_eq!(changes.applied, ["server.motd", "limits.clients", "flood.enabled", "keepalive.idle"]);
        assert_eq!(
            changes.needs_restart,
            ["listen", "server.on_hangup", "control.path", "log.level", "dashboard.ascii"]
        );
        assert_eq!(config.limits, new.limits);
        assert_eq!((&config.listen, &config.control), (&running.listen, &running.control));
        assert_eq!((&config.log, config.dashboard.ascii), (&running.log, false));
        assert_eq!(config.server.on_hangup, OnHangup::Detach);
        assert_eq!(reload(&config, config.clone()), Ok((config, Changes::default())));
    }

    #[test]
    fn limits_have_to_fit_the_listeners_in_force_whatever_the_file_says() {
        let mut running = Config::default();
        running.listen.0[0].framing = Framing::Fixed(std::num::NonZeroU32::new(65_536).unwrap());
        let mut new = Config::default();
        assert!(reload(&running, new.clone()).is_ok());
        new.limits.outbox_bytes = ByteSize::kib(64);
        let why = reload(&running, new).unwrap_err();
        assert!(
            why.contains("limits.outbox_bytes is 65536") && why.contains("127.0.0.1:6677 is in force"),
            "{why}"
        );
    }

    #[test]
    fn every_key_that_needs_a_restart_exists() {
        for path in NEED_RESTART {
            assert!(path == LISTEN || KEYS.iter().any(|key| key.path.starts_with(path)), "{path}");
        }
    }
}
