//! `/join`, `/leave`, `/rooms`, `/topic`: rooms.

use std::cmp::Reverse;

use super::listing;
use crate::chat::command::{Answer, Arguments, Call, Refusal, quote};
use crate::chat::room::TOPIC_BYTES_MAX;
use crate::chat::{Line, Outcome, RoomId, RoomName};

/// What the others read in parentheses of somebody who left one room and stayed connected.
const LEFT: &str = "left";

/// `/join #ROOM`: enters it, or makes it the active one if the person is in it.
pub(in crate::chat) fn join(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    let name = room_name(arguments.word)?;
    let known = call.hub.rooms.named(&name);
    let id = match known.filter(|id| call.person().rooms.contains(*id)) {
        Some(id) => {
            call.hub.people[call.member].rooms.activate(id);
            id
        }
        None => {
            check_limits(call, &name, known)?;
            call.hub.join(call.member, name, call.now, call.out)
        }
    };
    let room = &call.hub.rooms[id];
    let (here, topic) = (room.members.len(), room.topic.as_ref().map(|topic| format!("topic: {topic}")));
    let answer = format!("you are in {} ({here} here)", room.name);
    call.answer(&answer);
    if let Some(topic) = topic {
        call.answer(&topic);
    }
    Ok(Outcome::Continue)
}

fn room_name(word: &str) -> Result<RoomName, Refusal> {
    RoomName::parse(word).map_err(|why| format!("{} is no room: {why}", quote(word)).into())
}

/// Refuses a room too many: of the person, or of the server if it had to be opened.
fn check_limits(call: &Call<'_>, name: &RoomName, known: Option<RoomId>) -> Result<(), Refusal> {
    let rules = &call.hub.rules;
    if call.person().rooms.len() >= rules.rooms_per_client as usize {
        return Err(format!(
            "you are in {} rooms, the most allowed; /leave one first",
            rules.rooms_per_client
        )
        .into());
    }
    let is_lobby = name.folded() == rules.lobby.folded();
    let kept_for_lobby = usize::from(call.hub.rooms.named(&rules.lobby).is_none());
    if known.is_none() && !is_lobby && call.hub.rooms.len() + kept_for_lobby >= rules.rooms_max as usize {
        let most = rules.rooms_max;
        return Err(
            format!("the server has {most} rooms, the most allowed; /join one that /rooms lists").into()
        );
    }
    Ok(())
}

/// `/leave [#ROOM]`: leaves the active room, or another that the person is in.
pub(in crate::chat) fn leave(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    let id = if arguments.word.is_empty() { call.active_room()? } else { own_room(call, arguments.word)? };
    let name = call.hub.rooms[id].name;
    call.hub.part(call.member, id, LEFT, call.now, call.out);
    let answer = match call.person().rooms.active() {
        Some(active) => format!("you left {name}; you are in {} now", call.hub.rooms[active].name),
        None => format!("you left {name}; you are in no room: /join #ROOM"),
    };
    call.answer(&answer);
    Ok(Outcome::Continue)
}

fn own_room(call: &Call<'_>, word: &str) -> Result<RoomId, Refusal> {
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
    let mut rooms: Vec<_> = call.hub.rooms().collect();
    // Stable: rooms with as many members stay in the order of their names.
    rooms.sort_by_key(|room| Reverse(room.members));
    let words: Vec<String> = rooms.iter().map(|room| format!("{} ({})", room.name, room.members)).collect();
    let head = match words.len() {
        0 => "no rooms: /join #ROOM opens one".to_owned(),
        1 => "1 room:".to_owned(),
        count => format!("{count} rooms:"),
    };
    listing::answer(call, &head, &words);
    Ok(Outcome::Continue)
}

/// `/topic [TEXT]`: shows the topic of the active room, sets it, or clears it with `-`.
pub(in crate::chat) fn topic(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    let id = call.active_room()?;
    match arguments.text {
        "" => show_topic(call, id),
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
    call.out.tell_room(id, Some(call.member), &Line::Topic { room: &room, by: &by, text });
    call.answer(&answer);
}
