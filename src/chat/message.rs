//! A message: what one person did or said, as data. A line: a message, or what the server says itself. And what chat asks
//! of the layer that carries its lines.

use super::{Nick, RoomName, ServerName};
use crate::id::Slot;
use crate::time::WallTime;

/// What a person or the operator said or did. It is made once, owns all that it has, and is what every reader gets in
/// its own form. Its text is scrubbed already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// When it was said, by the clock of the server where it was said.
    pub at: WallTime,
    /// Where it was said.
    pub origin: Origin,
    /// The room; none for what is private, or for all people.
    pub room: Option<RoomName>,
    /// The person; none for the operator.
    pub from: Option<Nick>,
    /// What it is.
    pub kind: Kind,
    /// The text; of [`Kind::Leave`] the reason; empty where there is none.
    pub text: String,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `12:34 #room * nick text`
    Action,
    /// `12:34 #room --> nick`
    Join,
    /// `12:34 #room <-- nick (reason)`
    Leave,
    /// `12:34 *** text`: the operator, to all people.
    Operator,
    /// `12:34 [alice -> bob] text`
    Private {
        /// The person who reads it.
        to: Nick,
    },
    /// `12:34 #room -- old is now new`
    Rename {
        /// The name from now on.
        to: Nick,
    },
    /// `12:34 #room <nick> text`
    Say,
    /// `12:34 #room -- alice set the topic: TEXT`, or `… -- alice cleared the topic` without a text.
    Topic,
}

/// The server where something was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// This one.
    #[default]
    Home,
    /// Another one.
    Server(ServerName),
}

impl Origin {
    /// What follows a nick from there: `@b`, or nothing for one of this server.
    #[must_use]
    pub fn suffix(&self) -> &str {
        match self {
            Self::Home => "",
            Self::Server(name) => name.suffix(),
        }
    }
}

impl Message {
    /// A message of a person of this server, in a room.
    pub(super) const fn in_room(at: WallTime, room: RoomName, from: Nick, kind: Kind, text: String) -> Self {
        Self { at, origin: Origin::Home, room: Some(room), from: Some(from), kind, text }
    }

    /// A message of the operator to all people.
    pub(super) const fn of_operator(at: WallTime, text: String) -> Self {
        Self { at, origin: Origin::Home, room: None, from: None, kind: Kind::Operator, text }
    }

    /// Whether it may be read a moment later than what is said: what one person did that many do at the same time.
    const fn can_wait(&self) -> bool {
        matches!(self.kind, Kind::Join | Kind::Leave | Kind::Rename { .. })
    }
}

/// What is sent to a connection as one message: what a person said or did, or what the server says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// What a person said or did.
    Message(&'a Message),
    /// `-- text`: the server answers, or says something.
    Notice(&'a str),
    /// `12:34 #room -- 12 joined, 3 left, 2 renamed`: a summary of who came and went in a crowded room.
    Presence {
        /// The room.
        room: &'a RoomName,
        /// Joins.
        joined: u32,
        /// Leaves.
        left: u32,
        /// Renames.
        renamed: u32,
    },
    /// `!! text`: a message was refused.
    Refused(&'a str),
}

impl<'a> Line<'a> {
    /// Bytes that its form adds to [`Line::text`] at most, beside `Line::server_bytes`: names, signs, numbers, the
    /// time, and the line's end or the length before it.
    pub const FORM_BYTES_MAX: usize = 96;

    /// The one part that may be long; empty where there is none.
    #[must_use]
    pub fn text(&self) -> &'a str {
        match self {
            Self::Message(message) => &message.text,
            Self::Notice(text) | Self::Refused(text) => text,
            Self::Presence { .. } => "",
        }
    }

    /// Bytes that name other servers, in each of two names at most.
    pub(super) fn server_bytes(&self) -> usize {
        match self {
            Self::Message(message) => 2 * message.origin.suffix().len(),
            Self::Notice(_) | Self::Presence { .. } | Self::Refused(_) => 0,
        }
    }

    /// Whether the line says only that a person came, went or took another name: what [`Style::presence`] turns off.
    #[must_use]
    pub const fn is_presence(&self) -> bool {
        self.can_wait() || matches!(self, Self::Presence { .. })
    }

    /// Whether it may be read a moment later than what is said. A summary has waited already.
    #[must_use]
    pub const fn can_wait(&self) -> bool {
        match self {
            Self::Message(message) => message.can_wait(),
            Self::Notice(_) | Self::Presence { .. } | Self::Refused(_) => false,
        }
    }
}

/// The form in which one person reads lines (`/set`). A room's line is formatted once for each style among its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Style {
    /// Whether lines carry their time (`/set time hh:mm|off`).
    pub time: bool,
    /// Whether joins, leaves and renames of others are shown (`/set presence on|off`).
    pub presence: bool,
    /// Whether each line is a JSON object, and each message of the person's as well (`/set mode json|text`).
    pub json: bool,
}

impl Style {
    /// The most bytes that `line` takes in this style, beside what delimits it.
    #[must_use]
    pub fn bytes_max(self, line: &Line<'_>) -> usize {
        let text = line.text().len();
        let formatted = if self.json {
            text * super::json::GROWTH_MAX + super::json::FORM_BYTES_MAX
        } else {
            text + Line::FORM_BYTES_MAX
        };
        formatted + line.server_bytes()
    }
}

impl Default for Style {
    fn default() -> Self {
        Self { time: true, presence: true, json: false }
    }
}

/// A room's place in the hub. Given again after the room's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId(pub u32);

/// Carries lines to people, and is notified who is in which room.
///
/// Calls take effect in the order made: a line said to a room before [`Delivery::joined`] does not reach the
/// joiner, one said after [`Delivery::left`] does not reach the leaver.
pub trait Delivery {
    /// An answer to the member's own command, or a notice of the server to it: never skipped.
    fn answer(&mut self, member: Slot, line: &Line<'_>);

    /// A line to one member that another person caused: skipped when its outbox is full.
    fn tell(&mut self, member: Slot, line: &Line<'_>);

    /// A line to each of these members that another person caused: skipped where an outbox is full.
    fn tell_all(&mut self, members: &[Slot], line: &Line<'_>);

    /// A line to all of a room but those of `except`, who need not be in it.
    fn tell_room(&mut self, room: RoomId, except: &[Slot], line: &Line<'_>);

    /// `member` receives the lines of `room` from now on.
    fn joined(&mut self, room: RoomId, member: Slot);

    /// `member` receives no more lines of `room`.
    fn left(&mut self, room: RoomId, member: Slot);

    /// Whether the member can still receive anything: its output is open, and its connection has not failed.
    fn is_reachable(&self, member: Slot) -> bool;

    /// Whether more lines of an answer under way may be made for the member: few bytes of it wait in its outbox, and
    /// this turn has work left to give.
    fn takes_more(&self, member: Slot) -> bool;

    /// The member's lines are formatted in this style from now on.
    fn restyle(&mut self, member: Slot, style: Style);
}
