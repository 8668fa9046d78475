//! Fluvio's records, and the metadata that they have.

use fluvio::dataplane::record::{Batch, Record};

use crate::messages::Message;
use crate::metadata::{Keys, Metadata};

pub const KEYS: Keys = Keys {
    connector: "fluvio",
    keys: &[
        ("topic", Metadata::Topic),
        ("partition", Metadata::Partition),
        ("offset", Metadata::Offset),
        ("timestamp", Metadata::Timestamp),
        ("key", Metadata::Key),
    ],
};

/// A record with what its batch knows of it.
pub struct PartitionRecord<'a> {
    topic: &'a str,
    partition: i32,
    pub offset: i64,
    timestamp: Option<i64>,
    record: &'a Record,
}

/// The records of a batch.
pub fn records<'a>(
    topic: &'a str,
    partition: i32,
    batch: &'a Batch,
) -> impl Iterator<Item = PartitionRecord<'a>> {
    // Producers that do not say when leave it negative.
    let since = Some(batch.get_base_timestamp()).filter(|millis| *millis > 0);
    let offsets = batch.get_base_offset()..;
    offsets.zip(batch.records()).map(move |(offset, record)| {
        let timestamp = since.map(|millis| millis + record.timestamp_delta());
        PartitionRecord { topic, partition, offset, timestamp, record }
    })
}

impl Message for PartitionRecord<'_> {
    fn topic(&self) -> &str {
        self.topic
    }

    fn partition(&self) -> i32 {
        self.partition
    }

    fn offset(&self) -> i64 {
        self.offset
    }

    fn timestamp(&self) -> Option<i64> {
        self.timestamp
    }

    fn key(&self) -> Option<&[u8]> {
        self.record.key().map(AsRef::as_ref)
    }

    fn value(&self) -> Option<&[u8]> {
        Some(self.record.value().as_ref())
    }
}
