//! The `kafka` sink: an idempotent producer of its own, or the transaction of the job.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray};
use async_trait::async_trait;
use nowcast_engine::time::to_millis;
use nowcast_engine::{
    Batch, ChangelogMode, DeadLetter, Epoch, Error, JobRun, Result, Sink, SinkContext, SinkFactory,
    TableDefinition,
};

use super::latest::{Change, Latest};
use super::librdkafka_writer;
use super::message::KEYS;
use super::native::produce::{Producer, WriteSettings};
use super::native::settings::chosen;
use super::options::{KafkaOptions, Partitioner, Topics};
use super::security;
use super::transaction::{self, Transaction, Transactions};
use super::writing::{Headers, Outgoing, Put, Writer};
use crate::format::{Encoded, Encoder};
use crate::metadata::Metadata;
use crate::parts::{TopicMode, columns_of, encoder};
use crate::registry::Environment;

/// Rows come with the table's columns; those that are VIRTUAL may be left out.
pub struct KafkaSinkFactory {
    table: TableDefinition,
    options: Arc<KafkaOptions>,
    /// Those of our own client; `None`: librdkafka writes.
    settings: Option<WriteSettings>,
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
        let settings = chosen(&options, WriteSettings::read(&options), "writes")?;
        if settings.is_some() && options.transactional.is_some() {
            // What brokers promise is asked by librdkafka.
            security::check_build(&options.table, &options.properties)?;
        }
        Ok(Self {
            table: table.clone(),
            settings,
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
        let settings = self.settings.clone();
        let of = move || transactions.of(&run, &prefix, &topic, &options, settings.as_ref());
        let asked = tokio::task::spawn_blocking(of).await;
        let (transaction, epoch) =
            asked.map_err(|error| Error::bug(format!("a task died: {error}")))??;
        *self.transaction.lock().unwrap_or_else(PoisonError::into_inner) = Some(transaction);
        Ok(Some(epoch))
    }

    async fn open(&self, context: SinkContext) -> Result<Box<dyn Sink>> {
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
                begun.check(&self.options.table, &context)?;
                Some(begun)
            }
        };
        let of = transaction.clone();
        let (options, settings) = (Arc::clone(&self.options), self.settings.clone());
        let (topic, worker) = (self.topic.clone(), context.worker);
        let key = options.key.as_ref();
        let mut key = key.map(|key| encoder(&self.table, key)).transpose()?;
        let mut value = encoder(&self.table, &options.value)?;
        let connected = tokio::task::spawn_blocking(move || {
            let failed = |error: Error| error.context(format!("table \"{}\"", options.table));
            for encoder in key.iter_mut().chain([&mut value]) {
                encoder.connect().map_err(failed)?;
            }
            let (writer, partitions) = match (of, settings) {
                (Some(transaction), settings) => {
                    transaction.writer(&options, settings.as_ref(), &topic, worker)?
                }
                (None, Some(settings)) => {
                    let producer = Arc::new(Producer::open(&options, settings.clone(), None)?);
                    transaction::native(&producer, &settings, &topic, worker)?
                }
                (None, None) => {
                    let producer = librdkafka_writer::open(&options)?;
                    transaction::librdkafka(&producer, &options, &topic)?
                }
            };
            Ok::<_, Error>((writer, partitions, key, value))
        });
        let connected = connected.await;
        let (writer, partitions, key, value) =
            connected.map_err(|error| Error::bug(format!("a task died: {error}")))??;
        Ok(Box::new(KafkaSink {
            value,
            key,
            table: self.table.clone(),
            options: Arc::clone(&self.options),
            writable: self.writable,
            writer,
            transaction,
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
    writer: Box<dyn Writer>,
    transaction: Option<Arc<Transaction>>,
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
        self.writer.begin();
        for (key, change) in self.latest.take() {
            let message = Outgoing {
                partition: None,
                key: Some(&key),
                value: change.value.as_deref(),
                timestamp: change.timestamp,
                headers: change.headers.as_ref(),
            };
            self.send(message).await?.map_err(Error::bug)?;
        }
        Ok(())
    }

    /// Hands a message to the client, waiting while too much waits to be sent. The inner error is the
    /// message's own.
    async fn send(&mut self, message: Outgoing<'_>) -> Result<Result<(), String>> {
        loop {
            match self.writer.put(message)? {
                Put::Taken => return Ok(Ok(())),
                Put::Full => self.writer.room().await?,
                Put::TooLarge => return Ok(Err(too_large(&message))),
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
        self.writer.begin();
        for (row, value) in values.rows().enumerate() {
            let key = keys.next();
            let timestamp =
                times.as_ref().filter(|times| times.is_valid(row)).map(|times| times.value(row));
            let headers = match &headers {
                Some(column) => headers_of(column, row)?,
                None => None,
            };
            let sent = if self.options.mode == TopicMode::Upsert {
                let value = (!is_delete(row)).then(|| value.to_vec());
                let key = key.unwrap_or_default();
                let message = Outgoing {
                    partition: None,
                    key: Some(key),
                    value: value.as_deref(),
                    timestamp,
                    headers: headers.as_ref(),
                };
                if message.bytes() > self.options.message_bytes_max {
                    Err(too_large(&message))
                } else {
                    self.latest.put(key, Change { value, timestamp, headers });
                    if self.latest.is_full(self.options.buffer_rows) {
                        self.send_latest().await?;
                        self.writer.send()?;
                    }
                    Ok(())
                }
            } else {
                let (partition, value) = (self.partition(), Some(value));
                let headers = headers.as_ref();
                self.send(Outgoing { partition, key, value, timestamp, headers }).await?
            };
            if let Err(error) = sent {
                rejected.push(crate::registry::rejected(&self.table.name, batch, row, error));
            }
        }
        self.writer.check()
    }

    async fn flush(&mut self) -> Result<()> {
        self.send_latest().await?;
        match self.transaction {
            // Nobody reads it before the commit.
            Some(_) => self.writer.pause(),
            None => self.writer.deliver().await,
        }
    }

    async fn prepare(&mut self, _: Epoch) -> Result<()> {
        self.send_latest().await?;
        match self.transaction {
            // That they have come is for the commit to see.
            Some(_) => self.writer.send(),
            None => self.writer.deliver().await,
        }
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

fn too_large(message: &Outgoing<'_>) -> String {
    let bytes = message.value.map_or(0, <[u8]>::len);
    format!("a message of {bytes} bytes is too large")
}

/// A `MAP<STRING, BYTES>` as headers.
fn headers_of(column: &ArrayRef, row: usize) -> Result<Option<Headers>> {
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
    let header = |at| {
        let value = values.is_valid(at).then(|| values.value(at).to_vec());
        (keys.value(at).to_owned(), value)
    };
    Ok(Some((0..entries.len()).map(header).collect()))
}
