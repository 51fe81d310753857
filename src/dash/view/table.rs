//! The table of clients. Only visible rows are built.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::header::bare_address;
use super::paint::{self, span};
use crate::dash::app::{App, Mode};
use crate::dash::keys::Action;
use crate::dash::layout::{below, inset};
use crate::dash::measure;
use crate::dash::model::{Model, idle, send_q};
use crate::dash::style::{Glyphs, Theme};
use crate::dash::table::columns::{self, Column, Placed};
use crate::model::snapshot::{ConnId, Flags, Peer, Phase, Row};
use crate::{count, time};

/// Draws the head and the rows in sight.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, app: &App) {
    if area.is_empty() {
        return;
    }
    let placed = columns::place(area.width, app.table.wants, app.raw);
    draw_head(buffer, area, app, &placed);
    let rows = below(area, 1);
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
    let model = app.model();
    let row = &model.rows()[index];
    let is_selected = app.table.selected() == Some(row.id);
    let base = row_style(row, &app.theme);
    for placed in placed {
        let text = cell(*placed, model, index, app.raw, app.glyphs);
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
    let is_gone = app.model().row(id).is_some_and(|row| row.state == Phase::Gone);
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

/// The load bar of a row, coloured by its length.
fn load(placed: Placed, index: usize, base: Style, app: &App) -> Vec<Span<'static>> {
    let model = app.model();
    let thousandths = model.load(&model.rows()[index]);
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

/// Says why the table is empty and what to do.
fn draw_nobody(buffer: &mut Buffer, area: Rect, app: &App) {
    let text = if !app.model().has_snapshot() {
        "waiting for the first snapshot of the server".to_owned()
    } else if app.model().rows().is_empty() {
        invitation(app)
    } else {
        no_match(app)
    };
    let row = area.height / 3;
    let area = inset(area, 3, 1);
    for (at, line) in (0..).zip(measure::wrap(&text, usize::from(area.width))) {
        paint::line(buffer, area, row + at, &[span(line, app.theme.text)], app);
    }
}

/// The message for a filter without a match, with the key that removes the filter.
fn no_match(app: &App) -> String {
    let message = format!("no row matches the filter {}", app.filter_text());
    match &app.mode {
        Mode::Filter(line) if line.before.is_empty() => format!("{message}; Esc removes it"),
        Mode::Filter(line) => format!("{message}; Esc restores {}", line.before),
        _ => match app.keymap.key(Action::Back) {
            Some(key) => format!("{message}; {key} removes it"),
            None => message,
        },
    }
}

/// How the first client can connect.
fn invitation(app: &App) -> String {
    let listeners = &app.model().status().listeners;
    let how = listeners.first().map(|listener| connect_line(bare_address(listener)));
    match how {
        Some(how) => format!("nobody is connected yet: {how}"),
        None => "nobody is connected yet, and nobody can: there is no listener".to_owned(),
    }
}

/// The command that connects to a listener; a wildcard address is replaced by loopback.
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

/// The text of a cell, not padded and not wider than the column.
pub(crate) fn cell(placed: Placed, model: &Model, index: usize, raw: bool, glyphs: &Glyphs) -> String {
    let row = &model.rows()[index];
    let rate = model.rate(index);
    let cells = usize::from(placed.width);
    let number = |count| number(count, cells, raw);
    match placed.column {
        Column::Id => row.id.get().to_string(),
        Column::Nick => row.nick.map_or_else(|| "-".to_owned(), |nick| nick.to_string()),
        Column::Peer => peer(row.peer, cells, glyphs),
        Column::Address => address(row.peer, cells, glyphs),
        Column::State => format!("{} {}", row.state.arrow(), row.state),
        Column::RecvQ => row.kernel.map_or_else(|| "-".to_owned(), |kernel| number(u64::from(kernel.recv_q))),
        Column::Outbox => number(row.outbox_bytes),
        Column::SendQ => number(send_q(row)),
        Column::Load => glyphs.bar(model.load(row), cells),
        Column::Rx => number(rate.rx()),
        Column::Tx => number(rate.ack()),
        Column::RxTx => format!("{}/{}", count::short(rate.rx(), false), count::short(rate.ack(), false)),
        Column::Idle => idle(row, model.taken().moment).map_or_else(|| "-".to_owned(), time::brief_span),
        Column::Flags => flags(row, cells, glyphs),
    }
}

/// A number of bytes, raw only where all its digits fit.
fn number(count: u64, cells: usize, raw: bool) -> String {
    let text = count::bytes(count, raw);
    if text.len() <= cells { text } else { count::bytes(count, false) }
}

/// The peer with its port if that fits, else without.
fn peer(peer: Peer, cells: usize, glyphs: &Glyphs) -> String {
    let whole = peer.to_string();
    if whole.len() <= cells { whole } else { address(peer, cells, glyphs) }
}

fn address(peer: Peer, cells: usize, glyphs: &Glyphs) -> String {
    let whole = match peer {
        Peer::Tcp(address) => address.ip().to_string(),
        Peer::Unix => peer.to_string(),
    };
    measure::fit(&whole, cells, glyphs.ellipsis)
}

/// The flags of a row, the most urgent first; `+` for those that do not fit. A row that is closing has its reason
/// instead.
fn flags(row: &Row, cells: usize, glyphs: &Glyphs) -> String {
    if let (Some(reason), Phase::Gone | Phase::Draining) = (&row.reason, row.state) {
        return measure::fit(reason.word(), cells, glyphs.ellipsis);
    }
    let mut text = String::new();
    for word in row.flags.words() {
        let joined = text.len() + usize::from(!text.is_empty()) + word.len();
        if joined > cells {
            let room = text.len() < cells;
            text.push_str(if room { "+" } else { "" });
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

/// How urgent a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concern {
    /// The connection is gone.
    Past,
    /// Nothing.
    None,
    /// The operator has changed it.
    Changed,
    /// Slow, or held back.
    Warn,
    /// It takes nothing.
    Alarm,
}

impl Concern {
    /// The concern about a row.
    pub(crate) fn of(row: &Row) -> Self {
        if row.state == Phase::Gone {
            Self::Past
        } else if row.flags.has(Flags::STALLED) {
            Self::Alarm
        } else if row.flags.has(Flags::SLOW) || row.flags.has(Flags::FLOW) {
            Self::Warn
        } else if row.flags.has(Flags::OP) || row.flags.has(Flags::MUTED) {
            Self::Changed
        } else {
            Self::None
        }
    }
}
