//! `/msg`, `/reply`, `/me`: saying something otherwise than as plain text.

use super::people::known_person;
use crate::chat::command::{Answer, Arguments, Call};
use crate::chat::person::Contact;
use crate::chat::{Line, Outcome};
use crate::id::Slot;

/// `/msg NICK TEXT`: to one person alone.
pub(in crate::chat) fn msg(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    let to = known_person(call, arguments.word)?;
    whisper(call, to, arguments.text);
    Ok(Outcome::Continue)
}

/// `/reply TEXT`: to whoever last wrote to the person alone, by whatever name it goes now.
pub(in crate::chat) fn reply(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    let contact = call.person().correspondent.ok_or("nobody has written to you alone; /msg NICK TEXT")?;
    let to = call.hub.slot_of(contact).ok_or("whoever wrote to you last has left; /msg NICK TEXT")?;
    whisper(call, to, arguments.text);
    Ok(Outcome::Continue)
}

/// Both read the same line. To oneself it comes once.
fn whisper(call: &mut Call<'_>, to: Slot, text: &str) {
    let person = call.person();
    let (from, sender) = (person.nick, Contact { id: person.id, slot: call.member });
    let line = Line::Private { from: &from, to: &call.hub.people[to].nick, text };
    call.out.answer(call.member, &line);
    if to != call.member {
        call.out.tell(to, &line);
        call.hub.people[to].correspondent = Some(sender);
    }
}

/// `/me TEXT`: an act, in the active room.
pub(in crate::chat) fn me(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    let id = call.active_room()?;
    let from = call.person().nick;
    let line = Line::Action { room: &call.hub.rooms[id].name, from: &from, text: arguments.text };
    call.out.tell_room(id, Some(call.member), &line);
    Ok(Outcome::Continue)
}
