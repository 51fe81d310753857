//! Who does not want to hear whom (`/ignore`).
//!
//! Somebody is ignored as a person and as a name: to take another name is no way out, nor is it to come again under the
//! same one. Kept apart from people, for few ignore anybody.
//!
//! Invariant: somebody is among the ignorers of a name, or of a person who is here, exactly if its own list says so.

use std::collections::BTreeMap;

use super::Nick;
use super::names::Folded;
use super::person::{Contact, Person};
use crate::id::{ConnId, Slot};

/// An entry of somebody's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ignored {
    /// The name that was asked for. Whoever has it is ignored.
    pub(super) name: Nick,
    /// Who had it then, and is ignored by whatever name it goes.
    pub(super) person: Contact,
}

/// What somebody can be ignored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whom {
    Named(Folded),
    Person(ConnId),
}

impl Ignored {
    fn whom(&self) -> [Whom; 2] {
        [Whom::Named(self.name.folded()), Whom::Person(self.person.id)]
    }

    fn is_named(&self, name: &Nick) -> bool {
        self.name.folded() == name.folded()
    }

    fn covers(&self, person: &Person) -> bool {
        self.person.id == person.id || self.is_named(&person.nick)
    }
}

/// All that is ignored, from both sides.
#[derive(Debug, Default)]
pub(super) struct Ignores {
    /// What somebody ignores, in the order of names without case. No list is empty.
    lists: BTreeMap<Slot, Vec<Ignored>>,
    /// Who ignores somebody, in the order of slots. No list is empty.
    ignorers: BTreeMap<Whom, Vec<Slot>>,
}

impl Ignores {
    /// What `listener` ignores, in the order of names without case.
    pub(super) fn of(&self, listener: Slot) -> &[Ignored] {
        self.lists.get(&listener).map_or(&[], Vec::as_slice)
    }

    /// Whether `listener` ignores `person`.
    pub(super) fn has(&self, listener: Slot, person: &Person) -> bool {
        self.of(listener).iter().any(|ignored| ignored.covers(person))
    }

    /// Whether nobody ignores anybody.
    pub(super) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Who ignores `person`: by its name, and as the person. Both in the order of slots; some may be in both.
    pub(super) fn ignorers(&self, person: &Person) -> [&[Slot]; 2] {
        [Whom::Named(person.nick.folded()), Whom::Person(person.id)]
            .map(|whom| self.ignorers.get(&whom).map_or(&[][..], Vec::as_slice))
    }

    /// Whether the list of `listener` has this very entry, in whatever letter case.
    pub(super) fn lists(&self, listener: Slot, name: &Nick, person: Contact) -> bool {
        self.of(listener).iter().any(|ignored| ignored.person == person && ignored.is_named(name))
    }

    /// `listener` ignores `person` from now on, and whoever else has its present `name`.
    pub(super) fn add(&mut self, listener: Slot, name: Nick, person: Contact) {
        if self.lists(listener, &name, person) {
            return;
        }
        let ignored = Ignored { name, person };
        let list = self.lists.entry(listener).or_default();
        let place = list.partition_point(|other| other.name.folded() <= name.folded());
        list.insert(place, ignored);
        for whom in ignored.whom() {
            let ignorers = self.ignorers.entry(whom).or_default();
            if let Err(place) = ignorers.binary_search(&listener) {
                ignorers.insert(place, listener);
            }
        }
    }

    /// `listener` hears again whoever has `name` or was ignored by it, and `person`. `false` if none was ignored.
    pub(super) fn remove(&mut self, listener: Slot, name: &Nick, person: Option<ConnId>) -> bool {
        self.remove_all(listener, |ignored| ignored.is_named(name) || Some(ignored.person.id) == person)
    }

    /// `listener`, who is `person`, is gone: it ignores nobody, and nobody can hear it.
    pub(super) fn forget(&mut self, listener: Slot, person: ConnId) {
        self.remove_all(listener, |_| true);
        self.ignorers.remove(&Whom::Person(person));
    }

    fn remove_all(&mut self, listener: Slot, is_meant: impl Fn(&Ignored) -> bool) -> bool {
        let Some(list) = self.lists.get_mut(&listener) else { return false };
        let removed: Vec<Ignored> = list.extract_if(.., |ignored| is_meant(ignored)).collect();
        // A person, or a name, may be in a list twice.
        let kept: Vec<Whom> = list.iter().flat_map(Ignored::whom).collect();
        if list.is_empty() {
            self.lists.remove(&listener);
        }
        for whom in removed.iter().flat_map(Ignored::whom).filter(|whom| !kept.contains(whom)) {
            self.strike(whom, listener);
        }
        !removed.is_empty()
    }

    /// Takes `listener` out of those who ignore somebody.
    fn strike(&mut self, whom: Whom, listener: Slot) {
        if let Some(ignorers) = self.ignorers.get_mut(&whom) {
            ignorers.retain(|other| *other != listener);
            if ignorers.is_empty() {
                self.ignorers.remove(&whom);
            }
        }
    }

    /// Both sides agree, and neither has an empty list. `is_here` tells who is.
    #[cfg(test)]
    pub(super) fn check(&self, is_here: impl Fn(ConnId) -> bool) {
        use std::collections::BTreeSet;
        let listed: BTreeSet<(Whom, Slot)> = self
            .lists
            .iter()
            .inspect(|(listener, list)| assert!(!list.is_empty(), "{listener:?} ignores nobody"))
            .flat_map(|(listener, list)| list.iter().flat_map(Ignored::whom).map(|whom| (whom, *listener)))
            .filter(|(whom, _)| !matches!(whom, Whom::Person(person) if !is_here(*person)))
            .collect();
        let indexed: BTreeSet<(Whom, Slot)> = self
            .ignorers
            .iter()
            .inspect(|(whom, ignorers)| assert!(!ignorers.is_empty(), "nobody ignores {whom:?}"))
            .inspect(|(_, ignorers)| assert!(ignorers.is_sorted()))
            .flat_map(|(whom, ignorers)| ignorers.iter().map(|listener| (*whom, *listener)))
            .collect();
        assert_eq!(listed, indexed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Now;

    const ALICE: Slot = Slot(1);
    const BOB: Slot = Slot(2);
    const NOBODY: &[Slot] = &[];

    fn nick(name: &str) -> Nick {
        Nick::parse(name).unwrap()
    }

    fn id(number: u64) -> ConnId {
        ConnId::new(number).unwrap()
    }

    /// Whoever has this number, under this name.
    fn person(number: u64, name: &str) -> Person {
        Person::new(id(number), nick(name), Now::default())
    }

    fn add(ignores: &mut Ignores, listener: Slot, number: u64, name: &str) {
        ignores.add(listener, nick(name), Contact { id: id(number), slot: Slot(0) });
    }

    fn listed(ignores: &Ignores, listener: Slot) -> Vec<&str> {
        ignores.check(|_| true);
        ignores.of(listener).iter().map(|ignored| ignored.name.as_str()).collect()
    }

    #[test]
    fn names_are_ignored_without_case() {
        let mut ignores = Ignores::default();
        for (number, name) in [(7, "zoe"), (8, "Mallory"), (7, "ZOE")] {
            add(&mut ignores, ALICE, number, name);
        }
        assert_eq!(listed(&ignores, ALICE), ["Mallory", "zoe"]);
        assert!(ignores.has(ALICE, &person(70, "mallory")) && !ignores.has(BOB, &person(8, "mallory")));
        assert!(ignores.remove(ALICE, &nick("ZOE"), None));
        assert!(!ignores.remove(ALICE, &nick("zoe"), None));
        assert_eq!(listed(&ignores, ALICE), ["Mallory"]);
    }

    #[test]
    fn a_person_is_ignored_by_any_name_and_a_name_whoever_has_it() {
        let mut ignores = Ignores::default();
        add(&mut ignores, ALICE, 8, "mallory");
        add(&mut ignores, BOB, 8, "eve");
        assert_eq!(ignores.ignorers(&person(8, "mallory")), [&[ALICE][..], &[ALICE, BOB]]);
        assert_eq!(ignores.ignorers(&person(8, "yves")), [NOBODY, &[ALICE, BOB]]);
        assert_eq!(ignores.ignorers(&person(9, "EVE")), [&[BOB][..], NOBODY]);
        assert_eq!(ignores.ignorers(&person(9, "zoe")), [NOBODY, NOBODY]);
    }

    #[test]
    fn what_two_entries_have_in_common_stays_until_both_are_taken_back() {
        let mut ignores = Ignores::default();
        add(&mut ignores, ALICE, 8, "mallory");
        add(&mut ignores, ALICE, 8, "eve");
        add(&mut ignores, ALICE, 9, "eve");
        assert_eq!(listed(&ignores, ALICE), ["eve", "eve", "mallory"]);
        ignores.remove(ALICE, &nick("mallory"), None);
        assert!(ignores.has(ALICE, &person(8, "yves")));
        assert_eq!(ignores.ignorers(&person(8, "yves")), [NOBODY, &[ALICE]]);
        assert!(ignores.remove(ALICE, &nick("yves"), Some(id(8))));
        assert_eq!(listed(&ignores, ALICE), ["eve"]);
        assert_eq!(ignores.ignorers(&person(8, "eve")), [&[ALICE][..], NOBODY]);
        ignores.remove(ALICE, &nick("eve"), None);
        assert!(ignores.is_empty() && ignores.ignorers.is_empty());
    }

    #[test]
    fn whoever_is_gone_ignores_nobody_and_its_name_is_ignored_still() {
        let mut ignores = Ignores::default();
        add(&mut ignores, ALICE, 8, "mallory");
        add(&mut ignores, BOB, 8, "mallory");
        ignores.forget(BOB, id(2));
        assert_eq!(listed(&ignores, BOB), [""; 0]);
        assert_eq!(ignores.ignorers(&person(8, "mallory")), [&[ALICE][..], &[ALICE]]);
        ignores.forget(Slot(3), id(8));
        ignores.check(|person| person != id(8));
        assert_eq!(ignores.ignorers(&person(9, "mallory")), [&[ALICE][..], NOBODY]);
        ignores.forget(ALICE, id(1));
        assert!(ignores.is_empty() && ignores.ignorers.is_empty());
    }
}
