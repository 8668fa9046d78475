//! Flink SQL types as Arrow types, and the names of Arrow types in SQL.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use sqlparser::ast::{self, BinaryLength, CharacterLength, ExactNumberInfo, TimezoneInfo};

use crate::error::{SqlError, SqlResult};
use crate::functions::cast::{FILLS, LENGTH, PRECISION};
use crate::parse::ast::FlinkType;

/// Type of `window_start` and `window_end`: Flink uses `TIMESTAMP(3)` whatever the time column is.
pub const WINDOW_BOUND: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

/// Flink's precision of a TIMESTAMP without one.
const DEFAULT_PRECISION: u64 = 6;

/// `TIMESTAMP_LTZ(3)`, the type of a processing-time column.
pub fn timestamp_ltz() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

pub fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

pub fn to_arrow(ty: &FlinkType) -> SqlResult<DataType> {
    Ok(match ty {
        FlinkType::NotNull(inner) => to_arrow(inner)?,
        FlinkType::Row(fields) => DataType::Struct(
            fields
                .iter()
                .map(|(name, ty)| Ok(Field::new(&name.value, to_arrow(ty)?, nullable(ty))))
                .collect::<SqlResult<Fields>>()?,
        ),
        FlinkType::Array(item) => {
            DataType::List(Arc::new(Field::new("item", to_arrow(item)?, nullable(item))))
        }
        FlinkType::Map(key, value) => map_type(to_arrow(key)?, to_arrow(value)?),
        // A MULTISET is a map from the element to its count.
        FlinkType::Multiset(item) => map_type(to_arrow(item)?, DataType::Int32),
        FlinkType::Bytes => DataType::Binary,
        FlinkType::Text => DataType::Utf8,
        FlinkType::Timestamp(precision) => DataType::Timestamp(time_unit(*precision), None),
        FlinkType::TimestampLtz(precision) => {
            DataType::Timestamp(time_unit(*precision), Some("UTC".into()))
        }
        FlinkType::Plain(sql) => plain_to_arrow(sql)?,
    })
}

pub fn nullable(ty: &FlinkType) -> bool {
    !matches!(ty, FlinkType::NotNull(_))
}

fn time_unit(precision: u8) -> TimeUnit {
    match precision {
        0..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

pub fn map_type(key: DataType, value: DataType) -> DataType {
    let entry = DataType::Struct(Fields::from(vec![
        Field::new("key", key, false),
        Field::new("value", value, true),
    ]));
    DataType::Map(Arc::new(Field::new("entries", entry, false)), false)
}

/// A type as sqlparser has it: in CAST, and in columns where it needs no special parsing.
pub fn plain_to_arrow(sql: &ast::DataType) -> SqlResult<DataType> {
    use ast::DataType as Sql;
    Ok(match sql {
        Sql::TinyInt(_) => DataType::Int8,
        Sql::SmallInt(_) => DataType::Int16,
        Sql::Int(_) | Sql::Integer(_) => DataType::Int32,
        Sql::BigInt(_) => DataType::Int64,
        Sql::Float(_) | Sql::Real => DataType::Float32,
        Sql::Double(_) | Sql::DoublePrecision => DataType::Float64,
        Sql::Boolean => DataType::Boolean,
        Sql::Char(_) | Sql::Varchar(_) | Sql::String(_) | Sql::Character(_) => DataType::Utf8,
        Sql::CharacterVarying(_) | Sql::CharVarying(_) => DataType::Utf8,
        Sql::Binary(_) | Sql::Varbinary(_) | Sql::Bytes(_) => DataType::Binary,
        Sql::Date => DataType::Date32,
        Sql::Time(..) => DataType::Time32(TimeUnit::Millisecond),
        Sql::Decimal(info) | Sql::Numeric(info) | Sql::Dec(info) => decimal(info)?,
        Sql::Timestamp(Some(0), TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            DataType::Timestamp(TimeUnit::Second, None)
        }
        Sql::Timestamp(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            let unit = time_unit(precision.unwrap_or(DEFAULT_PRECISION).min(9) as u8);
            DataType::Timestamp(unit, None)
        }
        Sql::Array(ast::ArrayElemTypeDef::AngleBracket(item)) => list_of(plain_to_arrow(item)?),
        Sql::Custom(name, arguments) if name.to_string().eq_ignore_ascii_case("TIMESTAMP_LTZ") => {
            let precision = arguments.first().and_then(|text| text.parse().ok()).unwrap_or(6);
            DataType::Timestamp(time_unit(precision), Some("UTC".into()))
        }
        other => return Err(SqlError::nowhere(format!("the type {other} is not supported"))),
    })
}

/// What CAST makes, with the length or precision that an Arrow type has no place for.
pub fn cast_target(ty: &FlinkType) -> SqlResult<Field> {
    use ast::DataType as Sql;
    let length = |length: &Option<CharacterLength>| match length {
        Some(CharacterLength::IntegerLength { length, .. }) => Some(*length),
        _ => None,
    };
    let mut metadata = HashMap::new();
    let mut note = |key: &str, value: Option<u64>| {
        if let Some(value) = value {
            metadata.insert(key.to_owned(), value.to_string());
        }
    };
    let arrow = match ty {
        FlinkType::NotNull(inner) => return cast_target(inner),
        // Seconds, not milliseconds as in a column: the text of the value has no fraction.
        FlinkType::Timestamp(0) => DataType::Timestamp(TimeUnit::Second, None),
        FlinkType::TimestampLtz(0) => DataType::Timestamp(TimeUnit::Second, Some("UTC".into())),
        FlinkType::Timestamp(precision) | FlinkType::TimestampLtz(precision) => {
            note(PRECISION, (precision % 3 != 0).then_some((*precision).into()));
            to_arrow(ty)?
        }
        FlinkType::Plain(sql) => {
            match sql {
                Sql::Char(n) | Sql::Character(n) => {
                    note(LENGTH, Some(length(n).unwrap_or(1)));
                    note(FILLS, Some(1));
                }
                // Without a length it is a STRING, whatever the standard says.
                Sql::Varchar(n) | Sql::CharacterVarying(n) | Sql::CharVarying(n) => {
                    note(LENGTH, length(n));
                }
                Sql::Binary(n) => {
                    note(LENGTH, Some(n.unwrap_or(1)));
                    note(FILLS, Some(1));
                }
                Sql::Varbinary(Some(BinaryLength::IntegerLength { length })) => {
                    note(LENGTH, Some(*length));
                }
                Sql::Time(precision, _) => note(PRECISION, Some(precision.unwrap_or(0).min(3))),
                _ => {}
            }
            plain_to_arrow(sql)?
        }
        other => to_arrow(other)?,
    };
    Ok(Field::new("", arrow, true).with_metadata(metadata))
}

fn decimal(info: &ExactNumberInfo) -> SqlResult<DataType> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => (10, 0),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision @ 1..=38), Ok(scale)) if scale >= 0 && scale as u8 <= precision => {
            Ok(DataType::Decimal128(precision, scale))
        }
        _ => Err(SqlError::nowhere(format!(
            "DECIMAL({precision}, {scale}) needs a precision of 1 to 38 and a scale up to it"
        ))),
    }
}

/// The name of a type in Flink SQL.
pub fn sql_name(ty: &DataType) -> String {
    match ty {
        DataType::Null => "NULL".into(),
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING".into(),
        DataType::Binary => "BYTES".into(),
        DataType::Date32 => "DATE".into(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME(0)".into(),
        DataType::Timestamp(unit, zone) => {
            let precision = match unit {
                TimeUnit::Second => 0,
                TimeUnit::Millisecond => 3,
                TimeUnit::Microsecond => 6,
                TimeUnit::Nanosecond => 9,
            };
            let name = if zone.is_some() { "TIMESTAMP_LTZ" } else { "TIMESTAMP" };
            format!("{name}({precision})")
        }
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".into(),
        DataType::List(item) => format!("ARRAY<{}>", sql_name(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|field| format!("{} {}", field.name(), sql_name(field.data_type())))
                .collect();
            format!("ROW<{}>", fields.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                let [key, value] = [0, 1].map(|side: usize| sql_name(fields[side].data_type()));
                format!("MAP<{key}, {value}>")
            }
            _ => "MAP".into(),
        },
        other => other.to_string(),
    }
}

/// Whether Flink converts `from` to `to` without a CAST where rows are inserted.
pub fn converts_silently(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, List, Null, Struct, Timestamp,
    };
    match (from, to) {
        (from, to) if from == to => true,
        (Null, _) => true,
        (Int8, Int16 | Int32 | Int64) | (Int16, Int32 | Int64) | (Int32, Int64) => true,
        (Int8 | Int16 | Int32 | Int64, Float32 | Float64 | Decimal128(..)) => true,
        (Float32, Float64) | (Decimal128(..), Float32 | Float64 | Decimal128(..)) => true,
        (Timestamp(..), Timestamp(..)) => true,
        (List(from), List(to)) => converts_silently(from.data_type(), to.data_type()),
        (Struct(from), Struct(to)) => {
            from.len() == to.len()
                && from.iter().zip(to).all(|(f, t)| converts_silently(f.data_type(), t.data_type()))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_widening_needs_no_cast() {
        assert!(converts_silently(&DataType::Int32, &DataType::Int64));
        assert!(!converts_silently(&DataType::Int64, &DataType::Int32));
        assert!(!converts_silently(&DataType::Int64, &DataType::Utf8));
        assert!(converts_silently(&timestamp_ltz(), &WINDOW_BOUND));
        assert!(!converts_silently(&DataType::Float64, &DataType::Float32));
    }
}
