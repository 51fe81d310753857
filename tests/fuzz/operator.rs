//! The operator's verbs, as arbitrary lines.

use chatops::model::verbs::{OperatorCommand, VERBS};
use chatops::wire::text::scrub;

use crate::recipe::Recipe;

/// Pieces of arguments, besides the verbs.
const PIECES: [&str; 28] = [
    " ",
    "  ",
    "\t",
    "7",
    "#7",
    "#",
    "0",
    "99999999999999999999",
    "bob",
    "BOB",
    "guest-3",
    "server",
    "a/b",
    "for ",
    "for",
    "10s",
    "250ms",
    "5 m",
    "18446744073709551615d",
    "10",
    "both",
    "read",
    "write",
    "WRITE",
    "too loud",
    "é",
    "\u{1B}[2J",
    "\u{3000}",
];

/// The longest text of an error besides its quotation of the input: the usage, or the list of verbs.
const ERROR_BYTES_MAX: usize = 400;

pub(crate) fn check(input: &[u8]) {
    let mut recipe = Recipe::new(input);
    let verb = recipe.pick(&VERBS).0;
    let is_known = recipe.below(8) > 0;
    let pieces = PIECES.map(str::as_bytes);
    let rest = recipe.stream(&pieces);
    let rest = scrub(&rest).text;
    check_line(&if is_known { format!("{verb} {rest}") } else { rest.into_owned() });
}

fn check_line(line: &str) {
    match line.parse::<OperatorCommand>() {
        Ok(command) => {
            let written = command.to_string();
            assert_eq!(written.parse::<OperatorCommand>().as_ref(), Ok(&command), "{line:?}: {written:?}");
            assert!(written.len() <= line.len() + 16, "{line:?} is written as {written:?}");
        }
        Err(why) => {
            let why = why.to_string();
            assert!(!why.is_empty() && why.len() <= line.len() + ERROR_BYTES_MAX, "{line:?}: {why:?}");
            assert!(!why.contains(|c: char| c.is_control() && c != '\t'), "{line:?}: {why:?}");
        }
    }
}
