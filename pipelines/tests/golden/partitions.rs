//! The input of a case cut into partitions, which are read side by side.

use std::io;
use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

const PARTITIONS: usize = 3;

/// A folder like that of a case, in which each JSON file is a folder of files with a share of its
/// rows each, in their order; other files and folders are copied.
pub fn shuffled(case: &Path, seed: u64) -> io::Result<TempDir> {
    let shuffled = tempfile::tempdir()?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for entry in std::fs::read_dir(case)? {
        let file = entry?.path();
        let Some(name) = file.file_name() else { continue };
        let to = shuffled.path().join(name);
        if file.extension().is_none_or(|extension| extension != "json") {
            copy(&file, &to)?;
            continue;
        }
        let mut parts = vec![String::new(); PARTITIONS];
        for line in std::fs::read_to_string(&file)?.lines() {
            let part = &mut parts[random.random_range(0..PARTITIONS)];
            part.push_str(line);
            part.push('\n');
        }
        std::fs::create_dir(&to)?;
        for (part, rows) in parts.iter().enumerate() {
            std::fs::write(to.join(format!("{part}.json")), rows)?;
        }
    }
    Ok(shuffled)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_file() {
        return std::fs::copy(from, to).map(drop);
    }
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
