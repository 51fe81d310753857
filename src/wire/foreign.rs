//! Other protocols whose clients come to this port, known by the first thing that they send.
//!
//! [`Opening`] looks at the bytes of a stream before anything is framed, until its first message that is not blank is
//! known for chat or for what it is. How the stream is cut into reads makes no difference, and what it keeps is bounded.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::framing::{Framing, PADDING};

/// A protocol that is not chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Foreign {
    /// A web browser, a script that posts, or what looks like them: RTSP, SIP, ICE.
    Http,
    /// A secure shell.
    Ssh,
    /// Whatever is spoken in TLS.
    Tls,
    /// A proxy that says from where a client came, in either version.
    Proxy,
    /// A client that takes this for a SOCKS proxy.
    Socks,
    /// A chat client of another kind.
    Irc,
    /// A mail server or client.
    Smtp,
    /// A printer's client.
    Lpd,
    /// What has a NUL in its first message.
    Binary,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "HTTP",
            Self::Ssh => "SSH",
            Self::Tls => "TLS",
            Self::Proxy => "PROXY protocol",
            Self::Socks => "SOCKS",
            Self::Irc => "IRC",
            Self::Smtp => "SMTP",
            Self::Lpd => "LPD",
            Self::Binary => "binary protocol",
        })
    }
}

impl Foreign {
    /// The protocol that opens with the first line of a message whose length stood before it. Such a message may hold any
    /// byte, so that only what no person types is taken for another protocol.
    #[must_use]
    pub fn of_counted_message(message: &[u8]) -> Option<Self> {
        let mut opening = Opening::new(Framing::Nul, message.len());
        opening.push(message);
        opening.end().filter(|foreign| matches!(foreign, Self::Http | Self::Ssh | Self::Proxy))
    }
}

/// Bytes kept of a first line. Of a longer one the first and the last are.
const LINE_MAX: usize = 512;
/// Bytes at the start of a line that are kept whatever follows, and at its end: more than any sign is long.
const LINE_START: usize = 64;
const LINE_END: usize = 32;
/// The longest run of full records that is held back because an HTTP request line may lie across them (RFC 9112, section
/// 3, asks for 8,000 bytes at least); a longer one is no person's.
const RECORDS_MAX: usize = 64 * 1024;

/// How a proxy's header of version 2 begins (haproxy, `proxy-protocol.txt`, section 2.2).
const PROXY_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of it up to its NUL.
const NUL_IN_PROXY_V2: usize = 5;
/// How one of version 1 begins (section 2.1), and how SSH does (RFC 4253, section 4.2).
const SIGNS: [(&[u8], Foreign); 4] = [
    (b"PROXY TCP4 ", Foreign::Proxy),
    (b"PROXY TCP6 ", Foreign::Proxy),
    (b"PROXY UNKNOWN", Foreign::Proxy),
    (b"SSH-2.0-", Foreign::Ssh),
];
/// What ends a request line (RFC 9112, 9113 section 3.4, 2326, 3261; Icecast).
const VERSIONS: [&[u8]; 6] =
    [b" HTTP/1.0", b" HTTP/1.1", b" HTTP/2.0", b" RTSP/1.0", b" SIP/2.0", b" ICE/1.0"];
/// The shortest and the longest method before a request's target.
const METHOD: std::ops::RangeInclusive<usize> = 3..=24;

/// What is known of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Not enough yet. Messages may be taken out of the stream: none that is not blank is whole.
    Open,
    /// Not enough yet, and nothing may be said of it or taken out of it that is not blank: it begins as another protocol
    /// does.
    Closed,
    /// A person's words.
    Chat,
    /// Another protocol.
    Foreign(Foreign),
}

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The first bytes of one stream, until they are known.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not the states of one machine")]
#[derive(Clone, Debug)]
pub struct Opening {
    framing: Framing,
    /// The longest message: of a longer one, only what may be a request is of interest.
    limit: usize,
    /// Bytes of the stream so far.
    count: usize,
    /// Bytes of the message under way so far.
    message: usize,
    /// The first line that is not blank, without what is blank before it; see [`LINE_MAX`].
    line: Vec<u8>,
    /// Whether the middle of that line is not kept.
    is_cut: bool,
    /// Spaces in that line.
    spaces: usize,
    /// The last byte was CR: a NUL that follows belongs to the same end of a line.
    after_cr: bool,
    /// The stream is [`PROXY_V2`] so far.
    is_signature: bool,
    /// A message was too long while this was [`Sight::Closed`]: to be refused if the stream is chat after all.
    pub is_too_long: bool,
    sight: Sight,
}

impl Opening {
    /// A stream of which nothing has come, where a message has at most `limit` bytes.
    #[must_use]
    pub fn new(framing: Framing, limit: usize) -> Self {
        Self {
            framing,
            limit,
            count: 0,
            message: 0,
            line: Vec::new(),
            is_cut: false,
            spaces: 0,
            after_cr: false,
            is_signature: true,
            is_too_long: false,
            sight: Sight::Open,
        }
    }

    /// Takes the next bytes of the stream into account.
    pub fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if matches!(self.sight, Sight::Chat | Sight::Foreign(_)) {
                return;
            }
            self.sight = self.step(*byte);
        }
    }

    /// What is known so far.
    #[must_use]
    pub const fn sight(&self) -> Sight {
        self.sight
    }

    /// Whether whole messages in the stream may be parts of another protocol's opening: records have no ends, and in a
    /// proxy's header ends of lines stand.
    #[must_use]
    pub const fn holds_messages(&self) -> bool {
        matches!(self.sight, Sight::Closed)
            && (self.is_signature || matches!(self.framing, Framing::Fixed(_)))
    }

    /// The stream has ended. Gives the protocol if it was another one.
    pub fn end(&mut self) -> Option<Foreign> {
        if matches!(self.sight, Sight::Open | Sight::Closed) {
            self.sight = self.line_ends(None);
        }
        match self.sight {
            Sight::Foreign(foreign) => Some(foreign),
            _ => None,
        }
    }

    fn step(&mut self, byte: u8) -> Sight {
        let was_signature = self.is_signature;
        self.is_signature &= PROXY_V2.get(self.count) == Some(&byte);
        self.count += 1;
        if self.is_signature && self.count == PROXY_V2.len() {
            return Sight::Foreign(Foreign::Proxy);
        }
        if was_signature && !self.is_signature && self.count > NUL_IN_PROXY_V2 {
            // A NUL that was no part of that header after all.
            return if self.is_textual() { Sight::Foreign(Foreign::Binary) } else { Sight::Chat };
        }
        let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
        let is_rest_of_end = self.framing == Framing::Lines && after_cr && matches!(byte, b'\n' | 0);
        if !is_rest_of_end {
            self.message += 1;
        }
        if self.is_signature {
            return Sight::Closed;
        }
        if self.framing == Framing::Length && self.count == 1 && byte < b'\t' {
            // The first byte of a length: no text begins with it.
            return Sight::Chat;
        }
        let ends_line = matches!(byte, b'\r' | b'\n') || (byte == 0 && self.framing == Framing::Nul);
        let is_blank = ends_line || is_rest_of_end || matches!(byte, b' ' | b'\t');
        match (self.line.is_empty(), ends_line) {
            (true, _) if is_blank => self.still_blank(byte),
            (false, true) => self.line_ends(Some(byte)),
            _ => self.line_goes_on(byte),
        }
    }

    /// Nothing but white space has come.
    fn still_blank(&mut self, byte: u8) -> Sight {
        let ends_message = match self.framing {
            Framing::Lines => matches!(byte, b'\r' | b'\n'),
            Framing::Nul => byte == 0,
            Framing::Length => false,
            Framing::Fixed(_) => self.is_record_end(),
        };
        match self.framing {
            // White space is no length of a message: only a text begins with it.
            Framing::Length if self.count <= LINE_MAX => return Sight::Closed,
            _ if self.message > self.limit && !ends_message => return Sight::Chat,
            _ => {}
        }
        if ends_message {
            self.message = 0;
        }
        Sight::Open
    }

    /// Another byte of the first line, which has not ended.
    fn line_goes_on(&mut self, byte: u8) -> Sight {
        self.keep(byte);
        if self.count == BYTE_ORDER_MARK.len() && self.line == BYTE_ORDER_MARK {
            self.line.clear();
            return Sight::Open;
        }
        let sight = self.sight_of_line(byte);
        match sight {
            Sight::Open | Sight::Closed if self.is_record_end() => self.record_ends(byte),
            _ => sight,
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.line.len() == LINE_MAX {
            self.line.drain(LINE_START..LINE_MAX - LINE_END);
            self.is_cut = true;
        }
        self.line.push(byte);
        self.spaces += usize::from(byte == b' ');
    }

    fn sight_of_line(&self, byte: u8) -> Sight {
        if let Some(sight) = self.sight_of_first_bytes() {
            return sight;
        }
        let line = &self.line[..];
        if let Some((_, foreign)) = SIGNS.iter().find(|(sign, _)| line.starts_with(sign)) {
            return Sight::Foreign(*foreign);
        }
        // A message that is too long is refused at the first byte above the limit, whatever comes then.
        if byte == 0 && self.is_textual() && self.message <= self.limit + 1 {
            return Sight::Foreign(Foreign::Binary);
        }
        if SIGNS.iter().any(|(sign, _)| sign.starts_with(line)) || self.may_be_request() {
            Sight::Closed
        } else if self.message > self.limit || self.framing == Framing::Length {
            Sight::Chat
        } else {
            Sight::Open
        }
    }

    /// What the first two bytes of the stream are: the type of a handshake record of TLS and its major version (RFC
    /// 8446, section 5.1), or SOCKS and how many methods follow (RFC 1928, section 3; SOCKS4 has a command there).
    fn sight_of_first_bytes(&self) -> Option<Sight> {
        if self.line.len() != self.count {
            return None;
        }
        let may_be_socks = self.is_textual();
        match self.line[..] {
            [22, 3] => Some(Sight::Foreign(Foreign::Tls)),
            [4, 1 | 2] | [5, 1..=8] if may_be_socks => Some(Sight::Foreign(Foreign::Socks)),
            [22] => Some(Sight::Closed),
            [4 | 5] if may_be_socks => Some(Sight::Closed),
            _ => None,
        }
    }

    /// The first line that is not blank is whole; `end` ended it, or the stream did.
    fn line_ends(&self, end: Option<u8>) -> Sight {
        let last = self.line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t'));
        let line = &self.line[..last.map_or(0, |last| last + 1)];
        if self.method().is_some() && VERSIONS.iter().any(|version| line.ends_with(version)) {
            return Sight::Foreign(Foreign::Http);
        }
        // On `nul`, what a NUL ends is a message, and may be a person's.
        let is_line = self.framing != Framing::Nul || matches!(end, Some(b'\r' | b'\n'));
        if is_line && !self.is_cut && self.message <= self.limit + 1 {
            return of_line(line).map_or(Sight::Chat, Sight::Foreign);
        }
        Sight::Chat
    }

    /// A record ends inside the first line. One with padding at its end is a message of its own; what follows a full one
    /// may be the rest of a request line.
    fn record_ends(&self, last: u8) -> Sight {
        match self.line_ends(None) {
            Sight::Chat if last != PADDING && self.may_be_part_of_request() => {
                if self.count > RECORDS_MAX {
                    Sight::Foreign(Foreign::Http)
                } else {
                    Sight::Closed
                }
            }
            sight => sight,
        }
    }

    fn is_record_end(&self) -> bool {
        matches!(self.framing, Framing::Fixed(record) if self.count.is_multiple_of(record.get() as usize))
    }

    /// Whether messages are lines or records.
    const fn is_textual(&self) -> bool {
        matches!(self.framing, Framing::Lines | Framing::Fixed(_))
    }

    /// The method at the start of a request line, if one is there as a whole.
    fn method(&self) -> Option<&[u8]> {
        let method = self.line.split(|byte| *byte == b' ').next()?;
        (method.len() < self.line.len()
            && METHOD.contains(&method.len())
            && method.iter().copied().all(is_of_method))
        .then_some(method)
    }

    /// Whether a request line may begin with what is there.
    fn may_be_request(&self) -> bool {
        self.method().is_some()
            || (self.line.len() <= *METHOD.end() && self.line.iter().copied().all(is_of_method))
    }

    /// The same where no line end shows it: a target has no space in it, and a version follows.
    fn may_be_part_of_request(&self) -> bool {
        let version = || {
            let space = self.line.iter().rposition(|byte| *byte == b' ').unwrap_or(0);
            VERSIONS.iter().any(|version| version.starts_with(&self.line[space..]))
        };
        self.method().is_some() && (self.spaces == 1 || (self.spaces == 2 && version()))
    }
}

const fn is_of_method(byte: u8) -> bool {
    byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_')
}

/// The protocol that opens with this line and nothing else: what a person could mean otherwise has more words in it.
fn of_line(line: &[u8]) -> Option<Foreign> {
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    match words[..] {
        // RFC 1459, section 4.1, and the capability negotiation of IRCv3.
        [b"PASS" | b"NICK", only] if !only.is_empty() => Some(Foreign::Irc),
        [b"CAP", b"LS", ..] => Some(Foreign::Irc),
        [b"USER", _, _, _, name, ..] if name.starts_with(b":") => Some(Foreign::Irc),
        // RFC 5321, section 4.1.1.1.
        [b"EHLO", only] if !only.is_empty() => Some(Foreign::Smtp),
        // RFC 1179, section 5: "print any waiting jobs", and the name of a queue.
        [[1, queue @ ..]] if !queue.is_empty() && queue.iter().all(u8::is_ascii_alphanumeric) => {
            Some(Foreign::Lpd)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    const LIMIT: usize = 100;
    const FIXED: Framing = Framing::Fixed(NonZeroU32::new(64).unwrap());
    const ALL: [Framing; 4] = [Framing::Lines, Framing::Nul, Framing::Length, FIXED];

    /// What a stream is, read whole and byte by byte, at its end.
    fn seen(framing: Framing, stream: &[u8]) -> Option<Foreign> {
        let mut whole = Opening::new(framing, LIMIT);
        whole.push(stream);
        let mut drip = Opening::new(framing, LIMIT);
        for byte in stream {
            drip.push(&[*byte]);
            assert!(drip.line.len() <= LINE_MAX);
        }
        assert_eq!(drip.sight(), whole.sight(), "{framing:?}: {}", stream.escape_ascii());
        whole.end()
    }

    /// The same without waiting for the end.
    fn seen_at_once(framing: Framing, stream: &[u8]) -> Option<Foreign> {
        let mut opening = Opening::new(framing, LIMIT);
        opening.push(stream);
        match opening.sight() {
            Sight::Foreign(foreign) => Some(foreign),
            _ => None,
        }
    }

    #[test]
    fn a_request_line_is_known_on_every_framing_however_long_it_is() {
        let long = format!("GET /?q={} HTTP/1.1\r\nCookie: a=b\r\n\r\n", "a".repeat(5_000));
        for request in [
            "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET / HTTP/1.0\n",
            "POST /hook HTTP/1.1\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "OPTIONS / RTSP/1.0\r\n",
            "OPTIONS sip:nm SIP/2.0\r\n",
            "SOURCE /live ICE/1.0\r\n",
            "M-SEARCH * HTTP/1.1\r\n",
            "GET / HTTP/1.1 \t\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\n",
            "\n \n\nGET / HTTP/1.1\n",
            "GET / HTTP/1.1\r",
            "\u{FEFF}GET / HTTP/1.1\r\n",
            &long,
        ] {
            for framing in ALL {
                if framing == Framing::Length && request.starts_with('\u{FEFF}') {
                    continue;
                }
                let at_once = seen_at_once(framing, request.as_bytes());
                assert_eq!(at_once, Some(Foreign::Http), "{framing:?}: {request:.40?}");
                assert_eq!(seen(framing, request.as_bytes()), at_once);
            }
        }
        // Without a line end, at the end of the stream or of a padded record.
        assert_eq!(seen(Framing::Lines, b"GET / HTTP/1.1"), Some(Foreign::Http));
        assert_eq!(seen_at_once(FIXED, format!("{:64}", "GET / HTTP/1.1").as_bytes()), Some(Foreign::Http));
        assert_eq!(seen_at_once(Framing::Nul, b"GET / HTTP/1.1\0"), Some(Foreign::Http));
        let spaces = format!("GET /{} HTTP/1.1\r\n", " a b".repeat(1_000));
        assert_eq!(seen(Framing::Lines, spaces.as_bytes()), Some(Foreign::Http));
    }

    #[test]
    fn other_openings_are_known_on_every_framing() {
        for (opening, foreign) in [
            (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], Foreign::Ssh),
            (b"SSH-2.0-", Foreign::Ssh),
            (b"\x16\x03\x01\x00\xa5", Foreign::Tls),
            (b"\x16\x03", Foreign::Tls),
            (b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", Foreign::Proxy),
            (b"PROXY TCP6 ::1 ::1 1 2\r\nhello\r\n", Foreign::Proxy),
            (b"PROXY UNKNOWN\r\n", Foreign::Proxy),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c", Foreign::Proxy),
        ] {
            for framing in ALL {
                assert_eq!(
                    seen_at_once(framing, opening),
                    Some(foreign),
                    "{framing:?}: {}",
                    opening.escape_ascii()
                );
                assert_eq!(seen(framing, opening), Some(foreign));
            }
        }
    }

    #[test]
    fn what_no_person_types_is_known_on_lines_and_records() {
        for (opening, foreign) in [
            (&b"\x05\x01\x00"[..], Foreign::Socks),
            (b"\x05\x02\x00\x01", Foreign::Socks),
            (b"\x04\x01\x1a\x15\x7f\0\0\x01", Foreign::Socks),
            (b"\0\x1e\0\x06\x01", Foreign::Binary),
            (b"l\0\x0b\0\0", Foreign::Binary),
            (b"\r\n\r\n\0hello", Foreign::Binary),
            (b"CAP LS 302\r\nNICK bob\r\n", Foreign::Irc),
            (b"CAP LS\n", Foreign::Irc),
            (b"PASS secret\r\n", Foreign::Irc),
            (b"NICK bob\r\nUSER bob 0 * :Bob\r\n", Foreign::Irc),
            (b"USER bob 0 * :Bob B\r\n", Foreign::Irc),
            (b"\r\nEHLO example.org\r\n", Foreign::Smtp),
            (b"\x01default\n", Foreign::Lpd),
        ] {
            for framing in [Framing::Lines, FIXED] {
                assert_eq!(
                    seen_at_once(framing, opening),
                    Some(foreign),
                    "{framing:?}: {}",
                    opening.escape_ascii()
                );
                assert_eq!(seen(framing, opening), Some(foreign));
            }
        }
        assert_eq!(seen_at_once(FIXED, format!("{:64}", "NICK bob").as_bytes()), Some(Foreign::Irc));
        assert_eq!(seen_at_once(Framing::Nul, b"NICK bob\r\nUSER bob 0 * :Bob\r\n"), Some(Foreign::Irc));
        assert_eq!(seen(Framing::Nul, b"NICK bob\0"), None);
        assert_eq!(seen(Framing::Nul, b"\x05\x01\0hi\0"), None);
        assert_eq!(seen(Framing::Length, b"\0\0\0\x02hi"), None);
    }

    #[test]
    fn a_person_may_sound_like_a_protocol() {
        for line in [
            "GET well soon",
            "PASS me the salt",
            "PASS",
            "NICK of time, that",
            "USER a b c d",
            "pass x",
            "nick bob",
            "ehlo there",
            "EHLO to you all",
            "CAP LSD",
            "PROXY for whom?",
            "HTTP/1.1",
            "GET / HTTP/1.1 is how it starts",
            "what is HTTP/1.1",
            "SSH is down",
            "ssh -V",
            "HELLO EVERYBODY",
            "hello",
            "",
        ] {
            for framing in [Framing::Lines, Framing::Nul, FIXED] {
                let bytes = match framing {
                    Framing::Lines => format!("{line}\r\n"),
                    Framing::Nul => format!("{line}\0"),
                    _ => format!("{line:64}"),
                };
                assert_eq!(seen(framing, bytes.as_bytes()), None, "{framing:?}: {line:?}");
                let then = bytes.clone() + "GET / HTTP/1.1\r\n";
                assert!(line.is_empty() || seen(framing, then.as_bytes()).is_none(), "{framing:?}: {line:?}");
            }
            assert_eq!(Foreign::of_counted_message(line.as_bytes()), None, "{line:?}");
        }
        // A record without padding that is no request is said at once.
        let full = format!("{:x<64}", "GET well soon ");
        let mut opening = Opening::new(FIXED, LIMIT);
        opening.push(full.as_bytes());
        assert_eq!(opening.sight(), Sight::Chat);
    }

    #[test]
    fn a_counted_message_may_be_a_request() {
        let of = |text: &[u8]| Foreign::of_counted_message(text);
        assert_eq!(of(b"GET / HTTP/1.1\r\nHost: a\r\n"), Some(Foreign::Http));
        assert_eq!(of(b"GET / HTTP/1.1"), Some(Foreign::Http));
        assert_eq!(of(b"SSH-2.0-x"), Some(Foreign::Ssh));
        assert_eq!(of(b"what is\nGET / HTTP/1.1"), None);
        assert_eq!(of(b"NICK bob\r\n"), None);
        assert_eq!(of(b"a\0b"), None);
        assert_eq!(of(b"\x05\x01\0"), None);
    }

    #[test]
    fn a_line_without_an_end_keeps_little() {
        for framing in ALL {
            for byte in [b'x', b' ', b'A', b'\n'] {
                let mut opening = Opening::new(framing, LIMIT);
                opening.push(&vec![byte; 1_000_000]);
                assert!(opening.line.len() <= LINE_MAX, "{framing:?}");
            }
            let mut opening = Opening::new(framing, LIMIT);
            opening.push(b"GET /");
            opening.push(&vec![b'a'; 1_000_000]);
            assert!(opening.line.len() <= LINE_MAX, "{framing:?}");
        }
    }
}
