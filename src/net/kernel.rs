//! The queues of a socket and its `TCP_INFO`, which no crate in use offers.
//!
//! A figure that the kernel does not report is `None`, not zero.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::model::snapshot::{AcceptQueue, Kernel, TcpInfo};

/// Bytes sent and not acknowledged (`SIOCOUTQ`, tcp(7), unix(7)).
pub(super) fn send_q(fd: BorrowedFd<'_>) -> Option<u32> {
    ioctl_count(fd, libc::TIOCOUTQ)
}

/// Recv-Q and Send-Q, and for TCP the figures that explain them.
pub(super) fn queues(fd: BorrowedFd<'_>, is_tcp: bool) -> Option<Kernel> {
    Some(Kernel {
        recv_q: ioctl_count(fd, libc::FIONREAD)?,
        send_q: send_q(fd)?,
        tcp: if is_tcp { tcp_info(fd) } else { None },
    })
}

fn ioctl_count(fd: BorrowedFd<'_>, request: libc::Ioctl) -> Option<u32> {
    let mut count: libc::c_int = 0;
    // SAFETY: the descriptor is open for as long as it is borrowed, and both requests write one int.
    #[expect(unsafe_code, reason = "no crate in use offers SIOCOUTQ")]
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), request, &raw mut count) };
    (result == 0).then(|| u32::try_from(count).unwrap_or(0))
}

/// The accept queue of a TCP listener.
pub(super) fn accept_queue(fd: BorrowedFd<'_>) -> Option<AcceptQueue> {
    /// 32-bit words of `struct tcp_info` (linux/tcp.h), up to and including `tcpi_sacked`.
    const WORDS: usize = 8;
    /// `TCP_LISTEN` (`include/net/tcp_states.h`).
    const LISTEN: u8 = 10;
    let words = tcp_info_words::<WORDS>(fd)?;
    let [state, ..] = words[0].to_ne_bytes();
    // For a listener, the kernel uses these two fields for its queue (`tcp_get_info` in `net/ipv4/tcp.c`).
    let [unacked, sacked] = [words[6], words[7]];
    (state == LISTEN).then_some(AcceptQueue { length: unacked, limit: sacked })
}

fn tcp_info(fd: BorrowedFd<'_>) -> Option<TcpInfo> {
    /// 32-bit words of `struct tcp_info`, up to and including `tcpi_snd_wnd`.
    const WORDS: usize = 58;
    let words = tcp_info_words::<WORDS>(fd)?;
    let [_state, _ca_state, retransmits, _probes] = words[0].to_ne_bytes();
    Some(TcpInfo {
        rtt_us: words[17],
        peer_window: words[57],
        unacked: words[6],
        retransmits: retransmits.into(),
        notsent: words[36],
    })
}

/// The first words of `TCP_INFO`; `None` from a kernel that has fewer.
fn tcp_info_words<const N: usize>(fd: BorrowedFd<'_>) -> Option<[u32; N]> {
    let mut words = [0_u32; N];
    let mut length = libc::socklen_t::try_from(size_of_val(&words)).ok()?;
    // SAFETY: the descriptor is open for as long as it is borrowed; the kernel writes at most `length` bytes into
    // the buffer, whose size that is, and any bytes make valid integers.
    #[expect(unsafe_code, reason = "no crate in use offers TCP_INFO")]
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            words.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    (result == 0 && length as usize >= size_of_val(&words)).then_some(words)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_peer_that_does_not_read_fills_both_queues() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        client.write_all(b"hello").unwrap();
        server.peek(&mut [0; 5]).unwrap();
        let seen = queues(server.as_fd(), true).unwrap();
        assert_eq!(seen.recv_q, 5);
        let tcp = seen.tcp.unwrap();
        assert!(tcp.peer_window > 0 && tcp.rtt_us > 0, "{tcp:?}");

        client.set_nonblocking(true).unwrap();
        let zeros = vec![0; 65536];
        while client.write(&zeros).is_ok() {}
        let stuck = queues(client.as_fd(), true).unwrap();
        assert!(stuck.send_q > 0, "{stuck:?}");
    }

    #[test]
    fn only_a_tcp_listener_has_an_accept_queue() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let limit = accept_queue(listener.as_fd()).unwrap().limit;
        assert!(limit > 0);
        let _waiting = [TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap()];
        // A connection is complete for its client a moment before it is in the accept queue.
        let seen = (0..1_000_000).find_map(|_| {
            std::thread::yield_now();
            accept_queue(listener.as_fd()).filter(|queue| queue.length == 2)
        });
        assert_eq!(seen, Some(AcceptQueue { length: 2, limit }));
        let (accepted, _) = listener.accept().unwrap();
        assert_eq!(accept_queue(listener.as_fd()), Some(AcceptQueue { length: 1, limit }));
        assert_eq!(accept_queue(accepted.as_fd()), None);
        let (unix, _) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(accept_queue(unix.as_fd()), None);
    }
}
