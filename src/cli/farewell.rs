//! The one line that stays on the terminal after the dashboard's end.

use std::time::Duration;

use crate::count::grouped;

/// `chatops: 02:14:07, 42 clients served, 9,120 lines`. The form is fixed, also for one of each: scripts read it.
pub(super) fn farewell(uptime: Duration, clients: u64, lines: u64) -> String {
    let seconds = uptime.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!(
        "chatops: {hours:02}:{minutes:02}:{seconds:02}, {} clients served, {} lines",
        grouped(clients),
        grouped(lines)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_has_its_form() {
        let line = farewell(Duration::from_secs(2 * 3_600 + 14 * 60 + 7), 42, 9_120);
        assert_eq!(line, "chatops: 02:14:07, 42 clients served, 9,120 lines");
        let line = farewell(Duration::from_millis(999), 0, 0);
        assert_eq!(line, "chatops: 00:00:00, 0 clients served, 0 lines");
        let line = farewell(Duration::from_secs(100 * 3_600), 1_000, 1_234_567);
        assert_eq!(line, "chatops: 100:00:00, 1,000 clients served, 1,234,567 lines");
    }
}
