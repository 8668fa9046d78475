//! The sink's rows, as read back through the store: the embedded one always, Redis where
//! `NOWCAST_REDIS` names one.

mod fencing;
mod tls;

use arrow::array::{ArrayRef, Float64Array, Int64Array, ListArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use nowcast_engine::{Batch, ChangelogMode, Connectors, ErrorKind, SinkContext};

use super::*;
use crate::registry::Registry;

fn table(url: &str, prefix: &str) -> TableDefinition {
    let item = Arc::new(Field::new("item", DataType::Int64, true));
    let schema = Schema::new(vec![
        Field::new("country", DataType::Utf8, true),
        Field::new("title", DataType::Int64, true),
        Field::new("share", DataType::Float64, true),
        Field::new("recent", DataType::List(item), true),
    ]);
    let options = [("connector", "redis"), ("url", url), ("key-prefix", prefix), ("ttl", "1 h")];
    TableDefinition {
        name: "features".into(),
        schema: Arc::new(schema),
        metadata: vec![],
        primary_key: vec![0, 1],
        partition_keys: vec![],
        unread: vec![],
        unread_fields: vec![],
        options: options.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
    }
}

type Line<'a> = (Option<&'a str>, i64, Option<f64>, Option<Vec<i64>>, i64);

fn batch(table: &TableDefinition, lines: &[Line<'_>]) -> Batch {
    let recent = lines.iter().map(|line| line.3.clone().map(|list| list.into_iter().map(Some)));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(lines.iter().map(|line| line.0).collect::<StringArray>()),
        Arc::new(lines.iter().map(|line| line.1).collect::<Int64Array>()),
        Arc::new(lines.iter().map(|line| line.2).collect::<Float64Array>()),
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(recent)),
    ];
    let rows = RecordBatch::try_new(Arc::clone(&table.schema), columns).unwrap();
    Batch::new(rows).with_weights(Some(lines.iter().map(|line| Some(line.4)).collect()))
}

fn context() -> SinkContext {
    SinkContext::alone("test")
}

async fn rows_become_hashes(table: TableDefinition) {
    let registry = Registry::new(Environment::default());
    let factory = registry.sink(&table).unwrap();
    assert_eq!(factory.changelog_mode(), ChangelogMode::Upsert);
    let mut sink = factory.open(context()).await.unwrap();
    let stored = registry.stored_table(&table).await.unwrap().unwrap();
    let key = |rest: &str| format!("{}:{rest}", stored.key_prefix);
    let mut rejected = vec![];
    let first = [
        (Some("DE"), 1, Some(0.5), Some(vec![7, 8]), 1),
        (Some("FR"), 2, None, None, 1),
        (None, 3, Some(1.0), None, 1),
        (Some("IT"), 4, Some(1.0), None, 1),
    ];
    sink.write(&batch(&table, &first), &mut rejected).await.unwrap();
    sink.flush().await.unwrap();
    let fields = |pairs: &[(&str, &str)]| {
        Some(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>())
    };
    let german = [("country", "DE"), ("recent", "[7,8]"), ("share", "0.5"), ("title", "1")];
    assert_eq!(stored.store.get(&key("DE:1")).await.unwrap(), fields(&german));
    let french = [("country", "FR"), ("title", "2")];
    assert_eq!(stored.store.get(&key("FR:2")).await.unwrap(), fields(&french));
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0].error, "the key column \"country\" is null");
    assert_eq!(rejected[0].raw, br#"{"title":3,"share":1.0}"#);

    // An update replaces the row, its nulls included; the last of several in a batch counts.
    let second = [
        (Some("DE"), 1, Some(0.75), Some(vec![]), 1),
        (Some("DE"), 1, Some(0.25), None, 1),
        (Some("IT"), 4, Some(1.0), None, -1),
    ];
    sink.write(&batch(&table, &second), &mut rejected).await.unwrap();
    sink.flush().await.unwrap();
    let german = [("country", "DE"), ("share", "0.25"), ("title", "1")];
    assert_eq!(stored.store.get(&key("DE:1")).await.unwrap(), fields(&german));
    assert_eq!(stored.store.get(&key("IT:4")).await.unwrap(), None);
    assert_eq!(stored.store.scan(&key(""), 10).await.unwrap(), [key("DE:1"), key("FR:2")]);

    // Looked up by the key, in any order of its columns.
    let lookup = registry.lookup(&table, &[1, 0]).unwrap();
    let titles: ArrayRef = Arc::new(Int64Array::from(vec![1, 4]));
    let countries: ArrayRef = Arc::new(StringArray::from(vec!["DE", "IT"]));
    let found = lookup.lookup(vec![titles, countries]).await.unwrap();
    assert_eq!(found, *batch(&table, &[(Some("DE"), 1, Some(0.25), None, 1)]).rows());
    let error = registry.lookup(&table, &[1]).err().unwrap().to_string();
    assert!(error.contains("country, title"), "{error}");

    // More rows than the buffer and a pipeline hold.
    let many: Vec<Line<'_>> = (0..3_000).map(|n| (Some("many"), n, None, None, 1)).collect();
    sink.write(&batch(&table, &many), &mut rejected).await.unwrap();
    sink.flush().await.unwrap();
    assert_eq!(stored.store.scan(&key("many:"), 9_999).await.unwrap().len(), 3_000);
    let gone: Vec<Line<'_>> = (0..3_000).map(|n| (Some("many"), n, None, None, -1)).collect();
    sink.write(&batch(&table, &gone), &mut rejected).await.unwrap();
    let rest = [(Some("DE"), 1, None, None, -1), (Some("FR"), 2, None, None, -1)];
    sink.write(&batch(&table, &rest), &mut rejected).await.unwrap();
    sink.flush().await.unwrap();
    assert_eq!(stored.store.scan(&key(""), 10).await.unwrap(), [] as [String; 0]);
    assert_eq!(rejected.len(), 1);
}

#[tokio::test]
async fn rows_become_hashes_in_the_embedded_store() {
    rows_become_hashes(table("embedded://", "features")).await;
}

/// Each put is under way while the next one is made.
#[tokio::test]
async fn the_last_change_of_a_key_stands_however_many_puts_there_are() {
    let Ok(url) = std::env::var("NOWCAST_REDIS") else {
        println!("skipped: NOWCAST_REDIS names no server");
        return;
    };
    for fencing in ["true", "false"] {
        let prefix = format!("nowcast-order-{fencing}-{}", std::process::id());
        let mut table = table(&url, &prefix);
        table.options.insert("sink.fencing".into(), fencing.into());
        table.options.insert("sink.buffer-flush.max-rows".into(), "2".into());
        let registry = Registry::new(Environment::default());
        let mut sink = registry.sink(&table).unwrap().open(context()).await.unwrap();
        let stored = registry.stored_table(&table).await.unwrap().unwrap();
        // Of each key a put and a delete in turn; the last of even keys is a put.
        let line = |n: i64| {
            let (key, round) = (n % 3, n / 3);
            (Some("k"), key, Some(round as f64), None, if (key + round) % 2 == 0 { -1 } else { 1 })
        };
        let lines: Vec<Line<'_>> = (0..900).map(line).collect();
        for lines in lines.chunks(7) {
            sink.write(&batch(&table, lines), &mut vec![]).await.unwrap();
        }
        sink.flush().await.unwrap();
        for key in 0..3 {
            let found = stored.store.get(&format!("{prefix}:k:{key}")).await.unwrap();
            let share = found.map(|fields| fields.into_iter().find(|(name, _)| name == "share"));
            let expected = (key % 2 == 0).then(|| Some(("share".to_owned(), "299.0".to_owned())));
            assert_eq!(share, expected, "key {key}, fencing {fencing}");
        }
    }
}

#[tokio::test]
async fn rows_become_hashes_in_redis() {
    let Ok(url) = std::env::var("NOWCAST_REDIS") else {
        println!("skipped: NOWCAST_REDIS names no server");
        return;
    };
    for fencing in ["true", "false"] {
        let prefix = format!("nowcast-sink-{fencing}-{}", std::process::id());
        let mut table = table(&url, &prefix);
        table.options.insert("sink.fencing".into(), fencing.into());
        rows_become_hashes(table).await;
    }
}

#[tokio::test]
async fn rows_become_hashes_in_a_cluster() {
    let Ok(url) = std::env::var("NOWCAST_REDIS_CLUSTER") else {
        println!("skipped: NOWCAST_REDIS_CLUSTER names no server");
        return;
    };
    let mut table = table(&url, &format!("nowcast-sink-{}", std::process::id()));
    let node = url.trim_start_matches("redis://");
    table.options.insert("nodes".into(), node.into());
    rows_become_hashes(table).await;
}

#[tokio::test]
async fn what_cannot_work_is_said_before_it_starts() {
    let registry = Registry::new(Environment::default());
    let refused = |table: &TableDefinition| registry.sink(table).err().unwrap().to_string();
    let mut keyless = table("embedded://", "x");
    keyless.primary_key.clear();
    assert!(refused(&keyless).contains("needs a PRIMARY KEY"), "{}", refused(&keyless));
    let refusal = refused(&table("http://user:secret@x", "x"));
    assert!(refusal.contains("option \"url\"") && refusal.contains("http://x"), "{refusal}");
    let with = |key: &str, value: &str| {
        let mut table = table("redis://127.0.0.1:1", "x");
        table.options.insert(key.into(), value.into());
        refused(&table)
    };
    assert!(with("nodes", "here").contains("host:port;host:port, not \"here\""));
    assert!(with("tls.ca-file", "ca.pem").contains("\"url\" is rediss://"));
    assert!(with("tls.key-file", "key.pem").contains("\"tls.certificate-file\" is missing"));
    let mut unfenced = table("redis://127.0.0.1:1", "x");
    unfenced.options.insert("sink.fencing".into(), "false".into());
    unfenced.options.insert("sink.reconcile".into(), "true".into());
    assert!(refused(&unfenced).contains("\"sink.reconcile\" needs a Redis and"));
    let refusal = with("fields.title.ttl", "1 h");
    assert!(refusal.contains("a column of the key lives as long as its row"), "{refusal}");
    let mut embedded = table("embedded://", "x");
    embedded.options.insert("fields.share.ttl".into(), "1 h".into());
    assert!(refused(&embedded).contains("the embedded store"), "{}", refused(&embedded));
    let factory = registry.sink(&table("redis://me:secret@127.0.0.1:1", "x")).unwrap();
    let error = factory.open(context()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Outside);
    let message = error.to_string();
    assert!(!message.contains("secret"), "{message}");
    assert!(message.starts_with("table \"features\": redis 127.0.0.1:1 unreachable"), "{message}");
}

#[tokio::test]
async fn columns_live_as_long_as_redis_can_have_them() {
    let Ok(url) = std::env::var("NOWCAST_REDIS") else {
        println!("skipped: NOWCAST_REDIS names no server");
        return;
    };
    let mut table = table(&url, &format!("nowcast-columns-{}", std::process::id()));
    table.options.insert("fields.share.ttl".into(), "200 ms".into());
    let factory = Registry::new(Environment::default()).sink(&table).unwrap();
    let mut sink = match factory.open(context()).await {
        Ok(sink) => sink,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::User);
            let expected = "columns have a time to live of their own from Redis 7.4 on, and redis";
            assert!(error.to_string().contains(expected), "{error}");
            return;
        }
    };
    let rows = batch(&table, &[(Some("DE"), 1, Some(0.5), None, 1)]);
    sink.write(&rows, &mut vec![]).await.unwrap();
    sink.flush().await.unwrap();
    let store = crate::store::RedisStore::connect(&url).await.unwrap();
    let key = format!("{}:DE:1", table.options["key-prefix"]);
    let mut fields = 3;
    while fields == 3 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        fields = store.get(&key).await.unwrap().unwrap().len();
    }
    assert_eq!(fields, 2);
}
