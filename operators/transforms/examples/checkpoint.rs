//! What checkpoints of large keyed state cost: duration, bytes, the pause of the worker, and the time
//! that rows take through a running job while checkpoints are written and while not.
//!
//!     cargo run --release -p nowcast-transforms --example checkpoint -- build DIR [MB] [ROWS_PER_S]
//!     cargo run --release -p nowcast-transforms --example checkpoint -- restore DIR
//!
//! `build` counts and sums by a text key until the state has so many MB (1024), then adds rows at a fixed rate
//! (20000 a second) while it takes checkpoints: of all state, then of what has changed. `restore`, in a process
//! of its own, goes on from the last one and prints what that took in time and memory.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // a program for people

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use async_trait::async_trait;
use nowcast_engine::aside::{DeadLetter, Discard};
use nowcast_engine::graph::SourceNode;
use nowcast_engine::sink::{ChangelogMode, Sink, SinkContext, SinkFactory};
use nowcast_engine::testing::world;
use nowcast_engine::{
    Batch, Graph, Input, Job, JobOptions, Node, NodeKind, Operator, Position, Result, Route,
    Source, SourceContext, SourceEvent, SourceFactory, World,
};
use nowcast_transforms::{AggregateCall, AggregateFunction, GroupAggregate, GroupAggregateSpec};
use object_store::local::LocalFileSystem;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Rows of a batch while the state is built.
const BUILD_ROWS: usize = 8_192;

/// Checkpoints of each kind, and the pause between the beginnings of two.
const CHECKPOINTS: usize = 5;
const BETWEEN: Duration = Duration::from_secs(4);

/// What source, sink and the program have in common.
struct Shared {
    started: Instant,
    /// Keys there are to be; grows until the state is large enough.
    building: AtomicBool,
    keys: AtomicU64,
    rate: u64,
    stop: AtomicBool,
    /// Whether a checkpoint is under way.
    busy: AtomicBool,
    /// µs that rows took, while no checkpoint was under way and while one was.
    took: [Mutex<Vec<u64>>; 2],
}

impl Shared {
    fn micros(&self) -> i64 {
        self.started.elapsed().as_micros() as i64
    }
}

fn input() -> SchemaRef {
    nowcast_schema(&[("key", DataType::Utf8), ("value", DataType::Int64), ("at", DataType::Int64)])
}

fn output() -> SchemaRef {
    let numbers = ["count", "sum", "at"].map(|name| (name, DataType::Int64));
    nowcast_schema(&[&[("key", DataType::Utf8)], &numbers[..]].concat())
}

fn nowcast_schema(fields: &[(&str, DataType)]) -> SchemaRef {
    let fields =
        fields.iter().map(|(name, ty)| arrow::datatypes::Field::new(*name, ty.clone(), true));
    Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()))
}

/// New keys as fast as they are taken, then rows of any key at the rate.
struct Generator {
    shared: Arc<Shared>,
    random: ChaCha8Rng,
    begun: Option<(Instant, u64)>,
}

#[async_trait]
impl SourceFactory for Generator {
    fn schema(&self) -> SchemaRef {
        input()
    }

    fn bounded(&self) -> bool {
        false
    }

    async fn open(&self, _context: SourceContext) -> Result<Box<dyn Source>> {
        let (shared, random) = (Arc::clone(&self.shared), self.random.clone());
        Ok(Box::new(Generator { shared, random, begun: None }))
    }
}

impl Generator {
    fn rows(&mut self, keys: impl Iterator<Item = u64>, at: i64) -> RecordBatch {
        let keys: StringArray = keys.map(|key| Some(format!("customer-{key:012}"))).collect();
        let rows = keys.len();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(keys),
            Arc::new(Int64Array::from_value(1, rows)),
            Arc::new(Int64Array::from_value(at, rows)),
        ];
        RecordBatch::try_new(input(), columns).unwrap()
    }
}

#[async_trait]
impl Source for Generator {
    fn splits(&self) -> Vec<Arc<str>> {
        vec!["rows/0".into()]
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        let shared = Arc::clone(&self.shared);
        let rows = loop {
            if shared.stop.load(Ordering::Relaxed) {
                return std::future::pending().await;
            }
            if shared.building.load(Ordering::Relaxed) {
                tokio::task::yield_now().await;
                let first = shared.keys.fetch_add(BUILD_ROWS as u64, Ordering::Relaxed);
                break self.rows(first..first + BUILD_ROWS as u64, shared.micros());
            }
            let (begun, sent) = *self.begun.get_or_insert((Instant::now(), 0));
            let due = (begun.elapsed().as_micros() as u64 * shared.rate / 1_000_000)
                .min(sent + BUILD_ROWS as u64);
            if due == sent {
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            }
            self.begun = Some((begun, due));
            // A row is late from when it was due on, however long nobody asked for it.
            let meant = begun.duration_since(shared.started).as_micros() as u64;
            let at = meant + sent * 1_000_000 / shared.rate;
            let keys = shared.keys.load(Ordering::Relaxed);
            let keys: Vec<u64> = (sent..due).map(|_| self.random.random_range(0..keys)).collect();
            break self.rows(keys.into_iter(), at as i64);
        };
        Ok(SourceEvent::Rows { split: "rows/0".into(), rows, weights: None, rejected: vec![] })
    }

    fn positions(&self) -> Vec<Position> {
        vec![]
    }
}

/// Notes how long rows took.
struct Stopwatch(Arc<Shared>);

#[async_trait]
impl SinkFactory for Stopwatch {
    fn changelog_mode(&self) -> ChangelogMode {
        ChangelogMode::Retract
    }

    async fn open(&self, _context: SinkContext) -> Result<Box<dyn Sink>> {
        Ok(Box::new(Self(Arc::clone(&self.0))))
    }
}

#[async_trait]
impl Sink for Stopwatch {
    async fn write(&mut self, batch: &Batch, _rejected: &mut Vec<DeadLetter>) -> Result<()> {
        if self.0.building.load(Ordering::Relaxed) {
            return Ok(());
        }
        let now = self.0.micros();
        let busy = usize::from(self.0.busy.load(Ordering::Relaxed));
        let mut took = self.0.took[busy].lock().unwrap();
        for row in 0..batch.num_rows() {
            if batch.weights().is_none_or(|weights| weights.value(row) > 0) {
                let at = batch.column(3).as_primitive::<Int64Type>().value(row);
                took.push((now - at).max(0) as u64);
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

fn graph(shared: &Arc<Shared>) -> Graph {
    let random = ChaCha8Rng::seed_from_u64(7);
    let source = SourceNode {
        factory: Arc::new(Generator { shared: Arc::clone(shared), random, begun: None }),
        computed: None,
        watermark: None,
        idle_timeout: None,
        alignment: None,
    };
    let call = |function, arg| AggregateCall {
        function,
        args: vec![arg],
        distinct: false,
        filter: None,
        output: DataType::Int64,
    };
    let spec = GroupAggregateSpec {
        keys: vec![0],
        aggregates: vec![
            call(AggregateFunction::Count, 1),
            call(AggregateFunction::Sum, 1),
            call(AggregateFunction::Max, 2),
        ],
        retracts: false,
        ttl_ms: None,
        input_schema: input(),
        schema: output(),
    };
    let make = move |_| Ok(Box::new(GroupAggregate::new(spec.clone())?) as Box<dyn Operator>);
    let node = |name: &str, kind, inputs, schema| Node { name: name.into(), kind, inputs, schema };
    let from = |from, route| vec![Input { from, route }];
    Graph {
        nodes: vec![
            node("rows", NodeKind::Source(source), vec![], input()),
            node(
                "sums",
                NodeKind::Operator(Arc::new(make)),
                from(0, Route::Hash(vec![0])),
                output(),
            ),
            node(
                "out",
                NodeKind::Sink(Arc::new(Stopwatch(Arc::clone(shared)))),
                from(1, Route::Forward),
                output(),
            ),
        ],
    }
}

async fn start(shared: &Arc<Shared>, folder: &PathBuf, incremental: bool) -> Job {
    std::fs::create_dir_all(folder).unwrap();
    let store = LocalFileSystem::new_with_prefix(folder).unwrap();
    let world = World { store: Some(Arc::new(store)), ..world(Arc::new(Discard)) };
    let options = JobOptions { incremental_checkpoints: incremental, ..JobOptions::default() };
    Job::start(graph(shared), options, world).await.unwrap()
}

fn shared(building: bool, rate: u64) -> Arc<Shared> {
    Arc::new(Shared {
        started: Instant::now(),
        building: AtomicBool::new(building),
        keys: AtomicU64::new(0),
        rate,
        stop: AtomicBool::new(false),
        busy: AtomicBool::new(false),
        took: Default::default(),
    })
}

/// One number of `/proc/self/status`, in MB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Takes a checkpoint and waits for it; its line.
async fn checkpoint(job: &Job, shared: &Shared) -> String {
    let stats = job.stats();
    let before = stats.epoch.load(Ordering::Relaxed);
    shared.busy.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    job.checkpoint();
    while stats.epoch.load(Ordering::Relaxed) == before {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    shared.busy.store(false, Ordering::Relaxed);
    let mb = stats.checkpoint_bytes.load(Ordering::Relaxed) as f64 / f64::from(1 << 20);
    let pause = stats.checkpoint_pause_us.load(Ordering::Relaxed) as f64 / 1e3;
    format!(
        "{:6.0} ms, {mb:8.1} MB, worker paused {pause:7.1} ms",
        begun.elapsed().as_secs_f64() * 1e3
    )
}

/// p50, p99 and most of what rows took since this was asked last, in ms.
fn latency(took: &Mutex<Vec<u64>>) -> String {
    let mut took = std::mem::take(&mut *took.lock().unwrap());
    took.sort_unstable();
    let at = |part: f64| {
        let nth = ((took.len() as f64 * part) as usize).min(took.len().saturating_sub(1));
        took.get(nth).copied().unwrap_or(0) as f64 / 1e3
    };
    format!(
        "p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms of {} rows",
        at(0.5),
        at(0.99),
        at(1.0),
        took.len()
    )
}

async fn build(folder: &PathBuf, mb: u64, rate: u64) {
    let shared_state = shared(true, rate);
    let job = start(&shared_state, folder, true).await;
    let stats = job.stats();
    while stats.state_bytes() < mb << 20 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    shared_state.building.store(false, Ordering::Relaxed);
    println!(
        "state {} MB of {} keys, built in {:.1} s; resident {} MB",
        stats.state_bytes() >> 20,
        shared_state.keys.load(Ordering::Relaxed),
        shared_state.started.elapsed().as_secs_f64(),
        memory("VmRSS")
    );
    println!("all state   {}", checkpoint(&job, &shared_state).await);
    tokio::time::sleep(BETWEEN).await;
    for took in &shared_state.took {
        latency(took);
    }
    for _ in 0..CHECKPOINTS {
        tokio::time::sleep(BETWEEN).await;
        println!("changes     {}", checkpoint(&job, &shared_state).await);
    }
    let quiet = &shared_state.took;
    println!("rows at {rate}/s between checkpoints  {}", latency(&quiet[0]));
    println!("rows at {rate}/s during changes       {}", latency(&quiet[1]));
    shared_state.stop.store(true, Ordering::Relaxed);
    let keys = shared_state.keys.load(Ordering::Relaxed);
    job.stopper()();
    job.wait().await.unwrap();
    let again = shared(false, rate);
    again.keys.store(keys, Ordering::Relaxed);
    let job = start(&again, folder, false).await;
    tokio::time::sleep(BETWEEN).await;
    for took in &again.took {
        latency(took);
    }
    for _ in 0..CHECKPOINTS {
        println!("all state   {}", checkpoint(&job, &again).await);
        tokio::time::sleep(BETWEEN).await;
    }
    println!("rows at {rate}/s between checkpoints  {}", latency(&again.took[0]));
    println!("rows at {rate}/s during all state     {}", latency(&again.took[1]));
    again.stop.store(true, Ordering::Relaxed);
    job.stopper()();
    job.wait().await.unwrap();
    println!("resident at most {} MB", memory("VmHWM"));
}

async fn restore(folder: &PathBuf) {
    let shared = shared(false, 1);
    shared.stop.store(true, Ordering::Relaxed);
    let (begun, before) = (Instant::now(), memory("VmRSS"));
    let job = start(&shared, folder, true).await;
    let took = begun.elapsed().as_secs_f64();
    let stats = job.stats();
    while stats.state_bytes() == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!(
        "restored {} MB of state in {took:.1} s: resident {before} MB before, {} MB after, {} MB at most",
        stats.state_bytes() >> 20,
        memory("VmRSS"),
        memory("VmHWM")
    );
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |nth: usize, default| args.get(nth).map_or(default, |text| text.parse().unwrap());
    match args.first().map(String::as_str) {
        Some("build") => build(&PathBuf::from(&args[1]), number(2, 1_024), number(3, 20_000)).await,
        Some("restore") => restore(&PathBuf::from(&args[1])).await,
        _ => println!("build DIR [MB] [ROWS_PER_S], or restore DIR"),
    }
}
