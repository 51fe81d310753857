//! How a connection ends: how long its farewell may take, and what is known meanwhile.

use std::time::Duration;

use super::CloseReason;

/// How the socket is to be closed, now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseMode {
    /// `close()`: everything has arrived.
    Close,
    /// RST (`SO_LINGER` 0): nothing waits for this peer any longer.
    Reset,
}

/// How long a farewell may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linger {
    /// In all; then the connection is reset if anything is still unsent. Without it only `limits.stall` ends it.
    pub total: Option<Duration>,
    /// After our FIN, from the last bytes that came in.
    pub idle: Duration,
    /// What comes in is read within the flood limits, rather than as fast as it comes.
    pub paced: bool,
}

impl Linger {
    /// A kick, a quit, a refusal.
    pub const FAREWELL: Self =
        Self { total: Some(Self::FAREWELL_TOTAL), idle: Duration::from_secs(2), paced: false };
    pub(super) const FAREWELL_TOTAL: Duration = Duration::from_secs(5);

    /// The peer ended its input and reads its answers, at whatever pace.
    pub const ANSWERED: Self = Self { total: None, idle: Duration::MAX, paced: true };

    /// No other end than the peer's own and this deadline.
    #[must_use]
    pub const fn for_peer(total: Duration) -> Self {
        Self { total: Some(total), idle: total, paced: true }
    }

    /// The server ends: a peer that has everything is not waited for.
    #[must_use]
    pub fn server_stop(drain: Duration) -> Self {
        Self { total: Some(drain), idle: drain.min(Duration::from_millis(250)), paced: false }
    }
}

/// What is known of a connection that ends.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) reason: CloseReason,
    /// How long it may be silent after our FIN.
    pub(super) linger_idle: Duration,
    /// A deadline has passed: with all sent and acknowledged it is closed at the next look at Send-Q.
    pub(super) final_probe: Option<IfUnacked>,
}

impl Closing {
    pub(super) fn new(reason: CloseReason) -> Self {
        let reason = reason.shortened();
        Self { reason, linger_idle: Duration::ZERO, final_probe: None }
    }
}

/// What happens when a last look at Send-Q finds something unacknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfUnacked {
    /// The connection stays until the end of its farewell.
    Wait,
    /// The connection is reset.
    Reset,
}
