//! Rooms: name, members, topic. A room exists exactly as long as somebody is in it.

use std::collections::BTreeMap;
use std::ops::{Bound, Index, IndexMut};

use slab::Slab;

use super::names::Folded;
use super::presence::Tally;
use super::{RoomId, RoomName};
use crate::id::Slot;
use crate::time::Moment;

/// The longest topic, in bytes: with the words around it, it fits on one line of a terminal answer.
pub(super) const TOPIC_BYTES_MAX: usize = 300;

/// One room.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: RoomName,
    /// In no order: who leaves is replaced by the last. Each member knows its place.
    pub(super) members: Vec<Slot>,
    pub(super) topic: Option<Box<str>>,
    /// Comings and goings that are counted and not yet told.
    pub(super) tally: Option<Tally>,
    /// When they were last told in sum.
    pub(super) presence_told: Option<Moment>,
}

impl Room {
    /// Adds a member and returns its place.
    pub(super) fn add(&mut self, member: Slot) -> u32 {
        let place = u32::try_from(self.members.len()).expect("slots have 32 bits, so members have too");
        self.members.push(member);
        place
    }

    /// Takes out the member at `place`; returns who stands there now, if somebody does.
    pub(super) fn remove(&mut self, place: u32) -> Option<Slot> {
        self.members.swap_remove(place as usize);
        self.members.get(place as usize).copied()
    }
}

/// All rooms, by id in one step and by name.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    slab: Slab<Room>,
    by_name: BTreeMap<Folded, RoomId>,
}

impl Rooms {
    /// Opens a room whose name is free.
    pub(super) fn open(&mut self, name: RoomName) -> RoomId {
        let key = self.slab.insert(Room {
            name,
            members: Vec::new(),
            topic: None,
            tally: None,
            presence_told: None,
        });
        let id = RoomId(u32::try_from(key).expect("limits.rooms, plus the lobby, fits in 32 bits"));
        self.by_name.insert(name.folded(), id);
        id
    }

    pub(super) fn close(&mut self, id: RoomId) {
        let room = self.slab.remove(id.0 as usize);
        self.by_name.remove(&room.name.folded());
    }

    pub(super) fn get(&self, id: RoomId) -> Option<&Room> {
        self.slab.get(id.0 as usize)
    }

    pub(super) fn named(&self, name: &RoomName) -> Option<RoomId> {
        self.by_name.get(&name.folded()).copied()
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

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }
}

impl Index<RoomId> for Rooms {
    type Output = Room;

    /// For rooms known to exist: those that somebody is in.
    fn index(&self, id: RoomId) -> &Room {
        &self.slab[id.0 as usize]
    }
}

impl IndexMut<RoomId> for Rooms {
    fn index_mut(&mut self, id: RoomId) -> &mut Room {
        &mut self.slab[id.0 as usize]
    }
}
