//! Fields that nobody reads are passed over, in each format.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use super::tests::{field, format, required};
use super::*;

fn fields() -> Vec<FieldRef> {
    use arrow::datatypes::DataType::{Boolean, Int64, Utf8};
    vec![field("a", Int64), required("b", Boolean), field("c", Int64), field("d", Utf8)]
}

/// The numbers of `c`, which alone is read, and the errors.
fn numbers(format: &Format, messages: &[&[u8]]) -> (Vec<i64>, Vec<String>) {
    let mut decoder = format.decoder_of(&fields(), &[2]).unwrap();
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
        let mut decoder = format(&[("format", name)]).decoder_of(fields, &[]).unwrap();
        assert_eq!(decoder.decode(message), Ok(1), "{name}");
        assert_eq!(decoder.rows().num_rows(), 1, "{name}");
        assert!(decoder.rows().finish().unwrap().0.is_empty());
    }
}
