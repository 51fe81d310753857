//! What a message is, and the one table of commands: it finds the handler, checks the arguments, and makes
//! `/help` and the manual's list, so that none of them can say something else than the others.
//!
//! What a command does is in `handlers`.

use std::borrow::Cow;
use std::fmt;

use super::handlers::{guide, people, rooms, session, talk};
use super::person::Person;
use super::{Delivery, Hub, Line, Outcome, RoomId};
use crate::id::Slot;
use crate::time::Now;

/// The longest piece of somebody's own words that a refusal repeats, in characters.
const QUOTE_MAX: usize = 40;

/// A message, told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// Nothing but white space.
    Blank,
    /// `/NAME ARGUMENTS`, without white space around the two.
    Command { name: &'a str, arguments: &'a str },
    /// To be said as it is.
    Text(&'a str),
}

impl<'a> Message<'a> {
    pub(super) fn read(message: &'a str) -> Self {
        match message.strip_prefix('/') {
            Some(text) if text.starts_with('/') => Self::Text(text),
            Some(command) => {
                let (name, arguments) = split_word(command.trim_end());
                Self::Command { name, arguments }
            }
            None if message.trim_start().is_empty() => Self::Blank,
            None => Self::Text(message),
        }
    }
}

/// Why a message is refused: what was wrong and what to do, for the one `!!` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) Cow<'static, str>);

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self(Cow::Owned(why))
    }
}

impl From<&'static str> for Refusal {
    fn from(why: &'static str) -> Self {
        Self(Cow::Borrowed(why))
    }
}

/// How a command went.
pub(super) type Answer = Result<Outcome, Refusal>;

/// A command under way: whose it is, and all that it can act on.
pub(super) struct Call<'a> {
    pub(super) hub: &'a mut Hub,
    pub(super) member: Slot,
    pub(super) now: Now,
    pub(super) out: &'a mut dyn Delivery,
}

impl Call<'_> {
    /// Whose command it is.
    pub(super) fn person(&self) -> &Person {
        &self.hub.people[self.member]
    }

    /// The room that text goes to.
    pub(super) fn active_room(&self) -> Result<RoomId, Refusal> {
        self.person().active_room()
    }

    /// One `-- ` line of the answer.
    pub(super) fn answer(&mut self, text: &str) {
        self.out.answer(self.member, &Line::Notice(text));
    }
}

/// The arguments of a command, checked against the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arguments<'a> {
    /// The first word, where the command takes one; empty when it was left out.
    pub(super) word: &'a str,
    /// What follows, or all of it where the command takes only text; empty when it was left out.
    pub(super) text: &'a str,
}

/// Which arguments a command takes, by the names that its usage shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    OptionalPair(&'static str, &'static str),
    OptionalText(&'static str),
    OptionalWord(&'static str),
    Text(&'static str),
    Word(&'static str),
    WordAndText(&'static str, &'static str),
}

impl Takes {
    /// Splits the arguments, or says whether there are too few or too many.
    fn split(self, arguments: &str) -> Result<Arguments<'_>, &'static str> {
        let (word, text) = split_word(arguments);
        let is_two_words = !text.is_empty() && !text.contains(char::is_whitespace);
        match self {
            Self::Text(_) | Self::WordAndText(..) | Self::Word(_) if word.is_empty() => Err("too few"),
            Self::WordAndText(..) if text.is_empty() => Err("too few"),
            Self::OptionalPair(..) if !word.is_empty() && text.is_empty() => Err("too few"),
            Self::Nothing if !word.is_empty() => Err("too many"),
            Self::OptionalWord(_) | Self::Word(_) if !text.is_empty() => Err("too many"),
            Self::OptionalPair(..) if !word.is_empty() && !is_two_words => Err("too many"),
            Self::OptionalText(_) | Self::Text(_) => Ok(Arguments { word: "", text: arguments }),
            _ => Ok(Arguments { word, text }),
        }
    }
}

impl fmt::Display for Takes {
    /// As it follows the command's name, with a blank before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::OptionalPair(first, second) => write!(f, " [{first} {second}]"),
            Self::OptionalText(only) | Self::OptionalWord(only) => write!(f, " [{only}]"),
            Self::Text(only) | Self::Word(only) => write!(f, " {only}"),
            Self::WordAndText(first, second) => write!(f, " {first} {second}"),
        }
    }
}

/// A row of the table.
pub(super) struct Command {
    /// Without its slash.
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    /// What it does, in one line.
    pub(super) brief: &'static str,
    /// What more there is to know, for `/help COMMAND`.
    pub(super) detail: &'static [&'static str],
    /// Whether others hear what the person puts into it: refused while muted.
    is_heard: bool,
    run: fn(&mut Call<'_>, Arguments<'_>) -> Answer,
}

impl Command {
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
    Command { name, takes, brief, detail, is_heard: false, run }
}

/// A command that carries the person's words to others.
const fn heard(command: Command) -> Command {
    Command { is_heard: true, ..command }
}

/// Every command, in the order in which help shows them.
pub(super) static COMMANDS: [Command; 15] = [
    command(
        "help",
        Takes::OptionalWord("COMMAND"),
        guide::help,
        "list the commands, or explain one",
        &["Text without a / goes to your active room; // sends a line that starts with /."],
    ),
    heard(command(
        "nick",
        Takes::Word("NAME"),
        people::nick,
        "take another name",
        &[
            "1 to 24 of ASCII letters, digits, _ - [ ] { } ^ |, at least one of them no digit.",
            "Names are compared without case.",
        ],
    )),
    command(
        "join",
        Takes::Word("#ROOM"),
        rooms::join,
        "enter a room, or make it your active one",
        &["Your text goes to the room you joined last. A room begins with its first member."],
    ),
    command(
        "leave",
        Takes::OptionalWord("#ROOM"),
        rooms::leave,
        "leave the active room, or another",
        &["The room active before it becomes the active one. A room ends with its last member."],
    ),
    command("rooms", Takes::Nothing, rooms::list, "list the rooms and how many are in each", &[]),
    command(
        "who",
        Takes::OptionalWord("#ROOM"),
        people::who,
        "list who is in the active room, or in another",
        &[],
    ),
    command(
        "whois",
        Takes::Word("NICK"),
        people::whois,
        "tell since when somebody is here, how long idle, and in which rooms",
        &["Addresses are never shown."],
    ),
    heard(command(
        "msg",
        Takes::WordAndText("NICK", "TEXT"),
        talk::msg,
        "say something to one person",
        &["Nobody else reads it; the two need not share a room."],
    )),
    heard(command(
        "reply",
        Takes::Text("TEXT"),
        talk::reply,
        "answer whoever last wrote to you alone",
        &["It follows the person, not the name: a rename in between changes nothing."],
    )),
    heard(command(
        "me",
        Takes::Text("TEXT"),
        talk::me,
        "say what you do: * alice waves",
        &["It goes to your active room."],
    )),
    heard(command(
        "topic",
        Takes::OptionalText("TEXT"),
        rooms::topic,
        "show the active room's topic, or set it; /topic - clears it",
        &["A topic has up to 300 bytes, stays as long as the room, and is shown to whoever joins."],
    )),
    command(
        "set",
        Takes::OptionalPair("KEY", "VALUE"),
        session::set,
        "show how you want your lines, or change it",
        &["/set alone lists the keys and their values."],
    ),
    command(
        "ping",
        Takes::OptionalWord("TOKEN"),
        session::ping,
        "answer: pong TOKEN",
        &["Everything you sent before it has been dealt with when the answer comes."],
    ),
    command(
        "listen",
        Takes::Nothing,
        session::listen,
        "stay connected after the end of your input",
        &["For a listener whose input is at its end: (echo /listen; echo '/join #ops') | nc -N HOST PORT"],
    ),
    command(
        "quit",
        Takes::OptionalText("TEXT"),
        session::quit,
        "leave, with a last word for your rooms",
        &[],
    ),
];

/// The row for a name, compared without case.
pub(super) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name.eq_ignore_ascii_case(name))
}

/// Does a command, if it exists, is allowed, and has the arguments it takes.
pub(super) fn run(call: &mut Call<'_>, name: &str, arguments: &str) -> Answer {
    let command = find(name).ok_or_else(|| unknown(name))?;
    if command.is_heard {
        call.person().check_voice()?;
    }
    let arguments = command
        .takes
        .split(arguments)
        .map_err(|count| format!("{count} arguments; usage: {}", command.usage()))?;
    (command.run)(call, arguments)
}

/// The refusal of a word that is no command: names the nearest, if one is near.
pub(super) fn unknown(name: &str) -> Refusal {
    let quoted = quote(name);
    match nearest(name) {
        _ if name.is_empty() => "a command's name follows its /; /help lists them".into(),
        Some(command) => format!("no command /{quoted}; did you mean {}?", command.usage()).into(),
        None => format!("no command /{quoted}; /help lists them").into(),
    }
}

/// The command that a word most likely meant: the only one it begins, or the first of those that differ from it
/// in the fewest letters, at most two and fewer than half of its own.
fn nearest(name: &str) -> Option<&'static Command> {
    let name = name.to_ascii_lowercase();
    let mut begun = COMMANDS.iter().filter(|command| command.name.starts_with(&name));
    if let (Some(only), None) = (begun.next(), begun.next()) {
        return Some(only);
    }
    let differing = COMMANDS.iter().map(|command| (distance(&name, command.name), command));
    let (distance, command) = differing.min_by_key(|(distance, _)| *distance)?;
    (distance <= 2 && distance * 2 < name.len()).then_some(command)
}

/// How many letters must be changed, added, left out or swapped with their neighbour to make one word of the
/// other (the restricted Damerau-Levenshtein distance). Words longer than any command count as far apart.
fn distance(typed: &str, name: &str) -> usize {
    const LONGEST: usize = 12;
    let (typed, name) = (typed.as_bytes(), name.as_bytes());
    if typed.len() > LONGEST || name.len() > LONGEST {
        return LONGEST;
    }
    let mut rows = [[0; LONGEST + 1]; LONGEST + 1];
    for i in 0..=typed.len() {
        for j in 0..=name.len() {
            rows[i][j] = match (i, j) {
                (0, _) | (_, 0) => i + j,
                _ => {
                    let changed = rows[i - 1][j - 1] + usize::from(typed[i - 1] != name[j - 1]);
                    let least = changed.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                    let is_swap =
                        i > 1 && j > 1 && typed[i - 1] == name[j - 2] && typed[i - 2] == name[j - 1];
                    if is_swap { least.min(rows[i - 2][j - 2] + 1) } else { least }
                }
            };
        }
    }
    rows[typed.len()][name.len()]
}

/// Somebody's own word as a refusal repeats it: cut when it is long.
pub(super) fn quote(word: &str) -> Cow<'_, str> {
    match word.char_indices().nth(QUOTE_MAX) {
        Some((end, _)) => Cow::Owned(format!("{}…", &word[..end])),
        None => Cow::Borrowed(word),
    }
}

/// The first word of a line, and what follows it without the white space between.
fn split_word(line: &str) -> (&str, &str) {
    line.split_once(char::is_whitespace).map_or((line, ""), |(word, rest)| (word, rest.trim_start()))
}

/// The commands as a Markdown table, for the manual.
#[must_use]
pub fn command_table_markdown() -> String {
    let mut table = "| command | does |\n| --- | --- |\n".to_owned();
    for command in &COMMANDS {
        table += &format!("| `{}` | {} |\n", command.usage(), command.brief);
    }
    table
}
