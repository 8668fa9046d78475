//! Checkpoints: positions, watermarks and states of one instant, published by one manifest.
//!
//! States are written first, the manifest last and only if there is none of its name: a checkpoint
//! exists just when its manifest does.
//!
//! Of large state a checkpoint writes what has changed since the one before and names the files of
//! that one as its own. When the changes come to the size of what they change, a file of all rows is
//! made of both, beside the running job; a file goes when no checkpoint that is kept names it.

mod files;
mod manifest;
mod newest;
mod numbers;
mod restored;
mod retention;
mod writing;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use object_store::ObjectStore;
use object_store::path::Path;

pub use manifest::{
    Manifest, Replaces, Run, SavedState, SourceState, StageState, StageTables, StateFile,
    TableFile, WorkerState,
};
pub use numbers::Writer;
pub(crate) use restored::PIECES_AHEAD;
pub use restored::Restored;

use crate::error::{Error, ErrorKind, Result};
use crate::evolve::StagePlan;
use crate::operator::Epoch;

/// Complete checkpoints that are kept: the newest, and older ones to fall back on.
const KEPT: usize = 3;

/// The checkpoints of one job.
#[derive(Clone)]
pub struct Checkpoints {
    store: Arc<dyn ObjectStore>,
    job: String,
    /// The starts among the numbers, as far as they were read; `None` is a checkpoint.
    starts: Arc<Mutex<BTreeMap<Epoch, Option<Epoch>>>>,
    plan: Vec<StagePlan>,
    /// The last complete checkpoints of this run, which changes build on.
    complete: Arc<Mutex<BTreeMap<Epoch, Arc<Manifest>>>>,
    /// Whether a file was found broken that changes build on.
    broken: Arc<AtomicBool>,
}

impl Checkpoints {
    pub fn new(store: Arc<dyn ObjectStore>, job: &str) -> Self {
        Self {
            store,
            job: job.to_owned(),
            starts: Arc::default(),
            plan: vec![],
            complete: Arc::default(),
            broken: Arc::default(),
        }
    }

    /// Says in each checkpoint that is written what the operators do.
    pub fn with_plan(self, plan: Vec<StagePlan>) -> Self {
        Self { plan, ..self }
    }

    fn folder(&self, epoch: Epoch) -> Path {
        Path::from(self.job.as_str()).join(format!("epoch-{epoch:010}"))
    }

    /// The jobs that have checkpoints in a store.
    pub async fn jobs(store: &dyn ObjectStore) -> Result<Vec<String>> {
        let listed = store.list_with_delimiter(None).await;
        let listed = listed.map_err(|error| Error::outside(format!("checkpoints: {error}")))?;
        let names = listed.common_prefixes.iter().filter_map(Path::filename);
        Ok(names.map(str::to_owned).collect())
    }

    /// Copies a checkpoint, verified, into another place, where it becomes the newest; its epoch
    /// there. A job goes on from it whatever transactions have been committed meanwhile.
    pub async fn copy(&self, epoch: Epoch, to: &Self) -> Result<Epoch> {
        let mut manifest = self.manifest(epoch).await?;
        let number = to.numbers().await?.last().copied().unwrap_or(0).max(epoch) + 1;
        manifest.run = Run { since: number, transactions: false };
        for file in manifest.files_mut() {
            *file = self.copy_file(file, epoch, to, number).await?;
        }
        manifest.epoch = number;
        to.publish(&manifest).await?;
        Ok(number)
    }

    /// The newest checkpoint that is whole. One that is torn or altered is passed over aloud.
    ///
    /// Of a job with transactions it is the one that they have committed, for a newer one never came
    /// into effect. There is no going back behind it either: what followed the one before is read by
    /// others already.
    pub async fn latest(&self, committed: Option<Epoch>) -> Result<Option<Restored>> {
        let mut since = None;
        for epoch in self.epochs().await?.into_iter().rev() {
            let manifest = match self.manifest(epoch).await {
                Ok(manifest) => manifest,
                Err(error) if committed == Some(epoch) => return Err(behind(error)),
                Err(error) if is_broken(&error) => {
                    passed_over(epoch, &error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if epoch < *since.get_or_insert(manifest.run.since) {
                break;
            }
            if manifest.run.transactions && committed.is_some_and(|epoch| epoch < manifest.follows)
            {
                return Err(Error::user(format!(
                    "checkpoint {} follows {}, whose transactions were committed, but their mark is \
                     gone: going on would lose or repeat rows. Start afresh, or with another name",
                    manifest.epoch, manifest.follows
                )));
            }
            if manifest.run.transactions && committed.is_some_and(|committed| committed < epoch) {
                tracing::info!(epoch, "checkpoint passed over: its transactions are not committed");
                continue;
            }
            match self.verified(manifest).await {
                Ok(restored) => return Ok(Some(restored)),
                Err(error) if committed == Some(epoch) => return Err(behind(error)),
                Err(error) if is_broken(&error) => passed_over(epoch, &error),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Reads and verifies one checkpoint.
    pub async fn read(&self, epoch: Epoch) -> Result<Restored> {
        self.verified(self.manifest(epoch).await?).await
    }
}

fn failed(deed: &str, path: &Path, error: impl Display) -> Error {
    Error::outside(format!("checkpoint {path}: {deed}: {error}"))
}

/// Whether it is the checkpoint that is broken, and not the way to it: trying again changes nothing.
fn is_broken(error: &Error) -> bool {
    error.kind() != ErrorKind::Outside
}

fn passed_over(epoch: Epoch, error: &Error) {
    tracing::warn!(%error, epoch, "checkpoint passed over: what was written since the one before is repeated");
}

fn behind(error: Error) -> Error {
    error.context("the last transaction belongs to a checkpoint that cannot be restored")
}
