//! What is shown, and how: rows, pages and views; filter, sort, freeze, follow, units, colours, copies.

use super::{App, Effect, FilterLine, Frozen, Mode, Shown};
use crate::dash::export;
use crate::dash::layout::View;
use crate::dash::line::TextInput;
use crate::dash::table::Sort;
use crate::dash::table::columns::Column;
use crate::dash::table::filter::{Filter, FilterError};
use crate::time::Now;
use crate::{count, time};

/// Events copied at a time: terminals take about 70 KB.
const COPIED_EVENTS_MAX: usize = 500;

impl App {
    pub(super) fn open_filter(&mut self) {
        if self.view == View::Traffic {
            self.view = View::Clients;
        }
        let before = self.filter_text().to_owned();
        self.mode = Mode::Filter(FilterLine { input: TextInput::of(&before), error: None, before });
    }

    /// The typed filter of the open view.
    pub(crate) fn filter_text(&self) -> &str {
        if self.view == View::Events { &self.events_filter_text } else { &self.filter_text }
    }

    /// Applies a filter to the open view. An invalid filter changes nothing.
    pub(super) fn apply_filter(&mut self, text: &str) -> Result<(), FilterError> {
        if self.view == View::Events {
            self.events.filter = Filter::parse_for_events(text)?;
            text.trim().clone_into(&mut self.events_filter_text);
        } else {
            self.table.filter = Filter::parse(text)?;
            text.trim().clone_into(&mut self.filter_text);
        }
        self.stale = true;
        Ok(())
    }

    /// Applies an earlier filter again, or none.
    pub(super) fn set_filter(&mut self, text: &str, now: Now) {
        if let Err(error) = self.apply_filter(text) {
            self.notify(Err(error.to_string()), now);
        }
    }

    /// Sorts by the column whose title was clicked; a second click reverses the order.
    pub(super) fn sort_by_head(&mut self, column: Column) {
        let column = match column {
            Column::Address => Column::Peer,
            Column::RxTx => Column::Tx,
            column => column,
        };
        if !Column::SORTABLE.contains(&column) {
            return;
        }
        let again = self.table.sort.column == column;
        self.sort_by(if again { self.table.sort.reversed() } else { Sort::by(column) });
    }

    pub(super) fn sort_by(&mut self, sort: Sort) {
        self.table.sort = sort;
        self.stale = true;
    }

    pub(super) fn toggle_pause(&mut self, now: Now) {
        self.frozen = match self.frozen.take() {
            Some(_) => None,
            None => Some(Frozen { model: self.live.clone(), at: now }),
        };
        self.stale = true;
    }

    pub(super) fn toggle_follow(&mut self, now: Now) {
        self.events.toggle_follow();
        let message =
            if self.events.follows() { "following the newest event" } else { "no longer following" };
        self.notify(Ok(message.to_owned()), now);
    }

    pub(super) fn next_category(&mut self) {
        self.events.next_category();
        self.stale = true;
    }

    pub(super) fn toggle_raw(&mut self, now: Now) {
        self.raw = !self.raw;
        let message = if self.raw { "bytes with all their digits" } else { "bytes in K, M, G of 1,024" };
        self.notify(Ok(message.to_owned()), now);
    }

    pub(super) fn next_theme(&mut self, now: Now) {
        self.theme = self.theme.next(self.no_color);
        self.notify(Ok(format!("theme {}", self.theme.label())), now);
    }

    /// Copies the selected row or the visible events, formatted as in an export.
    pub(super) fn copy(&mut self, now: Now) {
        let model = self.model();
        let copied = match self.view {
            View::Clients => self.table.selected().and_then(|id| {
                let index = model.index(id)?;
                Some((format!("the row of {id}"), export::one_line(model, index)))
            }),
            View::Traffic | View::Events => {
                let rows = self.events.window(&model.log, COPIED_EVENTS_MAX).1;
                let lines: Vec<String> = rows.into_iter().map(export::event_line).collect();
                let count = u64::try_from(lines.len()).unwrap_or(u64::MAX);
                (!lines.is_empty()).then(|| (count::counted(count, "event", "events"), lines.join("\n")))
            }
        };
        match copied {
            Some((what, text)) => {
                self.effects.push(Effect::Copy { what, text });
            }
            None => self.notify(Err("nothing to copy".to_owned()), now),
        }
    }

    pub(super) fn open_export(&mut self, now: Now) {
        if self.table.len() == 0 {
            return self.notify(Err("no rows to write".to_owned()), now);
        }
        self.mode = Mode::Export(Shown::No);
    }

    /// Writes the shown rows, in their order.
    pub(super) fn export(&mut self, format: export::Format, now: Now) {
        let model = self.model();
        let rows = (0..self.table.len()).filter_map(|position| self.table.index_at(position));
        let contents = export::table(model, rows, format);
        let time = time::time_of_day(now).replace(':', "");
        let name = format!("chatops-clients-{time}.{}", format.extension());
        self.effects.push(Effect::SaveFile { name, contents });
    }
}

impl App {
    /// Moves by this number of rows of the open view.
    pub(super) fn move_by(&mut self, rows: isize) {
        match self.view {
            View::Clients => {
                let model = self.frozen.as_ref().map_or(&self.live, |frozen| &frozen.model);
                self.table.move_by(rows, model);
            }
            View::Events => self.events.move_by(rows),
            View::Traffic => {}
        }
    }

    /// Rows of a page of the open view.
    pub(super) fn page(&self) -> isize {
        let rows = match self.view {
            View::Clients => self.table_rows(),
            View::Events => usize::from(self.regions().events.height.saturating_sub(1)),
            View::Traffic => 1,
        };
        isize::try_from(rows.max(1)).unwrap_or(isize::MAX)
    }

    pub(super) fn turn_view(&mut self, steps: usize) {
        let at = View::ALL.iter().position(|view| *view == self.view).unwrap_or(0);
        self.view = View::ALL[(at + steps) % View::ALL.len()];
    }

    /// Opens the detail; on an event, of the event's connection.
    pub(super) fn open_detail(&mut self, now: Now) {
        match self.view {
            View::Clients => self.detail_open = !self.detail_open,
            View::Traffic => {}
            View::Events => self.open_subject(now),
        }
    }

    fn open_subject(&mut self, now: Now) {
        let model = self.frozen.as_ref().map_or(&self.live, |frozen| &frozen.model);
        let Some(id) = self.events.subject(&model.log) else {
            return self.notify(Err("this event is about no connection".to_owned()), now);
        };
        if model.row(id).is_none() {
            return self.notify(Err(format!("{id} is gone")), now);
        }
        self.table.select(id, model);
        self.view = View::Clients;
    }

    /// One step back: closes the detail, returns to the clients, removes the filter. It never quits.
    pub(super) fn back(&mut self, now: Now) {
        if self.view == View::Events && !self.events_filter_text.is_empty() {
            self.set_filter("", now);
        } else if self.view != View::Clients {
            self.view = View::Clients;
        } else if self.detail_open {
            self.detail_open = false;
        } else if !self.filter_text.is_empty() {
            self.set_filter("", now);
        }
        self.mode = Mode::Browse;
    }
}
