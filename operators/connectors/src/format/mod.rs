//! Formats: messages to columns and rows to messages. One file a format.

mod cells;
mod column;
mod csv;
mod json_decode;
mod json_encode;
mod raw;
mod text;

#[cfg(test)]
mod tests;

use arrow::array::ArrayRef;
use arrow::datatypes::FieldRef;
use nowcast_engine::{Error, Result};

pub use self::cells::Cells;
pub use self::column::{Column, Misfit};
pub use self::csv::{CsvDecoder, CsvEncoder, CsvOptions};
pub use self::json_decode::JsonOptions;
pub use self::raw::RawOptions;
pub use self::text::TimestampStandard;
use crate::options::Options;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    Row,
    /// Bad, and the format's `ignore-parse-errors` is on.
    Skipped,
}

/// Turns messages into columns, one row a message.
pub trait Decoder: Send {
    /// Appends the row of a message.
    ///
    /// # Errors
    /// What is wrong with the message, naming the field. Nothing has been appended then: the rows
    /// before and after are as if the message had never been there.
    fn decode(&mut self, message: &[u8]) -> Result<Decoded, Misfit>;

    /// Appends a row of nulls, for a message that is not there (a Kafka key).
    fn decode_nothing(&mut self) -> Result<(), Misfit>;

    /// Forgets all rows from `rows` on.
    fn truncate(&mut self, rows: usize);

    /// The columns so far, in the order of the fields; the decoder is empty after.
    fn finish(&mut self) -> Result<Vec<ArrayRef>>;
}

/// Turns rows into messages.
pub trait Encoder: Send + Sync {
    /// One message a row; the columns come in the order of the fields.
    fn encode(&self, columns: &[ArrayRef]) -> Result<Encoded>;
}

/// The messages of a batch of rows behind each other.
#[derive(Debug, Default)]
pub struct Encoded {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Encoded {
    /// Takes the next row's message from what `write` appends.
    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Each row's message.
    pub fn rows(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| &self.bytes[std::mem::replace(&mut start, *end)..*end])
    }
}

/// A format with its options.
#[derive(Debug, Clone)]
pub enum Format {
    Json(JsonOptions),
    Csv(CsvOptions),
    Raw(RawOptions),
}

impl Format {
    /// Reads the format `name`, which the option `key` gave, with its options under `prefix`
    /// (`value.` for `value.json.…`).
    pub fn read(options: &Options<'_>, key: &str, name: &str, prefix: &str) -> Result<Self> {
        match name {
            "json" => Ok(Self::Json(JsonOptions::read(options, prefix)?)),
            "csv" => Ok(Self::Csv(CsvOptions::read(options, prefix)?)),
            "raw" => Ok(Self::Raw(RawOptions::read(options, prefix)?)),
            other => Err(options.refuse(key, other, "one of json, csv, raw")),
        }
    }

    pub fn decoder(&self, fields: &[FieldRef]) -> Result<Box<dyn Decoder>> {
        Ok(match self {
            Self::Json(options) => Box::new(json_decode::JsonDecoder::new(fields, options)?),
            Self::Csv(options) => Box::new(csv::CsvDecoder::new(fields, options)?),
            Self::Raw(options) => Box::new(raw::RawDecoder::new(fields, options)?),
        })
    }

    pub fn encoder(&self, fields: &[FieldRef]) -> Result<Box<dyn Encoder>> {
        Ok(match self {
            Self::Json(options) => Box::new(json_encode::JsonEncoder::new(fields, options)),
            Self::Csv(options) => Box::new(csv::CsvEncoder::new(fields, options)),
            Self::Raw(options) => Box::new(raw::RawEncoder::new(fields, options)?),
        })
    }
}

/// New columns for `fields`.
fn columns(fields: &[FieldRef]) -> Result<Vec<Column>> {
    fields.iter().map(Column::new).collect()
}

/// One null a column, or nothing and why.
fn push_nulls(columns: &mut [Column]) -> Result<(), Misfit> {
    let rows = columns.first().map_or(0, Column::len);
    for at in 0..columns.len() {
        if let Err(misfit) = columns[at].push_null() {
            columns.iter_mut().for_each(|column| column.truncate(rows));
            return Err(format!("field \"{}\": {misfit}", columns[at].name()));
        }
    }
    Ok(())
}

fn finish(columns: &mut [Column]) -> Result<Vec<ArrayRef>> {
    columns.iter_mut().map(Column::finish).collect()
}

fn one_character(options: &Options<'_>, key: &str, default: u8) -> Result<u8> {
    match options.text(key) {
        None => Ok(default),
        Some("\\t") => Ok(b'\t'),
        Some(text) => match text.as_bytes() {
            [byte] if byte.is_ascii() => Ok(*byte),
            _ => Err(options.refuse(key, text, "one ASCII character")),
        },
    }
}

/// A bug: the columns given to an encoder are not those it was made for.
fn check_width(fields: usize, columns: &[ArrayRef]) -> Result<()> {
    match fields == columns.len() {
        true => Ok(()),
        false => Err(Error::bug(format!("{} columns for {fields} fields", columns.len()))),
    }
}
