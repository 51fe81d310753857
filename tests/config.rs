//! Configuration from outside: the annotated file, layers, errors with their place, and the commands about it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

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

/// A directory of one test's own, removed at its end.
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
