//! Committed offsets of a group, in a small file that is renamed into place at each commit.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::{Durability, read_json, write_json};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Committed {
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: String,
}

/// By topic, then partition.
pub(crate) type Offsets = BTreeMap<String, BTreeMap<i32, Committed>>;

#[derive(Serialize, Deserialize)]
struct OffsetsFile {
    group: String,
    offsets: Offsets,
}

pub(super) fn write(path: &Path, group: &str, offsets: &Offsets, to: Durability) -> Result<()> {
    write_json(path, &OffsetsFile { group: group.to_owned(), offsets: offsets.clone() }, to)
}

pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path)(e)),
        _ => Ok(()),
    }
}

/// All groups of the folder that have committed.
pub(super) fn read_all(dir: &Path) -> Result<Vec<(String, Offsets)>> {
    let mut groups = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::io(dir))? {
        let path = entry.map_err(Error::io(dir))?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        if let Some(file) = read_json::<OffsetsFile>(&path)? {
            groups.push((file.group, file.offsets));
        }
    }
    Ok(groups)
}
