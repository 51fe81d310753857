//! The state of the dashboard.

use crossterm::event::{KeyEvent, MouseEvent};

use super::effect::Effect;
use super::keymap::KeyBindingError;
use crate::config::settings::Dashboard;
use crate::engine::snapshot::{Query, Snapshot};
use crate::link::{LinkError, Request, Response};
use crate::time::Now;

/// Everything the dashboard knows and shows.
#[derive(Debug)]
pub struct App {
    live: Box<Snapshot>,
    effects: Vec<Effect>,
    size: (u16, u16),
    frame_us: u32,
}

impl App {
    /// A dashboard that has seen nothing yet.
    ///
    /// # Errors
    ///
    /// When `dashboard.keys` names a key or an action that does not exist.
    pub fn new(_settings: &Dashboard, _no_color: bool, _read_only: bool) -> Result<Self, KeyBindingError> {
        Ok(Self { live: Box::default(), effects: Vec::new(), size: (80, 24), frame_us: 0 })
    }

    /// A key was pressed.
    pub fn handle_key(&mut self, _key: KeyEvent, _now: Now) {}

    /// The mouse was clicked or its wheel turned.
    pub fn handle_mouse(&mut self, _mouse: MouseEvent, _now: Now) {}

    /// The server answered.
    pub fn handle_response(&mut self, response: Response, _now: Now) {
        if let Response::Snapshot(snapshot) = response {
            self.live = snapshot;
        }
    }

    /// The link did not take a request: too busy, or the server is gone.
    pub fn request_refused(&mut self, _request: &Request, _why: &LinkError, _now: Now) {}

    /// Shows in the footer how something went that the loop did for an [`Effect`].
    pub fn tell(&mut self, _outcome: Result<String, String>, _now: Now) {}

    /// The server is no more.
    pub fn server_ended(&mut self, _why: &LinkError) {}

    /// What is to be done, in order; the queue is empty afterwards.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// What the next snapshot should hold.
    #[must_use]
    pub fn query(&self) -> Query {
        Query::default()
    }

    /// The terminal has this many columns and rows.
    pub fn resized(&mut self, width: u16, height: u16) {
        self.size = (width, height);
    }

    /// How long the last frame took to draw, in microseconds.
    pub fn set_frame_time(&mut self, micros: u32) {
        self.frame_us = micros;
    }

    /// Time has passed; whether something visible changed with it.
    pub fn tick(&mut self, _now: Now) -> bool {
        false
    }
}
