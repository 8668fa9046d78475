//! Reads the batches of a segment file one after the other, whole.

use std::fs::File;
use std::io::{self, BufReader, Read};

use crate::batch::{HEAD_BYTES, Head};

/// Read at a time.
const CHUNK_BYTES: usize = 1 << 20;

pub(super) struct Batches {
    reader: BufReader<File>,
    left: u64,
    batch: Vec<u8>,
}

impl Batches {
    /// The batches in the first `bytes` of a file.
    pub fn new(file: File, bytes: u64) -> Batches {
        Batches {
            reader: BufReader::with_capacity(CHUNK_BYTES, file),
            left: bytes,
            batch: Vec::new(),
        }
    }

    /// The next one and its head, neither checked; `None` at the end, or at what can be none.
    pub fn next(&mut self) -> io::Result<Option<(Head, &[u8])>> {
        if self.left < HEAD_BYTES as u64 {
            return Ok(None);
        }
        self.batch.resize(HEAD_BYTES, 0);
        self.reader.read_exact(&mut self.batch)?;
        let head = Head::read(&self.batch).filter(|head| head.bytes as u64 <= self.left);
        let Some(head) = head else { return Ok(None) };
        self.batch.resize(head.bytes, 0);
        self.reader.read_exact(&mut self.batch[HEAD_BYTES..])?;
        self.left -= head.bytes as u64;
        Ok(Some((head, &self.batch)))
    }
}
