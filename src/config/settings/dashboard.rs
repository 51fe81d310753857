//! How the dashboard looks, and its keys.

/// `[dashboard]`
#[derive(Clone, Debug, PartialEq)]
pub struct Dashboard {
    /// The colours.
    pub theme: ThemeName,
    /// No box, block or braille glyphs.
    pub ascii: bool,
    /// Times as `HH:MM:SS` of the day, or as an age.
    pub clock: ClockFormat,
    /// Key bindings over the built-in ones: `"x" = "kick"`.
    pub keys: Vec<(String, String)>,
}

impl Default for Dashboard {
    fn default() -> Self {
        Self { theme: ThemeName::Auto, ascii: false, clock: ClockFormat::Time, keys: Vec::new() }
    }
}

/// The dashboard's sets of colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThemeName {
    /// The terminal's own colours; none under `NO_COLOR`.
    Auto,
    /// Blue and orange, told apart by people who cannot tell red from green.
    ColourBlind,
    /// For dark backgrounds.
    Dark,
    /// Black, white and bold.
    HighContrast,
    /// For light backgrounds.
    Light,
    /// No colour; bold, dim and reverse only.
    Mono,
}

/// How the event pane shows a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockFormat {
    /// How long ago.
    Age,
    /// The time of day.
    Time,
}
