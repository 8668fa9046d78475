//! A job in one thread, turned step by step from a seed: for tests of the engine and of operators.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::memory::InMemory;
use tokio::runtime::Handle;

use crate::aside::{Aside, DeadLetter, LateRows};
use crate::batch::Batch;
use crate::checkpoint::Checkpoints;
use crate::coordinator::{Coordinator, Outcome};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::job::{JobOptions, Parts, restore, wire};
use crate::operator::Epoch;
use crate::sink::{ChangelogMode, Sink, SinkContext, SinkFactory};
use crate::source::{Position, Source, SourceContext, SourceEvent, SourceFactory};
use crate::stats::JobStats;
use crate::time::Millis;
use crate::worker::{Flow, Report, Worker};
use crate::world::{Clock, NoTap, World};

/// A clock that stands still.
pub struct FixedClock(pub Millis);

impl Clock for FixedClock {
    fn now(&self) -> Millis {
        self.0
    }

    fn sleep(&self, _time: Duration) -> BoxFuture<'static, ()> {
        tokio::task::yield_now().boxed()
    }
}

/// Keeps what is set aside.
#[derive(Default)]
pub struct Kept {
    pub letters: Mutex<Vec<DeadLetter>>,
    pub late: Mutex<Vec<(String, LateRows)>>,
}

impl Aside for Kept {
    fn dead_letter(&self, letter: DeadLetter) {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).push(letter);
    }

    fn late(&self, stage: &str, rows: LateRows) {
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        late.push((stage.to_owned(), rows));
    }
}

/// A world with a store in memory and a clock that stands still.
pub fn world(aside: Arc<dyn Aside>) -> World {
    World {
        clock: Arc::new(FixedClock(0)),
        store: Some(Arc::new(InMemory::new())),
        aside,
        tap: Arc::new(NoTap),
    }
}

/// Bounded input held in memory, one split a batch; handed over in batches of `rows_max`.
pub struct RowsSource {
    pub schema: SchemaRef,
    pub splits: Vec<RecordBatch>,
}

struct RowsReader {
    splits: Vec<(Arc<str>, RecordBatch, usize)>,
    turn: usize,
    rows_max: usize,
    finished: usize,
}

#[async_trait]
impl SourceFactory for RowsSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn bounded(&self) -> bool {
        true
    }

    async fn open(&self, context: SourceContext) -> Result<Box<dyn Source>> {
        let mine = |index: &usize| index % context.workers == context.worker;
        let splits = (0..self.splits.len()).filter(mine).map(|index| {
            let name: Arc<str> = index.to_string().into();
            let position = context.positions.iter().find(|position| *position.split == *name);
            let offset = position.map_or(0, |position| position.offset as usize);
            (name, self.splits[index].clone(), offset)
        });
        let splits = splits.collect();
        Ok(Box::new(RowsReader { splits, turn: 0, rows_max: context.rows_max, finished: 0 }))
    }
}

#[async_trait]
impl Source for RowsReader {
    fn splits(&self) -> Vec<Arc<str>> {
        self.splits.iter().map(|(split, ..)| Arc::clone(split)).collect()
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        for _ in 0..self.splits.len() {
            self.turn = (self.turn + 1) % self.splits.len();
            let (split, rows, offset) = &mut self.splits[self.turn];
            let length = self.rows_max.min(rows.num_rows() - *offset);
            if length > 0 {
                let rows = rows.slice(*offset, length);
                *offset += length;
                return Ok(SourceEvent::Rows {
                    split: Arc::clone(split),
                    rows,
                    weights: None,
                    rejected: vec![],
                });
            }
        }
        if let Some((split, ..)) = self.splits.get(self.finished) {
            self.finished += 1;
            return Ok(SourceEvent::Finished { split: Arc::clone(split) });
        }
        Ok(SourceEvent::End)
    }

    fn positions(&self) -> Vec<Position> {
        let position = |(split, _, offset): &(Arc<str>, RecordBatch, usize)| Position {
            split: split.to_string(),
            offset: *offset as i64,
        };
        self.splits.iter().map(position).collect()
    }
}

/// Keeps the rows it is given, exactly once: a restored instance forgets what it was given after
/// its checkpoint.
#[derive(Clone, Default)]
pub struct Collected(Arc<Mutex<Vec<ByWorker<Taken>>>>);

enum Taken {
    Rows(Batch),
    Prepared(Epoch),
}

/// Which instance was given it.
type ByWorker<T> = (usize, T);

impl Collected {
    /// All rows in the order in which they came.
    pub fn batches(&self) -> Vec<Batch> {
        let taken = self.taken();
        let rows = taken.iter().filter_map(|(_, taken)| match taken {
            Taken::Rows(batch) => Some(batch.clone()),
            Taken::Prepared(_) => None,
        });
        rows.collect()
    }

    fn taken(&self) -> MutexGuard<'_, Vec<ByWorker<Taken>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Collector {
    worker: usize,
    taken: Collected,
}

#[async_trait]
impl SinkFactory for Collected {
    fn changelog_mode(&self) -> ChangelogMode {
        ChangelogMode::Retract
    }

    async fn open(&self, context: SinkContext) -> Result<Box<dyn Sink>> {
        let SinkContext { worker, restored, .. } = context;
        let mut held = restored > 0;
        self.taken().retain(|(of, taken)| {
            let keeps = *of != worker || held;
            held &=
                !(*of == worker && matches!(taken, Taken::Prepared(epoch) if *epoch == restored));
            keeps
        });
        Ok(Box::new(Collector { worker, taken: self.clone() }))
    }
}

#[async_trait]
impl Sink for Collector {
    async fn write(&mut self, batch: &Batch, _rejected: &mut Vec<DeadLetter>) -> Result<()> {
        self.taken.taken().push((self.worker, Taken::Rows(batch.clone())));
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    async fn prepare(&mut self, epoch: Epoch) -> Result<()> {
        self.taken.taken().push((self.worker, Taken::Prepared(epoch)));
        Ok(())
    }
}

/// When a simulation breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The end of all input.
    End,
    /// A crash this many turns after the first complete checkpoint.
    CrashAfterCheckpoint { turns: usize },
}

/// Runs a job in this thread: which worker takes the next turn, when checkpoints begin and when
/// operators are told the clock follow from the seed. Returns the epoch it was restored from and whether it reached its end.
pub async fn simulate(
    graph: &Graph,
    options: &JobOptions,
    world: &World,
    seed: u64,
    until: Until,
) -> Result<Simulated> {
    let mut random = Random(seed | 1);
    let mut ticks = Random(seed | 1);
    let stats = JobStats::new(graph, options.workers);
    let checkpoints = world.store.clone().map(|store| Checkpoints::new(store, &options.name));
    let (restored, begin) = restore(graph, checkpoints.as_ref(), options).await?;
    let Parts { wirings, controls, mut reports, mut open_sinks, complete } =
        wire(graph, options, world, &stats, &Handle::current(), &begin);
    let from = begin.restored;
    let clock = Arc::clone(&world.clock);
    let told = Arc::clone(&stats);
    let mut coordinator =
        Coordinator::new(checkpoints, controls, told, clock, begin, complete, options);
    let mut workers = BTreeMap::new();
    for wiring in wirings {
        let index = wiring.index;
        workers.insert(index, Worker::open(graph, wiring, restored.as_ref()).await?);
    }
    let restored = from;
    let mut crash_in = None;
    loop {
        if random.below(8) == 0 {
            coordinator.trigger();
        }
        let turn = random.below(workers.len().max(1));
        let index = workers.keys().nth(turn).copied();
        if let Some(index) = index {
            let worker = workers.get_mut(&index).ok_or_else(|| Error::bug("no such worker"))?;
            let turn = match ticks.below(8) == 0 {
                true => Some(worker.tick_now()),
                false => worker.step().now_or_never(),
            };
            match turn.transpose()? {
                Some(Flow::Finished | Flow::Stopped) => {
                    workers.remove(&index);
                }
                // Sinks and requests run in tasks of this thread.
                Some(Flow::Continue) | None => tokio::task::yield_now().await,
            }
        }
        while let Ok(report) = reports.try_recv() {
            coordinator.handle(report)?;
            while coordinator.writes() {
                match coordinator.settled().await? {
                    Outcome::Finished => {
                        drop((workers, coordinator));
                        while open_sinks.recv().await.is_some() {}
                        while let Ok(report) = reports.try_recv() {
                            if let Report::Failed(error) = report {
                                return Err(error);
                            }
                        }
                        return Ok(Simulated { restored, finished: true, stats });
                    }
                    Outcome::Complete(_) => {
                        if let Until::CrashAfterCheckpoint { turns } = until {
                            crash_in.get_or_insert(turns);
                        }
                    }
                    Outcome::Failed { .. } => {}
                }
            }
        }
        match &mut crash_in {
            Some(0) => return Ok(Simulated { restored, finished: false, stats }),
            Some(turns) => *turns -= 1,
            None => {}
        }
    }
}

pub struct Simulated {
    pub restored: crate::operator::Epoch,
    pub finished: bool,
    pub stats: Arc<JobStats>,
}

/// Xorshift: enough to shuffle turns.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}
