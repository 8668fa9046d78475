//! A partition by itself: what is found where, and what a restart makes of a damaged tail.

use std::fs;

use super::*;
use crate::batch::check;
use crate::batch::tests::batch;

struct Bench {
    dir: tempfile::TempDir,
    config: TopicConfig,
}

impl Bench {
    /// With segments of 1 KiB: tests write little.
    fn new() -> Bench {
        let config = TopicConfig { segment_bytes: 1024, ..TopicConfig::default() };
        Bench { dir: tempfile::tempdir().unwrap(), config }
    }

    fn open(&self) -> Partition {
        Partition::open(self.dir.path().to_path_buf(), 10, Durability::PageCache).unwrap()
    }

    fn append(&self, to: &Partition, batch: &Bytes) -> Result<i64, ResponseError> {
        let head = check(batch, 1 << 20)?;
        to.append(&head, batch, &self.config).map(|appended| appended.base_offset)
    }

    /// `n` batches of two records, a second apart, from one idempotent producer.
    fn fill(&self, partition: &Partition, n: i32) {
        for i in 0..n {
            let time = i64::from(i) * 1000;
            let bytes = batch((7, 0, i * 2), &[time, time + 500]);
            assert_eq!(self.append(partition, &bytes), Ok(i64::from(i) * 2));
        }
    }

    fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
        paths.sort();
        paths
    }
}

fn read(partition: &Partition, offset: i64, bytes: usize) -> Vec<i64> {
    let (found, _) = partition.find(offset, Isolation::ReadUncommitted, None);
    let Some(found) = found.unwrap() else { return Vec::new() };
    let allowed = Allowance { bytes, first_whole: true };
    let records = found.read(allowed, &mut BytesMut::new()).unwrap();
    let mut rest = &records[..];
    let mut offsets = Vec::new();
    while !rest.is_empty() {
        let head = Head::read(rest).unwrap();
        assert!(head.crc_fits(&rest[..head.bytes]));
        offsets.push(head.base_offset);
        rest = &rest[head.bytes..];
    }
    offsets
}

#[test]
fn every_offset_is_found_in_its_batch_across_segments() {
    let bench = Bench::new();
    let partition = bench.open();
    bench.fill(&partition, 50);
    assert!(bench.segments().len() > 3);
    for offset in 0..100 {
        assert_eq!(read(&partition, offset, 1)[0], offset / 2 * 2);
    }
    assert!(read(&partition, 100, 1000).is_empty());
    let (found, bounds) = partition.find(101, Isolation::ReadUncommitted, None);
    assert_eq!(found.err(), Some(ResponseError::OffsetOutOfRange));
    assert_eq!(bounds, Bounds { start: 0, end: 100, stable: 100 });
}

#[test]
fn a_read_gives_whole_batches_within_its_allowance() {
    let bench = Bench::new();
    let partition = bench.open();
    bench.fill(&partition, 5);
    let one = batch((7, 0, 0), &[0, 500]).len();
    assert_eq!(read(&partition, 0, one * 2 + 10), [0, 2]);
    assert_eq!(read(&partition, 3, one * 2), [2, 4]);
    let (found, _) = partition.find(0, Isolation::ReadUncommitted, None);
    let allowed = Allowance { bytes: one - 1, first_whole: false };
    assert_eq!(found.unwrap().unwrap().bytes_to_read(allowed), 0);
}

#[test]
fn a_time_is_found_to_the_record() {
    let bench = Bench::new();
    let partition = bench.open();
    bench.fill(&partition, 50);
    assert_eq!(partition.offset_for_time(0), Ok(Some((0, 0))));
    assert_eq!(partition.offset_for_time(20_100), Ok(Some((41, 20_500))));
    assert_eq!(partition.offset_for_time(20_501), Ok(Some((42, 21_000))));
    assert_eq!(partition.offset_for_time(50_000), Ok(None));
    assert_eq!(partition.offset_of_latest_time(), Ok(Some((99, 49_500))));
    assert_eq!(bench_empty().offset_of_latest_time(), Ok(None));
}

fn bench_empty() -> Partition {
    Bench::new().open()
}

#[test]
fn a_restart_keeps_all_records_and_knows_the_producers() {
    let bench = Bench::new();
    let partition = bench.open();
    bench.fill(&partition, 50);
    partition.seal().unwrap();
    drop(partition);
    let partition = bench.open();
    assert_eq!(partition.bounds(), Bounds { start: 0, end: 100, stable: 100 });
    assert_eq!(read(&partition, 37, 1), [36]);
    let again = batch((7, 0, 98), &[49_000, 49_500]);
    assert_eq!(bench.append(&partition, &again), Ok(98));
    let gap = batch((7, 0, 102), &[1, 2]);
    assert_eq!(bench.append(&partition, &gap), Err(ResponseError::OutOfOrderSequenceNumber));
    assert_eq!(partition.bounds().end, 100);
}

#[test]
fn a_restart_without_index_files_finds_the_same() {
    let bench = Bench::new();
    let partition = bench.open();
    bench.fill(&partition, 50);
    drop(partition);
    let partition = bench.open();
    assert_eq!(partition.bounds(), Bounds { start: 0, end: 100, stable: 100 });
    assert_eq!(partition.offset_for_time(20_100), Ok(Some((41, 20_500))));
}

#[test]
fn a_torn_tail_is_cut_at_every_length() {
    let one = batch((7, 0, 0), &[0, 500]).len();
    for torn in 1..one {
        let bench = Bench::new();
        let partition = bench.open();
        bench.fill(&partition, 3);
        drop(partition);
        let file = fs::OpenOptions::new().write(true).open(&bench.segments()[0]).unwrap();
        file.set_len((one * 3 - torn) as u64).unwrap();
        let partition = bench.open();
        assert_eq!(partition.bounds().end, 4, "{torn} bytes torn off");
        let next = batch((7, 0, 4), &[2000, 2500]);
        assert_eq!(bench.append(&partition, &next), Ok(4));
    }
}

#[test]
fn any_flipped_bit_in_the_last_batch_cuts_it_off() {
    let bench = Bench::new();
    let partition = bench.open();
    bench.fill(&partition, 3);
    drop(partition);
    let path = &bench.segments()[0];
    let whole = fs::read(path).unwrap();
    let one = whole.len() / 3;
    for bit in one * 2 * 8..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(path, &bytes).unwrap();
        let partition = bench.open();
        assert_eq!(partition.bounds().end, 4, "bit {bit}");
        assert_eq!(fs::metadata(path).unwrap().len() as usize, one * 2);
    }
}

#[test]
fn any_flipped_bit_in_an_index_has_it_rebuilt() {
    let bench = Bench::new();
    let partition = bench.open();
    bench.fill(&partition, 30);
    partition.seal().unwrap();
    drop(partition);
    let path = bench.segments()[0].with_extension("index");
    let whole = fs::read(&path).unwrap();
    for bit in (0..whole.len() * 8).step_by(5) {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        let partition = bench.open();
        assert_eq!(partition.bounds(), Bounds { start: 0, end: 60, stable: 60 }, "bit {bit}");
        assert_eq!(read(&partition, 5, 1), [4]);
        assert_eq!(partition.offset_for_time(3_100), Ok(Some((7, 3_500))));
    }
    for bytes in 0..whole.len() {
        fs::write(&path, &whole[..bytes]).unwrap();
        assert_eq!(bench.open().bounds().end, 60, "cut to {bytes} bytes");
    }
}

#[test]
fn an_index_that_cannot_be_written_is_tried_again() {
    let bench = Bench::new();
    let partition = bench.open();
    bench.fill(&partition, 30);
    // A folder in its place.
    let index = bench.segments()[0].with_extension("index");
    fs::create_dir(&index).unwrap();
    assert!(partition.seal().is_err());
    fs::remove_dir(&index).unwrap();
    partition.seal().unwrap();
    assert!(index.is_file());
    assert!(partition.log().unsealed.is_empty());
}

#[test]
fn segments_after_a_damaged_one_are_set_aside() {
    let bench = Bench::new();
    let partition = bench.open();
    bench.fill(&partition, 50);
    drop(partition);
    let segments = bench.segments();
    let mut bytes = fs::read(&segments[1]).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&segments[1], bytes).unwrap();
    let partition = bench.open();
    assert_eq!(bench.segments().len(), 2);
    assert!(segments[2].with_extension("damaged").exists());
    let end = partition.bounds().end;
    assert_eq!(bench.append(&partition, &batch((-1, -1, -1), &[0])), Ok(end));
}

#[test]
fn retention_deletes_by_age_even_the_newest_and_by_size_not() {
    let bench = Bench::new();
    let partition = bench.open();
    bench.fill(&partition, 50);
    let sizes = bench.segments().len();
    let by_size = TopicConfig { retention_bytes: 2048, ..TopicConfig::default() };
    let by_size = TopicConfig { retention_ms: -1, ..by_size };
    let deleted = partition.retain(&by_size, 0).unwrap();
    assert_eq!(bench.segments().len(), sizes - deleted);
    assert!((2048..2048 + 1024).contains(&partition.bytes()));
    let start = partition.bounds().start;
    assert_eq!(
        partition.find(start - 1, Isolation::ReadUncommitted, None).0.err(),
        Some(ResponseError::OffsetOutOfRange)
    );

    let by_age = TopicConfig { retention_ms: 1000, ..TopicConfig::default() };
    partition.retain(&by_age, 50_000).unwrap();
    assert_eq!(read(&partition, 99, 1), [98]);
    partition.retain(&by_age, 60_000).unwrap();
    assert_eq!(
        (partition.bytes(), partition.bounds()),
        (0, Bounds { start: 100, end: 100, stable: 100 })
    );
    drop(partition);
    assert_eq!(bench.open().bounds(), Bounds { start: 100, end: 100, stable: 100 });
}

#[test]
fn a_deleted_partition_is_unknown_and_wakes_its_waiters() {
    let bench = Bench::new();
    let partition = bench.open();
    let waiter = Arc::new(Notify::new());
    assert!(partition.find(0, Isolation::ReadUncommitted, Some(&waiter)).0.unwrap().is_none());
    partition.delete();
    let unknown = ResponseError::UnknownTopicOrPartition;
    assert_eq!(partition.find(0, Isolation::ReadUncommitted, None).0.err(), Some(unknown));
    assert_eq!(bench.append(&partition, &batch((-1, -1, -1), &[0])), Err(unknown));
    assert!(partition.log().waiting.is_empty());
}
