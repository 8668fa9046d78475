//! Watermark alignment: a source that is ahead of its group by more than the drift is not read until
//! the others have come after it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::graph::{Graph, NodeId, NodeKind};
use crate::time::{Millis, TIME_MAX, TIME_MIN};
use crate::watermark::Progress;

/// What a table says of its alignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alignment {
    pub group: String,
    /// How far the watermark may be ahead of the least of the group.
    pub max_drift_ms: i64,
}

/// How far the members of a group have come: each copy of each of its sources.
struct Group(Vec<AtomicI64>);

/// One worker's copy of a source in its group.
pub(crate) struct Member {
    group: Arc<Group>,
    place: usize,
    max_drift_ms: i64,
}

/// The groups of a job, for all workers.
#[derive(Default)]
pub(crate) struct Alignments {
    /// By source, its group and the place of its first copy.
    sources: BTreeMap<NodeId, (Arc<Group>, usize, i64)>,
}

impl Alignments {
    pub fn new(graph: &Graph, workers: usize) -> Self {
        let mut by_name: BTreeMap<&str, Vec<(NodeId, i64)>> = BTreeMap::new();
        for (id, node) in graph.nodes.iter().enumerate() {
            if let NodeKind::Source(source) = &node.kind
                && let Some(Alignment { group, max_drift_ms }) = &source.alignment
            {
                by_name.entry(group).or_default().push((id, *max_drift_ms));
            }
        }
        let mut sources = BTreeMap::new();
        for members in by_name.into_values() {
            let places = members.len() * workers;
            let group = Arc::new(Group((0..places).map(|_| AtomicI64::new(TIME_MIN)).collect()));
            for (nth, (id, max_drift_ms)) in members.into_iter().enumerate() {
                sources.insert(id, (Arc::clone(&group), nth * workers, max_drift_ms));
            }
        }
        Self { sources }
    }

    pub fn member(&self, source: NodeId, worker: usize) -> Option<Member> {
        let (group, first, max_drift_ms) = self.sources.get(&source)?;
        let (group, place) = (Arc::clone(group), first + worker);
        Some(Member { group, place, max_drift_ms: *max_drift_ms })
    }
}

impl Member {
    /// Tells the group how far this copy has come. No one waits for one that is idle or has ended.
    pub fn tell(&self, progress: Progress) {
        let watermark = match progress {
            Progress::At(watermark) => watermark,
            Progress::Idle => TIME_MAX,
        };
        self.group.0[self.place].store(watermark, Ordering::Relaxed);
    }

    /// Whether this copy is too far ahead to be read. No one waits for a copy that has not given a
    /// watermark yet: it may have nothing to give.
    pub fn waits(&self) -> bool {
        let told = |place: &AtomicI64| place.load(Ordering::Relaxed);
        let own = told(&self.group.0[self.place]);
        if own == TIME_MIN || own == TIME_MAX {
            return false;
        }
        let least = self.group.0.iter().map(told).filter(|mark| *mark != TIME_MIN).min();
        least.is_some_and(|least: Millis| own > least.saturating_add(self.max_drift_ms))
    }
}
