//! JSON_ARRAYAGG: texts of JSON as one array, in order of arrival.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::datatypes::DataType;
use nowcast_engine::Result;

use super::arrivals::{Gives, arrivals};
use super::list_agg::list_agg;
use super::{Accumulator, Rows};

const SEPARATOR: &str = ",";

pub fn json_array(
    ty: &DataType,
    output: &DataType,
    rows: Rows,
) -> Result<Option<Box<dyn Accumulator>>> {
    if *output != DataType::Utf8 {
        return Ok(None);
    }
    let items = match rows {
        Rows::Inserted => list_agg(ty, output, SEPARATOR),
        Rows::Changing => arrivals(ty, output, Gives::Joined(SEPARATOR.to_owned()))?,
    };
    Ok(items.map(|items| -> Box<dyn Accumulator> { Box::new(JsonArray { items }) }))
}

/// Nulls are left out; an empty array where there is nothing else.
struct JsonArray {
    /// Joined.
    items: Box<dyn Accumulator>,
}

impl Accumulator for JsonArray {
    fn resize(&mut self, slots: usize) {
        self.items.resize(slots);
    }

    fn update(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        self.items.update(slots, args, filter)
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let joined = self.items.evaluate(slots)?;
        let joined = joined.as_string::<i32>();
        let arrays = joined.iter().map(|items| format!("[{}]", items.unwrap_or_default()));
        Ok(Arc::new(StringArray::from_iter_values(arrays)))
    }

    fn clear(&mut self, slot: u32) {
        self.items.clear(slot);
    }

    fn bytes(&self) -> usize {
        self.items.bytes()
    }

    fn save(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        self.items.save(slots)
    }

    fn merge(&mut self, slots: &[u32], saved: &[ArrayRef]) -> Result<()> {
        self.items.merge(slots, saved)
    }

    fn retract(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        self.items.retract(slots, args, filter)
    }
}
