//! JSON objects straight into typed columns, without a tree in between.

use std::cell::RefCell;

use arrow::datatypes::FieldRef;
use nowcast_engine::Result;
use serde::de::DeserializeSeed as _;

use super::column::Misfit;
use super::json_layout;
use super::json_object::ObjectReader;
use super::json_visit::{Context, Path, Row};
use super::text::TimestampStandard;
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
    object: ObjectReader,
}

impl JsonDecoder {
    pub fn new(fields: &[FieldRef], options: &JsonOptions) -> Result<Self> {
        Self::without(fields, &[], options)
    }

    /// `unread` are fields within the fields, as in [`super::Format::decoder_of`].
    pub(super) fn without(
        fields: &[FieldRef],
        unread: &[Vec<String>],
        options: &JsonOptions,
    ) -> Result<Self> {
        let rows = DecodedRows::without(fields, unread)?;
        let object = ObjectReader::new(fields, &rows.columns, options);
        Ok(Self { fields: fields.to_vec(), rows, options: options.clone(), object })
    }

    /// Reads all messages in the general way, for as long as a test lasts.
    #[cfg(test)]
    pub(super) fn in_general(mut self) -> Self {
        self.object.layout = json_layout::Layout::never();
        self
    }

    /// Reads a message by the layout; `None` where it has another, or is in any way unusual. The
    /// columns may then have parts of a row too many.
    pub(super) fn read_by_layout(&mut self, message: &[u8]) -> Option<()> {
        let end = self.object.read(&mut self.rows.columns, self.rows.len, message, 0)?;
        (json_layout::skip_space(message, end) == message.len()).then_some(())
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

impl Decoder for JsonDecoder {
    fn decode(&mut self, message: &[u8]) -> Result<usize, Misfit> {
        if self.rows.len == 0 {
            self.rows.reserve();
        }
        let tried = self.object.layout.is_worth_it();
        if tried && self.read_by_layout(message).is_some() {
            self.object.layout.hit();
            self.rows.len += 1;
            return Ok(1);
        }
        if tried {
            self.object.layout.miss();
            self.rows.truncate(self.rows.len);
        }
        match self.read(message) {
            Ok(()) => {
                self.object.learn(message, 0);
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
