//! `ELT(n, a, …)`: the n-th of the texts, counted from 1.

use arrow::array::{ArrayRef, BooleanArray, new_null_array};
use arrow::compute::cast;
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::DataType;
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes, longs};

pub fn function() -> Function {
    Function {
        name: "elt",
        form: "ELT(n, a, …)",
        about: "the n-th of the texts, counted from 1; null where there is none",
        takes: Takes::Many { kind: Kind::Any, least: 2 },
        gives: |given| given[1].clone(),
        body: Body::Plain(elt),
    }
}

fn elt(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let places = cast(&columns[0], &DataType::Int64)?;
    let mut made = new_null_array(columns[1].data_type(), rows);
    for (place, column) in columns[1..].iter().enumerate() {
        let is_here = longs(&places).iter().map(|wanted| Some(wanted == Some(place as i64 + 1)));
        let column = cast(column, columns[1].data_type())?;
        made = zip(&is_here.collect::<BooleanArray>(), &column, &made)?;
    }
    Ok(made)
}
