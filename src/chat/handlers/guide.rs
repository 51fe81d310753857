//! `/help`

use crate::chat::Outcome;
use crate::chat::command::{self, Answer, Arguments, COMMANDS, Call};

/// `/help [COMMAND]`: all commands with a line each, or all about one.
pub(in crate::chat) fn help(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    if arguments.word.is_empty() {
        list(call);
    } else {
        explain(call, arguments.word.strip_prefix('/').unwrap_or(arguments.word))?;
    }
    Ok(Outcome::Continue)
}

fn list(call: &mut Call<'_>) {
    let width = COMMANDS.iter().map(|command| command.usage().len()).max().unwrap_or(0);
    for command in &COMMANDS {
        call.answer(&format!("{:width$}  {}", command.usage(), command.brief));
    }
}

fn explain(call: &mut Call<'_>, name: &str) -> Result<(), command::Refusal> {
    let command = command::find(name).ok_or_else(|| command::unknown(name))?;
    call.answer(&format!("{}: {}", command.usage(), command.brief));
    for line in command.detail {
        call.answer(line);
    }
    Ok(())
}
