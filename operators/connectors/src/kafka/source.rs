//! The `kafka` source: partitions assigned by a fixed rule, positions kept by the checkpoint.

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use nowcast_engine::{
    ChangelogMode, Epoch, Error, Position, Result, Source, SourceContext, SourceEvent,
    SourceFactory, TableDefinition,
};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{Watch, config, failed, partitions, refused};
use super::offsets::{Span, spans};
use super::options::{KafkaOptions, Startup};
use super::reader::{Limits, Reader};
use crate::handover::Handover;
use crate::parts::TopicMode;

/// Kilobytes of messages that librdkafka fetches ahead for one source instance; then it stops
/// fetching until the reader has caught up.
const QUEUE_KBYTES: &str = "32768";
/// How soon it looks again whether the queue has room. librdkafka's 1,000 ms would starve a reader
/// that empties the queue faster.
const QUEUE_BACKOFF_MS: &str = "10";

/// Events looked for between two tries to connect: some errors and statistics come with each.
const EVENTS_SERVED: usize = 64;

/// How often librdkafka says where partitions end.
const STATISTICS_MS: &str = "1000";

pub struct KafkaSourceFactory {
    table: TableDefinition,
    options: Arc<KafkaOptions>,
}

impl KafkaSourceFactory {
    /// # Errors
    /// For options that do not go together, and columns that messages cannot fill.
    pub fn new(table: &TableDefinition, options: KafkaOptions) -> Result<Self> {
        if options.startup == Startup::Group && options.group.is_none() {
            let name = &table.name;
            return Err(Error::user(format!(
                "table \"{name}\": without \"scan.startup.mode\" reading begins at the offsets of \
                 \"properties.group.id\", which is missing"
            )));
        }
        options.rows(table).map_err(|error| with_table(error, &table.name))?;
        Ok(Self { table: table.clone(), options: Arc::new(options) })
    }
}

fn with_table(error: Error, table: &str) -> Error {
    match error.to_string().starts_with("table ") {
        true => error,
        false => error.context(format!("table \"{table}\"")),
    }
}

#[async_trait]
impl SourceFactory for KafkaSourceFactory {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.table.schema)
    }

    fn bounded(&self) -> bool {
        self.options.bounded.is_some()
    }

    fn changelog_mode(&self) -> ChangelogMode {
        match self.options.mode {
            TopicMode::Log => self.options.value.format.changelog_mode(),
            TopicMode::Upsert => ChangelogMode::Upsert,
        }
    }

    async fn open(&self, context: SourceContext) -> Result<Box<dyn Source>> {
        let (options, asked) = (Arc::clone(&self.options), context.clone());
        let connected = tokio::task::spawn_blocking(move || connect(&options, &asked)).await;
        let (consumer, spans) =
            connected.map_err(|error| Error::bug(format!("a task died: {error}")))??;
        let splits = spans.iter().map(|span| (span.split().into(), span.start)).collect();
        let (hands, handover) = Handover::new(splits);
        let consumer = Arc::new(consumer);
        let reading = Arc::downgrade(&consumer);
        let idle_timeout = self.options.idle_timeout.or(context.idle_timeout);
        let reader = Reader::new(
            consumer,
            &self.table,
            Arc::clone(&self.options),
            spans,
            Limits {
                rows_max: context.rows_max.max(1),
                idle_timeout: idle_timeout.filter(|timeout| !timeout.is_zero()),
                share: (context.worker, context.workers),
            },
            hands,
        )?;
        let thread = std::thread::Builder::new().name(format!("kafka {}", self.table.name));
        let reader =
            thread.spawn(move || reader.run()).map_err(|error| failed(&self.options, error))?;
        Ok(Box::new(KafkaSource {
            handover,
            consumer: reading,
            reader: Some(reader),
            options: Arc::clone(&self.options),
        }))
    }
}

/// A consumer assigned to the partitions of this worker: every `workers`-th of each topic.
pub fn connect(
    options: &KafkaOptions,
    context: &SourceContext,
) -> Result<(BaseConsumer<Watch>, Vec<Span>)> {
    let mut config = config(
        options,
        &[
            ("enable.partition.eof", "true"),
            ("queued.max.messages.kbytes", QUEUE_KBYTES),
            ("fetch.queue.backoff.ms", QUEUE_BACKOFF_MS),
            ("statistics.interval.ms", STATISTICS_MS),
        ],
    );
    config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
    // librdkafka wants a group for any assignment; without commits nobody sees it.
    config.set("group.id", options.group.as_deref().unwrap_or("nowcast"));
    // The reader does it, and says so.
    config.set("auto.offset.reset", "error");
    let consumer: BaseConsumer<Watch> =
        config.create_with_context(Watch::default()).map_err(|error| refused(options, error))?;
    // Nothing is assigned yet: there are no messages to lose.
    // A poll that meets statistics returns without the events behind them.
    let serve = || (0..EVENTS_SERVED).for_each(|_| drop(consumer.poll(Duration::ZERO)));
    let own = own_partitions(&consumer, options, (context.worker, context.workers), &serve)?;
    let spans = spans(&consumer, options, &own, &context.positions)?;
    let mut list = TopicPartitionList::new();
    for span in &spans {
        let added =
            list.add_partition_offset(&span.topic, span.partition, Offset::Offset(span.start));
        added.map_err(|error| failed(options, error))?;
    }
    if !spans.is_empty() {
        consumer.assign(&list).map_err(|error| failed(options, error))?;
    }
    Ok((consumer, spans))
}

/// The partitions that worker `share.0` of `share.1` reads.
pub fn own_partitions(
    consumer: &BaseConsumer<Watch>,
    options: &KafkaOptions,
    share: (usize, usize),
    serve: &dyn Fn(),
) -> Result<Vec<(String, i32)>> {
    let mut own = vec![];
    for (topic, partitions) in partitions(consumer.client(), options, serve)? {
        let (worker, workers) = (share.0 as i32, share.1.max(1) as i32);
        let mine = partitions.into_iter().filter(|partition| partition % workers == worker);
        own.extend(mine.map(|partition| (topic.clone(), partition)));
    }
    Ok(own)
}

struct KafkaSource {
    handover: Handover,
    /// The reader's: it ends with the thread.
    consumer: Weak<BaseConsumer<Watch>>,
    reader: Option<JoinHandle<()>>,
    options: Arc<KafkaOptions>,
}

/// A source that is gone has left its broker, which may then go too.
impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.handover.close();
        let ended = self.reader.take().map_or(Ok(()), JoinHandle::join);
        if ended.is_err() {
            tracing::error!("{}: the reader has panicked", self.options.name());
        }
    }
}

#[async_trait]
impl Source for KafkaSource {
    fn splits(&self) -> Vec<Arc<str>> {
        self.handover.splits()
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        self.handover.next().await
    }

    fn positions(&self) -> Vec<Position> {
        self.handover.positions()
    }

    fn ends(&self) -> Vec<Position> {
        let ends = self.consumer.upgrade().map_or(vec![], |consumer| consumer.context().ends());
        ends.into_iter().map(|(split, offset)| Position { split, offset }).collect()
    }

    /// Commits the group's offsets, for tools that show its lag; the checkpoint does not need them.
    fn commit(&mut self, _: Epoch, positions: &[Position]) {
        let (Some(_), Some(consumer)) = (&self.options.group, self.consumer.upgrade()) else {
            return;
        };
        let own = self.handover.splits();
        let mut list = TopicPartitionList::new();
        for position in positions.iter().filter(|at| own.iter().any(|split| **split == *at.split)) {
            let Some((topic, partition)) = position.split.rsplit_once('/') else { continue };
            let Ok(partition) = partition.parse() else { continue };
            let offset = Offset::Offset(position.offset);
            list.add_partition_offset(topic, partition, offset).unwrap_or_else(|error| {
                tracing::warn!("{}: offset not committed: {error}", self.options.name());
            });
        }
        if list.count() > 0
            && let Err(error) = consumer.commit(&list, CommitMode::Async)
        {
            tracing::warn!("{}: offsets not committed: {error}", self.options.name());
        }
    }
}
