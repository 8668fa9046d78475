//! The score contract: what a row must be, and what becomes of one that is not.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, NullArray, StringArray,
};
use arrow::datatypes::{DataType, Float32Type, Int64Type};
use common::{Builder, float_list, floats_of, int_list, ints, ints_of};
use nowcast_engine::{ErrorKind, Model};
use nowcast_onnx::{OnnxModel, ROWS_PER_CALL};
use rten_onnx::onnx::DataType as Element;

fn each(test: impl Fn(&OnnxModel), build: impl Fn() -> Builder) {
    let dir = tempfile::tempdir().unwrap();
    let path = build().write(&dir.path().join("m.onnx"));
    for backend in common::backends() {
        test(&common::open(&path, backend));
    }
}

fn three(values: [f32; 3]) -> Option<Vec<Option<f32>>> {
    Some(values.map(Some).to_vec())
}

#[test]
fn every_kind_of_bad_row_leaves_its_neighbours_alone() {
    each(
        |model| {
            let x = float_list(vec![
                three([1.0, 4.0, 9.0]),
                None,
                three([1.0, f32::NAN, 1.0]),
                Some(vec![Some(4.0), Some(4.0)]),
                Some(vec![Some(1.0), None, Some(1.0)]),
                three([-1.0, 1.0, 1.0]),
                Some([99.0, 4.0, 4.0, 4.0].map(Some).to_vec()),
                three([0.0, 0.0, 1.0]),
                three([f32::INFINITY, 0.0, 1.0]),
                three([1.0, 1.0, 1.0]),
            ]);
            let mut plan = vec![Some(0); 10];
            plan[6] = Some(3);
            plan[7] = Some(99);
            plan[9] = None;
            let scores = model.score(&[x, ints(&plan)]).unwrap();
            let mut sums = vec![None; 10];
            sums[0] = Some(6.0);
            sums[6] = Some(6.0);
            assert_eq!(floats_of(&scores.outputs[0]), sums);
            let mut prices = vec![None; 10];
            prices[0] = Some(5);
            prices[6] = Some(20);
            assert_eq!(ints_of(&scores.outputs[1]), prices);
            let rejected: Vec<_> = scores.rejected.iter().map(|(row, _)| *row).collect();
            assert_eq!(rejected, [2, 5, 7, 8]);
            assert_eq!(scores.rejected[0].1, "input \"x\": element 2: NaN is not finite");
            assert_eq!(scores.rejected[1].1, "output \"sum\" is not finite");
        },
        common::roots,
    );
}

#[test]
fn an_empty_batch_never_reaches_the_runtime() {
    for backend in common::backends() {
        let model = common::open(&common::shipped("demand_lstm"), backend);
        let columns = vec![float_list(vec![]); 4];
        let scores = model.score(&columns).unwrap();
        assert_eq!(scores.outputs[0].len(), 0);
        let nothing_fits = vec![float_list(vec![None, Some(vec![])]); 4];
        let scores = model.score(&nothing_fits).unwrap();
        assert_eq!(scores.outputs[0].null_count(), 2);
        assert_eq!(scores.rejected, []);
    }
}

#[test]
fn batches_of_any_size_give_the_rows_one_by_one() {
    each(
        |model| {
            let n = 2 * ROWS_PER_CALL + 1;
            let x = float_list((0..n).map(|i| three([i as f32; 3])).collect());
            let plan = ints(&(0..n).map(|i| Some(i as i64 % 4)).collect::<Vec<_>>());
            let all = model.score(&[x.clone(), plan.clone()]).unwrap();
            for row in 0..n {
                let one = model.score(&[x.slice(row, 1), plan.slice(row, 1)]).unwrap();
                assert_eq!(floats_of(&one.outputs[0])[0], floats_of(&all.outputs[0])[row]);
                assert_eq!(ints_of(&one.outputs[1])[0], ints_of(&all.outputs[1])[row]);
            }
        },
        common::roots,
    );
}

#[test]
fn any_numeric_array_is_cast() {
    each(
        |model| {
            let x = float_list(vec![three([1.0; 3]); 2]);
            let fixed = arrow::compute::cast(
                &int_list(vec![Some(vec![Some(1); 3]); 2]),
                &DataType::new_fixed_size_list(DataType::Int32, 3, true),
            )
            .unwrap();
            let plans: [ArrayRef; 3] = [
                Arc::new(Int32Array::from(vec![0, 1])),
                Arc::new(Float64Array::from(vec![0.0, 1.9])),
                Arc::new(BooleanArray::from(vec![false, true])),
            ];
            for plan in plans {
                for x in [&x, &fixed] {
                    let scores = model.score(&[x.clone(), plan.clone()]).unwrap();
                    assert_eq!(floats_of(&scores.outputs[0]), [Some(3.0), Some(3.0)]);
                    assert_eq!(ints_of(&scores.outputs[1]), [Some(5), Some(10)]);
                }
            }
            let nulls = model.score(&[x, Arc::new(NullArray::new(2))]).unwrap();
            assert_eq!(nulls.outputs[1].null_count(), 2);
        },
        common::roots,
    );
}

#[test]
fn numbers_past_the_range_of_the_tensor_are_rejected() {
    each(
        |model| {
            let x = float_list(vec![three([1.0; 3]); 2]);
            let plan: ArrayRef = Arc::new(Float64Array::from(vec![1e300, f64::NAN]));
            let scores = model.score(&[x, plan]).unwrap();
            let why = "input \"plan\": the number is not finite or does not fit int64";
            assert_eq!(scores.rejected, [(0, why.to_string()), (1, why.to_string())]);
        },
        common::roots,
    );
}

#[test]
fn columns_that_can_never_fit_are_the_users_error() {
    each(
        |model| {
            let x = float_list(vec![three([1.0; 3])]);
            let text: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
            let short = arrow::compute::cast(
                &float_list(vec![Some(vec![Some(1.0); 2])]),
                &DataType::new_fixed_size_list(DataType::Float32, 2, true),
            )
            .unwrap();
            let scalar = ints(&[Some(1)]);
            let cases = [
                (
                    vec![text.clone(), scalar.clone()],
                    "input \"x\": expected an array of 3 numbers (float), got Utf8",
                ),
                (
                    vec![scalar.clone(), scalar.clone()],
                    "input \"x\": expected an array of 3 numbers (float), got Int64",
                ),
                (
                    vec![short, scalar.clone()],
                    "input \"x\": expected an array of 3 numbers (float), got FixedSizeList",
                ),
                (vec![x.clone(), x.clone()], "input \"plan\": expected a number (int64), got List"),
                (vec![x.clone()], "expected 2 inputs (x, plan), got 1"),
            ];
            for (columns, expected) in cases {
                let error = model.score(&columns).err().unwrap();
                assert_eq!(error.kind(), ErrorKind::User);
                let text = error.to_string();
                assert!(text.starts_with("model \"m@"), "{text}");
                assert!(text.contains(expected), "{text}");
            }
        },
        common::roots,
    );
}

#[test]
fn declared_padding_fills_short_lists_from_the_left() {
    let identity = || {
        Builder::new()
            .input("items", Element::INT64, &[None, Some(4)])
            .node("Identity", &["items"], "out")
            .output("out", Element::INT64, &[None, Some(4)])
            .metadata("nowcast.pad.items", "left:7")
    };
    each(
        |model| {
            let items = int_list(vec![
                Some(vec![Some(1)]),
                Some(vec![]),
                None,
                Some([1, 2, 3, 4, 5].map(Some).to_vec()),
            ]);
            let scores = model.score(&[items]).unwrap();
            let rows: Vec<_> = scores.outputs[0]
                .as_list::<i32>()
                .iter()
                .map(|row| row.map(|row| row.as_primitive::<Int64Type>().values().to_vec()))
                .collect();
            let expected = [Some(vec![7, 7, 7, 1]), Some(vec![7; 4]), None, Some(vec![2, 3, 4, 5])];
            assert_eq!(rows, expected);
        },
        identity,
    );
}

#[test]
fn threads_score_side_by_side() {
    for backend in common::backends() {
        let model = common::open(&common::shipped("demand_lstm"), backend);
        let column = |v: f32| float_list(vec![Some(vec![Some(v); 168]); 5]);
        let columns = [column(50.0), column(0.5), column(1.0), column(12.0)];
        let expected = model.score(&columns).unwrap().outputs;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(model.score(&columns).unwrap().outputs, expected));
            }
        });
        let values = expected[0].as_list::<i32>().value(0);
        assert_eq!(values.as_primitive::<Float32Type>().len(), 24 * 3);
    }
}
