//! All people in the hub: by slot in one step, by name in about one.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::ops::{Index, IndexMut};

use hashbrown::HashTable;

use super::Nick;
use super::names::Folded;
use super::person::Person;
use crate::id::Slot;

/// All people. No two have names that are equal without case.
#[derive(Debug, Default)]
pub(super) struct People {
    /// Indexed by slot; slots are dense, so the gaps are few.
    slots: Vec<Option<Person>>,
    /// All people, by their folded names. The names stand with the people: a slot and a byte are all that an entry
    /// takes, where a map would take forty bytes.
    by_name: HashTable<Slot>,
    /// Keyed at random: names are chosen by people, and must not be chosen to collide.
    hashing: RandomState,
}

impl People {
    pub(super) fn get(&self, slot: Slot) -> Option<&Person> {
        self.slots.get(slot.index())?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Person> {
        self.slots.get_mut(slot.index())?.as_mut()
    }

    /// All people, in the order of slots.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.slots.iter().enumerate().filter(|(_, person)| person.is_some()).map(|(index, _)| Slot::at(index))
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// The person with this name.
    pub(super) fn named(&self, name: &Folded) -> Option<Slot> {
        self.by_name.find(self.hash(name), |slot| self[*slot].nick.folded() == *name).copied()
    }

    /// Adds a person at a slot that is vacant, with a name that is free.
    pub(super) fn insert(&mut self, slot: Slot, person: Person) {
        let name = person.nick.folded();
        if self.slots.len() <= slot.index() {
            self.slots.resize_with(slot.index() + 1, || None);
        }
        let vacant = self.slots[slot.index()].replace(person).is_none();
        assert!(vacant, "the slot belongs to one person until it leaves");
        self.link(&name, slot);
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Person> {
        let name = self.get(slot)?.nick.folded();
        self.unlink(&name, slot);
        self.slots[slot.index()].take()
    }

    /// Gives a person another name, which no other person has.
    pub(super) fn rename(&mut self, slot: Slot, nick: Nick) {
        self.unlink(&self[slot].nick.folded(), slot);
        self[slot].nick = nick;
        self.link(&nick.folded(), slot);
    }

    /// Makes `slot` known by its name, which no other person has.
    fn link(&mut self, name: &Folded, slot: Slot) {
        debug_assert!(self.named(name).is_none(), "the caller has found the name to be free");
        let Self { slots, by_name, hashing } = self;
        // The table has no slot without a person: a person who leaves is removed from it first.
        let hash_of = |slot: &Slot| {
            slots[slot.index()].as_ref().map_or(0, |person| hashing.hash_one(person.nick.folded()))
        };
        by_name.insert_unique(hashing.hash_one(name), slot, hash_of);
    }

    fn unlink(&mut self, name: &Folded, slot: Slot) {
        let hash = self.hash(name);
        if let Ok(entry) = self.by_name.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
    }

    fn hash(&self, name: &Folded) -> u64 {
        self.hashing.hash_one(name)
    }
}

impl Index<Slot> for People {
    type Output = Person;

    /// For slots known to be taken: those in a list of members, or of a command under way.
    fn index(&self, slot: Slot) -> &Person {
        self.get(slot).expect("lists of members name only people in the hub")
    }
}

impl IndexMut<Slot> for People {
    fn index_mut(&mut self, slot: Slot) -> &mut Person {
        self.get_mut(slot).expect("lists of members name only people in the hub")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ConnId;
    use crate::time::Now;

    fn nick(name: &str) -> Nick {
        Nick::parse(name).unwrap()
    }

    fn people(names: &[&str]) -> People {
        let mut people = People::default();
        for (index, name) in names.iter().enumerate() {
            people.insert(Slot::at(index), Person::new(ConnId::FIRST, nick(name), Now::default()));
        }
        people
    }

    #[test]
    fn a_name_finds_its_person_without_case() {
        let mut people = people(&["mallory", "Bob", "zoe", "alice"]);
        for (name, slot) in [("MALLORY", 0), ("bob", 1), ("Zoe", 2), ("alice", 3)] {
            assert_eq!(people.named(&nick(name).folded()), Some(Slot(slot)), "{name}");
        }
        people.rename(Slot(1), nick("yves"));
        people.remove(Slot(3));
        assert_eq!(people.named(&nick("bob").folded()), None);
        assert_eq!(people.named(&nick("YVES").folded()), Some(Slot(1)));
        assert_eq!(people.slots().collect::<Vec<_>>(), [Slot(0), Slot(1), Slot(2)]);
        assert_eq!(people.len(), 3);
    }

    #[test]
    fn a_slot_that_was_never_taken_has_no_person() {
        let mut people = people(&["alice"]);
        assert!(people.get(Slot(7)).is_none());
        assert!(people.remove(Slot(7)).is_none());
    }
}
