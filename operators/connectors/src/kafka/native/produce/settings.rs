//! What our own client is set to for writing, by the table's properties.

use std::time::Duration;

use super::super::settings::{Given, Refusal, Settings};
use super::compress::{Codec, Compressor};
use crate::kafka::options::KafkaOptions;

/// Bytes of a batch, before they are compressed: brokers take a little more, unless told otherwise.
const BATCH_BYTES: usize = 1_000_000;
/// Kilobytes of messages that wait to be sent; then writing waits.
const QUEUE_KBYTES: usize = 65_536;

/// How messages are sent.
#[derive(Debug, Clone)]
pub struct WriteSettings {
    /// How brokers are reached.
    pub reach: Settings,
    pub compressor: Compressor,
    /// Bytes of a batch before it is compressed.
    pub batch_bytes: usize,
    /// Bytes of one message, and what a batch takes besides.
    pub message_bytes_max: usize,
    /// Bytes that wait to be sent.
    pub queue_bytes: usize,
    /// How long a message may wait for the brokers to take it.
    pub delivery_timeout: Duration,
}

impl WriteSettings {
    /// Says what is wrong with names and values; files are not looked at.
    pub fn read(options: &KafkaOptions) -> Result<Self, Refusal> {
        let mut given = Given::of(options);
        for (key, taken) in [
            ("acks", &["all", "-1"][..]),
            ("request.required.acks", &["all", "-1"]),
            ("enable.idempotence", &["true"]),
            ("partitioner", &["murmur2_random"]),
        ] {
            let value = given.text(key).map(str::trim);
            if value.is_some_and(|value| !taken.iter().any(|one| one.eq_ignore_ascii_case(value))) {
                return Err(Refusal::Unknown { key: key.into(), why: "is librdkafka's alone" });
            }
        }
        for (key, value) in [("compression.codec", "inherit"), ("message.timeout.ms", "0")] {
            if given.shows(key) == Some(value) {
                return Err(Refusal::Unknown { key: key.into(), why: "is librdkafka's alone" });
            }
        }
        let codec = given.choice("compression.codec", &Codec::NAMES)?;
        let codec = match codec {
            Codec::None => given.choice("compression.type", &Codec::NAMES)?,
            given => given,
        };
        let level = given.number("compression.level", -1, 12)?.filter(|level| *level >= 0);
        let bytes = given.number("batch.size", 1, i32::MAX)?;
        let kbytes = given.number("queue.buffering.max.kbytes", 1, i32::MAX)?;
        let kbytes = kbytes.map_or(QUEUE_KBYTES, |kbytes| kbytes.unsigned_abs() as usize);
        let timeout = given.number("delivery.timeout.ms", 1, i32::MAX)?;
        let timeout = match timeout {
            Some(timeout) => timeout,
            None => given.number("message.timeout.ms", 1, i32::MAX)?.unwrap_or(300_000),
        };
        Ok(Self {
            compressor: Compressor { codec, level },
            // Brokers that take no larger messages take no larger batches.
            batch_bytes: bytes
                .map_or(BATCH_BYTES, |bytes| bytes.unsigned_abs() as usize)
                .min(options.message_bytes_max),
            message_bytes_max: options.message_bytes_max,
            queue_bytes: kbytes << 10,
            delivery_timeout: Duration::from_millis(timeout.unsigned_abs().into()),
            reach: Settings::read(options)?,
        })
    }
}
