//! Scrubbed text. The characters that it never contains are listed here a second time, from the documented promise and
//! not from the code.

use chatops::wire::text::{EMOJI_BYTES_MAX, GRAPHEME_BYTES_MAX, GRAPHEME_MARKS_MAX, GROWTH_MAX, scrub};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_segmentation::UnicodeSegmentation;

use crate::recipe::Recipe;

/// Letters of several scripts, marks, joiners, selectors, emoji, what reverses or hides, and broken UTF-8.
const PIECES: [&str; 48] = [
    "a",
    "1",
    "#",
    " ",
    "\t",
    "\n",
    "\r",
    "\0",
    "\u{1B}[31m",
    "\u{7F}",
    "\u{80}",
    "\u{9B}",
    "\u{AD}",
    "\u{301}",
    "\u{334}",
    "\u{20E3}",
    "\u{200B}",
    "\u{200C}",
    "\u{200D}",
    "\u{FE0E}",
    "\u{FE0F}",
    "\u{202E}",
    "\u{2066}",
    "\u{2028}",
    "\u{2029}",
    "\u{61C}",
    "\u{600}",
    "د",
    "م",
    "ی\u{650}",
    "क\u{94D}",
    "ष",
    "\u{1100}\u{1161}\u{11A8}",
    "👩",
    "❤",
    "🏽",
    "🇩",
    "☠",
    "©",
    "\u{FFFD}",
    "\u{FF9E}",
    "\u{E0041}",
    "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
    "\u{E0067}",
    "葛",
    "\u{E0100}",
    "\u{FEFF}",
    "\u{E000}",
];

pub(crate) fn check(input: &[u8]) {
    let pieces = PIECES.map(str::as_bytes);
    let raw = Recipe::new(input).stream(&pieces);
    let once = scrub(&raw);
    let twice = scrub(once.text.as_bytes());
    assert_eq!(twice.text, once.text, "scrubbing twice changes nothing");
    assert_eq!(twice.replaced, 0);
    assert_eq!(once.replaced == 0, once.text.as_bytes() == raw, "what was changed is counted");
    assert!(once.text.len() <= GROWTH_MAX * raw.len());
    check_characters(&once.text);
    check_graphemes(&once.text);
}

/// Characters that never reach another client, a log or a screen.
fn is_forbidden(c: char) -> bool {
    let is_control = c.is_control() && c != '\t';
    let is_bidi =
        matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let is_separator = matches!(c, '\u{2028}' | '\u{2029}');
    let has_no_width = matches!(c, '\u{200B}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}' | '\u{180E}' | '\u{AD}');
    is_control || is_bidi || is_separator || has_no_width
}

fn check_characters(text: &str) {
    let mut before = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        assert!(!is_forbidden(c), "U+{:04X} in {text:?}", u32::from(c));
        let next = rest.clone().next();
        match c {
            '\u{200C}' | '\u{200D}' => {
                let may_precede =
                    |c: char| !matches!(c, '\u{200C}' | '\u{200D}' | '\u{FFFD}') && !c.is_whitespace();
                assert!(before.is_some_and(may_precede), "{text:?}");
            }
            '\u{FE0E}' | '\u{FE0F}' => {
                let is_keycap = next == Some('\u{20E3}');
                assert!(before.is_some_and(|c| !c.is_ascii() || is_keycap), "{text:?}");
            }
            '\u{E0100}'..='\u{E01EF}' => assert_eq!(before, Some('葛'), "{text:?}"),
            '\u{E0000}'..='\u{E0FFF}' => {
                let is_part = |c| matches!(c, '🏴' | '\u{E0030}'..='\u{E007A}');
                assert!(before.is_some_and(is_part) && c != '\u{E0041}', "{text:?}");
            }
            _ => {}
        }
        before = Some(c);
    }
}

fn check_graphemes(text: &str) {
    for grapheme in text.graphemes(true) {
        let is_emoji = grapheme.starts_with(['👩', '❤', '🏽', '☠', '©', '🏴']);
        let most = if is_emoji { EMOJI_BYTES_MAX } else { GRAPHEME_BYTES_MAX };
        assert!(grapheme.len() <= most, "{grapheme:?}");
        let mut marks = 0;
        for c in grapheme.chars() {
            match c {
                // A joiner or a modifier is no new base for marks.
                '\u{200C}' | '\u{200D}' | '\u{1F3FB}'..='\u{1F3FF}' | '\u{FF9E}' | '\u{FF9F}' => {}
                c if c.general_category_group() == GeneralCategoryGroup::Mark => marks += 1,
                _ => marks = 0,
            }
            assert!(marks <= GRAPHEME_MARKS_MAX, "{grapheme:?}");
        }
    }
}
