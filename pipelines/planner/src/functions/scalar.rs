//! What a SQL function is: a name, the types it takes and gives, and a body over whole columns.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type, TimeUnit};
use chrono_tz::Tz;
use datafusion_common::{DataFusionError, Result};
use datafusion_expr::type_coercion::binary::type_union_resolution;
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::cast::times::local_millis;
use super::cast::{Failure, How, convert};
use crate::error::SqlError;
use crate::types::sql_name;

/// A kind of argument, and the type it is handed over as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `Utf8`.
    Text,
    /// Any integer, as `Int64`.
    Long,
    /// Any number, as `Float64`.
    Double,
    /// Any number, as it is.
    Number,
    /// A date, time of day or timestamp, as it is.
    Time,
    /// `BYTES`, or text as its bytes.
    Bytes,
    Boolean,
    /// An `ARRAY`.
    List,
    /// A `MAP`.
    Map,
    /// Anything, as it is.
    Any,
}

#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// These, of which the first `required` must be given.
    These { kinds: &'static [Kind], required: usize },
    /// At least `least` of one kind.
    Many { kind: Kind, least: usize },
    /// At least `least`, handed over in their common type.
    Alike { least: usize },
}

/// A function without state.
#[derive(Clone, Copy)]
pub struct Function {
    pub name: &'static str,
    /// How it is called, for the table of functions.
    pub form: &'static str,
    /// What it gives, in a line.
    pub about: &'static str,
    pub takes: Takes,
    pub gives: fn(&[DataType]) -> DataType,
    pub body: Body,
}

/// Gets one array an argument, all of the given number of rows, and returns one of the promised type.
#[derive(Clone, Copy)]
pub enum Body {
    Plain(fn(&[ArrayRef], usize) -> Result<ArrayRef>),
    /// Depends on `table.local-time-zone`.
    Zoned(fn(&[ArrayRef], usize, Tz) -> Result<ArrayRef>),
    /// Gives other values for the same arguments.
    Random(fn(&[ArrayRef], usize) -> Result<ArrayRef>),
    /// Is a column before it would be called, and never null.
    Clock(fn(&[ArrayRef], usize) -> Result<ArrayRef>),
}

impl Function {
    pub fn udf(self, zone: Tz) -> ScalarUDF {
        let volatility = match self.body {
            Body::Random(_) | Body::Clock(_) => Volatility::Volatile,
            Body::Plain(_) | Body::Zoned(_) => Volatility::Immutable,
        };
        ScalarUDF::new_from_impl(Scalar {
            function: self,
            zone,
            signature: Signature::user_defined(volatility),
        })
    }
}

struct Scalar {
    function: Function,
    zone: Tz,
    signature: Signature,
}

impl std::fmt::Debug for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(self.function.name)
    }
}

// The name says which function it is: comparing function pointers is not reliable.
impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.function.name == other.function.name && self.zone == other.zone
    }
}

impl Eq for Scalar {}

impl Hash for Scalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name.hash(state);
    }
}

impl ScalarUDFImpl for Scalar {
    fn name(&self) -> &str {
        self.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        Ok((self.function.gives)(args))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> =
            args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let nullable = !matches!(self.function.body, Body::Clock(_));
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, nullable)))
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        coerce(self.function.name, self.function.takes, args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)))
            && !matches!(self.function.body, Body::Random(_));
        let given = if constant { 1 } else { rows };
        let columns = args.args.into_iter().map(|value| value.into_array(given));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let made = match self.function.body {
            Body::Plain(body) | Body::Random(body) | Body::Clock(body) => body(&columns, given)?,
            Body::Zoned(body) => body(&columns, given, self.zone)?,
        };
        if constant {
            let value = datafusion_common::ScalarValue::try_from_array(&made, 0)?;
            return Ok(ColumnarValue::Scalar(value));
        }
        Ok(ColumnarValue::Array(made))
    }
}

/// All of these.
pub const fn all(kinds: &'static [Kind]) -> Takes {
    Takes::These { kinds, required: kinds.len() }
}

/// The first `required` of these must be given.
pub const fn some(kinds: &'static [Kind], required: usize) -> Takes {
    Takes::These { kinds, required }
}

pub fn coerce(name: &str, takes: Takes, given: &[DataType]) -> Result<Vec<DataType>> {
    let (least, most) = match takes {
        Takes::These { kinds, required } => (required, kinds.len()),
        Takes::Many { least, .. } | Takes::Alike { least } => (least, usize::MAX),
    };
    if !(least..=most).contains(&given.len()) {
        let wanted = match most {
            usize::MAX => format!("at least {least}"),
            most if most == least => least.to_string(),
            most => format!("{least} to {most}"),
        };
        return Err(refused(name, format!("takes {wanted} arguments, not {}", given.len())));
    }
    if matches!(takes, Takes::Alike { .. }) {
        let Some(common) = type_union_resolution(given) else {
            let types: Vec<_> = given.iter().map(sql_name).collect();
            return Err(refused(name, format!("cannot mix {}", types.join(" and "))));
        };
        return Ok(vec![common; given.len()]);
    }
    let kind = |position: usize| match takes {
        Takes::These { kinds, .. } => kinds[position],
        Takes::Many { kind, .. } => kind,
        Takes::Alike { .. } => Kind::Any,
    };
    given
        .iter()
        .enumerate()
        .map(|(position, ty)| {
            as_kind(kind(position), ty).ok_or_else(|| {
                refused(name, format!("takes no {} as argument {}", sql_name(ty), position + 1))
            })
        })
        .collect()
}

fn as_kind(kind: Kind, ty: &DataType) -> Option<DataType> {
    let null = *ty == DataType::Null;
    match kind {
        Kind::Any => Some(ty.clone()),
        Kind::Text => (null
            || matches!(ty, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View))
        .then_some(DataType::Utf8),
        Kind::Long => (null || ty.is_integer()).then_some(DataType::Int64),
        Kind::Double => (null || ty.is_numeric()).then_some(DataType::Float64),
        Kind::Number => match ty {
            _ if null => Some(DataType::Int32),
            ty if ty.is_numeric() => Some(ty.clone()),
            _ => None,
        },
        Kind::Time => match ty {
            DataType::Timestamp(..) | DataType::Date32 | DataType::Time32(_) => Some(ty.clone()),
            DataType::Null => Some(DataType::Timestamp(TimeUnit::Millisecond, None)),
            _ => None,
        },
        Kind::Bytes => {
            (null || matches!(ty, DataType::Utf8 | DataType::Binary)).then_some(DataType::Binary)
        }
        Kind::Boolean => (null || *ty == DataType::Boolean).then_some(DataType::Boolean),
        Kind::Map => matches!(ty, DataType::Map(..)).then(|| ty.clone()),
        Kind::List => matches!(ty, DataType::List(_)).then(|| ty.clone()),
    }
}

pub fn refused(name: &str, why: impl std::fmt::Display) -> DataFusionError {
    SqlError::nowhere(format!("`{}` {why}", name.to_uppercase())).into()
}

/// An error of the row: it is set aside.
pub fn failed(message: impl std::fmt::Display) -> DataFusionError {
    DataFusionError::Execution(message.to_string())
}

pub fn text(_: &[DataType]) -> DataType {
    DataType::Utf8
}

pub fn int(_: &[DataType]) -> DataType {
    DataType::Int32
}

pub fn long(_: &[DataType]) -> DataType {
    DataType::Int64
}

pub fn double(_: &[DataType]) -> DataType {
    DataType::Float64
}

/// The type of the first argument.
pub fn same(given: &[DataType]) -> DataType {
    given[0].clone()
}

pub fn boolean(_: &[DataType]) -> DataType {
    DataType::Boolean
}

pub fn bytes(_: &[DataType]) -> DataType {
    DataType::Binary
}

/// A text for each text that is not null.
pub fn text_of_text(columns: &[ArrayRef], of: impl Fn(&str) -> Option<String>) -> Result<ArrayRef> {
    let made = texts(&columns[0]).iter().map(|text| of(text?));
    Ok(std::sync::Arc::new(made.collect::<StringArray>()))
}

/// A value a row, where the row's first two texts are not null.
pub fn of_two_texts<T, A: FromIterator<Option<T>> + Array + 'static>(
    columns: &[ArrayRef],
    of: impl Fn(&str, &str) -> Option<T>,
) -> Result<ArrayRef> {
    let pairs = texts(&columns[0]).iter().zip(texts(&columns[1]));
    Ok(std::sync::Arc::new(pairs.map(|(one, other)| of(one?, other?)).collect::<A>()))
}

/// The value of an integer argument in a row.
pub fn long_at(columns: &[ArrayRef], position: usize, row: usize) -> Option<i64> {
    let column = longs(columns.get(position)?);
    column.is_valid(row).then(|| column.value(row))
}

pub fn texts(column: &ArrayRef) -> &StringArray {
    column.as_string::<i32>()
}

pub fn longs(column: &ArrayRef) -> &Int64Array {
    column.as_primitive::<Int64Type>()
}

pub fn doubles(column: &ArrayRef) -> &arrow::array::Float64Array {
    column.as_primitive::<Float64Type>()
}

/// Milliseconds of a column of [`Kind::Time`], as the session's clock shows them.
pub fn times(column: &ArrayRef, zone: Tz) -> Result<Int64Array> {
    local_millis(column, How { failure: Failure::Error, zone })
}

/// Milliseconds of the session's clock as a column of the time type `ty`.
pub fn time_column(
    values: impl Iterator<Item = Option<i64>>,
    ty: &DataType,
    zone: Tz,
) -> Result<ArrayRef> {
    let column: arrow::array::TimestampMillisecondArray = values.collect();
    let column: ArrayRef = std::sync::Arc::new(column);
    let target = arrow::datatypes::Field::new("", ty.clone(), true);
    convert(&column, &target, How { failure: Failure::Error, zone })
}

/// The value of an optional argument in a row.
pub fn optional_text(columns: &[ArrayRef], position: usize, row: usize) -> Option<&str> {
    let column = texts(columns.get(position)?);
    column.is_valid(row).then(|| column.value(row))
}
