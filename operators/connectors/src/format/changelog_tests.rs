//! Changes in, rows with weights out, and back.

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;

use super::tests::{encode_weighted, field, format};
use super::*;

fn fields() -> Vec<FieldRef> {
    use arrow::datatypes::DataType::{Int64, Utf8};
    vec![field("id", Int64), field("name", Utf8)]
}

/// Rows with their weights, and what is wrong with the messages that made none.
fn changes(format: &Format, messages: &[&str]) -> (Vec<String>, Vec<String>) {
    let mut decoder = format.decoder(&fields()).unwrap();
    let mut errors = vec![];
    for message in messages {
        let before = decoder.rows().num_rows();
        match decoder.decode(message.as_bytes()) {
            Ok(rows) => assert_eq!(decoder.rows().num_rows(), before + rows, "{message}"),
            Err(error) => {
                assert_eq!(decoder.rows().num_rows(), before, "{message}");
                errors.push(error);
            }
        }
    }
    let (columns, weights) = decoder.rows().finish().unwrap();
    let weights = weights.unwrap_or_else(|| Int64Array::from(Vec::<i64>::new()));
    assert_eq!(weights.len(), columns[0].len());
    let (ids, names) = (columns[0].as_primitive::<Int64Type>(), columns[1].as_string::<i32>());
    let row = |at: usize| {
        let name = if names.is_null(at) { "null" } else { names.value(at) };
        format!("{:+} {} {name}", weights.value(at), ids.value(at))
    };
    ((0..weights.len()).map(row).collect(), errors)
}

#[test]
fn debezium_messages_are_changes() {
    let debezium = format(&[("format", "debezium-json")]);
    assert_eq!(debezium.changelog_mode(), ChangelogMode::Retract);
    let (rows, errors) = changes(
        &debezium,
        &[
            r#"{"before":null,"after":{"id":1,"name":"a"},"source":{"db":"x"},"op":"c","ts_ms":5}"#,
            r#"{"before":null,"after":{"id":2,"name":"b"},"op":"r"}"#,
            r#"{"before":{"id":1,"name":"a"},"after":{"id":1,"name":null},"op":"u"}"#,
            r#"{"before":{"id":2,"name":"b"},"after":null,"op":"d"}"#,
            "",
            r#"{"before":null,"after":{"id":1,"name":"a"},"op":"u"}"#,
            r#"{"before":{"id":1},"after":{"id":"x"},"op":"u"}"#,
            r#"{"before":null,"after":{"id":1,"name":"a"},"op":"t"}"#,
            r#"{"after":{"id":1}}"#,
            r#"{"after":"#,
        ],
    );
    assert_eq!(rows, ["+1 1 a", "+1 2 b", "-1 1 a", "+1 1 null", "-1 2 b"]);
    assert_eq!(
        errors,
        [
            r#""before" of the op "u" is null"#,
            r#"field "id": "x" is no BIGINT"#,
            r#"unknown op "t""#,
            "the op is missing",
            "malformed json: EOF while parsing a value at line 1 column 9",
        ]
    );
    let lenient = [("format", "debezium-json"), ("debezium-json.ignore-parse-errors", "true")];
    let (rows, errors) = changes(&format(&lenient), &[r#"{"op":"d"}"#, "{", "no"]);
    assert!(rows.is_empty() && errors.is_empty(), "{rows:?} {errors:?}");

    let included = format(&[("format", "debezium-json"), ("debezium-json.schema-include", "true")]);
    let (rows, errors) = changes(
        &included,
        &[
            r#"{"schema":{"type":"struct"},"payload":{"after":{"id":3,"name":"c"},"op":"c"}}"#,
            r#"{"schema":{},"payload":null}"#,
        ],
    );
    assert_eq!(rows, ["+1 3 c"]);
    assert_eq!(errors, ["the payload is missing"]);
    let error = included.encoder(&fields()).err().unwrap().to_string();
    assert!(error.contains("schema-include"), "{error}");
}

#[test]
fn canal_and_maxwell_updates_have_the_changed_fields_alone() {
    let canal = format(&[("format", "canal-json")]);
    let (rows, errors) = changes(
        &canal,
        &[
            r#"{"data":[{"id":"1","name":"a"},{"id":"2","name":null}],"database":"d","table":"t","type":"INSERT","old":null,"isDdl":false}"#,
            r#"{"data":[{"id":"1","name":"A"},{"id":"2","name":"B"}],"old":[{"name":"a"},{"name":null}],"type":"UPDATE"}"#,
            r#"{"data":[{"id":"1","name":"A"}],"old":null,"type":"DELETE"}"#,
            r#"{"data":null,"sql":"create table t","type":"CREATE"}"#,
            r#"{"data":null,"type":"INSERT"}"#,
            r#"{"data":[{"id":"1"}],"type":"UPDATE"}"#,
            r#"{"data":[{"id":"1"}],"old":[],"type":"UPDATE"}"#,
            r#"{"data":[],"type":"ALTER"}"#,
        ],
    );
    assert_eq!(rows, ["+1 1 a", "+1 2 null", "-1 1 a", "+1 1 A", "-1 2 null", "+1 2 B", "-1 1 A"]);
    assert_eq!(
        errors,
        [
            "the data of a INSERT is missing",
            "the old rows of an UPDATE are missing",
            "there are fewer old rows than new",
            "unknown type \"ALTER\"",
        ]
    );
    let some = format(&[
        ("format", "canal-json"),
        ("canal-json.database.include", "shop|mall"),
        ("canal-json.table.include", "user.*"),
    ]);
    let of = |database: &str, table: &str, id: i64| {
        format!(
            r#"{{"data":[{{"id":"{id}"}}],"database":"{database}","table":"{table}","type":"INSERT"}}"#
        )
    };
    let messages = [of("shop", "users", 1), of("shops", "users", 2), of("mall", "orders", 3)];
    let (rows, _) = changes(&some, &messages.each_ref().map(String::as_str));
    assert_eq!(rows, ["+1 1 null"]);

    let maxwell = format(&[("format", "maxwell-json")]);
    let (rows, errors) = changes(
        &maxwell,
        &[
            r#"{"database":"d","table":"t","type":"insert","ts":1,"data":{"id":1,"name":"a"}}"#,
            r#"{"type":"update","data":{"id":1,"name":"b"},"old":{"name":"a"}}"#,
            r#"{"type":"delete","data":{"id":1,"name":"b"}}"#,
            r#"{"type":"bootstrap-start","data":{}}"#,
        ],
    );
    assert_eq!(rows, ["+1 1 a", "-1 1 a", "+1 1 b", "-1 1 b"]);
    assert_eq!(errors, ["unknown type \"bootstrap-start\""]);
}

/// The texts are what Flink's serialisers write.
#[test]
fn inserts_and_deletes_are_written_in_the_envelope_of_the_dialect() {
    let (columns, _) = {
        let mut json = format(&[("format", "json")]).decoder(&fields()).unwrap();
        json.decode(br#"{"id":1,"name":"a"}"#).unwrap();
        json.decode(br#"{"id":2,"name":null}"#).unwrap();
        json.rows().finish().unwrap()
    };
    let schema = std::sync::Arc::new(arrow::datatypes::Schema::new(fields()));
    let rows = RecordBatch::try_new(schema, columns).unwrap();
    let weights = Int64Array::from(vec![1, -1]);
    for (options, expected) in [
        (
            &[("format", "debezium-json")][..],
            [
                r#"{"before":null,"after":{"id":1,"name":"a"},"op":"c"}"#,
                r#"{"before":{"id":2,"name":null},"after":null,"op":"d"}"#,
            ],
        ),
        (
            &[("format", "debezium-json"), ("debezium-json.encode.ignore-null-fields", "true")],
            [r#"{"after":{"id":1,"name":"a"},"op":"c"}"#, r#"{"before":{"id":2},"op":"d"}"#],
        ),
        (
            &[("format", "canal-json")],
            [
                r#"{"data":[{"id":1,"name":"a"}],"type":"INSERT"}"#,
                r#"{"data":[{"id":2,"name":null}],"type":"DELETE"}"#,
            ],
        ),
        (
            &[("format", "ogg-json")],
            [
                r#"{"before":null,"after":{"id":1,"name":"a"},"op_type":"I"}"#,
                r#"{"before":{"id":2,"name":null},"after":null,"op_type":"D"}"#,
            ],
        ),
        (
            &[("format", "maxwell-json")],
            [
                r#"{"data":{"id":1,"name":"a"},"type":"insert"}"#,
                r#"{"data":{"id":2,"name":null},"type":"delete"}"#,
            ],
        ),
    ] {
        let format = format(options);
        let written = encode_weighted(&format, &rows, Some(&weights));
        assert_eq!(written, expected);
        let (read, _) = changes(&format, &written.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(read, ["+1 1 a", "-1 2 null"]);
    }
}
