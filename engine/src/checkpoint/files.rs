//! One file of state: an Arrow IPC file, written and read in pieces, so that neither side ever holds
//! more than a few of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::FileWriter;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::io::AsyncWriteExt;
use xxhash_rust::xxh3::Xxh3;

use super::manifest::StateFile;
use super::{Checkpoints, failed};
use crate::error::{Error, Result};
use crate::operator::Epoch;

/// Bytes of one piece, about: few enough to be held by the dozen, many enough that what is paid for
/// each piece does not count.
const PIECE_BYTES: usize = 4 << 20;

/// From this size on a file is uploaded in parts; so many parts are under way at once.
const PART_BYTES: usize = 8 << 20;
const PARTS_MAX: usize = 2;

/// What an Arrow file begins with, `ARROW1`. Behind it come zeros, as many as the writer likes, then an Arrow
/// stream, which begins with a byte that is none, and the footer.
const MAGIC_BYTES: usize = 6;

/// Writes one file.
pub(super) struct Pen {
    writer: FileWriter<Vec<u8>>,
    upload: BufWriter,
    path: Path,
    checksum: Xxh3,
    written: StateFile,
}

impl Pen {
    pub fn new(
        store: &Arc<dyn ObjectStore>,
        folder: &Path,
        epoch: Epoch,
        file: String,
        schema: &SchemaRef,
    ) -> Result<Self> {
        let path = folder.clone().join(file.as_str());
        let upload = BufWriter::with_capacity(Arc::clone(store), path.clone(), PART_BYTES);
        Ok(Self {
            writer: FileWriter::try_new(vec![], schema)?,
            upload: upload.with_max_concurrency(PARTS_MAX),
            path,
            checksum: Xxh3::new(),
            written: StateFile { file, epoch, rows: 0, bytes: 0, checksum: String::new() },
        })
    }

    pub async fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let all = rows.num_rows();
        let row_bytes = rows.get_array_memory_size() / all.max(1);
        let length = (PIECE_BYTES / row_bytes.max(1)).clamp(1, all.max(1));
        for first in (0..all).step_by(length) {
            self.writer.write(&rows.slice(first, length.min(all - first)))?;
            let piece = std::mem::take(self.writer.get_mut());
            self.put(piece).await?;
            // Others have their turn between two pieces.
            tokio::task::yield_now().await;
        }
        self.written.rows += all;
        Ok(())
    }

    async fn put(&mut self, piece: Vec<u8>) -> Result<()> {
        self.checksum.update(&piece);
        self.written.bytes += piece.len();
        match self.upload.put(piece.into()).await {
            Ok(()) => Ok(()),
            Err(error) => {
                // What is left of it goes with the checkpoint.
                let _ = self.upload.abort().await;
                Err(failed("cannot write", &self.path, error))
            }
        }
    }

    pub async fn finish(mut self) -> Result<StateFile> {
        self.writer.finish()?;
        let rest = std::mem::take(self.writer.get_mut());
        self.put(rest).await?;
        let done = self.upload.shutdown().await;
        done.map_err(|error| failed("cannot write", &self.path, error))?;
        self.written.checksum = format!("{:016x}", self.checksum.digest());
        Ok(self.written)
    }
}

/// Reads one file that was verified before.
pub(super) struct Reading {
    bytes: BoxStream<'static, object_store::Result<Buffer>>,
    decoder: StreamDecoder,
    buffer: Buffer,
    /// Bytes of the magic that have not come yet.
    ahead: usize,
    /// Whether the Arrow stream has begun.
    begun: bool,
    path: Path,
    over: bool,
}

impl Reading {
    pub async fn open(checkpoints: &Checkpoints, file: &StateFile) -> Result<Self> {
        let path = checkpoints.path_of(file);
        Ok(Self {
            bytes: checkpoints.bytes(&path).await?,
            decoder: StreamDecoder::new(),
            buffer: Buffer::default(),
            ahead: MAGIC_BYTES,
            begun: false,
            path,
            over: false,
        })
    }

    /// What is of the Arrow stream in the next bytes.
    fn behind_magic(&mut self, bytes: Buffer) -> Buffer {
        let mut ahead = self.ahead.min(bytes.len());
        self.ahead -= ahead;
        if !self.begun {
            ahead += bytes[ahead..].iter().take_while(|byte| **byte == 0).count();
            self.begun = ahead < bytes.len();
        }
        bytes.slice(ahead)
    }

    /// Arrow's reader panics at some of the bytes that no writer has written.
    fn decode(&mut self) -> Result<Option<RecordBatch>> {
        let decoded = catch_unwind(AssertUnwindSafe(|| self.decoder.decode(&mut self.buffer)));
        match decoded {
            Ok(decoded) => Ok(decoded?),
            Err(_) => Err(Error::data(format!("checkpoint {}: no Arrow stream", self.path))),
        }
    }

    pub async fn schema(&mut self) -> Result<SchemaRef> {
        let first = self.next().await?;
        let schema = self.decoder.schema().or(first.map(|rows| rows.schema()));
        schema.ok_or_else(|| Error::data(format!("checkpoint {}: without a schema", self.path)))
    }

    /// The next piece.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while !self.over {
            match self.decode() {
                Ok(Some(rows)) => return Ok(Some(rows)),
                Ok(None) => {}
                // The footer behind the end of the stream.
                Err(_) if self.decoder.finish().is_ok() => self.over = true,
                Err(error) => return Err(error),
            }
            match self.bytes.next().await {
                Some(bytes) => {
                    let bytes = bytes.map_err(|error| failed("cannot read", &self.path, error))?;
                    self.buffer = self.behind_magic(bytes);
                }
                None => {
                    self.decoder.finish()?;
                    self.over = true;
                }
            }
        }
        Ok(None)
    }
}

impl Checkpoints {
    pub(super) fn path_of(&self, file: &StateFile) -> Path {
        self.folder(file.epoch).join(file.file.as_str())
    }

    async fn bytes(&self, path: &Path) -> Result<BoxStream<'static, object_store::Result<Buffer>>> {
        match self.store.get(path).await {
            Ok(got) => Ok(got.into_stream().map(|bytes| bytes.map(Buffer::from)).boxed()),
            Err(object_store::Error::NotFound { .. }) => {
                Err(Error::data(format!("checkpoint {path}: not there")))
            }
            Err(error) => Err(failed("cannot read", path, error)),
        }
    }

    /// # Errors
    /// Of the data where the file is not as it was written.
    pub(super) async fn verify(&self, file: &StateFile) -> Result<()> {
        let path = self.path_of(file);
        let mut bytes = self.bytes(&path).await?;
        let mut checksum = Xxh3::new();
        while let Some(bytes) = bytes.next().await {
            checksum.update(&bytes.map_err(|error| failed("cannot read", &path, error))?);
        }
        is_as_written(&path, &checksum, file)
    }

    /// Copies a file of checkpoint `of`, verified, into the folder of another checkpoint.
    pub(super) async fn copy_file(
        &self,
        file: &StateFile,
        of: Epoch,
        to: &Self,
        epoch: Epoch,
    ) -> Result<StateFile> {
        let path = self.path_of(file);
        // Files of several checkpoints come together, and may have one name.
        let name = match file.epoch == of {
            true => file.file.clone(),
            false => format!("{}-{}", file.epoch, file.file),
        };
        let copy = StateFile { file: name, epoch, ..file.clone() };
        let into = to.path_of(&copy);
        let mut upload = BufWriter::with_capacity(Arc::clone(&to.store), into.clone(), PART_BYTES)
            .with_max_concurrency(PARTS_MAX);
        let mut bytes = self.bytes(&path).await?;
        let mut checksum = Xxh3::new();
        while let Some(bytes) = bytes.next().await {
            let bytes = bytes.map_err(|error| failed("cannot read", &path, error))?;
            checksum.update(&bytes);
            let written = upload.write_all(&bytes).await;
            written.map_err(|error| failed("cannot write", &into, error))?;
        }
        is_as_written(&path, &checksum, file)?;
        let done = upload.shutdown().await;
        done.map_err(|error| failed("cannot write", &into, error))?;
        Ok(copy)
    }
}

fn is_as_written(path: &Path, checksum: &Xxh3, file: &StateFile) -> Result<()> {
    match format!("{:016x}", checksum.digest()) == file.checksum {
        true => Ok(()),
        false => Err(Error::data(format!("checkpoint {path}: torn or altered"))),
    }
}
