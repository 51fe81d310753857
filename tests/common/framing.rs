//! How messages are delimited, from a client's side.

/// The framing of a listener, as its line on stdout names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Lines,
    Nul,
    Length,
    Fixed(usize),
}

impl Framing {
    /// Reads `lines`, `nul`, `length` or `fixed:N`.
    #[track_caller]
    pub(crate) fn parse(name: &str) -> Self {
        match (name, name.strip_prefix("fixed:")) {
            ("lines", _) => Self::Lines,
            ("nul", _) => Self::Nul,
            ("length", _) => Self::Length,
            (_, Some(record)) => Self::Fixed(record.parse().unwrap()),
            _ => panic!("no framing: {name:?}"),
        }
    }

    /// The bytes of a message. A message that is longer than a record continues in further ones.
    pub(crate) fn encode(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Lines => [message, b"\n"].concat(),
            Self::Nul => [message, b"\0"].concat(),
            Self::Length => [&u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat(),
            Self::Fixed(record) => {
                let mut records = message.to_vec();
                records.resize(message.len().max(1).next_multiple_of(record), b' ');
                records
            }
        }
    }

    /// Removes the first message from `inbox`; with `fixed` it is a record without the spaces at its end.
    #[track_caller]
    pub(crate) fn take(self, inbox: &mut Vec<u8>) -> Option<Vec<u8>> {
        let mut message = match self {
            Self::Lines => {
                drain(inbox, |inbox| inbox.iter().position(|&byte| byte == b'\n').map(|at| at + 1))
            }
            Self::Nul => drain(inbox, |inbox| inbox.iter().position(|&byte| byte == 0).map(|at| at + 1)),
            Self::Length => drain(inbox, |inbox| {
                let length = u32::from_be_bytes(*inbox.first_chunk()?);
                Some(4 + usize::try_from(length).unwrap())
            }),
            Self::Fixed(record) => drain(inbox, |_| Some(record)),
        }?;
        match self {
            Self::Lines => assert!(strip_end(&mut message, b"\r\n"), "ends without CR LF: {message:?}"),
            Self::Nul => assert!(strip_end(&mut message, b"\0"), "ends without NUL: {message:?}"),
            Self::Length => drop(message.drain(..4)),
            Self::Fixed(_) => while strip_end(&mut message, b" ") {},
        }
        Some(message)
    }
}

/// Removes the first message, whose length `measure` returns, if all of it has arrived.
fn drain(inbox: &mut Vec<u8>, measure: impl FnOnce(&[u8]) -> Option<usize>) -> Option<Vec<u8>> {
    let length = measure(inbox).filter(|&length| length <= inbox.len())?;
    Some(inbox.drain(..length).collect())
}

fn strip_end(message: &mut Vec<u8>, end: &[u8]) -> bool {
    let is_there = message.ends_with(end);
    if is_there {
        message.truncate(message.len() - end.len());
    }
    is_there
}
