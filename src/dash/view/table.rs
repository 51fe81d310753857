//! The table of clients. Only the rows in sight are built.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::header::bare_address;
use super::paint::{self, span};
use crate::dash::App;
use crate::dash::action::Action;
use crate::dash::app::Mode;
use crate::dash::cells::{self, Concern};
use crate::dash::columns::{self, Column, Placed};
use crate::dash::measure;
use crate::dash::theme::Theme;
use crate::model::snapshot::{ConnId, Phase, Row};

/// Draws the head and the rows in sight.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, app: &App) {
    if area.is_empty() {
        return;
    }
    let placed = columns::place(area.width, app.table.wants, app.raw);
    draw_head(buffer, area, app, &placed);
    let rows = paint::below(area, 1);
    if app.table.len() == 0 {
        return draw_nobody(buffer, rows, app);
    }
    for (row, position) in (0..rows.height).zip(app.table.window(usize::from(rows.height))) {
        if let Some(index) = app.table.index_at(position) {
            draw_row(buffer, Rect { y: rows.y + row, height: 1, ..rows }, app, &placed, index);
        }
    }
}

fn draw_head(buffer: &mut Buffer, area: Rect, app: &App, placed: &[Placed]) {
    for placed in placed {
        let is_sorted = match placed.column {
            Column::Address => app.table.sort.column == Column::Peer,
            Column::RxTx => matches!(app.table.sort.column, Column::Rx | Column::Tx),
            column => app.table.sort.column == column,
        };
        let style = if is_sorted { app.theme.accent } else { app.theme.dim };
        let text = aligned(*placed, placed.column.title(), app);
        draw_cell(buffer, area, *placed, &[span(text, style)], app);
    }
}

fn draw_row(buffer: &mut Buffer, area: Rect, app: &App, placed: &[Placed], index: usize) {
    let picture = app.picture();
    let row = &picture.rows()[index];
    let is_selected = app.table.selected() == Some(row.id);
    let base = row_style(row, &app.theme);
    for placed in placed {
        let text = cells::cell(*placed, picture, index, app.raw, app.glyphs);
        let spans = match placed.column {
            Column::Id => vec![id(*placed, row.id, &text, app)],
            Column::Load => load(*placed, index, base, app),
            column => {
                let style = cell_style(column, row, base, &app.theme);
                vec![span(aligned(*placed, &text, app), style)]
            }
        };
        draw_cell(buffer, area, *placed, &spans, app);
    }
    if is_selected {
        buffer.set_style(area, app.theme.selected);
    }
}

fn draw_cell(buffer: &mut Buffer, area: Rect, placed: Placed, spans: &[Span<'_>], app: &App) {
    let cell = Rect { x: area.x + placed.x, width: placed.width, height: 1, ..area };
    paint::line(buffer, cell, 0, spans, app);
}

fn aligned(placed: Placed, text: &str, app: &App) -> String {
    let cells = usize::from(placed.width);
    if placed.column.is_right() {
        measure::right(text, cells, app.glyphs.ellipsis)
    } else {
        measure::left(text, cells, app.glyphs.ellipsis)
    }
}

/// The signs of a row and its id: `>` selected, `*` marked, `x` gone.
fn id(placed: Placed, id: ConnId, text: &str, app: &App) -> Span<'static> {
    let is_selected = app.table.selected() == Some(id);
    let is_gone = app.picture().row(id).is_some_and(|row| row.state == Phase::Gone);
    let selected = if is_selected { '>' } else { ' ' };
    let marked = if app.table.marks().contains(&id) {
        '*'
    } else if is_gone {
        'x'
    } else {
        ' '
    };
    let digits = usize::from(placed.width).saturating_sub(2);
    let style = if is_selected || marked == '*' { app.theme.accent } else { app.theme.text };
    span(format!("{selected}{marked}{}", measure::right(text, digits, app.glyphs.ellipsis)), style)
}

/// The bar of a row, its colour by how full it is.
fn load(placed: Placed, index: usize, base: Style, app: &App) -> Vec<Span<'static>> {
    let picture = app.picture();
    let thousandths = picture.load(&picture.rows()[index]);
    let (filled, empty) = app.glyphs.bar_parts(thousandths, usize::from(placed.width));
    let style = match thousandths {
        0..250 => base,
        250..750 => app.theme.warn,
        _ => app.theme.alarm,
    };
    vec![span(filled, style), span(empty, app.theme.dim)]
}

fn row_style(row: &Row, theme: &Theme) -> Style {
    if row.state == Phase::Gone { theme.dim } else { theme.text }
}

fn cell_style(column: Column, row: &Row, base: Style, theme: &Theme) -> Style {
    match column {
        Column::State if !matches!(row.state, Phase::Open | Phase::Gone) => theme.accent,
        Column::Flags => match Concern::of(row) {
            Concern::Alarm => theme.alarm,
            Concern::Warn => theme.warn,
            Concern::Changed => theme.accent,
            Concern::None | Concern::Past => theme.dim,
        },
        Column::Idle | Column::Peer | Column::Address => theme.dim,
        _ => base,
    }
}

/// Says why the table is empty, and what to do about it.
fn draw_nobody(buffer: &mut Buffer, area: Rect, app: &App) {
    let text = if !app.picture().is_seen() {
        "waiting for the first picture of the server".to_owned()
    } else if app.picture().rows().is_empty() {
        invitation(app)
    } else {
        no_match(app)
    };
    let row = area.height / 3;
    let area = paint::inset(area, 3, 1);
    for (at, line) in (0..).zip(measure::wrap(&text, usize::from(area.width))) {
        paint::line(buffer, area, row + at, &[span(line, app.theme.text)], app);
    }
}

/// That the filter lets nobody through, and what the key of the footer does about it.
fn no_match(app: &App) -> String {
    let told = format!("no row matches the filter {}", app.filter_text());
    match &app.mode {
        Mode::Filter(line) if line.before.is_empty() => format!("{told}; Esc takes it away"),
        Mode::Filter(line) => format!("{told}; Esc brings back {}", line.before),
        _ => match app.keymap.key(Action::Back) {
            Some(key) => format!("{told}; {key} takes it away"),
            None => told,
        },
    }
}

/// How the first client gets in.
fn invitation(app: &App) -> String {
    let listeners = &app.picture().status().listeners;
    let how = listeners.first().map(|listener| connect_line(bare_address(listener)));
    match how {
        Some(how) => format!("nobody is connected yet: {how}"),
        None => "nobody is connected yet, and nobody can: there is no listener".to_owned(),
    }
}

/// The command that connects to a listener; every address that a wildcard stands for is reached at loopback.
fn connect_line(address: &str) -> String {
    if let Some(path) = address.strip_prefix("unix:") {
        return format!("nc -U {path}");
    }
    match address.parse::<std::net::SocketAddr>() {
        Ok(address) => {
            let host = match address.ip() {
                std::net::IpAddr::V4(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
                std::net::IpAddr::V6(ip) if ip.is_unspecified() => "::1".to_owned(),
                ip => ip.to_string(),
            };
            format!("nc {host} {}", address.port())
        }
        Err(_) => format!("nc {address}"),
    }
}
