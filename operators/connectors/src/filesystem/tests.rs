//! Files in and out, through the registry.

use std::fs;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
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
        partition_keys: vec![],
        unread: vec![],
        unread_fields: vec![],
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
                    let of = format!("-{worker}-000000.");
                    assert!(visible(dir.path()).iter().any(|name| name.contains(&of)));
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
    let new = part_name("test", 6);
    let parts = ["part-0-000004.json", "part-0-000005.json", &new];
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
async fn columns_that_nobody_reads_are_passed_over() {
    for (format, content) in [
        ("json", "{\"n\":1,\"text\":{\"any\":1}}\n{\"n\":2}\n{\"n\":\"x\"}\n"),
        ("csv", "1,a\n2,\n x,b\n"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("lines"), content).unwrap();
        let table = TableDefinition { unread: vec![1], ..table(dir.path(), &[("format", format)]) };
        let (numbers, letters, _) = read(&table, at(&[])).await;
        assert_eq!((numbers, letters.len()), (vec![1, 2], 1), "{format}");
        let table = TableDefinition { unread: vec![0, 1], ..table };
        let mut source = registry().source(&table).unwrap().open(at(&[])).await.unwrap();
        let SourceEvent::Rows { rows, rejected, .. } = source.next().await.unwrap() else {
            panic!("no rows of {format}");
        };
        assert_eq!((rows.num_rows(), rejected.len()), (3, 0), "{format}");
        assert_eq!(rows.schema(), table.schema);
    }
}

/// The name of a part of JSON of the first worker.
fn part_name(job: &str, sequence: u64) -> String {
    let name = part::in_progress(0, &part::Writer::new(job, "", 0), sequence, "json");
    name.strip_prefix(".run-0.").unwrap().to_owned()
}

fn sorted(mut numbers: Vec<i64>) -> Vec<i64> {
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn a_run_that_was_taken_over_leaves_the_parts_of_the_next_alone() {
    for partitions in [vec![], vec![1]] {
        let dir = tempfile::tempdir().unwrap();
        let options = [("format", "json")];
        let table = TableDefinition { partition_keys: partitions, ..table(dir.path(), &options) };
        let open = async |generation, restored, restored_generation| {
            let alone = SinkContext::alone("test");
            let context = SinkContext {
                generation,
                restored,
                restored_generation,
                keeps_checkpoints: true,
                ..alone
            };
            registry().sink(&table).unwrap().open(context).await.unwrap()
        };
        let rows = |n: i64| texts(&table, &[(n, Some("a"))]);
        let mut one = open(1, 0, 0).await;
        one.write(&rows(1), &mut vec![]).await.unwrap();
        one.prepare(2).await.unwrap();
        // Complete, but not yet heard of, when it is paused; it has gone on to the next part.
        one.write(&rows(2), &mut vec![]).await.unwrap();
        one.flush().await.unwrap();

        // The one that takes over goes on from it and writes the same rows again.
        let mut two = open(3, 2, 1).await;
        assert_eq!(read(&table, at(&[])).await.0, [1]);
        two.write(&rows(2), &mut vec![]).await.unwrap();
        two.flush().await.unwrap();

        // The first one is back: what was complete stays, once; what it goes on with never appears.
        one.commit(2).await.unwrap();
        let error = one.prepare(4).await.unwrap_err().to_string();
        assert!(error.ends_with("another run of this job has taken over"), "{error}");
        // And so does one that was paused before it had looked at the folder.
        let mut late = open(2, 2, 1).await;
        late.write(&rows(2), &mut vec![]).await.unwrap();
        late.prepare(4).await.unwrap();

        two.prepare(4).await.unwrap();
        two.commit(4).await.unwrap();
        assert_eq!(sorted(read(&table, at(&[])).await.0), [1, 2]);
        let mut three = open(5, 4, 3).await;
        three.write(&rows(3), &mut vec![]).await.unwrap();
        three.prepare(6).await.unwrap();
        three.commit(6).await.unwrap();
        drop((one, two, late));
        assert_eq!(sorted(read(&table, at(&[])).await.0), [1, 2, 3], "each row once");
    }
}

#[tokio::test]
async fn jobs_and_statements_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path(), &[("format", "json")]);
    let context = |job: &str, stage: &str, generation, restored| SinkContext {
        stage: stage.into(),
        generation,
        restored,
        restored_generation: restored,
        keeps_checkpoints: true,
        ..SinkContext::alone(job)
    };
    let writers = [("one", "t"), ("one", "t#2"), ("two", "t")];
    let mut sinks = vec![];
    for (job, stage) in writers {
        sinks.push(registry().sink(&table).unwrap().open(context(job, stage, 1, 0)).await.unwrap());
    }
    for (sink, from) in sinks.iter_mut().zip([10, 20, 30]) {
        sink.write(&batch(&table, from, from + 2), &mut vec![]).await.unwrap();
    }
    for sink in &mut sinks {
        sink.prepare(2).await.unwrap();
    }
    // One job crashes and begins anew; the other has its parts all the same.
    let two = sinks.pop().unwrap();
    drop(sinks);
    drop(registry().sink(&table).unwrap().open(context("one", "t", 3, 0)).await.unwrap());
    let mut two = two;
    two.commit(2).await.unwrap();
    assert_eq!(sorted(read(&table, at(&[])).await.0), [30, 31]);
}

/// Columns `n` and `text`, partitioned by the text.
fn partitioned(path: &Path, options: &[(&str, &str)]) -> TableDefinition {
    TableDefinition { partition_keys: vec![1], ..table(path, options) }
}

fn texts(table: &TableDefinition, rows: &[(i64, Option<&str>)]) -> Batch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|(n, _)| *n).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|(_, text)| *text).collect::<StringArray>()),
    ];
    Batch::new(RecordBatch::try_new(Arc::clone(&table.schema), columns).unwrap())
}

/// Files by their path below a folder, hidden ones left out.
fn tree(folder: &Path) -> Vec<String> {
    let mut found = vec![];
    for name in visible(folder) {
        match folder.join(&name).is_dir() {
            true => found.extend(
                tree(&folder.join(&name)).into_iter().map(|below| format!("{name}/{below}")),
            ),
            false => found.push(name),
        }
    }
    found
}

#[tokio::test]
async fn partitions_are_folders_that_are_read_again() {
    for format in ["json", "csv", "parquet"] {
        let dir = tempfile::tempdir().unwrap();
        let table = partitioned(dir.path(), &[("format", format)]);
        let mut sink = sink(&table, 0).await;
        let rows = [(1, Some("a:b")), (2, None), (3, Some("a:b")), (4, Some("c"))];
        sink.write(&texts(&table, &rows), &mut vec![]).await.unwrap();
        sink.flush().await.unwrap();
        sink.prepare(1).await.unwrap();
        let part = |n| part_name("test", n).replace("json", format);
        let names = [
            format!("text=__DEFAULT_PARTITION__/{}", part(1)),
            format!("text=a%3Ab/{}", part(0)),
            format!("text=c/{}", part(2)),
        ];
        assert_eq!(tree(dir.path()), names);
        let mut source = registry().source(&table).unwrap().open(at(&[])).await.unwrap();
        let mut read = vec![];
        loop {
            match source.next().await.unwrap() {
                SourceEvent::Rows { rows, .. } => {
                    let numbers = rows.column(0).as_primitive::<Int64Type>().clone();
                    let texts = rows.column(1).as_string::<i32>().clone();
                    for row in 0..rows.num_rows() {
                        let text = (!texts.is_null(row)).then(|| texts.value(row).to_owned());
                        read.push((numbers.value(row), text));
                    }
                }
                SourceEvent::End => break,
                SourceEvent::Finished { .. } | SourceEvent::Idle { .. } => {}
            }
        }
        read.sort();
        let rows: Vec<_> = rows.iter().map(|(n, text)| (*n, text.map(str::to_owned))).collect();
        assert_eq!(read, rows, "{format}");
    }
}

#[tokio::test]
async fn a_partition_is_marked_when_all_workers_are_past_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let options = [
        ("format", "json"),
        ("sink.partition-commit.trigger", "partition-time"),
        ("sink.partition-commit.delay", "1 min"),
        ("sink.partition-commit.policy.kind", "success-file"),
        ("partition.time-extractor.timestamp-pattern", "$text:00"),
    ];
    let table = partitioned(dir.path(), &options);
    let minute = |n: i64| Some(format!("1970-01-01 00:0{n}"));
    let marked = || {
        let all = tree(dir.path());
        all.into_iter().filter(|path| path.ends_with("/_SUCCESS")).collect::<Vec<_>>()
    };
    let mark = |n: i64| format!("text=1970-01-01 00%3A0{n}/_SUCCESS");
    let factory = registry().sink(&table).unwrap();
    let open = async |worker, restored| {
        let alone = SinkContext::alone("test");
        let context =
            SinkContext { worker, workers: 2, restored, keeps_checkpoints: true, ..alone };
        factory.open(context).await.unwrap()
    };
    let (mut one, mut two) = (open(0, 0).await, open(1, 0).await);
    for (worker, sink) in [&mut one, &mut two].into_iter().enumerate() {
        let n = worker as i64;
        let rows = [(n, minute(0)), (n, minute(1)), (n, minute(2))];
        let rows: Vec<_> = rows.iter().map(|(n, text)| (*n, text.as_deref())).collect();
        sink.write(&texts(&table, &rows), &mut vec![]).await.unwrap();
    }
    // Exactly the delay past the first minute is not past it.
    one.reached(60_000);
    two.reached(200_000);
    for sink in [&mut one, &mut two] {
        sink.prepare(1).await.unwrap();
        sink.commit(1).await.unwrap();
    }
    assert_eq!(marked(), Vec::<String>::new());
    one.reached(60_001);
    for sink in [&mut one, &mut two] {
        sink.prepare(2).await.unwrap();
    }
    one.commit(2).await.unwrap();
    assert_eq!(marked(), Vec::<String>::new(), "the other is not there yet");
    two.commit(2).await.unwrap();
    assert_eq!(marked(), [mark(0)]);

    // After a crash what was readable and not marked still waits; the end marks all.
    let (mut one, mut two) = (open(0, 2).await, open(1, 2).await);
    two.reached(i64::MAX);
    two.prepare(3).await.unwrap();
    two.commit(3).await.unwrap();
    one.reached(120_001);
    one.prepare(4).await.unwrap();
    one.commit(4).await.unwrap();
    assert_eq!(marked(), [mark(0), mark(1)]);
    one.reached(i64::MAX);
    one.prepare(5).await.unwrap();
    one.commit(5).await.unwrap();
    assert_eq!(marked(), [mark(0), mark(1), mark(2)]);
}

#[tokio::test]
async fn a_partition_is_marked_at_a_checkpoint_where_no_time_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let policy = ("sink.partition-commit.policy.kind", "success-file");
    let named = ("sink.partition-commit.success-file.name", "DONE");
    let table = partitioned(dir.path(), &[("format", "json"), policy, named]);
    let context = SinkContext { keeps_checkpoints: true, ..SinkContext::alone("test") };
    let mut sink = registry().sink(&table).unwrap().open(context).await.unwrap();
    sink.write(&texts(&table, &[(1, Some("a"))]), &mut vec![]).await.unwrap();
    sink.prepare(1).await.unwrap();
    assert_eq!(tree(dir.path()), Vec::<String>::new());
    sink.commit(1).await.unwrap();
    assert_eq!(
        tree(dir.path()),
        ["text=a/DONE".to_owned(), format!("text=a/{}", part_name("test", 0))]
    );
}

#[tokio::test]
async fn partitions_that_cannot_be_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |options: &[(&str, &str)], keys: &[usize]| {
        let mut all = vec![("format", "json")];
        all.extend(options);
        let table = TableDefinition { partition_keys: keys.to_vec(), ..table(dir.path(), &all) };
        registry().sink(&table).err().unwrap().to_string()
    };
    let kind = "sink.partition-commit.policy.kind";
    assert!(
        refused(&[(kind, "metastore,success-file")], &[1]).contains("success-file; metastores")
    );
    assert!(refused(&[(kind, "success-file")], &[]).ends_with("needs PARTITIONED BY"));
    assert!(refused(&[], &[0, 1]).contains("none is left for the files"));
    let table = partitioned(dir.path(), &[("format", "json")]);
    fs::write(dir.path().join("loose.json"), "{\"n\":1}\n").unwrap();
    let open = registry().source(&table).unwrap().open(at(&[])).await;
    let error = open.err().unwrap().to_string();
    assert!(error.ends_with("no folder names the partition column \"text\""), "{error}");
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
