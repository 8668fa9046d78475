//! What a running job tells of itself: plain counters, read by whoever wants to know.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::graph::{Graph, NodeKind};
use crate::time::{Millis, TIME_MAX, TIME_MIN};

/// Counters of one stage, summed over workers. Watermarks are kept a worker.
pub struct StageStats {
    pub name: String,
    pub kind: &'static str,
    pub inputs: Vec<usize>,
    pub rows_in: AtomicU64,
    pub rows_out: AtomicU64,
    pub late: AtomicU64,
    pub dead_letters: AtomicU64,
    /// Rows that could not be processed and were passed over.
    pub skipped: AtomicU64,
    watermarks: Vec<AtomicI64>,
    /// By worker, what the earliest held rows wait for; `TIME_MAX` where none are held.
    waiting: Vec<AtomicI64>,
    /// By worker, the bytes of an operator's state.
    state_bytes: Vec<AtomicU64>,
    /// By worker, since when a call to the sink has not returned, on the wall clock; `TIME_MIN`
    /// where none is open.
    calls: Vec<AtomicI64>,
    told: Mutex<Told>,
}

/// What a stage tells in words now and then.
#[derive(Default)]
struct Told {
    splits: BTreeMap<String, SplitReading>,
    last_error: Option<String>,
    trouble: Option<String>,
}

/// How far a source has read a split, as of the last look at it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SplitReading {
    pub split: String,
    /// The next offset to read, and the end outside where that is known.
    pub offset: i64,
    pub end: Option<i64>,
    /// ms; absent before the first row, and where the table has no watermark.
    pub watermark: Option<Millis>,
    pub idle: bool,
    pub finished: bool,
    /// When its offset was last seen to have moved, on the wall clock.
    pub moved_at: Option<Millis>,
}

impl StageStats {
    pub fn set_watermark(&self, worker: usize, watermark: Millis) {
        self.watermarks[worker].store(watermark, Ordering::Relaxed);
    }

    /// The least watermark over the workers.
    pub fn watermark(&self) -> Millis {
        let marks = self.watermarks.iter().map(|mark| mark.load(Ordering::Relaxed));
        marks.min().unwrap_or(TIME_MIN)
    }

    /// What the earliest rows that an operator holds wait for.
    pub fn set_waiting(&self, worker: usize, waiting: Option<Millis>) {
        self.waiting[worker].store(waiting.unwrap_or(TIME_MAX), Ordering::Relaxed);
    }

    /// What an operator's state takes in memory, about.
    pub fn set_state_bytes(&self, worker: usize, bytes: usize) {
        self.state_bytes[worker].store(bytes as u64, Ordering::Relaxed);
    }

    /// As [`StageStats::set_state_bytes`], of all workers.
    pub fn state_bytes(&self) -> u64 {
        self.state_bytes.iter().map(|bytes| bytes.load(Ordering::Relaxed)).sum()
    }

    /// A call to the sink begins, or with `None` has returned.
    pub fn set_call(&self, worker: usize, since: Option<Millis>) {
        self.calls[worker].store(since.unwrap_or(TIME_MIN), Ordering::Relaxed);
        if since.is_none() {
            self.told().trouble = None;
        }
    }

    /// Why the outside of this stage does not answer, while it is asked again.
    pub fn set_trouble(&self, trouble: String) {
        self.told().trouble = Some(trouble);
    }

    pub fn trouble(&self) -> Option<String> {
        self.told().trouble.clone()
    }

    /// Why the last row that this stage could not process failed.
    pub fn set_last_error(&self, error: &str) {
        self.told().last_error = Some(error.to_owned());
    }

    /// Takes in how far a split has come; `reading.moved_at` is the time of the look.
    pub fn set_split(&self, mut reading: SplitReading) {
        let mut told = self.told();
        let before = told.splits.get(&reading.split);
        if before.is_none_or(|before| before.offset == reading.offset) {
            reading.moved_at = before.and_then(|before| before.moved_at);
        }
        told.splits.insert(reading.split.clone(), reading);
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counters of a job.
pub struct JobStats {
    pub stages: Vec<StageStats>,
    /// The last complete checkpoint, how long it took and how many bytes it wrote.
    pub epoch: AtomicU64,
    pub checkpoint_ms: AtomicU64,
    pub checkpoint_bytes: AtomicU64,
    /// The longest time that an operator took to tell its state for it, on any worker, which reads no rows
    /// meanwhile; µs.
    pub checkpoint_pause_us: AtomicU64,
    /// Checkpoints that failed, since the start.
    pub checkpoints_failed: AtomicU64,
    failing: Mutex<Failing>,
    /// Turns in which sources were not read because something downstream was full.
    pub back_pressure: AtomicU64,
    /// What all state may take; 0 where there is no bound.
    pub state_bytes_max: AtomicU64,
    /// By worker, requests to the outside that have no answer yet.
    pub requests: Vec<AtomicU64>,
}

/// The failures of checkpoints since the last complete one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Failing {
    pub in_a_row: u64,
    /// Why the last one failed.
    pub error: Option<String>,
}

/// A reading of [`StageStats`].
#[derive(Debug, Clone, Serialize)]
pub struct StageReading {
    pub name: String,
    pub kind: &'static str,
    pub inputs: Vec<usize>,
    pub rows_in: u64,
    pub rows_out: u64,
    pub late: u64,
    pub dead_letters: u64,
    /// Rows that could not be processed and were passed over.
    pub skipped: u64,
    /// ms; absent before the first.
    pub watermark: Option<Millis>,
    /// The end of the earliest open window, or the time of the earliest row, that is held until
    /// the watermark has passed it; ms.
    pub waiting: Option<Millis>,
    /// What its state takes in memory, about.
    pub state_bytes: u64,
    /// Since when a call to a sink has not returned, on the wall clock; ms.
    pub blocked_since: Option<Millis>,
    /// Why the outside does not answer.
    pub trouble: Option<String>,
    /// Why the last row that could not be processed failed.
    pub last_error: Option<String>,
    /// Of a source.
    pub splits: Vec<SplitReading>,
}

impl JobStats {
    pub fn new(graph: &Graph, workers: usize) -> Arc<Self> {
        let stages = graph.nodes.iter().map(|node| StageStats {
            name: node.name.clone(),
            kind: match node.kind {
                NodeKind::Source(_) => "source",
                NodeKind::Operator(_) => "operator",
                NodeKind::Sink(_) => "sink",
            },
            inputs: node.inputs.iter().map(|input| input.from).collect(),
            rows_in: AtomicU64::new(0),
            rows_out: AtomicU64::new(0),
            late: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            watermarks: (0..workers).map(|_| AtomicI64::new(TIME_MIN)).collect(),
            waiting: (0..workers).map(|_| AtomicI64::new(TIME_MAX)).collect(),
            state_bytes: (0..workers).map(|_| AtomicU64::new(0)).collect(),
            calls: (0..workers).map(|_| AtomicI64::new(TIME_MIN)).collect(),
            told: Mutex::default(),
        });
        Arc::new(Self {
            stages: stages.collect(),
            epoch: AtomicU64::new(0),
            checkpoint_ms: AtomicU64::new(0),
            checkpoint_bytes: AtomicU64::new(0),
            checkpoint_pause_us: AtomicU64::new(0),
            checkpoints_failed: AtomicU64::new(0),
            failing: Mutex::default(),
            back_pressure: AtomicU64::new(0),
            state_bytes_max: AtomicU64::new(0),
            requests: (0..workers).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    pub fn read(&self) -> Vec<StageReading> {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let least = |times: &[AtomicI64], none: Millis| {
            let known = times.iter().map(|time| time.load(Ordering::Relaxed));
            known.filter(|time| *time != none).min()
        };
        let read = |stage: &StageStats| {
            let told = stage.told();
            StageReading {
                name: stage.name.clone(),
                kind: stage.kind,
                inputs: stage.inputs.clone(),
                rows_in: load(&stage.rows_in),
                rows_out: load(&stage.rows_out),
                late: load(&stage.late),
                dead_letters: load(&stage.dead_letters),
                skipped: load(&stage.skipped),
                watermark: Some(stage.watermark()).filter(|mark| *mark != TIME_MIN),
                waiting: least(&stage.waiting, TIME_MAX),
                state_bytes: stage.state_bytes(),
                blocked_since: least(&stage.calls, TIME_MIN),
                trouble: told.trouble.clone(),
                last_error: told.last_error.clone(),
                splits: told.splits.values().cloned().collect(),
            }
        };
        self.stages.iter().map(read).collect()
    }

    /// What has failed since the last complete checkpoint.
    pub fn failing(&self) -> Failing {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a failed checkpoint; how many there were in a row.
    pub(crate) fn checkpoint_failed(&self, error: &Error) -> u64 {
        self.checkpoints_failed.fetch_add(1, Ordering::Relaxed);
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.in_a_row += 1;
        failing.error = Some(error.to_string());
        failing.in_a_row
    }

    /// A checkpoint is complete; how many had failed before it.
    pub(crate) fn checkpoints_succeed(&self) -> u64 {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *failing).in_a_row
    }

    /// Bytes of all state, about.
    pub fn state_bytes(&self) -> u64 {
        self.stages.iter().map(StageStats::state_bytes).sum()
    }

    /// Rows that sources have handed over.
    pub fn rows_read(&self) -> u64 {
        let sources = self.stages.iter().filter(|stage| stage.kind == "source");
        sources.map(|stage| stage.rows_out.load(Ordering::Relaxed)).sum()
    }
}

pub(crate) fn add(counter: &AtomicU64, rows: usize) {
    counter.fetch_add(rows as u64, Ordering::Relaxed);
}
