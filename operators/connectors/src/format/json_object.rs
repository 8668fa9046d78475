//! Objects by their learned layout, straight into columns; those within by layouts of their own.

use std::cell::RefCell;

use arrow::datatypes::{FieldRef, Fields};
use serde::de::DeserializeSeed as _;

use super::column::Column;
use super::json_decode::JsonOptions;
use super::json_layout::{self, Layout, START, Then};
use super::json_scan::{digits, plain_end, text_end};
use super::json_visit::{Context, Path, Value};
use super::minute::Timestamps;
use super::values::Values;

/// Objects within objects that have a layout; what is deeper is read in the general way.
const DEPTH_MAX: usize = 24;

/// Reads objects of these fields.
pub(super) struct ObjectReader {
    fields: Fields,
    options: JsonOptions,
    pub(super) layout: Layout,
    /// Of the fields that are timestamps.
    timestamps: Vec<Option<Timestamps>>,
    /// Of the fields that are rows.
    parts: Vec<Option<ObjectReader>>,
}

impl ObjectReader {
    /// `columns` are those of the fields.
    pub fn new(fields: &[FieldRef], columns: &[Column], options: &JsonOptions) -> Self {
        Self::within(fields.into(), columns, options, 0)
    }

    fn within(fields: Fields, columns: &[Column], options: &JsonOptions, depth: usize) -> Self {
        let timestamps = columns.iter().map(|column| match column.values {
            Values::Timestamp(_, unit, zoned) => {
                Some(Timestamps::new(options.timestamps, zoned, unit))
            }
            _ => None,
        });
        let part = |column: &Column| match &column.values {
            Values::Struct(parts) if depth < DEPTH_MAX => {
                Some(Self::within(parts.fields().clone(), parts.columns(), options, depth + 1))
            }
            _ => None,
        };
        let (timestamps, parts) = (timestamps.collect(), columns.iter().map(part).collect());
        Self { fields, options: options.clone(), layout: Layout::new(), timestamps, parts }
    }

    /// Reads the object at `at` behind the first `row` rows of the columns, and says where it ends; `None`
    /// where it has another layout, or is in any way unusual. The columns may then have parts of a row too
    /// many.
    pub fn read(
        &mut self,
        columns: &mut [Column],
        row: usize,
        message: &[u8],
        mut at: usize,
    ) -> Option<usize> {
        let (mut literal, mut read) = (START, 0);
        // Of the first 64 fields; asking the columns costs more.
        let mut seen = 0_u64;
        loop {
            let (id, length, then) = self.layout.next(message, at, literal)?;
            literal = id;
            at += length;
            at = match then {
                Then::End => break,
                Then::Skip => skip(message, at)?,
                Then::Field(field) => {
                    read += 1;
                    let column = &mut columns[field];
                    let bit = 1_u64.checked_shl(field as u32).unwrap_or_default();
                    // The last value of a name counts.
                    if seen & bit != 0 || bit == 0 && column.len() > row {
                        return None;
                    }
                    seen |= bit;
                    self.read_value(field, column, row, message, at)?
                }
            };
        }
        if read == columns.len() {
            return Some(at);
        }
        for column in columns.iter_mut().filter(|column| column.len() == row) {
            if self.options.fail_on_missing_field {
                return None;
            }
            column.push_null().ok()?;
        }
        Some(at)
    }

    /// Takes in the literals of the object at `at`, which is known to be valid JSON.
    pub fn learn(&mut self, message: &[u8], at: usize) {
        let Self { fields, layout, parts, .. } = self;
        layout.learn(message, at, fields, |field, at| {
            if let (Some(part), Some(b'{')) = (&mut parts[field], message.get(at)) {
                part.learn(message, at);
            }
        });
    }

    /// Reads the value at `at` into the column of a field, and says where it ends.
    #[inline]
    fn read_value(
        &mut self,
        field: usize,
        column: &mut Column,
        row: usize,
        message: &[u8],
        at: usize,
    ) -> Option<usize> {
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
                    column.push_ascii(message, start..end, standard).ok()?;
                    return Some(end + 1);
                }
                end = text_end(message, end);
                if *message.get(end)? != b'"' {
                    return self.read_other(column, message, at);
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
                    _ => self.read_other(column, message, at),
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
            b'{' if let (Some(part), Values::Struct(parts)) =
                (&mut self.parts[field], &mut column.values) =>
            {
                if part.layout.is_worth_it() {
                    if let Some(end) = part.read(parts.settled(), row, message, at) {
                        part.layout.hit();
                        column.push_valid();
                        return Some(end);
                    }
                    part.layout.miss();
                    column.values.truncate(row);
                }
                let end = self.read_other(column, message, at)?;
                if let Some(part) = &mut self.parts[field] {
                    part.learn(message, at);
                }
                Some(end)
            }
            _ => self.read_other(column, message, at),
        }
    }

    /// Reads a value that is none of the plain ones in the general way.
    fn read_other(&self, column: &mut Column, message: &[u8], at: usize) -> Option<usize> {
        let raw = json_layout::value(message, at)?;
        // The general way counts from the message's beginning how deep it is.
        if raw.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() > NESTED_MAX {
            return None;
        }
        let context = Context { options: &self.options, fault: RefCell::default() };
        let value = Value { column, path: &Path::Root, context: &context };
        value.deserialize(&mut serde_json::Deserializer::from_str(raw)).ok()?;
        context.fault.into_inner().is_none().then_some(at + raw.len())
    }
}

/// Brackets in a value up to which it is surely not nested too deep for serde_json, which takes 128.
const NESTED_MAX: usize = 100 - DEPTH_MAX;

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
        b't' if message[at..].starts_with(b"true") => return Some(at + 4),
        b'f' if message[at..].starts_with(b"false") => return Some(at + 5),
        b'n' if message[at..].starts_with(b"null") => return Some(at + 4),
        _ => {}
    }
    Some(at + json_layout::value(message, at)?.len())
}
