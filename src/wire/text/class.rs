//! What a character is, as far as scrubbing asks.
//!
//! The properties come from the Unicode character database through crates; own ranges are only those that the
//! crates do not carry, and [`is_simple`], a short cut whose truth a test proves for every character.

use unicode_canonical_combining_class::{CanonicalCombiningClass, get_canonical_combining_class};
use unicode_joining_type::{JoiningType, get_joining_type};
use unicode_properties::{GeneralCategory, UnicodeEmoji, UnicodeGeneralCategory};

/// ZERO WIDTH NON-JOINER.
pub(super) const ZWNJ: char = '\u{200C}';
/// ZERO WIDTH JOINER.
pub(super) const ZWJ: char = '\u{200D}';
/// VARIATION SELECTOR-15: the emoji before it as text.
pub(super) const TEXT_SELECTOR: char = '\u{FE0E}';
/// VARIATION SELECTOR-16: the character before it as an emoji.
pub(super) const EMOJI_SELECTOR: char = '\u{FE0F}';
/// Makes a keycap of a digit, `#` or `*`.
pub(super) const KEYCAP: char = '\u{20E3}';

/// Common characters that are shown as they are, extend no grapheme, and let none but marks extend theirs.
///
/// A `false` says nothing: it only sends the character the long way.
pub(super) const fn is_simple(c: char) -> bool {
    matches!(c,
        '\t' | ' '..='~'
        | '\u{A1}'..='\u{A8}' | '\u{AA}'..='\u{AC}' | '\u{AF}'..='\u{2FF}' // Latin
        | '\u{370}'..='\u{482}' | '\u{48A}'..='\u{590}' // Greek, Cyrillic, Armenian
        | '\u{5D0}'..='\u{5EA}' | '\u{620}'..='\u{64A}' | '\u{660}'..='\u{66F}' | '\u{671}'..='\u{6D3}' // Hebrew, Arabic
        | '\u{1E00}'..='\u{1FFF}' // Latin, Greek
        | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{203B}' | '\u{203D}'..='\u{2048}' // punctuation
        | '\u{2070}'..='\u{20CF}' | '\u{2400}'..='\u{2426}' | '\u{2500}'..='\u{25A9}' // signs
        | '\u{3001}'..='\u{3029}' | '\u{3041}'..='\u{3096}' | '\u{30A1}'..='\u{30FF}' // kana
        | '\u{3400}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}' | '\u{FF01}'..='\u{FF9D}' // Han, Hangul
        | char::REPLACEMENT_CHARACTER)
}

/// Characters that are never shown as they are, whatever surrounds them.
///
/// These are all of the general categories Cc (but TAB), Cf, Co, Zl and Zp, noncharacters, and what else has the
/// property `Default_Ignorable_Code_Point` (UAX #44): it leaves no trace on a screen. The few visible signs of
/// Cf (`Prepended_Concatenation_Mark`, such as U+0600 ARABIC NUMBER SIGN) are kept.
pub(super) fn is_hidden(c: char) -> bool {
    match c.general_category() {
        GeneralCategory::Control => c != '\t',
        GeneralCategory::Format => !is_visible_format(c),
        GeneralCategory::PrivateUse
        | GeneralCategory::LineSeparator
        | GeneralCategory::ParagraphSeparator => true,
        _ => is_ignorable(c) || is_noncharacter(c),
    }
}

/// Combining marks, general category M.
pub(super) fn is_mark(c: char) -> bool {
    matches!(
        c.general_category(),
        GeneralCategory::NonspacingMark | GeneralCategory::SpacingMark | GeneralCategory::EnclosingMark
    )
}

/// What extends a grapheme, is no mark and no new base for marks: joiners, emoji modifiers and the halfwidth
/// katakana sound marks (UAX #29, `Grapheme_Cluster_Break=Extend`).
pub(super) const fn is_extender(c: char) -> bool {
    is_joiner(c) || matches!(c, '\u{1F3FB}'..='\u{1F3FF}' | '\u{FF9E}' | '\u{FF9F}')
}

/// ZWNJ and ZWJ.
pub(super) const fn is_joiner(c: char) -> bool {
    matches!(c, ZWNJ | ZWJ)
}

/// The two variation selectors that emoji know (UTS #51, 1.4.3).
pub(super) const fn is_selector(c: char) -> bool {
    matches!(c, TEXT_SELECTOR | EMOJI_SELECTOR)
}

/// Emoji that can stand on either side of a ZWJ: no digits, no flag letters, no modifiers.
pub(super) fn is_pictograph(c: char) -> bool {
    !c.is_ascii() && !matches!(c, '\u{1F1E6}'..='\u{1F1FF}' | '\u{1F3FB}'..='\u{1F3FF}') && c.is_emoji_char()
}

/// Digits, `#` and `*`: what a keycap is made of.
pub(super) const fn is_keycap_base(c: char) -> bool {
    matches!(c, '0'..='9' | '#' | '*')
}

/// Signs that kill a vowel (`Canonical_Combining_Class=Virama`), which RFC 5892 lets a joiner follow.
pub(super) fn is_virama(c: char) -> bool {
    get_canonical_combining_class(c) == CanonicalCombiningClass::Virama
}

/// Letters that join with the letter after them (`Joining_Type` L or D).
pub(super) fn joins_onward(c: char) -> bool {
    matches!(get_joining_type(c), JoiningType::LeftJoining | JoiningType::DualJoining)
}

/// Letters that join with the letter before them (`Joining_Type` R or D).
pub(super) fn joins_backward(c: char) -> bool {
    matches!(get_joining_type(c), JoiningType::RightJoining | JoiningType::DualJoining)
}

/// Marks that joining looks through (`Joining_Type` T).
pub(super) fn is_transparent_mark(c: char) -> bool {
    get_joining_type(c) == JoiningType::Transparent && is_mark(c)
}

/// `Prepended_Concatenation_Mark`: format characters with a shape of their own.
const fn is_visible_format(c: char) -> bool {
    matches!(
        c,
        '\u{600}'
            ..='\u{605}'
                | '\u{6DD}'
                | '\u{70F}'
                | '\u{890}'
                | '\u{891}'
                | '\u{8E2}'
                | '\u{110BD}'
                | '\u{110CD}'
    )
}

/// `Default_Ignorable_Code_Point` outside of Cf: fillers, the grapheme joiner, all variation selectors and what
/// is set aside for their like; U+E0000–E0FFF counts as a whole.
const fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{34F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}' | '\u{2065}'
        | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}'
        | '\u{E0000}'..='\u{E0FFF}')
}

/// The 66 noncharacters (Unicode, section 23.7).
const fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{FDD0}'..='\u{FDEF}') || c as u32 & 0xFFFE == 0xFFFE
}

#[cfg(test)]
mod tests {
    use unicode_segmentation::UnicodeSegmentation;

    use super::*;

    fn all_characters() -> impl Iterator<Item = char> {
        '\0'..=char::MAX
    }

    #[test]
    fn simple_characters_are_simple() {
        for c in all_characters().filter(|&c| is_simple(c)) {
            let between = format!("a{c}a");
            assert_eq!(between.graphemes(true).count(), 3, "U+{:04X}", u32::from(c));
            assert!(!is_mark(c) && !is_hidden(c) && !is_extender(c), "U+{:04X}", u32::from(c));
            assert!(!is_pictograph(c) && !is_selector(c), "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn what_the_contract_hides_is_hidden() {
        let ranges = [
            ('\0', '\u{8}'),
            ('\u{A}', '\u{1F}'),
            ('\u{7F}', '\u{9F}'),
            ('\u{AD}', '\u{AD}'),
            ('\u{61C}', '\u{61C}'),
            ('\u{200B}', '\u{200F}'),
            ('\u{2028}', '\u{202E}'),
            ('\u{2060}', '\u{206F}'),
            ('\u{E000}', '\u{F8FF}'),
            ('\u{FDD0}', '\u{FDEF}'),
            ('\u{FEFF}', '\u{FEFF}'),
            ('\u{FFF9}', '\u{FFFB}'),
            ('\u{FFFE}', '\u{FFFF}'),
            ('\u{1D173}', '\u{1D17A}'),
            ('\u{1FFFE}', '\u{1FFFF}'),
            ('\u{E0000}', '\u{E0FFF}'),
            ('\u{F0000}', '\u{10FFFF}'),
        ];
        for c in ranges.into_iter().flat_map(|(first, last)| first..=last) {
            assert!(is_hidden(c), "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn letters_digits_and_marks_are_shown() {
        let fillers = ['\u{34F}', '\u{115F}', '\u{1160}', '\u{17B4}', '\u{17B5}', '\u{3164}', '\u{FFA0}'];
        for c in all_characters().filter(|c| c.is_alphanumeric()) {
            assert!(!is_hidden(c) || fillers.contains(&c), "U+{:04X}", u32::from(c));
        }
        assert!(!is_hidden('\u{600}') && !is_hidden('\t') && !is_hidden('\u{3000}') && !is_hidden('\u{301}'));
    }

    #[test]
    fn pictographs_join_into_one_grapheme() {
        for c in all_characters().filter(|&c| is_pictograph(c)) {
            let joined = format!("{c}{ZWJ}{c}");
            assert_eq!(joined.graphemes(true).count(), 1, "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn every_character_can_be_asked() {
        let viramas = all_characters().filter(|&c| is_virama(c)).count();
        let onward = all_characters().filter(|&c| joins_onward(c)).count();
        let backward = all_characters().filter(|&c| joins_backward(c)).count();
        let transparent = all_characters().filter(|&c| is_transparent_mark(c)).count();
        assert!(viramas > 50 && onward > 500 && backward > 600 && transparent > 1_500);
    }
}
