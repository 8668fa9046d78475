//! Files in and out, through the registry.

use std::fs;
use std::path::Path;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use nowcast_engine::{
    Batch, Connectors, DeadLetter, Position, Sink, SinkContext, SourceContext, SourceEvent,
};

use super::*;
use crate::registry::Registry;

fn table(path: &Path, options: &[(&str, &str)]) -> TableDefinition {
    let mut all: std::collections::BTreeMap<String, String> =
        options.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    all.insert("connector".into(), "filesystem".into());
    all.insert("path".into(), format!("file://{}", path.display()));
    let fields =
        vec![Field::new("n", DataType::Int64, true), Field::new("text", DataType::Utf8, true)];
    TableDefinition {
        name: "lines".into(),
        schema: Arc::new(Schema::new(fields)),
        metadata: vec![],
        primary_key: vec![],
        options: all,
    }
}

fn registry() -> Registry {
    Registry::new(Environment::default())
}

fn at(positions: &[Position]) -> SourceContext {
    SourceContext {
        worker: 0,
        workers: 1,
        positions: positions.to_vec(),
        rows_max: 3,
        idle_timeout: None,
    }
}

/// The numbers read, the dead letters, and the positions after each event.
async fn read(
    table: &TableDefinition,
    context: SourceContext,
) -> (Vec<i64>, Vec<DeadLetter>, Vec<(usize, Vec<Position>)>) {
    let mut source = registry().source(table).unwrap().open(context).await.unwrap();
    let (mut numbers, mut letters, mut seen) = (vec![], vec![], vec![]);
    loop {
        match source.next().await.unwrap() {
            SourceEvent::Rows { rows, rejected, .. } => {
                assert!(rows.num_rows() <= 3);
                numbers.extend_from_slice(rows.column(0).as_primitive::<Int64Type>().values());
                letters.extend(rejected);
            }
            SourceEvent::Finished { .. } | SourceEvent::Idle { .. } => {}
            SourceEvent::End => return (numbers, letters, seen),
        }
        seen.push((numbers.len(), source.positions()));
    }
}

fn batch(table: &TableDefinition, from: i64, to: i64) -> Batch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new((from..to).collect::<Int64Array>()),
        Arc::new((from..to).map(|n| Some(format!("a \"{n}\",\n"))).collect::<StringArray>()),
    ];
    Batch::new(RecordBatch::try_new(Arc::clone(&table.schema), columns).unwrap())
}

async fn sink(table: &TableDefinition, worker: usize) -> Box<dyn Sink> {
    let context = SinkContext { worker, workers: 2, ..SinkContext::alone("test") };
    registry().sink(table).unwrap().open(context).await.unwrap()
}

fn visible(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn what_is_written_is_read_again_in_every_format() {
    for options in [
        &[("format", "json")][..],
        &[("format", "csv")],
        &[("format", "csv"), ("csv.header", "true"), ("csv.field-delimiter", "|")],
        &[("format", "parquet")],
    ] {
        let dir = tempfile::tempdir().unwrap();
        let table = table(dir.path(), options);
        let mut rejected = vec![];
        for worker in 0..2 {
            let mut sink = sink(&table, worker).await;
            for part in 0..3 {
                let from = 100 * worker as i64 + 5 * part;
                sink.write(&batch(&table, from, from + 5), &mut rejected).await.unwrap();
                sink.flush().await.unwrap();
                if part == 0 {
                    sink.prepare(1).await.unwrap();
                    assert!(
                        visible(dir.path())
                            .iter()
                            .any(|name| name.starts_with(&format!("part-{worker}-0")))
                    );
                }
            }
        }
        assert_eq!(rejected, []);
        let mut numbers = vec![];
        for worker in 0..3 {
            let context = SourceContext { worker, workers: 3, ..at(&[]) };
            let (read, letters, _) = read(&table, context).await;
            assert_eq!(letters, []);
            numbers.extend(read);
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..15).chain(100..115).collect::<Vec<_>>(), "{options:?}");
    }
}

#[tokio::test]
async fn reading_goes_on_from_any_position() {
    for format in ["json", "csv", "parquet"] {
        let dir = tempfile::tempdir().unwrap();
        let table = table(dir.path(), &[("format", format)]);
        for worker in 0..2 {
            let mut sink = sink(&table, worker).await;
            let from = 10 * worker as i64;
            sink.write(&batch(&table, from, from + 10), &mut vec![]).await.unwrap();
            sink.flush().await.unwrap();
        }
        let (all, _, seen) = read(&table, at(&[])).await;
        assert_eq!(all, (0..20).collect::<Vec<_>>());
        for (count, positions) in seen {
            let (rest, _, _) = read(&table, at(&positions)).await;
            assert_eq!([&all[..count], &rest].concat(), all, "{format} after {count}");
        }
    }
}

#[tokio::test]
async fn bad_lines_are_set_aside_with_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    fs::write(&path, "{\"n\":1}\n{\"n\":\n\n{\"n\":\"x\"}\r\n{\"n\":2}").unwrap();
    let (numbers, letters, seen) = read(&table(&path, &[("format", "json")]), at(&[])).await;
    assert_eq!(numbers, [1, 2]);
    let places: Vec<_> =
        letters.iter().map(|letter| (letter.offset.unwrap(), letter.raw.as_slice())).collect();
    assert_eq!(places, [(1, &b"{\"n\":"[..]), (3, b"{\"n\":\"x\"}")]);
    assert_eq!(letters[1].error, "field \"n\": \"x\" is no BIGINT");
    assert_eq!(seen.last().unwrap().1[0].offset, 5);

    let path = dir.path().join("a.csv");
    fs::write(&path, "text,extra,n\nx,,1\n\"y\nz\",,2\nshort\nw,,x\nv,,3\n").unwrap();
    let table = table(&path, &[("format", "csv"), ("csv.header", "true")]);
    let (numbers, letters, _) = read(&table, at(&[])).await;
    assert_eq!(numbers, [1, 2, 3]);
    let errors: Vec<_> = letters.iter().map(|letter| letter.error.as_str()).collect();
    assert_eq!(errors, ["1 fields, not 3", "field \"n\": \"x\" is no BIGINT"]);
}

#[tokio::test]
async fn a_part_left_by_a_crash_keeps_its_whole_lines() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path(), &[("format", "json")]);
    fs::write(dir.path().join("part-0-000004.json"), "{\"n\":1}\n").unwrap();
    fs::write(dir.path().join(".part-0-000005.json"), "{\"n\":2}\n{\"n\":3}\n{\"n\":").unwrap();
    fs::write(dir.path().join(".part-1-000000.json"), "{\"n\":9}\n").unwrap();
    let mut sink = sink(&table, 0).await;
    sink.write(&batch(&table, 4, 5), &mut vec![]).await.unwrap();
    drop(sink);
    let parts = ["part-0-000004.json", "part-0-000005.json", "part-0-000006.json"];
    assert_eq!(visible(dir.path()), parts, "another worker's part is its own");
    assert_eq!(read(&table, at(&[])).await.0, [1, 2, 3, 4]);
}

#[tokio::test]
async fn parts_appear_with_their_checkpoint() {
    for format in ["json", "csv", "parquet"] {
        for restored in 1..4 {
            let dir = tempfile::tempdir().unwrap();
            let table = table(dir.path(), &[("format", format)]);
            let open = async |worker, workers, restored| {
                let alone = SinkContext::alone("test");
                let context =
                    SinkContext { worker, workers, restored, keeps_checkpoints: true, ..alone };
                registry().sink(&table).unwrap().open(context).await.unwrap()
            };
            for worker in 0..3 {
                let mut sink = open(worker, 3, 0).await;
                for epoch in 1..4 {
                    let from = 100 * worker as i64 + 10 * epoch as i64;
                    sink.write(&batch(&table, from, from + 2), &mut vec![]).await.unwrap();
                    sink.flush().await.unwrap();
                    let seen = visible(dir.path()).len();
                    sink.prepare(epoch).await.unwrap();
                    assert_eq!(visible(dir.path()).len(), seen, "not complete yet");
                    if epoch == 1 {
                        sink.commit(1).await.unwrap();
                        assert_eq!(visible(dir.path()).len(), seen + 1);
                    }
                }
                sink.write(&batch(&table, 1_000, 1_001), &mut vec![]).await.unwrap();
                sink.flush().await.unwrap();
                // A crash: the checkpoint that the next run goes on from was perhaps complete.
            }
            for worker in 0..2 {
                drop(open(worker, 2, restored).await);
            }
            let mut numbers = read(&table, at(&[])).await.0;
            numbers.sort_unstable();
            let epochs =
                |worker: i64| (1..=restored as i64).map(move |epoch| 100 * worker + 10 * epoch);
            let expected: Vec<i64> =
                (0..3).flat_map(epochs).flat_map(|from| [from, from + 1]).collect();
            assert_eq!(numbers, expected, "{format}, from checkpoint {restored}");
            let hidden = fs::read_dir(dir.path()).unwrap().count() - visible(dir.path()).len();
            assert_eq!(hidden, 0, "nothing is left behind");
        }
    }
}

#[tokio::test]
async fn parts_roll_by_size() {
    let dir = tempfile::tempdir().unwrap();
    let table =
        table(dir.path(), &[("format", "json"), ("sink.rolling-policy.file-size", "100 b")]);
    let mut sink = sink(&table, 0).await;
    for n in 0..4 {
        sink.write(&batch(&table, 10 * n, 10 * n + 10), &mut vec![]).await.unwrap();
    }
    drop(sink);
    assert_eq!(visible(dir.path()).len(), 4);
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = table(&dir.path().join("none.json"), &[("format", "json")]);
    let open = async |table: &TableDefinition| {
        registry().source(table).unwrap().open(at(&[])).await.err().unwrap().to_string()
    };
    let message = open(&missing).await;
    assert!(message.starts_with("table \"lines\": ") && message.contains("none.json"), "{message}");
    let message = open(&table(dir.path(), &[("format", "json")])).await;
    assert!(message.contains("no file matches"), "{message}");
    let path = dir.path().join("a.csv");
    fs::write(&path, "m,text\n1,x\n").unwrap();
    let message = open(&table(&path, &[("format", "csv"), ("csv.header", "true")])).await;
    assert!(message.ends_with("the header has no column \"n\", only m, text"), "{message}");
    let message = open(&table(&path, &[("format", "parquet")])).await;
    assert!(message.contains("a.csv"), "{message}");
    let refused = registry().source(&table(&path, &[("format", "xml")])).err().unwrap();
    assert!(refused.to_string().contains("one of json, csv, parquet, raw"), "{refused}");
}
