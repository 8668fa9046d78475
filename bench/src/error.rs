//! What goes wrong with the files and words that a user hands to the bench.

use std::path::{Path, PathBuf};

/// All of these are the user's to mend: a path, a file's content, or a flag.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A data set is not where it should be.
    #[error("data folder {folder:?}: no {expected}")]
    Missing { folder: PathBuf, expected: String },
    /// The file cannot be read or unpacked.
    #[error("file {path:?}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    /// The file's content is not what its format promises; `line` counts from 1.
    #[error("file {path:?} line {line}: {message}")]
    Content { path: PathBuf, line: u64, message: String },
    /// A flag's value makes no sense.
    #[error("{0}")]
    Flag(String),
}

impl Error {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn content(path: &Path, line: u64, message: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), line, message: message.into() }
    }
}
