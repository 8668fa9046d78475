//! Messages in, columns out, and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Decimal128Type, Field, Fields, Float64Type, Int64Type, Schema, TimeUnit,
};
use nowcast_engine::TableDefinition;
use proptest::prelude::*;

use super::*;

pub fn field(name: &str, ty: DataType) -> FieldRef {
    Arc::new(Field::new(name, ty, true))
}

pub fn required(name: &str, ty: DataType) -> FieldRef {
    Arc::new(Field::new(name, ty, false))
}

pub fn format(options: &[(&str, &str)]) -> Format {
    let table = TableDefinition {
        name: "t".into(),
        schema: Arc::new(Schema::empty()),
        metadata: vec![],
        primary_key: vec![],
        partition_keys: vec![],
        unread: vec![],
        unread_fields: vec![],
        options: options
            .iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect::<BTreeMap<_, _>>(),
    };
    let options = Options::new(&table);
    let format = Format::read(&options, "format", options.required("format").unwrap(), "").unwrap();
    options.finish().unwrap();
    format
}

fn json() -> Format {
    format(&[("format", "json")])
}

pub fn list(item: DataType) -> DataType {
    DataType::List(field("item", item))
}

pub fn row(fields: &[FieldRef]) -> DataType {
    DataType::Struct(fields.iter().cloned().collect::<Fields>())
}

pub fn map(value: DataType) -> DataType {
    let pair = row(&[required("key", DataType::Utf8), field("value", value)]);
    DataType::Map(required("entries", pair), false)
}

fn decode(format: &Format, fields: &[FieldRef], messages: &[&str]) -> (RecordBatch, Vec<String>) {
    let mut decoder = format.decoder(fields).unwrap();
    let errors = messages.iter().filter_map(|text| decoder.decode(text.as_bytes()).err()).collect();
    let schema = Arc::new(Schema::new(fields.to_vec()));
    (RecordBatch::try_new(schema, decoder.rows().finish().unwrap().0).unwrap(), errors)
}

/// The error of one message, which must leave nothing behind.
fn error(format: &Format, fields: &[FieldRef], message: &str) -> String {
    let (rows, mut errors) = decode(format, fields, &[message]);
    assert_eq!(rows.num_rows(), 0, "{message}");
    errors.pop().unwrap_or_else(|| panic!("{message} was taken"))
}

pub fn encode(format: &Format, rows: &RecordBatch) -> Vec<String> {
    encode_weighted(format, rows, None)
}

pub fn encode_weighted(
    format: &Format,
    rows: &RecordBatch,
    weights: Option<&Int64Array>,
) -> Vec<String> {
    let fields: Vec<_> = rows.schema().fields().iter().cloned().collect();
    let encoded = format.encoder(&fields).unwrap().encode(rows.columns(), weights).unwrap();
    encoded.rows().map(|row| String::from_utf8(row.to_vec()).unwrap()).collect()
}

fn every_type() -> Vec<FieldRef> {
    vec![
        field("bool", DataType::Boolean),
        field("tiny", DataType::Int8),
        field("small", DataType::Int16),
        field("int", DataType::Int32),
        field("big", DataType::Int64),
        field("float", DataType::Float32),
        field("double", DataType::Float64),
        field("decimal", DataType::Decimal128(12, 3)),
        field("text", DataType::Utf8),
        field("bytes", DataType::Binary),
        field("date", DataType::Date32),
        field("time", DataType::Time32(TimeUnit::Millisecond)),
        field("at", DataType::Timestamp(TimeUnit::Millisecond, None)),
        field("ltz", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        field("list", list(DataType::Int64)),
        field("row", row(&[field("a", DataType::Int64), field("b", list(DataType::Utf8))])),
        field("map", map(DataType::Float64)),
    ]
}

const EVERY_TYPE: &str = concat!(
    r#"{"bool":true,"tiny":-8,"small":300,"int":70000,"big":9007199254740993,"float":1.5,"#,
    r#""double":0.1,"decimal":123456789.125,"text":"ä\"\n","bytes":"AAEC","date":"2024-02-29","#,
    r#""time":"23:59:59.5","at":"2024-02-29 12:00:00.25","ltz":"2024-02-29 12:00:00Z","#,
    r#""list":[1,null,3],"row":{"a":1,"b":["x"]},"map":{"k":1.5,"l":null}}"#
);

#[test]
fn json_of_every_type_survives_a_round_trip() {
    let nulls = format!(
        "{{{}}}",
        every_type().iter().map(|f| format!("\"{}\":null", f.name())).collect::<Vec<_>>().join(",")
    );
    let (rows, errors) = decode(&json(), &every_type(), &[EVERY_TYPE, "{}", EVERY_TYPE]);
    assert_eq!(errors, [] as [&str; 0]);
    assert_eq!(encode(&json(), &rows), [EVERY_TYPE, &nulls, EVERY_TYPE]);
    assert!(rows.columns().iter().all(|column| column.is_null(1)));
    let terse = format(&[("format", "json"), ("json.encode.ignore-null-fields", "true")]);
    assert_eq!(encode(&terse, &rows)[1], "{}");
}

#[test]
fn json_fields_come_in_any_order_and_strangers_are_skipped() {
    let fields = [field("a", DataType::Int64), field("b", DataType::Utf8)];
    let (rows, errors) = decode(
        &json(),
        &fields,
        &[
            r#"{"b":"x","a":1}"#,
            r#" { "c" : { "a" : [ 9 ] } , "a" : 2 , "d":"\u00e4" } "#,
            r#"{"\u0061":3,"b":null}"#,
            r#"{"a":4,"b":"first","a":5,"b":"last"}"#,
        ],
    );
    assert_eq!(errors, [] as [&str; 0]);
    assert_eq!(
        encode(&json(), &rows),
        [
            r#"{"a":1,"b":"x"}"#,
            r#"{"a":2,"b":null}"#,
            r#"{"a":3,"b":null}"#,
            r#"{"a":5,"b":"last"}"#
        ]
    );
}

#[test]
fn json_coercions_are_flinks() {
    let ty = |ty: DataType| [field("f", ty)];
    let takes = |ty: DataType, given: &str, back: &str| {
        let (rows, errors) = decode(&json(), &[field("f", ty)], &[&format!("{{\"f\":{given}}}")]);
        assert_eq!(errors, [] as [&str; 0], "{given}");
        assert_eq!(encode(&json(), &rows), [format!("{{\"f\":{back}}}")]);
    };
    takes(DataType::Int64, r#"" 12 ""#, "12");
    takes(DataType::Float64, r#""1e3""#, "1000.0");
    takes(DataType::Int32, "-1.9", "-1");
    takes(DataType::Int64, "1e3", "1000");
    takes(DataType::Float64, "7", "7.0");
    takes(DataType::Float64, r#""NaN""#, r#""NaN""#);
    takes(DataType::Boolean, r#""TRUE""#, "true");
    takes(DataType::Utf8, "12", r#""12""#);
    takes(DataType::Utf8, "1.5", r#""1.5""#);
    takes(DataType::Utf8, "true", r#""true""#);
    takes(DataType::Utf8, "18446744073709551615", r#""18446744073709551615""#);
    takes(
        DataType::Utf8,
        r#"{ "z": [1, {}, [], null], "a": "\"" }"#,
        r#""{\"z\":[1,{},[],null],\"a\":\"\\\"\"}""#,
    );
    takes(DataType::Decimal128(20, 2), "123456789012345678.99", "123456789012345678.99");
    takes(DataType::Decimal128(20, 2), r#""1.005""#, "1.01");
    takes(DataType::Decimal128(20, 2), "1e2", "100.00");

    for (ty_, given, message) in [
        (DataType::Int64, "1e19", r#"field "f": 10000000000000000000 is no BIGINT"#),
        (DataType::Int16, "1.5", r#"field "f": 1.5 is no SMALLINT"#),
        (DataType::Int64, "\"abc\"", r#"field "f": "abc" is no BIGINT"#),
        (DataType::Int64, "true", r#"field "f": true is no BIGINT"#),
        (DataType::Int64, "[1]", r#"field "f": an array is no BIGINT"#),
        (DataType::Int64, "{\"g\":1}", r#"field "f": an object is no BIGINT"#),
        (
            DataType::Int64,
            "9223372036854775808",
            r#"field "f": "9223372036854775808" is no BIGINT"#,
        ),
        (DataType::Int8, "128", r#"field "f": 128 is no TINYINT"#),
        (DataType::Boolean, "1", r#"field "f": 1 is no BOOLEAN"#),
        (DataType::Boolean, "\"yes\"", r#"field "f": "yes" is no BOOLEAN"#),
        (DataType::Decimal128(4, 2), "100", r#"field "f": "100" is no DECIMAL(4, 2)"#),
        (DataType::Date32, "\"2023-02-29\"", r#"field "f": "2023-02-29" is no DATE"#),
        (
            DataType::Timestamp(TimeUnit::Millisecond, None),
            "\"2023-01-01T00:00:00\"",
            r#"field "f": "2023-01-01T00:00:00" is no TIMESTAMP(3) as yyyy-MM-dd HH:mm:ss[.fff]"#,
        ),
        (
            DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            "5",
            r#"field "f": 5 is no TIMESTAMP_LTZ(3)"#,
        ),
        (list(DataType::Int64), "[1,\"x\"]", r#"field "f[1]": "x" is no BIGINT"#),
        (list(DataType::Int64), "1", r#"field "f": 1 is no ARRAY"#),
        (
            row(&[field("g", row(&[field("h", DataType::Int64)]))]),
            "{\"g\":{\"h\":\"x\"}}",
            r#"field "f.g.h": "x" is no BIGINT"#,
        ),
        (map(DataType::Int64), "{\"k\":\"x\"}", r#"field "f.k": "x" is no BIGINT"#),
    ] {
        assert_eq!(error(&json(), &ty(ty_), &format!("{{\"f\":{given}}}")), message);
    }
}

#[test]
fn json_that_is_none_is_told_from_a_wrong_type() {
    let fields = [field("f", DataType::Int64)];
    for message in
        ["", "{", "null", "[]", "1", "{\"f\":1", "{\"f\":1}x", "{f:1}", "{\"f\":\"x\"", "\u{0}"]
    {
        let error = error(&json(), &fields, message);
        assert!(error.starts_with("malformed json: "), "{message}: {error}");
    }
    let mut decoder = json().decoder(&fields).unwrap();
    assert!(decoder.decode(b"{\"f\":\"\xff\"}").unwrap_err().starts_with("malformed json"));
}

#[test]
fn missing_and_null_fields_follow_the_declaration_and_the_options() {
    let fields = [required("a", DataType::Int64), field("b", DataType::Int64)];
    assert_eq!(error(&json(), &fields, "{\"b\":1}"), r#"field "a": is missing, and NOT NULL"#);
    assert_eq!(error(&json(), &fields, "{\"a\":null}"), r#"field "a": null in a NOT NULL column"#);
    let strict = format(&[("format", "json"), ("json.fail-on-missing-field", "true")]);
    assert_eq!(error(&strict, &fields, "{\"a\":1}"), r#"field "b": is missing"#);
    let lax = format(&[("format", "json"), ("json.ignore-parse-errors", "true")]);
    let messages = ["{\"a\":1,\"b\":\"x\"}", "{", "{\"a\":\"x\"}", "{\"a\":2,\"b\":[{}]}"];
    let (rows, errors) = decode(&lax, &fields, &messages);
    assert_eq!(errors, [] as [&str; 0]);
    assert_eq!(encode(&json(), &rows), ["{\"a\":1,\"b\":null}", "{\"a\":2,\"b\":null}"]);
}

#[test]
fn json_timestamps_of_the_iso_standard() {
    let iso = format(&[("format", "json"), ("json.timestamp-format.standard", "ISO-8601")]);
    let fields = [field("at", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())))];
    let message = r#"{"at":"2024-02-29T12:00:00.25Z"}"#;
    let (rows, errors) = decode(&iso, &fields, &[message]);
    assert_eq!(errors, [] as [&str; 0]);
    assert_eq!(encode(&iso, &rows), [message]);
}

#[test]
fn floats_are_read_to_the_last_bit() {
    let fields = [field("f", DataType::Float64)];
    for text in ["0.1", "1e-320", "123456789.123456789", "8.41e21", "9007199254740993.0"] {
        let (rows, _) = decode(&json(), &fields, &[&format!("{{\"f\":{text}}}")]);
        let read = rows.column(0).as_primitive::<Float64Type>().value(0);
        assert_eq!(read.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
    }
}

#[test]
fn csv_cells_follow_their_types_and_options() {
    let fields = [
        field("a", DataType::Int64),
        field("b", DataType::Utf8),
        field("c", list(DataType::Int64)),
        field("d", DataType::Decimal128(6, 2)),
    ];
    let csv = format(&[("format", "csv")]);
    let messages = ["1,\"x, \"\"y\"\"\",1;2,3.5", ",,,", "2,x,,1"];
    let (rows, errors) = decode(&csv, &fields, &messages);
    assert_eq!(errors, [] as [&str; 0]);
    assert_eq!(encode(&csv, &rows), ["1,\"x, \"\"y\"\"\",1;2,3.50", ",,,", "2,x,,1.00"]);
    assert!(rows.column(1).is_valid(1), "an empty cell is an empty string");
    assert_eq!(error(&csv, &fields, "x,y,1,2"), r#"field "a": "x" is no BIGINT"#);
    assert_eq!(error(&csv, &fields, "1,y"), "2 fields, not 4");
    assert_eq!(error(&csv, &fields, ""), "an empty message");
    assert_eq!(error(&csv, &fields, "1,y,1;x,2"), r#"field "c": "x" is no BIGINT"#);

    let other = format(&[
        ("format", "csv"),
        ("csv.field-delimiter", "|"),
        ("csv.null-literal", "n/a"),
        ("csv.ignore-parse-errors", "true"),
        ("csv.array-element-delimiter", "/"),
    ]);
    let (rows, errors) = decode(&other, &fields, &["n/a|n/a|1/2|n/a", "x|y||z", "1|2"]);
    assert_eq!(errors, [] as [&str; 0]);
    assert_eq!(encode(&other, &rows), ["n/a|n/a|1/2|n/a", "n/a|y|n/a|n/a"]);
    assert_eq!(rows.column(3).as_primitive::<Decimal128Type>().null_count(), 2);
}

#[test]
fn raw_messages_are_the_one_column() {
    let raw = format(&[("format", "raw")]);
    let little = format(&[("format", "raw"), ("raw.endianness", "little-endian")]);
    let text = [field("line", DataType::Utf8)];
    let (rows, _) = decode(&raw, &text, &["a", "", "b,c"]);
    assert_eq!(encode(&raw, &rows), ["a", "", "b,c"]);
    let number = [field("n", DataType::Int16)];
    for (format, bytes) in [(&raw, [1, 2]), (&little, [2, 1])] {
        let mut decoder = format.decoder(&number).unwrap();
        decoder.decode(&bytes).unwrap();
        assert_eq!(decoder.decode(&[1]).unwrap_err(), r#"field "n": 1 bytes, not 2"#);
        let columns = decoder.rows().finish().unwrap().0;
        assert_eq!(columns[0].as_primitive::<arrow::datatypes::Int16Type>().values(), &[258]);
        let encoded = format.encoder(&number).unwrap().encode(&columns, None).unwrap();
        assert_eq!(encoded.rows().next().unwrap(), bytes);
    }
    let double = [field("n", DataType::Float64)];
    let mut decoder = raw.decoder(&double).unwrap();
    decoder.decode(&1.25_f64.to_be_bytes()).unwrap();
    assert_eq!(
        decoder.rows().finish().unwrap().0[0].as_primitive::<Float64Type>().values(),
        &[1.25]
    );
    assert!(raw.decoder(&every_type()).is_err());
}

/// A JSON object with the right and wrong types, and text that is no JSON.
fn messages() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<bool>().prop_map(|b| b.to_string()),
        "[a-z\"\\\\ä]{0,5}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        Just("[1,2,\"x\"]".to_owned()),
        Just("[1,[2]]".to_owned()),
        Just("[]".to_owned()),
        Just("{\"a\":1,\"b\":[\"x\",\"y\"]}".to_owned()),
        Just("{\"a\":1,\"b\":[\"x\",{}],\"c\":{}}".to_owned()),
        Just("{\"b\":[\"x\"".to_owned()),
    ];
    let names = prop::sample::select(vec!["big", "text", "list", "row", "map", "other"]);
    let fields = prop::collection::vec((names, value), 0..6);
    let object = fields.prop_map(|fields| {
        let fields = fields.iter().map(|(name, value)| format!("\"{name}\":{value}"));
        format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
    });
    // Perhaps cut short.
    (object, 0..4_usize).prop_map(|(text, cut)| match cut {
        0 => text.chars().take(text.chars().count() / 2).collect(),
        _ => text,
    })
}

proptest! {
    /// Whatever is between them, the good messages give the rows that they give alone.
    #[test]
    fn bad_messages_never_harm_their_neighbours(messages in prop::collection::vec(messages(), 0..20)) {
        let wanted = ["big", "text", "list", "row", "map"];
        let fields: Vec<_> =
            every_type().into_iter().filter(|f| wanted.contains(&f.name().as_str())).collect();
        let texts: Vec<&str> = messages.iter().map(String::as_str).collect();
        let (together, errors) = decode(&json(), &fields, &texts);
        let mut alone = vec![];
        for text in &texts {
            let (rows, error) = decode(&json(), &fields, &[text]);
            prop_assert_eq!(rows.num_rows() + error.len(), 1);
            alone.push(rows);
        }
        prop_assert_eq!(errors.len(), alone.iter().filter(|rows| rows.num_rows() == 0).count());
        let schema = Arc::new(Schema::new(fields.clone()));
        let alone = arrow::compute::concat_batches(&schema, &alone).unwrap();
        prop_assert_eq!(&together, &alone);
        // And serde_json, as an outside judge, agrees about what is JSON at all.
        let mut judged = 0;
        for text in &texts {
            judged += usize::from(serde_json::from_str::<serde_json::Map<_, _>>(text).is_ok());
        }
        prop_assert!(together.num_rows() <= judged);
    }

    #[test]
    fn json_integers_equal_serde_jsons(numbers in prop::collection::vec(any::<i64>(), 0..50)) {
        let texts: Vec<_> = numbers.iter().map(|n| format!("{{\"n\":{n}}}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (rows, _) = decode(&json(), &[field("n", DataType::Int64)], &texts);
        prop_assert_eq!(rows.column(0).as_primitive::<Int64Type>().values(), numbers.as_slice());
    }

    #[test]
    fn csv_text_survives_a_round_trip(cells in prop::collection::vec("[a-z,\"\n\r ;ä]{0,8}", 2)) {
        let csv = format(&[("format", "csv")]);
        let fields = [field("a", DataType::Utf8), field("b", DataType::Utf8)];
        let columns: Vec<ArrayRef> = cells
            .iter()
            .map(|cell| Arc::new(arrow::array::StringArray::from(vec![cell.as_str()])) as ArrayRef)
            .collect();
        let encoded = csv.encoder(&fields).unwrap().encode(&columns, None).unwrap();
        let message = encoded.rows().next().unwrap().to_vec();
        let mut decoder = csv.decoder(&fields).unwrap();
        decoder.decode(&message).unwrap();
        prop_assert_eq!(decoder.rows().finish().unwrap().0, columns);
    }
}
