//! Produce and InitProducerId.

use std::fs::File;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::init_producer_id_response::InitProducerIdResponse;
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest};
use kafka_protocol::messages::produce_response::{
    PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{InitProducerIdRequest, ProducerId};

use super::{Client, text};
use crate::batch;
use crate::config::Fsync;
use crate::server::Shared;
use crate::stats::Stats;

pub(super) async fn answer(shared: &Shared, request: ProduceRequest) -> ProduceResponse {
    let refused = if !(-1..=1).contains(&request.acks) {
        Some(ResponseError::InvalidRequiredAcks)
    } else if request.transactional_id.is_some() {
        Some(ResponseError::TransactionalIdAuthorizationFailed)
    } else {
        None
    };
    let mut written = Vec::new();
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for topic in &request.topic_data {
        let mut partitions = Vec::with_capacity(topic.partition_data.len());
        for data in &topic.partition_data {
            let appended = match refused {
                Some(code) => Err(code),
                None => append(shared, &topic.name, data, &mut written),
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
    topic: &str,
    data: &PartitionProduceData,
    written: &mut Vec<Arc<File>>,
) -> Result<(i64, i64), ResponseError> {
    let found = shared.topics.partition(topic, data.index);
    let (topic, partition) = found.ok_or(ResponseError::UnknownTopicOrPartition)?;
    let records = data.records.as_ref().ok_or(ResponseError::InvalidRecord)?;
    let head = batch::check(records, topic.config.max_message_bytes)?;
    let appended = partition.append(&head, records, &topic.config)?;
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

pub(super) fn init_producer_id(
    shared: &Shared,
    client: &Client,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let refuse = |code: ResponseError| {
        let response = InitProducerIdResponse::default().with_error_code(code.code());
        response.with_producer_id(ProducerId(-1)).with_producer_epoch(-1)
    };
    if let Some(id) = request.transactional_id {
        tracing::warn!(id = %id.as_str(), client = %client.id, "transactions are not supported");
        return refuse(ResponseError::TransactionalIdAuthorizationFailed);
    }
    match shared.producer_ids.allocate() {
        Ok(id) => InitProducerIdResponse::default()
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(0),
        Err(error) => {
            tracing::error!(%error, "no producer id given");
            refuse(ResponseError::CoordinatorNotAvailable)
        }
    }
}
