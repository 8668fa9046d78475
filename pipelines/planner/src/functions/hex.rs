//! `HEX(x)`, `UNHEX(s)` and `BIN(n)`: digits of another base.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, all, bytes, failed, longs, text, texts};
use crate::types::sql_name;

pub fn hex_function() -> Function {
    Function {
        name: "hex",
        form: "HEX(x)",
        about: "the hexadecimal digits of a number or of the bytes of a text",
        takes: all(&[Kind::Any]),
        gives: text,
        body: Body::Plain(hex),
    }
}

pub fn unhex_function() -> Function {
    Function {
        name: "unhex",
        form: "UNHEX(s)",
        about: "the bytes of hexadecimal digits; null where they are none",
        takes: all(&[Kind::Text]),
        gives: bytes,
        body: Body::Plain(unhex),
    }
}

pub fn bin_function() -> Function {
    Function {
        name: "bin",
        form: "BIN(n)",
        about: "the binary digits of a number",
        takes: all(&[Kind::Long]),
        gives: text,
        body: Body::Plain(bin),
    }
}

fn hex(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let of_bytes =
        |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    let column = &columns[0];
    let made: StringArray = match column.data_type() {
        DataType::Utf8 => texts(column).iter().map(|t| t.map(|t| of_bytes(t.as_bytes()))).collect(),
        DataType::Binary => column.as_binary::<i32>().iter().map(|b| b.map(of_bytes)).collect(),
        ty if ty.is_integer() => {
            let numbers = cast(column, &DataType::Int64)?;
            longs(&numbers)
                .iter()
                .map(|number| number.map(|number| format!("{number:X}")))
                .collect()
        }
        other => return Err(failed(format!("HEX takes no {}", sql_name(other)))),
    };
    Ok(Arc::new(made))
}

fn unhex(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let made = texts(&columns[0]).iter().map(|text| {
        let digits = text?.chars().map(|digit| digit.to_digit(16)).collect::<Option<Vec<_>>>()?;
        // The first digit of an odd number of them is lost to a zero, as in Flink.
        let (alone, pairs) = digits.split_at(digits.len() % 2);
        let bytes = pairs.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8);
        Some(alone.iter().map(|_| 0).chain(bytes).collect::<Vec<_>>())
    });
    Ok(Arc::new(made.collect::<BinaryArray>()))
}

fn bin(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let made = longs(&columns[0]).iter().map(|number| number.map(|number| format!("{number:b}")));
    Ok(Arc::new(made.collect::<StringArray>()))
}
