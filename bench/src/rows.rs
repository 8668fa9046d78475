//! Rows of any CSV or newline-delimited JSON file as JSON, in event-time order: what `replay` sends.

use std::ffi::OsStr;
use std::fmt;
use std::io::Read;
use std::path::Path;

use csv::ByteRecord;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::timestamp::TimeFormat;
use crate::{Error, Event, file, json};

/// A whole file's rows, sorted by event time (ties in file order); held in memory as JSON.
#[derive(Debug)]
pub struct Rows {
    json: Vec<u8>,
    index: Vec<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    event_time_ms: i64,
    start: usize,
    end: usize,
}

/// One row: a JSON object on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    pub event_time_ms: i64,
    pub json: &'a [u8],
}

impl Event for Row<'_> {
    fn event_time_ms(&self) -> i64 {
        self.event_time_ms
    }

    /// None: a file does not say which column is the key.
    fn key(&self) -> String {
        String::new()
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.json);
    }
}

impl Rows {
    /// Reads `.csv` (first line is the header) or `.json`, `.jsonl`, `.ndjson` (one object a line), each also as `.zst` or
    /// `.gz`, with the event time in `time_column`.
    ///
    /// JSON lines stay as they are. A CSV column becomes numbers if each of its values is one as JSON writes it, booleans if
    /// each is `true` or `false`, and strings otherwise; an empty value becomes null.
    ///
    /// # Errors
    /// With the file, and the line where one is to blame: unreadable, of another kind, without the column, or a time that
    /// does not have `time_format`.
    pub fn read(path: &Path, time_column: &str, time_format: TimeFormat) -> Result<Self, Error> {
        let mut plain = path.to_owned();
        if matches!(path.extension().and_then(OsStr::to_str), Some("zst" | "gz")) {
            plain.set_extension("");
        }
        let mut content = Vec::new();
        let mut rows = Self { json: Vec::new(), index: Vec::new() };
        let source = Source { path, time_column, time_format };
        match plain.extension().and_then(OsStr::to_str) {
            Some("csv") => {
                file::open(path)?
                    .read_to_end(&mut content)
                    .map_err(|error| Error::io(path, error))?;
                rows.add_csv(&source, &content)?;
            }
            Some("json" | "jsonl" | "ndjson") => {
                file::open(path)?
                    .read_to_end(&mut content)
                    .map_err(|error| Error::io(path, error))?;
                rows.add_json(&source, content)?;
            }
            _ => {
                let expected =
                    "expected .csv, .json, .jsonl or .ndjson, plain or with .zst or .gz behind it";
                return Err(Error::Flag(format!("file {path:?}: {expected}")));
            }
        }
        rows.index.sort_by_key(|place| place.event_time_ms);
        Ok(rows)
    }

    /// Takes JSON rows, one object a line, that come from elsewhere; `path` names them in errors.
    ///
    /// # Errors
    /// As [`Rows::read`].
    pub fn from_json_lines(
        path: &Path,
        content: Vec<u8>,
        time_column: &str,
        time_format: TimeFormat,
    ) -> Result<Self, Error> {
        let mut rows = Self { json: Vec::new(), index: Vec::new() };
        rows.add_json(&Source { path, time_column, time_format }, content)?;
        rows.index.sort_by_key(|place| place.event_time_ms);
        Ok(rows)
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The rows in event-time order.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.index.iter().map(|place| Row {
            event_time_ms: place.event_time_ms,
            json: &self.json[place.start..place.end],
        })
    }

    fn add_json(&mut self, source: &Source, content: Vec<u8>) -> Result<(), Error> {
        let mut start = 0;
        for (number, line) in content.split(|&b| b == b'\n').enumerate() {
            let object = line.trim_ascii();
            if !object.is_empty() {
                let line_number = number as u64 + 1;
                let mut reader = serde_json::Deserializer::from_slice(object);
                let found = TimeField(source.time_column)
                    .deserialize(&mut reader)
                    .and_then(|time| reader.end().map(|()| time));
                let time = found.map_err(|error| {
                    Error::content(source.path, line_number, json_fault(&error))
                })?;
                let event_time_ms = source.time(&time, line_number)?;
                let start = start + (line.len() - line.trim_ascii_start().len());
                self.index.push(Place { event_time_ms, start, end: start + object.len() });
            }
            start += line.len() + 1;
        }
        self.json = content;
        Ok(())
    }

    fn add_csv(&mut self, source: &Source, content: &[u8]) -> Result<(), Error> {
        let fault = |error: csv::Error| {
            let line = error.position().map_or(1, csv::Position::line);
            Error::content(source.path, line, error.to_string())
        };
        let mut reader = csv::Reader::from_reader(content);
        let header = reader.headers().map_err(fault)?.clone();
        let time_at =
            header.iter().position(|name| name == source.time_column).ok_or_else(|| {
                Error::content(source.path, 1, format!("no column \"{}\"", source.time_column))
            })?;

        let mut kinds = vec![Kind::Unknown; header.len()];
        let mut record = ByteRecord::new();
        while reader.read_byte_record(&mut record).map_err(fault)? {
            for (kind, value) in kinds.iter_mut().zip(&record) {
                *kind = kind.with(value);
            }
        }

        let mut reader = csv::Reader::from_reader(content);
        while reader.read_byte_record(&mut record).map_err(fault)? {
            let line = record.position().map_or(0, csv::Position::line);
            let start = self.json.len();
            self.json.push(b'{');
            for ((name, kind), value) in header.iter().zip(&kinds).zip(&record) {
                let value = std::str::from_utf8(value).map_err(|_| {
                    Error::content(source.path, line, format!("column \"{name}\": not UTF-8"))
                })?;
                match kind {
                    _ if value.is_empty() => json::raw(&mut self.json, name, "null"),
                    Kind::Number | Kind::Boolean => json::raw(&mut self.json, name, value),
                    Kind::Unknown | Kind::Text => json::text(&mut self.json, name, value),
                }
            }
            self.json.push(b'}');
            let time =
                std::str::from_utf8(&record[time_at]).expect("the loop above checked every value");
            let event_time_ms = source.time(time, line)?;
            self.index.push(Place { event_time_ms, start, end: self.json.len() });
        }
        Ok(())
    }
}

/// serde_json counts lines from the row it was given, which is always 1.
fn json_fault(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(message) => format!("{message} at column {}", error.column()),
        None => text,
    }
}

struct Source<'a> {
    path: &'a Path,
    time_column: &'a str,
    time_format: TimeFormat,
}

impl Source<'_> {
    fn time(&self, text: &str, line: u64) -> Result<i64, Error> {
        self.time_format.parse(text).ok_or_else(|| {
            let (column, format) = (self.time_column, self.time_format);
            Error::content(
                self.path,
                line,
                format!("column \"{column}\": \"{text}\" is no time of format {format}"),
            )
        })
    }
}

/// What all values of a CSV column so far have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Unknown,
    Number,
    Boolean,
    Text,
}

impl Kind {
    fn with(self, value: &[u8]) -> Self {
        if value.is_empty() || self == Self::Text {
            return self;
        }
        let found = match value {
            b"true" | b"false" => Self::Boolean,
            _ if is_number(value) => Self::Number,
            _ => Self::Text,
        };
        if self == Self::Unknown || self == found { found } else { Self::Text }
    }
}

/// A number as JSON writes it, and short enough that no reader rounds it: `007`, `+1`, `.5` and 20-digit ids are text.
fn is_number(value: &[u8]) -> bool {
    value.len() <= 18
        && value[0] != b' '
        && serde_json::from_slice::<serde_json::Number>(value).is_ok()
}

/// Takes one field of an object as text, be it a string or a number, and checks that the rest is JSON.
struct TimeField<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for TimeField<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TimeField<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        let mut time = None;
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if name == self.0 {
                time = match map.next_value::<serde_json::Value>()? {
                    serde_json::Value::String(text) => Some(text),
                    serde_json::Value::Number(number) => Some(number.to_string()),
                    other => {
                        return Err(de::Error::custom(format!(
                            "field \"{}\": {other} is no time",
                            self.0
                        )));
                    }
                };
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        time.ok_or_else(|| de::Error::custom(format!("no field \"{}\"", self.0)))
    }
}
