//! Compaction of a partition by itself: what readers see before and after, and at every place where a
//! crash may stop it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use super::*;
use crate::batch::{HEAD_BYTES, Marker, check, marker_of};
use crate::log::{Allowance, Isolation, Markers};
use crate::records;
use crate::topic_config::CleanupPolicy;

const NOBODY: (i64, i16, i32) = (-1, -1, -1);

/// Key and value; a value of `None` is a tombstone.
type Pair<'a> = (&'a str, Option<&'a str>);

/// A batch in one of the codecs, 0 to 4.
fn batch(producer: (i64, i16, i32), pairs: &[Pair<'_>], codec: i16, transactional: bool) -> Bytes {
    let record = |(i, (key, value)): (usize, &Pair<'_>)| Record {
        transactional,
        control: false,
        partition_leader_epoch: -1,
        producer_id: producer.0,
        producer_epoch: producer.1,
        timestamp_type: TimestampType::Creation,
        offset: i as i64,
        sequence: producer.2 + i as i32,
        timestamp: 1000 + i as i64,
        key: Some(Bytes::from(key.to_string())),
        value: value.map(|value| Bytes::from(value.to_string())),
        headers: Default::default(),
        delete_horizon: false,
    };
    let records: Vec<Record> = pairs.iter().enumerate().map(record).collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, records.iter(), &options).unwrap();
    let head = Head::read(&bytes).unwrap();
    let decoded = records::decode(&head, &bytes).unwrap();
    let all: Vec<_> = records::read(&head, &decoded).map(Result::unwrap).collect();
    let of_codec = Head { attributes: head.attributes | codec, ..head.clone() };
    Bytes::from(records::rebuild(&of_codec, &all, None).unwrap())
}

struct Bench {
    dir: tempfile::TempDir,
    config: TopicConfig,
}

impl Bench {
    fn new() -> Bench {
        let config = TopicConfig {
            cleanup_policy: CleanupPolicy::Compact,
            segment_bytes: 1024,
            delete_retention_ms: 10_000,
            min_cleanable_dirty_ratio: 0.0,
            ..TopicConfig::default()
        };
        Bench { dir: tempfile::tempdir().unwrap(), config }
    }

    fn open(&self) -> Partition {
        open(self.dir.path())
    }

    fn append(&self, to: &Partition, batch: &Bytes) -> i64 {
        let head = check(batch, 1 << 20).unwrap();
        to.append(&head, batch, &self.config).map(|appended| appended.base_offset).unwrap()
    }

    fn put(&self, to: &Partition, pairs: &[Pair<'_>]) -> i64 {
        self.append(to, &batch(NOBODY, pairs, 0, false))
    }

    fn end(&self, of: &Partition, producer: i64, marker: Marker) {
        of.end_transaction((producer, 0), marker, Markers::All, 1000, &self.config).unwrap();
    }

    fn compact(&self, partition: &Partition, now_ms: i64) -> Option<Compaction> {
        partition.seal().unwrap();
        partition.compact(&self.config, now_ms).unwrap()
    }

    /// Fills up and closes the last segment.
    fn close(&self, partition: &Partition) {
        let value = "x".repeat(1000);
        self.put(partition, &[("filler", Some(&value))]);
        self.put(partition, &[("filler", Some("the end"))]);
    }
}

fn open(dir: &Path) -> Partition {
    Partition::open(dir.to_path_buf(), 10, Durability::PageCache).unwrap()
}

type Seen = (i64, String, Option<String>);

/// What a reader of committed records sees, who passes over aborted ones as clients do.
fn visible(partition: &Partition) -> Vec<Seen> {
    let (mut seen, mut from) = (Vec::new(), partition.bounds().start);
    loop {
        let found = partition.find(from, Isolation::ReadCommitted, None).0.unwrap();
        let Some(found) = found else { return seen };
        let mut aborted: Vec<_> = found.aborted.clone();
        aborted.sort_by_key(|aborted| aborted.first_offset);
        let mut aborting = BTreeSet::new();
        let allowed = Allowance { bytes: 2000, first_whole: true };
        let bytes = found.read(allowed, &mut BytesMut::new()).unwrap();
        let mut rest = &bytes[..];
        while let Some(head) = Head::read(rest) {
            let batch = &rest[..head.bytes];
            rest = &rest[head.bytes..];
            assert!(head.crc_fits(batch));
            assert!(head.end_offset() > from, "offsets go on");
            from = head.end_offset();
            let begun = aborted.partition_point(|aborted| aborted.first_offset < from);
            aborting.extend(aborted.drain(..begun).map(|aborted| aborted.producer_id));
            if head.is_control() {
                if marker_of(batch) == Some(Marker::Abort) && head.records > 0 {
                    aborting.remove(&head.producer_id);
                }
            } else if !head.is_transactional() || !aborting.contains(&head.producer_id) {
                seen.extend(read_batch(&head, batch));
            }
        }
    }
}

fn read_batch(head: &Head, batch: &[u8]) -> Vec<Seen> {
    if head.records == 0 {
        assert_eq!(batch.len(), HEAD_BYTES);
        return Vec::new();
    }
    use kafka_protocol::records::RecordBatchDecoder;
    let decoded = records::decode(head, batch).unwrap();
    let plain = Head { attributes: head.attributes & !0b111, ..head.clone() };
    let plain = crate::batch::seal(&plain, &decoded);
    let set = RecordBatchDecoder::decode(&mut Bytes::from(plain)).unwrap();
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let seen =
        |r: &Record| (r.offset, r.key.as_ref().map(text).unwrap(), r.value.as_ref().map(text));
    set.records.iter().map(seen).collect()
}

/// The table that a topic's records make: the last value of each key.
fn table(seen: &[Seen]) -> BTreeMap<String, String> {
    let mut table = BTreeMap::new();
    for (_, key, value) in seen {
        match value {
            Some(value) => table.insert(key.clone(), value.clone()),
            None => table.remove(key),
        };
    }
    table
}

fn keys(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|(_, key, _)| key.as_str()).collect()
}

#[test]
fn the_last_record_of_each_key_stays_where_it_was() {
    let bench = Bench::new();
    let partition = bench.open();
    for codec in 0..=4 {
        let pairs = [("a", Some("1")), ("b", Some("2")), ("a", Some("3"))];
        bench.append(&partition, &batch(NOBODY, &pairs, codec, false));
    }
    bench.close(&partition);
    let before = visible(&partition);
    let done = bench.compact(&partition, 0).unwrap();
    assert!(done.bytes_after < done.bytes_before);
    let after = visible(&partition);
    assert_eq!(keys(&after), ["b", "a", "filler", "filler"]);
    assert_eq!(after[..2], before[13..15]);
    assert_eq!(bench.compact(&partition, 0), None, "nothing new");
    drop(partition);
    assert_eq!(visible(&bench.open()), after);
}

#[test]
fn a_tombstone_goes_when_its_time_is_over() {
    let bench = Bench::new();
    let partition = bench.open();
    bench.put(&partition, &[("a", Some("1")), ("b", Some("2"))]);
    bench.put(&partition, &[("a", None)]);
    bench.close(&partition);
    bench.compact(&partition, 100_000).unwrap();
    assert_eq!(
        visible(&partition)[..2],
        [(1, "b".into(), Some("2".into())), (2, "a".into(), None)]
    );
    // It counts from when compaction first saw it.
    for (now_ms, there) in [(109_999, true), (110_000, false)] {
        bench.close(&partition);
        bench.compact(&partition, now_ms).unwrap();
        assert_eq!(keys(&visible(&partition)).contains(&"a"), there);
    }
}

#[test]
fn a_time_is_found_beside_a_tombstone() {
    let bench = Bench::new();
    let partition = bench.open();
    let pairs = [("a", Some("1")), ("b", None), ("a", Some("2")), ("c", Some("3"))];
    bench.append(&partition, &batch(NOBODY, &pairs, 4, false));
    bench.close(&partition);
    bench.compact(&partition, 100_000).unwrap();
    assert_eq!(partition.offset_for_time(0), Ok(Some((1, 1001))));
    assert_eq!(partition.offset_for_time(1003), Ok(Some((3, 1003))));
}

#[test]
fn aborted_records_go_and_open_transactions_stay() {
    let bench = Bench::new();
    let partition = bench.open();
    bench.put(&partition, &[("a", Some("first")), ("b", Some("first"))]);
    bench.append(&partition, &batch((1, 0, 0), &[("a", Some("aborted"))], 3, true));
    bench.append(&partition, &batch((2, 0, 0), &[("b", Some("committed"))], 0, true));
    bench.end(&partition, 1, Marker::Abort);
    bench.end(&partition, 2, Marker::Commit);
    bench.close(&partition);
    bench.append(&partition, &batch((3, 0, 0), &[("c", Some("open"))], 0, true));
    bench.close(&partition);
    bench.compact(&partition, 100_000).unwrap();
    let seen = visible(&partition);
    assert_eq!(keys(&seen), ["a", "b", "filler", "filler"]);
    assert_eq!(table(&seen)["a"], "first");
    assert_eq!(table(&seen)["b"], "committed");
    bench.end(&partition, 3, Marker::Commit);
    bench.close(&partition);
    bench.compact(&partition, 200_000).unwrap();
    assert_eq!(table(&visible(&partition))["c"], "open");
    // With their records gone markers go as tombstones do, and nothing is left open.
    for now_ms in [300_000, 400_000] {
        bench.put(&partition, &[("b", Some("later")), ("c", Some("later"))]);
        bench.close(&partition);
        bench.compact(&partition, now_ms).unwrap();
    }
    let seen = visible(&partition);
    drop(partition);
    fs::read_dir(bench.dir.path()).unwrap().map(|entry| entry.unwrap().path()).for_each(|path| {
        if path.extension().is_some_and(|extension| extension == "index") {
            fs::remove_file(path).unwrap();
        }
    });
    let partition = bench.open();
    assert_eq!(visible(&partition), seen);
    assert_eq!(partition.open_transactions(), []);
    let again = batch((1, 0, 0), &[("a", Some("aborted"))], 3, true);
    let head = check(&again, 1 << 20).unwrap();
    let known = partition.append(&head, &again, &bench.config).unwrap();
    assert!(known.file.is_none(), "the producer's last batch is remembered");
}

#[test]
fn segments_that_fit_into_one_become_one_and_lag_and_ratio_hold_it_back() {
    let mut bench = Bench::new();
    let partition = bench.open();
    for i in 0..100 {
        bench.put(&partition, &[("a", Some(&format!("{i:050}")))]);
    }
    let segments = || partition.log().segments.len();
    assert!(segments() > 10);
    partition.seal().unwrap();
    bench.config.min_compaction_lag_ms = 5000;
    assert_eq!(bench.compact(&partition, 5999), None);
    bench.config.min_compaction_lag_ms = 0;
    bench.config.min_cleanable_dirty_ratio = 1.0;
    assert_eq!(bench.compact(&partition, 5999), None);
    bench.config.min_cleanable_dirty_ratio = 0.5;
    bench.compact(&partition, 6000).unwrap();
    bench.config.min_cleanable_dirty_ratio = 0.0;
    assert_eq!(partition.bounds().end, 100);
    for _ in 0..3 {
        bench.close(&partition);
        bench.compact(&partition, 6000);
    }
    assert!(segments() <= 6, "{} segments", segments());
    let ends: Vec<_> =
        partition.log().segments.iter().map(|s| (s.base_offset, s.end_offset)).collect();
    assert!(ends.is_sorted_by(|a, b| a.1 == b.0), "{ends:?}");
}

#[test]
fn keys_that_have_no_room_wait_for_the_next_turn() {
    let bench = Bench::new();
    let partition = bench.open();
    for i in 0..50 {
        let key = format!("key {}", i % 20);
        bench.put(&partition, &[(&key, Some("x")), (&key, Some("y"))]);
    }
    bench.close(&partition);
    let whole = table(&visible(&partition));
    partition.seal().unwrap();
    let mut turns = 0;
    while let Some(done) = partition.compact_within(&bench.config, 0, 300, &mut || {}).unwrap() {
        assert_eq!(partition.log().compacted.clean_end, done.end);
        assert_eq!(table(&visible(&partition)), whole);
        turns += 1;
    }
    assert!(turns > 5, "{turns} turns");
}

#[test]
fn retention_of_a_compacted_topic_deletes_only_where_it_is_to() {
    let mut bench = Bench::new();
    let partition = bench.open();
    bench.put(&partition, &[("a", Some("1"))]);
    bench.close(&partition);
    bench.config.retention_ms = 1000;
    assert_eq!(partition.retain(&bench.config, 1_000_000).unwrap(), 0);
    bench.config.cleanup_policy = CleanupPolicy::CompactAndDelete;
    assert!(partition.retain(&bench.config, 1_000_000).unwrap() > 0);
}

/// A small generator, seeded: failures come back.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Writes anything: plain and transactional batches of several producers, in all codecs.
fn write_anything(bench: &Bench, partition: &Partition, dice: &mut Dice, batches: usize) {
    let mut sequences = [0; 3];
    let mut open = [false; 3];
    for i in 0..batches {
        let texts: Vec<(String, Option<String>)> = (0..1 + dice.roll(6))
            .map(|_| {
                let value = (dice.roll(5) > 0)
                    .then(|| format!("{i} {}", "v".repeat(dice.roll(60) as usize)));
                (format!("key {}", dice.roll(12)), value)
            })
            .collect();
        let pairs: Vec<Pair<'_>> = texts.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
        let codec = dice.roll(5) as i16;
        let of = dice.roll(6) as usize;
        if of >= 3 {
            bench.append(partition, &batch(NOBODY, &pairs, codec, false));
            continue;
        }
        let producer = 100 + of as i64;
        bench.append(partition, &batch((producer, 0, sequences[of]), &pairs, codec, true));
        sequences[of] += pairs.len() as i32;
        open[of] = dice.roll(2) == 0;
        if !open[of] {
            let marker = if dice.roll(3) == 0 { Marker::Abort } else { Marker::Commit };
            bench.end(partition, producer, marker);
        }
    }
    for of in (0..3).filter(|&of| open[of]) {
        bench.end(partition, 100 + of as i64, Marker::Commit);
    }
}

#[test]
fn readers_see_the_same_table_whatever_was_written() {
    for seed in 0..20 {
        let bench = Bench::new();
        let partition = bench.open();
        let mut dice = Dice(seed);
        write_anything(&bench, &partition, &mut dice, 120);
        bench.close(&partition);
        for now_ms in [0, 5_000, 20_000, 40_000] {
            let whole = visible(&partition);
            bench.compact(&partition, now_ms);
            let seen = visible(&partition);
            assert!(seen.iter().all(|record| whole.contains(record)), "seed {seed}");
            assert_eq!(table(&seen), table(&whole), "seed {seed}");
            assert_eq!(visible(&bench.open()), seen, "seed {seed}, opened again");
            bench.put(&partition, &[("filler", None)]);
            bench.close(&partition);
        }
        let seen = visible(&partition);
        let closed_end = partition.log().compacted.clean_end;
        let closed: Vec<_> = seen.iter().filter(|record| record.0 < closed_end).collect();
        let unique: BTreeSet<_> = closed.iter().map(|record| &record.1).collect();
        assert_eq!(unique.len(), closed.len(), "seed {seed}: a key twice");
    }
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

#[test]
fn a_crash_between_any_two_changes_of_files_loses_nothing() {
    let mut stops = 0;
    for seed in 0..3 {
        let bench = Bench::new();
        let partition = bench.open();
        let mut dice = Dice(1000 + seed);
        write_anything(&bench, &partition, &mut dice, 40);
        bench.close(&partition);
        // The second turn finds merged segments and markers without records.
        for now_ms in [0, 50_000] {
            partition.seal().unwrap();
            let whole = visible(&partition);
            let mut left = Vec::new();
            let mut look = || left.push(copy(bench.dir.path()));
            partition.compact_within(&bench.config, now_ms, 1 << 20, &mut look).unwrap().unwrap();
            for dir in &left {
                let reopened = open(dir.path());
                let seen = visible(&reopened);
                assert!(seen.iter().all(|record| whole.contains(record)), "seed {seed}");
                assert_eq!(table(&seen), table(&whole), "seed {seed}");
                assert_eq!(reopened.bounds().end, partition.bounds().end);
                assert_eq!(reopened.open_transactions(), []);
                for entry in fs::read_dir(dir.path()).unwrap() {
                    let name = entry.unwrap().file_name().into_string().unwrap();
                    assert!(!name.ends_with(".cleaned") && !name.ends_with(".damaged"), "{name}");
                }
                bench.compact(&reopened, now_ms);
                assert_eq!(table(&visible(&reopened)), table(&whole), "seed {seed}");
                drop(reopened);
                assert_eq!(table(&visible(&open(dir.path()))), table(&whole), "seed {seed}");
            }
            stops += left.len();
            bench.put(&partition, &[("key 1", None)]);
            bench.close(&partition);
        }
    }
    assert!(stops > 60, "{stops} places to stop");
}
