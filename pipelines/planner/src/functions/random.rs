//! `RAND()`, `RAND_INTEGER(n)` and `UUID()`: another value for each row, and after a restart.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, StringArray};
use datafusion_common::Result;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use super::scalar::{Body, Function, Kind, all, double, failed, int, long_at, some, text};

pub fn rand_function() -> Function {
    Function {
        name: "rand",
        form: "RAND([seed])",
        about: "a double from 0 up to 1; a seed makes the same ones in each batch",
        takes: some(&[Kind::Long], 0),
        gives: double,
        body: Body::Random(rand),
    }
}

pub fn rand_integer_function() -> Function {
    Function {
        name: "rand_integer",
        form: "RAND_INTEGER([seed,] n)",
        about: "an integer from 0 up to n; a seed makes the same ones in each batch",
        takes: some(&[Kind::Long, Kind::Long], 1),
        gives: int,
        body: Body::Random(rand_integer),
    }
}

pub fn uuid_function() -> Function {
    Function {
        name: "uuid",
        form: "UUID()",
        about: "a random UUID",
        takes: all(&[]),
        gives: text,
        body: Body::Random(|_, rows| {
            let made = (0..rows).map(|_| Some(Uuid::new_v4().to_string()));
            Ok(Arc::new(made.collect::<StringArray>()))
        }),
    }
}

fn rand(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let mut source = source(columns, columns.len() == 1);
    Ok(Arc::new((0..rows).map(|_| Some(source.random::<f64>())).collect::<Float64Array>()))
}

fn rand_integer(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let mut source = source(columns, columns.len() == 2);
    let made = (0..rows).map(|row| match long_at(columns, columns.len() - 1, row) {
        None => Ok(None),
        Some(bound @ 1..) => Ok(Some(source.random_range(0..bound) as i32)),
        Some(bound) => Err(failed(format!("RAND_INTEGER needs a bound above 0, not {bound}"))),
    });
    Ok(Arc::new(made.collect::<Result<Int32Array>>()?))
}

fn source(columns: &[ArrayRef], seeded: bool) -> StdRng {
    match long_at(columns, 0, 0) {
        Some(seed) if seeded => StdRng::seed_from_u64(seed as u64),
        _ => StdRng::from_rng(&mut rand::rng()),
    }
}
