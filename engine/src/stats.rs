//! What a running job tells of itself: plain counters, read by whoever wants to know.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use serde::Serialize;

use crate::graph::{Graph, NodeKind};
use crate::time::{Millis, TIME_MIN};

/// Counters of one stage, summed over workers. Watermarks are kept a worker.
pub struct StageStats {
    pub name: String,
    pub kind: &'static str,
    pub inputs: Vec<usize>,
    pub rows_in: AtomicU64,
    pub rows_out: AtomicU64,
    pub late: AtomicU64,
    pub dead_letters: AtomicU64,
    watermarks: Vec<AtomicI64>,
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
}

/// Counters of a job.
pub struct JobStats {
    pub stages: Vec<StageStats>,
    /// The last complete checkpoint, how long it took and how many bytes it wrote.
    pub epoch: AtomicU64,
    pub checkpoint_ms: AtomicU64,
    pub checkpoint_bytes: AtomicU64,
    /// Turns in which sources were not read because something downstream was full.
    pub back_pressure: AtomicU64,
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
    /// ms; absent before the first.
    pub watermark: Option<Millis>,
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
            watermarks: (0..workers).map(|_| AtomicI64::new(TIME_MIN)).collect(),
        });
        Arc::new(Self {
            stages: stages.collect(),
            epoch: AtomicU64::new(0),
            checkpoint_ms: AtomicU64::new(0),
            checkpoint_bytes: AtomicU64::new(0),
            back_pressure: AtomicU64::new(0),
        })
    }

    pub fn read(&self) -> Vec<StageReading> {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let read = |stage: &StageStats| StageReading {
            name: stage.name.clone(),
            kind: stage.kind,
            inputs: stage.inputs.clone(),
            rows_in: load(&stage.rows_in),
            rows_out: load(&stage.rows_out),
            late: load(&stage.late),
            dead_letters: load(&stage.dead_letters),
            watermark: Some(stage.watermark()).filter(|mark| *mark != TIME_MIN),
        };
        self.stages.iter().map(read).collect()
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
