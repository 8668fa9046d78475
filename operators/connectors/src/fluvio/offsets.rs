//! Where a read of a partition begins and ends.

use nowcast_engine::{Position, Result};

use super::client::{Client, Led, Limits};
use super::options::{Bound, FluvioOptions, Startup};

/// What one source instance reads of a partition.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    pub partition: i32,
    /// The first offset to read.
    pub start: i64,
    /// The first offset not to read; `None` in an unbounded read.
    pub end: Option<i64>,
}

impl Span {
    /// The name of its split: `clicks/3`.
    pub fn split(&self, options: &FluvioOptions) -> String {
        format!("{}/{}", options.topic, self.partition)
    }
}

/// Finds the spans of some partitions, going on from `positions` where there are any.
pub async fn spans(
    client: &Client,
    options: &FluvioOptions,
    partitions: &[Led],
    positions: &[Position],
) -> Result<Vec<Span>> {
    let limits = client.limits(options, partitions).await?;
    let spans = limits.into_iter().map(|(partition, limits)| {
        let mut span = Span { partition, start: limits.low, end: end(options, partition, limits) };
        let split = span.split(options);
        let restored = positions.iter().find(|position| position.split == split);
        span.start = match (restored, positions.is_empty()) {
            (Some(position), _) => reachable(&split, position.offset, limits),
            // New since the checkpoint: nothing of it has been read.
            (None, false) => limits.low,
            (None, true) => start(options, &split, partition, limits),
        };
        span
    });
    Ok(spans.collect())
}

fn start(options: &FluvioOptions, split: &str, partition: i32, limits: Limits) -> i64 {
    match &options.startup {
        Startup::Earliest => limits.low,
        Startup::Latest => limits.high,
        Startup::Specific(offsets) => {
            offsets.get(&partition).map_or(limits.low, |offset| reachable(split, *offset, limits))
        }
    }
}

fn end(options: &FluvioOptions, partition: i32, limits: Limits) -> Option<i64> {
    Some(match options.bounded.as_ref()? {
        Bound::Latest => limits.high,
        Bound::Specific(offsets) => offsets.get(&partition).copied().unwrap_or(limits.high),
    })
}

/// `offset` where the partition still, and already, has it. Otherwise rows are lost or unknown:
/// that is said aloud, and reading goes on from the first record that is there.
fn reachable(split: &str, offset: i64, limits: Limits) -> i64 {
    let Limits { low, high } = limits;
    if (low..=high).contains(&offset) {
        return offset;
    }
    tracing::warn!(
        "fluvio partition \"{split}\": offset {offset} is gone, there are {low} to {high}; going \
         on from {low}"
    );
    low
}
