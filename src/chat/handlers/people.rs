//! `/nick`, `/who`, `/whois`, `/away`: names and the people who have them.

use std::time::Duration;

use crate::chat::command::{Answer, Arguments, Call, Refusal, quote};
use crate::chat::long_answer::{Listing, wrap};
use crate::chat::person::{AWAY_BYTES_MAX, Absence, Contact, Person};
use crate::chat::{Kind, Message, Nick, Outcome, RoomId, RoomName};
use crate::id::Slot;

/// `/nick NAME`: another name, or the same in other letter case, announced to every room the person is in.
pub(in crate::chat) fn nick(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    let old = call.person().nick;
    if old.as_str() == arguments.word {
        call.answer(&format!("you are now {old}"));
        return Ok(Outcome::Continue);
    }
    let new = free_nick(call, arguments.word).map_err(|why| format!("{why}; try another: /nick NAME"))?;
    if !(call.hub.is_muted_by_address(call.member) && call.hub.mutes.knows(&new)) {
        call.person().check_voice()?;
    }
    call.answer(&format!("you are now {new}"));
    rename(call, &old, new);
    Ok(Outcome::Renamed { old, new })
}

/// The operator's `rename WHO NAME`: the rules for names are those of `/nick`. Returns the old and the new name.
///
/// # Errors
///
/// Why the person keeps the name, for the operator.
pub(in crate::chat) fn rename_by_operator(call: &mut Call<'_>, word: &str) -> Result<(Nick, Nick), String> {
    let old = call.person().nick;
    let new = free_nick(call, word)?;
    if old.as_str() == new.as_str() {
        return Err(format!("{old} has that name already"));
    }
    call.person()
        .check_voice()
        .map_err(|_| format!("{old} is muted, and a mute is for a name: unmute it first"))?;
    call.answer(&format!("the operator renamed you: you are now {new}"));
    rename(call, &old, new);
    Ok((old, new))
}

/// A name that a person may take.
fn free_nick(call: &Call<'_>, word: &str) -> Result<Nick, String> {
    let nick = Nick::parse(word).map_err(|why| format!("{}: {why}", quote(word)))?;
    if call.hub.barred.contains(&nick.folded()) {
        return Err(format!("{nick} is banned"));
    }
    match call.hub.by_nick(&nick) {
        Some(other) if other != call.member => Err(format!("{nick} is taken")),
        _ => Ok(nick),
    }
}

/// Gives the person another name, and announces it to the rooms. Neither those who ignore the old name nor those who
/// ignore the new one read it: a name is the person's own text.
fn rename(call: &mut Call<'_>, old: &Nick, new: Nick) {
    let mut ignorers = call.hub.ignores.ignorers(call.person()).concat();
    call.hub.rename(call.member, new);
    ignorers.extend(call.hub.ignores.ignorers(call.person()).concat());
    announce_rename(call, old, &new, &ignorers);
}

fn announce_rename(call: &mut Call<'_>, old: &Nick, new: &Nick, ignorers: &[Slot]) {
    let person = call.person();
    let by = Contact { id: person.id, slot: call.member };
    let rooms: Vec<RoomId> = person.rooms.ids().collect();
    for id in rooms {
        let room = &call.hub.rooms[id];
        let (name, crowd) = (room.name, room.size());
        let kind = Kind::Rename { to: *new };
        let message = Message::in_room(call.now.wall, name, *old, kind, String::new());
        call.hub.announce(id, &message, by, ignorers, crowd, call.now, call.out);
    }
}

/// `/who [#ROOM]`: who is in the active room, or in any other.
pub(in crate::chat) fn who(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    let id = if arguments.word.is_empty() { call.active_room()? } else { known_room(call, arguments.word)? };
    call.answer_with(Listing::members(call.hub.rooms[id].name));
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
    let slot = known_person(call, arguments.word)?;
    let person = &call.hub.people[slot];
    let rooms: Vec<String> = person.rooms.ids().map(|room| call.hub.rooms[room].name.to_string()).collect();
    let head = format!("{} is in{}", person.nick, if rooms.is_empty() { " no room" } else { "" });
    let mut lines = vec![stay(person, call)];
    if let Some(absence) = call.hub.absences.get(&slot) {
        let away = span(call.now.moment - absence.since.moment());
        lines.push(format!("{} is away ({away}): {}", person.nick, absence.text));
    }
    lines.extend(wrap(head, rooms));
    call.answer_with(Listing::of_lines(lines));
    Ok(Outcome::Continue)
}

fn stay(person: &Person, call: &Call<'_>) -> String {
    let [hour, minute] = person.since_clock;
    let here = span(call.now.moment - person.since.moment());
    let idle = span(call.now.moment - person.last_message.moment());
    format!("{}: connected since {hour:02}:{minute:02} ({here} ago), idle {idle}", person.nick)
}

/// `/away [TEXT]`: says that the person is away, and why, to people who ask; without a text it is back.
pub(in crate::chat) fn away(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    let text = arguments.text;
    if text.is_empty() {
        let was_away = call.hub.absences.remove(&call.member).is_some();
        call.answer(if was_away { "you are back" } else { "you are not away; /away TEXT says that you are" });
        return Ok(Outcome::Continue);
    }
    if text.len() > AWAY_BYTES_MAX {
        let (most, long) = (AWAY_BYTES_MAX, text.len());
        return Err(format!("what /away says has up to {most} bytes, yours has {long}; shorten it").into());
    }
    let absence = Absence { text: text.to_owned(), since: call.now.moment.into() };
    call.hub.absences.insert(call.member, absence);
    call.answer(&format!("you are away: {text}"));
    Ok(Outcome::Continue)
}

/// The person with a name, whether a guest or not.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::script::{TestChat, play, rules};

    #[test]
    fn a_rename_is_announced_to_the_rooms_and_answered() {
        play(
            "alice is here
            bob is here
            carol is here
            alice says /join #ops
            alice sees -- you are in #ops (1 here)
            bob says /join #ops
            alice sees 12:34 #ops --> bob
            bob sees -- you are in #ops (2 here)
            alice says /nick ann
            alice sees -- you are now ann
            bob sees 12:34 #lobby -- alice is now ann
            bob sees 12:34 #ops -- alice is now ann
            carol sees 12:34 #lobby -- alice is now ann
            carol says /nick alice
            carol sees -- you are now alice
            alice sees 12:34 #lobby -- carol is now alice
            bob sees 12:34 #lobby -- carol is now alice",
        );
    }

    #[test]
    fn a_person_who_is_away_is_marked_for_those_who_ask() {
        play(
            "alice is here
            bob is here
            bob says /away
            bob sees -- you are not away; /away TEXT says that you are
            bob says /away  lunch,  back at 2
            bob sees -- you are away: lunch,  back at 2
            60 s pass
            alice says /who
            alice sees -- 2 in #lobby: alice bob (away)
            alice says /whois bob
            alice sees -- bob: connected since 12:34 (1m ago), idle 1m
            alice sees -- bob is away (1m): lunch,  back at 2
            alice sees -- bob is in #lobby
            alice says /msg bob hi
            alice sees 12:34 [alice -> bob] hi
            bob sees 12:34 [alice -> bob] hi
            bob says /away dinner
            bob sees -- you are away: dinner
            alice says /whois bob
            alice sees -- bob: connected since 12:34 (1m ago), idle 0s
            alice sees -- bob is away (0s): dinner
            alice sees -- bob is in #lobby
            bob says /away
            bob sees -- you are back
            alice says /who
            alice sees -- 2 in #lobby: alice bob",
        );
    }

    #[test]
    fn a_reason_to_be_away_is_short_and_not_for_the_muted() {
        let mut chat = TestChat::new(rules());
        chat.play("alice is here");
        let long = "x".repeat(AWAY_BYTES_MAX + 1);
        chat.play(&format!(
            "alice says /away {long}
            alice sees !! what /away says has up to 200 bytes, yours has 201; shorten it
            alice says /away {}
            alice sees -- you are away: {}
            alice is muted
            alice says /away psst
            alice sees !! the operator has muted you; wait until they let you speak again
            alice says /away
            alice sees -- you are back",
            &long[1..],
            &long[1..],
        ));
    }

    #[test]
    fn ones_own_name_is_free_to_oneself() {
        play(
            "alice is here
            bob is here
            alice says /nick alice
            alice sees -- you are now alice
            alice says /nick Alice
            alice sees -- you are now Alice
            bob sees 12:34 #lobby -- alice is now Alice
            alice says hi
            bob sees 12:34 #lobby <Alice> hi",
        );
    }

    #[test]
    fn a_guest_keeps_its_own_name_and_no_other_guests() {
        let mut chat = TestChat::new(rules());
        chat.enter("visitor");
        chat.read("visitor");
        chat.play(
            "visitor says /nick guest-1
            visitor sees -- you are now guest-1
            visitor says /nick guest-2
            visitor sees !! guest-2: that name is reserved; try another: /nick NAME",
        );
    }

    #[test]
    fn a_name_that_cannot_be_had_is_refused() {
        play(
            "alice is here
            bob is here
            bob says /nick ALICE
            bob sees !! ALICE is taken; try another: /nick NAME
            bob says /nick 12345
            bob sees !! 12345: a nick needs at least one character that is not a digit; try another: /nick NAME
            bob says /nick Root
            bob sees !! Root: that name is reserved; try another: /nick NAME
            bob says /nick b/b
            bob sees !! b/b: a name is made of ASCII letters, digits and _ - [ ] { } ^ |; try another: /nick NAME
            bob says /nick bob bob
            bob sees !! too many arguments; usage: /nick NAME",
        );
    }

    #[test]
    fn a_rename_tells_the_engine_both_names() {
        let mut chat = TestChat::new(rules());
        chat.enter("alice");
        let (old, new) = (Nick::of_anybody("guest-1").unwrap(), Nick::parse("alice").unwrap());
        assert_eq!(chat.say("alice", "/nick alice"), Outcome::Renamed { old, new });
        assert_eq!(chat.say("alice", "/nick alice"), Outcome::Continue);
    }

    #[test]
    fn who_lists_a_room_in_the_order_of_names() {
        play(
            "zoe is here
            Bob is here
            alice is here
            zoe says /join #ops
            zoe sees -- you are in #ops (1 here)
            zoe says /who
            zoe sees -- 1 in #ops: zoe
            zoe says /who #LOBBY
            zoe sees -- 3 in #lobby: alice Bob zoe
            alice says /who ops
            alice sees -- 1 in #ops: zoe
            alice says /who #nowhere
            alice sees !! there is no room #nowhere; /rooms lists them
            alice says /leave
            alice sees -- you left #lobby; you are in no room: /join #ROOM
            Bob sees 12:34 #lobby <-- alice (left)
            zoe sees 12:34 #lobby <-- alice (left)
            alice says /who
            alice sees !! you are in no room; /join #ROOM first",
        );
    }

    #[test]
    fn whois_tells_time_and_rooms_but_no_address() {
        play(
            "alice is here
            7500 s pass
            bob is here
            alice says /join #ops
            alice sees -- you are in #ops (1 here)
            65 s pass
            bob says /whois ALICE
            bob sees -- alice: connected since 12:34 (2h 6m ago), idle 1m
            bob sees -- alice is in #lobby #ops
            bob says /whois bob
            bob sees -- bob: connected since 12:34 (1m ago), idle 0s
            bob sees -- bob is in #lobby
            bob says /leave
            alice sees 12:34 #lobby <-- bob (left)
            bob sees -- you left #lobby; you are in no room: /join #ROOM
            bob says /whois bob
            bob sees -- bob: connected since 12:34 (1m ago), idle 0s
            bob sees -- bob is in no room
            bob says /whois mallory
            bob sees !! nobody is called mallory; /who lists who is in your room
            bob says /whois a/b
            bob sees !! nobody is called a/b; /who lists who is in your room",
        );
    }

    #[test]
    fn spans_have_two_units_at_most() {
        for (seconds, told) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3_599, "59m"),
            (3_600, "1h 0m"),
            (86_399, "23h 59m"),
            (270_000, "3d 3h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), told);
        }
    }
}
