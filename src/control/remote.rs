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

use super::client::Control;
use super::picture::{brief_request, picture_request, read_outcome, read_picture};
use crate::link::local::{LocalLink, Mailbox, local};
use crate::link::{LinkError, Request, Response};
use crate::model::answer::Done;
use crate::model::snapshot::Query;
use crate::model::verbs::OperatorCommand;

/// Why there is no link to a server.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Its control socket cannot be reached.
    #[error(transparent)]
    Unreachable(io::Error),
    /// Somebody is there, and does not answer.
    #[error(transparent)]
    Silent(#[from] io::Error),
    /// It lets no more operators in, or is another version; in its words.
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
    let nothing_old = Query { events_after: u64::MAX, ..Query::default() };
    read_picture(&control.ask(&picture_request(&nothing_old))?).map_err(AttachError::Refused)?;
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

fn carry_all(mut control: Control, mut mailbox: Mailbox, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        while let Some(request) = mailbox.next() {
            match carry(&mut control, request) {
                Ok(response) => mailbox.answer(response),
                Err(why) => return mailbox.end(why),
            }
        }
    }
}

fn carry(control: &mut Control, request: Request) -> Result<Response, LinkError> {
    let mut ask = |line: &str| match control.ask_or_end(line) {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(LinkError::Ended),
        Err(why) => Err(LinkError::Failed(format!("the connection to it is lost: {why}; attach again"))),
    };
    match request {
        Request::Snapshot(query) => {
            let picture = read_picture(&ask(&picture_request(&query))?).map_err(LinkError::Failed)?;
            Ok(Response::Snapshot(Box::new(picture)))
        }
        Request::Verb { ticket, command } => {
            let line = match &command {
                OperatorCommand::Ask(question) => brief_request(question),
                order => order.to_string(),
            };
            // A request is one line, whatever was typed or pasted.
            let outcome = read_outcome(&ask(&line.replace(char::is_control, " "))?).map(Done::from);
            Ok(Response::Verb { ticket, outcome })
        }
        // A dashboard requests snapshots alone.
        Request::Connection(_) | Request::Page { .. } | Request::Status => Err(LinkError::Busy),
    }
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
    use crate::model::snapshot::Snapshot;

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

    fn picture() -> String {
        let Snapshot { taken, status, detail, events, rows } = Snapshot::default();
        serde_json::json!({
            "ok": true, "taken": taken, "status": status, "detail": detail, "events": events, "rows": rows,
        })
        .to_string()
    }

    #[test]
    fn requests_are_carried_in_order_until_the_server_goes() {
        let done = |message: &str| format!(r#"{{"ok":true,"message":"{message}"}}"#);
        let refused = r#"{"ok":false,"error":"nobody here is #9"}"#.to_owned();
        let answers = vec![picture(), picture(), done("paused"), refused, done("up 3 s")];
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
                Ok(Some(Response::Snapshot(_))) => told.push("picture".to_owned()),
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
            ["picture", r#"Ok("paused")"#, r#"Err("nobody here is #9")"#, r#"Ok("up 3 s")"#, "Ended"]
        );
        let (asked, _stream) = served.join().unwrap();
        assert_eq!(asked[2..], ["pause", "kick #9 a b", "brief status"]);
        assert!(asked[..2].iter().all(|line| line.starts_with("picture {")), "{asked:?}");
        let _ = std::fs::remove_file(&path);
    }

    #[test]
    fn a_server_that_lets_nobody_in_or_is_another_version_is_no_link() {
        for (answer, told) in [
            (r#"{"ok":false,"error":"16 operators are here already"}"#, "16 operators are here already"),
            (r#"{"ok":true,"version":"99.0"}"#, "the server is chatops 99.0, this is"),
        ] {
            let (path, served) = server("version", vec![answer.to_owned()]);
            let why = attach(&path, DEADLINE, || {}).unwrap_err().to_string();
            assert!(why.starts_with(told), "{why}");
            served.join().unwrap();
            let _ = std::fs::remove_file(&path);
        }
    }
}
