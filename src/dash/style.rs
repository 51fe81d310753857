//! Colours and signs. Colours only repeat what words, arrows and bars show.
//!
//! Without colour everything is [`Color::Reset`] with bold, dim, underlined and reversed: crossterm's own handling of
//! `NO_COLOR` would take the modifiers away as well. There are two sets of signs: one for terminals that have box and
//! block glyphs, one in ASCII.

use std::borrow::Cow;

use ratatui::style::{Color, Modifier, Style};

use crate::config::settings::ThemeName;

/// A style for each thing that can be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Theme {
    pub(crate) name: ThemeName,
    /// Ordinary text.
    pub(crate) text: Style,
    /// Labels, rules, rows that are gone.
    pub(crate) dim: Style,
    /// Titles of regions, the open view, the head of the table.
    pub(crate) title: Style,
    /// Keys, and what the operator changed.
    pub(crate) accent: Style,
    /// All is well.
    pub(crate) good: Style,
    /// Worth a look.
    pub(crate) warn: Style,
    /// Needs a look.
    pub(crate) alarm: Style,
    /// The selected row, over the row's own.
    pub(crate) selected: Style,
    /// The snapshot is frozen.
    pub(crate) banner: Style,
    /// Bytes in.
    pub(crate) input_rate: Style,
    /// Bytes out.
    pub(crate) output_rate: Style,
}

/// The colours of a theme; the modifiers are the same for all themes.
struct Palette {
    text: Color,
    dim: Color,
    accent: Color,
    good: Color,
    warn: Color,
    alarm: Color,
    input_rate: Color,
    output_rate: Color,
    selected: Option<Color>,
}

/// The themes in the order of the theme key.
pub(crate) const CYCLE: [ThemeName; 6] = [
    ThemeName::Auto,
    ThemeName::Dark,
    ThemeName::Light,
    ThemeName::HighContrast,
    ThemeName::ColourBlind,
    ThemeName::Mono,
];

impl Theme {
    /// The styles of a theme. `NO_COLOR` applies to the theme `auto` only.
    pub(crate) fn named(name: ThemeName, no_color: bool) -> Self {
        match palette(name) {
            Some(palette) if !(no_color && name == ThemeName::Auto) => Self::coloured(name, &palette),
            _ => Self::mono(name),
        }
    }

    /// The next theme.
    pub(crate) fn next(self, no_color: bool) -> Self {
        let at = CYCLE.iter().position(|name| *name == self.name).unwrap_or(0);
        Self::named(CYCLE[(at + 1) % CYCLE.len()], no_color)
    }

    /// The name in `dashboard.theme`.
    pub(crate) const fn label(self) -> &'static str {
        match self.name {
            ThemeName::Auto => "auto",
            ThemeName::ColourBlind => "colour-blind",
            ThemeName::Dark => "dark",
            ThemeName::HighContrast => "high-contrast",
            ThemeName::Light => "light",
            ThemeName::Mono => "mono",
        }
    }

    fn coloured(name: ThemeName, palette: &Palette) -> Self {
        let plain = Style::new().fg(palette.text);
        let high_contrast = name == ThemeName::HighContrast;
        // The terminal's own colour, dimmed, is readable on whatever its background is.
        let dims = if palette.dim == Color::Reset { Modifier::DIM } else { Modifier::empty() };
        let dim = Style::new().fg(palette.dim).add_modifier(dims);
        Self {
            name,
            text: plain,
            dim: if high_contrast { plain } else { dim },
            title: plain.add_modifier(Modifier::BOLD),
            accent: Style::new().fg(palette.accent).add_modifier(Modifier::BOLD),
            good: Style::new().fg(palette.good),
            warn: Style::new().fg(palette.warn),
            alarm: Style::new().fg(palette.alarm).add_modifier(Modifier::BOLD),
            selected: palette
                .selected
                .map_or_else(reversed, |colour| Style::new().bg(colour).add_modifier(Modifier::BOLD)),
            banner: Style::new().fg(palette.alarm).add_modifier(Modifier::BOLD | Modifier::REVERSED),
            input_rate: Style::new().fg(palette.input_rate),
            output_rate: Style::new().fg(palette.output_rate),
        }
    }

    fn mono(name: ThemeName) -> Self {
        let plain = Style::new().fg(Color::Reset);
        let bold = plain.add_modifier(Modifier::BOLD);
        Self {
            name,
            text: plain,
            dim: plain.add_modifier(Modifier::DIM),
            title: bold,
            accent: bold,
            good: plain,
            warn: bold,
            alarm: bold.add_modifier(Modifier::UNDERLINED),
            selected: reversed(),
            banner: bold.add_modifier(Modifier::REVERSED),
            input_rate: plain,
            output_rate: plain,
        }
    }
}

/// The terminal's own colours reversed, whatever colours the cells have.
const fn reversed() -> Style {
    Style::new()
        .fg(Color::Reset)
        .bg(Color::Reset)
        .add_modifier(Modifier::REVERSED)
        .remove_modifier(Modifier::DIM.union(Modifier::UNDERLINED))
}

/// The colours of a theme; none for `mono`.
const fn palette(name: ThemeName) -> Option<Palette> {
    Some(match name {
        ThemeName::Mono => return None,
        ThemeName::Auto => Palette {
            text: Color::Reset,
            dim: Color::Reset,
            accent: Color::Cyan,
            good: Color::Green,
            warn: Color::Yellow,
            alarm: Color::Red,
            input_rate: Color::Cyan,
            output_rate: Color::Green,
            selected: None,
        },
        ThemeName::Dark => Palette {
            text: Color::Indexed(252),
            dim: Color::Indexed(244),
            accent: Color::Indexed(81),
            good: Color::Indexed(114),
            warn: Color::Indexed(221),
            alarm: Color::Indexed(203),
            input_rate: Color::Indexed(81),
            output_rate: Color::Indexed(114),
            selected: Some(Color::Indexed(238)),
        },
        ThemeName::Light => Palette {
            text: Color::Indexed(235),
            dim: Color::Indexed(243),
            accent: Color::Indexed(25),
            good: Color::Indexed(28),
            warn: Color::Indexed(130),
            alarm: Color::Indexed(160),
            input_rate: Color::Indexed(25),
            output_rate: Color::Indexed(28),
            selected: Some(Color::Indexed(253)),
        },
        ThemeName::HighContrast => Palette {
            text: Color::Reset,
            dim: Color::Reset,
            accent: Color::LightCyan,
            good: Color::Reset,
            warn: Color::LightYellow,
            alarm: Color::LightRed,
            input_rate: Color::Reset,
            output_rate: Color::Reset,
            selected: None,
        },
        ThemeName::ColourBlind => Palette {
            text: Color::Reset,
            dim: Color::Reset,
            accent: Color::Indexed(75),
            good: Color::Indexed(75),
            warn: Color::Indexed(220),
            alarm: Color::Indexed(208),
            input_rate: Color::Indexed(75),
            output_rate: Color::Indexed(208),
            selected: None,
        },
    })
}

/// A set of signs, each one cell wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Glyphs {
    /// Marks a cut.
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
    /// Before the word LIVE.
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

    /// A bar of `cells` cells, filled to `thousandths` of its length. Any value above 0 shows at least the smallest
    /// step, and only a full bar has no empty part.
    pub(crate) fn bar(&self, thousandths: u32, cells: usize) -> String {
        let (filled, empty) = self.bar_parts(thousandths, cells);
        filled + &empty
    }

    /// As [`Glyphs::bar`], in two parts: filled and empty.
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

    /// A column of `rows` cells, top first, filled from below to `value` of `top`. A small value shows the smallest step,
    /// which ratatui's `Sparkline` rounds to nothing.
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
    fn the_theme_key_goes_through_all_themes() {
        let first = Theme::named(ThemeName::Auto, false);
        let mut seen = vec![first.label()];
        let mut theme = first.next(false);
        while theme.name != first.name {
            seen.push(theme.label());
            theme = theme.next(false);
        }
        assert_eq!(seen, ["auto", "dark", "light", "high-contrast", "colour-blind", "mono"]);
    }

    #[test]
    fn mono_and_no_color_use_no_colour() {
        for theme in [Theme::named(ThemeName::Mono, false), Theme::named(ThemeName::Auto, true)] {
            for style in [
                theme.text,
                theme.dim,
                theme.title,
                theme.accent,
                theme.good,
                theme.warn,
                theme.alarm,
                theme.banner,
                theme.input_rate,
                theme.output_rate,
                theme.selected,
            ] {
                assert!(matches!(style.fg, None | Some(Color::Reset)), "{style:?}");
                assert!(matches!(style.bg, None | Some(Color::Reset)), "{style:?}");
            }
        }
        assert_eq!(Theme::named(ThemeName::Dark, true), Theme::named(ThemeName::Dark, false));
    }

    #[test]
    fn a_bar_shows_small_values_and_is_full_only_at_its_limit() {
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
