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

use super::FileTable;
use crate::format::Encoded;

/// A part in progress.
pub struct Part {
    pub path: PathBuf,
    pub opened: Instant,
    /// About how large it is.
    pub bytes: u64,
    writer: Writer,
}

enum Writer {
    Lines(BufWriter<File>),
    Parquet(Box<ArrowWriter<File>>),
}

impl Part {
    /// A part of lines, of which the first is the header.
    pub fn of_lines(table: &FileTable, path: PathBuf, header: Option<&[u8]>) -> Result<Self> {
        let failed = |error: io::Error| table.failed(&path, error);
        let mut file = BufWriter::new(File::create(&path).map_err(failed)?);
        if let Some(header) = header {
            file.write_all(header).and_then(|()| file.write_all(b"\n")).map_err(failed)?;
        }
        let writer = Writer::Lines(file);
        Ok(Self { path, opened: Instant::now(), bytes: 0, writer })
    }

    pub fn of_parquet(table: &FileTable, path: PathBuf, schema: SchemaRef) -> Result<Self> {
        let file = File::create(&path).map_err(|error| table.failed(&path, error))?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = ArrowWriter::try_new(file, schema, Some(properties));
        let writer = Writer::Parquet(Box::new(writer.map_err(|error| table.failed(&path, error))?));
        Ok(Self { path, opened: Instant::now(), bytes: 0, writer })
    }

    pub fn write_lines(&mut self, table: &FileTable, lines: &Encoded) -> Result<()> {
        let Writer::Lines(file) = &mut self.writer else {
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
        let Writer::Parquet(writer) = &mut self.writer else {
            return Err(Error::bug("rows for a part of another kind"));
        };
        let written = writer.write(rows);
        self.bytes = (writer.bytes_written() + writer.in_progress_size()) as u64;
        written.map_err(|error| table.failed(&self.path, error))
    }

    /// Hands lines to the file; a Parquet part is readable when it is closed alone.
    pub fn flush(&mut self, table: &FileTable) -> Result<()> {
        match &mut self.writer {
            Writer::Lines(file) => file.flush().map_err(|error| table.failed(&self.path, error)),
            Writer::Parquet(_) => Ok(()),
        }
    }

    /// Ends the part; its rows outlive a loss of power.
    pub fn close(self, table: &FileTable) -> Result<PathBuf> {
        let file = match self.writer {
            Writer::Lines(file) => file.into_inner().map_err(|error| error.to_string()),
            Writer::Parquet(writer) => writer.into_inner().map_err(|error| error.to_string()),
        };
        let synced = file.and_then(|file| file.sync_all().map_err(|error| error.to_string()));
        synced.map_err(|error| table.failed(&self.path, error))?;
        Ok(self.path)
    }
}

/// What the name of a part tells: `part-WORKER-SEQUENCE.…`, `.part-…` while it is written,
/// `.epoch-EPOCH.part-…` while its checkpoint is not complete.
pub struct Found {
    pub epoch: Option<Epoch>,
    pub worker: usize,
    pub sequence: u64,
    pub hidden: bool,
}

impl Found {
    pub fn read(name: &str) -> Option<Self> {
        let (epoch, part) = match name.strip_prefix(".epoch-") {
            Some(rest) => {
                let (epoch, part) = rest.split_once('.')?;
                (Some(epoch.parse().ok()?), part)
            }
            None => (None, name.strip_prefix('.').unwrap_or(name)),
        };
        let (worker, rest) = part.strip_prefix("part-")?.split_once('-')?;
        let sequence = rest.split('.').next()?.parse().ok()?;
        let hidden = name.starts_with('.');
        Some(Self { epoch, worker: worker.parse().ok()?, sequence, hidden })
    }
}

/// Hides a closed part until its checkpoint is complete; its name meanwhile.
pub fn hold(path: &Path, epoch: Epoch) -> io::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let held = path.with_file_name(format!(".epoch-{epoch}{name}"));
    fs::rename(path, &held)?;
    Ok(held)
}

/// Gives a part its own name.
pub fn publish(path: &Path) -> io::Result<()> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let own = name.find("part-").map_or(name.as_str(), |at| &name[at..]);
    fs::rename(path, path.with_file_name(own))
}
