//! The mouse: rows, heads of columns, tabs, the wheel. It selects and looks; it never gives a verb.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::{App, Mode};
use crate::dash::columns::place;
use crate::dash::layout::View;
use crate::dash::view;
use crate::time::Now;

/// Rows that one notch of the wheel moves.
const WHEEL_ROWS: isize = 3;

impl App {
    pub(super) fn dispatch_mouse(&mut self, mouse: MouseEvent, now: Now) {
        if !matches!(self.mode, Mode::Browse) {
            return;
        }
        match mouse.kind {
            MouseEventKind::ScrollDown => self.move_by(WHEEL_ROWS, now),
            MouseEventKind::ScrollUp => self.move_by(-WHEEL_ROWS, now),
            MouseEventKind::Down(MouseButton::Left) => self.click(Position::new(mouse.column, mouse.row)),
            _ => {}
        }
    }

    fn click(&mut self, at: Position) {
        let regions = self.regions();
        if regions.tabs.contains(at) {
            self.click_tab(at.x);
        } else if regions.table.contains(at) && at.y == regions.table.y {
            self.click_head(at.x, regions.table);
        } else if regions.table.contains(at) {
            self.click_row(usize::from(at.y - regions.table.y - 1));
        } else if self.view == View::Events && regions.events.contains(at) && at.y > regions.events.y {
            self.click_event(usize::from(at.y - regions.events.y - 1));
        }
    }

    fn click_tab(&mut self, x: u16) {
        if let Some(view) = view::tab_at(self, x) {
            self.view = view;
        }
    }

    fn click_head(&mut self, x: u16, table: Rect) {
        let placed = place(table.width, self.table.wants, self.raw);
        let hit = placed.iter().find(|placed| (placed.x..placed.x + placed.width).contains(&x));
        if let Some(placed) = hit {
            self.sort_by_head(placed.column);
        }
    }

    fn click_row(&mut self, row: usize) {
        let window = self.table.window(self.table_rows());
        let position = window.start + row;
        if window.contains(&position) {
            let picture = self.frozen.as_ref().map_or(&self.live, |frozen| &frozen.picture);
            self.table.select_at(position, picture);
        }
    }

    fn click_event(&mut self, row: usize) {
        let rows = usize::from(self.regions().events.height.saturating_sub(1));
        let (start, shown) = self.events.window(&self.picture().log, rows);
        if row < shown.len() {
            let step = (start + row).cast_signed() - self.events.position().cast_signed();
            self.events.move_by(step);
        }
    }
}
