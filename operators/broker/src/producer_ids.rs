//! Producer ids, never given twice over all restarts: a file says from where the next start gives.

use std::path::PathBuf;
use std::sync::Mutex;

use crate::error::Result;
use crate::files::{Durability, read_json, write_json};

/// Ids reserved at a time: one file write per so many producers.
const BLOCK: i64 = 1000;

#[derive(Debug)]
pub(crate) struct ProducerIds {
    path: PathBuf,
    next: Mutex<Block>,
}

#[derive(Debug)]
struct Block {
    next: i64,
    end: i64,
}

impl ProducerIds {
    /// Ids given before the last stop but within its block are skipped.
    pub fn open(path: PathBuf) -> Result<ProducerIds> {
        let start = read_json(&path)?.unwrap_or(0);
        Ok(ProducerIds { path, next: Mutex::new(Block { next: start, end: start }) })
    }

    pub fn allocate(&self) -> Result<i64> {
        let mut block = self.next.lock().expect("no holder panics");
        if block.next == block.end {
            let end = block.end + BLOCK;
            write_json(&self.path, &end, Durability::Disk)?;
            block.end = end;
        }
        block.next += 1;
        Ok(block.next - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_is_given_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("producer-ids.json");
        let mut seen = Vec::new();
        for _ in 0..3 {
            let ids = ProducerIds::open(path.clone()).unwrap();
            seen.extend((0..1500).map(|_| ids.allocate().unwrap()));
        }
        assert!(seen.is_sorted_by(|a, b| a < b));
    }
}
