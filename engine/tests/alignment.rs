//! A source that is ahead of its group waits for the others.

#![allow(clippy::unwrap_used)] // a test that cannot go on should say where

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use nowcast_engine::evaluate::ColumnAt;
use nowcast_engine::graph::{SourceNode, WatermarkStrategy};
use nowcast_engine::testing::{Collected, RowsSource, Until, simulate, world};
use nowcast_engine::{Alignment, Graph, Input, JobOptions, Node, NodeKind, Route};

const ROWS: i64 = 300;
const DRIFT_MS: i64 = 2_000;
/// The times of the rows are so far apart.
const SLOW_MS: i64 = 10;
const FAST_MS: i64 = 500;

fn schema() -> SchemaRef {
    let fields =
        vec![Field::new("name", DataType::Utf8, false), Field::new("ts", DataType::Int64, false)];
    Arc::new(Schema::new(fields))
}

fn source(name: &str, step_ms: i64, alignment: Option<Alignment>) -> Node {
    let names: StringArray = (0..ROWS).map(|_| Some(name)).collect();
    let times: Int64Array = (0..ROWS).map(|row| row * step_ms).collect();
    let rows = RecordBatch::try_new(schema(), vec![Arc::new(names), Arc::new(times)]).unwrap();
    let source = SourceNode {
        factory: Arc::new(RowsSource { schema: schema(), splits: vec![rows] }),
        computed: None,
        watermark: Some(WatermarkStrategy { column: 1, bound: Arc::new(ColumnAt(1)) }),
        idle_timeout: None,
        alignment,
    };
    let kind = NodeKind::Source(source);
    Node { name: name.into(), kind, inputs: vec![], schema: schema() }
}

/// The names and times of all rows, in the order in which they came.
async fn came(group: Option<&str>, workers: usize, crash: bool) -> Vec<(String, i64)> {
    let alignment =
        group.map(|group| Alignment { group: group.to_owned(), max_drift_ms: DRIFT_MS });
    let sink = Collected::default();
    let input = |from| Input { from, route: Route::Forward };
    let graph = Graph {
        nodes: vec![
            source("slow", SLOW_MS, alignment.clone()),
            source("fast", FAST_MS, alignment),
            Node {
                name: "out".into(),
                kind: NodeKind::Sink(Arc::new(sink.clone())),
                inputs: vec![input(0), input(1)],
                schema: schema(),
            },
        ],
    };
    let world = world(Arc::new(nowcast_engine::aside::Discard));
    let options = JobOptions { workers, rows_max: 1, ..JobOptions::default() };
    if crash {
        let until = Until::CrashAfterCheckpoint { turns: 3 };
        simulate(&graph, &options, &world, 3, until).await.unwrap();
    }
    assert!(simulate(&graph, &options, &world, 4, Until::End).await.unwrap().finished);
    let mut rows = vec![];
    for batch in sink.batches() {
        let names = batch.column(0).as_string::<i32>();
        for row in 0..names.len() {
            let time = batch.column(1).as_primitive::<Int64Type>().value(row);
            rows.push((names.value(row).to_owned(), time));
        }
    }
    rows
}

/// How far the fast source was ahead at most, while the slow one had rows to give.
fn lead(rows: &[(String, i64)]) -> i64 {
    let (mut slow, mut lead) = (None, 0);
    for (name, time) in rows {
        match (name.as_str(), slow) {
            ("slow", _) => slow = Some(*time),
            (_, Some(slow)) if slow < (ROWS - 1) * SLOW_MS => lead = lead.max(time - slow),
            _ => {}
        }
    }
    lead
}

#[tokio::test]
async fn a_source_ahead_of_its_group_by_more_than_the_drift_waits() {
    for (workers, crash) in [(1, false), (1, true), (2, false)] {
        let rows = came(Some("group"), workers, crash).await;
        assert_eq!(rows.len() as i64, 2 * ROWS, "{workers} workers, crash {crash}");
        let lead = lead(&rows);
        assert!(lead <= DRIFT_MS + FAST_MS, "{workers} workers, crash {crash}: {lead} ms ahead");
    }
}

#[tokio::test]
async fn a_source_without_group_waits_for_no_one() {
    let rows = came(None, 1, false).await;
    assert_eq!(rows.len() as i64, 2 * ROWS);
    assert!(lead(&rows) > 10 * DRIFT_MS);
}
