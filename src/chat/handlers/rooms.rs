//! `/join`, `/leave`, `/rooms`, `/topic`: rooms.

use crate::chat::command::{Answer, Arguments, Call, Refusal, quote};
use crate::chat::long_answer::Listing;
use crate::chat::room::TOPIC_BYTES_MAX;
use crate::chat::{Kind, Line, Message, Outcome, RoomId, RoomName};

/// What the others read in parentheses about a person who left one room and stayed connected.
const LEFT: &str = "left";

/// `/join #ROOM`: enters it, or makes it the active one if the person is in it.
pub(in crate::chat) fn join(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    let name = room_name(arguments.word)?;
    let known = call.hub.rooms.named(&name);
    let id = if let Some(id) = known.filter(|id| call.person().rooms.contains(*id)) {
        call.hub.people[call.member].rooms.activate(id);
        id
    } else {
        check_limits(call, &name, known)?;
        call.hub.join(call.member, name, call.now, call.out)
    };
    let room = &call.hub.rooms[id];
    let (here, topic) = (room.size(), room.topic.as_ref().map(|topic| format!("topic: {topic}")));
    let answer = format!("you are in {} ({here} here)", room.name);
    call.answer(&answer);
    if let Some(topic) = topic {
        call.answer(&topic);
    }
    Ok(Outcome::Continue)
}

fn room_name(word: &str) -> Result<RoomName, Refusal> {
    RoomName::parse(word).map_err(|why| format!("{} is no room: {why}; /join #ROOM", quote(word)).into())
}

/// Refuses a room too many: of the person, or of the server if it had to be opened.
fn check_limits(call: &Call<'_>, name: &RoomName, known: Option<RoomId>) -> Result<(), Refusal> {
    let rules = &call.hub.rules;
    if call.person().rooms.len() >= rules.rooms_per_client as usize {
        let most = rules.rooms_per_client;
        return Err(format!("you may be in {most} rooms at a time; /leave one first").into());
    }
    let is_lobby = name.folded() == rules.lobby.folded();
    let kept_for_lobby = usize::from(call.hub.rooms.named(&rules.lobby).is_none());
    if known.is_none() && !is_lobby && call.hub.rooms.len() + kept_for_lobby >= rules.rooms_max as usize {
        let most = rules.rooms_max;
        return Err(format!("the server has no more than {most} rooms; /join one that /rooms lists").into());
    }
    Ok(())
}

/// `/leave [#ROOM]`: leaves the active room, or another that the person is in.
pub(in crate::chat) fn leave(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    let id = if arguments.word.is_empty() { call.active_room()? } else { own_room(call, arguments.word)? };
    let name = call.hub.rooms[id].name;
    call.hub.leave_room(call.member, id, LEFT, call.now, call.out);
    let answer = match call.person().rooms.active() {
        Some(active) => format!("you left {name}; you are in {} now", call.hub.rooms[active].name),
        None => format!("you left {name}; you are in no room: /join #ROOM"),
    };
    call.answer(&answer);
    Ok(Outcome::Continue)
}

/// A room that the person is in, by its name.
pub(in crate::chat) fn own_room(call: &Call<'_>, word: &str) -> Result<RoomId, Refusal> {
    call.active_room()?;
    let id = RoomName::parse(word).ok().and_then(|name| call.hub.rooms.named(&name));
    id.filter(|id| call.person().rooms.contains(*id)).ok_or_else(|| {
        let word = word.strip_prefix('#').unwrap_or(word);
        let nick = call.person().nick;
        format!("you are not in #{}; /whois {nick} shows your rooms", quote(word)).into()
    })
}

/// `/rooms`: every room with the number of its members, the fullest first.
pub(in crate::chat) fn list(call: &mut Call<'_>, _: Arguments<'_>) -> Answer {
    call.answer_with(Listing::rooms());
    Ok(Outcome::Continue)
}

/// `/topic [TEXT]`: shows the topic of the active room, sets it, or clears it with `-`.
pub(in crate::chat) fn topic(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    let id = call.active_room()?;
    match arguments.text {
        "" => show_topic(call, id),
        "-" if call.hub.rooms[id].topic.is_none() => show_topic(call, id),
        "-" => set_topic(call, id, ""),
        text if text.len() > TOPIC_BYTES_MAX => {
            let long = text.len();
            return Err(
                format!("a topic has up to {TOPIC_BYTES_MAX} bytes, yours has {long}; shorten it").into()
            );
        }
        text => set_topic(call, id, text),
    }
    Ok(Outcome::Continue)
}

fn show_topic(call: &mut Call<'_>, id: RoomId) {
    let room = &call.hub.rooms[id];
    let answer = match &room.topic {
        Some(topic) => format!("topic of {}: {topic}", room.name),
        None => format!("{} has no topic; /topic TEXT sets one", room.name),
    };
    call.answer(&answer);
}

fn set_topic(call: &mut Call<'_>, id: RoomId, text: &str) {
    call.hub.rooms[id].topic = (!text.is_empty()).then(|| text.into());
    let (room, by) = (call.hub.rooms[id].name, call.person().nick);
    let answer = match text {
        "" => format!("topic of {room} cleared"),
        _ => format!("topic of {room} set: {text}"),
    };
    call.hub.introduce(call.member, id, call.now, call.out);
    let message = Message::in_room(call.now.wall, room, by, Kind::Topic, text.to_owned());
    call.out.tell_room(id, &call.hub.excluded(call.member, id), &Line::Message(&message));
    call.answer(&answer);
}

#[cfg(test)]
mod tests {
    use crate::chat::Rules;
    use crate::chat::script::{TestChat, play, rules};

    #[test]
    fn the_room_joined_last_is_where_text_goes() {
        play(
            "alice is here
            bob is here
            alice says /join #ops
            alice sees -- you are in #ops (1 here)
            bob says /join OPS
            alice sees 12:34 #ops --> bob
            bob sees -- you are in #ops (2 here)
            alice says in ops
            bob sees 12:34 #ops <alice> in ops
            alice says /join #Lobby
            alice sees -- you are in #lobby (2 here)
            alice says in the lobby
            bob sees 12:34 #lobby <alice> in the lobby
            alice says #ops is not special
            bob sees 12:34 #lobby <alice> #ops is not special",
        );
    }

    #[test]
    fn leaving_makes_the_room_before_it_active() {
        play(
            "alice is here
            alice says /join #a
            alice sees -- you are in #a (1 here)
            alice says /join #b
            alice sees -- you are in #b (1 here)
            alice says /leave #a
            alice sees -- you left #a; you are in #b now
            alice says /leave
            alice sees -- you left #b; you are in #lobby now
            alice says /leave #b
            alice sees !! you are not in #b; /whois alice shows your rooms
            alice says /leave
            alice sees -- you left #lobby; you are in no room: /join #ROOM
            alice says hello?
            alice sees !! you are in no room; /join #ROOM first
            alice says /me wonders
            alice sees !! you are in no room; /join #ROOM first
            alice says /topic
            alice sees !! you are in no room; /join #ROOM first
            alice says /leave
            alice sees !! you are in no room; /join #ROOM first
            alice says /leave #lobby
            alice sees !! you are in no room; /join #ROOM first
            alice says /rooms
            alice sees -- no rooms: /join #ROOM opens one
            alice says /join lobby
            alice sees -- you are in #lobby (1 here)",
        );
    }

    #[test]
    fn a_room_that_cannot_be_is_refused() {
        play(
            "alice is here
            alice says /join #a/b
            alice sees !! #a/b is no room: a name is made of ASCII letters, digits and _ - [ ] { } ^ |; /join #ROOM
            alice says /join #
            alice sees !! # is no room: a name has 1 to 24 characters; /join #ROOM
            alice says /join #abcdefghijklmnopqrstuvwxy
            alice sees !! #abcdefghijklmnopqrstuvwxy is no room: a name has 1 to 24 characters; /join #ROOM
            alice says /join #a #b
            alice sees !! too many arguments; usage: /join #ROOM",
        );
    }

    #[test]
    fn one_person_gets_so_many_rooms() {
        play(
            "alice is here
            alice says /join #a
            alice sees -- you are in #a (1 here)
            alice says /join #b
            alice sees -- you are in #b (1 here)
            alice says /join #c
            alice sees !! you may be in 3 rooms at a time; /leave one first
            alice says /join #a
            alice sees -- you are in #a (1 here)",
        );
    }

    #[test]
    fn the_server_has_so_many_rooms_and_one_is_kept_for_the_lobby() {
        let mut chat = TestChat::new(Rules { rooms_max: 2, ..rules() });
        chat.play(
            "alice is here
            bob is here
            alice says /join #a
            alice sees -- you are in #a (1 here)
            alice says /join #b
            alice sees !! the server has no more than 2 rooms; /join one that /rooms lists
            alice says /leave #lobby
            bob sees 12:34 #lobby <-- alice (left)
            alice sees -- you left #lobby; you are in #a now
            bob says /join a
            alice sees 12:34 #a --> bob
            bob sees -- you are in #a (2 here)
            bob says /leave #lobby
            bob sees -- you left #lobby; you are in #a now
            bob says /join #b
            bob sees !! the server has no more than 2 rooms; /join one that /rooms lists
            carol arrives
            carol sees -- chatops: you are guest-3 in #lobby (1 here). /help lists the commands.",
        );
        assert_eq!(chat.hub.room_count(), 2);
    }

    #[test]
    fn rooms_are_listed_the_fullest_first() {
        play(
            "alice is here
            alice says /rooms
            alice sees -- 1 room: #lobby (1)
            alice says /join #b
            alice sees -- you are in #b (1 here)
            bob is here
            bob says /join #a
            bob sees -- you are in #a (1 here)
            bob says /rooms
            bob sees -- 3 rooms: #lobby (2) #a (1) #b (1)",
        );
    }

    #[test]
    fn a_topic_is_set_shown_and_cleared() {
        play(
            "alice is here
            bob is here
            alice says /topic
            alice sees -- #lobby has no topic; /topic TEXT sets one
            alice says /topic  deploys  at 5
            alice sees -- topic of #lobby set: deploys  at 5
            bob sees 12:34 #lobby -- alice set the topic: deploys  at 5
            bob says /topic
            bob sees -- topic of #lobby: deploys  at 5
            bob says /join #lobby
            bob sees -- you are in #lobby (2 here)
            bob sees -- topic: deploys  at 5
            carol arrives
            carol sees -- chatops: you are guest-3 in #lobby (3 here). /help lists the commands.
            carol sees -- topic: deploys  at 5
            alice sees 12:34 #lobby --> guest-3
            bob sees 12:34 #lobby --> guest-3
            carol goes eof
            alice sees 12:34 #lobby <-- guest-3 (eof)
            bob sees 12:34 #lobby <-- guest-3 (eof)
            bob says /topic -
            bob sees -- topic of #lobby cleared
            alice sees 12:34 #lobby -- bob cleared the topic
            alice says /topic
            alice sees -- #lobby has no topic; /topic TEXT sets one
            bob says /topic -
            bob sees -- #lobby has no topic; /topic TEXT sets one",
        );
    }

    #[test]
    fn a_topic_ends_with_its_room_and_has_a_limit() {
        let mut chat = TestChat::new(rules());
        chat.play(
            "alice is here
            alice says /join #ops
            alice sees -- you are in #ops (1 here)
            alice says /topic old
            alice sees -- topic of #ops set: old
            alice says /leave
            alice sees -- you left #ops; you are in #lobby now
            alice says /join #ops
            alice sees -- you are in #ops (1 here)",
        );
        chat.say("alice", &format!("/topic {}", "é".repeat(150)));
        assert_eq!(chat.read("alice").len(), 1);
        chat.say("alice", &format!("/topic {}x", "é".repeat(150)));
        assert_eq!(chat.read("alice"), ["!! a topic has up to 300 bytes, yours has 301; shorten it"]);
        let topics: Vec<_> = chat.hub.rooms().map(|room| room.topic.map(str::len)).collect();
        assert_eq!(topics, [None, Some(300)]);
    }
}
