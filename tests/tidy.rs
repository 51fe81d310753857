//! Rules for the source that no compiler checks: which layer may name which, what the pure layers never name, how long
//! functions and files may be, what no file may contain.
//!
//! The text is rustfmt's, so layout can be relied on; comments and literals are blanked first ([`code_of`]).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The longest function, from its `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;
/// The longest file, up to its unit tests.
const FILE_LINES_MAX: usize = 600;

/// Functions and files over their limit, as `path: name`. An entry that is no longer needed fails the test.
const TOO_LONG_STILL: [&str; 0] = [];

/// Which part of the crate may name which others: arrows go down only. `config::settings` is plain data;
/// `config` alone stands for the rest of that module, which reads files.
const ARROWS: [(&str, &[&str]); 20] = [
    ("count", &[]),
    ("id", &[]),
    ("network", &[]),
    ("time", &[]),
    ("wire", &[]),
    ("config::settings", &["wire", "network"]),
    ("config", &["chat", "network", "time"]),
    ("session", &["wire", "time", "config::settings"]),
    ("chat", &["wire", "id", "network", "time"]),
    ("model", &["chat", "session", "wire", "id", "network", "time", "config::settings"]),
    ("engine", &["model", "chat", "session", "wire", "count", "id", "network", "time", "config::settings"]),
    ("clock", &["time"]),
    ("poller", &[]),
    ("bench", &["clock", "count", "time", "poller"]),
    ("link", &["engine", "model", "id", "time"]),
    ("control", &["link", "model", "wire", "time", "config::settings", "clock"]),
    ("log", &["model", "wire", "time", "config::settings"]),
    (
        "net",
        &["control", "engine", "model", "link", "wire", "id", "time", "config::settings", "clock", "poller"],
    ),
    ("dash", &["link", "model", "count", "id", "network", "time", "config::settings", "clock", "poller"]),
    (
        "cli",
        &[
            "bench",
            "dash",
            "net",
            "log",
            "control",
            "engine",
            "model",
            "config",
            "config::settings",
            "count",
            "time",
            "clock",
            "poller",
        ],
    ),
];

/// The layers without I/O, threads and clocks.
const PURE: [&str; 10] =
    ["wire", "session", "chat", "model", "engine", "count", "id", "network", "time", "config::settings"];

/// Words that a pure layer never contains.
const IMPURE_WORDS: [&str; 15] = [
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "UnixListener",
    "UnixStream",
    "UnixDatagram",
    "Instant",
    "SystemTime",
    "polling",
    "ratatui",
    "crossterm",
    "socket2",
    "rustix",
    "signal_hook",
    "println",
];

/// Paths that a pure layer never names.
const IMPURE_PATHS: [&str; 5] = ["std::fs", "std::thread", "std::process", "std::env", "jiff::tz"];

/// The only files that may be `unsafe`.
const UNSAFE_FILES: [&str; 2] = ["net/kernel.rs", "poller.rs"];

/// Marks of postponed work.
const PUT_OFF: [&str; 3] = ["TODO", "FIXME", "XXX"];

/// One file of `src`.
struct Source {
    /// Its path below `src`, with `/` between the parts.
    path: String,
    text: String,
    /// The text without comments and literals, line for line, up to its unit tests.
    code: String,
}

impl Source {
    fn new(path: String, text: String) -> Self {
        let blanked = code_of(&text);
        let code = blanked.lines().take(tests_begin(&text)).collect::<Vec<_>>().join("\n");
        Self { path, text, code }
    }

    /// Its modules from the root of the crate, such as `["net", "kernel"]`.
    fn modules(&self) -> Vec<&str> {
        let stem = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        stem.split('/').filter(|part| !["mod", "lib", "main"].contains(part)).collect()
    }

    /// Its part of the crate, as named in [`ARROWS`]; none for the root.
    fn part(&self) -> Option<String> {
        let modules = self.modules();
        Some(part_of(modules.first()?, modules.get(1).copied()))
    }

    /// The parts of the crate that its code names, itself left out.
    fn named_parts(&self) -> BTreeSet<String> {
        let own = self.part();
        let paths = crate_paths(&self.code, self.modules().len());
        let parts = paths.iter().filter_map(|path| {
            let mut words = path.split("::");
            Some(part_of(words.next()?, words.next()))
        });
        parts.filter(|part| Some(part) != own.as_ref()).collect()
    }
}

/// `config::settings` is a part of its own, every other module goes by its first name.
fn part_of(module: &str, inner: Option<&str>) -> String {
    match (module, inner) {
        ("config", Some("settings")) => "config::settings".to_owned(),
        _ => module.to_owned(),
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    assert!(paths.len() > 5, "src was not found");
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        Source::new(name, fs::read_to_string(path).unwrap())
    };
    let all: Vec<Source> = paths.iter().map(read).collect();
    let for_tests: Vec<String> = all.iter().flat_map(test_modules).collect();
    all.into_iter().filter(|source| !for_tests.contains(&source.path)).collect()
}

/// The files that this one declares as modules for tests only; they are left out.
fn test_modules(source: &Source) -> Vec<String> {
    let declared = source.text.split("#[cfg(test)]\n").skip(1).filter_map(|rest| rest.lines().next());
    let names = declared.filter_map(|line| line.split_once("mod ")?.1.strip_suffix(';'));
    let directory = source.modules().join("/");
    names.map(|name| format!("{directory}/{name}.rs").trim_start_matches('/').to_owned()).collect()
}

fn collect(dir: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// The number of the line, from 0, at which the unit tests begin; all lines if there are none.
fn tests_begin(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let begins =
        |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{');
    lines.windows(2).position(begins).unwrap_or(lines.len())
}

/// Comments and the insides of literals replaced by blanks; line ends stay where they are.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = literal_or_comment(rest, code.chars().next_back());
        if length == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        }
    }
    code
}

/// The length in bytes of the comment or literal at the start of `text`; 0 if there is neither.
fn literal_or_comment(text: &str, before: Option<char>) -> usize {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return block_comment(text);
    }
    let prefixed = text.strip_prefix(['b', 'c']).filter(|_| !in_word).unwrap_or(text);
    let prefix = text.len() - prefixed.len();
    if let Some(raw) = prefixed.strip_prefix('r').filter(|_| !in_word) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let inside = &raw[hashes + 1..];
            let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
            return prefix + 1 + hashes + 1 + length;
        }
    }
    match prefixed.chars().next() {
        Some('"') => prefix + quoted(prefixed, '"'),
        Some('\'') if is_char_literal(prefixed) => prefix + quoted(prefixed, '\''),
        _ => 0,
    }
}

/// The length of a block comment; they nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a literal between two of `quote`, with backslash escapes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Whether a `'` begins a character and not a lifetime.
fn is_char_literal(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}

/// Whether `code` contains `word` with no letter, digit or `_` beside it.
fn has_word(code: &str, word: &str) -> bool {
    word_places(code, word).next().is_some()
}

fn word_places<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(in_word) && !after.is_some_and(in_word)
    })
}

/// Every path after `prefix`, with groups of `use` flattened: `a::{b, c::d}` gives `a::b` and `a::c::d`.
fn paths_behind(code: &str, prefix: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for at in word_places(code, prefix) {
        expand(&code[at + prefix.len()..], "", &mut paths);
    }
    paths
}

/// Reads `::name…` or `::{…}` at the start of `text`; returns its length.
fn expand(text: &str, so_far: &str, paths: &mut Vec<String>) -> usize {
    let Some(rest) = text.strip_prefix("::") else {
        paths.push(so_far.to_owned());
        return 0;
    };
    let joined = |name: &str| if so_far.is_empty() { name.to_owned() } else { format!("{so_far}::{name}") };
    if !rest.starts_with('{') {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        return 2 + end + expand(&rest[end..], &joined(&rest[..end]), paths);
    }
    let mut at = 1;
    while let Some(c) = rest[at..].chars().next() {
        if c == '}' {
            return 2 + at + 1;
        }
        if c.is_alphanumeric() || c == '_' {
            let name = &rest[at..];
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
            at += end + expand(&name[end..], &joined(&name[..end]), paths);
            at += alias(&rest[at..]);
        } else {
            at += c.len_utf8();
        }
    }
    2 + at
}

/// The length of ` as name`, if it comes next.
fn alias(text: &str) -> usize {
    text.strip_prefix(" as ")
        .map_or(0, |name| 4 + name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len()))
}

/// Paths from the root of the crate, in a file that is `depth` modules below it: after `crate`, after the name of the
/// crate, and after the `super`s that lead to the root.
fn crate_paths(code: &str, depth: usize) -> Vec<String> {
    let mut paths = paths_behind(code, "crate");
    paths.extend(paths_behind(code, "chatops"));
    if depth > 0 {
        let up = vec!["super"; depth].join("::");
        let behind = paths_behind(code, &up).into_iter().filter(|path| !path.starts_with("super"));
        paths.extend(behind);
    }
    paths.retain(|path| path.starts_with(char::is_lowercase));
    paths
}

/// A function and its length.
#[derive(Debug, PartialEq, Eq)]
struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// The functions with a body, by the layout of rustfmt: from `fn` to the first `}` that is indented the same.
fn functions(code: &str) -> Vec<Function> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let length = lines[start..].iter().position(|line| {
            let trimmed = line.trim();
            let at_indent = line.len() - line.trim_start().len() == indent;
            at_indent && (trimmed.starts_with('}') || trimmed.ends_with(';') || trimmed.ends_with("{}"))
        });
        let lines = length.unwrap_or_else(|| panic!("no end of fn {name}; is the file formatted?")) + 1;
        found.push(Function { name: name.to_owned(), line: start + 1, lines });
    }
    found
}

/// The name of the function that is declared on this line.
fn function_name(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("fn ")?;
    let qualifier = |word: &str| {
        ["const", "async", "unsafe", "extern", "default"].contains(&word) || word.starts_with("pub")
    };
    let scoped = |word: &str| ["in", "crate)", "super)"].contains(&word);
    let declares = before.split_whitespace().all(|word| qualifier(word) || scoped(word));
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    (declares && end > 0).then_some(&rest[..end])
}

/// Fails with all complaints at once.
#[track_caller]
fn expect_none(rule: &str, complaints: &[String]) {
    assert!(complaints.is_empty(), "{rule}:\n  {}", complaints.join("\n  "));
}

#[test]
fn arrows_between_the_layers_go_down_only() {
    let mut complaints = Vec::new();
    let mut unused: BTreeSet<(&str, &str)> =
        ARROWS.iter().flat_map(|(part, allowed)| allowed.iter().map(|named| (*part, *named))).collect();
    for source in sources() {
        let Some(part) = source.part() else { continue };
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == part) else {
            complaints.push(format!("src/{}: `{part}` has no place among the layers", source.path));
            continue;
        };
        for named in source.named_parts() {
            unused.retain(|(from, to)| (*from, *to) != (part.as_str(), named.as_str()));
            if !allowed.contains(&named.as_str()) {
                complaints.push(format!("src/{}: {part} names {named}", source.path));
            }
        }
    }
    complaints
        .extend(unused.iter().map(|(part, named)| format!("{part} never names {named}: no arrow is needed")));
    expect_none("a layer names only what lies below it (ARROWS in tests/tidy.rs)", &complaints);
}

#[test]
fn the_pure_layers_name_no_socket_file_thread_or_clock() {
    let mut complaints = Vec::new();
    for source in sources() {
        if !source.part().is_some_and(|part| PURE.contains(&part.as_str())) {
            continue;
        }
        let words = IMPURE_WORDS.iter().filter(|word| has_word(&source.code, word));
        complaints.extend(words.map(|word| format!("src/{}: {word}", source.path)));
        for path in IMPURE_PATHS {
            let (root, _) = path.split_once("::").unwrap();
            let named = paths_behind(&source.code, root).into_iter().map(|rest| format!("{root}::{rest}"));
            let named = named.filter(|named| named == path || named.starts_with(&format!("{path}::")));
            complaints.extend(named.map(|named| format!("src/{}: {named}", source.path)));
        }
    }
    expect_none("pure layers are handed bytes and time", &complaints);
}

#[test]
fn functions_and_files_are_short() {
    let mut too_long = Vec::new();
    for source in sources() {
        let lines = tests_begin(&source.text);
        if lines > FILE_LINES_MAX {
            too_long.push((format!("src/{}", source.path), format!("{lines} lines")));
        }
        for function in functions(&code_of(&source.text)) {
            if function.lines > FUNCTION_LINES_MAX {
                let at = format!("{} lines from line {}", function.lines, function.line);
                too_long.push((format!("src/{}: {}", source.path, function.name), at));
            }
        }
    }
    let known = |what: &str| TOO_LONG_STILL.contains(&what);
    let complaints: Vec<String> =
        too_long.iter().filter(|(what, _)| !known(what)).map(|(what, at)| format!("{what}: {at}")).collect();
    let rule = format!(
        "functions have at most {FUNCTION_LINES_MAX} lines, files {FILE_LINES_MAX} before their tests"
    );
    expect_none(&rule, &complaints);
    let short_now = TOO_LONG_STILL.iter().filter(|known| !too_long.iter().any(|(what, _)| what == *known));
    let short_now: Vec<String> = short_now.map(|what| (*what).to_owned()).collect();
    expect_none("short enough now: take it out of TOO_LONG_STILL", &short_now);
}

#[test]
fn unsafe_occurs_only_in_its_files() {
    let outside = |source: &Source| !UNSAFE_FILES.contains(&source.path.as_str());
    let is_unsafe = |source: &Source| has_word(&code_of(&source.text), "unsafe");
    let complaints: Vec<String> =
        sources().iter().filter(|s| outside(s) && is_unsafe(s)).map(|s| format!("src/{}", s.path)).collect();
    expect_none("unsafe occurs in src/net/kernel.rs and src/poller.rs only", &complaints);
}

#[test]
fn no_work_is_postponed_and_nothing_is_unwrapped() {
    let mut complaints = Vec::new();
    for source in sources() {
        let path = &source.path;
        let marks = PUT_OFF.iter().filter(|mark| has_word(&source.text, mark));
        complaints.extend(marks.map(|mark| format!("src/{path}: {mark}")));
        let all = code_of(&source.text);
        let macros = ["todo", "unimplemented", "dbg"]
            .into_iter()
            .filter(|name| word_places(&all, name).any(|at| all[at + name.len()..].starts_with('!')));
        complaints.extend(macros.map(|name| format!("src/{path}: {name}!")));
        if source.code.contains(".unwrap()") {
            complaints
                .push(format!("src/{path}: unwrap() outside tests; say with expect() why it cannot fail"));
        }
    }
    expect_none("no work is postponed", &complaints);
}

#[test]
fn every_file_says_what_it_is_about() {
    let silent = |source: &Source| !source.text.starts_with("//! ");
    let complaints: Vec<String> =
        sources().iter().filter(|s| silent(s)).map(|s| format!("src/{}", s.path)).collect();
    expect_none("a file begins with //!: what lives here, what does not", &complaints);
}

/// The functions that read source, with texts and the expected results.
mod the_reader {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_stay() {
        let text = "let a = \"x // y\"; // unsafe\nlet b = r#\"fn \"quoted\"\n}\"#; /* a /* b */ c */ let c = '\"';\n";
        let code = code_of(text);
        assert_eq!(code.lines().count(), text.lines().count());
        for gone in ["unsafe", "fn", "x", "quoted", "*", "\"", "}"] {
            assert!(!code.contains(gone), "{gone:?} in {code:?}");
        }
        assert!(
            code.contains("let a = ") && code.contains("let b = ") && code.contains("let c = "),
            "{code:?}"
        );
        let lifetimes = "fn f<'a>(x: &'a str) -> &'static str { b'\\'' b\"\\\"\" for_br\"s\" }";
        assert!(code_of(lifetimes).contains("<'a>(x: &'a str) -> &'static str {"), "{}", code_of(lifetimes));
    }

    #[test]
    fn functions_are_measured_from_fn_to_brace() {
        let text = "impl A {\n    fn one(\n        a: u8,\n    ) -> u8 {\n        if a > 1 {\n        }\n        a\n    }\n}\n\
                    trait B {\n    fn two(&self);\n}\npub(crate) const fn three() {}\nlet f = \"fn four(\";\n";
        let found: Vec<(String, usize)> =
            functions(&code_of(text)).into_iter().map(|f| (f.name, f.lines)).collect();
        let expected = [("one", 7), ("two", 1), ("three", 1)].map(|(name, lines)| (name.to_owned(), lines));
        assert_eq!(found, expected);
    }

    #[test]
    fn use_trees_are_flattened() {
        let code = "use crate::{\n    chat::{Nick, names::RoomName as R},\n    id,\n};\nlet x = crate::wire::text::clean(y);";
        let paths = paths_behind(code, "crate");
        assert_eq!(paths, ["chat::Nick", "chat::names::RoomName", "id", "wire::text::clean"]);
    }

    #[test]
    fn parts_are_found_in_every_form_of_path() {
        let text = "//! A.\nuse super::super::net::Reactor;\nuse super::sibling::Thing;\nuse crate::config::settings::Log;\n\
                    fn f() { crate::config::load(); crate::dash::run() }\n#[cfg(test)]\nmod tests {\n    use crate::cli;\n}\n";
        let source = Source::new("engine/hub.rs".to_owned(), text.to_owned());
        let named: Vec<String> = source.named_parts().into_iter().collect();
        assert_eq!(named, ["config", "config::settings", "dash", "net"]);
        assert_eq!(source.part().as_deref(), Some("engine"));
    }

    #[test]
    fn modules_for_tests_alone_are_found() {
        let text = "//! A.\nmod room;\n#[cfg(test)]\nmod script;\n#[cfg(test)]\npub(crate) mod world;\n";
        let source = Source::new("chat/mod.rs".to_owned(), text.to_owned());
        assert_eq!(test_modules(&source), ["chat/script.rs", "chat/world.rs"]);
        assert_eq!(tests_begin(text), text.lines().count());
    }

    #[test]
    fn unit_tests_do_not_count() {
        let text = "//! A.\nfn f() {}\n\n#[cfg(test)]\nmod tests {\n    fn g() { x.unwrap() }\n}\n";
        assert_eq!(tests_begin(text), 3);
        assert!(!Source::new("id.rs".to_owned(), text.to_owned()).code.contains("unwrap"));
    }
}
