//! Rows under a header, in columns as wide as they must be.

use unicode_width::UnicodeWidthStr;

/// Where the cells of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// The table, one line a row, with two blanks between columns and none at the end of a line.
pub(super) fn table<const N: usize>(columns: [(&str, Align); N], rows: &[[String; N]]) -> String {
    let widths = std::array::from_fn::<usize, N, _>(|at| {
        let cells = rows.iter().map(|row| row[at].width());
        cells.chain([columns[at].0.width()]).max().unwrap_or(0)
    });
    let mut text = String::new();
    let header = columns.map(|(title, _)| title.to_owned());
    for row in [&header].into_iter().chain(rows) {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            let blanks = " ".repeat(widths[at] - cell.width());
            let gap = if at == 0 { "" } else { "  " };
            match columns[at].1 {
                Align::Left => line.extend([gap, cell, &blanks]),
                Align::Right => line.extend([gap, &blanks, cell]),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// `name  value`, one line each.
pub(super) fn pairs(pairs: &[(String, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    let lines = pairs.iter().map(|(name, value)| format!("{name:width$}  {value}\n"));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_is_in_them() {
        let rows = [["7", "alice", "日本"], ["1024", "b", ""]].map(|row| row.map(str::to_owned));
        let shown = table([("ID", Align::Right), ("NICK", Align::Left), ("TOPIC", Align::Left)], &rows);
        assert_eq!(shown, "  ID  NICK   TOPIC\n   7  alice  日本\n1024  b\n");
    }

    #[test]
    fn names_stand_before_their_values() {
        let lines = [("a", "1"), ("long", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(pairs(&lines), "a     1\nlong  2\n");
    }
}
