//! What is in force, as TOML that reads back to the same configuration.

use std::fmt::Write as _;

use super::error::printable;
use super::keys::{KEYS, LISTEN, LISTEN_KEYS, RawListen};
use super::load::Loaded;

/// Where the comments stand, in characters from the left, unless the value is longer.
const COMMENT_COLUMN: usize = 40;

impl Loaded {
    /// What is in force: the keys in the order of `config.toml`, those that were set with a comment that says where.
    #[must_use]
    pub fn show(&self) -> String {
        let mut shown = match &self.file {
            Some(path) => format!("# {} over the built-in defaults.\n", printable(&path.to_string_lossy())),
            None => "# No file; the built-in defaults.\n".to_owned(),
        };
        self.show_listeners(&mut shown);
        let mut section = "";
        for key in KEYS {
            let (of, name) = key.path.split_once('.').unwrap_or(("", key.path));
            if of != section {
                let _ = write!(shown, "\n[{of}]\n");
                section = of;
            }
            let origin = self.origins.get(key.path).map(ToString::to_string);
            line(&mut shown, name, &(key.write)(&self.config), origin.as_deref());
        }
        shown
    }

    fn show_listeners(&self, shown: &mut String) {
        for (listen, origin) in self.config.listen.0.iter().zip(&self.listen_origins) {
            let _ = write!(shown, "\n[[{LISTEN}]]\n");
            let raw = RawListen::from(listen.clone());
            for (index, key) in LISTEN_KEYS.iter().enumerate() {
                let origin = origin.as_ref().filter(|_| index == 0).map(ToString::to_string);
                line(shown, key.path, &(key.write)(&raw), origin.as_deref());
            }
        }
    }
}

fn line(shown: &mut String, name: &str, value: &str, origin: Option<&str>) {
    let pair = format!("{name} = {value}");
    let _ = match origin {
        Some(origin) => writeln!(shown, "{pair:COMMENT_COLUMN$} # {origin}"),
        None => writeln!(shown, "{pair}"),
    };
}
