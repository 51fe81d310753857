//! Telnet before framing, as on a `lines` listener.

use chatops::wire::framer::{Frame, Framer};
use chatops::wire::framing::Framing;
use chatops::wire::telnet::{ANSWERS_MAX, TERMINAL_NAME_MAX, Telnet};
use chatops::wire::text::{GROWTH_MAX, scrub};

use crate::recipe::Recipe;
use crate::recipe::chunks;

/// The longest line of the client, in bytes.
const LIMIT: usize = 64;

/// The longest answer: `-- [yes]` with its line end, or a request for an option with a subnegotiation after it.
const ANSWER_BYTES_MAX: usize = 10;

/// Whole and cut commands, supported and other options, subnegotiations with and without an end.
const PIECES: [&[u8]; 26] = [
    b"hello\r\n",
    b"\xff",
    b"\xff\xff",
    b"\xff\xf4\xff\xfd\x06",
    b"\xff\xfd\x06",
    b"\xff\xf6",
    b"\xff\xf1",
    b"\xff\xfd",
    b"\xff\xfe",
    b"\xff\xfb",
    b"\xff\xfc",
    b"\xff\xfb\x1f\xff\xfa\x1f\0\x50\0\x18\xff\xf0",
    b"\xff\xfb\x18\xff\xfa\x18\0XTERM\xff\xf0",
    b"\xff\xfa",
    b"\xff\xf0",
    b"\xff\xfa\x18\0",
    b"\xff\xfa\x1f\0\xff\xff\0\xff\xff\xff\xf0",
    b"\xff\xfc\x18",
    b"\xff\xfd\x01",
    b"\xff\xfb\x01",
    b"\x18",
    b"\x1f",
    b"\0",
    b"\r\0",
    b"x",
    "\u{e4}".as_bytes(),
];

/// Everything that can be seen of a client from outside.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    lines: Vec<String>,
    replies: Vec<u8>,
    spoken: bool,
    terminal: Option<String>,
    window: Option<(u16, u16)>,
    dropped: u64,
}

pub(crate) fn check(input: &[u8]) {
    let mut recipe = Recipe::new(input);
    let sizes = recipe.sizes();
    let stream = recipe.stream(&PIECES);
    let seen = seen(&[&stream]);
    assert_eq!(self::seen(&chunks(&stream, &sizes)), seen);
    check_alone(&stream, &seen);
    check_doubled(&stream, &sizes);
}

/// Answers are bounded, and a client that has sent no telnet gets none.
fn check_alone(stream: &[u8], seen: &Seen) {
    assert!(seen.replies.len() <= ANSWERS_MAX as usize * ANSWER_BYTES_MAX);
    assert!(seen.spoken || (seen.replies.is_empty() && seen.dropped == 0));
    assert!(!seen.spoken || stream.contains(&0xff));
    assert!(seen.window.is_none() || seen.spoken);
    if let Some(terminal) = &seen.terminal {
        assert!(terminal.len() <= TERMINAL_NAME_MAX * GROWTH_MAX, "{terminal:?}");
        assert!(!terminal.contains(char::is_control), "{terminal:?}");
    }
}

/// Data in which each 0xFF is doubled is only data.
fn check_doubled(data: &[u8], sizes: &[usize]) {
    let sent: Vec<u8> =
        data.iter().flat_map(|&byte| std::iter::repeat_n(byte, 1 + usize::from(byte == 0xff))).collect();
    let mut telnet = Telnet::new();
    let (mut taken, mut replies) = (Vec::new(), Vec::new());
    for chunk in chunks(&sent, sizes) {
        telnet.push(chunk, &mut taken, &mut replies);
    }
    assert_eq!(taken, data);
    assert!(replies.is_empty() && !telnet.spoken());
}

fn seen(chunks: &[&[u8]]) -> Seen {
    let mut telnet = Telnet::new();
    let mut framer = Framer::new(Framing::Lines);
    let (mut lines, mut replies) = (Vec::new(), Vec::new());
    for chunk in chunks {
        let mut data = Vec::new();
        if telnet.is_plain(chunk) {
            data.extend_from_slice(chunk);
        } else {
            telnet.push(chunk, &mut data, &mut replies);
        }
        assert!(data.len() <= chunk.len(), "taking commands out adds nothing");
        take_lines(&mut framer, &data, &mut lines);
        assert!(framer.held_bytes() <= LIMIT);
    }
    framer.end();
    take_lines(&mut framer, &[], &mut lines);
    Seen {
        lines,
        replies,
        spoken: telnet.spoken(),
        terminal: telnet.terminal().map(str::to_owned),
        window: telnet.window(),
        dropped: telnet.answers_dropped(),
    }
}

fn take_lines(framer: &mut Framer, mut data: &[u8], lines: &mut Vec<String>) {
    while let Some(frame) = framer.next(&mut data, LIMIT) {
        lines.push(match frame {
            Frame::Message(bytes) => scrub(bytes).text.into_owned(),
            Frame::TooLong => "\n too long".to_owned(),
        });
    }
}
