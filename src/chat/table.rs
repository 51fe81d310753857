//! The one table of commands. It names each handler, says which arguments there are, and makes `/help` and the
//! manual's list, so that they cannot differ.

use std::fmt::Write as _;

use super::command::{Answer, Arguments, Call, Refusal, Takes, quote};
use super::handlers::{ignore, people, rooms, session, talk};

/// A row of the table.
#[derive(Debug)]
pub struct Command {
    /// Without its slash.
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    /// What it does, in one line.
    pub(super) brief: &'static str,
    /// What more there is to know, for `/help COMMAND`.
    pub(super) detail: &'static [&'static str],
    /// Whether others read what the person puts into it: refused while muted, unless that is nothing (`/nick` judges
    /// for itself).
    pub(super) speaks: bool,
    /// Whether it does nothing but answer: not run for a person who can receive no answer.
    pub(super) is_question: bool,
    pub(super) run: Run,
}

/// How a command is done.
#[derive(Debug)]
pub(super) enum Run {
    /// At once, by this function.
    Hub(fn(&mut Call<'_>, Arguments<'_>) -> Answer),
    /// Later, by a service.
    Service,
}

impl Command {
    /// A command that a service answers: a question that changes nothing.
    #[must_use]
    pub const fn of_service(
        name: &'static str,
        takes: Takes,
        brief: &'static str,
        detail: &'static [&'static str],
    ) -> Self {
        Self { name, takes, brief, detail, speaks: false, is_question: true, run: Run::Service }
    }

    /// Its name, without its slash.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The same command, as one that carries the person's words to others.
    const fn speaking(mut self) -> Self {
        self.speaks = true;
        self
    }

    /// The same command, as one that changes nothing.
    const fn question(mut self) -> Self {
        self.is_question = true;
        self
    }

    /// The command as it is typed: `/msg NICK TEXT`.
    pub(super) fn usage(&self) -> String {
        format!("/{}{}", self.name, self.takes)
    }
}

const fn command(
    name: &'static str,
    takes: Takes,
    run: fn(&mut Call<'_>, Arguments<'_>) -> Answer,
    brief: &'static str,
    detail: &'static [&'static str],
) -> Command {
    Command { name, takes, brief, detail, speaks: false, is_question: false, run: Run::Hub(run) }
}

/// The longest word, in bytes, that may be a command with a typing error.
const TYPED_MAX: usize = 12;

/// Every command, in the order in which help shows them.
pub(super) static COMMANDS: [Command; 18] = [
    command(
        "help",
        Takes::OptionalWord("COMMAND"),
        session::help,
        "list the commands, or explain one",
        &[session::PLAIN_TEXT_HELP],
    )
    .question(),
    command(
        "nick",
        Takes::Word("NAME"),
        people::nick,
        "take another name",
        &[
            "1 to 24 of ASCII letters, digits, _ - [ ] { } ^ |; not digits alone.",
            "Names are compared without case.",
        ],
    ),
    command(
        "join",
        Takes::Word("#ROOM"),
        rooms::join,
        "enter a room, or make it your active one",
        &["Your text goes to the room joined last. A room begins with its first member."],
    ),
    command(
        "leave",
        Takes::OptionalWord("#ROOM"),
        rooms::leave,
        "leave the active room, or another",
        &["The room active before it becomes the active one.", "A room ends with its last member."],
    ),
    command("rooms", Takes::Nothing, rooms::list, "list the rooms and how many are in each", &[]).question(),
    command(
        "who",
        Takes::OptionalWord("#ROOM"),
        people::who,
        "list who is in the active room, or in another",
        &["Who is away (/away) is marked."],
    )
    .question(),
    command(
        "whois",
        Takes::Word("NICK"),
        people::whois,
        "show since when a person is here, idle time, and rooms",
        &["And why they are away, if they are. Addresses are never shown."],
    )
    .question(),
    command(
        "msg",
        Takes::WordAndText("NICK", "TEXT"),
        talk::msg,
        "say something to one person",
        &["Nobody else reads it; the two need not share a room."],
    )
    .speaking(),
    command(
        "reply",
        Takes::Text("TEXT"),
        talk::reply,
        "answer the last private message",
        &["It follows the person, not the name: a rename in between changes nothing."],
    )
    .speaking(),
    command(
        "me",
        Takes::Text("TEXT"),
        talk::me,
        "say what you do: * alice waves",
        &["It goes to your active room."],
    )
    .speaking(),
    command(
        "topic",
        Takes::OptionalText("TEXT"),
        rooms::topic,
        "show the active room's topic, or set it; /topic - clears it",
        &["A topic has up to 300 bytes and stays as long as the room.", "Whoever joins is shown it."],
    )
    .speaking(),
    command(
        "ignore",
        Takes::OptionalWord("NICK"),
        ignore::ignore,
        "hide a person's messages, or list whom you ignore",
        &[
            "What they say, to a room or to you alone, is not shown; they are not told.",
            "It holds for the name, whoever has it, and for the person until they leave.",
            "That they come and go is shown, without words of theirs.",
        ],
    ),
    command(
        "unignore",
        Takes::Word("NICK"),
        ignore::unignore,
        "show a person's messages again",
        &["The name is one that /ignore lists, or the present one of somebody it lists."],
    ),
    command(
        "away",
        Takes::OptionalText("TEXT"),
        people::away,
        "say why you are away; /away alone: you are back",
        &["/who and /whois show it; what is said still reaches you.", "The text has up to 200 bytes."],
    )
    .speaking(),
    command(
        "set",
        Takes::OptionalPair("KEY", "VALUE"),
        session::set,
        "show or change how your lines look",
        &[
            "/set alone lists the keys and their values.",
            "/set mode json is for programs: every message is one object, both ways.",
        ],
    ),
    command(
        "ping",
        Takes::OptionalWord("TOKEN"),
        session::ping,
        "answer: pong TOKEN",
        &["Everything you sent before it has been dealt with when the answer comes."],
    )
    .question(),
    command(
        "listen",
        Takes::Nothing,
        session::listen,
        "stay connected after the end of your input",
        &["From a script: (echo /listen; echo '/join #ops') | nc -N HOST PORT"],
    ),
    command(
        "quit",
        Takes::OptionalText("TEXT"),
        session::quit,
        "leave, with a last message to your rooms",
        &[],
    ),
];

/// The commands of one hub: those of the table, then those of services.
#[derive(Debug, Default)]
pub(super) struct Commands {
    of_services: Vec<&'static Command>,
}

impl Commands {
    pub(super) fn add(&mut self, commands: &'static [Command]) {
        self.of_services.extend(commands);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'static Command> {
        COMMANDS.iter().chain(self.of_services.iter().copied())
    }

    /// The row for a name, compared without case; or the refusal of a word that is no command, which names the nearest if
    /// one is near.
    pub(super) fn find(&self, name: &str) -> Result<&'static Command, Refusal> {
        if let Some(command) = self.iter().find(|command| command.name.eq_ignore_ascii_case(name)) {
            return Ok(command);
        }
        let quoted = quote(name);
        Err(match self.nearest(name) {
            _ if name.is_empty() => "a command's name follows its /; /help lists them".into(),
            Some(command) => {
                format!("no command /{quoted}; did you mean {}? /help lists all", command.usage()).into()
            }
            None => format!("no command /{quoted}; /help lists them").into(),
        })
    }

    /// The command that a word most likely meant: the only one it begins, or the first of those that differ from it
    /// in the fewest letters, at most two and at most half of its own.
    fn nearest(&self, name: &str) -> Option<&'static Command> {
        // No longer word is near to a command, and a long one is not worth the comparison.
        if name.len() > TYPED_MAX {
            return None;
        }
        let name = name.to_ascii_lowercase();
        let mut begun = self.iter().filter(|command| command.name.starts_with(&name));
        if let (Some(only), None) = (begun.next(), begun.next()) {
            return Some(only);
        }
        let differing = self.iter().map(|command| (strsim::osa_distance(&name, command.name), command));
        let (distance, command) = differing.min_by_key(|(distance, _)| *distance)?;
        (distance <= 2 && distance * 2 <= name.chars().count()).then_some(command)
    }
}

/// The commands as a Markdown table, for the manual.
#[must_use]
pub fn command_table_markdown() -> String {
    let mut table = "| command | does |\n| --- | --- |\n".to_owned();
    for command in &COMMANDS {
        writeln!(table, "| `{}` | {} |", command.usage(), command.brief)
            .expect("writing to a String cannot fail");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::person::AWAY_BYTES_MAX;
    use crate::chat::room::TOPIC_BYTES_MAX;

    #[test]
    fn the_manual_lists_every_command_once() {
        let (table, commands) = (command_table_markdown(), Commands::default());
        assert_eq!(table.lines().count(), COMMANDS.len() + 2);
        for (name, usage) in [
            ("help", "/help [COMMAND]"),
            ("nick", "/nick NAME"),
            ("join", "/join #ROOM"),
            ("leave", "/leave [#ROOM]"),
            ("rooms", "/rooms"),
            ("who", "/who [#ROOM]"),
            ("whois", "/whois NICK"),
            ("msg", "/msg NICK TEXT"),
            ("reply", "/reply TEXT"),
            ("me", "/me TEXT"),
            ("topic", "/topic [TEXT]"),
            ("ignore", "/ignore [NICK]"),
            ("unignore", "/unignore NICK"),
            ("away", "/away [TEXT]"),
            ("set", "/set [KEY VALUE]"),
            ("ping", "/ping [TOKEN]"),
            ("listen", "/listen"),
            ("quit", "/quit [TEXT]"),
        ] {
            let command = commands.find(name).unwrap();
            assert_eq!(command.usage(), usage);
            assert!(table.contains(&format!("\n| `{usage}` | {} |\n", command.brief)));
            assert_eq!(COMMANDS.iter().filter(|command| command.name == name).count(), 1);
        }
    }

    #[test]
    fn nothing_in_the_table_breaks_the_manual() {
        for command in &COMMANDS {
            assert!(!command.brief.contains('|'), "{}: a cell of Markdown ends at |", command.name);
            assert!(!command.brief.ends_with('.'), "{}: a cell is no sentence", command.name);
        }
    }

    #[test]
    fn the_help_of_what_is_kept_tells_its_limit() {
        let commands = Commands::default();
        assert!(commands.find("away").unwrap().detail[1].contains(&format!(" {AWAY_BYTES_MAX} bytes")));
        assert!(commands.find("topic").unwrap().detail[0].contains(&format!(" {TOPIC_BYTES_MAX} bytes")));
    }

    #[test]
    fn the_nearest_command_is_the_one_meant() {
        for (typed, meant) in [
            ("jion", Some("join")),
            ("q", Some("quit")),
            ("LEAV", Some("leave")),
            ("whos", Some("who")),
            ("msgs", Some("msg")),
            ("nik", Some("nick")),
            ("w", None),
            ("x", None),
            ("xyzzy", None),
            ("helphelphelphelp", None),
            ("世界", None),
        ] {
            assert_eq!(Commands::default().nearest(typed).map(|command| command.name), meant, "{typed}");
        }
    }
}
