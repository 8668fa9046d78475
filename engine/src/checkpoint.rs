//! Checkpoints: positions, watermarks and states of one instant, published by one manifest.
//!
//! States are written first, the manifest last and only if there is none of its name: a checkpoint
//! exists just when its manifest does.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch, UInt16Array};
use arrow::compute::filter_record_batch;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::keys::owner;
use crate::operator::{Epoch, KEY_GROUP, StateTable};
use crate::source::Position;
use crate::time::Millis;

/// Version of the manifest and of the layout around it.
const FORMAT: u32 = 1;

/// Complete checkpoints that are kept: the newest, and older ones to fall back on.
const KEPT: usize = 3;

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
    /// The checkpoint that it follows: complete, and its transactions committed; 0 for a first one.
    #[serde(default)]
    pub follows: Epoch,
    pub sources: Vec<SourceState>,
    pub stages: Vec<StageState>,
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
    pub tables: Vec<TableFile>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TableFile {
    pub table: String,
    pub file: String,
    pub rows: usize,
    pub bytes: usize,
    /// XXH3 of the file, as hex.
    pub checksum: String,
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
    pub tables: Vec<StateTable>,
}

/// A checkpoint read back, with all states in memory.
pub struct Restored {
    pub manifest: Manifest,
    tables: BTreeMap<String, RecordBatch>,
}

/// The checkpoints of one job.
#[derive(Clone)]
pub struct Checkpoints {
    store: Arc<dyn ObjectStore>,
    job: String,
}

impl Checkpoints {
    pub fn new(store: Arc<dyn ObjectStore>, job: &str) -> Self {
        Self { store, job: job.to_owned() }
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
        manifest.epoch = to.epochs().await?.last().copied().unwrap_or(0).max(epoch) + 1;
        manifest.run = Run { since: manifest.epoch, transactions: false };
        let (from, into) = (self.folder(epoch), to.folder(manifest.epoch));
        for file in manifest.stages.iter().flat_map(|stage| &stage.tables) {
            let bytes = self.table(&from, file).await?;
            let path = into.clone().join(file.file.as_str());
            let put = to.store.put(&path, PutPayload::from(bytes)).await;
            put.map_err(|error| to.failed("cannot write", &path, error))?;
        }
        to.publish(&manifest).await?;
        Ok(manifest.epoch)
    }

    /// Writes a manifest, unless there is one of its name: from then on the checkpoint exists.
    async fn publish(&self, manifest: &Manifest) -> Result<usize> {
        let text = serde_json::to_vec_pretty(manifest).map_err(Error::bug)?;
        let (bytes, path) = (text.len(), self.folder(manifest.epoch).join("manifest.json"));
        let create = PutOptions::from(PutMode::Create);
        let put = self.store.put_opts(&path, PutPayload::from(text), create).await;
        put.map_err(|error| self.failed("cannot write", &path, error))?;
        Ok(bytes)
    }

    /// Reads a file of states as it was written.
    async fn table(&self, folder: &Path, file: &TableFile) -> Result<Vec<u8>> {
        let path = folder.clone().join(file.file.as_str());
        let bytes = self.get(&path).await?;
        match format!("{:016x}", xxh3_64(&bytes)) == file.checksum {
            true => Ok(bytes),
            false => Err(Error::outside(format!("checkpoint {path}: torn or altered"))),
        }
    }

    /// Writes a checkpoint; returns its size in bytes.
    pub async fn write(
        &self,
        epoch: Epoch,
        workers: usize,
        finished: bool,
        (run, follows): (Run, Epoch),
        states: Vec<WorkerState>,
    ) -> Result<usize> {
        let folder = self.folder(epoch);
        let mut sources: Vec<SourceState> = vec![];
        let mut stages = vec![];
        let mut written = 0;
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
                let mut tables = vec![];
                for table in stage.tables {
                    let bytes = encode(&table.rows)?;
                    let file = format!("{}-{}-{}.arrow", stages.len(), stage.worker, tables.len());
                    written += bytes.len();
                    tables.push(TableFile {
                        table: table.name,
                        rows: table.rows.num_rows(),
                        bytes: bytes.len(),
                        checksum: format!("{:016x}", xxh3_64(&bytes)),
                        file: file.clone(),
                    });
                    let path = folder.clone().join(file.as_str());
                    let put = self.store.put(&path, PutPayload::from(bytes)).await;
                    put.map_err(|error| self.failed("cannot write", &path, error))?;
                }
                let StageTables { name, worker, watermark, .. } = stage;
                stages.push(StageState { name, worker, watermark, tables });
            }
        }
        let job = self.job.clone();
        let manifest = Manifest {
            format: FORMAT,
            job,
            epoch,
            workers,
            finished,
            run,
            follows,
            sources,
            stages,
        };
        written += self.publish(&manifest).await?;
        self.retire().await?;
        Ok(written)
    }

    /// Epochs with a manifest, ascending.
    pub async fn epochs(&self) -> Result<Vec<Epoch>> {
        let root = Path::from(self.job.as_str());
        let files = self.store.list(Some(&root)).try_collect::<Vec<_>>().await;
        let files = files.map_err(|error| self.failed("cannot list", &root, error))?;
        let mut epochs: Vec<Epoch> = files
            .iter()
            .filter(|file| file.location.filename() == Some("manifest.json"))
            .filter_map(|file| {
                let folder = file.location.as_ref().rsplit('/').nth(1)?;
                folder.strip_prefix("epoch-")?.parse().ok()
            })
            .collect();
        epochs.sort_unstable();
        Ok(epochs)
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
                Err(error) => {
                    passed_over(epoch, &error);
                    continue;
                }
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
            match self.tables(manifest).await {
                Ok(restored) => return Ok(Some(restored)),
                Err(error) if committed == Some(epoch) => return Err(behind(error)),
                Err(error) => passed_over(epoch, &error),
            }
        }
        Ok(None)
    }

    /// Reads and verifies one checkpoint.
    pub async fn read(&self, epoch: Epoch) -> Result<Restored> {
        self.tables(self.manifest(epoch).await?).await
    }

    /// Reads what a checkpoint holds, without its states.
    pub async fn manifest(&self, epoch: Epoch) -> Result<Manifest> {
        let folder = self.folder(epoch);
        let text = self.get(&folder.clone().join("manifest.json")).await?;
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| {
            Error::outside(format!("checkpoint {folder}/manifest.json: not readable: {error}"))
        })?;
        if manifest.format != FORMAT {
            return Err(Error::user(format!(
                "checkpoint {folder}: format {} is not this version's {FORMAT}",
                manifest.format
            )));
        }
        Ok(manifest)
    }

    /// Adds the states to a manifest.
    async fn tables(&self, manifest: Manifest) -> Result<Restored> {
        let folder = self.folder(manifest.epoch);
        let mut tables = BTreeMap::new();
        for file in manifest.stages.iter().flat_map(|stage| &stage.tables) {
            let bytes = self.table(&folder, file).await?;
            tables.insert(file.file.clone(), decode(bytes)?);
        }
        Ok(Restored { manifest, tables })
    }

    async fn get(&self, path: &Path) -> Result<Vec<u8>> {
        let got = match self.store.get(path).await {
            Ok(got) => got.bytes().await,
            Err(error) => Err(error),
        };
        got.map(Vec::from).map_err(|error| self.failed("cannot read", path, error))
    }

    /// Deletes what is older than the kept checkpoints, manifests first.
    async fn retire(&self) -> Result<()> {
        let epochs = self.epochs().await?;
        let old = epochs.len().saturating_sub(KEPT);
        for epoch in &epochs[..old] {
            let folder = self.folder(*epoch);
            let gone = self.store.delete(&folder.clone().join("manifest.json")).await;
            gone.map_err(|error| self.failed("cannot delete", &folder, error))?;
            let files = self.store.list(Some(&folder)).try_collect::<Vec<_>>().await;
            let files = files.map_err(|error| self.failed("cannot list", &folder, error))?;
            for file in files {
                let gone = self.store.delete(&file.location).await;
                gone.map_err(|error| self.failed("cannot delete", &file.location, error))?;
            }
        }
        Ok(())
    }

    fn failed(&self, deed: &str, path: &Path, error: object_store::Error) -> Error {
        Error::outside(format!("checkpoint {path}: {deed}: {error}"))
    }
}

fn passed_over(epoch: Epoch, error: &Error) {
    tracing::warn!(%error, epoch, "checkpoint passed over: what was written since the one before is repeated");
}

fn behind(error: Error) -> Error {
    error.context("the last transaction belongs to a checkpoint that cannot be restored")
}

impl Restored {
    /// Positions of a source; empty for a source that is new.
    pub fn source(&self, name: &str) -> Option<&SourceState> {
        self.manifest.sources.iter().find(|source| source.name == name)
    }

    /// The watermark a stage had reached on the worker that was furthest behind.
    pub fn watermark(&self, name: &str) -> Option<Millis> {
        let stages = self.manifest.stages.iter().filter(|stage| stage.name == name);
        stages.map(|stage| stage.watermark).min()
    }

    /// The tables of a stage that belong on `worker` of `workers`.
    pub fn tables(&self, name: &str, worker: usize, workers: usize) -> Result<Vec<StateTable>> {
        let mut tables = vec![];
        for stage in self.manifest.stages.iter().filter(|stage| stage.name == name) {
            for file in &stage.tables {
                let rows = &self.tables[&file.file];
                let rows = match key_groups(rows) {
                    Some(groups) => {
                        let mine =
                            groups.values().iter().map(|group| owner(*group, workers) == worker);
                        filter_record_batch(rows, &BooleanArray::from_iter(mine.map(Some)))?
                    }
                    None if stage.worker % workers == worker => rows.clone(),
                    None => continue,
                };
                tables.push(StateTable { name: file.table.clone(), rows });
            }
        }
        Ok(tables)
    }
}

fn key_groups(rows: &RecordBatch) -> Option<&UInt16Array> {
    let schema = rows.schema();
    let first = schema.fields().first()?;
    (first.name() == KEY_GROUP).then(|| rows.column(0).as_any().downcast_ref())?
}

fn encode(rows: &RecordBatch) -> Result<Vec<u8>> {
    let mut writer = FileWriter::try_new(vec![], &rows.schema())?;
    writer.write(rows)?;
    Ok(writer.into_inner()?)
}

fn decode(bytes: Vec<u8>) -> Result<RecordBatch> {
    let reader = FileReader::try_new(Cursor::new(bytes), None)?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    Ok(arrow::compute::concat_batches(&schema, &batches)?)
}
