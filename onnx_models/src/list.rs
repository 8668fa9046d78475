//! The models in a folder.

use std::fs;
use std::path::{Path, PathBuf};

use nowcast_engine::{Error, Result};

use crate::file::ModelFile;

/// Folders below the one listed that are looked into: a folder a model, or a folder a version.
const DEPTH_MAX: usize = 3;

/// One `.onnx` file of a folder.
#[derive(Debug, Clone)]
pub struct Listed {
    pub path: PathBuf,
    /// The first heading of `CARD.md` beside the file, else `nowcast.title` of its metadata.
    pub title: Option<String>,
    /// The file, or why it cannot be used.
    pub file: Result<ModelFile>,
}

/// All `.onnx` files below `folder`, by path. Files that cannot be used are listed with the reason.
pub fn list(folder: impl AsRef<Path>) -> Result<Vec<Listed>> {
    let folder = folder.as_ref();
    let mut paths = Vec::new();
    collect(folder, DEPTH_MAX, &mut paths)
        .map_err(|e| Error::user(format!("model folder {}: {}", folder.display(), e.kind())))?;
    paths.sort();
    Ok(paths
        .into_iter()
        .map(|path| {
            let file = ModelFile::read(&path);
            let metadata =
                file.as_ref().ok().and_then(|f| f.metadata.get("nowcast.title").cloned());
            Listed { title: card_title(&path).or(metadata), path, file }
        })
        .collect())
}

fn collect(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && depth > 0 {
            collect(&path, depth - 1, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "onnx") {
            paths.push(path);
        }
    }
    Ok(())
}

fn card_title(model: &Path) -> Option<String> {
    let card = fs::read_to_string(model.with_file_name("CARD.md")).ok()?;
    card.lines().find_map(|line| line.strip_prefix("# ")).map(|title| title.trim().to_string())
}
