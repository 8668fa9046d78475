//! Compacted topics: the last record of each key stays, at its offset.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, UNIX_EPOCH};

use kafka_protocol::ResponseError;
use rdkafka::Message;
use rdkafka::message::OwnedMessage;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::raw::{NOBODY, Raw, batch};
use crate::support::{Embedded, PATIENCE, client, fresh, read_all, topic, until_within};

/// Offset, key and value, as text.
type Seen = (i64, String, Option<String>);

const SETTINGS: &[(&str, &str)] =
    &[("cleanup.policy", "compact"), ("segment.ms", "60000"), ("min.cleanable.dirty.ratio", "0")];
/// A record every so often: a segment has a dozen.
const STEP_MS: i64 = 5000;
/// Kafka's cleaner takes a quarter of a minute where it has nothing else to do.
const CLEANER_PATIENCE: Duration = Duration::from_mins(3);
/// Records of this key close a segment at the end.
const LAST: &str = "last";

fn now_ms() -> i64 {
    UNIX_EPOCH.elapsed().unwrap().as_millis() as i64
}

/// One batch of one record, acknowledged when this returns.
fn put(producer: &BaseProducer, topic: &str, time: i64, key: &str, value: Option<&str>) {
    let record = BaseRecord::<str, str>::to(topic).partition(0).key(key).timestamp(time);
    let record = if let Some(value) = value { record.payload(value) } else { record };
    producer.send(record).map_err(|(e, _)| e).unwrap();
    producer.flush(PATIENCE).unwrap();
}

fn seen(bootstrap: &str, topic: &str) -> Vec<Seen> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let seen = |m: &OwnedMessage| (m.offset(), text(m.key().unwrap()), m.payload().map(text));
    read_all(bootstrap, topic).iter().map(seen).collect()
}

fn table(seen: &[Seen]) -> BTreeMap<&str, &str> {
    let mut table = BTreeMap::new();
    for (_, key, value) in seen {
        match value {
            Some(value) => table.insert(key.as_str(), value.as_str()),
            None => table.remove(key.as_str()),
        };
    }
    table
}

/// Updates, tombstones, transactions that commit and that abort, in all codecs.
fn write_history(bootstrap: &str, topic: &str) {
    let mut time = now_ms();
    for (round, codec) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        let plain: BaseProducer =
            client(bootstrap, &[("compression.codec", codec)]).create().unwrap();
        let id = fresh("tx");
        let settings = [("compression.codec", codec), ("transactional.id", &id)];
        let owner: BaseProducer = client(bootstrap, &settings).create().unwrap();
        owner.init_transactions(PATIENCE).unwrap();
        for i in 0..20 {
            time += STEP_MS;
            let key = format!("key {}", i % 7);
            let value = format!("round {round}, {i} {}", "x".repeat(100));
            put(&plain, topic, time, &key, (i % 6 != 5).then_some(&value));
            if i % 5 != 4 {
                continue;
            }
            owner.begin_transaction().unwrap();
            for key in [&key, "of transactions"] {
                time += STEP_MS;
                put(&owner, topic, time, key, Some(&format!("transaction {round} {i}")));
            }
            let ended = if i % 2 == 0 {
                owner.abort_transaction(PATIENCE)
            } else {
                owner.commit_transaction(PATIENCE)
            };
            ended.unwrap();
        }
    }
    let plain: BaseProducer = client(bootstrap, &[]).create().unwrap();
    for i in 1..=2 {
        put(&plain, topic, time + i * 100_000, LAST, Some("end"));
    }
}

/// What is left once all but the last segment is compacted.
fn compacted(bootstrap: &str, topic: &str) -> Vec<Seen> {
    until_within(CLEANER_PATIENCE, "each key is there once", || {
        let seen = seen(bootstrap, topic);
        let keys: Vec<_> = seen.iter().map(|s| &s.1).filter(|key| **key != LAST).collect();
        let unique: BTreeSet<_> = keys.iter().collect();
        (unique.len() == keys.len()).then_some(seen)
    })
}

pub fn the_last_record_of_each_key_stays(bootstrap: &str) {
    let topic = topic(bootstrap, 1, SETTINGS);
    write_history(bootstrap, &topic);
    let seen = compacted(bootstrap, &topic);
    assert!(seen.is_sorted_by(|a, b| a.0 < b.0));
    let table = table(&seen);
    let value = |round: u32, i: u32| format!("round {round}, {i} {}", "x".repeat(100));
    assert_eq!(table["key 6"], value(4, 13));
    assert_eq!(table["key 2"], value(4, 16));
    assert!(!table.contains_key("key 3"), "a tombstone came last");
    assert_eq!(table["of transactions"], "transaction 4 19");
}

pub fn a_record_without_a_key_is_refused(bootstrap: &str) {
    let topic = topic(bootstrap, 1, SETTINGS);
    let refused = Raw::connect(bootstrap).produce(&topic, batch(NOBODY, &["no key"]));
    assert_eq!(refused.error_code, ResponseError::InvalidRecord.code());
}

pub fn a_tombstone_is_forgotten_in_the_end(bootstrap: &str) {
    let settings = [SETTINGS, &[("delete.retention.ms", "100")]].concat();
    let topic = topic(bootstrap, 1, &settings);
    let producer: BaseProducer = client(bootstrap, &[]).create().unwrap();
    let mut time = now_ms();
    put(&producer, &topic, time, "a", Some("1"));
    put(&producer, &topic, time, "a", None);
    // Each turn of compaction wants something new.
    until_within(CLEANER_PATIENCE, "the tombstone goes", || {
        time += 100_000;
        put(&producer, &topic, time, LAST, Some("x"));
        seen(bootstrap, &topic).iter().all(|seen| seen.1 != "a").then_some(())
    });
}

/// The same history, record by record.
#[test]
fn what_is_left_is_what_kafka_leaves() {
    let Ok(kafka) = std::env::var("NOWCAST_KAFKA") else {
        println!("skipped: NOWCAST_KAFKA is not set");
        return;
    };
    let broker = Embedded::start();
    let [ours, theirs] = [&broker.bootstrap(), &kafka].map(|bootstrap| {
        let topic = topic(bootstrap, 1, SETTINGS);
        write_history(bootstrap, &topic);
        compacted(bootstrap, &topic)
    });
    assert_eq!(ours, theirs);
}
