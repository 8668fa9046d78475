//! Rows as the oracle writes them, and whether two sets of rows are the same.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int64Type,
    Time32MillisecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use nowcast_engine::Batch;
use serde_json::{Number, Value};

/// Doubles this far apart, relative to the greater, are equal: Flink and we may add in another order.
const TOLERANCE: f64 = 1e-9;

/// The rows of a batch as JSON arrays: the text of `bench/peers/flink/src/Canonical.java`.
pub fn rows(batch: &RecordBatch) -> Vec<Value> {
    let columns: Vec<Vec<Value>> = batch.columns().iter().map(values).collect();
    (0..batch.num_rows())
        .map(|row| Value::Array(columns.iter().map(|column| column[row].clone()).collect()))
        .collect()
}

fn values(column: &ArrayRef) -> Vec<Value> {
    let text = |of: &dyn Fn(usize) -> String| each(column, &|row| Value::String(of(row)));
    match column.data_type() {
        DataType::Null => vec![Value::Null; column.len()],
        DataType::Boolean => each(column, &|row| Value::Bool(column.as_boolean().value(row))),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            let ints = cast(column, &DataType::Int64).expect("whole numbers widen");
            each(column, &|row| ints.as_primitive::<Int64Type>().value(row).into())
        }
        DataType::Float32 => {
            let floats = column.as_primitive::<Float32Type>();
            let exact = |value: f32| value.to_string().parse().expect("a float's own text");
            each(column, &|row| number(exact(floats.value(row))))
        }
        DataType::Float64 => {
            each(column, &|row| number(column.as_primitive::<Float64Type>().value(row)))
        }
        DataType::Decimal128(..) => {
            text(&|row| column.as_primitive::<Decimal128Type>().value_as_string(row))
        }
        DataType::Utf8 => text(&|row| column.as_string::<i32>().value(row).to_owned()),
        DataType::Binary => text(&|row| {
            let bytes = column.as_binary::<i32>().value(row);
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        }),
        DataType::Date32 => text(&|row| {
            let date = column.as_primitive::<Date32Type>().value_as_date(row);
            date.expect("a date that the calendar has").to_string()
        }),
        DataType::Time32(_) | DataType::Time64(_) => {
            let times = cast(column, &DataType::Time32(TimeUnit::Millisecond)).expect("a time");
            text(&|row| {
                let time = times.as_primitive::<Time32MillisecondType>().value_as_time(row);
                time.expect("a time of day").format("%H:%M:%S%.3f").to_string()
            })
        }
        DataType::Timestamp(unit, zone) => text(&|row| {
            let time = match unit {
                TimeUnit::Second => {
                    column.as_primitive::<TimestampSecondType>().value_as_datetime(row)
                }
                TimeUnit::Millisecond => {
                    column.as_primitive::<TimestampMillisecondType>().value_as_datetime(row)
                }
                TimeUnit::Microsecond => {
                    column.as_primitive::<TimestampMicrosecondType>().value_as_datetime(row)
                }
                TimeUnit::Nanosecond => {
                    column.as_primitive::<TimestampNanosecondType>().value_as_datetime(row)
                }
            };
            let digits = match unit {
                TimeUnit::Second | TimeUnit::Millisecond => "%Y-%m-%d %H:%M:%S%.3f",
                TimeUnit::Microsecond => "%Y-%m-%d %H:%M:%S%.6f",
                TimeUnit::Nanosecond => "%Y-%m-%d %H:%M:%S%.9f",
            };
            let text = time.expect("a time that the calendar has").format(digits);
            format!("{text}{}", if zone.is_some() { "Z" } else { "" })
        }),
        DataType::List(_) => {
            each(column, &|row| values(&column.as_list::<i32>().value(row)).into())
        }
        DataType::Struct(_) => {
            let fields: Vec<_> = column.as_struct().columns().iter().map(values).collect();
            each(column, &|row| fields.iter().map(|field| field[row].clone()).collect())
        }
        DataType::Map(..) => each(column, &|row| {
            let entries = column.as_map().value(row);
            let (keys, of) = (values(entries.column(0)), values(entries.column(1)));
            let pairs = keys.into_iter().zip(of).map(|(key, of)| Value::Array(vec![key, of]));
            let mut pairs: Vec<Value> = pairs.collect();
            pairs.sort_by_key(Value::to_string);
            Value::Array(pairs)
        }),
        other => panic!("no text for {other}"),
    }
}

fn each(column: &ArrayRef, of: &dyn Fn(usize) -> Value) -> Vec<Value> {
    let value = |row| if column.is_null(row) { Value::Null } else { of(row) };
    (0..column.len()).map(value).collect()
}

fn number(value: f64) -> Value {
    let text = || if value.is_nan() { "NaN".to_owned() } else { format!("{value}inity") };
    let text = || text().replace("infinity", "Infinity");
    Number::from_f64(value).map_or_else(|| Value::String(text()), Value::Number)
}

/// What tells two sets of rows apart.
#[derive(Debug, Default)]
pub struct Difference {
    pub missing: Vec<Value>,
    pub unexpected: Vec<Value>,
}

impl Difference {
    pub fn in_words(&self) -> Option<String> {
        if self.missing.is_empty() && self.unexpected.is_empty() {
            return None;
        }
        let some = |rows: &[Value]| {
            rows.iter().take(2).map(Value::to_string).collect::<Vec<_>>().join(" ")
        };
        Some(format!(
            "{} rows missing: {}; {} unexpected: {}",
            self.missing.len(),
            some(&self.missing),
            self.unexpected.len(),
            some(&self.unexpected)
        ))
    }
}

/// Compares rows as multisets.
pub fn difference(expected: &[Value], actual: &[Value]) -> Difference {
    let (mut expected, mut actual) = (by_shape(expected), by_shape(actual));
    let mut found = Difference::default();
    let shapes: Vec<String> = expected.keys().chain(actual.keys()).cloned().collect();
    for shape in shapes {
        let mut rest = actual.remove(&shape).unwrap_or_default();
        for row in expected.remove(&shape).unwrap_or_default() {
            match rest.iter().position(|other| same(&row, other)) {
                Some(at) => {
                    rest.swap_remove(at);
                }
                None => found.missing.push(row),
            }
        }
        found.unexpected.extend(rest);
    }
    found
}

/// The rows that stand after all changes: one a key, or without a key a multiset.
pub fn materialised(batches: &[Batch], key: &[usize]) -> Result<Vec<Value>, String> {
    let mut by_key: BTreeMap<String, Value> = BTreeMap::new();
    let mut counts: BTreeMap<String, (Value, i64)> = BTreeMap::new();
    for batch in batches {
        let weights = batch.weights().map(|weights| weights.values().to_vec());
        for (number, row) in rows(batch.rows()).into_iter().enumerate() {
            let weight = weights.as_ref().map_or(1, |weights| weights[number]);
            if key.is_empty() {
                counts.entry(row.to_string()).or_insert((row, 0)).1 += weight;
                continue;
            }
            let of: Vec<String> = key.iter().map(|column| row[*column].to_string()).collect();
            match weight > 0 {
                true => drop(by_key.insert(of.join(","), row)),
                false => drop(by_key.remove(&of.join(","))),
            }
        }
    }
    let mut standing: Vec<Value> = by_key.into_values().collect();
    for (row, count) in counts.into_values() {
        let times = usize::try_from(count).map_err(|_| format!("taken back too often: {row}"))?;
        standing.extend(std::iter::repeat_n(row, times));
    }
    Ok(standing)
}

/// Rows by their text without doubles: only within such a group can rows be the same.
fn by_shape(rows: &[Value]) -> BTreeMap<String, Vec<Value>> {
    let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for row in rows {
        groups.entry(shape(row).to_string()).or_default().push(row.clone());
    }
    groups
}

fn shape(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => Value::String("a double".to_owned()),
        Value::Array(values) => values.iter().map(shape).collect(),
        other => other.clone(),
    }
}

fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Number(one), Value::Number(other)) if one.is_f64() && other.is_f64() => {
            let (one, other) = (one.as_f64().unwrap_or(0.0), other.as_f64().unwrap_or(0.0));
            // Of a difference of near equals only rounding is left.
            (one - other).abs() <= TOLERANCE * one.abs().max(other.abs()).max(1.0)
        }
        _ => one == other,
    }
}

/// The row with its arrays sorted, for cases in which their order means nothing.
pub fn with_arrays_sorted(row: &Value) -> Value {
    let sorted = |cell: &Value| match cell {
        Value::Array(values) => {
            let mut values = values.clone();
            values.sort_by_key(Value::to_string);
            Value::Array(values)
        }
        other => other.clone(),
    };
    row.as_array().into_iter().flatten().map(sorted).collect()
}
