//! Rules that no compiler checks, read from the source as text: which layer names which, what pure layers never name,
//! how long files are, what no file contains. clippy checks how long functions are (clippy.toml).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// The longest file, up to its unit tests.
const FILE_LINES_MAX: usize = 600;

/// Parts of the crate and the parts that each names. `config` stands for that module without its settings.
const ARROWS: [(&str, &str); 22] = [
    ("count", ""),
    ("id", ""),
    ("network", ""),
    ("time", ""),
    ("wire", ""),
    ("config::settings", "wire network"),
    ("config", "config::settings chat network time"),
    ("session", "wire time config::settings"),
    ("chat", "wire id network time"),
    ("model", "chat session wire id network time config::settings"),
    ("engine", "model chat session wire count id network time config::settings"),
    ("clock", "time"),
    ("poller", ""),
    ("signals", "poller"),
    ("bench", "clock count time poller"),
    ("link", "engine model id time"),
    ("control", "link model wire time config::settings clock"),
    ("log", "model wire time config::settings"),
    ("net", "control engine model link wire id time config::settings clock poller signals"),
    ("term", "signals time"),
    ("dash", "term link model count id network time config::settings clock poller signals"),
    (
        "cli",
        "bench dash term net log control engine model config config::settings count time clock poller signals",
    ),
];

/// Parts without circles between their direct child modules.
const WITHOUT_CIRCLES: [&str; 2] = ["dash", "term"];

/// The parts without I/O, threads and clocks, the words that they never contain, and the paths that they never name.
const PURE: &str = "wire session chat model engine count id network time config::settings";
const IMPURE_WORDS: &str = r"(?x)\b(?: TcpListener|TcpStream|UdpSocket|UnixListener|UnixStream|UnixDatagram|Instant|
    SystemTime|polling|ratatui|crossterm|socket2|rustix|signal_hook|println )\b";
const IMPURE_PATHS: &str = r"^::(?:std::(?:fs|thread|process|env)|jiff::tz)\b";

/// The only files with `unsafe`.
const UNSAFE_FILES: [&str; 2] = ["net/kernel.rs", "poller.rs"];

/// Comments and literals. Lifetimes are neither: no quote follows their first character.
static BLANKED: LazyLock<Regex> = LazyLock::new(|| {
    let raw = r##"r#".*?"#|r"[^"]*""##;
    let plain = r#""(?:\\.|[^"\\])*"|'(?:\\u\{[^}]*\}|\\x..|\\.|[^'\\])'"#;
    regex(&format!(r"(?s)//[^\n]*|/\*.*?\*/|\b[bc]?(?:{raw})|{plain}"))
});
static USE: LazyLock<Regex> = LazyLock::new(|| regex(r"\buse ([^;]+);"));
static PATH: LazyLock<Regex> = LazyLock::new(|| regex(r"\b[a-z_]\w*(?:::\w+)+"));

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

/// A file of `src`.
struct Source {
    /// The path below `src`, with `/` between the parts.
    path: String,
    text: String,
    /// The text without comments and literals, line by line, up to the unit tests.
    code: String,
}

impl Source {
    fn new(path: String, text: String) -> Self {
        let code = code_of(&text).lines().take(tests_begin(&text)).collect::<Vec<_>>().join("\n");
        Self { path, text, code }
    }

    /// The modules from the root of the crate, such as `["net", "kernel"]`.
    fn modules(&self) -> Vec<&str> {
        let stem = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        stem.split('/').filter(|part| !["mod", "lib", "main"].contains(part)).collect()
    }

    /// The part of the crate, as named in [`ARROWS`]; none for the root.
    fn part(&self) -> Option<String> {
        part_of(&self.modules().join("::"))
    }

    /// All paths that the code names, from the root of their crate; those of this crate begin with a module.
    fn paths(&self) -> Vec<String> {
        let used = USE.captures_iter(&self.code).flat_map(|tree| leaves(&tree[1]));
        let rest = USE.replace_all(&self.code, "");
        let inline = PATH.find_iter(&rest).map(|path| path.as_str().to_owned());
        used.chain(inline).map(|path| self.absolute(&path)).collect()
    }

    fn absolute(&self, path: &str) -> String {
        let names: Vec<&str> = path.split("::").collect();
        let modules = self.modules();
        let up = names.iter().take_while(|name| **name == "super").count();
        match names[0] {
            "crate" | "chatops" => names[1..].join("::"),
            "super" => [&modules[..modules.len().saturating_sub(up)], &names[up..]].concat().join("::"),
            _ => format!("::{path}"),
        }
    }
}

/// The part of the crate that a path from its root lies in; none for other crates and names of the root.
fn part_of(path: &str) -> Option<String> {
    let is_in = |part: &&str| path == *part || path.starts_with(&format!("{part}::"));
    let known = ["config::settings"].into_iter().find(is_in);
    let module = path.split("::").next().filter(|name| name.starts_with(char::is_lowercase));
    known.or(module).map(str::to_owned)
}

/// The paths of a tree of `use`: `a::{b, c::d as e}` gives `a::b` and `a::c::d`.
fn leaves(tree: &str) -> Vec<String> {
    let Some((prefix, inner)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap_or(tree).trim().to_owned()];
    };
    let inner = &inner[..inner.rfind('}').unwrap_or(inner.len())];
    let mut depth = 0;
    let branches = inner.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    let branches = branches.filter(|branch| !branch.trim().is_empty());
    branches.flat_map(leaves).map(|leaf| format!("{}{leaf}", prefix.trim())).collect()
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut directories, mut all) = (vec![root.clone()], Vec::new());
    while let Some(directory) = directories.pop() {
        for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                all.push(Source::new(name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    let for_tests: Vec<String> = all.iter().flat_map(test_modules).collect();
    all.into_iter().filter(|source| !for_tests.contains(&source.path)).collect()
}

/// The files that this one declares as modules for tests alone.
fn test_modules(source: &Source) -> Vec<String> {
    let declared = source.text.split("#[cfg(test)]\n").skip(1).filter_map(|rest| rest.lines().next());
    let names = declared.filter_map(|line| line.split_once("mod ")?.1.strip_suffix(';'));
    let directory = source.modules().join("/");
    names.map(|name| format!("{directory}/{name}.rs").trim_start_matches('/').to_owned()).collect()
}

/// The number of the line, from 0, at which the unit tests begin; the number of lines without any.
fn tests_begin(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let begins =
        |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{');
    lines.windows(2).position(begins).unwrap_or(lines.len())
}

/// Comments and literals replaced by blanks; line ends stay.
fn code_of(text: &str) -> String {
    let blank =
        |found: &Captures<'_>| found[0].chars().map(|c| if c == '\n' { c } else { ' ' }).collect::<String>();
    BLANKED.replace_all(text, blank).into_owned()
}

/// What is left of a graph without the nodes that lie on no circle.
fn circles(mut graph: BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    loop {
        let before = graph.len();
        let named: BTreeSet<String> = graph.values().flatten().cloned().collect();
        graph.retain(|node, names| !names.is_empty() && named.contains(node));
        let nodes: BTreeSet<String> = graph.keys().cloned().collect();
        let within = |(node, to): (_, BTreeSet<_>)| (node, to.intersection(&nodes).cloned().collect());
        graph = graph.into_iter().map(within).collect();
        if graph.len() == before {
            return graph;
        }
    }
}

/// Which child modules of a part name which others. A name that `mod.rs` exports stands for the module it comes from.
fn children(sources: &[Source], part: &str) -> BTreeMap<String, BTreeSet<String>> {
    let root = sources.iter().find(|source| source.path == format!("{part}/mod.rs")).expect("mod.rs");
    let exports: BTreeMap<String, String> = USE
        .captures_iter(&root.code)
        .flat_map(|tree| leaves(&tree[1]))
        .filter_map(|leaf| Some((leaf.rsplit("::").next()?.to_owned(), leaf.split("::").next()?.to_owned())))
        .collect();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.modules().len() > 1 && source.modules()[0] == part) {
        let child = source.modules()[1].to_owned();
        let paths = source.paths();
        let inner =
            paths.iter().filter_map(|path| path.strip_prefix(part)?.strip_prefix("::")?.split("::").next());
        let names =
            inner.map(|name| exports.get(name).map_or(name, String::as_str)).filter(|name| *name != child);
        let names: Vec<String> = names.map(str::to_owned).collect();
        graph.entry(child).or_default().extend(names);
    }
    graph
}

/// Fails with all that `check` finds in the files.
#[track_caller]
fn expect_none(rule: &str, check: impl Fn(&Source) -> Vec<String>) {
    let in_file = |source: &Source| {
        check(source).into_iter().map(|found| format!("src/{}: {found}", source.path)).collect::<Vec<_>>()
    };
    let found: Vec<String> = sources().iter().flat_map(in_file).collect();
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn a_layer_names_only_layers_below_it() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ARROWS.into_iter().map(|(part, names)| (part, names.split_whitespace().collect())).collect();
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources() {
        let Some(part) = source.part() else { continue };
        let named =
            source.paths().into_iter().filter_map(|path| part_of(&path)).filter(|named| *named != part);
        used.entry(part.clone()).or_default().extend(named);
    }
    for (part, names) in &used {
        let allowed = allowed.get(part.as_str()).unwrap_or_else(|| panic!("{part} has no place in ARROWS"));
        let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(names, *allowed, "{part} names the left ones; ARROWS has the right ones");
    }
}

#[test]
fn modules_of_a_layer_have_no_circles() {
    let sources = sources();
    for part in WITHOUT_CIRCLES {
        assert_eq!(circles(children(&sources, part)), BTreeMap::new(), "modules of {part} name each other");
    }
}

#[test]
fn pure_layers_name_no_socket_file_thread_or_clock() {
    let (words, paths) = (regex(IMPURE_WORDS), regex(IMPURE_PATHS));
    expect_none("pure layers are given bytes and time", |source| {
        if !source.part().is_some_and(|part| PURE.split(' ').any(|pure| pure == part)) {
            return Vec::new();
        }
        let words = words.find_iter(&source.code).map(|word| word.as_str().to_owned());
        words.chain(source.paths().into_iter().filter(|path| paths.is_match(path))).collect()
    });
}

#[test]
fn files_are_short_finished_and_safe() {
    let marks = regex(r"\b(?:TODO|FIXME|XXX)\b");
    let (macros, unsafe_word) = (regex(r"\b(?:todo|unimplemented|dbg)!"), regex(r"\bunsafe\b"));
    expect_none("not in any file, in no file but UNSAFE_FILES, or not outside tests", |source| {
        let code = code_of(&source.text);
        let mut found: Vec<&str> =
            marks.find_iter(&source.text).chain(macros.find_iter(&code)).map(|mark| mark.as_str()).collect();
        let is_allowed = UNSAFE_FILES.contains(&source.path.as_str());
        found.extend((!is_allowed && unsafe_word.is_match(&code)).then_some("unsafe"));
        found.extend(source.code.contains(".unwrap()").then_some(".unwrap()"));
        found.extend((!source.text.starts_with("//! ")).then_some("no //! at the beginning"));
        found.extend(
            (tests_begin(&source.text) > FILE_LINES_MAX).then_some("too many lines before the tests"),
        );
        found.into_iter().map(str::to_owned).collect()
    });
}

#[test]
fn the_checks_find_what_they_look_for() {
    let text = "//! A.\nuse super::super::net::Reactor;\nuse super::near::{Thing, b::{self as c, D}};\nuse std::fs;\n\
                let a = \"x // y\"; // unsafe\nlet b = r#\"fn \"quoted\"\n}\"#; /* a */ let c: &'a u8 = b'\"';\n\
                pub(crate) fn one(\n    a: u8,\n) {\n    if a > 1 {\n    }\n    crate::config::settings::load();\n}\n\
                #[cfg(test)]\nmod script;\n#[cfg(test)]\nmod tests {\n    use crate::cli;\n}\n";
    let code = code_of(text);
    assert_eq!(code.lines().count(), text.lines().count());
    assert!(!["unsafe", "quoted", "*", "\"", "x // y"].iter().any(|gone| code.contains(gone)), "{code:?}");
    assert!(
        code.contains("let a = ") && code.contains("let b = ") && code.contains("&'a u8 = b"),
        "{code:?}"
    );
    let source = Source::new("engine/hub.rs".to_owned(), text.to_owned());
    let near = ["engine::near::Thing", "engine::near::b::self", "engine::near::b::D"];
    assert_eq!(
        source.paths(),
        [&["net::Reactor"][..], &near, &["::std::fs", "config::settings::load"]].concat()
    );
    assert_eq!(part_of("config::settings::load").as_deref(), Some("config::settings"));
    assert_eq!((test_modules(&source), tests_begin(text)), (vec!["engine/hub/script.rs".to_owned()], 16));
    let graph = [("a", "b"), ("b", "c"), ("c", "b"), ("d", "a"), ("e", "")];
    let graph = graph.map(|(node, to)| (node.to_owned(), to.split_whitespace().map(str::to_owned).collect()));
    assert_eq!(circles(BTreeMap::from(graph)).into_keys().collect::<Vec<_>>(), ["b", "c"]);
}
