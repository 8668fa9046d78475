//! The `filesystem` sink: part files that appear whole.
//!
//! A part is written under a hidden name and closed at a checkpoint, or before when it is old or large
//! enough. Its hidden name then says of which checkpoint it is, and it gets its own when that is
//! complete: each row appears exactly once. After a crash the parts of the checkpoint that the job
//! goes on from appear, later ones are removed, for their rows are read again.
//!
//! The hidden name begins with the number of the run. One that was taken over and comes back, perhaps on
//! another machine, writes into files of its own: what it leaves never appears, and what belongs to a
//! later run it does not touch. Its own name a part has from job, stage and worker, so that jobs and
//! statements share a folder.
//!
//! Without checkpoints a part appears when it is closed; a Parquet part is closed at every flush, since
//! it needs its end to be readable. Of a part left by a crash the next start keeps the whole lines.
//!
//! Each partition has a part of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::FieldRef;
use async_trait::async_trait;
use nowcast_engine::{
    Batch, ChangelogMode, DeadLetter, Epoch, Error, Millis, Result, Sink, SinkContext, SinkFactory,
};

use super::commit::Commits;
use super::part::{Found, Hidden, Part, Writer, hold, in_progress, publish, remove};
use super::{FileFormat, FileTable};
use crate::format::{CsvEncoder, Encoder, Format};

/// Parts in progress on one worker: each is an open file. The oldest is closed where there are more.
const PARTS_MAX: usize = 128;

pub struct FileSinkFactory {
    table: Arc<FileTable>,
    commits: Option<Arc<Commits>>,
}

impl FileSinkFactory {
    pub fn new(table: FileTable) -> Result<Self> {
        table.partitions.check_writable(&table.table.name)?;
        let commits = table.commit.clone().map(|policy| {
            let root = PathBuf::from(&table.path);
            Arc::new(Commits::new(policy, table.partitions.clone(), root))
        });
        Ok(Self { table: Arc::new(table), commits })
    }
}

#[async_trait]
impl SinkFactory for FileSinkFactory {
    fn changelog_mode(&self) -> ChangelogMode {
        self.table.format.changelog_mode()
    }

    async fn open(&self, context: SinkContext) -> Result<Box<dyn Sink>> {
        let table = Arc::clone(&self.table);
        let root = PathBuf::from(&table.path);
        fs::create_dir_all(&root).map_err(|error| table.failed(&root, error))?;
        let fields: Vec<FieldRef> = table.stored.fields().iter().cloned().collect();
        let (encoder, extension, header) = match &table.format {
            FileFormat::Lines(format, extension) => {
                (Some(format.encoder(&fields)?), *extension, None)
            }
            FileFormat::Csv(options) => {
                let header = options.header.then(|| CsvEncoder::header(&fields, options));
                (Some(Format::Csv(options.clone()).encoder(&fields)?), "csv", header)
            }
            FileFormat::Parquet => (None, "parquet", None),
        };
        if let Some(commits) = &self.commits {
            commits.open(context.worker, context.workers);
        }
        let mut sink = FileSink {
            root,
            encoder,
            extension,
            header,
            writer: Writer::new(&context.job, &context.stage, context.worker),
            run: context.generation,
            checkpoints: context.keeps_checkpoints,
            sequence: 0,
            parts: BTreeMap::new(),
            closed: vec![],
            pending: vec![],
            touched: BTreeSet::new(),
            watermark: Millis::MIN,
            prepared: vec![],
            commits: self.commits.clone(),
            table,
        };
        sink.recover(&context)?;
        Ok(Box::new(sink))
    }
}

struct FileSink {
    table: Arc<FileTable>,
    root: PathBuf,
    /// `None`: Parquet.
    encoder: Option<Box<dyn Encoder>>,
    extension: &'static str,
    header: Option<Vec<u8>>,
    writer: Writer,
    /// The run's number.
    run: Epoch,
    /// Whether parts wait for a checkpoint until they appear.
    checkpoints: bool,
    sequence: u64,
    /// Those in progress by folder; the folder is empty where nothing is partitioned.
    parts: BTreeMap<String, Part>,
    /// Closed since the last checkpoint began.
    closed: Vec<PathBuf>,
    /// Of checkpoints that are not complete yet.
    pending: Vec<(Epoch, PathBuf)>,
    /// Folders in which names have changed since they were last made to outlive a loss of power.
    touched: BTreeSet<PathBuf>,
    watermark: Millis,
    /// The watermark of each checkpoint that is not complete yet.
    prepared: Vec<(Epoch, Millis)>,
    commits: Option<Arc<Commits>>,
}

impl FileSink {
    /// Takes up the numbering of earlier runs, and the parts that they left.
    fn recover(&mut self, context: &SinkContext) -> Result<()> {
        let mut folders = vec![];
        folders_at(&self.table, &self.root, self.table.partitions.depth(), &mut folders)?;
        for folder in folders {
            self.recover_folder(&folder, context)?;
        }
        self.sync()
    }

    fn recover_folder(&mut self, folder: &Path, context: &SinkContext) -> Result<()> {
        let failed = |error: std::io::Error| self.table.failed(folder, error);
        let mut left = vec![];
        let (mut readable, mut whole) = (false, false);
        for entry in fs::read_dir(folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            whole |= self.commits.as_ref().is_some_and(|commits| commits.policy().file() == name);
            let Some(found) = Found::read(&name) else { continue };
            readable |= found.hidden.is_none();
            let of_job = found.is_of_job(&self.writer);
            if found.is_of(&self.writer) {
                self.sequence = self.sequence.max(found.sequence + 1);
            }
            // A run with more workers may have left parts that no worker of this one would write.
            let own = found.worker % context.workers.max(1) == self.writer.worker;
            match found.hidden {
                Some(hidden) if own && of_job => left.push((hidden, folder.join(name))),
                _ => {}
            }
        }
        for (hidden, path) in left {
            self.recover_part(&hidden, &path, context)?;
        }
        // The run before may have ended between the rows and the mark.
        if readable && !whole && self.writer.worker == 0 {
            self.readable(folder);
        }
        Ok(())
    }

    /// What becomes of a part of the job that has not appeared.
    fn recover_part(&mut self, part: &Hidden, path: &Path, context: &SinkContext) -> Result<()> {
        // Earlier versions did not say which run it was.
        let of_checkpoint = part.run.is_none_or(|run| run == context.restored_generation);
        match part.epoch {
            // This run was taken over before it had begun.
            _ if part.run.is_some_and(|run| run > self.run) => Ok(()),
            Some(epoch) if of_checkpoint && epoch <= context.restored => self.show(path),
            None if !self.checkpoints => self.adopt(path),
            _ => remove(path).map_err(|error| self.table.failed(path, error)),
        }
    }

    /// Keeps the whole lines of a part that was never closed.
    fn adopt(&mut self, path: &Path) -> Result<()> {
        let failed = |error: std::io::Error| self.table.failed(path, error);
        let content = match self.encoder {
            Some(_) => fs::read(path).map_err(failed)?,
            None => vec![],
        };
        let whole = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole == 0 {
            return fs::remove_file(path).map_err(failed);
        }
        let file = File::options().write(true).open(path).map_err(failed)?;
        file.set_len(whole as u64).map_err(failed)?;
        self.show(path)
    }

    /// Gives a part its own name.
    fn show(&mut self, path: &Path) -> Result<()> {
        publish(path).map_err(|error| self.table.failed(path, error))?;
        let folder = path.parent().unwrap_or(&self.root).to_owned();
        self.readable(&folder);
        self.touched.insert(folder);
        Ok(())
    }

    fn readable(&self, folder: &Path) {
        if let Some(commits) = &self.commits
            && let Ok(partition) = folder.strip_prefix(&self.root)
        {
            commits.readable(&partition.display().to_string());
        }
    }

    /// The part in progress of a folder.
    fn part(&mut self, folder: &str) -> Result<&mut Part> {
        if !self.parts.contains_key(folder) {
            self.make_room()?;
            let path = self.root.join(folder);
            fs::create_dir_all(&path).map_err(|error| self.table.failed(&path, error))?;
            let name = in_progress(self.run, &self.writer, self.sequence, self.extension);
            let path = path.join(name);
            let part = match self.encoder {
                Some(_) => Part::of_lines(&self.table, path, self.header.as_deref())?,
                None => Part::of_parquet(&self.table, path, Arc::clone(&self.table.stored))?,
            };
            self.sequence += 1;
            self.parts.insert(folder.to_owned(), part);
        }
        self.parts.get_mut(folder).ok_or_else(|| Error::bug("the part just opened is gone"))
    }

    fn make_room(&mut self) -> Result<()> {
        while self.parts.len() >= PARTS_MAX {
            let oldest = self.parts.iter().min_by_key(|(_, part)| part.opened);
            let Some(oldest) = oldest.map(|(folder, _)| folder.clone()) else { return Ok(()) };
            self.roll(&oldest)?;
        }
        Ok(())
    }

    /// Closes a part in progress; without checkpoints it appears.
    fn roll(&mut self, folder: &str) -> Result<()> {
        let Some(part) = self.parts.remove(folder) else { return Ok(()) };
        let path = part.close(&self.table)?;
        match self.checkpoints {
            true => self.closed.push(path),
            false => self.show(&path)?,
        }
        Ok(())
    }

    fn roll_all(&mut self) -> Result<()> {
        while let Some(folder) = self.parts.keys().next().cloned() {
            self.roll(&folder)?;
        }
        Ok(())
    }

    /// New names of parts, and the folders that are new, outlive a loss of power.
    fn sync(&mut self) -> Result<()> {
        let mut folders = BTreeSet::from([self.root.clone()]);
        for folder in std::mem::take(&mut self.touched) {
            let within = folder.ancestors().take_while(|folder| *folder != self.root);
            folders.extend(within.map(Path::to_owned));
        }
        for folder in folders {
            let synced = File::open(&folder).and_then(|folder| folder.sync_all());
            synced.map_err(|error| self.table.failed(&folder, error))?;
        }
        Ok(())
    }

    fn write_part(&mut self, folder: &str, batch: &Batch) -> Result<()> {
        let stored = self.table.partitions.stored();
        let lines = match &self.encoder {
            Some(encoder) => Some(encoder.encode(&batch.columns(stored), batch.weights())?),
            None => None,
        };
        let rows = batch.rows().project(stored)?;
        let table = Arc::clone(&self.table);
        let part = self.part(folder)?;
        match lines {
            Some(lines) => part.write_lines(&table, &lines)?,
            None => part.write_rows(&table, &rows)?,
        }
        let full = part.bytes >= table.file_bytes;
        if full { self.roll(folder) } else { Ok(()) }
    }
}

/// Says why a part that was just closed is gone.
fn taken(error: std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "another run of this job has taken over".into(),
        _ => error.to_string(),
    }
}

/// The folders `depth` below one.
fn folders_at(
    table: &FileTable,
    folder: &Path,
    depth: usize,
    found: &mut Vec<PathBuf>,
) -> Result<()> {
    if depth == 0 {
        found.push(folder.to_owned());
        return Ok(());
    }
    let failed = |error: std::io::Error| table.failed(folder, error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            folders_at(table, &path, depth - 1, found)?;
        }
    }
    Ok(())
}

#[async_trait]
impl Sink for FileSink {
    async fn write(&mut self, batch: &Batch, _: &mut Vec<DeadLetter>) -> Result<()> {
        let appends = self.table.format.changelog_mode() == ChangelogMode::Append;
        if appends
            && batch.weights().is_some_and(|weights| weights.values().iter().any(|at| *at < 0))
        {
            return Err(Error::bug("a filesystem table was sent deletes"));
        }
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if self.table.partitions.depth() == 0 {
            return self.write_part("", batch);
        }
        for (folder, rows) in self.table.partitions.split(batch)? {
            self.write_part(&folder, &rows)?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        // A Parquet part is readable when it is closed alone.
        let at_once = self.encoder.is_none() && !self.checkpoints;
        let mut old = vec![];
        for (folder, part) in &mut self.parts {
            match at_once || part.opened.elapsed() >= self.table.rollover {
                true => old.push(folder.clone()),
                false => part.flush(&self.table)?,
            }
        }
        old.iter().try_for_each(|folder| self.roll(folder))
    }

    fn reached(&mut self, watermark: Millis) {
        self.watermark = watermark;
    }

    async fn prepare(&mut self, epoch: Epoch) -> Result<()> {
        self.roll_all()?;
        for path in std::mem::take(&mut self.closed) {
            let held =
                hold(&path, epoch).map_err(|error| self.table.failed(&path, taken(error)))?;
            self.touched.extend(held.parent().map(Path::to_owned));
            self.pending.push((epoch, held));
        }
        self.prepared.push((epoch, self.watermark));
        self.sync()
    }

    async fn commit(&mut self, epoch: Epoch) -> Result<()> {
        let complete = self.pending.extract_if(.., |(of, _)| *of <= epoch);
        for (_, path) in complete.collect::<Vec<_>>() {
            self.show(&path)?;
        }
        self.sync()?;
        let prepared = self.prepared.extract_if(.., |(of, _)| *of <= epoch).last();
        match (&self.commits, prepared) {
            (Some(commits), Some((_, watermark))) => {
                commits.complete(self.writer.worker, epoch, watermark)
            }
            _ => Ok(()),
        }
    }
}

/// Without checkpoints, what was written appears also when the job is stopped.
impl Drop for FileSink {
    fn drop(&mut self) {
        if !self.checkpoints
            && let Err(error) = self.roll_all()
        {
            tracing::warn!("{error}");
        }
    }
}
