//! Where ONNX Runtime's shared library is looked for.

use std::fs;
use std::path::{Path, PathBuf};

/// Places to look for ONNX Runtime, in order: the setting, the folder of the binary, virtual
/// environments of Python that have `onnxruntime` installed. The caller reads the environment.
#[derive(Debug, Clone, Default)]
pub struct RuntimeSearch {
    /// The library itself, or a folder that holds it. Nothing else is tried when it is set.
    pub setting: Option<PathBuf>,
    /// The folder of the running binary.
    pub binary_dir: Option<PathBuf>,
    /// Roots of virtual environments.
    pub venvs: Vec<PathBuf>,
}

impl RuntimeSearch {
    /// The first library found, or where it was looked for.
    pub fn find(&self) -> Result<PathBuf, String> {
        if let Some(setting) = &self.setting {
            let found = if setting.is_dir() { library_in(setting) } else { existing(setting) };
            return found.ok_or_else(|| format!("{}: no such library", setting.display()));
        }
        let folders = self
            .binary_dir
            .iter()
            .cloned()
            .chain(self.venvs.iter().flat_map(|venv| capi_dirs(venv)));
        folders.into_iter().find_map(|folder| library_in(&folder)).ok_or_else(|| self.nowhere())
    }

    fn nowhere(&self) -> String {
        let places: Vec<_> = self
            .binary_dir
            .iter()
            .chain(&self.venvs)
            .map(|place| place.display().to_string())
            .collect();
        if places.is_empty() {
            return "libonnxruntime not found: nowhere to look".to_string();
        }
        format!("libonnxruntime not found in {}", places.join(", "))
    }
}

fn existing(path: &Path) -> Option<PathBuf> {
    path.is_file().then(|| path.to_path_buf())
}

/// `libonnxruntime.so`, `libonnxruntime.so.1.32.0` or `libonnxruntime.1.32.0.dylib`; the last by
/// name where several are there. `libonnxruntime_providers_*` are plug-ins of it.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let is_library = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name == "onnxruntime.dll"
            || name.strip_prefix("libonnxruntime.").is_some_and(|rest| {
                rest == "so" || rest.starts_with("so.") || rest.ends_with("dylib")
            })
    };
    fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).filter(is_library).max()
}

/// `lib/python3.*/site-packages/onnxruntime/capi` of a virtual environment.
fn capi_dirs(venv: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(venv.join("lib")) else {
        return Vec::new();
    };
    let mut dirs: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("python")))
        .map(|python| python.join("site-packages/onnxruntime/capi"))
        .collect();
    dirs.sort();
    dirs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_is_wrong_is_not_papered_over_by_a_venv() {
        let venv = tempfile::tempdir().unwrap();
        let capi = venv.path().join("lib/python3.11/site-packages/onnxruntime/capi");
        fs::create_dir_all(&capi).unwrap();
        for name in ["libonnxruntime.so.1.32.0", "libonnxruntime_providers_shared.so"] {
            fs::write(capi.join(name), "").unwrap();
        }
        let mut search =
            RuntimeSearch { venvs: vec![venv.path().to_path_buf()], ..RuntimeSearch::default() };
        assert_eq!(search.find().unwrap(), capi.join("libonnxruntime.so.1.32.0"));
        search.setting = Some(capi.clone());
        assert_eq!(search.find().unwrap(), capi.join("libonnxruntime.so.1.32.0"));
        search.setting = Some("/nowhere/libonnxruntime.so".into());
        assert_eq!(search.find().unwrap_err(), "/nowhere/libonnxruntime.so: no such library");
    }
}
