//! Metadata: topics, partitions, and the node that leads them all.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, TopicName};

use super::{Client, NODE, text};
use crate::batch::LEADER_EPOCH;
use crate::server::Shared;
use crate::topic_config::Overrides;
use crate::topics::{Topic, check_name};

pub(super) fn answer(
    shared: &Shared,
    client: &Client,
    request: MetadataRequest,
    version: i16,
) -> MetadataResponse {
    let (host, port) = shared.endpoint(client);
    // Before version 4 there was no way to ask for none to be made.
    let may_create =
        shared.config.auto_create_topics && (version < 4 || request.allow_auto_topic_creation);
    let topics = match request.topics {
        // Version 0 asks for all with an empty list, later ones with none.
        None => all(shared),
        Some(topics) if topics.is_empty() && version == 0 => all(shared),
        Some(topics) => topics.iter().map(|topic| one(shared, topic, may_create)).collect(),
    };
    let broker = MetadataResponseBroker::default();
    MetadataResponse::default()
        .with_brokers(vec![broker.with_node_id(BrokerId(NODE)).with_host(host).with_port(port)])
        .with_cluster_id(Some(text(&shared.cluster_id)))
        .with_controller_id(BrokerId(NODE))
        .with_topics(topics)
}

fn all(shared: &Shared) -> Vec<MetadataResponseTopic> {
    shared.topics.all().iter().map(|topic| found(topic)).collect()
}

fn one(shared: &Shared, asked: &MetadataRequestTopic, may_create: bool) -> MetadataResponseTopic {
    let Some(name) = &asked.name else {
        return match shared.topics.get_by_id(asked.topic_id) {
            Some(topic) => found(&topic),
            None => MetadataResponseTopic::default()
                .with_topic_id(asked.topic_id)
                .with_error_code(ResponseError::UnknownTopicId.code()),
        };
    };
    let missing = |code: ResponseError| {
        let name = TopicName(text(name));
        MetadataResponseTopic::default().with_name(Some(name)).with_error_code(code.code())
    };
    if let Some(topic) = shared.topics.get(name) {
        return found(&topic);
    }
    if let Err(refusal) = check_name(name) {
        return missing(refusal.code);
    }
    if !may_create {
        return missing(ResponseError::UnknownTopicOrPartition);
    }
    let partitions = shared.config.default_partitions;
    match shared.topics.create(name, partitions, Overrides::new()) {
        Ok(topic) => found(&topic),
        // Another connection was first.
        Err(refusal) if refusal.code == ResponseError::TopicAlreadyExists => {
            shared.topics.get(name).map_or_else(|| missing(refusal.code), |topic| found(&topic))
        }
        Err(refusal) => missing(refusal.code),
    }
}

fn found(topic: &Topic) -> MetadataResponseTopic {
    let partition = |index: usize| {
        MetadataResponsePartition::default()
            .with_partition_index(index as i32)
            .with_leader_id(BrokerId(NODE))
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(vec![BrokerId(NODE)])
            .with_isr_nodes(vec![BrokerId(NODE)])
    };
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(&topic.name))))
        .with_topic_id(topic.id)
        .with_partitions((0..topic.partitions.len()).map(partition).collect())
}
