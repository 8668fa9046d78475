//! Rows that stand in the SQL text, as a source.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use nowcast_engine::{Position, Result, Source, SourceContext, SourceEvent, SourceFactory};

const SPLIT: &str = "values";

/// Hands its rows over once, on the first worker.
pub struct Values {
    pub rows: RecordBatch,
}

struct Reader {
    rows: RecordBatch,
    /// Whether the rows are this worker's.
    mine: bool,
    read: usize,
    rows_max: usize,
    finished: bool,
}

#[async_trait]
impl SourceFactory for Values {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn bounded(&self) -> bool {
        true
    }

    async fn open(&self, context: SourceContext) -> Result<Box<dyn Source>> {
        let position = context.positions.iter().find(|position| position.split == SPLIT);
        Ok(Box::new(Reader {
            rows: self.rows.clone(),
            mine: context.worker == 0,
            read: position.map_or(0, |position| position.offset as usize),
            rows_max: context.rows_max,
            finished: false,
        }))
    }
}

#[async_trait]
impl Source for Reader {
    fn splits(&self) -> Vec<Arc<str>> {
        self.mine.then(|| SPLIT.into()).into_iter().collect()
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        let split: Arc<str> = SPLIT.into();
        if !self.mine || self.finished {
            return Ok(SourceEvent::End);
        }
        let left = self.rows.num_rows() - self.read;
        if left == 0 {
            self.finished = true;
            return Ok(SourceEvent::Finished { split });
        }
        let rows = self.rows.slice(self.read, left.min(self.rows_max));
        self.read += rows.num_rows();
        Ok(SourceEvent::Rows { split, rows, weights: None, rejected: vec![] })
    }

    fn positions(&self) -> Vec<Position> {
        let position = || Position { split: SPLIT.to_owned(), offset: self.read as i64 };
        self.mine.then(position).into_iter().collect()
    }
}
