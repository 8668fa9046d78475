//! COUNT.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type};
use nowcast_engine::Result;

use super::{Accumulator, as_type, for_each, passing};

/// Rows whose arguments are all not null.
pub struct Count {
    counts: Vec<i64>,
    output: DataType,
}

impl Count {
    pub fn new(output: &DataType) -> Self {
        Self { counts: vec![], output: output.clone() }
    }

    fn add(&mut self, slots: &[u32], args: &[ArrayRef], filter: Option<&BooleanArray>, by: i64) {
        let counts = &mut self.counts;
        for_each(slots, passing(args, filter).as_ref(), |_, slot| counts[slot] += by);
    }

    fn column(&self, slots: &[u32]) -> ArrayRef {
        let counts = slots.iter().map(|slot| self.counts[*slot as usize]);
        Arc::new(Int64Array::from_iter_values(counts))
    }
}

impl Accumulator for Count {
    fn resize(&mut self, slots: usize) {
        self.counts.resize(slots.max(self.counts.len()), 0);
    }

    fn update(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        self.add(slots, args, filter, 1);
        Ok(())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        as_type(&self.column(slots), &self.output)
    }

    fn clear(&mut self, slot: u32) {
        self.counts[slot as usize] = 0;
    }

    fn bytes(&self) -> usize {
        size_of_val(self.counts.as_slice())
    }

    fn save(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.column(slots)])
    }

    fn merge(&mut self, slots: &[u32], saved: &[ArrayRef]) -> Result<()> {
        let saved = saved[0].as_primitive::<Int64Type>();
        for (slot, count) in slots.iter().zip(saved.values()) {
            self.counts[*slot as usize] += count;
        }
        Ok(())
    }

    fn retracts(&self) -> bool {
        true
    }

    fn retract(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        self.add(slots, args, filter, -1);
        Ok(())
    }
}
