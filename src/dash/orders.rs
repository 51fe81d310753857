//! Verbs on their way: which wait, which are with the server, and how they went.
//!
//! A dialog over many connections makes as many verbs; the link takes few at a time, so the rest wait here.

use std::collections::VecDeque;

use crate::link::Request;
use crate::model::verbs::OperatorCommand;

/// Verbs with the server at a time.
const IN_FLIGHT_MAX: usize = 16;

/// The verbs given and not yet answered, and the score of those given together.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    waiting: VecDeque<Order>,
    in_flight: Vec<Order>,
    last_ticket: u64,
    given: usize,
    done: usize,
    failure: Option<String>,
}

#[derive(Clone, Debug)]
struct Order {
    ticket: u64,
    command: OperatorCommand,
    /// How it went is told.
    is_told: bool,
}

impl Orders {
    /// Gives a verb; how it went is told.
    pub(crate) fn give(&mut self, command: OperatorCommand) {
        self.given += 1;
        self.add(command, true);
    }

    /// Asks for whoever knows the ticket, which is given back; the answer is not told.
    pub(crate) fn ask(&mut self, question: OperatorCommand) -> u64 {
        self.add(question, false)
    }

    fn add(&mut self, command: OperatorCommand, is_told: bool) -> u64 {
        self.last_ticket += 1;
        self.waiting.push_back(Order { ticket: self.last_ticket, command, is_told });
        self.last_ticket
    }

    /// The next request, if the server may have one more.
    pub(crate) fn next_request(&mut self) -> Option<Request> {
        if self.in_flight.len() >= IN_FLIGHT_MAX {
            return None;
        }
        let order = self.waiting.pop_front()?;
        let request = Request::Verb { ticket: order.ticket, command: order.command.clone() };
        self.in_flight.push(order);
        Some(request)
    }

    /// Takes back a verb that the link was too busy for; it goes first when there is room again.
    pub(crate) fn wait_again(&mut self, ticket: u64) {
        if let Some(order) = self.take(ticket) {
            self.waiting.push_front(order);
        }
    }

    /// Takes an answer: what to tell, once there is something to tell.
    pub(crate) fn answered(
        &mut self,
        ticket: u64,
        outcome: Result<String, String>,
    ) -> Option<Result<String, String>> {
        let Order { command, .. } = self.take(ticket).filter(|order| order.is_told)?;
        match &outcome {
            Ok(_) => self.done += 1,
            Err(why) => self.failure = Some(format!("{command}: {why}")),
        }
        if self.given == 1 {
            self.forget();
            return Some(match outcome {
                Ok(said) => Ok(format!("{command}: {said}")),
                Err(why) => Err(format!("{command}: {why}")),
            });
        }
        if self.waiting.iter().chain(&self.in_flight).any(|order| order.is_told) {
            return None;
        }
        let (given, done, failure) = (self.given, self.done, self.failure.take());
        self.forget();
        Some(match failure {
            None => Ok(format!("{done} of {given} verbs done")),
            Some(failure) => Err(format!("{done} of {given} verbs done; {failure}")),
        })
    }

    fn take(&mut self, ticket: u64) -> Option<Order> {
        let at = self.in_flight.iter().position(|order| order.ticket == ticket)?;
        Some(self.in_flight.remove(at))
    }

    fn forget(&mut self) {
        (self.given, self.done, self.failure) = (0, 0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(request: Option<Request>) -> u64 {
        match request {
            Some(Request::Verb { ticket, .. }) => ticket,
            other => panic!("no verb: {other:?}"),
        }
    }

    #[test]
    fn one_verb_tells_how_it_went() {
        let mut orders = Orders::default();
        orders.give(OperatorCommand::Pause);
        let first = ticket(orders.next_request());
        assert_eq!(orders.answered(first + 1, Ok(String::new())), None);
        assert_eq!(orders.answered(first, Ok("paused".into())), Some(Ok("pause: paused".into())));
        orders.give(OperatorCommand::Resume);
        let second = ticket(orders.next_request());
        assert_eq!(orders.answered(second, Err("no".into())), Some(Err("resume: no".into())));
    }

    #[test]
    fn a_question_is_no_part_of_the_score() {
        let mut orders = Orders::default();
        orders.give(OperatorCommand::Pause);
        let question = orders.ask(OperatorCommand::Resume);
        let first = ticket(orders.next_request());
        assert_eq!(ticket(orders.next_request()), question);
        assert_eq!(orders.answered(first, Ok("paused".into())), Some(Ok("pause: paused".into())));
        assert_eq!(orders.answered(question, Ok("known".into())), None);
    }

    #[test]
    fn many_verbs_go_a_few_at_a_time_and_tell_their_score_at_the_end() {
        let mut orders = Orders::default();
        for _ in 0..20 {
            orders.give(OperatorCommand::Pause);
        }
        let mut tickets: VecDeque<u64> =
            std::iter::from_fn(|| orders.next_request()).map(|request| ticket(Some(request))).collect();
        assert_eq!(tickets.len(), IN_FLIGHT_MAX);
        orders.wait_again(tickets.pop_back().unwrap());
        let mut told = Vec::new();
        while let Some(next) = tickets.pop_front() {
            let outcome = if tickets.is_empty() { Err("too late".to_owned()) } else { Ok(String::new()) };
            told.extend(orders.answered(next, outcome));
            tickets.extend(orders.next_request().map(|request| ticket(Some(request))));
        }
        assert!(
            matches!(told.as_slice(), [Err(text)] if text.starts_with('1') && text.contains("of 20")),
            "{told:?}"
        );
    }
}
