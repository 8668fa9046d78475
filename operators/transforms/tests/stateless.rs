//! Calc, union, window assignment and scoring.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod common;

use std::sync::{Arc, Mutex};

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Int64Array, RecordBatch};
use arrow::compute::kernels::cmp::gt;
use arrow::datatypes::{DataType, Float32Type, Int64Type};
use common::*;
use nowcast_engine::evaluate::{ColumnAt, Projection};
use nowcast_engine::{
    Batch, Epoch, Error, Evaluate, Model, Operator, Output, Result, Scores, Tensor,
};
use nowcast_transforms::*;

/// 100 divided by the first column.
struct Quotient;

impl Evaluate for Quotient {
    fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef> {
        let values = rows.column(0).as_primitive::<Int64Type>();
        let quotients = values.iter().map(|value| match value {
            Some(0) => Err(Error::data("division by zero")),
            value => Ok(value.map(|value| 100 / value)),
        });
        Ok(Arc::new(quotients.collect::<Result<Int64Array>>()?))
    }
}

/// Whether the quotient is over ten.
struct Condition;

impl Evaluate for Condition {
    fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef> {
        Ok(Arc::new(gt(&Quotient.evaluate(rows)?, &Int64Array::new_scalar(10))?))
    }
}

fn numbers(values: &[Option<i64>]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(values.to_vec()))];
    RecordBatch::try_new(schema(&[("x", DataType::Int64)]), columns).unwrap()
}

fn projection() -> Projection {
    Projection {
        schema: schema(&[("quotient", DataType::Int64), ("x", DataType::Int64)]),
        columns: vec![Arc::new(Quotient), Arc::new(ColumnAt(0))],
    }
}

#[test]
fn calc_keeps_companions_and_sets_only_bad_rows_aside() {
    let values = [Some(5), Some(0), None, Some(20), Some(2), Some(0)];
    let bounds = Int64Array::from(vec![1, 2, 3, 4, 5, 6]);
    let batch = Batch::new(numbers(&values)).with_bounds(Some(bounds.clone()));
    let batch = batch.with_weights(Some(bounds));
    let mut out = Output::default();
    let mut calc = Calc::new(Some(Arc::new(Condition)), Some(projection()));
    calc.on_batch(0, batch.clone(), &mut out).unwrap();
    let made = out.take_batches();
    assert_eq!(text(made[0].rows()), ["20|5", "50|2"]);
    assert_eq!(made[0].bounds().unwrap().values(), &[1, 5]);
    assert_eq!(made[0].weights().unwrap().values(), &[1, 5]);
    let rejected = out.take_rejected();
    assert_eq!(rejected.len(), 2);
    assert_eq!(rejected[0].error, "division by zero");
    assert_eq!(rejected[0].raw, br#"{"x":0}"#);

    let mut calc = Calc::new(None, Some(projection()));
    calc.on_batch(0, batch, &mut out).unwrap();
    let made = out.take_batches();
    assert_eq!(text(made[0].rows()), ["20|5", "null|null", "5|20", "50|2"]);
    assert_eq!(made[0].bounds().unwrap().values(), &[1, 3, 4, 5]);
    assert_eq!(out.take_rejected().len(), 2);
}

#[test]
fn calc_without_a_row_left_emits_nothing() {
    let mut out = Output::default();
    let mut calc = Calc::new(Some(Arc::new(Condition)), None);
    calc.on_batch(0, Batch::new(numbers(&[Some(50), None])), &mut out).unwrap();
    assert!(out.take_batches().is_empty());
    calc.on_batch(0, Batch::new(numbers(&[])), &mut out).unwrap();
    assert!(out.take_batches().is_empty());
}

#[test]
fn an_error_of_the_user_is_no_bad_row() {
    struct Wrong;
    impl Evaluate for Wrong {
        fn evaluate(&self, _rows: &RecordBatch) -> Result<ArrayRef> {
            Err(Error::user("no such function"))
        }
    }
    let mut calc = Calc::new(Some(Arc::new(Wrong)), None);
    let made = calc.on_batch(0, Batch::new(numbers(&[Some(1)])), &mut Output::default());
    assert_eq!(made.unwrap_err().to_string(), "no such function");
}

#[test]
fn union_passes_all_ports_on() {
    let mut out = Output::default();
    for port in 0..3 {
        let batch = Batch::new(numbers(&[Some(port as i64)]));
        Union.on_batch(port, batch, &mut out).unwrap();
    }
    assert_eq!(Seen::take(&mut out).rows, ["0", "1", "2"]);
}

#[test]
fn a_row_is_in_each_of_its_windows() {
    let input = schema(&[("ts", MS)]);
    let rows = RecordBatch::try_new(
        Arc::clone(&input),
        vec![times(vec![Some(-1), None, Some(25), Some(i64::MAX - 1)])],
    );
    let windows = [
        (WindowKind::Tumble { size_ms: 10 }, vec!["-1|-10|0|-1", "25|20|30|29"]),
        (
            WindowKind::Hop { size_ms: 20, slide_ms: 10 },
            vec!["-1|-20|0|-1", "-1|-10|10|9", "25|10|30|29", "25|20|40|39"],
        ),
        (
            WindowKind::Cumulate { max_ms: 20, step_ms: 10 },
            vec!["-1|-20|0|-1", "25|20|30|29", "25|20|40|39"],
        ),
    ];
    for (kind, expected) in windows {
        let spec = WindowAssignSpec {
            window: Window { kind, offset_ms: 0 },
            clock: WindowClock::EVENT_TIME,
            time: 0,
            schema: schema(&[
                ("ts", MS),
                ("window_start", MS),
                ("window_end", MS),
                ("window_time", MS),
            ]),
        };
        let bounds = Int64Array::from(vec![1, 2, 3, 4]);
        let batch = Batch::new(rows.as_ref().unwrap().clone()).with_bounds(Some(bounds));
        let mut out = Output::default();
        WindowAssign::new(spec).unwrap().on_batch(0, batch, &mut out).unwrap();
        let made = out.take_batches();
        assert_eq!(text(made[0].rows()), expected);
        let bounds = made[0].bounds().unwrap().values();
        assert!(bounds.iter().all(|bound| [1, 3].contains(bound)));
        let errors: Vec<String> =
            out.take_rejected().into_iter().map(|letter| letter.error).collect();
        assert_eq!(errors, ["event time `ts` is null", "event time `ts` is out of range"]);
    }
}

/// Multiplies; refuses negative values.
struct Multiplier {
    tensors: Vec<Tensor>,
    by: f32,
    /// Takes its place.
    next: Mutex<Option<Arc<dyn Model>>>,
}

impl Model for Multiplier {
    fn version(&self) -> &str {
        "doubler@1"
    }

    fn inputs(&self) -> &[Tensor] {
        &self.tensors
    }

    fn outputs(&self) -> &[Tensor] {
        &self.tensors
    }

    fn current(&self, _epoch: Epoch) -> Option<Arc<dyn Model>> {
        self.next.lock().unwrap().clone()
    }

    fn score(&self, columns: &[ArrayRef]) -> Result<Scores> {
        let values = arrow::compute::cast(&columns[0], &DataType::Float32)?;
        let values = values.as_primitive::<Float32Type>();
        let good = |value: &f32| *value >= 0.0;
        let products: Float32Array =
            values.iter().map(|value| value.filter(good).map(|value| self.by * value)).collect();
        let negative =
            (0..values.len()).filter(|row| values.is_valid(*row) && values.value(*row) < 0.0);
        let rejected = negative.map(|row| (row, "value is negative".to_owned())).collect();
        Ok(Scores { outputs: vec![Arc::new(products)], rejected })
    }
}

fn multiplier(by: f32) -> Arc<Multiplier> {
    let tensor = Tensor { name: "x".into(), element: DataType::Float32, shape: vec![] };
    Arc::new(Multiplier { tensors: vec![tensor], by, next: Mutex::default() })
}

fn doubler() -> Arc<dyn Model> {
    multiplier(2.0)
}

#[test]
fn rows_a_model_refuses_are_set_aside_and_the_others_go_on() {
    let spec = ScoreSpec {
        model: doubler(),
        features: vec![0],
        schema: schema(&[("x", DataType::Int64), ("score", DataType::Float64)]),
    };
    for size in [1, 2, 5] {
        let mut score = Score::new(spec.clone()).unwrap();
        let mut out = Output::default();
        let rows = numbers(&[Some(1), Some(-1), None, Some(-7), Some(4)]);
        for first in (0..5).step_by(size) {
            let rows = rows.slice(first, size.min(5 - first));
            score.on_batch(0, Batch::new(rows), &mut out).unwrap();
        }
        let seen = Seen::take(&mut out);
        assert_eq!(seen.rows, ["1|2.0", "null|null", "4|8.0"]);
        assert_eq!(seen.rejected, ["value is negative", "value is negative"]);
    }
}

#[test]
fn a_model_that_was_replaced_scores_from_the_next_barrier_on() {
    let model = multiplier(2.0);
    let spec = ScoreSpec {
        model: model.clone(),
        features: vec![0],
        schema: schema(&[("x", DataType::Int64), ("score", DataType::Float64)]),
    };
    let mut score = Score::new(spec.clone()).unwrap();
    let mut out = Output::default();
    *model.next.lock().unwrap() = Some(multiplier(3.0));
    score.on_batch(0, Batch::new(numbers(&[Some(1)])), &mut out).unwrap();
    assert!(score.changes(1, None).unwrap().is_none());
    score.on_batch(0, Batch::new(numbers(&[Some(1)])), &mut out).unwrap();
    assert_eq!(Seen::take(&mut out).rows, ["1|2.0", "1|3.0"]);
    // One that begins now, as after a crash.
    let mut score = Score::new(spec).unwrap();
    score.on_batch(0, Batch::new(numbers(&[Some(1)])), &mut out).unwrap();
    assert_eq!(Seen::take(&mut out).rows, ["1|3.0"]);
}

#[test]
fn a_model_with_other_inputs_is_refused() {
    let spec = ScoreSpec {
        model: doubler(),
        features: vec![0, 0],
        schema: schema(&[("x", DataType::Int64), ("score", DataType::Float64)]),
    };
    let error = Score::new(spec).err().unwrap();
    assert_eq!(error.to_string(), "model doubler@1: 2 feature columns for 1 inputs");
}
