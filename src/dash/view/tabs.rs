//! The second line: the views, and what the open one shows of all there is.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::paint::{self, Spans, span};
use super::traffic::accept_queue;
use crate::dash::App;
use crate::dash::layout::View;
use crate::dash::units;
use crate::model::event::Category;
use crate::model::snapshot::AcceptQueue;

/// Draws the tabs.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, app: &App) {
    let mut spans = vec![span(" ", app.theme.text)];
    for (at, view) in View::ALL.into_iter().enumerate() {
        let style = if view == app.view { app.theme.title } else { app.theme.dim };
        spans.push(span(tab(at, view, app), style));
    }
    spans.extend(match app.view {
        View::Clients => clients(app),
        View::Traffic => accept_queues(app),
        View::Events => events(app),
    });
    paint::line_with_end(buffer, area, 0, (&spans, &range(app)), app);
}

/// A tab as written: the open one in brackets, all equally wide.
fn tab(at: usize, view: View, app: &App) -> String {
    let name = format!("{} {}", at + 1, view.title());
    if view == app.view { format!("[{name}]") } else { format!(" {name} ") }
}

/// The view whose tab is at this column.
pub(crate) fn tab_at(app: &App, x: u16) -> Option<View> {
    let mut start = 1;
    for (at, view) in View::ALL.into_iter().enumerate() {
        let end = start + crate::dash::measure::width(&tab(at, view, app));
        if (start..end).contains(&usize::from(x)) {
            return Some(view);
        }
        start = end;
    }
    None
}

fn clients(app: &App) -> Spans {
    let (theme, sort) = (&app.theme, app.table.sort);
    let arrow = if sort.descending { app.glyphs.descending } else { app.glyphs.ascending };
    let mut spans =
        vec![span("  sort ", theme.dim), span(format!("{} {arrow}", sort.column.title()), theme.text)];
    spans.extend(filter(app));
    if app.table.unknown() > 0 {
        spans.push(span(format!("  {} not known", app.table.unknown()), theme.warn));
    }
    let marks = app.table.marks().len();
    if marks > 0 {
        spans.push(span(format!("  {marks} marked"), theme.accent));
    }
    spans
}

/// The accept queue of each listener, and how often any of this machine was full.
fn accept_queues(app: &App) -> Spans {
    let status = app.picture().status();
    let told = |queue: &Option<AcceptQueue>| queue.map_or_else(|| "-".to_owned(), accept_queue);
    let queues: Vec<String> = status.accept_queues.iter().map(told).collect();
    let mut spans = Vec::new();
    if !queues.is_empty() {
        spans.push(span("  accept queue ", app.theme.dim));
        spans.push(span(queues.join(" "), app.theme.text));
    }
    if let Some(lost) = status.accept_losses {
        spans.push(span("  overflows ", app.theme.dim));
        spans.push(span(units::grouped(lost.overflows), app.theme.text));
        spans.push(span(" (machine)", app.theme.dim));
    }
    spans
}

fn events(app: &App) -> Spans {
    let category = app.events.category.map_or("all", Category::word);
    let mut spans = vec![span("  category ", app.theme.dim), span(category, app.theme.text)];
    spans.extend(filter(app));
    spans
}

fn filter(app: &App) -> Spans {
    let text = app.filter_text();
    let (shown, style) = if text.is_empty() { ("-", app.theme.dim) } else { (text, app.theme.accent) };
    vec![span("  filter ", app.theme.dim), span(shown.to_owned(), style)]
}

/// Which of how many rows are in sight.
fn range(app: &App) -> Spans {
    let (window, shown, all) = match app.view {
        View::Clients => (app.table.window(app.table_rows()), app.table.len(), app.picture().rows().len()),
        View::Traffic => return Vec::new(),
        View::Events => {
            let rows = usize::from(app.regions().events.height.saturating_sub(1));
            let (start, window) = app.events.window(&app.picture().log, rows);
            (start..start + window.len(), app.events.len(), app.picture().log.entries().count())
        }
    };
    let number = |count: usize| units::grouped(u64::try_from(count).unwrap_or(u64::MAX));
    let of_all = if shown == all { String::new() } else { format!(" ({})", number(all)) };
    let place = if window.is_empty() {
        format!("0 of {}{of_all}", number(shown))
    } else {
        format!("{}-{} of {}{of_all}", number(window.start + 1), number(window.end), number(shown))
    };
    vec![span(format!("  {place} "), app.theme.dim)]
}
