//! Rules between keys, checked once every layer is in place.

use super::settings::{ByteSize, Config, Framing, Limits};

/// What a line carries besides its text: time, two names, brackets, line end. An object of JSON mode may be twice as
/// long (every quote escaped), and records that go on have three bytes more: where a line does not fit it is skipped, and
/// its reader told.
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
    let least = limits.line_bytes.0 + LINE_OVERHEAD;
    [
        holds_a_line(
            "limits.outbox_bytes",
            limits.outbox_bytes,
            Limits::outbox_for(least),
            limits.line_bytes,
        ),
        holds_a_line("limits.outbox_total", limits.outbox_total, least, limits.line_bytes),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn holds_a_line(key: &'static str, size: ByteSize, least: u64, line: ByteSize) -> Option<Broken> {
    (size.0 < least).then(|| Broken {
        keys: [key, "limits.line_bytes"],
        message: format!(
            "{} bytes do not hold one line: at least {least} for limits.line_bytes = {}",
            size.0, line.0
        ),
    })
}

/// What a listener's framing breaks: an outbox holds the longest line in whole records.
///
/// # Errors
///
/// Says what is wrong and what to do.
pub(super) fn check_framing(framing: Framing, limits: &Limits) -> Result<(), String> {
    let Framing::Fixed(record) = framing else { return Ok(()) };
    let (record, line) = (u64::from(record.get()), limits.line_bytes.0);
    let least = Limits::outbox_for((line + LINE_OVERHEAD).next_multiple_of(record));
    if least > limits.outbox_bytes.0 {
        let outbox = limits.outbox_bytes.0;
        return Err(format!(
            "the longest line needs an outbox of {least} bytes with {framing}: limits.outbox_bytes is {outbox}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbox_is_as_large_as_it_has_to_be() {
        for unsent in [256_u64, 4_224, 4_225, 65_664] {
            let size = Limits::outbox_for(unsent);
            assert!(Limits::unsent_max(size) >= unsent && Limits::unsent_max(size - 2) < unsent, "{unsent}");
        }
    }

    #[test]
    fn an_outbox_holds_the_longest_line() {
        let mut config = Config::default();
        assert_eq!(broken(&config), []);
        config.limits.outbox_bytes = ByteSize(Limits::outbox_for(4096 + LINE_OVERHEAD));
        assert_eq!(broken(&config), []);
        config.limits.outbox_bytes = ByteSize(Limits::outbox_for(4096 + LINE_OVERHEAD) - 1);
        assert_eq!(broken(&config)[0].keys[0], "limits.outbox_bytes");
    }

    #[test]
    fn records_fit_the_limits() {
        let fixed = |bytes| Framing::Fixed(std::num::NonZeroU32::new(bytes).unwrap());
        let mut limits = Limits::default();
        assert_eq!(check_framing(Framing::Length, &limits), Ok(()));
        assert_eq!(check_framing(fixed(4096), &limits), Ok(()));
        assert_eq!(check_framing(fixed(65_536), &limits), Ok(()));
        limits.outbox_bytes = ByteSize(2 * 4096 - 1);
        assert_eq!(check_framing(fixed(64), &limits), Ok(()));
        assert!(check_framing(fixed(4096), &limits).is_err());
    }
}
