//! Writes a checkpoint: the states of all workers, then the manifest.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use arrow::array::RecordBatch;
use object_store::path::Path;

use super::files::Pen;
use super::manifest::{
    Manifest, Replaces, Run, SavedState, SourceState, StageState, StageTables, StateFile,
    TableFile, WorkerState,
};
use super::newest::{Chain, Newest};
use super::numbers::Writer;
use super::{Checkpoints, KEPT, is_broken};
use crate::error::{Error, Result};
use crate::operator::{Epoch, StateChanges, StateTable, TableChanges};

/// Files of one table at most: each is asked for when it is restored.
const CHAIN_MAX: usize = 64;

/// Where the files of one table go.
struct Place<'a> {
    folder: &'a Path,
    epoch: Epoch,
    /// What their names begin with.
    name: String,
}

impl Checkpoints {
    /// Writes a checkpoint; returns its size in bytes.
    pub async fn write(
        &self,
        writer: &Writer,
        epoch: Epoch,
        workers: usize,
        finished: bool,
        (run, follows): (Run, Epoch),
        states: Vec<WorkerState>,
    ) -> Result<usize> {
        let folder = self.folder(epoch);
        let mut sources: Vec<SourceState> = vec![];
        let mut stages: Vec<StageState> = vec![];
        for state in states {
            for source in state.sources {
                match sources.iter_mut().find(|known| known.name == source.name) {
                    Some(known) => {
                        known.positions.extend(source.positions);
                        known.watermarks.extend(source.watermarks);
                    }
                    None => sources.push(source),
                }
            }
            for stage in state.stages {
                let name = format!("{}-{}-{}", writer.generation, stages.len(), stage.worker);
                let place = Place { folder: &folder, epoch, name };
                stages.push(self.write_stage(place, stage).await?);
            }
        }
        let manifest = Manifest {
            format: Manifest::format_of(&stages, epoch),
            job: self.job.clone(),
            epoch,
            workers,
            finished,
            run,
            generation: writer.generation,
            by: writer.by.clone(),
            follows,
            sources,
            stages,
            plan: self.plan.clone(),
        };
        let own = manifest.files().filter(|file| file.epoch == epoch);
        let written = own.map(|file| file.bytes).sum::<usize>() + self.publish(&manifest).await?;
        self.remember(manifest);
        if let Err(error) = self.retire(follows).await {
            tracing::warn!(%error, "older checkpoints are still there");
        }
        Ok(written)
    }

    /// Changes may build on it from now on.
    fn remember(&self, manifest: Manifest) {
        let mut complete = self.complete.lock().unwrap_or_else(PoisonError::into_inner);
        complete.insert(manifest.epoch, Arc::new(manifest));
        while complete.len() > KEPT {
            complete.pop_first();
        }
    }

    async fn write_stage(&self, place: Place<'_>, stage: StageTables) -> Result<StageState> {
        let StageTables { name, worker, watermark, state } = stage;
        let mut tables = vec![];
        let named = |nth: usize| Place { name: format!("{}-{nth}", place.name), ..place };
        match state {
            SavedState::All(all) => {
                for (nth, pieces) in all.chunk_by(|a, b| a.name == b.name).enumerate() {
                    tables.push(self.write_all(&named(nth), pieces).await?);
                }
            }
            SavedState::Changes { since, tables: changed } => {
                let mut before = self.tables_of(since, &name, worker)?;
                let mut changed = changed.into_iter().peekable();
                let mut nth = 0;
                while let Some(table) = changed.next() {
                    match table {
                        TableChanges::All(first) => {
                            let mut pieces = vec![first];
                            while let Some(TableChanges::All(piece)) =
                                changed.next_if(|table| table.is_all_of(&pieces[0].name))
                            {
                                pieces.push(piece);
                            }
                            tables.push(self.write_all(&named(nth), &pieces).await?);
                        }
                        TableChanges::Since(changes) => {
                            let files = before.remove(&changes.name).unwrap_or_default();
                            tables.extend(self.write_changes(&named(nth), files, changes).await?);
                        }
                    }
                    nth += 1;
                }
            }
        }
        Ok(StageState { name, worker, watermark, tables })
    }

    /// The files of a stage's tables as of a complete checkpoint: none where its input had ended by then, so
    /// that it had no state.
    fn tables_of(
        &self,
        epoch: Epoch,
        stage: &str,
        worker: usize,
    ) -> Result<BTreeMap<String, Vec<TableFile>>> {
        let complete = self.complete.lock().unwrap_or_else(PoisonError::into_inner);
        let manifest = complete.get(&epoch).ok_or_else(|| {
            Error::bug(format!("changes of `{stage}` since checkpoint {epoch}, which is not known"))
        })?;
        let known =
            manifest.stages.iter().find(|known| known.name == stage && known.worker == worker);
        let mut tables: BTreeMap<String, Vec<TableFile>> = BTreeMap::new();
        for file in known.iter().flat_map(|known| &known.tables) {
            tables.entry(file.table.clone()).or_default().push(file.clone());
        }
        Ok(tables)
    }

    /// One file of all pieces of a table.
    async fn write_all(&self, place: &Place<'_>, pieces: &[StateTable]) -> Result<TableFile> {
        let first = pieces.first().ok_or_else(|| Error::bug("a table of no pieces"))?;
        let mut pen = self.pen(place, "", &first.rows)?;
        for piece in pieces {
            pen.write(&piece.rows).await?;
        }
        Ok(TableFile { table: first.name.clone(), rows: pen.finish().await?, replaces: None })
    }

    async fn write_rows(
        &self,
        place: &Place<'_>,
        what: &str,
        rows: &RecordBatch,
    ) -> Result<StateFile> {
        let mut pen = self.pen(place, what, rows)?;
        pen.write(rows).await?;
        pen.finish().await
    }

    fn pen(&self, place: &Place<'_>, what: &str, rows: &RecordBatch) -> Result<Pen> {
        let file = format!("{}{what}.arrow", place.name);
        Pen::new(&self.store, place.folder, place.epoch, file, &rows.schema())
    }

    /// Adds changes to the files before them, or makes one of all.
    async fn write_changes(
        &self,
        place: &Place<'_>,
        mut before: Vec<TableFile>,
        changes: StateChanges,
    ) -> Result<Vec<TableFile>> {
        let StateChanges { name, key, rows, gone } = changes;
        if rows.num_rows() + gone.num_rows() == 0 {
            return Ok(before);
        }
        if before.is_empty() {
            let rows = self.write_rows(place, "", &rows).await?;
            return Ok(vec![TableFile { table: name, rows, replaces: None }]);
        }
        let changed: usize = before.iter().skip(1).map(TableFile::bytes).sum();
        let fresh = rows.get_array_memory_size() + gone.get_array_memory_size();
        if changed + fresh >= before[0].bytes() || before.len() >= CHAIN_MAX {
            let changes = StateChanges { name, key, rows, gone };
            return Ok(vec![self.fold(place, before, changes).await?]);
        }
        let written = self.write_rows(place, "", &rows).await?;
        let gone = match gone.num_rows() {
            0 => None,
            _ => Some(self.write_rows(place, "-gone", &gone).await?),
        };
        let replaces = Some(Replaces { key, gone });
        before.push(TableFile { table: name, rows: written, replaces });
        Ok(before)
    }

    /// Makes one file of all rows that stand, in pieces.
    async fn fold(
        &self,
        place: &Place<'_>,
        before: Vec<TableFile>,
        changes: StateChanges,
    ) -> Result<TableFile> {
        for file in before.iter().flat_map(TableFile::files) {
            self.verify(file).await.map_err(|error| self.found(error))?;
        }
        let StateChanges { name, key, rows, gone } = changes;
        let mut newest = Newest::by(&key);
        newest.name(&rows)?;
        newest.name(&gone)?;
        let mut pen = self.pen(place, "", &rows)?;
        pen.write(&rows).await?;
        let mut chain = Chain::behind(self, before, newest);
        while let Some(rows) = chain.next().await.map_err(|error| self.found(error))? {
            pen.write(&rows).await?;
        }
        Ok(TableFile { table: name, rows: pen.finish().await?, replaces: None })
    }

    /// A file that changes build on is broken: this checkpoint fails, and the next one has all state.
    fn found(&self, error: Error) -> Error {
        if !is_broken(&error) {
            return error;
        }
        self.broken.store(true, Ordering::Relaxed);
        Error::outside(format!("{error}; the next checkpoint has all state anew"))
    }

    /// Whether such a file was found since this was asked last.
    pub(crate) fn found_broken(&self) -> bool {
        self.broken.swap(false, Ordering::Relaxed)
    }
}
