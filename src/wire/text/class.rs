//! What a character is, as far as scrubbing asks.
//!
//! The properties come from the Unicode character database through crates; own ranges are only those that the
//! crates do not carry, and [`is_simple`], a short cut whose truth a test proves for every character.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeEmoji, UnicodeGeneralCategory};
use unicode_script::{Script, UnicodeScript};

/// ZERO WIDTH NON-JOINER.
pub(super) const ZWNJ: char = '\u{200C}';
/// ZERO WIDTH JOINER.
pub(super) const ZWJ: char = '\u{200D}';
/// VARIATION SELECTOR-15: the emoji before it as text.
pub(super) const TEXT_SELECTOR: char = '\u{FE0E}';
/// VARIATION SELECTOR-16: the character before it as an emoji.
pub(super) const EMOJI_SELECTOR: char = '\u{FE0F}';
/// The only emoji in use with a tag sequence after it: the flags of England, Scotland and Wales begin with it.
pub(super) const BLACK_FLAG: char = '\u{1F3F4}';
/// CANCEL TAG, the end of a tag sequence.
pub(super) const CANCEL_TAG: char = '\u{E007F}';
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

/// The tag characters that spell a subdivision in an emoji flag (UTS #51, ED-14a): digits and lower-case letters.
pub(super) const fn is_flag_tag(c: char) -> bool {
    matches!(c, '\u{E0030}'..='\u{E0039}' | '\u{E0061}'..='\u{E007A}')
}

/// Characters that are hidden elsewhere and part of an emoji, or of a word, in their place.
pub(super) const fn is_invisible_part(c: char) -> bool {
    is_joiner(c) || is_selector(c) || is_flag_tag(c) || matches!(c, CANCEL_TAG)
}

/// What an emoji sequence consists of (UTS #51, ED-17). A keycap is none of it: it has 7 bytes.
pub(super) fn is_emoji_part(c: char) -> bool {
    is_pictograph(c) || is_invisible_part(c) || matches!(c, '\u{1F3FB}'..='\u{1F3FF}')
}

/// VS17 to VS256, which choose among the forms of one ideograph (UTS #37).
pub(super) const fn is_ideographic_selector(c: char) -> bool {
    matches!(c, '\u{E0100}'..='\u{E01EF}')
}

/// Ideographs that [`is_ideographic_selector`] may follow.
pub(super) fn is_ideograph(c: char) -> bool {
    c.script() == Script::Han && is_of_words(c)
}

/// Characters that show nothing although they are neither white space nor ignorable: BRAILLE PATTERN BLANK and
/// MUSICAL SYMBOL NULL NOTEHEAD.
pub(super) const fn is_empty_sign(c: char) -> bool {
    matches!(c, '\u{2800}' | '\u{1D159}')
}

/// Letters, marks and digits.
pub(super) fn is_of_words(c: char) -> bool {
    use GeneralCategoryGroup::{Letter, Mark, Number};
    matches!(c.general_category_group(), Letter | Mark | Number)
}

/// Whether `c` has a script of its own, unlike marks that any script may use.
pub(super) fn has_script(c: char) -> bool {
    let scripts = c.script_extension();
    !scripts.is_common() && !scripts.is_inherited()
}

/// Whether `c` is of a script whose letters join or stack, so that a joiner between them has a meaning: each script
/// with a letter that joins (`Joining_Type`) or a virama (`Canonical_Combining_Class`), and a few that stack without
/// one. What RFC 5892 allows is for domain names, and less than real words need.
pub(super) fn is_of_joining_script(c: char) -> bool {
    has_script(c) && c.script_extension().iter().any(joins_or_stacks)
}

/// Whether `c` is a letter or mark of such a script, and shown.
pub(super) fn is_of_joining_letters(c: char) -> bool {
    let group = c.general_category_group();
    matches!(group, GeneralCategoryGroup::Letter | GeneralCategoryGroup::Mark)
        && is_of_joining_script(c)
        && !is_hidden(c)
}

#[rustfmt::skip]
const fn joins_or_stacks(script: Script) -> bool {
    use Script as S;
    matches!(script,
        S::Adlam | S::Ahom | S::Arabic | S::Balinese | S::Batak | S::Bengali | S::Bhaiksuki | S::Brahmi
        | S::Chakma | S::Cham | S::Chorasmian | S::Devanagari | S::Dives_Akuru | S::Dogra | S::Grantha
        | S::Gujarati | S::Gunjala_Gondi | S::Gurmukhi | S::Gurung_Khema | S::Hanifi_Rohingya | S::Hanunoo
        | S::Javanese | S::Kaithi | S::Kannada | S::Kawi | S::Kharoshthi | S::Khmer | S::Khojki | S::Khudawadi
        | S::Lao | S::Lepcha | S::Limbu | S::Malayalam | S::Mandaic | S::Manichaean | S::Marchen
        | S::Masaram_Gondi | S::Meetei_Mayek | S::Modi | S::Mongolian | S::Myanmar | S::Nandinagari | S::Newa
        | S::Nko | S::Old_Uyghur | S::Oriya | S::Phags_Pa | S::Psalter_Pahlavi | S::Rejang | S::Saurashtra
        | S::Sharada | S::Siddham | S::Sinhala | S::Sogdian | S::Soyombo | S::Sundanese | S::Syloti_Nagri
        | S::Syriac | S::Tagalog | S::Tai_Tham | S::Takri | S::Tamil | S::Telugu | S::Thai | S::Tibetan
        | S::Tifinagh | S::Tirhuta | S::Tulu_Tigalari | S::Zanabazar_Square)
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
    use unicode_canonical_combining_class::{CanonicalCombiningClass, get_canonical_combining_class};
    use unicode_joining_type::{JoiningType, get_joining_type};
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
    fn every_script_with_a_virama_or_a_joining_letter_is_known() {
        let joins = |c| {
            get_canonical_combining_class(c) == CanonicalCombiningClass::Virama
                || matches!(
                    get_joining_type(c),
                    JoiningType::LeftJoining | JoiningType::RightJoining | JoiningType::DualJoining
                )
        };
        let joining: Vec<char> = all_characters().filter(|&c| joins(c)).collect();
        assert!(joining.len() > 700, "{}", joining.len());
        for c in joining {
            assert!(is_of_joining_script(c), "U+{:04X}", u32::from(c));
        }
        for c in ['a', 'ß', 'я', 'Ω', '漢', 'あ', '한', 'א', '1', '👩', '\u{301}', ' '] {
            assert!(!is_of_joining_script(c), "{c}");
        }
    }
}
