//! Opens a partition's folder: trusts closed segments, checks the last one, cuts a torn tail, and
//! takes away what a compaction left.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use super::batches::Batches;
use super::compacted::Compacted;
use super::segment::{CLEANED, Segment};
use crate::batch::is_stored;
use crate::error::{Error, Result};
use crate::producers::Producers;

/// What lies in the folder, the last segment open for appending; a fresh one if it was empty.
pub(super) struct Opened {
    pub segments: VecDeque<Segment>,
    pub active: File,
    pub producers: Producers,
    pub compacted: Compacted,
}

pub(super) fn open(dir: &Path, producers_max: usize) -> Result<Opened> {
    let bases = base_offsets(dir)?;
    let mut compacted = Compacted::read(dir)?;
    let mut producers = Producers::new(producers_max);
    let mut segments = VecDeque::new();
    let mut bases = bases.into_iter().peekable();
    while let Some(base) = bases.next() {
        let mut segment = Segment::new(dir, base);
        let file_bytes = fs::metadata(&segment.path).map_err(Error::io(&segment.path))?.len();
        let is_last = bases.peek().is_none();
        // The last one is checked whole whatever its index says: it was being written to.
        let snapshot = if is_last { None } else { segment.read_index(file_bytes) };
        if let Some(snapshot) = snapshot {
            producers.restore(snapshot);
        } else {
            let gaps = base < compacted.gaps_end;
            scan(&mut segment, &mut producers, gaps).map_err(Error::io(&segment.path))?;
        }
        let torn = segment.bytes < file_bytes;
        if torn {
            cut(&segment, file_bytes)?;
        }
        let end_offset = segment.end_offset;
        segments.push_back(segment);
        // Merged into this one, and not yet removed.
        let is_merged = |next: &i64| *next < end_offset.min(compacted.gaps_end);
        while let Some(merged) = bases.next_if(is_merged) {
            remove(&Segment::new(dir, merged))?;
        }
        // A later segment cannot follow a cut, nor a gap: its offsets would be other records.
        if torn || bases.peek().is_some_and(|&next| next != end_offset) {
            for lost in bases.by_ref() {
                set_aside(&Segment::new(dir, lost))?;
            }
        }
    }
    if segments.is_empty() {
        segments.push_back(Segment::new(dir, 0));
    }
    let last = segments.back().expect("one was pushed if there was none");
    let active = open_for_append(&last.path)?;
    compacted.cut(dir, last.end_offset)?;
    Ok(Opened { segments, active, producers, compacted })
}

pub(super) fn open_for_append(path: &Path) -> Result<File> {
    OpenOptions::new().create(true).append(true).read(true).open(path).map_err(Error::io(path))
}

fn base_offsets(dir: &Path) -> Result<Vec<i64>> {
    let mut bases = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::io(dir))? {
        let path = entry.map_err(Error::io(dir))?.path();
        if path.extension().is_some_and(|extension| extension == CLEANED) {
            fs::remove_file(&path).map_err(Error::io(&path))?;
        }
        let is_log = path.extension().is_some_and(|extension| extension == "log");
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if let (true, Some(base)) = (is_log, stem.and_then(|stem| stem.parse().ok())) {
            bases.push(base);
        }
    }
    bases.sort_unstable();
    Ok(bases)
}

/// Reads the segment's batches one by one and notes those that are sound, up to the first that
/// is not. Only compaction leaves gaps between them.
fn scan(segment: &mut Segment, producers: &mut Producers, gaps: bool) -> io::Result<()> {
    let file = File::open(&segment.path)?;
    let bytes = file.metadata()?.len();
    let mut batches = Batches::new(file, bytes);
    while let Some((head, batch)) = batches.next()? {
        let follows = head.base_offset == segment.end_offset
            || (gaps && head.base_offset > segment.end_offset);
        let in_place = is_stored(&head, batch) && follows && head.last_offset_delta >= 0;
        if !in_place || !head.crc_fits(batch) {
            return Ok(());
        }
        segment.note(&head, batch, producers);
    }
    Ok(())
}

fn cut(segment: &Segment, file_bytes: u64) -> Result<()> {
    tracing::warn!(
        segment = %segment.path.display(),
        torn_bytes = file_bytes - segment.bytes,
        end_offset = segment.end_offset,
        "torn tail is cut"
    );
    let file = OpenOptions::new().write(true).open(&segment.path);
    let cut = file.and_then(|file| file.set_len(segment.bytes));
    cut.map_err(Error::io(&segment.path))
}

/// Keeps the bytes under a name that is no segment's, for whoever wants to look.
fn set_aside(segment: &Segment) -> Result<()> {
    let aside = segment.path.with_extension("damaged");
    tracing::error!(segment = %aside.display(), "segment after a damaged one is set aside");
    fs::rename(&segment.path, &aside).map_err(Error::io(&segment.path))?;
    remove_if_there(&segment.index_path())
}

/// A segment's files, the one that makes it a segment last.
pub(super) fn remove(segment: &Segment) -> Result<()> {
    remove_if_there(&segment.index_path())?;
    remove_if_there(&segment.path)
}

pub(super) fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io(path)(e)),
        _ => Ok(()),
    }
}
