//! Dead letters in a topic of Kafka: the bytes as received, and in headers what is known of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nowcast_engine::{DeadLetter, Error};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::{ClientConfig, FromClientConfig};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use crate::letter::{Letter, headers};

/// How long a broker may take to answer before it counts as unreachable.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a letter waits for its acknowledgement before the job ends, unless the properties say
/// otherwise.
const DELIVERY_MS: &str = "60000";

/// Where the letters of a job are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPlace {
    pub topic: String,
    pub bootstrap: String,
    /// For librdkafka, without the bootstrap servers.
    pub properties: BTreeMap<String, String>,
}

impl TopicPlace {
    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("log_level", "0");
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config
    }

    fn name(&self) -> String {
        format!("kafka topic \"{}\" at {}", self.topic, self.bootstrap)
    }

    fn unreachable(&self) -> String {
        format!("kafka {}: broker unreachable", self.bootstrap)
    }

    fn made<T>(&self, made: Result<T, KafkaError>) -> Result<T> {
        match made {
            Err(KafkaError::ClientConfig(_, reason, key, value)) => bail!(
                "property \"{key}\" = \"{value}\" of the dead-letter topic: {}",
                reason.to_lowercase()
            ),
            made => Ok(made?),
        }
    }

    /// Makes the topic, unless it is there.
    async fn ensure(&self) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> =
            self.made(AdminClient::from_config(&self.config()))?;
        let known = admin.inner().fetch_metadata(None, PATIENCE);
        let known = known.with_context(|| self.unreachable())?;
        if known.topics().iter().any(|topic| topic.name() == self.topic) {
            return Ok(());
        }
        // One partition keeps the order; how it is copied is the broker's own default.
        let new = NewTopic::new(&self.topic, 1, TopicReplication::Fixed(-1));
        let new = new.set("retention.ms", "-1");
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let made =
            admin.create_topics([&new], &options).await.with_context(|| self.unreachable())?;
        match made.first() {
            Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
            Some(Err((_, code))) => bail!("{}: cannot be made: {code}", self.name()),
            None => bail!("{}: the broker did not answer", self.name()),
        }
    }

    /// Reads what is there, each message with its partition and offset.
    pub fn read(&self, each: &mut dyn FnMut(i32, i64, String, Letter) -> Result<()>) -> Result<()> {
        let mut config = self.config();
        config.set("group.id", "nowcast-dlq").set("enable.auto.commit", "false");
        config.set("enable.partition.eof", "true");
        let consumer: BaseConsumer = self.made(config.create())?;
        let known = consumer.fetch_metadata(None, PATIENCE).with_context(|| self.unreachable())?;
        let Some(found) = known.topics().iter().find(|topic| topic.name() == self.topic) else {
            bail!("{}: there is no such topic", self.name());
        };
        let mut list = TopicPartitionList::new();
        let mut open = BTreeSet::new();
        for partition in found.partitions() {
            list.add_partition_offset(&self.topic, partition.id(), Offset::Beginning)?;
            open.insert(partition.id());
        }
        consumer.assign(&list)?;
        let mut heard = Instant::now();
        while !open.is_empty() {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    if let Some((job, letter)) = Letter::of_message(&message) {
                        each(message.partition(), message.offset(), job, letter)?;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => drop(open.remove(&partition)),
                Some(Err(error)) if heard.elapsed() > 2 * PATIENCE => {
                    return Err(error).with_context(|| self.name());
                }
                // The client asks again by itself.
                Some(Err(_)) => continue,
                None if heard.elapsed() > 2 * PATIENCE => bail!(self.unreachable()),
                None => continue,
            }
            heard = Instant::now();
        }
        Ok(())
    }
}

/// Takes letters that the topic does not.
pub type Fallback = Box<dyn Fn(DeadLetter) + Send + Sync>;

/// Hears what became of letters.
struct Deliveries {
    fallback: Fallback,
    /// The first failure since the last flush.
    failed: Mutex<Option<String>>,
}

/// Of the producer; its letters are its opaque values.
#[derive(Clone)]
struct Watch(Arc<Deliveries>);

impl ClientContext for Watch {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, _fac: &str, message: &str) {
        tracing::debug!(?level, "{message}");
    }
}

impl ProducerContext for Watch {
    type DeliveryOpaque = Box<DeadLetter>;

    fn delivery(&self, result: &DeliveryResult<'_>, letter: Box<DeadLetter>) {
        if let Err((error, _)) = result {
            self.0.refused(error, *letter);
        }
    }
}

impl Deliveries {
    fn refused(&self, error: &KafkaError, letter: DeadLetter) {
        match error.rdkafka_error_code() {
            // It would be refused each time.
            Some(
                RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidMessageSize
                | RDKafkaErrorCode::InvalidMessage,
            ) => {
                tracing::warn!(
                    "the dead-letter topic does not take a letter, it is in the file: {error}"
                );
                (self.fallback)(letter);
            }
            _ => {
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

/// Sends the letters of a job to a topic.
pub struct LetterTopic {
    producer: ThreadedProducer<Watch>,
    deliveries: Arc<Deliveries>,
    place: TopicPlace,
    job: String,
}

impl LetterTopic {
    /// Connects, and makes the topic if it is missing. `fallback` takes letters that are too large
    /// for it.
    pub async fn open(place: TopicPlace, job: &str, fallback: Fallback) -> Result<Self> {
        place.ensure().await?;
        let deliveries = Arc::new(Deliveries { fallback, failed: Mutex::default() });
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &place.bootstrap).set("log_level", "0");
        config.set("linger.ms", "5").set("message.timeout.ms", DELIVERY_MS);
        for (key, value) in &place.properties {
            config.set(key, value);
        }
        // Over the properties: a checkpoint relies on it.
        config.set("acks", "all").set("enable.idempotence", "true");
        let made = config.create_with_context(Watch(Arc::clone(&deliveries)));
        let producer = place.made(made)?;
        Ok(Self { producer, deliveries, place, job: job.to_owned() })
    }

    /// Queues a letter; waits while the queue is full, which is back-pressure.
    pub fn send(&self, letter: DeadLetter) {
        let headers = headers(&letter, &self.job);
        let (key, raw) = (letter.key.clone(), letter.raw.clone());
        let mut opaque = Box::new(letter);
        loop {
            let mut record: BaseRecord<'_, [u8], [u8], Box<DeadLetter>> =
                BaseRecord::with_opaque_to(&self.place.topic, opaque);
            record = record.payload(&raw).headers(headers.clone());
            record.key = key.as_deref();
            match self.producer.send(record) {
                Ok(()) => return,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), record)) => {
                    opaque = record.delivery_opaque;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, record)) => {
                    return self.deliveries.refused(&error, *record.delivery_opaque);
                }
            }
        }
    }

    /// Returns when all letters so far are acknowledged by all in-sync replicas.
    ///
    /// # Errors
    /// Where one was not.
    pub async fn flush(&self) -> nowcast_engine::Result<()> {
        while self.producer.in_flight_count() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut failed = self.deliveries.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match failed.take() {
            None => Ok(()),
            Some(error) => Err(Error::outside(format!("{}: {error}", self.place.name()))),
        }
    }
}
