//! The `kafka` sink: an idempotent producer.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray};
use async_trait::async_trait;
use nowcast_engine::time::to_millis;
use nowcast_engine::{
    Batch, ChangelogMode, DeadLetter, Error, Result, Sink, SinkContext, SinkFactory,
    TableDefinition,
};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

use super::client::{Watch, config, failed, partitions, refused};
use super::metadata::Metadata;
use super::options::{KafkaOptions, Part, Partitioner};
use super::rows::fields;
use crate::format::{Encoded, Encoder};

/// Kilobytes of messages that wait to be sent; then writing waits.
const QUEUE_KBYTES: &str = "65536";
/// How long the producer waits for more messages before it sends: short, as a row should be seen
/// soon; under load batches fill while others are on their way.
const LINGER_MS: &str = "1";
/// How often a full or draining queue is looked at. `flush` of librdkafka would look every 100 ms.
const LOOK: Duration = Duration::from_millis(1);

/// Rows come with the table's columns; those that are VIRTUAL may be left out.
pub struct KafkaSinkFactory {
    table: TableDefinition,
    options: Arc<KafkaOptions>,
    writable: Writable,
}

/// Columns that are not part of the value but set the message's own properties.
#[derive(Clone, Copy, Default)]
struct Writable {
    timestamp: Option<usize>,
    headers: Option<usize>,
}

impl KafkaSinkFactory {
    pub fn new(table: &TableDefinition, options: KafkaOptions) -> Result<Self> {
        let refuse = |text: String| Error::user(format!("table \"{}\": {text}", table.name));
        if let [_, _, ..] = options.topics.as_slice() {
            return Err(refuse("only one topic can be written".into()));
        }
        let mut writable = Writable::default();
        for metadata in table.metadata.iter().filter(|metadata| !metadata.is_virtual) {
            let column = Some(metadata.column);
            match Metadata::read(table, &metadata.key)? {
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
        Ok(Self { table: table.clone(), options: Arc::new(options), writable })
    }
}

fn encoder(table: &TableDefinition, part: &Part) -> Result<Box<dyn Encoder>> {
    let encoder = part.format.encoder(&fields(table, part, &part.columns));
    encoder.map_err(|error| error.context(format!("table \"{}\"", table.name)))
}

#[async_trait]
impl SinkFactory for KafkaSinkFactory {
    fn changelog_mode(&self) -> ChangelogMode {
        ChangelogMode::Append
    }

    async fn open(&self, context: SinkContext) -> Result<Box<dyn Sink>> {
        let config = config(
            &self.options,
            &[
                ("enable.idempotence", "true"),
                ("partitioner", "murmur2_random"),
                ("queue.buffering.max.kbytes", QUEUE_KBYTES),
                ("linger.ms", LINGER_MS),
            ],
        );
        let options = Arc::clone(&self.options);
        let connected = tokio::task::spawn_blocking(move || {
            let producer: ThreadedProducer<Watch> = config
                .create_with_context(Watch::default())
                .map_err(|error| refused(&options, error))?;
            // The producer's own thread serves it.
            let partitions = partitions(producer.client(), &options, &|| {})?;
            Ok::<_, Error>((producer, partitions))
        });
        let connected = connected.await;
        let (producer, mut partitions) =
            connected.map_err(|error| Error::bug(format!("a task died: {error}")))??;
        let (topic, partitions) = partitions.pop().ok_or_else(|| Error::bug("no topic"))?;
        let key = self.options.key.as_ref();
        Ok(Box::new(KafkaSink {
            value: encoder(&self.table, &self.options.value)?,
            key: key.map(|key| encoder(&self.table, key)).transpose()?,
            table: self.table.clone(),
            options: Arc::clone(&self.options),
            writable: self.writable,
            producer,
            topic,
            next: context.worker,
            partitions,
        }))
    }
}

struct KafkaSink {
    table: TableDefinition,
    options: Arc<KafkaOptions>,
    writable: Writable,
    producer: ThreadedProducer<Watch>,
    topic: String,
    partitions: Vec<i32>,
    /// Where in `partitions` the next row goes, where the key does not decide.
    next: usize,
    value: Box<dyn Encoder>,
    key: Option<Box<dyn Encoder>>,
}

impl KafkaSink {
    /// The table's `columns` among those of a batch.
    fn columns(&self, batch: &Batch, columns: &[usize]) -> Vec<ArrayRef> {
        let all = batch.rows().num_columns() == self.table.schema.fields().len();
        let hidden = |before: usize| {
            let hidden = self.table.metadata.iter().filter(|metadata| metadata.is_virtual);
            hidden.filter(|metadata| metadata.column < before).count()
        };
        let place = |column: &usize| if all { *column } else { column - hidden(*column) };
        columns.iter().map(|column| batch.column(place(column)).clone()).collect()
    }

    /// The partition of the next row, where the key does not decide.
    fn partition(&mut self) -> Option<i32> {
        match self.options.partitioner {
            Partitioner::Default => return None,
            Partitioner::Fixed => {}
            Partitioner::RoundRobin => self.next += 1,
        }
        self.partitions.get(self.next % self.partitions.len().max(1)).copied()
    }

    fn check(&self) -> Result<()> {
        match self.producer.client().context().delivery_error() {
            None => Ok(()),
            Some(error) => Err(failed(&self.options, format!("not delivered: {error}"))),
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
                _ => return Err(failed(&self.options, error)),
            }
        }
    }
}

#[async_trait]
impl Sink for KafkaSink {
    async fn write(&mut self, batch: &Batch, rejected: &mut Vec<DeadLetter>) -> Result<()> {
        if batch.weights().is_some_and(|weights| weights.values().iter().any(|at| *at < 0)) {
            return Err(Error::bug("a kafka table was sent deletes"));
        }
        let values = self.value.encode(&self.columns(batch, &self.options.value.columns))?;
        let keys = match (&self.key, &self.options.key) {
            (Some(encoder), Some(part)) => encoder.encode(&self.columns(batch, &part.columns))?,
            _ => Encoded::default(),
        };
        let mut keys = keys.rows();
        let own = |column: Option<usize>| self.columns(batch, column.as_slice()).pop();
        let times = own(self.writable.timestamp).map(|column| to_millis(&column)).transpose()?;
        let headers = own(self.writable.headers);
        let topic = self.topic.clone();
        for (row, value) in values.rows().enumerate() {
            let mut record = BaseRecord::to(&topic).payload(value);
            record.key = keys.next();
            record.partition = self.partition();
            // librdkafka takes the very start of 1970 for now.
            record.timestamp =
                times.as_ref().filter(|times| times.is_valid(row)).map(|times| times.value(row));
            record.headers = match &headers {
                Some(column) => headers_of(column, row)?,
                None => None,
            };
            let sent = self.send(record).await?;
            if let Err(error) = sent {
                rejected.push(crate::registry::rejected(&self.table.name, batch, row, error));
            }
        }
        self.check()
    }

    async fn flush(&mut self) -> Result<()> {
        while self.producer.in_flight_count() > 0 {
            self.check()?;
            tokio::time::sleep(LOOK).await;
        }
        self.check()
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
