//! The mark of which dead letters of a job have been sent again.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::set_aside::FOLDER;

/// By place, ranges of letters that were sent: from the first to behind the last, ascending.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Ranges(BTreeMap<String, Vec<(u64, u64)>>);

/// Which letters of a job have been sent again.
pub struct Replayed {
    path: PathBuf,
    ranges: Ranges,
}

impl Replayed {
    /// The marks of a job; none where nothing was sent yet.
    pub fn read(data: &Path, job: &str) -> Result<Self> {
        let path = data.join(FOLDER).join(format!("{job}.replayed.json"));
        let ranges = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ranges::default(),
            read => {
                let text = read.with_context(|| path.display().to_string())?;
                serde_json::from_slice(&text).with_context(|| path.display().to_string())?
            }
        };
        Ok(Self { path, ranges })
    }

    pub fn has(&self, place: &str, number: u64) -> bool {
        let ranges = self.ranges.0.get(place).map_or(&[][..], Vec::as_slice);
        let before = ranges.partition_point(|(from, _)| *from <= number);
        before > 0 && number < ranges[before - 1].1
    }

    pub fn mark(&mut self, place: &str, number: u64) {
        if self.has(place, number) {
            return;
        }
        let ranges = self.ranges.0.entry(place.to_owned()).or_default();
        let at = ranges.partition_point(|(from, _)| *from <= number);
        let joins_before = at > 0 && ranges[at - 1].1 == number;
        let joins_after = ranges.get(at).is_some_and(|(from, _)| *from == number + 1);
        match (joins_before, joins_after) {
            (true, true) => ranges[at - 1].1 = ranges.remove(at).1,
            (true, false) => ranges[at - 1].1 = number + 1,
            (false, true) => ranges[at].0 = number,
            (false, false) => ranges.insert(at, (number, number + 1)),
        }
    }

    /// Writes the marks, whole or not at all.
    pub fn save(&self) -> Result<()> {
        let partial = self.path.with_extension("json.partial");
        let write = || {
            if let Some(folder) = self.path.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut file = fs::File::create(&partial)?;
            file.write_all(&serde_json::to_vec(&self.ranges)?)?;
            file.sync_all()?;
            fs::rename(&partial, &self.path)
        };
        write().with_context(|| self.path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_in_any_order_become_few_ranges() {
        let folder = tempfile::tempdir().unwrap();
        let mut replayed = Replayed::read(folder.path(), "job").unwrap();
        for number in [5, 1, 3, 2, 9, 5, 4, 0] {
            replayed.mark("dlq/0", number);
        }
        assert_eq!(replayed.ranges.0["dlq/0"], [(0, 6), (9, 10)]);
        replayed.save().unwrap();
        let read = Replayed::read(folder.path(), "job").unwrap();
        assert_eq!(read.ranges, replayed.ranges);
        let has: Vec<u64> = (0..12).filter(|number| read.has("dlq/0", *number)).collect();
        assert_eq!(has, [0, 1, 2, 3, 4, 5, 9]);
        assert!(!read.has("dlq/1", 0));
    }
}
