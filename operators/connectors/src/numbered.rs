//! Sources of made-up rows: row by row a function of its number, as fast as they are read or at a
//! steady rate.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use nowcast_engine::{Position, Result, Source, SourceContext, SourceEvent};
use tokio::time::Instant;

/// All rows are one split, read by worker 0: they do not depend on the number of workers.
pub(crate) struct Numbered {
    pub split: &'static str,
    /// How many there are; `None`: without end.
    pub rows: Option<u64>,
    /// `None`: as fast as they are read.
    pub rows_per_s: Option<u64>,
}

/// Makes the rows of these numbers.
pub(crate) type Make = Box<dyn Fn(Range<u64>) -> Result<RecordBatch> + Send + Sync>;

impl Numbered {
    pub fn open(&self, context: &SourceContext, make: Make) -> Box<dyn Source> {
        let position = context.positions.iter().find(|position| position.split == self.split);
        let next = position.map_or(0, |position| u64::try_from(position.offset).unwrap_or(0));
        Box::new(NumberedSource {
            make,
            rows: self.rows,
            rate: self.rows_per_s.map(|per_s| Rate { per_s, start: Instant::now(), first: next }),
            split: (context.worker == 0).then(|| self.split.into()),
            rows_max: context.rows_max.max(1) as u64,
            next,
            finished: false,
        })
    }
}

struct NumberedSource {
    make: Make,
    rows: Option<u64>,
    rate: Option<Rate>,
    split: Option<Arc<str>>,
    rows_max: u64,
    next: u64,
    finished: bool,
}

struct Rate {
    per_s: u64,
    /// When it began to count, and from which row.
    start: Instant,
    first: u64,
}

impl Rate {
    /// Waits for a row's turn; how many are due then, itself included.
    async fn due(&self, row: u64) -> u64 {
        let per_s = self.per_s as f64;
        let at = self.start + Duration::from_secs_f64((row + 1 - self.first) as f64 / per_s);
        if at > Instant::now() {
            tokio::time::sleep_until(at).await;
        }
        let owed = (self.start.elapsed().as_secs_f64() * per_s) as u64;
        (self.first + owed).saturating_sub(row).max(1)
    }
}

#[async_trait]
impl Source for NumberedSource {
    fn splits(&self) -> Vec<Arc<str>> {
        self.split.iter().cloned().collect()
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        let Some(split) = self.split.clone() else {
            match self.rows {
                Some(_) => return Ok(SourceEvent::End),
                None => return std::future::pending().await,
            }
        };
        let left = self.rows.map_or(u64::MAX, |rows| rows.saturating_sub(self.next));
        if left == 0 {
            return Ok(match std::mem::replace(&mut self.finished, true) {
                false => SourceEvent::Finished { split },
                true => SourceEvent::End,
            });
        }
        let due = match &self.rate {
            Some(rate) => rate.due(self.next).await,
            None => u64::MAX,
        };
        let to = self.next + due.min(self.rows_max).min(left);
        let rows = (self.make)(self.next..to)?;
        self.next = to;
        Ok(SourceEvent::Rows { split, rows, weights: None, rejected: vec![] })
    }

    fn positions(&self) -> Vec<Position> {
        let offset = i64::try_from(self.next).unwrap_or(i64::MAX);
        self.split.iter().map(|split| Position { split: split.to_string(), offset }).collect()
    }
}
