//! Tables with one transaction for a whole job: whatever fails around a commit, and when, each row
//! is committed exactly once.

#![allow(clippy::unwrap_used)] // a test that cannot go on should say where

mod faulty;

use std::sync::{Arc, Mutex};

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use faulty::{Faulty, Write};
use nowcast_engine::aside::{DeadLetter, Discard};
use nowcast_engine::graph::SourceNode;
use nowcast_engine::testing::{RowsSource, Until, simulate, world};
use nowcast_engine::{
    Batch, ChangelogMode, Epoch, Error, Graph, Input, JobOptions, JobRun, Node, NodeKind, Result,
    Route, Sink, SinkContext, SinkFactory, World,
};

/// A log as a transactional broker keeps it.
#[derive(Default)]
struct Log {
    open: Vec<i64>,
    committed: Vec<i64>,
    epoch: Epoch,
    /// Whoever writes with an older one is fenced.
    generation: usize,
    fails: Option<Fails>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Fails {
    epoch: Epoch,
    /// Whether the commit has come into effect before its answer is lost.
    late: bool,
}

#[derive(Clone, Default)]
struct Transactions(Arc<Mutex<Log>>);

struct Writer {
    log: Transactions,
    generation: usize,
}

impl Writer {
    fn fenced(&self, log: &Log) -> Result<()> {
        match self.generation == log.generation {
            true => Ok(()),
            false => Err(Error::outside("fenced")),
        }
    }
}

#[async_trait]
impl SinkFactory for Transactions {
    fn changelog_mode(&self) -> ChangelogMode {
        ChangelogMode::Append
    }

    async fn committed(&self, _run: &JobRun) -> Result<Option<Epoch>> {
        let mut log = self.0.lock().unwrap();
        log.open.clear();
        log.generation += 1;
        Ok(Some(log.epoch))
    }

    async fn open(&self, _context: SinkContext) -> Result<Box<dyn Sink>> {
        let generation = self.0.lock().unwrap().generation;
        Ok(Box::new(Writer { log: self.clone(), generation }))
    }
}

#[async_trait]
impl Sink for Writer {
    async fn write(&mut self, batch: &Batch, _rejected: &mut Vec<DeadLetter>) -> Result<()> {
        let mut log = self.log.0.lock().unwrap();
        self.fenced(&log)?;
        log.open.extend(batch.column(0).as_primitive::<Int64Type>().values());
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    async fn commit(&mut self, epoch: Epoch) -> Result<()> {
        let mut log = self.log.0.lock().unwrap();
        self.fenced(&log)?;
        if epoch <= log.epoch {
            return Ok(());
        }
        let fails = log.fails.take_if(|fails| fails.epoch <= epoch);
        if fails.is_some_and(|fails| !fails.late) {
            return Err(Error::outside("not committed"));
        }
        let open = std::mem::take(&mut log.open);
        log.committed.extend(open);
        log.epoch = epoch;
        match fails {
            Some(_) => Err(Error::outside("committed, but nobody heard of it")),
            None => Ok(()),
        }
    }

    fn waits_for_commit(&self) -> bool {
        true
    }
}

const ROWS: i64 = 200;

fn graph(sink: &Transactions) -> Graph {
    let split = |from: i64| {
        let rows = Int64Array::from_iter_values((from..ROWS).step_by(3));
        RecordBatch::try_from_iter([("n", Arc::new(rows) as Arc<dyn Array>)]).unwrap()
    };
    let splits: Vec<RecordBatch> = (0..3).map(split).collect();
    let schema = splits[0].schema();
    let source = SourceNode {
        factory: Arc::new(RowsSource { schema: schema.clone(), splits }),
        computed: None,
        watermark: None,
        idle_timeout: None,
        alignment: None,
    };
    let node =
        |name: &str, kind, inputs| Node { name: name.into(), kind, inputs, schema: schema.clone() };
    let out = NodeKind::Sink(Arc::new(sink.clone()));
    let input = Input { from: 0, route: Route::Forward };
    Graph {
        nodes: vec![
            node("numbers", NodeKind::Source(source), vec![]),
            node("out", out, vec![input]),
        ],
    }
}

/// Runs to the end, again and again while it fails; a first run crashes some turns after a
/// checkpoint.
async fn run(workers: usize, seed: u64, turns: usize, fails: Option<Fails>) {
    run_in(&world(Arc::new(Discard)), workers, seed, turns, fails).await;
}

async fn run_in(world: &World, workers: usize, seed: u64, turns: usize, fails: Option<Fails>) {
    let options = JobOptions { workers, rows_max: 5, ..JobOptions::default() };
    let sink = Transactions::default();
    sink.0.lock().unwrap().fails = fails;
    let mut until = Until::CrashAfterCheckpoint { turns };
    let mut ended = vec![];
    for attempt in 0.. {
        assert!(attempt < 5, "it never ends: {ended:?}");
        let ran = simulate(&graph(&sink), &options, world, seed + attempt, until).await;
        until = Until::End;
        match ran {
            Ok(ran) if ran.finished => break,
            Ok(_) => {}
            Err(error) => ended.push(error.to_string()),
        }
    }
    let mut committed = sink.0.lock().unwrap().committed.clone();
    committed.sort_unstable();
    let expected: Vec<i64> = (0..ROWS).collect();
    assert_eq!(committed, expected, "{workers} workers, seed {seed}, {turns} turns, {fails:?}");
}

#[tokio::test]
async fn rows_are_committed_once_whatever_fails() {
    for workers in [1, 2, 3] {
        for seed in 1..40 {
            let turns = seed as usize % 13;
            run(workers, seed * 31, turns, None).await;
            for late in [false, true] {
                for epoch in 1..4 {
                    run(workers, seed * 31, turns, Some(Fails { epoch, late })).await;
                }
            }
        }
    }
}

/// Where each of the first writes fails or not by a bit of `pattern`, before it has come into effect
/// or after.
fn failing(pattern: u64, late: bool) -> World {
    let store = Faulty::new(move |number, _| match pattern >> number.min(63) & 1 {
        0 => Write::Works,
        _ if late => Write::FailsLate,
        _ => Write::Fails,
    });
    World { store: Some(Arc::new(store)), ..world(Arc::new(Discard)) }
}

#[tokio::test]
async fn rows_are_committed_once_whatever_checkpoints_fail() {
    for workers in [1, 2] {
        for seed in 1..16_u64 {
            for late in [false, true] {
                let pattern = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
                let turns = seed as usize % 13;
                run_in(&failing(pattern, late), workers, seed * 31, turns, None).await;
                let fails = Some(Fails { epoch: 1 + seed % 5, late });
                run_in(&failing(pattern, late), workers, seed * 17, turns, fails).await;
            }
        }
    }
}
