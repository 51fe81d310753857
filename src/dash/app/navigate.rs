//! Moving: rows, pages, views, in and out of the detail.

use super::App;
use crate::dash::app::Mode;
use crate::dash::layout::View;
use crate::time::Now;

impl App {
    pub(crate) fn down(&mut self, now: Now) {
        self.move_by(1, now);
    }

    pub(crate) fn up(&mut self, now: Now) {
        self.move_by(-1, now);
    }

    pub(crate) fn page_down(&mut self, now: Now) {
        self.move_by(self.page(), now);
    }

    pub(crate) fn page_up(&mut self, now: Now) {
        self.move_by(-self.page(), now);
    }

    pub(crate) fn half_down(&mut self, now: Now) {
        self.move_by((self.page() / 2).max(1), now);
    }

    pub(crate) fn half_up(&mut self, now: Now) {
        self.move_by(-(self.page() / 2).max(1), now);
    }

    pub(crate) fn top(&mut self, now: Now) {
        self.move_by(isize::MIN / 2, now);
    }

    pub(crate) fn bottom(&mut self, now: Now) {
        self.move_by(isize::MAX / 2, now);
    }

    /// Moves by so many rows of whatever is open.
    pub(super) fn move_by(&mut self, rows: isize, _now: Now) {
        match self.view {
            View::Clients => {
                let picture = self.frozen.as_ref().map_or(&self.live, |frozen| &frozen.picture);
                self.table.move_by(rows, picture);
            }
            View::Events => self.events.move_by(rows),
            View::Traffic => {}
        }
    }

    /// Rows of a page of whatever is open.
    fn page(&self) -> isize {
        let rows = match self.view {
            View::Clients => self.table_rows(),
            View::Events => usize::from(self.regions().events.height.saturating_sub(1)),
            View::Traffic => 1,
        };
        isize::try_from(rows.max(1)).unwrap_or(isize::MAX)
    }

    pub(crate) fn show_clients(&mut self, _now: Now) {
        self.view = View::Clients;
    }

    pub(crate) fn show_traffic(&mut self, _now: Now) {
        self.view = View::Traffic;
    }

    pub(crate) fn show_events(&mut self, _now: Now) {
        self.view = View::Events;
    }

    pub(crate) fn next_view(&mut self, _now: Now) {
        self.turn_view(1);
    }

    pub(crate) fn previous_view(&mut self, _now: Now) {
        self.turn_view(View::ALL.len() - 1);
    }

    fn turn_view(&mut self, steps: usize) {
        let at = View::ALL.iter().position(|view| *view == self.view).unwrap_or(0);
        self.view = View::ALL[(at + steps) % View::ALL.len()];
    }

    /// Opens the detail; from an event that of its connection.
    pub(crate) fn open_detail(&mut self, now: Now) {
        match self.view {
            View::Clients => self.detail_open = !self.detail_open,
            View::Traffic => {}
            View::Events => self.open_subject(now),
        }
    }

    fn open_subject(&mut self, now: Now) {
        let picture = self.frozen.as_ref().map_or(&self.live, |frozen| &frozen.picture);
        let Some(id) = self.events.subject(&picture.log) else {
            return self.tell(Err("this event is about no connection".to_owned()), now);
        };
        if picture.row(id).is_none() {
            return self.tell(Err(format!("{id} is gone")), now);
        }
        self.table.select(id, picture);
        self.view = View::Clients;
    }

    /// One step back: out of the detail, to the clients, out of the filter. Never out of the dashboard.
    pub(crate) fn back(&mut self, now: Now) {
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
