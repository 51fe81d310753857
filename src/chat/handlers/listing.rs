//! Long answers: words put one after the other onto lines of a bounded length, and a bounded number of lines.

use crate::chat::command::Call;

/// The longest line of a list in bytes, with its `-- `, without its end.
const LINE_BYTES_MAX: usize = 400;

/// The most lines of a list; what does not fit is counted.
const LINES_MAX: usize = 100;

/// Answers with `head` and `words` behind it, and how many words did not fit.
///
/// No word may be longer than a line; names with what little is put beside them are far from it.
pub(super) fn answer<'w>(call: &mut Call<'_>, head: &str, words: &[impl AsRef<str> + 'w]) {
    let room = LINE_BYTES_MAX - "-- ".len();
    let mut line = head.to_owned();
    let mut lines = 0;
    for (shown, word) in words.iter().map(AsRef::as_ref).enumerate() {
        if line.len() + " ".len() + word.len() > room {
            call.answer(&line);
            line.clear();
            lines += 1;
            if lines == LINES_MAX {
                call.answer(&format!("and {} more", words.len() - shown));
                return;
            }
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    call.answer(&line);
}
