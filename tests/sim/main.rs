//! The fault simulator: random schedules of clients, faults, operator verbs and time, played on the engine, with
//! everything that each client received checked against what was said.
//!
//! `CHATOPS_SIM_SCHEDULES` is the number of schedules, `CHATOPS_SIM_SEED` the first one. A schedule that fails prints
//! how to replay it alone.

mod actor;
#[path = "../common/framing.rs"]
#[allow(dead_code, reason = "shared with the black-box tests, which read names of framings")]
mod framing;
mod operator;
mod oracle;
mod random;
mod schedule;
mod server;
#[path = "../world/stage/mod.rs"]
#[allow(dead_code, reason = "shared with the stories, which use another part of it")]
mod stage;
mod tally;
mod transcript;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use schedule::Schedule;
use tally::Tally;

/// The default number of schedules.
const SCHEDULES: u64 = 10_000;
/// With this number of schedules, every fault has happened.
const SCHEDULES_FOR_ALL: u64 = 1_000;

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

#[test]
fn every_schedule_keeps_the_promises() {
    let first = variable("CHATOPS_SIM_SEED").unwrap_or(1);
    let count = variable("CHATOPS_SIM_SCHEDULES").unwrap_or(SCHEDULES);
    let mut tally = Tally::default();
    for seed in first..first + count {
        let played = catch_unwind(AssertUnwindSafe(|| Schedule::new(seed).play()));
        match played {
            Ok(one) => tally.add(&one),
            Err(panic) => {
                eprintln!(
                    "schedule {seed} failed; to play it again:\n  \
                     CHATOPS_SIM_SEED={seed} CHATOPS_SIM_SCHEDULES=1 cargo test --test sim"
                );
                resume_unwind(panic);
            }
        }
    }
    println!("{tally:#?}");
    if count >= SCHEDULES_FOR_ALL {
        tally.check();
    }
}

#[test]
fn a_schedule_is_the_same_each_time() {
    for seed in 1..20 {
        assert_eq!(Schedule::new(seed).play(), Schedule::new(seed).play());
    }
}

#[test]
fn setting_the_wall_clock_changes_only_displayed_times() {
    for seed in 1..400 {
        let (received, ends) = Schedule::new(seed).lines_and_ends();
        let (as_ever, ends_as_ever) = Schedule::new(seed).without_wall_jumps().lines_and_ends();
        assert_eq!(ends, ends_as_ever, "schedule {seed}");
        for (client, (received, as_ever)) in received.iter().zip(&as_ever).enumerate() {
            assert_eq!(received, as_ever, "schedule {seed}: client {client}");
        }
    }
}
