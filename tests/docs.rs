//! The documents are true: the commands, verbs, configuration keys, dependencies, tests, files and headings that they
//! name exist, and the files that they offer work.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use chatops::chat::command_table_markdown;
use chatops::config::{DEFAULT_TOML, Sources, load};
use chatops::model::verbs::VERBS;
use toml::{Table, Value};

/// Every document, by its path in the repository.
const DOCUMENTS: [&str; 11] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "docs/chat.md",
    "docs/dashboard.md",
    "docs/operating.md",
    "docs/performance.md",
    "docs/robustness.md",
    "docs/sockets.md",
];

/// The most lines of the documents that a new reader starts with.
const LINES_MAX: [(&str, usize); 2] = [("ARCHITECTURE.md", 300), ("README.md", 200)];

/// The longest line of a document, in characters. Table rows and pictures cannot be wrapped and are exempt, and so is
/// the changelog.
const LINE_MAX: usize = 120;

/// A text in backticks that begins like this names a file or a folder of the repository.
const FOLDERS: [&str; 6] = [".ci/", "assets/", "benches/", "docs/", "src/", "tests/"];

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

/// The texts in backticks outside of code blocks; none crosses the end of a line.
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

/// The path that a link of a document leads to. A link is relative to the folder of its document (RFC 3986, section
/// 5.2); a link that is only an anchor leads to the document itself.
fn target(document: &str, link: &str) -> String {
    let file = link.split('#').next().unwrap();
    if file.is_empty() {
        return document.to_owned();
    }
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in file.split('/') {
        match part {
            ".." => assert!(parts.pop().is_some(), "{document}: {link} leads out of the repository"),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The paths that the links of a document lead to, without those to other hosts.
fn targets(document: &str) -> BTreeSet<String> {
    let links = links(&read(document)).into_iter().filter(|link| !link.starts_with("https://"));
    links.map(|link| target(document, &link)).collect()
}

/// The files of a folder of the repository with this ending, by their path.
fn files_in(folder: &str, ending: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let names = files.map(|entry| entry.file_name().to_str().unwrap().to_owned());
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    names.filter(|name| name.ends_with(ending)).map(|name| format!("{prefix}{name}")).collect()
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

/// The text after a heading of the second level, up to the next one.
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
fn every_document_is_checked() {
    let mut expected = files_in("", ".md");
    expected.extend(files_in("docs", ".md"));
    assert_eq!(BTreeSet::from(DOCUMENTS.map(str::to_owned)), expected);
}

#[test]
fn the_readme_links_to_every_document() {
    let linked = targets("README.md");
    let missing: Vec<String> = files_in("docs", "").difference(&linked).cloned().collect();
    expect_none("the README does not link to", &missing);
}

#[test]
fn the_manual_page_names_every_document() {
    let program = env!("CARGO_BIN_EXE_chatops");
    let output =
        Command::new(program).arg("man").output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let page = String::from_utf8(output.stdout).unwrap();
    let see_also = page.split("\n.SH \"SEE ALSO\"\n").nth(1).unwrap_or_else(|| panic!("no SEE ALSO: {page}"));
    let missing: Vec<String> =
        files_in("docs", "").into_iter().filter(|path| !see_also.contains(path)).collect();
    expect_none("SEE ALSO of `chatops man` does not name", &missing);
}

#[test]
fn documents_are_short_and_fit_a_terminal() {
    let mut complaints = Vec::new();
    for (name, text) in documents() {
        let most =
            LINES_MAX.iter().find(|(limited, _)| *limited == name).map_or(usize::MAX, |(_, most)| *most);
        if text.lines().count() > most {
            complaints.push(format!("{name}: {} lines, more than {most}", text.lines().count()));
        }
        let is_wrapped =
            |line: &str| name != "CHANGELOG.md" && !line.starts_with("| ") && !line.starts_with("![");
        let long =
            (1..).zip(text.lines()).filter(|(_, line)| is_wrapped(line) && line.chars().count() > LINE_MAX);
        complaints
            .extend(long.map(|(number, _)| format!("{name}:{number}: longer than {LINE_MAX} characters")));
    }
    expect_none("too long", &complaints);
}

#[test]
fn the_chat_document_lists_the_commands_as_they_are() {
    let expected = command_table_markdown();
    assert!(
        read("docs/chat.md").contains(&format!("\n\n{expected}\n")),
        "put it into docs/chat.md:\n{expected}"
    );
}

#[test]
fn the_operating_document_lists_the_verbs_as_they_are() {
    let mut expected = "| verb | does |\n| --- | --- |\n".to_owned();
    for (verb, arguments, meaning) in VERBS {
        let usage = format!("{verb} {arguments}").trim_end().replace('|', "\\|");
        writeln!(expected, "| `{usage}` | {meaning} |").unwrap();
    }
    let text = read("docs/operating.md");
    assert!(text.contains(&format!("\n\n{expected}\n")), "put it into docs/operating.md:\n{expected}");
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

/// The start of a text that could be a key: `limits.clients`, also before `=` or `*`.
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
fn every_link_of_the_documents_has_a_target() {
    let mut complaints = Vec::new();
    for (name, text) in documents() {
        for link in links(&text).iter().filter(|link| !link.starts_with("https://")) {
            let anchor = link.split_once('#').map_or("", |(_, anchor)| anchor);
            let target = target(name, link);
            let is_there = root().join(&target).is_file();
            if !is_there || (!anchor.is_empty() && !anchors(&read(&target)).contains(anchor)) {
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
fn every_file_that_the_documents_name_exists() {
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
fn every_asset_is_shown_or_named_in_a_document_for_users() {
    let mut linked = targets("README.md");
    for document in files_in("docs", ".md") {
        linked.extend(targets(&document));
    }
    let unnamed: Vec<String> = files_in("assets", "").difference(&linked).cloned().collect();
    expect_none("neither the README nor a file of docs/ links to", &unnamed);
}

#[test]
fn every_fault_in_the_robustness_document_has_its_test() {
    let robustness = read("docs/robustness.md");
    let tests = texts_below(&root().join("tests"), "rs");
    let rows = rows(section(&robustness, "What it survives"));
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
    // It waits for the end of the reload and fails if the reload was refused, which a signal does not
    // (systemd.service(5)).
    assert_eq!(setting("ExecReload"), "/usr/local/bin/chatops ctl reload");
    assert_eq!(setting("Type"), "exec");
    let config = load(&Sources::default()).unwrap().into_config();
    assert!(setting("LimitNOFILE").parse::<u32>().unwrap() > config.limits.clients + 64);
    let seconds: u64 = setting("TimeoutStopSec").trim_end_matches('s').parse().unwrap();
    assert!(seconds > config.server.drain.as_secs() + 1);
}

/// The functions that read documents, with texts and the expected results.
mod the_reader {
    use super::*;

    const TEXT: &str = "# A title\n\n`src/a` and [b](c.md#d) `[no](link)`\n```\n`code` [no](link)\n# no title\n```\n\
                        ## With `code` & more\n| x | y |\n| --- | --- |\n| `a` | b |\n## Next\n| z |\n";

    #[test]
    fn code_links_and_headings_are_distinguished() {
        assert_eq!(code_spans(TEXT), ["src/a", "[no](link)", "code", "a"]);
        assert_eq!(links(TEXT), ["c.md#d"]);
        assert_eq!(anchors(TEXT).into_iter().collect::<Vec<_>>(), ["a-title", "next", "with-code--more"]);
    }

    #[test]
    fn links_are_relative_to_the_folder_of_their_document() {
        assert_eq!(target("README.md", "docs/chat.md#json-mode"), "docs/chat.md");
        assert_eq!(target("docs/chat.md", "../README.md"), "README.md");
        assert_eq!(target("docs/chat.md", "operating.md#verbs"), "docs/operating.md");
        assert_eq!(target("docs/chat.md", "../assets/kick.png"), "assets/kick.png");
        assert_eq!(target("docs/chat.md", "#scripts"), "docs/chat.md");
        assert_ne!(target("docs/chat.md", "README.md"), "README.md");
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
