//! Text in cells: its width, and how it is cut, padded and wrapped.
//!
//! Text arrives scrubbed and may hold sequences that terminals draw in different widths: flags, skin tones, families,
//! variation selectors, joiners. If a terminal and the dashboard disagree on one of them, letters are in the wrong
//! cells until the screen is cleared. So none of these sequences is drawn: each grapheme becomes its first character
//! with the marks that take no cell, or a replacement character; a flag becomes the two letters of its country. TAB and
//! other controls become a space, because a cell can hold none.

use std::borrow::Cow;

use unicode_properties::{GeneralCategory, UnicodeEmoji, UnicodeGeneralCategory};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Replaces a grapheme that has nothing to draw.
const STAND_IN: &str = "\u{FFFD}";

const ZWJ: char = '\u{200D}';
const ENCLOSING_KEYCAP: char = '\u{20E3}';

/// Cells that `text` takes.
pub(crate) fn width(text: &str) -> usize {
    if is_plain(text) {
        text.len()
    } else {
        text.graphemes(true).map(|grapheme| drawn(grapheme).width()).sum()
    }
}

/// `text` as it is drawn.
fn drawn_text(text: &str) -> Cow<'_, str> {
    if is_plain(text) { text.into() } else { text.graphemes(true).map(drawn).collect::<String>().into() }
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// What is drawn for one grapheme.
fn drawn(grapheme: &str) -> Cow<'_, str> {
    let mut rest = grapheme.chars();
    let Some(first) = rest.next() else { return grapheme.into() };
    if first.is_control() {
        return " ".into();
    }
    if let Some(letters) = country(grapheme) {
        return letters.into();
    }
    if rest.as_str().is_empty() {
        let is_drawn = !is_hidden(first) && first.width().is_some_and(|cells| cells > 0);
        return if is_drawn { grapheme.into() } else { STAND_IN.into() };
    }
    // Terminals agree on the first character of an emoji sequence.
    let is_emoji = first.is_emoji_char() && !first.is_ascii();
    let joined = if is_emoji { grapheme.split(ZWJ).next().unwrap_or(grapheme) } else { grapheme };
    let kept: String = joined.chars().filter(|c| !is_hidden(*c)).collect();
    let cells = |text: &str| text.chars().filter_map(UnicodeWidthChar::width).sum::<usize>();
    let kept = if kept.width() == cells(&kept)
        && !(is_emoji && cells(&kept) > cells(first.encode_utf8(&mut [0; 4])))
    {
        kept
    } else {
        let marks = kept.chars().skip(1).filter(|c| c.width() == Some(0));
        kept.chars().take(1).chain(marks).collect()
    };
    if kept.width() == 0 || is_hidden(first) { STAND_IN.into() } else { kept.into() }
}

/// Regional indicators as letters.
fn country(grapheme: &str) -> Option<String> {
    const FIRST: u32 = 0x1F1E6;
    let letter = |c: char| {
        let place = u32::from(c).checked_sub(FIRST).filter(|place| *place < 26)?;
        char::from_u32(u32::from('A') + place)
    };
    let first = grapheme.chars().next().and_then(letter)?;
    Some(std::iter::once(first).chain(grapheme.chars().skip(1).filter_map(letter)).collect())
}

/// Characters whose width differs between terminals: selectors, joiners, tags, skin tones, keycaps.
fn is_hidden(c: char) -> bool {
    let is_selector =
        matches!(c, '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}' | '\u{180B}'..='\u{180F}');
    let is_skin_tone = matches!(c, '\u{1F3FB}'..='\u{1F3FF}');
    let is_format = matches!(
        c.general_category(),
        GeneralCategory::Format | GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator
    );
    is_selector || is_skin_tone || is_format || c == ENCLOSING_KEYCAP
}

/// `text` for a terminal that shows ASCII only: a `?` for each cell of any other character.
pub(crate) fn ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return text.into();
    }
    let plain = |grapheme| {
        let drawn = drawn(grapheme);
        if drawn.is_ascii() { drawn } else { "?".repeat(drawn.width()).into() }
    };
    text.graphemes(true).map(plain).collect::<String>().into()
}

/// `text` in at most `cells` cells; `ellipsis`, one cell wide, marks a cut at the end.
pub(crate) fn fit(text: &str, cells: usize, ellipsis: &str) -> String {
    let drawn = drawn_text(text);
    if width(&drawn) <= cells { drawn.into_owned() } else { cut(&drawn, cells, ellipsis) }
}

/// The beginning of `text` that fits into `cells` cells together with `ellipsis`.
pub(crate) fn cut(text: &str, cells: usize, ellipsis: &str) -> String {
    if cells == 0 {
        return String::new();
    }
    let mut kept = String::with_capacity(cells + ellipsis.len());
    let mut used = 0;
    for grapheme in text.graphemes(true).map(drawn) {
        used += grapheme.width();
        if used > cells - 1 {
            break;
        }
        kept.push_str(&grapheme);
    }
    kept.push_str(ellipsis);
    kept
}

/// `text`, cut or padded at the end to exactly `cells` cells.
pub(crate) fn left(text: &str, cells: usize, ellipsis: &str) -> String {
    let mut text = fit(text, cells, ellipsis);
    let missing = cells.saturating_sub(width(&text));
    text.extend(std::iter::repeat_n(' ', missing));
    text
}

/// `text`, cut or padded at the start to exactly `cells` cells.
pub(crate) fn right(text: &str, cells: usize, ellipsis: &str) -> String {
    let text = fit(text, cells, ellipsis);
    let missing = cells.saturating_sub(width(&text));
    format!("{}{text}", " ".repeat(missing))
}

/// `text` in lines of at most `cells` cells, broken at spaces where there are any. Only a grapheme that is wider than
/// that itself sticks out.
pub(crate) fn wrap(text: &str, cells: usize) -> Vec<String> {
    let cells = cells.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let joined = width(&line) + usize::from(!line.is_empty()) + width(word);
        if joined > cells && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for grapheme in word.graphemes(true).map(drawn) {
            if width(&line) + grapheme.width() > cells && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            line.push_str(&grapheme);
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cut_has_an_ellipsis_and_never_splits_a_grapheme() {
        assert_eq!(fit("mallory", 7, "…"), "mallory");
        assert_eq!(fit("mallory", 6, "…"), "mallo…");
        assert_eq!(fit("日本語", 4, "…"), "日…");
        assert_eq!(fit("e\u{301}e\u{301}e\u{301}", 2, "…"), "e\u{301}…");
        assert_eq!(fit("a\tb", 3, "…"), "a b");
        assert_eq!(fit("abc", 0, "…"), "");
        assert_eq!(right("7", 3, "…"), "  7");
        assert_eq!(left("日", 3, "…"), "日 ");
    }

    #[test]
    fn sequences_of_uncertain_width_are_drawn_by_their_first_character() {
        for (text, drawn, cells) in [
            ("🇨🇭🇩🇪🇫🇷", "CHDEFR", 6),
            ("🇨", "C", 1),
            ("👩\u{200d}💻", "👩", 2),
            ("👨\u{200d}👩\u{200d}👧\u{200d}👦", "👨", 2),
            ("👋\u{1f3fd}", "👋", 2),
            ("\u{1f3fd}", STAND_IN, 1),
            ("❤\u{fe0f}", "❤", 1),
            ("⌚\u{fe0e}", "⌚", 2),
            ("1\u{fe0f}\u{20e3}", "1", 1),
            ("#\u{20e3}", "#", 1),
            ("🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}", "🏴", 2),
            ("🏳\u{fe0f}\u{200d}🌈", "🏳", 1),
            ("क\u{200d}\u{94d}ष", "क\u{94d}ष", 2),
            ("می\u{200c}خواهم", "میخواهم", 7),
            ("葛\u{e0100}", "葛", 2),
            ("e\u{301}", "e\u{301}", 1),
            ("\u{301}", STAND_IN, 1),
            ("\u{200d}", STAND_IN, 1),
            ("한국", "한국", 4),
            ("a🏽b", "ab", 2),
        ] {
            assert_eq!(drawn_text(text), drawn, "{text}");
            assert_eq!(width(text), cells, "{text}");
            assert_eq!(fit(text, 9, "…"), drawn, "{text}");
            assert!(ascii(text).is_ascii() && ascii(text).len() == cells, "{text}");
        }
    }

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(wrap("a peer that takes nothing", 11), ["a peer that", "takes", "nothing"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
    }

    proptest! {
        #[test]
        fn each_character_drawn_takes_the_cells_that_it_takes_alone(
            pieces in prop::collection::vec(prop_oneof![
                "\\PC",
                prop::sample::select(vec!["\u{200d}", "\u{fe0f}", "🏽", "🇨", "👩", "❤", "क", "\u{94d}", "\u{301}", "a", "\u{e0067}", "🏴"])
                    .prop_map(str::to_owned),
            ], 0..12),
        ) {
            let drawn = drawn_text(&pieces.concat()).into_owned();
            let alone: usize = drawn.chars().filter_map(UnicodeWidthChar::width).sum();
            prop_assert_eq!(width(&drawn), alone, "{:?}", drawn);
            prop_assert_eq!(drawn.graphemes(true).map(UnicodeWidthStr::width).sum::<usize>(), alone, "{:?}", drawn);
            prop_assert!(!drawn.contains(is_hidden));
            let again = drawn_text(&drawn);
            prop_assert_eq!(again, drawn.as_str());
        }

        #[test]
        fn nothing_is_ever_wider_than_asked(text in "\\PC{0,40}", cells in 0usize..50) {
            prop_assert!(width(&fit(&text, cells, "…")) <= cells);
            prop_assert_eq!(width(&left(&text, cells, "…")), cells);
            prop_assert_eq!(width(&right(&text, cells, "…")), cells);
            for line in wrap(&text, cells) {
                let is_one = line.graphemes(true).nth(1).is_none();
                prop_assert!(is_one || width(&line) <= cells.max(1), "{line:?}");
            }
        }
    }
}
