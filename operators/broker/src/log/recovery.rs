//! Opens a partition's folder: trusts closed segments, checks the last one, cuts a torn tail.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::segment::Segment;
use crate::batch::{HEAD_BYTES, Head};
use crate::error::{Error, Result};
use crate::producers::Producers;

/// What lies in the folder, the last segment open for appending; a fresh one if it was empty.
pub(super) struct Opened {
    pub segments: VecDeque<Segment>,
    pub active: File,
    pub producers: Producers,
}

pub(super) fn open(dir: &Path, producers_max: usize) -> Result<Opened> {
    let bases = base_offsets(dir)?;
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
            scan(&mut segment, &mut producers).map_err(Error::io(&segment.path))?;
        }
        let torn = segment.bytes < file_bytes;
        if torn {
            cut(&segment, file_bytes)?;
        }
        let end_offset = segment.end_offset;
        segments.push_back(segment);
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
    Ok(Opened { segments, active, producers })
}

pub(super) fn open_for_append(path: &Path) -> Result<File> {
    OpenOptions::new().create(true).append(true).read(true).open(path).map_err(Error::io(path))
}

fn base_offsets(dir: &Path) -> Result<Vec<i64>> {
    let mut bases = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::io(dir))? {
        let path = entry.map_err(Error::io(dir))?.path();
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
/// is not.
fn scan(segment: &mut Segment, producers: &mut Producers) -> io::Result<()> {
    let file = File::open(&segment.path)?;
    let mut left = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut batch = Vec::new();
    while left >= HEAD_BYTES as u64 {
        batch.resize(HEAD_BYTES, 0);
        reader.read_exact(&mut batch)?;
        let Some(head) = Head::read(&batch) else { return Ok(()) };
        let in_place = head.magic == 2 && head.base_offset == segment.end_offset;
        if !in_place || head.bytes as u64 > left || head.last_offset_delta < 0 {
            return Ok(());
        }
        batch.resize(head.bytes, 0);
        reader.read_exact(&mut batch[HEAD_BYTES..])?;
        if !head.crc_fits(&batch) {
            return Ok(());
        }
        segment.note(&head, &batch, producers);
        left -= head.bytes as u64;
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
    match fs::remove_file(segment.index_path()) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io(segment.index_path())(e)),
        _ => Ok(()),
    }
}
