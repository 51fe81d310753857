//! Bytes that wait in a framer: a buffer that is there only while something is in it.

/// The bytes held, none of them given out. One pointer in an idle connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Held(Option<Box<Buffer>>);

#[derive(Clone, Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// Bytes at the start that were given out. They are borrowed by whoever took them last, and dropped later.
    taken: usize,
}

impl Buffer {
    fn waiting(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }
}

impl Held {
    /// What is held.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |buffer| buffer.waiting())
    }

    /// How many bytes those are.
    pub(super) fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Holds more, behind what is held.
    pub(super) fn extend(&mut self, more: &[u8]) {
        if !more.is_empty() {
            self.give_back();
            self.0.get_or_insert_default().bytes.extend_from_slice(more);
        }
    }

    /// Gives out the first `count` bytes, or as many as there are.
    pub(super) fn take(&mut self, count: usize) -> &[u8] {
        let Some(buffer) = &mut self.0 else { return &[] };
        let start = buffer.taken;
        buffer.taken = (start + count).min(buffer.bytes.len());
        &buffer.bytes[start..buffer.taken]
    }

    /// Gives the buffer back once everything in it was given out.
    pub(super) fn give_back(&mut self) {
        if self.0.as_ref().is_some_and(|buffer| buffer.waiting().is_empty()) {
            self.0 = None;
        }
    }

    /// Gives back the memory of what was given out.
    pub(super) fn compact(&mut self) {
        if let Some(buffer) = &mut self.0
            && buffer.taken > 0
        {
            **buffer = Buffer { bytes: buffer.waiting().to_vec(), taken: 0 };
        }
    }

    /// The memory taken, in bytes.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.0.as_ref().map_or(0, |buffer| buffer.bytes.capacity())
    }
}
