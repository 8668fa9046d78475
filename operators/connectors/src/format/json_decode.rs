//! JSON objects straight into typed columns, without a tree in between.

use std::cell::RefCell;

use arrow::datatypes::FieldRef;
use nowcast_engine::Result;
use serde::de::DeserializeSeed as _;

use super::column::{Column, Misfit};
use super::json_layout::{self, Layout, START, Then};
use super::json_scan::{digits, plain_end, text_end};
use super::json_visit::{Context, Path, Row, Value};
use super::minute::Timestamps;
use super::text::TimestampStandard;
use super::values::Values;
use super::{DecodedRows, Decoder};
use crate::options::Options;

/// `json.*`, as in Flink.
#[derive(Debug, Clone, Default)]
pub struct JsonOptions {
    pub fail_on_missing_field: bool,
    /// A field that does not fit becomes NULL, a message that is no JSON is skipped.
    pub ignore_parse_errors: bool,
    pub timestamps: TimestampStandard,
    pub ignore_null_fields: bool,
    /// Decimals below 1e-6 are written as `2.7E-8`.
    pub scientific_decimals: bool,
}

impl JsonOptions {
    /// Of the `json` format, with what it alone has.
    pub fn read(options: &Options<'_>, prefix: &str) -> Result<Self> {
        let prefix = format!("{prefix}json.");
        let mut read = Self::read_shared(options, &prefix)?;
        // Which of Java's parsers reads; known for portability.
        options.flag(&format!("{prefix}decode.json-parser.enabled"), true)?;
        let missing = format!("{prefix}fail-on-missing-field");
        read.fail_on_missing_field = options.flag(&missing, false)?;
        match read.fail_on_missing_field && read.ignore_parse_errors {
            true => Err(options.refuse(&missing, "true", "false beside ignore-parse-errors")),
            false => Ok(read),
        }
    }

    /// What all formats that are JSON share, under `prefix` (`value.debezium-json.`).
    pub fn read_shared(options: &Options<'_>, prefix: &str) -> Result<Self> {
        let key = |name: &str| format!("{prefix}{name}");
        let standards = [("SQL", TimestampStandard::Sql), ("ISO-8601", TimestampStandard::Iso8601)];
        // Keys of our maps are never null; the options are known for portability.
        options
            .choice(&key("map-null-key.mode"), &[("FAIL", ()), ("DROP", ()), ("LITERAL", ())])?;
        options.text(&key("map-null-key.literal"));
        Ok(Self {
            fail_on_missing_field: false,
            ignore_parse_errors: options.flag(&key("ignore-parse-errors"), false)?,
            timestamps: options.choice(&key("timestamp-format.standard"), &standards)?,
            ignore_null_fields: options.flag(&key("encode.ignore-null-fields"), false)?,
            scientific_decimals: !options.flag(&key("encode.decimal-as-plain-number"), false)?,
        })
    }
}

/// Fields are found by name and may come in any order; those that are not declared are skipped; of
/// a name that is there twice the last value counts.
///
/// Coercions are Flink's: a string of digits fits a number, any value fits STRING as its text, the
/// fraction of a number is cut off for INT and BIGINT, and fits no smaller integer. Two are stricter: a string other than true and
/// false is no BOOLEAN, and a number too large for its DECIMAL is an error, not NULL.
///
/// Messages most often have the layout of those before: they are read by it, and in the general way
/// where anything about them is not as expected. Both ways make the same rows, and errors come
/// from the general way alone.
pub struct JsonDecoder {
    fields: Vec<FieldRef>,
    rows: DecodedRows,
    options: JsonOptions,
    layout: Layout,
    /// Of the fields that are timestamps.
    timestamps: Vec<Option<Timestamps>>,
}

impl JsonDecoder {
    pub fn new(fields: &[FieldRef], options: &JsonOptions) -> Result<Self> {
        Self::with_layout(fields, options, Layout::new())
    }

    pub(super) fn with_layout(
        fields: &[FieldRef],
        options: &JsonOptions,
        layout: Layout,
    ) -> Result<Self> {
        let rows = DecodedRows::new(fields)?;
        let timestamps = rows.columns.iter().map(|column| match column.values {
            Values::Timestamp(_, unit, zoned) => {
                Some(Timestamps::new(options.timestamps, zoned, unit))
            }
            _ => None,
        });
        let timestamps = timestamps.collect();
        let (fields, options) = (fields.to_vec(), options.clone());
        Ok(Self { fields, rows, options, layout, timestamps })
    }

    /// Reads a message by the layout; `None` where it has another, or is in any way unusual. The
    /// columns may then have parts of a row too many.
    pub(super) fn read_by_layout(&mut self, message: &[u8]) -> Option<()> {
        let (mut at, mut literal, mut read) = (0, START, 0);
        loop {
            let (id, length, then) = self.layout.next(message, at, literal)?;
            literal = id;
            at += length;
            at = match then {
                Then::End => break,
                Then::Skip => skip(message, at)?,
                Then::Field(field) => {
                    read += 1;
                    self.read_value(field, message, at)?
                }
            };
        }
        if json_layout::skip_space(message, at) < message.len() {
            return None;
        }
        if read == self.rows.columns.len() {
            return Some(());
        }
        let missing = self.rows.columns.iter_mut().filter(|column| column.len() == self.rows.len);
        for column in missing {
            if self.options.fail_on_missing_field {
                return None;
            }
            column.push_null().ok()?;
        }
        Some(())
    }

    /// Reads the value at `at` into the column of a field, and says where it ends.
    #[inline]
    fn read_value(&mut self, field: usize, message: &[u8], at: usize) -> Option<usize> {
        let column = &mut self.rows.columns[field];
        if column.len() > self.rows.len {
            // The last value of a name counts.
            return None;
        }
        match *message.get(at)? {
            b'"' => {
                if let Some(timestamps) = &mut self.timestamps[field]
                    && let Some(end) = read_timestamp(timestamps, column, message, at + 1)
                {
                    return Some(end);
                }
                let (start, standard) = (at + 1, self.options.timestamps);
                let mut end = plain_end(message, start);
                if *message.get(end)? == b'"' {
                    column.push_ascii(&message[start..end], standard).ok()?;
                    return Some(end + 1);
                }
                end = text_end(message, end);
                if *message.get(end)? != b'"' {
                    return self.read_other(field, message, at);
                }
                let text = std::str::from_utf8(&message[start..end]).ok()?;
                column.push_text(text, standard).ok()?;
                Some(end + 1)
            }
            b'0'..=b'9' | b'-' => {
                let negative = message[at] == b'-';
                match digits(message, at + usize::from(negative)) {
                    Some((value, end)) if is_integer(message, end, negative, value) => {
                        // At most 16 digits.
                        let value = value as i64;
                        column.push_integer(if negative { -value } else { value }).ok()?;
                        Some(end)
                    }
                    _ => self.read_other(field, message, at),
                }
            }
            b'n' if message[at..].starts_with(b"null") => {
                column.push_null().ok()?;
                Some(at + 4)
            }
            b't' if message[at..].starts_with(b"true") => {
                column.push_bool(true).ok()?;
                Some(at + 4)
            }
            b'f' if message[at..].starts_with(b"false") => {
                column.push_bool(false).ok()?;
                Some(at + 5)
            }
            _ => self.read_other(field, message, at),
        }
    }

    /// Reads a value that is none of the plain ones in the general way.
    fn read_other(&mut self, field: usize, message: &[u8], at: usize) -> Option<usize> {
        let raw = json_layout::value(message, at)?;
        // The general way counts from the message's beginning how deep it is.
        if raw.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() > NESTED_MAX {
            return None;
        }
        let context = Context { options: &self.options, fault: RefCell::default() };
        let column = &mut self.rows.columns[field];
        let value = Value { column, path: &Path::Root, context: &context };
        value.deserialize(&mut serde_json::Deserializer::from_str(raw)).ok()?;
        context.fault.into_inner().is_none().then_some(at + raw.len())
    }

    fn read(&mut self, message: &[u8]) -> Result<(), Misfit> {
        let context = Context { options: &self.options, fault: RefCell::default() };
        let row = Row {
            fields: &self.fields,
            row: self.rows.len,
            columns: &mut self.rows.columns,
            path: &Path::Root,
            context: &context,
        };
        let mut json = serde_json::Deserializer::from_slice(message);
        let read = row.deserialize(&mut json).and_then(|()| json.end());
        read.map_err(|error| format!("malformed json: {error}"))?;
        context.fault.into_inner().map_or(Ok(()), Err)
    }
}

/// Brackets in a value up to which it is surely not nested too deep for serde_json, which takes 128.
const NESTED_MAX: usize = 100;

/// Reads a timestamp with seconds, or with milliseconds, from behind its opening quote.
#[inline]
fn read_timestamp(
    timestamps: &mut Timestamps,
    column: &mut Column,
    message: &[u8],
    start: usize,
) -> Option<usize> {
    let usual = [23, 19, 24, 20].into_iter().map(|length| start + length);
    let end = usual.into_iter().find(|end| message.get(*end) == Some(&b'"'))?;
    let value = timestamps.parse(&message[start..end])?;
    column.push_in_unit(value);
    Some(end + 1)
}

/// Whether digits up to `end` are a whole integer, and none that serde_json takes for a float.
#[inline]
fn is_integer(message: &[u8], end: usize, negative: bool, value: u64) -> bool {
    !(matches!(message.get(end), Some(b'.' | b'e' | b'E')) || negative && value == 0)
}

/// Passes over a value that nobody reads.
#[inline]
fn skip(message: &[u8], at: usize) -> Option<usize> {
    match *message.get(at)? {
        b'"' => {
            let end = text_end(message, at + 1);
            if message.get(end) == Some(&b'"') {
                return Some(end + 1);
            }
        }
        b'0'..=b'9' => {
            if let Some((value, end)) = digits(message, at)
                && is_integer(message, end, false, value)
            {
                return Some(end);
            }
        }
        _ => {}
    }
    Some(at + json_layout::value(message, at)?.len())
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, message: &[u8]) -> Result<usize, Misfit> {
        if self.rows.len == 0 {
            self.rows.reserve();
        }
        let tried = self.layout.is_worth_it();
        if tried && self.read_by_layout(message).is_some() {
            self.layout.hit();
            self.rows.len += 1;
            return Ok(1);
        }
        if tried {
            self.layout.miss();
            self.rows.truncate(self.rows.len);
        }
        match self.read(message) {
            Ok(()) => {
                self.layout.learn(message, &self.fields);
                self.rows.len += 1;
                Ok(1)
            }
            Err(misfit) => {
                self.rows.truncate(self.rows.len);
                match self.options.ignore_parse_errors {
                    true => Ok(0),
                    false => Err(misfit),
                }
            }
        }
    }

    fn rows(&mut self) -> &mut DecodedRows {
        &mut self.rows
    }
}
