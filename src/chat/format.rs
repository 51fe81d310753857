//! The exact text of every line that a person reads. What programs read instead is in `json`.
//!
//! A line is a run of pieces, appended one after the other: a room line is formatted for every message said, so nothing
//! here uses the standard formatting but the rare summary of presence.

use super::{Kind, Line, Message, Style, json};
use crate::time::WallTime;

/// Appends the text of `line`, without its end, as a person with this `style` reads it. A message carries its own time;
/// what the server says itself is of `wall`.
///
/// [`Style::presence`] is for the caller: a line to leave out satisfies [`Line::is_presence`].
pub fn append(line: &Line<'_>, wall: WallTime, style: Style, out: &mut Vec<u8>) {
    if style.json {
        return json::append(line, wall, out);
    }
    match *line {
        Line::Message(message) => append_message(message, style, out),
        Line::Notice(text) => push(out, &["-- ", text]),
        Line::Refused(text) => push(out, &["!! ", text]),
        Line::Presence { room, joined, left, renamed } => {
            append_time(wall, style, out);
            push(out, &["#", room.as_str(), " -- ", &counts(joined, left, renamed)]);
        }
    }
}

fn append_message(message: &Message, style: Style, out: &mut Vec<u8>) {
    append_time(message.at, style, out);
    let room = message.room.as_ref().map_or("", |room| room.as_str());
    let from = message.from.as_ref().map_or("", |from| from.as_str());
    let (server, text) = (message.origin.suffix(), message.text.as_str());
    match &message.kind {
        Kind::Action => push(out, &["#", room, " * ", from, server, " ", text]),
        Kind::Join => push(out, &["#", room, " --> ", from, server]),
        Kind::Leave if text.is_empty() => push(out, &["#", room, " <-- ", from, server]),
        Kind::Leave => push(out, &["#", room, " <-- ", from, server, " (", text, ")"]),
        Kind::Operator => push(out, &["*** ", text]),
        Kind::Private { to } => push(out, &["[", from, server, " -> ", to.as_str(), "] ", text]),
        Kind::Rename { to } => {
            push(out, &["#", room, " -- ", from, server, " is now ", to.as_str(), server]);
        }
        Kind::Say => push(out, &["#", room, " <", from, server, "> ", text]),
        Kind::Topic if text.is_empty() => push(out, &["#", room, " -- ", from, server, " cleared the topic"]),
        Kind::Topic => push(out, &["#", room, " -- ", from, server, " set the topic: ", text]),
    }
}

fn append_time(wall: WallTime, style: Style, out: &mut Vec<u8>) {
    if style.time {
        let digit = |number: u8| b'0' + number % 10;
        let (hour, minute) = (wall.hour, wall.minute);
        let time = [digit(hour / 10), digit(hour), b':', digit(minute / 10), digit(minute), b' '];
        out.extend_from_slice(&time);
    }
}

fn push(out: &mut Vec<u8>, pieces: &[&str]) {
    out.reserve(pieces.iter().map(|piece| piece.len()).sum());
    for piece in pieces {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// `12 joined, 3 left, 2 renamed`, without what did not happen.
pub(super) fn counts(joined: u32, left: u32, renamed: u32) -> String {
    let all = [(joined, "joined"), (left, "left"), (renamed, "renamed")];
    let happened = all.into_iter().filter(|(count, _)| *count > 0);
    happened.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::script::{EARLY, messages};
    use crate::chat::{Nick, Origin, RoomName, ServerName};

    fn formatted(line: &Line<'_>, style: Style) -> String {
        let mut bytes = b"before|".to_vec();
        // A message has a time of its own.
        append(line, EARLY, style, &mut bytes);
        String::from_utf8(bytes).unwrap().strip_prefix("before|").unwrap().to_owned()
    }

    #[test]
    fn every_line_reads_as_documented() {
        let text = "naïve · 世界";
        let plain = Style { time: false, ..Style::default() };
        let mut read = Vec::new();
        for message in messages(text).iter().chain(&messages("")) {
            let line = formatted(&Line::Message(message), Style::default());
            assert_eq!(formatted(&Line::Message(message), plain), line.strip_prefix("07:05 ").unwrap());
            read.push(line);
        }
        assert_eq!(
            read,
            [
                "07:05 #Ops * alice naïve · 世界",
                "07:05 #Ops --> alice",
                "07:05 #Ops <-- alice (naïve · 世界)",
                "07:05 #Ops -- alice is now bob",
                "07:05 #Ops <alice> naïve · 世界",
                "07:05 #Ops -- alice set the topic: naïve · 世界",
                "07:05 [alice -> bob] naïve · 世界",
                "07:05 *** naïve · 世界",
                "07:05 #Ops * alice ",
                "07:05 #Ops --> alice",
                "07:05 #Ops <-- alice",
                "07:05 #Ops -- alice is now bob",
                "07:05 #Ops <alice> ",
                "07:05 #Ops -- alice cleared the topic",
                "07:05 [alice -> bob] ",
                "07:05 *** ",
            ]
        );
        for style in [Style::default(), plain] {
            assert_eq!(formatted(&Line::Notice(text), style), "-- naïve · 世界");
            assert_eq!(formatted(&Line::Refused(text), style), "!! naïve · 世界");
        }
    }

    #[test]
    fn a_name_of_another_server_has_the_server_behind_it() {
        let origin = Origin::Server(ServerName::parse("b").unwrap());
        let read: Vec<String> = messages("hi")
            .into_iter()
            .map(|message| formatted(&Line::Message(&Message { origin, ..message }), Style::default()))
            .collect();
        assert_eq!(
            read,
            [
                "07:05 #Ops * alice@b hi",
                "07:05 #Ops --> alice@b",
                "07:05 #Ops <-- alice@b (hi)",
                "07:05 #Ops -- alice@b is now bob@b",
                "07:05 #Ops <alice@b> hi",
                "07:05 #Ops -- alice@b set the topic: hi",
                "07:05 [alice@b -> bob] hi",
                "07:05 *** hi",
            ]
        );
    }

    #[test]
    fn a_message_is_read_with_the_time_at_which_it_was_said() {
        let at = WallTime { hour: 23, minute: 59, ..EARLY };
        let past = Message::of_operator(at, "good night".to_owned());
        assert_eq!(formatted(&Line::Message(&past), Style::default()), "23:59 *** good night");
    }

    #[test]
    fn what_is_added_to_a_text_is_bounded() {
        let longest = "x".repeat(24);
        let room = RoomName::parse(&longest).unwrap();
        let origins = [Origin::Home, Origin::Server(ServerName::parse(&"x".repeat(16)).unwrap())];
        let mut checked = 0;
        for message in messages("kicked: loud") {
            for origin in origins {
                let to = Nick::parse(&longest).unwrap();
                let kind = match message.kind {
                    Kind::Private { .. } => Kind::Private { to },
                    Kind::Rename { .. } => Kind::Rename { to },
                    other => other,
                };
                let room = message.room.map(|_| room);
                let message = Message { origin, room, from: Some(to), kind, ..message.clone() };
                check_bytes_max(&Line::Message(&message));
                checked += 1;
            }
        }
        assert_eq!(checked, 16);
        let many = u32::MAX;
        check_bytes_max(&Line::Notice("text"));
        check_bytes_max(&Line::Refused("text"));
        check_bytes_max(&Line::Presence { room: &room, joined: many, left: many, renamed: many });
    }

    fn check_bytes_max(line: &Line<'_>) {
        for json in [false, true] {
            let style = Style { json, ..Style::default() };
            // Four bytes are the length in front of a message, the longest of the framings' ends.
            let bytes = formatted(line, style).len() + 4;
            assert!(bytes <= style.bytes_max(line), "{bytes}: {line:?}");
        }
    }

    #[test]
    fn a_summary_leaves_out_what_did_not_happen() {
        let room = &RoomName::parse("lobby").unwrap();
        for ((joined, left, renamed), read) in [
            ((12, 3, 2), "07:05 #lobby -- 12 joined, 3 left, 2 renamed"),
            ((0, 1, 0), "07:05 #lobby -- 1 left"),
            ((4_000_000_000, 0, 1), "07:05 #lobby -- 4000000000 joined, 1 renamed"),
        ] {
            let line = Line::Presence { room, joined, left, renamed };
            assert_eq!(formatted(&line, Style::default()), read);
        }
    }
}
