//! PERCENTILE: exact, between two values in proportion to how near each is.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, ListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Float64Type};
use nowcast_engine::keys::KeyCodec;
use nowcast_engine::{Error, Result};

use super::multisets::Multisets;
use super::{Accumulator, as_type, for_each, passing};

/// A number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fraction(f64);

// It is never NaN.
impl Eq for Fraction {}

impl Fraction {
    /// `None` for other numbers.
    pub fn new(fraction: f64) -> Option<Self> {
        (0.0..=1.0).contains(&fraction).then_some(Self(fraction))
    }
}

pub fn percentile(
    ty: &DataType,
    output: &DataType,
    fractions: &[Fraction],
) -> Result<Option<Box<dyn Accumulator>>> {
    let fits = match output {
        DataType::List(_) => true,
        DataType::Float64 => fractions.len() == 1,
        _ => false,
    };
    if !fits || !ty.is_numeric() {
        return Ok(None);
    }
    let codec = KeyCodec::new(&[DataType::Float64])?;
    let values = Multisets::default();
    let (fractions, output) = (fractions.to_vec(), output.clone());
    Ok(Some(Box::new(Percentile { codec, values, fractions, output })))
}

/// Rows with a null, and those that count less than once, are left out; null where there is nothing
/// else.
struct Percentile {
    codec: KeyCodec,
    values: Multisets,
    fractions: Vec<Fraction>,
    /// `Float64`, or a list with one for each fraction.
    output: DataType,
}

impl Percentile {
    /// The values of a slot in their order, each with the rows up to its last one.
    fn sorted(&self, slot: u32) -> Result<Vec<(f64, i64)>> {
        let (encoded, counts): (Vec<&[u8]>, Vec<i64>) = self.values.values(slot).unzip();
        let decoded = self.codec.decode(encoded.into_iter())?;
        let decoded = decoded.first().ok_or_else(|| Error::bug("a value of no columns"))?;
        let values = decoded.as_primitive::<Float64Type>().values().iter().copied();
        let mut sorted: Vec<(f64, i64)> = values.zip(counts).collect();
        sorted.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let mut rows = 0;
        for (_, count) in &mut sorted {
            rows += *count;
            *count = rows;
        }
        Ok(sorted)
    }

    fn encoded(&self, args: &[ArrayRef]) -> Result<arrow::row::Rows> {
        self.codec.encode(&[as_type(&args[0], &DataType::Float64)?])
    }
}

impl Accumulator for Percentile {
    fn resize(&mut self, slots: usize) {
        self.values.resize(slots);
    }

    fn update(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let encoded = self.encoded(args)?;
        let times = Times::of(args)?;
        for_each(slots, passing(args, filter).as_ref(), |row, slot| {
            let times = times.at(row);
            if times > 0 {
                self.values.insert(slot as u32, encoded.row(row).as_ref(), times);
            }
        });
        Ok(())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let mut found: Vec<Option<f64>> = vec![];
        let mut lengths = vec![];
        for slot in slots {
            let sorted = self.sorted(*slot)?;
            let before = found.len();
            let is_list = matches!(self.output, DataType::List(_));
            if !sorted.is_empty() || !is_list {
                found.extend(self.fractions.iter().map(|fraction| at(&sorted, *fraction)));
            }
            lengths.push(found.len() - before);
        }
        let found: ArrayRef = Arc::new(Float64Array::from(found));
        let DataType::List(item) = &self.output else { return Ok(found) };
        let nulls = NullBuffer::from_iter(lengths.iter().map(|length| *length > 0));
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(ListArray::try_new(item.clone(), offsets, found, Some(nulls))?))
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

    fn retracts(&self) -> bool {
        true
    }

    fn retract(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let encoded = self.encoded(args)?;
        let times = Times::of(args)?;
        for_each(slots, passing(args, filter).as_ref(), |row, slot| {
            self.values.remove(slot as u32, encoded.row(row).as_ref(), times.at(row));
        });
        Ok(())
    }
}

/// How often each row counts: what the second argument says, or once.
struct Times(Option<Int64Array>);

impl Times {
    fn of(args: &[ArrayRef]) -> Result<Self> {
        let Some(times) = args.get(1) else { return Ok(Self(None)) };
        Ok(Self(Some(as_type(times, &DataType::Int64)?.as_primitive().clone())))
    }

    fn at(&self, row: usize) -> i64 {
        self.0.as_ref().map_or(1, |times| times.value(row))
    }
}

/// The value at a fraction of the way from the first row to the last.
fn at(sorted: &[(f64, i64)], Fraction(fraction): Fraction) -> Option<f64> {
    let (_, rows) = sorted.last()?;
    let place = (rows - 1) as f64 * fraction;
    let (lower, higher) = (place.floor(), place.ceil());
    let value = |row: f64| {
        let nth = sorted.partition_point(|(_, last)| *last <= row as i64);
        sorted.get(nth).map(|(value, _)| *value)
    };
    let (below, above) = (value(lower)?, value(higher)?);
    match lower == higher || below == above {
        true => Some(below),
        false => Some((higher - place) * below + (place - lower) * above),
    }
}
