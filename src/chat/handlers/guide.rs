//! `/help`

use crate::chat::Outcome;
use crate::chat::command::{Answer, Arguments, Call, Refusal};
use crate::chat::long_answer::Listing;

/// What a message is that is no command.
pub(in crate::chat) const TEXT: &str =
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
    use crate::chat::script::{TestChat, play, rules};
    use crate::chat::table::COMMANDS;

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
