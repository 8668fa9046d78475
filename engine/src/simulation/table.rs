//! A table of keys and values, as a key-value store keeps it: writes of an older run are refused.

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

/// How many writes there are to one that fails.
const FAILS: usize = 300;

#[derive(Clone)]
pub(super) struct Table {
    kept: Arc<Mutex<Kept>>,
    chance: Chance,
}

#[derive(Default)]
struct Kept {
    /// The newest run that has opened the table.
    generation: Epoch,
    rows: BTreeMap<i64, Vec<i64>>,
}

impl Table {
    pub fn new(chance: Chance) -> Self {
        Self { kept: Arc::default(), chance }
    }

    pub fn rows(&self) -> BTreeMap<i64, Vec<i64>> {
        self.kept().rows.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Writer {
    table: Table,
    generation: Epoch,
    waiting: Vec<Vec<i64>>,
}

#[async_trait]
impl SinkFactory for Table {
    fn changelog_mode(&self) -> ChangelogMode {
        ChangelogMode::Upsert
    }

    async fn open(&self, context: SinkContext) -> Result<Box<dyn Sink>> {
        let mut kept = self.kept();
        kept.generation = kept.generation.max(context.generation);
        let table = self.clone();
        Ok(Box::new(Writer { table, generation: context.generation, waiting: vec![] }))
    }
}

#[async_trait]
impl Sink for Writer {
    async fn write(&mut self, batch: &Batch, _rejected: &mut Vec<DeadLetter>) -> Result<()> {
        self.waiting.extend(rows_of(batch));
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        for row in std::mem::take(&mut self.waiting) {
            self.table.chance.delay().await;
            if self.table.chance.fault("table write failed", FAILS) {
                return Err(Error::outside("store unreachable"));
            }
            let mut kept = self.table.kept();
            if self.generation < kept.generation {
                return Err(Error::outside("another run of this job has taken over"));
            }
            kept.rows.insert(row[0], row);
        }
        Ok(())
    }
}
