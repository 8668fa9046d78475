//! Arrow columns to dense tensor rows and back.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, Float64Array, GenericListArray,
    Int64Array, ListArray, OffsetSizeTrait, PrimitiveArray, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Float32Type, Float64Type, Int64Type};
use nowcast_engine::{Error, Result, Tensor};

use crate::backend::Values;
use crate::file::Padding;

/// What became of one value of one row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fit {
    /// Written into the dense values.
    Scored,
    /// Null, or too short: the row's outputs are null.
    Missing,
    /// Cannot be scored: the row is rejected for this reason.
    Rejected(String),
}

/// One input column, cast once, from which rows are taken.
pub(crate) struct Column<'a> {
    tensor: &'a Tensor,
    padding: Option<Padding>,
    numbers: Numbers,
    rows: Rows,
    nulls: Option<NullBuffer>,
}

/// All numbers of a column, cast to a type in which finiteness and range can be judged.
enum Numbers {
    Float32(Float32Array),
    Float64(Float64Array),
    /// Cast values, and which were null before the cast: a cast that does not fit leaves a null.
    Int64(Int64Array, Option<NullBuffer>),
}

/// Where the numbers of row `i` begin and end.
enum Rows {
    One,
    Width(usize),
    Offsets(Vec<usize>),
}

impl<'a> Column<'a> {
    /// Refuses, as an error of the user, a column whose type can never fit the tensor.
    pub fn new(tensor: &'a Tensor, padding: Option<Padding>, array: &ArrayRef) -> Result<Self> {
        fit(tensor, padding.is_some(), array.data_type())
            .map_err(|e| Error::user(format!("input \"{}\": {e}", tensor.name)))?;
        let (values, rows) = match array.data_type() {
            DataType::List(_) => list_rows(array.as_list::<i32>()),
            DataType::LargeList(_) => list_rows(array.as_list::<i64>()),
            DataType::FixedSizeList(_, _) => fixed_rows(array.as_fixed_size_list()),
            DataType::Null => {
                let list = ListArray::new_null(number_field(&tensor.element), array.len());
                list_rows(&list)
            }
            _ => (array.clone(), Rows::One),
        };
        let nulls = array.logical_nulls();
        Ok(Self { tensor, padding, numbers: numbers(&tensor.element, &values)?, rows, nulls })
    }

    /// Whether the row fits, without writing it.
    pub fn fit(&self, row: usize) -> Fit {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Fit::Missing;
        }
        let (start, end) = self.used(row);
        if end - start < self.tensor.row_len() && self.padding.is_none() {
            return Fit::Missing;
        }
        for at in start..end {
            match self.numbers.check(at) {
                Fit::Scored => {}
                Fit::Missing => return Fit::Missing,
                Fit::Rejected(why) => {
                    let name = &self.tensor.name;
                    return Fit::Rejected(match self.rows {
                        Rows::One => format!("input \"{name}\": {why}"),
                        _ => format!("input \"{name}\": element {}: {why}", at - start + 1),
                    });
                }
            }
        }
        Fit::Scored
    }

    /// The dense values of rows that fit.
    pub fn take(&self, rows: &[usize]) -> Values {
        let len = rows.len() * self.tensor.row_len();
        match self.tensor.element {
            DataType::Float32 => {
                Values::Float(self.dense(rows, len, |at| self.numbers.float(at), |v| v as f32))
            }
            _ => Values::Int(self.dense(rows, len, |at| self.numbers.int(at), |v| v as i64)),
        }
    }

    fn dense<T: Copy>(
        &self,
        rows: &[usize],
        len: usize,
        number: impl Fn(usize) -> T,
        pad: impl Fn(f64) -> T,
    ) -> Vec<T> {
        let mut dense = Vec::with_capacity(len);
        for &row in rows {
            let (start, end) = self.used(row);
            if let Some(padding) = self.padding {
                let missing = self.tensor.row_len() - (end - start);
                dense.resize(dense.len() + missing, pad(padding.value));
            }
            dense.extend((start..end).map(&number));
        }
        debug_assert_eq!(dense.len(), len);
        dense
    }

    /// The last elements of a row, as many as the tensor has.
    fn used(&self, row: usize) -> (usize, usize) {
        let (start, end) = match &self.rows {
            Rows::One => (row, row + 1),
            Rows::Width(width) => (row * width, (row + 1) * width),
            Rows::Offsets(offsets) => (offsets[row], offsets[row + 1]),
        };
        (start.max(end.saturating_sub(self.tensor.row_len())), end)
    }
}

impl Numbers {
    fn check(&self, at: usize) -> Fit {
        match self {
            Self::Float32(values) if values.is_null(at) => Fit::Missing,
            Self::Float32(values) => finite(values.value(at).into()),
            Self::Float64(values) if values.is_null(at) => Fit::Missing,
            Self::Float64(values) => {
                let value = values.value(at);
                match finite(value) {
                    Fit::Scored if !(value as f32).is_finite() => {
                        Fit::Rejected(format!("{value} does not fit a 32-bit float"))
                    }
                    fit => fit,
                }
            }
            Self::Int64(_, nulls) if nulls.as_ref().is_some_and(|n| n.is_null(at)) => Fit::Missing,
            Self::Int64(values, _) if values.is_null(at) => {
                Fit::Rejected("the number is not finite or does not fit int64".to_string())
            }
            Self::Int64(_, _) => Fit::Scored,
        }
    }

    fn float(&self, at: usize) -> f32 {
        match self {
            Self::Float32(values) => values.value(at),
            Self::Float64(values) => values.value(at) as f32,
            Self::Int64(values, _) => values.value(at) as f32,
        }
    }

    fn int(&self, at: usize) -> i64 {
        match self {
            Self::Float32(values) => values.value(at) as i64,
            Self::Float64(values) => values.value(at) as i64,
            Self::Int64(values, _) => values.value(at),
        }
    }
}

fn finite(value: f64) -> Fit {
    if value.is_finite() {
        return Fit::Scored;
    }
    Fit::Rejected(format!("{value} is not finite"))
}

fn numbers(element: &DataType, values: &ArrayRef) -> Result<Numbers> {
    Ok(match (element, values.data_type()) {
        (DataType::Float32, DataType::Float32) => {
            Numbers::Float32(values.as_primitive::<Float32Type>().clone())
        }
        (DataType::Float32, _) => {
            let cast = cast(values, &DataType::Float64)?;
            Numbers::Float64(cast.as_primitive::<Float64Type>().clone())
        }
        _ => {
            let cast = cast(values, &DataType::Int64)?;
            Numbers::Int64(cast.as_primitive::<Int64Type>().clone(), values.logical_nulls())
        }
    })
}

fn list_rows<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> (ArrayRef, Rows) {
    let offsets = list.value_offsets();
    let first = offsets[0].as_usize();
    let last = offsets[offsets.len() - 1].as_usize();
    // A slice of a batch shares the values of the whole: cast only its own.
    let values = list.values().slice(first, last - first);
    (values, Rows::Offsets(offsets.iter().map(|offset| offset.as_usize() - first).collect()))
}

fn fixed_rows(list: &FixedSizeListArray) -> (ArrayRef, Rows) {
    (list.values().clone(), Rows::Width(list.value_length() as usize))
}

/// Whether a column of this type can be fed to the tensor; in words what was expected if not.
pub(crate) fn fit(tensor: &Tensor, padded: bool, got: &DataType) -> Result<(), String> {
    let scalar = tensor.row_len() == 1;
    let fits = match got {
        DataType::Null => true,
        DataType::List(item) | DataType::LargeList(item) => {
            !tensor.shape.is_empty() && is_number(item.data_type())
        }
        DataType::FixedSizeList(item, width) => {
            let long_enough = usize::try_from(*width).is_ok_and(|n| n >= tensor.row_len());
            !tensor.shape.is_empty() && is_number(item.data_type()) && (padded || long_enough)
        }
        other => scalar && is_number(other),
    };
    if fits { Ok(()) } else { Err(format!("expected {}, got {got}", form(tensor))) }
}

/// The tensor in words: `a number`, `an array of 168 numbers (float)`.
pub(crate) fn form(tensor: &Tensor) -> String {
    let element = if tensor.element == DataType::Float32 { "float" } else { "int64" };
    if tensor.shape.is_empty() {
        return format!("a number ({element})");
    }
    format!("an array of {} numbers ({element})", tensor.row_len())
}

fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_number(values),
        DataType::Boolean | DataType::Null => true,
        other => other.is_numeric(),
    }
}

fn number_field(element: &DataType) -> Arc<Field> {
    Arc::new(Field::new_list_field(element.clone(), true))
}

/// The Arrow type of a model's output column.
pub(crate) fn output_type(tensor: &Tensor) -> DataType {
    if tensor.shape.is_empty() {
        return tensor.element.clone();
    }
    DataType::List(number_field(&tensor.element))
}

/// One output column: row `rows[i]` takes the `i`-th dense row of `values`, all others are null.
pub(crate) fn output_column(
    tensor: &Tensor,
    len: usize,
    rows: &[usize],
    values: &Values,
) -> Result<ArrayRef> {
    if rows.is_empty() {
        return Ok(new_null_array(&output_type(tensor), len));
    }
    match values {
        Values::Float(values) => scatter::<Float32Type>(tensor, len, rows, values),
        Values::Int(values) => scatter::<Int64Type>(tensor, len, rows, values),
    }
}

fn scatter<T: ArrowPrimitiveType>(
    tensor: &Tensor,
    len: usize,
    rows: &[usize],
    values: &[T::Native],
) -> Result<ArrayRef> {
    let width = tensor.row_len();
    let mut valid = vec![false; len];
    for &row in rows {
        valid[row] = true;
    }
    if tensor.shape.is_empty() {
        let mut dense = vec![T::Native::default(); len];
        for (&row, &value) in rows.iter().zip(values) {
            dense[row] = value;
        }
        let nulls = NullBuffer::from(valid);
        return Ok(Arc::new(PrimitiveArray::<T>::new(dense.into(), Some(nulls))));
    }
    let offsets = OffsetBuffer::from_lengths(valid.iter().map(|&ok| if ok { width } else { 0 }));
    let items = PrimitiveArray::<T>::new(ScalarBuffer::from(values.to_vec()), None);
    let nulls = NullBuffer::from(valid);
    let field = number_field(&tensor.element);
    Ok(Arc::new(ListArray::try_new(field, offsets, Arc::new(items), Some(nulls))?))
}
