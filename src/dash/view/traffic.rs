//! The server's traffic: a line, a block with sparklines, or the view of charts.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::paint::{self, Spans, span};
use crate::dash::app::App;
use crate::dash::layout::{below, inset};
use crate::dash::model::history::Sample;
use crate::dash::style::Theme;
use crate::dash::table::columns::COMPACT_BELOW;
use crate::model::snapshot::{AcceptQueue, Status};
use crate::{count, time};

/// Cells before a sparkline.
const LABEL: u16 = 5;
/// Rows of figures below the sparklines.
const FIGURES: u16 = 4;

/// Draws the traffic as a line or a block, depending on the area's height.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, app: &App) {
    match area.height {
        0 => {}
        1 => paint::line(buffer, area, 0, &one_line(app, area.width), app),
        _ => draw_block(buffer, area, app),
    }
}

fn draw_block(buffer: &mut Buffer, area: Rect, app: &App) {
    let glyphs = app.glyphs;
    let inner = inset(below(area, 1), 2, 0);
    let seconds = usize::from(inner.width.saturating_sub(LABEL));
    let input_rate = app.model().history.newest(seconds, |sample| sample.bytes_in);
    let output_rate = app.model().history.newest(seconds, |sample| sample.bytes_out);
    let rate =
        |values: &[Option<u64>]| count::short(values.iter().flatten().copied().max().unwrap_or(0), app.raw);
    let title = vec![
        span("Traffic", app.theme.title),
        span(
            format!(" {seconds} s  peak in {}/s out {}/s", rate(&input_rate), rate(&output_rate)),
            app.theme.dim,
        ),
    ];
    paint::rule(buffer, area, &title, &[], app);
    paint::wall(buffer, area, if app.regions().is_side { glyphs.branch } else { glyphs.tee }, app);
    let each = (inner.height.saturating_sub(FIGURES) / 2).max(1);
    let first = Rect { height: each.min(inner.height), ..inner };
    draw_spark(buffer, first, app, ("in", &input_rate, app.theme.input_rate));
    let rest = below(inner, each);
    let second = Rect { height: each.min(rest.height), ..rest };
    draw_spark(buffer, second, app, ("out", &output_rate, app.theme.output_rate));
    let figures_area = below(rest, each);
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
    draw_columns(buffer, inset(area, LABEL, 0), app, values, style);
}

/// Draws one column for each value, the newest at the right; the highest one fills the height. A gap has its own sign.
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

/// Figures, and sparklines if there is room.
fn one_line(app: &App, width: u16) -> Spans {
    let short = |count| count::short(count, app.raw);
    let outbox = short(app.model().status().outbox_bytes);
    let mut rest = vec![
        span("  outbox ", app.theme.dim),
        span(outbox, app.theme.text),
        span("  Send-Q ", app.theme.dim),
        span(short(app.model().send_q()), app.theme.text),
    ];
    if width >= 60 {
        rest.push(span("  frame ", app.theme.dim));
        rest.push(span(time::brief_micros(app.frame_us, app.glyphs.micro), app.theme.text));
    }
    let seconds = usize::from(width).saturating_sub(paint::width(&rest) + 10) / 2;
    let mut spans = spark(app, " in ", |sample| sample.bytes_in, app.theme.input_rate, seconds);
    spans.extend(spark(app, "  out ", |sample| sample.bytes_out, app.theme.output_rate, seconds));
    spans.extend(rest);
    spans
}

fn spark(app: &App, label: &str, of: fn(&Sample) -> u64, style: Style, seconds: usize) -> Spans {
    let values = app.model().history.newest(seconds, of);
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
    let (status, history) = (app.model().status(), &app.model().history);
    let size = |count| count::bytes(count, app.raw);
    let tenths = |milli: u64| format!("{}.{}/s", milli / 1_000, milli / 100 % 10);
    let micros = |us| time::brief_micros(us, app.glyphs.micro);
    let fullest = app.model().fullest();
    let fullest = fullest.map_or_else(|| "-".to_owned(), |(id, bytes)| format!("{id} {}", size(bytes)));
    let resets = status.closed.iter().filter(|(word, _)| word.starts_with("reset"));
    let resets = resets.fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
    let queue = fullest_accept_queue(status).filter(|queue| queue.length > 0);
    let unparsed = Some(status.inbox_bytes).filter(|bytes| *bytes > 0);
    // Figures that are usually 0 are shown only when they are not.
    let pairs = [
        ("outbox", Some(size(status.outbox_bytes))),
        ("fullest", Some(fullest)),
        ("Send-Q", Some(size(app.model().send_q()))),
        ("unparsed", unparsed.map(size)),
        ("accept", Some(tenths(history.recent(|sample| sample.accepted_milli)))),
        ("close", Some(tenths(history.recent(|sample| sample.closed_milli)))),
        ("queue", queue.map(accept_queue)),
        ("skipped", Some(count::grouped(status.lines_skipped))),
        ("resets", Some(count::grouped(resets))),
        ("turn p50", Some(micros(status.turns.p50_us))),
        ("p99", Some(micros(status.turns.p99_us))),
        ("frame", Some(micros(app.frame_us))),
        ("fds", status.fds.map(|open| descriptors(open, status.fds_limit))),
        ("rss", status.rss_bytes.map(size)),
        ("refused", Some(count::grouped(status.refused))),
        ("rooms", Some(count::grouped(u64::from(status.rooms)))),
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

/// Cells for the figures at the side of a chart.
const AXIS: u16 = 7;
/// The fewest rows of a chart with its title.
const ROWS_MIN: u16 = 3;

struct Chart {
    title: &'static str,
    of: fn(&Sample) -> u64,
    /// Formats a value.
    text: fn(u64, &App) -> String,
    style: fn(&Theme) -> Style,
}

const fn chart(
    title: &'static str,
    of: fn(&Sample) -> u64,
    text: fn(u64, &App) -> String,
    style: fn(&Theme) -> Style,
) -> Chart {
    Chart { title, of, text, style }
}

/// The charts; the last ones are dropped first when there is no room for all.
static CHARTS: [Chart; 7] = [
    chart("in, bytes/s", |sample| sample.bytes_in, bytes, |theme| theme.input_rate),
    chart("out, bytes/s", |sample| sample.bytes_out, bytes, |theme| theme.output_rate),
    chart("deliveries, lines/s", |sample| sample.deliveries, count, |theme| theme.text),
    chart("turn time, p99", |sample| sample.turn_p99_us, micros, |theme| theme.text),
    chart("late, most", |sample| sample.late_us, late, |theme| theme.alarm),
    chart("outboxes, bytes", |sample| sample.outbox, bytes, |theme| theme.warn),
    chart("Send-Qs, bytes", |sample| sample.send_q, bytes, |theme| theme.warn),
];

fn bytes(value: u64, app: &App) -> String {
    count::bytes(value, app.raw)
}

fn count(value: u64, app: &App) -> String {
    count::short(value, app.raw)
}

fn micros(value: u64, app: &App) -> String {
    time::brief_micros(u32::try_from(value).unwrap_or(u32::MAX), app.glyphs.micro)
}

/// How late a turn began: microseconds for a busy loop, seconds for a loop that did not run.
fn late(value: u64, app: &App) -> String {
    if value < 1_000_000 { micros(value, app) } else { time::long_span(Duration::from_micros(value)) }
}

/// Draws as many charts as there is room for, in two columns where that is wide enough.
pub(super) fn draw_charts(buffer: &mut Buffer, area: Rect, app: &App) {
    if area.is_empty() {
        return;
    }
    let columns = if area.width >= COMPACT_BELOW { 2 } else { 1 };
    let wanted = u16::try_from(CHARTS.len()).unwrap_or(u16::MAX).div_ceil(columns);
    let rows = wanted.min(area.height / ROWS_MIN).max(1);
    let (height, higher) = (area.height / rows, area.height % rows);
    let width = area.width / columns;
    for (at, chart) in (0..rows * columns).zip(&CHARTS) {
        let (column, row) = (at % columns, at / columns);
        let cell = Rect {
            x: area.x + column * width,
            y: area.y + row * height + row.min(higher),
            width: width.saturating_sub(u16::from(column + 1 < columns)),
            height: height + u16::from(row < higher),
        };
        draw_chart(buffer, cell, app, chart);
    }
}

fn draw_chart(buffer: &mut Buffer, area: Rect, app: &App, chart: &Chart) {
    let text = |value| (chart.text)(value, app);
    let plot = inset(below(area, 1), AXIS + 1, 0);
    let values = app.model().history.newest(usize::from(plot.width), chart.of);
    let peak = values.iter().flatten().copied().max().unwrap_or(0);
    let now = values.last().copied().flatten().unwrap_or(0);
    let title = [
        span(chart.title, app.theme.title),
        span(format!("  now {}  peak {}", text(now), text(peak)), app.theme.dim),
    ];
    let seconds = [span(format!("{} s", plot.width), app.theme.dim)];
    paint::rule(buffer, area, &title, &seconds, app);
    let axis = Rect { width: AXIS.min(area.width), ..below(area, 1) };
    if axis.height > 1 {
        draw_axis(buffer, axis, 0, &text(peak), app);
    }
    if axis.height > 0 {
        draw_axis(buffer, axis, axis.height - 1, "0", app);
    }
    draw_columns(buffer, plot, app, &values, (chart.style)(&app.theme));
}

fn draw_axis(buffer: &mut Buffer, area: Rect, row: u16, text: &str, app: &App) {
    let text = crate::dash::measure::right(text, usize::from(area.width), app.glyphs.ellipsis);
    paint::line(buffer, area, row, &[span(text, app.theme.dim)], app);
}
