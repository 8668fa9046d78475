//! A part file: written under a hidden name, and shown under its own.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use nowcast_engine::{Epoch, Error, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use xxhash_rust::xxh3::xxh3_64;

use super::FileTable;
use crate::format::Encoded;

/// A part in progress.
pub struct Part {
    pub path: PathBuf,
    pub opened: Instant,
    /// About how large it is.
    pub bytes: u64,
    content: Content,
}

enum Content {
    Lines(BufWriter<File>),
    Parquet(Box<ArrowWriter<File>>),
}

impl Part {
    /// A part of lines, of which the first is the header.
    pub fn of_lines(table: &FileTable, path: PathBuf, header: Option<&[u8]>) -> Result<Self> {
        let failed = |error: io::Error| table.failed(&path, error);
        let mut file = BufWriter::new(File::create_new(&path).map_err(failed)?);
        if let Some(header) = header {
            file.write_all(header).and_then(|()| file.write_all(b"\n")).map_err(failed)?;
        }
        let content = Content::Lines(file);
        Ok(Self { path, opened: Instant::now(), bytes: 0, content })
    }

    pub fn of_parquet(table: &FileTable, path: PathBuf, schema: SchemaRef) -> Result<Self> {
        let file = File::create_new(&path).map_err(|error| table.failed(&path, error))?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = ArrowWriter::try_new(file, schema, Some(properties));
        let content =
            Content::Parquet(Box::new(writer.map_err(|error| table.failed(&path, error))?));
        Ok(Self { path, opened: Instant::now(), bytes: 0, content })
    }

    pub fn write_lines(&mut self, table: &FileTable, lines: &Encoded) -> Result<()> {
        let Content::Lines(file) = &mut self.content else {
            return Err(Error::bug("lines for a part of another kind"));
        };
        let mut written = Ok(());
        for line in lines.rows() {
            written = written.and_then(|()| file.write_all(line));
            written = written.and_then(|()| file.write_all(b"\n"));
            self.bytes += line.len() as u64 + 1;
        }
        written.map_err(|error| table.failed(&self.path, error))
    }

    pub fn write_rows(&mut self, table: &FileTable, rows: &RecordBatch) -> Result<()> {
        let Content::Parquet(writer) = &mut self.content else {
            return Err(Error::bug("rows for a part of another kind"));
        };
        let written = writer.write(rows);
        self.bytes = (writer.bytes_written() + writer.in_progress_size()) as u64;
        written.map_err(|error| table.failed(&self.path, error))
    }

    /// Hands lines to the file; a Parquet part is readable when it is closed alone.
    pub fn flush(&mut self, table: &FileTable) -> Result<()> {
        match &mut self.content {
            Content::Lines(file) => file.flush().map_err(|error| table.failed(&self.path, error)),
            Content::Parquet(_) => Ok(()),
        }
    }

    /// Ends the part; its rows outlive a loss of power.
    pub fn close(self, table: &FileTable) -> Result<PathBuf> {
        let file = match self.content {
            Content::Lines(file) => file.into_inner().map_err(|error| error.to_string()),
            Content::Parquet(writer) => writer.into_inner().map_err(|error| error.to_string()),
        };
        let synced = file.and_then(|file| file.sync_all().map_err(|error| error.to_string()));
        synced.map_err(|error| table.failed(&self.path, error))?;
        Ok(self.path)
    }
}

/// Who writes a part: a stage of a job, on one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// Digests of the names of the job and of its stage: jobs, and statements of one job, share folders.
    pub job: String,
    pub stage: String,
    pub worker: usize,
}

impl Writer {
    pub fn new(job: &str, stage: &str, worker: usize) -> Self {
        let digest = |name: &str| format!("{:08x}", xxh3_64(name.as_bytes()) as u32);
        Self { job: digest(job), stage: digest(stage), worker }
    }

    /// The name under which a part appears.
    fn part(&self, sequence: u64, extension: &str) -> String {
        format!("part-{}-{}-{}-{sequence:06}.{extension}", self.job, self.stage, self.worker)
    }
}

/// The name of a part while a run writes it.
pub fn in_progress(run: Epoch, writer: &Writer, sequence: u64, extension: &str) -> String {
    format!(".run-{run}.{}", writer.part(sequence, extension))
}

/// What the name of a part tells: `part-JOB-STAGE-WORKER-SEQUENCE.…`, behind `.run-RUN.` while that run
/// writes it and behind `.run-RUN.epoch-EPOCH.` while its checkpoint is not complete. Earlier versions
/// had neither runs nor jobs and stages in it.
pub struct Found {
    pub hidden: Option<Hidden>,
    /// `None`: of an earlier version.
    pub job: Option<String>,
    pub stage: Option<String>,
    pub worker: usize,
    pub sequence: u64,
}

/// Why a part has not appeared yet.
pub struct Hidden {
    /// The run that has written it; `None`: of an earlier version.
    pub run: Option<Epoch>,
    /// The checkpoint that it waits for; `None`: it was not closed.
    pub epoch: Option<Epoch>,
}

impl Found {
    pub fn read(name: &str) -> Option<Self> {
        let at = name.find("part-")?;
        let hidden = match &name[..at] {
            "" => None,
            before => Some(Hidden::read(before)?),
        };
        let words: Vec<&str> = name[at..].split('.').next()?.split('-').collect();
        let (job, stage, worker, sequence) = match words[..] {
            [_, worker, sequence] => (None, None, worker, sequence),
            [_, job, stage, worker, sequence] => (Some(job), Some(stage), worker, sequence),
            _ => return None,
        };
        Some(Self {
            hidden,
            job: job.map(str::to_owned),
            stage: stage.map(str::to_owned),
            worker: worker.parse().ok()?,
            sequence: sequence.parse().ok()?,
        })
    }

    pub fn is_of(&self, writer: &Writer) -> bool {
        self.is_of_job(writer)
            && self.worker == writer.worker
            && self.stage.as_ref().is_none_or(|stage| *stage == writer.stage)
    }

    pub fn is_of_job(&self, writer: &Writer) -> bool {
        self.job.as_ref().is_none_or(|job| *job == writer.job)
    }
}

impl Hidden {
    /// Of what stands before the part's own name.
    fn read(before: &str) -> Option<Self> {
        let (mut run, mut epoch) = (None, None);
        for word in before.strip_prefix('.')?.split_terminator('.') {
            match word.split_once('-')? {
                ("run", number) => run = Some(number.parse().ok()?),
                ("epoch", number) => epoch = Some(number.parse().ok()?),
                _ => return None,
            }
        }
        Some(Self { run, epoch })
    }
}

/// Hides a closed part until its checkpoint is complete; its name meanwhile.
pub fn hold(path: &Path, epoch: Epoch) -> io::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (run, part) = name.split_at(name.find("part-").unwrap_or(0));
    let held = path.with_file_name(format!("{run}epoch-{epoch}.{part}"));
    fs::rename(path, &held)?;
    Ok(held)
}

/// Gives a part its own name.
pub fn publish(path: &Path) -> io::Result<()> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let own = path.with_file_name(name.find("part-").map_or(name.as_str(), |at| &name[at..]));
    match fs::rename(path, &own) {
        // The run that wrote it and the one that took over both see to it.
        Err(error) if error.kind() == io::ErrorKind::NotFound && own.exists() => Ok(()),
        renamed => renamed,
    }
}

/// Removes a part that never was; another worker's stage may have done so.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
