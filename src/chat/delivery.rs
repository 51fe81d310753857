//! What chat asks of the layer that carries its lines.

use super::Line;
use crate::id::Slot;

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
    fn restyle(&mut self, member: Slot, style: super::Style);
}
