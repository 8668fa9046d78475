//! Rows that wait for the watermark to pass them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use nowcast_engine::{Millis, Result};

use crate::aggregate::{Place, Values};
use crate::groups::EMIT_ROWS_MAX;

/// Rows by time, then by arrival.
pub struct Held {
    schema: SchemaRef,
    types: Vec<DataType>,
    values: Values,
    waiting: BinaryHeap<Reverse<(Millis, u64, Place)>>,
    arrived: u64,
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

    pub fn push(&mut self, rows: &RecordBatch, times: &[Millis]) -> Result<()> {
        let place = self.values.push(rows.columns());
        for (row, time) in times.iter().enumerate() {
            self.waiting.push(Reverse((*time, self.arrived, place(row))));
            self.arrived += 1;
        }
        match self.values.should_compact(self.waiting.len()) {
            true => self.compact(),
            false => Ok(()),
        }
    }

    /// The time of the earliest row that waits.
    pub fn earliest(&self) -> Option<Millis> {
        self.waiting.peek().map(|Reverse((time, ..))| *time)
    }

    /// The next rows with times up to `watermark`, and their times: about [`EMIT_ROWS_MAX`], and
    /// always all rows of a time. `None`: there are no more.
    pub fn take_until(&mut self, watermark: Millis) -> Result<Option<(RecordBatch, Vec<Millis>)>> {
        let (mut places, mut times) = (vec![], vec![]);
        while let Some(Reverse((time, _, place))) = self.waiting.peek()
            && *time <= watermark
            && (places.len() < EMIT_ROWS_MAX || times.last() == Some(time))
        {
            places.push(*place);
            times.push(*time);
            self.waiting.pop();
        }
        if places.is_empty() {
            return Ok(None);
        }
        let columns = self.values.gather_all(&places)?;
        if self.waiting.is_empty() {
            self.values = Values::new(&self.types);
        }
        Ok(Some((RecordBatch::try_new(Arc::clone(&self.schema), columns)?, times)))
    }

    /// All rows, by time and arrival: pushing them again gives the same order.
    pub fn rows(&self) -> Result<RecordBatch> {
        let mut waiting: Vec<_> = self.waiting.iter().map(|Reverse(row)| *row).collect();
        waiting.sort_unstable();
        let places: Vec<Place> = waiting.iter().map(|(_, _, place)| *place).collect();
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), self.values.gather_all(&places)?)?)
    }

    fn compact(&mut self) -> Result<()> {
        let mut waiting = std::mem::take(&mut self.waiting).into_vec();
        let live: Vec<Place> = waiting.iter().map(|Reverse((_, _, place))| *place).collect();
        let place = self.values.compact(&live)?;
        for (nth, Reverse((_, _, held))) in waiting.iter_mut().enumerate() {
            *held = place(nth);
        }
        self.waiting = waiting.into();
        Ok(())
    }
}
