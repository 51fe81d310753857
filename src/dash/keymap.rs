//! Which key stands for which action.

/// A `dashboard.keys` entry that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("dashboard.keys: {0}")]
pub struct KeyBindingError(pub String);
