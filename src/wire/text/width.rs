//! How many cells of a terminal a text takes, counted by grapheme as ratatui does.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

const ELLIPSIS: char = '…';

/// The cells that `text` takes.
///
/// A TAB counts as one, for [`cut_to_width`] shows it as a space. Graphemes that are shown wide take two.
#[must_use]
pub fn display_width(text: &str) -> usize {
    if is_printable_ascii(text) {
        return text.len();
    }
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

/// `text` in at most `cells` cells: as it is if it fits, else its beginning with `…` in the last cell.
///
/// No grapheme is torn, and a TAB, whose width only a terminal knows, becomes a space.
#[must_use]
pub fn cut_to_width(text: &str, cells: usize) -> Cow<'_, str> {
    match end_of_cut(text, cells) {
        None => without_tabs(text),
        Some(_) if cells == 0 => Cow::Borrowed(""),
        Some(end) => {
            let mut cut = without_tabs(&text[..end]).into_owned();
            cut.push(ELLIPSIS);
            Cow::Owned(cut)
        }
    }
}

/// Where to cut so that the ellipsis still fits; `None` if nothing is to be cut.
fn end_of_cut(text: &str, cells: usize) -> Option<usize> {
    if is_printable_ascii(text) {
        return (text.len() > cells).then_some(cells.saturating_sub(1));
    }
    let mut width = 0;
    let mut end = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        width += grapheme.width();
        if width > cells {
            return Some(end);
        }
        if width < cells {
            end = at + grapheme.len();
        }
    }
    None
}

fn without_tabs(text: &str) -> Cow<'_, str> {
    if text.contains('\t') { Cow::Owned(text.replace('\t', " ")) } else { Cow::Borrowed(text) }
}

fn is_printable_ascii(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn width_is_counted_by_grapheme() {
        for (text, cells) in [
            ("", 0),
            ("abc", 3),
            ("a\tb", 3),
            ("äöü", 3),
            ("e\u{301}", 1),
            ("漢字", 4),
            ("한글", 4),
            ("👩\u{200D}👩\u{200D}👧", 2),
            ("🇩🇪", 2),
            ("1\u{FE0F}\u{20E3}", 2),
            ("\u{FFFD}␊", 2),
        ] {
            assert_eq!(display_width(text), cells, "{text:?}");
        }
    }

    #[test]
    fn what_is_too_wide_ends_in_an_ellipsis() {
        for (text, cells, cut) in [
            ("hello", 5, "hello"),
            ("hello", 4, "hel…"),
            ("hello", 1, "…"),
            ("hello", 0, ""),
            ("", 0, ""),
            ("漢字漢", 6, "漢字漢"),
            ("漢字漢", 5, "漢字…"),
            ("漢字漢", 4, "漢…"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
            ("👩\u{200D}👧👩\u{200D}👧", 3, "👩\u{200D}👧…"),
            ("a\tb", 3, "a b"),
            ("a\tbc", 3, "a …"),
        ] {
            assert_eq!(cut_to_width(text, cells), cut, "{text:?} in {cells}");
        }
        assert!(matches!(cut_to_width("漢字", 4), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn a_cut_text_fits_and_is_a_beginning(text in any::<String>(), cells in 0_usize..20) {
            let cut = cut_to_width(&text, cells);
            prop_assert!(display_width(&cut) <= cells);
            let kept = cut.strip_suffix(ELLIPSIS).unwrap_or(&cut);
            prop_assert!(text.replace('\t', " ").starts_with(kept));
            prop_assert_eq!(display_width(&text) <= cells, cut == text.replace('\t', " "));
        }
    }
}
