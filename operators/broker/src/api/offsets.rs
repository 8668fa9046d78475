//! OffsetCommit and OffsetFetch.

use std::collections::BTreeSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequest;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequest;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{GroupId, TopicName};

use super::text;
use crate::groups::{Caller, Commit, Committed, Offsets};
use crate::server::Shared;

pub(super) fn commit(shared: &Shared, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let metadata_max = shared.config.limits.offset_metadata_bytes_max;
    let mut commits = Vec::new();
    // What is wrong with single offsets; the others are kept all the same, as in Kafka.
    let mut faults: Vec<Vec<Option<ResponseError>>> = Vec::new();
    for topic in &request.topics {
        let fault = |partition: i32, metadata: &str| {
            if shared.topics.partition(&topic.name, partition).is_none() {
                Some(ResponseError::UnknownTopicOrPartition)
            } else if metadata.len() > metadata_max {
                Some(ResponseError::OffsetMetadataTooLarge)
            } else {
                None
            }
        };
        let mut of_topic = Vec::new();
        for partition in &topic.partitions {
            let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
            let fault = fault(partition.partition_index, metadata);
            of_topic.push(fault);
            if fault.is_none() {
                commits.push(Commit {
                    topic: topic.name.to_string(),
                    partition: partition.partition_index,
                    committed: Committed {
                        offset: partition.committed_offset,
                        leader_epoch: partition.committed_leader_epoch,
                        metadata: metadata.to_owned(),
                    },
                });
            }
        }
        faults.push(of_topic);
    }
    let caller = Caller {
        member_id: &request.member_id,
        instance: request.group_instance_id.as_deref(),
        generation: request.generation_id_or_member_epoch,
    };
    let refused = shared.groups.commit(&request.group_id, &caller, commits).err();
    let topics = request.topics.iter().zip(faults).map(|(topic, faults)| {
        let partitions = topic.partitions.iter().zip(faults).map(|(partition, fault)| {
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(refused.or(fault).map_or(0, |code| code.code()))
        });
        OffsetCommitResponseTopic::default()
            .with_name(TopicName(text(&topic.name)))
            .with_partitions(partitions.collect())
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

/// One partition to tell of.
struct Row {
    index: i32,
    committed: Option<Committed>,
    code: i16,
}

/// By topic.
type Rows = Vec<(String, Vec<Row>)>;

/// The asked ones, or all that are committed. Those that a transaction is about to commit are told
/// as unstable, to a reader who minds.
fn rows<'a>(
    shared: &Shared,
    group: &str,
    require_stable: bool,
    asked: Option<impl Iterator<Item = (&'a str, &'a [i32])>>,
) -> Rows {
    // Looked at first: what ends in between is then told as committed or as unstable, not lost.
    let pending = if require_stable { shared.transactions.pending(group) } else { BTreeSet::new() };
    let offsets: Offsets = shared.groups.offsets(group);
    let row = |topic: &str, index: i32| {
        if !pending.is_empty() && pending.contains(&(topic.to_owned(), index)) {
            let code = ResponseError::UnstableOffsetCommit.code();
            return Row { index, committed: None, code };
        }
        let committed = offsets.get(topic).and_then(|of_topic| of_topic.get(&index)).cloned();
        Row { index, committed, code: 0 }
    };
    match asked {
        Some(asked) => asked
            .map(|(topic, partitions)| {
                (topic.to_owned(), partitions.iter().map(|&i| row(topic, i)).collect())
            })
            .collect(),
        None => offsets
            .iter()
            .map(|(topic, of_topic)| {
                (topic.clone(), of_topic.keys().map(|&i| row(topic, i)).collect())
            })
            .collect(),
    }
}

fn parts(committed: Option<Committed>) -> (i64, i32, String) {
    committed.map_or((-1, -1, String::new()), |c| (c.offset, c.leader_epoch, c.metadata))
}

pub(super) fn fetch(
    shared: &Shared,
    request: OffsetFetchRequest,
    version: i16,
) -> OffsetFetchResponse {
    if version >= 8 {
        let groups = request.groups.iter().map(|group| {
            let asked = group.topics.as_ref().map(|topics| {
                topics.iter().map(|t| (t.name.as_str(), t.partition_indexes.as_slice()))
            });
            let member_id = group.member_id.as_deref();
            let checked =
                shared.groups.check_reader(&group.group_id, member_id, group.member_epoch);
            let told =
                OffsetFetchResponseGroup::default().with_group_id(GroupId(text(&group.group_id)));
            if let Err(code) = checked {
                return told.with_error_code(code.code());
            }
            let rows = rows(shared, &group.group_id, request.require_stable, asked);
            told.with_topics(rows.into_iter().map(topic_since_8).collect())
        });
        return OffsetFetchResponse::default().with_groups(groups.collect());
    }
    let asked = request
        .topics
        .as_ref()
        .map(|topics| topics.iter().map(|t| (t.name.as_str(), t.partition_indexes.as_slice())));
    let rows = rows(shared, &request.group_id, request.require_stable, asked);
    OffsetFetchResponse::default().with_topics(rows.into_iter().map(topic_before_8).collect())
}

fn topic_since_8((topic, partitions): (String, Vec<Row>)) -> OffsetFetchResponseTopics {
    let partition = |row: Row| {
        let (offset, leader_epoch, metadata) = parts(row.committed);
        OffsetFetchResponsePartitions::default()
            .with_partition_index(row.index)
            .with_error_code(row.code)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(leader_epoch)
            .with_metadata(Some(text(&metadata)))
    };
    OffsetFetchResponseTopics::default()
        .with_name(TopicName(text(&topic)))
        .with_partitions(partitions.into_iter().map(partition).collect())
}

fn topic_before_8((topic, partitions): (String, Vec<Row>)) -> OffsetFetchResponseTopic {
    let partition = |row: Row| {
        let (offset, leader_epoch, metadata) = parts(row.committed);
        OffsetFetchResponsePartition::default()
            .with_partition_index(row.index)
            .with_error_code(row.code)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(leader_epoch)
            .with_metadata(Some(text(&metadata)))
    };
    OffsetFetchResponseTopic::default()
        .with_name(TopicName(text(&topic)))
        .with_partitions(partitions.into_iter().map(partition).collect())
}
