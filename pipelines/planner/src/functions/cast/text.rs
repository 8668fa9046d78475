//! `CAST(x AS STRING)` as Flink writes values: `TRUE`, `1.0E10`, `2020-01-01 00:00:00.000`, `[a, b]`.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, TimeUnit};
use chrono_tz::Tz;
use datafusion_common::Result;

use super::{Failure, How, times};
use crate::functions::decimal;
use crate::functions::scalar::failed;
use nowcast_transforms::zone::datetime;

/// Times with a zone are written as the clock in `zone` shows them.
pub fn to_text(column: &ArrayRef, zone: Tz) -> Result<StringArray> {
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
        DataType::Decimal128(_, scale) => {
            let values = column.as_primitive::<Decimal128Type>();
            values.iter().map(|v| v.map(|v| decimal::to_text(v, *scale))).collect()
        }
        DataType::Timestamp(unit, _) => timestamps(column, *unit, zone)?,
        DataType::Binary => {
            let bytes = column.as_binary::<i32>();
            bytes.iter().map(|v| v.map(String::from_utf8_lossy)).collect()
        }
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            let items = to_text(lists.values(), zone)?;
            let ends = lists.value_offsets();
            let list =
                |row: usize| joined(&items, ends[row] as usize..ends[row + 1] as usize, '[', ']');
            (0..rows).map(|row| lists.is_valid(row).then(|| list(row))).collect()
        }
        DataType::Struct(_) => {
            let rows_of = column.as_struct();
            let fields = rows_of.columns().iter();
            let fields = fields.map(|field| to_text(field, zone)).collect::<Result<Vec<_>>>()?;
            let row_text = |row: usize| {
                let parts: Vec<_> = fields.iter().map(|field| shown(field, row)).collect();
                format!("({})", parts.join(", "))
            };
            (0..rows).map(|row| rows_of.is_valid(row).then(|| row_text(row))).collect()
        }
        DataType::Map(..) => {
            let maps = column.as_map();
            let (keys, values) = (to_text(maps.keys(), zone)?, to_text(maps.values(), zone)?);
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

fn timestamps(column: &ArrayRef, unit: TimeUnit, zone: Tz) -> Result<StringArray> {
    let local = DataType::Timestamp(unit, None);
    let column = times::convert(column, &local, How { failure: Failure::Error, zone })?;
    let digits = match unit {
        TimeUnit::Second => "%Y-%m-%d %H:%M:%S",
        TimeUnit::Millisecond => "%Y-%m-%d %H:%M:%S%.3f",
        TimeUnit::Microsecond => "%Y-%m-%d %H:%M:%S%.6f",
        TimeUnit::Nanosecond => "%Y-%m-%d %H:%M:%S%.9f",
    };
    let units = cast(&column, &DataType::Int64)?;
    let made = units.as_primitive::<arrow::datatypes::Int64Type>().iter().map(|time| {
        let Some(time) = time else { return Ok(None) };
        let shown = datetime(time, unit).map(|time| time.format(digits).to_string());
        shown.map(Some).ok_or_else(|| failed(format!("the time {time} is out of range")))
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
