//! `/ignore`, `/unignore`: whom one does not want to hear.

use super::listing;
use super::people::known_person;
use crate::chat::command::{Answer, Arguments, Call, Refusal, quote};
use crate::chat::{Nick, Outcome};

/// `/ignore [NICK]`: lists whom the person ignores, or adds one. Whoever is ignored is not told.
pub(in crate::chat) fn ignore(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    if arguments.word.is_empty() {
        list(call);
        return Ok(Outcome::Continue);
    }
    let name = ignorable(call, arguments.word)?;
    call.hub.ignores.add(call.member, name);
    call.answer(&format!("you ignore {name}; /unignore {name} ends it"));
    Ok(Outcome::Continue)
}

fn list(call: &mut Call<'_>) {
    let names = call.hub.ignores.of(call.member);
    let head = match names.len() {
        0 => "you ignore nobody".to_owned(),
        count => format!("you ignore {count}:"),
    };
    let lines = listing::lines(&head, names.map(Nick::as_str));
    listing::answer(call, &lines);
}

/// The name of somebody who is here and whom the person may ignore.
fn ignorable(call: &Call<'_>, word: &str) -> Result<Nick, Refusal> {
    let slot = known_person(call, word)?;
    if slot == call.member {
        return Err("you cannot ignore yourself; /ignore NICK takes the name of another".into());
    }
    let name = call.hub.people[slot].nick;
    let (ignores, most) = (&call.hub.ignores, call.hub.rules.ignores_per_client);
    if ignores.of(call.member).len() >= most as usize && !ignores.has(call.member, &name) {
        return Err(format!("you may ignore {most} at a time; /unignore one first").into());
    }
    Ok(name)
}

/// `/unignore NICK`: hears somebody again, who need not be here.
pub(in crate::chat) fn unignore(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    let name = Nick::of_anybody(arguments.word).ok();
    let removed = name.and_then(|name| call.hub.ignores.remove(call.member, &name));
    let Some(name) = removed else {
        let word = quote(arguments.word);
        return Err(format!("you do not ignore {word}; /ignore lists whom you do").into());
    };
    call.answer(&format!("you no longer ignore {name}"));
    Ok(Outcome::Continue)
}

#[cfg(test)]
mod tests {
    use crate::chat::script::{Stage, play, rules};

    #[test]
    fn whoever_is_ignored_is_heard_by_the_others_only() {
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
    fn what_happens_to_a_room_is_told_whoever_does_it() {
        play(
            "alice is here
            mallory is here
            alice says /ignore mallory
            alice sees -- you ignore mallory; /unignore mallory ends it
            mallory says /topic deploys
            mallory sees -- topic of #lobby set: deploys
            alice sees 12:34 #lobby -- mallory set the topic: deploys
            mallory says /nick eve
            mallory sees -- you are now eve
            alice sees 12:34 #lobby -- mallory is now eve
            mallory goes quit
            alice sees 12:34 #lobby <-- eve (quit)",
        );
    }

    #[test]
    fn another_name_or_another_connection_is_no_way_out() {
        play(
            "alice is here
            mallory is here
            alice says /ignore mallory
            alice sees -- you ignore mallory; /unignore mallory ends it
            mallory says /nick eve
            mallory sees -- you are now eve
            alice sees 12:34 #lobby -- mallory is now eve
            mallory says it is me
            alice says /ignore
            alice sees -- you ignore 1: eve
            mallory goes quit
            alice sees 12:34 #lobby <-- eve (quit)
            eve enters
            alice sees 12:34 #lobby --> guest-3
            eve sees -- chatops: you are guest-3 in #lobby (2 here). /help lists the commands.
            eve says who am I?
            alice sees 12:34 #lobby <guest-3> who am I?
            eve says /nick EVE
            eve sees -- you are now EVE
            alice sees 12:34 #lobby -- guest-3 is now EVE
            eve says it is me again",
        );
    }

    #[test]
    fn a_private_line_that_is_not_heard_is_not_replied_to() {
        play(
            "alice is here
            mallory is here
            alice says /ignore mallory
            alice sees -- you ignore mallory; /unignore mallory ends it
            mallory says /msg alice psst
            mallory sees 12:34 [mallory -> alice] psst
            alice says /reply what?
            alice sees !! nobody has written to you alone; /msg NICK TEXT
            alice says /msg mallory leave me alone
            alice sees 12:34 [alice -> mallory] leave me alone
            mallory sees 12:34 [alice -> mallory] leave me alone",
        );
    }

    #[test]
    fn a_successor_in_the_slot_ignores_nobody() {
        play(
            "alice is here
            mallory is here
            alice says /ignore mallory
            alice sees -- you ignore mallory; /unignore mallory ends it
            alice goes quit
            mallory sees 12:34 #lobby <-- alice (quit)
            bob is here
            mallory says hi
            bob sees 12:34 #lobby <mallory> hi",
        );
    }

    #[test]
    fn names_that_cannot_be_ignored_are_refused() {
        let mut stage = Stage::new(rules());
        stage.play(
            "alice is here
            alice says /ignore
            alice sees -- you ignore nobody
            alice says /ignore alice
            alice sees !! you cannot ignore yourself; /ignore NICK takes the name of another
            alice says /ignore dave
            alice sees !! nobody is called dave; /who lists who is in your room
            alice says /unignore dave
            alice sees !! you do not ignore dave; /ignore lists whom you do
            alice says /unignore #?!
            alice sees !! you do not ignore #?!; /ignore lists whom you do",
        );
        for name in ["bob", "carol", "dave"] {
            stage.act(&format!("{name} is here"));
        }
        stage.play(
            "alice says /ignore dave
            alice sees -- you ignore dave; /unignore dave ends it
            alice says /ignore bob
            alice sees -- you ignore bob; /unignore bob ends it
            alice says /ignore carol
            alice sees !! you may ignore 2 at a time; /unignore one first
            alice says /ignore BOB
            alice sees -- you ignore bob; /unignore bob ends it
            alice says /ignore
            alice sees -- you ignore 2: bob dave",
        );
    }
}
