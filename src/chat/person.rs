//! One person: name, style, and the rooms it is in. Kept small, for ten thousand sit idle at a time.

use smallvec::SmallVec;

use super::command::Refusal;
use super::mutes::Voice;
use super::{Nick, RoomId, Style};
use crate::id::{ConnId, Slot};
use crate::time::{Deciseconds, Now};

/// The longest text of `/away`, in bytes: with the words around it, it fits on one line of an answer.
pub(super) const AWAY_BYTES_MAX: usize = 200;

/// A person in the hub.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) id: ConnId,
    pub(super) nick: Nick,
    /// When the person came, to the tenth of a second.
    pub(super) since: Deciseconds,
    /// Hour and minute of the server's clock at [`Person::since`], for `/whois`.
    pub(super) since_clock: [u8; 2],
    /// When the person last sent a message, to the tenth of a second.
    pub(super) last_message: Deciseconds,
    pub(super) style: Style,
    pub(super) voice: Voice,
    /// Its arrival was announced in the lobby, or the time for that is over.
    pub(super) is_announced: bool,
    /// The person who last sent this one a private message, for `/reply`.
    pub(super) correspondent: Option<Contact>,
    pub(super) rooms: RoomList,
}

impl Person {
    pub(super) fn new(id: ConnId, nick: Nick, now: Now) -> Self {
        Self {
            id,
            nick,
            since: now.moment.into(),
            since_clock: [now.wall.hour, now.wall.minute],
            last_message: now.moment.into(),
            style: Style::default(),
            voice: Voice::Free,
            is_announced: false,
            correspondent: None,
            rooms: RoomList::default(),
        }
    }

    /// Refuses a person whom the operator has muted.
    pub(super) fn check_voice(&self) -> Result<(), Refusal> {
        match self.voice {
            Voice::Free => Ok(()),
            Voice::Muted => Err("the operator has muted you; wait until they let you speak again".into()),
            Voice::MutedByAddress => {
                Err("the operator has muted your address; /nick with a name you had before lifts that".into())
            }
        }
    }

    /// The room that text goes to.
    pub(super) fn active_room(&self) -> Result<RoomId, Refusal> {
        self.rooms.active().ok_or_else(|| "you are in no room; /join #ROOM first".into())
    }
}

/// What a person who is away has said of it (`/away`). Kept apart from people, for few are away.
#[derive(Debug)]
pub(super) struct Absence {
    /// Why, in up to [`AWAY_BYTES_MAX`] bytes.
    pub(super) text: String,
    /// Since when, to the tenth of a second.
    pub(super) since: Deciseconds,
}

/// A person remembered after it left: the slot may belong to another one by now, so the id is kept with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contact {
    pub(super) id: ConnId,
    pub(super) slot: Slot,
}

/// The rooms of one person, in the order in which they became active; the last is the active one.
///
/// Most people are in the lobby and perhaps in a few other rooms, and so need no list on the heap.
#[derive(Debug, Default)]
pub(super) struct RoomList(SmallVec<[RoomId; 4]>);

impl RoomList {
    /// The room that plain text goes to.
    pub(super) fn active(&self) -> Option<RoomId> {
        self.0.last().copied()
    }

    /// The room that was active longest ago.
    pub(super) fn first(&self) -> Option<RoomId> {
        self.ids().next()
    }

    /// All rooms, the active one last.
    pub(super) fn ids(&self) -> impl Iterator<Item = RoomId> {
        self.0.iter().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contains(&self, room: RoomId) -> bool {
        self.ids().any(|id| id == room)
    }

    /// Adds a room that is not in the list; it becomes the active one.
    pub(super) fn add(&mut self, room: RoomId) {
        self.0.push(room);
    }

    /// Takes a room out; `false` if it is not in the list. After the active one, the one active before it is active.
    pub(super) fn remove(&mut self, room: RoomId) -> bool {
        let place = self.ids().position(|id| id == room);
        place.map(|place| self.0.remove(place)).is_some()
    }

    /// Makes a room of the list the active one; does nothing for another.
    pub(super) fn activate(&mut self, room: RoomId) {
        if self.remove(room) {
            self.add(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms(list: &RoomList) -> Vec<u32> {
        list.ids().map(|room| room.0).collect()
    }

    fn list(ids: &[u32]) -> RoomList {
        let mut list = RoomList::default();
        for &id in ids {
            list.add(RoomId(id));
        }
        list
    }

    #[test]
    fn an_idle_person_is_small() {
        let inline = size_of::<Option<Person>>();
        assert!(inline <= 96, "{inline} bytes; somebody in two rooms has nothing on the heap");
    }

    #[test]
    fn the_room_joined_last_is_active() {
        let mut list = list(&[1, 2, 3]);
        assert_eq!((list.active(), rooms(&list)), (Some(RoomId(3)), vec![1, 2, 3]));
        list.activate(RoomId(1));
        assert_eq!(rooms(&list), [2, 3, 1]);
        list.activate(RoomId(9));
        assert_eq!(rooms(&list), [2, 3, 1]);
    }

    #[test]
    fn leaving_the_active_room_makes_the_one_before_it_active() {
        let mut list = list(&[1, 2, 3]);
        assert!(list.remove(RoomId(2)));
        assert!(list.remove(RoomId(3)));
        assert_eq!((list.active(), list.len()), (Some(RoomId(1)), 1));
        assert!(!list.remove(RoomId(3)));
        list.remove(RoomId(1));
        assert_eq!((list.active(), list.len()), (None, 0));
    }
}
