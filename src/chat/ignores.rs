//! Who does not want to hear whom (`/ignore`).
//!
//! A name is ignored, not a connection: whoever goes and comes again under it stays ignored, and whoever takes another
//! name is followed to it. Kept apart from people, for few ignore anybody.
//!
//! Invariant: somebody is a listener of a name here exactly if the name is in its list.

use std::collections::{BTreeMap, BTreeSet};

use super::Nick;
use super::names::Folded;
use crate::id::Slot;

/// All that is ignored, from both sides.
#[derive(Debug, Default)]
pub(super) struct Ignores {
    /// The names that somebody ignores, in their order without case. Nobody here ignores none.
    names: BTreeMap<Slot, BTreeMap<Folded, Nick>>,
    /// Who ignores a name. No name here is ignored by none.
    listeners: BTreeMap<Folded, BTreeSet<Slot>>,
}

impl Ignores {
    /// The names that `listener` ignores, in their order without case.
    pub(super) fn of(&self, listener: Slot) -> impl ExactSizeIterator<Item = &Nick> {
        static NONE: BTreeMap<Folded, Nick> = BTreeMap::new();
        self.names.get(&listener).unwrap_or(&NONE).values()
    }

    /// Whether `listener` ignores `name`.
    pub(super) fn has(&self, listener: Slot, name: &Nick) -> bool {
        self.names.get(&listener).is_some_and(|names| names.contains_key(&name.folded()))
    }

    /// Everybody who ignores `name`, if anybody does. Costs next to nothing while nobody ignores anybody.
    pub(super) fn listeners(&self, name: &Nick) -> Option<&BTreeSet<Slot>> {
        if self.listeners.is_empty() { None } else { self.listeners.get(&name.folded()) }
    }

    /// `listener` ignores `name` from now on.
    pub(super) fn add(&mut self, listener: Slot, name: Nick) {
        self.names.entry(listener).or_default().insert(name.folded(), name);
        self.listeners.entry(name.folded()).or_default().insert(listener);
    }

    /// `listener` hears `name` again. Gives the name as it was last written, if it was ignored.
    pub(super) fn remove(&mut self, listener: Slot, name: &Nick) -> Option<Nick> {
        let name = name.folded();
        let names = self.names.get_mut(&listener)?;
        let removed = names.remove(&name)?;
        if names.is_empty() {
            self.names.remove(&listener);
        }
        self.strike(&name, listener);
        Some(removed)
    }

    /// Whoever was called `old` is `new` now: who ignored the one ignores the other instead.
    pub(super) fn rename(&mut self, old: &Nick, new: Nick) {
        for listener in self.listeners.remove(&old.folded()).unwrap_or_default() {
            if let Some(names) = self.names.get_mut(&listener) {
                names.remove(&old.folded());
            }
            self.add(listener, new);
        }
    }

    /// `listener` is gone, and ignores nobody.
    pub(super) fn forget(&mut self, listener: Slot) {
        for name in self.names.remove(&listener).unwrap_or_default().into_keys() {
            self.strike(&name, listener);
        }
    }

    /// Takes `listener` out of those who ignore `name`.
    fn strike(&mut self, name: &Folded, listener: Slot) {
        if let Some(listeners) = self.listeners.get_mut(name) {
            listeners.remove(&listener);
            if listeners.is_empty() {
                self.listeners.remove(name);
            }
        }
    }

    /// Both sides agree, and neither has an empty row.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let mut pairs = BTreeSet::new();
        for (listener, names) in &self.names {
            assert!(!names.is_empty(), "{listener:?} ignores nobody");
            pairs.extend(names.iter().map(|(name, nick)| {
                assert_eq!(nick.folded(), *name);
                (*listener, *name)
            }));
        }
        let others = self.listeners.iter().flat_map(|(name, listeners)| {
            assert!(!listeners.is_empty(), "{name:?} is ignored by nobody");
            listeners.iter().map(|listener| (*listener, *name))
        });
        assert_eq!(pairs, others.collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Slot = Slot(1);
    const BOB: Slot = Slot(2);

    fn nick(name: &str) -> Nick {
        Nick::parse(name).unwrap()
    }

    fn ignored_by(ignores: &Ignores, listener: Slot) -> Vec<&str> {
        ignores.check();
        ignores.of(listener).map(Nick::as_str).collect()
    }

    #[test]
    fn names_are_ignored_without_case_and_listed_as_last_written() {
        let mut ignores = Ignores::default();
        for name in ["zoe", "Mallory", "ZOE"] {
            ignores.add(ALICE, nick(name));
        }
        assert_eq!(ignored_by(&ignores, ALICE), ["Mallory", "ZOE"]);
        assert!(ignores.has(ALICE, &nick("mallory")) && !ignores.has(BOB, &nick("mallory")));
        assert_eq!(ignores.remove(ALICE, &nick("zoe")), Some(nick("ZOE")));
        assert_eq!(ignores.remove(ALICE, &nick("zoe")), None);
        assert_eq!(ignored_by(&ignores, ALICE), ["Mallory"]);
    }

    #[test]
    fn who_ignores_a_name_is_known_until_it_goes() {
        let mut ignores = Ignores::default();
        ignores.add(ALICE, nick("mallory"));
        ignores.add(BOB, nick("MALLORY"));
        ignores.add(BOB, nick("zoe"));
        assert_eq!(ignores.listeners(&nick("Mallory")), Some(&BTreeSet::from([ALICE, BOB])));
        ignores.forget(BOB);
        assert_eq!(ignores.listeners(&nick("Mallory")), Some(&BTreeSet::from([ALICE])));
        assert_eq!(ignored_by(&ignores, BOB), [""; 0]);
    }

    #[test]
    fn whoever_takes_another_name_is_followed() {
        let mut ignores = Ignores::default();
        for (listener, name) in [(ALICE, "mallory"), (BOB, "mallory"), (BOB, "eve")] {
            ignores.add(listener, nick(name));
        }
        ignores.rename(&nick("mallory"), nick("eve"));
        assert_eq!((ignored_by(&ignores, ALICE), ignored_by(&ignores, BOB)), (vec!["eve"], vec!["eve"]));
        ignores.rename(&nick("eve"), nick("EVE"));
        assert_eq!((ignored_by(&ignores, ALICE), ignored_by(&ignores, BOB)), (vec!["EVE"], vec!["EVE"]));
        ignores.rename(&nick("zoe"), nick("yves"));
        assert_eq!(ignores.listeners(&nick("yves")), None);
    }
}
