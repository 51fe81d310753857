//! Other protocols whose clients come to this port, known by the first thing that they send.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A protocol that is not chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Foreign {
    /// A web browser, or a script that posts.
    Http,
    /// A secure shell.
    Ssh,
    /// Whatever is spoken in TLS.
    Tls,
}

impl Foreign {
    /// The protocol that opens with the first line of this message; `None` for what a person may have typed. Where
    /// it is not lines that make messages, a message may begin with that line and go on.
    ///
    /// A request line of HTTP ends in its version (RFC 9112, section 3), SSH begins with its own (RFC 4253,
    /// section 4.2).
    #[must_use]
    pub fn of_message(message: &[u8]) -> Option<Self> {
        let line = message.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        if line.ends_with(b" HTTP/1.0") || line.ends_with(b" HTTP/1.1") {
            return Some(Self::Http);
        }
        line.starts_with(b"SSH-2.0-").then_some(Self::Ssh)
    }

    /// The protocol that opens with these bytes, which need not make a line: a handshake record of TLS begins with
    /// its type, 22, and the major version, 3 (RFC 8446, section 5.1).
    #[must_use]
    pub fn of_bytes(bytes: impl IntoIterator<Item = u8>) -> Option<Self> {
        bytes.into_iter().take(2).eq([22, 3]).then_some(Self::Tls)
    }
}

impl Foreign {
    /// The protocol that opens with these four bytes, where they should be the length of a message: as one they are above
    /// a thousand million.
    #[must_use]
    pub fn of_length(length: [u8; 4]) -> Option<Self> {
        const METHODS: [&[u8; 4]; 8] =
            [b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"CONN", b"OPTI", b"PATC"];
        match &length {
            b"SSH-" => Some(Self::Ssh),
            _ if METHODS.contains(&&length) => Some(Self::Http),
            _ => None,
        }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "HTTP",
            Self::Ssh => "SSH",
            Self::Tls => "TLS",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings_are_told_from_what_people_type() {
        let of_line = |line: &str| Foreign::of_message(line.as_bytes());
        assert_eq!(of_line("GET / HTTP/1.1"), Some(Foreign::Http));
        assert_eq!(of_line("POST /hook HTTP/1.0"), Some(Foreign::Http));
        assert_eq!(of_line("SSH-2.0-OpenSSH_9.2"), Some(Foreign::Ssh));
        assert_eq!(of_line("GET / HTTP/1.1\r\nHost: localhost\r\nAcc"), Some(Foreign::Http));
        assert_eq!(of_line("what is\nGET / HTTP/1.1"), None);
        for line in
            ["GET well soon", "HTTP/1.1", "GET / HTTP/1.1 is how it starts", "ssh -V", "SSH is down", ""]
        {
            assert_eq!(of_line(line), None, "{line:?}");
        }
        assert_eq!(Foreign::of_bytes(*b"\x16\x03\x01\x00\xa5"), Some(Foreign::Tls));
        for bytes in [&b"\x16"[..], b"\x16\x02", b"\x03\x16", b"hello", b""] {
            assert_eq!(Foreign::of_bytes(bytes.iter().copied()), None, "{bytes:x?}");
        }
    }
}
