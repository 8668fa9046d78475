//! LISTAGG: strings joined in order of arrival.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::datatypes::DataType;
use nowcast_engine::Result;

use super::{Accumulator, as_type, for_each, passing};

pub fn list_agg(ty: &DataType, output: &DataType, separator: &str) -> Option<Box<dyn Accumulator>> {
    use DataType::{LargeUtf8, Utf8, Utf8View};
    matches!(ty, Utf8 | LargeUtf8 | Utf8View).then(|| -> Box<dyn Accumulator> {
        let separator = separator.to_owned();
        Box::new(ListAgg { joined: vec![], bytes: 0, separator, output: output.clone() })
    })
}

struct ListAgg {
    joined: Vec<Option<String>>,
    /// Of the texts.
    bytes: usize,
    separator: String,
    output: DataType,
}

impl ListAgg {
    fn column(&self, slots: &[u32]) -> ArrayRef {
        let joined = slots.iter().map(|slot| self.joined[*slot as usize].as_deref());
        Arc::new(StringArray::from_iter(joined))
    }

    fn join(
        &mut self,
        slots: &[u32],
        column: &ArrayRef,
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let values = as_type(column, &DataType::Utf8)?;
        let values = values.as_string::<i32>();
        let (joined, bytes) = (&mut self.joined, &mut self.bytes);
        let separator = &self.separator;
        for_each(slots, passing(std::slice::from_ref(column), filter).as_ref(), |row, slot| {
            let text = match &mut joined[slot] {
                Some(text) => {
                    *bytes += separator.len();
                    text.push_str(separator);
                    text
                }
                empty => empty.insert(String::new()),
            };
            *bytes += values.value(row).len();
            text.push_str(values.value(row));
        });
        Ok(())
    }
}

impl Accumulator for ListAgg {
    fn resize(&mut self, slots: usize) {
        self.joined.resize(slots.max(self.joined.len()), None);
    }

    fn update(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        self.join(slots, &args[0], filter)
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        as_type(&self.column(slots), &self.output)
    }

    fn clear(&mut self, slot: u32) {
        let before = self.joined[slot as usize].take();
        self.bytes -= before.map_or(0, |before| before.len());
    }

    fn bytes(&self) -> usize {
        self.bytes + size_of_val(self.joined.as_slice())
    }

    fn save(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.column(slots)])
    }

    fn merge(&mut self, slots: &[u32], saved: &[ArrayRef]) -> Result<()> {
        self.join(slots, &saved[0], None)
    }
}
