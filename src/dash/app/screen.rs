//! What is seen and how: filter, sort, freeze, follow, units, colours, copies.

use super::{App, FilterLine, Frozen, Mode, Shown};
use crate::dash::columns::Column;
use crate::dash::effect::Effect;
use crate::dash::export;
use crate::dash::filter::{Filter, FilterError};
use crate::dash::layout::View;
use crate::dash::table::Sort;
use crate::dash::text_input::TextInput;
use crate::dash::units;
use crate::time::Now;

/// Events copied at a time: terminals take about 70 KB.
const COPIED_EVENTS_MAX: usize = 500;

impl App {
    pub(crate) fn open_filter(&mut self, _now: Now) {
        if self.view == View::Traffic {
            self.view = View::Clients;
        }
        let before = self.filter_text().to_owned();
        self.mode = Mode::Filter(FilterLine { input: TextInput::of(&before), error: None, before });
    }

    /// The filter of the open view as it was typed.
    pub(crate) fn filter_text(&self) -> &str {
        if self.view == View::Events { &self.events_filter_text } else { &self.filter_text }
    }

    /// Puts a filter into force for the open view. One that is wrong changes nothing.
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

    /// Puts a filter into force that was in force before, or none.
    pub(super) fn set_filter(&mut self, text: &str, now: Now) {
        if let Err(why) = self.apply_filter(text) {
            self.tell(Err(why.to_string()), now);
        }
    }

    pub(crate) fn next_sort(&mut self, _now: Now) {
        self.sort_by(self.table.sort.next());
    }

    pub(crate) fn reverse_sort(&mut self, _now: Now) {
        self.sort_by(self.table.sort.reversed());
    }

    /// Sorts by the column whose head was clicked; the second time the other way.
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

    fn sort_by(&mut self, sort: Sort) {
        self.table.sort = sort;
        self.stale = true;
    }

    pub(crate) fn toggle_pause(&mut self, now: Now) {
        self.frozen = match self.frozen.take() {
            Some(_) => None,
            None => Some(Frozen { picture: self.live.clone(), at: now }),
        };
        self.stale = true;
    }

    pub(crate) fn toggle_follow(&mut self, now: Now) {
        self.events.toggle_follow();
        let told = if self.events.follows() { "following the newest event" } else { "events stand still" };
        self.tell(Ok(told.to_owned()), now);
    }

    pub(crate) fn next_category(&mut self, _now: Now) {
        self.events.next_category();
        self.stale = true;
    }

    pub(crate) fn toggle_raw(&mut self, now: Now) {
        self.raw = !self.raw;
        let told = if self.raw { "bytes with all their digits" } else { "bytes in K, M, G of 1,024" };
        self.tell(Ok(told.to_owned()), now);
    }

    pub(crate) fn next_theme(&mut self, now: Now) {
        self.theme = self.theme.next(self.no_color);
        self.tell(Ok(format!("theme {}", self.theme.word())), now);
    }

    pub(crate) fn redraw(&mut self, _now: Now) {
        self.effects.push(Effect::Redraw);
    }

    pub(crate) fn open_help(&mut self, _now: Now) {
        self.mode = Mode::Help(0);
    }

    /// Copies what is selected, in the words of the export.
    pub(crate) fn copy(&mut self, now: Now) {
        let picture = self.picture();
        let copied = match self.view {
            View::Clients => self.table.selected().and_then(|id| {
                let index = picture.index(id)?;
                Some((format!("the row of {id}"), export::one_line(picture, index)))
            }),
            View::Traffic | View::Events => {
                let rows = self.events.window(&picture.log, COPIED_EVENTS_MAX).1;
                let lines: Vec<String> = rows.into_iter().map(export::event_line).collect();
                let count = u64::try_from(lines.len()).unwrap_or(u64::MAX);
                (!lines.is_empty()).then(|| (units::counted(count, "event", "events"), lines.join("\n")))
            }
        };
        match copied {
            Some((what, text)) => {
                self.effects.push(Effect::Copy { what, text });
            }
            None => self.tell(Err("nothing to copy".to_owned()), now),
        }
    }

    pub(crate) fn open_export(&mut self, now: Now) {
        if self.table.len() == 0 {
            return self.tell(Err("no rows to write".to_owned()), now);
        }
        self.mode = Mode::Export(Shown::No);
    }

    /// Writes the rows shown, in their order.
    pub(super) fn export(&mut self, format: export::Format, now: Now) {
        let picture = self.picture();
        let rows = (0..self.table.len()).filter_map(|position| self.table.index_at(position));
        let contents = export::table(picture, rows, format);
        let time = units::time_of_day(now).replace(':', "");
        let name = format!("chatops-clients-{time}.{}", format.extension());
        self.effects.push(Effect::SaveFile { name, contents });
    }
}
