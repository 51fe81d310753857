//! The text of help: the keys in force, and what columns, states, filters and verbs mean.

use ratatui::layout::Rect;

use super::keys::{ACTIONS, Group, Keymap};
use super::layout::{below, inset};
use super::measure;
use super::table::columns::Column;
use super::table::filter;
use crate::model::snapshot::Phase;
use crate::model::verbs::VERBS;

/// Cells of a column of help.
const COLUMN: u16 = 48;
/// Cells for the term that is explained.
const TERM: usize = 14;

/// An entry of help, not yet wrapped.
enum Item {
    Heading(&'static str),
    Event(String, String),
    Space,
}

/// A line of help.
pub(crate) enum Line {
    /// The title of a group of entries.
    Heading(&'static str),
    /// A term that is too wide to have its meaning beside it.
    LongTerm(String),
    /// A term, padded, and a part of its meaning.
    Event(String, String),
    /// An empty line.
    Space,
}

/// All lines of help, wrapped for a screen.
pub(crate) struct Help {
    /// Everything but the header and the keys.
    pub(crate) area: Rect,
    inner: Rect,
    columns: u16,
    lines: Vec<Line>,
}

impl Help {
    /// Help on a screen of this size.
    pub(crate) fn new(keymap: &Keymap, (width, height): (u16, u16)) -> Self {
        let area = Rect::new(0, u16::from(height > 1), width, height.saturating_sub(2));
        let inner = inset(below(area, 1), 1, 0);
        let columns = (inner.width / COLUMN).max(1);
        let cells = usize::from((inner.width / columns).saturating_sub(u16::from(columns > 1)));
        let lines = items(keymap).into_iter().flat_map(|item| wrapped(item, cells)).collect();
        Self { area, inner, columns, lines }
    }

    /// The largest scroll position: the last line is in sight.
    pub(crate) fn scroll_max(&self) -> usize {
        let room = usize::from(self.columns) * usize::from(self.inner.height);
        self.lines.len().saturating_sub(room)
    }

    /// The columns from this scroll position: the area of each, and its lines.
    pub(crate) fn columns(&self, scroll: usize) -> impl Iterator<Item = (Rect, &[Line])> {
        let width = self.inner.width / self.columns;
        let rows = usize::from(self.inner.height);
        (0..self.columns).map(move |column| {
            let area = Rect {
                x: self.inner.x + column * width,
                width: width.saturating_sub(u16::from(self.columns > 1)),
                ..self.inner
            };
            let from = (scroll + usize::from(column) * rows).min(self.lines.len());
            (area, &self.lines[from..(from + rows).min(self.lines.len())])
        })
    }
}

/// An entry in lines of this many cells.
fn wrapped(item: Item, cells: usize) -> Vec<Line> {
    let (term, meaning) = match item {
        Item::Space => return vec![Line::Space],
        Item::Heading(title) => return vec![Line::Heading(title)],
        Item::Event(term, meaning) => (term, meaning),
    };
    let is_long = measure::width(&term) > TERM;
    let mut head = if is_long { String::new() } else { term.clone() };
    let mut lines: Vec<Line> = is_long.then_some(Line::LongTerm(term)).into_iter().collect();
    for text in measure::wrap(&meaning, cells.saturating_sub(TERM + 2).max(1)) {
        lines.push(Line::Event(measure::left(&std::mem::take(&mut head), TERM, ""), text));
    }
    lines
}

fn items(keymap: &Keymap) -> Vec<Item> {
    let mut items = Vec::new();
    for group in Group::ALL {
        items.push(Item::Heading(group.title()));
        items.extend(bindings(keymap, group));
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

fn bindings(keymap: &Keymap, group: Group) -> impl Iterator<Item = Item> {
    ACTIONS.iter().filter(move |spec| spec.group == group).map(move |spec| {
        let keys: Vec<String> = keymap.keys(spec.action).map(|key| key.to_string()).collect();
        let keys = if keys.is_empty() { "(no key)".to_owned() } else { keys.join(" ") };
        Item::Event(keys, spec.help.to_owned())
    })
}

/// The meaning of a state.
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
