//! The shipped models: both runtimes give what Python's ONNX Runtime gave.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Builder, Int64Builder, ListBuilder};
use arrow::datatypes::{Float32Type, Int64Type};
use nowcast_engine::Model;
use serde_json::Value;

/// In units of the largest value of a row: one unit in the last place of a float32 is 6e-8 of it.
const TOLERANCE: f64 = 1e-5;

fn reference(name: &str) -> Value {
    let path = common::models_dir().join(format!("tests/reference/{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// One input of all rows, as SQL would pass it: an array of doubles or of BIGINT.
fn column(rows: &[Value], name: &str, whole: bool) -> ArrayRef {
    let lists = rows.iter().map(|row| row[name].as_array().unwrap());
    if whole {
        let mut builder = ListBuilder::new(Int64Builder::new());
        for list in lists {
            builder.append_value(list.iter().map(|v| v.as_i64()));
        }
        return Arc::new(builder.finish());
    }
    let mut builder = ListBuilder::new(Float64Builder::new());
    for list in lists {
        builder.append_value(list.iter().map(|v| v.as_f64()));
    }
    Arc::new(builder.finish())
}

fn check(name: &str, whole_input: bool) {
    let reference = reference(name);
    let rows = reference["rows"].as_array().unwrap();
    for backend in common::backends() {
        let model = common::open(&common::shipped(name), backend);
        let columns: Vec<_> =
            model.inputs().iter().map(|t| column(rows, &t.name, whole_input)).collect();
        let scores = model.score(&columns).unwrap();
        assert_eq!(scores.rejected, []);
        for (tensor, got) in model.outputs().iter().zip(&scores.outputs) {
            let expected = reference["outputs"][&tensor.name].as_array().unwrap();
            let mut worst = 0.0_f64;
            for (row, expected) in expected.iter().enumerate() {
                let expected: Vec<f64> =
                    expected.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
                let got = got.as_list::<i32>().value(row);
                let got: Vec<f64> = match got.as_primitive_opt::<Float32Type>() {
                    Some(floats) => floats.values().iter().map(|&v| v.into()).collect(),
                    None => {
                        got.as_primitive::<Int64Type>().values().iter().map(|&v| v as f64).collect()
                    }
                };
                assert_eq!(got.len(), expected.len());
                let unit = expected.iter().fold(1.0_f64, |a, b| a.max(b.abs()));
                for (got, expected) in got.iter().zip(&expected) {
                    worst = worst.max((got - expected).abs() / unit);
                }
            }
            println!("{name} {backend} {}: {worst:.1e} from Python", tensor.name);
            assert!(worst <= TOLERANCE, "{name} {backend} {}: {worst:e}", tensor.name);
        }
    }
}

#[test]
fn demand_lstm_equals_python() {
    check("demand_lstm", false);
}

#[test]
fn next_title_equals_python() {
    check("next_title", true);
}

#[test]
fn next_title_recommends_nothing_of_the_session() {
    let reference = reference("next_title");
    let rows = reference["rows"].as_array().unwrap();
    let model = common::open(&common::shipped("next_title"), nowcast_onnx::BackendChoice::Rten);
    let scores = model.score(&[column(rows, "items", true)]).unwrap();
    for (row, input) in rows.iter().enumerate() {
        let seen: Vec<_> = input["items"].as_array().unwrap().iter().rev().take(20).collect();
        let top = scores.outputs[0].as_list::<i32>().value(row);
        let top = top.as_primitive::<Int64Type>();
        assert!(top.values().iter().all(|id| !seen.iter().any(|s| s.as_i64() == Some(*id))));
        assert!(!top.values().contains(&0));
    }
}
