//! The state of the dashboard, and what comes in from outside: keys, the mouse, responses, time.
//!
//! Invariants: a verb goes only to ids that a dialog was opened for or that were typed; `order`, scroll and regions are
//! right after every event (`settle`), so drawing changes nothing but the size.

mod keys;
mod navigate;
mod pointer;
mod screen;
mod unseen;
mod verbs;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseEvent};

use super::command_line::{CommandLine, LineHistory};
use super::dialog::Dialog;
use super::effect::Effect;
use super::events::EventPane;
use super::glyphs::Glyphs;
use super::input::Typed;
use super::keymap::{KeyBindingError, Keymap};
use super::layout::{Regions, Shape, View, regions};
use super::orders::Orders;
use super::picture::Picture;
use super::table::Table;
use super::text_input::{CHARS_MAX, TextInput};
use super::theme::Theme;
use crate::config::settings::{ClockFormat, Dashboard};
use crate::link::{LinkError, Request, Response};
use crate::model::answer::Outcome;
use crate::model::snapshot::{ConnId, Detail, Query};
use crate::model::verbs::{OperatorCommand, scrub};
use crate::time::{Moment, Now};
pub(crate) use keys::TOO_SOON;
use std::time::Duration;
use unseen::Unseen;

/// How long the footer shows how something went.
const NOTICE_FOR: Duration = Duration::from_secs(10);
/// Without a picture for so long the header says so.
const SILENT_AFTER: Duration = Duration::from_secs(3);

/// What the keys go to. At most one thing is open over the views.
#[derive(Debug, Default)]
pub(crate) enum Mode {
    /// The views themselves.
    #[default]
    Browse,
    /// A verb waits for its answer.
    Ask(Dialog, Shown),
    /// A verb is typed.
    Command(CommandLine),
    /// As what the table is to be written.
    Export(Shown),
    /// A filter is typed.
    Filter(FilterLine),
    /// Keys and columns are explained, from this line on.
    Help(usize),
    /// Whether the server goes on.
    Quit(Shown),
    /// The reason for a kick or a ban is typed.
    Reason(Dialog, TextInput),
    /// A line to everybody is typed.
    Say(TextInput),
}

/// Whether the open question has been seen: a key that was typed before does not answer it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shown {
    /// No frame has it.
    #[default]
    No,
    /// It is in the frame that the terminal is being given.
    Drawn,
    /// The terminal has taken it, and what was typed until then has been read.
    Yes,
}

impl Mode {
    /// Whether the question has been seen, if one is open.
    const fn shown(&mut self) -> Option<&mut Shown> {
        match self {
            Self::Ask(_, shown) | Self::Export(shown) | Self::Quit(shown) => Some(shown),
            _ => None,
        }
    }

    /// Whether a line is typed.
    const fn takes_text(&self) -> bool {
        matches!(self, Self::Command(_) | Self::Filter(_) | Self::Reason(..) | Self::Say(_))
    }
}

/// A filter while it is typed.
#[derive(Debug)]
pub(crate) struct FilterLine {
    /// What is typed.
    pub(crate) input: TextInput,
    /// What is wrong with it.
    pub(crate) error: Option<String>,
    /// What was in force before.
    pub(crate) before: String,
}

/// How something went, for the footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// What is told.
    pub(crate) text: String,
    /// Whether it went wrong.
    pub(crate) is_bad: bool,
    until: Moment,
}

/// A picture that stands still.
#[derive(Debug)]
struct Frozen {
    picture: Picture,
    at: Now,
}

/// Whose dashboard it is: what its end means for the server, and what it may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The server's own: whoever quits says whether the server goes on.
    Own,
    /// One of another process: the server goes on without it.
    Attached,
    /// The same, and it only looks.
    ReadOnly,
}

/// Everything the dashboard knows and shows.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own that the operator turns")]
pub struct App {
    pub(super) theme: Theme,
    pub(super) glyphs: &'static Glyphs,
    pub(super) clock: ClockFormat,
    pub(super) keymap: Keymap,
    pub(super) mode: Mode,
    pub(super) view: View,
    pub(super) table: Table,
    pub(super) events: EventPane,
    pub(super) filter_text: String,
    pub(super) events_filter_text: String,
    pub(super) notice: Option<Notice>,
    pub(super) detail_open: bool,
    pub(super) raw: bool,
    pub(in crate::dash) access: Access,
    pub(super) frame_us: u32,
    live: Picture,
    frozen: Option<Frozen>,
    lines: LineHistory,
    orders: Orders,
    unseen: Option<Unseen>,
    effects: Vec<Effect>,
    no_color: bool,
    size: (u16, u16),
    heard: Option<Moment>,
    ticked: u64,
    stale: bool,
}

impl App {
    /// A dashboard that has seen nothing yet.
    ///
    /// # Errors
    ///
    /// When `dashboard.keys` names a key or an action that does not exist.
    pub fn new(settings: &Dashboard, no_color: bool, access: Access) -> Result<Self, KeyBindingError> {
        Ok(Self {
            theme: Theme::named(settings.theme, no_color),
            glyphs: if settings.ascii { &Glyphs::ASCII } else { &Glyphs::UNICODE },
            clock: settings.clock,
            keymap: Keymap::with(&settings.keys)?,
            mode: Mode::Browse,
            view: View::Clients,
            table: Table::default(),
            events: EventPane::default(),
            filter_text: String::new(),
            events_filter_text: String::new(),
            notice: None,
            detail_open: false,
            raw: false,
            access,
            frame_us: 0,
            live: Picture::default(),
            frozen: None,
            lines: LineHistory::default(),
            orders: Orders::default(),
            unseen: None,
            effects: Vec::new(),
            no_color,
            size: (0, 0),
            heard: None,
            ticked: 0,
            stale: true,
        })
    }

    /// A key was pressed. It answers a question only if it came alone, after the question was seen.
    pub fn handle_key(&mut self, key: KeyEvent, typed: Typed, now: Now) {
        if key.kind != KeyEventKind::Release {
            self.dispatch_key(key, typed, now);
            self.settle();
        }
    }

    /// Text was pasted: typed into the line that is open, on one line and scrubbed as a client's line is. Line ends at
    /// its end are left out, spaces are not. Where no line is open it is refused, for its letters would be keys.
    pub fn handle_paste(&mut self, text: &str, now: Now) {
        if !self.mode.takes_text() {
            return self.tell(Err("text is pasted where a line is typed, after : or / or i".to_owned()), now);
        }
        let line = text.trim_end_matches(['\r', '\n']).replace(|c: char| c.is_control(), " ");
        for letter in scrub(line.as_bytes()).text.chars().take(CHARS_MAX) {
            self.dispatch_key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE), Typed::InARow, now);
        }
        self.settle();
    }

    /// A paste was begun and has not ended: nothing is a key until it does.
    pub fn paste_stalled(&mut self, now: Now) {
        let told =
            "the terminal began a paste and has not ended it; if it never does, Ctrl-c three times ends it";
        self.tell(Err(told.to_owned()), now);
    }

    /// The frame just drawn shows what is open.
    pub fn frame_drawn(&mut self) {
        if let Some(shown @ Shown::No) = self.mode.shown() {
            *shown = Shown::Drawn;
        }
    }

    /// Whether the last frame drawn holds a question that has not been seen yet. Once the terminal has taken the frame,
    /// what was typed until then is to be handed in, and then [`App::frame_taken`] called.
    pub fn asks_unseen(&mut self) -> bool {
        self.mode.shown().is_some_and(|shown| *shown == Shown::Drawn)
    }

    /// The terminal has taken the last frame drawn: the question in it can be answered from now on.
    pub fn frame_taken(&mut self) {
        if let Some(shown @ Shown::Drawn) = self.mode.shown() {
            *shown = Shown::Yes;
        }
    }

    /// The terminal no longer shows what was drawn.
    pub(in crate::dash) fn screen_lost(&mut self) {
        if let Some(shown) = self.mode.shown() {
            *shown = Shown::No;
        }
    }

    /// The mouse was clicked or its wheel turned: a click selects a row, sorts by a column or opens a view.
    pub fn handle_mouse(&mut self, mouse: MouseEvent, now: Now) {
        self.dispatch_mouse(mouse, now);
        self.settle();
    }

    /// The server answered.
    pub fn handle_response(&mut self, response: Response, now: Now) {
        self.heard = Some(now.moment);
        match response {
            Response::Snapshot(snapshot) => {
                self.live.take_in(snapshot);
                self.table.forget_marks_of_gone(&self.live);
                self.stale |= self.frozen.is_none();
                self.resume_unseen(now);
            }
            Response::Verb { ticket, outcome } => self.take_answer(ticket, outcome, now),
            // Of what no dashboard requests.
            Response::Connection(_) | Response::Page(_) | Response::Status(_) | Response::Stopping => {}
        }
        self.send_orders();
        self.settle();
    }

    /// The link did not take a request: it is busy, or the server is gone. A verb is tried again after the next
    /// response.
    pub fn request_refused(&mut self, request: &Request, why: &LinkError, now: Now) {
        match (request, why) {
            (Request::Verb { ticket, .. }, LinkError::Busy) => self.orders.wait_again(*ticket),
            (Request::Verb { ticket, .. }, _) => self.take_answer(*ticket, Err(why.to_string()), now),
            (_, _) => {}
        }
    }

    /// Ends the server. It says itself when it has ended; until then the dashboard shows how it goes.
    pub(super) fn drain_server(&mut self) {
        self.orders.ask(OperatorCommand::Drain(None));
        self.send_orders();
    }

    /// How a verb went, or what a question was answered.
    fn take_answer(&mut self, ticket: u64, outcome: Outcome, now: Now) {
        let outcome = outcome.map(|done| done.message);
        self.take_word_of_unseen(ticket, &outcome, now);
        if let Some(told) = self.orders.answered(ticket, outcome) {
            self.tell(told, now);
        }
    }

    /// Shows in the footer how something went, such as an [`Effect`] that the loop carried out.
    pub fn tell(&mut self, outcome: Result<String, String>, now: Now) {
        let is_bad = outcome.is_err();
        let (Ok(text) | Err(text)) = outcome;
        self.notice = Some(Notice { text, is_bad, until: now.moment + NOTICE_FOR });
    }

    /// What is to be done, in order; the queue is empty afterwards.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// What the next snapshot should hold.
    #[must_use]
    pub fn query(&self) -> Query {
        let picture = self.picture();
        let rows = self.table.window(self.table_rows());
        let ids = rows.filter_map(|position| self.table.index_at(position)).map(|at| picture.rows()[at].id);
        Query {
            visible: ids.take(Query::VISIBLE_MAX).collect(),
            detail: self.table.selected(),
            events_after: self.live.log.last_seq(),
        }
    }

    /// The terminal has this many columns and rows.
    pub fn resized(&mut self, width: u16, height: u16) {
        if self.size != (width, height) {
            self.size = (width, height);
            self.settle();
        }
    }

    /// How long the last frame took to draw, in microseconds.
    pub fn set_frame_time(&mut self, micros: u32) {
        self.frame_us = micros;
    }

    /// Time has passed; whether something visible changed with it.
    pub fn tick(&mut self, now: Now) -> bool {
        let second = now.moment.micros() / 1_000_000;
        let is_new_second = std::mem::replace(&mut self.ticked, second) != second;
        let notice_ends = self.notice.as_ref().is_some_and(|notice| notice.until <= now.moment);
        if notice_ends {
            self.notice = None;
        }
        notice_ends || (is_new_second && (self.frozen.is_some() || self.silence(now).is_some()))
    }

    /// The connection that verbs are for, unless some are marked.
    #[must_use]
    pub fn selected(&self) -> Option<ConnId> {
        self.table.selected()
    }

    /// The marked connections, by rising id.
    #[must_use]
    pub fn marked(&self) -> Vec<ConnId> {
        self.table.marks().iter().copied().collect()
    }

    /// The connections that the open dialog is about; nobody when none is open.
    #[must_use]
    pub fn asked_about(&self) -> Vec<ConnId> {
        match &self.mode {
            Mode::Ask(dialog, _) | Mode::Reason(dialog, _) => {
                dialog.targets.iter().map(|target| target.id).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What is shown: the newest picture, or the one that stands still.
    pub(super) fn picture(&self) -> &Picture {
        self.frozen.as_ref().map_or(&self.live, |frozen| &frozen.picture)
    }

    /// The newest picture, on which verbs act.
    pub(super) const fn live(&self) -> &Picture {
        &self.live
    }

    /// What is known about one connection beyond its row; of one looked at since the picture stands still, what is
    /// known now.
    pub(super) fn detail_of(&self, id: ConnId) -> Option<&Detail> {
        self.picture().detail(id).or_else(|| self.live.detail(id))
    }

    /// Since when the picture stands still, if it does.
    pub(super) fn frozen_at(&self) -> Option<Now> {
        self.frozen.as_ref().map(|frozen| frozen.at)
    }

    /// How long no answer has come, if that is worth saying.
    pub(super) fn silence(&self, now: Now) -> Option<Duration> {
        self.heard.map(|heard| now.moment.since(heard)).filter(|silence| *silence >= SILENT_AFTER)
    }

    /// Where everything is on the screen.
    pub(super) fn regions(&self) -> Regions {
        let shape = Shape { view: self.view, detail_open: self.detail_open, banner: self.frozen.is_some() };
        regions(self.size.0, self.size.1, shape)
    }

    /// The screen's columns and rows.
    pub(super) const fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Rows of clients that there is room for.
    pub(super) fn table_rows(&self) -> usize {
        usize::from(self.regions().table.height.saturating_sub(1))
    }

    /// Makes the order of rows, the scroll and the log's window right again.
    fn settle(&mut self) {
        let picture = self.frozen.as_ref().map_or(&self.live, |frozen| &frozen.picture);
        if std::mem::take(&mut self.stale) {
            self.table.rebuild(picture);
            self.events.rebuild(&picture.log);
        }
        let rows = self.table_rows();
        self.table.scroll(rows);
    }

    /// Queues the verbs that the server may have.
    fn send_orders(&mut self) {
        while let Some(request) = self.orders.next_request() {
            self.effects.push(Effect::Request(request));
        }
    }
}
