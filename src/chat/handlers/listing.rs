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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::script::{Stage, rules};

    fn list(head: &str, words: &[String]) -> Vec<String> {
        let mut stage = Stage::new(rules());
        let member = stage.enter("alice");
        stage.read("alice");
        let mut call = Call { hub: &mut stage.hub, member, now: stage.now, out: &mut stage.ears };
        answer(&mut call, head, words);
        stage.read("alice")
    }

    fn words(count: usize, len: usize) -> Vec<String> {
        (0..count).map(|number| format!("{number:0len$}")).collect()
    }

    #[test]
    fn lines_end_before_the_400th_byte_is_passed() {
        // "-- " and 397 bytes: a head of 7, then 26 words of 14 with their blanks.
        let lines = list("7 bytes", &words(60, 14));
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [400, 392, 122]);
        assert_eq!(lines.join(" ").matches(" 000000").count(), 60);
    }

    #[test]
    fn after_100_lines_the_rest_is_counted() {
        // 15 words of 24 bytes and their blanks to a line, the head taking the place of one.
        let exact = words(15 * 100, 24);
        let lines = list(&"h".repeat(20), &exact);
        assert_eq!((lines.len(), lines[99].len()), (100, "-- ".len() + 15 * 25 - 1));
        let lines = list(&"h".repeat(20), &words(15 * 100 + 7, 24));
        assert_eq!(lines.len(), 101);
        assert_eq!(lines[100], "-- and 7 more");
    }

    #[test]
    fn nothing_to_list_leaves_the_head() {
        assert_eq!(list("none", &[]), ["-- none"]);
    }
}
