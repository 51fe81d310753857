//! `/ignore`, `/unignore`: whose messages a person does not read.

use crate::chat::command::{Answer, Arguments, Call, Refusal, quote};
use crate::chat::ignores::Ignored;
use crate::chat::long_answer::{Listing, wrap};
use crate::chat::names::NameError;
use crate::chat::person::Contact;
use crate::chat::{Hub, Nick, Outcome};
use crate::id::Slot;

/// `/ignore [NICK]`: lists whom the person ignores, or adds one. The ignored person is not notified.
pub(in crate::chat) fn ignore(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    if arguments.word.is_empty() {
        list(call);
        return Ok(Outcome::Continue);
    }
    let (name, person) = ignorable(call, arguments.word)?;
    if !is_full(call) {
        call.hub.ignores.add(call.member, name, person);
    }
    let absent = if person.is_none() { ", who is not here" } else { "" };
    call.answer(&format!("you ignore {name}{absent}; /unignore {name} ends it"));
    Ok(Outcome::Continue)
}

fn list(call: &mut Call<'_>) {
    let ignored = call.hub.ignores.of(call.member);
    let head = match ignored.len() {
        0 => "you ignore nobody".to_owned(),
        count => format!("you ignore {count}:"),
    };
    let names = ignored.iter().map(|ignored| listed(call.hub, ignored));
    call.answer_with(Listing::of_lines(wrap(head, names)));
}

/// The name that was asked for, and by what name that person goes now.
fn listed(hub: &Hub, ignored: &Ignored) -> String {
    let now = ignored.person.and_then(|person| hub.slot_of(person)).map(|slot| hub.people[slot].nick);
    match now {
        Some(now) if now != ignored.name => format!("{} (now {now})", ignored.name),
        _ => ignored.name.to_string(),
    }
}

/// A name that the person may ignore, and the person who has it, if there is one.
fn ignorable(call: &Call<'_>, word: &str) -> Result<(Nick, Option<Contact>), Refusal> {
    let (name, slot) = name_and_owner(call, word)
        .map_err(|why| format!("{}: {why}; /ignore NICK takes a name", quote(word)))?;
    if slot == Some(call.member) {
        return Err("you cannot ignore yourself; /ignore NICK takes the name of another".into());
    }
    let person = slot.map(|slot| &call.hub.people[slot]);
    let is_ignored = person.is_some_and(|person| call.hub.ignores.has(call.member, person))
        || call.hub.ignores.has_name(call.member, &name);
    if is_full(call) && !is_ignored {
        let most = call.hub.rules.ignores_per_client;
        return Err(format!("you may ignore {most} at a time; /unignore one first").into());
    }
    Ok((name, slot.map(|slot| Contact { id: call.hub.people[slot].id, slot })))
}

/// Whether no further entry fits in the person's list.
fn is_full(call: &Call<'_>) -> bool {
    call.hub.ignores.of(call.member).len() >= call.hub.rules.ignores_per_client as usize
}

/// A name, as its owner writes it if there is one.
fn name_and_owner(call: &Call<'_>, word: &str) -> Result<(Nick, Option<Slot>), NameError> {
    let name = Nick::of_anybody(word)?;
    let slot = call.hub.by_nick(&name);
    Ok((slot.map_or(name, |slot| call.hub.people[slot].nick), slot))
}

/// `/unignore NICK`: ends it, for a person who need not be here, by a name that is listed or the present one.
pub(in crate::chat) fn unignore(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    let unknown = || format!("you do not ignore {}; /ignore lists whom you do", quote(arguments.word)).into();
    let (name, slot) = name_and_owner(call, arguments.word).map_err(|_| unknown())?;
    let person = slot.map(|slot| call.hub.people[slot].id);
    if !call.hub.ignores.remove(call.member, &name, person) {
        return Err(unknown());
    }
    call.answer(&format!("you no longer ignore {name}"));
    Ok(Outcome::Continue)
}

#[cfg(test)]
mod tests {
    use crate::chat::script::{TestChat, play, rules};

    /// Plays a script that begins with two in the lobby, of whom one ignores the other.
    fn alice_ignores_mallory(script: &str) {
        let mut chat = TestChat::new(rules());
        chat.play(
            "alice is here
            mallory is here
            alice says /ignore mallory
            alice sees -- you ignore mallory; /unignore mallory ends it",
        );
        chat.play(script);
    }

    #[test]
    fn no_words_of_an_ignored_person_are_shown_in_topics_renames_and_quits() {
        play(
            "alice is here
            bob is here
            mallory is here
            alice says /ignore mallory
            alice sees -- you ignore mallory; /unignore mallory ends it
            mallory says /topic read this
            mallory sees -- topic of #lobby set: read this
            bob sees 12:34 #lobby -- mallory set the topic: read this
            mallory says /nick read_this
            mallory sees -- you are now read_this
            bob sees 12:34 #lobby -- mallory is now read_this
            mallory says /nick mallory
            mallory sees -- you are now mallory
            bob sees 12:34 #lobby -- read_this is now mallory
            mallory goes quit: read this
            bob sees 12:34 #lobby <-- mallory (quit: read this)
            alice sees 12:34 #lobby <-- mallory (quit)",
        );
    }

    #[test]
    fn a_name_that_is_ignored_alone_hides_the_rename_to_and_from_it() {
        play(
            "alice is here
            alice says /ignore mallory
            alice sees -- you ignore mallory, who is not here; /unignore mallory ends it
            bob is here
            bob says /nick mallory
            bob sees -- you are now mallory
            bob says /nick bob
            bob sees -- you are now bob
            bob goes quit: bye
            alice sees 12:34 #lobby <-- bob (quit: bye)",
        );
    }

    #[test]
    fn an_ignored_person_is_read_by_the_others_only() {
        play(
            "alice is here
            bob is here
            mallory is here
            alice says /ignore MALLORY
            alice sees -- you ignore mallory; /unignore mallory ends it
            mallory says hi
            bob sees 12:34 #lobby <mallory> hi
            mallory says /me waves
            bob sees 12:34 #lobby * mallory waves
            mallory says /msg alice psst
            mallory sees 12:34 [mallory -> alice] psst
            bob says who is that?
            alice sees 12:34 #lobby <bob> who is that?
            mallory sees 12:34 #lobby <bob> who is that?
            alice says not my friend
            bob sees 12:34 #lobby <alice> not my friend
            mallory sees 12:34 #lobby <alice> not my friend
            alice says /unignore mallory
            alice sees -- you no longer ignore mallory
            mallory says still here
            alice sees 12:34 #lobby <mallory> still here
            bob sees 12:34 #lobby <mallory> still here",
        );
    }

    #[test]
    fn another_name_is_no_way_out_nor_is_another_connection() {
        alice_ignores_mallory(
            "mallory says /nick eve
            mallory sees -- you are now eve
            mallory says it is me
            alice says /ignore
            alice sees -- you ignore 1: mallory (now eve)
            second arrives
            alice sees 12:34 #lobby --> guest-3
            mallory sees 12:34 #lobby --> guest-3
            second sees -- chatops: you are guest-3 in #lobby (3 here). /help lists the commands.
            second says who am I?
            alice sees 12:34 #lobby <guest-3> who am I?
            mallory sees 12:34 #lobby <guest-3> who am I?
            second says /nick MALLORY
            second sees -- you are now MALLORY
            mallory sees 12:34 #lobby -- guest-3 is now MALLORY
            second says it is me again
            mallory sees 12:34 #lobby <MALLORY> it is me again
            second says /msg alice psst
            second sees 12:34 [MALLORY -> alice] psst",
        );
    }

    #[test]
    fn a_person_that_has_left_can_be_ignored_by_name() {
        play(
            "alice is here
            spammer is here
            spammer says buy
            alice sees 12:34 #lobby <spammer> buy
            spammer goes end of input
            alice sees 12:34 #lobby <-- spammer (end of input)
            alice says /ignore Spammer
            alice sees -- you ignore Spammer, who is not here; /unignore Spammer ends it
            again is here
            again says /nick spammer
            again sees -- you are now spammer
            again says buy",
        );
    }

    #[test]
    fn a_name_that_was_borrowed_is_free_again() {
        alice_ignores_mallory(
            "mallory says /nick bob
            mallory sees -- you are now bob
            mallory goes quit
            alice sees 12:34 #lobby <-- bob (quit)
            bob is here
            bob says hi
            alice sees 12:34 #lobby <bob> hi",
        );
    }

    #[test]
    fn a_person_that_had_an_ignored_name_is_read_under_another() {
        alice_ignores_mallory(
            "mallory goes quit
            alice sees 12:34 #lobby <-- mallory (quit)
            carol is here
            carol says /nick mallory
            carol sees -- you are now mallory
            carol says do you hear me?
            carol says /nick carol
            carol sees -- you are now carol
            carol says and now?
            alice sees 12:34 #lobby <carol> and now?",
        );
    }

    #[test]
    fn unignore_takes_the_listed_name_or_the_present_one() {
        alice_ignores_mallory(
            "mallory says /nick eve
            mallory sees -- you are now eve
            alice says /unignore eve
            alice sees -- you no longer ignore eve
            mallory says hi
            alice sees 12:34 #lobby <eve> hi
            alice says /ignore eve
            alice sees -- you ignore eve; /unignore eve ends it
            mallory goes quit
            alice sees 12:34 #lobby <-- eve (quit)
            alice says /unignore EVE
            alice sees -- you no longer ignore EVE
            alice says /ignore
            alice sees -- you ignore nobody",
        );
    }

    #[test]
    fn an_ignored_private_line_is_not_replied_to() {
        alice_ignores_mallory(
            "mallory says /msg alice psst
            mallory sees 12:34 [mallory -> alice] psst
            alice says /reply what?
            alice sees !! nobody has written to you alone; /msg NICK TEXT
            alice says /msg mallory leave me alone
            alice sees 12:34 [alice -> mallory] leave me alone
            mallory sees 12:34 [alice -> mallory] leave me alone",
        );
    }

    #[test]
    fn a_successor_in_the_slot_ignores_no_person() {
        alice_ignores_mallory(
            "alice goes quit
            mallory sees 12:34 #lobby <-- alice (quit)
            bob is here
            mallory says hi
            bob sees 12:34 #lobby <mallory> hi",
        );
    }

    #[test]
    fn names_that_cannot_be_ignored_are_refused() {
        let mut chat = TestChat::new(rules());
        chat.play(
            "alice is here
            alice says /ignore
            alice sees -- you ignore nobody
            alice says /ignore alice
            alice sees !! you cannot ignore yourself; /ignore NICK takes the name of another
            alice says /ignore a/b
            alice sees !! a/b: a name is made of ASCII letters, digits and _ - [ ] { } ^ |; /ignore NICK takes a name
            alice says /unignore dave
            alice sees !! you do not ignore dave; /ignore lists whom you do
            alice says /unignore #?!
            alice sees !! you do not ignore #?!; /ignore lists whom you do",
        );
        for name in ["bob", "carol", "dave"] {
            chat.act(&format!("{name} is here"));
        }
        chat.play(
            "alice says /ignore dave
            alice sees -- you ignore dave; /unignore dave ends it
            alice says /ignore bob
            alice sees -- you ignore bob; /unignore bob ends it
            alice says /ignore carol
            alice sees !! you may ignore 2 at a time; /unignore one first
            alice says /ignore BOB
            alice sees -- you ignore bob; /unignore bob ends it
            dave says /nick eve
            dave sees -- you are now eve
            bob sees 12:34 #lobby -- dave is now eve
            carol sees 12:34 #lobby -- dave is now eve
            alice says /ignore eve
            alice sees -- you ignore eve; /unignore eve ends it
            alice says /ignore
            alice sees -- you ignore 2: bob dave (now eve)",
        );
    }
}
