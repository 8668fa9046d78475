//! Messages of every other format: whatever they hold, each is a row, an error or passed over, changes
//! nothing of those around it, and what was read is written so that it reads the same.
//!
//! The first byte chooses the format, the second how many parts the rest is cut into.

use std::io::Write;

use arrow::datatypes::{DataType, Field};

use super::tables::{Messages, field, list, map, row, shown, timestamp};

/// The name of each format, and whether what its decoder has read is written so that it reads the same.
/// In CSV an array that is NULL reads as one that holds a NULL, as in Flink.
const FORMATS: [(&str, bool); 8] = [
    ("csv", false),
    ("raw", true),
    ("avro", true),
    ("protobuf", true),
    ("debezium-json", false),
    ("canal-json", false),
    ("maxwell-json", false),
    ("ogg-json", false),
];

pub const SEEDS: &[&[u8]] = &[
    b"\x00\x011,abc,1.5,true,2026-01-31 12:30:00,a;b\n",
    b"\x00\x02\"1\",\"a \"\"b\"\", c\",,false,,\n2,x,-0.5,true,2026-01-31 12:30:00.5,\n",
    b"\x01\x01any text at all \xc3\xa9",
    b"\x02\x01\x02\x02\x02\x06abc\x02\x00\x00\x00\x00\x00\x00\xf8?\x02\x01\x02\xf0\x93\x9e\xf0\x8f\x68\x02\x04\x02\x02x\x00\x00",
    b"\x03\x01\x08\x07\x12\x03abc\x1a\x02\x01\x02\x22\x0c\x0a\x01k\x11\x00\x00\x00\x00\x00\x00\xf8?\x32\x05\x08\x03\x12\x01t\x38\x05",
    b"\x04\x01{\"before\":{\"id\":1,\"name\":\"a\"},\"after\":{\"id\":1,\"name\":null},\"op\":\"u\"}",
    b"\x04\x01{\"schema\":{},\"payload\":{\"before\":null,\"after\":{\"id\":2},\"op\":\"r\"}}",
    b"\x05\x01{\"data\":[{\"id\":\"1\",\"name\":\"a\"},{\"id\":\"2\",\"name\":null}],\"old\":[{\"name\":\"b\"},{\"id\":\"3\"}],\"type\":\"UPDATE\"}",
    b"\x05\x01{\"data\":[{\"id\":\"1\"}],\"old\":null,\"type\":\"DELETE\",\"database\":\"d\",\"table\":\"t\"}",
    b"\x06\x01{\"database\":\"d\",\"table\":\"t\",\"type\":\"update\",\"data\":{\"id\":1,\"name\":\"b\"},\"old\":{\"name\":\"a\"}}",
    b"\x07\x01{\"op_type\":\"U\",\"before\":{\"id\":1},\"after\":{\"id\":1,\"name\":\"x\"}}",
];

pub const WORDS: &[&[u8]] = &[
    b"\"before\":",
    b"\"after\":",
    b"\"op\":\"u\"",
    b"\"op\":\"d\"",
    b"\"data\":",
    b"\"old\":",
    b"\"type\":\"INSERT\"",
    b"\"type\":\"DELETE\"",
    b"\"op_type\":\"D\"",
    b"null",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"\"",
    b"\"\"",
    b"\\",
    b"\r\n",
    b"\n",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xff\xff\xff\xff\x0f",
    b"\x80",
    b"\x00",
    b"\x01",
    b"\x02",
    b"\x0a\xff\xff\xff\xff\x07",
    b"\x12\x00",
    b"\x1a\x80\x80\x80\x80\x08",
    b"9223372036854775808",
    b"-1",
    b"1e309",
    b"NaN",
];

/// Parts of one input.
const PARTS_MAX: usize = 8;

pub fn run(bytes: &[u8]) {
    thread_local! {
        static TABLES: Vec<Messages> = FORMATS.iter().map(|(name, _)| table(name)).collect();
    }
    let [format, parts, rest @ ..] = bytes else { return };
    let format = usize::from(*format) % FORMATS.len();
    let parts = usize::from(*parts).clamp(1, PARTS_MAX);
    let messages: Vec<&[u8]> = rest.chunks(rest.len().div_ceil(parts).max(1)).collect();
    TABLES.with(|tables| {
        let (table, (name, returns)) = (&tables[format], FORMATS[format]);
        let decoded = table.alone_as_together(&messages);
        if !returns || decoded.said.iter().all(|said| *said != Ok(1)) {
            return;
        }
        let encoder = table.format.encoder(&table.fields).expect("what is read is written");
        let Ok(encoded) = encoder.encode(&decoded.columns, decoded.weights.as_ref()) else {
            return;
        };
        let written: Vec<&[u8]> = encoded.rows().collect();
        let again = table.decode(written.iter().copied());
        for (at, said) in again.said.iter().enumerate() {
            assert_eq!(*said, Ok(1), "{name}: written and not read: {}", shown(written[at]));
        }
        for (field, (was, is)) in
            table.fields.iter().zip(decoded.columns.iter().zip(&again.columns))
        {
            assert_eq!(was, is, "{name}: {} of {}", field.name(), shown(rest));
        }
    });
}

fn table(format: &str) -> Messages {
    let changes = || vec![field("id", DataType::Int64), field("name", DataType::Utf8)];
    let options = &[("format", format)];
    match format {
        "csv" => Messages::new(
            vec![
                field("id", DataType::Int64),
                field("name", DataType::Utf8),
                field("price", DataType::Float64),
                field("ok", DataType::Boolean),
                field("at", timestamp()),
                field("words", list(DataType::Utf8)),
            ],
            &[("format", "csv"), ("csv.null-literal", "\\N")],
        ),
        "raw" => Messages::new(vec![field("text", DataType::Utf8)], options),
        "avro" => Messages::new(
            vec![
                field("id", DataType::Int64),
                field("name", DataType::Utf8),
                field("price", DataType::Float64),
                field("ok", DataType::Boolean),
                field("at", timestamp()),
                field("words", list(DataType::Utf8)),
                field("counts", map(DataType::Int32)),
            ],
            options,
        ),
        "protobuf" => protobuf(),
        _ => Messages::new(changes(), options),
    }
}

/// ```proto
/// message Click {
///   int64 id = 1; optional string name = 2; repeated int32 tags = 3; map<string, double> scores = 4;
///   Inner inner = 6; uint32 hits = 7; bytes raw = 8; bool ok = 9; float rate = 10;
///   message Inner { sint64 n = 1; string t = 2; }
/// }
/// ```
fn protobuf() -> Messages {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&descriptors()).expect("written");
    let fields: Vec<Field> = vec![
        field("id", DataType::Int64),
        field("name", DataType::Utf8),
        field("tags", list(DataType::Int32)),
        field("scores", map(DataType::Float64)),
        field("inner", row(vec![field("n", DataType::Int64), field("t", DataType::Utf8)])),
        field("hits", DataType::Int32),
        field("raw", DataType::Binary),
        field("ok", DataType::Boolean),
        field("rate", DataType::Float32),
    ];
    let path = file.path().display().to_string();
    Messages::new(
        fields,
        &[
            ("format", "protobuf"),
            ("protobuf.descriptor-file", &path),
            ("protobuf.message-class-name", "Click"),
        ],
    )
}

/// A descriptor set as protoc writes it, by the numbers of descriptor.proto.
fn descriptors() -> Vec<u8> {
    let (double, float, int64, int32, bool, string, message, bytes, uint32, sint64) =
        (1, 2, 3, 5, 8, 9, 11, 12, 13, 18);
    let (optional, repeated) = (1, 3);
    let member = |name: &str, number: u8, kind: u8, label: u8, of: &str| {
        let mut member = text(1, name);
        member.extend([3 << 3, number, 4 << 3, label, 5 << 3, kind]);
        if !of.is_empty() {
            member.extend(text(6, of));
        }
        part(2, &member)
    };
    let entry = [
        text(1, "ScoresEntry"),
        member("key", 1, string, optional, ""),
        member("value", 2, double, optional, ""),
        part(7, &[7 << 3, 1]),
    ];
    let inner = [
        text(1, "Inner"),
        member("n", 1, sint64, optional, ""),
        member("t", 2, string, optional, ""),
    ];
    let click = [
        text(1, "Click"),
        member("id", 1, int64, optional, ""),
        member("name", 2, string, optional, ""),
        member("tags", 3, int32, repeated, ""),
        member("scores", 4, message, repeated, ".Click.ScoresEntry"),
        member("inner", 6, message, optional, ".Click.Inner"),
        member("hits", 7, uint32, optional, ""),
        member("raw", 8, bytes, optional, ""),
        member("ok", 9, bool, optional, ""),
        member("rate", 10, float, optional, ""),
        part(3, &entry.concat()),
        part(3, &inner.concat()),
    ];
    let file = [text(1, "click.proto"), part(4, &click.concat()), text(12, "proto3")];
    part(1, &file.concat())
}

/// A field of bytes, shorter than 16 KiB.
fn part(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = [bytes.len() as u8 | 0x80, (bytes.len() >> 7) as u8];
    [&[number << 3 | 2], &length[..], bytes].concat()
}

fn text(number: u8, text: &str) -> Vec<u8> {
    part(number, text.as_bytes())
}
