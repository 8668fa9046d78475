//! A library that Arroyo's own crate made, loaded unchanged.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float32Array, Int64Array, StringArray};
use arrow::datatypes::DataType;
use nowcast_engine::{ErrorKind, FunctionProvider};
use nowcast_udf_host::Libraries;

/// Where the libraries are built.
fn built() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("arroyo");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/arroyo/Cargo.toml");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--quiet", "--lib", "--examples", "--manifest-path"]);
    assert!(cargo.arg(manifest).arg("--target-dir").arg(&target).status().unwrap().success());
    target.join("debug")
}

fn library(name: &str) -> String {
    format!("{}{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

#[test]
#[ignore = "builds Arroyo's crate and an Arrow of its own: minutes, and crates that the rest needs not"]
fn a_library_made_for_arroyo_is_called() {
    let built = built();
    let path = built.join(library("for_arroyo")).display().to_string();
    let load = |declaration: &str| Libraries.load(declaration, &path);
    let declaration = "fn described(number: i64, text: Option<&str>, part: f32) -> Option<String>";
    let described = load(declaration).unwrap();
    assert_eq!(described.arguments(), [DataType::Int64, DataType::Utf8, DataType::Float32]);

    let numbers = Int64Array::from(vec![Some(13), Some(1), None, Some(3), Some(4)]);
    let texts = StringArray::from(vec![Some("x"), Some("früh"), Some("y"), None, Some("")]);
    let parts = Float32Array::from(vec![0.0, 0.5, 0.5, 0.5, -2.0]);
    let columns = |from, len| -> [ArrayRef; 3] {
        let (numbers, texts) = (numbers.slice(from, len), texts.slice(from, len));
        [Arc::new(numbers), Arc::new(texts), Arc::new(parts.slice(from, len))]
    };
    for _ in 0..1000 {
        let made = described.call(&columns(1, 4), 4).unwrap();
        let wanted = StringArray::from(vec![Some("1 früh 0.5"), None, None, Some("4  -2")]);
        assert_eq!(*made.as_string::<i32>(), wanted);
    }
    assert_eq!(described.call(&columns(2, 0), 0).unwrap().len(), 0);
    let error = described.call(&columns(0, 2), 2).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Data);

    let error = load("described").err().unwrap().to_string();
    assert!(error.contains("`described` is no declaration such as `fn name("), "{error}");
    let other = load("fn described(number: i32, text: &str, part: f32) -> String").unwrap();
    let numbers: ArrayRef = Arc::new(arrow::array::Int32Array::from(vec![1]));
    let [_, texts, parts] = columns(1, 1);
    let error = other.call(&[numbers, texts, parts], 1).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Data);
    let fewer = load("fn described(number: i64) -> String").unwrap();
    let error = fewer.call(&columns(1, 1)[..1], 1).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Data);
    let result = load("fn described(number: i64, text: &str, part: f32) -> i64").unwrap();
    let error = result.call(&columns(1, 1), 1).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::User);

    let more =
        load("fn described(number: i64, text: &str, part: f32, more: f32) -> String").unwrap();
    let [numbers, texts, parts] = columns(1, 1);
    let made = more.call(&[numbers, texts, parts.clone(), parts], 1).unwrap();
    assert_eq!(made.as_string::<i32>().value(0), "1 früh 0.5");

    let path = built.join("examples").join(library("waits")).display().to_string();
    let error = Libraries.load("fn waits(number: i64) -> i64", &path).err().unwrap().to_string();
    assert!(error.contains("async functions of Arroyo are not supported"), "{error}");
}
