//! Where a read of a partition begins and ends.

use std::collections::BTreeMap;

use nowcast_engine::{Error, Position, Result};

use super::contact::{Brokers, Name};
use super::options::{Bound, KafkaOptions, Reset, Startup};

/// What one source instance reads of a partition.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    pub topic: String,
    pub partition: i32,
    /// The first offset to read.
    pub start: i64,
    /// The first offset not to read; `None` in an unbounded read.
    pub end: Option<i64>,
    /// The first offset that was not there yet when the span was found.
    pub high: i64,
}

impl Span {
    pub fn split(&self) -> String {
        format!("{}/{}", self.topic, self.partition)
    }
}

/// Finds the spans of some partitions, going on from `positions` where there are any. It blocks.
pub fn spans(
    brokers: &mut impl Brokers,
    options: &KafkaOptions,
    partitions: &[Name],
    positions: &[Position],
) -> Result<Vec<Span>> {
    let asked = Asked::new(brokers, options, partitions)?;
    let mut spans = vec![];
    for (topic, partition) in partitions {
        let (low, high) = brokers.limits(topic, *partition)?;
        let mut span =
            Span { topic: topic.clone(), partition: *partition, start: low, end: None, high };
        let split = span.split();
        let restored = positions.iter().find(|position| position.split == split);
        span.start = match (restored, positions.is_empty()) {
            (Some(position), _) => reachable(options, &split, position.offset, low, high)?,
            // New since the checkpoint: nothing of it has been read.
            (None, false) => low,
            (None, true) => asked.start(options, topic, *partition, low, high)?,
        };
        span.end = asked.end(options, topic, *partition, low, high);
        spans.push(span);
    }
    Ok(spans)
}

/// The spans of partitions that have just been found. It blocks.
pub fn from_the_beginning(brokers: &mut impl Brokers, partitions: &[Name]) -> Result<Vec<Span>> {
    let span = |(topic, partition): &Name| {
        let (start, high) = brokers.limits(topic, *partition)?;
        Ok(Span { topic: topic.clone(), partition: *partition, start, end: None, high })
    };
    partitions.iter().map(span).collect()
}

/// What was asked of the brokers for all partitions at once.
struct Asked {
    startup: BTreeMap<Name, i64>,
    bound: BTreeMap<Name, i64>,
}

impl Asked {
    fn new(
        brokers: &mut impl Brokers,
        options: &KafkaOptions,
        partitions: &[Name],
    ) -> Result<Self> {
        let startup = match options.startup {
            Startup::Timestamp(millis) if !partitions.is_empty() => {
                brokers.at_time(partitions, millis)?
            }
            Startup::Group if !partitions.is_empty() => brokers.committed(partitions)?,
            _ => BTreeMap::new(),
        };
        let bound = match options.bounded {
            Some(Bound::Timestamp(millis)) if !partitions.is_empty() => {
                brokers.at_time(partitions, millis)?
            }
            Some(Bound::Group) if !partitions.is_empty() => brokers.committed(partitions)?,
            _ => BTreeMap::new(),
        };
        Ok(Self { startup, bound })
    }

    fn start(
        &self,
        options: &KafkaOptions,
        topic: &str,
        partition: i32,
        low: i64,
        high: i64,
    ) -> Result<i64> {
        let found = self.startup.get(&(topic.to_owned(), partition));
        let split = format!("{topic}/{partition}");
        match (&options.startup, found) {
            (Startup::Earliest, _) => Ok(low),
            (Startup::Latest, _) => Ok(high),
            // No message is that young.
            (Startup::Timestamp(_), Some(offset)) => Ok(*offset),
            (Startup::Timestamp(_), _) => Ok(high),
            (Startup::Specific(offsets), _) => match offsets.get(&partition) {
                Some(offset) => reachable(options, &split, *offset, low, high),
                None => Ok(low),
            },
            (Startup::Group, Some(offset)) => reachable(options, &split, *offset, low, high),
            (Startup::Group, _) => match options.reset {
                Reset::Earliest => Ok(low),
                Reset::Latest => Ok(high),
                Reset::Fail | Reset::Unset => Err(Error::user(format!(
                    "kafka topic \"{topic}\": group \"{}\" has no offset for partition {partition}; \
                     set \"scan.startup.mode\" or \"properties.auto.offset.reset\"",
                    options.group.as_deref().unwrap_or_default()
                ))),
            },
        }
    }

    fn end(
        &self,
        options: &KafkaOptions,
        topic: &str,
        partition: i32,
        low: i64,
        high: i64,
    ) -> Option<i64> {
        let found = self.bound.get(&(topic.to_owned(), partition));
        match (options.bounded.as_ref()?, found) {
            (Bound::Timestamp(_) | Bound::Group, Some(offset)) => Some(*offset),
            (Bound::Group, _) => Some(low),
            (Bound::Specific(offsets), _) => offsets.get(&partition).copied().or(Some(high)),
            (Bound::Latest | Bound::Timestamp(_), _) => Some(high),
        }
    }
}

/// `offset` where the partition still, and already, has it. Otherwise rows are lost or unknown:
/// that is said aloud, and reading goes on where `auto.offset.reset` says.
pub fn reachable(
    options: &KafkaOptions,
    split: &str,
    offset: i64,
    low: i64,
    high: i64,
) -> Result<i64> {
    if (low..=high).contains(&offset) {
        return Ok(offset);
    }
    let problem =
        format!("kafka partition \"{split}\": offset {offset} is gone, there are {low} to {high}");
    let start = match options.reset {
        Reset::Fail => return Err(Error::user(problem)),
        Reset::Latest => high,
        Reset::Earliest | Reset::Unset => low,
    };
    tracing::warn!("{problem}; going on from {start}");
    Ok(start)
}
