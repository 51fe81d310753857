//! Fuzz targets for everything that reads untrusted bytes: framing, telnet, scrubbing, commands, the operator's
//! verbs, and the engine as a whole.
//!
//! Each target runs for `CHATOPS_FUZZ_SECONDS`, by default for a moment. An input is a sequence of bytes; a target
//! reads it as a [`recipe`], so that most inputs reach interesting code. The inputs are random, or with `cargo bolero
//! test` made by a fuzzer with coverage feedback.

mod commands;
mod engine;
mod framer;
mod operator;
mod recipe;
mod telnet;
mod text;

#[path = "../common/framing.rs"]
#[allow(dead_code, reason = "shared with the black-box tests, which read names of framings")]
mod framing;
#[path = "../world/stage/mod.rs"]
#[allow(dead_code, reason = "shared with the stories, which use another part of it")]
mod stage;

use std::time::Duration;

/// The default time of a target.
const MOMENT: Duration = Duration::from_millis(250);

/// The longest input, in bytes.
const INPUT_BYTES_MAX: usize = 600;

fn time_for_each() -> Duration {
    let Ok(seconds) = std::env::var("CHATOPS_FUZZ_SECONDS") else { return MOMENT };
    let seconds = seconds.parse().unwrap_or_else(|_| panic!("CHATOPS_FUZZ_SECONDS is a number: {seconds:?}"));
    Duration::from_secs(seconds)
}

/// Calls a check with inputs until its time is over.
macro_rules! fuzz {
    ($name:ident, $check:path) => {
        #[test]
        fn $name() {
            bolero::check!().with_test_time(time_for_each()).with_max_len(INPUT_BYTES_MAX).for_each($check);
        }
    };
}

fuzz!(every_framing_gives_the_same_messages_for_any_chunks, framer::messages);
fuzz!(what_is_encoded_is_decoded, framer::round_trip);
fuzz!(telnet_answers_little_and_takes_out_the_same_for_any_chunks, telnet::check);
fuzz!(text_is_scrubbed_for_good, text::check);
fuzz!(commands_are_answered_or_refused_once, commands::check);
fuzz!(verbs_read_back_as_they_are_written, operator::check);
fuzz!(the_engine_says_the_same_for_any_chunks, engine::clients);
fuzz!(the_engine_answers_operators_for_any_chunks, engine::operators);
