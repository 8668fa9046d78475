//! DISTINCT: lets each value of a slot through to another aggregate once.

use arrow::array::{ArrayRef, BooleanArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::DataType;
use nowcast_engine::Result;
use nowcast_engine::keys::KeyCodec;

use super::multisets::Multisets;
use super::{Accumulator, filter_mask, for_each, passing};

/// Whether null is a value like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    LeftOut,
    Kept,
}

/// The values seen, and an aggregate of them. The values alone are saved: the aggregate follows
/// from them.
pub struct Distinct {
    inner: Box<dyn Accumulator>,
    codec: KeyCodec,
    seen: Multisets,
    nulls: Nulls,
}

impl Distinct {
    pub fn new(inner: Box<dyn Accumulator>, types: &[DataType], nulls: Nulls) -> Result<Self> {
        Ok(Self { inner, codec: KeyCodec::new(types)?, seen: Multisets::default(), nulls })
    }

    fn passing(&self, args: &[ArrayRef], filter: Option<&BooleanArray>) -> Option<NullBuffer> {
        match self.nulls {
            Nulls::LeftOut => passing(args, filter),
            Nulls::Kept => filter_mask(filter),
        }
    }
}

impl Accumulator for Distinct {
    fn resize(&mut self, slots: usize) {
        self.inner.resize(slots);
        self.seen.resize(slots);
    }

    fn update(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let encoded = self.codec.encode(args)?;
        let mut fresh = vec![false; slots.len()];
        let passing = self.passing(args, filter);
        for_each(slots, passing.as_ref(), |row, slot| {
            fresh[row] = self.seen.insert(slot as u32, encoded.row(row).as_ref(), 1);
        });
        let fresh = BooleanArray::new(BooleanBuffer::from(fresh), None);
        self.inner.update(slots, args, Some(&fresh))
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        self.inner.evaluate(slots)
    }

    fn clear(&mut self, slot: u32) {
        self.inner.clear(slot);
        self.seen.clear(slot);
    }

    fn bytes(&self) -> usize {
        self.inner.bytes() + self.seen.bytes()
    }

    fn save(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(self.seen.save(slots))
    }

    fn merge(&mut self, slots: &[u32], saved: &[ArrayRef]) -> Result<()> {
        let (mut of, mut fresh): (Vec<u32>, Vec<&[u8]>) = (vec![], vec![]);
        self.seen.load(slots, saved, |slot, value| {
            of.push(slot);
            fresh.push(value);
        });
        if fresh.is_empty() {
            return Ok(());
        }
        let columns = self.codec.decode(fresh.into_iter())?;
        self.inner.update(&of, &columns, None)
    }

    fn retract(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let encoded = self.codec.encode(args)?;
        let mut gone = vec![false; slots.len()];
        let passing = self.passing(args, filter);
        for_each(slots, passing.as_ref(), |row, slot| {
            gone[row] = self.seen.remove(slot as u32, encoded.row(row).as_ref(), 1);
        });
        let gone = BooleanArray::new(BooleanBuffer::from(gone), None);
        self.inner.retract(slots, args, Some(&gone))
    }
}
