//! Mutes: a person whom the operator has muted stays muted after a reconnect.
//!
//! A mute is for a name and for the address of the connection that the operator muted. A person who takes that name is
//! muted. A newcomer from that address is muted as well, while the muted connection is there and for [`ADDRESS_WINDOW`]
//! after its end, until it takes a name that a person had before. So a reconnect under a new name does not lift a mute,
//! and a regular behind the same address speaks under the name that is known.
//!
//! Invariants: a person is [`Voice::Muted`] exactly while there is a mute for its name; a person is
//! [`Voice::MutedByAddress`] exactly while it is in the `followers` of one mute; no two mutes are for one name.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use super::names::Folded;
use super::{Hub, Nick};
use crate::id::Slot;
use crate::network::Network;
use crate::time::Moment;

/// How long after the end of a muted connection newcomers from its address are muted.
const ADDRESS_WINDOW: Duration = Duration::from_secs(600);
/// Names of the past that are remembered; of more, the oldest is forgotten.
const KNOWN_NAMES_MAX: usize = 10_000;

/// Whether a person may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    Free,
    /// There is a mute for its name.
    Muted,
    /// It came from the address of a mute and has taken no name since.
    MutedByAddress,
}

/// One mute.
#[derive(Debug)]
struct Mute {
    nick: Nick,
    name: Folded,
    address: Option<Network>,
    /// Until `unmute` without one.
    until: Option<Moment>,
    /// The connection that was muted: the address is its.
    source: Source,
    /// People who are muted because they share the address.
    followers: Vec<Slot>,
}

/// The connection that the operator muted. Others that take its name change nothing about its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Here(Slot),
    Left(Moment),
}

impl Source {
    fn is_recent(self, now: Moment) -> bool {
        match self {
            Self::Here(_) => true,
            Self::Left(at) => now.since(at) < ADDRESS_WINDOW,
        }
    }
}

impl Mute {
    fn is_for(&self, address: Network, now: Moment) -> bool {
        self.address == Some(address) && self.source.is_recent(now)
    }

    /// Whether it can apply to no person any more: its name was a guest's, which is given once.
    fn is_spent(&self, now: Moment) -> bool {
        let is_past = match self.source {
            Source::Here(_) => false,
            Source::Left(_) => self.address.is_none() || !self.source.is_recent(now),
        };
        self.nick.is_guest() && self.followers.is_empty() && is_past
    }
}

/// All mutes, and the names that people had.
#[derive(Debug, Default)]
pub(super) struct Mutes {
    list: Vec<Mute>,
    /// The earliest end of one.
    next_end: Option<Moment>,
    known: HashSet<Folded>,
    /// The same names, the oldest first.
    known_order: VecDeque<Folded>,
}

impl Mutes {
    fn named(&self, name: &Folded) -> Option<usize> {
        self.list.iter().position(|mute| mute.name == *name)
    }

    fn note_next_end(&mut self) {
        self.next_end = self.list.iter().filter_map(|mute| mute.until).min();
    }

    /// Whether a person had this name before, and was not muted.
    pub(super) fn knows(&self, nick: &Nick) -> bool {
        self.known.contains(&nick.folded())
    }

    /// Takes note of a name that a person who is not muted has taken.
    fn remember(&mut self, nick: &Nick) {
        let name = nick.folded();
        if !self.known.insert(name) {
            return;
        }
        self.known_order.push_back(name);
        if self.known_order.len() > KNOWN_NAMES_MAX
            && let Some(oldest) = self.known_order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    fn unfollow(&mut self, member: Slot) {
        for mute in &mut self.list {
            mute.followers.retain(|follower| *follower != member);
        }
    }
}

impl Hub {
    /// Refuses a person's text and name changes from now on, until a moment or until [`Hub::unmute`]; again for other
    /// names from `address`, see the module. A mute that there is for the name is replaced.
    ///
    /// # Errors
    ///
    /// The number of mutes, when there is no place for one more (`limits.mutes`).
    pub fn mute(
        &mut self,
        member: Slot,
        address: Option<Network>,
        until: Option<Moment>,
        now: Moment,
    ) -> Result<(), usize> {
        let Some(person) = self.people.get_mut(member) else { return Ok(()) };
        let (nick, name, source) = (person.nick, person.nick.folded(), Source::Here(member));
        self.mutes.list.retain(|mute| !mute.is_spent(now));
        let (place, list) = (self.mutes.named(&name), &mut self.mutes.list);
        match place {
            Some(place) => {
                let mute = &mut list[place];
                (mute.until, mute.address, mute.source) = (until, address, source);
            }
            None if list.len() >= self.rules.mutes_max as usize => return Err(list.len()),
            None => list.push(Mute { nick, name, address, until, source, followers: Vec::new() }),
        }
        self.mutes.note_next_end();
        if std::mem::replace(&mut person.voice, Voice::Muted) == Voice::MutedByAddress {
            self.mutes.unfollow(member);
        }
        Ok(())
    }

    /// Mutes a newcomer if its address is that of a mute.
    pub fn mute_by_address(&mut self, member: Slot, address: Network, now: Moment) {
        let Some(person) = self.people.get_mut(member) else { return };
        if let Some(mute) = self.mutes.list.iter_mut().find(|mute| mute.is_for(address, now)) {
            person.voice = Voice::MutedByAddress;
            mute.followers.push(member);
        }
    }

    /// Ends the mute of a name, and of those who were muted for sharing its address. `false` if there is none.
    pub fn unmute(&mut self, nick: &Nick) -> bool {
        let Some(place) = self.mutes.named(&nick.folded()) else { return false };
        self.end_mute(place);
        true
    }

    /// Lets a person speak again, for whatever reason it was muted. `false` if it was not.
    pub fn unmute_member(&mut self, member: Slot) -> bool {
        match self.people.get(member).map(|person| (person.voice, person.nick)) {
            None | Some((Voice::Free, _)) => false,
            Some((Voice::Muted, nick)) => self.unmute(&nick),
            Some((Voice::MutedByAddress, _)) => {
                self.mutes.unfollow(member);
                self.people[member].voice = Voice::Free;
                true
            }
        }
    }

    /// Ends one mute whose time is over, and says for which name it was.
    pub fn take_due_mute(&mut self, now: Moment) -> Option<Nick> {
        self.mutes.next_end.filter(|end| *end <= now)?;
        let is_over = |mute: &Mute| mute.until.is_some_and(|until| until <= now);
        let place = self.mutes.list.iter().position(is_over)?;
        Some(self.end_mute(place))
    }

    /// When the first mute ends by itself.
    #[must_use]
    pub const fn next_mute_end(&self) -> Option<Moment> {
        self.mutes.next_end
    }

    /// Whether a person is muted.
    #[must_use]
    pub fn is_muted(&self, member: Slot) -> bool {
        self.people.get(member).is_some_and(|person| person.voice != Voice::Free)
    }

    /// Whether a person is muted only because its connection came from the address of a mute.
    pub(super) fn is_muted_by_address(&self, member: Slot) -> bool {
        self.people.get(member).is_some_and(|person| person.voice == Voice::MutedByAddress)
    }

    /// When the mute of a name ends: `Some(None)` for one that lasts until `unmute`, nothing if there is none.
    #[must_use]
    pub fn mute_of(&self, nick: &Nick) -> Option<Option<Moment>> {
        self.mutes.named(&nick.folded()).map(|place| self.mutes.list[place].until)
    }

    /// The names that are muted, the latest last.
    pub fn muted_names(&self) -> impl Iterator<Item = Nick> {
        self.mutes.list.iter().map(|mute| mute.nick)
    }

    /// A person has another name now: whether it is muted follows from that.
    pub(super) fn judge_name(&mut self, member: Slot) {
        let person = &mut self.people[member];
        if person.voice == Voice::MutedByAddress {
            person.voice = Voice::Free;
            self.mutes.unfollow(member);
        }
        let nick = person.nick;
        if self.mutes.named(&nick.folded()).is_some() {
            person.voice = Voice::Muted;
        } else {
            self.mutes.remember(&nick);
        }
    }

    /// A person that may be muted has left, and its name is free.
    pub(super) fn mute_outlives(&mut self, member: Slot, nick: &Nick, voice: Voice, now: Moment) {
        match voice {
            Voice::Free => {}
            Voice::Muted => {
                if let Some(place) = self.mutes.named(&nick.folded()) {
                    let source = &mut self.mutes.list[place].source;
                    if *source == Source::Here(member) {
                        *source = Source::Left(now);
                    }
                }
            }
            Voice::MutedByAddress => self.mutes.unfollow(member),
        }
    }

    fn end_mute(&mut self, place: usize) -> Nick {
        let mute = self.mutes.list.remove(place);
        self.mutes.note_next_end();
        let named = self.people.named(&mute.name);
        for member in named.into_iter().chain(mute.followers) {
            self.people[member].voice = Voice::Free;
        }
        mute.nick
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::chat::script::{TestChat, rules};

    impl Hub {
        /// The invariants of the module.
        pub(in crate::chat) fn check_mutes(&self) {
            let names: BTreeSet<Folded> = self.mutes.list.iter().map(|mute| mute.name).collect();
            assert_eq!(names.len(), self.mutes.list.len(), "two mutes for one name");
            assert!(names.len() <= self.rules.mutes_max as usize);
            assert_eq!(self.mutes.next_end, self.mutes.list.iter().filter_map(|mute| mute.until).min());
            let followers: Vec<Slot> =
                self.mutes.list.iter().flat_map(|mute| mute.followers.iter().copied()).collect();
            assert_eq!(followers.iter().collect::<BTreeSet<_>>().len(), followers.len(), "followed twice");
            for slot in self.people.slots() {
                let person = &self.people[slot];
                let expected = match (names.contains(&person.nick.folded()), followers.contains(&slot)) {
                    (true, _) => Voice::Muted,
                    (false, true) => Voice::MutedByAddress,
                    (false, false) => Voice::Free,
                };
                assert_eq!(person.voice, expected, "{}", person.nick);
            }
            assert!(followers.iter().all(|slot| self.people.get(*slot).is_some()));
            assert_eq!(self.mutes.known.len(), self.mutes.known_order.len());
        }
    }

    /// Another person is there, and so reads it or does not.
    fn chat() -> TestChat {
        let mut chat = TestChat::new(rules());
        chat.play("witness is here\nbob is here\ncarol is here");
        chat
    }

    /// A line of a person: whether it is refused, and then read by no other person.
    fn is_refused(chat: &mut TestChat, who: &str, text: &str) -> bool {
        chat.read("witness");
        chat.read(who);
        chat.say(who, text);
        let is_refused =
            matches!(&chat.read(who)[..], [line] if line.starts_with("!! the operator has muted you"));
        let is_heard = !chat.read("witness").is_empty();
        assert!(!(is_refused && is_heard), "{who}: {text}");
        is_refused
    }

    #[test]
    fn a_person_who_takes_a_muted_name_is_muted() {
        let mut chat = chat();
        let bob = chat.slot("bob");
        chat.mute(bob, true);
        chat.goes_with_others("bob", "quit");
        chat.enter("again");
        assert!(!is_refused(&mut chat, "again", "first under a guest's name"));
        assert!(!is_refused(&mut chat, "again", "/nick BOB"));
        assert!(is_refused(&mut chat, "again", "and then not"));
        assert!(is_refused(&mut chat, "again", "/nick other"), "a muted person keeps its name");
        assert!(chat.hub.unmute(&Nick::of_anybody("boB").unwrap()));
        assert!(!is_refused(&mut chat, "again", "hello"));
        assert!(!chat.hub.unmute(&Nick::of_anybody("bob").unwrap()), "it has ended");
        chat.hub.check_mutes();
    }

    #[test]
    fn a_mute_outlives_its_connection_until_its_time_is_over_or_it_is_ended_by_name() {
        let mut chat = chat();
        let (bob, now) = (chat.slot("bob"), chat.now.moment);
        let end = now + Duration::from_secs(60);
        chat.hub.mute(bob, None, Some(end), now).unwrap();
        chat.goes_with_others("bob", "quit");
        assert_eq!((chat.hub.next_mute_end(), chat.hub.take_due_mute(now)), (Some(end), None));
        assert_eq!(chat.hub.muted_names().map(|nick| nick.to_string()).collect::<Vec<_>>(), ["bob"]);
        assert_eq!(chat.hub.take_due_mute(end).map(|nick| nick.to_string()).as_deref(), Some("bob"));
        assert_eq!((chat.hub.next_mute_end(), chat.hub.take_due_mute(end)), (None, None));
        chat.enter("again");
        chat.say("again", "/nick bob");
        assert!(!is_refused(&mut chat, "again", "hello"));
    }

    #[test]
    fn a_newcomer_from_the_address_is_muted_unless_its_name_was_in_use_before() {
        let mut chat = chat();
        chat.goes_with_others("carol", "quit");
        chat.act("bob is muted at 192.0.2.7");
        chat.goes_with_others("bob", "quit");
        chat.enter_from("elsewhere", "192.0.2.8");
        assert!(!is_refused(&mut chat, "elsewhere", "another address"));
        chat.enter_from("evader", "192.0.2.7");
        assert!(is_refused(&mut chat, "evader", "as a guest"));
        assert!(is_refused(&mut chat, "evader", "/nick fresh"));
        assert!(is_refused(&mut chat, "evader", "/msg witness psst"));
        chat.enter_from("regular", "192.0.2.7");
        assert!(is_refused(&mut chat, "regular", "as a guest"));
        assert!(!is_refused(&mut chat, "regular", "/nick Carol"));
        assert!(!is_refused(&mut chat, "regular", "hello"));
        assert!(is_refused(&mut chat, "evader", "/nick Carol2"));
        chat.hub.check_mutes();
    }

    #[test]
    fn an_address_is_muted_while_the_muted_one_is_there_and_ten_minutes_longer() {
        let mut chat = chat();
        chat.act("bob is muted at 192.0.2.7");
        chat.pass(ADDRESS_WINDOW * 3);
        chat.enter_from("second", "192.0.2.7");
        assert!(is_refused(&mut chat, "second", "while bob is there"));
        chat.goes_with_others("bob", "quit");
        chat.pass(Duration::from_secs(599));
        chat.enter_from("third", "192.0.2.7");
        assert!(is_refused(&mut chat, "third", "just before the end"));
        // Another one who takes the name makes it last no longer.
        chat.enter_from("other", "192.0.2.9");
        chat.say("other", "/nick bob");
        assert!(is_refused(&mut chat, "other", "the name is muted"));
        chat.pass(Duration::from_secs(1));
        chat.enter_from("fourth", "192.0.2.7");
        assert!(!is_refused(&mut chat, "fourth", "after it"));
        chat.hub.check_mutes();
        chat.hub.unmute(&Nick::of_anybody("bob").unwrap());
        assert!(!is_refused(&mut chat, "third", "its followers are heard again"));
        chat.hub.check_mutes();
    }

    #[test]
    fn one_who_is_muted_by_address_alone_can_be_unmuted_alone_and_muted_by_name() {
        let mut chat = chat();
        chat.act("bob is muted at 192.0.2.7");
        let (second, third) = (chat.enter_from("second", "192.0.2.7"), chat.enter_from("third", "192.0.2.7"));
        assert!(chat.hub.unmute_member(second) && !chat.hub.unmute_member(second));
        assert!(!is_refused(&mut chat, "second", "hello") && is_refused(&mut chat, "third", "hello"));
        chat.mute(third, true);
        chat.hub.unmute(&Nick::of_anybody("bob").unwrap());
        assert!(is_refused(&mut chat, "third", "by its own name now"));
        chat.hub.check_mutes();
    }

    #[test]
    fn there_are_so_many_mutes_and_those_of_guests_who_left_give_place() {
        let mut chat = chat();
        chat.act("bob is muted");
        chat.act("carol is muted");
        let guest = chat.enter("guest");
        chat.mute(guest, true);
        let (more, now) = (chat.enter("more"), chat.now.moment);
        assert_eq!(chat.hub.mute(more, None, None, now), Err(3));
        assert_eq!(chat.hub.mute(guest, None, Some(now), now), Ok(()), "another time needs no place");
        chat.goes_with_others("guest", "quit");
        assert_eq!(chat.hub.mute(more, None, None, now), Ok(()));
        assert!(chat.hub.is_muted(more));
        chat.hub.check_mutes();
    }

    #[test]
    fn a_name_taken_while_muted_does_not_count_as_had_and_the_oldest_is_forgotten() {
        let mut mutes = Mutes::default();
        let nick = |number: usize| Nick::of_anybody(&format!("n{number}")).unwrap();
        (0..=KNOWN_NAMES_MAX).for_each(|number| mutes.remember(&nick(number)));
        assert!(!mutes.knows(&nick(0)) && mutes.knows(&nick(1)) && mutes.knows(&nick(KNOWN_NAMES_MAX)));
        mutes.remember(&nick(1));
        assert_eq!((mutes.known.len(), mutes.known_order.len()), (KNOWN_NAMES_MAX, KNOWN_NAMES_MAX));
    }
}
