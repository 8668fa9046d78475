//! Checkpoints: positions, watermarks and states of one instant, published by one manifest.
//!
//! States are written first, the manifest last and only if there is none of its name: a checkpoint
//! exists just when its manifest does.
//!
//! The numbers of manifests are a log that one run alone can go on with. A start takes the next number
//! too, with a word on the checkpoint that it goes on from. A run that was paused, or cut off, finds
//! its next number taken, and has been taken over: it publishes nothing more.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, BooleanArray, RecordBatch, UInt16Array};
use arrow::compute::filter_record_batch;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, ErrorKind, Result};
use crate::evolve::{self, Change, Fate, Held, LOSS, StagePlan};
use crate::keys::owner;
use crate::operator::{Epoch, KEY_GROUP, StateTable};
use crate::source::Position;
use crate::time::Millis;

/// Version of the manifest and of the layout around it.
const FORMAT: u32 = 1;

/// Complete checkpoints that are kept: the newest, and older ones to fall back on.
const KEPT: usize = 3;

/// How often the number of a start is asked for while the store gives no answer.
const TRIES: usize = 4;

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

/// The start of a run. It takes a number, so that no earlier run goes on with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Start {
    format: u32,
    job: String,
    epoch: Epoch,
    by: String,
    /// The checkpoint that the run goes on from, 0 for none: what lies between is void.
    starts_from: Epoch,
}

/// What a number of the log stands for.
enum Entry {
    Checkpoint(Box<Manifest>),
    Start(Start),
}

impl Entry {
    fn by(&self) -> &str {
        match self {
            Entry::Checkpoint(manifest) => &manifest.by,
            Entry::Start(start) => &start.by,
        }
    }
}

/// A run that writes checkpoints.
#[derive(Debug, Clone, Default)]
pub struct Writer {
    /// Names the run among all.
    pub by: String,
    /// The number of its start.
    pub generation: Epoch,
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
    /// The starts among the numbers, as far as they were read; `None` is a checkpoint.
    starts: Arc<Mutex<BTreeMap<Epoch, Option<Epoch>>>>,
    plan: Vec<StagePlan>,
}

impl Checkpoints {
    pub fn new(store: Arc<dyn ObjectStore>, job: &str) -> Self {
        Self { store, job: job.to_owned(), starts: Arc::default(), plan: vec![] }
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
        manifest.epoch = to.numbers().await?.last().copied().unwrap_or(0).max(epoch) + 1;
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

    /// Writes a manifest, unless its number is taken: from then on the checkpoint exists.
    async fn publish(&self, manifest: &Manifest) -> Result<usize> {
        let text = serde_json::to_vec_pretty(manifest).map_err(Error::bug)?;
        let bytes = text.len();
        match self.claim(manifest.epoch, &manifest.by, text).await? {
            true => Ok(bytes),
            false => Err(taken_over()),
        }
    }

    /// Takes a number of the log; whether nobody else has it.
    async fn claim(&self, epoch: Epoch, by: &str, text: Vec<u8>) -> Result<bool> {
        let path = self.folder(epoch).join("manifest.json");
        let create = PutOptions::from(PutMode::Create);
        match self.store.put_opts(&path, PutPayload::from(text), create).await {
            Ok(_) => {}
            // The answer to a first try may have been lost.
            Err(object_store::Error::AlreadyExists { .. }) => {
                return Ok(self.entry(epoch).await.is_ok_and(|entry| entry.by() == by));
            }
            Err(error) => return Err(self.failed("cannot write", &path, error)),
        }
        // A number that was taken and is gone again is behind those that came after it.
        Ok(self.numbers().await?.last().is_none_or(|last| *last <= epoch))
    }

    /// Takes the next number for a run that goes on from a checkpoint; false if another run was
    /// faster.
    pub(crate) async fn start(&self, writer: &Writer, starts_from: Epoch) -> Result<bool> {
        let start = self.start_of(writer, writer.generation, starts_from)?;
        let mut tries = 1;
        // A number that was taken by a try whose answer was lost is its own; the store's client does not
        // repeat a write on a condition by itself.
        let claimed = loop {
            match self.claim(writer.generation, &writer.by, start.clone()).await {
                Err(error) if error.kind() == ErrorKind::Outside && tries < TRIES => tries += 1,
                claimed => break claimed?,
            }
        };
        if !claimed {
            return Ok(false);
        }
        self.retire(starts_from).await?;
        Ok(true)
    }

    /// The text that takes a number without a checkpoint.
    fn start_of(&self, writer: &Writer, epoch: Epoch, starts_from: Epoch) -> Result<Vec<u8>> {
        let (job, by) = (self.job.clone(), writer.by.clone());
        let start = Start { format: FORMAT, job, epoch, by, starts_from };
        serde_json::to_vec_pretty(&start).map_err(Error::bug)
    }

    /// Reads a file of states as it was written.
    async fn table(&self, folder: &Path, file: &TableFile) -> Result<Vec<u8>> {
        let path = folder.clone().join(file.file.as_str());
        let bytes = self.get(&path).await?;
        match format!("{:016x}", xxh3_64(&bytes)) == file.checksum {
            true => Ok(bytes),
            false => Err(Error::data(format!("checkpoint {path}: torn or altered"))),
        }
    }

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
                    let file = format!(
                        "{}-{}-{}-{}.arrow",
                        writer.generation,
                        stages.len(),
                        stage.worker,
                        tables.len()
                    );
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
            generation: writer.generation,
            by: writer.by.clone(),
            follows,
            sources,
            stages,
            plan: self.plan.clone(),
        };
        written += self.publish(&manifest).await?;
        if let Err(error) = self.retire(follows).await {
            tracing::warn!(%error, "older checkpoints are still there");
        }
        Ok(written)
    }

    /// Removes the files of a checkpoint that failed. One that came into effect unheard is left as it
    /// is: it is whole.
    pub async fn discard(&self, epoch: Epoch) -> Result<()> {
        let folder = self.folder(epoch);
        match self.store.head(&folder.clone().join("manifest.json")).await {
            Err(object_store::Error::NotFound { .. }) => self.clear(&folder).await,
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed("cannot read", &folder, error)),
        }
    }

    /// Takes the numbers of checkpoints that were given up, so that no other run goes on with them.
    pub(crate) async fn take(
        &self,
        writer: &Writer,
        given_up: Range<Epoch>,
        starts_from: Epoch,
    ) -> Result<()> {
        for epoch in given_up {
            let start = self.start_of(writer, epoch, starts_from)?;
            // A torn one is of a try that has failed.
            if !self.claim(epoch, &writer.by, start).await? && self.entry(epoch).await.is_ok() {
                return Err(taken_over());
            }
        }
        Ok(())
    }

    /// The numbers that are taken, ascending.
    pub(crate) async fn numbers(&self) -> Result<Vec<Epoch>> {
        let begun = self.begun().await?;
        Ok(begun.into_iter().filter_map(|(epoch, taken)| taken.then_some(epoch)).collect())
    }

    /// Numbers of which there is a file, and whether it is a manifest.
    async fn begun(&self) -> Result<BTreeMap<Epoch, bool>> {
        let root = Path::from(self.job.as_str());
        let files = self.store.list(Some(&root)).try_collect::<Vec<_>>().await;
        let files = files.map_err(|error| self.failed("cannot list", &root, error))?;
        let mut begun = BTreeMap::new();
        for file in &files {
            let folder = file.location.as_ref().rsplit('/').nth(1);
            let number = folder.and_then(|folder| folder.strip_prefix("epoch-"));
            let Some(Ok(epoch)) = number.map(str::parse) else { continue };
            *begun.entry(epoch).or_default() |= file.location.filename() == Some("manifest.json");
        }
        Ok(begun)
    }

    /// Checkpoints that were published and are not void, ascending. Whether they are whole is not
    /// known yet.
    pub async fn epochs(&self) -> Result<Vec<Epoch>> {
        let mut epochs = vec![];
        let mut below = Epoch::MAX;
        for epoch in self.numbers().await?.into_iter().rev() {
            match self.starts_from(epoch).await? {
                Some(starts_from) => below = below.min(starts_from),
                None if epoch <= below => epochs.push(epoch),
                None => {}
            }
        }
        epochs.reverse();
        Ok(epochs)
    }

    /// Where the run goes on from whose start has this number; `None` for a checkpoint, also one that
    /// is torn.
    async fn starts_from(&self, epoch: Epoch) -> Result<Option<Epoch>> {
        let known = self.starts.lock().unwrap_or_else(PoisonError::into_inner).get(&epoch).copied();
        if let Some(known) = known {
            return Ok(known);
        }
        let read = match self.entry(epoch).await {
            Ok(Entry::Start(start)) => Some(start.starts_from),
            Ok(Entry::Checkpoint(_)) => None,
            Err(error) if is_broken(&error) => None,
            Err(error) => return Err(error),
        };
        self.starts.lock().unwrap_or_else(PoisonError::into_inner).insert(epoch, read);
        Ok(read)
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
            match self.tables(manifest).await {
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
        self.tables(self.manifest(epoch).await?).await
    }

    /// Reads what a checkpoint holds, without its states.
    pub async fn manifest(&self, epoch: Epoch) -> Result<Manifest> {
        match self.entry(epoch).await? {
            Entry::Checkpoint(manifest) => Ok(*manifest),
            Entry::Start(_) => Err(Error::user(format!(
                "checkpoint {}: number {epoch} is that of a start, not of a checkpoint",
                self.folder(epoch)
            ))),
        }
    }

    async fn entry(&self, epoch: Epoch) -> Result<Entry> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
            starts_from: Option<Epoch>,
        }
        let folder = self.folder(epoch);
        let text = self.get(&folder.clone().join("manifest.json")).await?;
        let broken = |error| {
            Error::data(format!("checkpoint {folder}/manifest.json: not readable: {error}"))
        };
        let head: Head = serde_json::from_slice(&text).map_err(broken)?;
        if head.format != FORMAT {
            return Err(Error::user(format!(
                "checkpoint {folder}: format {} is not this version's {FORMAT}",
                head.format
            )));
        }
        Ok(match head.starts_from {
            Some(_) => Entry::Start(serde_json::from_slice(&text).map_err(broken)?),
            None => Entry::Checkpoint(serde_json::from_slice(&text).map_err(broken)?),
        })
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
        got.map(Vec::from).map_err(|error| match error {
            object_store::Error::NotFound { .. } => {
                Error::data(format!("checkpoint {path}: not there"))
            }
            error => self.failed("cannot read", path, error),
        })
    }

    /// Deletes what is older than the kept checkpoints, manifests first, starts that came to nothing,
    /// and what was never complete. The one that the newest follows stays in any case: its transactions
    /// are committed, those of later ones need not be.
    async fn retire(&self, follows: Epoch) -> Result<()> {
        let (begun, epochs) = (self.begun().await?, self.epochs().await?);
        let oldest = epochs.iter().rev().nth(KEPT - 1).copied();
        let oldest =
            oldest.map_or(0, |oldest| if follows > 0 { oldest.min(follows) } else { oldest });
        let mut next_starts = false;
        for (epoch, taken) in begun.into_iter().rev() {
            let starts = taken && self.starts_from(epoch).await?.is_some();
            if epoch < oldest || starts && next_starts {
                let folder = self.folder(epoch);
                if taken {
                    let gone = self.store.delete(&folder.clone().join("manifest.json")).await;
                    gone.map_err(|error| self.failed("cannot delete", &folder, error))?;
                }
                self.clear(&folder).await?;
            }
            if taken {
                next_starts = starts;
            }
        }
        Ok(())
    }

    async fn clear(&self, folder: &Path) -> Result<()> {
        let files = self.store.list(Some(folder)).try_collect::<Vec<_>>().await;
        let files = files.map_err(|error| self.failed("cannot list", folder, error))?;
        for file in files {
            let gone = self.store.delete(&file.location).await;
            gone.map_err(|error| self.failed("cannot delete", &file.location, error))?;
        }
        Ok(())
    }

    fn failed(&self, deed: &str, path: &Path, error: object_store::Error) -> Error {
        Error::outside(format!("checkpoint {path}: {deed}: {error}"))
    }
}

/// Whether it is the checkpoint that is broken, and not the way to it: trying again changes nothing.
fn is_broken(error: &Error) -> bool {
    error.kind() != ErrorKind::Outside
}

fn passed_over(epoch: Epoch, error: &Error) {
    tracing::warn!(%error, epoch, "checkpoint passed over: what was written since the one before is repeated");
}

fn taken_over() -> Error {
    Error::user("another run of this job has taken over")
}

fn behind(error: Error) -> Error {
    error.context("the last transaction belongs to a checkpoint that cannot be restored")
}

impl Restored {
    /// The state that is there, by operator.
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
                held[at].rows += file.rows;
                let schema = self.tables[&file.file].schema();
                if !held[at].tables.iter().any(|(table, _)| *table == file.table) {
                    held[at].tables.push((file.table.clone(), schema));
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
            let blanks = blanks(&change.name)?;
            for file in &stage.tables {
                let rows = &self.tables[&file.file];
                let rows = evolve::converted(change, &file.table, rows, &blanks);
                let rows =
                    rows.map_err(|why| Error::user(format!("{LOSS}: `{}`: {why}", change.name)))?;
                self.tables.insert(file.file.clone(), rows);
            }
            stage.name.clone_from(&change.name);
            stages.push(stage);
        }
        self.manifest.stages = stages;
        Ok(self)
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
