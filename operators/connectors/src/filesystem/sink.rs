//! The `filesystem` sink: part files that appear whole.
//!
//! A part is written under a hidden name and closed at a checkpoint, or before when it is old or large
//! enough. Its hidden name then says of which checkpoint it is, and it gets its own when that is
//! complete: each row appears exactly once. After a crash the parts of the checkpoint that the job
//! goes on from appear, later ones are removed, for their rows are read again.
//!
//! Without checkpoints a part appears when it is closed; a Parquet part is closed at every flush, since
//! it needs its end to be readable. Of a part left by a crash the next start keeps the whole lines.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use arrow::datatypes::FieldRef;
use async_trait::async_trait;
use nowcast_engine::{
    Batch, ChangelogMode, DeadLetter, Epoch, Error, Result, Sink, SinkContext, SinkFactory,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::{FileFormat, FileTable};
use crate::format::{CsvEncoder, Encoder, Format};

pub struct FileSinkFactory(pub FileTable);

#[async_trait]
impl SinkFactory for FileSinkFactory {
    fn changelog_mode(&self) -> ChangelogMode {
        self.0.format.changelog_mode()
    }

    async fn open(&self, context: SinkContext) -> Result<Box<dyn Sink>> {
        let table = self.0.clone();
        let folder = PathBuf::from(&table.path);
        fs::create_dir_all(&folder).map_err(|error| table.failed(&folder, error))?;
        let fields: Vec<FieldRef> = table.table.schema.fields().iter().cloned().collect();
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
        let mut sink = FileSink {
            folder,
            encoder,
            extension,
            header,
            worker: context.worker,
            checkpoints: context.keeps_checkpoints,
            sequence: 0,
            part: None,
            closed: vec![],
            pending: vec![],
            table,
        };
        sink.recover(&context)?;
        Ok(Box::new(sink))
    }
}

struct FileSink {
    table: FileTable,
    folder: PathBuf,
    /// `None`: Parquet.
    encoder: Option<Box<dyn Encoder>>,
    extension: &'static str,
    header: Option<Vec<u8>>,
    worker: usize,
    /// Whether parts wait for a checkpoint until they appear.
    checkpoints: bool,
    sequence: u64,
    part: Option<Part>,
    /// Closed since the last checkpoint began.
    closed: Vec<PathBuf>,
    /// Of checkpoints that are not complete yet.
    pending: Vec<(Epoch, PathBuf)>,
}

/// The part in progress.
struct Part {
    path: PathBuf,
    opened: Instant,
    bytes: u64,
    writer: Writer,
}

enum Writer {
    Lines(BufWriter<File>),
    Parquet(Box<ArrowWriter<File>>),
}

impl FileSink {
    /// Takes up the numbering of earlier runs, and the parts that they left.
    fn recover(&mut self, context: &SinkContext) -> Result<()> {
        let failed = |error: std::io::Error| self.table.failed(&self.folder, error);
        let mut left = vec![];
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            let Some(found) = Found::read(&name) else { continue };
            if found.worker == self.worker {
                self.sequence = self.sequence.max(found.sequence + 1);
            }
            // A run with more workers may have left parts that no worker of this one would write.
            if name.starts_with('.') && found.worker % context.workers.max(1) == self.worker {
                left.push((found.epoch, self.folder.join(name)));
            }
        }
        for (epoch, path) in left {
            let failed = |error: std::io::Error| self.table.failed(&path, error);
            match epoch {
                Some(epoch) if epoch <= context.restored => publish(&path).map_err(failed)?,
                None if !self.checkpoints => self.adopt(&path)?,
                _ => fs::remove_file(&path).map_err(failed)?,
            }
        }
        Ok(())
    }

    /// Keeps the whole lines of a part that was never closed.
    fn adopt(&self, path: &Path) -> Result<()> {
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
        publish(path).map_err(failed)
    }

    fn part(&mut self) -> Result<&mut Part> {
        if self.part.is_none() {
            let name = format!(".part-{}-{:06}.{}", self.worker, self.sequence, self.extension);
            let path = self.folder.join(name);
            let file = File::create(&path).map_err(|error| self.table.failed(&path, error))?;
            let writer = match self.encoder {
                Some(_) => {
                    let mut file = BufWriter::new(file);
                    if let Some(header) = &self.header {
                        let written = file.write_all(header).and_then(|()| file.write_all(b"\n"));
                        written.map_err(|error| self.table.failed(&path, error))?;
                    }
                    Writer::Lines(file)
                }
                None => {
                    let properties =
                        WriterProperties::builder().set_compression(Compression::SNAPPY).build();
                    let schema = self.table.table.schema.clone();
                    let writer = ArrowWriter::try_new(file, schema, Some(properties));
                    Writer::Parquet(Box::new(
                        writer.map_err(|error| self.table.failed(&path, error))?,
                    ))
                }
            };
            self.sequence += 1;
            self.part = Some(Part { path, opened: Instant::now(), bytes: 0, writer });
        }
        self.part.as_mut().ok_or_else(|| Error::bug("the part just opened is gone"))
    }

    /// Closes the part in progress; without checkpoints it appears.
    fn roll(&mut self) -> Result<()> {
        let Some(part) = self.part.take() else { return Ok(()) };
        let path = part.path;
        let file = match part.writer {
            Writer::Lines(file) => file.into_inner().map_err(|error| error.to_string()),
            Writer::Parquet(writer) => writer.into_inner().map_err(|error| error.to_string()),
        };
        let synced = file.and_then(|file| file.sync_all().map_err(|error| error.to_string()));
        synced.map_err(|error| self.table.failed(&path, error))?;
        match self.checkpoints {
            true => self.closed.push(path),
            false => publish(&path).map_err(|error| self.table.failed(&path, error))?,
        }
        Ok(())
    }

    /// New names of parts outlive a loss of power.
    fn sync(&self) -> Result<()> {
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| self.table.failed(&self.folder, error))
    }

    fn write_lines(&mut self, batch: &Batch) -> Result<()> {
        let Some(encoder) = &self.encoder else { return Ok(()) };
        let encoded = encoder.encode(batch.rows().columns(), batch.weights())?;
        let part = self.part()?;
        let Writer::Lines(file) = &mut part.writer else {
            return Err(Error::bug("lines for a part of another kind"));
        };
        let mut written = Ok(());
        for line in encoded.rows() {
            written = written.and_then(|()| file.write_all(line));
            written = written.and_then(|()| file.write_all(b"\n"));
            part.bytes += line.len() as u64 + 1;
        }
        let path = part.path.clone();
        written.map_err(|error| self.table.failed(&path, error))
    }
}

/// What the name of a part tells: `part-WORKER-SEQUENCE.…`, `.part-…` while it is written,
/// `.epoch-EPOCH.part-…` while its checkpoint is not complete.
struct Found {
    epoch: Option<Epoch>,
    worker: usize,
    sequence: u64,
}

impl Found {
    fn read(name: &str) -> Option<Self> {
        let (epoch, part) = match name.strip_prefix(".epoch-") {
            Some(rest) => {
                let (epoch, part) = rest.split_once('.')?;
                (Some(epoch.parse().ok()?), part)
            }
            None => (None, name.strip_prefix('.').unwrap_or(name)),
        };
        let (worker, rest) = part.strip_prefix("part-")?.split_once('-')?;
        let sequence = rest.split('.').next()?.parse().ok()?;
        Some(Self { epoch, worker: worker.parse().ok()?, sequence })
    }
}

/// Gives a part its own name.
fn publish(path: &Path) -> std::io::Result<()> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let own = name.find("part-").map_or(name.as_str(), |at| &name[at..]);
    fs::rename(path, path.with_file_name(own))
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
        if self.encoder.is_some() {
            self.write_lines(batch)?;
        } else {
            let part = self.part()?;
            let path = part.path.clone();
            if let Writer::Parquet(writer) = &mut part.writer {
                let written = writer.write(batch.rows());
                part.bytes = (writer.bytes_written() + writer.in_progress_size()) as u64;
                written.map_err(|error| self.table.failed(&path, error))?;
            }
        }
        let full = self.part.as_ref().is_some_and(|part| part.bytes >= self.table.file_bytes);
        if full { self.roll() } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<()> {
        let (checkpoints, rollover) = (self.checkpoints, self.table.rollover);
        let Some(part) = &mut self.part else { return Ok(()) };
        let path = part.path.clone();
        match &mut part.writer {
            _ if part.opened.elapsed() >= rollover => self.roll(),
            Writer::Lines(file) => file.flush().map_err(|error| self.table.failed(&path, error)),
            Writer::Parquet(_) if checkpoints => Ok(()),
            Writer::Parquet(_) => self.roll(),
        }
    }

    async fn prepare(&mut self, epoch: Epoch) -> Result<()> {
        self.roll()?;
        for path in std::mem::take(&mut self.closed) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let pending = path.with_file_name(format!(".epoch-{epoch}{name}"));
            fs::rename(&path, &pending).map_err(|error| self.table.failed(&path, error))?;
            self.pending.push((epoch, pending));
        }
        self.sync()
    }

    async fn commit(&mut self, epoch: Epoch) -> Result<()> {
        for (_, path) in self.pending.extract_if(.., |(of, _)| *of <= epoch) {
            publish(&path).map_err(|error| self.table.failed(&path, error))?;
        }
        self.sync()
    }
}

/// Without checkpoints, what was written appears also when the job is stopped.
impl Drop for FileSink {
    fn drop(&mut self) {
        if !self.checkpoints
            && let Err(error) = self.roll()
        {
            tracing::warn!("{error}");
        }
    }
}
