//! Everybody in the hub: by slot in one step, by name in a binary search.

use std::ops::{Index, IndexMut};

use super::Nick;
use super::names::Folded;
use super::person::Person;
use crate::id::Slot;

/// All people. No two have names that are equal without case.
#[derive(Debug, Default)]
pub(super) struct People {
    /// Indexed by slot; slots are dense, so the gaps are few.
    slots: Vec<Option<Person>>,
    /// Everybody, in the order of their folded names.
    ///
    /// A sorted list costs four bytes a person where a map would cost forty. Arriving or leaving moves half of
    /// it, 20 KiB among ten thousand people, which takes less than accepting their connection.
    by_name: Vec<Slot>,
}

impl People {
    pub(super) fn get(&self, slot: Slot) -> Option<&Person> {
        self.slots.get(slot.index())?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Person> {
        self.slots.get_mut(slot.index())?.as_mut()
    }

    /// Everybody, in the order of slots.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.slots.iter().enumerate().filter(|(_, person)| person.is_some()).map(|(index, _)| Slot::at(index))
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whoever has this name.
    pub(super) fn named(&self, name: &Folded) -> Option<Slot> {
        self.search(name).ok().map(|index| self.by_name[index])
    }

    /// Adds somebody at a slot that is vacant, with a name that is free.
    pub(super) fn insert(&mut self, slot: Slot, person: Person) {
        let index = self.search(&person.nick.folded()).expect_err("the caller has found the name to be free");
        self.by_name.insert(index, slot);
        if self.slots.len() <= slot.index() {
            self.slots.resize_with(slot.index() + 1, || None);
        }
        let vacant = self.slots[slot.index()].replace(person).is_none();
        assert!(vacant, "the slot belongs to one person until it leaves");
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Person> {
        let name = self.get(slot)?.nick.folded();
        if let Ok(index) = self.search(&name) {
            self.by_name.remove(index);
        }
        self.slots[slot.index()].take()
    }

    /// Gives somebody another name, which nobody else has.
    pub(super) fn rename(&mut self, slot: Slot, nick: Nick) {
        if let Ok(index) = self.search(&self[slot].nick.folded()) {
            self.by_name.remove(index);
        }
        self[slot].nick = nick;
        let index = self.search(&nick.folded()).expect_err("the caller has found the name to be free");
        self.by_name.insert(index, slot);
    }

    fn search(&self, name: &Folded) -> Result<usize, usize> {
        self.by_name.binary_search_by(|slot| self[*slot].nick.folded().cmp(name))
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
    fn a_slot_that_was_never_taken_holds_nobody() {
        let mut people = people(&["alice"]);
        assert!(people.get(Slot(7)).is_none());
        assert!(people.remove(Slot(7)).is_none());
    }
}
