//! What batches of messages may be: compressed, larger than an answer, of transactions.

use rdkafka::producer::Producer;

use super::*;

with_each_client!(
    every_codec_is_read,
    a_message_larger_than_an_answer_is_read,
    messages_of_transactions_are_read_once_they_are_committed,
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_counts_all_there_is() {
    let Some(topic) = Topic::new("drain", 2).await else { return };
    topic.count(2, 5).await;
    let (bootstrap, name) = (topic.bootstrap.clone(), topic.name.clone());
    let drained = tokio::task::spawn_blocking(move || crate::drain_topic(&bootstrap, &name)).await;
    let expected = crate::DrainedTopic { messages: 10, bytes: 10 * r#"{"n":0}"#.len() as u64 };
    assert_eq!(drained.unwrap().unwrap(), expected);
}

/// `{"n":0}` and so on, by a producer with these settings.
async fn produce(
    topic: &Topic,
    partition: i32,
    numbers: std::ops::Range<i64>,
    producer: &FutureProducer,
) {
    let mut sent = vec![];
    for number in numbers {
        let value = format!("{{\"n\":{number}}}");
        let record = FutureRecord::<(), _>::to(&topic.name).partition(partition).payload(&value);
        sent.push(producer.send_result(record).unwrap());
    }
    for sent in sent {
        sent.await.unwrap().unwrap();
    }
}

fn producer(topic: &Topic, settings: &[(&str, &str)]) -> FutureProducer {
    let mut config = config(&topic.bootstrap);
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config.create().unwrap()
}

async fn every_codec_is_read(client: &'static str) {
    let Some(topic) = Topic::read_by(client, "codecs", 1).await else { return };
    let mut next = 0;
    for codec in ["gzip", "snappy", "lz4", "zstd", "none"] {
        let settings = [("compression.type", codec), ("linger.ms", "50")];
        produce(&topic, 0, next..next + 2_000, &producer(&topic, &settings)).await;
        next += 2_000;
    }
    assert_eq!(drained(&topic.counted(&[])).await, (0..next).collect::<Vec<_>>());
}

async fn a_message_larger_than_an_answer_is_read(client: &'static str) {
    let Some(topic) = Topic::read_by(client, "large", 2).await else { return };
    for number in 0..6 {
        let value = format!("{{\"n\":{number},\"wide\":\"{}\"}}", "x".repeat(50_000));
        topic.produce(&[(0, None, Some(&value), None), (1, None, Some(&value), None)]).await;
    }
    let little = [
        ("properties.fetch.message.max.bytes", "1000"),
        ("properties.fetch.max.bytes", "100000"),
        ("properties.message.max.bytes", "100000"),
    ];
    let (rows, letters) = drain(&mut open(&topic.counted(&little), at(&[])).await).await;
    assert_eq!((rows.len(), letters.len()), (2, 0));
    assert!(rows.values().all(|batches| numbers(batches) == [0, 1, 2, 3, 4, 5]));
}

async fn messages_of_transactions_are_read_once_they_are_committed(client: &'static str) {
    let Some(topic) = Topic::read_by(client, "transactions", 1).await else { return };
    let of = |id: &str| {
        let id = format!("{}-{id}", topic.name);
        let transactional = producer(&topic, &[("transactional.id", &id)]);
        transactional.init_transactions(PATIENCE).unwrap();
        transactional
    };
    let (one, two) = (of("one"), of("two"));
    // Two transactions lie in one another, and what belongs to none between.
    one.begin_transaction().unwrap();
    two.begin_transaction().unwrap();
    produce(&topic, 0, 0..3, &one).await;
    produce(&topic, 0, 10..13, &two).await;
    produce(&topic, 0, 20..22, &topic.producer).await;
    produce(&topic, 0, 3..5, &one).await;
    one.abort_transaction(PATIENCE).unwrap();
    produce(&topic, 0, 13..15, &two).await;
    two.commit_transaction(PATIENCE).unwrap();
    // The one that was given up goes on with another.
    one.begin_transaction().unwrap();
    produce(&topic, 0, 30..33, &one).await;
    one.commit_transaction(PATIENCE).unwrap();
    let committed = [10, 11, 12, 20, 21, 13, 14, 30, 31, 32];
    assert_eq!(drained(&topic.counted(&[])).await, committed);
    let all = [0, 1, 2, 10, 11, 12, 20, 21, 3, 4, 13, 14, 30, 31, 32];
    let uncommitted = topic.counted(&[("properties.isolation.level", "read_uncommitted")]);
    assert_eq!(drained(&uncommitted).await, all);
    // One that is open ends what can be read for now.
    two.begin_transaction().unwrap();
    produce(&topic, 0, 40..42, &two).await;
    produce(&topic, 0, 50..51, &topic.producer).await;
    assert_eq!(drained(&topic.counted(&[])).await, committed);
    let unbounded = topic.counted(&[("scan.bounded.mode", "unbounded")]);
    let mut source = open(&unbounded, at(&[])).await;
    let mut read = vec![];
    while read.len() < committed.len() {
        if let SourceEvent::Rows { rows, .. } = next(&mut source).await {
            read.extend(numbers(&[rows]));
        }
    }
    two.commit_transaction(PATIENCE).unwrap();
    while read.len() < committed.len() + 3 {
        if let SourceEvent::Rows { rows, .. } = next(&mut source).await {
            read.extend(numbers(&[rows]));
        }
    }
    assert_eq!(read, [&committed[..], &[40, 41, 50]].concat());
}
