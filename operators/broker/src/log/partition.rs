//! One partition: appends, finds what a reader asks for, forgets what retention says.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use tokio::sync::Notify;

use super::compacted::Compacted;
use super::recovery::{self, open_for_append};
use super::segment::{Aborted, Segment};
use super::walk::Walk;
use crate::batch::{self, HEAD_BYTES, Head, Marker, PATCHED_BYTES};
use crate::error::{Error, Result};
use crate::files::{Durability, sync_dir, write_sealed};
use crate::producers::{Active, Producers, Snapshot, Verdict};
use crate::records;
use crate::topic_config::TopicConfig;

#[derive(Debug)]
pub(crate) struct Partition {
    pub(super) dir: PathBuf,
    durability: Durability,
    log: Mutex<Log>,
}

#[derive(Debug)]
pub(super) struct Log {
    /// Oldest first; the last one is appended to. Never empty.
    pub segments: VecDeque<Segment>,
    active: Arc<File>,
    pub producers: Producers,
    pub compacted: Compacted,
    /// Fetches to wake at the next append.
    waiting: Vec<Arc<Notify>>,
    /// Closed segments whose index file is still to be written.
    pub unsealed: Vec<Unsealed>,
    /// Appended to since the last sync.
    dirty: bool,
    pub life: Life,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Open,
    /// The topic is gone.
    Deleted,
    /// A failed write could not be undone: what is in the file is not what was acknowledged.
    Broken,
}

#[derive(Debug)]
pub(super) struct Unsealed {
    pub base_offset: i64,
    file: Arc<File>,
    producers: Snapshot,
}

/// First offset kept, the one the next record gets, and the last stable one between: where the
/// earliest open transaction begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub start: i64,
    pub end: i64,
    pub stable: i64,
}

impl Bounds {
    /// Where a reader's records end.
    pub fn end_for(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadUncommitted => self.end,
            Isolation::ReadCommitted => self.stable,
        }
    }
}

/// Whether a reader sees transactions before they end, and aborted ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    ReadUncommitted,
    ReadCommitted,
}

impl Isolation {
    /// The protocol's number.
    pub fn of(level: i8) -> Isolation {
        if level == 1 { Isolation::ReadCommitted } else { Isolation::ReadUncommitted }
    }
}

/// Which partitions of a transaction get its marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Markers {
    All,
    /// Only where it is open: others may have theirs already.
    WhereOpen,
}

pub(crate) struct Appended {
    pub base_offset: i64,
    pub start_offset: i64,
    /// The file to sync where a sync comes before the acknowledgement; `None` for a duplicate.
    pub file: Option<Arc<File>>,
}

/// Where the records that a fetch wants lie.
pub(crate) struct Found {
    file: Arc<File>,
    position: u64,
    end: u64,
    first_batch_bytes: usize,
    /// Of the transactions among them, for a reader of committed records.
    pub aborted: Vec<Aborted>,
    /// In this segment and all after it.
    pub available_bytes: u64,
}

impl Partition {
    pub fn open(dir: PathBuf, producers_max: usize, durability: Durability) -> Result<Partition> {
        let opened = recovery::open(&dir, producers_max)?;
        let log = Log {
            segments: opened.segments,
            active: Arc::new(opened.active),
            producers: opened.producers,
            compacted: opened.compacted,
            waiting: Vec::new(),
            unsealed: Vec::new(),
            dirty: false,
            life: Life::Open,
        };
        Ok(Partition { dir, durability, log: Mutex::new(log) })
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no holder panics")
    }

    pub fn bounds(&self) -> Bounds {
        self.log().bounds()
    }

    pub fn bytes(&self) -> u64 {
        self.log().segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Appends a checked batch. When this returns, the batch is in the page cache and readable.
    pub fn append(
        &self,
        head: &Head,
        batch: &Bytes,
        config: &TopicConfig,
    ) -> Result<Appended, ResponseError> {
        let mut log = self.log();
        log.check_open()?;
        let start_offset = log.bounds().start;
        match log.producers.verdict(head) {
            Verdict::Append => {}
            Verdict::Duplicate { base_offset } => {
                return Ok(Appended { base_offset, start_offset, file: None });
            }
            Verdict::OutOfOrder => return Err(ResponseError::OutOfOrderSequenceNumber),
            Verdict::StaleEpoch => return Err(ResponseError::InvalidProducerEpoch),
            Verdict::OutsideTransaction => return Err(ResponseError::InvalidTxnState),
        }
        let base_offset = self.put(&mut log, head, batch, config)?;
        Ok(Appended { base_offset, start_offset, file: Some(Arc::clone(&log.active)) })
    }

    /// Ends a producer's transaction here.
    pub fn end_transaction(
        &self,
        (producer_id, epoch): (i64, i16),
        marker: Marker,
        markers: Markers,
        now_ms: i64,
        config: &TopicConfig,
    ) -> Result<(), ResponseError> {
        let mut log = self.log();
        log.check_open()?;
        if markers == Markers::WhereOpen && !log.producers.is_open(producer_id) {
            return Ok(());
        }
        let batch = batch::marker(producer_id, epoch, marker, now_ms);
        let head = Head::read(&batch).ok_or(ResponseError::UnknownServerError)?;
        self.put(&mut log, &head, &batch, config).map(|_| ())
    }

    /// Id and epoch of each producer with an open transaction.
    pub fn open_transactions(&self) -> Vec<(i64, i16)> {
        self.log().producers.open()
    }

    /// The producers that have written here.
    pub fn producers(&self) -> Vec<Active> {
        self.log().producers.active()
    }

    /// Writes a batch whose turn it is; its base offset.
    fn put(
        &self,
        log: &mut Log,
        head: &Head,
        batch: &Bytes,
        config: &TopicConfig,
    ) -> Result<i64, ResponseError> {
        let active = log.active_segment();
        if active.is_full_for(head, batch.len(), config) {
            self.roll(log).map_err(|error| storage(&error))?;
        }
        let base_offset = log.bounds().end;
        log.write(&batch::patched(batch, base_offset), &batch[PATCHED_BYTES..])?;
        let head = Head { base_offset, ..head.clone() };
        let Log { segments, producers, .. } = log;
        segments.back_mut().expect("a log has a segment").note(&head, batch, producers);
        log.dirty = true;
        log.wake();
        Ok(base_offset)
    }

    /// Finds the records from `offset` on; `None` at the end of what the reader may see. With `waiter`, it is
    /// notified (once) at the next append, whatever is found now.
    pub fn find(
        &self,
        offset: i64,
        isolation: Isolation,
        waiter: Option<&Arc<Notify>>,
    ) -> (Result<Option<Found>, ResponseError>, Bounds) {
        let mut log = self.log();
        let bounds = log.bounds();
        let place = log.check_open().and_then(|()| log.place(offset, isolation));
        if let (Some(waiter), Ok(_)) = (waiter, &place)
            && !log.waiting.iter().any(|other| Arc::ptr_eq(other, waiter))
        {
            log.waiting.push(Arc::clone(waiter));
        }
        drop(log);
        let found = match place {
            Ok(Some(place)) => place.walk_to(offset).map_err(|error| storage(&error)),
            Ok(None) => Ok(None),
            Err(code) => Err(code),
        };
        (found, bounds)
    }

    /// As `find`, without looking where the records lie.
    pub fn check(&self, offset: i64) -> (Result<(), ResponseError>, Bounds) {
        let log = self.log();
        let bounds = log.bounds();
        let checked = log.check_open().and_then(|()| log.check_offset(offset));
        (checked, bounds)
    }

    pub fn stop_waiting(&self, waiter: &Arc<Notify>) {
        self.log().waiting.retain(|other| !Arc::ptr_eq(other, waiter));
    }

    /// Offset and time of the first record at or after `timestamp`.
    pub fn offset_for_time(&self, timestamp: i64) -> Result<Option<(i64, i64)>, ResponseError> {
        let place = {
            let log = self.log();
            log.check_open()?;
            let reached = log.segments.iter().position(|s| s.max_timestamp >= timestamp);
            let Some(i) = reached else { return Ok(None) };
            let from = log.segments[i].position_before_time(timestamp);
            log.place_in(i, from).map_err(|error| storage(&error))?
        };
        place.first_at_or_after(timestamp).map_err(|error| storage(&error))
    }

    /// Offset and time of the first record with the latest time.
    pub fn offset_of_latest_time(&self) -> Result<Option<(i64, i64)>, ResponseError> {
        let latest = self.log().segments.iter().map(|segment| segment.max_timestamp).max();
        match latest {
            Some(latest) if latest >= 0 => self.offset_for_time(latest),
            _ => Ok(None),
        }
    }

    /// Closes the last segment and starts the next.
    fn roll(&self, log: &mut Log) -> Result<()> {
        let closed = log.active_segment().base_offset;
        let next = Segment::new(&self.dir, log.bounds().end);
        let file = Arc::new(open_for_append(&next.path)?);
        if self.durability == Durability::Disk {
            sync_dir(&self.dir)?;
        }
        let file = std::mem::replace(&mut log.active, file);
        let producers = log.producers.snapshot();
        log.unsealed.push(Unsealed { base_offset: closed, file, producers });
        log.segments.push_back(next);
        Ok(())
    }

    /// Deletes whole segments that are too old or too many; returns how many.
    pub fn retain(&self, config: &TopicConfig, now_ms: i64) -> Result<usize> {
        let mut log = self.log();
        if log.life != Life::Open || !config.cleanup_policy.deletes() {
            return Ok(0);
        }
        let too_old = |segment: &Segment| {
            config.retention_ms >= 0
                && segment.bytes > 0
                && now_ms.saturating_sub(segment.newest_ms()) > config.retention_ms
        };
        if log.segments.len() == 1 && too_old(&log.segments[0]) {
            self.roll(&mut log)?;
        }
        let mut total: u64 = log.segments.iter().map(|segment| segment.bytes).sum();
        let mut deleted = 0;
        while log.segments.len() > 1 {
            let oldest = &log.segments[0];
            let too_many = config.retention_bytes >= 0
                && total - oldest.bytes >= config.retention_bytes as u64;
            // Not under an open transaction: its records and its marker go together.
            let is_open = oldest.end_offset > log.bounds().stable;
            if is_open || (!too_many && !too_old(oldest)) {
                break;
            }
            total -= oldest.bytes;
            recovery::remove(oldest)?;
            let base_offset = oldest.base_offset;
            log.unsealed.retain(|unsealed| unsealed.base_offset != base_offset);
            log.segments.pop_front();
            deleted += 1;
            // The newest may be too old as well, and is closed first.
            if log.segments.len() == 1 && too_old(&log.segments[0]) {
                self.roll(&mut log)?;
            }
        }
        Ok(deleted)
    }

    /// Writes the index files of segments closed since the last call. Not to be called twice at
    /// a time, nor beside `retain`.
    pub fn seal(&self) -> Result<()> {
        let unsealed = std::mem::take(&mut self.log().unsealed);
        let mut left = unsealed.into_iter();
        while let Some(segment) = left.next() {
            if let Err(error) = self.seal_one(&segment) {
                // The disk may be full: these are tried again.
                self.log().unsealed.splice(0..0, std::iter::once(segment).chain(left));
                return Err(error);
            }
        }
        Ok(())
    }

    fn seal_one(&self, segment: &Unsealed) -> Result<()> {
        segment.file.sync_data().map_err(Error::io(&self.dir))?;
        let log = self.log();
        let closed = log.segments.iter().find(|s| s.base_offset == segment.base_offset);
        let Some(closed) = closed else { return Ok(()) };
        let (path, index) = (closed.index_path(), closed.index_file(segment.producers.clone()));
        drop(log);
        let written = write_sealed(&path, &index, Durability::Disk);
        // A topic deleted meanwhile has taken its folder along.
        if self.log().life == Life::Open { written } else { Ok(()) }
    }

    /// Forces what was appended to the disk.
    pub fn sync(&self) -> Result<()> {
        let mut log = self.log();
        if !std::mem::take(&mut log.dirty) || log.life == Life::Deleted {
            return Ok(());
        }
        let mut files: Vec<_> = log.unsealed.iter().map(|u| Arc::clone(&u.file)).collect();
        files.push(Arc::clone(&log.active));
        drop(log);
        for file in files {
            if let Err(source) = file.sync_data() {
                self.log().dirty = true;
                return Err(Error::io(&self.dir)(source));
            }
        }
        Ok(())
    }

    /// From now on the partition is unknown to clients, waiting ones included.
    pub fn delete(&self) {
        let mut log = self.log();
        log.life = Life::Deleted;
        log.wake();
    }
}

impl Log {
    pub fn bounds(&self) -> Bounds {
        let first = self.segments.front().expect("a log has a segment");
        let last = self.segments.back().expect("a log has a segment");
        let (start, end) = (first.base_offset, last.end_offset);
        Bounds { start, end, stable: self.producers.first_open().unwrap_or(end) }
    }

    fn check_open(&self) -> Result<(), ResponseError> {
        match self.life {
            Life::Open => Ok(()),
            Life::Deleted => Err(ResponseError::UnknownTopicOrPartition),
            Life::Broken => Err(ResponseError::KafkaStorageError),
        }
    }

    fn active_segment(&mut self) -> &mut Segment {
        self.segments.back_mut().expect("a log has a segment")
    }

    fn wake(&mut self) {
        for waiter in self.waiting.drain(..) {
            waiter.notify_one();
        }
    }

    /// All of it or, as far as any reader can tell, nothing.
    fn write(&mut self, head: &[u8], rest: &[u8]) -> Result<(), ResponseError> {
        let mut file = &*self.active;
        let Err(error) = write_all(&mut file, &mut [IoSlice::new(head), IoSlice::new(rest)]) else {
            return Ok(());
        };
        let bytes = self.active_segment().bytes;
        if let Err(undo) = self.active.set_len(bytes) {
            tracing::error!(%error, %undo, "partition is closed: a failed write stays in its file");
            self.life = Life::Broken;
        }
        Err(storage(&error))
    }

    fn check_offset(&self, offset: i64) -> Result<(), ResponseError> {
        let Bounds { start, end, .. } = self.bounds();
        let is_in_range = (start..=end).contains(&offset);
        if is_in_range { Ok(()) } else { Err(ResponseError::OffsetOutOfRange) }
    }

    fn place(&self, offset: i64, isolation: Isolation) -> Result<Option<Place>, ResponseError> {
        self.check_offset(offset)?;
        let end = self.bounds().end_for(isolation);
        if offset >= end {
            return Ok(None);
        }
        let i = self.segments.partition_point(|segment| segment.end_offset <= offset);
        let from = self.segments[i].position_before(offset);
        let mut place = self.place_in(i, from).map_err(|error| storage(&error))?;
        if isolation == Isolation::ReadCommitted {
            let segment = &self.segments[i];
            if end < segment.end_offset {
                place.stops = Some(Stop { offset: end, near: segment.position_before(end) });
                place.later_bytes = 0;
            }
            place.aborted = self.aborted(i, offset, end.min(segment.end_offset));
        }
        Ok(Some(place))
    }

    /// Aborted transactions with records from `from` up to `to`, which lie in `segment`; their
    /// markers lie there or later.
    fn aborted(&self, segment: usize, from: i64, to: i64) -> Vec<Aborted> {
        let later = self.segments.iter().skip(segment).flat_map(|segment| &segment.aborted);
        later.filter(|a| a.last_offset >= from && a.first_offset < to).copied().collect()
    }

    fn place_in(&self, segment: usize, from: u64) -> Result<Place> {
        let later_bytes = self.segments.iter().skip(segment + 1).map(|s| s.bytes).sum();
        let is_last = segment + 1 == self.segments.len();
        let segment = &self.segments[segment];
        // Closed segments are opened for each read: open files stay bounded by the partitions.
        let file = if is_last {
            Arc::clone(&self.active)
        } else {
            Arc::new(File::open(&segment.path).map_err(Error::io(&segment.path))?)
        };
        let (stops, aborted) = (None, Vec::new());
        Ok(Place { file, from, end: segment.bytes, later_bytes, stops, aborted })
    }
}

/// A batch start near what is wanted, found under the lock; the rest is read without it.
struct Place {
    file: Arc<File>,
    from: u64,
    end: u64,
    later_bytes: u64,
    stops: Option<Stop>,
    aborted: Vec<Aborted>,
}

/// The batch before which a read ends, and a batch start at or before it.
struct Stop {
    offset: i64,
    near: u64,
}

impl Place {
    fn walk_to(self, offset: i64) -> io::Result<Option<Found>> {
        let mut walk = Walk::new(&self.file, self.from, self.end);
        while let Some((position, head)) = walk.next()? {
            if head.end_offset() > offset {
                let end = self.stop(position)?;
                return Ok(Some(Found {
                    position,
                    end,
                    first_batch_bytes: head.bytes,
                    available_bytes: end - position + self.later_bytes,
                    aborted: self.aborted,
                    file: self.file,
                }));
            }
        }
        Ok(None)
    }

    /// Where a read from the batch at `position` ends.
    fn stop(&self, position: u64) -> io::Result<u64> {
        let Some(stop) = &self.stops else { return Ok(self.end) };
        let mut walk = Walk::new(&self.file, stop.near.max(position), self.end);
        while let Some((position, head)) = walk.next()? {
            if head.base_offset >= stop.offset {
                return Ok(position);
            }
        }
        Ok(self.end)
    }

    fn first_at_or_after(self, timestamp: i64) -> io::Result<Option<(i64, i64)>> {
        let mut walk = Walk::new(&self.file, self.from, self.end);
        while let Some((position, head)) = walk.next()? {
            if head.max_timestamp < timestamp {
                continue;
            }
            let mut batch = vec![0; head.bytes];
            self.file.read_exact_at(&mut batch, position)?;
            let first = (head.base_offset, head.base_timestamp);
            let found = first_of(&head, &batch, timestamp).unwrap_or_else(|error| {
                tracing::warn!(%error, offset = head.base_offset, "batch not looked into");
                Some(first)
            });
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// Offset and time of the batch's first record at or after `timestamp`.
fn first_of(head: &Head, batch: &[u8], timestamp: i64) -> io::Result<Option<(i64, i64)>> {
    let decoded = records::decode(head, batch)?;
    for record in records::read(head, &decoded) {
        let record = record?;
        if record.timestamp >= timestamp {
            return Ok(Some((head.base_offset + i64::from(record.offset_delta), record.timestamp)));
        }
    }
    Ok(None)
}

/// How much a read may give at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub bytes: usize,
    /// Give the first batch even if it alone is larger: a reader must get past it.
    pub first_whole: bool,
}

impl Found {
    /// How many bytes `read` will take at most.
    pub fn bytes_to_read(&self, allowed: Allowance) -> usize {
        let bytes = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        if allowed.bytes < self.first_batch_bytes {
            return if allowed.first_whole { self.first_batch_bytes } else { 0 };
        }
        bytes.min(allowed.bytes)
    }

    /// Whole batches, from the one that holds the wanted offset; `scratch` lends its space.
    pub fn read(&self, allowed: Allowance, scratch: &mut BytesMut) -> io::Result<Bytes> {
        let bytes = self.bytes_to_read(allowed);
        scratch.clear();
        scratch.resize(bytes, 0);
        self.file.read_exact_at(scratch, self.position)?;
        let mut whole = 0;
        while scratch.len() - whole >= HEAD_BYTES {
            match Head::read(&scratch[whole..]) {
                Some(head) if whole + head.bytes <= scratch.len() => whole += head.bytes,
                _ => break,
            }
        }
        Ok(scratch.split_to(whole).freeze())
    }
}

/// `write_all` for several slices: one system call in the common case, and no copy to join them.
fn write_all(file: &mut impl Write, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !slices.is_empty() {
        match file.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => IoSlice::advance_slices(&mut slices, n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn storage(error: &impl std::fmt::Display) -> ResponseError {
    tracing::error!(%error, "partition storage failed");
    ResponseError::KafkaStorageError
}

#[cfg(test)]
#[path = "partition_tests.rs"]
mod tests;
