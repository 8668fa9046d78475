//! Writing by librdkafka: a producer of the table's own, or one with transactions.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nowcast_engine::{Epoch, Error, Result};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, PurgeConfig, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{ASK_TIMEOUT, Watch, config, failed, partitions, refused};
use super::options::KafkaOptions;
use super::transaction::{TAKEN_OVER, TIMEOUT_KEY};
use super::writing::{Outgoing, Put, Transactional, Writer};

/// Kilobytes of messages that wait to be sent; then writing waits.
const QUEUE_KBYTES: &str = "65536";
/// How long the producer waits for more messages before it sends: short, as a row should be seen
/// soon; under load batches fill while others are on their way.
const LINGER_MS: &str = "1";
/// What every producer is set up with.
pub const SETTINGS: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    // A message that has arrived is nobody's business: it is freed where the answer came in.
    ("delivery.report.only.error", "true"),
    ("partitioner", "murmur2_random"),
    ("queue.buffering.max.kbytes", QUEUE_KBYTES),
    ("linger.ms", LINGER_MS),
];
/// How often a full or draining queue is looked at. librdkafka itself would look every 100 ms.
const LOOK: Duration = Duration::from_millis(1);
/// How long one request to the transaction's coordinator may take, and how often it is made.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const TRIES: usize = 4;
/// How long aborting may take when a job is dropped; the next start, or the timeout, does the same.
const ABORT_TIMEOUT: Duration = Duration::from_secs(2);

/// A producer without transactions, and the partitions of the topic. It blocks.
pub fn open(options: &KafkaOptions) -> Result<Arc<ThreadedProducer<Watch>>> {
    let config = config(options, SETTINGS);
    let producer = config.create_with_context(Watch::default());
    Ok(Arc::new(producer.map_err(|error| refused(options, error))?))
}

/// The partitions of the table's topic, ascending. The producer's own thread serves it; it blocks.
pub fn partitions_of(
    producer: &ThreadedProducer<Watch>,
    options: &KafkaOptions,
) -> Result<Vec<i32>> {
    let found = partitions(producer.client(), options, &|| {})?.pop();
    found.map(|(_, partitions)| partitions).ok_or_else(|| Error::bug("no topic"))
}

/// Hands messages of one topic to a producer.
pub struct LibrdkafkaWriter {
    pub producer: Arc<ThreadedProducer<Watch>>,
    pub options: Arc<KafkaOptions>,
    pub topic: String,
}

impl LibrdkafkaWriter {
    fn error(&self, error: &KafkaError) -> Error {
        failed(&self.options, format!("not delivered: {}", why(&self.producer, error)))
    }
}

#[async_trait]
impl Writer for LibrdkafkaWriter {
    fn put(&mut self, message: Outgoing<'_>) -> Result<Put> {
        if message.bytes() > self.options.message_bytes_max {
            return Ok(Put::TooLarge);
        }
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic);
        record.partition = message.partition;
        record.key = message.key;
        record.payload = message.value;
        // librdkafka takes the very start of 1970 for now.
        record.timestamp = message.timestamp;
        record.headers = message.headers.map(|headers| {
            let owned = OwnedHeaders::new_with_capacity(headers.len());
            headers.iter().fold(owned, |owned, (key, value)| {
                owned.insert(Header { key, value: value.as_deref() })
            })
        });
        let Err((error, _)) = self.producer.send(record) else { return Ok(Put::Taken) };
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::QueueFull) => Ok(Put::Full),
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => Ok(Put::TooLarge),
            _ => Err(failed(&self.options, why(&self.producer, &error))),
        }
    }

    async fn room(&mut self) -> Result<()> {
        tokio::time::sleep(LOOK).await;
        self.check()
    }

    fn check(&self) -> Result<()> {
        match self.producer.client().context().delivery_error() {
            None => Ok(()),
            Some(error) => Err(self.error(&error)),
        }
    }

    fn pause(&mut self) -> Result<()> {
        self.check()
    }

    fn send(&mut self) -> Result<()> {
        self.check()
    }

    async fn deliver(&mut self) -> Result<()> {
        while self.producer.in_flight_count() > 0 {
            self.check()?;
            tokio::time::sleep(LOOK).await;
        }
        self.check()
    }
}

/// A producer with a transactional id.
pub struct LibrdkafkaTransactions {
    pub producer: Arc<ThreadedProducer<Watch>>,
    /// Belongs to the group of the marks.
    marker: BaseConsumer<Watch>,
    options: Arc<KafkaOptions>,
}

impl LibrdkafkaTransactions {
    /// Aborts what an earlier run has left open and fences it.
    pub fn open(id: &str, options: &Arc<KafkaOptions>, timeout: Duration) -> Result<Self> {
        let mut settings = config(options, SETTINGS);
        settings.set("transactional.id", id);
        settings.set(TIMEOUT_KEY, timeout.as_millis().to_string());
        let producer: ThreadedProducer<Watch> = settings
            .create_with_context(Watch::default())
            .map_err(|error| refused(options, error))?;
        partitions(producer.client(), options, &|| {})?;
        producer.init_transactions(ANSWER_TIMEOUT).map_err(|error| {
            failed(options, format!("no transactions with id \"{id}\": {}", reason(&error)))
        })?;
        let mut settings = config(options, &[("enable.auto.commit", "false")]);
        settings.set("group.id", id);
        let marker: BaseConsumer<Watch> = settings
            .create_with_context(Watch::default())
            .map_err(|error| refused(options, error))?;
        Ok(Self { producer: Arc::new(producer), marker, options: Arc::clone(options) })
    }

    /// Adds the mark to the open transaction and commits it. It blocks.
    fn end(
        producer: &ThreadedProducer<Watch>,
        marks: &TopicPartitionList,
        marker: &rdkafka::consumer::ConsumerGroupMetadata,
    ) -> Result<(), KafkaError> {
        again(|| producer.send_offsets_to_transaction(marks, marker, ANSWER_TIMEOUT))?;
        again(|| producer.commit_transaction(ANSWER_TIMEOUT))
    }
}

#[async_trait]
impl Transactional for LibrdkafkaTransactions {
    fn mark(&self, topic: &str) -> Result<Option<Epoch>> {
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, 0);
        let unknown = |error: &KafkaError| {
            let why = reason(error);
            failed(&self.options, format!("the number of its last commit is not told: {why}"))
        };
        let marks = self.marker.committed_offsets(list, ASK_TIMEOUT);
        let marks = marks.map_err(|error| unknown(&error))?;
        let mark = marks.find_partition(topic, 0);
        if let Some(Err(error)) = mark.as_ref().map(|mark| mark.error()) {
            return Err(unknown(&error));
        }
        Ok(match mark.map(|mark| mark.offset()) {
            Some(Offset::Offset(epoch)) => Some(epoch.unsigned_abs()),
            _ => None,
        })
    }

    fn begin(&self) -> Result<()> {
        let begun = self.producer.begin_transaction();
        begun.map_err(|error| failed(&self.options, why(&self.producer, &error)))
    }

    async fn commit(&self, topics: Vec<String>, epoch: Epoch) -> Result<()> {
        // `commit_transaction` would look every 100 ms.
        loop {
            let waiting = self.producer.in_flight_count();
            if let Some(error) = self.producer.client().context().delivery_error() {
                let why = why(&self.producer, &error);
                return Err(failed(&self.options, format!("not delivered: {why}")));
            }
            if waiting == 0 {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        let mut marks = TopicPartitionList::new();
        for topic in &topics {
            let added = marks.add_partition_offset(topic, 0, Offset::Offset(epoch as i64));
            added.map_err(|error| Error::bug(error.to_string()))?;
        }
        let group = self.marker.group_metadata();
        let group = group.ok_or_else(|| Error::bug("a consumer without a group"))?;
        let producer = Arc::clone(&self.producer);
        let ended = tokio::task::spawn_blocking(move || Self::end(&producer, &marks, &group)).await;
        let ended = ended.map_err(|error| Error::bug(format!("a task died: {error}")))?;
        ended.map_err(|error| {
            let reason = why(&self.producer, &error);
            failed(&self.options, format!("checkpoint {epoch} not committed: {reason}"))
        })
    }

    fn abort(&self) {
        self.producer.purge(PurgeConfig::default().queue().inflight());
        if let Err(error) = self.producer.abort_transaction(ABORT_TIMEOUT) {
            tracing::debug!("{}: not aborted: {}", self.options.name(), reason(&error));
        }
    }
}

/// Does it again while librdkafka says that it may.
fn again(deed: impl Fn() -> Result<(), KafkaError>) -> Result<(), KafkaError> {
    let mut tries = 1;
    loop {
        match deed() {
            Err(KafkaError::Transaction(error)) if error.is_retriable() && tries < TRIES => {
                tries += 1
            }
            other => return other,
        }
    }
}

/// What went wrong; a producer that can write no more knows it best.
fn why(producer: &ThreadedProducer<Watch>, error: &KafkaError) -> String {
    match producer.client().fatal_error() {
        Some((code, _)) if is_fenced(code) => TAKEN_OVER.to_owned(),
        Some((_, fatal)) => fatal,
        None => reason(error),
    }
}

fn is_fenced(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
    matches!(code, Fenced | InvalidProducerEpoch | ProducerFenced)
}

/// What went wrong, in librdkafka's words.
fn reason(error: &KafkaError) -> String {
    match error {
        KafkaError::Transaction(error) if is_fenced(error.code()) => TAKEN_OVER.to_owned(),
        KafkaError::Transaction(error) => error.string(),
        other => other.to_string(),
    }
}
