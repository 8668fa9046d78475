//! Whole jobs in one thread: any number of workers, any batch size, any order of turns and a crash
//! give the state of an undisturbed run.

#![allow(clippy::unwrap_used)] // a test that cannot go on should say where

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray, UInt16Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use nowcast_engine::evaluate::ColumnAt;
use nowcast_engine::graph::{SourceNode, WatermarkStrategy};
use nowcast_engine::keys::Keys;
use nowcast_engine::operator::KEY_GROUP;
use nowcast_engine::testing::{Collected, RowsSource, Simulated, Until, simulate, world};
use nowcast_engine::time::TIME_MAX;
use nowcast_engine::world::Clock;
use nowcast_engine::{
    Batch, Epoch, Graph, Input, JobOptions, Node, NodeKind, Operator, Output, Result, Route,
    StateTable, Time, World,
};

/// Sums by key until the input ends.
struct SumByKey {
    keys: Keys,
    sums: Vec<i64>,
}

fn summed() -> SchemaRef {
    let fields =
        vec![Field::new("key", DataType::Utf8, true), Field::new("sum", DataType::Int64, false)];
    Arc::new(Schema::new(fields))
}

impl SumByKey {
    fn add(&mut self, keys: &[arrow::array::ArrayRef], values: &Int64Array) -> Result<()> {
        let slots = self.keys.intern(keys, values.len())?;
        self.sums.resize(self.keys.slots_len(), 0);
        for (slot, value) in slots.iter().zip(values.values()) {
            self.sums[*slot as usize] += value;
        }
        Ok(())
    }

    fn table(&self) -> Result<RecordBatch> {
        let slots: Vec<u32> = self.keys.slots().collect();
        let mut columns = self.keys.columns(&slots)?;
        columns.push(Arc::new(Int64Array::from_iter_values(
            slots.iter().map(|slot| self.sums[*slot as usize]),
        )));
        Ok(RecordBatch::try_new(summed(), columns)?)
    }
}

impl Operator for SumByKey {
    fn on_batch(&mut self, _port: usize, batch: Batch, _out: &mut Output) -> Result<()> {
        let values = batch.column(1).as_primitive::<Int64Type>().clone();
        self.add(&batch.columns(&[0]), &values)
    }

    fn on_time(&mut self, time: Time, out: &mut Output) -> Result<()> {
        if time == Time::Event(TIME_MAX) {
            out.emit(Batch::new(self.table()?));
        }
        Ok(())
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        let table = self.table()?;
        let groups =
            UInt16Array::from_iter_values(self.keys.slots().map(|slot| self.keys.key_group(slot)));
        let mut fields = vec![Arc::new(Field::new(KEY_GROUP, DataType::UInt16, false))];
        fields.extend(table.schema().fields().iter().cloned());
        let mut columns: Vec<arrow::array::ArrayRef> = vec![Arc::new(groups)];
        columns.extend(table.columns().iter().cloned());
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        Ok(vec![StateTable { name: "sums".into(), rows }])
    }

    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        for table in tables {
            let values = table.rows.column(2).as_primitive::<Int64Type>().clone();
            self.add(&[table.rows.column(1).clone()], &values)?;
        }
        Ok(())
    }
}

/// Three splits of rows `(key, value, time)`.
fn input() -> Vec<RecordBatch> {
    let split = |split: i64| {
        let ids: Vec<i64> = (0..400).map(|row| row * 3 + split).collect();
        let keys = ids.iter().map(|id| (id % 41 != 0).then(|| format!("k{}", id % 37)));
        RecordBatch::try_from_iter_with_nullable([
            ("key", Arc::new(StringArray::from_iter(keys)) as Arc<dyn Array>, true),
            ("value", Arc::new(Int64Array::from(ids.clone())) as _, false),
            ("ts", Arc::new(Int64Array::from(ids)) as _, false),
        ])
        .unwrap()
    };
    (0..3).map(split).collect()
}

fn graph(sink: &Collected) -> Graph {
    let splits = input();
    let schema = splits[0].schema();
    let source = SourceNode {
        factory: Arc::new(RowsSource { schema: schema.clone(), splits }),
        computed: None,
        watermark: Some(WatermarkStrategy { column: 2, bound: Arc::new(ColumnAt(2)) }),
        idle_timeout: None,
        alignment: None,
    };
    let make = |_| {
        let keys = Keys::new(&[DataType::Utf8])?;
        Ok(Box::new(SumByKey { keys, sums: vec![] }) as Box<dyn Operator>)
    };
    let node = |name: &str, kind, inputs, schema| Node { name: name.into(), kind, inputs, schema };
    Graph {
        nodes: vec![
            node("numbers", NodeKind::Source(source), vec![], schema),
            node(
                "sum",
                NodeKind::Operator(Arc::new(make)),
                vec![Input { from: 0, route: Route::Hash(vec![0]) }],
                summed(),
            ),
            node(
                "out",
                NodeKind::Sink(Arc::new(sink.clone())),
                vec![Input { from: 1, route: Route::Forward }],
                summed(),
            ),
        ],
    }
}

fn expected() -> BTreeMap<Option<String>, i64> {
    let mut sums = BTreeMap::new();
    for rows in input() {
        let keys = rows.column(0).as_string::<i32>();
        for (key, value) in keys.iter().zip(rows.column(1).as_primitive::<Int64Type>().values()) {
            *sums.entry(key.map(str::to_owned)).or_default() += value;
        }
    }
    sums
}

fn collected(sink: &Collected) -> BTreeMap<Option<String>, i64> {
    let mut sums = BTreeMap::new();
    for batch in sink.batches() {
        let keys = batch.column(0).as_string::<i32>();
        for (key, value) in keys.iter().zip(batch.column(1).as_primitive::<Int64Type>().values()) {
            let before = sums.insert(key.map(str::to_owned), *value);
            assert!(before.is_none_or(|before| before == *value), "{key:?} has two sums");
        }
    }
    sums
}

async fn run(workers: usize, rows_max: usize, seed: u64, crash: Option<(usize, usize)>) {
    let world = world(Arc::new(nowcast_engine::aside::Discard));
    let options = JobOptions { workers, rows_max, ..JobOptions::default() };
    let sink = Collected::default();
    if let Some((turns, _)) = crash {
        let until = Until::CrashAfterCheckpoint { turns };
        simulate(&graph(&sink), &options, &world, seed, until).await.unwrap();
    }
    let workers = crash.map_or(workers, |(_, workers)| workers);
    let options = JobOptions { workers, ..options };
    let again: Simulated =
        simulate(&graph(&sink), &options, &world, seed + 1, Until::End).await.unwrap();
    assert!(again.finished);
    assert_eq!(again.restored > 0, crash.is_some());
    assert_eq!(collected(&sink), expected(), "{workers} workers, {rows_max} rows, seed {seed}");
}

#[tokio::test]
async fn any_workers_and_batches_give_the_same_sums() {
    for workers in [1, 2, 4] {
        for rows_max in [1, 7, 1024] {
            run(workers, rows_max, 42, None).await;
        }
    }
}

#[tokio::test]
async fn a_crash_after_a_checkpoint_changes_nothing() {
    for seed in 1..30 {
        run(2, 7, seed, Some((seed as usize * 3, 2))).await;
    }
}

#[tokio::test]
async fn a_checkpoint_serves_another_number_of_workers() {
    for (before, after) in [(1, 2), (2, 1), (4, 3), (2, 4)] {
        run(before, 7, 11, Some((9, after))).await;
    }
}

/// A clock that is set forward and back by years, and stands still in between.
#[derive(Default)]
struct Jumping(AtomicI64);

impl Clock for Jumping {
    fn now(&self) -> i64 {
        const YEAR_MS: i64 = 31_536_000_000;
        let looks = self.0.fetch_add(1, Ordering::Relaxed);
        [5, 6, 2, 2, 9, 0, -3, 4][(looks / 3) as usize % 8] * YEAR_MS
    }
}

#[tokio::test]
async fn a_clock_that_jumps_changes_nothing() {
    for seed in 1..10 {
        let clock = Arc::new(Jumping::default());
        let world = World { clock, ..world(Arc::new(nowcast_engine::aside::Discard)) };
        let options = JobOptions { workers: 2, rows_max: 7, ..JobOptions::default() };
        let sink = Collected::default();
        let until = Until::CrashAfterCheckpoint { turns: 5 };
        simulate(&graph(&sink), &options, &world, seed, until).await.unwrap();
        let again = simulate(&graph(&sink), &options, &world, seed + 1, Until::End).await.unwrap();
        assert!(again.finished);
        assert_eq!(collected(&sink), expected());
    }
}
