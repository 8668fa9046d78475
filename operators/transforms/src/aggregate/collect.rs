//! COLLECT: values and how often each is there, as a map.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, MapArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, FieldRef};
use nowcast_engine::Result;
use nowcast_engine::keys::KeyCodec;

use super::multisets::Multisets;
use super::{Accumulator, as_type, for_each, passing};

pub fn collect(ty: &DataType, output: &DataType) -> Result<Option<Box<dyn Accumulator>>> {
    let DataType::Map(entries, _) = output else { return Ok(None) };
    let codec = KeyCodec::new(std::slice::from_ref(ty))?;
    let values = Multisets::default();
    Ok(Some(Box::new(Collect { codec, values, entries: entries.clone() })))
}

/// Nulls are left out.
struct Collect {
    codec: KeyCodec,
    values: Multisets,
    entries: FieldRef,
}

impl Accumulator for Collect {
    fn resize(&mut self, slots: usize) {
        self.values.resize(slots);
    }

    fn update(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let encoded = self.codec.encode(args)?;
        for_each(slots, passing(args, filter).as_ref(), |row, slot| {
            self.values.insert(slot as u32, encoded.row(row).as_ref(), 1);
        });
        Ok(())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let (mut keys, mut counts, mut lengths): (Vec<&[u8]>, Vec<i32>, Vec<usize>) =
            (vec![], vec![], vec![]);
        for slot in slots {
            let before = keys.len();
            for (value, count) in self.values.values(*slot) {
                keys.push(value);
                counts.push(count as i32);
            }
            lengths.push(keys.len() - before);
        }
        let DataType::Struct(fields) = self.entries.data_type() else {
            return Err(nowcast_engine::Error::bug("a map whose entries are no structs"));
        };
        let keys = self.codec.decode(keys.into_iter())?;
        let keys = as_type(&keys[0], fields[0].data_type())?;
        let counts: ArrayRef = Arc::new(Int32Array::from(counts));
        let counts = as_type(&counts, fields[1].data_type())?;
        let entries = StructArray::try_new(fields.clone(), vec![keys, counts], None)?;
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(MapArray::try_new(self.entries.clone(), offsets, entries, None, false)?))
    }

    fn clear(&mut self, slot: u32) {
        self.values.clear(slot);
    }

    fn bytes(&self) -> usize {
        self.values.bytes()
    }

    fn save(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(self.values.save(slots))
    }

    fn merge(&mut self, slots: &[u32], saved: &[ArrayRef]) -> Result<()> {
        self.values.load(slots, saved, |_, _| {});
        Ok(())
    }

    fn retract(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let encoded = self.codec.encode(args)?;
        for_each(slots, passing(args, filter).as_ref(), |row, slot| {
            self.values.remove(slot as u32, encoded.row(row).as_ref(), 1);
        });
        Ok(())
    }
}
