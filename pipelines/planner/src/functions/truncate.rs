//! `TRUNCATE(x[, digits])`: towards zero.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, some};

pub fn function() -> Function {
    Function {
        name: "truncate",
        form: "TRUNCATE(x[, digits])",
        about: "cut to so many digits behind the point",
        takes: some(&[Kind::Number, Kind::Long], 1),
        gives: cut_type,
        body: Body::Plain(truncate),
    }
}

fn cut_type(given: &[DataType]) -> DataType {
    given[0].clone()
}

fn truncate(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    super::round::to_digits(columns, rows, |value, unit| value / unit * unit)
}
