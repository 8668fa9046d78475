//! ListOffsets: the first offset, the next one, or the first at or after a time.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};

use super::text;
use crate::batch::LEADER_EPOCH;
use crate::log::Isolation;
use crate::server::Shared;

/// Times that mean something else.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

pub(super) fn answer(
    shared: &Shared,
    request: ListOffsetsRequest,
    version: i16,
) -> ListOffsetsResponse {
    let isolation = Isolation::of(request.isolation_level);
    let topic = |topic: &kafka_protocol::messages::list_offsets_request::ListOffsetsTopic| {
        let one = |asked| partition(shared, &topic.name, asked, isolation, version);
        ListOffsetsTopicResponse::default()
            .with_name(TopicName(text(&topic.name)))
            .with_partitions(topic.partitions.iter().map(one).collect())
    };
    ListOffsetsResponse::default().with_topics(request.topics.iter().map(topic).collect())
}

fn partition(
    shared: &Shared,
    topic: &str,
    asked: &ListOffsetsPartition,
    isolation: Isolation,
    version: i16,
) -> ListOffsetsPartitionResponse {
    let response =
        ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index);
    match offset(shared, topic, asked, isolation) {
        Ok(found) => {
            let (offset, timestamp) = found.unwrap_or((-1, -1));
            let known = version >= 4 && found.is_some();
            response.with_offset(offset).with_timestamp(timestamp).with_leader_epoch(if known {
                LEADER_EPOCH
            } else {
                -1
            })
        }
        Err(code) => response.with_error_code(code.code()).with_offset(-1).with_timestamp(-1),
    }
}

/// Offset and time; no time where none was looked at.
fn offset(
    shared: &Shared,
    topic: &str,
    asked: &ListOffsetsPartition,
    isolation: Isolation,
) -> Result<Option<(i64, i64)>, ResponseError> {
    let found = shared.topics.partition(topic, asked.partition_index);
    let (_, partition) = found.ok_or(ResponseError::UnknownTopicOrPartition)?;
    let end = partition.bounds().end_for(isolation);
    // A record that the reader may not see yet is not found.
    let seen = |found: Option<(i64, i64)>| found.filter(|&(offset, _)| offset < end);
    match asked.timestamp {
        LATEST => Ok(Some((end, -1))),
        EARLIEST | EARLIEST_LOCAL => Ok(Some((partition.bounds().start, -1))),
        MAX_TIMESTAMP => partition.offset_of_latest_time().map(seen),
        LATEST_TIERED => Ok(None),
        timestamp if timestamp < 0 => Err(ResponseError::InvalidRequest),
        timestamp => partition.offset_for_time(timestamp).map(seen),
    }
}
