//! The one error of the engine and its leaves: it says who must act.

use std::fmt;

/// Who must act on an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The user: SQL, options, files, model shapes. Retrying changes nothing.
    User,
    /// The outside: broker, store, disk. The same call may succeed later.
    Outside,
    /// The data: one row or message cannot be processed; set it aside and go on.
    Data,
    /// Us: a broken invariant.
    Bug,
    /// Another part of the job, which has ended: its own error is the one to report.
    Stopped,
}

/// An error that names the thing it is about: `kafka topic "clicks": broker unreachable`.
///
/// Messages are lower case, without a full stop.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn user(message: impl fmt::Display) -> Self {
        Self { kind: ErrorKind::User, message: message.to_string() }
    }

    pub fn outside(message: impl fmt::Display) -> Self {
        Self { kind: ErrorKind::Outside, message: message.to_string() }
    }

    pub fn data(message: impl fmt::Display) -> Self {
        Self { kind: ErrorKind::Data, message: message.to_string() }
    }

    pub fn bug(message: impl fmt::Display) -> Self {
        Self { kind: ErrorKind::Bug, message: message.to_string() }
    }

    pub(crate) fn stopped(message: impl fmt::Display) -> Self {
        Self { kind: ErrorKind::Stopped, message: format!("stopped: {message}") }
    }

    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The same error with what follows from it behind.
    pub fn with(self, what: impl fmt::Display) -> Self {
        Self { kind: self.kind, message: format!("{}; {what}", self.message) }
    }

    /// The same error with the name of what it happened to in front.
    pub fn context(self, what: impl fmt::Display) -> Self {
        Self { kind: self.kind, message: format!("{what}: {}", self.message) }
    }
}

impl From<arrow::error::ArrowError> for Error {
    /// Arrow's errors come from values: casts, overflow, division by zero.
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::data(error)
    }
}
