//! The part of the configuration that governs one connection, in the units that the code uses.

use std::time::Duration;

use super::flood::Rate;
use crate::config::settings::{self, ByteSize, Config, HalfClosePolicy, OnFull};

/// The limits of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// `limits.line_bytes`.
    pub line_bytes: usize,
    /// `limits.outbox_bytes`.
    pub outbox_bytes: usize,
    /// `limits.on_full`.
    pub on_full: OnFull,
    /// `limits.stall`.
    pub stall: Duration,
    /// The flood limits, if `flood.enabled`.
    pub flood: Option<FloodLimits>,
    /// `half_close.policy`.
    pub half_close: HalfClosePolicy,
    /// `half_close.timeout`.
    pub half_close_timeout: Duration,
    /// `limits.receive_buffer`.
    pub receive_buffer: usize,
}

/// `[flood]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloodLimits {
    /// Lines.
    pub lines: Rate,
    /// Bytes.
    pub bytes: Rate,
    /// `flood.patience`.
    pub patience: Duration,
}

impl ConnectionLimits {
    /// Unsent bytes that an outbox holds.
    #[must_use]
    pub fn unsent_max(&self) -> usize {
        ByteSize(settings::Limits::unsent_max(self.outbox_bytes as u64)).bytes()
    }
}

impl From<&Config> for ConnectionLimits {
    fn from(config: &Config) -> Self {
        let flood = &config.flood;
        Self {
            line_bytes: config.limits.line_bytes.bytes(),
            outbox_bytes: config.limits.outbox_bytes.bytes(),
            on_full: config.limits.on_full,
            stall: config.limits.stall,
            flood: flood.enabled.then(|| FloodLimits {
                lines: Rate::new(flood.burst_lines.into(), flood.lines_per_second.into()),
                bytes: Rate::new(flood.burst_bytes.0, flood.bytes_per_second.0),
                patience: flood.patience,
            }),
            half_close: config.half_close.policy,
            half_close_timeout: config.half_close.timeout,
            receive_buffer: config.limits.receive_buffer.bytes(),
        }
    }
}
