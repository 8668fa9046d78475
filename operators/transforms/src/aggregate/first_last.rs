//! FIRST_VALUE and LAST_VALUE as aggregates: by order of arrival, nulls left out.

use arrow::array::{ArrayRef, BooleanArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use nowcast_engine::Result;

use super::{Accumulator, Place, Values, as_type, for_each, passing};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    First,
    Last,
}

pub fn first_last(ty: &DataType, output: &DataType, end: End) -> Option<Box<dyn Accumulator>> {
    let values = Values::new(std::slice::from_ref(ty));
    Some(Box::new(FirstLast { places: vec![], values, output: output.clone(), end }))
}

struct FirstLast {
    places: Vec<Place>,
    values: Values,
    output: DataType,
    end: End,
}

impl FirstLast {
    /// Keeps only the rows that win; `rows` of the batch lie in that order in the new chunk.
    fn take(
        &mut self,
        slots: &[u32],
        column: &ArrayRef,
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let passing = passing(std::slice::from_ref(column), filter);
        let chunk = self.values.next_chunk();
        let mut rows: Vec<u32> = vec![];
        let places = &mut self.places;
        match self.end {
            End::First => for_each(slots, passing.as_ref(), |row, slot| {
                if places[slot].is_none() {
                    places[slot] = Place::at(chunk, rows.len());
                    rows.push(row as u32);
                }
            }),
            End::Last => {
                for row in (0..slots.len()).rev() {
                    let slot = slots[row] as usize;
                    let passes = passing.as_ref().is_none_or(|passing| passing.is_valid(row));
                    if passes && !places[slot].is_in(chunk) {
                        places[slot] = Place::at(chunk, rows.len());
                        rows.push(row as u32);
                    }
                }
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let _ = self.values.push(&[take(column, &UInt32Array::from(rows), None)?]);
        if self.values.should_compact(self.places.len()) {
            self.compact()?;
        }
        Ok(())
    }

    fn compact(&mut self) -> Result<()> {
        let place = self.values.compact(&self.places)?;
        for (slot, held) in self.places.iter_mut().enumerate() {
            if !held.is_none() {
                *held = place(slot);
            }
        }
        Ok(())
    }

    fn column(&self, slots: &[u32]) -> Result<ArrayRef> {
        let places: Vec<Place> = slots.iter().map(|slot| self.places[*slot as usize]).collect();
        self.values.gather(0, &places)
    }
}

impl Accumulator for FirstLast {
    fn resize(&mut self, slots: usize) {
        self.places.resize(slots.max(self.places.len()), Place::NONE);
    }

    fn update(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        self.take(slots, &args[0], filter)
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        as_type(&self.column(slots)?, &self.output)
    }

    fn clear(&mut self, slot: u32) {
        self.places[slot as usize] = Place::NONE;
    }

    fn bytes(&self) -> usize {
        self.values.bytes() + size_of_val(self.places.as_slice())
    }

    fn save(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.column(slots)?])
    }

    fn merge(&mut self, slots: &[u32], saved: &[ArrayRef]) -> Result<()> {
        self.take(slots, &saved[0], None)
    }
}
