//! JSON_OBJECTAGG: members of JSON objects as one object, by name.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::datatypes::DataType;
use nowcast_engine::keys::KeyCodec;
use nowcast_engine::{Error, Result};

use super::multisets::Multisets;
use super::{Accumulator, filter_mask, for_each};

/// Takes names, and members with these names as JSON: `x` and `"x":1`.
pub fn json_object(types: &[DataType], output: &DataType) -> Result<Option<Box<dyn Accumulator>>> {
    if types != [DataType::Utf8, DataType::Utf8] || *output != DataType::Utf8 {
        return Ok(None);
    }
    let codec = KeyCodec::new(types)?;
    Ok(Some(Box::new(JsonObject { codec, members: Multisets::default() })))
}

/// Members that are null are left out. A name that is there twice is an error, as in Flink; within a
/// batch that also takes one of the two back, it may be.
struct JsonObject {
    codec: KeyCodec,
    members: Multisets,
}

impl JsonObject {
    /// Calls `apply(members, slot, member)` for each row that gives one.
    fn each(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
        apply: impl Fn(&mut Multisets, u32, &[u8]),
    ) -> Result<()> {
        let [names, texts] = args else {
            return Err(Error::bug("JSON_OBJECTAGG of other than names and members"));
        };
        let encoded = self.codec.encode(args)?;
        let members = &mut self.members;
        let mut unnamed = false;
        for_each(slots, filter_mask(filter).as_ref(), |row, slot| {
            unnamed |= names.is_null(row);
            if texts.is_valid(row) {
                apply(members, slot as u32, encoded.row(row).as_ref());
            }
        });
        match unnamed {
            true => Err(Error::user("JSON_OBJECTAGG: a key is null")),
            false => Ok(()),
        }
    }

    fn object(&self, slot: u32) -> Result<String> {
        let (encoded, counts): (Vec<&[u8]>, Vec<i64>) = self.members.values(slot).unzip();
        let columns = self.codec.decode(encoded.into_iter())?;
        let (names, texts) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
        let mut order: Vec<usize> = (0..counts.len()).collect();
        order.sort_unstable_by_key(|member| names.value(*member));
        let twice = order.windows(2).find(|pair| names.value(pair[0]) == names.value(pair[1]));
        let twice = twice.map(|pair| pair[0]).or_else(|| counts.iter().position(|n| *n > 1));
        if let Some(member) = twice {
            let name = names.value(member);
            return Err(Error::user(format!("JSON_OBJECTAGG: key \"{name}\" is there twice")));
        }
        let members: Vec<&str> = order.into_iter().map(|member| texts.value(member)).collect();
        Ok(format!("{{{}}}", members.join(",")))
    }
}

impl Accumulator for JsonObject {
    fn resize(&mut self, slots: usize) {
        self.members.resize(slots);
    }

    fn update(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        self.each(slots, args, filter, |members, slot, member| {
            members.insert(slot, member, 1);
        })
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let objects = slots.iter().map(|slot| self.object(*slot).map(Some));
        Ok(Arc::new(objects.collect::<Result<StringArray>>()?))
    }

    fn clear(&mut self, slot: u32) {
        self.members.clear(slot);
    }

    fn bytes(&self) -> usize {
        self.members.bytes()
    }

    fn save(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(self.members.save(slots))
    }

    fn merge(&mut self, slots: &[u32], saved: &[ArrayRef]) -> Result<()> {
        self.members.load(slots, saved, |_, _| {});
        Ok(())
    }

    fn retract(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        self.each(slots, args, filter, |members, slot, member| {
            members.remove(slot, member, 1);
        })
    }
}
