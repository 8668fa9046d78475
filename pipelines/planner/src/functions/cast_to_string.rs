//! `CAST(x AS STRING)` as Flink writes values: `TRUE`, `1.0E10`, `2020-01-01 00:00:00.000`, `[a, b]`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use datafusion_common::Result;

use super::pattern::Pattern;
use super::scalar::{Function, Kind, Takes, failed, text, times};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Any], required: 1 };
    Function { name: "cast_to_string", takes, gives: text, body: cast_to_string }
}

fn cast_to_string(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    Ok(Arc::new(to_text(&columns[0])?))
}

/// Whether Arrow's own cast writes the type otherwise than Flink does.
pub fn differs(ty: &DataType) -> bool {
    matches!(
        ty,
        DataType::Boolean
            | DataType::Float32
            | DataType::Float64
            | DataType::Timestamp(..)
            | DataType::List(_)
            | DataType::Struct(_)
            | DataType::Map(..)
    )
}

pub fn to_text(column: &ArrayRef) -> Result<StringArray> {
    let rows = column.len();
    Ok(match column.data_type() {
        DataType::Boolean => column
            .as_boolean()
            .iter()
            .map(|v| v.map(|v| if v { "TRUE" } else { "FALSE" }))
            .collect(),
        DataType::Float32 => {
            let values = column.as_primitive::<arrow::datatypes::Float32Type>();
            values.iter().map(|v| v.map(|v| java_number(f64::from(v), v.to_string()))).collect()
        }
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>();
            values.iter().map(|v| v.map(|v| java_number(v, v.to_string()))).collect()
        }
        DataType::Timestamp(unit, _) => timestamps(column, *unit)?,
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            let items = to_text(lists.values())?;
            let ends = lists.value_offsets();
            let list =
                |row: usize| joined(&items, ends[row] as usize..ends[row + 1] as usize, '[', ']');
            (0..rows).map(|row| lists.is_valid(row).then(|| list(row))).collect()
        }
        DataType::Struct(_) => {
            let rows_of = column.as_struct();
            let fields = rows_of.columns().iter().map(to_text).collect::<Result<Vec<_>>>()?;
            let row_text = |row: usize| {
                let parts: Vec<_> = fields.iter().map(|field| shown(field, row)).collect();
                format!("({})", parts.join(", "))
            };
            (0..rows).map(|row| rows_of.is_valid(row).then(|| row_text(row))).collect()
        }
        DataType::Map(..) => {
            let maps = column.as_map();
            let (keys, values) = (to_text(maps.keys())?, to_text(maps.values())?);
            let ends = maps.value_offsets();
            let map = |row: usize| {
                let entries = (ends[row] as usize..ends[row + 1] as usize)
                    .map(|entry| format!("{}={}", shown(&keys, entry), shown(&values, entry)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
            };
            (0..rows).map(|row| maps.is_valid(row).then(|| map(row))).collect()
        }
        _ => cast(column, &DataType::Utf8)?.as_string::<i32>().clone(),
    })
}

fn shown(texts: &StringArray, row: usize) -> &str {
    if texts.is_valid(row) { texts.value(row) } else { "NULL" }
}

fn joined(items: &StringArray, range: std::ops::Range<usize>, open: char, close: char) -> String {
    let parts: Vec<_> = range.map(|item| shown(items, item)).collect();
    format!("{open}{}{close}", parts.join(", "))
}

fn timestamps(column: &ArrayRef, unit: TimeUnit) -> Result<StringArray> {
    let millis = cast(column, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
    let units = cast(column, &DataType::Int64)?;
    let units = units.as_primitive::<Int64Type>();
    let seconds = Pattern::new("yyyy-MM-dd HH:mm:ss")?;
    let (digits, per_second) = match unit {
        TimeUnit::Second => (0, 1),
        TimeUnit::Millisecond => (3, 1_000),
        TimeUnit::Microsecond => (6, 1_000_000),
        TimeUnit::Nanosecond => (9, 1_000_000_000),
    };
    let made = times(&millis).iter().zip(units).map(|(time, units)| {
        let (Some(time), Some(units)) = (time, units) else { return Ok(None) };
        let whole = seconds
            .format(time.div_euclid(1_000) * 1_000)
            .ok_or_else(|| failed(format!("the time {time} ms is out of range")))?;
        Ok(Some(match digits {
            0 => whole,
            _ => format!("{whole}.{:0digits$}", units.rem_euclid(per_second)),
        }))
    });
    made.collect()
}

/// As `Double.toString`: plain between 0.001 and 10,000,000, else with an exponent. `shortest` are
/// the fewest digits that tell the value from its neighbours, without an exponent.
fn java_number(value: f64, shortest: String) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return match value {
            value if value.is_nan() => "NaN".into(),
            value if value > 0.0 => "Infinity".into(),
            _ => "-Infinity".into(),
        };
    }
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return if shortest.contains('.') { shortest } else { format!("{shortest}.0") };
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let shortest = shortest.trim_start_matches('-');
    let (whole, fraction) = shortest.split_once('.').unwrap_or((shortest, ""));
    let all = format!("{whole}{fraction}");
    let significant = all.trim_start_matches('0');
    let exponent = whole.len() as i64 - 1 - (all.len() - significant.len()) as i64;
    let significant = significant.trim_end_matches('0');
    let (first, rest) = significant.split_at(1);
    let rest = if rest.is_empty() { "0" } else { rest };
    format!("{sign}{first}.{rest}E{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_java_does() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.001, "0.001"),
            (1.5e-4, "1.5E-4"),
            (1e7, "1.0E7"),
            (-123_456_789.5, "-1.234567895E8"),
            (0.0, "0.0"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(java_number(value, value.to_string()), text);
        }
    }
}
