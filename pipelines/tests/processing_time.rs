//! Windows of the clock: they fire when no rows come any more, through a crash too.

#![allow(clippy::unwrap_used)] // a test that cannot go on should say where

#[allow(dead_code)] // the judge of the golden cases uses all of it
#[path = "golden/rows.rs"]
mod rows;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::{Int32Array, RecordBatch};
use async_trait::async_trait;
use nowcast_engine::testing::{Collected, Kept, Until, simulate, world};
use nowcast_engine::world::Clock;
use nowcast_engine::{
    Connectors, JobOptions, Position, Result, SinkFactory, Source, SourceContext, SourceEvent,
    SourceFactory, TableDefinition, World,
};
use nowcast_onnx::OnnxProvider;
use nowcast_planner::Planner;

/// How far the clock goes whenever the source is asked for more rows.
const STEP_MS: i64 = 250;
const END_MS: i64 = 100_000;

#[derive(Clone, Default)]
struct Hands {
    time: Arc<AtomicI64>,
    /// Whether it is set now and then: an hour forward, later an hour back.
    jumps: bool,
}

impl Clock for Hands {
    fn now(&self) -> i64 {
        const HOUR_MS: i64 = 3_600_000;
        let time = self.time.load(Ordering::Relaxed);
        let set = if self.jumps { [0, 1, -1, 0, -1, 1][(time / 1_500) as usize % 6] } else { 0 };
        time + set * HOUR_MS
    }
}

/// Twelve rows, then nothing for a hundred seconds, then the end.
#[derive(Clone)]
struct Quiet {
    definition: TableDefinition,
    clock: Hands,
}

struct QuietReader {
    quiet: Quiet,
    splits: Vec<Arc<str>>,
    read: i64,
}

const ROWS: i64 = 12;

#[async_trait]
impl SourceFactory for Quiet {
    fn schema(&self) -> arrow::datatypes::SchemaRef {
        self.definition.schema.clone()
    }

    fn bounded(&self) -> bool {
        false
    }

    async fn open(&self, context: SourceContext) -> Result<Box<dyn Source>> {
        let splits = if context.worker == 0 { vec!["0".into()] } else { vec![] };
        let read = context.positions.first().map_or(0, |position| position.offset);
        Ok(Box::new(QuietReader { quiet: self.clone(), splits, read }))
    }
}

#[async_trait]
impl Source for QuietReader {
    fn splits(&self) -> Vec<Arc<str>> {
        self.splits.clone()
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        if let Some(split) = self.splits.first()
            && self.read < ROWS
        {
            let ids: Int32Array = (self.read..self.read + 3).map(|id| id as i32 % 2).collect();
            self.read += 3;
            let rows =
                RecordBatch::try_new(self.quiet.definition.schema.clone(), vec![Arc::new(ids)])?;
            let split = Arc::clone(split);
            return Ok(SourceEvent::Rows { split, rows, weights: None, rejected: vec![] });
        }
        if self.quiet.clock.time.load(Ordering::Relaxed) < END_MS {
            self.quiet.clock.time.fetch_add(STEP_MS, Ordering::Relaxed);
            std::future::pending::<()>().await;
        }
        Ok(SourceEvent::End)
    }

    fn positions(&self) -> Vec<Position> {
        let position = |split: &Arc<str>| Position { split: split.to_string(), offset: self.read };
        self.splits.iter().map(position).collect()
    }
}

struct Only {
    clock: Hands,
    sink: Collected,
}

impl Connectors for Only {
    fn source(&self, table: &TableDefinition) -> Result<Arc<dyn SourceFactory>> {
        Ok(Arc::new(Quiet { definition: table.clone(), clock: self.clock.clone() }))
    }

    fn sink(&self, _: &TableDefinition) -> Result<Arc<dyn SinkFactory>> {
        Ok(Arc::new(self.sink.clone()))
    }
}

/// The rows that a query over `quiet` gives, which has `k` and the clock `p`.
async fn rows_of(query: &str, workers: usize, crash: bool) -> Vec<String> {
    rows_by(Hands::default(), query, workers, crash).await
}

async fn rows_by(clock: Hands, query: &str, workers: usize, crash: bool) -> Vec<String> {
    let sql = format!(
        "CREATE TABLE quiet (k INT, p AS PROCTIME()) WITH ('connector' = 'quiet');
         CREATE TABLE answer (k INT, n BIGINT) WITH ('connector' = 'answer');
         INSERT INTO answer {query}"
    );
    let only = Arc::new(Only { clock, sink: Collected::default() });
    let clock = Arc::new(only.clock.clone());
    let world = World { clock, ..world(Arc::new(Kept::default())) };
    let options = JobOptions { workers, ..JobOptions::default() };
    let plan = || {
        let models = Arc::new(OnnxProvider::default());
        Planner::new(only.clone(), models, BTreeMap::new()).plan(&sql).unwrap().graph
    };
    if crash {
        let until = Until::CrashAfterCheckpoint { turns: 2 };
        simulate(&plan(), &options, &world, 5, until).await.unwrap();
    }
    simulate(&plan(), &options, &world, 6, Until::End).await.unwrap();
    let rows = rows::materialised(&only.sink.batches(), &[]).unwrap();
    rows.iter().map(ToString::to_string).collect()
}

/// The sums of counts by key, whatever windows they are in.
fn by_key(rows: &[String]) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for row in rows {
        let (key, count) = row.trim_matches(['[', ']']).split_once(',').unwrap();
        *sums.entry(key.to_owned()).or_default() += count.parse::<i64>().unwrap();
    }
    sums
}

const WINDOWS: [&str; 5] = [
    "SELECT k, COUNT(*) FROM TABLE(TUMBLE(TABLE quiet, DESCRIPTOR(p), INTERVAL '2' SECOND))
         GROUP BY k, window_start, window_end",
    "SELECT k, COUNT(*) FROM quiet GROUP BY k, TUMBLE(p, INTERVAL '2' SECOND)",
    "SELECT k, COUNT(*) FROM quiet GROUP BY k, SESSION(p, INTERVAL '2' SECOND)",
    "SELECT k, COUNT(*)
         FROM TABLE(SESSION(TABLE quiet PARTITION BY k, DESCRIPTOR(p), INTERVAL '3' SECOND))
         GROUP BY k, window_start, window_end",
    "SELECT k, COUNT(*)
         FROM (SELECT * FROM TABLE(TUMBLE(TABLE quiet, DESCRIPTOR(p), INTERVAL '1' SECOND)))
         GROUP BY k, window_start, window_end",
];

#[tokio::test]
async fn a_window_fires_when_no_rows_come() {
    let expected = BTreeMap::from([("0".to_owned(), 6), ("1".to_owned(), 6)]);
    for query in WINDOWS {
        for (workers, crash) in [(1, false), (2, false), (1, true), (2, true)] {
            let rows = rows_of(query, workers, crash).await;
            assert_eq!(by_key(&rows), expected, "{query}, {workers} workers, crash {crash}");
        }
    }
}

#[tokio::test]
async fn a_hop_of_the_clock_counts_each_row_in_all_its_windows() {
    let query = "SELECT k, COUNT(*)
        FROM TABLE(HOP(TABLE quiet, DESCRIPTOR(p), INTERVAL '1' SECOND, INTERVAL '3' SECOND))
        GROUP BY k, window_start, window_end";
    for (workers, crash) in [(1, false), (2, true)] {
        let rows = rows_of(query, workers, crash).await;
        let expected = BTreeMap::from([("0".to_owned(), 18), ("1".to_owned(), 18)]);
        assert_eq!(by_key(&rows), expected, "{workers} workers, crash {crash}");
    }
}

#[tokio::test]
async fn what_the_clock_has_not_ended_is_not_emitted_at_the_end_of_input() {
    let query = "SELECT k, COUNT(*)
        FROM TABLE(TUMBLE(TABLE quiet, DESCRIPTOR(p), INTERVAL '1' HOUR))
        GROUP BY k, window_start, window_end";
    assert_eq!(rows_of(query, 1, false).await, Vec::<String>::new());
}

/// A row may come into a window that was emitted already, which then is emitted again, as where a
/// clock is set back in Flink; no row is lost, nothing stalls.
#[tokio::test]
async fn a_clock_that_is_set_loses_no_row() {
    let expected = BTreeMap::from([("0".to_owned(), 6), ("1".to_owned(), 6)]);
    for query in WINDOWS {
        for (workers, crash) in [(1, false), (2, false), (1, true), (2, true)] {
            let clock = Hands { jumps: true, ..Hands::default() };
            let rows = rows_by(clock, query, workers, crash).await;
            assert_eq!(by_key(&rows), expected, "{query}, {workers} workers, crash {crash}");
        }
    }
}
