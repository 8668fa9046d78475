//! Delimited text, one record a message or line.

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::FieldRef;
use csv::{ByteRecord, ReaderBuilder};
use nowcast_engine::{Error, Result};

use super::cells::Cells;
use super::column::{Column, Misfit};
use super::json_decode::JsonOptions;
use super::text::TimestampStandard;
use super::values::Values;
use super::{DecodedRows, Decoder, Encoded, Encoder, one_character};
use crate::options::Options;

/// `csv.*`, as in Flink, and `csv.header`, which is ours: the first line of a file names its columns.
#[derive(Debug, Clone)]
pub struct CsvOptions {
    delimiter: u8,
    quote: Option<u8>,
    escape: Option<u8>,
    comments: bool,
    null_literal: Option<String>,
    element_delimiter: String,
    ignore_parse_errors: bool,
    pub header: bool,
}

impl CsvOptions {
    pub fn read(options: &Options<'_>, prefix: &str) -> Result<Self> {
        let key = |name: &str| format!("{prefix}csv.{name}");
        let quote = one_character(options, &key("quote-character"), b'"')?;
        let unquoted = options.flag(&key("disable-quote-character"), false)?;
        let escape = match options.text(&key("escape-character")) {
            Some(_) => Some(one_character(options, &key("escape-character"), b'\\')?),
            None => None,
        };
        Ok(Self {
            delimiter: one_character(options, &key("field-delimiter"), b',')?,
            quote: (!unquoted).then_some(quote),
            escape,
            comments: options.flag(&key("allow-comments"), false)?,
            null_literal: options.text(&key("null-literal")).map(str::to_owned),
            element_delimiter: options
                .text(&key("array-element-delimiter"))
                .unwrap_or(";")
                .to_owned(),
            ignore_parse_errors: options.flag(&key("ignore-parse-errors"), false)?,
            header: options.flag(&key("header"), false)?,
        })
    }

    /// A reader of records with these options; the header line is left to the caller.
    pub fn reader(&self) -> ReaderBuilder {
        let mut builder = ReaderBuilder::new();
        builder
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .quoting(self.quote.is_some())
            .quote(self.quote.unwrap_or(b'"'))
            .escape(self.escape)
            .comment(self.comments.then_some(b'#'));
        builder
    }
}

/// An empty cell is an empty STRING and the NULL of every other type; `csv.null-literal` is NULL.
pub struct CsvDecoder {
    rows: DecodedRows,
    /// Where in the record each field is.
    cells: Vec<usize>,
    /// Cells a record must have.
    width: usize,
    options: CsvOptions,
}

impl CsvDecoder {
    /// Of records of `fields`, those at the positions `read`.
    pub fn new(fields: &[FieldRef], read: &[usize], options: &CsvOptions) -> Result<Self> {
        let wanted: Vec<FieldRef> = read.iter().map(|at| fields[*at].clone()).collect();
        let rows = DecodedRows::new(&wanted)?;
        Ok(Self { rows, cells: read.to_vec(), width: fields.len(), options: options.clone() })
    }

    /// As `new`, for records with the columns that `header` names, in its order.
    pub fn with_header(
        fields: &[FieldRef],
        read: &[usize],
        options: &CsvOptions,
        header: &ByteRecord,
    ) -> Result<Self> {
        let mut decoder = Self::new(fields, read, options)?;
        let position = |field: &FieldRef| {
            let found = header.iter().position(|name| name.trim_ascii() == field.name().as_bytes());
            found.ok_or_else(|| {
                let names: Vec<_> = header.iter().map(String::from_utf8_lossy).collect();
                Error::user(format!(
                    "the header has no column \"{}\", only {}",
                    field.name(),
                    names.join(", ")
                ))
            })
        };
        let cells = fields.iter().map(position).collect::<Result<Vec<_>>>()?;
        decoder.cells = read.iter().map(|at| cells[*at]).collect();
        decoder.width = header.len();
        Ok(decoder)
    }

    pub fn decode_record(&mut self, record: &ByteRecord) -> Result<usize, Misfit> {
        let read = self.read(record);
        self.settle(read)
    }

    fn read(&mut self, record: &ByteRecord) -> Result<(), Misfit> {
        if record.len() != self.width {
            return Err(format!("{} fields, not {}", record.len(), self.width));
        }
        for (column, cell) in self.rows.columns.iter_mut().zip(&self.cells) {
            let pushed = match std::str::from_utf8(&record[*cell]) {
                Ok(text) => push(column, text, &self.options),
                Err(_) => Err("not valid UTF-8".into()),
            };
            let Err(misfit) = pushed else { continue };
            column.truncate(self.rows.len);
            if !(self.options.ignore_parse_errors && column.push_null().is_ok()) {
                return Err(format!("field \"{}\": {misfit}", column.name()));
            }
        }
        Ok(())
    }

    fn settle(&mut self, read: Result<(), Misfit>) -> Result<usize, Misfit> {
        let Err(misfit) = read else {
            self.rows.len += 1;
            return Ok(1);
        };
        self.rows.truncate(self.rows.len);
        match self.options.ignore_parse_errors {
            true => Ok(0),
            false => Err(misfit),
        }
    }
}

fn push(column: &mut Column, text: &str, options: &CsvOptions) -> Result<(), Misfit> {
    // As Jackson reads it, an array of the null literal is an array of one NULL.
    let is_list = matches!(column.values, Values::List(..));
    let null = (options.null_literal.as_deref() == Some(text) && !is_list)
        || (text.trim().is_empty() && !matches!(column.values, Values::Text(_)));
    if null {
        return column.push_null();
    }
    let row = column.len();
    match &mut column.values {
        Values::List(offsets, items) => {
            for item in text.split(&options.element_delimiter) {
                push(items, item, options)?;
            }
            offsets.push(items.len());
        }
        Values::Struct(columns) => {
            let columns = columns.settled();
            let mut parts = text.split(&options.element_delimiter);
            for column in columns.iter_mut() {
                push(column, parts.next().unwrap_or_default(), options)?;
            }
            if parts.next().is_some() || columns.iter().any(|column| column.len() != row + 1) {
                return Err(format!("more than {} parts", columns.len()));
            }
        }
        _ => return column.push_text(text, TimestampStandard::Sql),
    }
    column.push_valid();
    Ok(())
}

impl Decoder for CsvDecoder {
    fn decode(&mut self, message: &[u8]) -> Result<usize, Misfit> {
        let mut reader =
            self.options.reader().buffer_capacity(message.len().max(1)).from_reader(message);
        let mut record = ByteRecord::new();
        let read = match reader.read_byte_record(&mut record) {
            Ok(true) => self.read(&record),
            Ok(false) => Err("an empty message".into()),
            Err(error) => Err(error.to_string()),
        };
        self.settle(read)
    }

    fn rows(&mut self) -> &mut DecodedRows {
        &mut self.rows
    }
}

/// Cells are quoted where they hold a delimiter, a quote or a line break. The parts of
/// arrays and rows are joined by `csv.array-element-delimiter`.
pub struct CsvEncoder {
    width: usize,
    options: CsvOptions,
}

impl CsvEncoder {
    pub fn new(fields: &[FieldRef], options: &CsvOptions) -> Self {
        Self { width: fields.len(), options: options.clone() }
    }

    /// A record of the fields' names.
    pub fn header(fields: &[FieldRef], options: &CsvOptions) -> Vec<u8> {
        let mut out = vec![];
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                out.push(options.delimiter);
            }
            let start = out.len();
            out.extend_from_slice(field.name().as_bytes());
            quote(start, options, &mut out);
        }
        out
    }
}

impl Encoder for CsvEncoder {
    fn encode(&self, columns: &[ArrayRef], _: Option<&Int64Array>) -> Result<Encoded> {
        super::check_width(self.width, columns)?;
        let cells = columns.iter().map(Cells::new).collect::<Result<Vec<_>>>()?;
        let json = JsonOptions::default();
        let null = self.options.null_literal.as_deref().unwrap_or_default();
        let rows = columns.first().map_or(0, |column| column.len());
        Ok(Encoded::of(rows, |row, out| {
            for (at, cells) in cells.iter().enumerate() {
                if at > 0 {
                    out.push(self.options.delimiter);
                }
                if cells.is_null(row) {
                    out.extend_from_slice(null.as_bytes());
                    continue;
                }
                let start = out.len();
                cells.write_joined(row, &self.options.element_delimiter, &json, out);
                quote(start, &self.options, out);
            }
        }))
    }
}

/// Quotes the cell that begins at `start`, where it must be.
fn quote(start: usize, options: &CsvOptions, out: &mut Vec<u8>) {
    let special = |byte: &u8| {
        *byte == options.delimiter || Some(*byte) == options.quote || matches!(byte, b'\n' | b'\r')
    };
    let Some(quote) = options.quote.filter(|_| out[start..].iter().any(special)) else { return };
    let text = out.split_off(start);
    out.push(quote);
    for byte in text {
        if byte == quote {
            out.push(options.escape.unwrap_or(quote));
        }
        out.push(byte);
    }
    out.push(quote);
}
