//! Puts layer over layer, key by key, keeps the origin of each key, and checks the rules between keys.
//!
//! Only [`Draft::finish`], which looks up host names, is not pure. A later layer overwrites the values of an earlier
//! one; nothing is merged.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::address::{Endpoint, collide};
use super::keys::{self, KEYS, LISTEN, LISTEN_KEYS, RawListen};
use super::load::position;
use super::settings::{ByteSize, Config, ControlPath, Framing, Limits, Listen, ListenAddr, Listeners};
use super::{ConfigError, Origin, Problem};

/// The most listeners.
const LISTENERS_MAX: usize = 64;

/// The layers applied so far.
pub(super) struct Draft {
    config: Config,
    listen: Vec<(RawListen, Option<Origin>)>,
    origins: BTreeMap<&'static str, Origin>,
    problems: Vec<Problem>,
}

/// The result of all layers.
pub(super) struct Finished {
    pub(super) config: Config,
    /// The origins of the keys that were set.
    pub(super) origins: BTreeMap<&'static str, Origin>,
    /// The origin of each listener; `None` for the built-in one.
    pub(super) listen_origins: Vec<Option<Origin>>,
}

/// The layer that has a value.
enum Place<'a> {
    File { path: &'a Path, text: &'a str },
    Option { key: &'a str },
}

impl Place<'_> {
    fn origin(&self, span: Range<usize>) -> Origin {
        match self {
            Self::File { path, text } => {
                let (line, column) = position(text, span.start);
                Origin::File { path: path.to_path_buf(), line, column }
            }
            Self::Option { key } => Origin::Option((*key).to_owned()),
        }
    }

    /// The base of relative paths: the directory of the file, or the working directory for options.
    fn base(&self) -> PathBuf {
        let base = match self {
            Self::File { path, .. } => path.parent().unwrap_or(Path::new("/")),
            Self::Option { .. } => Path::new(""),
        };
        std::path::absolute(base.join(".")).unwrap_or_else(|_| base.to_path_buf())
    }
}

impl Draft {
    /// The built-in layer.
    pub(super) fn new() -> Self {
        let config = Config::default();
        let listen = config.listen.0.iter().cloned().map(|listen| (listen.into(), None)).collect();
        Self { config, listen, origins: BTreeMap::new(), problems: Vec::new() }
    }

    /// Applies a file.
    pub(super) fn file(&mut self, path: &Path, text: &str) {
        let place = Place::File { path, text };
        match DeTable::parse(text) {
            Ok(document) => self.table("", document.get_ref(), &place),
            Err(error) => {
                let end = text.len();
                let origin = place.origin(error.span().unwrap_or(end..end));
                let why = error.message().replace(char::is_control, " ");
                self.problem(Some(origin), "", format!("this is no TOML: {why}"));
            }
        }
        self.sort_problems();
    }

    /// Applies all `-l ADDR`: they replace the listeners of the layers below.
    pub(super) fn listen(&mut self, addresses: &[String]) {
        if addresses.is_empty() {
            return;
        }
        self.listen.clear();
        let base = Place::Option { key: "" }.base();
        for address in addresses {
            let origin = Some(Origin::Listen(address.clone()));
            match Endpoint::parse(address) {
                Ok(endpoint) => {
                    let listen = RawListen { address: endpoint.within(&base), ..Listen::default().into() };
                    self.listen.push((listen, origin));
                }
                Err(why) => self.problem(origin, "listen.address", why),
            }
        }
    }

    /// Applies `-o KEY=VALUE`. A value that is not TOML counts as a string, so that the quotes of the shell suffice.
    pub(super) fn option(&mut self, option: &str) {
        let Some((key, value)) = split_option(option).filter(|(key, _)| !key.is_empty()) else {
            let example = "write KEY=VALUE, such as -o limits.clients=500";
            self.problem(Some(Origin::Option(option.to_owned())), option, example.to_owned());
            return;
        };
        let place = Place::Option { key };
        let document = format!("{key} = 0");
        match DeTable::parse(&document) {
            Ok(mut document) if !key.contains('\n') => {
                let value = DeValue::parse(value)
                    .map_or_else(|_| DeValue::String(value.into()), toml::Spanned::into_inner);
                plant(document.get_mut(), value);
                self.table("", document.get_ref(), &place);
            }
            _ => self.problem(Some(place.origin(0..0)), key, "is no key: write SECTION.KEY=VALUE".to_owned()),
        }
    }

    /// The valid configuration that results from all layers.
    pub(super) fn finish(mut self) -> Result<Finished, ConfigError> {
        if self.problems.is_empty() {
            self.check_rules();
        }
        let (listeners, listen_origins) = self.resolve_listeners();
        if let Some(error) = ConfigError::of(self.problems) {
            return Err(error);
        }
        self.config.listen = Listeners(listeners);
        Ok(Finished { config: self.config, origins: self.origins, listen_origins })
    }

    fn table(&mut self, prefix: &str, table: &DeTable<'_>, place: &Place<'_>) {
        for (key, value) in table {
            let name = bare_or_quoted(key.get_ref());
            let path = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            self.entry(&path, value.get_ref(), key.span(), place);
        }
    }

    /// One key of a file or an option; `span` is that of the key.
    fn entry(&mut self, path: &str, value: &DeValue<'_>, span: Range<usize>, place: &Place<'_>) {
        let origin = place.origin(span);
        if path == LISTEN {
            return self.listeners(value, &origin, place);
        }
        if let Some(key) = KEYS.iter().find(|key| key.path == path) {
            match (key.read)(&mut self.config, value) {
                Ok(()) => self.placed(key.path, origin, place),
                Err(why) => self.problem(Some(origin), path, why),
            }
        } else if !keys::is_section(path) {
            self.unknown(origin, path);
        } else if let Some(table) = value.as_table() {
            self.table(path, table, place);
        } else {
            self.problem(Some(origin), path, format!("is a section: write [{path}] and its keys below"));
        }
    }

    /// Stores where a key was set, and resolves its path, if it has one, against the base of that place.
    fn placed(&mut self, key: &'static str, origin: Origin, place: &Place<'_>) {
        let path = match key {
            "control.path" => match &mut self.config.control.path {
                ControlPath::At(path) => Some(path),
                ControlPath::Auto | ControlPath::Off => None,
            },
            "server.motd_file" => self.config.server.motd_file.as_mut(),
            _ => None,
        };
        if let Some(path) = path {
            *path = std::path::absolute(place.base().join(&path)).unwrap_or_else(|_| path.clone());
        }
        self.origins.insert(key, origin);
    }

    fn listeners(&mut self, value: &DeValue<'_>, origin: &Origin, place: &Place<'_>) {
        let Some(array) = value.as_array() else {
            let message = "is a list of tables: write [[listen]], with two brackets".to_owned();
            return self.problem(Some(origin.clone()), LISTEN, message);
        };
        self.listen.clear();
        self.origins.insert(LISTEN, origin.clone());
        for item in array {
            let Some(table) = item.get_ref().as_table() else {
                let message = "must hold tables such as { address = \"127.0.0.1:6677\" }".to_owned();
                self.problem(Some(place.origin(item.span())), LISTEN, message);
                continue;
            };
            let found = self.problems.len();
            let listen = self.listener(table, item.span(), place);
            if self.problems.len() == found {
                self.listen.push(listen);
            }
        }
    }

    /// One `[[listen]]` table; its origin is that of its address.
    fn listener(
        &mut self,
        table: &DeTable<'_>,
        span: Range<usize>,
        place: &Place<'_>,
    ) -> (RawListen, Option<Origin>) {
        let mut listen = RawListen::from(Listen::default());
        let mut origin = place.origin(span);
        for (name, value) in table {
            let path = format!("{LISTEN}.{}", bare_or_quoted(name.get_ref()));
            let at = place.origin(name.span());
            let Some(key) = LISTEN_KEYS.iter().find(|key| key.path == *name.get_ref()) else {
                self.unknown(at, &path);
                continue;
            };
            if key.path == "address" {
                origin = at.clone();
            }
            if let Err(why) = (key.read)(&mut listen, value.get_ref()) {
                self.problem(Some(at), &path, why);
            }
        }
        listen.address = listen.address.within(&place.base());
        (listen, Some(origin))
    }

    fn unknown(&mut self, origin: Origin, path: &str) {
        let message = match keys::did_you_mean(path) {
            Some(meant) => format!("unknown key; did you mean {meant}?"),
            None => "unknown key; `chatops config default` shows all there are".to_owned(),
        };
        self.problem(Some(origin), path, message);
    }

    fn problem(&mut self, origin: Option<Origin>, key: &str, message: String) {
        self.problems.push(Problem { origin, key: key.to_owned(), message });
    }

    /// Sorts by place: the parser returns keys by name.
    fn sort_problems(&mut self) {
        self.problems.sort_by_key(|problem| match &problem.origin {
            Some(Origin::File { line, column, .. }) => (*line, *column),
            _ => (0, 0),
        });
    }

    fn check_rules(&mut self) {
        for BrokenRule { keys, message } in broken_rules(&self.config) {
            let set = keys.into_iter().find(|key| self.origins.contains_key(key)).unwrap_or(keys[0]);
            self.problem(self.origins.get(set).cloned(), keys[0], message);
        }
        for (listen, origin) in self.listen.clone() {
            if let Err(why) = check_framing(listen.framing, &self.config.limits) {
                self.problem(origin, "listen.framing", why);
            }
        }
    }

    fn resolve_listeners(&mut self) -> (Vec<Listen>, Vec<Option<Origin>>) {
        let mut listeners: Vec<Listen> = Vec::new();
        let mut origins = Vec::new();
        for (RawListen { address, framing, backlog, mode }, origin) in std::mem::take(&mut self.listen) {
            let resolved = address.resolve().and_then(|addresses| {
                addresses.iter().try_for_each(|address| is_free(address, &listeners))?;
                Ok(addresses)
            });
            match resolved {
                Ok(addresses) => {
                    origins.extend(addresses.iter().map(|_| origin.clone()));
                    listeners.extend(addresses.into_iter().map(|address| Listen {
                        address,
                        framing,
                        backlog,
                        mode,
                    }));
                }
                Err(why) => self.problem(origin, "listen.address", why),
            }
        }
        self.count_listeners(listeners.len());
        (listeners, origins)
    }

    fn count_listeners(&mut self, count: usize) {
        if count == 0 && self.problems.is_empty() {
            let message = "no listener: add [[listen]] with an address, or use -l ADDR".to_owned();
            self.problem(self.origins.get(LISTEN).cloned(), LISTEN, message);
        }
        if count > LISTENERS_MAX {
            self.problem(
                self.origins.get(LISTEN).cloned(),
                LISTEN,
                format!("{count} listeners: at most {LISTENERS_MAX}"),
            );
        }
    }
}

/// Fails if another listener has `address` or takes its connections.
fn is_free(address: &ListenAddr, others: &[Listen]) -> Result<(), String> {
    match others.iter().map(|other| &other.address).find(|other| collide(other, address)) {
        Some(other) if other == address => Err(format!("{address} is listed twice: remove one")),
        Some(other) => Err(format!("{other} takes the connections to {address} already: remove one")),
        None => Ok(()),
    }
}

/// A key as part of a path: quoted where TOML needs quotes, which also escapes control characters.
fn bare_or_quoted(key: &str) -> String {
    let is_bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    if is_bare { key.to_owned() } else { format!("{key:?}") }
}

/// Splits at the first `=` outside quotes.
fn split_option(option: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (index, c) in option.char_indices() {
        match (c, quote) {
            ('=', None) => return Some((option[..index].trim(), option[index + 1..].trim())),
            ('"' | '\'', None) => quote = Some(c),
            (_, Some(open)) if c == open => quote = None,
            _ => {}
        }
    }
    None
}

/// Replaces the one value at the end of a dotted key.
fn plant<'t>(table: &mut DeTable<'t>, value: DeValue<'t>) {
    let Some((_, place)) = table.iter_mut().next() else { return };
    match place.get_mut() {
        DeValue::Table(inner) => plant(inner, value),
        leaf => *leaf = value,
    }
}

/// The most bytes that a line has besides its text: time, two names, brackets, line end. An object of JSON mode may be
/// twice as long, and continued records have three more bytes. A line that does not fit is skipped, with a notice.
const LINE_OVERHEAD: u64 = 128;

/// A broken rule between two keys.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BrokenRule {
    /// The keys, of which one must change; the one to name first.
    pub(super) keys: [&'static str; 2],
    /// What is wrong and what to do.
    pub(super) message: String,
}

/// The rules that `config` breaks.
pub(super) fn broken_rules(config: &Config) -> Vec<BrokenRule> {
    let limits = &config.limits;
    let least = limits.line_bytes.0 + LINE_OVERHEAD;
    [
        holds_a_line(
            "limits.outbox_bytes",
            limits.outbox_bytes,
            Limits::outbox_for(least),
            limits.line_bytes,
        ),
        holds_a_line("limits.outbox_total", limits.outbox_total, least, limits.line_bytes),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn holds_a_line(key: &'static str, size: ByteSize, least: u64, line: ByteSize) -> Option<BrokenRule> {
    (size.0 < least).then(|| BrokenRule {
        keys: [key, "limits.line_bytes"],
        message: format!(
            "{} bytes do not hold one line: at least {least} for limits.line_bytes = {}",
            size.0, line.0
        ),
    })
}

/// Checks that an outbox holds the longest line in whole records of this framing.
///
/// # Errors
///
/// Says what is wrong and what to do.
pub(super) fn check_framing(framing: Framing, limits: &Limits) -> Result<(), String> {
    let Framing::Fixed(record) = framing else { return Ok(()) };
    let (record, line) = (u64::from(record.get()), limits.line_bytes.0);
    let least = Limits::outbox_for((line + LINE_OVERHEAD).next_multiple_of(record));
    if least > limits.outbox_bytes.0 {
        let outbox = limits.outbox_bytes.0;
        return Err(format!(
            "the longest line needs an outbox of {least} bytes with {framing}: limits.outbox_bytes is {outbox}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_an_outbox_is_the_inverse_of_its_unsent_bytes() {
        for unsent in [256_u64, 4_224, 4_225, 65_664] {
            let size = Limits::outbox_for(unsent);
            assert!(Limits::unsent_max(size) >= unsent && Limits::unsent_max(size - 2) < unsent, "{unsent}");
        }
    }

    #[test]
    fn an_outbox_holds_the_longest_line() {
        let mut config = Config::default();
        assert_eq!(broken_rules(&config), []);
        config.limits.outbox_bytes = ByteSize(Limits::outbox_for(4096 + LINE_OVERHEAD));
        assert_eq!(broken_rules(&config), []);
        config.limits.outbox_bytes = ByteSize(Limits::outbox_for(4096 + LINE_OVERHEAD) - 1);
        assert_eq!(broken_rules(&config)[0].keys[0], "limits.outbox_bytes");
    }

    #[test]
    fn an_outbox_must_hold_the_longest_line_in_records() {
        let fixed = |bytes| Framing::Fixed(std::num::NonZeroU32::new(bytes).unwrap());
        let mut limits = Limits::default();
        assert_eq!(check_framing(Framing::Length, &limits), Ok(()));
        assert_eq!(check_framing(fixed(4096), &limits), Ok(()));
        assert_eq!(check_framing(fixed(65_536), &limits), Ok(()));
        limits.outbox_bytes = ByteSize(2 * 4096 - 1);
        assert_eq!(check_framing(fixed(64), &limits), Ok(()));
        assert!(check_framing(fixed(4096), &limits).is_err());
    }
}
