//! The first lines: the server as a whole, whether the snapshot is live, and the tabs of the views.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::paint::{self, Spans, span};
use super::traffic::{accept_queue, fullest_accept_queue};
use crate::dash::app::{Access, App};
use crate::dash::keys::Action;
use crate::dash::layout::View;
use crate::model::event::Category;
use crate::model::snapshot::AcceptQueue;
use crate::time::Now;
use crate::{count, time};

/// The index after the parts that count clients.
const AFTER_CLIENTS: usize = 6;

/// Columns from which the header always has the first listener's address.
const ADDRESS_FROM: u16 = 60;

/// A part of the header. Two spaces separate groups, one separates parts of a group.
struct Part {
    spans: Spans,
    /// The part with the highest rank is dropped last.
    rank: u8,
    opens_group: bool,
}

/// Draws the header.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, app: &App, now: Now) {
    if area.is_empty() {
        return;
    }
    let end = state(app, now);
    let room = usize::from(area.width).saturating_sub(paint::width(&end));
    let mut parts = parts(app);
    while total(&parts) > room {
        let Some(lowest) = parts.iter().map(|part| part.rank).min().filter(|_| parts.len() > 1) else {
            break;
        };
        parts.retain(|part| part.rank != lowest);
    }
    let mut spans = Vec::new();
    for part in parts {
        let gap = if part.opens_group && !spans.is_empty() { "  " } else { " " };
        spans.push(span(gap, app.theme.text));
        spans.extend(part.spans);
    }
    paint::line_with_end(buffer, area, 0, (&spans, &end), app);
}

fn total(parts: &[Part]) -> usize {
    parts
        .iter()
        .enumerate()
        .map(|(at, part)| paint::width(&part.spans) + 1 + usize::from(part.opens_group && at > 0))
        .sum()
}

fn parts(app: &App) -> Vec<Part> {
    let (theme, status) = (&app.theme, app.model().status());
    let short = |count| count::short(count, app.raw);
    let count = |count: u32, style| span(count::grouped(u64::from(count)), style);
    let label = |text: &'static str| span(text, theme.dim);
    let part = |rank, opens_group, spans| Part { spans, rank, opens_group };
    let history = &app.model().history;
    if !app.model().has_snapshot() {
        return vec![part(9, true, vec![span("chatops", theme.title)])];
    }
    // From this width the address is dropped last: operators are asked for it most often.
    let address_rank = if app.size().0 >= ADDRESS_FROM { 10 } else { 2 };
    let notable = |count: u32, style| if count > 0 { style } else { theme.dim };
    let mut parts = vec![
        part(9, true, vec![span(status.name.clone(), theme.title)]),
        part(address_rank, false, vec![span(address(app), theme.text)]),
        part(3, true, vec![label("up "), span(time::day_span(status.uptime), theme.text)]),
        part(8, true, vec![count(status.clients, theme.title), label(clients(status.clients))]),
        part(
            4,
            false,
            vec![count(status.half_closed, notable(status.half_closed, theme.text)), label(" half")],
        ),
        part(6, false, vec![count(status.slow, notable(status.slow, theme.warn)), label(" slow")]),
        part(5, true, vec![label("in "), span(short(history.recent(|s| s.bytes_in)), theme.input_rate)]),
        part(
            5,
            false,
            vec![label("out "), span(short(history.recent(|s| s.bytes_out)) + "/s", theme.output_rate)],
        ),
        part(1, true, vec![label("turn "), span(turn(app), theme.text)]),
    ];
    if let Some(queue) = fullest_accept_queue(status).filter(|queue| queue.length > queue.limit / 2) {
        let text = format!("accept queue {}", accept_queue(queue));
        parts.insert(AFTER_CLIENTS, part(7, true, vec![span(text, theme.alarm)]));
    }
    parts
}

const fn clients(count: u32) -> &'static str {
    if count == 1 { " client" } else { " clients" }
}

/// The first listener's address, and how many more there are.
fn address(app: &App) -> String {
    let listeners = &app.model().status().listeners;
    let more = match listeners.len() {
        0 | 1 => String::new(),
        count => format!(" +{}", count - 1),
    };
    listeners.first().map(|listener| format!("{}{more}", bare_address(listener))).unwrap_or_default()
}

/// The address of a listener without its framing.
pub(super) fn bare_address(listener: &str) -> &str {
    listener.split_once(" (").map_or(listener, |(address, _)| address)
}

fn turn(app: &App) -> String {
    time::brief_micros(app.model().status().turns.p99_us, app.glyphs.micro)
}

/// The state at the end: LIVE, PAUSED, or another one.
fn state(app: &App, now: Now) -> Spans {
    let (theme, glyphs) = (&app.theme, app.glyphs);
    let word = |sign: &str, word: &str, style| vec![span(format!(" {sign}{word}"), style)];
    let mut spans = if app.frozen_at().is_some() {
        word("", "PAUSED", theme.banner)
    } else if let Some(silence) = app.silence(now) {
        word("", &format!("NO ANSWER {}", time::brief_span(silence)), theme.alarm)
    } else if app.model().status().draining {
        word("", "DRAINING", theme.banner)
    } else if app.model().has_snapshot() {
        word(&format!("{} ", glyphs.live), "LIVE", theme.good)
    } else {
        word("", "CONNECTING", theme.dim)
    };
    if app.model().status().paused {
        spans.insert(0, span(" NOT ACCEPTING", theme.warn));
    }
    if app.access == Access::ReadOnly {
        spans.insert(0, span(" read-only", theme.accent));
    }
    spans
}

/// Says that the snapshot is frozen.
pub(super) fn draw_banner(buffer: &mut Buffer, area: Rect, app: &App, now: Now) {
    let Some(at) = app.frozen_at().filter(|_| !area.is_empty()) else { return };
    let ago = time::brief_span(now.moment.since(at.moment));
    let key = app.keymap.key(Action::Pause).unwrap_or_default();
    let time = time::time_of_day(at);
    let texts = [
        format!(
            " PAUSED at {time}, {ago} ago: the screen is frozen, verbs act on the live server. {key} resumes."
        ),
        format!(" PAUSED {ago} ago: frozen screen, live verbs; {key} resumes"),
    ];
    let fits = |text: &&String| crate::dash::measure::width(text) <= usize::from(area.width);
    let text = texts.iter().find(fits).unwrap_or(&texts[1]);
    paint::clear(buffer, area, app.theme.banner);
    paint::line(buffer, area, 0, &[span(text.clone(), app.theme.banner)], app);
}

/// Draws the tabs.
pub(super) fn draw_tabs(buffer: &mut Buffer, area: Rect, app: &App) {
    let mut spans = vec![span(" ", app.theme.text)];
    for view in View::ALL {
        let style = if view == app.view { app.theme.title } else { app.theme.dim };
        spans.push(span(view.tab(app.view), style));
    }
    spans.extend(match app.view {
        View::Clients => clients_line(app),
        View::Traffic => accept_queues(app),
        View::Events => events(app),
    });
    paint::line_with_end(buffer, area, 0, (&spans, &range(app)), app);
}

fn clients_line(app: &App) -> Spans {
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

/// The accept queue of each listener, and the number of overflows on this machine.
fn accept_queues(app: &App) -> Spans {
    let status = app.model().status();
    let message = |queue: &Option<AcceptQueue>| queue.map_or_else(|| "-".to_owned(), accept_queue);
    let queues: Vec<String> = status.accept_queues.iter().map(message).collect();
    let mut spans = Vec::new();
    if !queues.is_empty() {
        spans.push(span("  accept queue ", app.theme.dim));
        spans.push(span(queues.join(" "), app.theme.text));
    }
    if let Some(lost) = status.accept_losses {
        spans.push(span("  overflows ", app.theme.dim));
        spans.push(span(count::grouped(lost.overflows), app.theme.text));
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

/// The visible rows and the number of rows.
fn range(app: &App) -> Spans {
    let (window, shown, all) = match app.view {
        View::Clients => (app.table.window(app.table_rows()), app.table.len(), app.model().rows().len()),
        View::Traffic => return Vec::new(),
        View::Events => {
            let rows = usize::from(app.regions().events.height.saturating_sub(1));
            let (start, window) = app.events.window(&app.model().log, rows);
            (start..start + window.len(), app.events.len(), app.model().log.entries().count())
        }
    };
    let number = |count: usize| count::grouped(u64::try_from(count).unwrap_or(u64::MAX));
    let of_all = if shown == all { String::new() } else { format!(" ({})", number(all)) };
    let place = if window.is_empty() {
        format!("0 of {}{of_all}", number(shown))
    } else {
        format!("{}-{} of {}{of_all}", number(window.start + 1), number(window.end), number(shown))
    };
    vec![span(format!("  {place} "), app.theme.dim)]
}
