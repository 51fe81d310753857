//! Configuration from outside: the annotated file, layers, errors with their place, and the commands about it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use proptest::prelude::*;
use proptest::sample::subsequence;

use chatops::config::settings::{ByteSize, ListenAddr};
use chatops::config::{Config, ConfigError, DEFAULT_TOML, Loaded, Sources, load};

fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    assert!(!files.is_empty());
    files
}

fn with_file(file: &Path) -> Sources {
    Sources { file: Some(file.to_owned()), ..Sources::default() }
}

fn options(options: &[&str]) -> Result<Loaded, ConfigError> {
    load(&Sources { options: options.iter().map(ToString::to_string).collect(), ..Sources::default() })
}

/// A directory of one test, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("chatops-config-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_annotated_file_is_the_default() {
    let scratch = Scratch::new("default");
    let file = scratch.file("config.toml", DEFAULT_TOML);
    assert_eq!(load(&with_file(&file)).unwrap().config, Config::default());
    assert_eq!(load(&Sources::default()).unwrap().config, Config::default());
}

#[test]
fn valid_files_load_and_show_reads_back() {
    let scratch = Scratch::new("valid");
    for path in cases("valid") {
        let loaded = load(&with_file(&path)).unwrap_or_else(|error| panic!("{error}"));
        let shown = loaded.show();
        let again = load(&with_file(&scratch.file("shown.toml", &shown)))
            .unwrap_or_else(|error| panic!("{}: {error}\n{shown}", path.display()));
        assert_eq!(again.config, loaded.config, "{}\n{shown}", path.display());
        assert_ne!(loaded.config, Config::default(), "{} sets nothing", path.display());
    }
}

#[test]
fn invalid_files_are_refused_with_place_key_and_remedy() {
    for path in cases("invalid") {
        let text = std::fs::read_to_string(&path).unwrap();
        let expected: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("# error: ")).collect();
        assert!(!expected.is_empty(), "{} names no error", path.display());
        let Err(error) = load(&with_file(&path)) else { panic!("{} was taken", path.display()) };
        let prefix = format!("{}:", path.display());
        let found: Vec<String> = error
            .problems()
            .iter()
            .map(|problem| {
                let line = problem.to_string();
                line.strip_prefix(&prefix).unwrap_or(&line).to_owned()
            })
            .collect();
        assert_eq!(found, expected, "{}", path.display());
    }
}

fn addresses(config: &Config) -> Vec<String> {
    config.listen.0.iter().map(|listen| listen.address.to_string()).collect()
}

#[test]
fn later_layers_win() {
    let scratch = Scratch::new("layers");
    let file = scratch.file(
        "config.toml",
        "limits.clients = 5\nlimits.rooms = 6\ndashboard.keys = { x = 'kick', y = 'mute' }\n\
         listen = [{ address = '127.0.0.1:1' }, { address = '127.0.0.1:2', backlog = 7 }]\n",
    );
    let mut sources = with_file(&file);
    assert_eq!(addresses(&load(&sources).unwrap().config), ["127.0.0.1:1", "127.0.0.1:2"]);

    sources.listen = vec!["127.0.0.1:3".to_owned(), "unix:/run/c.sock".to_owned()];
    sources.options =
        ["limits.rooms=7", "limits.rooms = 8", "dashboard.keys.y=reset", "dashboard.keys.\"=\"=help"]
            .map(str::to_owned)
            .to_vec();
    let config = load(&sources).unwrap().config;
    assert_eq!(addresses(&config), ["127.0.0.1:3", "unix:/run/c.sock"]);
    assert_eq!(config.listen.0[0].backlog, 1024, "-l brings no other listener's settings");
    assert_eq!((config.limits.clients, config.limits.rooms), (5, 8));
    let keys: Vec<(&str, &str)> = config.dashboard.keys.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(keys, [("=", "help"), ("x", "kick"), ("y", "reset")]);
}

#[test]
fn an_option_that_is_no_toml_value_is_a_string() {
    let config = options(&[
        "limits.outbox_bytes=16 MiB",
        "limits.outbox_total=\"1 GiB\"",
        "limits.line_bytes=1024",
        "server.name=the ops' server",
        "server.motd=",
        "rooms.lobby=#night",
        "log = { level = 'debug' }",
    ])
    .unwrap()
    .config;
    assert_eq!(config.limits.outbox_bytes, ByteSize::mib(16));
    assert_eq!(config.limits.outbox_total, ByteSize::mib(1024));
    assert_eq!(config.limits.line_bytes, ByteSize::kib(1));
    assert_eq!(config.server.name, "the ops' server");
    assert_eq!(config.rooms.lobby, "night");
}

#[test]
fn mistakes_in_options_are_reported_with_the_option() {
    for (option, expected) in [
        ("limits.foo=1", "-o limits.foo: unknown key; `chatops config default` shows all there are"),
        ("line_bytes=1", "-o line_bytes: unknown key; did you mean limits.line_bytes?"),
        ("limits.clients=many", "-o limits.clients: must be a whole number, not \"many\""),
        ("limits.clients", "-o limits.clients: write KEY=VALUE, such as -o limits.clients=500"),
        ("=5", "-o =5: write KEY=VALUE, such as -o limits.clients=500"),
        ("a b=5", "-o a b: is no key: write SECTION.KEY=VALUE"),
        ("server={ name = 5 }", "-o server: server.name: must be a string in quotes, not 5"),
        (
            "limits.line_bytes=512 KiB",
            "-o limits.line_bytes: limits.outbox_bytes: 262144 bytes do not hold one line: \
             at least 557192 for limits.line_bytes = 524288",
        ),
    ] {
        assert_eq!(options(&[option]).unwrap_err().to_string(), expected);
    }
    let two = options(&["limits.foo=1", "limits.bar=1"]).unwrap_err();
    assert_eq!(two.problems().len(), 2);
    assert!(two.to_string().ends_with(" (and 1 more: `chatops config check` names all)"), "{two}");
    assert!(!two.to_string().contains('\n'));
}

#[test]
fn relative_paths_start_at_the_directory_of_the_file() {
    let scratch = Scratch::new("relative");
    scratch.file("etc/motd", "from the file\r\nof two lines\n");
    let file = scratch
        .file("etc/config.toml", "server.motd_file = 'motd'\nlisten = [{ address = 'unix:c.sock' }]\n");
    let config = load(&with_file(&file)).unwrap().into_config();
    assert_eq!(config.server.motd, "from the file\r\nof two lines\n");
    assert_eq!(config.listen.0[0].address, ListenAddr::Unix(scratch.0.join("etc/c.sock")));
}

#[test]
fn an_invalid_motd_file_is_refused() {
    let scratch = Scratch::new("motd");
    for (name, bytes, why) in [
        ("large", vec![b'x'; 16 * 1024 + 1], "has more than 16384 bytes"),
        ("latin1", vec![b'g', 0xfc, b'n'], "is not UTF-8"),
        ("escape", b"\x1b[2J".to_vec(), "has the control character"),
    ] {
        let file = scratch.file(name, bytes);
        let error = options(&[&format!("server.motd_file={}", file.display())]).unwrap_err().to_string();
        assert!(error.starts_with("-o server.motd_file: ") && error.contains(why), "{error}");
    }
}

#[test]
fn an_unreadable_file_is_refused_with_its_name() {
    let scratch = Scratch::new("unreadable");
    let large = scratch.file("large.toml", vec![b'#'; 1024 * 1024 + 1]);
    let binary = scratch.file("binary.toml", [0xff, 0xfe, 0x00]);
    for path in [scratch.0.join("absent.toml"), scratch.0.clone(), large, binary] {
        let error = load(&with_file(&path)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: cannot be read (", path.display())), "{error}");
    }
}

/// Some of the keys with valid values, as options.
fn some_options() -> impl Strategy<Value = Vec<String>> {
    let number = |key: &'static str| (1..100_000_u32).prop_map(move |n| format!("{key}={n}")).boxed();
    let size =
        |key: &'static str| (8_192..1_u64 << 26).prop_map(move |n| format!("{key}={}", n >> 8 << 8)).boxed();
    let time = |key: &'static str| (100..600_000_u64).prop_map(move |ms| format!("{key}={ms}ms")).boxed();
    let text = "[ -~éλ☃\t\n]{0,40}".prop_map(|text| format!("server.motd={}", toml::Value::from(text)));
    let name = "[!-~]{1,20}".prop_map(|name| format!("server.name={}", toml::Value::from(name)));
    let binding = "[!-~é]{1,3}".prop_map(|key| {
        let table = toml::Table::from_iter([(key, "kick".into())]);
        format!("dashboard.keys={{ {} }}", table.to_string().trim_end())
    });
    let word = |key: &'static str, words: &'static [&'static str]| {
        proptest::sample::select(words).prop_map(move |word| format!("{key}={word}")).boxed()
    };
    let all = [
        number("limits.clients"),
        number("limits.per_ip"),
        number("limits.rooms"),
        number("flood.burst_lines"),
        number("rooms.presence_max"),
        size("limits.outbox_bytes"),
        size("limits.outbox_total"),
        size("limits.inbox_total"),
        size("limits.send_buffer"),
        size("flood.burst_bytes"),
        time("server.drain"),
        time("limits.stall"),
        time("half_close.timeout"),
        text.boxed(),
        name.boxed(),
        binding.boxed(),
        word("log.level", &["error", "warn", "info", "debug"]),
        word("dashboard.theme", &["auto", "dark", "light", "high-contrast", "colour-blind", "mono"]),
        word("listen", &["[{ address = '[::1]:0' }]", "[{ backlog = 3 }, { address = 'unix:/a' }]"]),
    ];
    let count = all.len();
    (Vec::from(all), subsequence((0..count).collect::<Vec<_>>(), 0..=count))
        .prop_map(|(all, chosen)| chosen.into_iter().map(|index| all[index].clone()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_shown_is_what_is_in_force(options in some_options()) {
        let scratch = Scratch::new("shown");
        let loaded = load(&Sources { options, ..Sources::default() }).unwrap();
        let shown = loaded.show();
        let again = load(&with_file(&scratch.file("shown.toml", &shown)));
        prop_assert_eq!(again.map(|again| again.config), Ok(loaded.config), "{}", shown);
    }

    #[test]
    fn no_text_panics(text in "[\\[\\]a-z.=\"'#{}, \n0-9]{0,60}", option in "[a-z.=\"'\\[\\]{}\n0-9]{0,20}") {
        let scratch = Scratch::new("noise");
        let file = scratch.file("noise.toml", &text);
        let _ = load(&Sources { options: vec![option], ..with_file(&file) });
    }
}

/// Runs the program without a terminal and without the configuration of this machine.
fn chatops(scratch: &Scratch, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chatops"))
        .args(arguments)
        .env("HOME", &scratch.0)
        .env_remove("XDG_CONFIG_HOME")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Exit code, stdout and stderr.
fn outcome(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn config_default_prints_the_annotated_file() {
    let scratch = Scratch::new("cli-default");
    let output = chatops(&scratch, &["config", "default"]);
    assert_eq!(outcome(&output), (Some(0), DEFAULT_TOML.to_owned(), String::new()));
}

#[test]
fn config_check_says_ok_or_names_every_mistake() {
    let scratch = Scratch::new("cli-check");
    let output = chatops(&scratch, &["config", "check", "-o", "limits.clients=5"]);
    let (code, stdout, stderr) = outcome(&output);
    assert_eq!((code, &*stderr), (Some(0), ""));
    assert!(stdout.starts_with("ok: "), "{stdout}");

    let file = scratch.file(".config/chatops/config.toml", "limits.clients = 5\n");
    let output = chatops(&scratch, &["config", "check"]);
    assert_eq!(outcome(&output), (Some(0), format!("ok: {}\n", file.display()), String::new()));

    let bad = scratch.file("bad.toml", "limits.clients = 0\nlimits.rooms = 0\n");
    let (code, stdout, stderr) =
        outcome(&chatops(&scratch, &["-c", bad.to_str().unwrap(), "config", "check", "-o", "limits.foo=1"]));
    let file = bad.display();
    assert_eq!(
        stderr,
        format!(
            "chatops: {file}:1:8: limits.clients: must be from 1 to 1000000, not 0\n\
             {file}:2:8: limits.rooms: must be from 1 to 1000000, not 0\n\
             -o limits.foo: unknown key; `chatops config default` shows all there are\n"
        )
    );
    assert_eq!((code, stdout), (Some(2), String::new()));
}

#[test]
fn config_show_has_the_place_where_a_key_was_set() {
    let scratch = Scratch::new("cli-show");
    let file = scratch.file(".config/chatops/config.toml", "[limits]\n  rooms = 5\n");
    let (code, stdout, stderr) = outcome(&chatops(
        &scratch,
        &["-o", "limits.clients=5", "config", "show", "-o", "limits.clients=6", "-l", "127.0.0.1:0"],
    ));
    assert_eq!((code, &*stderr), (Some(0), ""));
    let line =
        |start: &str| stdout.lines().find(|line| line.starts_with(start)).unwrap_or(&stdout).to_owned();
    assert!(line("rooms = 5").ends_with(&format!(" # {}:2:3", file.display())), "{stdout}");
    assert!(line("clients = 6").ends_with(" # -o limits.clients"), "{stdout}");
    assert!(line("address").ends_with(" # -l 127.0.0.1:0"), "{stdout}");
    assert_eq!(line("on_full"), "on_full = \"skip\"");
}

#[test]
fn config_path_marks_the_file_in_use() {
    let scratch = Scratch::new("cli-path");
    let user = scratch.0.join(".config/chatops/config.toml");
    let (code, stdout, _) = outcome(&chatops(&scratch, &["config", "path"]));
    assert_eq!(code, Some(0));
    assert!(
        stdout.starts_with(&format!("{} (not there)\n/etc/chatops/config.toml (", user.display())),
        "{stdout}"
    );

    scratch.file(".config/chatops/config.toml", "");
    let (_, stdout, _) = outcome(&chatops(&scratch, &["config", "path"]));
    assert!(stdout.starts_with(&format!("{} (taken)\n", user.display())), "{stdout}");

    let (_, stdout, _) = outcome(&chatops(&scratch, &["config", "path", "-c", "/nonexistent"]));
    assert_eq!(stdout, "/nonexistent (not there)\n");
}

#[test]
fn without_a_terminal_the_dashboard_is_refused_with_a_remedy() {
    let scratch = Scratch::new("cli-terminal");
    let output = chatops(&scratch, &[]);
    let expected = "chatops: no terminal here: run `chatops serve`\n";
    assert_eq!(outcome(&output), (Some(2), String::new(), expected.to_owned()));
}

#[test]
fn wrong_usage_and_bad_configuration_exit_with_2() {
    let scratch = Scratch::new("cli-usage");
    for arguments in [
        &["frobnicate"][..],
        &["--frobnicate"],
        &["config"],
        &["config", "frobnicate"],
        &["config", "default", "-o", "limits.clients=5"],
        &["completions"],
        &["completions", "cmd.exe"],
        &["serve", "extra"],
        &["serve", "-c"],
        &["serve", "-c", "/nonexistent"],
        &["serve", "-o", "limits.clients=0"],
        &["serve", "-l", "nowhere"],
    ] {
        let (code, stdout, stderr) = outcome(&chatops(&scratch, arguments));
        assert_eq!((code, &*stdout), (Some(2), ""), "{arguments:?}: {stderr}");
        assert!(!stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn completions_and_manual_know_every_command() {
    let scratch = Scratch::new("cli-man");
    for arguments in
        [&["completions", "bash"][..], &["completions", "zsh"], &["completions", "fish"], &["man"]]
    {
        let (code, stdout, stderr) = outcome(&chatops(&scratch, arguments));
        assert_eq!((code, &*stderr), (Some(0), ""), "{arguments:?}");
        for word in ["serve", "check", "completions"] {
            assert!(stdout.contains(word), "{arguments:?} lacks {word}");
        }
    }
}

#[test]
fn a_closed_stdout_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatops"));
    let output = command.args(["config", "default"]).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]));
}

#[test]
fn stdout_on_a_full_disk_is_a_failure() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatops"));
    let output = command.args(["config", "default"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.starts_with(b"chatops: cannot write to stdout: "));
}

/// Why a file with these bytes is refused.
#[track_caller]
fn refused(scratch: &Scratch, bytes: &[u8]) -> String {
    load(&with_file(&scratch.file("config.toml", bytes))).expect_err("it is refused").to_string()
}

#[test]
fn a_byte_order_mark_moves_no_column() {
    let scratch = Scratch::new("bom");
    for mark in ["", "\u{feff}"] {
        let error = refused(&scratch, format!("{mark}limits.clents = 1\n").as_bytes());
        assert!(error.contains("config.toml:1:8: limits.clents"), "{error}");
        let error = refused(&scratch, format!("{mark}limits.clients = = 1\n").as_bytes());
        assert!(error.contains("config.toml:1:18: "), "{error}");
    }
}

#[test]
fn a_file_in_another_encoding_is_refused_with_its_name() {
    let scratch = Scratch::new("encodings");
    let utf16 = "\u{feff}limits.clients = 7\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let error = refused(&scratch, &utf16);
    assert!(error.contains("config.toml: cannot be read (it is UTF-16): save it as UTF-8"), "{error}");
    let error = refused(&scratch, b"# \xfcber\nserver.name = 'gr\xfcn'\n");
    assert!(
        error.contains("config.toml:1:3: cannot be read (it is not UTF-8, but perhaps Latin-1"),
        "{error}"
    );
}

#[test]
fn a_number_beyond_its_type_is_refused_with_the_range() {
    for (key, range) in [
        ("limits.clients", "from 1 to 1000000"),
        ("limits.line_bytes", "from 16 to \"1 MiB\""),
        ("flood.burst_lines", "from 1 to 1000000"),
        ("keepalive.count", "from 1 to 127"),
    ] {
        for number in ["-1", "0", "99999999999999999999"] {
            let error = options(&[&format!("{key}={number}")]).unwrap_err().to_string();
            assert!(error.contains(range) && error.contains(number), "{key}={number}: {error}");
        }
    }
}

#[test]
fn a_dangling_symbolic_link_is_refused() {
    let scratch = Scratch::new("dangling");
    let [file, directory] = ["file.toml", "directory"].map(|name| scratch.0.join(name));
    for link in [&file, &directory] {
        let _ = std::fs::remove_file(link);
        std::os::unix::fs::symlink(scratch.0.join("nowhere"), link).unwrap();
    }
    for path in [file, directory.join("config.toml")] {
        let error = load(&Sources { search: vec![path], ..Sources::default() }).unwrap_err().to_string();
        assert!(error.contains("is a symbolic link that leads to nothing"), "{error}");
    }
    assert!(load(&Sources { search: vec![scratch.0.join("absent")], ..Sources::default() }).is_ok());
}
