//! Answers of the control socket as people read them. What an answer lacks, of an older server for one, shows as `-`.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::table::Align::{self, Left, Right};
use super::table::{pairs, table};
use crate::clock;
use crate::model::snapshot::Phase;
use crate::model::verbs::{OperatorCommand, Question};
use crate::{count, time};

/// The fields of a connection that come first when one is shown alone, in this order.
const FIRST_FIELDS: [&str; 31] = [
    "id",
    "nick",
    "peer",
    "listener",
    "state",
    "reason",
    "gone_s",
    "age_s",
    "idle_s",
    "rooms",
    "flags",
    "read",
    "write",
    "bytes_in",
    "bytes_out",
    "lines_in",
    "lines_incomplete",
    "lines_out",
    "lines_skipped",
    "inbox_bytes",
    "outbox_bytes",
    "outbox_limit",
    "outbox_age_s",
    "outbox_max",
    "recv_q",
    "send_q",
    "rtt_us",
    "peer_window",
    "terminal",
    "terminal_columns",
    "terminal_rows",
];

/// The answer to `command`, with its line ends.
pub(super) fn answer(command: &OperatorCommand, answer: &Value) -> String {
    match command {
        OperatorCommand::Ask(Question::Bans) => bans(rows(answer, "bans")),
        OperatorCommand::Ask(Question::Closed) => closed(rows(answer, "closed")),
        OperatorCommand::Ask(Question::Connection(_)) => connection(answer),
        OperatorCommand::Ask(Question::Connections) => connections(rows(answer, "connections")),
        OperatorCommand::Ask(Question::Events(_)) => events(rows(answer, "events")),
        OperatorCommand::Ask(Question::Snapshot(_)) => {
            format!("{}\n{}\n", status(&answer["status"]), connections(rows(answer, "connections")))
        }
        OperatorCommand::Ask(Question::Operators) => operators(rows(answer, "operators")),
        OperatorCommand::Ask(Question::Rooms) => rooms(rows(answer, "rooms")),
        OperatorCommand::Ask(Question::Status) => status(answer),
        _ => format!("{}\n", text(&answer["message"])),
    }
}

/// Why the server refused.
pub(super) fn error(answer: &Value) -> String {
    answer["error"].as_str().unwrap_or("refused, without a reason").to_owned()
}

fn rows<'a>(answer: &'a Value, list: &str) -> &'a [Value] {
    answer[list].as_array().map_or(&[], Vec::as_slice)
}

/// A column of a table: its title, where its cells stand, and what is in them.
type Column = (&'static str, Align, fn(&Value) -> String);

const ID: Column = ("ID", Right, |row| text(&row["id"]));
const NICK: Column = ("NICK", Left, |row| text(&row["nick"]));
const PEER: Column = ("PEER", Left, |row| text(&row["peer"]));
const STATE: Column = ("STATE", Left, state);
const BYTES_IN: Column = ("IN", Right, |row| bytes(&row["bytes_in"]));
const BYTES_OUT: Column = ("OUT", Right, |row| bytes(&row["bytes_out"]));
const SKIPPED: Column = ("SKIPPED", Right, |row| count(&row["lines_skipped"]));

fn connections(rows: &[Value]) -> String {
    let columns: [Column; 13] = [
        ID,
        NICK,
        PEER,
        STATE,
        ("RECV-Q", Right, |row| bytes(&row["recv_q"])),
        ("OUTBOX", Right, |row| bytes(&row["outbox_bytes"])),
        ("SEND-Q", Right, |row| bytes(&row["send_q"])),
        BYTES_IN,
        BYTES_OUT,
        SKIPPED,
        ("IDLE", Right, |row| brief(&row["idle_s"])),
        ("AGE", Right, |row| brief(&row["age_s"])),
        ("FLAGS", Left, |row| words(&row["flags"], " ")),
    ];
    listed(&columns, rows, "nobody is connected\n")
}

fn closed(rows: &[Value]) -> String {
    let columns: [Column; 10] = [
        ID,
        NICK,
        PEER,
        STATE,
        BYTES_IN,
        BYTES_OUT,
        SKIPPED,
        ("STAYED", Right, |row| brief(&row["age_s"])),
        ("AGO", Right, |row| brief(&row["gone_s"])),
        ("REASON", Left, |row| text(&row["reason"])),
    ];
    listed(&columns, rows, "nobody has left yet\n")
}

/// The table, or what is said if there are no rows.
fn listed<const N: usize>(columns: &[Column; N], rows: &[Value], nobody: &str) -> String {
    if rows.is_empty() {
        return nobody.to_owned();
    }
    let cells: Vec<_> = rows.iter().map(|row| columns.map(|(_, _, cell)| cell(row))).collect();
    table(columns.map(|(title, align, _)| (title, align)), &cells)
}

fn bans(rows: &[Value]) -> String {
    let columns: [Column; 5] = [
        ("WHAT", Left, |row| text(&row["what"])),
        ("LEFT", Right, |row| brief(&row["left_s"])),
        ("AGE", Right, |row| brief(&row["age_s"])),
        ("REFUSED", Right, |row| count(&row["refused"])),
        ("REASON", Left, |row| text(&row["reason"])),
    ];
    listed(&columns, rows, "nobody is banned\n")
}

/// One line each, so that what follows goes on below.
fn events(rows: &[Value]) -> String {
    let mut lines = String::new();
    for row in rows {
        let at = time_of_day(&row["unix_ms"]);
        let id = row["id"].as_u64().map(|id| format!("#{id}")).unwrap_or_default();
        let nick = row["nick"].as_str().unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "{at} {:6} {id:>5} {nick:12} {}", text(&row["kind"]), text(&row["text"]));
    }
    lines
}

fn operators(rows: &[Value]) -> String {
    let time =
        |value: &Value| value.as_f64().map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.0} s"));
    let shown: Vec<_> = rows
        .iter()
        .map(|row| {
            let [id, uid, pid] = ["id", "uid", "pid"].map(|name| match &row[name] {
                Value::Null => "-".to_owned(),
                number => number.to_string(),
            });
            [id, uid, pid, time(&row["age_s"]), time(&row["idle_s"])]
        })
        .collect();
    table([("ID", Right), ("UID", Right), ("PID", Right), ("AGE", Right), ("IDLE", Right)], &shown)
}

fn rooms(rows: &[Value]) -> String {
    if rows.is_empty() {
        return "no rooms\n".to_owned();
    }
    let shown: Vec<_> = rows
        .iter()
        .map(|row| {
            let topic = row["topic"].as_str().unwrap_or_default().to_owned();
            [format!("#{}", text(&row["name"])), count(&row["members"]), topic]
        })
        .collect();
    table([("ROOM", Left), ("MEMBERS", Right), ("TOPIC", Left)], &shown)
}

fn connection(answer: &Value) -> String {
    let fields = answer.as_object().into_iter().flatten();
    let others = fields.map(|(name, _)| name.as_str());
    let others = others.filter(|name| !FIRST_FIELDS.contains(name) && !["ok", "timeline"].contains(name));
    let shown = FIRST_FIELDS.into_iter().chain(others).filter(|name| !answer[*name].is_null());
    let mut lines: Vec<(String, String)> = shown.map(|name| (name.to_owned(), field(name, answer))).collect();
    for happened in rows(answer, "timeline") {
        lines.push((time_of_day(&happened["unix_ms"]), text(&happened["what"])));
    }
    pairs(&lines)
}

/// One field of a connection: seconds as spans, bytes in units, everything else as it is.
fn field(name: &str, answer: &Value) -> String {
    let value = &answer[name];
    match name {
        "state" => state(answer),
        "rooms" => named(value),
        "flags" if value.as_array().is_some_and(Vec::is_empty) => "-".to_owned(),
        "flags" => words(value, " "),
        "rtt_us" => micros(value),
        _ if name.ends_with("_s") => span(value).map_or_else(|| text(value), time::long_span),
        _ if name.contains("bytes") || ["outbox_max", "outbox_limit", "recv_q", "send_q"].contains(&name) => {
            bytes(value)
        }
        _ => text(value),
    }
}

fn status(answer: &Value) -> String {
    let up = span(&answer["uptime_s"]).map_or_else(|| "-".to_owned(), time::day_span);
    let turns = &answer["loop"];
    let closed = answer["closed"].as_object();
    let ends: Vec<String> =
        closed.into_iter().flatten().map(|(word, number)| format!("{word} {}", count(number))).collect();
    let accepting = match (&answer["draining"], &answer["paused"]) {
        (Value::Bool(true), _) => "no: draining",
        (_, Value::Bool(true)) => "no: paused",
        _ => "yes",
    };
    let [name, version, pid] = ["name", "version", "pid"].map(|field| text(&answer[field]));
    let [clients, half, slow] = ["clients", "half_closed", "slow"].map(|field| count(&answer[field]));
    let [accepted, refused, failed] =
        ["accepted", "refused", "accept_failures"].map(|field| count(&answer[field]));
    let [lines, deliveries, skipped] =
        ["lines_in", "deliveries", "lines_skipped"].map(|field| count(&answer[field]));
    let [input, output] = ["bytes_in", "bytes_out"].map(|field| bytes(&answer[field]));
    let [p50, p99, max, late] =
        ["p50_us", "p99_us", "max_us", "late_max_us"].map(|field| micros(&turns[field]));
    let lines = [
        ("server", format!("{name}, chatops {version}, pid {pid}, up {up}")),
        ("listening", words(&answer["listeners"], ", ")),
        ("accepting", accepting.to_owned()),
        ("queue", accept_queues(answer)),
        ("clients", format!("{clients}: {half} half-closed, {slow} slow")),
        ("accepted", format!("{accepted}, {refused} refused, {failed} failed")),
        ("closed", if ends.is_empty() { "none".to_owned() } else { ends.join(", ") }),
        ("in", format!("{input} in {lines} lines, {} unparsed", bytes(&answer["inbox_bytes"]))),
        ("out", format!("{output}, {deliveries} lines delivered, {skipped} skipped")),
        ("outbox", bytes(&answer["outbox_bytes"])),
        ("rooms", count(&answer["rooms"])),
        ("bans", count(&answer["bans"])),
        ("loop", format!("{} turns, p50 {p50}, p99 {p99}, max {max}, late {late}", count(&turns["turns"]))),
        ("files", format!("{} of {}", count(&answer["fds"]), count(&answer["fds_limit"]))),
        ("memory", bytes(&answer["rss_bytes"])),
    ];
    pairs(&lines.map(|(name, value)| (name.to_owned(), value)))
}

/// `0 of 1,024`, for each listener, and what such queues lost.
fn accept_queues(answer: &Value) -> String {
    let queues = rows(answer, "accept_queues");
    let queues = queues.iter().map(|queue| match &queue["length"] {
        Value::Null => "-".to_owned(),
        length => format!("{} of {}", count(length), count(&queue["limit"])),
    });
    let mut words = queues.collect::<Vec<_>>().join(", ");
    if words.is_empty() {
        words.push('-');
    }
    if let Some(overflows) = answer["machine_accept_overflows"].as_u64() {
        words = format!("{words}; {} overflows on this machine", count::grouped(overflows));
    }
    words
}

/// `<-> open`
fn state(row: &Value) -> String {
    let word = text(&row["state"]);
    match Phase::ALL.into_iter().find(|phase| phase.to_string() == word) {
        Some(phase) => format!("{} {word}", phase.arrow()),
        None => word,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn words(value: &Value, between: &str) -> String {
    let words: Vec<String> = value.as_array().into_iter().flatten().map(text).collect();
    words.join(between)
}

/// Rooms: `#lobby #ops`.
fn named(rooms: &Value) -> String {
    let names: Vec<String> =
        rooms.as_array().into_iter().flatten().map(|room| format!("#{}", text(room))).collect();
    names.join(" ")
}

fn bytes(value: &Value) -> String {
    value.as_u64().map_or_else(|| text(value), |count| count::bytes(count, false))
}

fn count(value: &Value) -> String {
    value.as_u64().map_or_else(|| text(value), count::grouped)
}

fn brief(value: &Value) -> String {
    span(value).map_or_else(|| text(value), time::brief_span)
}

fn micros(value: &Value) -> String {
    let short = value.as_u64().and_then(|micros| u32::try_from(micros).ok());
    short.map_or_else(|| text(value), |micros| time::brief_micros(micros, "µ"))
}

fn span(seconds: &Value) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds.as_f64()?).ok()
}

/// The time of day, here, of a moment in milliseconds since 1970-01-01 UTC.
fn time_of_day(unix_ms: &Value) -> String {
    let Some(unix_ms) = unix_ms.as_i64() else { return text(unix_ms) };
    let time = clock::local_time(unix_ms);
    let ms = unix_ms.rem_euclid(1_000);
    format!("{:02}:{:02}:{:02}.{ms:03}", time.hour, time.minute, time.second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(verb: &str, reply: &Value) -> String {
        answer(&verb.parse().unwrap(), reply)
    }

    #[test]
    fn what_an_answer_lacks_is_told_from_zero() {
        let row = json!({"id": 7, "peer": "unix", "state": "eof", "outbox_bytes": 59_494, "idle_s": 61.2});
        let table = shown("connections", &json!({"ok": true, "connections": [row]}));
        let cells: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
        let expected = ["7", "-", "unix", "-->", "eof", "-", "58.1K", "-", "-", "-", "-", "1m", "-"];
        assert_eq!(cells, expected);
        assert!(shown("status", &json!({"ok": true})).starts_with("server     -, chatops -"));
    }

    #[test]
    fn fields_that_are_not_known_yet_are_shown_too() {
        let alone = shown("connection 7", &json!({"ok": true, "id": 7, "colour": "green", "age_s": 200.0}));
        assert_eq!(alone, "id      7\nage_s   3 m 20 s\ncolour  green\n");
    }

    #[test]
    fn lists_that_are_empty_are_said() {
        for (verb, list, said) in [
            ("connections", "connections", "nobody is connected\n"),
            ("closed", "closed", "nobody has left yet\n"),
            ("rooms", "rooms", "no rooms\n"),
        ] {
            assert_eq!(shown(verb, &json!({"ok": true, list: []})), said);
        }
    }

    #[test]
    fn an_order_says_what_was_done_and_a_refusal_why() {
        assert_eq!(shown("kick 7", &json!({"ok": true, "id": 7, "message": "kicked #7"})), "kicked #7\n");
        assert_eq!(error(&json!({"ok": false, "error": "no"})), "no");
    }
}
