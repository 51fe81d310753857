//! What an operator can ask for: one grammar for the dashboard's keys, its `:` line, `chatops ctl` and the control
//! socket.

mod ban;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use ban::{BanMask, BanOrder};

use crate::chat::Nick;
use crate::config::settings::DRAIN_MAX;
use crate::id::ConnId;
pub use crate::session::Half;
use crate::time::{parse_span, write_span};
/// What an operator types is scrubbed as a client's line is.
pub use crate::wire::text::scrub;

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

/// What an operator wants to know; it changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// `bans`: who is kept out.
    Bans,
    /// `closed`: the connections that ended last.
    Closed,
    /// `connection WHO`: everything about one.
    Connection(Who),
    /// `connections`: every one there is.
    Connections,
    /// `events [follow]`: what has happened, and what happens from then on.
    Events(Follow),
    /// `operators`: who is on the control socket.
    Operators,
    /// `ban WHAT preview`: whom a ban would end.
    Preview(BanMask),
    /// `rooms`
    Rooms,
    /// `snapshot [follow]`: the server as a whole with every connection; again each second.
    Snapshot(Follow),
    /// `status`: the server as a whole.
    Status,
}

/// Whether a question is answered again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// For as long as the connection lasts.
    On,
    /// Once.
    Off,
}

impl fmt::Display for Follow {
    /// As it stands behind the verb.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::On { " follow" } else { "" })
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bans => f.write_str("bans"),
            Self::Closed => f.write_str("closed"),
            Self::Connection(who) => write!(f, "connection {who}"),
            Self::Connections => f.write_str("connections"),
            Self::Events(follow) => write!(f, "events{follow}"),
            Self::Operators => f.write_str("operators"),
            Self::Preview(mask) => write!(f, "ban {mask} preview"),
            Self::Rooms => f.write_str("rooms"),
            Self::Snapshot(follow) => write!(f, "snapshot{follow}"),
            Self::Status => f.write_str("status"),
        }
    }
}

/// One request of the operator, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorCommand {
    /// Something to know.
    Ask(Question),
    /// `ban IP|CIDR|NICK [for TIME] [force] [REASON]`: end whom it hits, and keep them out.
    Ban(BanOrder),
    /// `disconnect OPERATOR`: end a connection to the control socket.
    Disconnect(u64),
    /// `drain [TIME]`: end the server within this time, else within `server.drain`.
    Drain(Option<Duration>),
    /// `kick WHO [REASON]`: a last line, flush, FIN, close.
    Kick {
        /// Whom.
        who: Who,
        /// Shown to the kicked and to their rooms; may be empty.
        reason: String,
    },
    /// `mute WHO [for TIME]`: what they say is refused until `unmute`, or for this time.
    Mute {
        /// Whom.
        who: Who,
        /// For how long, if not until `unmute`.
        time: Option<Duration>,
    },
    /// `pause`: accept nobody.
    Pause,
    /// `reload`: read the configuration anew.
    Reload,
    /// `rename WHO NAME`: another nick, by the rules of `/nick`.
    Rename {
        /// Whom.
        who: Who,
        /// The nick to take, as typed.
        name: String,
    },
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
    /// `unban IP|CIDR|NICK`.
    Unban(BanMask),
    /// `unmute WHO`.
    Unmute(Who),
}

/// The verbs with their arguments and meaning, in alphabetical order: for help and completion.
pub const VERBS: [(&str, &str, &str); 24] = [
    (
        "ban",
        "IP|CIDR|NICK [for TIME] [REASON]",
        "end and refuse matching connections; preview only lists them",
    ),
    ("bans", "", "the bans in force, with time left and reason"),
    ("closed", "", "the last 1,000 connections that ended, and why"),
    ("connection", "WHO", "everything about one connection"),
    ("connections", "", "all connections"),
    ("disconnect", "OPERATOR", "end a connection to the control socket, by its number in operators"),
    ("drain", "[TIME]", "notify all clients, flush, close and end the server"),
    ("events", "[follow]", "recent events; with follow new ones too"),
    ("kick", "WHO [REASON]", "a last line with the reason, flush, FIN, close"),
    ("mute", "WHO [for TIME]", "refuse their lines, also after a reconnect, until unmute or for a time"),
    ("operators", "", "the connections to the control socket, with idle times"),
    ("pause", "", "accept no new connections"),
    ("reload", "", "reload the configuration, as SIGHUP does"),
    ("rename", "WHO NAME", "give a client another nick, by the rules of /nick"),
    ("reset", "WHO", "RST, now; what is unsent is lost"),
    ("resume", "", "accept connections again"),
    ("rooms", "", "all rooms, with members and topic"),
    ("say", "TEXT", "send a line to every client"),
    ("shutdown", "WHO read|write|both", "end one direction of a socket, or both"),
    ("snapshot", "[follow]", "status and connections; with follow once a second"),
    ("status", "", "the server as a whole, in numbers"),
    ("stop", "", "end the server within server.drain"),
    ("unban", "IP|CIDR|NICK", "lift a ban"),
    ("unmute", "WHO", "end the mute of a name"),
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
            "ban" => ban::parse(rest),
            "bans" => no_argument(rest, Self::Ask(Question::Bans)),
            "closed" => no_argument(rest, Self::Ask(Question::Closed)),
            "connection" => parse_who("connection", rest).map(|who| Self::Ask(Question::Connection(who))),
            "connections" => no_argument(rest, Self::Ask(Question::Connections)),
            "disconnect" => rest.parse().map(Self::Disconnect).map_err(|_| usage("disconnect")),
            "drain" => drain_time(rest).map(Self::Drain),
            "events" => follow("events", rest).map(|follow| Self::Ask(Question::Events(follow))),
            "kick" => {
                let (who, reason) = split_word(rest);
                Ok(Self::Kick { who: parse_who("kick", who)?, reason: reason.to_owned() })
            }
            "mute" => {
                let (who, rest) = split_word(rest);
                Ok(Self::Mute { who: parse_who("mute", who)?, time: parse_for("mute", rest)? })
            }
            "operators" => no_argument(rest, Self::Ask(Question::Operators)),
            "pause" => no_argument(rest, Self::Pause),
            "reload" => no_argument(rest, Self::Reload),
            "rename" => match split_word(rest) {
                (_, name) if name.is_empty() || name.contains(char::is_whitespace) => Err(usage("rename")),
                (who, name) => Ok(Self::Rename { who: parse_who("rename", who)?, name: name.to_owned() }),
            },
            "reset" => parse_who("reset", rest).map(Self::Reset),
            "resume" => no_argument(rest, Self::Resume),
            "rooms" => no_argument(rest, Self::Ask(Question::Rooms)),
            "say" if rest.is_empty() => Err(usage("say")),
            "say" => Ok(Self::Say(rest.to_owned())),
            "shutdown" => {
                let (who, half) = split_word(rest);
                Ok(Self::Shutdown { who: parse_who("shutdown", who)?, half: parse_half(half)? })
            }
            "snapshot" => follow("snapshot", rest).map(|follow| Self::Ask(Question::Snapshot(follow))),
            "status" => no_argument(rest, Self::Ask(Question::Status)),
            "stop" => no_argument(rest, Self::Stop),
            "unban" => ban::parse_mask("unban", rest).map(Self::Unban),
            "unmute" => parse_who("unmute", rest).map(Self::Unmute),
            "" => Err(VerbError(format!("a verb is expected: {}", verb_list()))),
            _ => Err(VerbError(format!("no such verb: {verb}; there are {}", verb_list()))),
        }
    }
}

impl fmt::Display for OperatorCommand {
    /// The line that parses to this command.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(question) => question.fmt(f),
            Self::Ban(order) => order.fmt(f),
            Self::Disconnect(number) => write!(f, "disconnect {number}"),
            Self::Drain(None) => f.write_str("drain"),
            Self::Drain(Some(time)) => write!(f, "drain {}", write_span(*time)),
            Self::Kick { who, reason } if reason.is_empty() => write!(f, "kick {who}"),
            Self::Kick { who, reason } => write!(f, "kick {who} {reason}"),
            Self::Mute { who, time: None } => write!(f, "mute {who}"),
            Self::Mute { who, time: Some(time) } => write!(f, "mute {who} for {}", write_span(*time)),
            Self::Pause => f.write_str("pause"),
            Self::Reload => f.write_str("reload"),
            Self::Rename { who, name } => write!(f, "rename {who} {name}"),
            Self::Reset(who) => write!(f, "reset {who}"),
            Self::Resume => f.write_str("resume"),
            Self::Say(text) => write!(f, "say {text}"),
            Self::Shutdown { who, half } => write!(f, "shutdown {who} {half}"),
            Self::Stop => f.write_str("stop"),
            Self::Unban(mask) => write!(f, "unban {mask}"),
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
    match word.to_ascii_lowercase().as_str() {
        "both" => Ok(Half::Both),
        "read" => Ok(Half::Read),
        "write" => Ok(Half::Write),
        _ => Err(usage("shutdown")),
    }
}

fn drain_time(word: &str) -> Result<Option<Duration>, VerbError> {
    if word.is_empty() {
        return Ok(None);
    }
    match parse_time("drain", word)? {
        time if time > DRAIN_MAX => {
            Err(VerbError(format!("{}: at most {}", usage("drain"), write_span(DRAIN_MAX))))
        }
        time => Ok(Some(time)),
    }
}

/// `for TIME`, or nothing.
fn parse_for(verb: &str, rest: &str) -> Result<Option<Duration>, VerbError> {
    match split_word(rest) {
        ("", _) => Ok(None),
        ("for", time) if !time.is_empty() => parse_while(verb, time).map(Some),
        _ => Err(usage(verb)),
    }
}

fn parse_time(verb: &str, text: &str) -> Result<Duration, VerbError> {
    parse_span(text).map_err(|why| VerbError(format!("{}: {why}", usage(verb))))
}

fn follow(verb: &str, word: &str) -> Result<Follow, VerbError> {
    match word.to_ascii_lowercase().as_str() {
        "" => Ok(Follow::Off),
        "follow" => Ok(Follow::On),
        _ => Err(usage(verb)),
    }
}

/// How long something is to last: not for no time at all.
fn parse_while(verb: &str, text: &str) -> Result<Duration, VerbError> {
    match parse_time(verb, text)? {
        Duration::ZERO => Err(VerbError(format!("{}: a time above 0", usage(verb)))),
        time => Ok(time),
    }
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_verb_reads_back_as_it_is_written() {
        for line in [
            "ban 10.0.0.0/8",
            "ban 2001:db8::/64 for 10m force brute force attempts",
            "ban 2001:db8::1/128",
            "ban ::1",
            "ban bob",
            "ban bob preview",
            "bans",
            "closed",
            "connection #7",
            "connection bob",
            "connections",
            "disconnect 3",
            "operators",
            "drain",
            "drain 1500ms",
            "drain 5m",
            "events",
            "events follow",
            "kick #7",
            "kick bob too loud",
            "mute bob",
            "mute #3 for 10m",
            "pause",
            "reload",
            "reset #1",
            "resume",
            "rooms",
            "say hello there",
            "shutdown #9 write",
            "snapshot",
            "snapshot follow",
            "status",
            "stop",
            "unban 192.0.2.7",
            "unmute guest-3",
        ] {
            assert_eq!(line.parse::<OperatorCommand>().unwrap().to_string(), line);
        }
        for (typed, read) in [
            ("kick 7", "kick #7"),
            (" KICK  7 ", "kick #7"),
            ("mute a for 90 s", "mute a for 90s"),
            ("ban 10.1.2.3/8", "ban 10.0.0.0/8"),
            ("ban 2001:db8::1", "ban 2001:db8::/64"),
            ("unban [2001:db8::1]:77", "unban 2001:db8::/64"),
            ("ban bob force for 1h for spam", "ban bob for 1h force -- for spam"),
            ("ban bob too loud  FORCE", "ban bob force -- too loud  FORCE"),
            ("ban bob -- for ever preview", "ban bob -- for ever preview"),
            ("ban bob for 1h loud preview", "ban bob preview"),
        ] {
            assert_eq!(typed.parse::<OperatorCommand>().unwrap().to_string(), read);
        }
    }

    #[test]
    fn every_verb_is_in_the_table_and_in_its_order() {
        let names = VERBS.map(|(name, ..)| name);
        assert!(names.is_sorted(), "{names:?}");
        for (name, arguments, _) in VERBS {
            let told = format!("{name} sideways over").parse::<OperatorCommand>();
            let unknown = VerbError(format!("no such verb: {name}; there are {}", verb_list()));
            assert_ne!(told, Err(unknown), "{name}");
            let alone = name.parse::<OperatorCommand>();
            let needs_none = arguments.is_empty() || arguments.starts_with('[');
            assert_eq!(alone.is_ok(), needs_none, "{name} {arguments}");
        }
    }

    #[test]
    fn malformed_verbs_are_told_what_was_expected() {
        let unknown = "frob".parse::<OperatorCommand>().unwrap_err().to_string();
        assert!(
            unknown.contains("ban, ") && unknown.contains("kick, ") && unknown.contains("unmute"),
            "{unknown}"
        );
        for (line, told) in [
            ("", "a verb is expected"),
            ("kcik 7", "no such verb: kcik"),
            ("kick", "expected: kick WHO [REASON]"),
            ("shutdown 7", "expected: shutdown WHO read|write|both"),
            ("shutdown 7 sideways", "expected: shutdown WHO read|write|both"),
            ("KICK", "expected: kick WHO [REASON]"),
            ("mute bob 5m", "expected: mute WHO [for TIME]"),
            ("mute bob for", "expected: mute WHO [for TIME]"),
            ("mute bob for 0s", "expected: mute WHO [for TIME]: a time above 0"),
            ("ban bob for 0s", "expected: ban IP|CIDR|NICK [for TIME] [REASON]: a time above 0"),
            ("mute bob for ever", "expected: mute WHO [for TIME]: a time is a number"),
            ("ban", "expected: ban IP|CIDR|NICK [for TIME] [REASON]"),
            ("ban #7", "#7 cannot be banned: a name is made of"),
            (
                "ban 7",
                "7 cannot be banned: a nick needs at least one character that is not a digit; an address can",
            ),
            ("ban guest-7", "guest-7 cannot be banned: that name is reserved"),
            ("ban 10.0.0.0/33", "10.0.0.0/33 is no address or network"),
            ("ban bob for spam", "expected: ban IP|CIDR|NICK [for TIME] [REASON]: a time is a number"),
            ("unban 10.0.0.0/8 now", "expected: unban IP|CIDR|NICK"),
            ("connection", "expected: connection WHO"),
            ("events please", "expected: events [follow]"),
            ("status please", "status takes no argument"),
            ("pause now", "pause takes no argument"),
            ("kick a/b", "neither a connection id nor a nick"),
            ("drain 11m", "expected: drain [TIME]: at most 10m"),
            ("drain soon", "expected: drain [TIME]"),
        ] {
            let error = line.parse::<OperatorCommand>().unwrap_err().to_string();
            assert!(error.contains(told), "{line:?} gave {error:?}");
        }
    }

    /// Lines of verbs, arguments that fit and that do not, and white space of all kinds.
    fn lines() -> impl Strategy<Value = String> {
        let verb = prop::sample::select(VERBS.map(|(name, ..)| name).to_vec()).prop_map(str::to_owned);
        let arguments = vec![
            "7",
            "#7",
            "#",
            "0",
            "99999999999999999999",
            "bob",
            "BOB",
            "guest-3",
            "a/b",
            "10.0.0.0/8",
            "::1",
            "force",
            "preview",
            "for",
            "10s",
            "250ms",
            "5 m",
            "18446744073709551615d",
            "read",
            "WRITE",
            "both",
            "too  loud",
            "é",
            "\u{3000}",
        ];
        let argument = prop_oneof![
            6 => prop::sample::select(arguments).prop_map(str::to_owned),
            1 => any::<String>(),
        ];
        let rest = prop::collection::vec((argument, prop::sample::select(vec![" ", "  ", "\t", ""])), 0..5);
        let rest = rest.prop_map(|parts| parts.into_iter().map(|(a, space)| a + space).collect::<String>());
        prop_oneof![
            8 => (verb, rest.clone()).prop_map(|(verb, rest)| format!("{verb} {rest}")),
            1 => rest,
        ]
    }

    /// What an error says beside the words that it repeats.
    const ERROR_BYTES_MAX: usize = 400;

    proptest! {
        #[test]
        fn any_line_is_a_verb_that_reads_back_or_a_short_error(line in lines()) {
            match line.parse::<OperatorCommand>() {
                Ok(command) => prop_assert_eq!(command.to_string().parse(), Ok(command)),
                Err(VerbError(why)) => {
                    prop_assert!(!why.is_empty() && why.len() <= line.len() + ERROR_BYTES_MAX, "{}", why);
                }
            }
        }
    }
}
