//! How messages are delimited on a connection, and the way out: a message into bytes. The way in is [`super::framer`].

use std::num::NonZeroU32;

/// What fills a record of [`Framing::Fixed`] behind its message.
pub(super) const PADDING: u8 = b' ';

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
    /// Records of so many bytes, padded with spaces at their end.
    Fixed(NonZeroU32),
}

impl Framing {
    /// Appends one message to `out`: the text that `word` appends, and what delimits it.
    ///
    /// A text longer than a [`Framing::Fixed`] record goes on in further ones; put one behind the other and without
    /// the padding at the end they are the text, so a character may lie across two.
    ///
    /// # Panics
    ///
    /// When `word` appends 4 GiB or more, which no message has.
    pub fn encode(self, out: &mut Vec<u8>, word: impl FnOnce(&mut Vec<u8>)) {
        let start = out.len();
        match self {
            Self::Lines => {
                word(out);
                out.extend_from_slice(b"\r\n");
            }
            Self::Nul => {
                word(out);
                out.push(0);
            }
            Self::Length => {
                let text = start + size_of::<u32>();
                out.resize(text, 0);
                word(out);
                let length = u32::try_from(out.len() - text).expect("a message is far below 4 GiB");
                out[start..text].copy_from_slice(&length.to_be_bytes());
            }
            Self::Fixed(record) => {
                word(out);
                let record = record.get() as usize;
                let padded = (out.len() - start).max(1).next_multiple_of(record);
                out.resize(start + padded, PADDING);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(framing: Framing, texts: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        for text in texts {
            framing.encode(&mut out, |bytes| bytes.extend_from_slice(text.as_bytes()));
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
        assert_eq!(encoded(records, &texts), b"one     three   ");
        assert_eq!(encoded(records, &["four", "fiver", "eightand"]), b"fourfiver   eightand");
    }

    #[test]
    fn a_long_length_is_big_endian() {
        let text = "x".repeat(0x0001_0203);
        assert_eq!(encoded(Framing::Length, &[&text])[..5], *b"\0\x01\x02\x03x");
    }
}
