//! Names for connections: the number people see and the place in the slab that the machine uses.
//!
//! Plain data; every layer may use it.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The number of a connection, as people see it: `#7`. Counted from 1, never used twice in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConnId(NonZeroU64);

impl ConnId {
    /// The first id of a run.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The id with this number; `None` for 0, which no connection has.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The id given after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The number without its `#`.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A word that is no connection id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a connection id is a number from 1, with or without a #")]
pub struct NotAnId;

impl FromStr for ConnId {
    type Err = NotAnId;

    /// Takes `7` and `#7`.
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let digits = text.strip_prefix('#').unwrap_or(text);
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotAnId);
        }
        let number = digits.parse::<u64>().map_err(|_| NotAnId)?;
        Self::new(number).ok_or(NotAnId)
    }
}

/// Where a connection lives in the session slab. Given again to another connection after its end, so it is
/// used only within one turn or together with a [`ConnId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

impl Slot {
    /// The slot as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The slot at a slab index.
    ///
    /// # Panics
    ///
    /// Beyond 2³² − 1 connections, which `limits.clients` excludes.
    #[must_use]
    pub fn at(index: usize) -> Self {
        Self(u32::try_from(index).expect("limits.clients keeps slab indexes within 32 bits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_digits_with_or_without_their_sign() {
        assert_eq!("7".parse(), Ok(ConnId::new(7).unwrap()));
        assert_eq!("#7".parse(), Ok(ConnId::new(7).unwrap()));
        for bad in ["", "#", "0", "+7", "-7", "##7", "7 ", "99999999999999999999"] {
            assert_eq!(bad.parse::<ConnId>(), Err(NotAnId), "{bad:?}");
        }
    }
}
