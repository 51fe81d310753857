//! `chatops attach`: the dashboard in this terminal, over the control socket of a server that runs elsewhere on this
//! machine. The server does not notice when it goes.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::error::{Failure, StartError};
use super::options::Options;
use super::output::{check_terminal, is_utf8, no_color, print};
use super::servers::{PATIENCE, no_answer, the_only_server};
use super::start::survive_signals;
use crate::clock::Clock;
use crate::config::load;
use crate::config::settings::Dashboard;
use crate::control::remote::{self, AttachError};
use crate::dash::{Access, App, Outcome};
use crate::poller::Poller;
use crate::term::Terminal;

/// Which server is watched, and how.
#[derive(Args, Clone, Debug)]
pub(super) struct Attach {
    /// Only look: no verb goes out from here
    #[arg(long)]
    read_only: bool,

    /// The server's control socket; without it the only server of this user that runs
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    control: Option<PathBuf>,
}

/// Shows the dashboard until it is left, or the server ends.
pub(super) fn run(attach: Attach, before: Options) -> Result<(), Failure> {
    check_terminal(StartError::NoTerminalToAttach, "ask with `chatops ctl`")?;
    survive_signals()?;
    let mut settings = dashboard(before.clone())?;
    settings.ascii |= !is_utf8();
    let access = if attach.read_only { Access::ReadOnly } else { Access::Attached };
    let app = App::new(&settings, no_color(), access).map_err(|error| StartError::Keys(error.to_string()))?;
    let path = attach.control.map_or_else(|| the_only_server(before), Ok)?;
    let poller = Poller::new().map_err(|error| Failure::Running(format!("no event queue: {error}")))?;
    let waker = poller.waker();
    let link = remote::attach(&path, PATIENCE, move || waker.notify()).map_err(|error| -> Failure {
        match error {
            AttachError::Unreachable(error) => StartError::Unreachable { path: path.clone(), error }.into(),
            AttachError::Silent(error) => no_answer(&path, &error),
            AttachError::Refused(why) => StartError::NotAttached { path: path.clone(), why }.into(),
        }
    })?;
    let terminal = Terminal::open().map_err(|_| StartError::NoTerminalToAttach)?;
    match crate::dash::run(app, link, &Clock::start(), terminal, poller) {
        Outcome::HungUp => Ok(()),
        Outcome::Left => print("chatops: left; the server goes on\n"),
        Outcome::ServerEnded => print("chatops: the server has ended\n"),
        Outcome::Failed(why) => {
            Err(Failure::Running(format!("the dashboard failed: {why}; the server goes on")))
        }
        Outcome::ServerFailed(why) => Err(Failure::Running(why)),
    }
}

/// How the dashboard looks and which keys it has. A configuration that is broken by now is no reason not to watch the
/// server, unless it was named.
fn dashboard(before: Options) -> Result<Dashboard, Failure> {
    let is_named = !before.is_empty();
    match load(&before.into_sources()) {
        Ok(loaded) => Ok(loaded.into_config().dashboard),
        Err(error) if is_named => Err(error.into()),
        Err(_) => Ok(Dashboard::default()),
    }
}
