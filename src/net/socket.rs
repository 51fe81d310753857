//! One connection's socket: non-blocking reads and writes, FIN, RST, and the options it is set up with.

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

    /// Whether the peer's FIN is all that there is to read (`MSG_PEEK`, recv(2)).
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.inner.peek(&mut [MaybeUninit::uninit()]), Ok(0))
    }

    /// What is there to read, at most `most` bytes of it, left unread (`MSG_PEEK`, recv(2)).
    pub(super) fn peek(&self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; most];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let count = rustix::net::recv(&self.inner, bytes.as_mut_slice(), flags).map_or(0, |(count, _)| count);
        bytes.truncate(count);
        bytes
    }

    /// Sends FIN after what the kernel holds.
    pub(super) fn finish(&self) -> io::Result<()> {
        self.inner.shutdown(Shutdown::Write)
    }

    /// Makes closing it send RST: what the kernel holds is dropped and no FIN-WAIT-1 is left behind (`SO_LINGER` 0).
    pub(super) fn reset_when_closed(&self) {
        // Should the option fail, the close is an orderly one, which is all that is left to do.
        let _ = self.inner.set_linger(Some(Duration::ZERO));
    }

    /// Sets the silence before the first keepalive probe (`TCP_KEEPIDLE`, tcp(7)), which counts from what was last
    /// received. On a Unix socket there is nothing to set: the kernel knows of every end.
    pub(super) fn set_keepalive_idle(&self, idle: Duration) -> io::Result<()> {
        if !self.is_tcp {
            return Ok(());
        }
        self.inner.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle))
    }

    /// The error that waits on the socket, if there is one (`SO_ERROR`).
    pub(super) fn take_error(&self) -> Option<io::Error> {
        self.inner.take_error().unwrap_or_else(Some)
    }

    /// Bytes sent and not acknowledged; 0 where the system does not tell.
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

/// What an error of a write says. With `ENOBUFS` (send(2)) the queue of the network's interface is full for a moment:
/// there is an event when the socket takes more, as there is for one that would block.
fn write_error(error: io::Error) -> WriteError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => WriteError::Blocked,
        _ if error.raw_os_error() == Some(libc::ENOBUFS) => WriteError::Blocked,
        _ => WriteError::Failed(error),
    }
}

/// Sets the options of a TCP connection. Set on a listener, they are those of every socket it accepts (tcp(7)).
pub(super) fn set_tcp_options(socket: &socket2::Socket, config: &Config) -> io::Result<()> {
    let keepalive = TcpKeepalive::new()
        .with_time(config.keepalive.idle)
        .with_interval(config.keepalive.interval)
        .with_retries(config.keepalive.count);
    socket.set_tcp_keepalive(&keepalive)?;
    // Writes are gathered here, once a turn; Nagle would hold the last one back.
    socket.set_tcp_nodelay(true)?;
    // Telnet's synch comes as urgent data (RFC 854); out of line it would be a lost byte and a busy loop.
    socket.set_out_of_band_inline(true)?;
    set_buffers(socket, config)
}

/// Bounds what the kernel holds for a connection.
pub(super) fn set_buffers(socket: &socket2::Socket, config: &Config) -> io::Result<()> {
    socket.set_send_buffer_size(config.limits.send_buffer.bytes())?;
    socket.set_recv_buffer_size(config.limits.receive_buffer.bytes())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_keepalive_of_one_connection_is_set_without_touching_the_rest() {
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
    fn what_passes_is_told_from_what_is_over() {
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
