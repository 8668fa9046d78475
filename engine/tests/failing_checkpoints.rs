//! Checkpoints that fail: the job goes on, says so, and loses and repeats nothing.

#![allow(clippy::unwrap_used)] // a test that cannot go on should say where

mod faulty;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use faulty::{Faulty, Write};
use futures::TryStreamExt;
use nowcast_engine::aside::Discard;
use nowcast_engine::checkpoint::{Checkpoints, Writer};
use nowcast_engine::graph::SourceNode;
use nowcast_engine::testing::{Collected, RowsSource, world};
use nowcast_engine::{ErrorKind, Graph, Input, Job, JobOptions, Node, NodeKind, Route, World};
use object_store::ObjectStore;
use object_store::path::Path;

const ROWS: i64 = 100;

fn graph(sink: &Collected) -> Graph {
    let rows: Arc<dyn Array> = Arc::new(Int64Array::from_iter_values(0..ROWS));
    let rows = RecordBatch::try_from_iter([("n", rows)]).unwrap();
    let schema = rows.schema();
    let source = SourceNode {
        factory: Arc::new(RowsSource { schema: schema.clone(), splits: vec![rows] }),
        computed: None,
        watermark: None,
        idle_timeout: None,
        alignment: None,
    };
    let node =
        |name: &str, kind, inputs| Node { name: name.into(), kind, inputs, schema: schema.clone() };
    let input = Input { from: 0, route: Route::Forward };
    Graph {
        nodes: vec![
            node("numbers", NodeKind::Source(source), vec![]),
            node("out", NodeKind::Sink(Arc::new(sink.clone())), vec![input]),
        ],
    }
}

fn outside(store: &Faulty) -> World {
    World { store: Some(Arc::new(store.clone())), ..world(Arc::new(Discard)) }
}

/// A job whose only checkpoint is the one at its end.
async fn started(store: &Faulty, sink: &Collected, options: JobOptions) -> Job {
    Job::start(graph(sink), options, outside(store)).await.unwrap()
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{what} did not come"));
}

fn numbers(sink: &Collected) -> Vec<i64> {
    let column = |batch: &nowcast_engine::Batch| {
        batch.column(0).as_primitive::<Int64Type>().values().to_vec()
    };
    sink.batches().iter().flat_map(column).collect()
}

async fn files(store: &Faulty) -> Vec<String> {
    let files: Vec<_> = store.list(None).try_collect().await.unwrap();
    files.iter().map(|file| file.location.to_string()).collect()
}

#[tokio::test]
async fn a_job_goes_on_until_there_is_room_again() {
    let store = Faulty::new(|_, _| Write::Fails);
    let sink = Collected::default();
    let job = started(&store, &sink, JobOptions::default()).await;
    let stats = job.stats();
    until("two failures", || stats.failing().in_a_row >= 2).await;
    let error = stats.failing().error.unwrap();
    assert!(error.contains("epoch-") && error.contains("no room left"), "{error}");
    let left = files(&store).await;
    assert!(left.iter().all(|file| file.ends_with("manifest.json")), "more than numbers: {left:?}");
    let checkpoints = Checkpoints::new(Arc::new(store.clone()), "job");
    assert_eq!(checkpoints.epochs().await.unwrap(), Vec::<u64>::new());
    store.set(|_, _| Write::Works);
    job.wait().await.unwrap();
    assert_eq!(stats.failing().in_a_row, 0);
    assert_eq!(numbers(&sink), (0..ROWS).collect::<Vec<_>>());
    assert_eq!(checkpoints.epochs().await.unwrap().len(), 1);
}

#[tokio::test]
async fn more_failures_in_a_row_than_are_tolerable_end_the_job() {
    for tolerable in [0, 1] {
        let store = Faulty::new(|_, _| Write::Fails);
        let options =
            JobOptions { tolerable_failed_checkpoints: Some(tolerable), ..JobOptions::default() };
        let error = started(&store, &Collected::default(), options).await.wait().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Outside);
        let words = format!("{} checkpoints failed in a row", tolerable + 1);
        assert!(error.to_string().contains(&words), "{error}");
        assert!(error.to_string().contains("no room left"), "{error}");
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_costs_the_timeout() {
    let store = Faulty::new(|_, _| Write::Hangs);
    let checkpoint_timeout = Duration::from_millis(50);
    let options = JobOptions { checkpoint_timeout, ..JobOptions::default() };
    let sink = Collected::default();
    let job = started(&store, &sink, options).await;
    let stats = job.stats();
    until("a failure", || stats.failing().in_a_row >= 1).await;
    let error = stats.failing().error.unwrap();
    assert_eq!(error, "checkpoint: not complete within 50ms");
    store.set(|_, _| Write::Works);
    job.wait().await.unwrap();
    assert_eq!(numbers(&sink), (0..ROWS).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_write_that_is_repeated_finds_itself() {
    let store = Faulty::new(|_, _| Write::Repeated);
    let job = started(&store, &Collected::default(), JobOptions::default()).await;
    let stats = job.stats();
    job.wait().await.unwrap();
    assert_eq!(stats.checkpoints_failed.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_checkpoint_of_another_run_ends_the_job() {
    let store = Faulty::new(|_, _| Write::Works);
    let inner = Arc::clone(&store.inner);
    let sink = Collected::default();
    store.set(move |_, path: &Path| {
        // The other one was quicker.
        let (inner, path) = (Arc::clone(&inner), path.clone());
        let put = async move { inner.put_opts(&path, "{}".into(), Default::default()).await };
        futures::executor::block_on(put).unwrap();
        Write::Works
    });
    let job = started(&store, &sink, JobOptions::default()).await;
    let error = job.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
    assert!(error.to_string().contains("another run of this job"), "{error}");
}

#[tokio::test]
async fn a_stop_waits_for_a_checkpoint_that_works() {
    let store = Faulty::new(|_, _| Write::Fails);
    let sink = Collected::default();
    let job = started(&store, &sink, JobOptions::default()).await;
    let stats = job.stats();
    job.stopper()();
    until("a failure", || stats.failing().in_a_row >= 1).await;
    store.set(|_, _| Write::Works);
    job.wait().await.unwrap();
    let checkpoints = Checkpoints::new(Arc::new(store), "job");
    assert_eq!(checkpoints.epochs().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_never_was_complete_goes_with_older_checkpoints() {
    let store = Faulty::new(|_, _| Write::Works);
    let orphan = Path::from("job/epoch-0000000001/0-0-0.arrow");
    store.put_opts(&orphan, "half".into(), Default::default()).await.unwrap();
    let checkpoints = Checkpoints::new(Arc::new(store.clone()), "job");
    let of = |follows| (Default::default(), follows);
    for epoch in 2..6 {
        checkpoints
            .write(&Writer::default(), epoch, 1, false, of(epoch - 1), vec![])
            .await
            .unwrap();
    }
    assert_eq!(checkpoints.epochs().await.unwrap(), [3, 4, 5]);
    assert!(!files(&store).await.contains(&orphan.to_string()));
    // The last that was heard to be complete stays, however many have come into effect unheard.
    for epoch in 6..9 {
        checkpoints.write(&Writer::default(), epoch, 1, false, of(4), vec![]).await.unwrap();
    }
    assert_eq!(checkpoints.epochs().await.unwrap(), [4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn a_job_without_checkpoints_ends_with_its_input() {
    for _ in 0..200 {
        let sink = Collected::default();
        let world = World { store: None, ..world(Arc::new(Discard)) };
        let job = Job::start(graph(&sink), JobOptions::default(), world).await.unwrap();
        job.wait().await.unwrap();
        assert_eq!(numbers(&sink), (0..ROWS).collect::<Vec<_>>());
    }
}
