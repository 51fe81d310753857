//! Text that may be shown: bytes of a client in, one safe line out.
//!
//! [`scrub`] is the one gate between a client's bytes and everything that shows text: chat, topics, the motd, logs,
//! the dashboard. It takes whole messages, so the chunks in which they arrived play no part. What it lets
//! through is UTF-8 without a line end, a control character, an invisible character or an order to reverse text,
//! so no client's line can look like one of the server's. Each character taken out leaves a visible stand-in:
//!
//! * a C0 control its control picture (LF becomes `␊`), DEL `␡`; TAB is kept;
//! * invalid UTF-8 a U+FFFD for each maximal subpart, as [`String::from_utf8_lossy`] does;
//! * C1 controls, bidi controls, line and paragraph separators, zero-width and other default-ignorable
//!   characters, U+E0000–E0FFF, private use, noncharacters, interlinear annotation: a U+FFFD each;
//! * what a grapheme has above [`GRAPHEME_MARKS_MAX`] marks a base or [`GRAPHEME_BYTES_MAX`] bytes
//!   ([`EMOJI_BYTES_MAX`] for an emoji sequence): one U+FFFD.
//!
//! Joiners, variation selectors and tag characters stay where they have a meaning: see `joiner_stays`,
//! `selector_stays` and `tag_stays`. `tests/field/words.txt` has the words of real languages that must come through.
//! Scrubbing twice changes nothing, and a text grows to [`GROWTH_MAX`] times its bytes at most.

mod class;

use std::borrow::Cow;

use memchr::memchr3;
use unicode_segmentation::UnicodeSegmentation;

use class::{KEYCAP, ZWJ};

/// Combining marks that one base character of a grapheme may carry.
pub const GRAPHEME_MARKS_MAX: usize = 4;

/// Bytes of the largest grapheme that is no emoji sequence.
pub const GRAPHEME_BYTES_MAX: usize = 40;

/// Bytes of the largest emoji sequence; a flag with a subdivision of seven characters has 36, a family of four with
/// skin tones 41.
pub const EMOJI_BYTES_MAX: usize = 80;

/// Tag characters in the flag of a subdivision: a region of two letters or three digits and up to four more (UTS #51,
/// annex B).
const FLAG_TAGS: std::ops::RangeInclusive<usize> = 3..=7;

/// How many bytes of text may come of one byte: a control character becomes three.
pub const GROWTH_MAX: usize = 3;

/// What a terminal sends for its key "backspace".
const BACKSPACE: u8 = 0x08;
/// The same of other terminals.
pub const DELETE: u8 = 0x7F;
/// `^U`.
pub const KILL: u8 = 0x15;

/// What stands for a character that is not shown and has no picture.
const STAND_IN: char = char::REPLACEMENT_CHARACTER;

/// So many neighbours that are not simple are in every grapheme that is too large: those with five marks have
/// them, and those of over 40 bytes have at least 11 characters, at most one of them in the middle simple.
const SUSPICIOUS_RUN: usize = GRAPHEME_MARKS_MAX + 1;

/// A text without anything that could deceive or harm a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrubbed<'a> {
    /// What may be shown. Borrowed when the bytes were clean.
    pub text: Cow<'a, str>,
    /// How many stand-ins were put in.
    pub replaced: u32,
}

/// Makes a client's message, a file's line or an operator's word fit to be shown.
///
/// `raw` is one whole message without the end that framed it. Nothing is allocated for a clean one.
#[must_use]
pub fn scrub(raw: &[u8]) -> Scrubbed<'_> {
    let mut scrubbed = decode(raw);
    if is_plain_ascii(raw) {
        return scrubbed;
    }
    if let Some(shown) = show_hidden(&scrubbed.text) {
        scrubbed.take(shown);
    }
    if let Some(cut) = cut_graphemes(&scrubbed.text) {
        scrubbed.take(cut);
    }
    scrubbed
}

/// [`scrub`] of a line as a person typed it at a terminal that sends each key: BS and DEL erase the grapheme before
/// them, `^U` all of the line so far. A sequence of bytes that is no UTF-8 is erased as the U+FFFD that stands for it.
#[must_use]
pub fn scrub_typed(raw: &[u8]) -> Scrubbed<'_> {
    if is_plain_ascii(raw) || memchr3(BACKSPACE, DELETE, KILL, raw).is_none() {
        return scrub(raw);
    }
    let typed = decode(raw);
    let left = erase(&typed.text);
    let scrubbed = scrub(left.as_bytes());
    let replaced = typed.replaced.saturating_add(scrubbed.replaced);
    Scrubbed { text: Cow::Owned(scrubbed.text.into_owned()), replaced }
}

/// Whether nothing of a text would be seen: white space, and the few signs that are empty.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_blank_sign)
}

/// White space, and the few signs that are empty.
#[must_use]
pub fn is_blank_sign(c: char) -> bool {
    c.is_whitespace() || class::is_empty_sign(c)
}

/// The first characters of a text, the last of them `…` if it has more than `chars`.
#[must_use]
pub fn shorten(text: &str, chars: usize) -> Cow<'_, str> {
    if text.len() <= chars || text.chars().nth(chars).is_none() {
        return Cow::Borrowed(text);
    }
    let mut room = chars.saturating_sub(1);
    let kept = text.graphemes(true).take_while(|grapheme| {
        let count = grapheme.chars().count();
        let fits = count <= room;
        room -= count.min(room);
        fits
    });
    let end = kept.map(str::len).sum();
    Cow::Owned(format!("{}…", &text[..end]))
}

impl Scrubbed<'_> {
    fn take(&mut self, edit: Edit) {
        self.text = Cow::Owned(edit.text);
        self.replaced = self.replaced.saturating_add(edit.replaced);
    }
}

/// A copy of a text in which stand-ins replace some ranges; it exists only if something was replaced.
struct Edit {
    text: String,
    replaced: u32,
    /// The bytes of the original that are copied or replaced already.
    done: usize,
}

impl Edit {
    /// Replaces `range` of `original`, behind everything replaced before.
    fn replace(edit: &mut Option<Self>, original: &str, range: std::ops::Range<usize>, stand_in: char) {
        let edit = edit.get_or_insert_with(|| Self {
            text: String::with_capacity(original.len() + STAND_IN.len_utf8()),
            replaced: 0,
            done: 0,
        });
        edit.text.push_str(&original[edit.done..range.start]);
        edit.text.push(stand_in);
        edit.done = range.end;
        edit.replaced = edit.replaced.saturating_add(1);
    }

    fn finish(mut self, original: &str) -> Self {
        self.text.push_str(&original[self.done..]);
        self
    }
}

fn is_plain_ascii(raw: &[u8]) -> bool {
    // Without an early end inside a chunk the compiler makes vector instructions of it.
    raw.chunks(64).all(|chunk| {
        chunk.iter().fold(0, |others, byte| others | u8::from(!matches!(byte, b' '..=b'~' | b'\t'))) == 0
    })
}

fn decode(raw: &[u8]) -> Scrubbed<'_> {
    if let Ok(text) = str::from_utf8(raw) {
        return Scrubbed { text: Cow::Borrowed(text), replaced: 0 };
    }
    let mut text = String::with_capacity(raw.len() + STAND_IN.len_utf8());
    let mut replaced = 0_u32;
    for chunk in raw.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(STAND_IN);
            replaced = replaced.saturating_add(1);
        }
    }
    Scrubbed { text: Cow::Owned(text), replaced }
}

/// What is left of a typed line. Costs O(n): a piece between two keys that erase is cut into graphemes once, together
/// with the grapheme before it unless that one is larger than what is shown.
fn erase(text: &str) -> String {
    let keys = [BACKSPACE, DELETE, KILL].map(char::from);
    let mut kept = String::with_capacity(text.len());
    let mut starts: Vec<usize> = Vec::new();
    for part in text.split_inclusive(keys) {
        let piece = part.trim_end_matches(keys);
        let from = match starts.last() {
            Some(&last) if kept.len() - last <= EMOJI_BYTES_MAX => starts.pop().unwrap_or(0),
            _ => kept.len(),
        };
        kept.push_str(piece);
        starts.extend(kept[from..].grapheme_indices(true).map(|(at, _)| from + at));
        match part[piece.len()..].bytes().next() {
            Some(KILL) => {
                kept.clear();
                starts.clear();
            }
            Some(_) => kept.truncate(starts.pop().unwrap_or(0)),
            None => {}
        }
    }
    kept
}

fn show_hidden(text: &str) -> Option<Edit> {
    let mut edit: Option<Edit> = None;
    for (at, c) in text.char_indices().filter(|&(_, c)| !class::is_simple(c)) {
        // A stand-in gives no joiner a meaning, so nothing before the last one needs to be looked at.
        let done = edit.as_ref().map_or(0, |edit| edit.done);
        let end = at + c.len_utf8();
        if let Some(stand_in) = stand_in(&text[done..at], c, &text[end..]) {
            Edit::replace(&mut edit, text, at..end, stand_in);
        }
    }
    edit.map(|edit| edit.finish(text))
}

/// What is shown instead of `c` between these texts; `None` if `c` itself.
fn stand_in(before: &str, c: char, after: &str) -> Option<char> {
    let is_shown = match c {
        '\0'..='\u{1F}' => return char::from_u32(0x2400 + u32::from(c)),
        '\u{7F}' => return Some('\u{2421}'),
        c if class::is_joiner(c) => joiner_stays(before, c, after),
        c if class::is_selector(c) => selector_stays(before, after),
        c if class::is_ideographic_selector(c) => before.chars().next_back().is_some_and(class::is_ideograph),
        c if class::is_flag_tag(c) || c == class::CANCEL_TAG => tag_stays(before, c, after),
        c => !class::is_hidden(c),
    };
    (!is_shown).then_some(STAND_IN)
}

/// Whether a ZWNJ or ZWJ has a meaning here: after a letter, mark or digit if that one or the letter or mark that
/// follows is of a script that joins or stacks, and the ZWJ between two emoji (UTS #51, ED-16). Of several in a row
/// only the first can stay.
fn joiner_stays(before: &str, joiner: char, after: &str) -> bool {
    let next = after.chars().next();
    let joins_next = || next.is_some_and(class::is_of_joining_letters);
    (before.chars().next_back().is_some_and(class::is_of_words) && (ends_joining(before) || joins_next()))
        || (joiner == ZWJ && next.is_some_and(class::is_pictograph) && ends_in_emoji(before))
}

/// Whether a tag character is within a whole tag sequence after a black flag. One that has no end is shown, or bytes
/// that nobody sees could be sent in it.
fn tag_stays(before: &str, tag: char, after: &str) -> bool {
    let most = *FLAG_TAGS.end() + 1;
    let earlier = before.chars().rev().take(most).take_while(|&c| class::is_flag_tag(c)).count();
    let later = after.chars().take(most).take_while(|&c| class::is_flag_tag(c)).count();
    let is_last = tag == class::CANCEL_TAG;
    let tags = if is_last { earlier } else { earlier + 1 + later };
    before.chars().rev().nth(earlier) == Some(class::BLACK_FLAG)
        && FLAG_TAGS.contains(&tags)
        && (is_last || after.chars().nth(later) == Some(class::CANCEL_TAG))
}

/// Whether a variation selector follows an emoji here, or makes one with a keycap.
fn selector_stays(before: &str, after: &str) -> bool {
    before.chars().next_back().is_some_and(|last| {
        class::is_pictograph(last) || (class::is_keycap_base(last) && after.starts_with(KEYCAP))
    })
}

/// Whether the last letter, mark or digit is of a script that joins or stacks. A mark that any script may use is of the
/// script of its base.
fn ends_joining(before: &str) -> bool {
    let mut backward = before.chars().rev().take(GRAPHEME_MARKS_MAX + 1);
    let with_script = backward.find(|&c| !class::is_mark(c) || class::has_script(c));
    with_script.is_some_and(|c| class::is_of_words(c) && class::is_of_joining_script(c))
}

fn ends_in_emoji(before: &str) -> bool {
    // An emoji carries a skin tone or a selector, or one of each.
    let mut backward = before.chars().rev().take(3);
    backward.find(|&c| !class::is_selector(c) && !class::is_extender(c)).is_some_and(class::is_pictograph)
}

fn cut_graphemes(text: &str) -> Option<Edit> {
    if !has_suspicious_run(text) {
        return None;
    }
    let mut edit = None;
    for (at, grapheme) in text.grapheme_indices(true) {
        if let Some(kept) = kept_bytes(grapheme) {
            Edit::replace(&mut edit, text, at + kept..at + grapheme.len(), STAND_IN);
        }
    }
    edit.map(|edit| edit.finish(text))
}

fn has_suspicious_run(text: &str) -> bool {
    let mut run = 0;
    text.chars().any(|c| {
        run = if class::is_simple(c) { 0 } else { run + 1 };
        run >= SUSPICIOUS_RUN
    })
}

/// How much of a grapheme that is too large stays; `None` if it is not too large.
fn kept_bytes(grapheme: &str) -> Option<usize> {
    let most = if grapheme.chars().all(class::is_emoji_part) { EMOJI_BYTES_MAX } else { GRAPHEME_BYTES_MAX };
    // A stand-in after signs that stand before their base is part of their grapheme: leave room for it.
    let room = if grapheme.len() <= most { most } else { most - STAND_IN.len_utf8() };
    let mut marks = 0;
    for (at, c) in grapheme.char_indices() {
        if class::is_mark(c) {
            marks += 1;
        } else if !class::is_extender(c) {
            marks = 0;
        }
        if marks > GRAPHEME_MARKS_MAX || at + c.len_utf8() > room {
            // A joiner, selector or tag at the end would have lost what gave it a meaning.
            let kept = grapheme[..at].trim_end_matches(class::is_invisible_part);
            return Some(kept.len());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        scrub(text.as_bytes()).text.into_owned()
    }

    fn assert_kept(text: &str) {
        let scrubbed = scrub(text.as_bytes());
        assert_eq!(scrubbed.text, text);
        assert_eq!(scrubbed.replaced, 0, "{text:?}");
        assert!(matches!(scrubbed.text, Cow::Borrowed(_)), "{text:?} was copied");
    }

    #[test]
    fn clean_text_is_neither_changed_nor_copied() {
        for text in [
            "",
            "hello, world\tand a tab",
            "Grüße, ça va? Ωμέγα привет",
            "日本語 한국어 ｶﾞ",
            "שלום عليكم",
            "e\u{301}\u{323} นี้ กำ",
            "\u{FFFD} ␊ ␡ 12\u{600}",
            "\u{1F600}\u{1F44D}\u{1F3FD}\u{1F1E9}\u{1F1EA}",
        ] {
            assert_kept(text);
        }
    }

    #[test]
    fn control_characters_are_pictured() {
        assert_eq!(shown("a\0b\nc\r\nd\u{1B}[31me\u{7F}"), "a␀b␊c␍␊d␛[31me␡");
        assert_eq!(shown("a\u{80}b\u{9B}31m"), "a\u{FFFD}b\u{FFFD}31m");
        for c in ('\0'..='\u{9F}').filter(|&c| c.is_control() && c != '\t') {
            assert!(!shown(&format!("a{c}b")).contains(char::is_control), "{c:?}");
        }
    }

    #[test]
    fn invisible_characters_leave_a_stand_in() {
        for c in
            "\u{AD}\u{34F}\u{61C}\u{115F}\u{180B}\u{180E}\u{200B}\u{200E}\u{200F}\u{2028}\u{2029}\u{202A}\
                  \u{202E}\u{2060}\u{2064}\u{2066}\u{2069}\u{3164}\u{E000}\u{FDD0}\u{FE00}\u{FEFF}\u{FFF9}\
                  \u{FFFB}\u{FFFF}\u{1D173}\u{E0001}\u{E0041}\u{E0100}\u{F0000}\u{10FFFF}"
                .chars()
        {
            let scrubbed = scrub_counted(&format!("a{c}b"));
            assert_eq!(scrubbed, ("a\u{FFFD}b".to_owned(), 1), "U+{:04X}", u32::from(c));
        }
    }

    fn scrub_counted(text: &str) -> (String, u32) {
        let scrubbed = scrub(text.as_bytes());
        (scrubbed.text.into_owned(), scrubbed.replaced)
    }

    #[test]
    fn emoji_sequences_stay_whole() {
        for text in [
            "👨\u{200D}👩\u{200D}👧\u{200D}👦",
            "👩🏽\u{200D}❤\u{FE0F}\u{200D}💋\u{200D}👨🏿",
            "🏳\u{FE0F}\u{200D}🌈",
            "🏴\u{200D}☠\u{FE0F}",
            "🕵🏻\u{200D}♀\u{FE0F}",
            "☎\u{FE0E} ©\u{FE0F}",
            "#\u{FE0F}\u{20E3}1\u{FE0F}\u{20E3}",
        ] {
            assert_kept(text);
        }
    }

    #[test]
    fn tags_stay_in_a_whole_flag_only() {
        let tags = |text: &str| -> String {
            text.chars().map(|c| char::from_u32(0xE0000 + u32::from(c)).unwrap()).collect()
        };
        let end = class::CANCEL_TAG;
        for subdivision in ["gbeng", "gbsct", "gbwls", "ustx", "us123"] {
            assert_kept(&format!("🏴{}{end}!", tags(subdivision)));
        }
        let flag = |tags: &str| format!("🏴{tags}");
        let hidden = |count: usize| "\u{FFFD}".repeat(count);
        // Without an end, with too few or too many, with capitals, after another emoji, after nothing.
        for (text, count) in [
            (tags("gbeng"), 5),
            (tags("gb") + "\u{E007F}", 3),
            (tags("gbengland") + "\u{E007F}", 10),
            (tags("GBENG") + "\u{E007F}", 6),
            ("\u{E007F}".to_owned(), 1),
        ] {
            assert_eq!(shown(&flag(&text)), flag(&hidden(count)), "{text:?}");
        }
        assert_eq!(shown(&format!("👩{}{end}", tags("gbeng"))), format!("👩{}", hidden(6)));
        assert_eq!(shown(&format!("{}{end}", tags("gbeng"))), hidden(6));
        let twice = format!("🏴{}{end}", tags("gbeng")) + &tags("gbeng");
        assert_eq!(shown(&twice), format!("🏴{}{end}{}", tags("gbeng"), hidden(5)));
    }

    #[test]
    fn ideographic_selectors_stay_behind_an_ideograph() {
        for text in ["葛\u{E0100}飾区", "\u{29E3D}\u{E0101}", "辻\u{E01EF}"] {
            assert_kept(text);
        }
        for (text, expected) in [
            ("葛\u{E0100}\u{E0100}", "葛\u{E0100}\u{FFFD}"),
            ("a\u{E0100}", "a\u{FFFD}"),
            ("か\u{E0100}", "か\u{FFFD}"),
            ("。\u{E0100}", "。\u{FFFD}"),
            ("葛\u{FE00}", "葛\u{FFFD}"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn joiners_and_selectors_without_a_meaning_do_not_stay() {
        for (text, expected) in [
            ("ad\u{200D}min", "ad\u{FFFD}min"),
            ("ad\u{200C}min", "ad\u{FFFD}min"),
            ("a\u{FE0F}", "a\u{FFFD}"),
            ("1\u{FE0F}", "1\u{FFFD}"),
            ("👩\u{200D}", "👩\u{FFFD}"),
            ("👩\u{200D}x", "👩\u{FFFD}x"),
            ("👩\u{200D}\u{200D}👩", "👩\u{FFFD}\u{FFFD}👩"),
            ("☎\u{FE0F}\u{FE0F}", "☎\u{FE0F}\u{FFFD}"),
            ("\u{200D}👩", "\u{FFFD}👩"),
            ("\u{FE0F}", "\u{FFFD}"),
            ("1\u{200D}👩", "1\u{FFFD}👩"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn joiners_stay_in_the_scripts_that_need_them() {
        // Persian "I want", with a mark before the joiner, Devanagari half form and explicit virama, Malayalam
        // chillu at the end of a word.
        for text in [
            "می\u{200C}خواهم",
            "می\u{650}\u{200C}خواهم",
            "ه\u{200D}ه",
            "क\u{94D}\u{200D}ष",
            "क\u{94D}\u{200C}ष",
            "അവന\u{D4D}\u{200D}",
            "د\u{200C}م",
            "می\u{200C} خ",
            "می\u{200C}",
            "क\u{200D}ष",
        ] {
            assert_kept(text);
        }
        for line in
            include_str!("../../../tests/field/words.txt").lines().filter(|line| !line.starts_with('#'))
        {
            let (language, word) = line.split_once('\t').unwrap();
            assert_kept(word);
            assert!(!word.is_ascii() && !language.is_empty(), "{line}");
        }
        // One joiner is enough, and it stands after a letter, mark or digit.
        for (text, expected) in [
            ("می\u{200C}\u{200C}خ", "می\u{200C}\u{FFFD}خ"),
            ("می\u{200C}\u{200D}\u{200C}خ", "می\u{200C}\u{FFFD}\u{FFFD}خ"),
            ("می \u{200C}خ", "می \u{FFFD}خ"),
            ("\u{200C}خ", "\u{FFFD}خ"),
            ("a \u{200D} b", "a \u{FFFD} b"),
            ("،\u{200C}خ", "،\u{FFFD}خ"),
            ("a\u{200C}١", "a\u{FFFD}١"),
            ("e\u{301}\u{200D}x", "e\u{301}\u{FFFD}x"),
            ("क\u{94D}\u{200D}\u{200D}", "क\u{94D}\u{200D}\u{FFFD}"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    fn typed(raw: &str) -> String {
        scrub_typed(raw.as_bytes()).text.into_owned()
    }

    #[test]
    fn backspace_and_delete_erase_a_grapheme_and_control_u_the_line() {
        for (raw, left) in [
            ("helo\u{8}lo", "hello"),
            ("helo\u{7F}lo", "hello"),
            ("\u{8}\u{7F}hi", "hi"),
            ("ab\u{8}\u{8}\u{8}c", "c"),
            ("my secret\u{15}hello", "hello"),
            ("my secret\u{15}", ""),
            ("grü\u{7F}", "gr"),
            ("xe\u{301}\u{323}\u{8}y", "xy"),
            ("x👨🏽\u{200D}👩🏿\u{8}y", "xy"),
            ("x🇩🇪🇫🇷\u{8}\u{8}y", "xy"),
            ("xe\u{301}y\u{8}\u{8}z", "xz"),
            // What follows the key joins what was before the erased one.
            ("xey\u{8}\u{301}\u{8}", "x"),
            ("a\u{1B}\u{8}[31m", "a[31m"),
            ("a\u{7}b", "a␇b"),
        ] {
            assert_eq!(typed(raw), left, "{raw:?}");
        }
        assert_eq!(scrub_typed(b"a\xE2\x82\x08b").text, "ab");
        assert_eq!(scrub_typed(b"a\xFF\x08b\xFF"), Scrubbed { text: "ab\u{FFFD}".into(), replaced: 2 });
        assert_eq!(shown("a\u{8}b\u{7F}c\u{15}d"), "a␈b␡c␕d");
        assert!(matches!(scrub_typed(b"plain").text, Cow::Borrowed(_)));
    }

    #[test]
    fn erasing_costs_no_more_than_the_line_is_long() {
        // One huge grapheme, and after it a key for each letter: re-reading it for each would take minutes.
        let marks = "\u{301}".repeat(250_000);
        let line = format!("a{marks}{}", "x\u{8}".repeat(250_000));
        let flags = "🇩".repeat(100_000) + &"\u{8}".repeat(100_000);
        assert!(typed(&line).starts_with('a'));
        assert_eq!(typed(&flags), "");
    }

    #[test]
    fn a_text_is_shortened_between_graphemes() {
        assert_eq!(shorten("hello", 5), "hello");
        assert_eq!(shorten("hello", 4), "hel…");
        assert_eq!(shorten("grüße", 5), "grüße");
        assert_eq!(shorten("ae\u{301}\u{323}b", 3), "a…");
        assert_eq!(shorten(&"␀".repeat(300), 200).chars().count(), 200);
        assert_eq!(shorten("ab", 0), "…");
    }

    #[test]
    fn blank_is_what_shows_nothing() {
        for text in ["", " \t\u{3000}", "\u{2800}", " \u{2800} \u{1D159}"] {
            assert!(is_blank(text), "{text:?}");
        }
        for text in [".", "\u{2801}", "\u{FFFD}", "␀"] {
            assert!(!is_blank(text), "{text:?}");
        }
    }

    #[test]
    fn a_base_carries_four_marks() {
        assert_kept(&format!("a{}b", "\u{301}".repeat(4)));
        let zalgo = format!("H{}i{}!", "\u{301}".repeat(5), "\u{334}".repeat(500));
        let expected = format!("H{}\u{FFFD}i{}\u{FFFD}!", "\u{301}".repeat(4), "\u{334}".repeat(4));
        assert_eq!(scrub_counted(&zalgo), (expected, 2));
        assert_eq!(shown(&"\u{301}".repeat(9)), format!("{}\u{FFFD}", "\u{301}".repeat(4)));
        // Each consonant of a conjunct is a base.
        assert_kept("र\u{94D}त\u{94D}स\u{94D}न\u{94D}य\u{93E}");
    }

    #[test]
    fn a_grapheme_has_forty_bytes() {
        let endless = ["👩"; 50].join("\u{200D}");
        let scrubbed = scrub_counted(&endless);
        assert_eq!(scrubbed, (format!("{}\u{FFFD}", ["👩"; 11].join("\u{200D}")), 1));
        assert_kept(&["👩"; 11].join("\u{200D}"));
        // Letters among emoji are no emoji sequence.
        let mixed = format!("👩{}", "\u{FF9E}".repeat(14));
        assert_eq!(shown(&mixed), format!("👩{}\u{FFFD}", "\u{FF9E}".repeat(11)));
        for endless in ["\u{1100}", "\u{600}", "क\u{94D}", "\u{1F3FD}", "\u{FF9E}"] {
            for grapheme in shown(&format!("a{}", endless.repeat(40))).graphemes(true) {
                assert!(grapheme.len() <= GRAPHEME_BYTES_MAX, "{endless:?}: {grapheme:?}");
            }
        }
    }

    #[test]
    fn invalid_bytes_are_replaced_as_the_standard_library_does() {
        for raw in [&b"\xFF"[..], b"a\xC3", b"\xE2\x82x", b"\xF0\x9F\x98", b"\xED\xA0\x80", b"\xC0\xAF"] {
            assert_eq!(scrub(raw).text, String::from_utf8_lossy(raw));
        }
        assert_eq!(scrub(b"\xF0\x9F\x98").replaced, 1);
        assert_eq!(scrub(b"\xED\xA0\x80").replaced, 3);
    }

    /// Texts of what the rules are about, more often than of anything.
    fn tricky() -> impl Strategy<Value = String> {
        let character = prop_oneof![
            2 => proptest::sample::select(
                "a1#\t\n\u{1B}\u{80}\u{301}\u{334}\u{20E3}\u{200B}\u{200C}\u{200D}\u{FE0E}\u{FE0F}\u{202E}\u{600}\
                 \u{70F}دمی\u{650}ـकष\u{94D}\u{93E}\u{1100}\u{1161}\u{11A8}각👩❤🏽🇩☠©\u{FFFD}\u{FF9E}\u{E0041}\
                 \u{1F3FB}\u{13430}\u{1885}ᠠ\u{180B}🏴\u{E0067}\u{E007F}葛\u{E0100}"
                    .chars()
                    .collect::<Vec<_>>()
            ),
            1 => any::<char>(),
        ];
        let times = prop_oneof![3 => Just(1_usize), 1 => 1_usize..12];
        let piece = (character, times).prop_map(|(c, times)| c.to_string().repeat(times));
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    fn assert_safe(raw: &[u8]) -> Result<(), TestCaseError> {
        let once = scrub(raw);
        let twice = scrub(once.text.as_bytes());
        prop_assert_eq!(&twice.text, &once.text);
        prop_assert_eq!(twice.replaced, 0);
        prop_assert!(once.text.len() <= GROWTH_MAX * raw.len());
        prop_assert_eq!(once.replaced == 0, once.text.as_bytes() == raw);
        for grapheme in once.text.graphemes(true) {
            prop_assert_eq!(kept_bytes(grapheme), None, "{:?}", grapheme);
        }
        for c in once.text.chars() {
            let has_a_place = class::is_invisible_part(c) || class::is_ideographic_selector(c);
            prop_assert!(has_a_place || !class::is_hidden(c), "U+{:04X}", u32::from(c));
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn tricky_text_becomes_safe(text in tricky()) {
            assert_safe(text.as_bytes())?;
        }

        #[test]
        fn any_bytes_become_safe(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
            assert_safe(&raw)?;
        }

        #[test]
        fn erasing_leaves_what_a_plain_editor_leaves(
            keys in prop::collection::vec(prop::sample::select(
                vec!["a", "é", "e\u{301}", "\u{301}", "👩", "\u{200D}", "🇩", "क\u{94D}", "\u{8}", "\u{7F}", "\u{15}"],
            ), 0..40),
        ) {
            let mut line = String::new();
            for key in &keys {
                match *key {
                    "\u{8}" | "\u{7F}" => {
                        let last = line.graphemes(true).next_back().map_or(0, str::len);
                        line.truncate(line.len() - last);
                    }
                    "\u{15}" => line.clear(),
                    text => line.push_str(text),
                }
            }
            prop_assume!(line.graphemes(true).all(|grapheme| grapheme.len() <= EMOJI_BYTES_MAX));
            prop_assert_eq!(typed(&keys.concat()), shown(&line));
        }

        #[test]
        fn printable_ascii_is_kept(text in "[ -~\t]{0,200}") {
            assert_kept(&text);
        }
    }
}
