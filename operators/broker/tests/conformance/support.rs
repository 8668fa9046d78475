//! The embedded broker for one test, and librdkafka clients with short words.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nowcast_broker::{Broker, Config, Error};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedMessage;
use rdkafka::producer::{
    BaseProducer, BaseRecord, DefaultProducerContext, Producer, ThreadedProducer,
};
use rdkafka::{Offset, TopicPartitionList};
use tokio::runtime::Runtime;

/// Nothing here takes so long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A broker in this process, with a runtime and a folder of its own.
pub struct Embedded {
    pub runtime: Runtime,
    pub broker: Option<Broker>,
    pub config: Config,
    _dir: tempfile::TempDir,
}

impl Embedded {
    pub fn start() -> Embedded {
        Embedded::start_with(|_| {})
    }

    pub fn start_with(change: impl FnOnce(&mut Config)) -> Embedded {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config { dir: dir.path().join("broker"), ..Config::default() };
        config.compaction_check_interval = Duration::from_millis(200);
        config.group_heartbeat_interval = Duration::from_millis(100);
        change(&mut config);
        let runtime = runtime();
        let broker = runtime.block_on(Broker::start(config.clone())).unwrap();
        Embedded { runtime, broker: Some(broker), config, _dir: dir }
    }

    pub fn broker(&self) -> &Broker {
        self.broker.as_ref().unwrap()
    }

    pub fn bootstrap(&self) -> String {
        self.broker().address().to_string()
    }

    pub fn stop(&mut self) {
        let broker = self.broker.take().unwrap();
        self.runtime.block_on(broker.shutdown());
    }

    /// On the same port, if one is set: another test's client may have it for a moment.
    pub fn start_again(&mut self) {
        self.broker = Some(until("the broker starts again", || {
            match self.runtime.block_on(Broker::start(self.config.clone())) {
                Ok(broker) => Some(broker),
                Err(Error::AddressInUse { .. }) => None,
                Err(error) => panic!("{error}"),
            }
        }));
    }

    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some(broker) = self.broker.take() {
            self.runtime.block_on(broker.shutdown());
        }
    }
}

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A name that no other test, and no earlier run against the same Kafka, has.
pub fn fresh(kind: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let time = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    format!("{kind}-{}-{time}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed))
}

pub fn client(bootstrap: &str, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config
}

pub fn admin(bootstrap: &str) -> AdminClient<DefaultClientContext> {
    client(bootstrap, &[]).create().unwrap()
}

pub fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE))
}

/// A new topic's name.
pub fn topic(bootstrap: &str, partitions: i32, configs: &[(&str, &str)]) -> String {
    let name = fresh("topic");
    let mut new = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
    for (key, value) in configs {
        new = new.set(key, value);
    }
    let created = runtime().block_on(admin(bootstrap).create_topics([&new], &options())).unwrap();
    created[0].as_ref().unwrap();
    wait_for_topic(bootstrap, &name, partitions);
    name
}

/// Kafka answers a creation before all its parts know of it.
pub fn wait_for_topic(bootstrap: &str, name: &str, partitions: i32) {
    let consumer: BaseConsumer = client(bootstrap, &[]).create().unwrap();
    until("the topic is known", || {
        let metadata = consumer.fetch_metadata(Some(name), PATIENCE).unwrap();
        let partitions_now = metadata.topics()[0].partitions();
        let led = partitions_now.iter().all(|p| p.leader() >= 0 && p.error().is_none());
        (partitions_now.len() == partitions as usize && led).then_some(())
    });
}

/// Asks until there is an answer, or fails with `what` did not happen.
pub fn until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, ask)
}

pub fn until_within<T>(patience: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        if let Some(answer) = ask() {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("waited in vain: {what}");
}

pub type TestProducer = ThreadedProducer<DefaultProducerContext>;

pub fn producer(bootstrap: &str, settings: &[(&str, &str)]) -> TestProducer {
    client(bootstrap, settings).create().unwrap()
}

/// One record, acknowledged when this returns.
pub fn send(producer: &BaseProducer, topic: &str, partition: i32, time: i64, value: &str) {
    let record = BaseRecord::<str, str>::to(topic).partition(partition);
    producer.send(record.timestamp(time).payload(value)).unwrap();
    producer.flush(PATIENCE).unwrap();
}

/// Numbered records, all acknowledged when this returns.
pub fn send_numbers(bootstrap: &str, topic: &str, numbers: std::ops::Range<u32>) {
    let producer = producer(bootstrap, &[]);
    for i in numbers {
        let value = i.to_string();
        let record = BaseRecord::<str, str>::to(topic).partition(0).payload(&value);
        producer.send(record).map_err(|(e, _)| e).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

/// A consumer of all the topic's partitions from their start, without a group.
pub fn reader(bootstrap: &str, topic: &str, settings: &[(&str, &str)]) -> BaseConsumer {
    let mut config = client(bootstrap, settings);
    config.set("group.id", "reader").set("enable.auto.commit", "false").set("check.crcs", "true");
    let consumer: BaseConsumer = config.create().unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        list.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    consumer
}

/// All records of the topic, up to the ends of its partitions.
pub fn read_all(bootstrap: &str, topic: &str) -> Vec<OwnedMessage> {
    let consumer = reader(bootstrap, topic, &[("enable.partition.eof", "true")]);
    let mut open = consumer.assignment().unwrap().count();
    let mut messages = Vec::new();
    while open > 0 {
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => messages.push(message.detach()),
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => panic!("{error}"),
            None => panic!("no records and no end"),
        }
    }
    messages
}

/// The payloads of partition 0 as text, in order.
pub fn read_texts(bootstrap: &str, topic: &str) -> Vec<String> {
    use rdkafka::Message;
    let messages = read_all(bootstrap, topic);
    let text = |m: &OwnedMessage| String::from_utf8(m.payload().unwrap().to_vec()).unwrap();
    messages.iter().filter(|m| m.partition() == 0).map(text).collect()
}
