//! Rows as messages, byte by byte as serde_json and Rust's own formatting write them.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, Int64Array, ListArray,
    RecordBatch, StringArray,
};
use arrow::datatypes::Int64Type;
use base64::Engine as _;
use proptest::prelude::*;

use super::tests::{encode, format};

/// A row, and how its cells are written by others.
#[derive(Debug, Clone)]
struct Row {
    whole: Option<i64>,
    double: Option<f64>,
    float: Option<f32>,
    text: Option<String>,
    flag: Option<bool>,
    bytes: Option<Vec<u8>>,
    list: Option<Vec<Option<i64>>>,
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let texts = prop_oneof!["[a-z ]{0,12}", ".{0,8}", "[\"\\\\,;\n\r\t\u{0}-\u{7f}é😀]{0,8}"];
    let row = (
        any::<Option<i64>>(),
        any::<Option<f64>>(),
        any::<Option<f32>>(),
        proptest::option::of(texts),
        any::<Option<bool>>(),
        any::<Option<Vec<u8>>>(),
        proptest::option::of(proptest::collection::vec(any::<Option<i64>>(), 0..4)),
    );
    let row = row.prop_map(|(whole, double, float, text, flag, bytes, list)| {
        let (double, float) = (double.filter(|n| n.is_finite()), float.filter(|n| n.is_finite()));
        Row { whole, double, float, text, flag, bytes, list }
    });
    proptest::collection::vec(row, 1..6)
}

impl Row {
    fn list_as_json(&self) -> Option<String> {
        self.list.as_ref().map(|list| serde_json::to_string(list).unwrap())
    }

    fn cells(&self) -> [Option<String>; 7] {
        [
            self.whole.map(|value| value.to_string()),
            self.double.map(|value| format!("{value:?}")),
            self.float.map(|value| format!("{value:?}")),
            self.text.clone(),
            self.flag.map(|value| value.to_string()),
            self.bytes
                .as_ref()
                .map(|bytes| base64::engine::general_purpose::STANDARD.encode(bytes)),
            self.list_as_json(),
        ]
    }
}

/// One needs escapes itself.
const NAMES: [&str; 7] = ["whole", "double", "float", "te\"xt\n", "flag", "bytes", "list"];

fn batch(rows: &[Row]) -> RecordBatch {
    let lists = rows.iter().map(|row| row.list.clone());
    let columns: [ArrayRef; 7] = [
        Arc::new(rows.iter().map(|row| row.whole).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.double).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|row| row.float).collect::<Float32Array>()),
        Arc::new(rows.iter().map(|row| row.text.as_deref()).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.flag).collect::<BooleanArray>()),
        Arc::new(rows.iter().map(|row| row.bytes.as_deref()).collect::<BinaryArray>()),
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists)),
    ];
    RecordBatch::try_from_iter_with_nullable(
        NAMES.into_iter().zip(columns).map(|(name, column)| (name, column, true)),
    )
    .unwrap()
}

proptest! {
    #[test]
    fn json_is_as_serde_json_has_it(rows in rows(), terse: bool) {
        let ignore = [("json.encode.ignore-null-fields", "true"), ("format", "json")];
        let format = format(if terse { &ignore } else { &ignore[1..] });
        let expected = rows.iter().map(|row| {
            let quoted = |name: &&str| matches!(*name, "te\"xt\n" | "bytes");
            let fields = NAMES.iter().zip(row.cells()).filter_map(|(name, cell)| {
                let value = match cell {
                    None if terse => return None,
                    None => "null".to_owned(),
                    Some(cell) if quoted(name) => serde_json::to_string(&cell).unwrap(),
                    Some(cell) => cell,
                };
                Some(format!("{}:{value}", serde_json::to_string(name).unwrap()))
            });
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        });
        prop_assert_eq!(encode(&format, &batch(&rows)), expected.collect::<Vec<_>>());
    }

    #[test]
    fn csv_is_read_back_by_the_csv_crate(rows in rows()) {
        let format = format(&[("format", "csv"), ("csv.array-element-delimiter", "|")]);
        for (row, message) in rows.iter().zip(encode(&format, &batch(&rows))) {
            let mut reader = csv::ReaderBuilder::new().has_headers(false)
                .from_reader(message.as_bytes());
            let record = reader.records().next().unwrap().unwrap();
            let mut cells = row.cells();
            let list = row.list.as_ref().map(|list| {
                let items = list.iter().map(|item| item.map_or(String::new(), |n| n.to_string()));
                items.collect::<Vec<_>>().join("|")
            });
            cells[6] = list;
            let expected = cells.map(Option::unwrap_or_default);
            prop_assert_eq!(record.iter().collect::<Vec<_>>(), expected);
            prop_assert!(reader.records().next().is_none());
        }
    }
}
