//! What is drawn over the views: dialogs at the bottom of the screen, so that the table stays visible, and help.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::footer::draw_input;
use super::paint::{self, Spans, span};
use crate::count;
use crate::dash::app::{App, Mode};
use crate::dash::dialog::Panel;
use crate::dash::help::{Help, Line};
use crate::dash::layout::inset;
use crate::dash::line::TextInput;
use crate::dash::{layout, measure};

/// Lines of a list that are shown, without the line that counts the rest.
const LIST_MAX: usize = 12;
/// Cells between two answers: the wider gap is used unless the narrow one saves a line.
const GAPS: [usize; 2] = [3, 2];

/// Draws the open dialog. Returns the position of the cursor in a typed line.
pub(super) fn draw(buffer: &mut Buffer, app: &App) -> Option<Position> {
    let (panel, input) = match &app.mode {
        Mode::Ask(dialog, _) => (dialog.panel(app.live(), app.raw), None),
        Mode::Reason(dialog, input) => (dialog.panel(app.live(), app.raw), Some(("reason: ", input))),
        Mode::Say(input) => (say(app), Some(("say ", input))),
        Mode::Export(_) => (export(app), None),
        Mode::Quit(_) => (quit(app), None),
        _ => return None,
    };
    draw_panel(buffer, app, &panel, input)
}

/// Draws help over everything but the header and the keys.
pub(super) fn draw_help(buffer: &mut Buffer, app: &App, scroll: usize) {
    let help = Help::new(&app.keymap, app.size());
    paint::clear(buffer, help.area, app.theme.text);
    paint::rule(buffer, help.area, &[span("Help", app.theme.title)], &[], app);
    for (area, lines) in help.columns(scroll) {
        for (row, line) in (0..).zip(lines) {
            let spans = match line {
                Line::Heading(title) => vec![span(*title, app.theme.title)],
                Line::LongTerm(term) => vec![span(format!(" {term}"), app.theme.accent)],
                Line::Event(term, meaning) => {
                    vec![span(format!(" {term} "), app.theme.accent), span(meaning.as_str(), app.theme.text)]
                }
                Line::Space => Vec::new(),
            };
            paint::line(buffer, area, row, &spans, app);
        }
    }
}

fn say(app: &App) -> Panel {
    let count = u64::from(app.live().status().clients);
    Panel {
        title: ":say TEXT".to_owned(),
        question: format!("Say to all {}:", count::counted(count, "client", "clients")),
        ..Panel::default()
    }
}

fn export(app: &App) -> Panel {
    let rows = u64::try_from(app.table.len()).unwrap_or(u64::MAX);
    Panel {
        title: "export".to_owned(),
        question: format!("Write {} to a file here?", count::counted(rows, "row", "rows")),
        choices: vec![("n", "no".to_owned()), ("j", "JSON".to_owned()), ("c", "CSV".to_owned())],
        ..Panel::default()
    }
}

fn quit(app: &App) -> Panel {
    let count = u64::from(app.live().status().clients);
    let verb = if count == 1 { "is" } else { "are" };
    let question = if app.live().has_snapshot() {
        format!("Quit? {} {verb} connected.", count::counted(count, "client", "clients"))
    } else {
        "Quit? The server has not answered yet.".to_owned()
    };
    Panel {
        title: ":quit".to_owned(),
        question,
        body: vec![
            "Leave the server running without a dashboard, or drain it: notify, flush, close, end."
                .to_owned(),
        ],
        choices: vec![
            ("n", "cancel".to_owned()),
            ("l", "leave running".to_owned()),
            ("d", "drain".to_owned()),
        ],
        ..Panel::default()
    }
}

fn draw_panel(
    buffer: &mut Buffer,
    app: &App,
    panel: &Panel,
    input: Option<(&str, &TextInput)>,
) -> Option<Position> {
    let (width, height) = app.size();
    let cells = usize::from(width.saturating_sub(2)).max(1);
    let answers = if input.is_some() { vec![Vec::new()] } else { answers(app, panel, cells) };
    let mut question = measure::wrap(&panel.question, cells);
    let mut body: Vec<String> = panel.body.iter().flat_map(|line| measure::wrap(line, cells)).collect();
    let list_rows = panel.list.len().min(LIST_MAX + 1);
    let rows = 1 + question.len() + body.len() + list_rows + answers.len();
    let area = layout::panel(width, height, u16::try_from(rows).unwrap_or(u16::MAX));
    paint::clear(buffer, area, app.theme.text);
    // With few rows the question and its answers come first.
    let mut left = usize::from(area.height).saturating_sub(answers.len());
    question.truncate(left);
    left -= question.len();
    let title_rows = left.min(1);
    left -= title_rows;
    let list = shortened(&panel.list, left.min(LIST_MAX + 1));
    body.truncate(left - list.len());
    if title_rows > 0 {
        paint::rule(buffer, area, &[span(panel.title.clone(), app.theme.alarm)], &[], app);
    }
    let inner = inset(area, 1, 1);
    let text = |line: String, style| vec![span(line, style)];
    let lines = (question.into_iter().map(|line| text(line, app.theme.title)))
        .chain(body.into_iter().map(|line| text(line, app.theme.text)))
        .chain(list.into_iter().map(|line| text(line, app.theme.text)))
        .chain(answers);
    for (at, line) in (u16::from(title_rows > 0)..).zip(lines) {
        paint::line(buffer, inner, at, &line, app);
    }
    let typed = Rect { y: area.bottom().saturating_sub(1), height: area.height.min(1), ..inner };
    let (sign, input) = input.filter(|_| !typed.is_empty())?;
    Some(draw_input(buffer, typed, app, sign, input, None))
}

/// The list in this number of lines; the last line of a longer list counts the rest.
fn shortened(list: &[String], lines: usize) -> Vec<String> {
    if list.len() <= lines {
        return list.to_vec();
    }
    let Some(shown) = lines.checked_sub(1) else { return Vec::new() };
    let more = list.len() - shown;
    list[..shown].iter().cloned().chain([format!("and {more} more")]).collect()
}

/// The answers in lines, the default in brackets.
fn answers(app: &App, panel: &Panel, cells: usize) -> Vec<Spans> {
    let answer = |(at, (key, label)): (usize, &(&'static str, String))| {
        let key = if at == 0 { format!("[{key}]") } else { (*key).to_owned() };
        vec![span(format!("{key} "), app.theme.accent), span(label.clone(), app.theme.text)]
    };
    let groups: Vec<Spans> = panel.choices.iter().enumerate().map(answer).collect();
    let lines = GAPS.map(|gap| paint::flow(&groups, gap, cells));
    let [wide, narrow] = lines;
    if narrow.len() < wide.len() { narrow } else { wide }
}
