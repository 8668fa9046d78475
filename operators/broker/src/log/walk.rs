//! Walks the batch heads of a segment file without reading the records between them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::batch::{HEAD_BYTES, Head};

/// Read at a time: holds many small batches, and costs little when batches are large.
const CHUNK_BYTES: usize = 8 << 10;

pub(crate) struct Walk<'a> {
    file: &'a File,
    next: u64,
    end: u64,
    chunk: Vec<u8>,
    chunk_from: u64,
}

impl<'a> Walk<'a> {
    /// From the batch start `from` to `end`, both positions in the file.
    pub fn new(file: &'a File, from: u64, end: u64) -> Walk<'a> {
        Walk { file, next: from, end, chunk: Vec::new(), chunk_from: from }
    }

    /// The next head and its position; `None` at the end.
    pub fn next(&mut self) -> io::Result<Option<(u64, Head)>> {
        if self.end.saturating_sub(self.next) < HEAD_BYTES as u64 {
            return Ok(None);
        }
        let position = self.next;
        let at = (position - self.chunk_from) as usize;
        if at + HEAD_BYTES > self.chunk.len() {
            self.chunk.resize(CHUNK_BYTES.min((self.end - position) as usize), 0);
            self.file.read_exact_at(&mut self.chunk, position)?;
            self.chunk_from = position;
        }
        let at = (position - self.chunk_from) as usize;
        let head = Head::read(&self.chunk[at..])
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a batch head"))?;
        self.next = position + head.bytes as u64;
        Ok(Some((position, head)))
    }
}
