//! `CAST` and `TRY_CAST` as Flink converts values.

pub mod named;
mod numbers;
pub mod of_text;
pub mod text;
pub mod times;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, ListArray, MapArray, StringArray, StructArray,
    new_null_array,
};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use chrono_tz::Tz;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use self::times::Cut;
use super::scalar::failed;
use crate::error::SqlError;
use crate::types::sql_name;

/// What becomes of a value that cannot be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The row is set aside.
    Error,
    /// `TRY_CAST`.
    Null,
}

/// How values are converted, besides their types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct How {
    pub failure: Failure,
    /// `table.local-time-zone`.
    pub zone: Tz,
}

impl How {
    /// The value, where it could be made; null or an error where not.
    fn settle<T>(&self, made: Result<Option<T>>) -> Result<Option<T>> {
        match (made, self.failure) {
            (Err(_), Failure::Null) => Ok(None),
            (made, _) => made,
        }
    }
}

/// `CAST(expr AS target)`; `from` is the type of `expr`.
///
/// # Errors
/// Where Flink has no such cast.
pub fn cast(expr: Expr, from: &DataType, target: &FieldRef, how: How) -> Result<Expr> {
    if !is_defined(from, target.data_type()) {
        let (from, to) = (sql_name(from), sql_name(target.data_type()));
        return Err(SqlError::nowhere(format!("{from} cannot be CAST to {to}")).into());
    }
    let signature = Signature::any(1, Volatility::Immutable);
    let cast = Cast { target: Arc::clone(target), how, signature };
    Ok(ScalarUDF::new_from_impl(cast).call(vec![expr]))
}

fn is_defined(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Binary, Boolean, Date32, Interval, List, Map, Null, Struct, Time32, Timestamp, Utf8,
    };
    match (from, to) {
        (from, to) if from == to => true,
        (Null, _) | (_, Utf8) => true,
        (Utf8, List(_) | Map(..) | Struct(_)) => false,
        (Utf8, _) => true,
        (Boolean, to) => to.is_numeric(),
        (from, Boolean) => from.is_numeric(),
        (from, to) if from.is_numeric() && to.is_numeric() => true,
        (Date32 | Time32(_) | Timestamp(..), Timestamp(..)) => true,
        (Timestamp(..), Date32 | Time32(_)) => true,
        (Interval(_), Interval(_)) => true,
        (List(from), List(to)) => is_defined(from.data_type(), to.data_type()),
        (Map(from, _), Map(to, _)) => is_defined(from.data_type(), to.data_type()),
        (Struct(from), Struct(to)) => {
            from.len() == to.len()
                && from.iter().zip(to).all(|(f, t)| is_defined(f.data_type(), t.data_type()))
        }
        (Binary, Binary) => true,
        _ => false,
    }
}

/// The column in another type.
pub fn convert(column: &ArrayRef, target: &Field, how: How) -> Result<ArrayRef> {
    use DataType::{Binary, Boolean, Date32, List, Map, Null, Struct, Time32, Timestamp, Utf8};
    let to = target.data_type();
    let made: ArrayRef = match (column.data_type(), to) {
        (Null, _) => new_null_array(to, column.len()),
        (from, to) if from == to => Arc::clone(column),
        (_, Utf8) => Arc::new(text::to_text(column, how.zone)?),
        (Utf8, Binary) => {
            let texts = column.as_string::<i32>();
            Arc::new(texts.iter().map(|text| text.map(str::as_bytes)).collect::<BinaryArray>())
        }
        (Utf8, to) => of_text::convert(column.as_string::<i32>(), to, how)?,
        (from, to)
            if (from.is_numeric() || *from == Boolean) && (to.is_numeric() || *to == Boolean) =>
        {
            numbers::convert(column, to, how)?
        }
        (Timestamp(..) | Date32 | Time32(_), _) => times::convert(column, to, how)?,
        (List(_), List(item)) => {
            let lists = column.as_list::<i32>();
            let items = convert(lists.values(), item, how)?;
            let nulls = lists.nulls().cloned();
            let offsets = lists.offsets().clone();
            Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, nulls)?)
        }
        (Struct(_), Struct(fields)) => {
            let rows = column.as_struct();
            let parts = rows.columns().iter().zip(fields);
            let parts =
                parts.map(|(part, field)| convert(part, field, how)).collect::<Result<Vec<_>>>()?;
            Arc::new(StructArray::try_new(fields.clone(), parts, rows.nulls().cloned())?)
        }
        (Map(..), Map(entry, sorted)) => {
            let maps = column.as_map();
            let entries: ArrayRef = Arc::new(maps.entries().clone());
            let entries = convert(&entries, entry, how)?;
            let entries = entries.as_struct().clone();
            let (offsets, nulls) = (maps.offsets().clone(), maps.nulls().cloned());
            Arc::new(MapArray::try_new(Arc::clone(entry), offsets, entries, nulls, *sorted)?)
        }
        (from, to) => return Err(failed(format!("{from} is not {to}"))),
    };
    let cut = match column.data_type() {
        Utf8 => Cut::Down,
        _ => Cut::Towards1970,
    };
    cut_to(made, target, cut)
}

/// In the metadata of a cast's field: the length of a CHAR, VARCHAR, BINARY or VARBINARY.
pub const LENGTH: &str = "length";
/// In the metadata of a cast's field: whether shorter values are filled up.
pub const FILLS: &str = "fills";
/// In the metadata of a cast's field: the fractional digits of a TIMESTAMP.
pub const PRECISION: &str = "precision";

/// Texts and bytes of the length that a field of [`crate::types::cast_target`] declares.
pub fn fit(column: ArrayRef, target: &Field) -> Result<ArrayRef> {
    cut_to(column, target, Cut::Down)
}

/// Cuts values to the declared length or precision, and fills up a CHAR or BINARY.
fn cut_to(column: ArrayRef, target: &Field, cut: Cut) -> Result<ArrayRef> {
    let number = |key: &str| target.metadata().get(key).and_then(|text| text.parse().ok());
    if let (Some(digits), DataType::Timestamp(..)) = (number(PRECISION), target.data_type()) {
        return times::cut(&column, digits, cut);
    }
    if let (Some(digits), DataType::Time32(_)) = (number(PRECISION), target.data_type()) {
        return Ok(times::cut_time(&column, digits));
    }
    let Some(length) = number(LENGTH) else { return Ok(column) };
    let length = length as usize;
    let fills = target.metadata().contains_key(FILLS);
    Ok(match target.data_type() {
        DataType::Utf8 => {
            let fitted = |text: &str| match fills {
                true => format!("{:<length$}", text.chars().take(length).collect::<String>()),
                false => text.chars().take(length).collect(),
            };
            let texts = column.as_string::<i32>().iter().map(|text| text.map(fitted));
            Arc::new(texts.collect::<StringArray>())
        }
        DataType::Binary => {
            let fitted = |bytes: &[u8]| {
                let mut bytes = bytes.to_vec();
                if fills || bytes.len() > length {
                    bytes.resize(length, 0);
                }
                bytes
            };
            let bytes = column.as_binary::<i32>().iter().map(|bytes| bytes.map(fitted));
            Arc::new(bytes.collect::<BinaryArray>())
        }
        _ => column,
    })
}

/// Fields with the names and types that are promised, whatever those of the values are.
pub fn map_of(keys: DataType, values: DataType) -> DataType {
    let entry = DataType::Struct(Fields::from(vec![
        Field::new("key", keys, false),
        Field::new("value", values, true),
    ]));
    DataType::Map(Arc::new(Field::new("entries", entry, false)), false)
}

#[derive(Debug)]
struct Cast {
    target: FieldRef,
    how: How,
    signature: Signature,
}

impl PartialEq for Cast {
    fn eq(&self, other: &Self) -> bool {
        self.target == other.target && self.how == other.how
    }
}

impl Eq for Cast {}

impl Hash for Cast {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.target.hash(state);
        self.how.hash(state);
    }
}

impl ScalarUDFImpl for Cast {
    fn name(&self) -> &str {
        match self.how.failure {
            Failure::Error => "cast",
            Failure::Null => "try_cast",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.target.data_type().clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let nullable = self.how.failure == Failure::Null
            || args.arg_fields.iter().any(|field| field.is_nullable())
            // A number outside of a decimal's range is null.
            || matches!(self.target.data_type(), DataType::Decimal128(..));
        Ok(Arc::new(Field::new(self.name(), self.target.data_type().clone(), nullable)))
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        self.schema_name(args)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let args: Vec<_> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        let name = self.name().to_uppercase();
        Ok(format!("{name}({} AS {})", args.join(", "), sql_name(self.target.data_type())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else { return Err(failed("CAST takes one value")) };
        match value {
            ColumnarValue::Array(column) => {
                Ok(ColumnarValue::Array(convert(column, &self.target, self.how)?))
            }
            ColumnarValue::Scalar(value) => {
                let made = convert(&value.to_array()?, &self.target, self.how)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?))
            }
        }
    }
}
