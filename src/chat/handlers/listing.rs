//! Long answers: words put one after the other onto lines of a bounded length, and a bounded number of lines. Only what
//! is shown is ordered and worded: a list of ten thousand costs little more than the part of it that is told.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::chat::command::Call;

/// The longest line of a list in bytes, with its `-- `, without its end.
const LINE_BYTES_MAX: usize = 400;

/// The most lines of a list; what does not fit is counted.
const LINES_MAX: usize = 100;

/// Things in their order, the smallest first, found one at a time: the first takes looking at all of them once, and
/// each of the others a look at few.
pub(super) struct InOrder<T>(BinaryHeap<Reverse<T>>);

impl<T: Ord> FromIterator<T> for InOrder<T> {
    fn from_iter<I: IntoIterator<Item = T>>(things: I) -> Self {
        Self(things.into_iter().map(Reverse).collect())
    }
}

impl<T: Ord> Iterator for InOrder<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.pop().map(|Reverse(next)| next)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }
}

impl<T: Ord> ExactSizeIterator for InOrder<T> {}

/// The lines of an answer: `head` and the words behind it, and how many words did not fit. Of those at most one is
/// taken.
///
/// No word may be longer than a line; names with what little is put beside them are far from it.
pub(super) fn lines(head: &str, mut words: impl ExactSizeIterator<Item = impl AsRef<str>>) -> Vec<String> {
    let room = LINE_BYTES_MAX - "-- ".len();
    let mut lines = Vec::new();
    let mut line = head.to_owned();
    while let Some(word) = words.next() {
        let word = word.as_ref();
        if line.len() + " ".len() + word.len() > room {
            lines.push(std::mem::take(&mut line));
            if lines.len() == LINES_MAX {
                lines.push(format!("and {} more", words.len() + 1));
                return lines;
            }
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// Answers with these lines.
pub(super) fn answer(call: &mut Call<'_>, lines: &[String]) {
    for line in lines {
        call.answer(line);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn list(head: &str, words: &[String]) -> Vec<String> {
        lines(head, words.iter())
    }

    fn words(count: usize, len: usize) -> Vec<String> {
        (0..count).map(|number| format!("{number:0len$}")).collect()
    }

    #[test]
    fn lines_end_before_the_400th_byte_is_passed() {
        // "-- " and 397 bytes: a head of 7, then 26 words of 14 with their blanks.
        let lines = list("7 bytes", &words(60, 14));
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [397, 389, 119]);
        assert_eq!(lines.join(" ").matches(" 000000").count(), 60);
    }

    #[test]
    fn after_100_lines_the_rest_is_counted() {
        // 15 words of 24 bytes and their blanks to a line, the head taking the place of one.
        let exact = words(15 * 100, 24);
        let lines = list(&"h".repeat(20), &exact);
        assert_eq!((lines.len(), lines[99].len()), (100, 15 * 25 - 1));
        let lines = list(&"h".repeat(20), &words(15 * 100 + 7, 24));
        assert_eq!(lines.len(), 101);
        assert_eq!(lines[100], "and 7 more");
    }

    #[test]
    fn nothing_to_list_leaves_the_head() {
        assert_eq!(list("none", &[]), ["none"]);
    }

    #[test]
    fn only_what_is_shown_is_worded() {
        let worded = Cell::new(0);
        let told = lines(
            "",
            (0..10_000).map(|number| {
                worded.set(worded.get() + 1);
                format!("{number:024}")
            }),
        );
        assert_eq!(told.len(), LINES_MAX + 1);
        let shown = 15 * LINES_MAX;
        assert_eq!(told[LINES_MAX], format!("and {} more", 10_000 - shown));
        assert_eq!(worded.get(), shown + 1);
    }

    /// A number that counts how often it is compared.
    struct Counted<'a>(usize, &'a Cell<usize>);

    impl Ord for Counted<'_> {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            self.1.set(self.1.get() + 1);
            self.0.cmp(&other.0)
        }
    }

    impl PartialOrd for Counted<'_> {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }

    impl PartialEq for Counted<'_> {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }

    impl Eq for Counted<'_> {}

    #[test]
    fn only_what_is_shown_is_put_in_order() {
        const COUNT: usize = 10_000;
        const SHOWN: usize = 500;
        let compared = Cell::new(0);
        // In no order: 7,919 is prime to the count.
        let things = (0..COUNT).map(|number| Counted(number * 7_919 % COUNT, &compared));
        let shown: Vec<usize> = things.collect::<InOrder<_>>().take(SHOWN).map(|thing| thing.0).collect();
        assert_eq!(shown, (0..SHOWN).collect::<Vec<_>>());
        // To order all of them takes about 13 comparisons each.
        let most = 2 * COUNT + 2 * SHOWN * COUNT.ilog2() as usize;
        assert!(compared.get() <= most, "{} comparisons", compared.get());
    }
}
