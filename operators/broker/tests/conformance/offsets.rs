//! Finding a place in the log, and waiting at its end.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ListOffsetsRequest;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::BaseProducer;
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::raw::{NOBODY, Raw, batch, name};
use crate::support::{PATIENCE, client, read_texts, send, send_numbers, topic};

pub fn offsets_are_found_by_time(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[("retention.ms", "-1")]);
    let producer: BaseProducer = client(bootstrap, &[]).create().unwrap();
    for i in 0..20 {
        send(&producer, &topic, 0, 1_000_000 + i * 1000, &i.to_string());
    }
    let consumer: BaseConsumer = client(bootstrap, &[]).create().unwrap();
    let offset_at = |time: i64| {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, 0, Offset::Offset(time)).unwrap();
        consumer.offsets_for_times(list, PATIENCE).unwrap().elements()[0].offset()
    };
    assert_eq!(offset_at(0), Offset::Offset(0));
    assert_eq!(offset_at(1_007_000), Offset::Offset(7));
    assert_eq!(offset_at(1_007_001), Offset::Offset(8));
    assert_eq!(offset_at(1_019_000), Offset::Offset(19));
    assert_eq!(offset_at(1_019_001), Offset::End);
    // The latest time is not the last record's.
    send(&producer, &topic, 0, 1_000_001, "late");
    let asked = ListOffsetsPartition::default().with_timestamp(-3);
    let asked = ListOffsetsTopic::default().with_name(name(&topic)).with_partitions(vec![asked]);
    let request = ListOffsetsRequest::default().with_topics(vec![asked]);
    let answer = Raw::connect(bootstrap).call(7, &request);
    let answer = &answer.topics[0].partitions[0];
    assert_eq!((answer.error_code, answer.offset, answer.timestamp), (0, 19, 1_019_000));
}

pub fn an_offset_out_of_range_is_told(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    send_numbers(bootstrap, &topic, 0..10);
    let mut raw = Raw::connect(bootstrap);
    let beyond = raw.fetch(&topic, 11, 0, 1);
    assert_eq!(beyond.error_code, ResponseError::OffsetOutOfRange.code());
    let at_end = raw.fetch(&topic, 10, 0, 1);
    assert_eq!((at_end.error_code, at_end.high_watermark), (0, 10));
    // And what a consumer makes of it: it starts again where it is told.
    let settings = [("group.id", "lost"), ("auto.offset.reset", "earliest")];
    let consumer: BaseConsumer = client(bootstrap, &settings).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Offset(500)).unwrap();
    consumer.assign(&list).unwrap();
    let message = consumer.poll(PATIENCE).unwrap().unwrap();
    assert_eq!(message.offset(), 0);
}

pub fn watermarks_follow_the_log(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let consumer: BaseConsumer = client(bootstrap, &[]).create().unwrap();
    assert_eq!(consumer.fetch_watermarks(&topic, 0, PATIENCE).unwrap(), (0, 0));
    send_numbers(bootstrap, &topic, 0..123);
    assert_eq!(consumer.fetch_watermarks(&topic, 0, PATIENCE).unwrap(), (0, 123));
}

pub fn a_long_poll_ends_with_the_first_record(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let mut waiting = Raw::connect(bootstrap);
    let mut writing = Raw::connect(bootstrap);
    // Warm: the first answers of a JVM are slow.
    for i in 0..50 {
        writing.produce(&topic, batch(NOBODY, &["warm"]));
        waiting.fetch(&topic, i, 1000, 1);
    }
    let (tell, told) = mpsc::channel();
    let asked = topic.clone();
    let fetching = std::thread::spawn(move || {
        let mut rounds = Vec::new();
        for i in 50..60 {
            tell.send(()).unwrap();
            let data = waiting.fetch(&asked, i, 20_000, 1);
            rounds.push((data.records.unwrap().len(), Instant::now()));
        }
        rounds
    });
    let mut written = Vec::new();
    for _ in 0..10 {
        told.recv().unwrap();
        written.push(Instant::now());
        writing.produce(&topic, batch(NOBODY, &["now"]));
    }
    let mut latencies: Vec<Duration> = Vec::new();
    for (written, (bytes, got)) in written.into_iter().zip(fetching.join().unwrap()) {
        assert!(bytes > 0);
        latencies.push(got.saturating_duration_since(written));
    }
    latencies.sort();
    println!("from produce to fetched: median {:?}, all {latencies:?}", latencies[5]);
    // Far below the 20 s of the wait, far above what a busy machine adds.
    assert!(latencies[5] < Duration::from_secs(2));
}

pub fn a_long_poll_waits_for_its_bytes(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let one = batch(NOBODY, &["x"]).len() as i32;
    let mut writing = Raw::connect(bootstrap);
    let mut waiting = Raw::connect(bootstrap);
    writing.produce(&topic, batch(NOBODY, &["x"]));
    // One is there, three are wanted: it may only end once the third is written.
    waiting.send(11, &crate::raw::fetch_request(&topic, 0, 20_000, one * 3));
    writing.produce(&topic, batch(NOBODY, &["x"]));
    writing.produce(&topic, batch(NOBODY, &["x"]));
    let answer = waiting.receive();
    assert!(answer.len() as i32 >= one * 3, "{} bytes", answer.len());
}

pub fn an_empty_fetch_ends_in_time(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let mut raw = Raw::connect(bootstrap);
    let started = Instant::now();
    let data = raw.fetch(&topic, 0, 300, 1);
    let took = started.elapsed();
    assert_eq!((data.error_code, data.records.unwrap_or_default().len()), (0, 0));
    assert!((Duration::from_millis(290)..Duration::from_secs(10)).contains(&took), "{took:?}");
    assert!(read_texts(bootstrap, &topic).is_empty());
}
