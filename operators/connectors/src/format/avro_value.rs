//! Avro's values from and into columns.

use apache_avro::types::Value;
use apache_avro::{Decimal, Schema};
use arrow::datatypes::TimeUnit;
use nowcast_engine::{Error, Result};

use super::cells::{Cells, Kind, range};
use super::column::{Column, Misfit};
use super::json_decode::JsonOptions;
use super::text::per_second;
use super::values::Values;

/// Appends a value to a column.
pub(super) fn push(column: &mut Column, value: Value) -> Result<(), Misfit> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond};
    match value {
        Value::Null => column.push_null(),
        Value::Union(_, value) => push(column, *value),
        Value::Boolean(value) => column.push_bool(value),
        Value::Int(value) => column.push_i64(value.into()),
        Value::Long(value) => column.push_i64(value),
        Value::Float(value) => column.push_f64(value.into()),
        Value::Double(value) => column.push_f64(value),
        Value::Bytes(bytes) | Value::Fixed(_, bytes) => column.push_bytes(&bytes),
        Value::String(text) | Value::Enum(_, text) => column.push_bytes(text.as_bytes()),
        Value::Uuid(id) => column.push_bytes(id.to_string().as_bytes()),
        Value::Date(days) => column.push_days(days),
        Value::TimeMillis(millis) => column.push_time(i64::from(millis), Millisecond),
        Value::TimeMicros(micros) => column.push_time(micros, Microsecond),
        Value::TimestampMillis(value) | Value::LocalTimestampMillis(value) => {
            column.push_timestamp(value, Millisecond)
        }
        Value::TimestampMicros(value) | Value::LocalTimestampMicros(value) => {
            column.push_timestamp(value, Microsecond)
        }
        Value::TimestampNanos(value) | Value::LocalTimestampNanos(value) => {
            column.push_timestamp(value, Nanosecond)
        }
        Value::Decimal(decimal) => {
            let bytes = Vec::<u8>::try_from(decimal).map_err(|error| error.to_string())?;
            column.push_unscaled(unscaled(&bytes)?)
        }
        Value::BigDecimal(_) | Value::Duration(_) => Err(column.misfit("an avro value")),
        Value::Array(items) => {
            let Values::List(offsets, column_items) = &mut column.values else {
                return Err(column.misfit("an array"));
            };
            for (at, item) in items.into_iter().enumerate() {
                push(column_items, item).map_err(|misfit| format!("[{at}]: {misfit}"))?;
            }
            offsets.push(column_items.len());
            column.push_valid();
            Ok(())
        }
        Value::Map(entries) => {
            let Values::Map(offsets, keys, values) = &mut column.values else {
                return Err(column.misfit("a map"));
            };
            // Avro's maps have no order; a read must give the same rows each time.
            let mut entries: Vec<_> = entries.into_iter().collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            for (key, value) in entries {
                keys.push_bytes(key.as_bytes())?;
                push(values, value).map_err(|misfit| format!("[\"{key}\"]: {misfit}"))?;
            }
            offsets.push(keys.len());
            column.push_valid();
            Ok(())
        }
        Value::Record(mut members) => {
            let Values::Struct(parts) = &mut column.values else {
                return Err(column.misfit("a record"));
            };
            for column in parts.settled() {
                let found = members.iter().position(|(name, _)| name == column.name());
                let value = found.map_or(Value::Null, |at| members.swap_remove(at).1);
                push(column, value).map_err(|misfit| format!("{}: {misfit}", column.name()))?;
            }
            column.push_valid();
            Ok(())
        }
    }
}

/// A big-endian two's complement integer.
pub(super) fn unscaled(bytes: &[u8]) -> Result<i128, Misfit> {
    let negative = bytes.first().is_some_and(|byte| *byte >= 0x80);
    let fill = if negative { 0xff } else { 0 };
    let at = bytes.len().saturating_sub(16);
    if bytes[..at].iter().any(|byte| *byte != fill) {
        return Err("a decimal of more than 38 digits".into());
    }
    let mut wide = [fill; 16];
    wide[16 - (bytes.len() - at)..].copy_from_slice(&bytes[at..]);
    Ok(i128::from_be_bytes(wide))
}

/// A big-endian two's complement integer without the bytes that only repeat its sign.
fn shortest(bytes: &[u8]) -> &[u8] {
    let repeats = |pair: &&[u8]| matches!(pair, [0, 0..=0x7f] | [0xff, 0x80..=0xff]);
    &bytes[bytes.windows(2).take_while(repeats).count()..]
}

/// The record of a row, its fields by position, as in Flink.
pub(super) fn record<'a>(
    cells: impl ExactSizeIterator<Item = &'a Cells<'a>>,
    row: usize,
    schema: &Schema,
) -> Result<Value> {
    let Schema::Record(record) = schema else { return Err(misfit("a row", schema)) };
    if cells.len() != record.fields.len() {
        let (columns, fields) = (cells.len(), record.fields.len());
        return Err(Error::user(format!(
            "the avro record has {fields} fields, not {columns} as the row"
        )));
    }
    let members = record.fields.iter().zip(cells).map(|(field, cells)| {
        let value = value(cells, row, &field.schema);
        let value = value.map_err(|error| error.context(format!("field \"{}\"", field.name)))?;
        Ok((field.name.clone(), value))
    });
    Ok(Value::Record(members.collect::<Result<_>>()?))
}

/// The value of a cell in `schema`.
pub(super) fn value(cells: &Cells<'_>, row: usize, schema: &Schema) -> Result<Value> {
    if let Schema::Union(union) = schema {
        let null = cells.is_null(row);
        let is_null = |schema: &Schema| matches!(schema, Schema::Null);
        let found = union.variants().iter().position(|schema| is_null(schema) == null);
        let at = found.ok_or_else(|| Error::user(format!("no value of {schema:?}")))?;
        let value = value(cells, row, &union.variants()[at])?;
        return Ok(Value::Union(at as u32, Box::new(value)));
    }
    if cells.is_null(row) {
        return match schema {
            Schema::Null => Ok(Value::Null),
            other => Err(Error::user(format!("null where the avro schema has {other:?}"))),
        };
    }
    Ok(match &cells.kind {
        Kind::Bool(values) => Value::Boolean(values.value(row)),
        Kind::I8(values) => integer(values[row].into(), schema),
        Kind::I16(values) => integer(values[row].into(), schema),
        Kind::I32(values) => integer(values[row].into(), schema),
        Kind::I64(values) => integer(values[row], schema),
        Kind::F32(values) => Value::Float(values[row]),
        Kind::F64(values) => Value::Double(values[row]),
        Kind::Decimal(values, _) => {
            Value::Decimal(Decimal::from(shortest(&values[row].to_be_bytes())))
        }
        Kind::Binary(values) => match schema {
            Schema::Fixed(fixed) => Value::Fixed(fixed.size, values.value(row).to_vec()),
            _ => Value::Bytes(values.value(row).to_vec()),
        },
        Kind::Date(values) => Value::Date(values[row]),
        Kind::Time32(values, unit) => {
            let millis = i64::from(values[row]) * 1_000 / per_second(*unit);
            match schema {
                Schema::TimeMicros => Value::TimeMicros(millis * 1_000),
                _ => Value::TimeMillis(millis as i32),
            }
        }
        Kind::Timestamp(values, unit, _) => timestamp(values[row], *unit, schema)?,
        Kind::List(offsets, items) => {
            let Schema::Array(array) = schema else { return Err(misfit("an array", schema)) };
            let items = range(offsets, row).map(|at| value(items, at, &array.items));
            Value::Array(items.collect::<Result<_>>()?)
        }
        Kind::Map(offsets, keys, values) => {
            let Schema::Map(map) = schema else { return Err(misfit("a map", schema)) };
            let entries = range(offsets, row).map(|at| {
                let mut key = vec![];
                keys.write_text(at, &JsonOptions::default(), &mut key);
                let key = String::from_utf8(key).map_err(Error::bug)?;
                Ok((key, value(values, at, &map.types)?))
            });
            Value::Map(entries.collect::<Result<_>>()?)
        }
        Kind::Struct(_, fields) => record(fields.iter().map(|(_, cells)| cells), row, schema)?,
        Kind::Text(_) | Kind::LargeText(_) | Kind::TextView(_) => {
            let text = cells.text(row);
            match schema {
                Schema::Enum(symbols) => {
                    let at = symbols.symbols.iter().position(|symbol| symbol == text);
                    let at = at.ok_or_else(|| misfit(text, schema))?;
                    Value::Enum(at as u32, text.to_owned())
                }
                _ => Value::String(text.to_owned()),
            }
        }
        _ => return Err(misfit("a value", schema)),
    })
}

fn misfit(what: &str, schema: &Schema) -> Error {
    Error::user(format!("{what} where the avro schema has {schema:?}"))
}

fn integer(value: i64, schema: &Schema) -> Value {
    match (schema, i32::try_from(value)) {
        (Schema::Int, Ok(value)) => Value::Int(value),
        _ => Value::Long(value),
    }
}

fn timestamp(value: i64, unit: TimeUnit, schema: &Schema) -> Result<Value> {
    let to = |per: i64| {
        let wide = i128::from(value) * i128::from(per) / i128::from(per_second(unit));
        i64::try_from(wide).map_err(|_| Error::user("a timestamp is out of avro's range"))
    };
    Ok(match schema {
        Schema::TimestampMillis => Value::TimestampMillis(to(1_000)?),
        Schema::TimestampMicros => Value::TimestampMicros(to(1_000_000)?),
        Schema::TimestampNanos => Value::TimestampNanos(to(1_000_000_000)?),
        Schema::LocalTimestampMillis => Value::LocalTimestampMillis(to(1_000)?),
        Schema::LocalTimestampMicros => Value::LocalTimestampMicros(to(1_000_000)?),
        Schema::LocalTimestampNanos => Value::LocalTimestampNanos(to(1_000_000_000)?),
        _ => return Err(misfit("a timestamp", schema)),
    })
}
