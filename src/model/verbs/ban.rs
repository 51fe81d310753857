//! The grammar of bans: `ban IP|CIDR|NICK [for TIME] [force] [REASON]`, `ban WHAT preview`, `unban WHAT`; behind `--`
//! everything is the reason.

use std::fmt;
use std::time::Duration;

use super::{OperatorCommand, Question, VerbError, parse_while, split_word, usage};
use crate::chat::Nick;
use crate::network::{Network, NetworkError};
use crate::time::write_span;

/// Whom a ban keeps out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BanMask {
    /// Whoever comes from there.
    Network(Network),
    /// Whoever wants this name, compared without case.
    Nick(Nick),
}

impl BanMask {
    /// Whether both keep out the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Network(one), Self::Network(other)) => one == other,
            (Self::Nick(one), Self::Nick(other)) => one.folded() == other.folded(),
            _ => false,
        }
    }
}

impl fmt::Display for BanMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Without it the whole /64 would be meant.
            Self::Network(network) if network.is_part_of_one() && !network.to_string().contains('/') => {
                write!(f, "{network}/128")
            }
            Self::Network(network) => network.fmt(f),
            Self::Nick(nick) => nick.fmt(f),
        }
    }
}

/// A ban as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanOrder {
    /// Whom it keeps out.
    pub mask: BanMask,
    /// For how long, if not until `unban`.
    pub time: Option<Duration>,
    /// Whether it may end more than half of the clients.
    pub is_forced: bool,
    /// Told to those whom it hits; may be empty.
    pub reason: String,
}

impl fmt::Display for BanOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ban {}", self.mask)?;
        if let Some(time) = self.time {
            write!(f, " for {}", write_span(time))?;
        }
        if self.is_forced {
            f.write_str(" force")?;
        }
        if !self.reason.is_empty() {
            write!(f, "{} {}", if reads_as_options(&self.reason) { " --" } else { "" }, self.reason)?;
        }
        Ok(())
    }
}

/// Behind this word everything is the reason, whatever it reads like.
const LITERALLY: &str = "--";

/// Whether a reason, as it stands, would be read as something else.
fn reads_as_options(reason: &str) -> bool {
    let is_option =
        |word: &str| ["for", "force", "preview", LITERALLY].contains(&&*word.to_ascii_lowercase());
    let mut words = reason.split_whitespace();
    words.next().is_some_and(is_option) || words.next_back().is_some_and(is_option)
}

/// The words of a ban that are no reason.
#[derive(Debug, Default)]
struct Options {
    time: Option<Duration>,
    is_forced: bool,
    is_preview: bool,
}

impl Options {
    /// Takes those that stand before the reason, and gives what is behind them.
    fn take_first<'a>(&mut self, mut rest: &'a str) -> Result<&'a str, VerbError> {
        loop {
            let (word, behind) = split_word(rest);
            rest = if self.is_word(word) {
                behind
            } else if word.eq_ignore_ascii_case("for") && self.time.is_none() {
                let (span, behind) = split_word(behind);
                self.time = Some(parse_while("ban", span)?);
                behind
            } else {
                return Ok(rest);
            };
        }
    }

    /// Takes the same words where they are the last of the reason, as people put what came to their mind last. There
    /// `force` may be a part of it as well, and stays.
    fn take_last<'a>(&mut self, reason: &'a str) -> &'a str {
        let (before, last) = reason.rsplit_once(char::is_whitespace).unwrap_or((reason, ""));
        if !self.is_word(last) {
            return reason;
        }
        if last.eq_ignore_ascii_case("force") { reason } else { before.trim_end() }
    }

    fn is_word(&mut self, word: &str) -> bool {
        let meant = match word.to_ascii_lowercase().as_str() {
            "force" => &mut self.is_forced,
            "preview" => &mut self.is_preview,
            _ => return false,
        };
        *meant = true;
        true
    }
}

/// Reads what stands behind `ban`. A `preview` makes it harmless.
pub(super) fn parse(line: &str) -> Result<OperatorCommand, VerbError> {
    let (mask, rest) = split_word(line);
    let mask = parse_mask("ban", mask)?;
    let mut options = Options::default();
    let rest = options.take_first(rest)?;
    let reason = match split_word(rest) {
        (LITERALLY, reason) => reason.to_owned(),
        _ => options.take_last(rest).to_owned(),
    };
    let Options { time, is_forced, is_preview } = options;
    Ok(if is_preview {
        OperatorCommand::Ask(Question::Preview(mask))
    } else {
        OperatorCommand::Ban(BanOrder { mask, time, is_forced, reason })
    })
}

/// Reads whom `verb` is for.
pub(super) fn parse_mask(verb: &str, word: &str) -> Result<BanMask, VerbError> {
    if word.is_empty() || word.contains(char::is_whitespace) {
        return Err(usage(verb));
    }
    if let Ok(network) = Network::of_printed(word) {
        return Ok(BanMask::Network(network));
    }
    if word.contains([':', '/', '.']) {
        return Err(VerbError(format!("{word} is {NetworkError}")));
    }
    // A name that is the server's to give, or nobody's, keeps nobody out.
    Nick::parse(word).map(BanMask::Nick).map_err(|why| {
        VerbError(format!("{word} cannot be banned: {why}; an address can, such as 192.0.2.7"))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_ban_of_any_network_reads_back_as_it_is_written(address: std::net::Ipv6Addr, prefix in 0_u8..=128) {
            let mask = BanMask::Network(format!("{address}/{prefix}").parse().unwrap_or(Network::of(address.into())));
            prop_assert_eq!(parse_mask("ban", &mask.to_string()), Ok(mask));
        }

        #[test]
        fn any_ban_reads_back_as_it_is_written(
            time in prop::option::of((1_u64..1_000_000).prop_map(Duration::from_secs)),
            is_forced: bool,
            words in prop::collection::vec(prop::sample::select(
                vec!["for", "FORCE", "preview", "--", "5m", "brute", "spam", "é"]), 0..6),
        ) {
            let mask = BanMask::Nick(Nick::parse("bob").unwrap());
            let order = BanOrder { mask, time, is_forced, reason: words.join(" ") };
            prop_assert_eq!(order.to_string().parse(), Ok(OperatorCommand::Ban(order)));
        }
    }
}
