//! Bytes into messages: where one ends and the next begins. The way out is [`super::framing`].
//!
//! A decoder finds the end of a message. The framer holds what is unfinished: a message within one read is never copied,
//! and what is held is at most one unfinished message of the limit, its length before it, plus what was handed to
//! [`Framer::hold`].

mod decoder;

use super::framing::Framing;
use decoder::{Decoder, Step};

/// The most bytes that delimit a message: those of [`Framing::Length`].
pub const DELIMITER_MAX: usize = decoder::LENGTH_BYTES;

/// One message, or the fact that one was too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A whole message without what delimits it; may be empty.
    Message(&'a [u8]),
    /// A message exceeded the limit. Its bytes are dropped up to its end, and this is said once.
    TooLong,
}

/// The unparsed input of one connection.
#[derive(Clone, Debug, Default)]
pub struct Framer {
    held: Held,
    decoder: Decoder,
}

impl Framer {
    /// A framer that has seen nothing yet.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        Self { held: Held::default(), decoder: Decoder::new(framing) }
    }

    /// How messages are delimited here.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        match &self.decoder {
            Decoder::Lines(_) => Framing::Lines,
            Decoder::Nul(_) => Framing::Nul,
            Decoder::Length(_) => Framing::Length,
            Decoder::Fixed(fixed) => Framing::Fixed(fixed.record),
        }
    }

    /// The next message, from what is held and then from `input`, which is advanced past what was used.
    ///
    /// `None` means that no whole message is there; all of `input` is then taken in. A message longer than
    /// `limit` bytes is given as [`Frame::TooLong`] and dropped.
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8], limit: usize) -> Option<Frame<'a>> {
        self.take_frame(input, limit, None)
    }

    /// The same, but for messages that are too long: one is dropped, and that is noted.
    pub fn next_message<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
        limit: usize,
        is_too_long: &mut bool,
    ) -> Option<Frame<'a>> {
        self.take_frame(input, limit, Some(is_too_long))
    }

    fn take_frame<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
        limit: usize,
        mut is_too_long: Option<&mut bool>,
    ) -> Option<Frame<'a>> {
        loop {
            self.held.give_back();
            let bytes = match self.held.bytes() {
                [] => *input,
                held => held,
            };
            if bytes.is_empty() {
                return None;
            }
            match self.decoder.step(bytes, limit) {
                Step::Message { text, used } => return Some(Frame::Message(&self.take(input, used)[text])),
                Step::Skip { used } => {
                    self.take(input, used);
                }
                Step::TooLong { used } => {
                    self.take(input, used);
                    let Some(is_too_long) = &mut is_too_long else { return Some(Frame::TooLong) };
                    **is_too_long = true;
                }
                Step::Partial if input.is_empty() => {
                    self.held.compact();
                    return None;
                }
                Step::Partial => self.join(input, limit),
            }
        }
    }

    /// The input has ended: what is held of an unfinished message is a message where a byte ends one. Elsewhere it
    /// is no message and stays held; [`Framer::clear`] drops it. `true` if there was such a message to end.
    pub fn end(&mut self) -> bool {
        let missing_end = self.decoder.missing_end(self.held());
        if let Some(end) = missing_end {
            self.held.extend(&[end]);
        }
        missing_end.is_some()
    }

    /// Keeps `input` for later, unparsed, behind what is held already.
    pub fn hold(&mut self, input: &[u8]) {
        self.held.extend(input);
    }

    /// Bytes received and not yet given out.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// The bytes received and not yet given out: the first is that of the next message.
    #[must_use]
    pub fn held(&self) -> &[u8] {
        self.held.bytes()
    }

    /// Drops everything held.
    pub fn clear(&mut self) {
        *self = Self::new(self.framing());
    }

    /// Takes `used` bytes from what is held, or from `input` where nothing is.
    fn take<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8], used: usize) -> &'a [u8] {
        if self.held_bytes() == 0 {
            let (taken, rest) = input.split_at(used);
            *input = rest;
            return taken;
        }
        self.held.take(used)
    }

    /// Holds what the message under way takes of `input`, and no more than shows that it is too long.
    fn join(&mut self, input: &mut &[u8], limit: usize) {
        self.held.compact();
        let held = self.held.len();
        let wanted = if held == 0 { input.len() } else { self.decoder.wanted(self.held.bytes(), input) };
        let most = match &self.decoder {
            // A record is judged when it is whole: its padding does not count.
            Decoder::Fixed(fixed) => fixed.record.get() as usize,
            _ => limit + DELIMITER_MAX,
        };
        let room = most.saturating_sub(held);
        let (joined, rest) = input.split_at(wanted.min(room).min(input.len()));
        self.held.extend(joined);
        *input = rest;
    }
}

/// The bytes held, none of them given out. One pointer in an idle connection.
#[derive(Clone, Debug, Default)]
struct Held(Option<Box<Buffer>>);

#[derive(Clone, Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// Bytes at the start that were given out. The last taker borrows them; they are dropped later.
    taken: usize,
}

impl Buffer {
    fn waiting(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }
}

impl Held {
    /// What is held.
    fn bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |buffer| buffer.waiting())
    }

    /// How many bytes those are.
    fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Holds more, behind what is held.
    fn extend(&mut self, more: &[u8]) {
        if !more.is_empty() {
            self.give_back();
            self.0.get_or_insert_default().bytes.extend_from_slice(more);
        }
    }

    /// Gives out the first `count` bytes, or as many as there are.
    fn take(&mut self, count: usize) -> &[u8] {
        let Some(buffer) = &mut self.0 else { return &[] };
        let start = buffer.taken;
        buffer.taken = (start + count).min(buffer.bytes.len());
        &buffer.bytes[start..buffer.taken]
    }

    /// Gives the buffer back once everything in it was given out.
    fn give_back(&mut self) {
        if self.0.as_ref().is_some_and(|buffer| buffer.waiting().is_empty()) {
            self.0 = None;
        }
    }

    /// Gives back the memory of what was given out.
    fn compact(&mut self) {
        if let Some(buffer) = &mut self.0
            && buffer.taken > 0
        {
            **buffer = Buffer { bytes: buffer.waiting().to_vec(), taken: 0 };
        }
    }

    /// The memory taken, in bytes.
    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.0.as_ref().map_or(0, |buffer| buffer.bytes.capacity())
    }
}
#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 20;
    const RECORD: Framing = Framing::Fixed(NonZeroU32::new(8).unwrap());
    const ALL: [Framing; 4] = [Framing::Lines, Framing::Nul, Framing::Length, RECORD];

    /// What comes of a connection that sends these chunks, one read each, and ends; `held` is kept unparsed first.
    fn frames_behind(framing: Framing, held: &[u8], chunks: &[&[u8]]) -> Vec<String> {
        let mut framer = Framer::new(framing);
        framer.hold(held);
        let mut seen = Vec::new();
        for chunk in chunks {
            let mut input = *chunk;
            while let Some(frame) = framer.next(&mut input, LIMIT) {
                seen.push(show(frame));
            }
            assert!(input.is_empty(), "None takes in all input");
            let most = match framing {
                Framing::Fixed(record) => LIMIT.max(record.get() as usize),
                _ => LIMIT,
            } + DELIMITER_MAX;
            assert!(framer.held_bytes() <= most, "{framing:?} {}", framer.held_bytes());
            assert!(framer.held.capacity() <= 2 * most, "{framing:?}");
            assert_eq!(framer.framing(), framing);
        }
        framer.end();
        while let Some(frame) = framer.next(&mut &[][..], LIMIT) {
            seen.push(show(frame));
        }
        if framer.held_bytes() > 0 {
            seen.push(format!("INCOMPLETE {}", framer.held_bytes()));
            framer.clear();
        }
        assert_eq!(framer.held.capacity(), 0, "the buffer is given back");
        seen
    }

    fn frames(framing: Framing, chunks: &[&[u8]]) -> Vec<String> {
        frames_behind(framing, &[], chunks)
    }

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        frames(Framing::Lines, chunks)
    }

    fn show(frame: Frame<'_>) -> String {
        match frame {
            Frame::Message(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Frame::TooLong => "TOO LONG".to_owned(),
        }
    }

    #[test]
    fn every_line_end_ends_one_line() {
        assert_eq!(lines(&[b"a\nb\r\nc\r\0d\re\n"]), ["a", "b", "c", "d", "e"]);
        assert_eq!(lines(&[b"\n\n\r\n\r\r\0"]), ["", "", "", "", ""]);
        assert_eq!(lines(&[b"a\n\rb"]), ["a", "", "b"]);
    }

    #[test]
    fn a_nul_ends_a_message_and_line_ends_are_text() {
        assert_eq!(frames(Framing::Nul, &[b"a\0\0b\r\nc\0d"]), ["a", "", "b\r\nc", "d"]);
    }

    #[test]
    fn a_length_goes_before_any_bytes() {
        let stream = b"\0\0\0\x01a\0\0\0\0\0\0\0\x04b\r\n\0\0\0\0\x01c";
        assert_eq!(frames(Framing::Length, &[stream]), ["a", "", "b\r\n\0", "c"]);
    }

    #[test]
    fn a_record_loses_the_padding_at_its_end() {
        assert_eq!(
            frames(RECORD, &[b"a       ", b" b  c   ", b"        ", b"12345678"]),
            ["a", " b  c", "", "12345678"]
        );
    }

    #[test]
    fn a_last_message_needs_no_end() {
        assert_eq!(lines(&[b"a\nb"]), ["a", "b"]);
        assert_eq!(lines(&[b"a\r"]), ["a"]);
        assert_eq!(lines(&[b"a", b"b"]), ["ab"]);
        assert_eq!(frames(Framing::Nul, &[b"a", b"b"]), ["ab"]);
        assert_eq!(frames(Framing::Nul, &[b"a\0"]), ["a"]);
    }

    #[test]
    fn a_last_message_that_is_incomplete_is_none() {
        assert_eq!(frames(Framing::Length, &[b"\0\0\0\x01a\0\0"]), ["a", "INCOMPLETE 2"]);
        assert_eq!(frames(Framing::Length, &[b"\0\0\0\x02a"]), ["INCOMPLETE 5"]);
        assert_eq!(frames(RECORD, &[b"a       b  "]), ["a", "INCOMPLETE 3"]);
    }

    #[test]
    fn long_messages_are_reported_once_and_dropped() {
        let long = [b'x'; 21];
        assert_eq!(lines(&[&long]), ["TOO LONG"]);
        assert_eq!(lines(&[&long, &long, b"\nok\n"]), ["TOO LONG", "ok"]);
        assert_eq!(lines(&[&[b'x'; 20], b"\n"]), ["x".repeat(20)]);
        assert_eq!(lines(&[b"ok\n", &[b'x'; 64], b"\r\nok"]), ["ok", "TOO LONG", "ok"]);
        assert_eq!(frames(Framing::Nul, &[b"ok\0", &long, b"\0ok"]), ["ok", "TOO LONG", "ok"]);
        let length = [b"\0\0\0\x15", &long[..], b"\0\0\0\x02ok"].concat();
        assert_eq!(frames(Framing::Length, &[&length]), ["TOO LONG", "ok"]);
        assert_eq!(frames(Framing::Length, &[b"\xff\xff\xff\xff", &long]), ["TOO LONG"]);
        let record = Framing::Fixed(NonZeroU32::new(21).unwrap());
        assert_eq!(frames(record, &[&long, &long, &long[1..]]), ["TOO LONG", "TOO LONG", "INCOMPLETE 20"]);
        let padded = [&[b'x'; 20], b"  ".as_slice()].concat();
        let record = Framing::Fixed(NonZeroU32::new(22).unwrap());
        let bytes: Vec<&[u8]> = padded.chunks(1).collect();
        assert_eq!(frames(record, &bytes), ["x".repeat(20)]);
        let record_of_64 = Framing::Fixed(NonZeroU32::new(64).unwrap());
        let long = format!("{:64}{:64}", "hello", "x".repeat(21));
        for size in [1, 5, 22, 63, 64, 65, 100] {
            let chunks: Vec<&[u8]> = long.as_bytes().chunks(size).collect();
            assert_eq!(frames(record_of_64, &chunks), ["hello", "TOO LONG"], "{size}");
        }
        assert_eq!(frames(record, &[&padded, &[b'x'; 22]]), ["x".repeat(20), "TOO LONG".to_owned()]);
    }

    /// Messages of all kinds in this framing, too long and incomplete ones among them.
    fn stream(framing: Framing) -> &'static [u8] {
        match framing {
            Framing::Lines => {
                b"one\r\ntwo\rthree\r\0\nfour and five is too long for this\nsix\r\n\r\nse\0ven"
            }
            Framing::Nul => b"one\0\0two\r\n\0this one is too long for all of us\0twenty bytes are it.\0last",
            Framing::Length => {
                b"\0\0\0\x03one\0\0\0\0\0\0\0\x14twenty bytes are it.\0\0\0\x15twenty-one are too much\
                  \0\0\0\x04\0\r\n\xff\0\0\0\x05last"
            }
            Framing::Fixed(_) => b"one             12345678 2     \n\r\n\0    last",
        }
    }

    #[test]
    fn every_chunking_gives_the_same_messages() {
        for framing in ALL {
            let stream = stream(framing);
            let whole = frames(framing, &[stream]);
            assert!(whole.len() >= 5, "{whole:?}");
            for size in 1..=64 {
                let chunks: Vec<&[u8]> = stream.chunks(size).collect();
                assert_eq!(frames(framing, &chunks), whole, "{framing:?} in chunks of {size}");
            }
            for cut in 0..=stream.len() {
                assert_eq!(frames(framing, &[&stream[..cut], &stream[cut..]]), whole, "{framing:?} at {cut}");
            }
        }
    }

    #[test]
    fn held_input_is_parsed_later_and_in_order() {
        for framing in ALL {
            let stream = stream(framing);
            let whole = frames(framing, &[stream]);
            for held in 0..=stream.len() {
                let (first, rest) = stream.split_at(held);
                assert_eq!(frames_behind(framing, first, &[rest]), whole, "{framing:?}, {held} held");
            }
        }
    }

    #[test]
    fn a_line_end_of_two_bytes_that_was_kept_unparsed_ends_one_line() {
        for end in [&b"\r\0"[..], b"\r\n"] {
            assert_eq!(frames_behind(Framing::Lines, end, &[]), [""], "{end:?}");
            let mut framer = Framer::new(Framing::Lines);
            assert_eq!(framer.next(&mut &end[..1], LIMIT), Some(Frame::Message(b"")));
            framer.hold(&end[1..]);
            framer.end();
            assert_eq!(framer.next(&mut &[][..], LIMIT), None, "{end:?}");
        }
        assert_eq!(frames_behind(Framing::Lines, b"\0", &[]), ["\0"]);
    }

    #[test]
    fn nothing_grows_without_an_end() {
        for framing in ALL {
            let endless = [b'x'; 1000];
            let seen = frames(framing, &[&endless[..]; 1000]);
            let told = if framing == RECORD { 1000 * 1000 / 8 } else { 1 };
            assert_eq!(seen.len(), told, "{framing:?}");
        }
    }

    #[test]
    fn a_framer_is_small() {
        assert!(size_of::<Framer>() <= 40, "{} bytes", size_of::<Framer>());
    }

    fn framings() -> impl Strategy<Value = Framing> {
        prop_oneof![
            Just(Framing::Lines),
            Just(Framing::Nul),
            Just(Framing::Length),
            (1..=90_u32).prop_map(|bytes| Framing::Fixed(NonZeroU32::new(bytes).unwrap())),
        ]
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_chunks_give_the_same_messages(
            framing in framings(),
            bytes in prop::collection::vec(prop::sample::select(&b"\0\0\0\x02\r\n x\xff"[..]), 0..200),
            sizes in prop::collection::vec(1..12_usize, 1..8),
        ) {
            let mut chunks: Vec<&[u8]> = Vec::new();
            let mut rest = &bytes[..];
            for size in sizes.iter().cycle() {
                let (chunk, after) = rest.split_at(rest.len().min(*size));
                chunks.push(chunk);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(frames(framing, &chunks), frames(framing, &[&bytes]));
        }

        #[test]
        fn what_is_encoded_is_decoded(
            framing in framings(),
            texts in prop::collection::vec("[a-zäöü]{0,8}", 0..20),
            size in 1..64_usize,
        ) {
            let mut bytes = Vec::new();
            for text in &texts {
                framing.encode_whole(&mut bytes, |out| out.extend_from_slice(text.as_bytes()));
            }
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            let decoded = frames(framing, &chunks);
            if let Framing::Fixed(record) = framing {
                let record = record.get() as usize;
                prop_assert_eq!(bytes.len() % record, 0);
                // A text takes as many records as it fills, and the padding at its end is gone.
                let payload = record.saturating_sub(3).max(1);
                let records = |text: &String| 1 + text.len().saturating_sub(record).div_ceil(payload);
                prop_assert_eq!(decoded.len(), texts.iter().map(records).sum::<usize>());
                prop_assert!(!(16..=LIMIT).contains(&record) || decoded == texts);
            } else {
                prop_assert_eq!(decoded, texts);
            }
        }

        #[test]
        fn any_bytes_kept_unparsed_first_give_the_same_messages(
            framing in framings(),
            bytes in prop::collection::vec(prop::sample::select(&b"\0\0\0\x02\r\n x\xff"[..]), 0..200),
            kept in 0..200_usize,
            size in 1..12_usize,
        ) {
            let (kept, rest) = bytes.split_at(kept.min(bytes.len()));
            let chunks: Vec<&[u8]> = rest.chunks(size).collect();
            prop_assert_eq!(frames_behind(framing, kept, &chunks), frames(framing, &[&bytes]));
        }
    }
}
