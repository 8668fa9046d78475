//! `LEAST(a, …)`: null where any value is.

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::kernels::boolean::not;
use arrow::compute::kernels::cmp::lt;
use arrow::compute::kernels::zip::zip;
use arrow::compute::{is_not_null, nullif, or_kleene};
use datafusion_common::Result;

use super::scalar::{Body, Function, Takes, same};

pub fn function() -> Function {
    Function {
        name: "least",
        form: "LEAST(a, …)",
        about: "null where any value is",
        takes: Takes::Alike { least: 1 },
        gives: same,
        body: Body::Plain(least),
    }
}

fn least(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let mut best = columns[0].clone();
    for column in &columns[1..] {
        let is_less: BooleanArray = lt(column, &best)?;
        let null = or_kleene(&not(&is_not_null(column)?)?, &not(&is_not_null(&best)?)?)?;
        best = nullif(&zip(&is_less, column, &best)?, &null)?;
    }
    Ok(best)
}
