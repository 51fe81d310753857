//! How messages are delimited on a connection, and the way out: a message into bytes. The way in is [`super::framer`].

use std::fmt;
use std::num::NonZeroU32;

/// What fills a record of [`Framing::Fixed`] behind its message.
pub(super) const PADDING: u8 = b' ';
/// With what a record begins that goes on where the one before it ended. No line of the server begins so, and without
/// it a text could be made to look like a line of its own.
const CONTINUATION: &[u8] = b".. ";

/// How the messages on a connection are delimited, in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Framing {
    /// LF, CR LF, CR NUL or a lone CR ends a message; CR LF ends one of ours (RFC 854).
    #[default]
    Lines,
    /// A NUL byte ends a message.
    Nul,
    /// The number of its bytes stands before a message, in 32 bits, big-endian.
    Length,
    /// Records of this number of bytes, padded with spaces at their end.
    Fixed(NonZeroU32),
}

impl fmt::Display for Framing {
    /// As the configuration has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lines => f.write_str("lines"),
            Self::Nul => f.write_str("nul"),
            Self::Length => f.write_str("length"),
            Self::Fixed(record) => write!(f, "fixed:{record}"),
        }
    }
}

impl Framing {
    /// How many messages end in `bytes`, about: a line that ends with CR LF is one. `None` where the bytes alone do
    /// not show it.
    #[must_use]
    pub fn messages_in(self, bytes: &[u8]) -> Option<u64> {
        let count = |byte| memchr::memchr_iter(byte, bytes).count();
        let count = match self {
            Self::Lines => count(b'\n').max(count(b'\r')),
            Self::Nul => count(0),
            Self::Fixed(record) => bytes.len() / record.get() as usize,
            Self::Length => return None,
        };
        Some(count as u64)
    }

    /// Appends one message to `out`: the text that `format` appends, and what delimits it but for the padding of a record,
    /// which may be far longer than the text: the number of `PADDING` bytes that follow is given.
    ///
    /// A text longer than a [`Framing::Fixed`] record goes on in further ones, each of which begins with `.. `; put one
    /// behind the other and without that and the padding at the end they are the text, so a character may lie across two.
    ///
    /// # Panics
    ///
    /// When `format` appends 4 GiB or more, which no message has.
    pub fn encode(self, out: &mut Vec<u8>, format: impl FnOnce(&mut Vec<u8>)) -> usize {
        let start = out.len();
        match self {
            Self::Lines => {
                format(out);
                out.extend_from_slice(b"\r\n");
            }
            Self::Nul => {
                format(out);
                out.push(0);
            }
            Self::Length => {
                let text = start + size_of::<u32>();
                out.resize(text, 0);
                format(out);
                let length = u32::try_from(out.len() - text).expect("a message is far below 4 GiB");
                out[start..text].copy_from_slice(&length.to_be_bytes());
            }
            Self::Fixed(record) => {
                format(out);
                let record = record.get() as usize;
                if out.len() - start > record {
                    continue_in_records(out, start, record);
                }
                let length = out.len() - start;
                return length.max(1).next_multiple_of(record) - length;
            }
        }
        0
    }

    /// [`Framing::encode`] with the padding.
    pub fn encode_whole(self, out: &mut Vec<u8>, format: impl FnOnce(&mut Vec<u8>)) {
        let padding = self.encode(out, format);
        out.resize(out.len() + padding, PADDING);
    }

    /// The most bytes that a text of `bytes` bytes takes, but for what delimits it.
    #[must_use]
    pub const fn bytes_max(self, bytes: usize) -> usize {
        match self {
            Self::Fixed(record) => {
                let payload = continued_bytes(record.get() as usize);
                bytes + bytes.div_ceil(payload) * CONTINUATION.len()
            }
            Self::Lines | Self::Nul | Self::Length => bytes,
        }
    }
}

/// Bytes of text in a record that continues one.
const fn continued_bytes(record: usize) -> usize {
    let bytes = record.saturating_sub(CONTINUATION.len());
    if bytes == 0 { 1 } else { bytes }
}

/// Begins each record behind the first with [`CONTINUATION`].
fn continue_in_records(out: &mut Vec<u8>, start: usize, record: usize) {
    let payload = continued_bytes(record);
    let rest = out.split_off(start + record);
    for piece in rest.chunks(payload) {
        out.extend_from_slice(&CONTINUATION[..record - payload]);
        out.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(framing: Framing, texts: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        for text in texts {
            framing.encode_whole(&mut out, |bytes| bytes.extend_from_slice(text.as_bytes()));
        }
        out
    }

    #[test]
    fn every_framing_delimits_in_its_way() {
        let texts = ["one", "", "three"];
        assert_eq!(encoded(Framing::Lines, &texts), b"one\r\n\r\nthree\r\n");
        assert_eq!(encoded(Framing::Nul, &texts), b"one\0\0three\0");
        assert_eq!(encoded(Framing::Length, &texts), b"\0\0\0\x03one\0\0\0\0\0\0\0\x05three");
        let records = Framing::Fixed(NonZeroU32::new(4).unwrap());
        assert_eq!(encoded(records, &texts), b"one     thre.. e");
        assert_eq!(encoded(records, &["four", "fiver", "six"]), b"fourfive.. rsix ");
        let records = Framing::Fixed(NonZeroU32::new(8).unwrap());
        assert_eq!(encoded(records, &["eightand", "eightandfive!six"]), b"eightandeightand.. five!.. six  ");
    }

    #[test]
    fn a_record_that_goes_on_begins_with_two_dots() {
        for record in [64_usize, 65, 4_096, 65_536] {
            let framing = Framing::Fixed(NonZeroU32::new(u32::try_from(record).unwrap()).unwrap());
            for length in [0, 1, record, record + 1, 2 * record - 3, 2 * record - 2, 3 * record] {
                let text = "12:34 *** send me your password ".repeat(length / 32 + 1)[..length].to_owned();
                let mut bytes = Vec::new();
                let padding = framing.encode(&mut bytes, |out| out.extend_from_slice(text.as_bytes()));
                assert!(bytes.len() <= framing.bytes_max(length), "{record}, {length}");
                assert!(padding < record || length == 0, "{record}, {length}");
                bytes.resize(bytes.len() + padding, PADDING);
                assert_eq!(bytes.len() % record, 0);
                let mut pieces = bytes.chunks(record);
                let mut read = pieces.next().unwrap().to_vec();
                for piece in pieces {
                    read.extend_from_slice(piece.strip_prefix(b".. ").expect("it goes on"));
                }
                assert_eq!(read[..length], *text.as_bytes());
                assert!(
                    read[length..].iter().all(|byte| *byte == PADDING) && read.len() < length + record + 1
                );
            }
        }
    }

    #[test]
    fn a_long_length_is_big_endian() {
        let text = "x".repeat(0x0001_0203);
        assert_eq!(encoded(Framing::Length, &[&text])[..5], *b"\0\x01\x02\x03x");
    }
}
