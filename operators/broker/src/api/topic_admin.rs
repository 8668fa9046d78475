//! CreateTopics, DeleteTopics, CreatePartitions.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use kafka_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use kafka_protocol::messages::delete_topics_response::{
    DeletableTopicResult, DeleteTopicsResponse,
};
use kafka_protocol::messages::{BrokerId, TopicName};

use super::configs::source;
use super::{NODE, text};
use crate::error::Refusal;
use crate::server::Shared;
use crate::topic_config::{Overrides, TopicConfig};
use crate::topics::{Change, unknown};

/// "As the broker is set."
const BY_DEFAULT: i16 = -1;

pub(super) fn create(
    shared: &Shared,
    request: CreateTopicsRequest,
    version: i16,
) -> CreateTopicsResponse {
    let how = Change::unless(request.validate_only);
    let topics = request.topics.iter().map(|topic| {
        let result = CreatableTopicResult::default().with_name(TopicName(text(&topic.name)));
        match create_one(shared, topic, how) {
            Ok(created) => {
                let result = if version >= 7 { result.with_topic_id(created.id) } else { result };
                result
                    .with_num_partitions(created.partitions)
                    .with_replication_factor(1)
                    .with_configs(Some(config_rows(&created.config, &created.overrides)))
            }
            Err(refusal) => result
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(&refusal.message))),
        }
    });
    CreateTopicsResponse::default().with_topics(topics.collect())
}

struct Created {
    id: uuid::Uuid,
    partitions: i32,
    config: TopicConfig,
    overrides: Overrides,
}

fn create_one(shared: &Shared, topic: &CreatableTopic, how: Change) -> Result<Created, Refusal> {
    let partitions = partitions(shared, topic)?;
    let overrides: Overrides = topic
        .configs
        .iter()
        .filter_map(|c| c.value.as_ref().map(|value| (c.name.to_string(), value.to_string())))
        .collect();
    let config = shared.topics.check_new(&topic.name, partitions, &overrides)?;
    let id = match how {
        Change::Make => shared.topics.create(&topic.name, partitions, overrides.clone())?.id,
        Change::CheckOnly => uuid::Uuid::nil(),
    };
    Ok(Created { id, partitions, config, overrides })
}

/// The count, said outright, by an assignment to our one node, or left to us.
fn partitions(shared: &Shared, topic: &CreatableTopic) -> Result<i32, Refusal> {
    if !topic.assignments.is_empty() {
        let to_us = |brokers: &[BrokerId]| brokers == [BrokerId(NODE)];
        let mut indexes: Vec<_> = topic.assignments.iter().map(|a| a.partition_index).collect();
        indexes.sort_unstable();
        let in_turn = indexes.iter().enumerate().all(|(i, &index)| i as i32 == index);
        if in_turn && topic.assignments.iter().all(|a| to_us(&a.broker_ids)) {
            return Ok(indexes.len() as i32);
        }
        let message = format!("every replica can only be on the one broker, {NODE}");
        return Err(Refusal::new(ResponseError::InvalidReplicaAssignment, message));
    }
    if topic.replication_factor != 1 && topic.replication_factor != BY_DEFAULT {
        let asked = topic.replication_factor;
        let message = format!("replication factor {asked} asked for, there is one broker");
        return Err(Refusal::new(ResponseError::InvalidReplicationFactor, message));
    }
    let by_default = topic.num_partitions == i32::from(BY_DEFAULT);
    Ok(if by_default { shared.config.default_partitions } else { topic.num_partitions })
}

fn config_rows(config: &TopicConfig, overrides: &Overrides) -> Vec<CreatableTopicConfigs> {
    let rows = config.entries().into_iter().map(|entry| {
        CreatableTopicConfigs::default()
            .with_name(text(entry.name))
            .with_value(Some(text(&entry.value)))
            .with_read_only(entry.read_only)
            .with_config_source(source(overrides.contains_key(entry.name)))
    });
    rows.collect()
}

pub(super) fn delete(
    shared: &Shared,
    request: DeleteTopicsRequest,
    version: i16,
) -> DeleteTopicsResponse {
    let asked = if version >= 6 {
        request.topics
    } else {
        let named = |name| DeleteTopicState::default().with_name(Some(name));
        request.topic_names.into_iter().map(named).collect()
    };
    let responses = asked.iter().map(|asked| {
        let (name, id, deleted) = delete_one(shared, asked);
        let result = DeletableTopicResult::default().with_name(name);
        let result = if version >= 6 { result.with_topic_id(id) } else { result };
        match deleted {
            Ok(()) => result,
            Err(refusal) => result
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(&refusal.message))),
        }
    });
    DeleteTopicsResponse::default().with_responses(responses.collect())
}

fn delete_one(
    shared: &Shared,
    asked: &DeleteTopicState,
) -> (Option<TopicName>, uuid::Uuid, Result<(), Refusal>) {
    let topic = match &asked.name {
        Some(name) => shared.topics.get(name).ok_or_else(|| unknown(name)),
        None => shared.topics.get_by_id(asked.topic_id).ok_or_else(|| {
            let message = format!("topic id {} is unknown", asked.topic_id);
            Refusal::new(ResponseError::UnknownTopicId, message)
        }),
    };
    match topic {
        Ok(topic) => {
            let deleted = shared.topics.delete(&topic.name);
            if deleted.is_ok() {
                shared.groups.forget_topic(&topic.name);
            }
            (Some(TopicName(text(&topic.name))), topic.id, deleted)
        }
        Err(refusal) => {
            (asked.name.as_ref().map(|n| TopicName(text(n))), asked.topic_id, Err(refusal))
        }
    }
}

pub(super) fn add_partitions(
    shared: &Shared,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let how = Change::unless(request.validate_only);
    let add = |topic: &CreatePartitionsTopic| {
        let added = shared.topics.add_partitions(&topic.name, topic.count, how);
        let result = CreatePartitionsTopicResult::default().with_name(TopicName(text(&topic.name)));
        match added {
            Ok(()) => result.with_error_message(None),
            Err(refusal) => result
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(&refusal.message))),
        }
    };
    CreatePartitionsResponse::default().with_results(request.topics.iter().map(add).collect())
}
