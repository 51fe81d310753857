//! Figures about processes and TCP sockets, from proc(5).

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

/// Clock ticks a second in `/proc/PID/stat`; the same on every Linux that is in use (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// Processor time that the process has used, user and system together.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    // The name in parentheses may have spaces: fields are counted after it. utime is field 14, stime 15.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// Processor time that the process uses while this much time passes.
pub(crate) fn cpu_time_during(pid: u32, span: Duration) -> Duration {
    let before = cpu_time(pid);
    super::let_pass(span);
    cpu_time(pid).saturating_sub(before)
}

/// Processor time of all processes of this machine, all processors together.
pub(crate) fn machine_cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/stat").expect("this is Linux");
    let fields = stat.lines().next().unwrap().split_whitespace().skip(1);
    let ticks: Vec<u64> = fields.map(|field| field.parse().unwrap()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; guest time is in user already.
    let busy: u64 = ticks.iter().take(8).sum::<u64>() - ticks[3] - ticks[4];
    Duration::from_millis(busy * 1000 / TICKS_PER_SECOND)
}

/// Resident memory in bytes.
pub(crate) fn rss(pid: u32) -> u64 {
    status_number(&format!("/proc/{pid}/status"), "VmRSS:").expect("the process lives") * 1024
}

/// How many file descriptors the process has open.
pub(crate) fn fd_count(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("the process lives").count()
}

/// The number that the next file descriptor of the process will have.
pub(crate) fn next_fd(pid: u32) -> u64 {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).expect("the process lives");
    let open: Vec<u64> = fds.filter_map(|fd| fd.ok()?.file_name().to_str()?.parse().ok()).collect();
    (0..u64::MAX).find(|number| !open.contains(number)).expect("few are open")
}

/// Allows a child only descriptors below `limit`, whatever it has open already; returns the old limit.
pub(crate) fn limit_descriptors(pid: u32, limit: u64) -> u64 {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("process ids are positive");
    // A child has the hard limit of its parent.
    let wanted = Rlimit { current: Some(limit), maximum: getrlimit(Resource::Nofile).maximum };
    let before = prlimit(Some(pid), Resource::Nofile, wanted).expect("the process is ours");
    before.current.unwrap_or(u64::MAX)
}

/// The voluntary context switches of all threads of the process: each is one wake-up.
pub(crate) fn sleeps(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let status = threads.filter_map(|thread| Some(thread.ok()?.path().join("status")));
    status.filter_map(|path| status_number(path.to_str()?, "voluntary_ctxt_switches:")).sum()
}

/// The child processes of the first thread of this process.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = fs::read_to_string(path).expect("the process is there");
    children.split_whitespace().map(|child| child.parse().expect("a number")).collect()
}

/// Whether the process exists and is no zombie.
pub(crate) fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// Whether every thread of the process is stopped (signal(7): `SIGSTOP`).
pub(crate) fn is_stopped(pid: u32) -> bool {
    let mut threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    threads.all(|thread| {
        let stat = thread.map(|thread| fs::read_to_string(thread.path().join("stat")).unwrap_or_default());
        stat.is_ok_and(|stat| {
            stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
        })
    })
}

fn status_number(path: &str, field: &str) -> Option<u64> {
    let status = fs::read_to_string(path).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The states of TCP, numbered as in `include/net/tcp_states.h` of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TcpState {
    Established,
    SynSent,
    SynReceived,
    FinWait1,
    FinWait2,
    TimeWait,
    Close,
    CloseWait,
    LastAck,
    Listen,
    Closing,
    NewSynReceived,
}

/// One TCP socket of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpSocket {
    pub(crate) local_port: u16,
    pub(crate) remote_port: u16,
    pub(crate) state: TcpState,
    /// Send-Q: not yet acknowledged by the peer.
    pub(crate) send_q: u64,
    /// Recv-Q: not yet read by the process.
    pub(crate) recv_q: u64,
    /// When the next keepalive probe is due; `None` while another timer of the socket runs.
    pub(crate) keepalive_in: Option<Duration>,
    /// The number of the socket, as in `/proc/PID/fd`.
    pub(crate) inode: u64,
}

/// The connections with the local port `port`: the server's ends, without listeners and without ended ones
/// (TIME-WAIT).
pub(crate) fn connections_on(port: u16) -> Vec<TcpSocket> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let sockets = tables.iter().flat_map(|table| table.lines().skip(1)).filter_map(parse_socket);
    sockets
        .filter(|socket| socket.local_port == port)
        .filter(|socket| !matches!(socket.state, TcpState::Listen | TcpState::TimeWait))
        .collect()
}

fn parse_socket(line: &str) -> Option<TcpSocket> {
    use TcpState::{
        Close, CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, Listen, NewSynReceived,
        SynReceived, SynSent, TimeWait,
    };
    const STATES: [TcpState; 12] = [
        Established,
        SynSent,
        SynReceived,
        FinWait1,
        FinWait2,
        TimeWait,
        Close,
        CloseWait,
        LastAck,
        Listen,
        Closing,
        NewSynReceived,
    ];
    let mut fields = line.split_whitespace().skip(1);
    let port = |address: &str| u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok();
    let local_port = port(fields.next()?)?;
    let remote_port = port(fields.next()?)?;
    let state = usize::from_str_radix(fields.next()?, 16).ok()?;
    let state = *STATES.get(state.checked_sub(1)?)?;
    let (send_q, recv_q) = fields.next()?.split_once(':')?;
    let number = |digits: &str| u64::from_str_radix(digits, 16).ok();
    let (send_q, recv_q) = (number(send_q)?, number(recv_q)?);
    let (timer, due) = fields.next()?.split_once(':')?;
    // Timer 2 is that of keepalive; times are in hundredths of a second (proc(5), `USER_HZ`).
    let keepalive_in =
        number(due).filter(|_| number(timer) == Some(2)).map(|due| Duration::from_millis(due * 10));
    // Retransmits, user and timeout come before it.
    let inode = fields.nth(3)?.parse().ok()?;
    Some(TcpSocket { local_port, remote_port, state, send_q, recv_q, keepalive_in, inode })
}

/// The server's end of the connection from the client at `client_port`.
pub(crate) fn connection_from(server_port: u16, client_port: u16) -> Option<TcpSocket> {
    connections_on(server_port).into_iter().find(|end| end.remote_port == client_port)
}

/// The bytes from the client at `client_port` that the server at `server_port` has not read.
pub(crate) fn unread_from(server_port: u16, client_port: u16) -> u64 {
    connection_from(server_port, client_port).map_or(0, |end| end.recv_q)
}
