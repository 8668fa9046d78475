//! What a source reads, from where and to where.

use std::time::Instant;

use super::super::contact::{End, Take as _};
use super::super::offsets::Span;
use super::super::options::KafkaOptions;
use super::super::reading::{Limits, Reading};
use super::*;
use crate::handover::Handover;
use crate::parts::TopicMode;

with_each_client!(
    bad_messages_are_set_aside_and_their_neighbours_kept,
    reading_goes_on_from_positions_and_a_dropped_future_loses_nothing,
    startup_and_bounded_modes,
    an_end_that_is_yet_to_come_is_waited_for,
    a_group_reads_on_from_its_commits,
    quiet_partitions_are_idle_once_until_they_speak,
    several_topics_are_one_table,
    positions_that_are_gone_are_left_for_the_earliest,
    metadata_and_keys_are_columns,
    new_partitions_and_topics_are_found_while_reading,
);

async fn bad_messages_are_set_aside_and_their_neighbours_kept(client: &'static str) {
    let Some(topic) = Topic::read_by(client, "bad", 1).await else { return };
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
        ..DeadLetter::default()
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

async fn reading_goes_on_from_positions_and_a_dropped_future_loses_nothing(client: &'static str) {
    let Some(topic) = Topic::read_by(client, "resume", 2).await else { return };
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

async fn startup_and_bounded_modes(client: &'static str) {
    let Some(topic) = Topic::read_by(client, "modes", 1).await else { return };
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

async fn an_end_that_is_yet_to_come_is_waited_for(client: &'static str) {
    let Some(topic) = Topic::read_by(client, "ahead", 1).await else { return };
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

async fn a_group_reads_on_from_its_commits(client: &'static str) {
    let Some(topic) = Topic::read_by(client, "group", 1).await else { return };
    topic.count(1, 10).await;
    let group = format!("group-{}", topic.name);
    let options = [("scan.startup.mode", "group-offsets"), ("properties.group.id", group.as_str())];
    let table = topic.counted(&options);
    let error = open_error(&table).await.to_string();
    assert!(error.contains("has no offset for partition 0"), "{error}");
    let reset = [&options[..], &[("properties.auto.offset.reset", "earliest")]].concat();
    let mut source = open(&topic.counted(&reset), SourceContext { rows_max: 4, ..at(&[]) }).await;
    let SourceEvent::Rows { rows, .. } = next(&mut source).await else { panic!("rows come first") };
    // A commit may be lost while a new group looks for its coordinator: a job commits with every
    // checkpoint. The judge sees one arrive.
    let consumer: BaseConsumer = config(&topic.bootstrap).set("group.id", &group).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition(&topic.name, 0);
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < PATIENCE, "no commit has come");
        source.commit(1, &source.positions());
        tokio::time::sleep(Duration::from_millis(100)).await;
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

async fn quiet_partitions_are_idle_once_until_they_speak(client: &'static str) {
    let Some(topic) = Topic::read_by(client, "idle", 2).await else { return };
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

async fn several_topics_are_one_table(client: &'static str) {
    let Some(one) = Topic::read_by(client, "several-a", 2).await else { return };
    let Some(two) = Topic::read_by(client, "several-b", 2).await else { return };
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

async fn positions_that_are_gone_are_left_for_the_earliest(client: &'static str) {
    let Some(topic) = Topic::read_by(client, "gone", 1).await else { return };
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

async fn metadata_and_keys_are_columns(client: &'static str) {
    let Some(topic) = Topic::read_by(client, "metadata", 1).await else { return };
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

async fn new_partitions_and_topics_are_found_while_reading(client: &'static str) {
    let Some(topic) = Topic::read_by(client, "found", 1).await else { return };
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
    let two =
        Topic { name: topic.name.clone(), bootstrap: topic.bootstrap.clone(), producer, client };
    two.wait_for(2);
    two.produce(&[line(1)]).await;
    assert_eq!(until(&mut source, format!("{}/1", topic.name), 1).await, [7]);
    let Some(other) = Topic::read_by(client, "found-too", 1).await else { return };
    other.produce(&[line(0)]).await;
    assert_eq!(until(&mut source, format!("{}/0", other.name), 1).await, [7]);
    let of = |split: String| source.positions().into_iter().find(|at| at.split == split);
    assert_eq!(of(format!("{}/1", topic.name)).unwrap().offset, 1);
    assert_eq!(of(format!("{}/0", other.name)).unwrap().offset, 1);
}

/// A new leader may not know yet of all that the one before had acknowledged.
#[test]
fn an_end_that_has_gone_back_finishes_no_bounded_read() {
    let fields = vec![Field::new("n", DataType::Int64, true)];
    let table = table("t", "127.0.0.1:1", fields, &[("scan.bounded.mode", "latest-offset")]);
    let options = KafkaOptions::read(&table, &Environment::default(), TopicMode::Log).unwrap();
    let limits = Limits { rows_max: 8, idle_timeout: None, share: (0, 1) };
    let (hands, _handover) = Handover::new(vec![("t/0".into(), 0)]);
    let mut reading = Reading::new(&table, Arc::new(options), limits, hands);
    let span = Span { topic: "t".into(), partition: 0, start: 0, end: Some(10), high: 10 };
    reading.add(span).unwrap();
    for (behind, finished) in [(Some(5), false), (Some(10), true)] {
        assert!(reading.at_end(End { at: 0, behind }).is_ok());
        assert_eq!(reading.is_finished(0), finished);
    }
}
