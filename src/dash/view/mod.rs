//! From the state to cells: one file for each region of the screen.

use ratatui::Frame;

use super::App;
use crate::time::Now;

/// Draws one frame.
pub fn draw(_frame: &mut Frame<'_>, _app: &mut App, _now: Now) {}
