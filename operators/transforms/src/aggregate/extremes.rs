//! MIN and MAX of rows that may be taken back: all values, in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, BinaryBuilder, BooleanArray, Int64Builder, ListBuilder,
    new_null_array,
};
use arrow::datatypes::{DataType, Int64Type};
use nowcast_engine::Result;
use nowcast_engine::keys::KeyCodec;

use super::min_max::Extreme;
use super::{Accumulator, as_type, for_each, passing};

pub fn extremes(
    ty: &DataType,
    output: &DataType,
    which: Extreme,
) -> Result<Option<Box<dyn Accumulator>>> {
    if super::min_max::min_max(ty, output, which).is_none() {
        return Ok(None);
    }
    let codec = KeyCodec::new(std::slice::from_ref(ty))?;
    let none = codec.encode(&[new_null_array(ty, 1)])?.row(0).as_ref().into();
    let output = output.clone();
    Ok(Some(Box::new(Extremes { codec, values: vec![], bytes: 0, none, output, which })))
}

/// What a map needs for an entry besides the value's bytes: pointer, length and count, and as much again
/// for the allocation and the map's own room.
const ENTRY_BYTES: usize = 48;

/// Encoded values sort as the values do. A count below 0 is of a row that was taken back before it
/// came.
struct Extremes {
    codec: KeyCodec,
    values: Vec<BTreeMap<Box<[u8]>, i64>>,
    /// Of the values, with what the map needs for each.
    bytes: usize,
    /// Null, encoded.
    none: Box<[u8]>,
    output: DataType,
    which: Extreme,
}

impl Extremes {
    fn add(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
        times: i64,
    ) -> Result<()> {
        let encoded = self.codec.encode(args)?;
        let (values, bytes) = (&mut self.values, &mut self.bytes);
        for_each(slots, passing(args, filter).as_ref(), |row, slot| {
            add(&mut values[slot], encoded.row(row).as_ref(), times, bytes);
        });
        Ok(())
    }

    fn best(&self, slot: u32) -> &[u8] {
        let values = &self.values[slot as usize];
        let mut there = values.iter().filter(|(_, count)| **count > 0);
        let best = match self.which {
            Extreme::Min => there.next(),
            Extreme::Max => there.next_back(),
        };
        best.map_or(&*self.none, |(value, _)| value)
    }
}

fn add(values: &mut BTreeMap<Box<[u8]>, i64>, value: &[u8], times: i64, bytes: &mut usize) {
    match values.get_mut(value) {
        Some(count) if *count + times == 0 => {
            *bytes -= value.len() + ENTRY_BYTES;
            values.remove(value);
        }
        Some(count) => *count += times,
        None => {
            *bytes += value.len() + ENTRY_BYTES;
            values.insert(value.into(), times);
        }
    }
}

impl Accumulator for Extremes {
    fn resize(&mut self, slots: usize) {
        self.values.resize_with(slots.max(self.values.len()), BTreeMap::new);
    }

    fn update(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        self.add(slots, args, filter, 1)
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let columns = self.codec.decode(slots.iter().map(|slot| self.best(*slot)))?;
        as_type(&columns[0], &self.output)
    }

    fn clear(&mut self, slot: u32) {
        let values = std::mem::take(&mut self.values[slot as usize]);
        self.bytes -= values.keys().map(|value| value.len() + ENTRY_BYTES).sum::<usize>();
    }

    fn bytes(&self) -> usize {
        self.bytes + size_of_val(self.values.as_slice())
    }

    fn save(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let mut values = ListBuilder::new(BinaryBuilder::new());
        let mut counts = ListBuilder::new(Int64Builder::new());
        for slot in slots {
            for (value, count) in &self.values[*slot as usize] {
                values.values().append_value(value);
                counts.values().append_value(*count);
            }
            values.append(true);
            counts.append(true);
        }
        Ok(vec![Arc::new(values.finish()), Arc::new(counts.finish())])
    }

    fn merge(&mut self, slots: &[u32], saved: &[ArrayRef]) -> Result<()> {
        let lists = saved[0].as_list::<i32>();
        let values: &BinaryArray = lists.values().as_binary();
        let counts = saved[1].as_list::<i32>().values().as_primitive::<Int64Type>();
        for (nth, slot) in slots.iter().enumerate() {
            let (first, end) = (lists.value_offsets()[nth], lists.value_offsets()[nth + 1]);
            for row in first as usize..end as usize {
                let held = &mut self.values[*slot as usize];
                add(held, values.value(row), counts.value(row), &mut self.bytes);
            }
        }
        Ok(())
    }

    fn retract(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        self.add(slots, args, filter, -1)
    }
}
