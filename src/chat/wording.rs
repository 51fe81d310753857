//! The exact text of every line that a person reads. What a line means is [`Line`]'s business, who gets it the
//! hub's.
//!
//! Each line is a run of pieces, put one behind the other: a room line is worded for every message said, so
//! nothing here goes through the formatting machinery but the rare presence summary. What programs read instead is
//! in [`super::json`].

use super::{Line, Style, json};
use crate::time::WallTime;

/// Appends the text of `line`, without its end, as somebody with this `style` reads it at `wall`.
///
/// [`Style::presence`] is not looked at: whoever leaves such lines out asks [`Line::is_presence`].
pub fn word(line: &Line<'_>, wall: WallTime, style: Style, out: &mut Vec<u8>) {
    if style.json {
        return json::word(line, wall, out);
    }
    let is_timed = !matches!(line, Line::Notice(_) | Line::Refused(_));
    if is_timed && style.time {
        out.extend_from_slice(&clock(wall));
    }
    match *line {
        Line::Action { room, from, text } => {
            push(out, &["#", room.as_str(), " * ", from.as_str(), " ", text]);
        }
        Line::Joined { room, who } => push(out, &["#", room.as_str(), " --> ", who.as_str()]),
        Line::Left { room, who, reason: "" } => push(out, &["#", room.as_str(), " <-- ", who.as_str()]),
        Line::Left { room, who, reason } => {
            push(out, &["#", room.as_str(), " <-- ", who.as_str(), " (", reason, ")"]);
        }
        Line::Notice(text) => push(out, &["-- ", text]),
        Line::Operator(text) => push(out, &["*** ", text]),
        Line::Presence { room, joined, left, renamed } => {
            push(out, &["#", room.as_str(), " -- ", &counts(joined, left, renamed)]);
        }
        Line::Private { from, to, text } => {
            push(out, &["[", from.as_str(), " -> ", to.as_str(), "] ", text]);
        }
        Line::Refused(text) => push(out, &["!! ", text]),
        Line::Renamed { room, old, new } => {
            push(out, &["#", room.as_str(), " -- ", old.as_str(), " is now ", new.as_str()]);
        }
        Line::Say { room, from, text } => {
            push(out, &["#", room.as_str(), " <", from.as_str(), "> ", text]);
        }
        Line::Topic { room, by, text: "" } => {
            push(out, &["#", room.as_str(), " -- ", by.as_str(), " cleared the topic"]);
        }
        Line::Topic { room, by, text } => {
            push(out, &["#", room.as_str(), " -- ", by.as_str(), " set the topic: ", text]);
        }
    }
}

fn clock(wall: WallTime) -> [u8; 6] {
    let digit = |number: u8| b'0' + number % 10;
    [digit(wall.hour / 10), digit(wall.hour), b':', digit(wall.minute / 10), digit(wall.minute), b' ']
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
    use crate::chat::{Nick, RoomName};

    const EARLY: WallTime = WallTime { unix_ms: 0, hour: 7, minute: 5, second: 59 };

    fn worded(line: &Line<'_>, style: Style) -> String {
        let mut bytes = b"before|".to_vec();
        word(line, EARLY, style, &mut bytes);
        String::from_utf8(bytes).unwrap().strip_prefix("before|").unwrap().to_owned()
    }

    #[test]
    fn every_line_reads_as_the_manual_says() {
        let (room, alice, bob) =
            (&RoomName::parse("Ops").unwrap(), &Nick::parse("alice").unwrap(), &Nick::parse("bob").unwrap());
        let text = "naïve · 世界";
        for (line, told) in [
            (Line::Action { room, from: alice, text }, "07:05 #Ops * alice naïve · 世界"),
            (Line::Joined { room, who: bob }, "07:05 #Ops --> bob"),
            (Line::Left { room, who: bob, reason: "kicked: loud" }, "07:05 #Ops <-- bob (kicked: loud)"),
            (Line::Left { room, who: bob, reason: "" }, "07:05 #Ops <-- bob"),
            (Line::Notice(text), "-- naïve · 世界"),
            (Line::Operator(text), "07:05 *** naïve · 世界"),
            (Line::Private { from: alice, to: bob, text }, "07:05 [alice -> bob] naïve · 世界"),
            (Line::Refused(text), "!! naïve · 世界"),
            (Line::Renamed { room, old: alice, new: bob }, "07:05 #Ops -- alice is now bob"),
            (Line::Say { room, from: alice, text }, "07:05 #Ops <alice> naïve · 世界"),
            (Line::Topic { room, by: alice, text }, "07:05 #Ops -- alice set the topic: naïve · 世界"),
            (Line::Topic { room, by: alice, text: "" }, "07:05 #Ops -- alice cleared the topic"),
        ] {
            assert_eq!(worded(&line, Style::default()), told);
            let plain = Style { time: false, ..Style::default() };
            assert_eq!(worded(&line, plain), told.strip_prefix("07:05 ").unwrap_or(told));
        }
    }

    #[test]
    fn what_is_added_to_a_text_is_bounded() {
        let longest = "x".repeat(24);
        let room = &RoomName::parse(&longest).unwrap();
        let nick = &Nick::parse(&longest).unwrap();
        let (text, many) = ("kicked: loud", u32::MAX);
        for line in [
            Line::Action { room, from: nick, text },
            Line::Joined { room, who: nick },
            Line::Left { room, who: nick, reason: text },
            Line::Notice(text),
            Line::Operator(text),
            Line::Presence { room, joined: many, left: many, renamed: many },
            Line::Private { from: nick, to: nick, text },
            Line::Refused(text),
            Line::Renamed { room, old: nick, new: nick },
            Line::Say { room, from: nick, text },
            Line::Topic { room, by: nick, text },
        ] {
            // Four bytes are the length in front of a message, the longest of the framings' ends.
            let added = worded(&line, Style::default()).len() + 4 - line.text().len();
            assert!(added <= Line::WORDS_MAX, "{added}: {line:?}");
        }
    }

    #[test]
    fn a_summary_leaves_out_what_did_not_happen() {
        let room = &RoomName::parse("lobby").unwrap();
        for ((joined, left, renamed), told) in [
            ((12, 3, 2), "07:05 #lobby -- 12 joined, 3 left, 2 renamed"),
            ((0, 1, 0), "07:05 #lobby -- 1 left"),
            ((4_000_000_000, 0, 1), "07:05 #lobby -- 4000000000 joined, 1 renamed"),
        ] {
            let line = Line::Presence { room, joined, left, renamed };
            assert_eq!(worded(&line, Style::default()), told);
        }
    }
}
