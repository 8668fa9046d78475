//! Sources of made-up rows: row by row a function of its number, as fast as they are read or at a
//! steady rate.

use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use nowcast_engine::{Error, Position, Result, Source, SourceContext, SourceEvent};
use tokio::time::Instant;

use crate::options::Options;

/// So many numbers in a row belong to one split.
const BLOCK: u64 = 4096;

/// Rows do not depend on the number of workers: without splits that are asked for, all are one.
pub(crate) struct Numbered {
    /// Of the connector.
    pub name: &'static str,
    /// Side by side, block by block in turn.
    pub splits: NonZeroU32,
    /// How many there are; `None`: without end.
    pub rows: Option<u64>,
    /// Of all splits together; `None`: as fast as they are read.
    pub rows_per_s: Option<u64>,
}

/// How many splits a table asks for.
///
/// # Errors
/// For what is no number.
pub(crate) fn splits(options: &Options<'_>) -> Result<NonZeroU32> {
    let asked = options.parsed("scan.parallelism", "a whole number from 1")?;
    Ok(asked.unwrap_or(NonZeroU32::MIN))
}

/// Makes the rows of these numbers.
pub(crate) type Make = Box<dyn Fn(Range<u64>) -> Result<RecordBatch> + Send + Sync>;

impl Numbered {
    /// # Errors
    /// Where a checkpoint has other splits: their blocks lie elsewhere.
    pub fn open(&self, context: &SourceContext, make: Make) -> Result<Box<dyn Source>> {
        let (had, has) = (context.positions.len(), self.splits.get() as usize);
        if had != 0 && had != has {
            return Err(Error::user(format!(
                "{}: its checkpoint has \"scan.parallelism\" = {had}, not {has}: rows would be \
                 lost or repeated",
                self.name
            )));
        }
        let of_worker = |at: &u32| *at as usize % context.workers.max(1) == context.worker;
        let splits: Vec<Split> = (0..self.splits.get())
            .filter(of_worker)
            .map(|at| {
                let name = format!("{}/{at}", self.name);
                let position = context.positions.iter().find(|position| position.split == name);
                let next = position.and_then(|position| u64::try_from(position.offset).ok());
                let next = next.unwrap_or(u64::from(at) * BLOCK);
                Split { name: name.into(), next, finished: false }
            })
            .collect();
        let all = f64::from(self.splits.get());
        let rate = self.rows_per_s.filter(|_| !splits.is_empty()).map(|per_s| Rate {
            per_s: per_s as f64 * splits.len() as f64 / all,
            start: Instant::now(),
            made: 0,
        });
        Ok(Box::new(NumberedSource {
            make,
            rows: self.rows,
            rate,
            others: u64::from(self.splits.get()) - 1,
            splits,
            rows_max: context.rows_max.max(1) as u64,
        }))
    }
}

struct NumberedSource {
    make: Make,
    rows: Option<u64>,
    rate: Option<Rate>,
    /// Those of this worker.
    splits: Vec<Split>,
    /// How many splits there are besides each.
    others: u64,
    rows_max: u64,
}

struct Split {
    name: Arc<str>,
    next: u64,
    finished: bool,
}

struct Rate {
    per_s: f64,
    /// When it began to count.
    start: Instant,
    made: u64,
}

impl Rate {
    /// Waits for the next row's turn; how many are due then, itself included.
    async fn due(&self) -> u64 {
        let at = self.start + Duration::from_secs_f64((self.made + 1) as f64 / self.per_s);
        if at > Instant::now() {
            tokio::time::sleep_until(at).await;
        }
        let owed = (self.start.elapsed().as_secs_f64() * self.per_s) as u64;
        owed.saturating_sub(self.made).max(1)
    }
}

#[async_trait]
impl Source for NumberedSource {
    fn splits(&self) -> Vec<Arc<str>> {
        self.splits.iter().map(|split| Arc::clone(&split.name)).collect()
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        // The one that is furthest behind.
        let open = self.splits.iter_mut().filter(|split| !split.finished);
        let Some(split) = open.min_by_key(|split| split.next) else {
            match self.rows {
                Some(_) => return Ok(SourceEvent::End),
                None => return std::future::pending().await,
            }
        };
        let left = self.rows.map_or(u64::MAX, |rows| rows.saturating_sub(split.next));
        if left == 0 {
            split.finished = true;
            return Ok(SourceEvent::Finished { split: Arc::clone(&split.name) });
        }
        let due = match &self.rate {
            Some(rate) => rate.due().await,
            None => u64::MAX,
        };
        let of_block = match self.others {
            0 => u64::MAX,
            _ => BLOCK - split.next % BLOCK,
        };
        let to = split.next + due.min(self.rows_max).min(left).min(of_block);
        let rows = (self.make)(split.next..to)?;
        if let Some(rate) = &mut self.rate {
            rate.made += to - split.next;
        }
        split.next = match to.is_multiple_of(BLOCK) {
            true => to + self.others * BLOCK,
            false => to,
        };
        let split = Arc::clone(&split.name);
        Ok(SourceEvent::Rows { split, rows, weights: None, rejected: vec![] })
    }

    fn positions(&self) -> Vec<Position> {
        let position = |split: &Split| Position {
            split: split.name.to_string(),
            offset: i64::try_from(split.next).unwrap_or(i64::MAX),
        };
        self.splits.iter().map(position).collect()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, UInt64Array};
    use arrow::datatypes::UInt64Type;

    use super::*;

    fn open(splits: u32, worker: usize, workers: usize, positions: &[Position]) -> Box<dyn Source> {
        try_open(splits, worker, workers, positions).unwrap()
    }

    fn try_open(
        splits: u32,
        worker: usize,
        workers: usize,
        positions: &[Position],
    ) -> Result<Box<dyn Source>> {
        let splits = NonZeroU32::new(splits).unwrap();
        let numbered = Numbered { name: "n", splits, rows: Some(20_000), rows_per_s: None };
        let positions = positions.to_vec();
        let context =
            SourceContext { worker, workers, positions, rows_max: 1_000, idle_timeout: None };
        let make = |numbers: Range<u64>| {
            let numbers = Arc::new(UInt64Array::from_iter_values(numbers)) as _;
            Ok(RecordBatch::try_from_iter([("n", numbers)]).unwrap())
        };
        numbered.open(&context, Box::new(make))
    }

    /// The numbers that come, of so many batches at most, and the splits that end.
    async fn read(source: &mut Box<dyn Source>, batches: usize) -> (Vec<u64>, usize) {
        let (mut numbers, mut ended) = (vec![], 0);
        for _ in 0..batches {
            match source.next().await.unwrap() {
                SourceEvent::Rows { rows, .. } => {
                    numbers.extend(rows.column(0).as_primitive::<UInt64Type>().values());
                }
                SourceEvent::Finished { .. } => ended += 1,
                SourceEvent::End => break,
                _ => {}
            }
        }
        (numbers, ended)
    }

    #[tokio::test]
    async fn splits_share_all_numbers_also_on_other_workers_after_a_while() {
        let (mut all, mut positions) = (vec![], vec![]);
        for worker in 0..2 {
            let mut source = open(3, worker, 2, &[]);
            assert_eq!(source.splits().len(), 2 - worker);
            all.extend(read(&mut source, 4 + worker).await.0);
            positions.extend(source.positions());
        }
        assert!(all.len() > 7_000);
        let refused = try_open(4, 0, 1, &positions).err().unwrap().to_string();
        assert!(refused.contains("\"scan.parallelism\" = 3, not 4"), "{refused}");
        let mut ends = 0;
        for worker in 0..3 {
            let (rest, ended) = read(&mut open(3, worker, 3, &positions), usize::MAX).await;
            all.extend(rest);
            ends += ended;
        }
        assert_eq!(ends, 3);
        all.sort_unstable();
        assert_eq!(all, (0..20_000).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn one_split_has_them_in_order_and_other_workers_none() {
        let (all, ended) = read(&mut open(1, 0, 2, &[]), usize::MAX).await;
        assert_eq!((all, ended), ((0..20_000).collect(), 1));
        assert_eq!(read(&mut open(1, 1, 2, &[]), usize::MAX).await, (vec![], 0));
    }
}
