//! One column that is the message itself.

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType, FieldRef};
use nowcast_engine::{Error, Result};

use super::cells::Cells;
use super::column::Misfit;
use super::json_decode::JsonOptions;
use super::values::Values;
use super::{DecodedRows, Decoder, Encoded, Encoder};
use crate::options::Options;

/// `raw.*`, as in Flink; the charset is UTF-8.
#[derive(Debug, Clone)]
pub struct RawOptions {
    little_endian: bool,
}

impl RawOptions {
    pub fn read(options: &Options<'_>, prefix: &str) -> Result<Self> {
        options.choice(&format!("{prefix}raw.charset"), &[("UTF-8", ())])?;
        let endianness = [("big-endian", false), ("little-endian", true)];
        let little_endian = options.choice(&format!("{prefix}raw.endianness"), &endianness)?;
        Ok(Self { little_endian })
    }
}

/// STRING and BYTES take any length, BOOLEAN one byte, numbers as many bytes as they have.
pub struct RawDecoder {
    rows: DecodedRows,
    options: RawOptions,
}

impl RawDecoder {
    /// `wanted` is the field, or nothing.
    pub fn new(fields: &[FieldRef], wanted: &[FieldRef], options: &RawOptions) -> Result<Self> {
        only(fields)?;
        Ok(Self { rows: DecodedRows::new(wanted)?, options: options.clone() })
    }

    fn push(&mut self, message: &[u8]) -> Result<(), Misfit> {
        let little = self.options.little_endian;
        // The number's bytes from the high end, whatever the order in the message.
        let mut wide = [0; 8];
        let number = |length: usize, wide: &mut [u8; 8]| {
            if message.len() != length {
                return Err(format!("{} bytes, not {length}", message.len()));
            }
            wide[..length].copy_from_slice(message);
            if little {
                wide[..length].reverse();
            }
            Ok(i64::from_be_bytes(*wide))
        };
        let Some(column) = self.rows.columns.first_mut() else { return Ok(()) };
        match &mut column.values {
            Values::Text(_) | Values::Binary(_) => column.push_bytes(message),
            Values::Bool(_) => match number(1, &mut wide)? {
                0 => column.push_bool(false),
                _ => column.push_bool(true),
            },
            Values::I8(_) => {
                let value = number(1, &mut wide)? >> 56;
                column.push_i64(value)
            }
            Values::I16(_) => {
                let value = number(2, &mut wide)? >> 48;
                column.push_i64(value)
            }
            Values::I32(_) => {
                let value = number(4, &mut wide)? >> 32;
                column.push_i64(value)
            }
            Values::I64(_) => {
                let value = number(8, &mut wide)?;
                column.push_i64(value)
            }
            Values::F32(_) => {
                let bits = (number(4, &mut wide)? >> 32) as u32;
                column.push_f64(f64::from(f32::from_bits(bits)))
            }
            Values::F64(_) => {
                let bits = number(8, &mut wide)? as u64;
                column.push_f64(f64::from_bits(bits))
            }
            _ => Err(column.misfit("a raw message")),
        }
    }
}

impl Decoder for RawDecoder {
    fn decode(&mut self, message: &[u8]) -> Result<usize, Misfit> {
        let pushed = self.push(message);
        pushed.map_err(|misfit| format!("field \"{}\": {misfit}", self.rows.columns[0].name()))?;
        self.rows.len += 1;
        Ok(1)
    }

    fn rows(&mut self) -> &mut DecodedRows {
        &mut self.rows
    }
}

pub struct RawEncoder {
    ty: DataType,
    options: RawOptions,
}

impl RawEncoder {
    pub fn new(fields: &[FieldRef], options: &RawOptions) -> Result<Self> {
        Ok(Self { ty: only(fields)?.data_type().clone(), options: options.clone() })
    }
}

impl Encoder for RawEncoder {
    fn encode(&self, columns: &[ArrayRef], _: Option<&Int64Array>) -> Result<Encoded> {
        super::check_width(1, columns)?;
        let cells = Cells::new(&columns[0])?;
        let text = matches!(self.ty, DataType::Utf8);
        Ok(Encoded::of(columns[0].len(), |row, out| match text {
            true => cells.write_text(row, &JsonOptions::default(), out),
            false => {
                let start = out.len();
                cells.write_bytes(row, out);
                if self.options.little_endian && !matches!(self.ty, DataType::Binary) {
                    out[start..].reverse();
                }
            }
        }))
    }
}

fn only(fields: &[FieldRef]) -> Result<&FieldRef> {
    let [field] = fields else {
        let count = fields.len();
        return Err(Error::user(format!("the raw format has exactly one column, not {count}")));
    };
    match field.data_type() {
        DataType::Utf8
        | DataType::Binary
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64 => Ok(field),
        other => Err(Error::user(format!("the raw format cannot carry the type {other}"))),
    }
}
