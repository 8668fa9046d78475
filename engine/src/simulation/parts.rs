//! Files that get their names when their checkpoint is complete.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::chance::Chance;
use super::rows_of;
use crate::aside::DeadLetter;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::operator::Epoch;
use crate::sink::{ChangelogMode, Sink, SinkContext, SinkFactory};

/// How many files there are to one that fails.
const FAILS: usize = 40;

/// Generation, epoch and worker of a part.
type Name = (Epoch, Epoch, usize);

#[derive(Clone)]
pub(super) struct Parts {
    kept: Arc<Mutex<Kept>>,
    chance: Chance,
}

#[derive(Default)]
struct Kept {
    hidden: BTreeMap<Name, Vec<Vec<i64>>>,
    named: BTreeMap<Name, Vec<Vec<i64>>>,
}

impl Parts {
    pub fn new(chance: Chance) -> Self {
        Self { kept: Arc::default(), chance }
    }

    /// The rows of all parts that have a name.
    pub fn rows(&self) -> Vec<Vec<i64>> {
        self.kept().named.values().flatten().cloned().collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Writer {
    parts: Parts,
    generation: Epoch,
    worker: usize,
    rows: Vec<Vec<i64>>,
}

#[async_trait]
impl SinkFactory for Parts {
    fn changelog_mode(&self) -> ChangelogMode {
        ChangelogMode::Append
    }

    async fn open(&self, context: SinkContext) -> Result<Box<dyn Sink>> {
        let SinkContext { worker, restored, restored_generation, generation, .. } = context;
        if worker == 0 {
            let mut kept = self.kept();
            // What belongs to the restored checkpoint stays, all else that has no name goes.
            let hidden = std::mem::take(&mut kept.hidden).into_iter();
            let stays = |of: Epoch, epoch: Epoch| of == restored_generation && epoch <= restored;
            kept.named.extend(hidden.filter(|((of, epoch, _), _)| stays(*of, *epoch)));
        }
        Ok(Box::new(Writer { parts: self.clone(), generation, worker, rows: vec![] }))
    }
}

#[async_trait]
impl Sink for Writer {
    async fn write(&mut self, batch: &Batch, _rejected: &mut Vec<DeadLetter>) -> Result<()> {
        self.rows.extend(rows_of(batch));
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    async fn prepare(&mut self, epoch: Epoch) -> Result<()> {
        self.parts.chance.delay().await;
        if self.parts.chance.fault("part not written", FAILS) {
            return Err(Error::outside("no space left"));
        }
        let rows = std::mem::take(&mut self.rows);
        if !rows.is_empty() {
            self.parts.kept().hidden.insert((self.generation, epoch, self.worker), rows);
        }
        Ok(())
    }

    async fn commit(&mut self, epoch: Epoch) -> Result<()> {
        self.parts.chance.delay().await;
        if self.parts.chance.fault("part not renamed", FAILS) {
            return Err(Error::outside("no answer"));
        }
        let mut kept = self.parts.kept();
        let (generation, worker) = (self.generation, self.worker);
        let mine = kept
            .hidden
            .extract_if(.., |name, _| name.0 == generation && name.1 <= epoch && name.2 == worker);
        let mine: Vec<_> = mine.collect();
        kept.named.extend(mine);
        Ok(())
    }
}
