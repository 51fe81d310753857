//! The link to a server in another process, over its control socket.
//!
//! The onlooker has the same end as within one process. Behind it a thread carries one request after the other to the
//! server and waits for each answer, as long as it takes: the onlooker does not wait, and shows how long the server
//! is silent.
//!
//! Invariant: the thread ends when either side has gone, and the onlooker learns it if it was the server.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::client::Control;
use super::read;
use crate::clock::Clock;
use crate::link::local::{LocalLink, Mailbox, local};
use crate::link::{LinkError, Request, Response};
use crate::model::answer::{Done, Outcome};
use crate::model::snapshot::{Query, Row, Snapshot};
use crate::model::verbs::OperatorCommand;
use crate::time::Now;

/// Why there is no link to a server.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Its control socket cannot be reached.
    #[error(transparent)]
    Unreachable(io::Error),
    /// Somebody is there, and does not answer.
    #[error(transparent)]
    Silent(#[from] io::Error),
    /// It lets no more operators in, in its words.
    #[error("{0}")]
    Refused(String),
}

/// Attaches to the server whose control socket is at `path`. `wake_onlooker` is called, from another thread, when there
/// is an answer, and when the server has gone.
///
/// # Errors
///
/// When nobody answers there within `patience`, or the answer is not one for this program.
pub fn attach(
    path: &Path,
    patience: Duration,
    wake_onlooker: impl Fn() + Send + Sync + 'static,
) -> Result<LocalLink, AttachError> {
    let mut control = Control::connect(path, patience).map_err(AttachError::Unreachable)?;
    read::<read::Status>(&control.ask("status")?).map_err(AttachError::Refused)?;
    control.wait_for_ever()?;
    let (bell, woken) = sync_channel(1);
    let ring = move || {
        // It is full: the carrier has not looked since it was rung last.
        let _ = bell.try_send(());
    };
    let (link, mailbox) = local(ring, wake_onlooker);
    thread::Builder::new().name("link".to_owned()).spawn(move || carry_all(control, mailbox, &woken))?;
    Ok(link)
}

fn carry_all(control: Control, mut mailbox: Mailbox, woken: &Receiver<()>) {
    let mut server = Server { control, clock: Clock::start() };
    while woken.recv().is_ok() {
        while let Some(request) = mailbox.next() {
            match server.carry(request) {
                Ok(response) => mailbox.answer(response),
                Err(why) => return mailbox.end(why),
            }
        }
    }
}

/// Reads an answer.
///
/// # Errors
///
/// Why the server refused, or why its answer cannot be read.
fn read<T: Default + DeserializeOwned>(answer: &str) -> Result<T, String> {
    #[derive(Deserialize)]
    #[serde(bound = "T: Default + DeserializeOwned")]
    struct Answer<T> {
        error: Option<String>,
        #[serde(flatten)]
        content: T,
    }
    match serde_json::from_str(answer) {
        Ok(Answer { error: Some(why), .. }) => Err(why),
        Ok(Answer { content, .. }) => Ok(content),
        Err(why) => Err(format!("the server's answer cannot be read: {why}")),
    }
}

/// What the lists of the control socket have.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lists {
    connections: Vec<read::Connection>,
    closed: Vec<read::Connection>,
    events: Vec<read::Event>,
}

/// The server, as asked over its control socket.
struct Server {
    control: Control,
    clock: Clock,
}

impl Server {
    fn carry(&mut self, request: Request) -> Result<Response, LinkError> {
        match request {
            Request::Snapshot(query) => {
                let taken = snapshot(&query, |line| Ok((self.ask(line)?, self.clock.now())))?;
                Ok(Response::Snapshot(Box::new(taken)))
            }
            Request::Verb { ticket, command } => {
                let line = match &command {
                    OperatorCommand::Ask(question) => format!("{question} brief"),
                    order => order.to_string(),
                };
                // A request is one line, whatever was typed or pasted.
                let outcome = outcome(&self.ask(&line.replace(char::is_control, " "))?);
                Ok(Response::Verb { ticket, outcome })
            }
            // A dashboard requests snapshots alone.
            Request::Connection(_) | Request::Page { .. } | Request::Status => Err(LinkError::Busy),
        }
    }

    fn ask(&mut self, line: &str) -> Result<String, LinkError> {
        match self.control.ask_or_end(line) {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(LinkError::Ended),
            Err(why) => Err(LinkError::Failed(format!("the connection to it is lost: {why}; attach again"))),
        }
    }
}

/// Everything, as several answers of the control socket tell it; `ask` gives the answer to a request, and when it came.
/// The living are asked for before those that have ended, so that nobody is missed.
///
/// # Errors
///
/// Those of `ask`, and why an answer cannot be read.
pub fn snapshot(
    query: &Query,
    mut ask: impl FnMut(&str) -> Result<(String, Now), LinkError>,
) -> Result<Snapshot, LinkError> {
    let (answer, begun) = ask("status")?;
    let status: read::Status = read(&answer).map_err(LinkError::Failed)?;
    let taken = Now { moment: status.moment(), wall: begun.wall };
    let listeners = status.listeners().to_vec();
    let mut detail = None;
    if let Some(id) = query.detail {
        // It may have been forgotten.
        let found = read::<read::Connection>(&ask(&format!("connection {id}"))?.0);
        detail = found.ok().and_then(|found| found.detail(taken));
    }
    // The whole of a list if the server does not know how to give less.
    let mut ask_for = |list: &str, less: &str| {
        let (answer, at) = ask(&format!("{list} {less}"))?;
        let lists = match read(&answer) {
            Ok(lists) => lists,
            Err(_) => read(&ask(list)?.0).map_err(LinkError::Failed)?,
        };
        Ok::<(Lists, Now), LinkError>((lists, at))
    };
    let events = ask_for("events", &format!("after {}", query.events_after))?.0.events;
    let ids = query.visible.iter().chain(&query.detail).map(|id| id.get().to_string());
    let queues = format!("queues {}", ids.collect::<Vec<_>>().join(","));
    let (living, came) = ask_for("connections", &queues)?;
    // Those that ended since the first answer are among them.
    let within = Query::GONE_FOR + came.moment.since(begun.moment);
    let gone = ask_for("closed", &format!("for {}s", within.as_secs() + 1))?.0.closed;
    let row = |connection: &read::Connection| connection.row(&listeners, taken.moment);
    let mut rows: Vec<Row> = living.connections.iter().filter_map(row).collect();
    let is_recent =
        |row: &Row| row.gone_at.is_some_and(|gone_at| taken.moment.since(gone_at) < Query::GONE_FOR);
    rows.extend(gone.iter().filter_map(row).filter(is_recent));
    // Who ended while it was made is in it twice, at last as one that is gone.
    rows.reverse();
    rows.sort_by_key(|row| row.id);
    rows.dedup_by_key(|row| row.id);
    let events = events.into_iter().map(|event| event.event(taken));
    let events = events.filter(|event| event.seq > query.events_after).collect();
    Ok(Snapshot { taken, status: status.into(), rows, detail, events })
}

/// How an order went, or the answer to a question in one line.
fn outcome(answer: &str) -> Outcome {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Message {
        message: String,
    }
    read(answer).map(|Message { message }| Done::from(message))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::Shutdown;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::PathBuf;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::link::Link;
    use crate::model::snapshot::ConnId;

    const DEADLINE: Duration = Duration::from_secs(10);

    /// What a server was asked, and its stream: closing that with requests unread would be a reset.
    type Served = (Vec<String>, UnixStream);

    /// A server that gives these answers, one to each request, and then says no more.
    fn server(name: &str, answers: Vec<String>) -> (PathBuf, thread::JoinHandle<Served>) {
        let path = std::env::temp_dir().join(format!("chatops-link-{name}-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let serve = move || {
            let (stream, _) = listener.accept().unwrap();
            let mut requests = BufReader::new(&stream).lines();
            let mut asked = Vec::new();
            for answer in answers {
                asked.push(requests.next().unwrap().unwrap());
                writeln!(&stream, "{answer}").unwrap();
            }
            drop(requests);
            stream.shutdown(Shutdown::Write).unwrap();
            (asked, stream)
        };
        (path, thread::spawn(serve))
    }

    fn status() -> String {
        r#"{"ok":true,"version":"0.1.0","uptime_s":3.0}"#.to_owned()
    }

    #[test]
    fn requests_are_carried_in_order_until_the_server_goes() {
        let done = |message: &str| format!(r#"{{"ok":true,"message":"{message}"}}"#);
        let refused = r#"{"ok":false,"error":"nobody here is #9"}"#.to_owned();
        let list = |name: &str| format!(r#"{{"ok":true,"{name}":[]}}"#);
        let mut answers = vec![status(), status(), list("events"), list("connections"), list("closed")];
        answers.extend([done("paused"), refused, done("up 3 s")]);
        let (path, served) = server("order", answers);
        let (bell, woken) = channel();
        let mut link = attach(&path, DEADLINE, move || {
            let _ = bell.send(());
        })
        .unwrap();
        link.request(Request::Snapshot(Query::default())).unwrap();
        for line in ["pause", "kick 9 a\u{1b}b", "status", "say one too many"] {
            link.request(Request::Verb { ticket: 7, command: line.parse().unwrap() }).unwrap();
        }
        let mut told = Vec::new();
        loop {
            match link.response() {
                Ok(None) => woken.recv_timeout(DEADLINE).unwrap(),
                Ok(Some(Response::Snapshot(_))) => told.push("snapshot".to_owned()),
                Ok(Some(Response::Verb { outcome, .. })) => {
                    told.push(format!("{:?}", outcome.map(|done| done.message)));
                }
                Ok(Some(other)) => panic!("not requested: {other:?}"),
                Err(why) => {
                    told.push(format!("{why:?}"));
                    break;
                }
            }
        }
        assert_eq!(
            told,
            ["snapshot", r#"Ok("paused")"#, r#"Err("nobody here is #9")"#, r#"Ok("up 3 s")"#, "Ended"]
        );
        let (asked, _stream) = served.join().unwrap();
        assert_eq!(asked[..4], ["status", "status", "events after 0", "connections queues "]);
        assert_eq!(asked[4..], ["closed for 6s", "pause", "kick #9 a b", "status brief"]);
        let _ = std::fs::remove_file(&path);
    }

    #[test]
    fn a_server_that_lets_nobody_in_is_no_link() {
        let answer = r#"{"ok":false,"error":"16 operators are here already"}"#;
        let (path, served) = server("full", vec![answer.to_owned()]);
        let why = attach(&path, DEADLINE, || {}).unwrap_err().to_string();
        assert_eq!(why, "16 operators are here already");
        served.join().unwrap();
        let _ = std::fs::remove_file(&path);
    }

    /// What a server answers that is older or newer than this program.
    fn other_server(line: &str) -> &'static str {
        match line {
            "status" => {
                r#"{"ok":true,"version":"99.0","uptime_s":10.0,"clients":2,"surprise":[1],"loop":{"x":1}}"#
            }
            "connections" => {
                r#"{"ok":true,"connections":[{"id":7,"nick":"ann","state":"asleep","flags":["slow","glad"],
                "reason":"moved: far away","colour":"green"},{"nick":"nobody"}]}"#
            }
            "closed" => r#"{"ok":true,"closed":[{"id":5,"gone_s":1.5,"reason":"quit: bye"}]}"#,
            "events" => r#"{"ok":true,"events":[{"seq":3,"kind":"sing","text":"la","id":7},{"seq":1}]}"#,
            _ => r#"{"ok":false,"error":"takes no argument"}"#,
        }
    }

    #[test]
    fn an_older_or_newer_server_is_shown_as_far_as_its_fields_are_known() {
        let query = Query { visible: vec![], detail: ConnId::new(9), events_after: 2 };
        let seen = snapshot(&query, |line| Ok((other_server(line).to_owned(), Now::default()))).unwrap();
        assert_eq!((seen.status.clients, seen.status.bytes_in, seen.detail), (2, 0, None));
        let rows: Vec<(u64, String)> = seen
            .rows
            .iter()
            .map(|row| (row.id.get(), row.reason.as_ref().map(ToString::to_string).unwrap_or_default()))
            .collect();
        assert_eq!(
            rows,
            [(5, "quit: bye".to_owned()), (7, "connection failed: moved: far away".to_owned())],
            "a row without an id is none"
        );
        assert!(seen.rows[1].flags.words().eq(["slow"]));
        let events: Vec<String> = seen.events.iter().map(|event| event.kind.to_string()).collect();
        assert_eq!(events, ["la"], "what is older is known already");
    }
}
