//! InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, TxnOffsetCommit, EndTxn.
//!
//! Versions end before those of transaction protocol 2, in which partitions are added by Produce:
//! clients then add them themselves.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, EndTxnRequest, EndTxnResponse, InitProducerIdRequest,
    InitProducerIdResponse, ProducerId, TopicName, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};

use super::text;
use crate::batch::Marker;
use crate::groups::{Caller, Commit, Committed};
use crate::server::Shared;
use crate::transactions::Producer;

/// Kafka's `transaction.max.timeout.ms`.
pub(super) const TIMEOUT_MS_MAX: i32 = 15 * 60 * 1000;

/// What an older incarnation of a producer is told: clients of old versions know one code only.
fn fenced(version: i16, since: i16) -> ResponseError {
    if version >= since {
        ResponseError::ProducerFenced
    } else {
        ResponseError::InvalidProducerEpoch
    }
}

fn code(refused: Result<(), ResponseError>) -> i16 {
    refused.err().map_or(0, |code| code.code())
}

pub(super) fn init_producer_id(
    shared: &Shared,
    request: InitProducerIdRequest,
    version: i16,
) -> InitProducerIdResponse {
    match init(shared, request, version) {
        Ok(producer) => InitProducerIdResponse::default()
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch),
        Err(code) => InitProducerIdResponse::default()
            .with_error_code(code.code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1),
    }
}

fn init(
    shared: &Shared,
    request: InitProducerIdRequest,
    version: i16,
) -> Result<Producer, ResponseError> {
    let Some(id) = request.transactional_id else {
        let id = shared.producer_ids.allocate().map_err(|error| {
            tracing::error!(%error, "no producer id given");
            ResponseError::CoordinatorNotAvailable
        })?;
        return Ok(Producer { id, epoch: 0 });
    };
    if id.is_empty() {
        return Err(ResponseError::InvalidRequest);
    }
    if !(1..=TIMEOUT_MS_MAX).contains(&request.transaction_timeout_ms) {
        return Err(ResponseError::InvalidTransactionTimeout);
    }
    let claimed = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    shared.transactions.init(
        shared.ends(),
        &shared.producer_ids,
        &id,
        i64::from(request.transaction_timeout_ms),
        (claimed.id >= 0).then_some(claimed),
        fenced(version, 4),
    )
}

pub(super) fn add_partitions(
    shared: &Shared,
    request: AddPartitionsToTxnRequest,
    version: i16,
) -> AddPartitionsToTxnResponse {
    let topics = &request.v3_and_below_topics;
    let is_known = |topic: &str, i: i32| shared.topics.partition(topic, i).is_some();
    let all_known = topics.iter().all(|t| t.partitions.iter().all(|&i| is_known(&t.name, i)));
    let added = if all_known {
        let partitions = topics.iter().map(|t| (t.name.to_string(), t.partitions.clone()));
        let id = &request.v3_and_below_transactional_id;
        let producer = Producer {
            id: request.v3_and_below_producer_id.0,
            epoch: request.v3_and_below_producer_epoch,
        };
        let fenced = fenced(version, 2);
        code(shared.transactions.add_partitions(id, producer, fenced, partitions.collect()))
    } else {
        ResponseError::OperationNotAttempted.code()
    };
    let results = topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|&i| {
            let code = if is_known(&topic.name, i) {
                added
            } else {
                ResponseError::UnknownTopicOrPartition.code()
            };
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(i)
                .with_partition_error_code(code)
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(TopicName(text(&topic.name)))
            .with_results_by_partition(partitions.collect())
    });
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results.collect())
}

pub(super) fn add_offsets(
    shared: &Shared,
    request: AddOffsetsToTxnRequest,
    version: i16,
) -> AddOffsetsToTxnResponse {
    let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let (id, group) = (&request.transactional_id, &request.group_id);
    let added = shared
        .groups
        .check_name(group)
        .and_then(|()| shared.transactions.add_group(id, producer, fenced(version, 2), group));
    AddOffsetsToTxnResponse::default().with_error_code(code(added))
}

pub(super) fn commit_offsets(
    shared: &Shared,
    request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let refused = keep_offsets(shared, &request).err();
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let known = shared.topics.partition(&topic.name, partition.partition_index).is_some();
            let fault = (!known).then_some(ResponseError::UnknownTopicOrPartition);
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(refused.or(fault).map_or(0, |code| code.code()))
        });
        TxnOffsetCommitResponseTopic::default()
            .with_name(TopicName(text(&topic.name)))
            .with_partitions(partitions.collect())
    });
    TxnOffsetCommitResponse::default().with_topics(topics.collect())
}

/// Those of partitions that are known.
fn keep_offsets(shared: &Shared, request: &TxnOffsetCommitRequest) -> Result<(), ResponseError> {
    let caller = Caller {
        member_id: &request.member_id,
        instance: request.group_instance_id.as_deref(),
        generation: request.generation_id,
    };
    shared.groups.check_transactional_commit(&request.group_id, &caller)?;
    let mut commits = Vec::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
            if metadata.len() > shared.config.limits.offset_metadata_bytes_max {
                return Err(ResponseError::OffsetMetadataTooLarge);
            }
            if shared.topics.partition(&topic.name, partition.partition_index).is_some() {
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
    }
    let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let (id, group) = (&request.transactional_id, &request.group_id);
    shared.transactions.add_offsets(id, producer, group, commits)
}

pub(super) fn end(shared: &Shared, request: EndTxnRequest, version: i16) -> EndTxnResponse {
    let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let marker = if request.committed { Marker::Commit } else { Marker::Abort };
    let id = &request.transactional_id;
    let fenced = fenced(version, 2);
    let ended = shared.transactions.end(shared.ends(), id, producer, fenced, marker);
    EndTxnResponse::default().with_error_code(code(ended))
}
