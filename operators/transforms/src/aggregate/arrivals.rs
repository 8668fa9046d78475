//! FIRST_VALUE, LAST_VALUE, LISTAGG and ARRAY_AGG of rows that may be taken back: all values in the
//! order of their arrival.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, BinaryBuilder, BooleanArray, ListArray, ListBuilder,
    StringArray, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;
use hashbrown::HashMap;
use nowcast_engine::keys::KeyCodec;
use nowcast_engine::{Error, Result};

use super::first_last::End;
use super::{Accumulator, as_type, filter_mask, for_each, passing};

/// What is made of the values.
pub enum Gives {
    One(End),
    /// Strings with this between them.
    Joined(String),
    List,
}

pub fn arrivals(
    ty: &DataType,
    output: &DataType,
    gives: Gives,
) -> Result<Option<Box<dyn Accumulator>>> {
    let fits = match &gives {
        Gives::One(_) => true,
        Gives::Joined(_) => *ty == DataType::Utf8,
        Gives::List => matches!(output, DataType::List(_)),
    };
    if !fits {
        return Ok(None);
    }
    let codec = KeyCodec::new(std::slice::from_ref(ty))?;
    let none = codec.encode(&[new_null_array(ty, 1)])?.row(0).as_ref().into();
    let output = output.clone();
    Ok(Some(Box::new(Arrivals { codec, lists: vec![], bytes: 0, none, output, gives })))
}

/// A row that is taken back takes the oldest equal value with it, as in Flink.
struct Arrivals {
    codec: KeyCodec,
    lists: Vec<List>,
    /// Of the values, each of which is there twice, with what the maps need.
    bytes: usize,
    /// Null, encoded.
    none: Box<[u8]>,
    output: DataType,
    gives: Gives,
}

/// The values of one slot by their order, and where each is.
#[derive(Default)]
struct List {
    next: u64,
    values: BTreeMap<u64, Box<[u8]>>,
    places: HashMap<Box<[u8]>, VecDeque<u64>>,
}

impl List {
    fn push(&mut self, value: &[u8]) {
        self.values.insert(self.next, value.into());
        match self.places.get_mut(value) {
            Some(places) => places.push_back(self.next),
            None => drop(self.places.insert(value.into(), VecDeque::from([self.next]))),
        }
        self.next += 1;
    }

    /// Whether it was there.
    fn remove(&mut self, value: &[u8]) -> bool {
        let Some(places) = self.places.get_mut(value) else { return false };
        let oldest = places.pop_front();
        if places.is_empty() {
            self.places.remove(value);
        }
        if let Some(oldest) = oldest {
            self.values.remove(&oldest);
        }
        true
    }
}

/// Bytes that a value takes in both maps.
fn taken_by(value: &[u8]) -> usize {
    2 * value.len() + 128
}

impl Arrivals {
    fn mask(&self, args: &[ArrayRef], filter: Option<&BooleanArray>) -> Option<NullBuffer> {
        match self.gives {
            Gives::List => filter_mask(filter),
            Gives::One(_) | Gives::Joined(_) => passing(args, filter),
        }
    }

    fn decode<'a>(&self, values: impl Iterator<Item = &'a [u8]>) -> Result<ArrayRef> {
        let mut columns = self.codec.decode(values)?;
        columns.pop().ok_or_else(|| Error::bug("a value of no columns"))
    }

    /// The values of all slots one after the other, and how many each has.
    fn all(&self, slots: &[u32]) -> Result<(ArrayRef, Vec<usize>)> {
        let lists = slots.iter().map(|slot| &self.lists[*slot as usize].values);
        let lengths = lists.clone().map(BTreeMap::len).collect();
        let values = self.decode(lists.flat_map(BTreeMap::values).map(AsRef::as_ref))?;
        Ok((values, lengths))
    }
}

impl Accumulator for Arrivals {
    fn resize(&mut self, slots: usize) {
        self.lists.resize_with(slots.max(self.lists.len()), List::default);
    }

    fn update(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let encoded = self.codec.encode(args)?;
        let mask = self.mask(args, filter);
        let (lists, bytes) = (&mut self.lists, &mut self.bytes);
        for_each(slots, mask.as_ref(), |row, slot| {
            let value = encoded.row(row);
            lists[slot].push(value.as_ref());
            *bytes += taken_by(value.as_ref());
        });
        Ok(())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        match &self.gives {
            Gives::One(end) => {
                let one = |slot: &u32| {
                    let values = &self.lists[*slot as usize].values;
                    let one = match end {
                        End::First => values.first_key_value(),
                        End::Last => values.last_key_value(),
                    };
                    one.map_or(&*self.none, |(_, value)| value)
                };
                as_type(&self.decode(slots.iter().map(one))?, &self.output)
            }
            Gives::Joined(separator) => {
                let (values, lengths) = self.all(slots)?;
                let values = values.as_string::<i32>();
                let mut first = 0;
                let joined = lengths.into_iter().map(|length| {
                    let texts: Vec<&str> =
                        (first..first + length).map(|row| values.value(row)).collect();
                    first += length;
                    (length > 0).then(|| texts.join(separator))
                });
                let joined: ArrayRef = Arc::new(joined.collect::<StringArray>());
                as_type(&joined, &self.output)
            }
            Gives::List => {
                let DataType::List(item) = &self.output else {
                    return Err(Error::bug(format!("ARRAY_AGG into {}", self.output)));
                };
                let (values, lengths) = self.all(slots)?;
                let nulls = NullBuffer::from_iter(lengths.iter().map(|length| *length > 0));
                let offsets = OffsetBuffer::from_lengths(lengths);
                let values = as_type(&values, item.data_type())?;
                Ok(Arc::new(ListArray::try_new(item.clone(), offsets, values, Some(nulls))?))
            }
        }
    }

    fn clear(&mut self, slot: u32) {
        let list = std::mem::take(&mut self.lists[slot as usize]);
        self.bytes -= list.values.values().map(|value| taken_by(value)).sum::<usize>();
    }

    fn bytes(&self) -> usize {
        self.bytes + size_of_val(self.lists.as_slice())
    }

    fn save(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let mut lists = ListBuilder::new(BinaryBuilder::new());
        for slot in slots {
            for value in self.lists[*slot as usize].values.values() {
                lists.values().append_value(value);
            }
            lists.append(true);
        }
        Ok(vec![Arc::new(lists.finish())])
    }

    fn merge(&mut self, slots: &[u32], saved: &[ArrayRef]) -> Result<()> {
        let lists = saved[0].as_list::<i32>();
        let values: &BinaryArray = lists.values().as_binary();
        for (nth, slot) in slots.iter().enumerate() {
            let (first, end) = (lists.value_offsets()[nth], lists.value_offsets()[nth + 1]);
            for row in first as usize..end as usize {
                self.lists[*slot as usize].push(values.value(row));
                self.bytes += taken_by(values.value(row));
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
        let encoded = self.codec.encode(args)?;
        let mask = self.mask(args, filter);
        let (lists, bytes) = (&mut self.lists, &mut self.bytes);
        for_each(slots, mask.as_ref(), |row, slot| {
            let value = encoded.row(row);
            if lists[slot].remove(value.as_ref()) {
                *bytes -= taken_by(value.as_ref());
            }
        });
        Ok(())
    }
}
