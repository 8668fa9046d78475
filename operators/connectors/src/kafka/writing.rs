//! What the sink asks of the client that writes, and what a transaction does.

use async_trait::async_trait;
use nowcast_engine::{Epoch, Result};

/// Names and values of a message's headers.
pub type Headers = Vec<(String, Option<Vec<u8>>)>;

/// A message to be sent.
#[derive(Clone, Copy, Default)]
pub struct Outgoing<'a> {
    /// `None`: by the key as Java's clients do it; any partition without a key.
    pub partition: Option<i32>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// `None`: now.
    pub timestamp: Option<i64>,
    pub headers: Option<&'a Headers>,
}

/// At most what a batch takes for its head, and a record for its lengths, numbers and times.
const OVERHEAD_BYTES: usize = 61 + 64;
/// At most what a header takes for its lengths.
const HEADER_BYTES: usize = 20;

impl Outgoing<'_> {
    /// At most the bytes of a batch that has this message alone.
    pub fn bytes(&self) -> usize {
        let headers = self.headers.into_iter().flatten();
        let headers = headers
            .map(|(name, value)| name.len() + value.as_ref().map_or(0, Vec::len) + HEADER_BYTES);
        self.key.map_or(0, <[u8]>::len)
            + self.value.map_or(0, <[u8]>::len)
            + headers.sum::<usize>()
            + OVERHEAD_BYTES
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    Taken,
    /// Not taken: too much waits to be sent.
    Full,
    /// Not taken, and it never will be.
    TooLarge,
}

/// Sends messages of one table for one worker.
#[async_trait]
pub trait Writer: Send {
    /// Some messages come.
    fn begin(&mut self) {}

    /// # Errors
    /// Where the client can send no more.
    fn put(&mut self, message: Outgoing<'_>) -> Result<Put>;

    /// Waits until there is room for more.
    async fn room(&mut self) -> Result<()>;

    /// # Errors
    /// Where a message could not be delivered.
    fn check(&self) -> Result<()>;

    /// No more come for now: what is worth sending goes out, and is not waited for.
    ///
    /// # Errors
    /// As of [`Writer::check`].
    fn pause(&mut self) -> Result<()>;

    /// All goes out, and is not waited for.
    ///
    /// # Errors
    /// As of [`Writer::check`].
    fn send(&mut self) -> Result<()>;

    /// All goes out and has arrived.
    async fn deliver(&mut self) -> Result<()>;
}

/// A client with a transactional id, whose earlier holders it has fenced. It carries the marks of a job:
/// committed offsets of a group that has the name of the transactional id.
#[async_trait]
pub trait Transactional: Send + Sync {
    /// The mark that a topic carries. It blocks.
    fn mark(&self, topic: &str) -> Result<Option<Epoch>>;

    /// Begins a transaction.
    fn begin(&self) -> Result<()>;

    /// Commits what writers have sent, with the number of the epoch as the mark of these topics.
    async fn commit(&self, topics: Vec<String>, epoch: Epoch) -> Result<()>;

    /// Ends the open transaction without its messages, if that is quick: it is dropped behind it. It
    /// blocks.
    fn abort(&self);
}
