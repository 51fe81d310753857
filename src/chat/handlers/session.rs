//! `/set`, `/ping`, `/listen`, `/quit`, `/help`: what concerns only the person's own connection.

use crate::chat::command::{Answer, Arguments, Call, Refusal, quote};
use crate::chat::long_answer::Listing;
use crate::chat::{Outcome, Style};

/// A key of `/set`. Both its values are words; the first is the one for which the field is set.
struct Setting {
    key: &'static str,
    values: [&'static str; 2],
    brief: &'static str,
    field: fn(&mut Style) -> &mut bool,
}

impl Setting {
    fn value(&self, mut style: Style) -> &'static str {
        self.values[usize::from(!*(self.field)(&mut style))]
    }
}

static SETTINGS: [Setting; 3] = [
    Setting {
        key: "time",
        values: ["hh:mm", "off"],
        brief: "the time before a line",
        field: |style| &mut style.time,
    },
    Setting {
        key: "presence",
        values: ["on", "off"],
        brief: "lines about who joins, leaves or takes another name",
        field: |style| &mut style.presence,
    },
    Setting {
        key: "mode",
        values: ["json", "text"],
        brief: "what lines are, yours too; json is for programs",
        field: |style| &mut style.json,
    },
];

/// `/set [KEY VALUE]`: lists the settings, or changes one.
pub(in crate::chat) fn set(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    if arguments.word.is_empty() {
        list(call);
        return Ok(Outcome::Continue);
    }
    let setting = find(arguments.word)?;
    let is_on = read_value(setting, arguments.text)?;
    let style = &mut call.hub.people[call.member].style;
    *(setting.field)(style) = is_on;
    let style = *style;
    call.out.restyle(call.member, style);
    call.answer(&format!("{} is {}", setting.key, setting.value(style)));
    Ok(Outcome::Continue)
}

fn list(call: &mut Call<'_>) {
    let style = call.person().style;
    for setting in &SETTINGS {
        let [on, off] = setting.values;
        call.answer(&format!(
            "{} is {} ({on} or {off}): {}",
            setting.key,
            setting.value(style),
            setting.brief
        ));
    }
}

fn find(key: &str) -> Result<&'static Setting, Refusal> {
    SETTINGS.iter().find(|setting| setting.key.eq_ignore_ascii_case(key)).ok_or_else(|| {
        let [others @ .., last] = SETTINGS.each_ref().map(|setting| setting.key);
        let others = others.join(", ");
        format!("no key {}; there are {others} and {last}: /set lists them", quote(key)).into()
    })
}

fn read_value(setting: &Setting, value: &str) -> Result<bool, Refusal> {
    let [on, off] = setting.values;
    match value {
        _ if value.eq_ignore_ascii_case(on) => Ok(true),
        _ if value.eq_ignore_ascii_case(off) => Ok(false),
        _ => Err(format!("{} is {on} or {off}, not {}", setting.key, quote(value)).into()),
    }
}

/// `/ping [TOKEN]`: the answer shows that everything sent before it is done.
pub(in crate::chat) fn ping(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    match arguments.word {
        "" => call.answer("pong"),
        token => call.answer(&format!("pong {token}")),
    }
    Ok(Outcome::Continue)
}

/// `/listen`: the connection stays after the end of its input.
pub(in crate::chat) fn listen(call: &mut Call<'_>, _: Arguments<'_>) -> Answer {
    call.answer("you stay after the end of your input and read on; close the connection to leave");
    Ok(Outcome::Listen)
}

/// `/quit [TEXT]`: the end, asked for. A muted person leaves without a word.
pub(in crate::chat) fn quit(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    call.answer("bye");
    let is_muted = call.hub.is_muted(call.member);
    Ok(Outcome::Quit(if is_muted { String::new() } else { arguments.text.to_owned() }))
}

/// What a message is that is no command.
pub(in crate::chat) const PLAIN_TEXT_HELP: &str =
    "Plain text goes to your active room; //text sends a line that starts with /.";

/// `/help [COMMAND]`: all commands with a line each, or all about one.
pub(in crate::chat) fn help(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    if arguments.word.is_empty() {
        call.answer_with(Listing::commands(&call.hub.commands));
    } else {
        explain(call, arguments.word.strip_prefix('/').unwrap_or(arguments.word))?;
    }
    Ok(Outcome::Continue)
}

fn explain(call: &mut Call<'_>, name: &str) -> Result<(), Refusal> {
    let command = call.hub.commands.find(name)?;
    let first = format!("{}: {}", command.usage(), command.brief);
    let lines = std::iter::once(first).chain(command.detail.iter().map(|line| (*line).to_owned()));
    call.answer_with(Listing::of_lines(lines));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::script::{TestChat, play, rules};
    use crate::chat::table::COMMANDS;

    #[test]
    fn settings_are_listed_and_changed() {
        play(
            "alice is here
            bob is here
            alice says /set
            alice sees -- time is hh:mm (hh:mm or off): the time before a line
            alice sees -- presence is on (on or off): lines about who joins, leaves or takes another name
            alice sees -- mode is text (json or text): what lines are, yours too; json is for programs
            alice says /set time off
            alice sees -- time is off
            bob says hi
            alice sees #lobby <bob> hi
            alice says /set PRESENCE Off
            alice sees -- presence is off
            carol is here
            bob says /nick bert
            bob sees -- you are now bert
            carol sees 12:34 #lobby -- bob is now bert
            alice says /set time HH:MM
            alice sees -- time is hh:mm
            alice says /set
            alice sees -- time is hh:mm (hh:mm or off): the time before a line
            alice sees -- presence is off (on or off): lines about who joins, leaves or takes another name
            alice sees -- mode is text (json or text): what lines are, yours too; json is for programs",
        );
    }

    #[test]
    fn what_cannot_be_set_is_refused_with_what_can() {
        play(
            "alice is here
            alice says /set colour off
            alice sees !! no key colour; there are time, presence and mode: /set lists them
            alice says /set time on
            alice sees !! time is hh:mm or off, not on
            alice says /set presence maybe
            alice sees !! presence is on or off, not maybe
            alice says /set time off now
            alice sees !! too many arguments; usage: /set [KEY VALUE]",
        );
    }

    #[test]
    fn ping_gives_its_token_back() {
        play(
            "alice is here
            alice says /ping
            alice sees -- pong
            alice says /ping 17:/x
            alice sees -- pong 17:/x
            alice says /ping a b
            alice sees !! too many arguments; usage: /ping [TOKEN]",
        );
    }

    #[test]
    fn the_engine_hears_of_listen_and_quit() {
        let mut chat = TestChat::new(rules());
        chat.enter("alice");
        chat.read("alice");
        assert_eq!(chat.say("alice", "/listen"), Outcome::Listen);
        assert_eq!(chat.say("alice", "/quit"), Outcome::Quit(String::new()));
        assert_eq!(chat.say("alice", "/quit so  long "), Outcome::Quit("so  long".to_owned()));
        let told = chat.read("alice");
        assert_eq!(
            told,
            [
                "-- you stay after the end of your input and read on; close the connection to leave",
                "-- bye",
                "-- bye"
            ]
        );
        assert!(chat.hub.person(chat.slot("alice")).is_some(), "the engine takes the person out");
    }

    #[test]
    fn muted_people_quit_without_a_text() {
        let mut chat = TestChat::new(rules());
        let alice = chat.enter("alice");
        chat.mute(alice, true);
        assert_eq!(chat.say("alice", "/quit you will hear of me"), Outcome::Quit(String::new()));
    }

    #[test]
    fn one_command_is_explained_with_or_without_its_slash() {
        play(
            "alice is here
            alice says /help /JOIN
            alice sees -- /join #ROOM: enter a room, or make it your active one
            alice sees -- Your text goes to the room joined last. A room begins with its first member.
            alice says /help rooms
            alice sees -- /rooms: list the rooms and how many are in each
            alice says /help frobnicate
            alice sees !! no command /frobnicate; /help lists them
            alice says /help join leave
            alice sees !! too many arguments; usage: /help [COMMAND]",
        );
    }

    #[test]
    fn help_lists_each_command_on_a_line_that_fits_a_terminal() {
        let mut chat = TestChat::new(rules());
        chat.enter("alice");
        chat.read("alice");
        chat.say("alice", "/help");
        let list = chat.read("alice");
        assert_eq!(list.len(), COMMANDS.len() + 1);
        assert_eq!(list[0], "-- /help [COMMAND]   list the commands, or explain one");
        for command in &COMMANDS {
            chat.say("alice", &format!("/help {}", command.name));
        }
        for line in list.into_iter().chain(chat.read("alice")) {
            assert!(line.starts_with("-- ") && line.len() <= 80, "{line}");
        }
    }
}
