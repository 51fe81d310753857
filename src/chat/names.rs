//! Nicks and room names: parsed once, legal ever after.

use std::fmt;

use arrayvec::ArrayString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::id::ConnId;

/// The longest nick or room name, in bytes (they are ASCII).
pub const NAME_MAX: usize = 24;

/// Names that no person may take, compared without case.
const RESERVED: [&str; 6] = ["server", "system", "admin", "operator", "root", "chatops"];

/// Why a word is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A nick must contain at least one non-digit: digits alone would read like a connection id.
    #[error("a nick needs at least one character that is not a digit")]
    AllDigits,
    /// A character outside the set.
    #[error("a name is made of ASCII letters, digits and _ - [ ] {{ }} ^ |")]
    Character,
    /// Empty or too long.
    #[error("a name has 1 to {NAME_MAX} characters")]
    Length,
    /// `guest-N` and a few other names are reserved.
    #[error("that name is reserved")]
    Reserved,
}

/// The name of a person: 1 to 24 of ASCII letters, digits, `_ - [ ] { } ^ |`, at least one of them no digit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nick(ArrayString<NAME_MAX>);

impl Nick {
    /// A name that a person may take.
    ///
    /// # Errors
    ///
    /// Says which rule the word breaks.
    pub fn parse(word: &str) -> Result<Self, NameError> {
        let name = checked(word)?;
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NameError::AllDigits);
        }
        if is_reserved(word) {
            return Err(NameError::Reserved);
        }
        Ok(Self(name))
    }

    /// `guest-ID`, the name that a connection starts with.
    ///
    /// # Panics
    ///
    /// Never: `guest-` and the 20 digits of the largest id are 26 bytes, so ids are cut to 18 digits,
    /// more than a server can hand out.
    #[must_use]
    pub fn guest(id: ConnId) -> Self {
        let name = format!("guest-{}", id.get() % 1_000_000_000_000_000_000);
        Self(ArrayString::from(&name).expect("6 + 18 bytes fit in 24"))
    }

    /// Whether the server gave this name, with the connection's id in it.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        is_guest(&self.0)
    }

    /// A name that a person may have already, a guest's included: for look-ups.
    ///
    /// # Errors
    ///
    /// Says which rule the word breaks.
    pub fn of_anybody(word: &str) -> Result<Self, NameError> {
        checked(word).map(Self)
    }
}

/// The name of a room, without its `#`: 1 to 24 of the same characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomName(ArrayString<NAME_MAX>);

impl RoomName {
    /// A room name, with or without the `#` before it.
    ///
    /// # Errors
    ///
    /// Says which rule the word breaks.
    pub fn parse(word: &str) -> Result<Self, NameError> {
        checked(word.strip_prefix('#').unwrap_or(word)).map(Self)
    }
}

/// The longest name of a server, in bytes (it is ASCII).
pub const SERVER_NAME_MAX: usize = 16;

/// The name of another server: 1 to 16 of a–z, 0–9 and `-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName {
    /// With the `@` before it, as it follows a nick.
    suffix: ArrayString<{ 1 + SERVER_NAME_MAX }>,
}

impl ServerName {
    /// The name of a server, without an `@`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if word.is_empty() || !word.bytes().all(is_allowed) {
            return None;
        }
        let mut suffix = ArrayString::from("@").ok()?;
        suffix.try_push_str(word).ok()?;
        Some(Self { suffix })
    }

    /// `@b`, as it follows a nick.
    #[must_use]
    pub fn suffix(&self) -> &str {
        &self.suffix
    }
}

/// What a nick and the name of a room have in common.
macro_rules! name {
    ($name:ident) => {
        impl $name {
            /// The name as written, without a `#`.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The form in which two names are compared.
            #[must_use]
            pub fn folded(&self) -> Folded {
                Folded::of(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            /// Any name that a person or a room may have.
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                checked(&std::borrow::Cow::<str>::deserialize(deserializer)?)
                    .map(Self)
                    .map_err(de::Error::custom)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

name!(Nick);
name!(RoomName);

/// A name in lower case, for comparison and look-up only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folded(ArrayString<NAME_MAX>);

impl Folded {
    fn of(name: &ArrayString<NAME_MAX>) -> Self {
        let mut folded = *name;
        folded.make_ascii_lowercase();
        Self(folded)
    }
}

fn checked(word: &str) -> Result<ArrayString<NAME_MAX>, NameError> {
    if word.is_empty() {
        return Err(NameError::Length);
    }
    if !word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-[]{}^|".contains(&byte)) {
        return Err(NameError::Character);
    }
    ArrayString::from(word).map_err(|_| NameError::Length)
}

fn is_reserved(word: &str) -> bool {
    is_guest(word) || RESERVED.contains(&word.to_ascii_lowercase().as_str())
}

fn is_guest(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    lower.strip_prefix("guest-").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
}

impl fmt::Display for Nick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for RoomName {
    /// With its `#`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nicks_are_checked_once() {
        for good in ["a", "alice", "x1", "[{^|}]", "_-_", "guest-x", "abcdefghijklmnopqrstuvwx"] {
            assert_eq!(Nick::parse(good).map(|nick| nick.to_string()), Ok(good.to_owned()));
        }
        for (bad, why) in [
            ("", NameError::Length),
            ("abcdefghijklmnopqrstuvwxy", NameError::Length),
            ("a b", NameError::Character),
            ("аdmin", NameError::Character),
            ("1234", NameError::AllDigits),
            ("Admin", NameError::Reserved),
            ("guest-9", NameError::Reserved),
            ("GUEST-", NameError::Reserved),
        ] {
            assert_eq!(Nick::parse(bad), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn names_are_compared_without_case() {
        assert_eq!(Nick::parse("Alice").unwrap().folded(), Nick::parse("aLICE").unwrap().folded());
        assert_eq!(RoomName::parse("#Ops").unwrap().folded(), RoomName::parse("ops").unwrap().folded());
    }

    #[test]
    fn the_name_of_a_server_is_short_and_in_small_letters() {
        for good in ["b", "eu-1", "abcdefghijklmnop"] {
            assert_eq!(ServerName::parse(good).unwrap().suffix(), format!("@{good}"));
        }
        for bad in ["", "abcdefghijklmnopq", "B", "a.b", "@b", "ü"] {
            assert_eq!(ServerName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_largest_guest_fits() {
        assert_eq!(Nick::guest(ConnId::new(7).unwrap()).as_str(), "guest-7");
        assert!(Nick::guest(ConnId::new(u64::MAX).unwrap()).as_str().len() <= NAME_MAX);
    }
}
