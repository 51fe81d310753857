//! What happened: the latest few under the clients, or the whole log in a view of its own.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::paint::{self, Spans, span};
use crate::config::settings::ClockFormat;
use crate::dash::App;
use crate::dash::events::wording;
use crate::dash::layout::View;
use crate::dash::theme::Theme;
use crate::dash::{measure, units};
use crate::model::event::{Category, Event, EventKind};
use crate::model::snapshot::Nick;

/// Cells for the word of an event.
const WORD: usize = 6;
/// Cells for the id and the nick of an event.
const SUBJECT: usize = 16;
/// Below this width only the category in force is named.
const ALL_CATEGORIES_FROM: u16 = 60;
/// Below this width id and nick take only what they need.
const ALIGNED_FROM: u16 = 70;

/// Draws a title with the categories, and below it as many events as there is room for.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, app: &App) {
    if area.is_empty() {
        return;
    }
    let is_view = app.view == View::Events;
    let follow = if app.events.follows() { "follow" } else { "standing still" };
    paint::rule(buffer, area, &categories(app, area.width), &[span(follow, app.theme.accent)], app);
    let inner = paint::below(area, 1);
    let (start, entries) = app.events.window(&app.picture().log, usize::from(inner.height));
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

/// The categories, the one in force in brackets; it alone where there is no room for all.
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
        span(wording(record, app.raw), style),
    ]
}

/// The name of an event's subject; where a verb does not tell it, the one it had or has.
fn nick(app: &App, entry: &Event) -> Option<Nick> {
    let EventKind::Operator { id: Some(id), .. } = entry.kind else { return entry.kind.nick() };
    let picture = app.picture();
    let in_row = || picture.row(id).and_then(|row| row.nick);
    picture.log.nick_before(entry.seq, id).or_else(in_row)
}

/// An event whose subject is known: its time, its word and what happened.
pub(super) fn short_event(app: &App, entry: &Event) -> Spans {
    let style = category_style(entry.kind.category(), &app.theme);
    vec![
        span(format!("{} ", time(app, entry)), app.theme.dim),
        span(format!("{} ", measure::left(entry.kind.word(), WORD, "")), style),
        span(wording(&entry.kind, app.raw), style),
    ]
}

fn time(app: &App, entry: &Event) -> String {
    match app.clock {
        ClockFormat::Time => units::time_of_day(entry.at),
        ClockFormat::Age => {
            let age = app.picture().taken().moment.since(entry.at.moment);
            measure::right(&units::brief_span(age), 4, "")
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
