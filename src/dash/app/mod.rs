//! The state of the dashboard and its input: keys, the mouse, responses, time.
//!
//! Invariants: a verb goes only to ids that a dialog was opened for or that were typed. `settle` corrects order, scroll
//! and regions after every input, so drawing changes only the size.

mod keys;
mod screen;
mod verbs;

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseEvent};

use super::dialog::Dialog;
use super::keys::{KeyBindingError, Keymap};
use super::layout::{Regions, Shape, View, regions};
use super::line::{CHARS_MAX, CommandLine, LineHistory, TextInput};
use super::model::Model;
use super::style::{Glyphs, Theme};
use super::table::Table;
use super::table::events::EventList;
use crate::config::settings::{ClockFormat, Dashboard};
use crate::link::{LinkError, Request, Response};
use crate::model::answer::Outcome;
use crate::model::snapshot::{ConnId, Detail, Query};
use crate::model::verbs::{OperatorCommand, scrub};
use crate::term::input::Typed;
use crate::time::{Moment, Now};

pub(crate) use keys::TOO_SOON;
use verbs::{Lookup, VerbQueue};

/// How long the footer shows a notice.
const NOTICE_DURATION: Duration = Duration::from_secs(10);
/// From this time without a snapshot the header says so.
const SILENCE_SHOWN_FROM: Duration = Duration::from_secs(3);

/// Where keys go. At most one dialog or line is open over the views.
#[derive(Debug, Default)]
pub(crate) enum Mode {
    /// The views.
    #[default]
    Browse,
    /// A verb waits for its answer.
    Ask(Dialog, Shown),
    /// A verb is typed.
    Command(CommandLine),
    /// The format of an export is chosen.
    Export(Shown),
    /// A filter is typed.
    Filter(FilterLine),
    /// Help is open, scrolled to this line.
    Help(usize),
    /// The way to quit is chosen.
    Quit(Shown),
    /// The reason for a kick or a ban is typed.
    Reason(Dialog, TextInput),
    /// A line to all clients is typed.
    Say(TextInput),
}

/// Whether the open question is visible: a key that was typed before it was visible does not answer it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shown {
    /// No frame has it.
    #[default]
    No,
    /// It is in the frame that is being written to the terminal.
    Drawn,
    /// The terminal has taken the frame, and all input until then has been read.
    Yes,
}

impl Mode {
    /// Whether the question is visible, if one is open.
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

/// The filter line.
#[derive(Debug)]
pub(crate) struct FilterLine {
    pub(crate) input: TextInput,
    /// The error in the filter.
    pub(crate) error: Option<String>,
    /// The filter in force before.
    pub(crate) before: String,
}

/// A message in the footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// The message.
    pub(crate) text: String,
    /// Whether it reports a failure.
    pub(crate) is_error: bool,
    until: Moment,
}

/// A snapshot that is kept on the screen.
#[derive(Debug)]
struct Frozen {
    model: Model,
    at: Now,
}

/// The dashboard's relation to the server: how the dashboard ends, and what it may request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// In the server's process: the quit dialog asks whether the server continues.
    Own,
    /// In another process: the server continues without it.
    Attached,
    /// In another process, without verbs.
    ReadOnly,
}

/// The whole state of the dashboard.
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
    pub(super) events: EventList,
    pub(super) filter_text: String,
    pub(super) events_filter_text: String,
    pub(super) notice: Option<Notice>,
    pub(super) detail_open: bool,
    pub(super) raw: bool,
    pub(in crate::dash) access: Access,
    pub(super) frame_us: u32,
    live: Model,
    frozen: Option<Frozen>,
    lines: LineHistory,
    verbs: VerbQueue,
    lookup: Option<Lookup>,
    effects: Vec<Effect>,
    no_color: bool,
    size: (u16, u16),
    answered_at: Option<Moment>,
    last_tick_s: u64,
    stale: bool,
}

impl App {
    /// A dashboard without a snapshot.
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
            events: EventList::default(),
            filter_text: String::new(),
            events_filter_text: String::new(),
            notice: None,
            detail_open: false,
            raw: false,
            access,
            frame_us: 0,
            live: Model::default(),
            frozen: None,
            lines: LineHistory::default(),
            verbs: VerbQueue::default(),
            lookup: None,
            effects: Vec::new(),
            no_color,
            size: (0, 0),
            answered_at: None,
            last_tick_s: 0,
            stale: true,
        })
    }

    /// A key was pressed. It answers a question only if it came alone, after the question was visible.
    pub fn handle_key(&mut self, key: KeyEvent, typed: Typed, now: Now) {
        if key.kind != KeyEventKind::Release {
            self.dispatch_key(key, typed, now);
            self.settle();
        }
    }

    /// Text was pasted: it is typed into the open line, on one line and scrubbed as a client's line is. Line ends at
    /// the end are removed, spaces are not. Without an open line the paste is refused, because its letters would be
    /// keys.
    pub fn handle_paste(&mut self, text: &str, now: Now) {
        if !self.mode.takes_text() {
            return self
                .notify(Err("text is pasted where a line is typed, after : or / or i".to_owned()), now);
        }
        let line = text.trim_end_matches(['\r', '\n']).replace(|c: char| c.is_control(), " ");
        for letter in scrub(line.as_bytes()).text.chars().take(CHARS_MAX) {
            self.dispatch_key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE), Typed::Burst, now);
        }
        self.settle();
    }

    /// A paste was begun and has not ended: no input is a key until it ends.
    pub fn paste_stalled(&mut self, now: Now) {
        let message =
            "the terminal began a paste and has not ended it; if it never does, Ctrl-c three times ends it";
        self.notify(Err(message.to_owned()), now);
    }

    /// The frame just drawn shows the open dialog.
    pub fn frame_drawn(&mut self) {
        if let Some(shown @ Shown::No) = self.mode.shown() {
            *shown = Shown::Drawn;
        }
    }

    /// Whether the last frame drawn has a question that is not visible yet. Once the terminal has taken the frame, the
    /// caller reads all input and then calls [`App::frame_taken`].
    pub fn has_unread_question(&mut self) -> bool {
        self.mode.shown().is_some_and(|shown| *shown == Shown::Drawn)
    }

    /// The terminal has taken the last frame drawn: its question can be answered from now on.
    pub fn frame_taken(&mut self) {
        if let Some(shown @ Shown::Drawn) = self.mode.shown() {
            *shown = Shown::Yes;
        }
    }

    /// The terminal no longer shows the last frame.
    pub(in crate::dash) fn frame_lost(&mut self) {
        if let Some(shown) = self.mode.shown() {
            *shown = Shown::No;
        }
    }

    /// The mouse was clicked or its wheel turned: a click selects a row, sorts by a column or opens a view.
    pub fn handle_mouse(&mut self, mouse: MouseEvent) {
        self.dispatch_mouse(mouse);
        self.settle();
    }

    /// A response of the server arrived.
    pub fn handle_response(&mut self, response: Response, now: Now) {
        self.answered_at = Some(now.moment);
        match response {
            Response::Snapshot(snapshot) => {
                self.live.update(snapshot);
                self.table.forget_marks_of_gone(&self.live);
                self.stale |= self.frozen.is_none();
                self.resume_lookup(now);
            }
            Response::Verb { ticket, outcome } => self.take_answer(ticket, outcome, now),
            // No dashboard requests these.
            Response::Connection(_) | Response::Page(_) | Response::Status(_) | Response::Stopping => {}
        }
        self.send_verbs();
        self.settle();
    }

    /// The link did not take a request: it is busy, or the server is gone. A verb is tried again after the next
    /// response.
    pub fn request_refused(&mut self, request: &Request, error: &LinkError, now: Now) {
        match (request, error) {
            (Request::Verb { ticket, .. }, LinkError::Busy) => self.verbs.retry(*ticket),
            (Request::Verb { ticket, .. }, _) => self.take_answer(*ticket, Err(error.to_string()), now),
            (_, _) => {}
        }
    }

    /// Ends the server, which reports when it has ended. Until then the dashboard shows the progress.
    pub(super) fn drain_server(&mut self) {
        self.verbs.push(OperatorCommand::Drain(None));
        self.send_verbs();
    }

    /// Takes the result of a verb, or the answer to a question.
    fn take_answer(&mut self, ticket: u64, outcome: Outcome, now: Now) {
        let outcome = outcome.map(|done| done.message);
        self.take_lookup_answer(ticket, &outcome, now);
        if let Some(message) = self.verbs.take_answer(ticket, outcome) {
            self.notify(message, now);
        }
    }

    /// Shows a message in the footer, such as the result of an [`Effect`].
    pub fn notify(&mut self, outcome: Result<String, String>, now: Now) {
        let is_error = outcome.is_err();
        let (Ok(text) | Err(text)) = outcome;
        self.notice = Some(Notice { text, is_error, until: now.moment + NOTICE_DURATION });
    }

    /// The effects to carry out, in order; the queue is empty afterwards.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The next snapshot request.
    #[must_use]
    pub fn query(&self) -> Query {
        let model = self.model();
        let rows = self.table.window(self.table_rows());
        let ids = rows.filter_map(|position| self.table.index_at(position)).map(|at| model.rows()[at].id);
        Query {
            visible: ids.take(Query::VISIBLE_MAX).collect(),
            detail: self.table.selected(),
            events_after: self.live.log.last_seq(),
        }
    }

    /// The terminal has this size, in columns and rows.
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

    /// Time has passed; returns whether something visible changed.
    pub fn tick(&mut self, now: Now) -> bool {
        let second = now.moment.micros() / 1_000_000;
        let is_new_second = std::mem::replace(&mut self.last_tick_s, second) != second;
        let notice_ends = self.notice.as_ref().is_some_and(|notice| notice.until <= now.moment);
        if notice_ends {
            self.notice = None;
        }
        notice_ends || (is_new_second && (self.frozen.is_some() || self.silence(now).is_some()))
    }

    /// The target of verbs, unless connections are marked.
    #[must_use]
    pub fn selected(&self) -> Option<ConnId> {
        self.table.selected()
    }

    /// The marked connections, by rising id.
    #[must_use]
    pub fn marked(&self) -> Vec<ConnId> {
        self.table.marks().iter().copied().collect()
    }

    /// The targets of the open dialog; empty without a dialog.
    #[must_use]
    pub fn dialog_targets(&self) -> Vec<ConnId> {
        match &self.mode {
            Mode::Ask(dialog, _) | Mode::Reason(dialog, _) => {
                dialog.targets.iter().map(|target| target.id).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The model that is shown: the newest, or the frozen one.
    pub(super) fn model(&self) -> &Model {
        self.frozen.as_ref().map_or(&self.live, |frozen| &frozen.model)
    }

    /// The newest model, on which verbs act.
    pub(super) const fn live(&self) -> &Model {
        &self.live
    }

    /// The detail of a connection. If it was not requested before the freeze, the present detail.
    pub(super) fn detail_of(&self, id: ConnId) -> Option<&Detail> {
        self.model().detail(id).or_else(|| self.live.detail(id))
    }

    /// The time of the freeze, if the model is frozen.
    pub(super) fn frozen_at(&self) -> Option<Now> {
        self.frozen.as_ref().map(|frozen| frozen.at)
    }

    /// The time without a response, if it is long enough to show.
    pub(super) fn silence(&self, now: Now) -> Option<Duration> {
        self.answered_at
            .map(|answered_at| now.moment.since(answered_at))
            .filter(|silence| *silence >= SILENCE_SHOWN_FROM)
    }

    /// The regions of the screen.
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

    /// Corrects the order of rows, the scroll position and the shown events.
    fn settle(&mut self) {
        let model = self.frozen.as_ref().map_or(&self.live, |frozen| &frozen.model);
        if std::mem::take(&mut self.stale) {
            self.table.rebuild(model);
            self.events.rebuild(&model.log);
        }
        let rows = self.table_rows();
        self.table.scroll(rows);
    }

    /// Queues the requests that the server may have.
    fn send_verbs(&mut self) {
        while let Some(request) = self.verbs.next_request() {
            self.effects.push(Effect::Request(request));
        }
    }
}

/// An effect, in the order queued.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send a text to the terminal's clipboard (OSC 52).
    Copy {
        /// What the text is, for the operator.
        what: String,
        /// The text.
        text: String,
    },
    /// End the dashboard.
    Quit(QuitChoice),
    /// Clear the terminal and draw every cell.
    Redraw,
    /// Send a request to the server. The response goes to [`super::App::handle_response`], a refusal of the link to
    /// [`super::App::request_refused`].
    Request(Request),
    /// Stop the whole process group, as Ctrl-Z does.
    Suspend,
    /// Write a new file into the working directory. The result goes to [`super::App::notify`].
    SaveFile {
        /// The file name, without a directory.
        name: String,
        /// The contents of the file.
        contents: String,
    },
}

/// How the dashboard ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuitChoice {
    /// The server ends too: notice, flush, close.
    Drain,
    /// The server continues without a dashboard.
    Leave,
}
