//! A line as chat means it, before it is worded.

use super::{Nick, RoomName};

/// One thing said, done or answered. Its text is scrubbed already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// `12:34 #room * nick text`
    Action {
        /// Where.
        room: &'a RoomName,
        /// Who.
        from: &'a Nick,
        /// What.
        text: &'a str,
    },
    /// `12:34 #room --> nick`
    Joined {
        /// Where.
        room: &'a RoomName,
        /// Who.
        who: &'a Nick,
    },
    /// `12:34 #room <-- nick (reason)`
    Left {
        /// Where.
        room: &'a RoomName,
        /// Who.
        who: &'a Nick,
        /// Why.
        reason: &'a str,
    },
    /// `-- text`: the server answers or tells something.
    Notice(&'a str),
    /// `12:34 *** text`: the operator, to everybody.
    Operator(&'a str),
    /// `12:34 #room -- 12 joined, 3 left, 2 renamed`: presence of a crowded room, summed up.
    Presence {
        /// Where.
        room: &'a RoomName,
        /// How many came.
        joined: u32,
        /// How many went.
        left: u32,
        /// How many took another name.
        renamed: u32,
    },
    /// `12:34 [alice -> bob] text`
    Private {
        /// Who says it.
        from: &'a Nick,
        /// To whom.
        to: &'a Nick,
        /// What.
        text: &'a str,
    },
    /// `!! text`: a line was refused.
    Refused(&'a str),
    /// `12:34 #room -- old is now new`
    Renamed {
        /// Where.
        room: &'a RoomName,
        /// The name until now.
        old: &'a Nick,
        /// The name from now on.
        new: &'a Nick,
    },
    /// `12:34 #room <nick> text`
    Say {
        /// Where.
        room: &'a RoomName,
        /// Who.
        from: &'a Nick,
        /// What.
        text: &'a str,
    },
    /// `12:34 #room -- alice set the topic: TEXT`, or `… -- alice cleared the topic` when there is none now.
    Topic {
        /// Where.
        room: &'a RoomName,
        /// Who set it.
        by: &'a Nick,
        /// What it is now; empty when there is none.
        text: &'a str,
    },
}

impl<'a> Line<'a> {
    /// Bytes that wording adds to [`Line::text`] at most: names, signs, numbers, the time, and the
    /// line's end or the length before it.
    pub const WORDS_MAX: usize = 96;

    /// The one part that may be long; nothing where there is none.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        match self {
            Self::Action { text, .. }
            | Self::Left { reason: text, .. }
            | Self::Notice(text)
            | Self::Operator(text)
            | Self::Private { text, .. }
            | Self::Refused(text)
            | Self::Say { text, .. }
            | Self::Topic { text, .. } => text,
            Self::Joined { .. } | Self::Presence { .. } | Self::Renamed { .. } => "",
        }
    }

    /// Whether the line tells only that somebody came, went or took another name: what
    /// [`Style::presence`] turns off.
    #[must_use]
    pub const fn is_presence(&self) -> bool {
        self.can_wait() || matches!(self, Self::Presence { .. })
    }

    /// Whether it may be read a moment later than what is said: what one person did that many do at the same time. A
    /// summary has waited for all of them already.
    #[must_use]
    pub const fn can_wait(&self) -> bool {
        matches!(self, Self::Joined { .. } | Self::Left { .. } | Self::Renamed { .. })
    }
}

/// How one person wants lines worded (`/set`). A room words a line once for each style among its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Style {
    /// Whether lines carry their time (`/set time hh:mm|off`).
    pub time: bool,
    /// Whether joins, leaves and renames of others are shown (`/set presence on|off`).
    pub presence: bool,
    /// Whether each line is a JSON object, and each message of the person's as well (`/set mode json|text`).
    pub json: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { time: true, presence: true, json: false }
    }
}
