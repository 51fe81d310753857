//! Rules between keys, checked once every layer is in place.

use super::settings::{ByteSize, Config};

/// What a line carries besides its text: time, two names, brackets, line end.
const LINE_OVERHEAD: u64 = 128;

/// A rule that is broken: the keys it is about, the most telling first, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// The keys of which at least one has to change.
    pub(super) keys: [&'static str; 2],
    /// What is wrong and what to do.
    pub(super) message: String,
}

/// The rules that `config` breaks.
pub(super) fn broken(config: &Config) -> Vec<Broken> {
    let limits = &config.limits;
    [
        holds_a_line("limits.outbox_bytes", limits.outbox_bytes, limits.line_bytes),
        holds_a_line("limits.outbox_total", limits.outbox_total, limits.line_bytes),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn holds_a_line(key: &'static str, size: ByteSize, line: ByteSize) -> Option<Broken> {
    let least = line.0 + LINE_OVERHEAD;
    (size.0 < least).then(|| Broken {
        keys: [key, "limits.line_bytes"],
        message: format!(
            "{} bytes do not hold one line: at least {least} for limits.line_bytes = {}",
            size.0, line.0
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbox_holds_the_longest_line() {
        let mut config = Config::default();
        assert_eq!(broken(&config), []);
        config.limits.outbox_bytes = ByteSize(4096 + LINE_OVERHEAD);
        assert_eq!(broken(&config), []);
        config.limits.outbox_bytes = ByteSize(4096 + LINE_OVERHEAD - 1);
        assert_eq!(broken(&config)[0].keys[0], "limits.outbox_bytes");
    }
}
