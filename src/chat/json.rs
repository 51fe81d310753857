//! JSON mode (`/set mode json`), for programs: every message is one object, both ways.
//!
//! To the client: `{"v":1,"kind":"say","time":"2026-11-24T12:34:56.000Z","room":"ops","from":"alice","text":"hi"}`; what
//! does not apply to a kind is left out. From the client: `{"kind":"say","room":"ops","text":"hi"}`, without `room` for
//! the active one, or `{"kind":"command","text":"/who"}`. Anything else is refused, a key too many as well: a slip in
//! `room` must not send a text elsewhere.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Deserializer, Serialize};

use super::command::{self, Answer, Call, Parsed, Refusal};
use super::handlers::rooms::own_room;
use super::{Kind, Line, Message, Nick, Outcome, RoomName, format};
use crate::time::WallTime;
use crate::wire::text::{is_blank, scrub};

/// Bytes that an object adds to the text in it at most, as [`Line::FORM_BYTES_MAX`] has it for text.
pub(super) const FORM_BYTES_MAX: usize = 192;
/// How many bytes may come of one byte of text: quotes, backslashes and tabs get a backslash.
pub(super) const GROWTH_MAX: usize = 2;

/// The version of the form.
const VERSION: u8 = 1;
/// The most characters in which a refusal says what is wrong with a request: they may repeat all of it.
const WRONG_CHARS_MAX: usize = 120;
/// What a program may send, for the refusal of all else.
const USAGE: &str = r#"send {"kind":"say","text":"…"} or {"kind":"command","text":"/set mode text"}"#;

/// A line as a program reads it.
#[derive(Debug, Serialize)]
struct Object<'a> {
    v: u8,
    kind: &'static str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

/// What a program asks for.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Request {
    Say {
        #[serde(default, deserialize_with = "named")]
        room: Option<Clean>,
        text: Clean,
    },
    Command {
        text: Clean,
    },
}

/// Text out of an object, scrubbed: its escapes are decoded first, so that they and raw characters are judged together.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
struct Clean(String);

impl From<String> for Clean {
    fn from(text: String) -> Self {
        Self(scrub(text.as_bytes()).text.into_owned())
    }
}

/// A room that is there has a name: `null`, which most programs make of a variable that was never set, is none.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Clean>, D::Error> {
    Clean::deserialize(deserializer).map(Some)
}

/// Appends the object of `line`, without its end. A message carries its own time; what the server says itself is of
/// `wall`.
///
/// # Panics
///
/// Never: an object of strings always has a form in JSON, and a vector takes all that is written to it.
pub(super) fn append(line: &Line<'_>, wall: WallTime, out: &mut Vec<u8>) {
    let summary;
    let mut object = match *line {
        Line::Message(message) => Object::of_message(message),
        Line::Notice(_) | Line::Presence { .. } => Object::new("notice", wall),
        Line::Refused(_) => Object::new("refused", wall),
    };
    object.text = Some(line.text()).filter(|text| !text.is_empty());
    if let Line::Presence { room, joined, left, renamed } = line {
        summary = format::counts(*joined, *left, *renamed);
        (object.room, object.text) = (Some(room.as_str()), Some(summary.as_str()));
    }
    serde_json::to_writer(out, &object).expect("strings have a form in JSON, and memory takes all");
}

impl<'a> Object<'a> {
    fn new(kind: &'static str, at: WallTime) -> Self {
        let time = DateTime::from_timestamp_millis(at.unix_ms)
            .unwrap_or_default()
            .to_rfc3339_opts(SecondsFormat::Millis, true);
        Self { v: VERSION, kind, time, room: None, from: None, to: None, text: None }
    }

    fn of_message(message: &'a Message) -> Self {
        let server = message.origin.suffix();
        let (kind, to) = match &message.kind {
            Kind::Action => ("action", None),
            Kind::Join => ("join", None),
            Kind::Leave => ("leave", None),
            Kind::Operator => ("operator", None),
            Kind::Private { to } => ("private", Some(name(to, ""))),
            Kind::Rename { to } => ("rename", Some(name(to, server))),
            Kind::Say => ("say", None),
            Kind::Topic => ("topic", None),
        };
        let room = message.room.as_ref().map(RoomName::as_str);
        let from = message.from.as_ref().map(|from| name(from, server));
        Self { room, from, to, ..Self::new(kind, message.at) }
    }
}

/// A nick with its server behind it.
fn name<'a>(nick: &'a Nick, server: &str) -> Cow<'a, str> {
    if server.is_empty() { nick.as_str().into() } else { [nick.as_str(), server].concat().into() }
}

/// Does what one message of a program asks for. The message is as it arrived, in UTF-8 and not scrubbed.
pub(super) fn run(call: &mut Call<'_>, message: &str) -> Answer {
    let message = message.strip_prefix('\u{FEFF}').unwrap_or(message);
    if message.trim().is_empty() {
        return Ok(Outcome::Continue);
    }
    match read(message)? {
        Request::Say { text, .. } if is_blank(&text.0) => Ok(Outcome::Continue),
        Request::Say { room, text } => {
            call.person().check_voice()?;
            let room = match room {
                Some(name) => own_room(call, &name.0)?,
                None => call.active_room()?,
            };
            call.hub.introduce(call.member, room, call.now, call.out);
            call.hub.say_in(room, call.member, &text.0, call.now, call.out);
            Ok(Outcome::Continue)
        }
        Request::Command { text } => match Parsed::read(&text.0) {
            Parsed::Command { name, arguments } => command::run(call, name, arguments),
            Parsed::Blank | Parsed::Text(_) => {
                Err(r#"a command begins with /; a text is sent by {"kind":"say","text":"…"}"#.into())
            }
        },
    }
}

fn read(message: &str) -> Result<Request, Refusal> {
    // An array of the values would do for serde.
    if message.trim_start().starts_with('[') {
        return Err(no_object());
    }
    serde_json::from_str(message).map_err(|error| {
        if error.is_data() && !message.trim_start().starts_with('{') {
            return no_object();
        }
        if error.is_data() {
            return format!("that is no request: {}; {USAGE}", what_is_wrong(&error)).into();
        }
        format!("that cannot be read as JSON, at byte {} of it; {USAGE}", place(&error, message)).into()
    })
}

/// Where in a message of one or several lines an error is, in bytes from 1.
fn place(error: &serde_json::Error, message: &str) -> usize {
    let lines = message.split_inclusive('\n').take(error.line().saturating_sub(1));
    lines.map(str::len).sum::<usize>() + error.column()
}

fn no_object() -> Refusal {
    format!("that is no request: an object is expected; {USAGE}").into()
}

/// The words of the library without the place, which it knows of no request that is tagged. They repeat what was sent.
fn what_is_wrong(error: &serde_json::Error) -> String {
    let words = error.to_string();
    let words = words.rsplit_once(" at line ").map_or(words.as_str(), |(words, _)| words);
    let words: String = words.chars().take(WRONG_CHARS_MAX).collect();
    scrub(words.as_bytes()).text.into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::chat::script::{EARLY, messages, play};
    use crate::chat::{Origin, ServerName, Style};

    const NOON: WallTime = WallTime { unix_ms: 1_795_867_200_123, hour: 13, minute: 0, second: 0 };

    fn object(line: &Line<'_>) -> Value {
        let mut bytes = Vec::new();
        append(line, NOON, &mut bytes);
        let mut value: Value = serde_json::from_slice(&bytes).unwrap();
        let fields = value.as_object_mut().unwrap();
        assert_eq!(fields.remove("v"), Some(json!(1)));
        assert_eq!(fields.remove("time"), Some(json!("2026-11-28T12:00:00.123Z")));
        value
    }

    #[test]
    fn every_line_is_an_object_of_its_kind() {
        let room = &RoomName::parse("Ops").unwrap();
        let text = r#"a "quote" \ 世界"#;
        let with_text = [
            json!({"kind":"action","room":"Ops","from":"alice","text":text}),
            json!({"kind":"join","room":"Ops","from":"alice"}),
            json!({"kind":"leave","room":"Ops","from":"alice","text":text}),
            json!({"kind":"rename","room":"Ops","from":"alice","to":"bob"}),
            json!({"kind":"say","room":"Ops","from":"alice","text":text}),
            json!({"kind":"topic","room":"Ops","from":"alice","text":text}),
            json!({"kind":"private","from":"alice","to":"bob","text":text}),
            json!({"kind":"operator","text":text}),
        ];
        let elsewhere = Origin::Server(ServerName::parse("b").unwrap());
        for (message, mut expected) in messages(text).into_iter().zip(with_text) {
            let message = Message { at: NOON, ..message };
            assert_eq!(object(&Line::Message(&message)), expected);
            let without = Message { text: String::new(), ..message.clone() };
            let mut expected_without = expected.clone();
            expected_without.as_object_mut().unwrap().remove("text");
            assert_eq!(object(&Line::Message(&without)), expected_without);
            if message.from.is_some() {
                expected["from"] = json!("alice@b");
            }
            if matches!(message.kind, Kind::Rename { .. }) {
                expected["to"] = json!("bob@b");
            }
            assert_eq!(object(&Line::Message(&Message { origin: elsewhere, ..message })), expected);
        }
        for (line, expected) in [
            (Line::Notice(text), json!({"kind":"notice","text":text})),
            (
                Line::Presence { room, joined: 12, left: 0, renamed: 2 },
                json!({"kind":"notice","room":"Ops","text":"12 joined, 2 renamed"}),
            ),
            (Line::Refused(text), json!({"kind":"refused","text":text})),
        ] {
            assert_eq!(object(&line), expected);
        }
    }

    #[test]
    fn a_program_speaks_and_reads_objects() {
        play(
            r##"alice is here
            bob is here
            bob says /set mode json
            bob sees {"v":1,"kind":"notice","time":"1970-01-01T00:00:00.000Z","text":"mode is json"}
            alice says say "hi"
            bob sees {"v":1,"kind":"say","time":"1970-01-01T00:00:00.000Z","room":"lobby","from":"alice","text":"say \"hi\""}
            bob says {"kind":"say","text":"/who \u00fcber"}
            alice sees 12:34 #lobby <bob> /who über
            bob says {"kind":"say","text":" "}
            bob says {"kind":"say","text":"\u2800"}
            bob says
            bob says {"kind":"command","text":"/join #ops"}
            bob sees {"v":1,"kind":"notice","time":"1970-01-01T00:00:00.000Z","text":"you are in #ops (1 here)"}
            bob says {"kind":"say","room":"LOBBY","text":"one"}
            alice sees 12:34 #lobby <bob> one
            bob says {"kind":"say","room":"#lobby","text":"two"}
            alice sees 12:34 #lobby <bob> two
            bob says {"kind":"say","text":"nobody hears it in #ops"}
            bob says {"kind":"command","text":"/set mode text"}
            bob sees -- mode is text"##,
        );
    }

    #[test]
    fn what_escapes_spell_is_scrubbed() {
        play(
            r#"alice is here
            bob is here
            bob says /set mode json
            bob sees {"v":1,"kind":"notice","time":"1970-01-01T00:00:00.000Z","text":"mode is json"}
            bob says {"kind":"say","text":"\u001b[2J\r\n12:34 *** \u202eall"}
            alice sees 12:34 #lobby <bob> ␛[2J␍␊12:34 *** �all
            bob says {"kind":"command","text":"/me waves\nall"}
            alice sees 12:34 #lobby * bob waves␊all
            bob says {"kind":"say","text":"a\udb40\udd00b"}
            alice sees 12:34 #lobby <bob> a�b"#,
        );
    }

    #[test]
    fn line_ends_between_tokens_are_white_space() {
        let text = |message: &str| match read(message) {
            Ok(Request::Say { text: Clean(text), .. }) => Some(text),
            _ => None,
        };
        let pretty = "{\r\n  \"kind\": \"say\",\n\t\"text\": \"␊ \\\"␊\\\\\"\n}";
        assert_eq!(text(pretty).as_deref(), Some("␊ \"␊\\"));
        assert_eq!(text("{\"kind\":\"say\",␊\"text\":\"a\"}"), None);
    }

    #[test]
    fn escapes_are_decoded_before_text_is_judged() {
        let text = |message: &str| match read(message) {
            Ok(Request::Say { text: Clean(text), .. }) => text,
            other => panic!("{other:?}"),
        };
        let say = |text: &str| format!(r#"{{"kind":"say","text":"{text}"}}"#);
        // Emoji as escaped surrogates with a raw joiner between them, and the other way round.
        let coder = "👩\u{200D}💻";
        for spelling in [
            "\\uD83D\\uDC69\u{200D}\\uD83D\\uDCBB",
            "👩\\u200D💻",
            "\\uD83D\\uDC69\\u200d\\uD83D\\uDCBB",
            "👩\u{200D}\\uD83D\\uDCBB",
        ] {
            assert_eq!(text(&say(spelling)), coder, "{spelling}");
        }
        assert_eq!(text(&say("\\u0645\\u06cc\u{200C}\\u062e")), "می\u{200C}خ");
        assert_eq!(text(&say("a\u{200D}\\u0062")), "a\u{FFFD}b");
        assert_eq!(text(&say("a\\u200Db")), "a\u{FFFD}b");
        assert_eq!(
            text(&say("e\u{301}\u{301}\\u0301\\u0301\u{301}")),
            "e\u{301}\u{301}\u{301}\u{301}\u{FFFD}"
        );
        assert_eq!(text(&say("a\u{7F}\u{9B}\\u007f\\u009b")), "a␡\u{FFFD}␡\u{FFFD}");
    }

    #[test]
    fn a_raw_control_byte_in_a_string_is_refused() {
        for control in '\0'..'\u{20}' {
            let message = format!(r#"{{"kind":"say","text":"a{control}b"}}"#);
            let Err(Refusal(why)) = read(&message) else { panic!("U+{:04X}", u32::from(control)) };
            assert!(why.contains("cannot be read as JSON, at byte"), "{why}");
            let escaped = format!(r#"{{"kind":"say","text":"a\u{:04x}b"}}"#, u32::from(control));
            assert!(read(&escaped).is_ok(), "U+{:04X}", u32::from(control));
        }
    }

    #[test]
    fn the_place_of_an_error_counts_from_the_start_of_the_message() {
        let Err(Refusal(why)) = read("{\n\"kind\":\"say\",\nx}") else { panic!("it is no JSON") };
        assert!(why.contains("at byte 17 of it"), "{why}");
    }

    #[test]
    fn a_byte_order_mark_before_an_object_is_dropped() {
        play(
            "alice is here
            bob is here
            bob says /set mode json
            bob sees {\"v\":1,\"kind\":\"notice\",\"time\":\"1970-01-01T00:00:00.000Z\",\"text\":\"mode is json\"}
            bob says \u{FEFF}{\"kind\":\"say\",\"text\":\"hi\"}
            alice sees 12:34 #lobby <bob> hi
            bob says \u{FEFF}",
        );
    }

    #[test]
    fn anything_else_is_refused() {
        let refused = |why: &str| {
            let text = json!(why);
            format!(
                "bob sees {{\"v\":1,\"kind\":\"refused\",\"time\":\"1970-01-01T00:00:00.000Z\",\"text\":{text}}}\n"
            )
        };
        let no_json =
            |column: usize| refused(&format!("that cannot be read as JSON, at byte {column} of it; {USAGE}"));
        let wrong = |what: &str| refused(&format!("that is no request: {what}; {USAGE}"));
        let no_command =
            || refused(r#"a command begins with /; a text is sent by {"kind":"say","text":"…"}"#);
        let mut script = "bob is here\nbob says /set mode json\n".to_owned();
        script += "bob sees {\"v\":1,\"kind\":\"notice\",\"time\":\"1970-01-01T00:00:00.000Z\",\"text\":\"mode is json\"}\n";
        for (message, expected) in [
            ("/who", no_json(1)),
            ("hello", no_json(1)),
            (r#"{"kind":"say","text":"cut"#, no_json(25)),
            (r#"{"kind":"say","text":"\ud800"}"#, no_json(29)),
            (r#"{"kind":"say","text":"a"} {}"#, no_json(27)),
            (
                r#"{"kind":"say","rom":"ops","text":"a"}"#,
                wrong("unknown field `rom`, expected `room` or `text`"),
            ),
            (r#"{"kind":"say","text":"a","text":"b"}"#, wrong("duplicate field `text`")),
            (r#"{"kind":"say"}"#, wrong("missing field `text`")),
            (r#"{"kind":"say","text":7}"#, wrong("invalid type: integer `7`, expected a string")),
            (
                r#"{"kind":"action","text":"a"}"#,
                wrong("unknown variant `action`, expected `say` or `command`"),
            ),
            (r#"{"text":"a"}"#, wrong("missing field `kind`")),
            ("[]", wrong("an object is expected")),
            (r#" ["say","lobby","a"]"#, wrong("an object is expected")),
            (r#"["command","/ping"]"#, wrong("an object is expected")),
            (r#"{"kind":"say","room":null,"text":"a"}"#, wrong("invalid type: null, expected a string")),
            ("17", wrong("an object is expected")),
            (r#"{"kind":"say","\u001b[2J":1}"#, wrong("unknown field `␛[2J`, expected `room` or `text`")),
            (r#"{"kind":"command","text":"hello"}"#, no_command()),
            (r#"{"kind":"command","text":"//who"}"#, no_command()),
            (r#"{"kind":"command","text":""}"#, no_command()),
            (
                r#"{"kind":"say","room":"ops","text":"a"}"#,
                refused("you are not in #ops; /whois bob shows your rooms"),
            ),
            (
                r#"{"kind":"say","room":"\u001b[2J","text":"a"}"#,
                refused("you are not in #␛[2J; /whois bob shows your rooms"),
            ),
        ] {
            script += &["bob says ", message, "\n", &expected].concat();
        }
        play(&script);
    }

    #[test]
    fn the_muted_are_refused_as_in_text() {
        play(
            r#"alice is here
            bob is here
            bob says /set mode json
            bob sees {"v":1,"kind":"notice","time":"1970-01-01T00:00:00.000Z","text":"mode is json"}
            bob is muted
            bob says {"kind":"say","text":"hi"}
            bob sees {"v":1,"kind":"refused","time":"1970-01-01T00:00:00.000Z","text":"the operator has muted you; wait until they let you speak again"}
            bob says {"kind":"say","room":"lobby","text":"hi"}
            bob sees {"v":1,"kind":"refused","time":"1970-01-01T00:00:00.000Z","text":"the operator has muted you; wait until they let you speak again"}"#,
        );
    }

    proptest! {
        #[test]
        fn an_object_gives_its_text_back_and_is_bounded(
            raw in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b'\\'), Just(b'\t')], 0..300),
        ) {
            let text = &*scrub(&raw).text;
            for message in messages(text) {
                let line = Line::Message(&message);
                let mut bytes = Vec::new();
                append(&line, EARLY, &mut bytes);
                let most = Style { json: true, ..Style::default() }.bytes_max(&line);
                // Four bytes are the length in front of a message, the longest of the framings' ends.
                prop_assert!(bytes.len() + 4 <= most, "{} of {most}", bytes.len());
                let value: Value = serde_json::from_slice(&bytes).unwrap();
                if !line.text().is_empty() {
                    prop_assert_eq!(value["text"].as_str(), Some(line.text()));
                }
            }
        }

        #[test]
        fn no_request_gets_a_control_character_through(text in any::<String>()) {
            let message = json!({"kind": "say", "text": text}).to_string();
            let Ok(Request::Say { text: Clean(clean), .. }) = read(&message) else { panic!("refused") };
            prop_assert_eq!(scrub(clean.as_bytes()).text, clean.as_str());
        }
    }
}
