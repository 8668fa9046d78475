//! Produce.

use std::fs::File;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest};
use kafka_protocol::messages::produce_response::{
    PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};

use super::text;
use crate::batch::{self, Head};
use crate::config::Fsync;
use crate::records;
use crate::server::Shared;
use crate::stats::Stats;
use crate::transactions::Producer;

pub(super) async fn answer(shared: &Shared, request: ProduceRequest) -> ProduceResponse {
    let refused = if !(-1..=1).contains(&request.acks) {
        Some(ResponseError::InvalidRequiredAcks)
    } else {
        None
    };
    let transactional_id = request.transactional_id.as_ref().map(|id| id.as_str());
    let mut written = Vec::new();
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for topic in &request.topic_data {
        let mut partitions = Vec::with_capacity(topic.partition_data.len());
        for data in &topic.partition_data {
            let appended = match refused {
                Some(code) => Err(code),
                None => append(shared, transactional_id, &topic.name, data, &mut written),
            };
            let response = PartitionProduceResponse::default().with_index(data.index);
            partitions.push(match appended {
                Ok((base_offset, start_offset)) => {
                    response.with_base_offset(base_offset).with_log_start_offset(start_offset)
                }
                Err(code) => response.with_error_code(code.code()).with_base_offset(-1),
            });
        }
        let name = kafka_protocol::messages::TopicName(text(&topic.name));
        let response = TopicProduceResponse::default().with_name(name);
        responses.push(response.with_partition_responses(partitions));
    }
    drop(request);
    if shared.config.fsync == Fsync::BeforeAck && !sync(written).await {
        for partition in responses.iter_mut().flat_map(|topic| &mut topic.partition_responses) {
            partition.error_code = ResponseError::KafkaStorageError.code();
        }
    }
    ProduceResponse::default().with_responses(responses)
}

/// Base offset of the batch, and the partition's first offset.
fn append(
    shared: &Shared,
    transactional_id: Option<&str>,
    topic: &str,
    data: &PartitionProduceData,
    written: &mut Vec<Arc<File>>,
) -> Result<(i64, i64), ResponseError> {
    let found = shared.topics.partition(topic, data.index);
    let (topic, partition) = found.ok_or(ResponseError::UnknownTopicOrPartition)?;
    let records = data.records.as_ref().ok_or(ResponseError::InvalidRecord)?;
    let head = batch::check(records, topic.config.max_message_bytes)?;
    if topic.config.cleanup_policy.compacts() {
        check_keys(&head, records)?;
    }
    let append = || partition.append(&head, records, &topic.config);
    let appended = if head.is_transactional() {
        let id = transactional_id.ok_or(ResponseError::InvalidTxnState)?;
        let producer = Producer { id: head.producer_id, epoch: head.producer_epoch };
        shared.transactions.append(id, producer, (&topic.name, data.index), append)?
    } else {
        append()?
    };
    if let Some(file) = appended.file {
        written.push(file);
        Stats::add(&shared.stats.batches_appended, 1);
        Stats::add(&shared.stats.records_appended, head.records as u64);
        Stats::add(&shared.stats.record_bytes_appended, records.len() as u64);
    } else {
        Stats::add(&shared.stats.duplicates, 1);
    }
    Ok((appended.base_offset, appended.start_offset))
}

/// A compacted topic has no place for a record without a key.
fn check_keys(head: &Head, batch: &[u8]) -> Result<(), ResponseError> {
    let corrupt = |_| ResponseError::CorruptMessage;
    let decoded = records::decode(head, batch).map_err(corrupt)?;
    for record in records::read(head, &decoded) {
        if record.map_err(corrupt)?.key.is_none() {
            return Err(ResponseError::InvalidRecord);
        }
    }
    Ok(())
}

async fn sync(files: Vec<Arc<File>>) -> bool {
    let sync_all = move || files.iter().try_for_each(|file| file.sync_data());
    match tokio::task::spawn_blocking(sync_all).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::error!(%error, "records could not be forced to the disk");
            false
        }
        // Only when the runtime is going down.
        Err(_) => false,
    }
}
