//! The selected connection: as a line, a block, a column at the side, or most of the screen.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::header::bare_address;
use super::paint::{self, Spans, span};
use crate::dash::app::App;
use crate::dash::layout::{below, inset};
use crate::dash::measure;
use crate::dash::model::remarks::{self, Severity};
use crate::dash::style::Theme;
use crate::dash::table::columns::COMPACT_BELOW;
use crate::model::event::Event;
use crate::model::snapshot::{Detail, Milestone, Row};
use crate::time::{Moment, Now};
use crate::{count, time};

/// Rows from which the timeline has a title of its own.
const TITLED_FROM: u16 = 12;

/// Draws the detail as a line or a block, depending on the area's height.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, app: &App) {
    match area.height {
        0 => {}
        1 => paint::line(buffer, area, 0, &one_line(app), app),
        _ => draw_block(buffer, area, app),
    }
}

fn draw_block(buffer: &mut Buffer, area: Rect, app: &App) {
    let is_side = app.regions().is_side;
    paint::rule(buffer, area, &[span(title(app), app.theme.title)], &[], app);
    if is_side {
        paint::wall(buffer, area, app.glyphs.corner, app);
    }
    let inner = inset(below(area, 1), 1 + u16::from(is_side), 0);
    let Some(index) = app.table.selected().and_then(|id| app.model().index(id)) else {
        return paint::line(buffer, inner, 0, &[span(nobody(app), app.theme.dim)], app);
    };
    if app.detail_open && area.width >= COMPACT_BELOW {
        let half = inner.width / 2;
        let facts = Rect { width: half.saturating_sub(1), ..inner };
        let used = draw_facts(buffer, facts, app, index);
        draw_happened(buffer, below(facts, used + 1), app);
        draw_timeline(buffer, inset(inner, half, 0), app);
    } else if inner.height >= TITLED_FROM {
        let used = draw_facts(buffer, inner, app, index);
        draw_timeline(buffer, below(inner, used + 1), app);
    } else {
        let used = draw_facts(buffer, inner, app, index);
        draw_milestones(buffer, below(inner, used), app);
    }
}

fn title(app: &App) -> String {
    let Some(id) = app.table.selected() else { return "nobody".to_owned() };
    let nick = app.model().row(id).and_then(|row| row.nick);
    nick.map_or_else(|| id.to_string(), |nick| format!("{id} {nick}"))
}

fn nobody(app: &App) -> String {
    match app.table.selected() {
        Some(id) => format!("{id} is gone"),
        None => "nobody is selected".to_owned(),
    }
}

/// The connection and the remarks about it; the peer is last, because the table shows it too.
fn one_line(app: &App) -> Spans {
    let Some(index) = app.table.selected().and_then(|id| app.model().index(id)) else {
        return vec![span(format!(" {}", nobody(app)), app.theme.dim)];
    };
    let row = &app.model().rows()[index];
    let mut spans = vec![span(format!(" {} ", title(app)), app.theme.title)];
    for (at, remark) in remarks::remarks(app.model(), index, app.raw).into_iter().enumerate() {
        let gap = if at == 0 { " ".to_owned() } else { format!(" {} ", app.glyphs.dot) };
        spans.push(span(gap, app.theme.dim));
        spans.push(span(remark.summary(), severity_style(remark.severity, &app.theme)));
    }
    spans.push(span(format!("  {}", row.peer), app.theme.dim));
    spans
}

const fn severity_style(severity: Severity, theme: &Theme) -> Style {
    match severity {
        Severity::Info => theme.text,
        Severity::Warn => theme.warn,
        Severity::Alarm => theme.alarm,
    }
}

/// Figures, which may share a line, and remarks, which each have their own.
enum Fact {
    Figures(Vec<(&'static str, String)>),
    Remark(String, Style),
}

/// Draws the facts and returns the number of lines.
fn draw_facts(buffer: &mut Buffer, area: Rect, app: &App, index: usize) -> u16 {
    let cells = usize::from(area.width).max(1);
    let mut lines: Vec<Spans> = Vec::new();
    for fact in facts(app, index) {
        match fact {
            Fact::Figures(pairs) => lines.extend(paint::flow(&labelled(app, &pairs), 2, cells)),
            Fact::Remark(text, style) => {
                lines.extend(measure::wrap(&text, cells).into_iter().map(|line| vec![span(line, style)]));
            }
        }
    }
    for (row, line) in (0..area.height).zip(&lines) {
        paint::line(buffer, area, row, line, app);
    }
    u16::try_from(lines.len()).unwrap_or(u16::MAX).min(area.height)
}

fn facts(app: &App, index: usize) -> Vec<Fact> {
    let row = &app.model().rows()[index];
    let detail = app.detail_of(row.id);
    let mut facts = vec![Fact::Figures(who(app, row)), Fact::Figures(outbox(app, row))];
    for remark in remarks::remarks(app.model(), index, app.raw) {
        facts.push(Fact::Remark(remark.text, severity_style(remark.severity, &app.theme)));
    }
    facts.push(Fact::Figures(kernel(app, row)));
    let mut last = volume(app, row);
    last.extend(detail.into_iter().flat_map(rooms));
    facts.push(Fact::Figures(last));
    facts
}

/// Labels and values, each pair a group.
fn labelled(app: &App, pairs: &[(&'static str, String)]) -> Vec<Spans> {
    let group = |(label, value): &(&'static str, String)| {
        vec![span(format!("{label} "), app.theme.dim), span(value.clone(), app.theme.text)]
    };
    pairs.iter().map(group).collect()
}

/// Time since input was last read; `-` while reading is paused.
fn idle(row: &Row, now: Moment) -> String {
    let is_unread = row.flow_since.is_some() && row.gone_at.is_none();
    if is_unread { "-".to_owned() } else { time::brief_span(now.since(row.heard)) }
}

fn who(app: &App, row: &Row) -> Vec<(&'static str, String)> {
    let now = app.model().taken().moment;
    let listener = app.model().status().listeners.get(usize::from(row.listener));
    let mut pairs = vec![("peer", row.peer.to_string())];
    pairs.extend(listener.map(|listener| ("on", bare_address(listener).to_owned())));
    pairs.extend([
        ("age", time::day_span(now.since(row.since))),
        ("idle", idle(row, now)),
        ("lines", format!("{} in, {} out", count::grouped(row.lines_in), count::grouped(row.lines_out))),
    ]);
    pairs.extend(row.terminal.as_ref().map(|terminal| ("terminal", terminal.to_string())));
    pairs
}

fn outbox(app: &App, row: &Row) -> Vec<(&'static str, String)> {
    let size = |count| count::bytes(count, app.raw);
    let limit = app.detail_of(row.id).map_or(app.model().status().outbox_limit, |detail| detail.outbox_limit);
    let mut pairs = vec![("outbox", format!("{} of {}", size(row.outbox_bytes), size(limit)))];
    pairs.extend(row.outbox_age.map(|age| ("oldest", time::long_span(age))));
    if row.outbox_max > 0 {
        pairs.push(("most", size(row.outbox_max)));
    }
    pairs
}

fn kernel(app: &App, row: &Row) -> Vec<(&'static str, String)> {
    let size = |count: u32| count::bytes(u64::from(count), app.raw);
    let Some(kernel) = row.kernel else {
        return vec![("Send-Q", size(row.send_q_seen))];
    };
    let mut pairs = vec![("Recv-Q", size(kernel.recv_q)), ("Send-Q", size(kernel.send_q))];
    if let Some(tcp) = kernel.tcp {
        pairs.push(("rtt", time::brief_micros(tcp.rtt_us, app.glyphs.micro)));
        pairs.push(("window", size(tcp.peer_window)));
    }
    pairs
}

fn volume(app: &App, row: &Row) -> Vec<(&'static str, String)> {
    let size = |count| count::bytes(count, app.raw);
    let mut pairs = vec![("bytes", format!("{} in, {} out", size(row.bytes_in), size(row.bytes_out)))];
    if row.inbox_bytes > 0 {
        pairs.push(("unparsed", size(row.inbox_bytes)));
    }
    let flags: Vec<&str> = row.flags.words().collect();
    if !flags.is_empty() {
        pairs.push(("flags", flags.join(" ")));
    }
    pairs
}

fn rooms(detail: &Detail) -> Vec<(&'static str, String)> {
    let Some((active, others)) = detail.rooms.split_last() else { return Vec::new() };
    let others: Vec<String> = others.iter().map(ToString::to_string).collect();
    let mut pairs = vec![("talks in", active.to_string())];
    if !others.is_empty() {
        pairs.push(("is in", others.join(" ")));
    }
    pairs
}

/// Draws the events of the connection, the newest last.
fn draw_happened(buffer: &mut Buffer, area: Rect, app: &App) {
    let Some(id) = app.table.selected().filter(|_| area.height > 1) else { return };
    paint::line(buffer, area, 0, &[span(format!("events of {id}"), app.theme.title)], app);
    let area = below(area, 1);
    let about = app.model().log.entries().rev().filter(|entry| entry.kind.subject() == Some(id));
    let mut entries: Vec<&Event> = about.take(usize::from(area.height)).collect();
    entries.reverse();
    for (row, entry) in (0..).zip(entries) {
        paint::line(buffer, area, row, &super::events::short_event(app, entry), app);
    }
}

/// Draws the socket's life under a title, the newest at the end.
fn draw_timeline(buffer: &mut Buffer, area: Rect, app: &App) {
    paint::line(buffer, area, 0, &[span("timeline of the socket", app.theme.title)], app);
    draw_milestones(buffer, below(area, 1), app);
}

fn draw_milestones(buffer: &mut Buffer, area: Rect, app: &App) {
    let Some(detail) = app.table.selected().and_then(|id| app.detail_of(id)) else { return };
    let skipped = detail.timeline.len().saturating_sub(usize::from(area.height));
    let mut before = skipped.checked_sub(1).and_then(|at| detail.timeline.get(at)).map(|(at, _)| *at);
    for (row, (at, milestone)) in (0..).zip(&detail.timeline[skipped..]) {
        paint::line(buffer, area, row, &milestone_line(app, *at, before, milestone), app);
        before = Some(*at);
    }
}

/// The time of a milestone, the time since the one before, and its text.
fn milestone_line(app: &App, at: Now, before: Option<Now>, milestone: &Milestone) -> Spans {
    let since = before.map_or(Duration::ZERO, |before| at.moment.since(before.moment));
    let gap = if before.is_some() { format!("+{}", time::brief_span(since)) } else { String::new() };
    let style = match milestone {
        Milestone::Error(_) => app.theme.alarm,
        Milestone::WouldBlock | Milestone::PartialWrite { .. } | Milestone::Skipped { .. } => app.theme.warn,
        Milestone::Shutdown(_) | Milestone::Farewell(_) => app.theme.accent,
        _ => app.theme.text,
    };
    vec![
        span(format!("{} ", time::time_of_day(at)), app.theme.dim),
        span(format!("{} ", measure::right(&gap, 5, "")), app.theme.dim),
        span(milestone.to_string(), style),
    ]
}
