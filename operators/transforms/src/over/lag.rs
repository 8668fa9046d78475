//! LAG: the value some rows before.

use std::collections::VecDeque;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use nowcast_engine::Result;

use super::{Functions, Ordered};
use crate::aggregate::{Place, Values};

/// Keeps the last `offset` values of each slot.
pub struct Lag {
    arg: usize,
    offset: usize,
    values: Values,
    /// By slot, oldest first.
    last: Vec<VecDeque<Place>>,
    live: usize,
}

impl Lag {
    pub fn new(arg: usize, offset: u64, types: &[DataType]) -> Self {
        let values = Values::new(std::slice::from_ref(&types[arg]));
        Self { arg, offset: offset as usize, values, last: vec![], live: 0 }
    }

    fn compact(&mut self) -> Result<()> {
        let live: Vec<Place> = self.last.iter().flatten().copied().collect();
        let place = self.values.compact(&live)?;
        self.last.iter_mut().flatten().enumerate().for_each(|(nth, held)| *held = place(nth));
        Ok(())
    }
}

impl Functions for Lag {
    fn evaluate(&mut self, ordered: &Ordered<'_>) -> Result<Vec<ArrayRef>> {
        self.last.resize(ordered.slots_len.max(self.last.len()), VecDeque::new());
        let place = self.values.push(&[ordered.rows.column(self.arg).clone()]);
        let mut places = Vec::with_capacity(ordered.slots.len());
        for (row, slot) in ordered.slots.iter().enumerate() {
            let last = &mut self.last[*slot as usize];
            last.push_back(place(row));
            self.live += 1;
            places.push(match last.len() > self.offset {
                true => {
                    self.live -= 1;
                    last.pop_front().expect("it is longer than the offset")
                }
                false => Place::NONE,
            });
        }
        let column = self.values.gather(0, &places)?;
        if self.values.should_compact(self.live) {
            self.compact()?;
        }
        Ok(vec![column])
    }

    fn save(&self, slots: &[u32]) -> Result<(Vec<u32>, Vec<ArrayRef>)> {
        let (mut of, mut places) = (vec![], vec![]);
        for slot in slots {
            let last = &self.last[*slot as usize];
            of.extend(last.iter().map(|_| *slot));
            places.extend(last);
        }
        Ok((of, vec![self.values.gather(0, &places)?]))
    }

    fn load(&mut self, slots: &[u32], slots_len: usize, columns: &[ArrayRef]) -> Result<()> {
        self.last.resize(slots_len.max(self.last.len()), VecDeque::new());
        let place = self.values.push(columns);
        for (row, slot) in slots.iter().enumerate() {
            self.last[*slot as usize].push_back(place(row));
        }
        self.live += slots.len();
        Ok(())
    }

    fn clear(&mut self, slot: u32) {
        self.live -= std::mem::take(&mut self.last[slot as usize]).len();
    }

    fn bytes(&self) -> usize {
        let last = size_of_val(self.last.as_slice()) + self.live * size_of::<Place>();
        self.values.bytes() + last
    }
}
