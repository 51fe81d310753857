//! Every key: its path, its range, and its place in a [`Config`], in the order of `config.toml`.
//!
//! Reading, `config show`, "did you mean", `reload` and the test that `config.toml` has every key use this table.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use super::address::Endpoint;
use super::settings::{ByteSize, Config, DRAIN_MAX, FileMode, Framing, Listen};
use super::value::{Setting, describe, text};
use crate::chat::RoomName;

/// The most connections at a time: slab indexes have 32 bits, and each connection costs a file descriptor.
const CLIENTS_MAX: u32 = 1_000_000;
/// The smallest limit for a line: a command and a name fit.
const LINE_MIN: ByteSize = ByteSize(16);
/// The largest limit for a line: every client may make the server keep that many bytes.
const LINE_MAX: ByteSize = ByteSize::mib(1);
/// The sizes of a `fixed` record: a usual line fits into a few of the smallest.
const RECORD_BYTES: RangeInclusive<u32> = 64..=64 * 1024;
/// The most unsent bytes of one client.
const OUTBOX_MAX: ByteSize = ByteSize::mib(1024);
/// The largest kernel buffer: above it `net.core.wmem_max` decides in any case (socket(7)).
const BUFFER_MAX: ByteSize = ByteSize::mib(64);
/// The shortest timeout for a client.
const PATIENCE_MIN: Duration = Duration::from_millis(100);
/// The longest timeout for a client.
const PATIENCE_MAX: Duration = Duration::from_secs(365 * 86_400);
/// The longest `TCP_KEEPIDLE` and `TCP_KEEPINTVL`: Linux accepts 1 to 32,767 seconds, just over nine hours.
const KEEPALIVE_MAX: Duration = Duration::from_secs(9 * 3_600);
/// The most probes (`TCP_KEEPCNT`): Linux accepts 1 to 127.
const PROBES_MAX: u32 = 127;
/// The longest accept backlog: Linux cuts it to `net.core.somaxconn` (listen(2)), which has 16 bits in practice.
const ACCEPT_BACKLOG_MAX: u32 = 65_535;
/// The longest name of a server, in characters: it stands in the dashboard's header.
const SERVER_NAME_MAX: usize = 64;
/// The longest `server.motd`, in bytes.
pub(super) const MOTD_MAX: usize = 16 * 1024;
/// The most key bindings.
const BINDINGS_MAX: usize = 200;

/// The remedy for a rate that is too low.
const NO_FLOOD_LIMIT: &str = "; for no limit set flood.enabled = false";

/// One key of a `T`.
pub(super) struct Key<T> {
    /// As in the file: `limits.clients`.
    pub(super) path: &'static str,
    /// Sets the value, or says what was expected.
    pub(super) read: fn(&mut T, &DeValue<'_>) -> Result<(), String>,
    /// The value as TOML.
    pub(super) write: fn(&T) -> String,
}

/// A `[[listen]]` table whose host may still be a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawListen {
    pub(super) address: Endpoint,
    pub(super) framing: Framing,
    pub(super) backlog: u32,
    pub(super) mode: FileMode,
}

impl From<Listen> for RawListen {
    fn from(listen: Listen) -> Self {
        let Listen { address, framing, backlog, mode } = listen;
        Self { address: Endpoint::Known(address), framing, backlog, mode }
    }
}

/// `key!(limits.clients)`, with `in RANGE` for a value with limits or `=> PARSER` for one with a form.
macro_rules! key {
    ($first:ident $(.$rest:ident)*) => { key!($first $(.$rest)* => Ok) };
    ($first:ident $(.$rest:ident)* in $range:expr) => { key!($first $(.$rest)* in $range, or "") };
    ($first:ident $(.$rest:ident)* in $range:expr, or $advice:expr) => {
        Key {
            path: concat!(stringify!($first) $(, ".", stringify!($rest))*),
            read: |target, value| {
                target.$first$(.$rest)* = read_within(value, &$range).map_err(|why| why + $advice)?;
                Ok(())
            },
            write: |target| target.$first$(.$rest)*.write(),
        }
    };
    ($first:ident $(.$rest:ident)* => $parse:expr) => {
        Key {
            path: concat!(stringify!($first) $(, ".", stringify!($rest))*),
            read: |target, value| {
                target.$first$(.$rest)* = Setting::read(value).and_then($parse)?;
                Ok(())
            },
            write: |target| target.$first$(.$rest)*.write(),
        }
    };
}

/// The keys of a [`Config`] without its listeners, in the order of `config.toml`.
pub(super) static KEYS: &[Key<Config>] = &[
    key!(server.name => server_name),
    key!(server.motd => motd),
    key!(server.motd_file),
    key!(server.drain in Duration::ZERO..=DRAIN_MAX),
    key!(server.on_hangup),
    key!(limits.clients in 1..=CLIENTS_MAX),
    key!(limits.per_ip),
    key!(limits.per_ip_loopback),
    key!(limits.trusted),
    key!(limits.connects_burst in 1..=CLIENTS_MAX),
    key!(limits.connects_per_second in 1..=CLIENTS_MAX),
    key!(limits.line_bytes in LINE_MIN..=LINE_MAX),
    key!(limits.outbox_bytes in LINE_MIN..=OUTBOX_MAX),
    key!(limits.outbox_total in LINE_MIN..=ByteSize(u64::MAX >> 1)),
    key!(limits.inbox_total in LINE_MIN..=ByteSize(u64::MAX >> 1)),
    key!(limits.on_full),
    key!(limits.stall in PATIENCE_MIN..=PATIENCE_MAX),
    key!(limits.send_buffer in ByteSize(1)..=BUFFER_MAX),
    key!(limits.receive_buffer in ByteSize(1)..=BUFFER_MAX),
    key!(limits.rooms in 1..=CLIENTS_MAX),
    key!(limits.rooms_per_client in 1..=CLIENTS_MAX),
    key!(limits.ignores_per_client in 1..=1_000),
    key!(limits.bans in 1..=10_000),
    key!(limits.mutes in 1..=10_000),
    key!(flood.enabled),
    key!(flood.burst_lines in 1..=CLIENTS_MAX, or NO_FLOOD_LIMIT),
    key!(flood.lines_per_second in 1..=CLIENTS_MAX, or NO_FLOOD_LIMIT),
    key!(flood.burst_bytes in ByteSize(1)..=OUTBOX_MAX, or NO_FLOOD_LIMIT),
    key!(flood.bytes_per_second in ByteSize(1)..=OUTBOX_MAX, or NO_FLOOD_LIMIT),
    key!(flood.patience in PATIENCE_MIN..=PATIENCE_MAX),
    key!(half_close.policy),
    key!(half_close.timeout in PATIENCE_MIN..=PATIENCE_MAX),
    key!(keepalive.idle => whole_seconds),
    key!(keepalive.interval => whole_seconds),
    key!(keepalive.count in 1..=PROBES_MAX),
    key!(keepalive.idle_half_closed => whole_seconds),
    key!(rooms.lobby => |name: String| lobby(&name)),
    key!(rooms.presence_max),
    key!(control.path),
    key!(log.level),
    key!(dashboard.theme),
    key!(dashboard.ascii),
    key!(dashboard.clock),
    Key { path: "dashboard.keys", read: bind_keys, write: written_bindings },
];

/// The keys of a `[[listen]]` table, in the order of `config.toml`.
pub(super) static LISTEN_KEYS: &[Key<RawListen>] =
    &[key!(address), key!(framing => framing), key!(backlog in 1..=ACCEPT_BACKLOG_MAX), key!(mode)];

/// The name of the array of listeners.
pub(super) const LISTEN: &str = "listen";

/// Every path that a file may have, including those of listeners.
pub(super) fn paths() -> impl Iterator<Item = String> {
    let listen = LISTEN_KEYS.iter().map(|key| format!("{LISTEN}.{}", key.path));
    listen.chain(KEYS.iter().map(|key| key.path.to_owned()))
}

/// Whether keys have this path as their section.
pub(super) fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The key to suggest for an unknown one: the same name in another section, else the nearest by edits, if it is near.
pub(super) fn did_you_mean(unknown: &str) -> Option<String> {
    const EDITS_MAX: usize = 3;
    let name = |path: &str| path.rsplit('.').next().map(str::to_owned);
    if let Some(same) = paths().find(|path| name(path) == name(unknown)) {
        return Some(same);
    }
    let sections = [
        "server",
        LISTEN,
        "limits",
        "flood",
        "half_close",
        "keepalive",
        "rooms",
        "control",
        "log",
        "dashboard",
    ];
    paths()
        .chain(sections.map(str::to_owned))
        .map(|path| (strsim::damerau_levenshtein(&path, unknown), path))
        .filter(|(edits, path)| *edits <= EDITS_MAX.min(name(path).map_or(0, |name| name.len() / 3)))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, path)| path)
}

/// Reads a setting and checks its range. The error for a number that does not fit the type has the range too.
fn read_within<T: Setting + PartialOrd>(value: &DeValue<'_>, range: &RangeInclusive<T>) -> Result<T, String> {
    match (T::read(value), value) {
        (Ok(setting), _) => within(setting, range),
        (Err(_), DeValue::Integer(number)) if T::IS_NUMBER => Err(outside(range, &number.to_string())),
        (Err(why), _) => Err(why),
    }
}

fn outside<T: Setting>(range: &RangeInclusive<T>, found: &str) -> String {
    let [low, high] = [range.start(), range.end()].map(Setting::write);
    format!("must be from {low} to {high}, not {found}")
}

fn within<T: Setting + PartialOrd>(setting: T, range: &RangeInclusive<T>) -> Result<T, String> {
    if range.contains(&setting) {
        return Ok(setting);
    }
    Err(outside(range, &setting.write()))
}

fn whole_seconds(time: Duration) -> Result<Duration, String> {
    if time.subsec_millis() != 0 {
        return Err(format!("must be whole seconds, as the kernel counts them, not {}", time.write()));
    }
    within(time, &(Duration::from_secs(1)..=KEEPALIVE_MAX))
}

fn server_name(name: String) -> Result<String, String> {
    let is_shown = !name.trim().is_empty() && !name.contains(char::is_control);
    if is_shown && name.chars().count() <= SERVER_NAME_MAX {
        return Ok(name);
    }
    Err(format!("must be 1 to {SERVER_NAME_MAX} characters without control characters"))
}

/// Checks the message of the day.
///
/// # Errors
///
/// Says what is not allowed.
pub(super) fn motd(text: String) -> Result<String, String> {
    if text.len() > MOTD_MAX {
        return Err(format!("has more than {MOTD_MAX} bytes: shorten it"));
    }
    match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        Some(control) => Err(format!("has the control character {control:?}: remove it")),
        None => Ok(text),
    }
}

fn framing(framing: Framing) -> Result<Framing, String> {
    match framing {
        Framing::Fixed(record) if !RECORD_BYTES.contains(&record.get()) => Err(format!(
            "must be from \"fixed:{}\" to \"fixed:{}\", not {}",
            RECORD_BYTES.start(),
            RECORD_BYTES.end(),
            framing.write()
        )),
        _ => Ok(framing),
    }
}

fn lobby(name: &str) -> Result<String, String> {
    match RoomName::parse(name) {
        Ok(room) => Ok(room.as_str().to_owned()),
        Err(why) => Err(format!("{name:?} is no room name: {why}")),
    }
}

/// Adds bindings to those of the layers below; a binding of the same key is replaced.
fn bind_keys(config: &mut Config, value: &DeValue<'_>) -> Result<(), String> {
    let Some(table) = value.as_table() else {
        return Err(format!("must be a table such as {{ \"x\" = \"kick\" }}, not {}", describe(value)));
    };
    for (key, action) in table {
        let (key, Some(action)) = (key.get_ref(), text(action.get_ref())) else {
            let found = describe(action.get_ref());
            return Err(format!("{:?} must be the \"name\" of an action, not {found}", key.get_ref()));
        };
        let is_printable = |text: &str| !text.is_empty() && !text.contains(char::is_control);
        if !is_printable(key) || !is_printable(action) {
            return Err(format!("{key:?} = {action:?}: both need a name without control characters"));
        }
        let bindings = &mut config.dashboard.keys;
        bindings.retain(|(bound, _)| bound != key);
        bindings.push((key.clone().into_owned(), action.to_owned()));
    }
    config.dashboard.keys.sort();
    if config.dashboard.keys.len() > BINDINGS_MAX {
        return Err(format!("has more than {BINDINGS_MAX} bindings"));
    }
    Ok(())
}

fn written_bindings(config: &Config) -> String {
    let one = |(key, action): &(String, String)| {
        let table = toml::Table::from_iter([(key.clone(), toml::Value::from(action.as_str()))]);
        table.to_string().trim_end().to_owned()
    };
    let bindings: Vec<String> = config.dashboard.keys.iter().map(one).collect();
    if bindings.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", bindings.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml::de::DeTable;

    /// The fields of a [`Config`] as `Debug` prints them, so that a new field is found without a change here.
    fn fields() -> Vec<String> {
        let printed = format!("{:#?}", Config::default());
        let mut section = "";
        let mut fields = Vec::new();
        for line in printed.lines() {
            let indent = line.len() - line.trim_start().len();
            let Some((name, _)) = line.trim_start().split_once([':', ' ']) else { continue };
            match indent {
                4 => section = name,
                8 if section != LISTEN => fields.push(format!("{section}.{name}")),
                16 if section == LISTEN => fields.push(format!("{section}.{name}")),
                _ => {}
            }
        }
        fields.retain(|field| field.ends_with(|c: char| c.is_ascii_lowercase()));
        fields
    }

    #[test]
    fn every_field_has_a_key_and_every_key_a_field() {
        let mut fields = fields();
        let mut keys: Vec<String> = paths().collect();
        fields.sort();
        keys.sort();
        assert_eq!(fields, keys);
    }

    /// The keys of a document with their places, including those of listeners and bindings.
    fn active(prefix: &str, table: &DeTable<'_>, found: &mut Vec<(usize, String)>) {
        for (name, value) in table {
            let path =
                if prefix.is_empty() { name.to_string() } else { format!("{prefix}.{}", name.get_ref()) };
            match value.get_ref() {
                DeValue::Table(inner) if is_section(&path) => active(&path, inner, found),
                DeValue::Array(items) if path == LISTEN => {
                    let tables = items.iter().filter_map(|item| item.get_ref().as_table());
                    tables.for_each(|table| active(&path, table, found));
                }
                _ => found.push((name.span().start, path)),
            }
        }
    }

    #[test]
    fn the_annotated_file_has_every_key_once_in_the_order_of_the_table() {
        let document = DeTable::parse(crate::config::DEFAULT_TOML).unwrap();
        let mut found = Vec::new();
        active("", document.get_ref(), &mut found);
        found.sort();
        let found: Vec<String> = found.into_iter().map(|(_, path)| path).collect();
        assert_eq!(found, paths().collect::<Vec<_>>());
    }

    #[test]
    fn every_key_of_the_annotated_file_has_a_comment_above() {
        let lines: Vec<&str> = crate::config::DEFAULT_TOML.lines().collect();
        let is_key = |line: &str| line.contains(" = ") && !line.starts_with('#');
        for (above, key) in lines.iter().zip(&lines[1..]).filter(|(_, line)| is_key(line)) {
            assert!(above.starts_with('#'), "{key:?} stands below {above:?}");
        }
        let widest = lines.iter().max_by_key(|line| line.chars().count()).unwrap();
        assert!(widest.chars().count() <= 100, "{widest}");
    }

    #[test]
    fn a_near_key_is_suggested_for_an_unknown_one() {
        for (unknown, meant) in [
            ("limits.outbx_bytes", Some("limits.outbox_bytes")),
            ("line_bytes", Some("limits.line_bytes")),
            ("server.clients", Some("limits.clients")),
            ("limit.clients", Some("limits.clients")),
            ("listen.adress", Some("listen.address")),
            ("limts", Some("limits")),
            ("limits.foo", None),
            ("tls.certificate", None),
            ("x", None),
        ] {
            assert_eq!(did_you_mean(unknown).as_deref(), meant, "{unknown}");
        }
    }

    #[test]
    fn defaults_are_in_their_ranges() {
        for key in KEYS {
            let mut config = Config::default();
            let written = (key.write)(&config);
            let value = DeValue::parse(&written).unwrap();
            assert_eq!((key.read)(&mut config, value.get_ref()), Ok(()), "{} = {written}", key.path);
            assert_eq!(config, Config::default(), "{} = {written}", key.path);
        }
    }
}
