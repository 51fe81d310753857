//! Bytes into messages: where one line ends and the next begins.
//!
//! LF, CR LF, CR NUL and a lone CR end a line (RFC 854 asks for CR LF and CR NUL, `nc` sends LF). The framer
//! remembers how far it has searched, so bytes that drip in one by one cost O(n) in all; a line within one read is
//! never copied. It holds at most one unfinished line of its limit plus what was handed to [`Framer::hold`].

use memchr::memchr2;

/// One message, or the news of one that was too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A whole message without its end; may be empty.
    Message(&'a [u8]),
    /// A message exceeded the limit. Its bytes are dropped up to its end, and this is said once.
    TooLong,
}

/// The unparsed input of one connection.
#[derive(Clone, Debug, Default)]
pub struct Framer {
    /// Bytes not yet given out, from `taken` on.
    held: Vec<u8>,
    /// Bytes at the start of `held` that were given out.
    taken: u32,
    /// Bytes of `held` known to contain no line end, counted from its start.
    searched: u32,
    /// The last message ended in CR: an LF or NUL that follows belongs to it.
    after_cr: bool,
    /// The rest of a message that was too long is being dropped.
    skipping: bool,
}

impl Framer {
    /// The next message, from what is held and then from `input`, which is advanced past what was used.
    ///
    /// `None` means that no whole message is there; all of `input` is then taken in. A message longer than
    /// `limit` bytes is told as [`Frame::TooLong`] and dropped.
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8], limit: usize) -> Option<Frame<'a>> {
        self.give_back();
        if self.held.is_empty() {
            return self.next_direct(input, limit);
        }
        self.next_held(input, limit)
    }

    /// The input has ended: what is held of an unfinished line is a line.
    pub fn end(&mut self) {
        if self.held_bytes() > 0 && !matches!(self.held.last(), Some(b'\n' | b'\r')) {
            self.held.push(b'\n');
        }
    }

    /// Keeps `input` for later, unparsed, behind what is held already.
    pub fn hold(&mut self, input: &[u8]) {
        if !input.is_empty() {
            self.give_back();
            self.held.extend_from_slice(input);
        }
    }

    /// Bytes received and not yet given out.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.len() - self.taken as usize
    }

    /// Drops everything held.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The whole message comes out of `input`: nothing is copied.
    fn next_direct<'i>(&mut self, input: &mut &'i [u8], limit: usize) -> Option<Frame<'i>> {
        loop {
            self.swallow_after_cr(input);
            let bytes: &'i [u8] = input;
            let Some(end) = memchr2(b'\n', b'\r', bytes) else {
                *input = &[];
                return self.keep_unfinished(bytes, limit);
            };
            *input = &bytes[end + 1..];
            self.after_cr = bytes[end] == b'\r';
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            let fits = end <= limit;
            return Some(if fits { Frame::Message(&bytes[..end]) } else { Frame::TooLong });
        }
    }

    /// An unfinished message is held; one that is too long already is told and no longer held.
    fn keep_unfinished<'a>(&mut self, bytes: &[u8], limit: usize) -> Option<Frame<'a>> {
        if self.skipping || bytes.is_empty() {
            return None;
        }
        if bytes.len() > limit {
            self.skipping = true;
            return Some(Frame::TooLong);
        }
        self.held.extend_from_slice(bytes);
        self.searched = count(self.held.len());
        None
    }

    /// The message begins in what is held and may end there or in `input`.
    fn next_held<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8], limit: usize) -> Option<Frame<'a>> {
        self.swallow_after_cr_held();
        let start = self.taken as usize;
        let from = start.max(self.searched as usize);
        if let Some(offset) = memchr2(b'\n', b'\r', &self.held[from..]) {
            let end = from + offset;
            self.after_cr = self.held[end] == b'\r';
            self.taken = count(end + 1);
            self.searched = self.taken;
            if std::mem::take(&mut self.skipping) {
                return self.next(input, limit);
            }
            let fits = end - start <= limit;
            return Some(if fits { Frame::Message(&self.held[start..end]) } else { Frame::TooLong });
        }
        self.join(input, limit)
    }

    /// No end in what is held: its message goes on in `input`.
    fn join<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8], limit: usize) -> Option<Frame<'a>> {
        let bytes: &'i [u8] = input;
        if self.held_bytes() == 0 {
            return self.next(input, limit);
        }
        let end = memchr2(b'\n', b'\r', bytes);
        let part = end.unwrap_or(bytes.len());
        if self.skipping || self.held_bytes() + part > limit {
            return self.drop_long(input, limit);
        }
        self.held.extend_from_slice(&bytes[..part]);
        self.searched = count(self.held.len());
        let Some(end) = end else {
            *input = &[];
            return None;
        };
        *input = &bytes[end + 1..];
        self.after_cr = bytes[end] == b'\r';
        let start = self.taken as usize;
        self.taken = self.searched;
        Some(Frame::Message(&self.held[start..]))
    }

    /// Drops the message under way, told once; its end is found by the next call.
    fn drop_long<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8], limit: usize) -> Option<Frame<'a>> {
        self.held = Vec::new();
        self.taken = 0;
        self.searched = 0;
        if std::mem::replace(&mut self.skipping, true) {
            return self.next(input, limit);
        }
        Some(Frame::TooLong)
    }

    fn swallow_after_cr(&mut self, input: &mut &[u8]) {
        if let Some(first) = input.first()
            && std::mem::take(&mut self.after_cr)
            && matches!(first, b'\n' | 0)
        {
            *input = &input[1..];
        }
    }

    fn swallow_after_cr_held(&mut self) {
        if let Some(first) = self.held.get(self.taken as usize)
            && std::mem::take(&mut self.after_cr)
            && matches!(first, b'\n' | 0)
        {
            self.taken += 1;
        }
    }

    /// Gives the buffer back once everything in it was given out.
    fn give_back(&mut self) {
        if self.taken as usize == self.held.len() && self.taken > 0 {
            self.held = Vec::new();
            self.taken = 0;
            self.searched = 0;
        }
    }
}

/// Offsets fit in 32 bits: a read and a message are each far below 4 GiB.
fn count(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("inputs are bounded by the read budget and limits.line_bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 20;

    fn frames(chunks: &[&[u8]]) -> Vec<String> {
        let mut framer = Framer::default();
        let mut seen = Vec::new();
        for chunk in chunks {
            let mut input = *chunk;
            while let Some(frame) = framer.next(&mut input, LIMIT) {
                seen.push(show(frame));
            }
            assert!(input.is_empty(), "None takes in all input");
        }
        framer.end();
        seen.extend(framer.next(&mut &[][..], LIMIT).map(show));
        assert_eq!(framer.next(&mut &[][..], LIMIT), None, "the end comes once");
        seen
    }

    fn show(frame: Frame<'_>) -> String {
        match frame {
            Frame::Message(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Frame::TooLong => "TOO LONG".to_owned(),
        }
    }

    #[test]
    fn every_line_end_ends_one_line() {
        assert_eq!(frames(&[b"a\nb\r\nc\r\0d\re\n"]), ["a", "b", "c", "d", "e"]);
        assert_eq!(frames(&[b"\n\n\r\n\r\r\0"]), ["", "", "", "", ""]);
        assert_eq!(frames(&[b"a\n\rb"]), ["a", "", "b"]);
    }

    #[test]
    fn a_last_line_needs_no_end() {
        assert_eq!(frames(&[b"a\nb"]), ["a", "b"]);
        assert_eq!(frames(&[b"a\r"]), ["a"]);
        assert_eq!(frames(&[b"a", b"b"]), ["ab"]);
    }

    #[test]
    fn long_lines_are_told_once_and_dropped() {
        let long = [b'x'; 21];
        assert_eq!(frames(&[&long]), ["TOO LONG"]);
        assert_eq!(frames(&[&long, &long, b"\nok\n"]), ["TOO LONG", "ok"]);
        assert_eq!(frames(&[&[b'x'; 20], b"\n"]), ["x".repeat(20)]);
        assert_eq!(frames(&[b"ok\n", &[b'x'; 64], b"\r\nok"]), ["ok", "TOO LONG", "ok"]);
    }

    #[test]
    fn every_chunking_gives_the_same_lines() {
        let text: &[u8] = b"one\r\ntwo\rthree\r\0\nfour and five is too long for this\nsix\r\n\r\nse\0ven";
        let whole = frames(&[text]);
        for size in 1..=64 {
            let chunks: Vec<&[u8]> = text.chunks(size).collect();
            assert_eq!(frames(&chunks), whole, "chunks of {size}");
        }
        for cut in 0..=text.len() {
            assert_eq!(frames(&[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn held_input_is_parsed_later_and_in_order() {
        for held in 1..=12 {
            let text = b"a\r\nbb\rccc\nd";
            let (first, rest) = text.split_at(held.min(text.len()));
            let mut framer = Framer::default();
            framer.hold(first);
            let mut seen = Vec::new();
            let mut input = rest;
            while let Some(frame) = framer.next(&mut input, LIMIT) {
                seen.push(show(frame));
            }
            framer.end();
            seen.extend(framer.next(&mut &[][..], LIMIT).map(show));
            assert_eq!(seen, ["a", "bb", "ccc", "d"], "held {held}");
        }
    }

    #[test]
    fn nothing_grows_without_a_line_end() {
        let mut framer = Framer::default();
        for _ in 0..1000 {
            let mut input: &[u8] = &[b'x'; 1000];
            while framer.next(&mut input, LIMIT).is_some() {}
            assert!(framer.held_bytes() <= LIMIT);
        }
    }

    #[test]
    fn buffers_are_given_back() {
        let mut framer = Framer::default();
        for chunk in [&b"par"[..], b"tial\n"] {
            let mut input = chunk;
            while framer.next(&mut input, LIMIT).is_some() {}
        }
        assert_eq!(framer.held.capacity(), 0);
    }
}
