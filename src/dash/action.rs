//! What the operator can ask of the dashboard with one key: the table of actions, their names, keys and meaning.

use super::app::App;
use crate::time::Now;

/// One thing that a key can stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Back,
    Ban,
    Bottom,
    Category,
    Clients,
    Command,
    Copy,
    Detail,
    Down,
    Events,
    Export,
    Filter,
    Follow,
    HalfDown,
    HalfUp,
    Help,
    Kick,
    Mark,
    Mute,
    NextView,
    PageDown,
    PageUp,
    Pause,
    PauseAccepting,
    PreviousView,
    Quit,
    Raw,
    Redraw,
    Reload,
    Reset,
    ReverseSort,
    Say,
    Shutdown,
    Sort,
    Suspend,
    Theme,
    Top,
    Traffic,
    UnmarkAll,
    Up,
}

/// Under which heading help lists an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Where one is.
    Move,
    /// What one sees.
    Look,
    /// What is done to connections and the server.
    Act,
    /// The dashboard itself.
    Dashboard,
}

impl Group {
    /// All headings in their order.
    pub(crate) const ALL: [Self; 4] = [Self::Move, Self::Look, Self::Act, Self::Dashboard];

    /// The heading.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Move => "Move",
            Self::Look => "Look",
            Self::Act => "Act",
            Self::Dashboard => "Dashboard",
        }
    }
}

/// An action with all that is said about it.
pub(crate) struct Spec {
    /// Which.
    pub(crate) action: Action,
    /// Its name in `dashboard.keys`.
    pub(crate) name: &'static str,
    /// Its built-in keys.
    pub(crate) keys: &'static [&'static str],
    /// Its heading in help.
    pub(crate) group: Group,
    /// What it does, for help.
    pub(crate) help: &'static str,
    /// What it does.
    pub(crate) run: fn(&mut App, Now),
}

const fn spec(
    action: Action,
    name: &'static str,
    keys: &'static [&'static str],
    group: Group,
    help: &'static str,
    run: fn(&mut App, Now),
) -> Spec {
    Spec { action, name, keys, group, help, run }
}

/// Every action, in the order of help.
#[rustfmt::skip]
pub(crate) static ACTIONS: [Spec; 40] = [
    spec(Action::Down, "down", &["j", "Down"], Group::Move, "next row", App::down),
    spec(Action::Up, "up", &["k", "Up"], Group::Move, "row before", App::up),
    spec(Action::Top, "top", &["g", "Home"], Group::Move, "first row", App::top),
    spec(Action::Bottom, "bottom", &["G", "End"], Group::Move, "last row", App::bottom),
    spec(Action::PageDown, "page-down", &["PgDn", "Ctrl-f"], Group::Move, "a page down", App::page_down),
    spec(Action::PageUp, "page-up", &["PgUp", "Ctrl-b"], Group::Move, "a page up", App::page_up),
    spec(Action::HalfDown, "half-down", &["Ctrl-d"], Group::Move, "half a page down", App::half_down),
    spec(Action::HalfUp, "half-up", &["Ctrl-u"], Group::Move, "half a page up", App::half_up),
    spec(Action::Clients, "clients", &["1"], Group::Move, "the clients", App::show_clients),
    spec(Action::Traffic, "traffic", &["2"], Group::Move, "the charts", App::show_traffic),
    spec(Action::Events, "events", &["3"], Group::Move, "the event log", App::show_events),
    spec(Action::NextView, "next-view", &["Tab"], Group::Move, "next view", App::next_view),
    spec(Action::PreviousView, "previous-view", &["Shift-Tab"], Group::Move, "view before", App::previous_view),
    spec(Action::Detail, "detail", &["Enter"], Group::Move, "all about this connection", App::open_detail),
    spec(Action::Back, "back", &["Esc"], Group::Move, "back; never quits", App::back),
    spec(Action::Filter, "filter", &["/"], Group::Look, "filter while typing", App::open_filter),
    spec(Action::Sort, "sort", &["s"], Group::Look, "sort by the next column", App::next_sort),
    spec(Action::ReverseSort, "reverse-sort", &["S"], Group::Look, "sort the other way", App::reverse_sort),
    spec(Action::Pause, "pause", &["Space", "p"], Group::Look, "freeze the picture, not the server", App::toggle_pause),
    spec(Action::Follow, "follow", &["F"], Group::Look, "follow the newest event", App::toggle_follow),
    spec(Action::Category, "category", &["f"], Group::Look, "next category of events", App::next_category),
    spec(Action::Raw, "raw", &["b"], Group::Look, "bytes with all their digits", App::toggle_raw),
    spec(Action::Theme, "theme", &["t"], Group::Look, "next theme", App::next_theme),
    spec(Action::Mark, "mark", &["m"], Group::Act, "mark this row for the next verb", App::toggle_mark),
    spec(Action::UnmarkAll, "unmark-all", &["M"], Group::Act, "take all marks away", App::unmark_all),
    spec(Action::Kick, "kick", &["x"], Group::Act, "kick: a last line, FIN, close", App::ask_kick),
    spec(Action::Shutdown, "shutdown", &["w"], Group::Act, "shutdown: one direction, or both", App::ask_shutdown),
    spec(Action::Reset, "reset", &["X"], Group::Act, "reset: RST, now", App::ask_reset),
    spec(Action::Ban, "ban", &["B"], Group::Act, "ban its address, which asks", App::ask_ban),
    spec(Action::Mute, "mute", &["u"], Group::Act, "mute, which asks; or unmute", App::ask_mute),
    spec(Action::Say, "say", &["i"], Group::Act, "say a line to everybody", App::open_say),
    spec(Action::PauseAccepting, "pause-accepting", &["P"], Group::Act, "accept nobody new, or again", App::ask_accepting),
    spec(Action::Reload, "reload", &["R"], Group::Act, "read the configuration again", App::ask_reload),
    spec(Action::Command, "command", &[":"], Group::Act, "type any verb", App::open_command),
    spec(Action::Copy, "copy", &["c"], Group::Dashboard, "copy this row", App::copy),
    spec(Action::Export, "export", &["e"], Group::Dashboard, "write the table to a file", App::open_export),
    spec(Action::Redraw, "redraw", &["Ctrl-l"], Group::Dashboard, "draw the screen anew", App::redraw),
    spec(Action::Suspend, "suspend", &["Ctrl-z"], Group::Dashboard, "suspend it, when it is attached", App::suspend),
    spec(Action::Help, "help", &["?"], Group::Dashboard, "this", App::open_help),
    spec(Action::Quit, "quit", &["q", "Ctrl-c"], Group::Dashboard, "quit; asks first", App::ask_quit),
];

impl Action {
    /// All that is said about it.
    pub(crate) fn spec(self) -> &'static Spec {
        ACTIONS.iter().find(|spec| spec.action == self).expect("a test finds every action in the table")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_in_the_table_once() {
        // The enum is in alphabetical order, so its last variant tells how many there are.
        assert_eq!(ACTIONS.len(), Action::Up as usize + 1);
        for (at, spec) in ACTIONS.iter().enumerate() {
            for other in &ACTIONS[at + 1..] {
                assert!(spec.action != other.action && spec.name != other.name, "{}", spec.name);
            }
        }
    }
}
