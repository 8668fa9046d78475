//! Rows that cannot be processed: safe outside before a checkpoint that lies behind them, and the end of
//! the job where it is told so.

#![allow(clippy::unwrap_used)] // a test that cannot go on should say where

use std::sync::{Arc, Mutex};

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use nowcast_engine::checkpoint::Checkpoints;
use nowcast_engine::evaluate::kept_indices;
use nowcast_engine::graph::SourceNode;
use nowcast_engine::testing::{Collected, RowsSource, world};
use nowcast_engine::{
    Aside, Batch, DeadLetter, Error, ErrorPolicy, ErrorRate, Graph, Input, Job, JobOptions,
    LateRows, Node, NodeKind, OnError, Operator, Output, Result, Route, World,
};

const ROWS: i64 = 1_000;

/// Where letters are safe once they are flushed.
#[derive(Default)]
struct Letters {
    kept: Mutex<Vec<DeadLetter>>,
    safe: Mutex<usize>,
    fails: bool,
}

#[async_trait]
impl Aside for Letters {
    fn dead_letter(&self, letter: DeadLetter) {
        self.kept.lock().unwrap().push(letter);
    }

    fn late(&self, _stage: &str, _rows: LateRows) {}

    async fn flush(&self) -> Result<()> {
        if self.fails {
            return Err(Error::outside("no room left"));
        }
        *self.safe.lock().unwrap() = self.kept.lock().unwrap().len();
        Ok(())
    }
}

/// Cannot process every tenth number.
struct NoTens;

impl Operator for NoTens {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        let numbers = batch.rows().column(0).as_primitive::<Int64Type>();
        let tens = numbers.values().iter().enumerate().filter(|(_, number)| *number % 10 == 0);
        let rejected: Vec<_> =
            tens.map(|(row, number)| (row, format!("{number} ends in 0"))).collect();
        let kept = kept_indices(batch.num_rows(), &rejected);
        out.reject(batch.rows(), rejected)?;
        out.emit(batch.take(&kept)?);
        Ok(())
    }
}

fn graph() -> Graph {
    let rows = Int64Array::from_iter_values(0..ROWS);
    let rows = RecordBatch::try_from_iter([("n", Arc::new(rows) as Arc<dyn Array>)]).unwrap();
    let schema = rows.schema();
    let source = SourceNode {
        factory: Arc::new(RowsSource { schema: schema.clone(), splits: vec![rows] }),
        computed: None,
        watermark: None,
        idle_timeout: None,
        alignment: None,
    };
    let node = |name: &str, kind, from: Option<usize>| {
        let inputs = from.map(|from| Input { from, route: Route::Forward }).into_iter().collect();
        Node { name: name.into(), kind, inputs, schema: schema.clone() }
    };
    Graph {
        nodes: vec![
            node("numbers", NodeKind::Source(source), None),
            node("no_tens", NodeKind::Operator(Arc::new(|_| Ok(Box::new(NoTens)))), Some(0)),
            node("out", NodeKind::Sink(Arc::new(Collected::default())), Some(1)),
        ],
    }
}

/// Runs to the end; the world, and how it ended.
async fn run(letters: &Arc<Letters>, errors: ErrorPolicy) -> (World, Result<()>) {
    let world = world(Arc::clone(letters) as Arc<dyn Aside>);
    let tolerable_failed_checkpoints = Some(0);
    let options =
        JobOptions { rows_max: 7, errors, tolerable_failed_checkpoints, ..JobOptions::default() };
    let job = Job::start(graph(), options, world.clone()).await.unwrap();
    let ended = job.wait().await;
    (world, ended)
}

async fn checkpoints(world: &World) -> usize {
    let checkpoints = Checkpoints::new(world.store.clone().unwrap(), "job");
    checkpoints.epochs().await.unwrap().len()
}

#[tokio::test]
async fn a_checkpoint_waits_until_what_was_set_aside_is_safe() {
    let letters = Arc::new(Letters::default());
    let (world, ended) = run(&letters, ErrorPolicy::default()).await;
    ended.unwrap();
    assert_eq!(*letters.safe.lock().unwrap(), 100);
    assert_eq!(checkpoints(&world).await, 1);

    let letters = Arc::new(Letters { fails: true, ..Letters::default() });
    let (world, ended) = run(&letters, ErrorPolicy::default()).await;
    let error = ended.unwrap_err().to_string();
    assert!(error.contains("1 checkpoints failed") && error.contains("rows set aside"), "{error}");
    assert_eq!(checkpoints(&world).await, 0);
}

#[tokio::test]
async fn no_checkpoint_is_taken_behind_a_row_that_ends_the_job() {
    let letters = Arc::new(Letters::default());
    let stages = [("no_tens".to_owned(), OnError::Fail)].into();
    let (world, ended) = run(&letters, ErrorPolicy { stages, ..ErrorPolicy::default() }).await;
    let expected = "operator `no_tens`: row {\"n\":0}: 0 ends in 0";
    assert_eq!(ended.unwrap_err().to_string(), expected);
    assert!(letters.kept.lock().unwrap().is_empty());
    assert_eq!(checkpoints(&world).await, 0);
}

#[tokio::test]
async fn too_many_rows_that_fail_end_the_job() {
    for (max, ends) in [(0.05, true), (0.2, false)] {
        let letters = Arc::new(Letters::default());
        let rate = Some(ErrorRate { max, rows: 200 });
        let (world, ended) = run(&letters, ErrorPolicy { rate, ..ErrorPolicy::default() }).await;
        if !ends {
            ended.unwrap();
            continue;
        }
        let error = ended.unwrap_err().to_string();
        let words = "operator `no_tens`: 21 of the last 203 rows could not be processed, 10.3 %, \
                     and 5 % may; the last one: 200 ends in 0";
        assert_eq!(error, words);
        assert_eq!(checkpoints(&world).await, 0);
        // What was kept until then is there to be looked at.
        assert_eq!(*letters.safe.lock().unwrap(), 21);
    }
}
