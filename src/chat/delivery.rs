//! What chat asks of the layer that carries its lines.

use super::Line;
use crate::id::Slot;

/// A room's place in the hub. Given again after the room's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId(pub u32);

/// Carries lines to people, and is told who is in which room.
///
/// Calls take effect in the order made: a line said to a room before [`Delivery::joined`] does not reach the
/// joiner, one said after [`Delivery::left`] does not reach the leaver.
pub trait Delivery {
    /// An answer to the member's own command, or a word from the server to it: never skipped.
    fn answer(&mut self, member: Slot, line: &Line<'_>);

    /// A line to one member that somebody else caused: skipped when its outbox is full.
    fn tell(&mut self, member: Slot, line: &Line<'_>);

    /// A line to all of a room but those of `except`, who need not be in it.
    fn tell_room(&mut self, room: RoomId, except: &[Slot], line: &Line<'_>);

    /// `member` receives what is told to `room` from now on.
    fn joined(&mut self, room: RoomId, member: Slot);

    /// `member` receives nothing more that is told to `room`.
    fn left(&mut self, room: RoomId, member: Slot);

    /// The member's lines are worded in this style from now on.
    fn restyle(&mut self, member: Slot, style: super::Style);
}
