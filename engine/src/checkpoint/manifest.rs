//! What a checkpoint consists of: its manifest, and what workers contribute to one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evolve::StagePlan;
use crate::operator::{Epoch, StateTable, TableChanges};
use crate::source::Position;
use crate::time::Millis;

/// Version of manifests, and of the layout around them, whose files all lie in their own folder.
pub(super) const FORMAT: u32 = 1;

/// As [`FORMAT`], with files of earlier checkpoints among theirs: earlier versions refuse it.
pub(super) const FORMAT_OF_CHANGES: u32 = 2;

/// A complete checkpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub job: String,
    pub epoch: Epoch,
    pub workers: usize,
    /// Whether the input had ended: the job has nothing left to do.
    pub finished: bool,
    #[serde(flatten, default)]
    pub run: Run,
    /// The run that wrote it: the number of its start.
    #[serde(default)]
    pub generation: Epoch,
    /// Names that run among all.
    #[serde(default)]
    pub by: String,
    /// The checkpoint that it follows: complete, and its transactions committed; 0 for a first one.
    #[serde(default)]
    pub follows: Epoch,
    pub sources: Vec<SourceState>,
    pub stages: Vec<StageState>,
    /// What the operators do whose state it holds; none in checkpoints of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<StagePlan>,
}

/// What all checkpoints of one run of a job have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// The first epoch of the run or of the runs that it goes on from: earlier checkpoints belong to
    /// a job that was started afresh since.
    pub since: Epoch,
    /// Whether the job has tables with transactions: then a checkpoint only counts when those are
    /// committed.
    pub transactions: bool,
}

/// Positions of one source, over all workers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SourceState {
    pub name: String,
    pub positions: Vec<Position>,
    /// The running maximum of each split's watermark, ms.
    pub watermarks: BTreeMap<String, Millis>,
}

/// State of one worker's copy of a stage.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StageState {
    pub name: String,
    pub worker: usize,
    pub watermark: Millis,
    /// Of each table all rows as of one checkpoint, then the changes up to this one, in their order.
    pub tables: Vec<TableFile>,
}

/// Rows of a table, or changes of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TableFile {
    pub table: String,
    #[serde(flatten)]
    pub rows: StateFile,
    /// Of changes, what they replace in the files before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replaces>,
}

/// All earlier rows of the keys that are in the rows, or gone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Replaces {
    /// The columns of the key.
    pub key: Vec<String>,
    /// Keys that have no rows any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<StateFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateFile {
    pub file: String,
    /// The checkpoint in whose folder it lies; that of the manifest where nothing is said.
    #[serde(default)]
    pub epoch: Epoch,
    pub rows: usize,
    pub bytes: usize,
    /// XXH3 of the file, as hex.
    pub checksum: String,
}

impl TableFile {
    pub fn files(&self) -> impl Iterator<Item = &StateFile> {
        let gone = self.replaces.as_ref().and_then(|replaces| replaces.gone.as_ref());
        std::iter::once(&self.rows).chain(gone)
    }

    fn files_mut(&mut self) -> impl Iterator<Item = &mut StateFile> {
        let gone = self.replaces.as_mut().and_then(|replaces| replaces.gone.as_mut());
        std::iter::once(&mut self.rows).chain(gone)
    }

    pub fn bytes(&self) -> usize {
        self.files().map(|file| file.bytes).sum()
    }
}

impl Manifest {
    /// All files of states, also those that other manifests have as well.
    pub fn files(&self) -> impl Iterator<Item = &StateFile> {
        self.stages.iter().flat_map(|stage| &stage.tables).flat_map(TableFile::files)
    }

    pub(super) fn files_mut(&mut self) -> impl Iterator<Item = &mut StateFile> {
        let tables = self.stages.iter_mut().flat_map(|stage| &mut stage.tables);
        tables.flat_map(TableFile::files_mut)
    }

    /// As it was read: files of earlier versions lie in its own folder.
    pub(super) fn placed(mut self) -> Self {
        let own = self.epoch;
        self.files_mut().filter(|file| file.epoch == 0).for_each(|file| file.epoch = own);
        self
    }

    pub(super) fn format_of(stages: &[StageState], epoch: Epoch) -> u32 {
        let mut tables = stages.iter().flat_map(|stage| &stage.tables);
        let changes = |table: &TableFile| table.replaces.is_some() || table.rows.epoch != epoch;
        if tables.any(changes) { FORMAT_OF_CHANGES } else { FORMAT }
    }
}

/// What one worker contributes to a checkpoint.
#[derive(Debug, Default)]
pub struct WorkerState {
    pub sources: Vec<SourceState>,
    pub stages: Vec<StageTables>,
}

#[derive(Debug)]
pub struct StageTables {
    pub name: String,
    pub worker: usize,
    pub watermark: Millis,
    pub state: SavedState,
}

#[derive(Debug)]
pub enum SavedState {
    All(Vec<StateTable>),
    /// What has changed since a complete checkpoint; a table that is not named is empty now.
    Changes {
        since: Epoch,
        tables: Vec<TableChanges>,
    },
}
