//! Fields that nobody reads are passed over, in each format.

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;

use super::tests::{field, format, required};
use super::*;

fn fields() -> Vec<FieldRef> {
    use arrow::datatypes::DataType::{Boolean, Int64, Utf8};
    vec![field("a", Int64), required("b", Boolean), field("c", Int64), field("d", Utf8)]
}

/// The numbers of `c`, which alone is read, and the errors.
fn numbers(format: &Format, messages: &[&[u8]]) -> (Vec<i64>, Vec<String>) {
    let mut decoder = format.decoder_of(&fields(), &[2], &[]).unwrap();
    let errors = messages.iter().filter_map(|message| decoder.decode(message).err()).collect();
    let columns = decoder.rows().finish().unwrap().0;
    assert_eq!(columns.len(), 1);
    (columns[0].as_primitive::<Int64Type>().values().to_vec(), errors)
}

#[test]
fn what_is_in_them_is_not_looked_at_where_the_message_is_well_formed() {
    let json = format(&[("format", "json"), ("json.fail-on-missing-field", "true")]);
    let messages: [&[u8]; 4] = [
        br#"{"a":1,"b":true,"c":1,"d":"x"}"#,
        br#"{"a":"one","b":null,"c":2,"d":[]}"#,
        br#"{"c":3}"#,
        br#"{"a":1,"b":tru,"c":4}"#,
    ];
    let (read, errors) = numbers(&json, &messages);
    assert_eq!(read, [1, 2, 3]);
    assert_eq!(errors, ["malformed json: expected ident at line 1 column 15"]);

    let csv = format(&[("format", "csv")]);
    let (read, errors) = numbers(&csv, &[b"1,true,1,x", b"one,,2,", b"1,true,3"]);
    assert_eq!(read, [1, 2]);
    assert_eq!(errors, ["3 fields, not 4"]);
}

#[test]
fn the_others_keep_their_places() {
    let avro = format(&[("format", "avro")]);
    let json = format(&[("format", "json")]);
    let mut whole = json.decoder(&fields()).unwrap();
    whole.decode(br#"{"a":7,"b":true,"c":8,"d":"x"}"#).unwrap();
    let columns = whole.rows().finish().unwrap().0;
    let encoded = avro.encoder(&fields()).unwrap().encode(&columns, None).unwrap();
    let record = encoded.rows().next().unwrap();
    assert_eq!(numbers(&avro, &[record]), (vec![8], vec![]));
    let (read, errors) = numbers(&avro, &[&record[..record.len() - 1]]);
    assert_eq!((read.len(), errors.len()), (0, 1), "{errors:?}");

    let debezium = format(&[("format", "debezium-json")]);
    let update = br#"{"before":{"a":1,"b":true,"c":1},"after":{"b":"?","c":2},"op":"u"}"#;
    assert_eq!(numbers(&debezium, &[update]), (vec![1, 2], vec![]));
}

#[test]
fn no_field_at_all_need_be_read() {
    for (name, message) in [("json", &b"{}"[..]), ("csv", b"1,2,3,4"), ("raw", b"x")] {
        let fields = if name == "raw" { &fields()[3..] } else { &fields()[..] };
        let mut decoder = format(&[("format", name)]).decoder_of(fields, &[], &[]).unwrap();
        assert_eq!(decoder.decode(message), Ok(1), "{name}");
        assert_eq!(decoder.rows().num_rows(), 1, "{name}");
        assert!(decoder.rows().finish().unwrap().0.is_empty());
    }
}

#[test]
fn fields_of_rows_are_blanks() {
    use arrow::datatypes::DataType::{Int64, Struct, Utf8};
    let inner = Struct(vec![field("x", Int64), required("y", Utf8)].into());
    let outer = vec![field("a", Int64), field("b", Utf8), field("in", inner)];
    let fields = [field("at", Int64), field("out", Struct(outer.into()))];
    let way = |way: &str| way.split('.').map(str::to_owned).collect::<Vec<_>>();
    let unread = [way("out.b"), way("out.in.y")];
    let json = format(&[("format", "json"), ("json.fail-on-missing-field", "true")]);
    let mut decoder = json.decoder_of(&fields, &[0, 1], &unread).unwrap();
    // The first is read in the general way, those after it by the layout, but for the last.
    let messages: [&[u8]; 6] = [
        br#"{"at":1,"out":{"a":1,"b":"x","in":{"x":1,"y":"x"}}}"#,
        br#"{"at":2,"out":{"a":2,"b":{"n":[0]},"in":{"x":2,"y":null}}}"#,
        br#"{"at":3,"out":null}"#,
        br#"{"at":4,"out":{"a":"four","b":"x","in":{"x":4,"y":"x"}}}"#,
        br#"{"at":5,"out":{"a":5,"b":"x","in":null}}"#,
        br#"{"out":{"in":{"x":6},"a":6},"at":6}"#,
    ];
    let errors: Vec<_> = messages.iter().filter_map(|m| decoder.decode(m).err()).collect();
    assert_eq!(errors, ["field \"out.a\": \"four\" is no BIGINT"]);
    let columns = decoder.rows().finish().unwrap().0;
    assert_eq!(columns[1].data_type(), fields[1].data_type());
    let out = columns[1].as_struct();
    let a = out.column(0).as_primitive::<Int64Type>();
    assert_eq!(a.iter().collect::<Vec<_>>(), [Some(1), Some(2), None, Some(5), Some(6)]);
    assert_eq!((out.null_count(), out.column(1).null_count()), (1, 5));
    let inner = out.column(2).as_struct();
    let x = inner.column(0).as_primitive::<Int64Type>();
    let x: Vec<_> = (0..5).map(|row| inner.is_valid(row).then(|| x.value(row))).collect();
    assert_eq!(x, [Some(1), Some(2), None, None, Some(6)]);
    assert_eq!((inner.column(1).len(), inner.column(1).null_count()), (5, 0));
}
