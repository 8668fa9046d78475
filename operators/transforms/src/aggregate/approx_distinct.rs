//! APPROX_COUNT_DISTINCT: about how many values are different, in a sketch of bounded size.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, Int64Array};
use arrow::datatypes::DataType;
use datasketches::hll::{HllSketch, HllType, HllUnion};
use nowcast_engine::keys::KeyCodec;
use nowcast_engine::{Error, Result};

use super::{Accumulator, as_type, for_each, passing};

/// 2^14 registers of a byte: the standard error is 1.04 / √2^14 = 0.81 %. Few values are kept as they
/// are, and counted nearly exactly (Flajolet et al., "HyperLogLog", 2007).
const LOG_REGISTERS: u8 = 14;
const REGISTERS: HllType = HllType::Hll8;

/// Sketches that are looked at to tell how many bytes all take, about.
const SAMPLED: usize = 16;

pub fn approx_distinct(ty: &DataType, output: &DataType) -> Result<Box<dyn Accumulator>> {
    let codec = KeyCodec::new(std::slice::from_ref(ty))?;
    Ok(Box::new(ApproxDistinct { codec, sketches: vec![], held: 0, output: output.clone() }))
}

/// Nulls are left out. The estimate follows from the registers alone, whatever the order of values
/// and merges.
struct ApproxDistinct {
    codec: KeyCodec,
    sketches: Vec<Option<HllSketch>>,
    /// Slots with a sketch.
    held: usize,
    output: DataType,
}

impl ApproxDistinct {
    fn merge_one(&mut self, slot: u32, other: HllSketch) -> Result<()> {
        let held = &mut self.sketches[slot as usize];
        self.held += usize::from(held.is_none());
        *held = Some(match held.take() {
            None => other,
            Some(own) => {
                let mut union = HllUnion::new(LOG_REGISTERS).map_err(Error::bug)?;
                union.update(&own);
                union.update(&other);
                union.to_sketch(REGISTERS)
            }
        });
        Ok(())
    }
}

impl Accumulator for ApproxDistinct {
    fn resize(&mut self, slots: usize) {
        self.sketches.resize_with(slots.max(self.sketches.len()), || None);
    }

    fn update(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let encoded = self.codec.encode(args)?;
        let empty = HllSketch::new(LOG_REGISTERS, REGISTERS).map_err(Error::bug)?;
        let (sketches, held) = (&mut self.sketches, &mut self.held);
        for_each(slots, passing(args, filter).as_ref(), |row, slot| {
            let sketch = sketches[slot].get_or_insert_with(|| {
                *held += 1;
                empty.clone()
            });
            sketch.update(encoded.row(row).as_ref());
        });
        Ok(())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let sketches = slots.iter().map(|slot| self.sketches[*slot as usize].as_ref());
        let estimates = sketches
            .map(|sketch| sketch.map_or(0, |sketch| sketch.composite_estimate().round() as i64));
        let estimates: ArrayRef = Arc::new(Int64Array::from_iter_values(estimates));
        as_type(&estimates, &self.output)
    }

    fn clear(&mut self, slot: u32) {
        self.held -= usize::from(self.sketches[slot as usize].take().is_some());
    }

    fn bytes(&self) -> usize {
        // They grow from a few bytes to one a register: some of them tell how large they are.
        let step = (self.sketches.len() / SAMPLED).max(1);
        let some: Vec<usize> = self
            .sketches
            .iter()
            .step_by(step)
            .flatten()
            .map(|sketch| sketch.serialize().len())
            .collect();
        let bytes: usize = some.iter().sum();
        self.held * bytes / some.len().max(1) + size_of_val(self.sketches.as_slice())
    }

    fn save(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let mut saved = BinaryBuilder::new();
        for slot in slots {
            saved.append_option(self.sketches[*slot as usize].as_ref().map(HllSketch::serialize));
        }
        Ok(vec![Arc::new(saved.finish())])
    }

    fn merge(&mut self, slots: &[u32], saved: &[ArrayRef]) -> Result<()> {
        let saved = saved[0].as_binary::<i32>();
        for (row, slot) in slots.iter().enumerate() {
            if saved.is_valid(row) {
                let sketch = HllSketch::deserialize(saved.value(row));
                self.merge_one(*slot, sketch.map_err(Error::bug)?)?;
            }
        }
        Ok(())
    }
}
