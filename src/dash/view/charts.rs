//! The view of charts: what came in, what went out, what waits, and what a turn of the loop takes.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::paint::{self, span};
use super::traffic::draw_columns;
use crate::dash::App;
use crate::dash::columns::COMPACT_BELOW;
use crate::dash::history::Sample;
use crate::dash::theme::Theme;
use crate::dash::units;

/// Cells for the figures at the side of a chart.
const AXIS: u16 = 7;
/// The fewest rows of a chart with its title.
const ROWS_MIN: u16 = 3;

/// One chart.
struct Chart {
    title: &'static str,
    of: fn(&Sample) -> u64,
    /// Writes one of its values.
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

/// The charts in the order in which they go when there is no room for all.
static CHARTS: [Chart; 7] = [
    chart("in, bytes/s", |sample| sample.bytes_in, bytes, |theme| theme.inward),
    chart("out, bytes/s", |sample| sample.bytes_out, bytes, |theme| theme.outward),
    chart("deliveries, lines/s", |sample| sample.deliveries, count, |theme| theme.text),
    chart("turn time, p99", |sample| sample.turn_p99_us, micros, |theme| theme.text),
    chart("late, most", |sample| sample.late_us, late, |theme| theme.alarm),
    chart("outboxes, bytes", |sample| sample.outbox, bytes, |theme| theme.warn),
    chart("Send-Qs, bytes", |sample| sample.send_q, bytes, |theme| theme.warn),
];

fn bytes(value: u64, app: &App) -> String {
    units::bytes(value, app.raw)
}

fn count(value: u64, app: &App) -> String {
    units::short(value, app.raw)
}

fn micros(value: u64, app: &App) -> String {
    units::micros(u32::try_from(value).unwrap_or(u32::MAX), app.glyphs.micro)
}

/// How late a turn began: next to nothing in microseconds, a loop that did not run in seconds.
fn late(value: u64, app: &App) -> String {
    if value < 1_000_000 { micros(value, app) } else { units::span(Duration::from_micros(value)) }
}

/// Draws as many charts as there is room for, in two columns where that is wide enough.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, app: &App) {
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
    let plot = paint::inset(paint::below(area, 1), AXIS + 1, 0);
    let values = app.picture().history.newest(usize::from(plot.width), chart.of);
    let peak = values.iter().flatten().copied().max().unwrap_or(0);
    let now = values.last().copied().flatten().unwrap_or(0);
    let title = [
        span(chart.title, app.theme.title),
        span(format!("  now {}  peak {}", text(now), text(peak)), app.theme.dim),
    ];
    let seconds = [span(format!("{} s", plot.width), app.theme.dim)];
    paint::rule(buffer, area, &title, &seconds, app);
    let axis = Rect { width: AXIS.min(area.width), ..paint::below(area, 1) };
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
