//! The socket of one connection: non-blocking reads and writes, FIN, RST, and its options.

use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::RecvFlags;
use socket2::TcpKeepalive;

use super::kernel;
use crate::config::settings::Config;
use crate::engine::WriteError;
use crate::model::snapshot::Kernel;

/// A connected socket.
#[derive(Debug)]
pub(super) struct Socket {
    inner: socket2::Socket,
    is_tcp: bool,
}

impl Socket {
    /// Takes an accepted socket, which does not block and has the options of its listener.
    pub(super) const fn new(inner: socket2::Socket, is_tcp: bool) -> Self {
        Self { inner, is_tcp }
    }

    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.inner).read(buffer)
    }

    pub(super) fn write(&self, slices: &[IoSlice<'_>]) -> Result<usize, WriteError> {
        self.inner.send_vectored(slices).map_err(write_error)
    }

    /// Whether the input has ended and no bytes are left to read (`MSG_PEEK`, recv(2)).
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.inner.peek(&mut [MaybeUninit::uninit()]), Ok(0))
    }

    /// The unread input, at most `most` bytes; it stays unread (`MSG_PEEK`, recv(2)).
    pub(super) fn peek(&self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; most];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let count = rustix::net::recv(&self.inner, bytes.as_mut_slice(), flags).map_or(0, |(count, _)| count);
        bytes.truncate(count);
        bytes
    }

    /// Sends FIN after the bytes in Send-Q.
    pub(super) fn finish(&self) -> io::Result<()> {
        self.inner.shutdown(Shutdown::Write)
    }

    /// Makes `close()` send RST: Send-Q is dropped, and the socket does not stay in FIN-WAIT-1 (`SO_LINGER` 0).
    pub(super) fn reset_when_closed(&self) {
        // If the option cannot be set, the close is an orderly one.
        let _ = self.inner.set_linger(Some(Duration::ZERO));
    }

    /// Sets the time from the last received byte to the first keepalive probe (`TCP_KEEPIDLE`, tcp(7)). Does nothing on
    /// a Unix socket, where the kernel notices every end.
    pub(super) fn set_keepalive_idle(&self, idle: Duration) -> io::Result<()> {
        if !self.is_tcp {
            return Ok(());
        }
        self.inner.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle))
    }

    /// Takes the pending error of the socket, if any (`SO_ERROR`).
    pub(super) fn take_error(&self) -> Option<io::Error> {
        self.inner.take_error().unwrap_or_else(Some)
    }

    /// Bytes sent and not acknowledged; 0 where the system does not report them.
    pub(super) fn send_q(&self) -> u32 {
        kernel::send_q(self.as_fd()).unwrap_or(0)
    }

    pub(super) fn queues(&self) -> Option<Kernel> {
        kernel::queues(self.as_fd(), self.is_tcp)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl From<Socket> for OwnedFd {
    fn from(socket: Socket) -> Self {
        socket.inner.into()
    }
}

/// Classifies the error of a write. `ENOBUFS` (send(2)) means that the queue of the network interface is full for a
/// moment: as for a socket that would block, an event says when it takes more.
fn write_error(error: io::Error) -> WriteError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => WriteError::Blocked,
        _ if error.raw_os_error() == Some(libc::ENOBUFS) => WriteError::Blocked,
        _ => WriteError::Failed(error),
    }
}

/// Sets the options of a TCP connection. Accepted sockets inherit them from their listener (tcp(7)).
pub(super) fn set_tcp_options(socket: &socket2::Socket, config: &Config) -> io::Result<()> {
    let keepalive = TcpKeepalive::new()
        .with_time(config.keepalive.idle)
        .with_interval(config.keepalive.interval)
        .with_retries(config.keepalive.count);
    socket.set_tcp_keepalive(&keepalive)?;
    // The server writes once a turn; Nagle's algorithm would delay the last segment.
    socket.set_tcp_nodelay(true)?;
    // Telnet's synch arrives as urgent data (RFC 854). Out of line, its byte would be lost and the loop would spin.
    socket.set_out_of_band_inline(true)?;
    set_buffers(socket, config)
}

/// Limits the kernel's buffers of a connection.
pub(super) fn set_buffers(socket: &socket2::Socket, config: &Config) -> io::Result<()> {
    socket.set_send_buffer_size(config.limits.send_buffer.bytes())?;
    socket.set_recv_buffer_size(config.limits.receive_buffer.bytes())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_keepalive_idle_time_of_one_connection_is_set_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let inner = socket2::Socket::from(accepted);
        set_tcp_options(&inner, &Config::default()).unwrap();
        let socket = Socket::new(inner, true);
        socket.set_keepalive_idle(Duration::from_secs(9)).unwrap();
        assert_eq!(socket.inner.tcp_keepalive_time().unwrap(), Duration::from_secs(9));
        let default = Config::default().keepalive;
        assert_eq!(socket.inner.tcp_keepalive_interval().unwrap(), default.interval);
        assert_eq!(socket.inner.tcp_keepalive_retries().unwrap(), default.count);
        assert!(socket.inner.keepalive().unwrap());
    }

    #[test]
    fn an_error_that_passes_blocks_a_write_and_others_end_it() {
        for code in [libc::EAGAIN, libc::EINTR, libc::ENOBUFS] {
            let error = write_error(io::Error::from_raw_os_error(code));
            assert!(matches!(error, WriteError::Blocked), "{error:?}");
        }
        for code in [libc::EPIPE, libc::ECONNRESET, libc::ENOMEM] {
            let error = write_error(io::Error::from_raw_os_error(code));
            assert!(
                matches!(&error, WriteError::Failed(why) if why.raw_os_error() == Some(code)),
                "{error:?}"
            );
        }
    }

    #[test]
    fn a_unix_socket_has_no_keepalive_to_set() {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let socket = Socket::new(ours.into(), false);
        socket.set_keepalive_idle(Duration::from_secs(9)).unwrap();
    }
}
