//! The `kafka` sink: an idempotent producer of its own, or the transaction of the job.
//!
//! Of the CPU that a row of seven columns takes (158 bytes as JSON: 0.7 to 0.8 µs in all), 0.2 µs are encoding and the rest is
//! librdkafka, which makes an object of each message, takes locks for it and looks at the clock twice; handing over whole batches
//! (`rd_kafka_produce_batch`) saves 0.04 µs of that. `cargo run --release --workspace --example sinks kafka` measures it. Producing
//! by the protocol itself would spare most of that, and needs sequence numbers, retries and the transaction's coordinator done
//! anew: what must never lose or double a row stays with the client that many have tried.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray};
use async_trait::async_trait;
use nowcast_engine::time::to_millis;
use nowcast_engine::{
    Batch, ChangelogMode, DeadLetter, Epoch, Error, JobRun, Result, Sink, SinkContext, SinkFactory,
    TableDefinition,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

use super::client::{Watch, config, failed, partitions, refused};
use super::latest::{Change, Latest};
use super::message::KEYS;
use super::options::{KafkaOptions, Partitioner, Topics};
use super::transaction::{Transaction, Transactions};
use crate::format::{Encoded, Encoder};
use crate::metadata::Metadata;
use crate::parts::{TopicMode, columns_of, encoder};
use crate::registry::Environment;

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
/// How often a full or draining queue is looked at. `flush` of librdkafka would look every 100 ms.
const LOOK: Duration = Duration::from_millis(1);

/// Rows come with the table's columns; those that are VIRTUAL may be left out.
pub struct KafkaSinkFactory {
    table: TableDefinition,
    options: Arc<KafkaOptions>,
    topic: String,
    writable: Writable,
    transactions: Arc<Transactions>,
    /// That of the run which is being opened.
    transaction: Mutex<Option<Arc<Transaction>>>,
}

/// Columns that are not part of the value but set the message's own properties.
#[derive(Clone, Copy, Default)]
struct Writable {
    timestamp: Option<usize>,
    headers: Option<usize>,
}

impl KafkaSinkFactory {
    pub fn new(
        table: &TableDefinition,
        options: KafkaOptions,
        environment: &Environment,
    ) -> Result<Self> {
        let refuse = |text: String| Error::user(format!("table \"{}\": {text}", table.name));
        let topic = match &options.topics {
            Topics::Named(names) if names.len() == 1 => names[0].clone(),
            _ => return Err(refuse("only one topic can be written, by its name".into())),
        };
        let mut writable = Writable::default();
        for metadata in table.metadata.iter().filter(|metadata| !metadata.is_virtual) {
            let column = Some(metadata.column);
            match KEYS.read(table, &metadata.key)? {
                Metadata::Timestamp => writable.timestamp = column,
                Metadata::Headers => writable.headers = column,
                _ => {
                    let key = &metadata.key;
                    return Err(refuse(format!(
                        "the metadata \"{key}\" cannot be written; declare it VIRTUAL"
                    )));
                }
            }
        }
        let mut parts = std::iter::once(&options.value).chain(&options.key);
        parts.try_for_each(|part| encoder(table, part).map(drop))?;
        Ok(Self {
            table: table.clone(),
            options: Arc::new(options),
            topic,
            writable,
            transactions: Arc::clone(&environment.transactions),
            transaction: Mutex::default(),
        })
    }
}

#[async_trait]
impl SinkFactory for KafkaSinkFactory {
    fn changelog_mode(&self) -> ChangelogMode {
        match self.options.mode {
            TopicMode::Log => self.options.value.format.changelog_mode(),
            TopicMode::Upsert => ChangelogMode::Upsert,
        }
    }

    async fn committed(&self, run: &JobRun) -> Result<Option<Epoch>> {
        let Some(prefix) = self.options.transactional.clone() else { return Ok(None) };
        let (transactions, run) = (Arc::clone(&self.transactions), run.clone());
        let (topic, options) = (self.topic.clone(), Arc::clone(&self.options));
        let of = move || transactions.of(&run, &prefix, &topic, &options);
        let asked = tokio::task::spawn_blocking(of).await;
        let (transaction, epoch) =
            asked.map_err(|error| Error::bug(format!("a task died: {error}")))??;
        *self.transaction.lock().unwrap_or_else(PoisonError::into_inner) = Some(transaction);
        Ok(Some(epoch))
    }

    async fn open(&self, context: SinkContext) -> Result<Box<dyn Sink>> {
        let config = config(&self.options, SETTINGS);
        let transaction = match self.options.transactional {
            None => None,
            Some(_) if !context.keeps_checkpoints => {
                return Err(Error::user(format!(
                    "table \"{}\": exactly-once needs checkpoints, and this job keeps none",
                    self.options.table
                )));
            }
            Some(_) => {
                let begun = self.transaction.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let begun = begun.ok_or_else(|| Error::bug("opened before its transaction"))?;
                begun.check(&context)?;
                Some(begun)
            }
        };
        let producing = transaction.as_ref().map(|transaction| transaction.producer());
        let options = Arc::clone(&self.options);
        let key = options.key.as_ref();
        let mut key = key.map(|key| encoder(&self.table, key)).transpose()?;
        let mut value = encoder(&self.table, &options.value)?;
        let connected = tokio::task::spawn_blocking(move || {
            let failed = |error: Error| error.context(format!("table \"{}\"", options.table));
            for encoder in key.iter_mut().chain([&mut value]) {
                encoder.connect().map_err(failed)?;
            }
            let producer = match producing {
                Some(producer) => producer,
                None => Arc::new(
                    config
                        .create_with_context(Watch::default())
                        .map_err(|error| refused(&options, error))?,
                ),
            };
            // The producer's own thread serves it.
            let partitions = partitions(producer.client(), &options, &|| {})?;
            Ok::<_, Error>((producer, partitions, key, value))
        });
        let connected = connected.await;
        let (producer, mut partitions, key, value) =
            connected.map_err(|error| Error::bug(format!("a task died: {error}")))??;
        let (_, partitions) = partitions.pop().ok_or_else(|| Error::bug("no topic"))?;
        Ok(Box::new(KafkaSink {
            value,
            key,
            table: self.table.clone(),
            options: Arc::clone(&self.options),
            writable: self.writable,
            producer,
            transaction,
            topic: self.topic.clone(),
            latest: Latest::default(),
            next: context.worker,
            partitions,
        }))
    }
}

struct KafkaSink {
    table: TableDefinition,
    options: Arc<KafkaOptions>,
    writable: Writable,
    producer: Arc<ThreadedProducer<Watch>>,
    transaction: Option<Arc<Transaction>>,
    topic: String,
    partitions: Vec<i32>,
    /// Where in `partitions` the next row goes, where the key does not decide.
    next: usize,
    value: Box<dyn Encoder>,
    key: Option<Box<dyn Encoder>>,
    /// Of an upsert table, what waits for a flush.
    latest: Latest,
}

impl KafkaSink {
    /// The partition of the next row, where the key does not decide.
    fn partition(&mut self) -> Option<i32> {
        match self.options.partitioner {
            Partitioner::Default => return None,
            Partitioner::Fixed => {}
            Partitioner::RoundRobin => self.next += 1,
        }
        self.partitions.get(self.next % self.partitions.len().max(1)).copied()
    }

    /// Sends the latest change of each key.
    async fn send_latest(&mut self) -> Result<()> {
        let topic = self.topic.clone();
        for (key, change) in self.latest.take() {
            let mut record = BaseRecord::to(&topic).key(key.as_slice());
            record.payload = change.value.as_deref();
            record.timestamp = change.timestamp;
            record.headers = change.headers;
            self.send(record).await?.map_err(Error::bug)?;
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        match self.producer.client().context().delivery_error() {
            None => Ok(()),
            Some(error) => {
                Err(failed(&self.options, format!("not delivered: {}", self.reason(&error))))
            }
        }
    }

    fn reason(&self, error: &KafkaError) -> String {
        match &self.transaction {
            Some(transaction) => transaction.reason(error),
            None => error.to_string(),
        }
    }

    /// Hands a message to the producer, waiting while its queue is full. The inner error is the
    /// message's own.
    async fn send(&self, mut record: BaseRecord<'_, [u8], [u8]>) -> Result<Result<(), String>> {
        loop {
            let (error, again) = match self.producer.send(record) {
                Ok(()) => return Ok(Ok(())),
                Err(failed) => failed,
            };
            match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) => {
                    record = again;
                    tokio::time::sleep(LOOK).await;
                    self.check()?;
                }
                Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                    let bytes = again.payload.map_or(0, <[u8]>::len);
                    return Ok(Err(format!("a message of {bytes} bytes is too large")));
                }
                _ => return Err(failed(&self.options, self.reason(&error))),
            }
        }
    }
}

#[async_trait]
impl Sink for KafkaSink {
    async fn write(&mut self, batch: &Batch, rejected: &mut Vec<DeadLetter>) -> Result<()> {
        let weights = batch.weights();
        let is_delete = |row: usize| weights.is_some_and(|weights| weights.value(row) < 0);
        let part = &self.options.value;
        let takes_deletes = self.options.mode == TopicMode::Upsert
            || part.format.changelog_mode() == ChangelogMode::Retract;
        if !takes_deletes && (0..batch.num_rows()).any(is_delete) {
            return Err(Error::bug("a kafka table was sent deletes"));
        }
        if let Some(transaction) = &self.transaction {
            transaction.open().await?;
        }
        let values = self.value.encode(&columns_of(&self.table, batch, &part.columns), weights)?;
        let keys = match (&self.key, &self.options.key) {
            (Some(encoder), Some(part)) => {
                encoder.encode(&columns_of(&self.table, batch, &part.columns), None)?
            }
            _ => Encoded::default(),
        };
        let mut keys = keys.rows();
        let own = |column: Option<usize>| columns_of(&self.table, batch, column.as_slice()).pop();
        let times = own(self.writable.timestamp).map(|column| to_millis(&column)).transpose()?;
        let headers = own(self.writable.headers);
        let topic = self.topic.clone();
        for (row, value) in values.rows().enumerate() {
            let key = keys.next();
            // librdkafka takes the very start of 1970 for now.
            let timestamp =
                times.as_ref().filter(|times| times.is_valid(row)).map(|times| times.value(row));
            let headers = match &headers {
                Some(column) => headers_of(column, row)?,
                None => None,
            };
            let sent = if self.options.mode == TopicMode::Upsert {
                let value = (!is_delete(row)).then(|| value.to_vec());
                let key = key.unwrap_or_default();
                let bytes = key.len() + value.as_ref().map_or(0, Vec::len);
                if bytes > self.options.message_bytes_max {
                    Err(format!("a message of {bytes} bytes is too large"))
                } else {
                    self.latest.put(key, Change { value, timestamp, headers });
                    if self.latest.is_full(self.options.buffer_rows) {
                        self.send_latest().await?;
                    }
                    Ok(())
                }
            } else {
                let mut record = BaseRecord::to(&topic).payload(value);
                record.key = key;
                record.partition = self.partition();
                record.timestamp = timestamp;
                record.headers = headers;
                self.send(record).await?
            };
            if let Err(error) = sent {
                rejected.push(crate::registry::rejected(&self.table.name, batch, row, error));
            }
        }
        self.check()
    }

    async fn flush(&mut self) -> Result<()> {
        self.send_latest().await?;
        if self.transaction.is_some() {
            // Nobody reads it before the commit.
            return self.check();
        }
        while self.producer.in_flight_count() > 0 {
            self.check()?;
            tokio::time::sleep(LOOK).await;
        }
        self.check()
    }

    async fn commit(&mut self, epoch: Epoch) -> Result<()> {
        match &self.transaction {
            Some(transaction) => transaction.commit(epoch).await,
            None => Ok(()),
        }
    }

    fn waits_for_commit(&self) -> bool {
        self.transaction.is_some()
    }
}

/// A `MAP<STRING, BYTES>` as headers.
fn headers_of(column: &ArrayRef, row: usize) -> Result<Option<OwnedHeaders>> {
    if column.is_null(row) {
        return Ok(None);
    }
    let entries = column
        .as_map_opt()
        .map(|map| map.value(row))
        .ok_or_else(|| Error::bug("headers are not a map"))?;
    let (keys, values) = (entries.column(0), entries.column(1));
    let keys = keys.as_string_opt::<i32>().ok_or_else(|| Error::bug("header keys are no text"))?;
    let values =
        values.as_binary_opt::<i32>().ok_or_else(|| Error::bug("header values are no bytes"))?;
    let mut headers = OwnedHeaders::new_with_capacity(entries.len());
    for at in 0..entries.len() {
        let value = values.is_valid(at).then(|| values.value(at));
        headers = headers.insert(Header { key: keys.value(at), value });
    }
    Ok(Some(headers))
}
