//! Against the broker that `NOWCAST_KAFKA` names (`127.0.0.1:9092`); librdkafka's own clients produce
//! and consume beside ours.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit, TimestampMillisecondType};
use futures::FutureExt as _;
use nowcast_engine::{
    Batch, ChangelogMode, Connectors, DeadLetter, ErrorKind, MetadataColumn, Position, SinkContext,
    Source, SourceContext, SourceEvent, TableDefinition,
};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::registry::{Environment, Registry};

/// No answer for so long is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// A topic of its own for a test, on a real broker.
struct Topic {
    name: String,
    bootstrap: String,
    producer: FutureProducer,
}

/// One message to produce: partition, key, value, timestamp.
type Line<'a> = (i32, Option<&'a str>, Option<&'a str>, Option<i64>);

impl Topic {
    async fn new(test: &str, partitions: i32) -> Option<Self> {
        let Ok(bootstrap) = std::env::var("NOWCAST_KAFKA") else {
            println!("skipped: NOWCAST_KAFKA names no broker");
            return None;
        };
        let name = format!("nowcast-{test}-{}", std::process::id());
        let config = config(&bootstrap);
        let new = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        let made = admin(&bootstrap).create_topics([&new], &AdminOptions::new()).await.unwrap();
        made.into_iter().for_each(|made| drop(made.unwrap()));
        Some(Self { name, producer: config.create().unwrap(), bootstrap })
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
        table(&self.name, &self.bootstrap, fields, options)
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_messages_are_set_aside_and_their_neighbours_kept() {
    let Some(topic) = Topic::new("bad", 1).await else { return };
    topic
        .produce(&[
            (0, None, Some("{\"n\":1}"), Some(5)),
            (0, None, Some("{\"n\":"), Some(6)),
            (0, None, None, Some(7)),
            (0, None, Some("{\"n\":\"x\"}"), Some(8)),
            (0, None, Some("{\"n\":2}"), Some(9)),
        ])
        .await;
    let mut source = open(&topic.counted(&[]), at(&[])).await;
    let (rows, letters) = drain(&mut source).await;
    let split = format!("{}/0", topic.name);
    assert_eq!(numbers(&rows[&split]), [1, 2]);
    let letter = |offset: i64, error: &str, raw: &str| DeadLetter {
        stage: "events".into(),
        topic: Some(topic.name.clone()),
        partition: Some(0),
        offset: Some(offset),
        timestamp: Some(5 + offset),
        error: error.into(),
        raw: raw.into(),
    };
    let malformed = "malformed json: EOF while parsing a value at line 1 column 5";
    assert_eq!(
        letters,
        [
            letter(1, malformed, "{\"n\":"),
            letter(3, "field \"n\": \"x\" is no BIGINT", "{\"n\":\"x\"}")
        ]
    );
    assert_eq!(source.positions(), [Position { split, offset: 5 }]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_sink_writes_others_read_and_the_source_too() {
    let Some(topic) = Topic::new("roundtrip", 3).await else { return };
    let fields =
        || vec![Field::new("id", DataType::Int64, false), Field::new("name", DataType::Utf8, true)];
    let options = [
        ("key.format", "raw"),
        ("key.fields", "name"),
        ("value.format", "json"),
        ("scan.startup.mode", "earliest-offset"),
        ("scan.bounded.mode", "latest-offset"),
    ];
    let stamp = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let table = with_metadata(
        topic.table(fields(), &options),
        &[("partition", DataType::Int32, true), ("timestamp", stamp, false)],
    );
    let mut sink = registry().sink(&table).unwrap().open(SinkContext::alone("test")).await.unwrap();
    let count = 5_000;
    // As the planner hands it over: without the VIRTUAL column.
    let written =
        Schema::new(vec![fields()[0].clone(), fields()[1].clone(), table.schema.field(3).clone()]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new((0..count).collect::<Int64Array>()),
        Arc::new((0..count).map(|n| Some(format!("name {}", n % 50))).collect::<StringArray>()),
        Arc::new(
            (0..count)
                .map(|n| Some(1_000 * n + 1))
                .collect::<arrow::array::TimestampMillisecondArray>()
                .with_timezone("UTC"),
        ),
    ];
    let rows = RecordBatch::try_new(Arc::new(written), columns).unwrap();
    let mut rejected = vec![];
    sink.write(&Batch::new(rows), &mut rejected).await.unwrap();
    sink.flush().await.unwrap();
    assert_eq!(rejected, []);

    // librdkafka's consumer as the judge.
    let consumer: BaseConsumer = config(&topic.bootstrap).create().unwrap();
    let mut list = TopicPartitionList::new();
    (0..3).for_each(|p| list.add_partition_offset(&topic.name, p, Offset::Beginning).unwrap());
    consumer.assign(&list).unwrap();
    let mut partition_of = BTreeMap::new();
    for _ in 0..count {
        let message = consumer.poll(PATIENCE).expect("a message in time").unwrap();
        let value: serde_json::Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
        let key = std::str::from_utf8(message.key().unwrap()).unwrap().to_owned();
        assert_eq!(value["name"], key);
        assert_eq!(value.as_object().unwrap().len(), 2);
        let id = value["id"].as_i64().unwrap();
        assert_eq!(message.timestamp().to_millis(), Some(1_000 * id + 1));
        let partition = *partition_of.entry(key).or_insert(message.partition());
        assert_eq!(partition, message.partition(), "a key has one partition");
    }
    // Java's clients put them there: murmur2 of the key.
    assert_eq!(partition_of["name 0"], (murmur2(b"name 0") & 0x7fff_ffff) as i32 % 3);
    assert_eq!(partition_of["name 7"], (murmur2(b"name 7") & 0x7fff_ffff) as i32 % 3);

    // Two workers share the partitions.
    let mut ids = vec![];
    for worker in 0..2 {
        let context = SourceContext { worker, workers: 2, ..at(&[]) };
        let mut source = open(&table, context).await;
        assert_eq!(source.splits().len(), [2, 1][worker]);
        let (rows, letters) = drain(&mut source).await;
        assert_eq!(letters, []);
        for (split, batches) in rows {
            for batch in batches {
                let batch_ids = batch.column(0).as_primitive::<Int64Type>();
                let partitions = batch.column(2).as_primitive::<arrow::datatypes::Int32Type>();
                let times = batch.column(3).as_primitive::<TimestampMillisecondType>();
                for row in 0..batch.num_rows() {
                    assert_eq!(
                        batch.column(1).as_string::<i32>().value(row),
                        format!("name {}", batch_ids.value(row) % 50)
                    );
                    assert!(split.ends_with(&format!("/{}", partitions.value(row))));
                    assert_eq!(times.value(row), 1_000 * batch_ids.value(row) + 1);
                }
                ids.extend_from_slice(batch_ids.values());
            }
        }
    }
    ids.sort_unstable();
    assert_eq!(ids, (0..count).collect::<Vec<_>>());
}

/// MurmurHash2 with the seed of Kafka's `Utils.murmur2`.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c_u32 ^ data.len() as u32;
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = u32::from_le_bytes(chunk.try_into().unwrap()).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    for (at, byte) in rest.iter().enumerate().rev() {
        hash ^= u32::from(*byte) << (8 * at);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_goes_on_from_positions_and_a_dropped_future_loses_nothing() {
    let Some(topic) = Topic::new("resume", 2).await else { return };
    topic.count(2, 50).await;
    let table = topic.counted(&[]);
    for stop_after in [0, 1, 7, 20] {
        let mut read: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        let mut take = |event: SourceEvent| {
            if let SourceEvent::Rows { split, rows, .. } = event {
                assert!(rows.num_rows() <= 3);
                read.entry(split.to_string()).or_default().extend(numbers(&[rows]));
            }
        };
        let mut source = open(&table, SourceContext { rows_max: 3, ..at(&[]) }).await;
        for _ in 0..stop_after {
            // Futures that are dropped before they are ready.
            for _ in 0..100 {
                if let Some(event) = source.next().now_or_never() {
                    take(event.unwrap());
                }
            }
            take(next(&mut source).await);
        }
        let positions = source.positions();
        drop(source);
        // The rest on two workers.
        for worker in 0..2 {
            let context = SourceContext { worker, workers: 2, rows_max: 3, ..at(&positions) };
            let mut source = open(&table, context).await;
            loop {
                match next(&mut source).await {
                    SourceEvent::End => break,
                    event => take(event),
                }
            }
        }
        for partition in 0..2 {
            let read = &read[&format!("{}/{partition}", topic.name)];
            assert_eq!(*read, (0..50).collect::<Vec<_>>(), "after {stop_after}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn startup_and_bounded_modes() {
    let Some(topic) = Topic::new("modes", 1).await else { return };
    topic.count(1, 10).await;
    type Case<'a> = (&'a [(&'a str, &'a str)], std::ops::Range<i64>);
    let cases: [Case<'_>; 7] = [
        (&[], 0..10),
        (&[("scan.startup.mode", "latest-offset")], 0..0),
        (&[("scan.startup.mode", "timestamp"), ("scan.startup.timestamp-millis", "3000")], 3..10),
        (&[("scan.startup.mode", "timestamp"), ("scan.startup.timestamp-millis", "99999")], 0..0),
        (
            &[
                ("scan.startup.mode", "specific-offsets"),
                ("scan.startup.specific-offsets", "partition:0,offset:8"),
            ],
            8..10,
        ),
        (&[("scan.bounded.mode", "timestamp"), ("scan.bounded.timestamp-millis", "2500")], 0..3),
        (
            &[
                ("scan.bounded.mode", "specific-offsets"),
                ("scan.bounded.specific-offsets", "partition:0,offset:4"),
            ],
            0..4,
        ),
    ];
    for (options, expected) in cases {
        let read = drained(&topic.counted(options)).await;
        assert_eq!(read, expected.collect::<Vec<_>>(), "{options:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_is_yet_to_come_is_waited_for() {
    let Some(topic) = Topic::new("ahead", 1).await else { return };
    topic.count(1, 2).await;
    let table = topic.counted(&[
        ("scan.bounded.mode", "specific-offsets"),
        ("scan.bounded.specific-offsets", "partition:0,offset:3"),
    ]);
    let mut source = open(&table, at(&[])).await;
    let mut read = vec![];
    while read.len() < 2 {
        match next(&mut source).await {
            SourceEvent::Rows { rows, .. } => read.extend(numbers(&[rows])),
            other => panic!("{other:?}"),
        }
    }
    topic.count(1, 2).await;
    let (rows, _) = drain(&mut source).await;
    read.extend(numbers(&rows.into_values().next().unwrap()));
    assert_eq!(read, [0, 1, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_reads_on_from_its_commits() {
    let Some(topic) = Topic::new("group", 1).await else { return };
    topic.count(1, 10).await;
    let group = format!("group-{}", topic.name);
    let options = [("scan.startup.mode", "group-offsets"), ("properties.group.id", group.as_str())];
    let table = topic.counted(&options);
    let error = open_error(&table).await.to_string();
    assert!(error.contains("has no offset for partition 0"), "{error}");
    let reset = [&options[..], &[("properties.auto.offset.reset", "earliest")]].concat();
    let mut source = open(&topic.counted(&reset), SourceContext { rows_max: 4, ..at(&[]) }).await;
    let SourceEvent::Rows { rows, .. } = next(&mut source).await else { panic!("rows come first") };
    source.commit(1, &source.positions());
    // The commit is on its way; the judge sees it arrive.
    let consumer: BaseConsumer = config(&topic.bootstrap).set("group.id", &group).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition(&topic.name, 0);
    loop {
        let committed = consumer.committed_offsets(list.clone(), PATIENCE).unwrap();
        let offset = committed.elements()[0].offset();
        if offset != Offset::Invalid {
            assert_eq!(offset, Offset::Offset(rows.num_rows() as i64));
            break;
        }
    }
    let first = numbers(&[rows]);
    drop(source);
    let rest = drained(&table).await;
    assert_eq!([first, rest].concat(), (0..10).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quiet_partitions_are_idle_once_until_they_speak() {
    let Some(topic) = Topic::new("idle", 2).await else { return };
    let table = topic
        .counted(&[("scan.bounded.mode", "unbounded"), ("scan.watermark.idle-timeout", "50 ms")]);
    let mut source = open(&table, at(&[])).await;
    let mut idle = vec![];
    for _ in 0..2 {
        match next(&mut source).await {
            SourceEvent::Idle { split } => idle.push(split.to_string()),
            other => panic!("{other:?}"),
        }
    }
    idle.sort_unstable();
    assert_eq!(idle, [format!("{}/0", topic.name), format!("{}/1", topic.name)]);
    for round in 0..2 {
        topic.produce(&[(1, None, Some("{\"n\":1}"), None)]).await;
        match next(&mut source).await {
            SourceEvent::Rows { split, rows, .. } => {
                assert_eq!((&*split, rows.num_rows()), (idle[1].as_str(), 1), "round {round}");
            }
            other => panic!("{other:?}"),
        }
        match next(&mut source).await {
            SourceEvent::Idle { split } => assert_eq!(*split, idle[1]),
            other => panic!("{other:?}"),
        }
    }
    // An instance without partitions says nothing.
    let mut none = open(&table, SourceContext { worker: 2, workers: 3, ..at(&[]) }).await;
    assert!(none.splits().is_empty());
    assert!(none.next().now_or_never().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_topics_are_one_table() {
    let Some(one) = Topic::new("several-a", 2).await else { return };
    let Some(two) = Topic::new("several-b", 2).await else { return };
    one.count(2, 5).await;
    two.count(1, 5).await;
    let mut table = one.counted(&[]);
    table.options.insert("topic".into(), format!("{};{}", one.name, two.name));
    let (rows, _) = drain(&mut open(&table, at(&[])).await).await;
    assert_eq!(rows.len(), 3);
    assert!(rows.values().all(|batches| numbers(batches) == [0, 1, 2, 3, 4]));
    // Unbounded, each of them becomes idle.
    table.options.insert("scan.bounded.mode".into(), "unbounded".into());
    table.options.insert("scan.watermark.idle-timeout".into(), "50 ms".into());
    let mut source = open(&table, at(&[])).await;
    let mut idle = std::collections::BTreeSet::new();
    while idle.len() < 4 {
        if let SourceEvent::Idle { split } = next(&mut source).await {
            assert!(idle.insert(split.to_string()), "{split} twice");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_that_are_gone_are_left_for_the_earliest() {
    let Some(topic) = Topic::new("gone", 1).await else { return };
    topic.count(1, 10).await;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic.name, 0, Offset::Offset(6)).unwrap();
    admin(&topic.bootstrap).delete_records(&list, &AdminOptions::new()).await.unwrap();
    let positions = [Position { split: format!("{}/0", topic.name), offset: 2 }];
    let (rows, _) = drain(&mut open(&topic.counted(&[]), at(&positions)).await).await;
    assert_eq!(numbers(&rows.into_values().next().unwrap()), [6, 7, 8, 9]);
    let strict = topic.counted(&[("properties.auto.offset.reset", "none")]);
    let error = registry().source(&strict).unwrap().open(at(&positions)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::User);
    assert!(error.to_string().contains("offset 2 is gone, there are 6 to 10"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_and_keys_are_columns() {
    let Some(topic) = Topic::new("metadata", 1).await else { return };
    let mut record = FutureRecord::to(&topic.name).partition(0).timestamp(1_234);
    record = record.key("{\"id\":7}").payload("{\"name\":\"x\",\"id\":8}");
    let header = Header { key: "trace", value: Some(&[1_u8, 2][..]) };
    let headers =
        OwnedHeaders::new().insert(header).insert(Header::<&[u8]> { key: "none", value: None });
    topic.producer.send(record.headers(headers), PATIENCE).await.unwrap();
    topic.produce(&[(0, None, Some("{\"name\":\"y\"}"), Some(1_235))]).await;
    topic.produce(&[(0, Some("{"), Some("{\"name\":\"z\"}"), Some(1_236))]).await;
    let pair = DataType::Struct(
        vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Binary, true)]
            .into(),
    );
    let map = DataType::Map(Arc::new(Field::new("entries", pair, false)), false);
    let options = [
        ("key.format", "json"),
        ("key.fields", "k_id"),
        ("key.fields-prefix", "k_"),
        ("value.format", "json"),
        ("value.fields-include", "EXCEPT_KEY"),
        ("scan.startup.mode", "earliest-offset"),
        ("scan.bounded.mode", "latest-offset"),
    ];
    let fields =
        vec![Field::new("name", DataType::Utf8, true), Field::new("k_id", DataType::Int64, true)];
    let table = with_metadata(
        topic.table(fields, &options),
        &[
            ("topic", DataType::Utf8, true),
            ("partition", DataType::Int64, true),
            ("offset", DataType::Int64, true),
            ("timestamp", DataType::Timestamp(TimeUnit::Millisecond, None), true),
            ("timestamp-type", DataType::Utf8, true),
            ("headers", map, false),
        ],
    );
    let (rows, letters) = drain(&mut open(&table, at(&[])).await).await;
    assert_eq!(letters.len(), 1);
    assert!(letters[0].error.starts_with("key: malformed json"), "{}", letters[0].error);
    assert_eq!(letters[0].offset, Some(2));
    let batches: Vec<_> = rows.into_values().flatten().collect();
    let rows = arrow::compute::concat_batches(&table.schema, &batches).unwrap();
    let fields: Vec<_> = table.schema.fields().iter().cloned().collect();
    let json = crate::format::Format::Json(Default::default());
    let encoded = json.encoder(&fields).unwrap().encode(rows.columns(), None).unwrap();
    let lines: Vec<_> = encoded.rows().map(|row| std::str::from_utf8(row).unwrap()).collect();
    let name = &topic.name;
    assert_eq!(
        lines,
        [
            format!(
                r#"{{"name":"x","k_id":7,"topic":"{name}","partition":0,"offset":0,"timestamp":"1970-01-01 00:00:01.234","timestamp-type":"CreateTime","headers":{{"trace":"AQI=","none":null}}}}"#
            ),
            format!(
                r#"{{"name":"y","k_id":null,"topic":"{name}","partition":0,"offset":1,"timestamp":"1970-01-01 00:00:01.235","timestamp-type":"CreateTime","headers":{{}}}}"#
            ),
        ]
    );

    // And back: headers are written as they were read.
    let mut sink = registry().sink(&table).unwrap().open(SinkContext::alone("test")).await.unwrap();
    sink.write(&Batch::new(rows.slice(0, 1)), &mut vec![]).await.unwrap();
    sink.flush().await.unwrap();
    let consumer: BaseConsumer = config(&topic.bootstrap).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic.name, 0, Offset::Offset(3)).unwrap();
    consumer.assign(&list).unwrap();
    let message = consumer.poll(PATIENCE).expect("a message in time").unwrap();
    assert_eq!(message.key(), Some(&b"{\"id\":7}"[..]));
    assert_eq!(message.payload(), Some(&b"{\"name\":\"x\"}"[..]));
    let headers: Vec<_> = message.headers().unwrap().iter().map(|h| (h.key, h.value)).collect();
    assert_eq!(headers, [("trace", Some(&[1_u8, 2][..])), ("none", None)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_topics_and_properties_are_named() {
    let Some(topic) = Topic::new("named", 1).await else { return };
    let mut table = topic.counted(&[]);
    table.options.insert("topic".into(), topic.name.replace("named", "nemad"));
    let error = open_error(&table).await;
    assert_eq!(error.kind(), ErrorKind::User);
    let expected = format!("does not exist; did you mean \"{}\"?", topic.name);
    assert!(error.to_string().ends_with(&expected), "{error}");
    let sunk = registry().sink(&table).unwrap();
    let context = SinkContext::alone("test");
    assert!(sunk.open(context).await.err().unwrap().to_string().contains("does not exist"));
    let error =
        open_error(&topic.counted(&[("properties.fetch.min.bites", "1")])).await.to_string();
    assert!(
        error.starts_with("table \"events\": option \"properties.fetch.min.bites\""),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_broker_is_named() {
    let fields = || vec![Field::new("n", DataType::Int64, true)];
    let table =
        table("clicks", "127.0.0.1:1", fields(), &[("scan.startup.mode", "earliest-offset")]);
    let error = open_error(&table).await;
    assert_eq!(error.kind(), ErrorKind::Outside);
    let message = error.to_string();
    let expected = "kafka topic \"clicks\": broker 127.0.0.1:1 unreachable: connect to ";
    assert!(message.starts_with(expected), "{message}");
    assert!(message.ends_with("connection refused"), "{message}");
}

#[tokio::test]
async fn what_cannot_work_is_said_before_it_starts() {
    let fields = || vec![Field::new("n", DataType::Int64, true)];
    let start = ("scan.startup.mode", "earliest-offset");
    let refused = |options: &[(&str, &str)]| {
        let table = table("clicks", "embedded", fields(), options);
        let environment =
            Environment { embedded_bootstrap: Some("127.0.0.1:1".into()), ..Default::default() };
        Registry::new(environment).source(&table).err().expect("a refusal").to_string()
    };
    for (options, expected) in [
        (vec![start, ("formt", "json")], "unknown option \"formt\"; did you mean \"format\"?"),
        (
            vec![start, ("format", "jsn")],
            "option \"format\" is one of json, csv, raw, debezium-json, canal-json, maxwell-json, ogg-json, avro, avro-confluent, protobuf, not \"jsn\"",
        ),
        (vec![start, ("json.ignore", "x")], "unknown option \"json.ignore\""),
        (vec![("scan.startup.mode", "begin")], "option \"scan.startup.mode\" is one of"),
        (vec![("scan.startup.mode", "timestamp")], "\"scan.startup.timestamp-millis\" is missing"),
        (vec![], "properties.group.id"),
        (vec![start, ("key.fields", "n")], "\"key.fields\" needs \"key.format\""),
        (vec![start, ("key.fields", "m"), ("key.format", "raw")], "unknown column \"m\""),
        (
            vec![
                ("scan.startup.mode", "specific-offsets"),
                ("scan.startup.specific-offsets", "0:1"),
            ],
            "partition:0,offset:42",
        ),
    ] {
        let message = refused(&options);
        assert!(message.starts_with("table \"events\": "), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    let table = table("clicks", "embedded", fields(), &[start]);
    let without = registry().source(&table).err().unwrap().to_string();
    assert!(without.contains("no embedded broker"), "{without}");
    let odd = with_metadata(table, &[("ofset", DataType::Int64, true)]);
    let environment = Environment { embedded_bootstrap: Some("x:1".into()), ..Default::default() };
    let message = Registry::new(environment.clone()).source(&odd).err().unwrap().to_string();
    assert!(message.contains("no metadata \"ofset\"; did you mean \"offset\"?"), "{message}");
    let mut wrong = odd;
    wrong.metadata[0].key = "headers".into();
    let message = Registry::new(environment).source(&wrong).err().unwrap().to_string();
    assert!(message.contains("cannot hold the metadata \"headers\""), "{message}");
}

async fn open_sink(table: &TableDefinition) -> Box<dyn nowcast_engine::Sink> {
    let context = SinkContext::alone("test");
    registry().sink(table).unwrap().open(context).await.unwrap()
}

fn pairs(schema: &arrow::datatypes::SchemaRef, rows: &[(i64, Option<&str>, i64)]) -> Batch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.1).collect::<StringArray>()),
    ];
    let weights = rows.iter().map(|row| row.2).collect::<Int64Array>();
    let rows = RecordBatch::try_new(Arc::clone(schema), columns).unwrap();
    Batch::new(rows).with_weights(Some(weights))
}

/// The messages of partition 0, as librdkafka's consumer sees them.
fn messages(topic: &Topic, count: usize) -> Vec<(Option<String>, Option<String>)> {
    let consumer: BaseConsumer = config(&topic.bootstrap).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic.name, 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8(bytes.into()).unwrap());
    let next = |_| {
        let message = consumer.poll(PATIENCE).expect("a message in time").unwrap();
        (text(message.key()), text(message.payload()))
    };
    (0..count).map(next).collect()
}

async fn changes(table: &TableDefinition) -> Vec<String> {
    let mut source = open(table, at(&[])).await;
    let mut changes = vec![];
    loop {
        match next(&mut source).await {
            SourceEvent::Rows { rows, weights, rejected, .. } => {
                assert_eq!(rejected, []);
                let weights = weights.expect("changes have weights");
                let ids = rows.column(0).as_primitive::<Int64Type>();
                let names = rows.column(1).as_string::<i32>();
                for row in 0..rows.num_rows() {
                    let name = names.iter().nth(row).unwrap().unwrap_or("null");
                    changes.push(format!("{:+} {} {name}", weights.value(row), ids.value(row)));
                }
            }
            SourceEvent::End => return changes,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upsert_topic_has_one_message_a_key_and_flush() {
    let Some(topic) = Topic::new("upsert", 1).await else { return };
    let fields =
        || vec![Field::new("id", DataType::Int64, false), Field::new("v", DataType::Utf8, true)];
    let bounded = ("scan.bounded.mode", "latest-offset");
    let table = upsert_table(&topic, fields(), &[bounded]);
    let factory = registry().sink(&table).unwrap();
    assert_eq!(factory.changelog_mode(), ChangelogMode::Upsert);
    let mut sink = open_sink(&table).await;
    let mut rejected = vec![];
    let mut write = async |rows: &[(i64, Option<&str>, i64)]| {
        sink.write(&pairs(&table.schema, rows), &mut rejected).await.unwrap();
        sink.flush().await.unwrap();
    };
    write(&[(1, Some("a"), 1), (2, Some("b"), 1), (1, Some("a"), -1), (1, Some("A"), 1)]).await;
    write(&[(2, Some("b"), -1), (3, None, 1)]).await;
    assert_eq!(rejected, []);
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        messages(&topic, 4),
        [
            (text(r#"{"id":1}"#), text(r#"{"id":1,"v":"A"}"#)),
            (text(r#"{"id":2}"#), text(r#"{"id":2,"v":"b"}"#)),
            (text(r#"{"id":2}"#), None),
            (text(r#"{"id":3}"#), text(r#"{"id":3,"v":null}"#)),
        ]
    );
    let source = registry().source(&table).unwrap();
    assert_eq!(source.changelog_mode(), ChangelogMode::Upsert);
    let expected = ["+1 1 A", "+1 2 b", "-1 2 null", "+1 3 null"];
    assert_eq!(changes(&table).await, expected);
    // A value column that is NOT NULL holds something in a delete, which nobody reads.
    let strict =
        vec![Field::new("id", DataType::Int64, false), Field::new("v", DataType::Utf8, false)];
    let (rows, letters) =
        drain(&mut open(&upsert_table(&topic, strict, &[bounded]), at(&[])).await).await;
    assert_eq!(
        (numbers(&rows.into_values().flatten().collect::<Vec<_>>()), letters.len()),
        (vec![1, 2, 2], 1)
    );
    // Messages without a key are set aside.
    topic.produce(&[(0, None, Some(r#"{"id":9}"#), None), (0, Some("{"), None, None)]).await;
    let (_, letters) = drain(&mut open(&table, at(&[])).await).await;
    let errors: Vec<_> = letters.iter().map(|letter| letter.error.as_str()).collect();
    assert_eq!(errors[0], "key: is missing");
    assert!(errors[1].starts_with("key: malformed json"), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upsert_key_may_have_a_prefix_and_leave_the_value() {
    let Some(topic) = Topic::new("upsert-prefix", 1).await else { return };
    let fields =
        vec![Field::new("k_id", DataType::Int64, false), Field::new("v", DataType::Utf8, true)];
    let options = [
        ("key.format", "csv"),
        ("value.format", "csv"),
        ("key.fields-prefix", "k_"),
        ("value.fields-include", "EXCEPT_KEY"),
        ("scan.bounded.mode", "latest-offset"),
        ("sink.buffer-flush.max-rows", "2"),
        ("sink.buffer-flush.interval", "1 s"),
        ("sink.parallelism", "1"),
    ];
    let table = upsert_table(&topic, fields, &options);
    let mut sink = open_sink(&table).await;
    // Full after the second key: no flush is needed.
    let rows = pairs(&table.schema, &[(1, Some("a"), 1), (2, Some("b"), 1), (1, None, -1)]);
    sink.write(&rows, &mut vec![]).await.unwrap();
    let text = |text: &str| Some(text.to_owned());
    let full = [(text("1"), text("a")), (text("2"), text("b"))];
    assert_eq!(messages(&topic, 2), full);
    sink.flush().await.unwrap();
    assert_eq!(messages(&topic, 3)[2], (text("1"), None));
    assert_eq!(changes(&table).await, ["+1 1 a", "+1 2 b", "-1 1 null"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changelog_format_makes_a_kafka_table_a_changelog() {
    let Some(topic) = Topic::new("debezium", 1).await else { return };
    let fields =
        vec![Field::new("id", DataType::Int64, true), Field::new("v", DataType::Utf8, true)];
    let options = [
        ("format", "debezium-json"),
        ("scan.startup.mode", "earliest-offset"),
        ("scan.bounded.mode", "latest-offset"),
    ];
    let offset = [("offset", DataType::Int64, true)];
    let table = with_metadata(topic.table(fields, &options), &offset);
    assert_eq!(registry().sink(&table).unwrap().changelog_mode(), ChangelogMode::Retract);
    let update = r#"{"before":{"id":1,"v":"a"},"after":{"id":1,"v":"b"},"op":"u"}"#;
    topic.produce(&[(0, None, Some(update), None), (0, None, None, None)]).await;
    assert_eq!(changes(&table).await, ["-1 1 a", "+1 1 b"]);
    let (rows, _) = drain(&mut open(&table, at(&[])).await).await;
    let offsets = rows[&format!("{}/0", topic.name)][0].column(2).clone();
    assert_eq!(offsets.as_primitive::<Int64Type>().values(), &[0, 0]);
    let mut sink = open_sink(&table).await;
    let schema = Arc::new(table.schema.project(&[0, 1]).unwrap());
    sink.write(&pairs(&schema, &[(1, Some("b"), -1)]), &mut vec![]).await.unwrap();
    sink.flush().await.unwrap();
    let delete = r#"{"before":{"id":1,"v":"b"},"after":null,"op":"d"}"#;
    assert_eq!(messages(&topic, 3)[2].1.as_deref(), Some(delete));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_partitions_and_topics_are_found_while_reading() {
    let Some(topic) = Topic::new("found", 1).await else { return };
    let options =
        [("scan.bounded.mode", "unbounded"), ("scan.topic-partition-discovery.interval", "20 ms")];
    let mut table = topic.counted(&options);
    table.options.remove("topic");
    table.options.insert("topic-pattern".into(), topic.name.replace("found", "found(-too)?"));
    let mut source = open(&table, at(&[])).await;
    topic.count(1, 2).await;
    let mut read = BTreeMap::<String, Vec<i64>>::new();
    let mut until = async |source: &mut Box<dyn Source>, split: String, count: usize| {
        while read.get(&split).is_none_or(|rows| rows.len() < count) {
            if let SourceEvent::Rows { split, rows, .. } = next(source).await {
                read.entry(split.to_string()).or_default().extend(numbers(&[rows]));
            }
        }
        read[&split].clone()
    };
    assert_eq!(until(&mut source, format!("{}/0", topic.name), 2).await, [0, 1]);
    let more = rdkafka::admin::NewPartitions::new(&topic.name, 2);
    let made = admin(&topic.bootstrap).create_partitions([&more], &AdminOptions::new()).await;
    made.unwrap().into_iter().for_each(|made| drop(made.unwrap()));
    let line = |partition| (partition, None, Some("{\"n\":7}"), None);
    // The producer learns of the partition when it next asks.
    let producer: FutureProducer = config(&topic.bootstrap).create().unwrap();
    let two = Topic { name: topic.name.clone(), bootstrap: topic.bootstrap.clone(), producer };
    two.produce(&[line(1)]).await;
    assert_eq!(until(&mut source, format!("{}/1", topic.name), 1).await, [7]);
    let Some(other) = Topic::new("found-too", 1).await else { return };
    other.produce(&[line(0)]).await;
    assert_eq!(until(&mut source, format!("{}/0", other.name), 1).await, [7]);
    let of = |split: String| source.positions().into_iter().find(|at| at.split == split);
    assert_eq!(of(format!("{}/1", topic.name)).unwrap().offset, 1);
    assert_eq!(of(format!("{}/0", other.name)).unwrap().offset, 1);
}
