//! Which person does not read the messages of which other (`/ignore`).
//!
//! A name is ignored, whoever has it, and the person who has it when that is asked for, by whatever name it goes until
//! it leaves. Kept apart from people, because few ignore another person.
//!
//! Invariants: a person is among the ignorers of a name or a person exactly if its own list says so, and all persons in
//! lists are here.

use std::collections::BTreeMap;

use super::Nick;
use super::names::Folded;
use super::person::{Contact, Person};
use crate::id::{ConnId, Slot};

/// An entry of a person's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ignored {
    /// The name that was asked for. Whoever has it is ignored.
    pub(super) name: Nick,
    /// Who had it then, while it is here.
    pub(super) person: Option<Contact>,
}

/// What a person can be ignored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whom {
    Named(Folded),
    Person(ConnId),
}

impl Ignored {
    fn whom(&self) -> impl Iterator<Item = Whom> + use<> {
        let person = self.person.map(|person| Whom::Person(person.id));
        std::iter::once(Whom::Named(self.name.folded())).chain(person)
    }

    fn is_named(&self, name: &Nick) -> bool {
        self.name.folded() == name.folded()
    }

    fn is_of(&self, id: ConnId) -> bool {
        self.person.is_some_and(|person| person.id == id)
    }
}

/// All that is ignored, from both sides.
#[derive(Debug, Default)]
pub(super) struct Ignores {
    /// What a person ignores, in the order of names without case. No list is empty.
    lists: BTreeMap<Slot, Vec<Ignored>>,
    /// Who ignores a person, in the order of slots. No list is empty.
    ignorers: BTreeMap<Whom, Vec<Slot>>,
}

impl Ignores {
    /// What `listener` ignores, in the order of names without case.
    pub(super) fn of(&self, listener: Slot) -> &[Ignored] {
        self.lists.get(&listener).map_or(&[], Vec::as_slice)
    }

    /// Whether `listener` ignores `person`.
    pub(super) fn has(&self, listener: Slot, person: &Person) -> bool {
        self.of(listener).iter().any(|ignored| ignored.is_of(person.id) || ignored.is_named(&person.nick))
    }

    /// Whether the list of `listener` has `name`.
    pub(super) fn has_name(&self, listener: Slot, name: &Nick) -> bool {
        self.of(listener).iter().any(|ignored| ignored.is_named(name))
    }

    /// Whether no person ignores another.
    pub(super) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Who ignores `person`: by its name, and as the person. Both in the order of slots; some may be in both.
    pub(super) fn ignorers(&self, person: &Person) -> [&[Slot]; 2] {
        [Whom::Named(person.nick.folded()), Whom::Person(person.id)]
            .map(|whom| self.ignorers.get(&whom).map_or(&[][..], Vec::as_slice))
    }

    /// `listener` ignores `name` from now on, and `person`, who has it, if there is one.
    pub(super) fn add(&mut self, listener: Slot, name: Nick, person: Option<Contact>) {
        // An entry that says no more than this one makes room for it.
        self.remove_all(listener, |other| {
            other.is_named(&name) && (other.person.is_none() || other.person == person)
        });
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

    /// `listener` no longer ignores the person with `name`, the one ignored by it, nor `person`. `false` if none was ignored.
    pub(super) fn remove(&mut self, listener: Slot, name: &Nick, person: Option<ConnId>) -> bool {
        self.remove_all(listener, |ignored| {
            ignored.is_named(name) || person.is_some_and(|person| ignored.is_of(person))
        })
    }

    /// `listener`, who is `person`, is gone: it ignores no person, and of itself only the name is ignored.
    pub(super) fn forget(&mut self, listener: Slot, person: ConnId) {
        self.remove_all(listener, |_| true);
        for ignorer in self.ignorers.remove(&Whom::Person(person)).unwrap_or_default() {
            let Some(list) = self.lists.get_mut(&ignorer) else { continue };
            while let Some(at) = list.iter().position(|ignored| ignored.is_of(person)) {
                let name = list[at].name;
                if list.iter().filter(|ignored| ignored.is_named(&name)).count() > 1 {
                    list.remove(at);
                } else {
                    list[at].person = None;
                }
            }
        }
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

    /// Removes `listener` from those who ignore a person.
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
        let mut listed = BTreeSet::new();
        for (listener, list) in &self.lists {
            assert!(!list.is_empty(), "{listener:?} ignores nobody");
            assert!(list.is_sorted_by_key(|ignored| ignored.name.folded()));
            assert!(list.iter().filter_map(|ignored| ignored.person).all(|person| is_here(person.id)));
            listed.extend(list.iter().flat_map(Ignored::whom).map(|whom| (whom, *listener)));
        }
        let mut indexed = BTreeSet::new();
        for (whom, ignorers) in &self.ignorers {
            assert!(!ignorers.is_empty() && ignorers.is_sorted(), "{whom:?}: {ignorers:?}");
            indexed.extend(ignorers.iter().map(|listener| (*whom, *listener)));
        }
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
        ignores.add(listener, nick(name), Some(Contact { id: id(number), slot: Slot(0) }));
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
        assert_eq!(listed(&ignores, ALICE), ["Mallory", "ZOE"]);
        assert!(ignores.has(ALICE, &person(70, "mallory")) && !ignores.has(BOB, &person(8, "mallory")));
        assert!(ignores.remove(ALICE, &nick("ZOE"), None));
        assert!(!ignores.remove(ALICE, &nick("zoe"), None));
        assert_eq!(listed(&ignores, ALICE), ["Mallory"]);
    }

    #[test]
    fn a_person_is_ignored_under_any_name_and_a_name_with_any_person() {
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
    fn of_a_person_who_has_left_the_name_is_ignored() {
        let mut ignores = Ignores::default();
        add(&mut ignores, ALICE, 8, "mallory");
        add(&mut ignores, BOB, 8, "mallory");
        ignores.forget(BOB, id(2));
        assert_eq!(listed(&ignores, BOB), [""; 0]);
        assert_eq!(ignores.ignorers(&person(8, "mallory")), [&[ALICE][..], &[ALICE]]);
        ignores.forget(Slot(3), id(8));
        ignores.check(|person| person != id(8));
        assert_eq!(ignores.ignorers(&person(8, "eve")), [NOBODY, NOBODY]);
        assert_eq!(ignores.ignorers(&person(9, "mallory")), [&[ALICE][..], NOBODY]);
        ignores.forget(ALICE, id(1));
        assert!(ignores.is_empty() && ignores.ignorers.is_empty());
    }

    #[test]
    fn a_name_that_many_have_had_is_listed_once() {
        let mut ignores = Ignores::default();
        ignores.add(ALICE, nick("eve"), None);
        for number in 8..12 {
            add(&mut ignores, ALICE, number, "eve");
        }
        assert_eq!(listed(&ignores, ALICE), ["eve"; 4]);
        for (number, left) in [(9, 3), (8, 2), (11, 1), (10, 1)] {
            ignores.forget(Slot(3), id(number));
            assert_eq!(listed(&ignores, ALICE).len(), left, "without {number}");
        }
    }
}
