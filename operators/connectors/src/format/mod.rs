//! Formats: messages to columns and rows to messages. One file a format.

mod avro;
mod avro_confluent;
mod avro_read;
mod avro_value;
mod canal_json;
mod cells;
mod changelog_json;
mod column;
mod csv;
mod debezium_json;
mod json_decode;
mod json_encode;
mod json_layout;
mod json_object;
mod json_scan;
mod json_visit;
mod maxwell_json;
mod minute;
mod number;
mod ogg_json;
mod protobuf;
mod raw;
mod rows;
mod schema_registry;
mod text;
mod values;

#[cfg(test)]
mod avro_tests;
#[cfg(test)]
mod changelog_tests;
#[cfg(test)]
mod encode_tests;
#[cfg(test)]
mod json_tests;
#[cfg(test)]
mod protobuf_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod unread_tests;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::FieldRef;
use nowcast_engine::{ChangelogMode, Error, Result, TableDefinition};

pub use self::avro::AvroOptions;
pub use self::avro_confluent::ConfluentOptions;
pub use self::cells::Cells;
pub use self::changelog_json::ChangelogOptions;
pub use self::column::{Column, Misfit};
pub use self::csv::{CsvDecoder, CsvEncoder, CsvOptions};
pub use self::json_decode::{JsonDecoder, JsonOptions};
pub use self::protobuf::ProtobufOptions;
pub use self::raw::RawOptions;
pub use self::rows::DecodedRows;
pub use self::text::TimestampStandard;
use crate::options::Options;

/// Turns messages into columns.
pub trait Decoder: Send {
    /// Appends the rows of a message and says how many: one; none where the message is bad and the
    /// format's `ignore-parse-errors` is on; any number where the format is a changelog.
    ///
    /// # Errors
    /// What is wrong with the message, naming the field. Nothing has been appended then: the rows
    /// before and after are as if the message had never been there.
    fn decode(&mut self, message: &[u8]) -> Result<usize, Misfit>;

    /// The rows so far.
    fn rows(&mut self) -> &mut DecodedRows;
}

/// Turns rows into messages.
pub trait Encoder: Send + Sync {
    /// Asks the outside for what encoding needs, before the first row. It blocks.
    fn connect(&mut self) -> Result<()> {
        Ok(())
    }

    /// One message a row; the columns come in the order of the fields. Of a format that is a
    /// changelog, a row of negative weight is a delete; others are never given one.
    fn encode(&self, columns: &[ArrayRef], weights: Option<&Int64Array>) -> Result<Encoded>;
}

/// The messages of a batch of rows behind each other.
#[derive(Debug, Default)]
pub struct Encoded {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Encoded {
    /// The messages of rows: `write` appends that of each.
    fn of(rows: usize, mut write: impl FnMut(usize, &mut Vec<u8>)) -> Self {
        let mut encoded = Self { bytes: vec![], ends: Vec::with_capacity(rows) };
        for row in 0..rows {
            encoded.push(|out| write(row, out));
        }
        encoded
    }

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

/// The names of [`Format`]s.
pub const FORMATS: [&str; 10] = [
    "json",
    "csv",
    "raw",
    "debezium-json",
    "canal-json",
    "maxwell-json",
    "ogg-json",
    "avro",
    "avro-confluent",
    "protobuf",
];

/// A format with its options.
#[derive(Debug, Clone)]
pub enum Format {
    Json(JsonOptions),
    Changelog(ChangelogOptions),
    Avro(AvroOptions),
    AvroConfluent(ConfluentOptions),
    Protobuf(ProtobufOptions),
    Csv(CsvOptions),
    Raw(RawOptions),
}

impl Format {
    /// The format of a table's values: its option `format`, with those of the format.
    ///
    /// # Errors
    /// For a name or an option that there is not, naming the table and the option.
    pub fn of(table: &TableDefinition) -> Result<Self> {
        let options = Options::new(table);
        Self::read(&options, "format", options.required("format")?, "")
    }

    /// Reads the format `name`, which the option `key` gave, with its options under `prefix`
    /// (`value.` for `value.json.…`).
    pub fn read(options: &Options<'_>, key: &str, name: &str, prefix: &str) -> Result<Self> {
        match name {
            "json" => Ok(Self::Json(JsonOptions::read(options, prefix)?)),
            "debezium-json" | "canal-json" | "maxwell-json" | "ogg-json" => {
                Ok(Self::Changelog(ChangelogOptions::read(options, name, prefix)?))
            }
            "avro" => Ok(Self::Avro(AvroOptions::read(options, &format!("{prefix}avro."))?)),
            "avro-confluent" => {
                let prefix = format!("{prefix}avro-confluent.");
                Ok(Self::AvroConfluent(ConfluentOptions::read(options, &prefix)?))
            }
            "protobuf" => {
                let prefix = format!("{prefix}protobuf.");
                Ok(Self::Protobuf(ProtobufOptions::read(options, &prefix)?))
            }
            "csv" => Ok(Self::Csv(CsvOptions::read(options, prefix)?)),
            "raw" => Ok(Self::Raw(RawOptions::read(options, prefix)?)),
            other => Err(options.refuse(key, other, &format!("one of {}", FORMATS.join(", ")))),
        }
    }

    /// Which changes the rows of messages are.
    pub fn changelog_mode(&self) -> ChangelogMode {
        match self {
            Self::Changelog(_) => ChangelogMode::Retract,
            _ => ChangelogMode::Append,
        }
    }

    /// A decoder whose columns are all fields of the messages.
    pub fn decoder(&self, fields: &[FieldRef]) -> Result<Box<dyn Decoder>> {
        self.decoder_of(fields, &(0..fields.len()).collect::<Vec<_>>(), &[])
    }

    /// A decoder whose columns are the fields at the positions `read`. The others are passed over,
    /// whatever their values are, if the message is well-formed; so may be those that stand in
    /// rows and are `unread`, by names from outside to inside.
    pub fn decoder_of(
        &self,
        fields: &[FieldRef],
        read: &[usize],
        unread: &[Vec<String>],
    ) -> Result<Box<dyn Decoder>> {
        let wanted: Vec<FieldRef> = read.iter().map(|at| fields[*at].clone()).collect();
        Ok(match self {
            Self::Json(options) => {
                Box::new(json_decode::JsonDecoder::without(&wanted, unread, options)?)
            }
            Self::Changelog(options) => {
                Box::new(changelog_json::ChangelogDecoder::new(&wanted, options)?)
            }
            Self::Avro(options) => Box::new(avro::AvroDecoder::new(fields, &wanted, options)?),
            Self::AvroConfluent(options) => {
                Box::new(avro_confluent::ConfluentDecoder::new(fields, &wanted, options)?)
            }
            Self::Protobuf(options) => {
                Box::new(protobuf::ProtobufDecoder::new(fields, &wanted, options)?)
            }
            Self::Csv(options) => Box::new(csv::CsvDecoder::new(fields, read, options)?),
            Self::Raw(options) => Box::new(raw::RawDecoder::new(fields, &wanted, options)?),
        })
    }

    pub fn encoder(&self, fields: &[FieldRef]) -> Result<Box<dyn Encoder>> {
        Ok(match self {
            Self::Json(options) => Box::new(json_encode::JsonEncoder::new(fields, options)),
            Self::Changelog(options) => {
                Box::new(changelog_json::ChangelogEncoder::new(fields, options)?)
            }
            Self::Avro(options) => Box::new(avro::AvroEncoder::new(fields, options)?),
            Self::AvroConfluent(options) => {
                Box::new(avro_confluent::ConfluentEncoder::new(fields, options)?)
            }
            Self::Protobuf(options) => Box::new(protobuf::ProtobufEncoder::new(fields, options)?),
            Self::Csv(options) => Box::new(csv::CsvEncoder::new(fields, options)),
            Self::Raw(options) => Box::new(raw::RawEncoder::new(fields, options)?),
        })
    }
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
