//! The regions of the screen, for drawing, for the mouse and for the length of a page.
//!
//! Pure geometry. A region without room is empty, and nothing is drawn there. Regions are cut off one after the other:
//! ratatui's `Layout` runs a constraint solver (0.2 ms for the six rows of the screen), and every input needs the regions
//! several times.

use ratatui::layout::Rect;

/// Below this number of rows there are only a header, one region and one line.
const TALL_FROM: u16 = 12;
/// From this number of columns the detail is at the right of the table.
const SIDE_FROM: u16 = 140;
/// Columns of the table beside the detail: enough for every column of the table.
const TABLE_BESIDE: u16 = 100;
/// The narrowest and the widest detail beside the table.
const SIDE_MIN: u16 = SIDE_FROM - TABLE_BESIDE;
const SIDE_MAX: u16 = 64;
/// From this size detail and traffic are blocks below the table, else one line each.
const BLOCKS_FROM: (u16, u16) = (90, 26);
/// Rows of such a block, with its title.
const BLOCK_ROWS: u16 = 7;

/// The column of the first tab.
const TABS_FROM: usize = 1;

/// Which view is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum View {
    /// The table of clients with detail, traffic and the latest events.
    #[default]
    Clients,
    /// Charts.
    Traffic,
    /// The event log.
    Events,
}

impl View {
    /// All views in the order of their keys.
    pub(crate) const ALL: [Self; 3] = [Self::Clients, Self::Traffic, Self::Events];

    /// Its name in the line of tabs.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Clients => "Clients",
            Self::Traffic => "Traffic",
            Self::Events => "Events",
        }
    }

    /// The text of its tab. The brackets of the open view take the place of spaces, so every tab keeps its width.
    pub(crate) fn tab(self, open: Self) -> String {
        let name = format!("{} {}", self as usize + 1, self.title());
        if self == open { format!("[{name}]") } else { format!(" {name} ") }
    }

    /// The view whose tab is at this column.
    pub(crate) fn tab_at(x: u16) -> Option<Self> {
        let mut end = TABS_FROM;
        Self::ALL.into_iter().find(|view| {
            let start = end;
            end += view.tab(*view).len();
            (start..end).contains(&usize::from(x))
        })
    }
}

/// What decides, besides the size, which regions there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// The open view.
    pub(crate) view: View,
    /// The detail takes most of the screen.
    pub(crate) detail_open: bool,
    /// A line says that the snapshot is frozen.
    pub(crate) banner: bool,
}

/// The regions. Those that do not exist are empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Regions {
    /// The server as a whole.
    pub(crate) header: Rect,
    /// Says that the snapshot is frozen.
    pub(crate) banner: Rect,
    /// The views, the filter, the sort.
    pub(crate) tabs: Rect,
    /// The table with its head.
    pub(crate) table: Rect,
    /// The selected connection: a line, a block or a column.
    pub(crate) detail: Rect,
    /// Sparklines: a line or a block.
    pub(crate) traffic: Rect,
    /// The latest events, or all of the log.
    pub(crate) events: Rect,
    /// The charts of a view of their own.
    pub(crate) charts: Rect,
    /// The result of the last verb, or the line that is typed.
    pub(crate) notice: Rect,
    /// The keys. The same as `notice` on a small screen.
    pub(crate) keys: Rect,
    /// The detail is beside the table.
    pub(crate) is_side: bool,
}

/// The remaining area while regions are cut off.
struct Rest(Rect);

impl Rest {
    fn top(&mut self, rows: u16) -> Rect {
        let rows = rows.min(self.0.height);
        let cut = Rect { height: rows, ..self.0 };
        self.0 = Rect { y: self.0.y + rows, height: self.0.height - rows, ..self.0 };
        cut
    }

    fn bottom(&mut self, rows: u16) -> Rect {
        let rows = rows.min(self.0.height);
        self.0.height -= rows;
        Rect { y: self.0.y + self.0.height, height: rows, ..self.0 }
    }

    fn right(&mut self, columns: u16) -> Rect {
        let columns = columns.min(self.0.width);
        self.0.width -= columns;
        Rect { x: self.0.x + self.0.width, width: columns, ..self.0 }
    }
}

/// The regions of a screen of this size.
pub(crate) fn regions(width: u16, height: u16, shape: Shape) -> Regions {
    let mut rest = Rest(Rect::new(0, 0, width, height));
    if height < TALL_FROM { small(&mut rest, shape) } else { tall(&mut rest, shape) }
}

fn small(rest: &mut Rest, shape: Shape) -> Regions {
    let header = rest.top(1);
    let line = rest.bottom(1);
    let mut regions = Regions { header, notice: line, keys: line, ..Regions::default() };
    match shape.view {
        View::Clients if shape.detail_open => regions.detail = rest.0,
        View::Clients => regions.table = rest.0,
        View::Traffic => regions.charts = rest.0,
        View::Events => regions.events = rest.0,
    }
    regions
}

fn tall(rest: &mut Rest, shape: Shape) -> Regions {
    let mut regions = Regions {
        header: rest.top(1),
        banner: rest.top(u16::from(shape.banner)),
        tabs: rest.top(1),
        keys: rest.bottom(1),
        notice: rest.bottom(1),
        ..Regions::default()
    };
    match shape.view {
        View::Clients if shape.detail_open => {
            regions.table = rest.top(1 + (rest.0.height / 4).min(8));
            regions.detail = rest.0;
        }
        View::Clients if rest.0.width >= SIDE_FROM => beside(rest, &mut regions),
        View::Clients => stacked(rest, &mut regions),
        View::Traffic => regions.charts = rest.0,
        View::Events => regions.events = rest.0,
    }
    regions
}

fn beside(rest: &mut Rest, regions: &mut Regions) {
    regions.is_side = true;
    regions.events = rest.bottom(events_rows(rest.0.height));
    let spare = rest.0.width.saturating_sub(TABLE_BESIDE);
    let mut side = Rest(rest.right((spare * 4 / 5).clamp(SIDE_MIN, SIDE_MAX)));
    regions.traffic = side.bottom(if side.0.height >= 20 { 9 } else { 0 });
    regions.detail = side.0;
    regions.table = rest.0;
}

fn stacked(rest: &mut Rest, regions: &mut Regions) {
    let (width, height) = (rest.0.width, rest.0.height);
    regions.events = rest.bottom(events_rows(height));
    // Header, tabs, notice and keys are cut off already.
    if width >= BLOCKS_FROM.0 && height + 4 >= BLOCKS_FROM.1 {
        let mut block = Rest(rest.bottom(BLOCK_ROWS));
        regions.traffic = block.right(width - width / 2);
        regions.detail = block.0;
    } else {
        regions.traffic = rest.bottom(u16::from(height >= 12));
        regions.detail = rest.bottom(u16::from(height >= 9));
    }
    regions.table = rest.0;
}

/// Rows for the latest events below a view, with their title.
fn events_rows(height: u16) -> u16 {
    match height {
        0..16 => 0,
        16..24 => 4,
        _ => (height / 5).min(9),
    }
}

/// A panel with this number of rows over the bottom of the screen, above the line of keys where that has its own row.
pub(crate) fn panel(width: u16, height: u16, rows: u16) -> Rect {
    let mut rest = Rest(Rect::new(0, 0, width, height));
    if height >= TALL_FROM {
        rest.bottom(1);
    }
    // The header stays in sight.
    let most = rest.0.height.saturating_sub(1).max(rest.0.height.min(1));
    rest.bottom(rows.min(most))
}

/// The area without some columns at its left and right.
pub(crate) fn inset(area: Rect, left: u16, right: u16) -> Rect {
    let left = left.min(area.width);
    let width = (area.width - left).saturating_sub(right);
    Rect { x: area.x + left, width, ..area }
}

/// The area without some rows at its top.
pub(crate) fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shape(view: View) -> Shape {
        Shape { view, detail_open: false, banner: false }
    }

    #[test]
    fn regions_at_the_sizes_people_have() {
        let small = regions(40, 10, shape(View::Clients));
        assert_eq!((small.table.height, small.keys.y, small.tabs.height), (8, 9, 0));
        let usual = regions(80, 24, shape(View::Clients));
        assert_eq!((usual.detail.height, usual.traffic.height, usual.events.height), (1, 1, 4));
        let large = regions(100, 30, shape(View::Clients));
        assert_eq!((large.detail.height, large.detail.width, large.traffic.width), (7, 50, 50));
        let wide = regions(160, 50, shape(View::Clients));
        assert!(wide.is_side && wide.table.width == 112 && wide.detail.width == 48);
    }

    proptest! {
        #[test]
        fn regions_lie_on_the_screen_and_never_on_one_another(
            width in 0u16..300, height in 0u16..120, view in 0usize..3, detail_open: bool, banner: bool
        ) {
            let shape = Shape { view: View::ALL[view], detail_open, banner };
            let all = regions(width, height, shape);
            let mut parts = vec![
                all.header, all.banner, all.tabs, all.table, all.detail, all.traffic, all.events, all.charts,
                all.keys,
            ];
            if all.notice != all.keys {
                parts.push(all.notice);
            }
            parts.retain(|part| !part.is_empty());
            let screen = Rect::new(0, 0, width, height);
            for (at, part) in parts.iter().enumerate() {
                prop_assert_eq!(part.intersection(screen), *part);
                for other in &parts[at + 1..] {
                    prop_assert!(!part.intersects(*other), "{part:?} {other:?}");
                }
            }
            let panel = panel(width, height, 7);
            prop_assert_eq!(panel.intersection(screen), panel);
        }
    }
}
