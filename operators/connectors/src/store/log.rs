//! The file behind the embedded store: writes behind each other, each with a checksum.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use nowcast_engine::{Error, Result};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// A change as it is kept: with the time it expires at instead of a time to live.
#[derive(Serialize)]
pub struct Change<'a> {
    pub key: &'a str,
    /// When it was made, in milliseconds since the epoch: what had expired by then was gone.
    pub at: i64,
    /// `None` deletes the key.
    pub put: Option<Put<'a>>,
}

#[derive(Serialize)]
pub struct Put<'a> {
    pub set: &'a [(&'a str, &'a str)],
    pub remove: &'a [&'a str],
    /// Milliseconds since the epoch.
    pub expires: Option<i64>,
}

/// As [`Change`], read back.
#[derive(Deserialize)]
struct Entry {
    key: String,
    /// Before all others where an earlier version has not said it.
    #[serde(default)]
    at: i64,
    put: Option<EntryPut>,
}

#[derive(Deserialize)]
struct EntryPut {
    set: Vec<(String, String)>,
    #[serde(default)]
    remove: Vec<String>,
    #[serde(default)]
    expires: Option<i64>,
}

/// Length of an entry's body and the low half of its XXH3, both little-endian.
const HEAD: usize = 8;
/// A length above it is a torn head, not an entry.
const ENTRY_BYTES_MAX: usize = 64 << 20;
/// What the body of an entry begins with, in postcard's format. Earlier versions wrote a JSON object.
const POSTCARD: u8 = 1;

/// An append-only file. What was appended survives the end of the process, not that of the machine:
/// the file is not synced on each write.
pub struct Log {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Log {
    /// Opens the file, creating it if needed, and hands each entry to `each`. A torn end is cut off.
    ///
    /// # Errors
    /// Where another process has it open, or it cannot be read or written.
    pub fn open(dir: &Path, mut each: impl FnMut(Change<'_>)) -> Result<Self> {
        let path = dir.join("store.log");
        let name = path.display().to_string();
        let failed = |error: std::io::Error| Error::outside(format!("store {name}: {error}"));
        fs::create_dir_all(dir).map_err(failed)?;
        let mut file = open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::user(format!("store {name} is in use by another process")));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut content = vec![];
        file.read_to_end(&mut content).map_err(failed)?;
        let mut rest = content.as_slice();
        while let Some((entry, behind)) = first(rest) {
            entry.tell(&mut each);
            rest = behind;
        }
        let bytes = (content.len() - rest.len()) as u64;
        if !rest.is_empty() {
            tracing::warn!("store {name}: cut {} bytes of a torn end", rest.len());
            file.set_len(bytes).map_err(failed)?;
        }
        file.seek(SeekFrom::Start(bytes)).map_err(failed)?;
        Ok(Self { path, file, bytes })
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes encoded entries in one piece.
    pub fn append(&mut self, encoded: &[u8]) -> Result<()> {
        let written = self.file.write_all(encoded);
        written.map_err(|error| self.failed(error))?;
        self.bytes += encoded.len() as u64;
        Ok(())
    }

    /// Replaces the file by one with these entries alone; a crash in between leaves the old one.
    pub fn rewrite(&mut self, encoded: &[u8]) -> Result<()> {
        let new = self.path.with_extension("log.new");
        let replaced = (|| {
            let mut file = open(&new)?;
            file.set_len(0)?;
            file.write_all(encoded)?;
            file.sync_all()?;
            file.lock()?;
            fs::rename(&new, &self.path)?;
            Ok(file)
        })();
        self.file = replaced.map_err(|error| self.failed(error))?;
        self.bytes = encoded.len() as u64;
        Ok(())
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::outside(format!("store {}: {error}", self.path.display()))
    }
}

/// Appends a change's bytes to `out`.
pub fn encode(change: &Change<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend([0; HEAD]);
    out.push(POSTCARD);
    *out = postcard::to_extend(change, std::mem::take(out)).expect("a vector takes all");
    let body = &out[start + HEAD..];
    let (length, hash) = (body.len() as u32, xxh3_64(body) as u32);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + HEAD].copy_from_slice(&hash.to_le_bytes());
}

impl Entry {
    fn tell(&self, each: &mut impl FnMut(Change<'_>)) {
        let Self { key, at, put } = self;
        let Some(put) = put else { return each(Change { key, at: *at, put: None }) };
        let set: Vec<_> = put.set.iter().map(|(name, value)| (&**name, &**value)).collect();
        let remove: Vec<&str> = put.remove.iter().map(String::as_str).collect();
        let put = Put { set: &set, remove: &remove, expires: put.expires };
        each(Change { key, at: *at, put: Some(put) });
    }
}

fn first(bytes: &[u8]) -> Option<(Entry, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let (length, hash) = head.split_at(4);
    let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
    if length > ENTRY_BYTES_MAX {
        return None;
    }
    let (body, rest) = rest.split_at_checked(length)?;
    if (xxh3_64(body) as u32).to_le_bytes() != *hash {
        return None;
    }
    let entry = match body {
        [POSTCARD, body @ ..] => postcard::from_bytes(body).ok()?,
        _ => serde_json::from_slice(body).ok()?,
    };
    Some((entry, rest))
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}
