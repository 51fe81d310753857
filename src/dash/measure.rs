//! Text in cells: how wide it is, how it is cut, padded and wrapped.
//!
//! Text arrives scrubbed. What is left of controls (TAB) is one space here, because a cell can hold none.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Cells that `text` takes.
pub(crate) fn width(text: &str) -> usize {
    text.graphemes(true).map(cell_width).sum()
}

/// Cells of one grapheme. ratatui gives none to what has no width, and so does this.
fn cell_width(grapheme: &str) -> usize {
    grapheme.width()
}

/// `text` in at most `cells` cells; what is cut is told by `ellipsis`, one cell wide, at the end.
pub(crate) fn fit(text: &str, cells: usize, ellipsis: &str) -> String {
    let clean = text.replace(|c: char| c.is_control(), " ");
    if width(&clean) <= cells { clean } else { cut(&clean, cells, ellipsis) }
}

/// What of `text` goes into `cells` cells together with `ellipsis` behind it.
pub(crate) fn cut(text: &str, cells: usize, ellipsis: &str) -> String {
    if cells == 0 {
        return String::new();
    }
    let mut kept = String::with_capacity(cells + ellipsis.len());
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        used += cell_width(grapheme);
        if used > cells - 1 {
            break;
        }
        kept.push_str(grapheme);
    }
    kept.push_str(ellipsis);
    kept
}

/// `text`, cut or filled with spaces behind it to exactly `cells` cells.
pub(crate) fn left(text: &str, cells: usize, ellipsis: &str) -> String {
    let mut text = fit(text, cells, ellipsis);
    let missing = cells.saturating_sub(width(&text));
    text.extend(std::iter::repeat_n(' ', missing));
    text
}

/// `text`, cut or filled with spaces before it to exactly `cells` cells.
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
        for grapheme in word.graphemes(true) {
            if width(&line) + cell_width(grapheme) > cells && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            line.push_str(grapheme);
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
    fn a_cut_is_told_and_never_splits_a_grapheme() {
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
    fn lines_break_at_spaces() {
        assert_eq!(wrap("a peer that takes nothing", 11), ["a peer that", "takes", "nothing"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
    }

    proptest! {
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
