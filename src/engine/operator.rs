//! What an operator can ask for: one grammar for the dashboard's keys and its `:` line.

use std::fmt;
use std::str::FromStr;

use crate::chat::Nick;
use crate::id::ConnId;
pub use crate::session::Half;

/// Whom a verb is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The connection with this number, `#7` or `7`.
    Id(ConnId),
    /// The person with this name.
    Nick(Nick),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Nick(nick) => nick.fmt(f),
        }
    }
}

/// One request of the operator, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorCommand {
    /// `drain [TIME]`: end the server within this time, else within `server.drain`.
    Drain(Option<std::time::Duration>),
    /// `kick WHO [REASON]`: a last line, flush, FIN, close.
    Kick {
        /// Whom.
        who: Who,
        /// Shown to the kicked and to their rooms; may be empty.
        reason: String,
    },
    /// `mute WHO`: what they say is refused until `unmute`.
    Mute(Who),
    /// `pause`: accept nobody.
    Pause,
    /// `reset WHO`: RST, now.
    Reset(Who),
    /// `resume`: accept again.
    Resume,
    /// `say TEXT`: a line to everybody.
    Say(String),
    /// `shutdown WHO read|write|both`.
    Shutdown {
        /// Whose socket.
        who: Who,
        /// Which direction.
        half: Half,
    },
    /// `stop`: end the server within `server.drain`.
    Stop,
    /// `unmute WHO`.
    Unmute(Who),
}

/// The verbs with their arguments and meaning, in alphabetical order: for help and completion.
pub const VERBS: [(&str, &str, &str); 10] = [
    ("drain", "[TIME]", "tell everybody, flush, close and end the server"),
    ("kick", "WHO [REASON]", "a last line with the reason, flush, FIN, close"),
    ("mute", "WHO", "refuse what they say until unmute"),
    ("pause", "", "accept no new connections"),
    ("reset", "WHO", "RST, now; what is unsent is lost"),
    ("resume", "", "accept connections again"),
    ("say", "TEXT", "a line to everybody"),
    ("shutdown", "WHO read|write|both", "end one direction of a socket, or both"),
    ("stop", "", "end the server within server.drain"),
    ("unmute", "WHO", "let them speak again"),
];

/// Why a line is no verb: what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct VerbError(pub String);

impl FromStr for OperatorCommand {
    type Err = VerbError;

    fn from_str(line: &str) -> Result<Self, VerbError> {
        let (verb, rest) = split_word(line);
        match verb.to_ascii_lowercase().as_str() {
            "drain" => drain_time(rest).map(Self::Drain),
            "kick" => {
                let (who, reason) = split_word(rest);
                Ok(Self::Kick { who: parse_who(verb, who)?, reason: reason.to_owned() })
            }
            "mute" => parse_who(verb, rest).map(Self::Mute),
            "pause" => no_argument(rest, Self::Pause),
            "reset" => parse_who(verb, rest).map(Self::Reset),
            "resume" => no_argument(rest, Self::Resume),
            "say" if rest.is_empty() => Err(usage(verb)),
            "say" => Ok(Self::Say(rest.to_owned())),
            "shutdown" => {
                let (who, half) = split_word(rest);
                Ok(Self::Shutdown { who: parse_who(verb, who)?, half: parse_half(half)? })
            }
            "stop" => no_argument(rest, Self::Stop),
            "unmute" => parse_who(verb, rest).map(Self::Unmute),
            "" => Err(VerbError(format!("a verb is expected: {}", verb_list()))),
            _ => Err(VerbError(format!("no such verb: {verb}; there are {}", verb_list()))),
        }
    }
}

impl fmt::Display for OperatorCommand {
    /// The line that parses to this command.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drain(None) => f.write_str("drain"),
            Self::Drain(Some(time)) => write!(f, "drain {}ms", time.as_millis()),
            Self::Kick { who, reason } if reason.is_empty() => write!(f, "kick {who}"),
            Self::Kick { who, reason } => write!(f, "kick {who} {reason}"),
            Self::Mute(who) => write!(f, "mute {who}"),
            Self::Pause => f.write_str("pause"),
            Self::Reset(who) => write!(f, "reset {who}"),
            Self::Resume => f.write_str("resume"),
            Self::Say(text) => write!(f, "say {text}"),
            Self::Shutdown { who, half } => write!(f, "shutdown {who} {half}"),
            Self::Stop => f.write_str("stop"),
            Self::Unmute(who) => write!(f, "unmute {who}"),
        }
    }
}

fn split_word(line: &str) -> (&str, &str) {
    let line = line.trim();
    line.split_once(char::is_whitespace).map_or((line, ""), |(word, rest)| (word, rest.trim_start()))
}

fn parse_who(verb: &str, word: &str) -> Result<Who, VerbError> {
    if word.is_empty() || word.contains(char::is_whitespace) {
        return Err(usage(verb));
    }
    if let Ok(id) = word.parse::<ConnId>() {
        return Ok(Who::Id(id));
    }
    Nick::of_anybody(word)
        .map(Who::Nick)
        .map_err(|why| VerbError(format!("{word} is neither a connection id nor a nick: {why}")))
}

fn parse_half(word: &str) -> Result<Half, VerbError> {
    match word {
        "both" => Ok(Half::Both),
        "read" => Ok(Half::Read),
        "write" => Ok(Half::Write),
        _ => Err(usage("shutdown")),
    }
}

fn drain_time(word: &str) -> Result<Option<std::time::Duration>, VerbError> {
    if word.is_empty() {
        return Ok(None);
    }
    crate::time::parse_span(word).map(Some).map_err(|why| VerbError(format!("drain [TIME]: {why}")))
}

fn no_argument(rest: &str, command: OperatorCommand) -> Result<OperatorCommand, VerbError> {
    if rest.is_empty() { Ok(command) } else { Err(VerbError(format!("{command} takes no argument"))) }
}

fn usage(verb: &str) -> VerbError {
    let arguments = VERBS.iter().find(|(name, ..)| *name == verb).map_or("", |(_, arguments, _)| arguments);
    VerbError(format!("expected: {verb} {arguments}"))
}

fn verb_list() -> String {
    VERBS.map(|(name, ..)| name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_reads_back_as_it_is_written() {
        for line in [
            "drain",
            "drain 1500ms",
            "kick #7",
            "kick bob too loud",
            "mute bob",
            "pause",
            "reset #1",
            "resume",
            "say hello there",
            "shutdown #9 write",
            "stop",
            "unmute guest-3",
        ] {
            assert_eq!(line.parse::<OperatorCommand>().unwrap().to_string(), line);
        }
        assert_eq!("kick 7".parse::<OperatorCommand>().unwrap().to_string(), "kick #7");
    }

    #[test]
    fn malformed_verbs_are_told_what_was_expected() {
        for (line, told) in [
            ("", "a verb is expected"),
            ("kcik 7", "no such verb: kcik"),
            ("kick", "expected: kick WHO [REASON]"),
            ("shutdown 7", "expected: shutdown WHO read|write|both"),
            ("shutdown 7 sideways", "expected: shutdown WHO read|write|both"),
            ("pause now", "pause takes no argument"),
            ("kick a/b", "neither a connection id nor a nick"),
            ("drain soon", "drain [TIME]"),
        ] {
            let error = line.parse::<OperatorCommand>().unwrap_err().to_string();
            assert!(error.contains(told), "{line:?} gave {error:?}");
        }
    }
}
