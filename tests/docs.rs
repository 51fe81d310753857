//! The documents say what is there: the commands, verbs, configuration keys, dependencies, tests, files and headings
//! that they name exist, and the files that they hand out work.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use chatops::chat::command_table_markdown;
use chatops::config::{DEFAULT_TOML, Sources, load};
use chatops::engine::operator::VERBS;
use toml::{Table, Value};

/// Every document, at the root of the repository.
const DOCUMENTS: [&str; 5] =
    ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "README.md", "SECURITY.md"];

/// What stands in backticks and begins like this is a file or a folder of ours.
const FOLDERS: [&str; 5] = [".ci/", "assets/", "benches/", "src/", "tests/"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// All documents with their names.
fn documents() -> Vec<(&'static str, String)> {
    DOCUMENTS.map(|name| (name, read(name))).into()
}

/// The text without its code blocks.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose
}

/// What stands in backticks outside of code blocks; none of it goes over the end of a line.
fn code_spans(text: &str) -> Vec<String> {
    prose(text).lines().flat_map(|line| line.split('`').skip(1).step_by(2).map(str::to_owned)).collect()
}

/// The targets of links and pictures outside of code.
fn links(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    for line in prose(text).lines() {
        let plain: String = line.split('`').step_by(2).collect();
        let behind = plain.split("](").skip(1);
        targets.extend(behind.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()));
    }
    targets
}

/// The anchors of the headings, as the usual renderers make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let anchor = |line: &str| -> String {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    prose(text).lines().filter(|line| line.starts_with('#')).map(anchor).collect()
}

/// What follows a heading of the second level, up to the next one.
fn section<'a>(text: &'a str, title: &str) -> &'a str {
    let heading = format!("\n## {title}\n");
    let start = text.find(&heading).unwrap_or_else(|| panic!("no heading {title:?}")) + heading.len();
    let rest = &text[start..];
    &rest[..rest.find("\n## ").unwrap_or(rest.len())]
}

/// The rows of the tables in a section, as cells.
fn rows(section: &str) -> Vec<Vec<&str>> {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.map(|row| row.split(" | ").collect()).collect()
}

/// The text of every file with this ending below a folder.
fn texts_below(folder: &Path, ending: &str) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            text.push_str(&texts_below(&entry, ending));
        } else if entry.extension().is_some_and(|extension| extension == ending) {
            text.push_str(&fs::read_to_string(entry).unwrap());
        }
    }
    text
}

/// Fails with all complaints at once.
#[track_caller]
fn expect_none(rule: &str, complaints: &[String]) {
    assert!(complaints.is_empty(), "{rule}:\n  {}", complaints.join("\n  "));
}

#[test]
fn the_readme_lists_the_commands_as_they_are() {
    let expected = command_table_markdown();
    assert!(read("README.md").contains(&format!("\n\n{expected}\n")), "put it into README.md:\n{expected}");
}

#[test]
fn the_readme_lists_the_operators_verbs_as_they_are() {
    let mut expected = "| verb | does |\n| --- | --- |\n".to_owned();
    for (verb, arguments, meaning) in VERBS {
        let usage = format!("{verb} {arguments}").trim_end().replace('|', "\\|");
        writeln!(expected, "| `{usage}` | {meaning} |").unwrap();
    }
    assert!(read("README.md").contains(&format!("\n\n{expected}\n")), "put it into README.md:\n{expected}");
}

/// The paths of all keys of a configuration, tables and lists included.
fn keys_of(table: &Table, prefix: &str, keys: &mut BTreeSet<String>) {
    for (name, value) in table {
        let path = format!("{prefix}{name}");
        let inner = match value {
            Value::Table(table) => Some(table),
            Value::Array(items) => items.first().and_then(Value::as_table),
            _ => None,
        };
        if let Some(table) = inner {
            keys_of(table, &format!("{path}."), keys);
        }
        keys.insert(path);
    }
}

/// The word at the start of a text that could be a key: `limits.clients`, also before `=` or `*`.
fn key_at(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_lowercase() || c == '_' || c == '.')).unwrap_or(text.len());
    text[..end].trim_end_matches('.')
}

#[test]
fn every_configuration_key_that_a_document_names_exists() {
    let mut keys = BTreeSet::new();
    keys_of(&DEFAULT_TOML.parse::<Table>().unwrap(), "", &mut keys);
    let tables: Vec<String> =
        keys.iter().filter(|key| !key.contains('.')).map(|key| format!("{key}.")).collect();
    let mut named = 0;
    let mut complaints = Vec::new();
    for (name, text) in documents() {
        let files = ["toml", "rs", "md"];
        let words = text.split(|c: char| c.is_whitespace() || "`'\"(".contains(c));
        for key in words.map(key_at).filter(|word| tables.iter().any(|table| word.starts_with(table))) {
            let is_file = files.iter().any(|ending| key.ends_with(&format!(".{ending}")));
            named += usize::from(!is_file);
            if !is_file && !keys.contains(key) {
                complaints.push(format!("{name}: {key}"));
            }
        }
    }
    assert!(named > 10, "{named} keys found: are they still looked for in the right way?");
    expect_none("config.toml has no such key", &complaints);
}

#[test]
fn what_the_documents_link_to_is_there() {
    let mut complaints = Vec::new();
    for (name, text) in documents() {
        for link in links(&text).iter().filter(|link| !link.starts_with("https://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { name } else { file };
            let is_there = root().join(target).is_file();
            if !is_there || (!anchor.is_empty() && !anchors(&read(target)).contains(anchor)) {
                complaints.push(format!("{name}: {link}"));
            }
        }
    }
    expect_none("links lead somewhere", &complaints);
}

/// Whether a path as documents write it exists: `src/wire/text` may be a file of that name, a folder, or a module.
fn exists(path: &str) -> bool {
    let whole = root().join(path);
    whole.exists() || whole.with_extension("rs").is_file()
}

#[test]
fn the_files_that_the_documents_name_are_there() {
    let mut complaints = Vec::new();
    for (name, text) in documents() {
        let paths = code_spans(&text)
            .into_iter()
            .filter(|span| FOLDERS.iter().any(|folder| span.starts_with(folder)));
        let missing = paths.filter(|span| !exists(span.split(' ').next().unwrap()));
        complaints.extend(missing.map(|path| format!("{name}: {path}")));
    }
    expect_none("no such file", &complaints);
}

#[test]
fn every_asset_is_shown_or_named_in_the_readme() {
    let readme = links(&read("README.md"));
    let assets = fs::read_dir(root().join("assets")).unwrap().map(|entry| entry.unwrap().file_name());
    let unnamed = assets.map(|name| format!("assets/{}", name.to_str().unwrap()));
    let unnamed: Vec<String> = unnamed.filter(|path| !readme.contains(path)).collect();
    expect_none("the README does not lead to", &unnamed);
}

#[test]
fn every_promise_of_the_readme_has_its_test() {
    let readme = read("README.md");
    let tests = texts_below(&root().join("tests"), "rs");
    let rows = rows(section(&readme, "What it survives"));
    let promises = &rows[2..];
    assert!(promises.len() > 10, "{rows:?}");
    let unproved = |row: &&Vec<&str>| {
        let name = row.last().unwrap().trim_matches('`');
        !tests.contains(&format!("#[test]\nfn {name}() {{"))
    };
    let complaints: Vec<String> = promises.iter().filter(unproved).map(|row| row.join(": ")).collect();
    expect_none("no such test", &complaints);
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = read("Cargo.toml").parse::<Table>().unwrap();
    let table = |name: &str| manifest[name].as_table().unwrap();
    let architecture = read("ARCHITECTURE.md");
    let reasons = section(&architecture, "Dependencies");
    let given: BTreeSet<String> =
        rows(reasons)[2..].iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    let used: BTreeSet<String> = table("dependencies").keys().cloned().collect();
    assert_eq!(given, used, "one row for each of [dependencies], and no other");
    let silent = table("dev-dependencies").keys().filter(|name| !reasons.contains(&format!("`{name}`")));
    expect_none("a dependency of the tests has no reason", &silent.cloned().collect::<Vec<_>>());
}

#[test]
fn the_example_of_a_message_of_the_day_can_be_shown() {
    let option = format!("server.motd_file={}", root().join("assets/motd.txt").display());
    let loaded = load(&Sources { options: vec![option], ..Sources::default() });
    let config = loaded.unwrap_or_else(|error| panic!("{error}")).into_config();
    assert_eq!(config.server.motd.lines().count(), read("assets/motd.txt").lines().count());
}

#[test]
fn the_unit_runs_a_command_that_exists_with_files_enough_and_time_to_drain() {
    let unit = read("assets/chatops.service");
    let setting = |key: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{key} is not set")).to_owned()
    };
    assert_eq!(setting("ExecStart"), "/usr/local/bin/chatops serve");
    // It waits for the end of the reload and fails if the reload was refused, which a signal does not (systemd.service(5)).
    assert_eq!(setting("ExecReload"), "/usr/local/bin/chatops ctl reload");
    assert_eq!(setting("Type"), "exec");
    let config = load(&Sources::default()).unwrap().into_config();
    assert!(setting("LimitNOFILE").parse::<u32>().unwrap() > config.limits.clients + 64);
    let seconds: u64 = setting("TimeoutStopSec").trim_end_matches('s').parse().unwrap();
    assert!(seconds > config.server.drain.as_secs() + 1);
}

/// The readers themselves, on text of which the outcome is known.
mod the_reader {
    use super::*;

    const TEXT: &str = "# A title\n\n`src/a` and [b](c.md#d) `[no](link)`\n```\n`code` [no](link)\n# no title\n```\n\
                        ## With `code` & more\n| x | y |\n| --- | --- |\n| `a` | b |\n## Next\n| z |\n";

    #[test]
    fn code_links_and_headings_are_told_apart() {
        assert_eq!(code_spans(TEXT), ["src/a", "[no](link)", "code", "a"]);
        assert_eq!(links(TEXT), ["c.md#d"]);
        assert_eq!(anchors(TEXT).into_iter().collect::<Vec<_>>(), ["a-title", "next", "with-code--more"]);
    }

    #[test]
    fn sections_have_their_rows() {
        let body = section(TEXT, "With `code` & more");
        assert_eq!(rows(body), [vec!["x", "y"], vec!["---", "---"], vec!["`a`", "b"]]);
    }

    #[test]
    fn keys_end_where_their_value_begins() {
        let words = ["limits.clients=500", "flood.*", "limits.stall", "limits.rooms,", "half_close.policy."];
        let keys = words.map(key_at);
        assert_eq!(keys, ["limits.clients", "flood", "limits.stall", "limits.rooms", "half_close.policy"]);
    }
}
