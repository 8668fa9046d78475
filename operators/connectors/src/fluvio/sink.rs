//! The `fluvio` sink: records that their storage units have acknowledged.

use std::sync::Arc;

use async_trait::async_trait;
use fluvio::{
    Isolation, ProduceOutput, ProducerError, RecordKey, TopicProducerConfigBuilder,
    TopicProducerPool,
};
use fluvio_future::future::timeout;
use nowcast_engine::{
    Batch, ChangelogMode, DeadLetter, Error, Result, Sink, SinkContext, SinkFactory,
    TableDefinition,
};

use super::client::{Client, failed, words};
use super::options::FluvioOptions;
use super::record::KEYS;
use crate::format::{Encoded, Encoder};
use crate::parts::{columns_of, encoder};

/// Records that wait for their acknowledgement; then writing waits. The client's own bound spins
/// while it is reached, so it is never reached.
const UNACKNOWLEDGED_MAX: usize = 10_000;
/// Bytes of such records.
const UNACKNOWLEDGED_BYTES_MAX: usize = 8 << 20;

/// Rows come with the table's columns; those that are VIRTUAL may be left out.
pub struct FluvioSinkFactory {
    table: TableDefinition,
    options: Arc<FluvioOptions>,
}

impl FluvioSinkFactory {
    /// # Errors
    /// For columns that records cannot carry.
    pub fn new(table: &TableDefinition, options: FluvioOptions) -> Result<Self> {
        // The client gives records their time, and the key is the columns of `key.fields`.
        if let Some(metadata) = table.metadata.iter().find(|metadata| !metadata.is_virtual) {
            KEYS.read(table, &metadata.key)?;
            let (table, key) = (&table.name, &metadata.key);
            return Err(Error::user(format!(
                "table \"{table}\": the metadata \"{key}\" cannot be written; declare it VIRTUAL"
            )));
        }
        let mut parts = std::iter::once(&options.value).chain(&options.key);
        parts.try_for_each(|part| encoder(table, part).map(drop))?;
        Ok(Self { table: table.clone(), options: Arc::new(options) })
    }

    /// The encoders of values and of keys, ready to encode.
    async fn encoders(&self) -> Result<(Box<dyn Encoder>, Option<Box<dyn Encoder>>)> {
        let options = &self.options;
        let mut value = encoder(&self.table, &options.value)?;
        let mut key = options.key.as_ref().map(|key| encoder(&self.table, key)).transpose()?;
        let table = options.table.clone();
        let connected = tokio::task::spawn_blocking(move || {
            for encoder in key.iter_mut().chain([&mut value]) {
                encoder.connect().map_err(|error| error.context(format!("table \"{table}\"")))?;
            }
            Ok::<_, Error>((value, key))
        });
        connected.await.map_err(|error| Error::bug(format!("a task died: {error}")))?
    }
}

#[async_trait]
impl SinkFactory for FluvioSinkFactory {
    fn changelog_mode(&self) -> ChangelogMode {
        self.options.value.format.changelog_mode()
    }

    async fn open(&self, _: SinkContext) -> Result<Box<dyn Sink>> {
        let options = &self.options;
        let (value, key) = self.encoders().await?;
        let client = Client::connect(options).await?;
        client.partitions(options).await?;
        let mut config = TopicProducerConfigBuilder::default();
        config
            .batch_size(options.batching.batch_bytes)
            .max_request_size(options.batching.request_bytes_max)
            .batch_queue_size(usize::MAX)
            .linger(options.batching.linger)
            .isolation(Isolation::ReadCommitted);
        if let Some(compression) = options.batching.compression {
            config.compression(compression);
        }
        let config = config.build().map_err(|error| failed(options, error))?;
        let opened = client.fluvio.topic_producer_with_config(&options.topic, config);
        let producer = match timeout(options.delivery_timeout, opened).await {
            Ok(Ok(producer)) => producer,
            Ok(Err(error)) => return Err(refused(options, &error)),
            Err(_) => return Err(failed(options, "no answer")),
        };
        Ok(Box::new(FluvioSink {
            table: self.table.clone(),
            options: Arc::clone(options),
            producer,
            value,
            key,
            unacknowledged: vec![],
            bytes: 0,
        }))
    }
}

/// An error of making a producer: settings that do not fit the topic's are the user's.
fn refused(options: &FluvioOptions, error: &anyhow::Error) -> Error {
    let failed = failed(options, words(error));
    match error.to_string().contains("topic level compression") {
        true => Error::user(failed),
        false => failed,
    }
}

struct FluvioSink {
    table: TableDefinition,
    options: Arc<FluvioOptions>,
    producer: TopicProducerPool,
    value: Box<dyn Encoder>,
    key: Option<Box<dyn Encoder>>,
    unacknowledged: Vec<ProduceOutput>,
    /// Bytes of the records that wait for their acknowledgement.
    bytes: usize,
}

impl FluvioSink {
    /// Hands a record to the producer. The inner error is the record's own.
    async fn send(&mut self, key: Option<&[u8]>, value: &[u8]) -> Result<Result<(), String>> {
        let bytes = value.len() + key.map_or(0, <[u8]>::len);
        let key = key.map_or(RecordKey::NULL, RecordKey::from);
        match self.producer.send(key, value).await {
            Ok(sent) => {
                self.unacknowledged.push(sent);
                self.bytes += bytes;
                Ok(Ok(()))
            }
            Err(error) => match error.downcast_ref() {
                Some(ProducerError::RecordTooLarge(..)) => {
                    Ok(Err(format!("a record of {bytes} bytes is too large")))
                }
                _ => Err(failed(&self.options, format!("not sent: {}", words(&error)))),
            },
        }
    }

    /// Waits until all records are acknowledged.
    async fn acknowledge(&mut self) -> Result<()> {
        if self.unacknowledged.is_empty() {
            return Ok(());
        }
        let sent = std::mem::take(&mut self.unacknowledged);
        self.bytes = 0;
        let producer = &self.producer;
        let patience = self.options.delivery_timeout;
        let acknowledged = timeout(patience, async move {
            producer.flush().await?;
            // What it says of a partition may be of another; each record's own answer is not.
            for record in sent {
                record.wait().await?;
            }
            anyhow::Ok(())
        });
        match acknowledged.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                Err(failed(&self.options, format!("not acknowledged: {}", words(&error))))
            }
            Err(_) => Err(failed(&self.options, format!("not acknowledged within {patience:?}"))),
        }
    }
}

#[async_trait]
impl Sink for FluvioSink {
    async fn write(&mut self, batch: &Batch, rejected: &mut Vec<DeadLetter>) -> Result<()> {
        let weights = batch.weights();
        let part = &self.options.value;
        let is_delete = |row: usize| weights.is_some_and(|weights| weights.value(row) < 0);
        if part.format.changelog_mode() == ChangelogMode::Append
            && (0..batch.num_rows()).any(is_delete)
        {
            return Err(Error::bug("a fluvio table was sent deletes"));
        }
        let values = columns_of(&self.table, batch, &part.columns);
        let values = self.value.encode(&values, weights)?;
        let keys = match (&self.key, &self.options.key) {
            (Some(encoder), Some(part)) => {
                encoder.encode(&columns_of(&self.table, batch, &part.columns), None)?
            }
            _ => Encoded::default(),
        };
        let mut keys = keys.rows();
        for (row, value) in values.rows().enumerate() {
            if let Err(error) = self.send(keys.next(), value).await? {
                rejected.push(crate::registry::rejected(&self.table.name, batch, row, error));
            }
            if self.unacknowledged.len() >= UNACKNOWLEDGED_MAX
                || self.bytes >= UNACKNOWLEDGED_BYTES_MAX
            {
                self.acknowledge().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        self.acknowledge().await
    }
}
