//! `/msg`, `/reply`, `/me`: saying something in another form than as plain text.

use super::people::known_person;
use crate::chat::command::{Answer, Arguments, Call};
use crate::chat::person::Contact;
use crate::chat::{Kind, Line, Message, Origin, Outcome};
use crate::id::Slot;

/// `/msg NICK TEXT`: to one person alone.
pub(in crate::chat) fn msg(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    let to = known_person(call, arguments.word)?;
    whisper(call, to, arguments.text);
    Ok(Outcome::Continue)
}

/// `/reply TEXT`: to the sender of the last private message, whatever its name is now.
pub(in crate::chat) fn reply(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    let contact = call.person().correspondent.ok_or("nobody has written to you alone; /msg NICK TEXT")?;
    let to = call.hub.slot_of(contact).ok_or("whoever wrote to you last has left; /msg NICK TEXT")?;
    whisper(call, to, arguments.text);
    Ok(Outcome::Continue)
}

/// Both read the same line. To oneself it comes once, and to one who ignores the sender not at all: the sender does not
/// learn of it.
fn whisper(call: &mut Call<'_>, to: Slot, text: &str) {
    let person = call.person();
    let (from, sender) = (person.nick, Contact { id: person.id, slot: call.member });
    let kind = Kind::Private { to: call.hub.people[to].nick };
    let (at, text) = (call.now.wall, text.to_owned());
    let message = Message { at, origin: Origin::Home, room: None, from: Some(from), kind, text };
    let line = Line::Message(&message);
    call.out.answer(call.member, &line);
    if to != call.member && !call.hub.ignores.has(to, call.person()) {
        call.out.tell(to, &line);
        call.hub.people[to].correspondent = Some(sender);
    }
}

/// `/me TEXT`: an act, in the active room.
pub(in crate::chat) fn me(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    let id = call.active_room()?;
    call.hub.introduce(call.member, id, call.now, call.out);
    let from = call.person().nick;
    let (room, text) = (call.hub.rooms[id].name, arguments.text.to_owned());
    let message = Message::in_room(call.now.wall, room, from, Kind::Action, text);
    call.out.tell_room(id, &call.hub.excluded(call.member, id), &Line::Message(&message));
    Ok(Outcome::Continue)
}

#[cfg(test)]
mod tests {
    use crate::chat::script::{TestChat, play, rules};

    #[test]
    fn a_private_line_is_read_by_two() {
        play(
            "alice is here
            bob is here
            carol is here
            alice says /msg BOB  two  words
            alice sees 12:34 [alice -> bob] two  words
            bob sees 12:34 [alice -> bob] two  words
            alice says /msg alice note
            alice sees 12:34 [alice -> alice] note
            alice says /msg dave hi
            alice sees !! nobody is called dave; /who lists who is in your room",
        );
    }

    #[test]
    fn the_sender_of_a_private_line_gets_it_as_its_answer() {
        let mut chat = TestChat::new(rules());
        chat.play("alice is here\n bob is here");
        let before = chat.recorder.answers;
        chat.say("alice", "/msg bob hi");
        assert_eq!(
            chat.recorder.answers,
            before + 1,
            "what bob gets may be skipped, what alice gets may not"
        );
    }

    #[test]
    fn a_reply_follows_the_person() {
        play(
            "alice is here
            bob is here
            bob says /reply hi
            bob sees !! nobody has written to you alone; /msg NICK TEXT
            alice says /msg bob hi
            alice sees 12:34 [alice -> bob] hi
            bob sees 12:34 [alice -> bob] hi
            alice says /nick ann
            alice sees -- you are now ann
            bob sees 12:34 #lobby -- alice is now ann
            bob says /msg bob a note to oneself
            bob sees 12:34 [bob -> bob] a note to oneself
            bob says /reply well  hello
            alice sees 12:34 [bob -> ann] well  hello
            bob sees 12:34 [bob -> ann] well  hello
            alice says /reply
            alice sees !! too few arguments; usage: /reply TEXT",
        );
    }

    #[test]
    fn a_reply_never_reaches_a_successor() {
        play(
            "alice is here
            bob is here
            alice says /msg bob hi
            alice sees 12:34 [alice -> bob] hi
            bob sees 12:34 [alice -> bob] hi
            alice goes quit
            bob sees 12:34 #lobby <-- alice (quit)
            mallory is here
            mallory says /nick alice
            mallory sees -- you are now alice
            bob sees 12:34 #lobby -- mallory is now alice
            bob says /reply secret
            bob sees !! whoever wrote to you last has left; /msg NICK TEXT",
        );
    }

    #[test]
    fn an_action_is_sent_to_the_others() {
        play(
            "alice is here
            bob is here
            alice says /me waves  twice
            bob sees 12:34 #lobby * alice waves  twice
            alice says /me
            alice sees !! too few arguments; usage: /me TEXT",
        );
    }
}
