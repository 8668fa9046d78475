//! Topics and their settings.

use kafka_protocol::messages::IncrementalAlterConfigsRequest;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::protocol::StrBytes;
use rdkafka::admin::{AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;

use crate::raw::{NOBODY, Raw, batch};
use crate::support::{
    PATIENCE, admin, client, fresh, options, read_texts, runtime, send_numbers, topic, until,
    wait_for_topic,
};

fn create(bootstrap: &str, new: NewTopic<'_>) -> Result<String, RDKafkaErrorCode> {
    let created = runtime().block_on(admin(bootstrap).create_topics([&new], &options()));
    created.unwrap().remove(0).map_err(|(_, code)| code)
}

fn delete(bootstrap: &str, name: &str) -> Result<String, RDKafkaErrorCode> {
    let deleted = runtime().block_on(admin(bootstrap).delete_topics(&[name], &options()));
    deleted.unwrap().remove(0).map_err(|(_, code)| code)
}

fn names(bootstrap: &str) -> Vec<String> {
    let consumer: BaseConsumer = client(bootstrap, &[]).create().unwrap();
    let metadata = consumer.fetch_metadata(None, PATIENCE).unwrap();
    metadata.topics().iter().map(|topic| topic.name().to_owned()).collect()
}

pub fn topics_are_created_and_deleted(bootstrap: &str) {
    let name = topic(bootstrap, 3, &[]);
    let new = || NewTopic::new(&name, 3, TopicReplication::Fixed(1));
    assert!(names(bootstrap).contains(&name));
    assert_eq!(create(bootstrap, new()), Err(RDKafkaErrorCode::TopicAlreadyExists));
    send_numbers(bootstrap, &name, 0..10);
    delete(bootstrap, &name).unwrap();
    until("the topic is gone", || (!names(bootstrap).contains(&name)).then_some(()));
    assert_eq!(delete(bootstrap, &name), Err(RDKafkaErrorCode::UnknownTopicOrPartition));
    let refused = Raw::connect(bootstrap).produce(&name, batch(NOBODY, &["x"]));
    assert_eq!(refused.error_code, RDKafkaErrorCode::UnknownTopicOrPartition as i16);
    // The same name again is another topic.
    until("the name is free", || create(bootstrap, new()).ok());
    wait_for_topic(bootstrap, &name, 3);
    assert!(read_texts(bootstrap, &name).is_empty());
}

pub fn topics_that_cannot_be_are_refused(bootstrap: &str) {
    let fresh = fresh("topic");
    let refused = |name: &str, partitions, replicas, config: Option<(&str, &str)>| {
        let new = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
        let new = config.map_or(new.clone_plain(), |(key, value)| new.set(key, value));
        create(bootstrap, new).unwrap_err()
    };
    assert_eq!(refused("no spaces", 1, 1, None), RDKafkaErrorCode::InvalidTopic);
    assert_eq!(refused("..", 1, 1, None), RDKafkaErrorCode::InvalidTopic);
    assert_eq!(refused(&fresh, 1, 3, None), RDKafkaErrorCode::InvalidReplicationFactor);
    let wrong = Some(("retention.ms", "soon"));
    assert_eq!(refused(&fresh, 1, 1, wrong), RDKafkaErrorCode::InvalidConfig);
    let unknown = Some(("retention.parsecs", "1"));
    assert_eq!(refused(&fresh, 1, 1, unknown), RDKafkaErrorCode::InvalidConfig);
    assert!(!names(bootstrap).contains(&fresh));
}

/// `NewTopic` is no `Clone`.
trait ClonePlain {
    fn clone_plain(&self) -> Self;
}

impl ClonePlain for NewTopic<'_> {
    fn clone_plain(&self) -> Self {
        let replicas = match self.replication {
            TopicReplication::Fixed(n) => n,
            TopicReplication::Variable(_) => 1,
        };
        NewTopic::new(self.name, self.num_partitions, TopicReplication::Fixed(replicas))
    }
}

pub fn partitions_are_added(bootstrap: &str) {
    let name = topic(bootstrap, 2, &[]);
    send_numbers(bootstrap, &name, 0..10);
    let grow = |count| {
        let new = [NewPartitions::new(&name, count)];
        let grown = runtime().block_on(admin(bootstrap).create_partitions(&new, &options()));
        grown.unwrap().remove(0).map_err(|(_, code)| code)
    };
    grow(5).unwrap();
    wait_for_topic(bootstrap, &name, 5);
    assert_eq!(read_texts(bootstrap, &name).len(), 10);
    assert_eq!(grow(3), Err(RDKafkaErrorCode::InvalidPartitions));
}

fn setting(bootstrap: &str, topic: &str, key: &str) -> Option<String> {
    let asked = [ResourceSpecifier::Topic(topic)];
    let described = runtime().block_on(admin(bootstrap).describe_configs(&asked, &options()));
    let resource = described.unwrap().remove(0).unwrap();
    resource.get(key).and_then(|entry| entry.value.clone())
}

pub fn retention_is_configured(bootstrap: &str) {
    let name = topic(bootstrap, 1, &[("retention.ms", "-1"), ("segment.bytes", "2097152")]);
    let is = |key| setting(bootstrap, &name, key).unwrap();
    assert_eq!((is("retention.ms"), is("segment.bytes")), ("-1".into(), "2097152".into()));
    assert_eq!((is("retention.bytes"), is("cleanup.policy")), ("-1".into(), "delete".into()));
    // This form replaces all of the topic's own settings.
    let altered =
        AlterConfig::new(ResourceSpecifier::Topic(&name)).set("retention.bytes", "5000000");
    let altered = runtime().block_on(admin(bootstrap).alter_configs(&[altered], &options()));
    altered.unwrap().remove(0).map_err(|(_, code)| code).unwrap();
    until("the change is seen", || (is("retention.bytes") == "5000000").then_some(()));
    assert_eq!(is("retention.ms"), "604800000");
}

pub fn settings_change_one_by_one(bootstrap: &str) {
    let name = topic(bootstrap, 1, &[("retention.ms", "-1")]);
    let mut raw = Raw::connect(bootstrap);
    let mut alter = |key: &'static str, operation, value: Option<&'static str>| {
        let config = AlterableConfig::default()
            .with_name(StrBytes::from_static_str(key))
            .with_config_operation(operation)
            .with_value(value.map(StrBytes::from_static_str));
        let resource = AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(StrBytes::from_string(name.clone()))
            .with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        raw.call(1, &request).responses[0].error_code
    };
    assert_eq!(alter("retention.bytes", 0, Some("1234567")), 0);
    let is = |key| setting(bootstrap, &name, key).unwrap();
    until("the change is seen", || (is("retention.bytes") == "1234567").then_some(()));
    assert_eq!(is("retention.ms"), "-1");
    assert_eq!(alter("retention.ms", 1, None), 0);
    until("the default is back", || (is("retention.ms") == "604800000").then_some(()));
    let invalid = RDKafkaErrorCode::InvalidConfig as i16;
    assert_eq!(alter("retention.ms", 0, Some("never")), invalid);
}
