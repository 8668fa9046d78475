//! Opens plain and compressed files alike.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::Error;

/// The file's content, unpacked if its name ends in `.zst` or `.gz`.
pub(crate) fn open(path: &Path) -> Result<Box<dyn Read>, Error> {
    let file = File::open(path).map_err(|error| Error::io(path, error))?;
    Ok(match path.extension().and_then(OsStr::to_str) {
        Some("zst") => Box::new(zstd::Decoder::new(file).map_err(|error| Error::io(path, error))?),
        Some("gz") => Box::new(MultiGzDecoder::new(BufReader::new(file))),
        _ => Box::new(file),
    })
}
