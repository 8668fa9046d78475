//! Against [`Double`], a cluster in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, TimeUnit};
use fluvio::config::ConfigFile;
use fluvio::{Compression, FluvioClusterConfig};
use nowcast_engine::{
    Batch, Connectors, DeadLetter, ErrorKind, MetadataColumn, Position, Sink, SinkContext, Source,
    SourceContext, SourceEvent, TableDefinition,
};

use super::client::of_profile;
use super::double::{Double, WRITTEN};
use super::options::FluvioOptions;
use crate::registry::{Environment, Registry};

/// No answer for so long is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

fn table(double: &Double, fields: Vec<Field>, options: &[(&str, &str)]) -> TableDefinition {
    let mut all: BTreeMap<String, String> =
        options.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    all.insert("connector".into(), "fluvio".into());
    all.entry("topic".into()).or_insert("clicks".into());
    all.entry("endpoint".into()).or_insert(double.endpoint());
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

const BOUNDED: (&str, &str) = ("scan.bounded.mode", "latest-offset");

/// `n BIGINT`.
fn counted(double: &Double, options: &[(&str, &str)]) -> TableDefinition {
    table(double, vec![Field::new("n", DataType::Int64, true)], options)
}

fn with_metadata(mut table: TableDefinition, columns: &[(&str, DataType)]) -> TableDefinition {
    let mut fields: Vec<_> = table.schema.fields().iter().cloned().collect();
    for (key, ty) in columns {
        let (column, key) = (fields.len(), (*key).to_owned());
        fields.push(Arc::new(Field::new(&key, ty.clone(), true)));
        table.metadata.push(MetadataColumn { column, key, is_virtual: true });
    }
    table.schema = Arc::new(Schema::new(fields));
    table
}

fn registry() -> Registry {
    Registry::new(Environment::default())
}

fn at(positions: &[(&str, i64)]) -> SourceContext {
    let position =
        |(split, offset): &(&str, i64)| Position { split: (*split).into(), offset: *offset };
    SourceContext {
        worker: 0,
        workers: 1,
        positions: positions.iter().map(position).collect(),
        rows_max: 1_000,
        idle_timeout: None,
    }
}

async fn open(table: &TableDefinition, context: SourceContext) -> Box<dyn Source> {
    registry().source(table).unwrap().open(context).await.unwrap()
}

async fn open_error(table: &TableDefinition) -> nowcast_engine::Error {
    match registry().source(table) {
        Ok(factory) => factory.open(at(&[])).await.err().expect("it cannot be opened"),
        Err(error) => error,
    }
}

async fn open_sink(table: &TableDefinition) -> Box<dyn Sink> {
    let context = SinkContext::alone("job");
    registry().sink(table).unwrap().open(context).await.unwrap()
}

async fn next(source: &mut Box<dyn Source>) -> SourceEvent {
    tokio::time::timeout(PATIENCE, source.next()).await.expect("an event in time").unwrap()
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

/// The numbers of each split of a bounded read.
async fn drained(table: &TableDefinition, context: SourceContext) -> BTreeMap<String, Vec<i64>> {
    let (rows, letters) = drain(&mut open(table, context).await).await;
    assert_eq!(letters, []);
    rows.into_iter().map(|(split, batches)| (split, numbers(&batches))).collect()
}

fn by_split(expected: &[(&str, Vec<i64>)]) -> BTreeMap<String, Vec<i64>> {
    expected.iter().map(|(split, numbers)| ((*split).to_owned(), numbers.clone())).collect()
}

/// The next `count` numbers of an unbounded read.
async fn take(source: &mut Box<dyn Source>, count: usize) -> Vec<i64> {
    let mut taken = vec![];
    while taken.len() < count {
        if let SourceEvent::Rows { rows, .. } = next(source).await {
            taken.extend(numbers(&[rows]));
        }
    }
    taken
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bounded_read_gives_all_rows_of_all_partitions() {
    let double = Double::start("clicks", 3).await;
    double.count("clicks", 0, 0..10);
    double.count("clicks", 0, 10..13);
    double.count("clicks", 1, 100..2_500);
    let mut source = open(&counted(&double, &[BOUNDED]), at(&[])).await;
    let (rows, letters) = drain(&mut source).await;
    assert_eq!(letters, []);
    assert_eq!(numbers(&rows["clicks/0"]), Vec::from_iter(0..13));
    assert_eq!(numbers(&rows["clicks/1"]), Vec::from_iter(100..2_500));
    assert!(rows["clicks/1"].iter().all(|batch| batch.num_rows() <= 1_000));
    let position = |split: &str, offset| Position { split: split.into(), offset };
    assert_eq!(
        source.positions(),
        [position("clicks/0", 13), position("clicks/1", 2_400), position("clicks/2", 0)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_goes_on_at_the_checkpoints_positions() {
    let double = Double::start("clicks", 2).await;
    double.count("clicks", 0, 0..10);
    double.count("clicks", 0, 10..20);
    double.count("clicks", 1, 50..60);
    let table = counted(&double, &[BOUNDED, ("scan.startup.mode", "latest-offset")]);
    // In the middle of a batch, and at its end.
    let read = drained(&table, at(&[("clicks/0", 7), ("clicks/1", 10)])).await;
    assert_eq!(read, by_split(&[("clicks/0", (7..20).collect())]));
    // A partition that is new since then is read from its beginning.
    let read = drained(&table, at(&[("clicks/0", 20)])).await;
    assert_eq!(read, by_split(&[("clicks/1", (50..60).collect())]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_begin_and_end_where_options_say() {
    let double = Double::start("clicks", 2).await;
    double.count("clicks", 0, 0..10);
    double.count("clicks", 1, 50..60);
    let table = counted(
        &double,
        &[
            ("scan.startup.mode", "specific-offsets"),
            ("scan.startup.specific-offsets", "partition:0,offset:4"),
            ("scan.bounded.mode", "specific-offsets"),
            ("scan.bounded.specific-offsets", "partition:0,offset:6;partition:1,offset:1"),
        ],
    );
    let read = drained(&table, at(&[])).await;
    assert_eq!(read, by_split(&[("clicks/0", vec![4, 5]), ("clicks/1", vec![50])]));

    let table = counted(&double, &[("scan.startup.mode", "latest-offset")]);
    let mut source = open(&table, at(&[])).await;
    double.count("clicks", 0, 10..12);
    assert_eq!(take(&mut source, 2).await, [10, 11]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_are_gone_are_passed_over() {
    let double = Double::start("clicks", 1).await;
    double.count("clicks", 0, 0..10);
    double.count("clicks", 0, 10..20);
    double.forget("clicks", 0, 10);
    let read = drained(&counted(&double, &[BOUNDED]), at(&[("clicks/0", 3)])).await;
    assert_eq!(read, by_split(&[("clicks/0", (10..20).collect())]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_vanish_before_they_are_read_are_passed_over() {
    let double = Double::start("clicks", 1).await;
    double.count("clicks", 0, 0..10);
    let mut source = open(&counted(&double, &[]), at(&[])).await;
    assert_eq!(take(&mut source, 10).await, Vec::from_iter(0..10));
    double.shrink("clicks", 0);
    assert_eq!(take(&mut source, 5).await, Vec::from_iter(20..25));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_share_the_partitions() {
    let double = Double::start("clicks", 3).await;
    for partition in 0..3 {
        double.count("clicks", partition, 0..2);
    }
    let table = counted(&double, &[BOUNDED]);
    let of_worker = |worker| SourceContext { worker, workers: 2, ..at(&[]) };
    let first = drained(&table, of_worker(0)).await;
    assert_eq!(first, by_split(&[("clicks/0", vec![0, 1]), ("clicks/2", vec![0, 1])]));
    assert_eq!(drained(&table, of_worker(1)).await, by_split(&[("clicks/1", vec![0, 1])]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_records_are_set_aside_and_their_neighbours_kept() {
    let double = Double::start("clicks", 2).await;
    double.write("clicks", 1, &[(None, "{\"n\":1}"), (None, "{\"n\":"), (None, "{\"n\":2}")]);
    let (rows, letters) = drain(&mut open(&counted(&double, &[BOUNDED]), at(&[])).await).await;
    assert_eq!(numbers(&rows["clicks/1"]), [1, 2]);
    let letter = DeadLetter {
        stage: "events".into(),
        topic: Some("clicks".into()),
        partition: Some(1),
        offset: Some(1),
        timestamp: Some(WRITTEN + 1),
        error: "malformed json: EOF while parsing a value at line 1 column 5".into(),
        raw: "{\"n\":".into(),
        ..DeadLetter::default()
    };
    assert_eq!(letters, [letter]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_and_keys_become_columns() {
    let double = Double::start("clicks", 2).await;
    double.write_compressed(
        "clicks",
        1,
        &[(Some("a"), "{\"n\":1}"), (None, "{\"n\":2}")],
        Compression::Gzip,
    );
    let fields =
        vec![Field::new("n", DataType::Int64, true), Field::new("k_user", DataType::Utf8, true)];
    let options = [
        BOUNDED,
        ("key.format", "raw"),
        ("key.fields", "k_user"),
        ("key.fields-prefix", "k_"),
        ("value.format", "json"),
        ("value.fields-include", "EXCEPT_KEY"),
    ];
    let table = with_metadata(
        table(&double, fields, &options),
        &[
            ("topic", DataType::Utf8),
            ("partition", DataType::Int32),
            ("offset", DataType::Int64),
            ("timestamp", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
            ("key", DataType::Binary),
        ],
    );
    let (rows, letters) = drain(&mut open(&table, at(&[])).await).await;
    assert_eq!(letters, []);
    let rows = &rows["clicks/1"][0];
    assert_eq!(numbers(std::slice::from_ref(rows)), [1, 2]);
    let users: Vec<_> = rows.column(1).as_string::<i32>().iter().collect();
    assert_eq!(users, [Some("a"), None]);
    assert_eq!(rows.column(2).as_string::<i32>().value(1), "clicks");
    assert_eq!(rows.column(3).as_primitive::<Int32Type>().values(), &[1, 1]);
    assert_eq!(rows.column(4).as_primitive::<Int64Type>().values(), &[0, 1]);
    let times = nowcast_engine::time::to_millis(rows.column(5)).unwrap();
    assert_eq!(times.values(), &[WRITTEN, WRITTEN + 1]);
    let keys: Vec<_> = rows.column(6).as_binary::<i32>().iter().collect();
    assert_eq!(keys, [Some(b"a".as_slice()), None]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quiet_partitions_become_idle_and_wake_up() {
    let double = Double::start("clicks", 2).await;
    let table = counted(&double, &[("scan.watermark.idle-timeout", "20 ms")]);
    let mut source = open(&table, at(&[])).await;
    let mut idle = vec![];
    while idle.len() < 2 {
        match next(&mut source).await {
            SourceEvent::Idle { split } => idle.push(split.to_string()),
            other => panic!("{other:?}"),
        }
    }
    idle.sort();
    assert_eq!(idle, ["clicks/0", "clicks/1"]);
    double.count("clicks", 1, 0..1);
    assert_eq!(take(&mut source, 1).await, [0]);
    let again = next(&mut source).await;
    assert!(matches!(again, SourceEvent::Idle { split } if &*split == "clicks/1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_partitions_are_found_while_reading() {
    let double = Double::start("clicks", 1).await;
    let options = [
        ("scan.topic-partition-discovery.interval", "10 ms"),
        ("scan.startup.mode", "latest-offset"),
    ];
    let mut source = open(&counted(&double, &options), at(&[])).await;
    double.add_partition("clicks");
    double.count("clicks", 1, 7..9);
    assert_eq!(take(&mut source, 2).await, [7, 8]);
    let position = |split: &str, offset| Position { split: split.into(), offset };
    assert_eq!(source.positions(), [position("clicks/0", 0), position("clicks/1", 2)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_comes_back_is_read_on() {
    let mut double = Double::start("clicks", 2).await;
    double.count("clicks", 0, 0..10);
    let mut source = open(&counted(&double, &[]), at(&[])).await;
    assert_eq!(take(&mut source, 10).await, Vec::from_iter(0..10));
    double.stop().await;
    double.count("clicks", 0, 10..20);
    double.restart().await;
    assert_eq!(take(&mut source, 10).await, Vec::from_iter(10..20));
    double.count("clicks", 1, 30..31);
    assert_eq!(take(&mut source, 1).await, [30]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_dies_without_a_word_is_asked_for_anew() {
    let double = Double::start("clicks", 1).await;
    double.count("clicks", 0, 0..10);
    let options = [("scan.topic-partition-discovery.interval", "10 ms")];
    let mut source = open(&counted(&double, &options), at(&[])).await;
    assert_eq!(take(&mut source, 10).await, Vec::from_iter(0..10));
    double.mute();
    double.count("clicks", 0, 10..20);
    assert_eq!(take(&mut source, 10).await, Vec::from_iter(10..20));
}

fn users(rows: &[(i64, Option<&str>)]) -> Batch {
    let ids = Int64Array::from_iter_values(rows.iter().map(|(id, _)| *id));
    let names: StringArray = rows.iter().map(|(_, name)| *name).collect();
    let fields =
        vec![Field::new("id", DataType::Int64, false), Field::new("name", DataType::Utf8, true)];
    let columns: Vec<ArrayRef> = vec![Arc::new(ids), Arc::new(names)];
    Batch::new(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap())
}

fn users_table(double: &Double, options: &[(&str, &str)]) -> TableDefinition {
    let keyed = [("key.format", "raw"), ("key.fields", "id"), ("value.format", "json"), BOUNDED];
    let all: Vec<_> = keyed.iter().chain(options).copied().collect();
    table(double, users(&[]).rows().schema().fields().iter().map(|f| (**f).clone()).collect(), &all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_sink_writes_the_source_reads() {
    let double = Double::start("clicks", 3).await;
    let table = users_table(&double, &[("sink.linger", "1 ms"), ("sink.compression", "zstd")]);
    let mut sink = open_sink(&table).await;
    let rows: Vec<_> = (0..25_000).map(|id| (id % 100, Some("name"))).collect();
    let mut rejected = vec![];
    sink.write(&users(&rows), &mut rejected).await.unwrap();
    sink.write(&users(&[(100, None)]), &mut rejected).await.unwrap();
    sink.flush().await.unwrap();
    assert_eq!(rejected, []);

    let (records, compressions): (Vec<_>, Vec<_>) =
        (0..3).map(|partition| double.read("clicks", partition)).unzip();
    assert!(compressions.iter().flatten().all(|by| *by == Compression::Zstd));
    // Each key has its partition.
    let keys = |records: &[(Option<String>, String)]| {
        records.iter().filter_map(|(key, _)| key.clone()).collect::<BTreeSet<_>>()
    };
    assert_eq!(records.iter().map(|records| keys(records).len()).sum::<usize>(), 101);
    assert_eq!(records.iter().map(Vec::len).sum::<usize>(), 25_001);

    let (rows, letters) = drain(&mut open(&table, at(&[])).await).await;
    assert_eq!(letters, []);
    let batches: Vec<_> = rows.into_values().flatten().collect();
    let mut read = numbers(&batches);
    read.sort_unstable();
    let mut expected: Vec<i64> = (0..25_000).map(|id| id % 100).chain([100]).collect();
    expected.sort_unstable();
    assert_eq!(read, expected);
    let nulls: usize = batches.iter().map(|batch| batch.column(1).null_count()).sum();
    assert_eq!(nulls, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_without_a_key_go_to_each_partition_in_turn() {
    let double = Double::start("clicks", 2).await;
    let table = counted(&double, &[]);
    let mut sink = open_sink(&table).await;
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
    let rows = RecordBatch::try_new(Arc::clone(&table.schema), vec![values]).unwrap();
    sink.write(&Batch::new(rows), &mut vec![]).await.unwrap();
    sink.prepare(1).await.unwrap();
    for partition in 0..2 {
        let (records, _) = double.read("clicks", partition);
        assert_eq!(records.len(), 5);
        assert!(records.iter().all(|(key, _)| key.is_none()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_too_large_is_set_aside_alone() {
    let double = Double::start("clicks", 1).await;
    let mut sink = open_sink(&users_table(&double, &[("sink.max-request-size", "1 kb")])).await;
    let (long, mut rejected) = ("x".repeat(2_000), vec![]);
    let rows = [(1, Some("a")), (2, Some(long.as_str())), (3, Some("c"))];
    sink.write(&users(&rows), &mut rejected).await.unwrap();
    sink.flush().await.unwrap();
    assert_eq!(rejected.len(), 1);
    assert!(rejected[0].error.ends_with("bytes is too large"), "{}", rejected[0].error);
    let values: Vec<_> = double.read("clicks", 0).0.into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, ["{\"id\":1,\"name\":\"a\"}", "{\"id\":3,\"name\":\"c\"}"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_loses_no_row_silently_while_the_cluster_is_away() {
    let mut double = Double::start("clicks", 1).await;
    let table = users_table(&double, &[("sink.delivery-timeout", "1 s")]);
    let mut sink = open_sink(&table).await;
    sink.write(&users(&[(1, Some("a"))]), &mut vec![]).await.unwrap();
    sink.flush().await.unwrap();
    double.stop().await;
    let written = async |sink: &mut Box<dyn Sink>| {
        sink.write(&users(&[(2, Some("b"))]), &mut vec![]).await?;
        sink.flush().await
    };
    let error = written(&mut sink).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Outside);
    assert!(error.to_string().starts_with("fluvio topic \"clicks\": not "), "{error}");
    // The job goes on from its checkpoint.
    double.restart().await;
    written(&mut open_sink(&table).await).await.unwrap();
    let values = double.read("clicks", 0).0.into_iter().map(|(_, value)| value);
    let values: BTreeSet<_> = values.collect();
    assert_eq!(
        values,
        ["{\"id\":1,\"name\":\"a\"}", "{\"id\":2,\"name\":\"b\"}"].map(String::from).into()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said() {
    let mut double = Double::start("clicks", 1).await;
    let error = open_error(&counted(&double, &[("topic", "click")])).await;
    assert_eq!(error.kind(), ErrorKind::User);
    assert_eq!(
        error.to_string(),
        "fluvio topic \"click\" does not exist; did you mean \"clicks\"?"
    );
    let refused = async |options: &[(&str, &str)], expected: &str| {
        let error = open_error(&counted(&double, options)).await;
        assert_eq!(error.kind(), ErrorKind::User);
        assert_eq!(error.to_string(), format!("table \"events\": {expected}"));
    };
    refused(
        &[("endpoint", "localhost")],
        "option \"endpoint\" is host:port of the SC, not \"localhost\"",
    )
    .await;
    refused(
        &[("profile", "local")],
        "option \"profile\" is given without \"endpoint\", not \"local\"",
    )
    .await;
    refused(
        &[("scan.startup.mode", "timestamp")],
        "option \"scan.startup.mode\" is one of earliest-offset, latest-offset, specific-offsets, \
         not \"timestamp\"",
    )
    .await;
    refused(
        &[("scan.startup.mode", "specific-offsets")],
        "option \"scan.startup.specific-offsets\" is missing",
    )
    .await;
    refused(
        &[("sink.delivery-guarantee", "exactly-once")],
        "option \"sink.delivery-guarantee\" is one of at-least-once, not \"exactly-once\"",
    )
    .await;
    let headers = with_metadata(counted(&double, &[]), &[("headers", DataType::Utf8)]);
    assert_eq!(
        open_error(&headers).await.to_string(),
        "table \"events\": the fluvio connector has no metadata \"headers\" (there are topic, \
         partition, offset, timestamp, key)"
    );
    let mut written = with_metadata(counted(&double, &[]), &[("offset", DataType::Int64)]);
    written.metadata[0].is_virtual = false;
    assert_eq!(
        registry().sink(&written).err().unwrap().to_string(),
        "table \"events\": the metadata \"offset\" cannot be written; declare it VIRTUAL"
    );

    double.stop().await;
    let error = open_error(&counted(&double, &[])).await;
    assert_eq!(error.kind(), ErrorKind::Outside);
    let endpoint = double.endpoint();
    assert!(
        error.to_string().starts_with(&format!(
            "fluvio topic \"clicks\": controller {endpoint} unreachable: connection refused"
        )),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn profiles_say_where_the_cluster_is() {
    let double = Double::start("clicks", 1).await;
    let options = FluvioOptions::read(&counted(&double, &[])).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let profiles = r#"
        version = "2.0"
        current_profile = "local"
        [profile.local]
        cluster = "here"
        [profile.cloud]
        cluster = "there"
        [cluster.here]
        endpoint = "127.0.0.1:9003"
        [cluster.there]
        endpoint = "cloud:9003"
        tls = { tls_policy = "anonymous" }
    "#;
    std::fs::write(file.path(), profiles).unwrap();
    let load = |path: &str| ConfigFile::load(Some(path.to_owned()));
    let of = |name| of_profile(&options, load(file.path().to_str().unwrap()), name);
    assert_eq!(of(None).unwrap().endpoint, "127.0.0.1:9003");
    assert_eq!(of(Some("local")).unwrap().endpoint, "127.0.0.1:9003");
    let refused = |refused: nowcast_engine::Result<_>, expected: &str| {
        let error: nowcast_engine::Error = Result::<FluvioClusterConfig, _>::err(refused).unwrap();
        assert_eq!(error.kind(), ErrorKind::User);
        let hint = "name a \"profile\" or set \"endpoint\"";
        assert_eq!(error.to_string(), format!("table \"events\": {expected}; {hint}"));
    };
    refused(
        of(Some("cloud")),
        "the cluster of fluvio's profile asks for TLS, which is not built in",
    );
    refused(
        of(Some("locale")),
        "fluvio's configuration has no profile \"locale\"; did you mean \"local\"?",
    );
    refused(
        of_profile(&options, load("/nowhere/config"), None),
        "fluvio's config error: config file \"/nowhere/config\"",
    );
}
