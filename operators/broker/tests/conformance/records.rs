//! Records go in and come out the same: contents, order, and each of them once.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::InitProducerIdRequest;
use rdkafka::Message;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseRecord, Producer};

use crate::raw::{NOBODY, Raw, batch};
use crate::support::{PATIENCE, producer, read_all, read_texts, topic, until};

const FIRST_TIME: i64 = 1_600_000_000_000;

pub fn every_compression_keeps_keys_headers_and_times(bootstrap: &str) {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = topic(bootstrap, 1, &[("retention.ms", "-1")]);
        let producer = producer(bootstrap, &[("compression.codec", codec), ("linger.ms", "20")]);
        for i in 0..500 {
            let (key, value) = (format!("key {i}"), format!("value {i} ").repeat(20));
            let header = Header { key: "number", value: Some(&i.to_string()) };
            let none = Header::<&[u8]> { key: "none", value: None };
            let headers = OwnedHeaders::new().insert(header).insert(none);
            let record = BaseRecord::to(&topic).key(&key).payload(&value).headers(headers);
            producer.send(record.timestamp(FIRST_TIME + i * 7)).map_err(|(e, _)| e).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
        let messages = read_all(bootstrap, &topic);
        assert_eq!(messages.len(), 500, "{codec}");
        for (i, message) in (0i64..).zip(&messages) {
            check(i, message);
        }
    }
}

fn check(i: i64, message: &OwnedMessage) {
    assert_eq!(message.offset(), i);
    assert_eq!(message.key(), Some(format!("key {i}").as_bytes()));
    assert_eq!(message.payload(), Some(format!("value {i} ").repeat(20).as_bytes()));
    assert_eq!(message.timestamp().to_millis(), Some(FIRST_TIME + i * 7));
    let headers = message.headers().unwrap();
    assert_eq!(headers.get(0).key, "number");
    assert_eq!(headers.get(0).value, Some(i.to_string().as_bytes()));
    assert_eq!((headers.get(1).key, headers.get(1).value), ("none", None));
}

pub fn partitions_keep_their_order(bootstrap: &str) {
    let topic = topic(bootstrap, 4, &[]);
    let producer = producer(bootstrap, &[]);
    for i in 0..4000 {
        let value = i.to_string();
        let record = BaseRecord::<str, str>::to(&topic).partition(i % 4).payload(&value);
        producer.send(record).map_err(|(e, _)| e).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    let messages = read_all(bootstrap, &topic);
    assert_eq!(messages.len(), 4000);
    for message in &messages {
        let value: i64 = std::str::from_utf8(message.payload().unwrap()).unwrap().parse().unwrap();
        assert_eq!(value, message.offset() * 4 + i64::from(message.partition()));
    }
}

pub fn an_idempotent_producer_writes_each_record_once(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    // Small batches, so that many are in flight.
    let settings = [("enable.idempotence", "true"), ("batch.num.messages", "50")];
    let producer = producer(bootstrap, &settings);
    for i in 0..5000 {
        let value = i.to_string();
        let record = BaseRecord::<str, str>::to(&topic).payload(&value);
        producer.send(record).map_err(|(e, _)| e).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    let numbers: Vec<String> = (0..5000).map(|i| i.to_string()).collect();
    assert_eq!(read_texts(bootstrap, &topic), numbers);
}

pub fn every_kind_of_acknowledgement_works(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let mut expected = Vec::new();
    for acks in ["1", "all", "0"] {
        let producer = producer(bootstrap, &[("acks", acks)]);
        for i in 0..100 {
            let value = format!("{acks} {i}");
            let record = BaseRecord::<str, str>::to(&topic).payload(&value);
            producer.send(record).map_err(|(e, _)| e).unwrap();
            expected.push(value);
        }
        producer.flush(PATIENCE).unwrap();
    }
    // With acks=0 nothing says when the last ones are there.
    until("all records are there", || {
        (read_all(bootstrap, &topic).len() == expected.len()).then_some(())
    });
    assert_eq!(read_texts(bootstrap, &topic), expected);
}

pub fn a_batch_over_the_limit_is_refused(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[("max.message.bytes", "2000")]);
    let producer: rdkafka::producer::FutureProducer =
        crate::support::client(bootstrap, &[]).create().unwrap();
    let large = "x".repeat(3000);
    let record = rdkafka::producer::FutureRecord::<str, str>::to(&topic).payload(&large);
    let sent = crate::support::runtime().block_on(producer.send(record, PATIENCE));
    let (error, _) = sent.unwrap_err();
    assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge));
    assert_eq!(read_all(bootstrap, &topic).len(), 0);
}

pub fn a_batch_with_a_wrong_checksum_is_refused(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let mut raw = Raw::connect(bootstrap);
    let mut wrong = batch(NOBODY, &["a", "b"]).to_vec();
    *wrong.last_mut().unwrap() ^= 1;
    let refused = raw.produce(&topic, wrong.into());
    assert_eq!(refused.error_code, ResponseError::CorruptMessage.code());
    assert_eq!(raw.produce(&topic, batch(NOBODY, &["a"])).base_offset, 0);
}

pub fn a_repeated_sequence_is_recognised_and_a_gap_refused(bootstrap: &str) {
    let topic = topic(bootstrap, 1, &[]);
    let mut raw = Raw::connect(bootstrap);
    // Kafka may still be loading what it needs for the first one.
    let request = InitProducerIdRequest::default().with_transactional_id(None);
    let given = until("a producer id is given", || {
        let given = raw.call(4, &request);
        (given.error_code != ResponseError::CoordinatorLoadInProgress.code()).then_some(given)
    });
    assert_eq!((given.error_code, given.producer_epoch), (0, 0));
    let id = given.producer_id.0;
    let first = batch((id, 0, 0), &["a", "b"]);
    let second = batch((id, 0, 2), &["c"]);
    assert_eq!(raw.produce(&topic, first.clone()).base_offset, 0);
    assert_eq!(raw.produce(&topic, second.clone()).base_offset, 2);
    for (again, offset) in [(first, 0), (second, 2)] {
        let answer = raw.produce(&topic, again);
        assert_eq!((answer.error_code, answer.base_offset), (0, offset));
    }
    let gap = raw.produce(&topic, batch((id, 0, 5), &["f"]));
    assert_eq!(gap.error_code, ResponseError::OutOfOrderSequenceNumber.code());
    let newer = raw.produce(&topic, batch((id, 1, 0), &["d"]));
    assert_eq!((newer.error_code, newer.base_offset), (0, 3));
    let stale = raw.produce(&topic, batch((id, 0, 3), &["x"]));
    assert_eq!(stale.error_code, ResponseError::InvalidProducerEpoch.code());
    assert_eq!(read_texts(bootstrap, &topic), ["a", "b", "c", "d"]);
}
