//! Rows as protobuf messages and back, by a descriptor set made here.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use prost_reflect::prost::Message;
use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto, FileDescriptorSet, FileOptions, MessageOptions, OneofDescriptorProto,
};
use tempfile::TempDir;

use super::tests::{encode, field, format, list, map, row};
use super::*;

fn member(name: &str, number: i32, ty: Type) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.into()),
        number: Some(number),
        r#type: Some(ty.into()),
        label: Some(Label::Optional.into()),
        ..Default::default()
    }
}

fn of(mut field: FieldDescriptorProto, ty: &str, label: Label) -> FieldDescriptorProto {
    field.type_name = Some(ty.into());
    field.label = Some(label.into());
    field
}

/// ```proto
/// syntax = "proto3";
/// package shop;
/// option java_package = "com.shop";
/// option java_multiple_files = true;
/// message Click {
///   int64 id = 1; optional string name = 2; repeated int32 tags = 3;
///   map<string, double> scores = 4; Kind kind = 5; Inner inner = 6; uint32 hits = 7; bytes raw = 8;
///   bool ok = 9; float rate = 10; repeated string words = 11;
///   message Inner { sint64 n = 1; string t = 2; }
///   enum Kind { UNKNOWN = 0; VIEW = 1; }
/// }
/// ```
fn descriptors() -> Vec<u8> {
    let mut name = member("name", 2, Type::String);
    (name.proto3_optional, name.oneof_index) = (Some(true), Some(0));
    let mut tags = member("tags", 3, Type::Int32);
    tags.label = Some(Label::Repeated.into());
    let mut words = member("words", 11, Type::String);
    words.label = Some(Label::Repeated.into());
    let entry = DescriptorProto {
        name: Some("ScoresEntry".into()),
        field: vec![member("key", 1, Type::String), member("value", 2, Type::Double)],
        options: Some(MessageOptions { map_entry: Some(true), ..Default::default() }),
        ..Default::default()
    };
    let inner = DescriptorProto {
        name: Some("Inner".into()),
        field: vec![member("n", 1, Type::Sint64), member("t", 2, Type::String)],
        ..Default::default()
    };
    let symbol = |name: &str, number: i32| EnumValueDescriptorProto {
        name: Some(name.into()),
        number: Some(number),
        ..Default::default()
    };
    let click = DescriptorProto {
        name: Some("Click".into()),
        field: vec![
            member("id", 1, Type::Int64),
            name,
            tags,
            of(member("scores", 4, Type::Message), ".shop.Click.ScoresEntry", Label::Repeated),
            of(member("kind", 5, Type::Enum), ".shop.Click.Kind", Label::Optional),
            of(member("inner", 6, Type::Message), ".shop.Click.Inner", Label::Optional),
            member("hits", 7, Type::Uint32),
            member("raw", 8, Type::Bytes),
            member("ok", 9, Type::Bool),
            member("rate", 10, Type::Float),
            words,
        ],
        nested_type: vec![entry, inner],
        enum_type: vec![EnumDescriptorProto {
            name: Some("Kind".into()),
            value: vec![symbol("UNKNOWN", 0), symbol("VIEW", 1)],
            ..Default::default()
        }],
        oneof_decl: vec![OneofDescriptorProto { name: Some("_name".into()), options: None }],
        ..Default::default()
    };
    let file = FileDescriptorProto {
        name: Some("click.proto".into()),
        package: Some("shop".into()),
        message_type: vec![click],
        options: Some(FileOptions {
            java_package: Some("com.shop".into()),
            java_multiple_files: Some(true),
            ..Default::default()
        }),
        syntax: Some("proto3".into()),
        ..Default::default()
    };
    FileDescriptorSet { file: vec![file] }.encode_to_vec()
}

struct Protobuf {
    folder: TempDir,
}

impl Protobuf {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("click.desc"), descriptors()).unwrap();
        Self { folder }
    }

    fn format(&self, message: &str, more: &[(&str, &str)]) -> Format {
        let file = self.folder.path().join("click.desc");
        let options = [
            ("format", "protobuf"),
            ("protobuf.descriptor-file", file.to_str().unwrap()),
            ("protobuf.message-class-name", message),
        ];
        format(&[&options, more].concat())
    }
}

fn fields() -> Vec<FieldRef> {
    vec![
        field("id", DataType::Int64),
        field("name", DataType::Utf8),
        field("tags", list(DataType::Int32)),
        field("scores", map(DataType::Float64)),
        field("kind", DataType::Utf8),
        field("inner", row(&[field("n", DataType::Int64), field("t", DataType::Utf8)])),
        field("hits", DataType::Int32),
        field("raw", DataType::Binary),
        field("ok", DataType::Boolean),
        field("rate", DataType::Float32),
        field("words", list(DataType::Utf8)),
    ]
}

fn decoded(format: &Format, messages: &[&[u8]]) -> Vec<String> {
    let mut decoder = format.decoder(&fields()).unwrap();
    messages.iter().for_each(|message| assert_eq!(decoder.decode(message).unwrap(), 1));
    as_json(decoder.rows().finish().unwrap().0)
}

fn as_json(columns: Vec<ArrayRef>) -> Vec<String> {
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields())), columns).unwrap();
    encode(&format(&[("format", "json")]), &rows)
}

#[test]
fn fields_that_are_not_there_are_null_where_they_can_tell() {
    let protobuf = Protobuf::new();
    let click = protobuf.format("shop.Click", &[]);
    // id 150 is the example of protobuf's own documentation.
    let read = decoded(&click, &[&[0x08, 0x96, 0x01], &[0x12, 0, 0x32, 0, 0x28, 1]]);
    assert_eq!(
        read,
        [
            r#"{"id":150,"name":null,"tags":null,"scores":null,"kind":"UNKNOWN","inner":null,"hits":0,"raw":"","ok":false,"rate":0.0,"words":null}"#,
            r#"{"id":0,"name":"","tags":null,"scores":null,"kind":"VIEW","inner":{"n":0,"t":""},"hits":0,"raw":"","ok":false,"rate":0.0,"words":null}"#,
        ]
    );
    let defaults = protobuf.format("com.shop.Click", &[("protobuf.read-default-values", "true")]);
    assert_eq!(
        decoded(&defaults, &[&[]]),
        [
            r#"{"id":0,"name":"","tags":[],"scores":{},"kind":"UNKNOWN","inner":{"n":0,"t":""},"hits":0,"raw":"","ok":false,"rate":0.0,"words":[]}"#
        ]
    );
    let inner = protobuf.format("com.shop.Click$Inner", &[]);
    assert!(inner.decoder(&[field("n", DataType::Int64)]).is_ok());
}

#[test]
fn rows_survive_a_round_trip_and_nulls_in_lists_have_their_literal() {
    let protobuf = Protobuf::new();
    let click = protobuf.format("shop.Click", &[("protobuf.write-null-string-literal", "?")]);
    let mut json = format(&[("format", "json")]).decoder(&fields()).unwrap();
    let text = r#"{"id":-1,"name":"ä","tags":[1,-2],"scores":{"a":1.5,"b":-2.0},"kind":"VIEW","inner":{"n":-3,"t":"x"},"hits":-1,"raw":"AQI=","ok":true,"rate":0.5,"words":["a",null]}"#;
    json.decode(text.as_bytes()).unwrap();
    let columns = json.rows().finish().unwrap().0;
    let encoded = click.encoder(&fields()).unwrap().encode(&columns, None).unwrap();
    let messages: Vec<_> = encoded.rows().collect();
    assert_eq!(decoded(&click, &messages), [text.replace("null", "\"?\"")]);
    // Java's -1 of a uint32 is its largest value on the wire.
    let hits = [0x38, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert!(messages[0].windows(hits.len()).any(|window| window == hits));
}

#[test]
fn what_does_not_fit_is_said() {
    let protobuf = Protobuf::new();
    let click = protobuf.format("shop.Click", &[]);
    let mut decoder = click.decoder(&fields()).unwrap();
    let error = decoder.decode(&[0x08]).unwrap_err();
    assert!(error.starts_with("malformed protobuf: "), "{error}");
    assert_eq!(decoder.decode(&[0x28, 9]).unwrap_err(), r#"field "kind": 9 is no shop.Click.Kind"#);
    assert_eq!(decoder.rows().finish().unwrap().0[0].len(), 0);
    let lenient = protobuf.format("shop.Click", &[("protobuf.ignore-parse-errors", "true")]);
    assert_eq!(lenient.decoder(&fields()).unwrap().decode(&[0x08]).unwrap(), 0);
    for (name, ty, expected) in [
        ("nam", DataType::Utf8, "has no field \"nam\"; did you mean \"name\"?"),
        ("id", DataType::Utf8, "STRING for shop.Click.id"),
        ("tags", DataType::Int32, "INT for shop.Click.tags"),
        ("hits", DataType::Int64, "BIGINT for shop.Click.hits"),
        ("inner", row(&[field("m", DataType::Int64)]), "has no field \"m\""),
    ] {
        let error = click.decoder(&[field(name, ty)]).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
