//! What a source asks of its brokers, whichever client talks to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nowcast_engine::{Error, Position, Result};

use super::offsets::Span;
use super::options::KafkaOptions;
use crate::handover::Gone;
use crate::messages::Message;

/// A topic, and a partition of it.
pub type Name = (String, i32);

/// A client of the brokers. It lives in the source's thread and may block it.
pub trait Brokers: Send + 'static {
    /// The partitions of each of the table's topics, ascending.
    ///
    /// # Errors
    /// Of kind `Outside` where no broker answers, of kind `User` where a topic does not exist.
    fn partitions(&mut self) -> Result<Vec<(String, Vec<i32>)>>;

    /// Those of one topic.
    ///
    /// # Errors
    /// As of [`Brokers::partitions`].
    fn topic_partitions(&mut self, topic: &str) -> Result<Vec<i32>>;

    /// The first offset that is there, and the first that is not there yet.
    fn limits(&mut self, topic: &str, partition: i32) -> Result<(i64, i64), Trouble>;

    /// The offset of the first message from a time on (milliseconds since the epoch), of those
    /// partitions that have one.
    fn at_time(&mut self, partitions: &[Name], millis: i64) -> Result<BTreeMap<Name, i64>>;

    /// What the group has committed.
    fn committed(&mut self, partitions: &[Name]) -> Result<BTreeMap<Name, i64>>;

    /// Begins to fetch each span from its start. Spans are numbered in the order in which they come
    /// here.
    fn read(&mut self, spans: &[Span]) -> Result<()>;

    /// Goes on with a span from elsewhere.
    fn seek(&mut self, at: usize, span: &Span, offset: i64) -> Result<()>;

    /// The offset that is fetched next, past the marks of transactions, where that is known.
    fn fetched(&self, at: usize, span: &Span) -> Option<i64>;

    /// Takes in messages that are there, and otherwise waits for some.
    fn poll(&mut self, patience: Duration, into: &mut impl Take) -> Result<Heard, Stop>;

    /// Fetches nothing any more, and serves commits for a while.
    fn linger(&mut self, patience: Duration);

    /// What the source's other end sees and asks.
    fn outlook(&self) -> Arc<dyn Outlook>;
}

/// A client as the worker's thread has it.
pub trait Outlook: Send + Sync {
    /// Where the partitions that are read end, as the brokers last said.
    fn ends(&self) -> Vec<Position>;

    /// Commits the group's offsets sooner or later; later ones take the place of earlier ones.
    fn commit(&self, positions: &[Position]);
}

/// Who takes messages in.
pub trait Take {
    /// The number of a partition's span.
    fn find(&mut self, topic: &str, partition: i32) -> Option<usize>;

    /// Whether no more messages of a span are wanted.
    fn is_finished(&self, at: usize) -> bool;

    /// Takes the next message of a span in.
    fn take(&mut self, at: usize, message: &impl Message) -> Result<Taken, Stop>;
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It waits for others.
    Kept,
    /// It has left with others.
    HandedOver,
}

/// What a client has heard.
#[derive(Debug)]
pub enum Heard {
    /// Messages, which were taken in.
    Messages(Taken),
    /// That these spans are read to their end for now.
    Ends(Vec<End>),
    Trouble(Trouble),
    /// Nothing in time.
    Nothing,
}

/// The end of a span, as of now.
#[derive(Debug, Clone, Copy)]
pub struct End {
    pub at: usize,
    /// The offset behind it, where the client knows: that of a new leader can be less than what another
    /// has said before.
    pub behind: Option<i64>,
}

/// Something that brokers, or the way to them, do not let us do.
#[derive(Debug)]
pub struct Trouble {
    pub cause: Cause,
    pub error: Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// An offset is not there any more, or not yet: of one span, or of some.
    OutOfRange(Option<usize>),
    /// A topic or partition is not known.
    Unknown,
    /// It will not get better.
    Final,
    /// It may pass: the client tries again by itself.
    Passing,
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        trouble.error
    }
}

/// Why a read ends early.
#[derive(Debug)]
pub enum Stop {
    /// The worker is gone.
    Gone,
    Failed(Error),
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The partitions that worker `share.0` of `share.1` reads: every `share.1`-th of each topic.
pub fn own_partitions(brokers: &mut impl Brokers, share: (usize, usize)) -> Result<Vec<Name>> {
    let mut own = vec![];
    for (topic, partitions) in brokers.partitions()? {
        let (worker, workers) = (share.0 as i32, share.1.max(1) as i32);
        let mine = partitions.into_iter().filter(|partition| partition % workers == worker);
        own.extend(mine.map(|partition| (topic.clone(), partition)));
    }
    Ok(own)
}

/// An error of the brokers.
pub fn failed(options: &KafkaOptions, error: impl std::fmt::Display) -> Error {
    let error = error.to_string();
    let mut letters = error.chars();
    let first = letters.next().map(|letter| letter.to_lowercase().to_string()).unwrap_or_default();
    Error::outside(format!("{}: {first}{}", options.name(), letters.as_str()))
}
