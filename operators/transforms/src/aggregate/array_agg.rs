//! ARRAY_AGG: values as a list in order of arrival, nulls among them.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, FieldRef};
use nowcast_engine::Result;

use super::{Accumulator, Place, Values, as_type, filter_mask, for_each};

pub fn array_agg(ty: &DataType, output: &DataType) -> Option<Box<dyn Accumulator>> {
    let DataType::List(item) = output else { return None };
    let values = Values::new(std::slice::from_ref(ty));
    Some(Box::new(ArrayAgg { lists: vec![], live: 0, values, item: item.clone() }))
}

struct ArrayAgg {
    lists: Vec<Vec<Place>>,
    /// Places in all lists.
    live: usize,
    values: Values,
    item: FieldRef,
}

impl ArrayAgg {
    /// Keeps `rows` of a column, each in the list of its slot.
    fn keep(&mut self, column: &ArrayRef, rows: Vec<u32>, slots: &[u32]) -> Result<()> {
        let kept = match rows.len() == column.len() {
            true => column.clone(),
            false => take(column, &UInt32Array::from(rows), None)?,
        };
        let place = self.values.push(&[kept]);
        for (row, slot) in slots.iter().enumerate() {
            self.lists[*slot as usize].push(place(row));
        }
        self.live += slots.len();
        if self.values.should_compact(self.live) {
            self.compact()?;
        }
        Ok(())
    }

    fn compact(&mut self) -> Result<()> {
        let live: Vec<Place> = self.lists.iter().flatten().copied().collect();
        let place = self.values.compact(&live)?;
        self.lists.iter_mut().flatten().enumerate().for_each(|(nth, held)| *held = place(nth));
        Ok(())
    }
}

impl Accumulator for ArrayAgg {
    fn resize(&mut self, slots: usize) {
        self.lists.resize(slots.max(self.lists.len()), vec![]);
    }

    fn update(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let (mut rows, mut of) = (vec![], vec![]);
        for_each(slots, filter_mask(filter).as_ref(), |row, slot| {
            rows.push(row as u32);
            of.push(slot as u32);
        });
        self.keep(&args[0], rows, &of)
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let lists: Vec<&[Place]> =
            slots.iter().map(|slot| self.lists[*slot as usize].as_slice()).collect();
        let places = lists.concat();
        let items = as_type(&self.values.gather(0, &places)?, self.item.data_type())?;
        let offsets = OffsetBuffer::from_lengths(lists.iter().map(|list| list.len()));
        let nulls = NullBuffer::from_iter(lists.iter().map(|list| !list.is_empty()));
        Ok(Arc::new(ListArray::try_new(self.item.clone(), offsets, items, Some(nulls))?))
    }

    fn clear(&mut self, slot: u32) {
        let emptied = std::mem::take(&mut self.lists[slot as usize]);
        self.live -= emptied.len();
    }

    fn bytes(&self) -> usize {
        self.values.bytes() + self.live * size_of::<Place>()
    }

    fn save(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(slots)?])
    }

    fn merge(&mut self, slots: &[u32], saved: &[ArrayRef]) -> Result<()> {
        let lists = saved[0].as_list::<i32>();
        let (mut rows, mut of) = (vec![], vec![]);
        for (nth, slot) in slots.iter().enumerate() {
            let range = lists.value_offsets()[nth] as u32..lists.value_offsets()[nth + 1] as u32;
            of.extend(range.clone().map(|_| *slot));
            rows.extend(range);
        }
        self.keep(lists.values(), rows, &of)
    }

    fn merge_from(&mut self, slots: &[u32], other: &dyn Accumulator, theirs: &[u32]) -> Result<()> {
        let other: &dyn Any = other;
        let other = other.downcast_ref::<Self>().expect("accumulators of one call are alike");
        let place = self.values.append(&other.values);
        for (slot, of) in slots.iter().zip(theirs) {
            let theirs = &other.lists[*of as usize];
            self.lists[*slot as usize].extend(theirs.iter().map(|held| place(*held)));
            self.live += theirs.len();
        }
        match self.values.should_compact(self.live) {
            true => self.compact(),
            false => Ok(()),
        }
    }
}
