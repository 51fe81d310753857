//! `chatops ctl`: one request to a running server, over its control socket. The answer as a table for people, or as
//! it came.

mod show;
mod table;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use serde_json::Value;

use super::error::{Failure, StartError};
use super::options::Options;
use super::output::{Reader, offer};
use super::servers::{PATIENCE, no_answer, the_only_server};
use crate::control::client::Control;
use crate::model::verbs::{Follow, OperatorCommand, Question, VERBS, VerbError};

/// What is asked of a running server, and which one.
#[derive(Args, Clone, Debug)]
#[command(override_usage = "chatops ctl [OPTIONS] VERB [ARG]...", after_help = after_help())]
pub(super) struct Ctl {
    /// Print the answer as it came: one line of JSON
    #[arg(long)]
    json: bool,

    /// The server's control socket; without it the only server of this user that runs
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    control: Option<PathBuf>,

    /// What to do: one of the verbs below, and what it takes. All behind the verb is taken as it is: options stand
    /// before it
    #[arg(value_name = "VERB", required = true, trailing_var_arg = true)]
    request: Vec<String>,
}

/// The verbs, as the table has them, and what the exit code says.
fn after_help() -> String {
    let heads = VERBS.map(|(verb, arguments, _)| format!("{verb} {arguments}"));
    let width = heads.iter().map(String::len).max().unwrap_or(0);
    let mut text = "Verbs:\n".to_owned();
    for (head, (_, _, meaning)) in heads.iter().zip(VERBS) {
        let _ = writeln!(text, "  {head:width$}  {meaning}");
    }
    text.push_str("\nWHO is a connection's id (7, #7) or a nick, TIME such as 90s or 5m.\n");
    text.push_str("\nExit codes: 0 done, 1 refused or the server went away, 2 wrong usage or no server.");
    text
}

/// What is asked, understood.
#[derive(Debug)]
struct Request {
    text: String,
    command: OperatorCommand,
    /// Whether the answer is printed as it came.
    is_json: bool,
}

impl Request {
    /// All behind the verb is what the verb takes, for nicks and reasons may begin with a dash. Where it cannot take
    /// the `--json` at its end, that is the option.
    fn of(ctl: &Ctl) -> Result<Self, StartError> {
        let text = ctl.request.join(" ");
        if text.contains(['\n', '\r', '\0']) {
            return Err(StartError::Usage("a request is one line: leave out the line ends".to_owned()));
        }
        match (text.parse(), text.strip_suffix(" --json").map(|text| (text, text.parse()))) {
            (Ok(command), _) => Ok(Self { text, command, is_json: ctl.json }),
            (Err(_), Some((text, Ok(command)))) => Ok(Self { text: text.to_owned(), command, is_json: true }),
            (Err(why), _) => Err(StartError::Usage(usage(&why, &ctl.request))),
        }
    }
}

/// What is wrong with a request, and where options belong if one may have been meant.
fn usage(why: &VerbError, request: &[String]) -> String {
    match request.iter().find(|word| word.len() > 1 && word.starts_with('-')) {
        Some(option) => format!("{why}; if {option} is an option, it stands before the verb"),
        None => why.to_string(),
    }
}

/// Asks, and prints the answer.
pub(super) fn run(ctl: &Ctl, before: Options) -> Result<(), Failure> {
    let Request { text: request, command, is_json } = Request::of(ctl)?;
    let path = match &ctl.control {
        Some(path) => path.clone(),
        None => the_only_server(before)?,
    };
    let mut control = Control::connect(&path, PATIENCE)
        .map_err(|error| StartError::Unreachable { path: path.clone(), error })?;
    let answer = control.ask(&request).map_err(|error| no_answer(&path, &error))?;
    let mut reader = tell(&answer, &command, is_json, &path)?;
    if is_followed(&command) {
        control.wait_for_ever().map_err(|error| no_answer(&path, &error))?;
        while reader == Reader::There
            && let Some(answer) = control.next_answer().map_err(|error| no_answer(&path, &error))?
        {
            reader = tell(&answer, &command, is_json, &path)?;
        }
    }
    Ok(())
}

/// Whether the request is answered until one of both ends goes.
const fn is_followed(command: &OperatorCommand) -> bool {
    matches!(command, OperatorCommand::Ask(Question::Events(Follow::On) | Question::Snapshot(Follow::On)))
}

/// Prints one answer.
fn tell(answer: &str, command: &OperatorCommand, is_json: bool, path: &Path) -> Result<Reader, Failure> {
    let value: Value = serde_json::from_str(answer).map_err(|error| no_answer(path, &error.into()))?;
    let is_done = value["ok"] == true;
    let reader = match (is_json, is_done) {
        (true, _) => offer(&format!("{answer}\n"))?,
        (false, true) => offer(&show::answer(command, &value))?,
        (false, false) => Reader::There,
    };
    if is_done { Ok(reader) } else { Err(Failure::Running(show::error(&value))) }
}
