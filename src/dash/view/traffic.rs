//! The server's traffic in short: a line, or a block with sparklines.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::paint::{self, Spans, span};
use crate::dash::App;
use crate::dash::history::Sample;
use crate::dash::units;
use crate::model::snapshot::{AcceptQueue, Status};

/// Cells before a sparkline.
const LABEL: u16 = 5;
/// Rows of figures below the sparklines.
const FIGURES: u16 = 4;

/// Draws the traffic in the shape that the area's size asks for.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, app: &App) {
    match area.height {
        0 => {}
        1 => paint::line(buffer, area, 0, &one_line(app, area.width), app),
        _ => draw_block(buffer, area, app),
    }
}

fn draw_block(buffer: &mut Buffer, area: Rect, app: &App) {
    let glyphs = app.glyphs;
    let inner = paint::inset(paint::below(area, 1), 2, 0);
    let seconds = usize::from(inner.width.saturating_sub(LABEL));
    let inward = app.picture().history.newest(seconds, |sample| sample.bytes_in);
    let outward = app.picture().history.newest(seconds, |sample| sample.bytes_out);
    let rate =
        |values: &[Option<u64>]| units::short(values.iter().flatten().copied().max().unwrap_or(0), app.raw);
    let title = vec![
        span("Traffic", app.theme.title),
        span(format!(" {seconds} s  peak in {}/s out {}/s", rate(&inward), rate(&outward)), app.theme.dim),
    ];
    paint::rule(buffer, area, &title, &[], app);
    paint::wall(buffer, area, if app.regions().is_side { glyphs.branch } else { glyphs.tee }, app);
    let each = (inner.height.saturating_sub(FIGURES) / 2).max(1);
    let first = Rect { height: each.min(inner.height), ..inner };
    draw_spark(buffer, first, app, ("in", &inward, app.theme.inward));
    let rest = paint::below(inner, each);
    let second = Rect { height: each.min(rest.height), ..rest };
    draw_spark(buffer, second, app, ("out", &outward, app.theme.outward));
    let figures_area = paint::below(rest, each);
    let lines = paint::flow(&figures(app), 2, usize::from(figures_area.width));
    for (row, spans) in (0..figures_area.height).zip(lines) {
        paint::line(buffer, figures_area, row, &spans, app);
    }
}

fn draw_spark(
    buffer: &mut Buffer,
    area: Rect,
    app: &App,
    (label, values, style): (&str, &[Option<u64>], Style),
) {
    paint::line(buffer, area, area.height.saturating_sub(1), &[span(label.to_owned(), app.theme.dim)], app);
    draw_columns(buffer, paint::inset(area, LABEL, 0), app, values, style);
}

/// Draws a value a column, the newest at the right; the highest of them fills the height. A gap has a mark of its own.
pub(super) fn draw_columns(buffer: &mut Buffer, area: Rect, app: &App, values: &[Option<u64>], style: Style) {
    let top = values.iter().flatten().copied().max().unwrap_or(0);
    let shown = &values[values.len().saturating_sub(usize::from(area.width))..];
    let first = area.right() - u16::try_from(shown.len()).unwrap_or(area.width);
    for (x, value) in (first..).zip(shown) {
        let Some(value) = value else {
            for y in area.top()..area.bottom() {
                buffer.set_stringn(x, y, app.glyphs.gap, 1, app.theme.dim);
            }
            continue;
        };
        let column = app.glyphs.column(*value, top, usize::from(area.height));
        for (y, sign) in (area.y..).zip(column) {
            buffer.set_stringn(x, y, sign, 1, style);
        }
    }
}

/// One line that says how it goes: figures, and sparklines where there is room for them.
fn one_line(app: &App, width: u16) -> Spans {
    let short = |count| units::short(count, app.raw);
    let outbox = short(app.picture().status().outbox_bytes);
    let mut rest = vec![
        span("  outbox ", app.theme.dim),
        span(outbox, app.theme.text),
        span("  Send-Q ", app.theme.dim),
        span(short(app.picture().send_q()), app.theme.text),
    ];
    if width >= 60 {
        rest.push(span("  frame ", app.theme.dim));
        rest.push(span(units::micros(app.frame_us, app.glyphs.micro), app.theme.text));
    }
    let seconds = usize::from(width).saturating_sub(paint::width(&rest) + 10) / 2;
    let mut spans = spark(app, " in ", |sample| sample.bytes_in, app.theme.inward, seconds);
    spans.extend(spark(app, "  out ", |sample| sample.bytes_out, app.theme.outward, seconds));
    spans.extend(rest);
    spans
}

fn spark(app: &App, label: &str, of: fn(&Sample) -> u64, style: Style, seconds: usize) -> Spans {
    let values = app.picture().history.newest(seconds, of);
    let top = values.iter().flatten().copied().max().unwrap_or(0);
    let bar = |value: &Option<u64>| {
        value.map_or_else(|| vec![app.glyphs.gap], |value| app.glyphs.column(value, top, 1))
    };
    let bars: String = values.iter().flat_map(bar).collect();
    let missing = " ".repeat(seconds - values.len());
    vec![span(label.to_owned(), app.theme.dim), span(missing + &bars, style)]
}

/// The accept queue that is closest to its limit.
pub(super) fn fullest_accept_queue(status: &Status) -> Option<AcceptQueue> {
    let queues = status.accept_queues.iter().copied().flatten();
    queues.max_by_key(|queue| u64::from(queue.length) * 1_000 / u64::from(queue.limit.max(1)))
}

/// `3/1024`
pub(super) fn accept_queue(queue: AcceptQueue) -> String {
    format!("{}/{}", queue.length, queue.limit)
}

/// Figures of the server, each a label and a value.
fn figures(app: &App) -> Vec<Spans> {
    let (status, history) = (app.picture().status(), &app.picture().history);
    let size = |count| units::bytes(count, app.raw);
    let tenths = |milli: u64| format!("{}.{}/s", milli / 1_000, milli / 100 % 10);
    let micros = |us| units::micros(us, app.glyphs.micro);
    let fullest = app.picture().fullest();
    let fullest = fullest.map_or_else(|| "-".to_owned(), |(id, bytes)| format!("{id} {}", size(bytes)));
    let resets = status.closed.iter().filter(|(word, _)| word.starts_with("reset"));
    let resets = resets.fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
    let queue = fullest_accept_queue(status).filter(|queue| queue.length > 0);
    let unparsed = Some(status.inbox_bytes).filter(|bytes| *bytes > 0);
    // What is nothing most of the time is shown when it is something.
    let pairs = [
        ("outbox", Some(size(status.outbox_bytes))),
        ("fullest", Some(fullest)),
        ("Send-Q", Some(size(app.picture().send_q()))),
        ("unparsed", unparsed.map(size)),
        ("accept", Some(tenths(history.recent(|sample| sample.accepted_milli)))),
        ("close", Some(tenths(history.recent(|sample| sample.closed_milli)))),
        ("queue", queue.map(accept_queue)),
        ("skipped", Some(units::grouped(status.lines_skipped))),
        ("resets", Some(units::grouped(resets))),
        ("turn p50", Some(micros(status.turns.p50_us))),
        ("p99", Some(micros(status.turns.p99_us))),
        ("frame", Some(micros(app.frame_us))),
        ("fds", status.fds.map(|open| descriptors(open, status.fds_limit))),
        ("rss", status.rss_bytes.map(size)),
        ("refused", Some(units::grouped(status.refused))),
        ("rooms", Some(units::grouped(u64::from(status.rooms)))),
    ];
    let group = |(label, value): (&str, Option<String>)| {
        Some(vec![span(format!("{label} "), app.theme.dim), span(value?, app.theme.text)])
    };
    pairs.into_iter().filter_map(group).collect()
}

/// `47/1024`, or the first alone without a limit.
fn descriptors(open: u32, limit: Option<u32>) -> String {
    limit.map_or_else(|| open.to_string(), |limit| format!("{open}/{limit}"))
}
