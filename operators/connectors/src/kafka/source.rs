//! The `kafka` source: partitions assigned by a fixed rule, positions kept by the checkpoint.

use std::sync::Arc;
use std::thread::JoinHandle;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use nowcast_engine::{
    ChangelogMode, Epoch, Error, Position, Result, Source, SourceContext, SourceEvent,
    SourceFactory, TableDefinition,
};

use super::contact::{Brokers, Outlook, failed, own_partitions};
use super::librdkafka::Librdkafka;
use super::native::Native;
use super::native::settings::{Settings, chosen};
use super::offsets::{Span, spans};
use super::options::{KafkaOptions, Startup};
use super::reader::Reader;
use super::reading::Limits;
use crate::handover::Handover;
use crate::parts::TopicMode;

pub struct KafkaSourceFactory {
    table: TableDefinition,
    options: Arc<KafkaOptions>,
    /// Those of our own client; `None`: librdkafka reads.
    settings: Option<Arc<Settings>>,
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
        let settings = chosen(&options, Settings::read(&options), "reads")?.map(Arc::new);
        Ok(Self { table: table.clone(), options: Arc::new(options), settings })
    }

    fn start<B: Brokers>(&self, opened: Opened<B>, context: &SourceContext) -> Result<KafkaSource> {
        let Opened { brokers, spans } = opened;
        let splits = spans.iter().map(|span| (span.split().into(), span.start)).collect();
        let (hands, handover) = Handover::new(splits);
        let outlook = brokers.outlook();
        let options = Arc::clone(&self.options);
        let limits = Limits::new(&options, context);
        let reader = Reader::new(brokers, &self.table, Arc::clone(&options), spans, limits, hands)?;
        let thread = std::thread::Builder::new().name(format!("kafka {}", self.table.name));
        let reader = thread.spawn(move || reader.run()).map_err(|error| failed(&options, error))?;
        Ok(KafkaSource { handover, outlook, reader: Some(reader), options })
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
        let options = Arc::clone(&self.options);
        let source = match &self.settings {
            Some(settings) => {
                let settings = Arc::clone(settings);
                let make = move || Native::new(options, settings);
                self.start(opened(make, &self.options, &context).await?, &context)?
            }
            None => {
                let make = move || Librdkafka::new(options);
                self.start(opened(make, &self.options, &context).await?, &context)?
            }
        };
        Ok(Box::new(source))
    }
}

/// Brokers that fetch, and what.
pub struct Opened<B> {
    pub brokers: B,
    pub spans: Vec<Span>,
}

async fn opened<B: Brokers>(
    make: impl FnOnce() -> Result<B> + Send + 'static,
    options: &Arc<KafkaOptions>,
    context: &SourceContext,
) -> Result<Opened<B>> {
    let (options, context) = (Arc::clone(options), context.clone());
    let connect = move || connect(make()?, &options, &context);
    let connected = tokio::task::spawn_blocking(connect).await;
    connected.map_err(|error| Error::bug(format!("a task died: {error}")))?
}

/// Begins to fetch the partitions of this worker. It blocks.
pub fn connect<B: Brokers>(
    mut brokers: B,
    options: &KafkaOptions,
    context: &SourceContext,
) -> Result<Opened<B>> {
    let own = own_partitions(&mut brokers, (context.worker, context.workers))?;
    let spans = spans(&mut brokers, options, &own, &context.positions)?;
    brokers.read(&spans)?;
    Ok(Opened { brokers, spans })
}

struct KafkaSource {
    handover: Handover,
    outlook: Arc<dyn Outlook>,
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
        self.outlook.ends()
    }

    /// Commits the group's offsets, for tools that show its lag; the checkpoint does not need them.
    fn commit(&mut self, _: Epoch, positions: &[Position]) {
        if self.options.group.is_none() {
            return;
        }
        let own = self.handover.splits();
        let mine = |position: &&Position| own.iter().any(|split| **split == *position.split);
        let positions: Vec<Position> = positions.iter().filter(mine).cloned().collect();
        if !positions.is_empty() {
            self.outlook.commit(&positions);
        }
    }
}
