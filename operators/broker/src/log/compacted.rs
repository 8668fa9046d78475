//! How far a partition is compacted, in a small file beside its segments.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::files::{Durability, read_json, write_json};

const FILE: &str = "compaction.json";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Compacted {
    /// Before this offset each key has one record, except for later ones after it.
    pub clean_end: i64,
    /// Before this offset records may be missing, and a segment may lie in another's place. Written
    /// before any does.
    pub gaps_end: i64,
}

impl Compacted {
    /// Nothing is where there is no file.
    pub fn read(dir: &Path) -> Result<Compacted> {
        Ok(read_json(&dir.join(FILE))?.unwrap_or_default())
    }

    pub fn write(&self, dir: &Path) -> Result<()> {
        write_json(&dir.join(FILE), self, Durability::Disk)
    }

    /// Takes back what is said of offsets from `end` on, for the log ends there: others may come.
    pub fn cut(&mut self, dir: &Path, end: i64) -> Result<()> {
        if self.gaps_end.max(self.clean_end) <= end {
            return Ok(());
        }
        self.clean_end = self.clean_end.min(end);
        self.gaps_end = self.gaps_end.min(end);
        self.write(dir)
    }
}
