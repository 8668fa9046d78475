//! Rows set aside: dead letters and late rows. They are counted and kept, never dropped in silence.

use arrow::array::RecordBatch;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::time::Millis;

/// A row or message that could not be processed, with what is needed to find and replay it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The stage that refused it: the name of a table or operator.
    pub stage: String,
    /// Where it came from, as far as that stage knows: a table knows it of its messages, an operator or
    /// sink does not of its rows.
    pub topic: Option<String>,
    pub partition: Option<i32>,
    pub offset: Option<i64>,
    /// The message's own timestamp, ms.
    pub timestamp: Option<Millis>,
    pub error: String,
    /// The message's key as received, where it has one and the stage knows it.
    pub key: Option<Vec<u8>>,
    /// The message as received, or the row as JSON.
    pub raw: Vec<u8>,
}

/// Rows that came after what they belong to was final.
#[derive(Debug, Clone)]
pub struct LateRows {
    pub rows: RecordBatch,
    /// Event time of each row, ms.
    pub times: Vec<Millis>,
    /// The watermark that made each row late, ms.
    pub watermarks: Vec<Millis>,
}

/// Where rows set aside go. Called from workers: it must not block for long.
#[async_trait]
pub trait Aside: Send + Sync {
    fn dead_letter(&self, letter: DeadLetter);

    /// `stage` is the operator that found the rows late.
    fn late(&self, stage: &str, rows: LateRows);

    /// Returns when all that was set aside so far outlasts a crash. A checkpoint waits for it: what
    /// its positions lie behind is then either in the results or here.
    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}

/// Drops what is set aside; the worker's counters still count it.
pub struct Discard;

impl Aside for Discard {
    fn dead_letter(&self, _letter: DeadLetter) {}

    fn late(&self, _stage: &str, _rows: LateRows) {}
}

/// Each row as one JSON object, for a dead letter's `raw` and the late table.
pub fn rows_as_json(rows: &RecordBatch) -> Vec<Vec<u8>> {
    let encode = |row: usize| {
        let mut writer = arrow::json::LineDelimitedWriter::new(vec![]);
        let written = writer.write(&rows.slice(row, 1)).and_then(|()| writer.finish());
        match written {
            Ok(()) => writer.into_inner().trim_ascii_end().to_vec(),
            Err(error) => Error::data(error).to_string().into_bytes(),
        }
    };
    (0..rows.num_rows()).map(encode).collect()
}
