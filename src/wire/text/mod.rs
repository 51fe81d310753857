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
//! * what a grapheme has above [`GRAPHEME_MARKS_MAX`] marks a base or [`GRAPHEME_BYTES_MAX`] bytes: one U+FFFD.
//!
//! Joiners and variation selectors stay where they have a meaning: see `joiner_stays` and `selector_stays`.
//! Scrubbing twice changes nothing, and a text grows to [`GROWTH_MAX`] times its bytes at most.

mod class;

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;

use class::{KEYCAP, ZWJ};

/// Combining marks that one base character of a grapheme may carry.
pub const GRAPHEME_MARKS_MAX: usize = 4;

/// Bytes of the largest grapheme; the largest emoji in use, a couple with two skin tones, has 35.
pub const GRAPHEME_BYTES_MAX: usize = 40;

/// How many bytes of text may come of one byte: a control character becomes three.
pub const GROWTH_MAX: usize = 3;

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
        c => !class::is_hidden(c),
    };
    (!is_shown).then_some(STAND_IN)
}

/// Whether a ZWNJ or ZWJ has a meaning here: after a virama (RFC 5892, A.1 and A.2), between two letters that
/// join (A.1; with no mark after the joiner), and the ZWJ between two emoji (UTS #51, ED-16).
fn joiner_stays(before: &str, joiner: char, after: &str) -> bool {
    let Some(last) = before.chars().next_back() else { return false };
    let next = after.chars().next();
    class::is_virama(last)
        || (next.is_some_and(class::joins_backward) && ends_joining(before))
        || (joiner == ZWJ && next.is_some_and(class::is_pictograph) && ends_in_emoji(before))
}

/// Whether a variation selector follows an emoji here, or makes one with a keycap.
fn selector_stays(before: &str, after: &str) -> bool {
    before.chars().next_back().is_some_and(|last| {
        class::is_pictograph(last) || (class::is_keycap_base(last) && after.starts_with(KEYCAP))
    })
}

fn ends_joining(before: &str) -> bool {
    let mut backward = before.chars().rev();
    let marks = backward.by_ref().take(GRAPHEME_MARKS_MAX + 1);
    let mut letters = marks.skip_while(|&c| class::is_transparent_mark(c));
    letters.next().is_some_and(class::joins_onward)
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
    // A stand-in after signs that stand before their base is part of their grapheme: leave room for it.
    let room = match grapheme.len() {
        0..=GRAPHEME_BYTES_MAX => GRAPHEME_BYTES_MAX,
        _ => GRAPHEME_BYTES_MAX - STAND_IN.len_utf8(),
    };
    let mut marks = 0;
    for (at, c) in grapheme.char_indices() {
        if class::is_mark(c) {
            marks += 1;
        } else if !class::is_extender(c) {
            marks = 0;
        }
        if marks > GRAPHEME_MARKS_MAX || at + c.len_utf8() > room {
            // A joiner or selector at the end would have lost what gave it a meaning.
            let kept = grapheme[..at].trim_end_matches(|c| class::is_joiner(c) || class::is_selector(c));
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
        ] {
            assert_kept(text);
        }
        // Dal does not join with what follows; a space joins with nothing; one joiner is enough.
        for (text, expected) in [
            ("د\u{200C}م", "د\u{FFFD}م"),
            ("می\u{200C} خ", "می\u{FFFD} خ"),
            ("می\u{200C}", "می\u{FFFD}"),
            ("می\u{200C}\u{200C}خ", "می\u{FFFD}\u{FFFD}خ"),
            ("क\u{200D}ष", "क\u{FFFD}ष"),
            ("क\u{94D}\u{200D}\u{200D}", "क\u{94D}\u{200D}\u{FFFD}"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
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
        assert_eq!(scrubbed, (format!("{}\u{FFFD}", ["👩"; 5].join("\u{200D}")), 1));
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
                 \u{1F3FB}\u{13430}\u{1885}ᠠ\u{180B}"
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
            let has_a_place = class::is_joiner(c) || class::is_selector(c);
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
        fn printable_ascii_is_kept(text in "[ -~\t]{0,200}") {
            assert_kept(&text);
        }
    }
}
