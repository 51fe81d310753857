//! Writes text into cells: never outside an area, and never cut without a sign.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;
use ratatui::widgets::{Clear, Widget};

use crate::dash::app::App;
use crate::dash::layout::inset;
use crate::dash::measure;

/// Spans with a style each, as they are collected for a line.
pub(super) type Spans = Vec<Span<'static>>;

/// A piece of text in a style.
pub(super) fn span(text: impl Into<String>, style: Style) -> Span<'static> {
    Span::styled(text.into(), style)
}

/// Cells that the spans take.
pub(super) fn width(spans: &[Span<'_>]) -> usize {
    spans.iter().map(|span| measure::width(&span.content)).sum()
}

/// Writes a line into a row of an area; a sign marks a cut. Row 0 is the top of the area.
pub(super) fn line(buffer: &mut Buffer, area: Rect, row: u16, spans: &[Span<'_>], app: &App) {
    if row >= area.height || area.width == 0 {
        return;
    }
    let (mut x, y) = (area.x, area.y + row);
    let mut left = usize::from(area.width);
    let is_cut = width(spans) > left;
    for part in spans {
        let cells = measure::width(&part.content);
        if is_cut && cells >= left {
            let text = measure::cut(&part.content, left, app.glyphs.ellipsis);
            buffer.set_stringn(x, y, app.glyphs.text(&text), left, part.style);
            return;
        }
        let text = measure::fit(&part.content, left, app.glyphs.ellipsis);
        (x, _) = buffer.set_stringn(x, y, app.glyphs.text(&text), left, part.style);
        left -= cells;
    }
}

/// Puts groups of spans one after the other, `gap` cells apart, in lines of at most `cells` cells. A group is never
/// split.
pub(super) fn flow(groups: &[Spans], gap: usize, cells: usize) -> Vec<Spans> {
    let mut lines: Vec<Spans> = Vec::new();
    for group in groups {
        match lines.last_mut() {
            Some(line) if width(line) + gap + width(group) <= cells => {
                line.push(Span::raw(" ".repeat(gap)));
                line.extend(group.iter().cloned());
            }
            _ => lines.push(group.clone()),
        }
    }
    lines
}

/// Writes text at the left and at the right of a row; the right one is cut last.
pub(super) fn line_with_end(
    buffer: &mut Buffer,
    area: Rect,
    row: u16,
    (start, end): (&[Span<'_>], &[Span<'_>]),
    app: &App,
) {
    let end_cells = u16::try_from(width(end)).unwrap_or(u16::MAX).min(area.width);
    let start_area = Rect { width: area.width - end_cells, ..area };
    line(buffer, start_area, row, start, app);
    let end_area = Rect { x: area.x + start_area.width, width: end_cells, ..area };
    line(buffer, end_area, row, end, app);
}

/// Draws a rule in the top row of an area, with a title: `── title ───── end ──`. ratatui's
/// `Block` would cut a long title without a sign.
pub(super) fn rule(buffer: &mut Buffer, area: Rect, title: &[Span<'_>], end: &[Span<'_>], app: &App) {
    if area.is_empty() {
        return;
    }
    let dash = app.glyphs.rule;
    let row = Rect { height: 1, ..area };
    line(buffer, row, 0, &[span(dash.repeat(usize::from(area.width)), app.theme.dim)], app);
    let title_area = inset(row, 2, 2);
    let mut spaced = vec![span(" ", app.theme.dim)];
    spaced.extend(title.iter().cloned().map(|part| Span::styled(part.content.into_owned(), part.style)));
    spaced.push(span(" ", app.theme.dim));
    line(buffer, title_area, 0, &spaced, app);
    let end_cells = u16::try_from(width(end) + 2).unwrap_or(u16::MAX);
    let used = u16::try_from(width(&spaced)).unwrap_or(u16::MAX);
    if !end.is_empty() && used.saturating_add(end_cells) < title_area.width {
        let at = Rect { x: title_area.right() - end_cells, width: end_cells, ..title_area };
        line(buffer, at, 0, &[span(" ", app.theme.dim)], app);
        line(buffer, inset(at, 1, 0), 0, end, app);
        line(buffer, Rect { x: at.right() - 1, width: 1, ..at }, 0, &[span(" ", app.theme.dim)], app);
    }
}

/// Draws a wall down the left side of an area, the sign `top` at its head.
pub(super) fn wall(buffer: &mut Buffer, area: Rect, top: &'static str, app: &App) {
    for row in 0..area.height {
        let sign = if row == 0 { top } else { app.glyphs.wall };
        line(buffer, area, row, &[span(sign, app.theme.dim)], app);
    }
}

/// Clears the part of an area that is on the screen.
pub(super) fn clear(buffer: &mut Buffer, area: Rect, style: Style) {
    Clear.render(area, buffer);
    buffer.set_style(area, style);
}
