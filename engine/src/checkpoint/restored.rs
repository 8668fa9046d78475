//! A checkpoint read back: verified first, then handed to each worker in pieces.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, PoisonError};

use arrow::array::{Array, BooleanArray, RecordBatch, UInt16Array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;

use super::Checkpoints;
use super::files::Reading;
use super::manifest::{Manifest, SourceState, StageState, StateFile, TableFile};
use super::newest::Chain;
use crate::error::{Error, Result};
use crate::evolve::{self, Change, Fate, Held, LOSS, StagePlan};
use crate::keys::{KEY_GROUPS, owner};
use crate::operator::{KEY_GROUP, StateTable};
use crate::time::Millis;

/// Files that are verified at once.
const VERIFIED_AT_ONCE: usize = 4;

/// Pieces of state that were read ahead of the operator that takes them.
pub(crate) const PIECES_AHEAD: usize = 2;

/// A checkpoint whose files are whole. Its states are read when they are asked for.
#[derive(Clone)]
pub struct Restored {
    pub manifest: Manifest,
    checkpoints: Checkpoints,
    /// By stage, as the checkpoint names it, and table.
    schemas: BTreeMap<(String, String), SchemaRef>,
    /// By stage, as the plan names it: how its state is converted, and to what.
    conversions: BTreeMap<String, Arc<(Change, Vec<StateTable>)>>,
    /// Whether the operators are those of the checkpoint, by the same names.
    same: bool,
}

impl Checkpoints {
    /// Verifies all files of a checkpoint.
    pub(super) async fn verified(&self, manifest: Manifest) -> Result<Restored> {
        let files: Vec<StateFile> = manifest.files().cloned().collect();
        let verified = futures::stream::iter(files)
            .map(|file| async move { self.verify(&file).await })
            .buffered(VERIFIED_AT_ONCE);
        verified.try_collect::<Vec<()>>().await?;
        let mut schemas = BTreeMap::new();
        for stage in &manifest.stages {
            for file in &stage.tables {
                let name = (stage.name.clone(), file.table.clone());
                if let Entry::Vacant(unknown) = schemas.entry(name) {
                    unknown.insert(Reading::open(self, &file.rows).await?.schema().await?);
                }
            }
        }
        // What changes since then build on.
        let mut complete = self.complete.lock().unwrap_or_else(PoisonError::into_inner);
        complete.insert(manifest.epoch, Arc::new(manifest.clone()));
        drop(complete);
        let (checkpoints, conversions) = (self.clone(), BTreeMap::new());
        Ok(Restored { manifest, checkpoints, schemas, conversions, same: true })
    }
}

impl Restored {
    /// The state that is there, by operator. Of tables with changes, the rows of all their files.
    pub fn held(&self) -> Vec<Held> {
        let mut held: Vec<Held> = vec![];
        for stage in &self.manifest.stages {
            let known = held.iter().position(|known| known.name == stage.name);
            let at = known.unwrap_or_else(|| {
                let plan = self.manifest.plan.iter().find(|plan| plan.name == stage.name);
                let (name, plan) = (stage.name.clone(), plan.cloned());
                held.push(Held { name, plan, rows: 0, tables: vec![] });
                held.len() - 1
            });
            for file in &stage.tables {
                held[at].rows += file.rows.rows;
                let schema = &self.schemas[&(stage.name.clone(), file.table.clone())];
                if !held[at].tables.iter().any(|(table, _)| *table == file.table) {
                    held[at].tables.push((file.table.clone(), Arc::clone(schema)));
                }
            }
        }
        held
    }

    /// Gives the state to the operators of `plan`, converted where they have changed.
    ///
    /// # Errors
    /// Of the user, where some would be lost and that is not allowed.
    pub fn evolve(
        mut self,
        plan: &[StagePlan],
        blanks: &dyn Fn(&str) -> Result<Vec<StateTable>>,
        allow_loss: bool,
    ) -> Result<Self> {
        let changes = evolve::compare(&self.held(), plan, blanks)?;
        let losing: Vec<&Change> = changes.iter().filter(|change| change.loses).collect();
        if !losing.is_empty() {
            let words = |change: &&Change| {
                let (name, rows) = (&change.name, change.rows);
                format!("`{name}` ({rows} rows): {}", change.notes.join("; "))
            };
            let words = losing.iter().map(words).collect::<Vec<_>>().join("\n  ");
            match allow_loss {
                true => tracing::warn!("{LOSS}, as allowed: {words}"),
                false => {
                    let epoch = self.manifest.epoch;
                    return Err(Error::user(format!("{LOSS}, of checkpoint {epoch}:\n  {words}")));
                }
            }
        }
        let mut stages = vec![];
        for mut stage in std::mem::take(&mut self.manifest.stages) {
            let goes_on = |change: &&Change| {
                change.was.as_ref() == Some(&stage.name) && change.fate != Fate::Lost
            };
            let Some(change) = changes.iter().find(goes_on) else { continue };
            self.same &= change.fate == Fate::Kept && change.name == stage.name;
            if change.fate != Fate::Kept {
                let conversion = (change.clone(), blanks(&change.name)?);
                self.conversions.insert(change.name.clone(), Arc::new(conversion));
            }
            stage.name.clone_from(&change.name);
            stages.push(stage);
        }
        self.manifest.stages = stages;
        Ok(self)
    }

    /// Whether operators on so many workers hold just what they held then: what has changed since is
    /// all that the next checkpoint needs of them.
    pub(crate) fn goes_on_as_it_was(&self, workers: usize) -> bool {
        self.same && self.manifest.workers == workers
    }

    /// Positions of a source; empty for a source that is new.
    pub fn source(&self, name: &str) -> Option<&SourceState> {
        self.manifest.sources.iter().find(|source| source.name == name)
    }

    /// The watermark a stage had reached on the worker that was furthest behind.
    pub fn watermark(&self, name: &str) -> Option<Millis> {
        let stages = self.manifest.stages.iter().filter(|stage| stage.name == name);
        stages.map(|stage| stage.watermark).min()
    }

    /// The tables of a stage that belong on `worker` of `workers`, all of them in memory.
    pub async fn tables(
        &self,
        name: &str,
        worker: usize,
        workers: usize,
    ) -> Result<Vec<StateTable>> {
        let (sender, mut pieces) = mpsc::channel(PIECES_AHEAD);
        let collected = async {
            let mut tables = vec![];
            while let Some(piece) = pieces.recv().await {
                tables.push(piece?);
            }
            Ok(tables)
        };
        futures::join!(self.clone().send(name.to_owned(), worker, workers, sender), collected).1
    }

    /// As [`Restored::tables`], piece by piece, of which only a few are in memory.
    pub(crate) async fn send(
        self,
        name: String,
        worker: usize,
        workers: usize,
        to: mpsc::Sender<Result<StateTable>>,
    ) {
        let conversion = self.conversions.get(&name).cloned();
        for stage in self.manifest.stages.iter().filter(|stage| stage.name == name) {
            if conversion.is_none() && !self.concerns(stage, worker, workers) {
                continue;
            }
            for (table, files) in chains(stage) {
                let mut chain = Chain::new(&self.checkpoints, files);
                loop {
                    let piece = match chain.next().await {
                        Ok(None) => break,
                        Ok(Some(rows)) => convert(conversion.as_deref(), &table, rows),
                        Err(error) => Err(error),
                    };
                    let mine = piece.and_then(|rows| owned(&rows, stage.worker, worker, workers));
                    let piece = match mine {
                        Ok(None) => continue,
                        Ok(Some(rows)) => Ok(StateTable { name: table.clone(), rows }),
                        Err(error) => Err(error),
                    };
                    let failed = piece.is_err();
                    // Who asked may have failed meanwhile.
                    if to.send(piece).await.is_err() || failed {
                        return;
                    }
                }
            }
        }
    }

    /// Whether a worker may own something of what another one has saved.
    fn concerns(&self, stage: &StageState, worker: usize, workers: usize) -> bool {
        let both = |group: u16| {
            owner(group, self.manifest.workers) == stage.worker && owner(group, workers) == worker
        };
        stage.worker % workers == worker || (0..KEY_GROUPS as u16).any(both)
    }
}

/// The files of each table, in the order of the tables.
fn chains(stage: &StageState) -> Vec<(String, Vec<TableFile>)> {
    let mut chains: Vec<(String, Vec<TableFile>)> = vec![];
    for file in &stage.tables {
        match chains.iter_mut().find(|(table, _)| *table == file.table) {
            Some((_, files)) => files.push(file.clone()),
            None => chains.push((file.table.clone(), vec![file.clone()])),
        }
    }
    chains
}

fn convert(
    conversion: Option<&(Change, Vec<StateTable>)>,
    table: &str,
    rows: RecordBatch,
) -> Result<RecordBatch> {
    let Some((change, blanks)) = conversion else { return Ok(rows) };
    let rows = evolve::converted(change, table, &rows, blanks);
    rows.map_err(|why| Error::user(format!("{LOSS}: `{}`: {why}", change.name)))
}

/// The rows that belong on `worker`, of those that worker `of` has saved.
fn owned(
    rows: &RecordBatch,
    of: usize,
    worker: usize,
    workers: usize,
) -> Result<Option<RecordBatch>> {
    let Some(groups) = key_groups(rows) else {
        return Ok((of % workers == worker).then(|| rows.clone()));
    };
    let mine = groups.values().iter().map(|group| Some(owner(*group, workers) == worker));
    let mine = BooleanArray::from_iter(mine);
    Ok(match mine.true_count() {
        0 => None,
        all if all == mine.len() => Some(rows.clone()),
        _ => Some(filter_record_batch(rows, &mine)?),
    })
}

fn key_groups(rows: &RecordBatch) -> Option<&UInt16Array> {
    let schema = rows.schema();
    let first = schema.fields().first()?;
    (first.name() == KEY_GROUP).then(|| rows.column(0).as_any().downcast_ref())?
}
