//! Colours. They only underline what words, arrows and bars say already.
//!
//! Without colour everything is [`Color::Reset`] with bold, dim, underlined and reversed: crossterm's own handling of
//! `NO_COLOR` would take the modifiers away as well.

use ratatui::style::{Color, Modifier, Style};

use crate::config::settings::ThemeName;

/// A style for each thing that can be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Theme {
    /// Whose styles these are.
    pub(crate) name: ThemeName,
    /// What is read.
    pub(crate) text: Style,
    /// What may be overlooked: labels, rules, those gone.
    pub(crate) dim: Style,
    /// Names of regions, what is open, columns' heads.
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
    /// The picture stands still.
    pub(crate) banner: Style,
    /// Bytes in.
    pub(crate) inward: Style,
    /// Bytes out.
    pub(crate) outward: Style,
}

/// The colours that tell the themes apart; the modifiers are the same for all.
struct Palette {
    text: Color,
    dim: Color,
    accent: Color,
    good: Color,
    warn: Color,
    alarm: Color,
    inward: Color,
    outward: Color,
    selected: Option<Color>,
}

/// The themes in the order in which a key goes through them.
pub(crate) const CYCLE: [ThemeName; 6] = [
    ThemeName::Auto,
    ThemeName::Dark,
    ThemeName::Light,
    ThemeName::HighContrast,
    ThemeName::ColourBlind,
    ThemeName::Mono,
];

impl Theme {
    /// The styles of a theme. `NO_COLOR` decides for those who chose none.
    pub(crate) fn named(name: ThemeName, no_color: bool) -> Self {
        match palette(name) {
            Some(palette) if !(no_color && name == ThemeName::Auto) => Self::coloured(name, &palette),
            _ => Self::mono(name),
        }
    }

    /// The theme after this one.
    pub(crate) fn next(self, no_color: bool) -> Self {
        let at = CYCLE.iter().position(|name| *name == self.name).unwrap_or(0);
        Self::named(CYCLE[(at + 1) % CYCLE.len()], no_color)
    }

    /// Its name as `dashboard.theme` writes it.
    pub(crate) const fn word(self) -> &'static str {
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
            inward: Style::new().fg(palette.inward),
            outward: Style::new().fg(palette.outward),
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
            inward: plain,
            outward: plain,
        }
    }
}

/// One block of the terminal's own colours the other way round, whatever colours its cells have of their own.
const fn reversed() -> Style {
    Style::new()
        .fg(Color::Reset)
        .bg(Color::Reset)
        .add_modifier(Modifier::REVERSED)
        .remove_modifier(Modifier::DIM.union(Modifier::UNDERLINED))
}

/// A theme's colours; none for the one without.
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
            inward: Color::Cyan,
            outward: Color::Green,
            selected: None,
        },
        ThemeName::Dark => Palette {
            text: Color::Indexed(252),
            dim: Color::Indexed(244),
            accent: Color::Indexed(81),
            good: Color::Indexed(114),
            warn: Color::Indexed(221),
            alarm: Color::Indexed(203),
            inward: Color::Indexed(81),
            outward: Color::Indexed(114),
            selected: Some(Color::Indexed(238)),
        },
        ThemeName::Light => Palette {
            text: Color::Indexed(235),
            dim: Color::Indexed(243),
            accent: Color::Indexed(25),
            good: Color::Indexed(28),
            warn: Color::Indexed(130),
            alarm: Color::Indexed(160),
            inward: Color::Indexed(25),
            outward: Color::Indexed(28),
            selected: Some(Color::Indexed(253)),
        },
        ThemeName::HighContrast => Palette {
            text: Color::Reset,
            dim: Color::Reset,
            accent: Color::LightCyan,
            good: Color::Reset,
            warn: Color::LightYellow,
            alarm: Color::LightRed,
            inward: Color::Reset,
            outward: Color::Reset,
            selected: None,
        },
        ThemeName::ColourBlind => Palette {
            text: Color::Reset,
            dim: Color::Reset,
            accent: Color::Indexed(75),
            good: Color::Indexed(75),
            warn: Color::Indexed(220),
            alarm: Color::Indexed(208),
            inward: Color::Indexed(75),
            outward: Color::Indexed(208),
            selected: None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cycle_goes_through_every_theme_and_back() {
        let first = Theme::named(ThemeName::Auto, false);
        let mut seen = vec![first.word()];
        let mut theme = first.next(false);
        while theme.name != first.name {
            seen.push(theme.word());
            theme = theme.next(false);
        }
        assert_eq!(seen, ["auto", "dark", "light", "high-contrast", "colour-blind", "mono"]);
    }

    #[test]
    fn without_colour_there_is_none() {
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
                theme.inward,
                theme.outward,
                theme.selected,
            ] {
                assert!(matches!(style.fg, None | Some(Color::Reset)), "{style:?}");
                assert!(matches!(style.bg, None | Some(Color::Reset)), "{style:?}");
            }
        }
        assert_eq!(Theme::named(ThemeName::Dark, true), Theme::named(ThemeName::Dark, false));
    }
}
