//! Members of rooms who are on other servers, and rooms that a service keeps without a member.
//!
//! A service that shares rooms with other servers brings what happens there as messages, by [`Hub::relay`]. Their senders
//! have a name and a server, but no connection: they are listed and counted, and nothing is sent to them.

use std::borrow::Cow;
use std::ops::Bound;

use super::names::Folded;
use super::room::Room;
use super::{Delivery, Hub, Kind, Line, Message, Nick, Origin, RoomId, RoomName, ServerName};
use crate::time::Now;

/// The most members elsewhere that one room has; further ones are not listed.
pub(super) const REMOTE_MEMBERS_MAX: usize = 10_000;

/// The place of a member in a room's list: those of this server first, by name without case.
pub(super) type MemberKey = (Origin, Folded);

/// The place of a member elsewhere in its room's list.
pub(super) type RemoteKey = (ServerName, Folded);

impl Hub {
    /// A room exists from now on whether or not it has a member, or only while it has one. `false` if there are too many
    /// rooms to open it.
    pub fn keep_room(&mut self, name: RoomName, on: bool) -> bool {
        let Some(room) = self.rooms.named(&name).or_else(|| on.then(|| self.open_remote(name)).flatten())
        else {
            return !on;
        };
        self.rooms[room].is_kept = on;
        self.close_if_empty(room);
        true
    }

    /// Something that happened on another server: what it changes, and the message for the room's members here. `false`
    /// if it concerns no room of this server, or is not from elsewhere.
    pub fn relay(&mut self, message: &Message, now: Now, out: &mut impl Delivery) -> bool {
        self.announce_departures(now, out);
        let (Origin::Server(server), Some(name), Some(from)) = (message.origin, message.room, message.from)
        else {
            return false;
        };
        let known = self.rooms.named(&name);
        let is_join = message.kind == Kind::Join;
        let Some(room) = known.or_else(|| is_join.then(|| self.open_remote(name)).flatten()) else {
            return false;
        };
        let before = self.rooms[room].size();
        match message.kind {
            Kind::Join => self.change_remote(room, None, Some((server, from))),
            Kind::Leave => self.change_remote(room, Some((server, from)), None),
            Kind::Rename { to } => self.change_remote(room, Some((server, from)), Some((server, to))),
            Kind::Topic => {
                self.rooms[room].topic = (!message.text.is_empty()).then(|| message.text.as_str().into());
            }
            Kind::Say | Kind::Action => {}
            Kind::Private { .. } | Kind::Operator => return false,
        }
        let line = Line::Message(message);
        let crowd = before.max(self.rooms[room].size());
        if line.is_presence() && crowd > self.rules.presence_max as usize {
            self.count_presence(room, message.kind, None, now);
        } else {
            out.tell_room(room, &[], &line);
        }
        self.close_if_empty(room);
        true
    }

    /// All members of another server are gone, for this reason.
    pub fn lose_server(&mut self, server: ServerName, reason: &str, now: Now, out: &mut impl Delivery) {
        let of_server = |room: &Room| {
            let members = room.remote.iter().filter(|((other, _), _)| *other == server);
            members.map(|(_, nick)| (room.name, *nick)).collect::<Vec<_>>()
        };
        let gone: Vec<(RoomName, Nick)> = self.rooms.iter().flat_map(of_server).collect();
        for (room, nick) in gone {
            let leave = Message {
                origin: Origin::Server(server),
                ..Message::in_room(now.wall, room, nick, Kind::Leave, reason.to_owned())
            };
            self.relay(&leave, now, out);
        }
    }

    /// Ends a room that has no member, here or elsewhere, and is not kept.
    pub(super) fn close_if_empty(&mut self, room: RoomId) {
        if self.rooms[room].size() == 0 && !self.rooms[room].is_kept {
            self.forget_tally(room);
            self.rooms.close(room);
        }
    }

    /// Opens a room without a member, if there are not too many rooms. A place is kept for the lobby.
    fn open_remote(&mut self, name: RoomName) -> Option<RoomId> {
        let is_lobby = name.folded() == self.rules.lobby.folded();
        let has_lobby = self.rooms.named(&self.rules.lobby).is_some();
        let taken = self.rooms.len() + usize::from(!has_lobby && !is_lobby);
        (taken < self.rules.rooms_max as usize).then(|| self.rooms.open(name))
    }

    fn change_remote(
        &mut self,
        room: RoomId,
        old: Option<(ServerName, Nick)>,
        new: Option<(ServerName, Nick)>,
    ) {
        let key = |(server, nick): (ServerName, Nick)| (server, nick.folded());
        self.rooms.resize(room, |room| {
            if let Some(old) = old {
                room.remote.remove(&key(old));
            }
            if let Some(new) = new
                && room.remote.len() < REMOTE_MEMBERS_MAX
            {
                room.remote.insert(key(new), new.1);
            }
        });
    }

    /// The members of a room behind this place, as `/who` lists them.
    pub(super) fn members_after(
        &self,
        room: RoomId,
        after: Option<MemberKey>,
    ) -> impl Iterator<Item = (MemberKey, Cow<'_, str>)> {
        let room = &self.rooms[room];
        let from = match after {
            None => 0,
            Some((Origin::Home, name)) => {
                room.members.partition_point(|slot| self.people[*slot].nick.folded() <= name)
            }
            Some(_) => room.members.len(),
        };
        let here = room.members[from..].iter().map(|slot| {
            let key = (Origin::Home, self.people[*slot].nick.folded());
            (key, self.listed(*slot))
        });
        let from = match after {
            Some((Origin::Server(server), name)) => Bound::Excluded((server, name)),
            _ => Bound::Unbounded,
        };
        let elsewhere = room.remote.range((from, Bound::Unbounded)).map(|((server, name), nick)| {
            let listed = [nick.as_str(), server.suffix()].concat();
            ((Origin::Server(*server), *name), listed.into())
        });
        here.chain(elsewhere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Rules;
    use crate::chat::script::{TestChat, rules};
    use crate::time::WallTime;

    const LATER: WallTime = WallTime { unix_ms: 0, hour: 9, minute: 30, second: 0 };

    /// What `nick` does on the server `b`, in `room`.
    fn elsewhere(chat: &mut TestChat, nick: &str, room: &str, kind: Kind, text: &str) -> bool {
        let origin = Origin::Server(ServerName::parse("b").unwrap());
        let (room, nick) = (RoomName::parse(room).unwrap(), Nick::parse(nick).unwrap());
        let message = Message { origin, ..Message::in_room(LATER, room, nick, kind, text.to_owned()) };
        let now = chat.now;
        chat.hub.relay(&message, now, &mut chat.recorder)
    }

    fn sees(chat: &mut TestChat, who: &str, lines: &[&str]) {
        assert_eq!(chat.read(who), lines);
    }

    #[test]
    fn what_is_said_elsewhere_is_read_with_its_server_and_its_time() {
        let mut chat = TestChat::new(rules());
        chat.play("alice is here");
        let to = Nick::parse("ann").unwrap();
        for (kind, text, read) in [
            (Kind::Join, "", "09:30 #lobby --> carol@b"),
            (Kind::Say, "hi", "09:30 #lobby <carol@b> hi"),
            (Kind::Action, "waves", "09:30 #lobby * carol@b waves"),
            (Kind::Topic, "tea", "09:30 #lobby -- carol@b set the topic: tea"),
            (Kind::Rename { to }, "", "09:30 #lobby -- carol@b is now ann@b"),
        ] {
            assert!(elsewhere(&mut chat, "carol", "lobby", kind, text));
            sees(&mut chat, "alice", &[read]);
        }
        chat.say("alice", "/topic");
        sees(&mut chat, "alice", &["-- topic of #lobby: tea"]);
        chat.say("alice", "/who");
        sees(&mut chat, "alice", &["-- 2 in #lobby: alice ann@b"]);
        assert!(elsewhere(&mut chat, "ann", "lobby", Kind::Leave, "quit"));
        sees(&mut chat, "alice", &["09:30 #lobby <-- ann@b (quit)"]);
    }

    #[test]
    fn members_elsewhere_are_listed_and_counted() {
        let mut chat = TestChat::new(rules());
        chat.play("alice is here\n bob is here");
        for nick in ["Zoe", "bob"] {
            elsewhere(&mut chat, nick, "lobby", Kind::Join, "");
            elsewhere(&mut chat, nick, "ops", Kind::Join, "");
        }
        chat.read("alice");
        chat.say("alice", "/who");
        chat.say("alice", "/rooms");
        chat.say("alice", "/join #ops");
        chat.say("alice", "/who");
        sees(
            &mut chat,
            "alice",
            &[
                "-- 4 in #lobby: alice bob bob@b Zoe@b",
                "-- 2 rooms: #lobby (4) #ops (2)",
                "-- you are in #ops (3 here)",
                "-- 3 in #ops: alice bob@b Zoe@b",
            ],
        );
        let counts: Vec<usize> = chat.hub.rooms().map(|room| room.members).collect();
        assert_eq!(counts, [4, 3]);
        chat.enter("dave");
        let greeting = "-- chatops: you are guest-3 in #lobby (5 here). /help lists the commands.";
        sees(&mut chat, "dave", &[greeting]);
    }

    #[test]
    fn a_list_goes_on_among_members_elsewhere() {
        let mut chat = TestChat::new(Rules { presence_max: 0, ..rules() });
        chat.play("alice is here");
        for number in 0..100 {
            elsewhere(&mut chat, &format!("somebody-{number:02}"), "lobby", Kind::Join, "");
        }
        chat.recorder.step_lines = Some(1);
        chat.say("alice", "/who");
        let mut lines = chat.read("alice");
        let alice = chat.slot("alice");
        while chat.hub.is_answering(alice) {
            chat.hub.continue_answer(alice, &mut chat.recorder);
            lines.extend(chat.read("alice"));
        }
        assert!(lines.len() > 3, "{lines:?}");
        let names: Vec<&str> =
            lines.iter().flat_map(|line| line.split(' ')).filter(|word| word.contains('@')).collect();
        assert_eq!(names.len(), 100);
        assert!(names.is_sorted() && lines[0].starts_with("-- 101 in #lobby: alice somebody-00@b "));
    }

    #[test]
    fn a_room_lives_on_with_members_elsewhere_and_ends_with_the_last() {
        let mut chat = TestChat::new(rules());
        chat.play("alice is here");
        assert!(elsewhere(&mut chat, "carol", "ops", Kind::Join, ""));
        chat.say("alice", "/join #ops");
        chat.say("alice", "/topic tea");
        chat.say("alice", "/leave");
        chat.read("alice");
        chat.say("alice", "/join #ops");
        sees(&mut chat, "alice", &["-- you are in #ops (2 here)", "-- topic: tea"]);
        chat.say("alice", "/leave");
        assert!(elsewhere(&mut chat, "carol", "ops", Kind::Leave, ""));
        assert_eq!(chat.hub.room_count(), 1);
        assert!(!elsewhere(&mut chat, "carol", "ops", Kind::Say, "hello?"), "nobody here is in it");
    }

    #[test]
    fn a_kept_room_exists_without_a_member() {
        let mut chat = TestChat::new(rules());
        let ops = RoomName::parse("ops").unwrap();
        assert!(chat.hub.keep_room(ops, true));
        chat.play("alice is here");
        chat.say("alice", "/join #ops");
        chat.say("alice", "/topic tea");
        chat.say("alice", "/leave");
        chat.read("alice");
        chat.say("alice", "/rooms");
        sees(&mut chat, "alice", &["-- 2 rooms: #lobby (1) #ops (0)"]);
        chat.say("alice", "/join #ops");
        sees(&mut chat, "alice", &["-- you are in #ops (1 here)", "-- topic: tea"]);
        assert!(chat.hub.keep_room(ops, false));
        chat.say("alice", "/leave");
        assert_eq!(chat.hub.room_count(), 1);
        assert!(chat.hub.keep_room(ops, false), "there is nothing to end");
        for number in 0..4 {
            let name = RoomName::parse(&format!("r{number}")).unwrap();
            assert!(chat.hub.keep_room(name, true));
        }
        assert!(!chat.hub.keep_room(ops, true), "limits.rooms holds for kept rooms too");
    }

    #[test]
    fn joins_elsewhere_are_summed_up_in_a_crowd() {
        let mut chat = TestChat::new(Rules { presence_max: 2, ..rules() });
        chat.play("alice is here");
        for nick in ["carol", "dave", "eve"] {
            elsewhere(&mut chat, nick, "lobby", Kind::Join, "");
        }
        elsewhere(&mut chat, "eve", "lobby", Kind::Leave, "quit");
        sees(&mut chat, "alice", &["09:30 #lobby --> carol@b"]);
        chat.play("2 s pass\n alice sees 12:34 #lobby -- 2 joined, 1 left");
    }

    #[test]
    fn a_server_that_is_lost_takes_its_people_with_it() {
        let mut chat = TestChat::new(rules());
        chat.play("alice is here");
        elsewhere(&mut chat, "carol", "lobby", Kind::Join, "");
        elsewhere(&mut chat, "carol", "ops", Kind::Join, "");
        chat.read("alice");
        let (server, now) = (ServerName::parse("b").unwrap(), chat.now);
        chat.hub.lose_server(server, "connection lost", now, &mut chat.recorder);
        sees(&mut chat, "alice", &["12:34 #lobby <-- carol@b (connection lost)"]);
        assert_eq!(chat.hub.room_count(), 1);
    }
}
