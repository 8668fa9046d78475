//! Small files written whole: a reader, or a restart, sees the old text or the new one.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Escaped names longer than this have no file name; such an id is refused.
const FILE_NAME_BYTES_MAX: usize = 240;

/// How far a change has to get before it counts: a power cut spares only what is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    PageCache,
    Disk,
}

/// Writes `value` as JSON beside `path` and renames it into place.
pub(crate) fn write_json(path: &Path, value: &impl Serialize, to: Durability) -> Result<()> {
    write(path, &json(path, value)?, to)
}

/// As `write_json`, with a checksum behind it: for what nobody could tell to be wrong by itself.
pub(crate) fn write_sealed(path: &Path, value: &impl Serialize, to: Durability) -> Result<()> {
    let mut text = json(path, value)?;
    let checksum = crc32c::crc32c(&text);
    text.extend_from_slice(format!("{checksum:0SEAL_BYTES$x}").as_bytes());
    write(path, &text, to)
}

/// A checksum in hexadecimal.
const SEAL_BYTES: usize = 8;

fn json(path: &Path, value: &impl Serialize) -> Result<Vec<u8>> {
    let failed = |source| Error::Unreadable { path: path.to_path_buf(), source };
    serde_json::to_vec(value).map_err(failed)
}

fn write(path: &Path, text: &[u8], to: Durability) -> Result<()> {
    let aside = path.with_extension("tmp");
    let mut file = fs::File::create(&aside).map_err(Error::io(&aside))?;
    file.write_all(text).map_err(Error::io(&aside))?;
    if to == Durability::Disk {
        file.sync_all().map_err(Error::io(&aside))?;
    }
    fs::rename(&aside, path).map_err(Error::io(path))?;
    match path.parent() {
        Some(dir) if to == Durability::Disk => sync_dir(dir),
        _ => Ok(()),
    }
}

/// Forces the names in a folder to the disk; a file's own sync does not cover its name.
pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::io(dir))
}

/// `None` when there is no such file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let Some(text) = read(path)? else { return Ok(None) };
    parse(path, &text).map(Some)
}

/// What `write_sealed` wrote; an error if it is not as it was.
pub(crate) fn read_sealed<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let Some(text) = read(path)? else { return Ok(None) };
    let torn = || {
        let reason = "checksum does not fit";
        Error::io(path)(std::io::Error::new(std::io::ErrorKind::InvalidData, reason))
    };
    let (text, seal) = text.split_last_chunk::<SEAL_BYTES>().ok_or_else(torn)?;
    if format!("{:0SEAL_BYTES$x}", crc32c::crc32c(text)).as_bytes() != seal {
        return Err(torn());
    }
    parse(path, text).map(Some)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io(path)(e)),
    }
}

fn parse<T: DeserializeOwned>(path: &Path, text: &[u8]) -> Result<T> {
    let failed = |source| Error::Unreadable { path: path.to_path_buf(), source };
    serde_json::from_slice(text).map_err(failed)
}

/// The file of what clients call `name`; `None` if it is empty or, escaped, too long.
pub(crate) fn named(dir: &Path, name: &str) -> Option<PathBuf> {
    let mut escaped = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02x}"));
        }
    }
    let fits = (1..=FILE_NAME_BYTES_MAX).contains(&escaped.len());
    fits.then(|| dir.join(escaped + ".json"))
}
