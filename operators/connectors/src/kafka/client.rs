//! librdkafka's clients: how they are set up, and their first contact with the brokers.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nowcast_engine::{Error, Result, secret};
use rdkafka::ClientConfig;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::metadata::Metadata;
use rdkafka::producer::ProducerContext;
use rdkafka::statistics::Statistics;

pub use super::contact::failed;
use super::options::{KafkaOptions, Topics};
use crate::nearest::did_you_mean;

/// How long the brokers have to answer when a table is opened.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// One try within that time: a broker that starts up meanwhile is found.
const CONNECT_TRY: Duration = Duration::from_secs(1);
/// How long other questions to the brokers may take.
pub const ASK_TIMEOUT: Duration = Duration::from_secs(10);

/// Remembers why a client failed last.
#[derive(Default)]
pub struct Watch {
    connect_error: Mutex<Option<String>>,
    delivery_error: Mutex<Option<KafkaError>>,
    /// Where partitions end, as `topic/partition` and offset.
    ends: Mutex<Vec<(String, i64)>>,
    /// The offset that is fetched next of each, past the marks of transactions.
    fetched: Mutex<HashMap<(String, i32), i64>>,
}

impl Watch {
    fn connect_error(&self) -> Option<String> {
        self.connect_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where the partitions that are read end, as the brokers last said.
    pub fn ends(&self) -> Vec<(String, i64)> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The offset that is fetched next of a partition, as was last said.
    pub fn fetched(&self, topic: &str, partition: i32) -> Option<i64> {
        let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        fetched.get(&(topic.to_owned(), partition)).copied()
    }

    /// The first message that could not be delivered, if there was one.
    pub fn delivery_error(&self) -> Option<KafkaError> {
        self.delivery_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Watch {
    fn log(&self, level: RDKafkaLogLevel, _: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Debug => tracing::trace!(target: "librdkafka", "{message}"),
            _ => tracing::debug!(target: "librdkafka", "{message}"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        for topic in statistics.topics.values() {
            for partition in topic.partitions.values() {
                let name = (topic.topic.clone(), partition.partition);
                fetched.insert(name, partition.next_offset);
            }
        }
        drop(fetched);
        let topics = statistics.topics.values();
        let partitions = topics.flat_map(|topic| {
            let partitions = topic.partitions.values();
            partitions.map(|partition| (&topic.topic, partition.partition, partition.hi_offset))
        });
        // An offset that is not known is negative.
        let known = partitions.filter(|(_, _, end)| *end >= 0);
        let ends = known.map(|(topic, partition, end)| (format!("{topic}/{partition}"), end));
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner) = ends.collect();
    }

    /// The reason is like `127.0.0.1:1/bootstrap: Connect to … failed: … (after 0ms in state …)`.
    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            // News for the reader, not an error.
            Some(RDKafkaErrorCode::PartitionEOF) => return,
            // Each broker has said so itself.
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                tracing::debug!("kafka: {reason}");
                return;
            }
            _ => tracing::warn!("kafka: {reason}"),
        }
        let reason = reason.split_once(": ").map_or(reason, |(_, reason)| reason);
        let reason = reason.split(" (after ").next().unwrap_or(reason);
        let mut last = self.connect_error.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(reason.to_lowercase());
    }
}

impl ConsumerContext for Watch {}

impl ProducerContext for Watch {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut first = self.delivery_error.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert_with(|| error.clone());
        }
    }
}

/// A client's configuration: our settings, then those of the table's properties.
pub fn config(options: &KafkaOptions, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (key, value) in settings {
        config.set(*key, *value);
    }
    for (key, value) in &options.properties {
        config.set(key, value);
    }
    config.set("bootstrap.servers", &options.bootstrap);
    config.set_log_level(RDKafkaLogLevel::Info);
    config
}

/// An error of making a client: an unknown property or a bad value of one.
pub fn refused(options: &KafkaOptions, error: KafkaError) -> Error {
    let table = &options.table;
    match error {
        KafkaError::ClientConfig(_, reason, key, value) => {
            let (shown, reason) = (secret::shown(&key, &value), reason.to_lowercase());
            // The reason may repeat the value.
            let reason = match secret::is_secret(&key) {
                true => reason.replace(&value.to_lowercase(), secret::HIDDEN),
                false => reason,
            };
            Error::user(format!(
                "table \"{table}\": option \"properties.{key}\" = \"{shown}\": {reason}"
            ))
        }
        other => Error::user(format!("table \"{table}\": {other}")),
    }
}

/// The partitions of each of the table's topics, ascending. It blocks, and calls `serve` now and
/// then to let the client say what is wrong.
///
/// # Errors
/// Of kind `Outside` where no broker answers, of kind `User` where a topic does not exist.
pub fn partitions(
    client: &Client<Watch>,
    options: &KafkaOptions,
    serve: &dyn Fn(),
) -> Result<Vec<(String, Vec<i32>)>> {
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let names = match &options.topics {
        Topics::Named(names) => names.clone(),
        Topics::Pattern(pattern) => {
            let all = fetch_metadata(client, options, None, deadline, serve)?;
            let names = all.topics().iter().map(|topic| topic.name().to_owned());
            names.filter(|name| pattern.is_match(name)).collect()
        }
    };
    let mut found = vec![];
    for topic in names {
        let partitions = topic_partitions(client, options, &topic, deadline, serve)?;
        found.push((topic, partitions));
    }
    Ok(found)
}

/// Asks until there is an answer, or the time is over.
fn fetch_metadata(
    client: &Client<Watch>,
    options: &KafkaOptions,
    topic: Option<&str>,
    deadline: Instant,
    serve: &dyn Fn(),
) -> Result<Metadata> {
    loop {
        let again = Instant::now() < deadline;
        let metadata = client.fetch_metadata(topic, CONNECT_TRY);
        serve();
        match metadata {
            Ok(metadata) => return Ok(metadata),
            Err(_) if again => {}
            Err(error) => {
                let reason = client.context().connect_error();
                let reason = reason.unwrap_or_else(|| error.to_string().to_lowercase());
                let (name, bootstrap) = (options.name(), &options.bootstrap);
                return Err(Error::outside(format!(
                    "{name}: broker {bootstrap} unreachable: {reason}"
                )));
            }
        }
    }
}

pub fn topic_partitions(
    client: &Client<Watch>,
    options: &KafkaOptions,
    topic: &str,
    deadline: Instant,
    serve: &dyn Fn(),
) -> Result<Vec<i32>> {
    loop {
        let again = Instant::now() < deadline;
        let metadata = fetch_metadata(client, options, Some(topic), deadline, serve)?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Err(Error::bug("a broker answered for another topic"));
        };
        match found.error().map(RDKafkaErrorCode::from) {
            None if !found.partitions().is_empty() => {
                let mut partitions: Vec<_> =
                    found.partitions().iter().map(|partition| partition.id()).collect();
                partitions.sort_unstable();
                return Ok(partitions);
            }
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                return Err(unknown_topic(client, topic));
            }
            // The topic has just been made.
            None | Some(RDKafkaErrorCode::LeaderNotAvailable) if again => {
                std::thread::sleep(Duration::from_millis(50));
            }
            None => return Err(Error::outside(format!("kafka topic \"{topic}\": no partitions"))),
            Some(code) => return Err(Error::outside(format!("kafka topic \"{topic}\": {code}"))),
        }
    }
}

fn unknown_topic(client: &Client<Watch>, topic: &str) -> Error {
    let all = client.fetch_metadata(None, ASK_TIMEOUT);
    let names: Vec<String> = all.map_or_else(
        |_| vec![],
        |all| all.topics().iter().map(|topic| topic.name().to_owned()).collect(),
    );
    let hint = did_you_mean(topic, names.iter().map(String::as_str));
    Error::user(format!("kafka topic \"{topic}\" does not exist{hint}"))
}
