//! What a SQL function is: a name, the types it takes and gives, and a body over whole columns.

use std::hash::{Hash, Hasher};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMillisecondType};
use datafusion_common::{DataFusionError, Result};
use datafusion_expr::type_coercion::binary::type_union_resolution;
use datafusion_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

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
    /// A date or timestamp, as `Timestamp(ms)` with its zone.
    Time,
    /// An `ARRAY`.
    List,
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

/// A function without state and clock. The body gets one array an argument, all of the given number
/// of rows, and returns one of the promised type.
pub struct Function {
    pub name: &'static str,
    pub takes: Takes,
    pub gives: fn(&[DataType]) -> DataType,
    pub body: fn(&[ArrayRef], usize) -> Result<ArrayRef>,
}

impl Function {
    pub fn udf(self) -> ScalarUDF {
        ScalarUDF::new_from_impl(Scalar {
            function: self,
            signature: Signature::user_defined(Volatility::Immutable),
        })
    }
}

struct Scalar {
    function: Function,
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
        self.function.name == other.function.name
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

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        coerce(self.function.name, self.function.takes, args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let given = if constant { 1 } else { rows };
        let columns = args.args.into_iter().map(|value| value.into_array(given));
        let made = (self.function.body)(&columns.collect::<Result<Vec<_>>>()?, given)?;
        if constant {
            let value = datafusion_common::ScalarValue::try_from_array(&made, 0)?;
            return Ok(ColumnarValue::Scalar(value));
        }
        Ok(ColumnarValue::Array(made))
    }
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
            DataType::Timestamp(_, zone) => {
                Some(DataType::Timestamp(TimeUnit::Millisecond, zone.clone()))
            }
            DataType::Date32 | DataType::Null => {
                Some(DataType::Timestamp(TimeUnit::Millisecond, None))
            }
            _ => None,
        },
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

pub fn texts(column: &ArrayRef) -> &StringArray {
    column.as_string::<i32>()
}

pub fn longs(column: &ArrayRef) -> &Int64Array {
    column.as_primitive::<Int64Type>()
}

pub fn doubles(column: &ArrayRef) -> &arrow::array::Float64Array {
    column.as_primitive::<Float64Type>()
}

/// Milliseconds of a column of [`Kind::Time`].
pub fn times(column: &ArrayRef) -> &arrow::array::TimestampMillisecondArray {
    column.as_primitive::<TimestampMillisecondType>()
}

/// Milliseconds as a column of the time type `ty`.
pub fn time_column(values: impl Iterator<Item = Option<i64>>, ty: &DataType) -> ArrayRef {
    let column: arrow::array::TimestampMillisecondArray = values.collect();
    let zone = match ty {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    std::sync::Arc::new(column.with_timezone_opt(zone))
}

/// The value of an optional argument in a row.
pub fn optional_text(columns: &[ArrayRef], position: usize, row: usize) -> Option<&str> {
    let column = texts(columns.get(position)?);
    column.is_valid(row).then(|| column.value(row))
}
