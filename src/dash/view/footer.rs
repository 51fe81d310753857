//! The last lines: the typed line or the result of the last verb, and the useful keys.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use super::paint::{self, Spans, span};
use crate::dash::app::{App, Mode, TOO_SOON};
use crate::dash::keys::Action;
use crate::dash::layout::View;
use crate::dash::layout::inset;
use crate::dash::line::{CommandLine, TextInput};
use crate::dash::measure;

/// Lines that a long notice may take.
const NOTICE_ROWS_MAX: usize = 3;

/// Draws the typed line, else the last notice. Returns the position of the cursor in a typed line.
pub(super) fn draw_notice(buffer: &mut Buffer, area: Rect, app: &App) -> Option<Position> {
    if area.is_empty() {
        return None;
    }
    let typed = match &app.mode {
        Mode::Command(line) => Some((":", &line.input, None)),
        Mode::Filter(line) => Some(("/", &line.input, line.error.as_deref())),
        _ => None,
    };
    if let Some((sign, input, error)) = typed {
        paint::clear(buffer, area, app.theme.text);
        return Some(draw_input(buffer, area, app, sign, input, error));
    }
    if let Some(notice) = &app.notice {
        let style = if notice.is_error { app.theme.alarm } else { app.theme.good };
        let sign = if notice.is_error { "! " } else { "" };
        draw_told(buffer, area, app, &format!("{sign}{}", notice.text), style);
    }
    None
}

/// Draws a notice; a long one covers the lines above.
fn draw_told(buffer: &mut Buffer, area: Rect, app: &App, text: &str, style: Style) {
    let mut lines = measure::wrap(text, usize::from(area.width.saturating_sub(2)).max(1));
    lines.truncate(NOTICE_ROWS_MAX.min(usize::from(area.y)).max(1));
    let rows = u16::try_from(lines.len()).unwrap_or(1);
    let area = Rect { y: area.y + 1 - rows.min(area.y + 1), height: rows, ..area };
    paint::clear(buffer, area, app.theme.text);
    for (row, line) in (0..).zip(lines) {
        paint::line(buffer, inset(area, 1, 0), row, &[span(line, style)], app);
    }
}

/// Draws a typed line with a sign before it and its error after it. Returns the position of the cursor.
pub(super) fn draw_input(
    buffer: &mut Buffer,
    area: Rect,
    app: &App,
    sign: &str,
    input: &TextInput,
    error: Option<&str>,
) -> Position {
    let sign_cells = u16::try_from(measure::width(sign)).unwrap_or(0);
    let error = error.map(|error| format!("  {error}")).unwrap_or_default();
    let error_cells = measure::width(&error).min(usize::from(area.width) / 2);
    let room = usize::from(area.width.saturating_sub(sign_cells)).saturating_sub(error_cells).max(1);
    let (text, cursor) = input.visible(room);
    let spans =
        [span(sign.to_owned(), app.theme.accent), span(text, app.theme.text), span(error, app.theme.alarm)];
    paint::line(buffer, area, 0, &spans, app);
    let x = area.x + sign_cells + u16::try_from(cursor).unwrap_or(0);
    Position::new(x.min(area.right().saturating_sub(1)), area.y)
}

/// Draws the keys that are of use now.
pub(super) fn draw_keys(buffer: &mut Buffer, area: Rect, app: &App) {
    if area.is_empty() {
        return;
    }
    match &app.mode {
        Mode::Command(line) => paint::line(buffer, area, 0, &completion(app, line), app),
        Mode::Filter(line) => {
            let esc = if line.before.is_empty() { "remove it" } else { "restore the previous one" };
            draw_pairs(buffer, area, app, &[("Enter", "keep it"), ("Esc", esc)], &[]);
        }
        Mode::Say(_) => draw_pairs(buffer, area, app, &[("Enter", "say it"), ("Esc", "say nothing")], &[]),
        Mode::Reason(..) => draw_pairs(buffer, area, app, &[("Enter", "back to the question")], &[]),
        Mode::Ask(..) | Mode::Quit(_) | Mode::Export(_)
            if app.notice.as_ref().is_some_and(|notice| notice.text == TOO_SOON) =>
        {
            paint::line(buffer, area, 0, &[span(format!(" ! {TOO_SOON}"), app.theme.alarm)], app);
        }
        Mode::Ask(..) | Mode::Quit(_) | Mode::Export(_) => {
            draw_pairs(buffer, area, app, &[("Enter/Esc", "do nothing")], &[]);
        }
        Mode::Help(_) => draw_pairs(buffer, area, app, &[("j/k", "scroll"), ("Esc", "back")], &[]),
        Mode::Browse => draw_browse_keys(buffer, area, app),
    }
}

fn draw_browse_keys(buffer: &mut Buffer, area: Rect, app: &App) {
    let actions: &[(Action, &str)] = match app.view {
        View::Clients if app.detail_open => &DETAIL_KEYS,
        View::Clients => &CLIENTS_KEYS,
        View::Traffic => &TRAFFIC_KEYS,
        View::Events => &EVENTS_KEYS,
    };
    let bound = |actions: &[(Action, &'static str)]| -> Vec<(String, &'static str)> {
        actions.iter().filter_map(|(action, label)| Some((keys(app, *action)?, *label))).collect()
    };
    let (start, end) = (bound(actions), bound(&LAST_KEYS));
    let borrow = |pairs: &'_ [(String, &'static str)]| -> Vec<(String, &'static str)> { pairs.to_vec() };
    let (start, end) = (borrow(&start), borrow(&end));
    let start: Vec<(&str, &str)> = start.iter().map(|(key, label)| (key.as_str(), *label)).collect();
    let end: Vec<(&str, &str)> = end.iter().map(|(key, label)| (key.as_str(), *label)).collect();
    draw_pairs(buffer, area, app, &start, &end);
}

const CLIENTS_KEYS: [(Action, &str); 12] = [
    (Action::Down, "move"),
    (Action::Detail, "detail"),
    (Action::Filter, "filter"),
    (Action::Sort, "sort"),
    (Action::Kick, "kick"),
    (Action::Shutdown, "shutdown"),
    (Action::Reset, "reset"),
    (Action::Mark, "mark"),
    (Action::Pause, "pause"),
    (Action::Command, "command"),
    (Action::Mute, "mute"),
    (Action::Say, "say"),
];
const DETAIL_KEYS: [(Action, &str); 8] = [
    (Action::Back, "back"),
    (Action::Down, "move"),
    (Action::Kick, "kick"),
    (Action::Shutdown, "shutdown"),
    (Action::Reset, "reset"),
    (Action::Mute, "mute"),
    (Action::Copy, "copy"),
    (Action::Command, "command"),
];
const TRAFFIC_KEYS: [(Action, &str); 4] = [
    (Action::NextView, "next view"),
    (Action::Pause, "pause"),
    (Action::Raw, "raw numbers"),
    (Action::Theme, "theme"),
];
const EVENTS_KEYS: [(Action, &str); 7] = [
    (Action::Down, "move"),
    (Action::Detail, "its connection"),
    (Action::Category, "category"),
    (Action::Filter, "filter"),
    (Action::Follow, "follow"),
    (Action::Pause, "pause"),
    (Action::NextView, "next view"),
];
/// These keys are visible at any width.
const LAST_KEYS: [(Action, &str); 2] = [(Action::Help, "help"), (Action::Quit, "quit")];

/// The key of an action; for moving, the keys of both directions.
fn keys(app: &App, action: Action) -> Option<String> {
    let key = app.keymap.key(action)?;
    match action {
        Action::Down => Some(app.keymap.key(Action::Up).map_or(key.clone(), |up| format!("{key}/{up}"))),
        _ => Some(key),
    }
}

/// Draws as many of the first pairs as there is room for beside the last ones.
fn draw_pairs(buffer: &mut Buffer, area: Rect, app: &App, first: &[(&str, &str)], last: &[(&str, &str)]) {
    let pair = |(key, label): &(&str, &str)| {
        [span(format!(" {key}"), app.theme.accent), span(format!(" {label} "), app.theme.dim)]
    };
    let end: Spans = last.iter().flat_map(pair).collect();
    let room = usize::from(area.width).saturating_sub(paint::width(&end));
    let mut start: Spans = Vec::new();
    for spans in first.iter().map(pair) {
        if paint::width(&start) + paint::width(&spans) > room {
            break;
        }
        start.extend(spans);
    }
    start.extend(end);
    paint::line(buffer, area, 0, &start, app);
}

/// The completions, else the usage of the verb, else the keys of the line.
fn completion(app: &App, line: &CommandLine) -> Spans {
    let dim = app.theme.dim;
    if let Some((words, at)) = line.offers() {
        let mut spans = vec![span(" ", dim)];
        // The completion in the line comes first, so that it is visible among any number of them.
        let (before, from) = words.split_at(at.min(words.len()));
        for (place, word) in from.iter().chain(before).enumerate() {
            let style = if place == 0 { app.theme.accent } else { dim };
            spans.push(span(format!("{word}  "), style));
        }
        return spans;
    }
    if let Some((verb, arguments, meaning)) = line.usage() {
        return vec![
            span(format!(" {verb} {arguments}"), app.theme.accent),
            span(format!("  {meaning}"), dim),
        ];
    }
    let mut spans = Vec::new();
    for (key, label) in [("Tab", "complete"), ("Up", "history"), ("Enter", "run"), ("Esc", "back")] {
        spans.push(span(format!(" {key}"), app.theme.accent));
        spans.push(span(format!(" {label} "), dim));
    }
    spans
}
