//! What the layout reads is what serde_json reads.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::json_decode::{JsonDecoder, JsonOptions};
use super::{Decoder, TimestampStandard};

fn fields() -> Vec<FieldRef> {
    let field = |name: &str, ty| Arc::new(Field::new(name, ty, true));
    let text = || DataType::Utf8;
    let millis = TimeUnit::Millisecond;
    let within = Fields::from(vec![
        field("at", DataType::Timestamp(millis, None)),
        Arc::new(Field::new("x", DataType::Int64, false)),
    ]);
    let row = Fields::from(vec![
        field("a", DataType::Int32),
        field("tä", text()),
        field("in", DataType::Struct(within)),
    ]);
    let entries = Fields::from(vec![
        Field::new("key", text(), false),
        Field::new("value", DataType::Int64, true),
    ]);
    vec![
        field("at", DataType::Timestamp(millis, None)),
        field("zoned", DataType::Timestamp(millis, Some("UTC".into()))),
        field("long", DataType::Int64),
        field("int", DataType::Int32),
        field("small", DataType::Int16),
        field("text", text()),
        field("double", DataType::Float64),
        field("float", DataType::Float32),
        field("decimal", DataType::Decimal128(10, 2)),
        field("bool", DataType::Boolean),
        field("date", DataType::Date32),
        field("bytes", DataType::Binary),
        field("list", DataType::List(field("item", DataType::Int64))),
        field("row", DataType::Struct(row)),
        field(
            "map",
            DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false),
        ),
        Arc::new(Field::new("needed", DataType::Int64, false)),
    ]
}

/// Values that fit their fields.
const VALUES: [(&str, &[&str]); 18] = [
    (
        "at",
        &[
            r#""2026-01-05 12:00:01.009""#,
            r#""2026-01-05 12:00:59""#,
            r#""2026-01-05 12:01""#,
            r#""2026-02-31 12:01:02.5""#,
        ],
    ),
    (
        "zoned",
        &[
            r#""2026-01-05 12:00:01.009Z""#,
            r#""2026-01-05 12:00:01Z""#,
            r#""2026-01-05T12:00:01.5Z""#,
        ],
    ),
    (
        "long",
        &[
            "0",
            "12",
            "-7",
            "1234567812345678",
            "-9223372036854775808",
            "9223372036854775807",
            "\"12\"",
        ],
    ),
    ("int", &["1", "-1", "2147483647", "12.9", "1e3"]),
    ("small", &["1", "-32768", "\" 5 \""]),
    (
        "text",
        &[
            r#""""#,
            r#""plain""#,
            r#""0bba7557d6160d89""#,
            r#""with \"quotes\" and \u00e4\n""#,
            "\"ü and 漢字\"",
            "7",
            "true",
            r#"{"a":[1,{"b":null}]}"#,
        ],
    ),
    ("double", &["0.5", "-0", "-0.0", "1e300", "17", "3.141592653589793238", "2E-3"]),
    ("float", &["0.1", "16777217", "1e-45"]),
    ("decimal", &["12.345", "1", "\"3.10\"", "1e3", "-0"]),
    ("bool", &["true", "false", "\"TRUE\""]),
    ("date", &[r#""2026-01-05""#]),
    ("bytes", &[r#""AAEC""#, r#""""#]),
    ("list", &["[]", "[1,2, 3]", "[null,\"4\"]"]),
    (
        "row",
        &[
            r#"{"a":1,"tä":"x"}"#,
            "{}",
            r#"{"b":[1],"a":2}"#,
            r#"{"a":1,"tä":"x","in":{"at":"2026-01-05 12:00:01.009","x":7}}"#,
            r#"{"a":2,"tä":"ü\n","in":{"at":"2026-01-05 12:01:01","x":8,"y":{"x":1}}}"#,
            r#"{ "a" : 3 , "tä" : "" , "in" : { "at" : null , "x" : 9 } }"#,
            r#"{"a":4,"in":null}"#,
            r#"{"a":4,"in":{"at":null}}"#,
            r#"{"a":5,"a":6,"in":{"x":1,"x":2}}"#,
            r#"{"a":7,"in":{"x":"12","at":"x"}}"#,
        ],
    ),
    ("map", &[r#"{"k":1,"l":null}"#, "{}"]),
    ("needed", &["1", "0"]),
    ("other", &["1", r#""é\\ x""#, r#"{"a":[{}]}"#, "null", "-1.5e+7", "\"\u{7f}\""]),
    ("key \\\"q\\u0041", &["1"]),
];

/// Values that fit few fields, or none, or are no JSON.
const ODD: [&str; 34] = [
    "null",
    "nul",
    "true",
    "tru",
    "falsey",
    "01",
    "-",
    "-01",
    "1.",
    ".5",
    "1e",
    "1e999",
    "-1e999",
    "+1",
    "0x1",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999",
    "123456781234567812",
    "9223372036854775808",
    "-9223372036854775809",
    "\"",
    "\"\\\"",
    r#""\x""#,
    r#""\ud800""#,
    "\"tab\there\"",
    "[",
    "[1",
    "[1,]",
    "{\"a\"}",
    "{\"a\":1,}",
    "",
    " 1 ",
    "\"2026-13-05 12:00:01.009\"",
];

#[derive(Debug, Clone)]
enum Change {
    Cut(Index),
    Put(Index, u8),
    Insert(Index, Vec<u8>),
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let any_value =
        VALUES.iter().flat_map(|(_, values)| values.iter().copied()).collect::<Vec<_>>();
    let member =
        (select(VALUES.to_vec()), any::<Index>(), 0..40, select(any_value), select(ODD.to_vec()))
            .prop_map(|((name, own), at, kind, any, odd)| {
                let value = match kind {
                    0 => any,
                    1 => odd,
                    _ => own[at.index(own.len())],
                };
                (name, value)
            });
    let in_order = Just(VALUES.to_vec()).prop_flat_map(|all| {
        all.into_iter().map(|(name, own)| (Just(name), select(own.to_vec()))).collect::<Vec<_>>()
    });
    let members = prop_oneof![
        3 => in_order.clone(),
        2 => (in_order.clone(), proptest::collection::vec(any::<bool>(), VALUES.len())).prop_map(|(members, kept)| {
            members.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(member, _)| member).collect()
        }),
        2 => (in_order.clone(), any::<Index>(), member.clone()).prop_map(|(mut members, at, other)| {
            let at = at.index(members.len());
            members[at] = other;
            members
        }),
        1 => in_order.prop_shuffle(),
        1 => proptest::collection::vec(member, 0..20),
    ];
    let spaces = select(vec![("", ""), ("", ""), ("", " "), (" ", " "), ("\n  ", "\t")]);
    let text =
        (members, spaces, select(vec!["", "", "", "\n", " \r\n", "x", "\u{b}", "\u{c}", "{}"]))
            .prop_map(|(members, (before, behind), tail)| {
                let members: Vec<String> = members
                    .iter()
                    .map(|(name, value)| format!("{before}\"{name}\"{before}:{behind}{value}"))
                    .collect();
                format!("{{{}{before}}}{tail}", members.join(&format!("{before},"))).into_bytes()
            });
    let change = prop_oneof![
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Put(at, byte)),
        (
            any::<Index>(),
            select(vec![&b"\\"[..], b"\"", b",", b"}", b" ", b"\xff", b"\xc3\xa4", b"\0", b"0"])
        )
            .prop_map(|(at, bytes)| Change::Insert(at, bytes.to_vec())),
    ];
    (text, proptest::option::weighted(0.15, change)).prop_map(|(mut text, change)| {
        match change {
            None => {}
            Some(Change::Cut(at)) => text.truncate(at.index(text.len())),
            Some(Change::Put(at, byte)) => {
                let at = at.index(text.len());
                text[at] = byte;
            }
            Some(Change::Insert(at, bytes)) => {
                let at = at.index(text.len());
                text.splice(at..at, bytes);
            }
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn messages_make_the_same_rows_and_errors_as_in_the_general_way(
        messages in proptest::collection::vec(message(), 1..40),
        kept in proptest::collection::vec(proptest::bool::weighted(0.7), 16),
        strictness in 0..3,
        iso in proptest::bool::weighted(0.2),
        batch in 1_usize..12,
    ) {
        let options = JsonOptions {
            fail_on_missing_field: strictness == 1,
            ignore_parse_errors: strictness == 2,
            timestamps: if iso { TimestampStandard::Iso8601 } else { TimestampStandard::Sql },
            ..JsonOptions::default()
        };
        let fields: Vec<FieldRef> =
            fields().into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(field, _)| field).collect();
        let mut by_layout = JsonDecoder::new(&fields, &options).unwrap();
        let mut general = JsonDecoder::new(&fields, &options).unwrap().in_general();
        for messages in messages.chunks(batch) {
            for message in messages {
                let text = String::from_utf8_lossy(message);
                prop_assert_eq!(by_layout.decode(message), general.decode(message), "{}", text);
            }
            let rows = by_layout.rows().finish().unwrap().0;
            let expected = general.rows().finish().unwrap().0;
            prop_assert_eq!(rows, expected);
        }
    }
}

#[test]
fn messages_like_the_last_are_read_by_the_layout() {
    let fields = [&fields()[..8], &fields()[13..14]].concat();
    let mut decoder = JsonDecoder::new(&fields, &JsonOptions::default()).unwrap();
    let nested = br#"{"row":{"in":{"x":1,"at":"2026-01-05 12:00:01.009"},"a":3}}"#;
    assert_eq!(decoder.read_by_layout(nested), None);
    decoder.decode(nested).unwrap();
    let like = br#"{"row":{"in":{"x":-12,"at":null},"a":"3"}}"#;
    assert_eq!(decoder.read_by_layout(like), Some(()));
    decoder.rows().truncate(0);
    let first = br#"{"at":"2026-01-05 12:00:01.009","other":{"a":[1]},"long":1, "text":"a"}"#;
    assert_eq!(decoder.read_by_layout(first), None);
    decoder.decode(first).unwrap();
    for like in [
        &br#"{"at":"2026-01-05 12:07:01.009","other":null,"long":-17, "text":"b\n"}"#[..],
        r#"{"at":"2026-01-05 12:07:01","other":[],"long":170, "text":"ü"}"#.as_bytes(),
        b"{\"at\":null,\"other\":1.5,\"long\":\"5\", \"text\":{}} \n",
    ] {
        assert_eq!(decoder.read_by_layout(like), Some(()), "{}", String::from_utf8_lossy(like));
        decoder.rows().truncate(1);
    }
    // Of these the general way must say what is wrong, or what counts.
    for unlike in [
        &br#"{"at":"2026-01-05 12:07:01.009","other":1,"long":1,"text":"b"}"#[..],
        br#"{"at":"2026-01-05 12:07:01.009","other":1,"long":1, "text":"b"}}"#,
        br#"{"at":"2026-01-05 12:07:01.009","other":1,"long":1, "text":"b""#,
        br#"{"at":"2026-01-05 12:07:01.009","other":01,"long":1, "text":"b"}"#,
        br#"{"at":"yesterday","other":1,"long":1, "text":"b"}"#,
        b"",
    ] {
        assert_eq!(decoder.read_by_layout(unlike), None, "{}", String::from_utf8_lossy(unlike));
        decoder.rows().truncate(1);
    }
}

#[test]
fn a_layout_that_is_never_met_again_is_left_alone_for_a_while() {
    let mut decoder = JsonDecoder::new(&fields()[2..3], &JsonOptions::default()).unwrap();
    for at in 0..1_000 {
        let message = format!(r#"{{"k{at}":1,"long":{at}}}"#);
        assert_eq!(decoder.decode(message.as_bytes()), Ok(1));
    }
    let usual = br#"{"k":1,"long":5}"#;
    for _ in 0..20_000 {
        assert_eq!(decoder.decode(usual), Ok(1));
    }
    assert_eq!(decoder.read_by_layout(usual), Some(()), "it is learned anew after its rest");
}

#[test]
fn rows_that_are_null_leave_holes_in_all_of_their_columns() {
    // A row with a column of each type but those of rows themselves, and a row within it.
    let columns: Fields = fields()[..15].iter().cloned().collect();
    let whole = r#"{"at":"2026-01-05 12:00:01.009","zoned":"2026-01-05 12:00:01Z","long":1,"int":2,"small":3,"text":"four","double":5.5,"float":6.5,"decimal":7.25,"bool":true,"date":"2026-01-05","bytes":"AAEC","list":[8,9],"row":{"a":10,"tä":"x","in":{"x":11}},"map":{"k":12}}"#;
    let field: FieldRef = Arc::new(Field::new("r", DataType::Struct(columns), true));
    let rows = |messages: &[&str]| {
        let mut decoder =
            JsonDecoder::new(std::slice::from_ref(&field), &JsonOptions::default()).unwrap();
        let said: Vec<bool> =
            messages.iter().map(|message| decoder.decode(message.as_bytes()).is_ok()).collect();
        (said, decoder.rows().finish().unwrap().0.remove(0))
    };
    let some = format!(r#"{{"r":{whole}}}"#);
    let wrong = some.replace("\"int\":2", "\"int\":\"two\"");
    let none = r#"{"r":null}"#;
    let torn = r#"{"r":null"#;
    let (_, alone) = rows(&[&some]);
    let (said, all) =
        rows(&[none, none, &some, none, &wrong, none, torn, &some, &some, none, "{}"]);
    assert_eq!(said, [true, true, true, true, false, true, false, true, true, true, true]);
    let held: Vec<bool> = (0..all.len()).map(|row| all.is_valid(row)).collect();
    assert_eq!(held, [false, false, true, false, false, true, true, false, false]);
    for row in [2, 5, 6] {
        assert_eq!(all.slice(row, 1).as_ref(), alone.as_ref(), "row {row}");
    }
    let parts = all.as_struct();
    for (part, field) in parts.columns().iter().zip(parts.fields()) {
        assert_eq!((part.len(), part.null_count()), (9, 6), "{}", field.name());
    }
}
