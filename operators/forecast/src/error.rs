//! What can go wrong: a bad option (the user acts), a bad argument (the caller acts), foreign or damaged saved bytes.

/// Every error of this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The user's options: unknown key, wrong type, value out of range.
    #[error("forecast option {0}")]
    Option(String),
    /// A call that does not fit the options: number of regressors, horizon, step.
    #[error("forecast {0}")]
    Argument(String),
    /// Bytes that [`crate::Forecaster::save`] and its like did not write, or that were damaged since.
    #[error("saved {what}: {why}")]
    Saved { what: &'static str, why: String },
}

pub type Result<T> = std::result::Result<T, Error>;
