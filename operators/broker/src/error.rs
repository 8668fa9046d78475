//! What can go wrong: starting the broker, its files, and requests it must refuse.

use std::io;
use std::path::{Path, PathBuf};

use kafka_protocol::ResponseError;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the broker itself; a client sees protocol error codes instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("broker folder {}: in use by another broker", .dir.display())]
    Locked { dir: PathBuf },
    #[error("broker address {listen}: port in use")]
    AddressInUse { listen: String },
    #[error("broker address {listen}: {source}")]
    Listen { listen: String, source: io::Error },
    #[error("broker config: {0}")]
    Config(String),
    #[error("broker file {}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("broker file {}: not readable: {source}", .path.display())]
    Unreadable { path: PathBuf, source: serde_json::Error },
    #[error("topic {0:?}: exists already")]
    TopicExists(String),
    #[error("topic {topic:?}: {reason}")]
    Topic { topic: String, reason: String },
}

impl Error {
    /// For `map_err`: an IO error with the file it happened to.
    pub(crate) fn io(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Error {
        let path = path.as_ref().to_path_buf();
        move |source| Error::Io { path, source }
    }
}

/// A request refused: the protocol's code, and words for the clients whose version carries them.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub code: ResponseError,
    pub message: String,
}

impl Refusal {
    pub fn new(code: ResponseError, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into() }
    }

    pub fn into_error(self, topic: &str) -> Error {
        match self.code {
            ResponseError::TopicAlreadyExists => Error::TopicExists(topic.to_owned()),
            _ => Error::Topic { topic: topic.to_owned(), reason: self.message },
        }
    }
}

impl From<Error> for Refusal {
    /// A failing disk, to a client: retry, or ask the operator.
    fn from(error: Error) -> Refusal {
        tracing::error!(%error, "request failed");
        Refusal::new(ResponseError::KafkaStorageError, error.to_string())
    }
}
