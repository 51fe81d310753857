//! Rooms: name, members, topic. A room exists as long as it has a member, here or elsewhere, or is kept.
//!
//! Invariants: a room's members stand in the order of their names without case; [`Rooms`] knows each room by its name
//! and by its size.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Index, IndexMut};

use slab::Slab;

use super::names::Folded;
use super::people::People;
use super::presence::Tally;
use super::remote::RemoteKey;
use super::{Nick, RoomId, RoomName};
use crate::id::Slot;
use crate::time::Moment;

/// The longest topic, in bytes: with the words around it, it fits on one line of a terminal answer.
pub(super) const TOPIC_BYTES_MAX: usize = 300;

/// One room.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: RoomName,
    /// In the order of their names without case, so that a list of them can go on from a name.
    pub(super) members: Vec<Slot>,
    /// Members on other servers.
    pub(super) remote: BTreeMap<RemoteKey, Nick>,
    /// Whether it exists without a member.
    pub(super) is_kept: bool,
    pub(super) topic: Option<Box<str>>,
    /// Joins and leaves that are counted and not yet summed up.
    pub(super) tally: Option<Tally>,
    /// When the last summary was sent.
    pub(super) summed_up_at: Option<Moment>,
}

impl Room {
    /// How many members it has, here and elsewhere.
    pub(super) fn size(&self) -> usize {
        self.members.len() + self.remote.len()
    }

    /// The index of the first member whose name does not come before `name`.
    pub(super) fn place_of(&self, name: &Folded, people: &People) -> usize {
        self.members.partition_point(|slot| people[*slot].nick.folded() < *name)
    }
}

/// All rooms, by id in one step, by name, and by size.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    slab: Slab<Room>,
    by_name: BTreeMap<Folded, RoomId>,
    by_size: BTreeSet<SizeKey>,
}

/// The place of a room in the list that has the largest first, and among equals goes by name.
pub(super) type SizeKey = (Reverse<usize>, Folded);

impl Rooms {
    /// Opens a room whose name is free.
    pub(super) fn open(&mut self, name: RoomName) -> RoomId {
        let key = self.slab.insert(Room {
            name,
            members: Vec::new(),
            remote: BTreeMap::new(),
            is_kept: false,
            topic: None,
            tally: None,
            summed_up_at: None,
        });
        let id = RoomId(u32::try_from(key).expect("limits.rooms, plus the lobby, fits in 32 bits"));
        self.by_name.insert(name.folded(), id);
        self.by_size.insert((Reverse(0), name.folded()));
        id
    }

    pub(super) fn close(&mut self, id: RoomId) {
        let room = self.slab.remove(id.0 as usize);
        self.by_name.remove(&room.name.folded());
        self.by_size.remove(&(Reverse(room.size()), room.name.folded()));
    }

    /// Adds a person that is not in the room.
    pub(super) fn add(&mut self, id: RoomId, member: Slot, people: &People) {
        let place = self[id].place_of(&people[member].nick.folded(), people);
        self.resize(id, |room| room.members.insert(place, member));
    }

    /// Takes a person out that is in the room, under the name it has there.
    pub(super) fn remove(&mut self, id: RoomId, member: Slot, people: &People) {
        let place = self[id].place_of(&people[member].nick.folded(), people);
        debug_assert_eq!(self[id].members.get(place), Some(&member), "members stand in the order of names");
        self.resize(id, |room| {
            room.members.remove(place);
        });
    }

    /// Changes who is in a room.
    pub(super) fn resize(&mut self, id: RoomId, change: impl FnOnce(&mut Room)) {
        let room = &mut self.slab[id.0 as usize];
        let (before, name) = (room.size(), room.name.folded());
        change(room);
        let after = room.size();
        self.by_size.remove(&(Reverse(before), name));
        self.by_size.insert((Reverse(after), name));
    }

    pub(super) fn get(&self, id: RoomId) -> Option<&Room> {
        self.slab.get(id.0 as usize)
    }

    pub(super) fn named(&self, name: &RoomName) -> Option<RoomId> {
        self.named_folded(&name.folded())
    }

    pub(super) fn named_folded(&self, name: &Folded) -> Option<RoomId> {
        self.by_name.get(name).copied()
    }

    /// All rooms, in the order of their names.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Room> {
        self.by_name.values().map(|id| &self[*id])
    }

    /// The rooms behind this name, in the order of their names.
    pub(super) fn after(&self, name: Option<&RoomName>) -> impl Iterator<Item = &Room> {
        let from = name.map_or(Bound::Unbounded, |name| Bound::Excluded(name.folded()));
        self.by_name.range((from, Bound::Unbounded)).map(|(_, id)| &self[*id])
    }

    /// The rooms behind this place, the largest first.
    pub(super) fn by_size_after(&self, place: Option<SizeKey>) -> impl Iterator<Item = SizeKey> {
        let from = place.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_size.range((from, Bound::Unbounded)).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }
}

impl Index<RoomId> for Rooms {
    type Output = Room;

    /// For rooms known to exist: those that have a member.
    fn index(&self, id: RoomId) -> &Room {
        &self.slab[id.0 as usize]
    }
}

impl IndexMut<RoomId> for Rooms {
    fn index_mut(&mut self, id: RoomId) -> &mut Room {
        &mut self.slab[id.0 as usize]
    }
}
