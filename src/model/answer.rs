//! What a server answers its onlookers: how an order went, and lists, page by page.
//!
//! A [`List`] is a place in a list. The server gives some rows from there on, and the place after them; it keeps
//! nothing for the onlooker. What comes after the first page was made is in no later one, so every list has an end.

use std::sync::Arc;

use super::event::Event;
use super::snapshot::{ConnId, Detail, Row};
use super::verbs::BanMask;
use crate::chat::RoomName;
use crate::time::{Moment, Now};

/// What an order did, or a question on the dashboard's `:` line found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// In words for the operator.
    pub message: String,
    /// The connection that the order was about.
    pub id: Option<ConnId>,
    /// The connections that a ban has ended, or would end, by rising id.
    pub hits: Option<Vec<ConnId>>,
    /// What a reload changed.
    pub reload: Option<ReloadedKeys>,
}

impl From<String> for Done {
    fn from(message: String) -> Self {
        Self { message, ..Self::default() }
    }
}

/// The keys that differ in a configuration that was reloaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadedKeys {
    /// In force from now on.
    pub applied: Vec<&'static str>,
    /// In force after a restart.
    pub needs_restart: Vec<&'static str>,
}

/// How an order went: what was done, or why nothing was, in words for the operator.
pub type Outcome = Result<Done, String>;

/// A list, and the place in it after which the next page begins.
///
/// `through` is the last number that belongs to the list; with [`List::ALL`] the first page sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum List {
    /// By their numbers.
    Bans {
        /// After the ban with this number.
        after: u64,
    },
    /// Connections that ended, in the order in which they did.
    Closed {
        /// After so many since the start.
        after: u64,
        /// Up to so many.
        through: u64,
        /// Only those that ended then or later.
        since: Moment,
    },
    /// By rising id.
    Connections {
        /// After the connection with this id.
        after: u64,
        /// Up to this id.
        through: u64,
        /// The rows whose kernel queues are read.
        kernels: Kernels,
    },
    /// By rising sequence number.
    Events {
        /// After the event with this number.
        after: u64,
        /// Up to this number.
        through: u64,
        /// Of more than this number of events the oldest are left out, and counted.
        most: usize,
        /// If there is no event yet, the answer waits for one.
        waits: bool,
    },
    /// By their numbers.
    Operators {
        /// After the operator with this number.
        after: u64,
    },
    /// By name.
    Rooms {
        /// After the room with this name.
        after: Option<RoomName>,
    },
}

impl List {
    /// A `through` above every number.
    pub const ALL: u64 = u64::MAX;
}

/// The rows of connections whose kernel queues are read, with three system calls each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kernels {
    /// Every row.
    All,
    /// The rows with these ids, in rising order.
    Of(Arc<[ConnId]>),
}

/// Some rows of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Of [`List::Bans`].
    Bans(Vec<BanRow>),
    /// Of [`List::Closed`] and [`List::Connections`].
    Connections(Vec<ConnectionRow>),
    /// Of [`List::Events`].
    Events(Vec<Event>),
    /// Of [`List::Operators`].
    Operators(Vec<OperatorRow>),
    /// Of [`List::Rooms`].
    Rooms(Vec<RoomRow>),
}

impl Rows {
    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bans(rows) => rows.len(),
            Self::Connections(rows) => rows.len(),
            Self::Events(rows) => rows.len(),
            Self::Operators(rows) => rows.len(),
            Self::Rooms(rows) => rows.len(),
        }
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Rows of a list, as they were at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// When the rows were made.
    pub taken: Now,
    /// The rows.
    pub rows: Rows,
    /// The place after them.
    pub place: List,
    /// No rows follow.
    pub is_last: bool,
    /// The listeners as they are printed, by [`Row::listener`].
    pub listeners: Arc<[String]>,
}

/// One connection as lists have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionRow {
    /// What is known of it.
    pub row: Row,
    /// Its rooms, the active one last.
    pub rooms: Vec<RoomName>,
}

/// One connection with its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionDetail {
    /// When it was looked at.
    pub taken: Now,
    /// The connection.
    pub connection: ConnectionRow,
    /// Its history.
    pub detail: Option<Detail>,
    /// The listeners as they are printed, by [`Row::listener`].
    pub listeners: Arc<[String]>,
}

/// One ban in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanRow {
    /// What is banned.
    pub mask: BanMask,
    /// Scrubbed; may be empty.
    pub reason: String,
    /// When it was made.
    pub since: Moment,
    /// When it ends; `None` if only `unban` ends it.
    pub until: Option<Moment>,
    /// Connections that it refused.
    pub refused: u64,
}

/// One connection to the control socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperatorRow {
    /// Counted from 1.
    pub number: u64,
    /// The user of its process.
    pub uid: u32,
    /// Its process; 0 where it is not known.
    pub pid: i32,
    /// When it was accepted.
    pub since: Moment,
    /// Since when it has asked for nothing; `None` while it is answered or follows a list.
    pub idle_since: Option<Moment>,
}

/// One room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRow {
    /// Its name.
    pub name: RoomName,
    /// Its members.
    pub members: usize,
    /// Its topic, if it has one.
    pub topic: Option<String>,
}
