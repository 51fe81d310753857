//! Bytes into messages and back, in every framing.

use std::num::NonZeroU32;

use chatops::wire::framer::{Frame, Framer};
use chatops::wire::framing::Framing;
use chatops::wire::text::scrub;

use crate::recipe::Recipe;
use crate::recipe::chunks;

/// The longest delimiter is the length before a message (`wire::framing`).
const DELIMITER_BYTES_MAX: usize = 4;

/// Pieces of streams in all framings: ends, lengths that fit and that do not, padding.
const PIECES: [&[u8]; 20] = [
    b"x",
    b" ",
    b"\n",
    b"\r\n",
    b"\r\0",
    b"\r",
    b"\0",
    b"one\r\n",
    b"\0\0\0\x00",
    b"\0\0\0\x01",
    b"\0\0\0\x03abc",
    b"\0\0\0\x14",
    b"\0\0\0\x15",
    b"\0\0\x01\0",
    b"\xff\xff\xff\xff",
    b"twenty bytes are it.",
    b"twenty-one are too much",
    b"a       ",
    "\u{e4}\u{1F469}".as_bytes(),
    b"\0two\0",
];

/// What a stream is made of.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Message(Vec<u8>),
    TooLong,
    /// The input ended in an incomplete message; with its bytes so far.
    Incomplete(usize),
}

/// With any chunks, the messages are those of the whole stream, and at most one message of the limit is stored.
pub(crate) fn messages(input: &[u8]) {
    let mut recipe = Recipe::new(input);
    let framing = framing(&mut recipe);
    let limit = recipe.pick(&[20, 1, 64, 4096]);
    let sizes = recipe.sizes();
    let kept = recipe.below(48);
    let stream = recipe.stream(&PIECES);
    let expected = whole(framing, &stream, limit);
    assert_eq!(decoded(framing, limit, &[], &chunks(&stream, &sizes)), expected, "{framing:?}, {limit}");
    let (first, rest) = stream.split_at(kept.min(stream.len()));
    let rest = if rest.is_empty() { Vec::new() } else { chunks(rest, &sizes) };
    assert_eq!(decoded(framing, limit, first, &rest), expected, "{framing:?}, {} kept", first.len());
}

/// An encoded message decodes to itself.
pub(crate) fn round_trip(input: &[u8]) {
    let mut recipe = Recipe::new(input);
    let framing = framing(&mut recipe);
    let sizes = recipe.sizes();
    let stream = recipe.stream(&PIECES);
    // The server sends only scrubbed text, which has no line ends.
    let texts: Vec<_> = stream.split(|byte| *byte == b'x').map(scrub).collect();
    let mut bytes = Vec::new();
    for scrubbed in &texts {
        let before = bytes.len();
        framing.encode_whole(&mut bytes, |out| out.extend_from_slice(scrubbed.text.as_bytes()));
        if let Framing::Fixed(record) = framing {
            check_records(&bytes[before..], record.get() as usize, scrubbed.text.as_bytes());
        }
    }
    if !matches!(framing, Framing::Fixed(_)) {
        let sent: Vec<Part> =
            texts.iter().map(|scrubbed| Part::Message(scrubbed.text.as_bytes().to_vec())).collect();
        assert_eq!(decoded(framing, bytes.len(), &[], &chunks(&bytes, &sizes)), sent, "{framing:?}");
    }
}

/// Whole records, as few as possible, with nothing but the text and padding.
fn check_records(bytes: &[u8], record: usize, text: &[u8]) {
    assert!(bytes.len().is_multiple_of(record) && !bytes.is_empty());
    let mut records = bytes.chunks(record);
    let mut read = records.next().unwrap_or_default().to_vec();
    for record in records {
        read.extend_from_slice(record.strip_prefix(b".. ").expect("a record that goes on says so"));
    }
    let padding = read.strip_prefix(text).expect("the text stands at the start");
    assert!(padding.iter().all(|byte| *byte == b' ') && (text.is_empty() || padding.len() < record));
}

fn framing(recipe: &mut Recipe<'_>) -> Framing {
    let fixed = |bytes| Framing::Fixed(NonZeroU32::new(bytes).unwrap());
    recipe.pick(&[Framing::Lines, Framing::Nul, Framing::Length, fixed(8), fixed(4), fixed(20), fixed(30)])
}

fn decoded(framing: Framing, limit: usize, kept: &[u8], chunks: &[&[u8]]) -> Vec<Part> {
    let mut framer = Framer::new(framing);
    framer.hold(kept);
    let mut parts = Vec::new();
    for chunk in chunks {
        let mut rest = *chunk;
        take_all(&mut framer, &mut rest, limit, &mut parts);
        assert!(rest.is_empty(), "all input is taken in");
        let held = framer.held_bytes();
        let most = if let Framing::Fixed(record) = framing { record.get() as usize } else { limit };
        assert!(held <= most + DELIMITER_BYTES_MAX, "{held} bytes are held, {framing:?}, {limit}");
    }
    framer.end();
    take_all(&mut framer, &mut &[][..], limit, &mut parts);
    if framer.held_bytes() > 0 {
        parts.push(Part::Incomplete(framer.held_bytes()));
    }
    parts
}

fn take_all(framer: &mut Framer, input: &mut &[u8], limit: usize, parts: &mut Vec<Part>) {
    while let Some(frame) = framer.next(input, limit) {
        parts.push(match frame {
            Frame::Message(bytes) => Part::Message(bytes.to_vec()),
            Frame::TooLong => Part::TooLong,
        });
    }
}

/// The messages of the whole stream, decoded in the simplest way.
fn whole(framing: Framing, stream: &[u8], limit: usize) -> Vec<Part> {
    match framing {
        Framing::Lines => lines(stream).into_iter().map(|line| within(line, limit)).collect(),
        Framing::Nul => ended_by_nul(stream).into_iter().map(|text| within(text, limit)).collect(),
        Framing::Length => behind_lengths(stream, limit),
        Framing::Fixed(record) => records(stream, record.get() as usize, limit),
    }
}

fn within(message: &[u8], limit: usize) -> Part {
    if message.len() > limit { Part::TooLong } else { Part::Message(message.to_vec()) }
}

/// Lines as a reader of the whole stream finds them.
pub(crate) fn lines(stream: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = stream;
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        lines.push(&rest[..end]);
        let is_pair = rest[end] == b'\r' && matches!(rest.get(end + 1), Some(b'\n' | 0));
        rest = &rest[end + 1 + usize::from(is_pair)..];
    }
    lines.extend(Some(rest).filter(|rest| !rest.is_empty()));
    lines
}

fn ended_by_nul(stream: &[u8]) -> Vec<&[u8]> {
    let mut texts: Vec<&[u8]> = stream.split(|byte| *byte == 0).collect();
    // After the last line end there is a message only if it is not empty.
    if texts.last().is_some_and(|last| last.is_empty()) {
        texts.pop();
    }
    texts
}

fn behind_lengths(stream: &[u8], limit: usize) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = stream;
    while let Some((prefix, after)) = rest.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*prefix)).unwrap();
        if length > limit {
            parts.push(Part::TooLong);
            rest = &after[length.min(after.len())..];
        } else if let Some(message) = after.get(..length) {
            parts.push(Part::Message(message.to_vec()));
            rest = &after[length..];
        } else {
            break;
        }
    }
    parts.extend(Some(Part::Incomplete(rest.len())).filter(|_| !rest.is_empty()));
    parts
}

fn records(stream: &[u8], record: usize, limit: usize) -> Vec<Part> {
    let part = |bytes: &[u8]| match bytes.len() {
        count if count < record => Part::Incomplete(count),
        _ => within(without_padding(bytes), limit),
    };
    stream.chunks(record).map(part).collect()
}

/// Padding is spaces only, no other white space.
fn without_padding(record: &[u8]) -> &[u8] {
    let end = record.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
    &record[..end]
}
