//! The signs the dashboard draws with: one set for terminals that have box and block glyphs, one in ASCII.

use std::borrow::Cow;

/// A set of signs, each one cell wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Glyphs {
    /// Stands where text was cut.
    pub(crate) ellipsis: &'static str,
    /// A line across.
    pub(crate) rule: &'static str,
    /// Where nothing is known.
    pub(crate) gap: &'static str,
    /// A line down.
    pub(crate) wall: &'static str,
    /// Where a wall hangs from a rule.
    pub(crate) tee: &'static str,
    /// Where a panel beside the table begins.
    pub(crate) corner: &'static str,
    /// Where a rule leaves a wall.
    pub(crate) branch: &'static str,
    /// The largest first.
    pub(crate) descending: &'static str,
    /// The smallest first.
    pub(crate) ascending: &'static str,
    /// Before the word for the picture's state.
    pub(crate) live: &'static str,
    /// Between two remarks.
    pub(crate) dot: &'static str,
    /// A millionth.
    pub(crate) micro: &'static str,
    /// Heights of a column in a chart, from nothing to a full cell.
    pub(crate) heights: &'static [&'static str],
    /// Lengths of the last cell of a bar, from nothing to a full cell.
    pub(crate) lengths: &'static [&'static str],
}

impl Glyphs {
    /// With box, block and other signs of Unicode.
    pub(crate) const UNICODE: Self = Self {
        ellipsis: "…",
        rule: "─",
        gap: "╎",
        wall: "│",
        tee: "┬",
        corner: "┌",
        branch: "├",
        descending: "▼",
        ascending: "▲",
        live: "●",
        dot: "·",
        micro: "µ",
        heights: &[" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
        lengths: &["·", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"],
    };

    /// In ASCII.
    pub(crate) const ASCII: Self = Self {
        ellipsis: "~",
        rule: "-",
        gap: "!",
        wall: "|",
        tee: "+",
        corner: "+",
        branch: "+",
        descending: "v",
        ascending: "^",
        live: "*",
        dot: ";",
        micro: "u",
        heights: &[" ", ".", ":", "-", "=", "+", "*", "#"],
        lengths: &[".", "#"],
    };

    /// A bar of `cells` cells, filled to `thousandths` of its length. What is above nothing shows at least the
    /// smallest step, and only a full bar has no empty part.
    pub(crate) fn bar(&self, thousandths: u32, cells: usize) -> String {
        let (filled, empty) = self.bar_parts(thousandths, cells);
        filled + &empty
    }

    /// As [`Glyphs::bar`], what is filled apart from what is not.
    pub(crate) fn bar_parts(&self, thousandths: u32, cells: usize) -> (String, String) {
        let steps_a_cell = self.lengths.len() - 1;
        let all = cells * steps_a_cell;
        let share = usize::try_from(thousandths.min(1_000)).unwrap_or(1_000);
        let mut steps = all * share / 1_000;
        if share > 0 {
            steps = steps.max(1).min(all);
        }
        let (whole, rest) = (steps / steps_a_cell, steps % steps_a_cell);
        let mut filled = self.lengths[steps_a_cell].repeat(whole);
        if rest > 0 {
            filled.push_str(self.lengths[rest]);
        }
        (filled, self.lengths[0].repeat(cells - whole - usize::from(rest > 0)))
    }

    /// Text in characters that the terminal has.
    pub(crate) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.ellipsis.is_ascii() { super::measure::ascii(text) } else { text.into() }
    }

    /// A column of `rows` cells, top first, filled from below to `value` of `top`.
    pub(crate) fn column(&self, value: u64, top: u64, rows: usize) -> Vec<&'static str> {
        let steps_a_cell = self.heights.len() - 1;
        let all = u128::from(u64::try_from(rows * steps_a_cell).unwrap_or(u64::MAX));
        let mut steps = u128::from(value.min(top)) * all / u128::from(top.max(1));
        if value > 0 {
            steps = steps.max(1);
        }
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        (0..rows)
            .rev()
            .map(|row| self.heights[steps.saturating_sub(row * steps_a_cell).min(steps_a_cell)])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_show_a_little_and_never_too_much() {
        assert_eq!(Glyphs::ASCII.bar(0, 4), "....");
        assert_eq!(Glyphs::ASCII.bar(1, 4), "#...");
        assert_eq!(Glyphs::ASCII.bar(500, 4), "##..");
        assert_eq!(Glyphs::ASCII.bar(999, 4), "###.");
        assert_eq!(Glyphs::ASCII.bar(5_000, 4), "####");
        assert_eq!(Glyphs::UNICODE.bar(300, 5), "█▌···");
        assert_eq!(Glyphs::UNICODE.bar(500, 0), "");
    }

    #[test]
    fn columns_grow_from_below() {
        assert_eq!(Glyphs::UNICODE.column(12, 16, 2), ["▄", "█"]);
        assert_eq!(Glyphs::UNICODE.column(1, 1_000_000, 2), [" ", "▁"]);
        let heights: Vec<&str> = (0..8).flat_map(|value| Glyphs::ASCII.column(value, 7, 1)).collect();
        assert_eq!(heights.concat(), " .:-=+*#");
        assert_eq!(Glyphs::UNICODE.column(0, 0, 2), [" ", " "]);
        assert_eq!(Glyphs::UNICODE.column(u64::MAX, u64::MAX, 1), ["█"]);
    }
}
