//! Draws the state: one file for each region of the screen.
//!
//! Drawing decides nothing: selection, order and dialogs are in [`App`]. Only visible rows are built.

mod detail;
mod events;
mod footer;
mod header;
mod paint;
mod panel;
mod table;
mod traffic;

use ratatui::Frame;

use super::app::{App, Mode};
use super::layout::View;
use crate::time::Now;

/// Draws one frame.
pub fn draw(frame: &mut Frame<'_>, app: &mut App, now: Now) {
    app.resized(frame.area().width, frame.area().height);
    let (app, regions) = (&*app, app.regions());
    let buffer = frame.buffer_mut();
    header::draw(buffer, regions.header, app, now);
    header::draw_banner(buffer, regions.banner, app, now);
    header::draw_tabs(buffer, regions.tabs, app);
    match app.view {
        View::Clients => {
            table::draw(buffer, regions.table, app);
            detail::draw(buffer, regions.detail, app);
            traffic::draw(buffer, regions.traffic, app);
        }
        View::Traffic => traffic::draw_charts(buffer, regions.charts, app),
        View::Events => {}
    }
    events::draw(buffer, regions.events, app);
    footer::draw_keys(buffer, regions.keys, app);
    let mut cursor = footer::draw_notice(buffer, regions.notice, app);
    if let Mode::Help(scroll) = app.mode {
        panel::draw_help(buffer, app, scroll);
    }
    cursor = panel::draw(buffer, app).or(cursor);
    if let Some(cursor) = cursor {
        frame.set_cursor_position(cursor);
    }
}
