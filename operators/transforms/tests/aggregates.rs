//! Aggregate functions of every type, alone in one window and merged over the slices of one.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod common;

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, TimeUnit};
use common::*;
use nowcast_engine::{Batch, Operator, Output, Time};
use nowcast_transforms::AggregateFunction::{
    ApproxCountDistinct, ArrayAgg, Avg, Count, FirstValue, JsonArray, JsonObject, LastValue,
    ListAgg, Max, Min, Percentile, Sum,
};
use nowcast_transforms::*;

const TEN: WindowKind = WindowKind::Tumble { size_ms: 10 };
/// Ten slices a window.
const TEN_BY_ONE: WindowKind = WindowKind::Hop { size_ms: 10, slide_ms: 1 };

fn call(function: AggregateFunction, output: DataType) -> AggregateCall {
    AggregateCall { function, args: vec![1], distinct: false, filter: None, output }
}

fn distinct(function: AggregateFunction, output: DataType) -> AggregateCall {
    AggregateCall { distinct: true, ..call(function, output) }
}

/// The aggregate of a column of at most ten values, at times 0, 1, …, in the window `[0, 10)`: by
/// TUMBLE, by HOP, and by each after a restart in the middle.
fn aggregate(call: &AggregateCall, column: ArrayRef) -> String {
    let input = schema(&[("ts", MS), ("x", column.data_type().clone())]);
    let output = schema(&[
        ("value", call.output.clone()),
        ("window_start", MS),
        ("window_end", MS),
        ("window_time", MS),
    ]);
    let clock = times((0..column.len() as i64).map(Some).collect());
    let rows = RecordBatch::try_new(Arc::clone(&input), vec![clock, column]).unwrap();
    let mut answers = vec![];
    for kind in [TEN, TEN_BY_ONE] {
        for restart in [false, true] {
            let make = || {
                WindowAggregate::new(WindowAggregateSpec {
                    window: Window { kind, offset_ms: 0 },
                    clock: WindowClock::EVENT_TIME,
                    time: 0,
                    keys: vec![],
                    aggregates: vec![call.clone()],
                    input_schema: Arc::clone(&input),
                    schema: Arc::clone(&output),
                })
                .unwrap()
            };
            let mut operator = make();
            let mut out = Output::default();
            let half = rows.num_rows() / 2;
            let parts = [(0, half), (half, rows.num_rows() - half)];
            for (first, length) in parts {
                let batch = Batch::new(rows.slice(first, length));
                operator.on_batch(0, batch, &mut out).unwrap();
                if restart {
                    let saved = operator.save(0).unwrap();
                    operator = make();
                    operator.load(saved).unwrap();
                }
            }
            operator.on_time(Time::Event(i64::MAX), &mut out).unwrap();
            let all = Seen::take(&mut out).rows;
            let rest = "|0|10|9";
            let mine = all.iter().find_map(|row| row.strip_suffix(rest)).unwrap();
            answers.push(mine.to_owned());
        }
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    answers.swap_remove(0)
}

fn ints(values: &[Option<i32>]) -> ArrayRef {
    Arc::new(Int32Array::from(values.to_vec()))
}

fn longs(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn decimals(values: &[i128], precision: u8, scale: i8) -> ArrayRef {
    let array = Decimal128Array::from(values.to_vec());
    Arc::new(array.with_precision_and_scale(precision, scale).unwrap())
}

#[test]
fn sums_keep_their_type_and_wrap_as_in_flink() {
    let int = call(Sum, DataType::Int32);
    assert_eq!(aggregate(&int, ints(&[Some(3), None, Some(-5)])), "-2");
    assert_eq!(aggregate(&int, ints(&[None, None])), "null");
    assert_eq!(aggregate(&int, ints(&[Some(i32::MAX), Some(1)])), i32::MIN.to_string());
    let tiny: ArrayRef = Arc::new(Int8Array::from(vec![100, 100]));
    assert_eq!(aggregate(&call(Sum, DataType::Int8), tiny), "-56");
    let long = call(Sum, DataType::Int64);
    assert_eq!(aggregate(&long, longs(&[i64::MAX, 1])), i64::MIN.to_string());
    assert_eq!(aggregate(&long, ints(&[Some(i32::MAX), Some(1)])), "2147483648");
}

#[test]
fn sums_of_decimals_are_exact_or_null() {
    let output = DataType::Decimal128(38, 2);
    let sum = call(Sum, output.clone());
    assert_eq!(aggregate(&sum, decimals(&[1050, 25, -1], 10, 2)), "10.74");
    let most = 10i128.pow(38) - 1;
    assert_eq!(aggregate(&sum, decimals(&[most, 1], 38, 2)), "null");
    assert_eq!(aggregate(&sum, decimals(&[most, most], 38, 2)), "null");
    assert_eq!(aggregate(&sum, decimals(&[most - 1, 1], 38, 2)).len(), 39);
}

#[test]
fn averages_truncate_round_or_divide_by_type() {
    assert_eq!(aggregate(&call(Avg, DataType::Int32), ints(&[Some(3), None, Some(4)])), "3");
    assert_eq!(aggregate(&call(Avg, DataType::Int64), longs(&[-3, -4])), "-3");
    assert_eq!(aggregate(&call(Avg, DataType::Float64), longs(&[3, 4])), "3.5");
    let floats: ArrayRef = Arc::new(Float32Array::from(vec![1.5, 2.0]));
    assert_eq!(aggregate(&call(Avg, DataType::Float32), floats), "1.75");
    let output = DataType::Decimal128(38, 6);
    assert_eq!(aggregate(&call(Avg, output.clone()), decimals(&[100, 100, 0], 10, 2)), "0.666667");
    assert_eq!(aggregate(&call(Avg, output), decimals(&[-100, -100, 0], 10, 2)), "-0.666667");
    let narrow = DataType::Decimal128(10, 1);
    assert_eq!(aggregate(&call(Avg, narrow), decimals(&[125, 125], 10, 2)), "1.3");
    assert_eq!(aggregate(&call(Avg, DataType::Float64), decimals(&[125, 126], 10, 2)), "1.255");
}

#[test]
fn extremes_of_every_order() {
    let ends = |column: ArrayRef| {
        let ty = column.data_type().clone();
        let least = aggregate(&call(Min, ty.clone()), column.clone());
        let greatest = aggregate(&call(Max, ty.clone()), column.clone());
        let again = aggregate(&distinct(Max, ty), column);
        assert_eq!(greatest, again);
        (least, greatest)
    };
    let pair = |least: &str, greatest: &str| (least.to_owned(), greatest.to_owned());
    assert_eq!(ends(ints(&[Some(2), None, Some(-7)])), pair("-7", "2"));
    assert_eq!(ends(ints(&[None])), pair("null", "null"));
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::NAN, -0.5]));
    assert_eq!(ends(floats), pair("-0.5", "NaN"));
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("b"), None, Some("é"), Some("")]));
    assert_eq!(ends(texts.clone()), pair("", "é"));
    assert_eq!(ends(cast(&texts, &DataType::LargeUtf8).unwrap()), pair("", "é"));
    let booleans: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]));
    assert_eq!(ends(booleans), pair("false", "true"));
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![1, -1]));
    assert_eq!(ends(dates), pair("1969-12-31", "1970-01-02"));
    let utc = TimestampMicrosecondArray::from(vec![1_000, -5_000]).with_timezone("UTC");
    assert_eq!(ends(Arc::new(utc)), pair("-5", "1"));
    assert_eq!(ends(decimals(&[5, -5], 12, 2)), pair("-0.05", "0.05"));
}

#[test]
fn distinct_values_count_once() {
    let count = distinct(Count, DataType::Int64);
    let values = ints(&[Some(1), Some(2), Some(1), None, Some(2)]);
    assert_eq!(aggregate(&count, values.clone()), "2");
    assert_eq!(aggregate(&distinct(Sum, DataType::Int32), values.clone()), "3");
    assert_eq!(aggregate(&distinct(Avg, DataType::Float64), values.clone()), "1.5");
    assert_eq!(aggregate(&call(Count, DataType::Int64), values), "4");
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["ab", "a", "", "b", "ab", ""]));
    assert_eq!(aggregate(&count, texts.clone()), "4");
    let list = distinct(ListAgg { separator: "-".into() }, DataType::Utf8);
    assert_eq!(aggregate(&list, texts), "ab-a--b");
}

#[test]
fn first_last_and_lists_follow_arrival() {
    let values = ints(&[None, Some(4), Some(2), None, Some(9), None]);
    assert_eq!(aggregate(&call(FirstValue, DataType::Int32), values.clone()), "4");
    assert_eq!(aggregate(&call(LastValue, DataType::Int32), values.clone()), "9");
    assert_eq!(aggregate(&call(LastValue, DataType::Int64), ints(&[None])), "null");
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true)));
    let all = "[null, 4, 2, null, 9, null]";
    assert_eq!(aggregate(&call(ArrayAgg, list), values), all);
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None, Some("y"), Some("")]));
    let list = call(ListAgg { separator: ", ".into() }, DataType::Utf8);
    assert_eq!(aggregate(&list, texts), "x, y, ");
    let none: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
    assert_eq!(aggregate(&list, none), "null");
    let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let late = cast(&longs(&[7, 3]), &utc).unwrap();
    assert_eq!(aggregate(&call(LastValue, utc), late), "3");
}

#[test]
fn percentiles_lie_between_the_values_around_them() {
    let at = |fractions: &[f64]| {
        Percentile(fractions.iter().map(|fraction| Fraction::new(*fraction).unwrap()).collect())
    };
    let values = longs(&[40, 10, 20, 10]);
    assert_eq!(aggregate(&call(at(&[0.5]), DataType::Float64), values.clone()), "15.0");
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Float64, true)));
    let ends = call(at(&[1.0, 0.0, 0.75]), list.clone());
    assert_eq!(aggregate(&ends, values.clone()), "[40.0, 10.0, 25.0]");
    assert_eq!(aggregate(&distinct(at(&[0.5]), DataType::Float64), values), "20.0");
    assert_eq!(aggregate(&call(at(&[0.5]), DataType::Float64), ints(&[None])), "null");
    assert_eq!(aggregate(&call(at(&[0.5, 0.9]), list), ints(&[None])), "null");
    assert_eq!(Fraction::new(f64::NAN), None);
    assert_eq!(Fraction::new(1.5), None);
}

/// Three standard errors, for numbers of values that fit the sketch and that do not.
#[test]
fn approximate_counts_are_within_their_error() {
    let input = schema(&[("k", DataType::Int64), ("x", DataType::Int64)]);
    let spec = GroupAggregateSpec {
        keys: vec![0],
        aggregates: vec![call(ApproxCountDistinct, DataType::Int64)],
        retracts: false,
        ttl_ms: None,
        input_schema: Arc::clone(&input),
        schema: schema(&[("k", DataType::Int64), ("n", DataType::Int64)]),
    };
    for (count, error) in [(1, 0.0), (100, 0.0), (5_000, 0.0243), (300_000, 0.0243)] {
        let estimate = |restart: bool, parts: i64| {
            let mut operator = GroupAggregate::new(spec.clone()).unwrap();
            let mut last = vec![];
            for part in 0..parts {
                // Each value comes twice.
                let values: Vec<i64> = (0..2 * count).filter(|n| n % parts == part).collect();
                let keys = longs(&vec![7; values.len()]);
                let values = longs(&values.iter().map(|n| n / 2).collect::<Vec<_>>());
                let rows = RecordBatch::try_new(Arc::clone(&input), vec![keys, values]).unwrap();
                let mut out = Output::default();
                operator.on_batch(0, Batch::new(rows), &mut out).unwrap();
                last.extend(Seen::take(&mut out).rows.pop());
                if restart {
                    let saved = operator.save(0).unwrap();
                    operator = GroupAggregate::new(spec.clone()).unwrap();
                    operator.load(saved).unwrap();
                }
            }
            last.pop().unwrap().strip_prefix("7|").unwrap().parse::<f64>().unwrap()
        };
        let found = estimate(false, 1);
        let off = (found - count as f64).abs() / count as f64;
        assert!(off <= error, "{found} of {count}");
        assert_eq!(found, estimate(false, 3), "the order of values does not count");
        assert_eq!(found, estimate(true, 3));
    }
    let few = call(ApproxCountDistinct, DataType::Int64);
    assert_eq!(aggregate(&few, ints(&[Some(4), None, Some(4), Some(5)])), "2");
    assert_eq!(aggregate(&few, ints(&[None])), "0");
}

#[test]
fn json_of_rows_keeps_the_order_of_arrival_and_that_of_names() {
    let texts = |texts: &[Option<&str>]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
    let array = call(JsonArray, DataType::Utf8);
    let items = texts(&[Some("2"), None, Some("null"), Some("\"x\"")]);
    assert_eq!(aggregate(&array, items), r#"[2,null,"x"]"#);
    assert_eq!(aggregate(&array, texts(&[None, None])), "[]");

    let input = schema(&[("name", DataType::Utf8), ("member", DataType::Utf8)]);
    let object = AggregateCall { args: vec![0, 1], ..call(JsonObject, DataType::Utf8) };
    let spec = GroupAggregateSpec {
        keys: vec![],
        aggregates: vec![object],
        retracts: true,
        ttl_ms: None,
        input_schema: Arc::clone(&input),
        schema: schema(&[("object", DataType::Utf8)]),
    };
    let batch = |names: &[Option<&str>], members: &[Option<&str>], weights: &[i64]| {
        let columns = vec![texts(names), texts(members)];
        let rows = RecordBatch::try_new(Arc::clone(&input), columns).unwrap();
        Batch::new(rows).with_weights(Some(Int64Array::from(weights.to_vec())))
    };
    let mut operator = GroupAggregate::new(spec.clone()).unwrap();
    let mut out = Output::default();
    let (a, b) = (Some("a"), Some("b"));
    let first = batch(&[b, Some("c"), a], &[Some("b:1"), None, Some("a:1")], &[1, 1, 1]);
    operator.on_batch(0, first, &mut out).unwrap();
    assert_eq!(Seen::take(&mut out).rows, ["{a:1,b:1}"]);
    let saved = operator.save(0).unwrap();
    let mut operator = GroupAggregate::new(spec).unwrap();
    operator.load(saved).unwrap();
    let changed = batch(&[a, a], &[Some("a:2"), Some("a:1")], &[1, -1]);
    operator.on_batch(0, changed, &mut out).unwrap();
    assert_eq!(Seen::take(&mut out).rows, ["{a:1,b:1}", "{a:2,b:1}"]);
    let unnamed = operator.on_batch(0, batch(&[None], &[Some("a:2")], &[1]), &mut out);
    assert_eq!(unnamed.unwrap_err().to_string(), "JSON_OBJECTAGG: a key is null");
    let twice = operator.on_batch(0, batch(&[a], &[Some("a:2")], &[1]), &mut out);
    assert_eq!(twice.unwrap_err().to_string(), "JSON_OBJECTAGG: key \"a\" is there twice");
}

/// A value kept by place survives many batches and the gathering between them.
#[test]
fn values_kept_by_place_survive_many_batches() {
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)));
    let input = schema(&[("ts", MS), ("x", DataType::Int64)]);
    let mut operator = WindowAggregate::new(WindowAggregateSpec {
        window: Window { kind: TEN, offset_ms: 0 },
        clock: WindowClock::EVENT_TIME,
        time: 0,
        keys: vec![],
        aggregates: vec![
            call(FirstValue, DataType::Int64),
            call(LastValue, DataType::Int64),
            call(ArrayAgg, list.clone()),
        ],
        input_schema: Arc::clone(&input),
        schema: schema(&[
            ("first", DataType::Int64),
            ("last", DataType::Int64),
            ("all", list),
            ("window_start", MS),
            ("window_end", MS),
            ("window_time", MS),
        ]),
    })
    .unwrap();
    let mut out = Output::default();
    let count = 9_500;
    for value in 0..count {
        let columns = vec![times(vec![Some(1)]), longs(&[value])];
        let rows = RecordBatch::try_new(Arc::clone(&input), columns).unwrap();
        operator.on_batch(0, Batch::new(rows), &mut out).unwrap();
    }
    operator.on_time(Time::Event(i64::MAX), &mut out).unwrap();
    let all: Vec<String> = (0..count).map(|value| value.to_string()).collect();
    let expected = format!("0|{}|[{}]|0|10|9", count - 1, all.join(", "));
    assert_eq!(Seen::take(&mut out).rows, [expected]);
}

#[test]
fn arguments_a_function_does_not_take_are_refused() {
    let refused = |call: AggregateCall, column: DataType| {
        let spec = WindowAggregateSpec {
            window: Window { kind: TEN, offset_ms: 0 },
            clock: WindowClock::EVENT_TIME,
            time: 0,
            keys: vec![],
            aggregates: vec![call.clone()],
            input_schema: schema(&[("ts", MS), ("x", column)]),
            schema: schema(&[
                ("value", call.output),
                ("window_start", MS),
                ("window_end", MS),
                ("window_time", MS),
            ]),
        };
        WindowAggregate::new(spec).err().unwrap().to_string()
    };
    assert_eq!(refused(call(Sum, DataType::Utf8), DataType::Utf8), "SUM cannot take Utf8");
    let two = AggregateCall { args: vec![1, 1], ..call(Avg, DataType::Int64) };
    assert_eq!(refused(two, DataType::Int64), "AVG takes one argument, not 2");
    let filter = AggregateCall { filter: Some(0), ..call(Count, DataType::Int64) };
    assert_eq!(refused(filter, DataType::Int64), "COUNT: FILTER is not a boolean");
}
