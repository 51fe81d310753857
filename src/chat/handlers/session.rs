//! `/set`, `/ping`, `/listen`, `/quit`: what concerns only the person's own connection.

use crate::chat::command::{Answer, Arguments, Call, Refusal, quote};
use crate::chat::{Outcome, Style};

/// A key of `/set`. Both its values are words; the first is the one that is on.
struct Setting {
    key: &'static str,
    values: [&'static str; 2],
    brief: &'static str,
    field: fn(&mut Style) -> &mut bool,
}

impl Setting {
    fn value(&self, mut style: Style) -> &'static str {
        self.values[usize::from(!*(self.field)(&mut style))]
    }
}

static SETTINGS: [Setting; 2] = [
    Setting {
        key: "time",
        values: ["hh:mm", "off"],
        brief: "the time before a line",
        field: |style| &mut style.time,
    },
    Setting {
        key: "presence",
        values: ["on", "off"],
        brief: "lines about who joins, leaves or takes another name",
        field: |style| &mut style.presence,
    },
];

/// `/set [KEY VALUE]`: lists the settings, or changes one.
pub(in crate::chat) fn set(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    if arguments.word.is_empty() {
        list(call);
        return Ok(Outcome::Continue);
    }
    let setting = find(arguments.word)?;
    let is_on = read_value(setting, arguments.text)?;
    let style = &mut call.hub.people[call.member].style;
    *(setting.field)(style) = is_on;
    let style = *style;
    call.out.restyle(call.member, style);
    call.answer(&format!("{} is {}", setting.key, setting.value(style)));
    Ok(Outcome::Continue)
}

fn list(call: &mut Call<'_>) {
    let style = call.person().style;
    for setting in &SETTINGS {
        let [on, off] = setting.values;
        call.answer(&format!(
            "{} is {} ({on} or {off}): {}",
            setting.key,
            setting.value(style),
            setting.brief
        ));
    }
}

fn find(key: &str) -> Result<&'static Setting, Refusal> {
    SETTINGS.iter().find(|setting| setting.key.eq_ignore_ascii_case(key)).ok_or_else(|| {
        let keys = SETTINGS.each_ref().map(|setting| setting.key).join(" and ");
        format!("no key {}; there are {keys}: /set lists them", quote(key)).into()
    })
}

fn read_value(setting: &Setting, value: &str) -> Result<bool, Refusal> {
    let [on, off] = setting.values;
    match value {
        _ if value.eq_ignore_ascii_case(on) => Ok(true),
        _ if value.eq_ignore_ascii_case(off) => Ok(false),
        _ => Err(format!("{} is {on} or {off}, not {}", setting.key, quote(value)).into()),
    }
}

/// `/ping [TOKEN]`: tells that everything sent before it is dealt with.
pub(in crate::chat) fn ping(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    match arguments.word {
        "" => call.answer("pong"),
        token => call.answer(&format!("pong {token}")),
    }
    Ok(Outcome::Continue)
}

/// `/listen`: the connection stays after the end of its input.
pub(in crate::chat) fn listen(call: &mut Call<'_>, _: Arguments<'_>) -> Answer {
    call.answer("you stay after the end of your input and read on; close the connection to leave");
    Ok(Outcome::Listen)
}

/// `/quit [TEXT]`: the end, asked for. A muted person leaves without a word.
pub(in crate::chat) fn quit(call: &mut Call<'_>, arguments: Arguments<'_>) -> Answer {
    call.answer("bye");
    let is_muted = call.person().is_muted;
    Ok(Outcome::Quit(if is_muted { String::new() } else { arguments.text.to_owned() }))
}
