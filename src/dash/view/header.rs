//! The first line: the server as a whole, and whether the picture is live; below it that it is not.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::paint::{self, Spans, span};
use super::traffic::{accept_queue, fullest_accept_queue};
use crate::dash::action::Action;
use crate::dash::units;
use crate::dash::{Access, App};
use crate::time::Now;

/// The place behind the parts that count clients.
const AFTER_CLIENTS: usize = 6;

/// Columns from which the header always has the first listener's address.
const ADDRESS_FROM: u16 = 60;

/// A part of the header: groups stand two cells apart, parts of a group one.
struct Part {
    spans: Spans,
    /// The highest goes last when the line is too short.
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
    let (theme, status) = (&app.theme, app.picture().status());
    let short = |count| units::short(count, app.raw);
    let count = |count: u32, style| span(units::grouped(u64::from(count)), style);
    let label = |text: &'static str| span(text, theme.dim);
    let part = |rank, opens_group, spans| Part { spans, rank, opens_group };
    let history = &app.picture().history;
    if !app.picture().is_seen() {
        return vec![part(9, true, vec![span("chatops", theme.title)])];
    }
    // From here on the address goes last: it is what an operator is asked for most.
    let address_rank = if app.size().0 >= ADDRESS_FROM { 10 } else { 2 };
    let notable = |count: u32, style| if count > 0 { style } else { theme.dim };
    let mut parts = vec![
        part(9, true, vec![span(status.name.clone(), theme.title)]),
        part(address_rank, false, vec![span(address(app), theme.text)]),
        part(3, true, vec![label("up "), span(units::clock(status.uptime), theme.text)]),
        part(8, true, vec![count(status.clients, theme.title), label(clients(status.clients))]),
        part(
            4,
            false,
            vec![count(status.half_closed, notable(status.half_closed, theme.text)), label(" half")],
        ),
        part(6, false, vec![count(status.slow, notable(status.slow, theme.warn)), label(" slow")]),
        part(5, true, vec![label("in "), span(short(history.recent(|s| s.bytes_in)), theme.inward)]),
        part(
            5,
            false,
            vec![label("out "), span(short(history.recent(|s| s.bytes_out)) + "/s", theme.outward)],
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
    let listeners = &app.picture().status().listeners;
    let more = match listeners.len() {
        0 | 1 => String::new(),
        count => format!(" +{}", count - 1),
    };
    listeners.first().map(|listener| format!("{}{more}", bare_address(listener))).unwrap_or_default()
}

/// A listener without the framing behind it.
pub(super) fn bare_address(listener: &str) -> &str {
    listener.split_once(" (").map_or(listener, |(address, _)| address)
}

fn turn(app: &App) -> String {
    units::micros(app.picture().status().turns.p99_us, app.glyphs.micro)
}

/// The word at the end: LIVE, PAUSED, or why it is neither.
fn state(app: &App, now: Now) -> Spans {
    let (theme, glyphs) = (&app.theme, app.glyphs);
    let word = |sign: &str, word: &str, style| vec![span(format!(" {sign}{word}"), style)];
    let mut spans = if app.frozen_at().is_some() {
        word("", "PAUSED", theme.banner)
    } else if let Some(silence) = app.silence(now) {
        word("", &format!("NO ANSWER {}", units::brief_span(silence)), theme.alarm)
    } else if app.picture().status().draining {
        word("", "DRAINING", theme.banner)
    } else if app.picture().is_seen() {
        word(&format!("{} ", glyphs.live), "LIVE", theme.good)
    } else {
        word("", "CONNECTING", theme.dim)
    };
    if app.picture().status().paused {
        spans.insert(0, span(" NOT ACCEPTING", theme.warn));
    }
    if app.access == Access::ReadOnly {
        spans.insert(0, span(" read-only", theme.accent));
    }
    spans
}

/// Says loudly that the picture stands still.
pub(super) fn draw_banner(buffer: &mut Buffer, area: Rect, app: &App, now: Now) {
    let Some(at) = app.frozen_at().filter(|_| !area.is_empty()) else { return };
    let ago = units::brief_span(now.moment.since(at.moment));
    let key = app.keymap.key(Action::Pause).unwrap_or_default();
    let time = units::time_of_day(at);
    let texts = [
        format!(
            " PAUSED at {time}, {ago} ago: the picture stands still, verbs act on what is now. {key} goes on."
        ),
        format!(" PAUSED {ago} ago: frozen picture, live verbs; {key} goes on"),
    ];
    let fits = |text: &&String| crate::dash::measure::width(text) <= usize::from(area.width);
    let text = texts.iter().find(fits).unwrap_or(&texts[1]);
    paint::clear(buffer, area, app.theme.banner);
    paint::line(buffer, area, 0, &[span(text.clone(), app.theme.banner)], app);
}
