//! Where `unsafe` may stand: in the modules that are named here, each with its reason.

#![allow(clippy::unwrap_used)] // a test that cannot go on should say where

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Libraries of functions are code of the user's behind pointers, and the allocator is set by a call
/// of C: nothing else is unsafe. Under Miri, which comes with nightly toolchains alone, run the tests that load no library:
/// `cargo +nightly miri test -p nowcast-udf-host --lib`.
const MODULES: [&str; 8] = [
    "pipelines/src/allocator.rs",
    "udf/src/abi.rs",
    "udf/src/guest.rs",
    "udf/macros/src/lib.rs",
    "udf/host/src/arrays.rs",
    "udf/host/src/arroyo.rs",
    "udf/host/src/library.rs",
    "udf/host/src/tests.rs",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

#[test]
fn unsafe_code_stands_in_named_modules_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let lints = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    assert!(lints.contains("unsafe_code = \"deny\""), "the lint of the workspace");
    let mut files = vec![];
    sources(root, &mut files);
    let allows = ["allow(unsafe", "expect(unsafe", ", unsafe_code"];
    let found: BTreeSet<String> = files
        .iter()
        .filter(|path| !path.ends_with("tests/unsafe_code.rs"))
        .filter(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            allows.iter().any(|allow| text.contains(allow))
        })
        .map(|path| path.strip_prefix(root).unwrap().display().to_string())
        .collect();
    assert_eq!(found, MODULES.map(str::to_owned).into());
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let members = manifest.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    for member in members.split('"').skip(1).step_by(2) {
        let manifest = std::fs::read_to_string(root.join(member).join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{member}");
    }
}
