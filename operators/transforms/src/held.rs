//! Rows that wait for the watermark to pass them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use nowcast_engine::{Millis, Result};

use crate::aggregate::{Place, Values};
use crate::groups::EMIT_ROWS_MAX;
use crate::saved;

/// Rows by time, then by arrival.
pub(crate) struct Held {
    schema: SchemaRef,
    types: Vec<DataType>,
    values: Values,
    /// Time, arrival, place and the watermark that the row came behind.
    waiting: BinaryHeap<Reverse<(Millis, u64, Place, Millis)>>,
    arrived: u64,
}

/// Rows in order, their times, and the watermarks that they came behind.
pub(crate) struct Taken {
    pub rows: RecordBatch,
    pub times: Vec<Millis>,
    pub behind: Vec<Millis>,
}

impl Held {
    pub fn new(schema: &SchemaRef) -> Self {
        let types: Vec<DataType> =
            schema.fields().iter().map(|field| field.data_type().clone()).collect();
        Self {
            schema: Arc::clone(schema),
            values: Values::new(&types),
            types,
            waiting: BinaryHeap::new(),
            arrived: 0,
        }
    }

    /// All rows came behind one watermark; `TIME_MIN` where they did not.
    pub fn push(&mut self, rows: &RecordBatch, times: &[Millis], behind: Millis) -> Result<()> {
        let place = self.values.push(rows.columns());
        for (row, time) in times.iter().enumerate() {
            self.waiting.push(Reverse((*time, self.arrived, place(row), behind)));
            self.arrived += 1;
        }
        match self.values.should_compact(self.waiting.len()) {
            true => self.compact(),
            false => Ok(()),
        }
    }

    /// Bytes of memory that the rows take, about.
    pub fn bytes(&self) -> usize {
        self.values.bytes() + self.waiting.len() * size_of::<(Millis, u64, Place, Millis)>()
    }

    /// The time of the earliest row that waits.
    pub fn earliest(&self) -> Option<Millis> {
        self.waiting.peek().map(|Reverse((time, ..))| *time)
    }

    /// The next rows with times up to `watermark`, which has moved on since they came: about
    /// [`EMIT_ROWS_MAX`], and always all rows of a time. `None`: there are no more.
    pub fn take_until(&mut self, watermark: Millis) -> Result<Option<Taken>> {
        let (mut places, mut times, mut behind) = (vec![], vec![], vec![]);
        let mut later = vec![];
        while let Some(Reverse(row)) = self.waiting.peek().copied()
            && row.0 <= watermark
            && (places.len() < EMIT_ROWS_MAX || times.last() == Some(&row.0))
        {
            self.waiting.pop();
            if row.3 >= watermark {
                later.push(Reverse(row));
                continue;
            }
            let (time, _, place, watermark) = row;
            places.push(place);
            times.push(time);
            behind.push(watermark);
        }
        self.waiting.extend(later);
        if places.is_empty() {
            return Ok(None);
        }
        let columns = self.values.gather_all(&places)?;
        if self.waiting.is_empty() {
            self.values = Values::new(&self.types);
        }
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        Ok(Some(Taken { rows, times, behind }))
    }

    /// All rows, by time and arrival, and the watermark that each came behind, in pieces to save:
    /// pushing them again in order gives the same order.
    pub fn pieces(&self) -> Result<Vec<(RecordBatch, Vec<Millis>)>> {
        let mut waiting: Vec<_> = self.waiting.iter().map(|Reverse(row)| *row).collect();
        waiting.sort_unstable();
        let pieces = saved::pieces(&waiting, self.bytes()).map(|rows| {
            let places: Vec<Place> = rows.iter().map(|(_, _, place, _)| *place).collect();
            let behind = rows.iter().map(|(_, _, _, watermark)| *watermark).collect();
            let columns = self.values.gather_all(&places)?;
            Ok((RecordBatch::try_new(Arc::clone(&self.schema), columns)?, behind))
        });
        pieces.collect()
    }

    fn compact(&mut self) -> Result<()> {
        let mut waiting = std::mem::take(&mut self.waiting).into_vec();
        let live: Vec<Place> = waiting.iter().map(|Reverse((_, _, place, _))| *place).collect();
        let place = self.values.compact(&live)?;
        for (nth, Reverse((_, _, held, _))) in waiting.iter_mut().enumerate() {
            *held = place(nth);
        }
        self.waiting = waiting.into();
        Ok(())
    }
}
