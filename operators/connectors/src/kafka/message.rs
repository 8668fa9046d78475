//! librdkafka's messages, and the metadata that they have.

use rdkafka::message::{BorrowedMessage, Headers, Message as _, Timestamp};

use crate::messages::Message;
use crate::metadata::{Keys, Metadata};

/// librdkafka's bindings do not hand out Flink's `leader-epoch`.
pub const KEYS: Keys = Keys {
    connector: "kafka",
    keys: &[
        ("topic", Metadata::Topic),
        ("partition", Metadata::Partition),
        ("offset", Metadata::Offset),
        ("timestamp", Metadata::Timestamp),
        ("timestamp-type", Metadata::TimestampType),
        ("headers", Metadata::Headers),
    ],
};

impl Message for BorrowedMessage<'_> {
    fn topic(&self) -> &str {
        rdkafka::Message::topic(self)
    }

    fn partition(&self) -> i32 {
        rdkafka::Message::partition(self)
    }

    fn offset(&self) -> i64 {
        rdkafka::Message::offset(self)
    }

    fn timestamp(&self) -> Option<i64> {
        rdkafka::Message::timestamp(self).to_millis()
    }

    fn timestamp_type(&self) -> &'static str {
        match rdkafka::Message::timestamp(self) {
            Timestamp::NotAvailable => "NoTimestampType",
            Timestamp::CreateTime(_) => "CreateTime",
            Timestamp::LogAppendTime(_) => "LogAppendTime",
        }
    }

    fn key(&self) -> Option<&[u8]> {
        rdkafka::Message::key(self)
    }

    fn value(&self) -> Option<&[u8]> {
        self.payload()
    }

    fn headers(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        let headers = rdkafka::Message::headers(self);
        let headers = headers.into_iter().flat_map(|headers| headers.iter());
        headers.map(|header| (header.key, header.value))
    }
}
