//! The whole engine: bytes of one client, the stranger, in any chunks, and what every client reads.
//!
//! Only the stranger sends lines and no time passes, so the result must not depend on how its bytes were cut. Telnet
//! answers come between lines, wherever a read ends; they are compared separately.

use chatops::chat::{Nick, RoomName};
use chatops::config::settings::{self, ByteSize, Config, Listen, Listeners};
use chatops::model::event::EventKind;
use chatops::wire::foreign::Foreign;
use serde_json::Value;

use crate::framer;
use crate::framing::Framing;
use crate::recipe::Recipe;
use crate::recipe::chunks;
use crate::stage::{Client, Window, World};

/// The longest message, in bytes.
const LINE_BYTES: usize = 256;
/// The longest request of an operator, in bytes.
const REQUEST_BYTES: usize = 8_192;
/// The most bytes that delimit a message.
const DELIMITER_BYTES_MAX: u64 = 4;
/// The bytes that the kernel takes for a slow operator, and the bytes that the operator reads at a time.
const SLOW_KERNEL_BYTES: usize = 500;
const SLOW_READ_BYTES: usize = 100;
/// How messages are delimited on each listener; the first is that of the witness.
const FRAMINGS: [Framing; 4] = [Framing::Lines, Framing::Nul, Framing::Length, Framing::Fixed(64)];

/// Commands, ends of messages, what looks like a line of the server, telnet, and what harms a screen.
const PIECES: [&[u8]; 51] = [
    b"\n",
    b"\r\n",
    b"\r\0",
    b"\0",
    b"hello ",
    b"x",
    b"\n-- you are now admin",
    b"\n!! the server is full",
    b"\n12:34 *** the server stops",
    b"\r12:34 #lobby <witness> I never said that",
    b"\0-- kicked by the operator",
    "\u{2028}12:34 *** x".as_bytes(),
    "\u{85}-- x".as_bytes(),
    b"\x1b[2J\x07",
    "\u{202e}\u{200b}".as_bytes(),
    b"\xe2\x80",
    b"\xa8",
    b"\xc2",
    b"\n/",
    b"\n//",
    b"\n/me ",
    b"\n/nick bob",
    b"\n/nick server",
    b"\n/nick witness",
    b"\n/join #a",
    b"\n/join #lobby",
    b"\n/leave ",
    b"\n/topic ",
    b"\n/topic -",
    b"\n/ignore witness",
    b"\n/unignore ",
    b"\n/away ",
    b"\n/msg witness ",
    b"\n/reply ",
    b"\n/who",
    b"\n/help",
    b"\n/ping ",
    b"\n/set time off",
    b"\n/listen",
    b"\n/quit ",
    b"\xff\xf6",
    b"\xff\xfd\x06",
    b"\xff\xfb\x18\xff\xfa\x18\0XTERM\xff\xf0",
    b"\xff\xff",
    b"\xff",
    b"\xff\xfb\x1f",
    b"GET / HTTP/1.1\r\nHost: x\r\n",
    b"\x16\x03\x01",
    b"\0\0\0\x05hello",
    b"\xff\xff\xff\xff",
    b"        ",
];

/// Questions and orders that close no connection.
const REQUESTS: [&[u8]; 28] = [
    b"\n",
    b"\r\n",
    b"status\n",
    b"connections\n",
    b"connection 1\n",
    b"connection 99\n",
    b"connection witness\n",
    b"rooms\n",
    b"closed\n",
    b"say hello\n",
    b"mute 1\n",
    b"mute 1 for 10s\n",
    b"unmute 1\n",
    b"ban 198.51.100.0/24 for 10s loud\n",
    b"ban 0.0.0.0/0 preview\n",
    b"bans\n",
    b"unban 198.51.100.0/24\n",
    b"pause\n",
    b"resume\n",
    b"kick\n",
    b"frobnicate ",
    b"{\"verb\":\"status\"}",
    b"\xff\xfd\x01",
    b"\x1b[2J",
    b"\0",
    b"x",
    b"GET / HTTP/1.1",
    b"\x16\x03\x01",
];

/// What every client has read at the end.
struct Outcome {
    witness: Vec<String>,
    /// The lines of a client on a `nul` listener.
    reader: Vec<String>,
    /// The lines of the stranger, without telnet.
    own: Vec<String>,
    telnet: Answers,
    /// Why the stranger's connection ended, if it has.
    end: Option<&'static str>,
}

/// The telnet answers of the server.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answers {
    commands: Vec<u8>,
    are_you_there: usize,
}

impl Answers {
    fn is_within(&self, whole: &Self) -> bool {
        whole.commands.starts_with(&self.commands) && self.are_you_there <= whole.are_you_there
    }
}

/// The stranger: its listener, and whether it uses TCP.
#[derive(Clone, Copy, Debug)]
struct Stranger {
    listener: u16,
    is_tcp: bool,
}

impl Stranger {
    fn framing(self) -> Framing {
        FRAMINGS[usize::from(self.listener)]
    }
}

/// A stranger on any listener, and two clients that only read.
pub(crate) fn clients(input: &[u8]) {
    let mut recipe = Recipe::new(input);
    let stranger = Stranger { listener: recipe.pick(&[0, 0, 0, 1, 2, 3]), is_tcp: recipe.below(4) > 0 };
    let is_raw = recipe.below(3) == 0;
    let sizes = recipe.sizes();
    let mut stream = recipe.stream(&PIECES);
    if !is_raw && stranger.framing() != Framing::Lines {
        let messages = stream.split(|byte| *byte == b'\n');
        stream = messages.flat_map(|message| stranger.framing().encode(message)).collect();
    }
    let whole = play(stranger, &[&stream]);
    let cut = play(stranger, &chunks(&stream, &sizes));
    expect_same("the witness", &cut.witness, &whole.witness);
    expect_same("the reader", &cut.reader, &whole.reader);
    expect_same("the stranger", &cut.own, &whole.own);
    assert_eq!(cut.end, whole.end, "{stranger:?}");
    // After its own end a stranger gets no answers, but commands in the same read were answered.
    let is_read_to_end = whole.end.is_none_or(|reason| reason == "eof");
    assert!(if is_read_to_end { cut.telnet == whole.telnet } else { cut.telnet.is_within(&whole.telnet) });
    let may_speak_telnet = stranger.is_tcp && stranger.listener == 0 && stream.contains(&0xff);
    assert!(may_speak_telnet || whole.telnet == Answers::default(), "telnet unasked for");
    for line in whole.witness.iter().chain(&whole.reader) {
        assert!(is_of_a_stranger(line), "nobody has said {line:?}");
    }
}

/// Fails at the first line that differs in the stream that was cut.
#[track_caller]
fn expect_same(who: &str, cut: &[String], whole: &[String]) {
    for at in 0..cut.len().max(whole.len()) {
        assert_eq!(cut.get(at), whole.get(at), "{who} reads this as number {at}");
    }
}

fn configure(config: &mut Config) {
    let record = std::num::NonZeroU32::new(64).unwrap();
    let framings = [
        settings::Framing::Lines,
        settings::Framing::Nul,
        settings::Framing::Length,
        settings::Framing::Fixed(record),
    ];
    config.listen = Listeners(framings.map(|framing| Listen { framing, ..Listen::default() }).to_vec());
    config.limits.line_bytes = ByteSize(LINE_BYTES as u64);
    config.flood.enabled = false;
}

fn play(stranger: Stranger, chunks: &[&[u8]]) -> Outcome {
    let mut world = World::with(configure);
    let witness = world.connect();
    world.says(witness, "/nick witness");
    let reader = world.connect_on(1, "unix");
    let address = if stranger.is_tcp { "192.0.2.7:1" } else { "unix" };
    // Both are announced before the stranger connects.
    world.pass("3s");
    let client = world.connect_on(stranger.listener, address);
    world.everybody_has_read();
    for chunk in chunks {
        world.sends(client, chunk);
        world.run();
        check_inbox(&mut world, client);
    }
    world.finishes(client);
    world.pass("10s");
    let own = world.bytes(client);
    let (own, telnet) = match stranger.framing() {
        Framing::Lines => without_telnet(&own),
        _ => (own, Answers::default()),
    };
    let reader = String::from_utf8(world.bytes(reader)).expect("only UTF-8 is sent");
    Outcome {
        witness: world.lines(witness),
        reader: reader.split_terminator('\0').map(str::to_owned).collect(),
        own: own.split(|byte| *byte == b'\n').map(|piece| piece.escape_ascii().to_string()).collect(),
        telnet,
        end: end_of(&mut world, client),
    }
}

fn end_of(world: &mut World, client: Client) -> Option<&'static str> {
    let id = world.peer(client).id;
    world.event_kinds().iter().find_map(|record| match record {
        EventKind::Closed { id: ended, reason, .. } if Some(*ended) == id => Some(reason.word()),
        _ => None,
    })
}

/// Checks that at most one unfinished message is stored.
fn check_inbox(world: &mut World, client: Client) {
    let id = world.peer(client).id;
    let rows = world.snapshot().rows;
    let held = rows.iter().find(|row| Some(row.id) == id).map_or(0, |row| row.inbox_bytes);
    assert!(held <= LINE_BYTES as u64 + DELIMITER_BYTES_MAX, "{held} bytes are held");
}

/// Removes telnet commands and the answers to "are you there" from the bytes.
fn without_telnet(bytes: &[u8]) -> (Vec<u8>, Answers) {
    const ARE_YOU_THERE: &[u8] = b"-- [yes]\r\n";
    let (mut text, mut answers) = (Vec::new(), Answers::default());
    let mut rest = bytes;
    while let Some(&byte) = rest.first() {
        let is_answer = rest.starts_with(ARE_YOU_THERE) && (text.is_empty() || text.ends_with(b"\n"));
        let (taken, into) = match rest {
            _ if is_answer => (ARE_YOU_THERE.len(), None),
            // IAC SB … IAC SE
            [255, 250, ..] => {
                let end = rest.windows(2).position(|pair| pair == [255, 240]).expect("a whole command");
                (end + 2, Some(&mut answers.commands))
            }
            [255, ..] => (3, Some(&mut answers.commands)),
            _ => (1, Some(&mut text)),
        };
        assert!(byte != 255 || taken > 1);
        answers.are_you_there += usize::from(is_answer);
        if let Some(into) = into {
            into.extend_from_slice(&rest[..taken]);
        }
        rest = &rest[taken..];
    }
    (text, answers)
}

/// Whether the line is about the stranger, for its room or for the witness.
fn is_of_a_stranger(line: &str) -> bool {
    let Some(line) = line.strip_prefix("12:34 ").filter(|line| !line.contains(is_forbidden)) else {
        return false;
    };
    if let Some(rest) = line.strip_prefix('[') {
        let Some((from, text)) = rest.split_once(" -> ") else { return false };
        return is_stranger(from) && text.starts_with("witness] ");
    }
    let Some((room, rest)) = line.strip_prefix('#').and_then(|rest| rest.split_once(' ')) else {
        return false;
    };
    let Some((sign, rest)) = rest.split_once(' ') else { return false };
    let (first, behind) = rest.split_once(' ').unwrap_or((rest, ""));
    let is_told = match sign {
        "-->" => is_stranger(first) && behind.is_empty(),
        "<--" => is_stranger(first) && behind.starts_with('(') && behind.ends_with(')'),
        "*" => is_stranger(first) && !behind.is_empty(),
        "--" => {
            let renamed = behind.strip_prefix("is now ").is_some_and(is_stranger);
            let topic = behind.starts_with("set the topic: ") || behind == "cleared the topic";
            is_stranger(first) && (renamed || topic)
        }
        said => {
            let nick = said.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
            nick.is_some_and(is_stranger)
        }
    };
    RoomName::parse(room).is_ok() && is_told
}

fn is_stranger(nick: &str) -> bool {
    let is_guest = nick == "guest-3";
    (is_guest || Nick::parse(nick).is_ok()) && !["witness", "guest-1", "guest-2"].contains(&nick)
}

fn is_forbidden(c: char) -> bool {
    let is_end = matches!(c, '\u{2028}' | '\u{2029}');
    (c.is_control() && c != '\t') || is_end || matches!(c, '\u{200B}' | '\u{202E}')
}

/// An operator on the control socket: one answer for each request, however the input is cut.
pub(crate) fn operators(input: &[u8]) {
    let mut recipe = Recipe::new(input);
    let sizes = recipe.sizes();
    let is_slow = recipe.below(3) == 1;
    let stream = recipe.stream(&REQUESTS);
    let whole = answers(&[&stream], false);
    let told = |answers: &[Value]| answers.iter().map(what_is_told).collect::<Vec<_>>();
    expect_same("the operator", &told(&answers(&chunks(&stream, &sizes), is_slow)), &told(&whole));
    let requests = framer::lines(&stream);
    let first = requests.iter().position(|request| !request.trim_ascii().is_empty());
    let foreign = first.filter(|first| is_foreign_request(requests[*first]));
    assert_eq!(whole.len(), foreign.map_or(requests.len(), |foreign| foreign + 1));
    if foreign.is_some() {
        return;
    }
    for (request, answer) in requests.iter().zip(&whole) {
        let is_ok = answer["ok"].as_bool().expect("an answer says whether it went well");
        assert_eq!(is_ok, answer.get("error").is_none(), "{}: {answer}", request.escape_ascii());
        let is_too_long =
            answer["error"].as_str().is_some_and(|why| why.starts_with("a request has at most"));
        assert_eq!(is_too_long, request.len() > REQUEST_BYTES, "{answer}");
    }
}

fn is_foreign_request(request: &[u8]) -> bool {
    request.len() <= REQUEST_BYTES && Foreign::of_counted_message(request).is_some()
}

/// An answer without its numbers, which belong to the turn in which they are written.
fn what_is_told(answer: &Value) -> String {
    let fields = answer.as_object().expect("an answer is an object");
    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
    format!("{} {} {names:?}", answer["error"], answer["message"])
}

/// The answers to an operator that reads everything at once, or little at a time.
fn answers(chunks: &[&[u8]], is_slow: bool) -> Vec<Value> {
    let mut world = World::with(configure);
    let witness = world.connect();
    world.says(witness, "/nick witness");
    world.run();
    let operator = world.connect_operator();
    if is_slow {
        let peer = world.peer(operator);
        peer.window = Window::Closed;
        peer.kernel_bytes = SLOW_KERNEL_BYTES;
    }
    for chunk in chunks {
        world.sends(operator, chunk);
        world.run();
        world.peer(operator).takes(SLOW_READ_BYTES);
    }
    world.peer(operator).window = Window::Open;
    world.finishes(operator);
    let text = String::from_utf8(world.bytes(operator)).expect("an answer is UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'), "the last answer is whole: {text:?}");
    assert!(world.got_fin(operator), "everything is answered");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}")))
        .collect()
}
