//! Rows that a stage cannot process: kept, passed over, or the end of the job.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::aside::{Aside, DeadLetter};
use crate::error::{Error, Result};
use crate::graph::NodeId;
use crate::stats::{JobStats, add};
use crate::world::World;

/// Letters of a row that an error quotes.
const QUOTED_MAX: usize = 200;

/// Parts of the rows that [`ErrorRate`] looks at: they are forgotten a part at a time.
const PARTS: usize = 64;

/// What becomes of a row or message that cannot be processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// It is kept among the dead letters, and the job goes on.
    #[default]
    DeadLetter,
    /// The job ends with an error that names it. No checkpoint is taken behind it.
    Fail,
    /// It is counted and passed over.
    Skip,
}

/// What a job does with rows that its stages cannot process.
#[derive(Debug, Clone, Default)]
pub struct ErrorPolicy {
    pub on_error: OnError,
    /// Of the stages that have a say of their own, by name.
    pub stages: BTreeMap<String, OnError>,
    pub rate: Option<ErrorRate>,
}

/// How many rows of a stage may fail before the job ends: then something is wrong with all of them,
/// not with a few. No checkpoint is taken after that, so a restart reads the rows since the last one
/// again; the dead letters of those behind it are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ErrorRate {
    /// The greatest share that may fail, from 0 to 1.
    pub max: f64,
    /// Of the last so many rows; before there were so many it is not looked at.
    pub rows: usize,
}

/// Where the workers and sinks of a job bring the rows that they cannot process.
pub(crate) struct Rejects {
    aside: Arc<dyn Aside>,
    stats: Arc<JobStats>,
    policies: Vec<OnError>,
    rate: Option<ErrorRate>,
    /// By stage, over all workers.
    recent: Vec<Mutex<Recent>>,
}

impl Rejects {
    pub fn new(policy: &ErrorPolicy, world: &World, stats: &Arc<JobStats>) -> Self {
        let of = |name: &str| policy.stages.get(name).copied().unwrap_or(policy.on_error);
        Self {
            aside: Arc::clone(&world.aside),
            stats: Arc::clone(stats),
            policies: stats.stages.iter().map(|stage| of(&stage.name)).collect(),
            rate: policy.rate,
            recent: stats.stages.iter().map(|_| Mutex::default()).collect(),
        }
    }

    /// A stage has taken rows in; those that it cannot process are among them.
    pub fn took(&self, node: NodeId, rows: usize) {
        if let Some(rate) = &self.rate
            && rows > 0
        {
            let mut recent = self.recent[node].lock().unwrap_or_else(PoisonError::into_inner);
            recent.add(rows, rate.rows);
        }
    }

    /// Takes what a stage could not process.
    ///
    /// # Errors
    /// Where the job is to end for it.
    pub fn take(&self, node: NodeId, letters: Vec<DeadLetter>) -> Result<()> {
        let Some(last) = letters.last() else { return Ok(()) };
        let (stage, count, reason) = (&self.stats.stages[node], letters.len(), last.error.clone());
        stage.set_last_error(&reason);
        match self.policies[node] {
            OnError::Fail => {
                return Err(Error::data(format!("{}: {}", self.name(node), words(&letters[0]))));
            }
            OnError::Skip => add(&stage.skipped, count),
            OnError::DeadLetter => {
                add(&stage.dead_letters, count);
                for mut letter in letters {
                    letter.stage.clone_from(&stage.name);
                    self.aside.dead_letter(letter);
                }
            }
        }
        self.judge(node, count, &reason)
    }

    fn judge(&self, node: NodeId, failed: usize, reason: &str) -> Result<()> {
        let Some(rate) = &self.rate else { return Ok(()) };
        let mut recent = self.recent[node].lock().unwrap_or_else(PoisonError::into_inner);
        recent.fail(failed);
        let (rows, failed) = (recent.rows, recent.failed);
        if rows < rate.rows || failed as f64 <= rate.max * rows as f64 {
            return Ok(());
        }
        Err(Error::data(format!(
            "{}: {failed} of the last {rows} rows could not be processed, {:.1} %, and {} % may; \
             the last one: {reason}",
            self.name(node),
            100.0 * failed as f64 / rows as f64,
            100.0 * rate.max,
        )))
    }

    fn name(&self, node: NodeId) -> String {
        let stage = &self.stats.stages[node];
        let kind = if stage.kind == "operator" { "operator" } else { "table" };
        format!("{kind} `{}`", stage.name)
    }
}

/// Which row it is and why, as far as its stage knows.
fn words(letter: &DeadLetter) -> String {
    let mut place = vec![];
    place.extend(letter.topic.as_ref().map(|topic| format!("topic {topic}")));
    place.extend(letter.partition.map(|partition| format!("partition {partition}")));
    place.extend(letter.offset.map(|offset| format!("offset {offset}")));
    if place.is_empty() {
        let text = String::from_utf8_lossy(&letter.raw);
        place.push(format!("row {}", text.chars().take(QUOTED_MAX).collect::<String>()));
    }
    format!("{}: {}", place.join(", "), letter.error)
}

/// The last rows of a stage, and how many of them failed.
#[derive(Default)]
struct Recent {
    rows: usize,
    failed: usize,
    /// Rows and failures of each part, oldest first.
    parts: VecDeque<(usize, usize)>,
}

impl Recent {
    /// Counts rows in, and forgets what is more than `rows_max` rows ago.
    fn add(&mut self, rows: usize, rows_max: usize) {
        match self.parts.back_mut() {
            Some((last, _)) if *last < rows_max / PARTS => *last += rows,
            _ => self.parts.push_back((rows, 0)),
        }
        self.rows += rows;
        while let Some((oldest, failed)) = self.parts.front()
            && self.rows - oldest >= rows_max
        {
            self.rows -= oldest;
            self.failed -= failed;
            self.parts.pop_front();
        }
    }

    fn fail(&mut self, failed: usize) {
        match self.parts.back_mut() {
            Some((_, known)) => *known += failed,
            None => self.parts.push_back((0, failed)),
        }
        self.failed += failed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_forgotten_with_their_rows() {
        let mut recent = Recent::default();
        recent.add(64, 640);
        recent.fail(64);
        for _ in 0..9 {
            recent.add(64, 640);
        }
        assert_eq!((recent.rows, recent.failed), (640, 64));
        recent.add(64, 640);
        assert_eq!((recent.rows, recent.failed), (640, 0));
        assert_eq!(recent.parts.len(), 10);
    }

    #[test]
    fn small_batches_share_a_part() {
        let mut recent = Recent::default();
        for _ in 0..100_000 {
            recent.add(1, 6_400);
        }
        assert!(recent.parts.len() <= PARTS + 1, "{}", recent.parts.len());
        assert!((6_400..6_500).contains(&recent.rows), "{}", recent.rows);
    }

    #[test]
    fn a_failed_row_is_named_by_its_place_or_by_itself() {
        let mut letter = DeadLetter { error: "no BIGINT".into(), ..DeadLetter::default() };
        letter.raw = b"{\"a\":1}".to_vec();
        assert_eq!(words(&letter), "row {\"a\":1}: no BIGINT");
        letter.topic = Some("orders".into());
        letter.offset = Some(7);
        letter.partition = Some(2);
        assert_eq!(words(&letter), "topic orders, partition 2, offset 7: no BIGINT");
    }
}
