//! What the sink writes.

use super::*;
use crate::kafka::native::produce::murmur::partition;

with_each_client!(
    what_the_sink_writes_others_read_and_the_source_too,
    what_is_written_without_keys_is_there_once_by_each_codec,
    a_message_that_is_too_large_is_rejected_alone,
    keys_go_to_partitions_that_are_new,
);

async fn open_sink(table: &TableDefinition) -> Box<dyn Sink> {
    registry().sink(table).unwrap().open(SinkContext::alone("test")).await.unwrap()
}

async fn what_the_sink_writes_others_read_and_the_source_too(client: &'static str) {
    let Some(topic) = Topic::read_by(client, "roundtrip", 3).await else { return };
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
    let mut sink = open_sink(&table).await;
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
    // Where Java's clients put them; librdkafka is here to judge our own.
    assert_eq!(partition_of["name 0"], partition(b"name 0", 3) as i32);
    assert_eq!(partition_of["name 7"], partition(b"name 7", 3) as i32);

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

/// `n BIGINT` of so many rows.
fn counted_rows(numbers: std::ops::Range<i64>) -> Batch {
    let schema = Schema::new(vec![Field::new("n", DataType::Int64, true)]);
    let column: ArrayRef = Arc::new(numbers.collect::<Int64Array>());
    Batch::new(RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap())
}

async fn what_is_written_without_keys_is_there_once_by_each_codec(client: &'static str) {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let Some(topic) = Topic::read_by(client, codec, 3).await else { return };
        let small = ("properties.batch.size", "2000");
        let table = topic.counted(&[("properties.compression.type", codec), small]);
        let mut sink = open_sink(&table).await;
        let mut rejected = vec![];
        for from in (0..5_000).step_by(1_000) {
            sink.write(&counted_rows(from..from + 1_000), &mut rejected).await.unwrap();
        }
        sink.flush().await.unwrap();
        assert_eq!(rejected, []);
        let table = topic.counted(&[]);
        let (rows, letters) = drain(&mut super::open(&table, at(&[])).await).await;
        assert_eq!(letters, []);
        let mut all = vec![];
        for batches in rows.values() {
            let numbers = numbers(batches);
            assert!(numbers.is_sorted(), "{codec}: a partition has them in order");
            all.extend(numbers);
        }
        all.sort_unstable();
        assert_eq!(all, (0..5_000).collect::<Vec<_>>(), "{codec}");
    }
}

async fn a_message_that_is_too_large_is_rejected_alone(client: &'static str) {
    let Some(topic) = Topic::read_by(client, "too-large", 1).await else { return };
    let fields = vec![Field::new("text", DataType::Utf8, true)];
    let table = topic.table(fields.clone(), &[("properties.message.max.bytes", "2000")]);
    let mut sink = open_sink(&table).await;
    let texts = ["a".to_owned(), "b".repeat(3_000), "c".to_owned()];
    let column: ArrayRef = Arc::new(StringArray::from_iter_values(&texts));
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![column]).unwrap();
    let mut rejected = vec![];
    sink.write(&Batch::new(rows), &mut rejected).await.unwrap();
    sink.flush().await.unwrap();
    assert_eq!(rejected.len(), 1);
    assert!(rejected[0].error.contains("too large"), "{}", rejected[0].error);
    let consumer: BaseConsumer = config(&topic.bootstrap).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic.name, 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    for expected in [r#"{"text":"a"}"#, r#"{"text":"c"}"#] {
        let message = consumer.poll(PATIENCE).expect("a message in time").unwrap();
        assert_eq!(message.payload(), Some(expected.as_bytes()));
    }
}

/// As Java's clients spread them: by the number of partitions that there is.
async fn keys_go_to_partitions_that_are_new(client: &'static str) {
    let Some(topic) = Topic::read_by(client, "grown", 1).await else { return };
    let fields = vec![Field::new("n", DataType::Int64, true)];
    let options = [
        ("key.format", "raw"),
        ("key.fields", "n"),
        ("value.format", "json"),
        ("properties.metadata.max.age.ms", "200"),
    ];
    let mut table = topic.table(fields, &options);
    if client == "librdkafka" {
        let age = table.options.remove("properties.metadata.max.age.ms").unwrap();
        table.options.insert("properties.topic.metadata.refresh.interval.ms".into(), age);
    }
    let mut sink = open_sink(&table).await;
    let grow = rdkafka::admin::NewPartitions::new(&topic.name, 3);
    let grown = admin(&topic.bootstrap).create_partitions([&grow], &AdminOptions::new()).await;
    grown.unwrap().into_iter().for_each(|grown| drop(grown.unwrap()));
    let consumer: BaseConsumer = config(&topic.bootstrap).create().unwrap();
    let end = |partition| match consumer.fetch_watermarks(&topic.name, partition, PATIENCE) {
        Ok((_, end)) => end,
        Err(error) => panic!("{error}"),
    };
    let deadline = std::time::Instant::now() + PATIENCE;
    while !(1..3).all(|partition| end(partition) > 0) {
        assert!(std::time::Instant::now() < deadline, "all keys are in partition 0");
        sink.write(&counted_rows(0..50), &mut vec![]).await.unwrap();
        sink.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
