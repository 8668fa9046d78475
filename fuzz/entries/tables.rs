//! Tables whose messages the targets read.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use nowcast_connectors::format::{Decoder, Format};
use nowcast_engine::TableDefinition;

pub fn field(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, None)
}

pub fn row(fields: Vec<Field>) -> DataType {
    DataType::Struct(Fields::from(fields))
}

pub fn list(element: DataType) -> DataType {
    DataType::List(Arc::new(field("item", element)))
}

/// From texts.
pub fn map(value: DataType) -> DataType {
    let entries = row(vec![Field::new("key", DataType::Utf8, false), field("value", value)]);
    DataType::Map(Arc::new(Field::new("entries", entries, false)), false)
}

/// A table's format and fields.
pub struct Messages {
    pub format: Format,
    pub fields: Vec<FieldRef>,
}

/// What came of some messages: rows, their weights, and what was said of each message.
#[derive(PartialEq)]
pub struct Decoded {
    pub columns: Vec<ArrayRef>,
    pub weights: Option<Int64Array>,
    pub said: Vec<Result<usize, String>>,
}

impl Messages {
    pub fn new(fields: Vec<Field>, options: &[(&str, &str)]) -> Self {
        let table = TableDefinition {
            name: "t".into(),
            schema: Arc::new(Schema::new(fields.clone())),
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
        let format = Format::of(&table).expect("the options are right");
        Self { format, fields: fields.into_iter().map(Arc::new).collect() }
    }

    pub fn decoder(&self) -> Box<dyn Decoder> {
        self.format.decoder(&self.fields).expect("the format carries these types")
    }

    pub fn decode<'a>(&self, messages: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
        let mut decoder = self.decoder();
        let mut said = vec![];
        for message in messages {
            let before = decoder.rows().num_rows();
            let rows = decoder.decode(message);
            let grown = decoder.rows().num_rows() - before;
            assert_eq!(grown, rows.clone().unwrap_or(0), "rows appended, of {}", shown(message));
            assert!(rows != Err(String::new()), "an error without words, of {}", shown(message));
            said.push(rows);
        }
        let (columns, weights) = decoder.rows().finish().expect("nothing outside is needed");
        Decoded { columns, weights, said }
    }

    /// Each message is read as if it were alone, whatever came before it.
    pub fn alone_as_together(&self, messages: &[&[u8]]) -> Decoded {
        let together = self.decode(messages.iter().copied());
        let mut at = 0;
        for (message, said) in messages.iter().zip(&together.said) {
            let alone = self.decode([*message]);
            assert_eq!(alone.said[0], *said, "alone and behind others: {}", shown(message));
            let rows = said.clone().unwrap_or(0);
            for (field, (one, all)) in
                self.fields.iter().zip(alone.columns.iter().zip(&together.columns))
            {
                let all = all.slice(at, rows);
                assert_eq!(
                    one,
                    &all,
                    "{} alone and behind others: {}",
                    field.name(),
                    shown(message)
                );
            }
            at += rows;
        }
        together
    }
}

pub fn shown(message: &[u8]) -> String {
    message.escape_ascii().to_string()
}
