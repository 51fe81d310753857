//! A client's side: its program, and the two kernels between it and the server.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use chatops::engine::{CloseMode, WriteError};
use chatops::id::{ConnId, Slot};

/// Bytes that the server reads at a time.
const READ_BUDGET: usize = 64 * 1024;
/// What the kernels take for a peer that does not read: about what Linux does with `SO_SNDBUF` at 64 KiB.
const KERNEL_BYTES: usize = 170 * 1024;

/// How much of what was sent to it a peer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    /// Nothing: its window is zero.
    Closed,
    /// Everything, at once.
    Open,
}

/// One client.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is what one party knows, and none follows from the others"
)]
pub(crate) struct Peer {
    /// Where the server has it; none before and after.
    pub(crate) slot: Option<Slot>,
    /// Its number; none if it was sent away without a word.
    pub(crate) id: Option<ConnId>,
    /// Sent to the server and not read by it.
    pub(crate) inbound: VecDeque<u8>,
    /// It has sent FIN, behind `inbound`.
    pub(crate) fin: bool,
    /// The server has read its FIN.
    pub(crate) is_eof_read: bool,
    /// It has sent RST.
    pub(crate) rst: bool,
    /// Its program has closed the socket: what still comes is answered with RST.
    pub(crate) is_closed: bool,
    /// Written by the server and not read by the peer: Send-Q.
    pub(crate) outbound: VecDeque<u8>,
    /// The most that `outbound` holds.
    pub(crate) kernel_bytes: usize,
    pub(crate) window: Window,
    /// Read by the peer since it was last asked.
    pub(crate) received: Vec<u8>,
    /// The server has sent FIN, behind `outbound`.
    pub(crate) server_fin: bool,
    /// How the server closed the socket.
    pub(crate) close_mode: Option<CloseMode>,
    /// The server knows that the kernel takes no more.
    pub(crate) blocked: bool,
    /// The poller reports anything at all of it.
    pub(crate) is_watched: bool,
    /// The poller reports that it is readable.
    pub(crate) is_read: bool,
    /// The poller reports that it is writable.
    pub(crate) is_written: bool,
    /// The server wants to know soon whether it is still there.
    pub(crate) is_probed_sooner: bool,
    /// Reads of the server so far.
    pub(crate) reads: usize,
    /// The most bytes that one read gives.
    pub(crate) read_max: usize,
    /// The most bytes that one write takes.
    pub(crate) write_max: usize,
}

impl Peer {
    pub(crate) fn new() -> Self {
        Self {
            slot: None,
            id: None,
            inbound: VecDeque::new(),
            fin: false,
            is_eof_read: false,
            rst: false,
            is_closed: false,
            outbound: VecDeque::new(),
            kernel_bytes: KERNEL_BYTES,
            window: Window::Open,
            received: Vec::new(),
            server_fin: false,
            close_mode: None,
            blocked: false,
            is_watched: false,
            is_read: false,
            is_written: false,
            is_probed_sooner: false,
            reads: 0,
            read_max: READ_BUDGET,
            write_max: usize::MAX,
        }
    }

    /// The server has accepted it, and waits for it to be readable.
    pub(crate) fn admitted(&mut self, slot: Slot, id: ConnId) {
        self.slot = Some(slot);
        self.id = Some(id);
        self.is_watched = true;
        self.is_read = true;
    }

    /// The program reads what its window lets it. Whether that was anything.
    pub(crate) fn read(&mut self) -> bool {
        self.window == Window::Open && !self.is_closed && self.takes(self.outbound.len()) > 0
    }

    /// The program reads at most `count` bytes, and gives the number it got.
    pub(crate) fn takes(&mut self, count: usize) -> usize {
        let count = count.min(self.outbound.len());
        self.received.extend_from_slice(&self.outbound.make_contiguous()[..count]);
        self.outbound.drain(..count);
        count
    }

    /// The program closes its socket, at once and in both directions.
    pub(crate) fn closes(&mut self) {
        self.fin = true;
        self.is_closed = true;
        if !self.outbound.is_empty() {
            self.resets();
        }
    }

    /// RST: what is under way to the peer is lost; the server reads what came before it.
    pub(crate) fn resets(&mut self) {
        self.rst = true;
        self.is_closed = true;
        self.outbound.clear();
    }

    /// Whether the poller has an event for the server.
    pub(crate) fn is_ready(&self) -> bool {
        let readable = self.is_read && (!self.inbound.is_empty() || self.fin);
        self.slot.is_some() && self.is_watched && (readable || self.is_broken() || self.is_writable())
    }

    /// Whether the poller reports an error or a hang-up: epoll reports the latter as soon as both FINs are there,
    /// whatever is still to be read.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_watched && (self.rst || (self.fin && self.server_fin))
    }

    /// Whether a blocked socket takes bytes again.
    pub(crate) fn is_writable(&self) -> bool {
        self.blocked && self.is_written && (self.outbound.len() < self.kernel_bytes || self.rst)
    }

    /// The server reads once.
    pub(crate) fn take_inbound(&mut self, most: usize) -> Vec<u8> {
        self.reads += 1;
        let count = self.inbound.len().min(self.read_max).min(most);
        let bytes = self.inbound.make_contiguous()[..count].to_vec();
        self.inbound.drain(..count);
        bytes
    }

    /// The server writes.
    pub(crate) fn write(&mut self, slices: &[IoSlice<'_>]) -> Result<usize, WriteError> {
        assert!(self.slot.is_some(), "nothing is written to a closed socket");
        assert!(!self.server_fin, "nothing is written behind a FIN");
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        assert!(offered > 0, "there is something to write");
        if self.rst {
            return Err(WriteError::Failed(io::ErrorKind::BrokenPipe.into()));
        }
        if self.is_closed {
            self.rst = true;
            return Ok(offered);
        }
        let room = self.kernel_bytes.saturating_sub(self.outbound.len()).min(self.write_max);
        if room == 0 {
            return Err(WriteError::Blocked);
        }
        let mut left = room;
        for slice in slices {
            let part = &slice[..slice.len().min(left)];
            self.outbound.extend(part);
            left -= part.len();
        }
        Ok(room - left)
    }

    /// The server sends FIN; there is no peer to send it to after an RST.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        assert!(!self.server_fin, "FIN is sent once");
        if self.rst {
            return Err(io::ErrorKind::NotConnected.into());
        }
        self.server_fin = true;
        Ok(())
    }

    /// Bytes that were written and not acknowledged.
    pub(crate) fn send_q(&self) -> u32 {
        u32::try_from(self.outbound.len()).unwrap()
    }

    /// The server closes the socket.
    pub(crate) fn close(&mut self, close_mode: CloseMode) {
        self.slot = None;
        self.close_mode = Some(close_mode);
        if close_mode == CloseMode::Reset {
            self.outbound.clear();
        } else {
            assert!(self.outbound.is_empty() || self.rst, "an orderly close loses nothing");
        }
    }

    /// Whether the program has read the server's FIN.
    pub(crate) fn got_fin(&self) -> bool {
        self.server_fin && self.outbound.is_empty() && self.close_mode != Some(CloseMode::Reset)
    }

    /// The lines read, each of which has to be whole and end as it should.
    #[track_caller]
    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        let bytes = std::mem::take(&mut self.received);
        let text = String::from_utf8(bytes).expect("only UTF-8 is sent");
        let lines = text.split_inclusive('\n').map(|line| {
            let text = line.strip_suffix("\r\n").unwrap_or_else(|| panic!("{line:?} is no whole line"));
            assert!(!text.contains('\r'), "{text:?}");
            text.to_owned()
        });
        lines.collect()
    }
}
