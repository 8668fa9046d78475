//! The files that a path names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file; the files of a folder, with those of its folders; or the files that match a pattern with
/// `*` and `?`. Ascending; hidden files and those in progress (`.x`, `_x`) are left out.
pub fn files(path: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![];
    if path.contains(['*', '?']) {
        let absolute = Path::new(path).is_absolute();
        let root = PathBuf::from(if absolute { "/" } else { "." });
        let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        matching(&root, &parts, &mut found)?;
    } else if fs::metadata(path)?.is_dir() {
        below(Path::new(path), &mut found)?;
    } else {
        found.push(path.into());
    }
    found.sort();
    Ok(found)
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if is_hidden(&path) {
            continue;
        }
        match fs::metadata(&path)?.is_dir() {
            true => below(&path, found)?,
            false => found.push(path),
        }
    }
    Ok(())
}

fn matching(folder: &Path, parts: &[&str], found: &mut Vec<PathBuf>) -> io::Result<()> {
    let Some((part, rest)) = parts.split_first() else {
        return match fs::metadata(folder)?.is_dir() {
            true => below(folder, found),
            false => {
                found.push(folder.to_owned());
                Ok(())
            }
        };
    };
    if !part.contains(['*', '?']) {
        let path = folder.join(part);
        return match path.exists() {
            true => matching(&path, rest, found),
            false => Ok(()),
        };
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let matched = name.is_some_and(|name| matches_pattern(part.as_bytes(), name.as_bytes()));
        if matched && !is_hidden(&path) && (rest.is_empty() || path.is_dir()) {
            matching(&path, rest, found)?;
        }
    }
    Ok(())
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    name.is_some_and(|name| name.starts_with(['.', '_']))
}

fn matches_pattern(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|at| matches_pattern(rest, &name[at..])),
        Some((b'?', rest)) => !name.is_empty() && matches_pattern(rest, &name[1..]),
        Some((byte, rest)) => name.first() == Some(byte) && matches_pattern(rest, &name[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, matched) in [
            ("*.csv", "a.csv", true),
            ("*.csv", "a.csv.gz", false),
            ("part-?.json", "part-1.json", true),
            ("part-?.json", "part-12.json", false),
            ("*", "", true),
        ] {
            assert_eq!(matches_pattern(pattern.as_bytes(), name.as_bytes()), matched, "{pattern}");
        }
    }

    #[test]
    fn a_folder_is_read_whole_and_in_order_but_not_what_is_in_progress() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        for name in ["b.json", "a.json", "sub/c.json", ".d.json", "_e.json"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let root = dir.path().to_str().unwrap();
        let names = |path: &str| {
            let found = files(path).unwrap();
            let names = found.iter().map(|path| path.strip_prefix(root).unwrap().to_owned());
            names.map(|path| path.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(root), ["a.json", "b.json", "sub/c.json"]);
        assert_eq!(names(&format!("{root}/*.json")), ["a.json", "b.json"]);
        assert_eq!(names(&format!("{root}/s*/c.json")), ["sub/c.json"]);
        assert!(files(&format!("{root}/none")).is_err());
    }
}
