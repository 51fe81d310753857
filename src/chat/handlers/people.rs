//! `/nick`, `/who`, `/whois`: names and the people who have them.

use std::time::Duration;

use super::listing;
use crate::chat::command::{Answer, Arguments, Call, Refusal, quote};
use crate::chat::person::{Contact, Person};
use crate::chat::{Line, Nick, Outcome, RoomId, RoomName};
use crate::id::Slot;

/// `/nick NAME`: another name, or the same in other letter case, told to every room the person is in.
pub(in crate::chat) fn nick(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    let old = call.person().nick;
    if old.as_str() == arguments.word {
        call.answer(&format!("you are now {old}"));
        return Ok(Outcome::Continue);
    }
    let new = free_nick(call, arguments.word)?;
    call.hub.people.rename(call.member, new);
    call.answer(&format!("you are now {new}"));
    announce_rename(call, &old, &new);
    Ok(Outcome::Renamed { old, new })
}

fn free_nick(call: &Call<'_>, word: &str) -> Result<Nick, Refusal> {
    let nick = Nick::parse(word).map_err(|why| format!("{}: {why}; try another: /nick NAME", quote(word)))?;
    match call.hub.by_nick(&nick) {
        Some(other) if other != call.member => {
            Err(format!("{nick} is taken; try another: /nick NAME").into())
        }
        _ => Ok(nick),
    }
}

fn announce_rename(call: &mut Call<'_>, old: &Nick, new: &Nick) {
    let person = call.person();
    let by = Contact { id: person.id, slot: call.member };
    let rooms: Vec<RoomId> = person.rooms.ids().collect();
    for id in rooms {
        let room = &call.hub.rooms[id];
        let (name, crowd) = (room.name, room.members.len());
        let line = Line::Renamed { room: &name, old, new };
        call.hub.announce(id, &line, by, crowd, call.now, call.out);
    }
}

/// `/who [#ROOM]`: who is in the active room, or in any other.
pub(in crate::chat) fn who(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    let id = if arguments.word.is_empty() { call.active_room()? } else { known_room(call, arguments.word)? };
    let room = &call.hub.rooms[id];
    let head = format!("{} in {}:", room.members.len(), room.name);
    let mut nicks: Vec<Nick> = room.members.iter().map(|slot| call.hub.people[*slot].nick).collect();
    nicks.sort_by_cached_key(Nick::folded);
    let words: Vec<&str> = nicks.iter().map(Nick::as_str).collect();
    listing::answer(call, &head, &words);
    Ok(Outcome::Continue)
}

fn known_room(call: &Call<'_>, word: &str) -> Result<RoomId, Refusal> {
    let id = RoomName::parse(word).ok().and_then(|name| call.hub.rooms.named(&name));
    id.ok_or_else(|| {
        let word = word.strip_prefix('#').unwrap_or(word);
        format!("there is no room #{}; /rooms lists them", quote(word)).into()
    })
}

/// `/whois NICK`: since when, how long idle, in which rooms; never from where.
pub(in crate::chat) fn whois(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    let person = &call.hub.people[known_person(call, arguments.word)?];
    let presence = stay(person, call);
    let rooms: Vec<String> = person.rooms.ids().map(|room| call.hub.rooms[room].name.to_string()).collect();
    let head = format!("{} is in{}", person.nick, if rooms.is_empty() { " no room" } else { "" });
    call.answer(&presence);
    listing::answer(call, &head, &rooms);
    Ok(Outcome::Continue)
}

fn stay(person: &Person, call: &Call<'_>) -> String {
    let [hour, minute] = person.since_clock;
    let here = span(call.now.moment - person.since);
    let idle = span(call.now.moment - person.heard);
    format!("{}: connected since {hour:02}:{minute:02} ({here} ago), idle {idle}", person.nick)
}

/// Whoever has a name, whether a guest or not.
pub(super) fn known_person(call: &Call<'_>, word: &str) -> Result<Slot, Refusal> {
    let slot = Nick::of_anybody(word).ok().and_then(|nick| call.hub.by_nick(&nick));
    slot.ok_or_else(|| format!("nobody is called {}; /who lists who is in your room", quote(word)).into())
}

/// A span of time in its two largest units: `4s`, `12m`, `2h 14m`, `3d 2h`.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m"),
        (0, ..) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}
