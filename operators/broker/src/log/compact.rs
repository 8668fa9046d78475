//! Compaction: closed segments are written anew with the last record of each key.
//!
//! Segments that fit into one become one. A new segment is written beside the old ones, forced to the
//! disk and renamed onto the first of them; the others are removed after that, now or at the next
//! start. Its last batch always stays, if need be without records, so that a segment ends where the
//! next begins. Readers that have the old file open read on in it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use super::aborted::AbortedSet;
use super::batches::Batches;
use super::compacted::Compacted;
use super::filter::{Fate, Filter};
use super::key_map::{KEYS_BYTES_MAX, KeyMap};
use super::partition::{Life, Log, Partition};
use super::recovery::{remove, remove_if_there};
use super::segment::{Aborted, IndexFile, Segment};
use crate::batch::Head;
use crate::error::{Error, Result};
use crate::files::{Durability, read_sealed, sync_dir, write_sealed};
use crate::producers::{LastWords, Snapshot};
use crate::topic_config::TopicConfig;

/// What a turn of compaction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compaction {
    /// Before this offset the partition is compacted now.
    pub end: i64,
    pub bytes_before: u64,
    pub bytes_after: u64,
}

/// Told before every change of a file: a test stops there, or looks.
pub(super) type Before<'a> = &'a mut dyn FnMut();

/// What there is to do, found under the lock.
struct Plan {
    /// All segments that may be written anew, oldest first.
    sources: Vec<Source>,
    first_dirty: i64,
    aborted: AbortedSet,
    last_words: LastWords,
}

struct Source {
    base_offset: i64,
    end_offset: i64,
    bytes: u64,
    path: PathBuf,
    index_path: PathBuf,
}

impl Source {
    fn open(&self) -> Result<File> {
        File::open(&self.path).map_err(Error::io(&self.path))
    }
}

impl Partition {
    /// Compacts what is due; `None` if nothing is. Not to be called twice at a time, nor beside
    /// `retain` and `seal`.
    pub fn compact(&self, config: &TopicConfig, now_ms: i64) -> Result<Option<Compaction>> {
        self.compact_within(config, now_ms, KEYS_BYTES_MAX, &mut || {})
    }

    pub(super) fn compact_within(
        &self,
        config: &TopicConfig,
        now_ms: i64,
        keys_bytes_max: usize,
        before: Before<'_>,
    ) -> Result<Option<Compaction>> {
        let Some(plan) = self.log().plan(config, now_ms) else { return Ok(None) };
        let keys = keys_of(&plan, keys_bytes_max)?;
        let mut filter =
            Filter::new(&keys, &plan.aborted, &plan.last_words, now_ms, config.delete_retention_ms);
        self.mark(before, |compacted| compacted.gaps_end = compacted.gaps_end.max(keys.end))?;
        let touched = plan.sources.partition_point(|source| source.base_offset < keys.end);
        let sources = &plan.sources[..touched];
        let mut bytes_after = 0;
        for group in groups(sources, config.segment_bytes as u64) {
            bytes_after += self.rewrite(group, &mut filter, before)?;
        }
        self.mark(before, |compacted| compacted.clean_end = keys.end)?;
        let bytes_before = sources.iter().map(|source| source.bytes).sum();
        Ok(Some(Compaction { end: keys.end, bytes_before, bytes_after }))
    }

    /// Changes the note of how far the partition is compacted.
    fn mark(&self, before: Before<'_>, change: impl FnOnce(&mut Compacted)) -> Result<()> {
        let mut compacted = self.log().compacted;
        change(&mut compacted);
        before();
        self.if_open(|log| {
            compacted.write(&self.dir)?;
            log.compacted = compacted;
            Ok(())
        })
    }

    /// Forces the names of files to the disk.
    fn sync_names(&self) -> Result<()> {
        match sync_dir(&self.dir) {
            Err(error) if self.log().life == Life::Open => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes one segment in the place of these, if anything is different; its bytes.
    fn rewrite(
        &self,
        group: &[Source],
        filter: &mut Filter<'_>,
        before: Before<'_>,
    ) -> Result<u64> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(0) };
        let producers = producers_after(last);
        let mut segment = Segment::new(&self.dir, first.base_offset);
        let path = segment.cleaned_path();
        before();
        let written = write_cleaned(&mut segment, group, filter);
        if written.is_err() {
            // The disk may be full: give back what there was.
            let _ = fs::remove_file(&path);
        }
        if written? || group.len() > 1 {
            return self.swap(segment, producers, before);
        }
        before();
        remove_if_there(&path)?;
        Ok(first.bytes)
    }

    /// Puts the new segment in the place of the old ones, on disk and for readers.
    fn swap(
        &self,
        segment: Segment,
        producers: Option<Snapshot>,
        before: Before<'_>,
    ) -> Result<u64> {
        let bytes = segment.bytes;
        let (index_path, index) =
            (segment.index_path(), producers.map(|producers| segment.index_file(producers)));
        // An index of what was there before must not be taken for this one's.
        before();
        self.if_open(|_| remove_if_there(&index_path))?;
        before();
        let replaced = self.if_open(|log| {
            let cleaned = segment.cleaned_path();
            fs::rename(&cleaned, &segment.path).map_err(Error::io(&cleaned))?;
            Ok(log.replace(segment))
        })?;
        // The new name is on the disk before an old one goes.
        self.sync_names()?;
        for old in replaced.iter().skip(1) {
            before();
            self.if_open(|_| remove(old))?;
        }
        if let Some(index) = index {
            before();
            self.if_open(|_| write_sealed(&index_path, &index, Durability::PageCache))?;
        }
        Ok(bytes)
    }

    /// Does something to the partition's files, unless the topic has been deleted and has taken them
    /// along: another of its name may have come.
    fn if_open<T: Default>(&self, act: impl FnOnce(&mut Log) -> Result<T>) -> Result<T> {
        let mut log = self.log();
        if log.life == Life::Open { act(&mut log) } else { Ok(T::default()) }
    }
}

impl Log {
    fn plan(&self, config: &TopicConfig, now_ms: i64) -> Option<Plan> {
        if self.life != Life::Open || !config.cleanup_policy.compacts() {
            return None;
        }
        let stable = self.bounds().stable;
        let lag_ms = config.min_compaction_lag_ms;
        let may_be = |segment: &&Segment| {
            let is_sealed = self.unsealed.iter().all(|u| u.base_offset != segment.base_offset);
            let is_old = lag_ms == 0 || now_ms.saturating_sub(segment.newest_ms()) >= lag_ms;
            is_sealed && is_old && segment.end_offset <= stable
        };
        let closed = self.segments.iter().take(self.segments.len() - 1);
        let sources: Vec<Source> = closed
            .take_while(may_be)
            .map(|segment| Source {
                base_offset: segment.base_offset,
                end_offset: segment.end_offset,
                bytes: segment.bytes,
                path: segment.path.clone(),
                index_path: segment.index_path(),
            })
            .collect();
        let first_dirty = self.compacted.clean_end;
        let bytes = |dirty: bool| -> u64 {
            let of_kind = sources.iter().filter(|s| (s.end_offset > first_dirty) == dirty);
            of_kind.map(|source| source.bytes).sum()
        };
        let (dirty, clean) = (bytes(true), bytes(false));
        let ratio = dirty as f64 / (dirty + clean).max(1) as f64;
        if dirty == 0 || ratio <= config.min_cleanable_dirty_ratio {
            return None;
        }
        let aborted = self.segments.iter().flat_map(|segment| segment.aborted.iter().copied());
        Some(Plan {
            sources,
            first_dirty,
            aborted: AbortedSet::new(aborted),
            last_words: self.producers.last_words(),
        })
    }

    /// The segment in the place of those whose offsets it spans, which are given back.
    fn replace(&mut self, segment: Segment) -> Vec<Segment> {
        let from = self.segments.partition_point(|s| s.base_offset < segment.base_offset);
        let to = self.segments.partition_point(|s| s.base_offset < segment.end_offset);
        let replaced = self.segments.drain(from..to).collect();
        self.segments.insert(from, segment);
        replaced
    }
}

fn keys_of(plan: &Plan, bytes_max: usize) -> Result<KeyMap> {
    let mut keys = KeyMap::new(plan.first_dirty, bytes_max);
    for source in plan.sources.iter().filter(|source| source.end_offset > plan.first_dirty) {
        let place = (source.bytes, source.end_offset);
        let added = keys.add(source.open()?, place, &plan.aborted);
        if !added.map_err(Error::io(&source.path))? {
            break;
        }
    }
    Ok(keys)
}

/// Neighbours that together are no larger than a segment may be.
fn groups(sources: &[Source], bytes_max: u64) -> impl Iterator<Item = &[Source]> {
    let mut rest = sources;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |source: &&Source| {
            bytes += source.bytes;
            bytes <= bytes_max
        };
        let fit = rest.iter().take_while(fits).count().max(1).min(rest.len());
        let (group, behind) = rest.split_at(fit);
        rest = behind;
        (!group.is_empty()).then_some(group)
    })
}

/// The producers at the end of a segment; `None` without its index, which the next start then makes.
fn producers_after(source: &Source) -> Option<Snapshot> {
    let index = read_sealed::<IndexFile>(&source.index_path).ok().flatten();
    index.map(|index| index.producers)
}

/// Writes the segment's file, and what it is to hold of it in memory.
fn write_cleaned(segment: &mut Segment, group: &[Source], filter: &mut Filter<'_>) -> Result<bool> {
    let path = segment.cleaned_path();
    let failed = |source: io::Error| Error::io(&path)(source);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(&path).map_err(failed)?);
    let mut changed = false;
    let group_end = group.last().map_or(0, |source| source.end_offset);
    for source in group {
        let mut batches = Batches::new(source.open()?, source.bytes);
        while let Some((head, batch)) = batches.next().map_err(Error::io(&source.path))? {
            let is_last = head.end_offset() == group_end;
            let fate = filter.fate(&head, batch, is_last).map_err(Error::io(&source.path))?;
            let aborted = filter.aborted.ended_by(&head);
            changed |= fate != Fate::Stays;
            match fate {
                Fate::Stays => put(segment, &mut file, &head, batch, aborted).map_err(failed)?,
                Fate::Becomes(bytes) => {
                    if let Some(head) = Head::read(&bytes) {
                        put(segment, &mut file, &head, &bytes, aborted).map_err(failed)?;
                    }
                }
                Fate::Goes => {}
            }
        }
    }
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    Ok(changed)
}

/// An aborted transaction is told of as long as its marker is there to end it.
fn put(
    segment: &mut Segment,
    file: &mut impl Write,
    head: &Head,
    batch: &[u8],
    aborted: Option<Aborted>,
) -> io::Result<()> {
    file.write_all(batch)?;
    segment.index(head);
    if head.is_control() && head.records > 0 {
        segment.aborted.extend(aborted);
    }
    Ok(())
}

#[cfg(test)]
#[path = "compact_tests.rs"]
mod tests;
