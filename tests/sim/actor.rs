//! A simulated client: the lines it types, and what the oracle must know about it.

use std::collections::{BTreeSet, VecDeque};

use crate::framing::Framing;
use crate::random::Random;
use crate::stage::Client;

/// The longest message in these schedules, in bytes.
pub(crate) const LINE_BYTES: usize = 256;

/// The record of the listener for `fixed`: every line of these schedules fits.
pub(crate) const RECORD_BYTES: u32 = 256;

/// Telnet: "interpret as command", "no operation", "do", "timing mark", "are you there".
const TELNET: [&[u8]; 3] = [&[255, 241], &[255, 253, 6], &[255, 246]];

/// Bytes that must do no harm: NUL, bell, escape, half a character, a bidi override.
const GARBAGE: [&[u8]; 5] = [&[0], &[7], &[27, b'[', b'J'], &[0xe2, 0x82], "\u{202e}".as_bytes()];

/// One client's program.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "none follows from the others")]
pub(crate) struct Actor {
    pub(crate) client: Client,
    pub(crate) framing: Framing,
    /// Typed and not yet sent.
    typed: VecDeque<u8>,
    /// The number of lines said so far; each line has its number in it.
    pub(crate) said: u32,
    /// The number of pings so far; each ping has its number in it.
    pub(crate) pings: u32,
    /// The number of names taken so far.
    names: u32,
    /// Private lines that others have sent to it; some may not have reached it.
    pub(crate) letters: usize,
    /// Presence lines may be missing: the client has turned them off at some time.
    pub(crate) is_presence_mixed: bool,
    /// Clients whose lines may be missing: this client has ignored them at some time, if they had that name then.
    pub(crate) ignored: BTreeSet<usize>,
    pub(crate) may_speak_telnet: bool,
    pub(crate) has_spoken_telnet: bool,
    /// The client has typed a line that is not blank.
    has_entered: bool,
    /// The client has sent `/listen`.
    pub(crate) asked_to_listen: bool,
    pub(crate) has_finished: bool,
    /// After this event, lines of the client may be lost.
    pub(crate) is_tainted: bool,
    /// After `shutdown write` the client gets no more lines but stays connected.
    pub(crate) is_write_shut: bool,
}

impl Actor {
    pub(crate) fn new(client: Client, framing: Framing, may_speak_telnet: bool) -> Self {
        Self {
            client,
            framing,
            typed: VecDeque::new(),
            said: 0,
            pings: 0,
            names: 0,
            letters: 0,
            is_presence_mixed: false,
            ignored: BTreeSet::new(),
            may_speak_telnet,
            has_spoken_telnet: false,
            has_entered: false,
            asked_to_listen: false,
            has_finished: false,
            is_tainted: false,
            is_write_shut: false,
        }
    }

    /// The last name that the client asked for; `None` before the first.
    pub(crate) fn nick(&self) -> Option<String> {
        (self.names > 0).then(|| format!("{}n{}", self.client.0, self.names))
    }

    /// Types one line of any kind; returns its description for the trace.
    pub(crate) fn types(&mut self, random: &mut Random, rooms: &[&str]) -> String {
        let room = random.pick(rooms);
        let line = match random.below(100) {
            0..55 => self.words(random),
            55..60 => format!("/me {}", self.words(random)),
            60..69 => format!("/join {room}"),
            69..74 => format!("/leave {room}"),
            74..79 => {
                self.names += 1;
                format!("/nick {}n{}", self.client.0, self.names)
            }
            79..82 => format!("/topic {}", self.words(random)),
            82..89 => {
                self.pings += 1;
                format!("/ping {}", self.pings)
            }
            89..91 => format!("/set time {}", random.pick(&["off", "hh:mm"])),
            91 => {
                self.is_presence_mixed = true;
                format!("/set presence {}", random.pick(&["off", "on"]))
            }
            92..94 => "/help".to_owned(),
            94 => random.pick(&["/who", "/rooms", "/set"]).to_owned(),
            95 => random.pick(&["/frobnicate", "/join", "/nick 5", "/"]).to_owned(),
            96 if matches!(self.framing, Framing::Fixed(_)) => "x".repeat(random.within(1, 100)),
            96 => "x".repeat(LINE_BYTES + random.within(1, 400)),
            97 => String::new(),
            98 => {
                self.asked_to_listen = true;
                "/listen".to_owned()
            }
            _ => {
                self.is_tainted = true;
                "/quit for good".to_owned()
            }
        };
        self.enter(random, &line);
        line
    }

    /// Types `count` lines to say, or commands with long answers.
    pub(crate) fn types_at_length(&mut self, random: &mut Random, count: usize) {
        let asks = random.percent(20);
        for _ in 0..count {
            let line = if asks { "/help".to_owned() } else { self.words(random) };
            self.enter(random, &line);
        }
    }

    /// Types a private line.
    pub(crate) fn writes_to(&mut self, random: &mut Random, nick: &str) {
        let line = format!("/msg {nick} a letter");
        self.enter(random, &line);
    }

    /// Types `/ignore` or `/unignore` for `nick`, a name of the client `whom`.
    pub(crate) fn ignores(&mut self, random: &mut Random, whom: Client, nick: &str) -> String {
        self.ignored.insert(whom.0);
        let line = format!("{} {nick}", random.pick(&["/ignore", "/ignore", "/unignore"]));
        self.enter(random, &line);
        line
    }

    /// A text that is not said twice.
    fn words(&mut self, random: &mut Random) -> String {
        self.said += 1;
        let padding = random.pick(&["", " ...", " the more the merrier"]).repeat(random.pick(&[1, 1, 3]));
        format!("s{}.{};{padding}", self.client.0, self.said)
    }

    fn enter(&mut self, random: &mut Random, line: &str) {
        let is_first = !self.has_entered;
        self.has_entered |= !line.is_empty();
        let mut line = line.as_bytes().to_vec();
        if random.percent(3) {
            let garbage = random.pick(&GARBAGE);
            // A first message with a NUL in it counts as another protocol.
            line.extend(if is_first && garbage == [0] { &b"?"[..] } else { garbage });
        }
        if self.may_speak_telnet && random.percent(3) {
            self.has_spoken_telnet = true;
            line.extend(random.pick(&TELNET));
        }
        if self.framing == Framing::Lines {
            self.typed.extend(line);
            self.typed.extend(random.pick(&[&b"\n"[..], b"\r\n", b"\r\0", b"\n"]));
        } else {
            self.typed.extend(self.framing.encode(&line));
        }
    }

    /// The bytes to send now: all that were typed, or a part that may end anywhere.
    pub(crate) fn sends(&mut self, random: &mut Random) -> Vec<u8> {
        let most = self.typed.len();
        let count = if random.percent(70) { most } else { random.below(most + 1) };
        self.typed.drain(..count).collect()
    }

    /// A last line, after all that was typed before it, maybe without its line end. It counts where a byte ends a line.
    pub(crate) fn sends_the_rest(&mut self, random: &mut Random) -> Vec<u8> {
        let last = self.words(random);
        self.enter(random, &last);
        let mut rest: Vec<u8> = self.typed.drain(..).collect();
        let may_be_cut = self.framing != Framing::Lines || rest.ends_with(b"\n");
        if may_be_cut && random.percent(50) && rest.pop().is_some() {
            self.is_tainted |= matches!(self.framing, Framing::Length | Framing::Fixed(_));
        }
        rest
    }
}
