//! What befalls a topic while it is read.

use std::time::Instant;

use super::super::contact::Brokers;
use super::super::librdkafka::Librdkafka;
use super::super::native::Native;
use super::super::native::settings::Settings;
use super::super::options::KafkaOptions;
use super::super::reader::Reader;
use super::super::reading::Limits;
use super::super::source::{Opened, connect};
use super::*;
use crate::handover::Handover;
use crate::parts::TopicMode;

with_each_client!(
    a_topic_that_is_deleted_is_named,
    offsets_that_expire_before_they_are_read_are_passed_over_aloud,
    a_partition_that_gives_nothing_of_what_it_has_ends_the_read,
);

const UNBOUNDED: (&str, &str) = ("scan.bounded.mode", "unbounded");

/// A reader of which something is held back.
fn start<B: Brokers>(
    brokers: B,
    table: &TableDefinition,
    options: &Arc<KafkaOptions>,
    hold: impl FnOnce(&mut B),
) -> (Handover, std::thread::JoinHandle<()>) {
    let Opened { mut brokers, spans } = connect(brokers, options, &at(&[])).unwrap();
    hold(&mut brokers);
    let splits = spans.iter().map(|span| (span.split().into(), span.start)).collect();
    let (hands, handover) = Handover::new(splits);
    let limits = Limits { rows_max: 10, idle_timeout: None, share: (0, 1) };
    let reader = Reader::new(brokers, table, Arc::clone(options), spans, limits, hands).unwrap();
    (handover, std::thread::spawn(move || reader.run()))
}

/// The error that ends a read, and the numbers before it.
async fn end(source: &mut Box<dyn Source>) -> (Vec<i64>, nowcast_engine::Error) {
    let (mut read, since) = (vec![], Instant::now());
    loop {
        assert!(since.elapsed() < PATIENCE, "it goes on after {read:?}");
        match tokio::time::timeout(PATIENCE, source.next()).await.expect("an end in time") {
            Ok(SourceEvent::Rows { rows, .. }) => read.extend(numbers(&[rows])),
            Ok(_) => {}
            Err(error) => return (read, error),
        }
    }
}

async fn a_topic_that_is_deleted_is_named(client: &'static str) {
    let Some(topic) = Topic::read_by(client, "deleted", 1).await else { return };
    topic.count(1, 3).await;
    let other = Topic::read_by(client, "stays", 1).await.unwrap();
    let both = format!("{};{}", other.name, topic.name);
    let refresh = ("properties.topic.metadata.refresh.interval.ms", "500");
    let mut table = topic.counted(&[UNBOUNDED, refresh]);
    table.options.insert("topic".into(), both);
    table.options.insert("properties.topic.metadata.propagation.max.ms".into(), "1000".into());
    let mut source = open(&table, at(&[])).await;
    let SourceEvent::Rows { .. } = next(&mut source).await else { panic!("no rows") };
    let deleted = admin(&topic.bootstrap).delete_topics(&[&topic.name], &AdminOptions::new()).await;
    deleted.unwrap().into_iter().for_each(|deleted| drop(deleted.unwrap()));
    let (_, error) = end(&mut source).await;
    let expected = format!("kafka topic \"{}\" was deleted while it was read", topic.name);
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.kind(), ErrorKind::User);
}

async fn offsets_that_expire_before_they_are_read_are_passed_over_aloud(client: &'static str) {
    let Some(topic) = Topic::read_by(client, "expired", 1).await else { return };
    let wide = "x".repeat(10_000);
    let produce = async |numbers: std::ops::Range<i64>| {
        for number in numbers {
            let value = format!("{{\"n\":{number},\"wide\":\"{wide}\"}}");
            topic.produce(&[(0, None, Some(&value), None)]).await;
        }
    };
    produce(0..200).await;
    // A reader that is far behind and fetches little.
    let little = [
        UNBOUNDED,
        ("properties.queued.max.messages.kbytes", "20"),
        ("properties.queued.min.messages", "1"),
        ("properties.fetch.message.max.bytes", "20000"),
    ];
    let strict = [&little[..], &[("properties.auto.offset.reset", "none")]].concat();
    let behind = SourceContext { rows_max: 1, ..at(&[]) };
    let mut source = open(&topic.counted(&little), behind.clone()).await;
    let mut failing = open(&topic.counted(&strict), behind).await;
    for source in [&mut source, &mut failing] {
        let SourceEvent::Rows { .. } = next(source).await else { panic!("no rows") };
    }
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic.name, 0, Offset::Offset(150)).unwrap();
    admin(&topic.bootstrap).delete_records(&list, &AdminOptions::new()).await.unwrap();
    let mut read = vec![0];
    while read.last() != Some(&199) {
        if let SourceEvent::Rows { rows, .. } = next(&mut source).await {
            read.extend(numbers(&[rows]));
        }
    }
    let gap = read.windows(2).position(|pair| pair[1] != pair[0] + 1).expect("nothing was lost");
    assert!(gap < 100, "{read:?}");
    assert_eq!(read[gap + 1..], (150..200).collect::<Vec<_>>());
    assert_eq!(source.positions()[0].offset, 200);
    let (_, error) = end(&mut failing).await;
    assert_eq!(error.kind(), ErrorKind::User);
    assert!(error.to_string().contains("is gone, there are 150 to 200"), "{error}");
}

async fn a_partition_that_gives_nothing_of_what_it_has_ends_the_read(client: &'static str) {
    let Some(topic) = Topic::read_by(client, "stalled", 2).await else { return };
    topic.count(2, 3).await;
    let table = topic.counted(&[UNBOUNDED, ("scan.stall-timeout", "1 s")]);
    let options = KafkaOptions::read(&table, &Environment::default(), TopicMode::Log).unwrap();
    let options = Arc::new(options);
    let started = Instant::now();
    // Nothing is fetched of it, and the reader does not know.
    let (mut handover, thread) = tokio::task::block_in_place(|| match client {
        "native" => {
            let settings = Arc::new(Settings::read(&options).unwrap());
            let native = Native::new(Arc::clone(&options), settings).unwrap();
            start(native, &table, &options, |native| native.hold(0))
        }
        _ => {
            let librdkafka = Librdkafka::new(Arc::clone(&options)).unwrap();
            start(librdkafka, &table, &options, |librdkafka| librdkafka.hold(&topic.name, 0))
        }
    });
    topic.count(1, 3).await;
    let error = loop {
        match tokio::time::timeout(PATIENCE, handover.next()).await.expect("an end in time") {
            Ok(SourceEvent::Rows { split, .. }) => assert!(split.ends_with("/1"), "{split}"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(error.kind(), ErrorKind::Outside);
    let error = error.to_string();
    let expected = format!(
        "kafka partition \"{}/0\": its broker answers but has given nothing for 1s \
         (\"scan.stall-timeout\"), and there are messages from ",
        topic.name
    );
    let (messages, end) = error.rsplit_once(" to ").unwrap();
    // Some of the others may come when it has been said.
    assert!(
        messages.starts_with(&expected) && end.parse::<u8>().is_ok_and(|end| end <= 6),
        "{error}"
    );
    drop(handover);
    thread.join().unwrap();
}
