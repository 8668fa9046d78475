//! One segment file: where its batches lie, by offset and by time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::batch::{Head, Marker, NO_TIMESTAMP, marker_of};
use crate::files::read_sealed;
use crate::producers::{Producers, Snapshot};
use crate::topic_config::TopicConfig;

/// One index entry per so many bytes: 24 bytes of memory each, 768 KiB for 1 GiB of log, and at
/// most so much is walked from an entry to the batch that is wanted.
pub(crate) const INDEX_INTERVAL_BYTES: u64 = 32 << 10;

/// The ending of a file that is to become a segment; a start removes it.
pub(super) const CLEANED: &str = "cleaned";

#[derive(Debug)]
pub(crate) struct Segment {
    pub base_offset: i64,
    /// The offset that the next record gets.
    pub end_offset: i64,
    pub path: PathBuf,
    /// Sound bytes; the file may be longer for a moment, while a batch is being written.
    pub bytes: u64,
    pub max_timestamp: i64,
    /// The latest time in its first batch; only known of a segment that is written to.
    pub first_timestamp: i64,
    index: Vec<IndexEntry>,
    /// Transactions whose abort marker lies here.
    pub aborted: Vec<Aborted>,
}

/// A transaction of which a reader of committed records is to see nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Aborted {
    pub producer_id: i64,
    pub first_offset: i64,
    /// That of the marker.
    pub last_offset: i64,
}

/// A batch's place.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct IndexEntry {
    base_offset: i64,
    position: u64,
    /// The latest time in the segment before this batch.
    max_timestamp_before: i64,
}

/// The file beside a closed segment, that spares reading the segment at start.
#[derive(Serialize, Deserialize)]
pub(crate) struct IndexFile {
    bytes: u64,
    end_offset: i64,
    max_timestamp: i64,
    index: Vec<IndexEntry>,
    #[serde(default)]
    aborted: Vec<Aborted>,
    /// The producers as they were when the segment closed.
    pub producers: Snapshot,
}

impl Segment {
    pub fn new(dir: &Path, base_offset: i64) -> Segment {
        Segment {
            base_offset,
            end_offset: base_offset,
            // Twenty digits, as in Kafka: names sort as offsets do.
            path: dir.join(format!("{base_offset:020}.log")),
            bytes: 0,
            max_timestamp: NO_TIMESTAMP,
            first_timestamp: NO_TIMESTAMP,
            index: Vec::new(),
            aborted: Vec::new(),
        }
    }

    /// Takes note of a batch that now lies at the end; `head` has its offset in the log.
    pub fn note(&mut self, head: &Head, batch: &[u8], producers: &mut Producers) {
        self.index(head);
        if !head.is_control() {
            producers.record(head, head.base_offset);
        } else if let Some(first_offset) = producers.end(head)
            && marker_of(batch) == Some(Marker::Abort)
        {
            let (producer_id, last_offset) = (head.producer_id, head.base_offset);
            self.aborted.push(Aborted { producer_id, first_offset, last_offset });
        }
    }

    /// Takes note of where a batch lies that is now at the end.
    pub fn index(&mut self, head: &Head) {
        if self.bytes == 0 {
            self.first_timestamp = head.max_timestamp;
        }
        let last = self.index.last();
        if last.is_none_or(|entry| self.bytes - entry.position >= INDEX_INTERVAL_BYTES) {
            self.index.push(IndexEntry {
                base_offset: head.base_offset,
                position: self.bytes,
                max_timestamp_before: self.max_timestamp,
            });
        }
        self.bytes += head.bytes as u64;
        self.end_offset = head.end_offset();
        self.max_timestamp = self.max_timestamp.max(head.max_timestamp);
    }

    /// Whether a batch, the next one, is to go to a segment of its own.
    pub fn is_full_for(&self, head: &Head, bytes: usize, config: &TopicConfig) -> bool {
        let too_long = self.bytes + bytes as u64 > config.segment_bytes as u64;
        let timed = self.first_timestamp != NO_TIMESTAMP && head.max_timestamp != NO_TIMESTAMP;
        let span_ms = head.max_timestamp.saturating_sub(self.first_timestamp);
        self.bytes > 0 && (too_long || (timed && span_ms > config.segment_ms))
    }

    /// A batch start at or before the one that holds `offset`, less than an interval and a batch away.
    pub fn position_before(&self, offset: i64) -> u64 {
        let after = self.index.partition_point(|entry| entry.base_offset <= offset);
        after.checked_sub(1).map_or(0, |i| self.index[i].position)
    }

    /// A batch start at or before the first one that reaches `timestamp`.
    pub fn position_before_time(&self, timestamp: i64) -> u64 {
        let after = self.index.partition_point(|entry| entry.max_timestamp_before < timestamp);
        after.checked_sub(1).map_or(0, |i| self.index[i].position)
    }

    /// Time of the newest record; where records carry none, of the last write.
    pub fn newest_ms(&self) -> i64 {
        if self.max_timestamp != NO_TIMESTAMP {
            return self.max_timestamp;
        }
        let written = fs::metadata(&self.path).and_then(|file| file.modified());
        let since_epoch = written.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        since_epoch.map_or(i64::MAX, |since| since.as_millis() as i64)
    }

    /// Where compaction writes what is to take this segment's place.
    pub fn cleaned_path(&self) -> PathBuf {
        self.path.with_extension(CLEANED)
    }

    pub fn index_path(&self) -> PathBuf {
        self.path.with_extension("index")
    }

    /// What the index file of this segment, now closed, is to hold.
    pub fn index_file(&self, producers: Snapshot) -> IndexFile {
        IndexFile {
            bytes: self.bytes,
            end_offset: self.end_offset,
            max_timestamp: self.max_timestamp,
            index: self.index.clone(),
            aborted: self.aborted.clone(),
            producers,
        }
    }

    /// Fills in from the index file, if there is one that fits a file of `bytes`.
    pub fn read_index(&mut self, bytes: u64) -> Option<Snapshot> {
        let file: IndexFile = match read_sealed(&self.index_path()) {
            Ok(file) => file?,
            Err(error) => {
                tracing::warn!(%error, "index is rebuilt from its segment");
                return None;
            }
        };
        if file.bytes != bytes || file.end_offset < self.base_offset {
            return None;
        }
        self.bytes = file.bytes;
        self.end_offset = file.end_offset;
        self.max_timestamp = file.max_timestamp;
        self.index = file.index;
        self.aborted = file.aborted;
        Some(file.producers)
    }
}
