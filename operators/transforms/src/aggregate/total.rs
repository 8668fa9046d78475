//! Running sum and count of each slot: what SUM and AVG are made of.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Int64Array, PrimitiveArray,
};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use nowcast_engine::Result;

use super::{Accumulator, as_type, for_each, passing};

/// A type that is summed, and how.
pub trait Summand: ArrowPrimitiveType {
    /// Whether subtracting gives back exactly what was there before adding.
    const EXACT: bool;

    fn plus(sum: Self::Native, value: Self::Native) -> Self::Native;
    fn minus(sum: Self::Native, value: Self::Native) -> Self::Native;
}

impl Summand for Int64Type {
    const EXACT: bool = true;

    fn plus(sum: i64, value: i64) -> i64 {
        sum.wrapping_add(value)
    }

    fn minus(sum: i64, value: i64) -> i64 {
        sum.wrapping_sub(value)
    }
}

impl Summand for Float64Type {
    const EXACT: bool = false;

    fn plus(sum: f64, value: f64) -> f64 {
        sum + value
    }

    fn minus(sum: f64, value: f64) -> f64 {
        sum - value
    }
}

/// A decimal sum that left 128 bits behind: it stays there.
pub const OVERFLOW: i128 = i128::MAX;

impl Summand for Decimal128Type {
    const EXACT: bool = true;

    fn plus(sum: i128, value: i128) -> i128 {
        match sum {
            OVERFLOW => OVERFLOW,
            sum => sum.checked_add(value).unwrap_or(OVERFLOW),
        }
    }

    fn minus(sum: i128, value: i128) -> i128 {
        match sum {
            OVERFLOW => OVERFLOW,
            sum => sum.checked_sub(value).unwrap_or(OVERFLOW),
        }
    }
}

/// Makes the result column of sums and counts.
pub type Finish<T> = fn(
    sums: &[<T as ArrowPrimitiveType>::Native],
    counts: &[i64],
    types: &Types,
) -> Result<ArrayRef>;

pub struct Types {
    /// The type values are summed in.
    pub sum: DataType,
    pub output: DataType,
}

pub struct Total<T: Summand> {
    sums: Vec<T::Native>,
    counts: Vec<i64>,
    types: Types,
    finish: Finish<T>,
}

impl<T: Summand> Total<T> {
    pub fn new(types: Types, finish: Finish<T>) -> Self {
        Self { sums: vec![], counts: vec![], types, finish }
    }

    fn values(&self, args: &[ArrayRef]) -> Result<PrimitiveArray<T>> {
        Ok(as_type(&args[0], &self.types.sum)?.as_primitive::<T>().clone())
    }

    fn gather(&self, slots: &[u32]) -> (Vec<T::Native>, Vec<i64>) {
        let sums = slots.iter().map(|slot| self.sums[*slot as usize]).collect();
        let counts = slots.iter().map(|slot| self.counts[*slot as usize]).collect();
        (sums, counts)
    }
}

impl<T: Summand> Accumulator for Total<T> {
    fn resize(&mut self, slots: usize) {
        let slots = slots.max(self.counts.len());
        self.sums.resize(slots, T::Native::default());
        self.counts.resize(slots, 0);
    }

    fn update(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let values = self.values(args)?;
        let values = values.values();
        let (sums, counts) = (&mut self.sums, &mut self.counts);
        for_each(slots, passing(args, filter).as_ref(), |row, slot| {
            sums[slot] = T::plus(sums[slot], values[row]);
            counts[slot] += 1;
        });
        Ok(())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let (sums, counts) = self.gather(slots);
        (self.finish)(&sums, &counts, &self.types)
    }

    fn clear(&mut self, slot: u32) {
        self.sums[slot as usize] = T::Native::default();
        self.counts[slot as usize] = 0;
    }

    fn bytes(&self) -> usize {
        size_of_val(self.sums.as_slice()) + size_of_val(self.counts.as_slice())
    }

    fn save(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let (sums, counts) = self.gather(slots);
        let sums = PrimitiveArray::<T>::from_iter_values(sums);
        let sums = sums.with_data_type(self.types.sum.clone());
        Ok(vec![Arc::new(sums), Arc::new(Int64Array::from(counts))])
    }

    fn merge(&mut self, slots: &[u32], saved: &[ArrayRef]) -> Result<()> {
        let sums = saved[0].as_primitive::<T>().values();
        let counts = saved[1].as_primitive::<Int64Type>().values();
        for (row, slot) in slots.iter().enumerate() {
            let slot = *slot as usize;
            self.sums[slot] = T::plus(self.sums[slot], sums[row]);
            self.counts[slot] += counts[row];
        }
        Ok(())
    }

    fn retracts(&self) -> bool {
        T::EXACT
    }

    fn retract(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let values = self.values(args)?;
        let values = values.values();
        let (sums, counts) = (&mut self.sums, &mut self.counts);
        for_each(slots, passing(args, filter).as_ref(), |row, slot| {
            sums[slot] = T::minus(sums[slot], values[row]);
            counts[slot] -= 1;
        });
        Ok(())
    }
}

/// Which kind of total a type needs.
pub enum Kind {
    Int,
    Float,
    Decimal { scale: i8 },
}

pub fn kind(ty: &DataType) -> Option<Kind> {
    match ty {
        ty if ty.is_integer() => Some(Kind::Int),
        ty if ty.is_floating() => Some(Kind::Float),
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale) => Some(Kind::Decimal { scale: *scale }),
        _ => None,
    }
}

/// Ten to the power; `None` where it has more than 38 digits.
pub fn power_of_ten(exponent: u32) -> Option<i128> {
    10i128.checked_pow(exponent)
}
