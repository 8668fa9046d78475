//! Reads cells of Arrow columns and writes them as JSON or as plain text, without a look at the type
//! for each cell.

use arrow::array::{Array, ArrayRef, AsArray, GenericByteArray, StringViewArray};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    BinaryType, DataType, Date32Type, Decimal128Type, Fields, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, LargeUtf8Type, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type, Utf8Type,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use nowcast_engine::{Error, Result};

use super::json_decode::JsonOptions;
use super::number::{write_float, write_integer};
use super::text::{write_date, write_decimal, write_decimal_as_java, write_time, write_timestamp};

/// A column ready to be read cell by cell.
pub struct Cells<'a> {
    nulls: Option<&'a NullBuffer>,
    pub(super) kind: Kind<'a>,
}

pub(super) enum Kind<'a> {
    Null,
    Bool(&'a BooleanBuffer),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    F32(&'a [f32]),
    F64(&'a [f64]),
    Decimal(&'a [i128], i8),
    Text(&'a GenericByteArray<Utf8Type>),
    LargeText(&'a GenericByteArray<LargeUtf8Type>),
    TextView(&'a StringViewArray),
    Binary(&'a GenericByteArray<BinaryType>),
    Date(&'a [i32]),
    Time32(&'a [i32], TimeUnit),
    Time64(&'a [i64], TimeUnit),
    Timestamp(&'a [i64], TimeUnit, bool),
    List(&'a OffsetBuffer<i32>, Box<Cells<'a>>),
    /// With the names as they are, and as [`json_name`] makes them.
    Struct(&'a Fields, Vec<(Vec<u8>, Cells<'a>)>),
    Map(&'a OffsetBuffer<i32>, Box<Cells<'a>>, Box<Cells<'a>>),
}

impl<'a> Cells<'a> {
    /// # Errors
    /// For types that no table can have.
    pub fn new(array: &'a ArrayRef) -> Result<Self> {
        use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
        let kind = match array.data_type() {
            DataType::Null => Kind::Null,
            DataType::Boolean => Kind::Bool(array.as_boolean().values()),
            DataType::Int8 => Kind::I8(array.as_primitive::<Int8Type>().values()),
            DataType::Int16 => Kind::I16(array.as_primitive::<Int16Type>().values()),
            DataType::Int32 => Kind::I32(array.as_primitive::<Int32Type>().values()),
            DataType::Int64 => Kind::I64(array.as_primitive::<Int64Type>().values()),
            DataType::UInt8 => Kind::U8(array.as_primitive::<UInt8Type>().values()),
            DataType::UInt16 => Kind::U16(array.as_primitive::<UInt16Type>().values()),
            DataType::UInt32 => Kind::U32(array.as_primitive::<UInt32Type>().values()),
            DataType::UInt64 => Kind::U64(array.as_primitive::<UInt64Type>().values()),
            DataType::Float32 => Kind::F32(array.as_primitive::<Float32Type>().values()),
            DataType::Float64 => Kind::F64(array.as_primitive::<Float64Type>().values()),
            DataType::Decimal128(_, scale) => {
                Kind::Decimal(array.as_primitive::<Decimal128Type>().values(), *scale)
            }
            DataType::Utf8 => Kind::Text(array.as_bytes()),
            DataType::LargeUtf8 => Kind::LargeText(array.as_bytes()),
            DataType::Utf8View => Kind::TextView(array.as_string_view()),
            DataType::Binary => Kind::Binary(array.as_bytes()),
            DataType::Date32 => Kind::Date(array.as_primitive::<Date32Type>().values()),
            DataType::Time32(unit) => {
                let values = match unit {
                    Second => array.as_primitive::<Time32SecondType>().values(),
                    _ => array.as_primitive::<Time32MillisecondType>().values(),
                };
                Kind::Time32(values, *unit)
            }
            DataType::Time64(unit) => {
                let values = match unit {
                    Microsecond => array.as_primitive::<Time64MicrosecondType>().values(),
                    _ => array.as_primitive::<Time64NanosecondType>().values(),
                };
                Kind::Time64(values, *unit)
            }
            DataType::Timestamp(unit, zone) => {
                let values = match unit {
                    Second => array.as_primitive::<TimestampSecondType>().values(),
                    Millisecond => array.as_primitive::<TimestampMillisecondType>().values(),
                    Microsecond => array.as_primitive::<TimestampMicrosecondType>().values(),
                    Nanosecond => array.as_primitive::<TimestampNanosecondType>().values(),
                };
                Kind::Timestamp(values, *unit, zone.is_some())
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Kind::List(list.offsets(), Box::new(Cells::new(list.values())?))
            }
            DataType::Struct(fields) => {
                let columns = array.as_struct().columns();
                let cells = fields
                    .iter()
                    .zip(columns)
                    .map(|(field, column)| Ok((json_name(field.name()), Cells::new(column)?)));
                Kind::Struct(fields, cells.collect::<Result<_>>()?)
            }
            DataType::Map(..) => {
                let map = array.as_map();
                let keys = Box::new(Cells::new(map.keys())?);
                Kind::Map(map.offsets(), keys, Box::new(Cells::new(map.values())?))
            }
            other => return Err(Error::bug(format!("a sink cannot write the type {other}"))),
        };
        Ok(Self { nulls: array.nulls(), kind })
    }

    pub fn is_null(&self, row: usize) -> bool {
        matches!(self.kind, Kind::Null) || self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }

    /// The cell as a JSON value.
    pub fn write_json(&self, row: usize, options: &JsonOptions, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return;
        }
        match &self.kind {
            Kind::Text(_) | Kind::LargeText(_) | Kind::TextView(_) => {
                write_string(self.text(row), out);
            }
            Kind::F32(values) if !values[row].is_finite() => {
                write_quoted(out, |out| write_float(values[row], out));
            }
            Kind::F64(values) if !values[row].is_finite() => {
                write_quoted(out, |out| write_float(values[row], out));
            }
            Kind::Binary(_)
            | Kind::Date(_)
            | Kind::Time32(..)
            | Kind::Time64(..)
            | Kind::Timestamp(..) => {
                write_quoted(out, |out| self.write_scalar(row, options, out));
            }
            Kind::List(offsets, items) => {
                out.push(b'[');
                for item in range(offsets, row) {
                    separate(out, b'[');
                    items.write_json(item, options, out);
                }
                out.push(b']');
            }
            Kind::Struct(_, fields) => write_object(fields, row, options, out),
            Kind::Map(offsets, keys, values) => {
                out.push(b'{');
                for entry in range(offsets, row) {
                    separate(out, b'{');
                    let mut key = vec![];
                    keys.write_text(entry, options, &mut key);
                    write_string(&String::from_utf8_lossy(&key), out);
                    out.push(b':');
                    values.write_json(entry, options, out);
                }
                out.push(b'}');
            }
            _ => self.write_scalar(row, options, out),
        }
    }

    /// The cell as plain text: strings as they are, rows, arrays and maps as JSON. A null writes
    /// nothing.
    pub fn write_text(&self, row: usize, options: &JsonOptions, out: &mut Vec<u8>) {
        if self.is_null(row) {
            return;
        }
        match &self.kind {
            Kind::Text(_) | Kind::LargeText(_) | Kind::TextView(_) => {
                out.extend_from_slice(self.text(row).as_bytes());
            }
            Kind::List(..) | Kind::Struct(..) | Kind::Map(..) => {
                self.write_json(row, options, out);
            }
            _ => self.write_scalar(row, options, out),
        }
    }

    /// As [`Cells::write_text`], but the parts of an array or row joined by `delimiter`.
    pub(super) fn write_joined(
        &self,
        row: usize,
        delimiter: &str,
        options: &JsonOptions,
        out: &mut Vec<u8>,
    ) {
        let mut join = |at: usize, part: &Cells<'_>, row: usize| {
            if at > 0 {
                out.extend_from_slice(delimiter.as_bytes());
            }
            part.write_text(row, options, out);
        };
        match &self.kind {
            _ if self.is_null(row) => {}
            Kind::List(offsets, items) => {
                range(offsets, row).enumerate().for_each(|(at, item)| join(at, items, item))
            }
            Kind::Struct(_, fields) => {
                fields.iter().enumerate().for_each(|(at, (_, cells))| join(at, cells, row))
            }
            _ => self.write_text(row, options, out),
        }
    }

    /// The value's own bytes, the high end first; a null has none.
    pub(super) fn write_bytes(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            return;
        }
        match &self.kind {
            Kind::Bool(values) => out.push(u8::from(values.value(row))),
            Kind::I8(values) => out.extend(values[row].to_be_bytes()),
            Kind::I16(values) => out.extend(values[row].to_be_bytes()),
            Kind::I32(values) => out.extend(values[row].to_be_bytes()),
            Kind::I64(values) => out.extend(values[row].to_be_bytes()),
            Kind::F32(values) => out.extend(values[row].to_be_bytes()),
            Kind::F64(values) => out.extend(values[row].to_be_bytes()),
            Kind::Binary(values) => out.extend_from_slice(values.value(row)),
            _ => out.extend_from_slice(self.text(row).as_bytes()),
        }
    }

    pub(super) fn text(&self, row: usize) -> &'a str {
        match &self.kind {
            Kind::Text(values) => values.value(row),
            Kind::LargeText(values) => values.value(row),
            Kind::TextView(values) => values.value(row),
            _ => "",
        }
    }

    fn write_scalar(&self, row: usize, options: &JsonOptions, out: &mut Vec<u8>) {
        match &self.kind {
            Kind::Bool(values) => {
                out.extend_from_slice(if values.value(row) { b"true" } else { b"false" });
            }
            Kind::I8(values) => write_integer(values[row], out),
            Kind::I16(values) => write_integer(values[row], out),
            Kind::I32(values) => write_integer(values[row], out),
            Kind::I64(values) => write_integer(values[row], out),
            Kind::U8(values) => write_integer(values[row], out),
            Kind::U16(values) => write_integer(values[row], out),
            Kind::U32(values) => write_integer(values[row], out),
            Kind::U64(values) => write_integer(values[row], out),
            Kind::F32(values) => write_float(values[row], out),
            Kind::F64(values) => write_float(values[row], out),
            Kind::Decimal(values, scale) => match options.scientific_decimals {
                true => write_decimal_as_java(values[row], *scale, out),
                false => write_decimal(values[row], *scale, out),
            },
            Kind::Binary(values) => write_base64(values.value(row), out),
            Kind::Date(values) => write_date(i64::from(values[row]), out),
            Kind::Time32(values, unit) => write_time(i64::from(values[row]), *unit, out),
            Kind::Time64(values, unit) => write_time(values[row], *unit, out),
            Kind::Timestamp(values, unit, zoned) => {
                write_timestamp(values[row], *unit, options.timestamps, *zoned, out);
            }
            Kind::Null
            | Kind::Text(_)
            | Kind::LargeText(_)
            | Kind::TextView(_)
            | Kind::List(..)
            | Kind::Struct(..)
            | Kind::Map(..) => {}
        }
    }
}

/// `{"name":value,…}` from columns whose names were made by [`json_name`].
pub(super) fn write_object<N: AsRef<[u8]>>(
    fields: &[(N, Cells<'_>)],
    row: usize,
    options: &JsonOptions,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    for (name, cells) in fields {
        if options.ignore_null_fields && cells.is_null(row) {
            continue;
        }
        out.extend_from_slice(name.as_ref());
        cells.write_json(row, options, out);
    }
    match out.get_mut(start) {
        Some(comma) => *comma = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
}

/// `,"name":`, escaped.
pub(super) fn json_name(name: &str) -> Vec<u8> {
    let mut out = vec![b','];
    write_string(name, &mut out);
    out.push(b':');
    out
}

pub(super) fn range(offsets: &OffsetBuffer<i32>, row: usize) -> std::ops::Range<usize> {
    offsets[row] as usize..offsets[row + 1] as usize
}

/// A comma, but not behind the opening bracket: what is written before never ends in one.
fn separate(out: &mut Vec<u8>, open: u8) {
    if out.last() != Some(&open) {
        out.push(b',');
    }
}

fn write_quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    // Most strings are written as they are: to see so takes no look at each byte alone.
    let special = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
    if text.bytes().fold(false, |found, byte| found | special(byte)) {
        return serde_json::to_writer(out, text).expect("a Vec takes all bytes");
    }
    write_quoted(out, |out| out.extend_from_slice(text.as_bytes()));
}

fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    // Four letters for three bytes.
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = BASE64.encode_slice(bytes, &mut out[start..]);
    written.expect("there is room for all letters");
}
