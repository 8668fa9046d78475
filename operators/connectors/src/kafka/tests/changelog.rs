//! Tables that are changelogs: `upsert-kafka` and changelog formats.

use super::*;

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
