//! Messages whose columns are read in part.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use nowcast_engine::MetadataColumn;

use super::*;
use crate::metadata::Metadata;
use crate::options::Options;
use crate::parts::parts;

struct Sent(&'static str, &'static str);

impl Message for Sent {
    fn topic(&self) -> &str {
        "clicks"
    }

    fn partition(&self) -> i32 {
        3
    }

    fn offset(&self) -> i64 {
        17
    }

    fn timestamp(&self) -> Option<i64> {
        None
    }

    fn key(&self) -> Option<&[u8]> {
        Some(self.0.as_bytes())
    }

    fn value(&self) -> Option<&[u8]> {
        Some(self.1.as_bytes())
    }
}

const KEYS: Keys = Keys {
    connector: "kafka",
    keys: &[("offset", Metadata::Offset), ("partition", Metadata::Partition)],
};

/// Columns `k` of the key, `a` (NOT NULL) and `b` of the value, and `at` and `part` of the message.
fn rows(unread: &[usize]) -> Rows {
    let column = |name: &str, nullable| Field::new(name, DataType::Int64, nullable);
    let schema = Schema::new(vec![
        column("k", true),
        column("a", false),
        column("at", true),
        column("b", true),
        column("part", true),
    ]);
    let metadata = [(2, "offset"), (4, "partition")];
    let metadata =
        metadata.map(|(column, key)| MetadataColumn { column, key: key.into(), is_virtual: true });
    let options = [
        ("format", "json"),
        ("key.format", "json"),
        ("key.fields", "k"),
        ("value.fields-include", "EXCEPT_KEY"),
    ];
    let options: BTreeMap<String, String> =
        options.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
    let table = TableDefinition {
        name: "clicks".into(),
        schema: Arc::new(schema),
        metadata: metadata.to_vec(),
        primary_key: vec![],
        partition_keys: vec![],
        unread: unread.to_vec(),
        unread_fields: vec![],
        options,
    };
    let (value, key) = parts(&table, &Options::new(&table)).unwrap();
    Rows::new(&table, &value, key.as_ref(), TopicMode::Log, &KEYS).unwrap()
}

/// Those of three columns, of which some messages are well-formed in the ones read.
fn collected(unread: &[usize], columns: &[usize]) -> (Vec<Vec<i64>>, usize) {
    let mut rows = rows(unread);
    for batch in 0..3 {
        for _ in 0..batch {
            rows.push(&Sent(r#"{"k":1}"#, r#"{"a":2,"b":3}"#));
            rows.push(&Sent("no json", r#"{"a":4,"b":"?"}"#));
            rows.push(&Sent(r#"{"k":5}"#, r#"{"b":6}"#));
        }
        let before = rows.finish().unwrap();
        assert_eq!(before.rows.num_rows() + before.rejected.len(), 3 * batch);
        if batch == 2 {
            let values = columns.iter().map(|column| {
                before.rows.column(*column).as_primitive::<Int64Type>().values()[..2].to_vec()
            });
            return (values.collect(), before.rejected.len());
        }
    }
    unreachable!("the last batch is returned");
}

#[test]
fn what_is_not_read_rejects_no_message_and_leaves_its_column_blank() {
    let (values, rejected) = collected(&[], &[0, 1, 2, 3, 4]);
    assert_eq!(
        (values, rejected),
        (vec![vec![1; 2], vec![2; 2], vec![17; 2], vec![3; 2], vec![3; 2]], 4)
    );
    // The key and `b`: only NOT NULL `a` still rejects.
    let (values, rejected) = collected(&[0, 3, 4], &[1, 2]);
    assert_eq!((values, rejected), (vec![vec![2, 4], vec![17; 2]], 2));
    // All but the key.
    let (values, rejected) = collected(&[1, 2, 3, 4], &[0]);
    assert_eq!((values, rejected), (vec![vec![1, 5]], 2));
}

#[test]
fn rows_of_which_nothing_is_read_are_counted() {
    let mut rows = rows(&[0, 1, 2, 3, 4]);
    rows.push(&Sent("no json", "{}"));
    rows.push(&Sent("no json", r#"{"a":"?"}"#));
    rows.push(&Sent("no json", "no json"));
    let collected = rows.finish().unwrap();
    assert_eq!((collected.rows.num_rows(), collected.rejected.len()), (2, 1));
    assert_eq!(collected.rows.column(0).null_count(), 2);
    assert_eq!(collected.rows.column(1).null_count(), 0, "it is NOT NULL");
}
