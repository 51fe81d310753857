//! Answers of many lines, made a few lines at a time as their reader takes them.
//!
//! Between two steps nothing is kept but a place to go on from. So an answer costs memory only for the lines that wait
//! to be sent, whatever its length, and each line is true when it is made. While an answer is under way the person's
//! next message waits. Short lists that are at hand are kept as lines.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::iter::Peekable;
use std::vec;

use super::handlers::session;
use super::remote::MemberKey;
use super::room::SizeKey;
use super::service::{AnswerLine, Ticket};
use super::table::Commands;
use super::{Delivery, Hub, Line, RoomName};
use crate::id::Slot;

/// The longest line of a list in bytes, with its `-- `, without its end.
const LINE_BYTES_MAX: usize = 400;
/// The most lines of a list; what does not fit is counted.
const LINES_MAX: usize = 100;

/// An answer under way.
#[derive(Debug)]
pub(super) struct LongAnswer {
    listing: Listing,
    /// Lines made so far.
    lines: usize,
}

/// What is listed, and the place to go on from.
#[derive(Debug)]
pub(super) enum Listing {
    /// All commands, from this index on.
    Commands { next: usize, width: usize },
    /// The message of the day from this line on, and then the greeting.
    Greeting { next: usize },
    /// These lines.
    Lines(vec::IntoIter<AnswerLine>),
    /// The people in a room, behind this place.
    Members { room: RoomName, after: Option<MemberKey> },
    /// What a service has not answered yet.
    Pending(Ticket),
    /// All rooms, behind this place, and the number of those listed so far.
    Rooms { after: Option<SizeKey>, listed: usize },
}

impl Listing {
    /// `/help`
    pub(super) fn commands(commands: &Commands) -> Self {
        let width = commands.iter().map(|command| command.usage().len()).max().unwrap_or(0);
        Self::Commands { next: 0, width }
    }

    /// What a session begins with.
    pub(super) const fn greeting() -> Self {
        Self::Greeting { next: 0 }
    }

    /// `/who`
    pub(super) const fn members(room: RoomName) -> Self {
        Self::Members { room, after: None }
    }

    /// `/rooms`
    pub(super) const fn rooms() -> Self {
        Self::Rooms { after: None, listed: 0 }
    }

    /// An answer whose lines are few and at hand.
    pub(super) fn of_lines(lines: impl IntoIterator<Item = String>) -> Self {
        let lines = lines.into_iter().map(|line| AnswerLine::Notice(line.into()));
        Self::Lines(lines.collect::<Vec<_>>().into_iter())
    }

    /// The next line, the `done`th of the answer; `None` behind the last.
    fn next_line(&mut self, hub: &Hub, member: Slot, done: usize) -> Option<AnswerLine> {
        let line: Cow<'static, str> = match self {
            Self::Commands { next, width } => {
                let width = *width;
                *next += 1;
                match hub.commands.iter().nth(*next - 1) {
                    Some(command) => format!("{:width$}  {}", command.usage(), command.brief).into(),
                    None if *next - 1 == hub.commands.iter().count() => session::PLAIN_TEXT_HELP.into(),
                    None => return None,
                }
            }
            Self::Greeting { next } => {
                *next += 1;
                let Some(motd) = hub.rules.motd.get(*next - 1) else {
                    // What follows it are lines at hand.
                    *self = Self::of_lines(hub.greeting(member));
                    return self.next_line(hub, member, done);
                };
                motd.clone().into()
            }
            Self::Lines(lines) => return lines.next(),
            Self::Pending(_) => return None,
            Self::Members { room, after } => {
                let id = hub.rooms.named(room)?;
                let place = *after;
                let left = || hub.members_after(id, place).count();
                let head = || format!("{} in {}:", hub.rooms[id].size(), hub.rooms[id].name);
                let mut words = hub.members_after(id, place).map(|(_, word)| word).peekable();
                let (line, count) = line_of_list(done, left, head, &mut words)?;
                let keys = hub.members_after(id, place).map(|(key, _)| key);
                *after = keys.take(count).last().or(place);
                line.into()
            }
            Self::Rooms { after, listed } => {
                let left = || hub.rooms.len().saturating_sub(*listed);
                let head = || match hub.rooms.len() {
                    0 => "no rooms: /join #ROOM opens one".to_owned(),
                    1 => "1 room:".to_owned(),
                    all => format!("{all} rooms:"),
                };
                let place = *after;
                let room = |(Reverse(members), name): SizeKey| {
                    let id = hub.rooms.named_folded(&name);
                    id.map_or_else(String::new, |id| format!("{} ({members})", hub.rooms[id].name))
                };
                let mut words = hub.rooms.by_size_after(place).map(room).peekable();
                let (line, count) = line_of_list(done, left, head, &mut words)?;
                *after = hub.rooms.by_size_after(place).take(count).last().or(place);
                *listed += count;
                line.into()
            }
        };
        Some(AnswerLine::Notice(line))
    }
}

impl Hub {
    /// Begins an answer and makes its first lines, one at least.
    pub(super) fn begin_answer(&mut self, member: Slot, listing: Listing, out: &mut dyn Delivery) {
        let mut answer = LongAnswer { listing, lines: 0 };
        if !self.make_line(member, &mut answer, out) {
            return;
        }
        self.answers.insert(member, answer);
        self.continue_answer(member, out);
    }

    /// An answer for a person is under way from now on; one that was is over.
    pub(super) fn hold_answer(&mut self, member: Slot, listing: Listing) {
        self.answers.insert(member, LongAnswer { listing, lines: 0 });
    }

    /// The job whose reply a person waits for.
    pub(super) fn pending_job(&self, member: Slot) -> Option<Ticket> {
        match self.answers.get(&member)?.listing {
            Listing::Pending(ticket) => Some(ticket),
            _ => None,
        }
    }

    /// Whether an answer for a person is under way, or comes later.
    #[must_use]
    pub fn is_answering(&self, member: Slot) -> bool {
        !self.answers.is_empty() && self.answers.contains_key(&member)
    }

    /// Makes further lines of the answer under way for a person, as many as `out` takes. One for a person who can
    /// receive nothing any more ends.
    pub fn continue_answer(&mut self, member: Slot, out: &mut dyn Delivery) {
        let Some(mut answer) = self.answers.remove(&member) else { return };
        if !out.is_reachable(member) {
            return;
        }
        let is_pending = matches!(answer.listing, Listing::Pending(_));
        while !is_pending && out.takes_more(member) {
            if !self.make_line(member, &mut answer, out) {
                return;
            }
        }
        self.answers.insert(member, answer);
    }

    /// Makes the next line of an answer; `false` if there is none.
    fn make_line(&self, member: Slot, answer: &mut LongAnswer, out: &mut dyn Delivery) -> bool {
        let line = answer.listing.next_line(self, member, answer.lines);
        if let Some(line) = &line {
            match line {
                AnswerLine::Message(message) => out.answer(member, &Line::Message(message)),
                AnswerLine::Notice(text) => out.answer(member, &Line::Notice(text)),
                AnswerLine::Refused(why) => out.answer(member, &Line::Refused(why)),
            }
            answer.lines += 1;
        }
        line.is_some()
    }

    /// What follows the message of the day.
    fn greeting(&self, member: Slot) -> Vec<String> {
        let person = &self.people[member];
        let room = person.rooms.active().map(|room| &self.rooms[room]);
        let (name, here) = room.map_or((self.rules.lobby, 0), |room| (room.name, room.size()));
        let greeting = format!(
            "{}: you are {} in {name} ({here} here). /help lists the commands.",
            self.rules.server_name, person.nick
        );
        let topic = room.and_then(|room| room.topic.as_ref()).map(|topic| format!("topic: {topic}"));
        std::iter::once(greeting).chain(topic).collect()
    }

    /// A name as `/who` lists it: with a mark if its owner is away.
    pub(super) fn listed(&self, slot: Slot) -> Cow<'_, str> {
        let nick = self.people[slot].nick.as_str();
        if self.absences.contains_key(&slot) { format!("{nick} (away)").into() } else { nick.into() }
    }
}

/// The `done`th line of a list, made of as many words as fit, behind `head` if it is the first; and the number of those
/// words. Behind [`LINES_MAX`] lines it says how many of the `left` words it leaves out. `None` behind the last line.
fn line_of_list<W: AsRef<str>>(
    done: usize,
    left: impl FnOnce() -> usize,
    head: impl FnOnce() -> String,
    words: &mut Peekable<impl Iterator<Item = W>>,
) -> Option<(String, usize)> {
    if done > 0 && (words.peek().is_none() || done > LINES_MAX) {
        return None;
    }
    if done == LINES_MAX {
        return Some((format!("and {} more", left()), 0));
    }
    Some(fill(if done == 0 { head() } else { String::new() }, words))
}

/// `line` and as many words behind it as fit, and their number. A word that is longer than a line has one alone.
fn fill<W: AsRef<str>>(mut line: String, words: &mut Peekable<impl Iterator<Item = W>>) -> (String, usize) {
    let room = LINE_BYTES_MAX - "-- ".len();
    let mut count = 0;
    while let Some(word) =
        words.next_if(|word| line.is_empty() || line.len() + " ".len() + word.as_ref().len() <= room)
    {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word.as_ref());
        count += 1;
    }
    (line, count)
}

/// The lines of a short list: `head` and the words behind it.
pub(super) fn wrap(head: String, words: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    let mut words = words.into_iter().peekable();
    let mut lines = vec![fill(head, &mut words).0];
    while words.peek().is_some() {
        lines.push(fill(String::new(), &mut words).0);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::script::{TestChat, rules};
    use crate::chat::{Nick, Rules};
    use crate::id::ConnId;

    fn words(count: usize, len: usize) -> Vec<String> {
        (0..count).map(|number| format!("{number:0len$}")).collect()
    }

    #[test]
    fn lines_end_before_the_400th_byte_is_passed() {
        // "-- " and 397 bytes: a head of 7, then 26 words of 14 with their blanks.
        let lines = wrap("7 bytes".to_owned(), words(60, 14));
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [397, 389, 119]);
        assert_eq!(lines.join(" ").matches(" 000000").count(), 60);
        assert_eq!(wrap("none".to_owned(), words(0, 1)), ["none"]);
    }

    #[test]
    fn a_word_longer_than_a_line_has_a_line_alone() {
        let lines = wrap("head".to_owned(), words(2, 500));
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [4, 500, 500]);
    }

    /// A lobby of `count` guests.
    fn crowd(count: u32) -> TestChat {
        let mut chat =
            TestChat::new(Rules { presence_max: 0, rooms_max: 20_000, rooms_per_client: 3, ..rules() });
        for number in 1..=count {
            let id = ConnId::new(u64::from(number)).unwrap();
            chat.hub.enter(Slot(number), id, chat.now, &mut chat.recorder);
            chat.recorder.take(Slot(number));
        }
        chat
    }

    fn ask(chat: &mut TestChat, slot: Slot, text: &str) -> Vec<String> {
        chat.hub.message(slot, text, chat.now, &mut chat.recorder);
        chat.recorder.take(slot)
    }

    /// Takes the rest of an answer, step by step.
    fn rest(chat: &mut TestChat, slot: Slot) -> Vec<Vec<String>> {
        let mut steps = Vec::new();
        while chat.hub.is_answering(slot) {
            chat.hub.continue_answer(slot, &mut chat.recorder);
            steps.push(chat.recorder.take(slot));
        }
        steps
    }

    #[test]
    fn an_answer_made_in_steps_is_the_answer_made_at_once() {
        let mut chat = crowd(2_000);
        for number in 1..=900 {
            chat.hub.message(
                Slot(number),
                &format!("/join #r{}", number % 300),
                chat.now,
                &mut chat.recorder,
            );
            chat.recorder.take(Slot(number));
        }
        for text in ["/who #lobby", "/rooms", "/help", "/help who", "/whois guest-7"] {
            chat.recorder.step_lines = None;
            let whole = ask(&mut chat, Slot(2_000), text);
            assert!(!whole.is_empty());
            for step_lines in [0, 1, 7] {
                chat.recorder.step_lines = Some(step_lines);
                let mut lines = ask(&mut chat, Slot(2_000), text);
                assert!(lines.len() <= step_lines.max(1), "{text}: {step_lines}");
                chat.recorder.step_lines = Some(step_lines.max(1));
                lines.extend(rest(&mut chat, Slot(2_000)).concat());
                assert_eq!(lines, whole, "{text}");
            }
        }
    }

    #[test]
    fn behind_100_lines_the_rest_is_counted() {
        let mut chat = crowd(10_000);
        let lines = ask(&mut chat, Slot(5), "/who");
        assert_eq!(lines.len(), LINES_MAX + 1);
        assert!(lines.iter().all(|line| line.len() <= LINE_BYTES_MAX));
        let listed = lines[..LINES_MAX].iter().flat_map(|line| line.split(' '));
        let listed = listed.filter(|word| word.starts_with("guest-")).count();
        assert_eq!(lines[LINES_MAX], format!("-- and {} more", 10_000 - listed));
        for number in 1..=7_000 {
            chat.hub.message(
                Slot(number),
                &format!("/join #room-with-a-name-{number}"),
                chat.now,
                &mut chat.recorder,
            );
            chat.recorder.take(Slot(number));
        }
        let lines = ask(&mut chat, Slot(5), "/rooms");
        let listed = lines[..LINES_MAX].concat().matches('(').count();
        assert_eq!(lines[0].split(' ').nth(1), Some("7001"));
        assert_eq!(lines[LINES_MAX..], [format!("-- and {} more", 7_001 - listed)]);
    }

    #[test]
    fn a_list_goes_on_behind_the_last_name_whatever_happened_meanwhile() {
        let mut chat = crowd(200);
        chat.recorder.step_lines = Some(1);
        let first = ask(&mut chat, Slot(200), "/who");
        let last_listed = first[0].rsplit(' ').next().unwrap().to_owned();
        let id: u32 = last_listed.strip_prefix("guest-").unwrap().parse().unwrap();
        chat.hub.leave(Slot(id), String::new(), None, chat.now.moment, &mut chat.recorder);
        chat.hub.message(Slot(1), "/nick zoe", chat.now, &mut chat.recorder);
        chat.recorder.take(Slot(200));
        let lines = [first, rest(&mut chat, Slot(200)).concat()].concat();
        let names: Vec<&str> =
            lines.iter().flat_map(|line| line.split(' ')).filter(|word| word.contains("guest-")).collect();
        assert_eq!(names.iter().filter(|name| **name == last_listed).count(), 1);
        assert!(lines.last().unwrap().ends_with(" zoe"));
        // guest-1 was listed before its renaming, at the beginning.
        assert_eq!(names.len(), 200);
    }

    #[test]
    fn the_answer_for_a_person_who_has_gone_is_forgotten() {
        let mut chat = crowd(200);
        chat.recorder.step_lines = Some(1);
        ask(&mut chat, Slot(3), "/who");
        ask(&mut chat, Slot(4), "/who");
        assert!(chat.hub.is_answering(Slot(3)) && chat.hub.is_answering(Slot(4)));
        chat.hub.leave(Slot(3), String::new(), None, chat.now.moment, &mut chat.recorder);
        assert!(!chat.hub.is_answering(Slot(3)));
        chat.recorder.unreachable.insert(Slot(4));
        chat.hub.continue_answer(Slot(4), &mut chat.recorder);
        assert!(!chat.hub.is_answering(Slot(4)));
    }

    #[test]
    fn a_question_of_a_person_who_can_receive_nothing_is_not_answered() {
        let mut chat = crowd(3);
        chat.recorder.unreachable.insert(Slot(1));
        for text in ["/who", "/rooms", "/help", "/whois guest-2", "/ping"] {
            assert!(ask(&mut chat, Slot(1), text).is_empty(), "{text}");
        }
        chat.hub.message(Slot(1), "/nick alice", chat.now, &mut chat.recorder);
        assert!(chat.hub.by_nick(&Nick::parse("alice").unwrap()).is_some(), "what changes something is done");
    }

    #[test]
    fn a_long_message_of_the_day_is_made_in_steps_and_the_greeting_follows() {
        let motd: Vec<String> = (0..50).map(|number| format!("line {number}")).collect();
        let mut chat = TestChat::new(Rules { motd: motd.clone(), ..rules() });
        chat.recorder.step_lines = Some(8);
        chat.hub.enter(Slot(9), ConnId::FIRST, chat.now, &mut chat.recorder);
        let mut lines = chat.recorder.take(Slot(9));
        assert_eq!(lines.len(), 8);
        lines.extend(rest(&mut chat, Slot(9)).concat());
        assert_eq!(lines[..50], motd.iter().map(|line| format!("-- {line}")).collect::<Vec<_>>());
        assert_eq!(
            lines[50..],
            ["-- chatops: you are guest-1 in #lobby (1 here). /help lists the commands."]
        );
    }
}
