//! The events: the latest few below the clients, or the whole log in its own view.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::paint::{self, Spans, span};
use crate::config::settings::ClockFormat;
use crate::dash::app::App;
use crate::dash::layout::View;
use crate::dash::layout::below;
use crate::dash::measure;
use crate::dash::model::log::format_event;
use crate::dash::style::Theme;
use crate::model::event::{Category, Event, EventKind};
use crate::model::snapshot::Nick;
use crate::time;

/// Cells for the kind of an event.
const WORD: usize = 6;
/// Cells for the id and the nick of an event.
const SUBJECT: usize = 16;
/// Below this width only the active category is named.
const ALL_CATEGORIES_FROM: u16 = 60;
/// Below this width id and nick are not padded.
const ALIGNED_FROM: u16 = 70;

/// Draws a title with the categories, and the events for which there is room.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, app: &App) {
    if area.is_empty() {
        return;
    }
    let is_view = app.view == View::Events;
    let follow = if app.events.follows() { "follow" } else { "not following" };
    paint::rule(buffer, area, &categories(app, area.width), &[span(follow, app.theme.accent)], app);
    let inner = below(area, 1);
    let (start, entries) = app.events.window(&app.model().log, usize::from(inner.height));
    if entries.is_empty() {
        let text = if app.events.category.is_some() || !app.events.filter.is_empty() {
            "   nothing of this kind has happened"
        } else {
            "   nothing has happened yet"
        };
        return paint::line(buffer, inner, 0, &[span(text, app.theme.dim)], app);
    }
    for (row, (at, entry)) in (0..).zip((start..).zip(entries)) {
        let is_selected = is_view && at == app.events.position();
        let mut spans = vec![span(if is_selected { ">" } else { " " }, app.theme.accent)];
        spans.extend(event(app, entry, area.width));
        paint::line(buffer, inner, row, &spans, app);
        if is_selected {
            let row = Rect { y: inner.y + row, height: 1, ..inner };
            buffer.set_style(row, app.theme.selected);
        }
    }
}

/// The categories, the active one in brackets; only that one if the width is too small.
fn categories(app: &App, width: u16) -> Spans {
    let mut spans = vec![span("Events ", app.theme.title)];
    let all = std::iter::once(None).chain(Category::ALL.map(Some));
    for category in all {
        let word = category.map_or("all", Category::word);
        if width < ALL_CATEGORIES_FROM && category != app.events.category {
            continue;
        }
        let (text, style) = if category == app.events.category {
            (format!("[{word}]"), app.theme.title)
        } else {
            (format!(" {word} "), app.theme.dim)
        };
        spans.push(span(text, style));
    }
    spans
}

fn event(app: &App, entry: &Event, width: u16) -> Spans {
    let record = &entry.kind;
    let style = category_style(record.category(), &app.theme);
    let id = record.subject().map(|id| id.to_string());
    let nick = nick(app, entry).map(|nick| nick.to_string());
    let subject = id.into_iter().chain(nick).collect::<Vec<_>>().join(" ");
    let subject = if width >= ALIGNED_FROM {
        measure::left(&subject, SUBJECT.max(measure::width(&subject)), "")
    } else {
        subject
    };
    let gap = if subject.is_empty() { "" } else { " " };
    vec![
        span(format!("{} ", time(app, entry)), app.theme.dim),
        span(format!("{} ", measure::left(record.word(), WORD, "")), style),
        span(format!("{subject}{gap}"), app.theme.text),
        span(format_event(record, app.raw), style),
    ]
}

/// The nick of an event's connection; for a verb without a nick the one that the connection had or has.
fn nick(app: &App, entry: &Event) -> Option<Nick> {
    let EventKind::Operator { id: Some(id), .. } = entry.kind else { return entry.kind.nick() };
    let model = app.model();
    let in_row = || model.row(id).and_then(|row| row.nick);
    model.log.nick_before(entry.seq, id).or_else(in_row)
}

/// An event of a known connection: time, kind and text.
pub(super) fn short_event(app: &App, entry: &Event) -> Spans {
    let style = category_style(entry.kind.category(), &app.theme);
    vec![
        span(format!("{} ", time(app, entry)), app.theme.dim),
        span(format!("{} ", measure::left(entry.kind.word(), WORD, "")), style),
        span(format_event(&entry.kind, app.raw), style),
    ]
}

fn time(app: &App, entry: &Event) -> String {
    match app.clock {
        ClockFormat::Time => time::time_of_day(entry.at),
        ClockFormat::Age => {
            let age = app.model().taken().moment.since(entry.at.moment);
            measure::right(&time::brief_span(age), 4, "")
        }
    }
}

const fn category_style(category: Category, theme: &Theme) -> Style {
    match category {
        Category::Join | Category::Part => theme.text,
        Category::Slow => theme.warn,
        Category::Error => theme.alarm,
        Category::Op => theme.accent,
    }
}
