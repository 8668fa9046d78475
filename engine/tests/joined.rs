//! What a source has ready behind few rows is taken with them, and nothing of it is lost or told too late.

#![allow(clippy::unwrap_used)] // a test that cannot go on should say where

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use async_trait::async_trait;
use nowcast_engine::evaluate::ColumnAt;
use nowcast_engine::graph::{OperatorFactory, SourceNode, WatermarkStrategy};
use nowcast_engine::testing::{Collected, Until, simulate, world};
use nowcast_engine::*;

/// What the source says next.
#[derive(Clone)]
enum Say {
    /// Rows of these times; none of them for the table's rules where it is empty.
    Rows(&'static str, std::ops::Range<i64>),
    Rejected(&'static str),
    Idle(&'static str),
    /// Nothing for now.
    Pause,
    Fail,
}
use Say::{Fail, Idle, Pause, Rejected, Rows};

#[derive(Clone)]
struct Script(Vec<Say>);

struct Reader {
    left: VecDeque<Say>,
    read: i64,
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("ts", DataType::Int64, false)]))
}

#[async_trait]
impl SourceFactory for Script {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn bounded(&self) -> bool {
        false
    }

    async fn open(&self, _: SourceContext) -> Result<Box<dyn Source>> {
        Ok(Box::new(Reader { left: self.0.clone().into(), read: 0 }))
    }
}

#[async_trait]
impl Source for Reader {
    fn splits(&self) -> Vec<Arc<str>> {
        vec!["a".into(), "b".into()]
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        let rows = |times: std::ops::Range<i64>| {
            RecordBatch::try_new(schema(), vec![Arc::new(times.collect::<Int64Array>())])
        };
        let (split, rows, rejected) = match self.left.pop_front() {
            Some(Rows(split, times)) => (split, rows(times)?, vec![]),
            Some(Rejected(split)) => {
                let letter = DeadLetter {
                    stage: "source".into(),
                    topic: None,
                    partition: None,
                    offset: Some(self.read),
                    timestamp: None,
                    error: "no row".into(),
                    key: None,
                    raw: vec![],
                };
                (split, rows(0..0)?, vec![letter])
            }
            Some(Idle(split)) => return Ok(SourceEvent::Idle { split: split.into() }),
            Some(Pause) => std::future::pending().await,
            Some(Fail) => return Err(Error::outside("gone")),
            None => return Ok(SourceEvent::End),
        };
        self.read += 1;
        Ok(SourceEvent::Rows { split: split.into(), rows, weights: None, rejected })
    }

    fn positions(&self) -> Vec<Position> {
        vec![Position { split: "a".into(), offset: self.read }]
    }
}

/// Notes what it is given: `2 rows`, `time 7`.
struct Noting(Arc<Mutex<Vec<String>>>);

impl Operator for Noting {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        let times = batch.column(0).as_primitive::<Int64Type>().values().to_vec();
        self.0.lock().unwrap().push(format!("rows {times:?}"));
        out.emit(batch);
        Ok(())
    }

    fn on_time(&mut self, time: Time, _: &mut Output) -> Result<()> {
        if let Time::Event(time) = time {
            self.0.lock().unwrap().push(format!("time {time}"));
        }
        Ok(())
    }
}

/// What an operator behind the source was given, without the end; the rows of the sink; whether the job failed.
async fn noted(script: Vec<Say>, rows_max: usize) -> (Vec<String>, Vec<i64>, bool) {
    let notes = Arc::new(Mutex::new(vec![]));
    let (sink, noting) = (Collected::default(), Arc::clone(&notes));
    let input = |from| Input { from, route: Route::Forward };
    let operator: OperatorFactory =
        Arc::new(move |_| Ok(Box::new(Noting(Arc::clone(&noting))) as Box<dyn Operator>));
    let node =
        |name: &str, kind, inputs| Node { name: name.into(), kind, inputs, schema: schema() };
    let source = SourceNode {
        factory: Arc::new(Script(script)),
        computed: None,
        watermark: Some(WatermarkStrategy { column: 0, bound: Arc::new(ColumnAt(0)) }),
        idle_timeout: None,
        alignment: None,
    };
    let graph = Graph {
        nodes: vec![
            node("source", NodeKind::Source(source), vec![]),
            node("noting", NodeKind::Operator(operator), vec![input(0)]),
            node("sink", NodeKind::Sink(Arc::new(sink.clone())), vec![input(1)]),
        ],
    };
    let world = world(Arc::new(nowcast_engine::aside::Discard));
    let options = JobOptions { rows_max, ..JobOptions::default() };
    let ended = simulate(&graph, &options, &world, 4, Until::End).await;
    let mut notes = notes.lock().unwrap().clone();
    notes.retain(|note| *note != format!("time {}", i64::MAX));
    let rows = sink
        .batches()
        .into_iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec());
    (notes, rows.collect(), ended.is_err())
}

#[tokio::test]
async fn rows_that_wait_come_together_and_time_once() {
    let script = vec![Rows("a", 1..3), Rows("b", 5..7), Rows("a", 7..8), Pause, Rows("a", 8..9)];
    let (notes, rows, _) = noted(script, 100).await;
    assert_eq!(notes, ["rows [1, 2, 5, 6, 7]", "time 6", "rows [8]"]);
    assert_eq!(rows, [1, 2, 5, 6, 7, 8]);
}

#[tokio::test]
async fn batches_are_no_larger_than_they_may_be() {
    let script = (0..50).map(|row| Rows("a", row * 3..row * 3 + 3)).collect();
    let (notes, rows, _) = noted(script, 10).await;
    assert_eq!(rows, (0..150).collect::<Vec<_>>());
    // Two of three rows are more than half of ten.
    assert!(notes.len() >= 25 && notes.iter().all(|note| note.split(',').count() <= 10));
    let script = (0..200).map(|row| Rows("a", row..row + 1)).collect();
    assert_eq!(noted(script, 4_096).await.1, (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_split_that_is_idle_behind_its_rows_has_told_their_time() {
    let script = vec![Idle("b"), Rows("a", 1..3), Idle("a"), Pause];
    let (notes, ..) = noted(script, 100).await;
    assert_eq!(notes, ["rows [1, 2]", "time 2"]);
}

#[tokio::test]
async fn rows_before_a_failure_are_handed_on() {
    let script = vec![Rows("a", 1..3), Rejected("a"), Rows("a", 3..4), Fail];
    let (notes, _, failed) = noted(script, 100).await;
    assert_eq!((notes, failed), (vec!["rows [1, 2, 3]".to_owned()], true));
}

#[tokio::test]
async fn what_makes_no_rows_does_not_keep_the_worker() {
    // More than are taken in one turn, without a row.
    let script = (0..1_000).map(|_| Rejected("a")).chain([Rows("a", 1..2)]).collect();
    assert_eq!(noted(script, 1_000_000).await.1, [1]);
}
