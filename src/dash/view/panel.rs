//! Questions, over the bottom of the screen: the table with whom they are about stays in sight.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::footer::draw_input;
use super::paint::{self, Spans, span};
use crate::dash::App;
use crate::dash::app::Mode;
use crate::dash::dialog::Panel;
use crate::dash::text_input::TextInput;
use crate::dash::{layout, measure, units};

/// Lines of a list that are shown; how many more there are is said.
const LIST_MAX: usize = 12;

/// Draws the open question, if there is one. Where the cursor is, if it has a line to type.
pub(super) fn draw(buffer: &mut Buffer, app: &App) -> Option<Position> {
    let (panel, input) = match &app.mode {
        Mode::Ask(dialog) => (dialog.panel(app.live(), app.raw), None),
        Mode::Reason(dialog, input) => (dialog.panel(app.live(), app.raw), Some(("reason: ", input))),
        Mode::Say(input) => (say(app), Some(("say ", input))),
        Mode::Export => (export(app), None),
        Mode::Quit => (quit(app), None),
        _ => return None,
    };
    draw_panel(buffer, app, &panel, input)
}

fn say(app: &App) -> Panel {
    let count = u64::from(app.live().status().clients);
    Panel {
        title: "say TEXT".to_owned(),
        question: format!("Say to all {}:", units::counted(count, "client", "clients")),
        ..Panel::default()
    }
}

fn export(app: &App) -> Panel {
    let rows = u64::try_from(app.table.len()).unwrap_or(u64::MAX);
    Panel {
        title: "export".to_owned(),
        question: format!("Write {} to a file here?", units::counted(rows, "row", "rows")),
        body: Vec::new(),
        choices: vec![("n", "no".to_owned()), ("j", "JSON".to_owned()), ("c", "CSV".to_owned())],
    }
}

fn quit(app: &App) -> Panel {
    let count = u64::from(app.live().status().clients);
    let verb = if count == 1 { "is" } else { "are" };
    Panel {
        title: "quit".to_owned(),
        question: format!("Quit? {} {verb} connected.", units::counted(count, "client", "clients")),
        body: vec![
            "Leave them running without a dashboard, or drain: tell them, flush, close, end.".to_owned(),
        ],
        choices: vec![
            ("n", "cancel".to_owned()),
            ("l", "leave running".to_owned()),
            ("d", "drain".to_owned()),
        ],
    }
}

fn draw_panel(
    buffer: &mut Buffer,
    app: &App,
    panel: &Panel,
    input: Option<(&str, &TextInput)>,
) -> Option<Position> {
    let (width, height) = app.size();
    let text_cells = usize::from(width.saturating_sub(2)).max(1);
    let mut question = measure::wrap(&panel.question, text_cells);
    let body = body(panel, text_cells);
    let last = 1_usize;
    let rows = 1 + question.len() + body.len() + last;
    let area = layout::panel(width, height, u16::try_from(rows).unwrap_or(u16::MAX));
    paint::clear(buffer, area, app.theme.text);
    // The question and its answers come before everything else when rows are few.
    let mut left = usize::from(area.height).saturating_sub(last);
    question.truncate(left);
    left -= question.len();
    let has_title = left > 0;
    let body = &body[..body.len().min(left.saturating_sub(1))];
    let mut at = 0;
    if has_title {
        let title = [span(panel.title.clone(), app.theme.alarm)];
        paint::rule(buffer, area, &title, &[], app);
        at = 1;
    }
    let inner = paint::inset(area, 1, 1);
    for line in question {
        paint::line(buffer, inner, at, &[span(line, app.theme.title)], app);
        at += 1;
    }
    for line in body {
        paint::line(buffer, inner, at, &[span(line.clone(), app.theme.text)], app);
        at += 1;
    }
    let answers = Rect { height: u16::from(at < area.height), ..paint::below(inner, at) };
    let Some((sign, input)) = input else {
        paint::line(buffer, answers, 0, &choices(app, panel), app);
        return None;
    };
    (!answers.is_empty()).then(|| draw_input(buffer, answers, app, sign, input, None))
}

/// What comes of it, wrapped; of a long list the first lines.
fn body(panel: &Panel, cells: usize) -> Vec<String> {
    let mut lines: Vec<String> =
        panel.body.iter().take(LIST_MAX + 1).flat_map(|line| measure::wrap(line, cells)).collect();
    let more = panel.body.len().saturating_sub(LIST_MAX + 1);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

/// The answers, the harmless one in brackets.
fn choices(app: &App, panel: &Panel) -> Spans {
    let mut spans = Vec::new();
    for (at, (key, label)) in panel.choices.iter().enumerate() {
        let key = if at == 0 { format!("[{key}]") } else { (*key).to_owned() };
        spans.push(span(format!("{key} "), app.theme.accent));
        spans.push(span(format!("{label}   "), app.theme.text));
    }
    spans
}
