//! Help: the keys in force, and what columns, states and filters mean.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::paint::{self, Spans, span};
use crate::dash::App;
use crate::dash::action::{ACTIONS, Group};
use crate::dash::columns::Column;
use crate::dash::filter;
use crate::dash::measure;
use crate::model::snapshot::Phase;
use crate::model::verbs::VERBS;

/// Cells of a column of help.
const COLUMN: u16 = 48;
/// Cells for the term that is explained.
const TERM: usize = 14;

/// A line of help: a heading, or a term and what it means.
enum Item {
    Heading(&'static str),
    Event(String, String),
    Space,
}

/// Draws help over everything but the header and the keys.
pub(super) fn draw(buffer: &mut Buffer, app: &App, scroll: usize) {
    let area = area(app);
    paint::clear(buffer, area, app.theme.text);
    paint::rule(buffer, area, &[span("Help", app.theme.title)], &[], app);
    let inner = paint::inset(paint::below(area, 1), 1, 0);
    if inner.is_empty() {
        return;
    }
    let lines = lines(app, inner.width);
    let columns = columns(inner);
    for column in 0..columns {
        let cell = column_area(inner, column, columns);
        let from = scroll + usize::from(column) * usize::from(inner.height);
        for (row, spans) in (0..inner.height).zip(lines.iter().skip(from)) {
            paint::line(buffer, cell, row, spans, app);
        }
    }
}

/// How far help can be scrolled until its last line is in sight.
pub(crate) fn scroll_max(app: &App) -> usize {
    let inner = paint::below(area(app), 1);
    let inner = paint::inset(inner, 1, 0);
    let room = usize::from(columns(inner)) * usize::from(inner.height);
    lines(app, inner.width).len().saturating_sub(room)
}

fn area(app: &App) -> Rect {
    let (width, height) = app.size();
    Rect::new(0, u16::from(height > 1), width, height.saturating_sub(2))
}

fn columns(inner: Rect) -> u16 {
    (inner.width / COLUMN).max(1)
}

fn column_area(inner: Rect, column: u16, columns: u16) -> Rect {
    let width = inner.width / columns;
    Rect { x: inner.x + column * width, width: width.saturating_sub(u16::from(columns > 1)), ..inner }
}

/// All lines, wrapped for a column.
fn lines(app: &App, width: u16) -> Vec<Spans> {
    let columns = (width / COLUMN).max(1);
    let cells = usize::from((width / columns).saturating_sub(u16::from(columns > 1)));
    let mut lines = Vec::new();
    for item in items(app) {
        match item {
            Item::Space => lines.push(Vec::new()),
            Item::Heading(title) => lines.push(vec![span(title, app.theme.title)]),
            Item::Event(term, meaning) => lines.extend(entry(app, &term, &meaning, cells)),
        }
    }
    lines
}

/// A term and its meaning; a long term has a line of its own.
fn entry(app: &App, term: &str, meaning: &str, cells: usize) -> Vec<Spans> {
    let mut lines: Vec<Spans> = Vec::new();
    let mut term = term;
    if measure::width(term) > TERM {
        lines.push(vec![span(format!(" {term}"), app.theme.accent)]);
        term = "";
    }
    for text in measure::wrap(meaning, cells.saturating_sub(TERM + 2).max(1)) {
        let head = measure::left(term, TERM, app.glyphs.ellipsis);
        lines.push(vec![span(format!(" {head} "), app.theme.accent), span(text, app.theme.text)]);
        term = "";
    }
    lines
}

fn items(app: &App) -> Vec<Item> {
    let mut items = Vec::new();
    for group in Group::ALL {
        items.push(Item::Heading(group.title()));
        items.extend(bindings(app, group));
        items.push(Item::Space);
    }
    let entry = |(term, meaning): (&str, &str)| Item::Event(term.to_owned(), meaning.to_owned());
    items.push(Item::Heading("Columns"));
    items.extend(Column::SORTABLE.map(|column| entry((column.title(), column.meaning()))));
    items.push(entry((Column::Flags.title(), Column::Flags.meaning())));
    items.push(entry(("+", "behind a flag: there are more than fit; the detail has them all")));
    items.push(entry(("-", "no name yet, or not known")));
    items.push(entry(("> * x", "selected; marked; gone")));
    items.push(Item::Space);
    items.push(Item::Heading("States"));
    items.extend(
        Phase::ALL.map(|phase| Item::Event(format!("{} {phase}", phase.arrow()), state(phase).to_owned())),
    );
    items.push(Item::Space);
    items.push(Item::Heading("Filter"));
    items.extend(filter::HELP.map(entry));
    items.push(Item::Space);
    items.push(Item::Heading("Verbs"));
    items.extend(VERBS.map(|(verb, arguments, meaning)| {
        Item::Event(format!("{verb} {arguments}").trim_end().to_owned(), meaning.to_owned())
    }));
    items
}

fn bindings(app: &App, group: Group) -> impl Iterator<Item = Item> {
    ACTIONS.iter().filter(move |spec| spec.group == group).map(|spec| {
        let keys: Vec<String> = app.keymap.keys(spec.action).map(|key| key.to_string()).collect();
        let keys = if keys.is_empty() { "(no key)".to_owned() } else { keys.join(" ") };
        Item::Event(keys, spec.help.to_owned())
    })
}

const fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::Waiting => "over the rate of its address; let in later",
        Phase::Open => "both directions carry",
        Phase::Eof => "the client sent FIN; we may still send",
        Phase::RdShut => "we discard what it sends; we may still send",
        Phase::WrShut => "we sent FIN; it may still send",
        Phase::Draining => "it is over: a last flush, waiting for its end",
        Phase::Gone => "closed; the row stays for a few seconds",
    }
}
