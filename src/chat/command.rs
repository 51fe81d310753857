//! From a message to a command that may be run: distinguished from text, found in the table, its arguments counted.
//!
//! Which commands there are is in `table`, what each does in `handlers`.

use std::borrow::Cow;
use std::fmt;

use super::long_answer::Listing;
use super::person::Person;
use super::table::Run;
use super::{Delivery, Hub, Line, Outcome, RoomId};
use crate::id::Slot;
use crate::time::Now;
use crate::wire::text::{is_blank, is_blank_sign};

/// The longest piece of a person's own input that a refusal repeats, in characters.
const QUOTE_MAX: usize = 40;

/// A message of a person: text, or a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parsed<'a> {
    /// Nothing that would be seen.
    Blank,
    /// `/NAME ARGUMENTS`, without white space around the two.
    Command { name: &'a str, arguments: &'a str },
    /// To be said as it is.
    Text(&'a str),
}

impl<'a> Parsed<'a> {
    pub(super) fn read(message: &'a str) -> Self {
        match message.strip_prefix('/') {
            Some(text) if text.starts_with('/') => Self::Text(text),
            Some(command) => {
                let (name, arguments) = split_word(command.trim_end_matches(is_blank_sign));
                Self::Command { name, arguments }
            }
            None if is_blank(message) => Self::Blank,
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

    /// An answer of any number of `-- ` lines, made as the person takes them.
    pub(super) fn answer_with(&mut self, listing: Listing) {
        self.hub.begin_answer(self.member, listing, self.out);
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

impl Arguments<'_> {
    /// Whether there are none.
    const fn is_empty(self) -> bool {
        self.word.is_empty() && self.text.is_empty()
    }
}

/// Which arguments a command takes, by the names that its usage shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// None.
    Nothing,
    /// Two words, or none.
    OptionalPair(&'static str, &'static str),
    /// A text, or none.
    OptionalText(&'static str),
    /// One word, or none.
    OptionalWord(&'static str),
    /// A text.
    Text(&'static str),
    /// One word.
    Word(&'static str),
    /// A word and then a text.
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

/// Runs a command, if it exists, is allowed, and has the arguments it takes.
pub(super) fn run(call: &mut Call<'_>, name: &str, arguments: &str) -> Answer {
    let command = call.hub.commands.find(name)?;
    let split = command
        .takes
        .split(arguments)
        .map_err(|count| format!("{count} arguments; usage: {}", command.usage()))?;
    if command.speaks && !split.is_empty() {
        call.person().check_voice()?;
    }
    if command.is_question && !call.out.is_reachable(call.member) {
        return Ok(Outcome::Continue);
    }
    match command.run {
        Run::Hub(run) => run(call, split),
        Run::Service => {
            Ok(Outcome::Pending(Box::new(call.hub.begin_job(call.member, command.name, arguments))))
        }
    }
}

/// A word of the person's input as a refusal repeats it: cut when it is long.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chat::script::play;

    #[test]
    fn a_slash_begins_a_command_and_two_begin_text() {
        let command = |name, arguments| Parsed::Command { name, arguments };
        for (message, read) in [
            ("", Parsed::Blank),
            (" \t\u{3000} ", Parsed::Blank),
            ("\u{2800} \u{2800}", Parsed::Blank),
            ("/me \u{2800}", command("me", "")),
            ("/me \u{2800}a\u{2800}", command("me", "\u{2800}a")),
            ("hi", Parsed::Text("hi")),
            ("  hi  ", Parsed::Text("  hi  ")),
            (" /who", Parsed::Text(" /who")),
            ("//who", Parsed::Text("/who")),
            ("///", Parsed::Text("//")),
            ("/", command("", "")),
            ("/who", command("who", "")),
            ("/who ", command("who", "")),
            ("/msg  bob\t a  b ", command("msg", "bob\t a  b")),
        ] {
            assert_eq!(Parsed::read(message), read, "{message:?}");
        }
    }

    #[test]
    fn arguments_are_counted() {
        let (word, text) = (Takes::OptionalWord("#ROOM"), Takes::WordAndText("NICK", "TEXT"));
        let pair = Takes::OptionalPair("KEY", "VALUE");
        let none = Arguments { word: "", text: "" };
        for (takes, arguments, split) in [
            (Takes::Nothing, "", Ok(none)),
            (Takes::Nothing, "x", Err("too many")),
            (word, "", Ok(none)),
            (word, "x", Ok(Arguments { word: "x", text: "" })),
            (word, "x y", Err("too many")),
            (Takes::Word("NAME"), "", Err("too few")),
            (Takes::Word("NAME"), "x", Ok(Arguments { word: "x", text: "" })),
            (Takes::Word("NAME"), "x y", Err("too many")),
            (text, "", Err("too few")),
            (text, "x", Err("too few")),
            (text, "x y  z", Ok(Arguments { word: "x", text: "y  z" })),
            (Takes::Text("TEXT"), "", Err("too few")),
            (Takes::Text("TEXT"), "x  y", Ok(Arguments { word: "", text: "x  y" })),
            (Takes::OptionalText("TEXT"), "", Ok(none)),
            (Takes::OptionalText("TEXT"), "x  y", Ok(Arguments { word: "", text: "x  y" })),
            (pair, "", Ok(none)),
            (pair, "x", Err("too few")),
            (pair, "x  y", Ok(Arguments { word: "x", text: "y" })),
            (pair, "x y z", Err("too many")),
        ] {
            assert_eq!(takes.split(arguments), split, "{takes:?} of {arguments:?}");
        }
    }

    #[test]
    fn what_is_no_command_is_refused_to_its_sender_alone() {
        play(
            "alice is here
            bob is here
            alice says /jion #ops
            alice sees !! no command /jion; did you mean /join #ROOM? /help lists all
            alice says /xyzzy
            alice sees !! no command /xyzzy; /help lists them
            alice says / who
            alice sees !! a command's name follows its /; /help lists them
            alice says /join
            alice sees !! too few arguments; usage: /join #ROOM
            alice says /rooms please
            alice sees !! too many arguments; usage: /rooms
            alice says /msg bob
            alice sees !! too few arguments; usage: /msg NICK TEXT
            alice says /set time
            alice sees !! too few arguments; usage: /set [KEY VALUE]",
        );
    }

    #[test]
    fn commands_are_compared_without_case() {
        play(
            "alice is here
            alice says /PiNg Token
            alice sees -- pong Token",
        );
    }

    #[test]
    fn muted_people_cannot_speak() {
        play(
            "alice is here
            bob is here
            bob says /msg alice psst
            alice sees 12:34 [bob -> alice] psst
            bob sees 12:34 [bob -> alice] psst
            alice is muted
            alice says hi
            alice sees !! the operator has muted you; wait until they let you speak again
            alice says /me waves
            alice sees !! the operator has muted you; wait until they let you speak again
            alice says /msg bob hi
            alice sees !! the operator has muted you; wait until they let you speak again
            alice says /reply hi
            alice sees !! the operator has muted you; wait until they let you speak again
            alice says /topic hi
            alice sees !! the operator has muted you; wait until they let you speak again
            alice says /topic -
            alice sees !! the operator has muted you; wait until they let you speak again
            alice says /topic
            alice sees -- #lobby has no topic; /topic TEXT sets one
            alice says /nick hi
            alice sees !! the operator has muted you; wait until they let you speak again
            alice says
            alice says /who
            alice sees -- 2 in #lobby: alice bob
            alice says /leave
            alice sees -- you left #lobby; you are in no room: /join #ROOM
            bob sees 12:34 #lobby <-- alice (left)
            alice says /join #lobby
            alice sees -- you are in #lobby (2 here)
            bob sees 12:34 #lobby --> alice
            alice is unmuted
            alice says hi
            bob sees 12:34 #lobby <alice> hi",
        );
    }

    /// Lines among which commands and white space of all kinds are frequent.
    fn lines() -> impl Strategy<Value = String> {
        let pieces = vec!["/", "//", " ", "\t", "\u{3000}", "\u{2800}", "msg", "bob", "é", "#a", "-"];
        let piece = prop_oneof![
            4 => prop::sample::select(pieces).prop_map(str::to_owned),
            1 => any::<String>(),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    fn takes() -> impl Strategy<Value = Takes> {
        prop::sample::select(vec![
            Takes::Nothing,
            Takes::OptionalPair("A", "B"),
            Takes::OptionalText("A"),
            Takes::OptionalWord("A"),
            Takes::Text("A"),
            Takes::Word("A"),
            Takes::WordAndText("A", "B"),
        ])
    }

    fn has_white_space(text: &str) -> bool {
        text.contains(char::is_whitespace)
    }

    proptest! {
        #[test]
        fn nothing_is_added_to_a_message_or_lost_of_it(line in lines()) {
            match Parsed::read(&line) {
                Parsed::Blank => prop_assert!(is_blank(&line)),
                Parsed::Text(text) => {
                    let slash = if line.starts_with('/') { "/" } else { "" };
                    prop_assert_eq!([slash, text].concat(), line);
                }
                Parsed::Command { name, arguments } => {
                    prop_assert!(line.starts_with('/') && !line.starts_with("//"));
                    prop_assert!(!has_white_space(name));
                    prop_assert_eq!(arguments.trim(), arguments);
                    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
                    let given = line[1..].trim_end_matches(is_blank_sign);
                    prop_assert_eq!(words(&format!("{name} {arguments}")), words(given));
                }
            }
        }

        #[test]
        fn arguments_that_are_taken_are_those_that_were_given(takes in takes(), line in lines()) {
            let given = line.trim();
            match takes.split(given) {
                Err(why) => prop_assert!(["too few", "too many"].contains(&why)),
                Ok(Arguments { word, text }) => {
                    prop_assert!(!has_white_space(word));
                    let taken: String = [word, text].concat().split_whitespace().collect();
                    prop_assert_eq!(taken, given.split_whitespace().collect::<String>());
                }
            }
        }

        #[test]
        fn what_a_refusal_repeats_is_short(word in any::<String>()) {
            let quoted = quote(&word);
            prop_assert!(quoted.chars().count() <= QUOTE_MAX + 1);
            prop_assert!(word.starts_with(quoted.trim_end_matches('…')) || quoted == word);
        }
    }

    #[test]
    fn a_long_word_is_not_repeated_whole() {
        assert_eq!(quote("short"), "short");
        assert_eq!(quote(&"é".repeat(41)), format!("{}…", "é".repeat(40)));
        assert_eq!(quote(&"é".repeat(40)), "é".repeat(40));
    }
}
