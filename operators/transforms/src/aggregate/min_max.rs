//! MIN and MAX.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray,
    PrimitiveArray,
};
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Float64Type, Int32Type, Int64Type,
    UInt8Type, UInt64Type,
};
use nowcast_engine::Result;

use super::{Accumulator, as_type, for_each, passing};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extreme {
    Min,
    Max,
}

pub fn min_max(ty: &DataType, output: &DataType, which: Extreme) -> Option<Box<dyn Accumulator>> {
    use DataType as D;
    let types = |held| Types { held, argument: ty.clone(), output: output.clone() };
    Some(match ty {
        D::Boolean => Numbers::<UInt8Type>::boxed(types(D::UInt8), which),
        D::UInt64 => Numbers::<UInt64Type>::boxed(types(D::UInt64), which),
        D::Date32 | D::Time32(_) => Numbers::<Int32Type>::boxed(types(D::Int32), which),
        D::Timestamp(..) | D::Date64 | D::Time64(_) | D::Duration(_) => {
            Numbers::<Int64Type>::boxed(types(D::Int64), which)
        }
        ty if ty.is_integer() => Numbers::<Int64Type>::boxed(types(D::Int64), which),
        D::Float16 | D::Float32 | D::Float64 => {
            Numbers::<Float64Type>::boxed(types(D::Float64), which)
        }
        D::Decimal32(_, scale) | D::Decimal64(_, scale) | D::Decimal128(_, scale) => {
            let held = D::Decimal128(DECIMAL128_MAX_PRECISION, *scale);
            Numbers::<Decimal128Type>::boxed(types(held), which)
        }
        D::Utf8 | D::LargeUtf8 | D::Utf8View | D::Binary | D::LargeBinary | D::BinaryView => {
            Box::new(Texts { best: vec![], bytes: 0, types: types(D::Binary), which })
        }
        _ => return None,
    })
}

struct Types {
    /// What values are compared as.
    held: DataType,
    argument: DataType,
    output: DataType,
}

/// Anything of fixed width; floats in total order.
struct Numbers<T: ArrowPrimitiveType> {
    best: Vec<Option<T::Native>>,
    types: Types,
    which: Extreme,
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    fn boxed(types: Types, which: Extreme) -> Box<dyn Accumulator> {
        Box::new(Self { best: vec![], types, which })
    }

    fn column(&self, slots: &[u32]) -> ArrayRef {
        let best: PrimitiveArray<T> = slots.iter().map(|slot| self.best[*slot as usize]).collect();
        Arc::new(best.with_data_type(self.types.held.clone()))
    }

    fn take(
        &mut self,
        slots: &[u32],
        column: &ArrayRef,
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let values = as_type(column, &self.types.held)?;
        let values = values.as_primitive::<T>().values();
        let best = &mut self.best;
        let which = self.which;
        for_each(slots, passing(std::slice::from_ref(column), filter).as_ref(), |row, slot| {
            let value = values[row];
            let wins = best[slot].is_none_or(|best| match which {
                Extreme::Min => value.is_lt(best),
                Extreme::Max => value.is_gt(best),
            });
            if wins {
                best[slot] = Some(value);
            }
        });
        Ok(())
    }
}

impl<T: ArrowPrimitiveType> Accumulator for Numbers<T> {
    fn resize(&mut self, slots: usize) {
        self.best.resize(slots.max(self.best.len()), None);
    }

    fn update(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        self.take(slots, &args[0], filter)
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let best = as_type(&self.column(slots), &self.types.argument)?;
        as_type(&best, &self.types.output)
    }

    fn clear(&mut self, slot: u32) {
        self.best[slot as usize] = None;
    }

    fn bytes(&self) -> usize {
        size_of_val(self.best.as_slice())
    }

    fn save(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.column(slots)])
    }

    fn merge(&mut self, slots: &[u32], saved: &[ArrayRef]) -> Result<()> {
        self.take(slots, &saved[0], None)
    }
}

/// Strings and bytes, in the order of their bytes (for UTF-8, that of code points).
struct Texts {
    best: Vec<Option<Box<[u8]>>>,
    /// Of the texts.
    bytes: usize,
    types: Types,
    which: Extreme,
}

impl Texts {
    fn column(&self, slots: &[u32]) -> ArrayRef {
        let best = slots.iter().map(|slot| self.best[*slot as usize].as_deref());
        Arc::new(BinaryArray::from_iter(best))
    }

    fn take(
        &mut self,
        slots: &[u32],
        column: &ArrayRef,
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let values = as_type(column, &self.types.held)?;
        let values = values.as_binary::<i32>();
        let (best, bytes) = (&mut self.best, &mut self.bytes);
        let which = self.which;
        for_each(slots, passing(std::slice::from_ref(column), filter).as_ref(), |row, slot| {
            let value = values.value(row);
            let wins = best[slot].as_deref().is_none_or(|best| match which {
                Extreme::Min => value < best,
                Extreme::Max => value > best,
            });
            if wins {
                *bytes += value.len();
                let before = best[slot].replace(value.into());
                *bytes -= before.map_or(0, |before| before.len());
            }
        });
        Ok(())
    }
}

impl Accumulator for Texts {
    fn resize(&mut self, slots: usize) {
        self.best.resize(slots.max(self.best.len()), None);
    }

    fn update(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        self.take(slots, &args[0], filter)
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let best = as_type(&self.column(slots), &self.types.argument)?;
        as_type(&best, &self.types.output)
    }

    fn clear(&mut self, slot: u32) {
        let before = self.best[slot as usize].take();
        self.bytes -= before.map_or(0, |before| before.len());
    }

    fn bytes(&self) -> usize {
        self.bytes + size_of_val(self.best.as_slice())
    }

    fn save(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.column(slots)])
    }

    fn merge(&mut self, slots: &[u32], saved: &[ArrayRef]) -> Result<()> {
        self.take(slots, &saved[0], None)
    }
}
