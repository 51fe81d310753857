//! The two numbers of a connection: the id that people see, and its place in the slab. Plain data for every layer.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The id of a connection that people see: `#7`. Ids start at 1 and are never used twice in one run.
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

/// A text that is no connection id.
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

/// The place of a connection in the slab. After the end of the connection, another one gets its slot; so a slot is used
/// only within one turn or together with a [`ConnId`].
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
    /// From 2³² connections on, which `limits.clients` excludes.
    #[must_use]
    pub fn at(index: usize) -> Self {
        Self(u32::try_from(index).expect("limits.clients keeps slab indexes within 32 bits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_digits_with_or_without_a_number_sign() {
        assert_eq!("7".parse(), Ok(ConnId::new(7).unwrap()));
        assert_eq!("#7".parse(), Ok(ConnId::new(7).unwrap()));
        for bad in ["", "#", "0", "+7", "-7", "##7", "7 ", "99999999999999999999"] {
            assert_eq!(bad.parse::<ConnId>(), Err(NotAnId), "{bad:?}");
        }
    }
}
