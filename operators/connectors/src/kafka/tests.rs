//! Against the broker that `NOWCAST_KAFKA` names (`127.0.0.1:9092`); librdkafka's own clients produce
//! and consume beside ours.

/// Each case with our own client and with librdkafka.
macro_rules! with_each_client {
    ($($case:ident),* $(,)?) => {
        mod native {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case("native").await;
            })*
        }
        mod librdkafka {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case("librdkafka").await;
            })*
        }
    };
}

mod batches;
mod changelog;
mod doors;
mod leaders;
mod life;
mod reading;
mod refusals;
mod sink;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit, TimestampMillisecondType};
use futures::FutureExt as _;
use nowcast_engine::{
    Batch, ChangelogMode, Connectors, DeadLetter, ErrorKind, MetadataColumn, Position, Sink,
    SinkContext, Source, SourceContext, SourceEvent, TableDefinition,
};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::registry::{Environment, Registry};

/// No answer for so long is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// A topic of its own for a test, on a real broker.
struct Topic {
    name: String,
    bootstrap: String,
    producer: FutureProducer,
    /// Who reads it.
    client: &'static str,
}

/// One message to produce: partition, key, value, timestamp.
type Line<'a> = (i32, Option<&'a str>, Option<&'a str>, Option<i64>);

impl Topic {
    async fn new(test: &str, partitions: i32) -> Option<Self> {
        Self::read_by("auto", test, partitions).await
    }

    async fn read_by(client: &'static str, test: &str, partitions: i32) -> Option<Self> {
        let Ok(bootstrap) = std::env::var("NOWCAST_KAFKA") else {
            println!("skipped: NOWCAST_KAFKA names no broker");
            return None;
        };
        let name = format!("nowcast-{test}-{client}-{}", std::process::id());
        let config = config(&bootstrap);
        // Some messages have times of long ago, which Kafka deletes when it looks, every five minutes.
        let new = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        let new = new.set("retention.ms", "-1");
        let made = admin(&bootstrap).create_topics([&new], &AdminOptions::new()).await.unwrap();
        made.into_iter().for_each(|made| drop(made.unwrap()));
        let topic = Self { name, producer: config.create().unwrap(), bootstrap, client };
        topic.wait_for(partitions as usize);
        Some(topic)
    }

    /// Kafka answers that partitions are made before all its parts know of them.
    fn wait_for(&self, partitions: usize) {
        let started = Instant::now();
        let are_led = || {
            let metadata = self.producer.client().fetch_metadata(Some(&self.name), PATIENCE);
            let metadata = metadata.unwrap();
            let found = metadata.topics()[0].partitions();
            found.len() == partitions
                && found.iter().all(|it| it.leader() >= 0 && it.error().is_none())
        };
        while !are_led() {
            assert!(started.elapsed() < PATIENCE, "{} is not there", self.name);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    async fn produce(&self, lines: &[Line<'_>]) {
        for (partition, key, value, timestamp) in lines {
            let mut record = FutureRecord::to(&self.name).partition(*partition);
            record.key = *key;
            record.payload = *value;
            record.timestamp = *timestamp;
            self.producer.send(record, PATIENCE).await.unwrap();
        }
    }

    /// `n` messages `{"n":0}`, … into each partition.
    async fn count(&self, partitions: i32, n: i64) {
        for partition in 0..partitions {
            for number in 0..n {
                let value = format!("{{\"n\":{number}}}");
                self.produce(&[(partition, None, Some(&value), Some(1_000 * number + 1))]).await;
            }
        }
    }

    fn table(&self, fields: Vec<Field>, options: &[(&str, &str)]) -> TableDefinition {
        let mut table = table(&self.name, &self.bootstrap, fields, options);
        table.options.entry("client".into()).or_insert(self.client.into());
        table
    }

    /// `n BIGINT`, read from the start to what is there.
    fn counted(&self, options: &[(&str, &str)]) -> TableDefinition {
        let bounded = [("scan.bounded.mode", "latest-offset")];
        let start = [("scan.startup.mode", "earliest-offset")];
        let has = |key: &str| options.iter().any(|(given, _)| *given == key);
        let defaults = start.into_iter().chain(bounded).filter(|(key, _)| !has(key));
        let all: Vec<_> = defaults.chain(options.iter().copied()).collect();
        self.table(vec![Field::new("n", DataType::Int64, true)], &all)
    }
}

fn config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("group.id", "judge");
    config
}

fn admin(bootstrap: &str) -> AdminClient<rdkafka::client::DefaultClientContext> {
    config(bootstrap).create().unwrap()
}

/// As [`table`], of the `upsert-kafka` connector with the first column as its key.
fn upsert_table(topic: &Topic, fields: Vec<Field>, options: &[(&str, &str)]) -> TableDefinition {
    let mut table = topic.table(fields, options);
    table.options.insert("connector".into(), "upsert-kafka".into());
    table.options.remove("format");
    for key in ["key.format", "value.format"] {
        table.options.entry(key.into()).or_insert("json".into());
    }
    table.primary_key = vec![0];
    table
}

fn table(
    topic: &str,
    bootstrap: &str,
    fields: Vec<Field>,
    options: &[(&str, &str)],
) -> TableDefinition {
    let mut all: BTreeMap<String, String> =
        options.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    all.insert("connector".into(), "kafka".into());
    all.insert("topic".into(), topic.into());
    all.insert("properties.bootstrap.servers".into(), bootstrap.into());
    if !all.contains_key("value.format") {
        all.entry("format".into()).or_insert("json".into());
    }
    TableDefinition {
        name: "events".into(),
        schema: Arc::new(Schema::new(fields)),
        metadata: vec![],
        primary_key: vec![],
        partition_keys: vec![],
        unread: vec![],
        unread_fields: vec![],
        options: all,
    }
}

fn with_metadata(
    mut table: TableDefinition,
    columns: &[(&str, DataType, bool)],
) -> TableDefinition {
    let mut fields: Vec<_> = table.schema.fields().iter().cloned().collect();
    for (key, ty, is_virtual) in columns {
        table.metadata.push(MetadataColumn {
            column: fields.len(),
            key: (*key).into(),
            is_virtual: *is_virtual,
        });
        fields.push(Arc::new(Field::new(*key, ty.clone(), true)));
    }
    table.schema = Arc::new(Schema::new(fields));
    table
}

fn registry() -> Registry {
    Registry::new(Environment::default())
}

fn at(positions: &[Position]) -> SourceContext {
    SourceContext {
        worker: 0,
        workers: 1,
        positions: positions.to_vec(),
        rows_max: 1_000,
        idle_timeout: None,
    }
}

async fn open(table: &TableDefinition, context: SourceContext) -> Box<dyn Source> {
    registry().source(table).unwrap().open(context).await.unwrap()
}

async fn next(source: &mut Box<dyn Source>) -> SourceEvent {
    tokio::time::timeout(PATIENCE, source.next()).await.expect("an event in time").unwrap()
}

async fn open_error(table: &TableDefinition) -> nowcast_engine::Error {
    match registry().source(table) {
        Ok(factory) => factory.open(at(&[])).await.err().expect("it cannot be opened"),
        Err(error) => error,
    }
}

/// All rows of a bounded read by split, and the dead letters.
async fn drain(
    source: &mut Box<dyn Source>,
) -> (BTreeMap<String, Vec<RecordBatch>>, Vec<DeadLetter>) {
    let (mut rows, mut letters, mut finished) = (BTreeMap::new(), vec![], 0);
    loop {
        match next(source).await {
            SourceEvent::Rows { split, rows: batch, rejected, .. } => {
                let batches: &mut Vec<RecordBatch> = rows.entry(split.to_string()).or_default();
                batches.push(batch);
                letters.extend(rejected);
            }
            SourceEvent::Finished { .. } => finished += 1,
            SourceEvent::Idle { .. } => panic!("idle in a bounded read"),
            SourceEvent::End => {
                assert_eq!(finished, source.splits().len());
                return (rows, letters);
            }
        }
    }
}

fn numbers(batches: &[RecordBatch]) -> Vec<i64> {
    let values = batches.iter().map(|batch| batch.column(0).as_primitive::<Int64Type>().values());
    values.flat_map(|values| values.iter().copied()).collect()
}

async fn drained(table: &TableDefinition) -> Vec<i64> {
    let (rows, letters) = drain(&mut open(table, at(&[])).await).await;
    assert_eq!(letters, []);
    numbers(&rows.into_values().flatten().collect::<Vec<_>>())
}
