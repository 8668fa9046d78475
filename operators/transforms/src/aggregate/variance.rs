//! STDDEV_POP, STDDEV_SAMP, VAR_POP and VAR_SAMP, by Welford's running mean and sum of squares
//! (B. P. Welford, Technometrics 4(3), 1962, pages 419-420), as Flink does.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use nowcast_engine::Result;

use super::{Accumulator, as_type, for_each, passing, total};

/// What is made of the squared distances from the mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Whether the rows are a sample of others: divided by one less, null of a single row.
    pub sample: bool,
    /// Whether the root is taken.
    pub root: bool,
}

pub fn variance(ty: &DataType, output: &DataType, spread: Spread) -> Option<Box<dyn Accumulator>> {
    total::kind(ty)?;
    Some(Box::new(Variance { moments: vec![], output: output.clone(), spread }))
}

#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: i64,
    mean: f64,
    /// Sum of squared distances from the mean.
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let distance = value - self.mean;
        self.mean += distance / self.count as f64;
        self.squares += distance * (value - self.mean);
    }

    fn remove(&mut self, value: f64) {
        self.count -= 1;
        if self.count == 0 {
            *self = Self::default();
            return;
        }
        let distance = value - self.mean;
        self.mean -= distance / self.count as f64;
        self.squares -= distance * (value - self.mean);
    }

    /// By T. F. Chan, G. H. Golub, R. J. LeVeque, STAN-CS-79-773, equation 2.1.
    fn merge(&mut self, other: Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = other;
            return;
        }
        let count = self.count + other.count;
        let distance = other.mean - self.mean;
        let (ours, theirs) = (self.count as f64, other.count as f64);
        self.mean += distance * theirs / count as f64;
        self.squares += other.squares + distance * distance * ours * theirs / count as f64;
        self.count = count;
    }

    fn spread(&self, spread: Spread) -> Option<f64> {
        let count = self.count - i64::from(spread.sample);
        if count <= 0 {
            return None;
        }
        let variance = self.squares.max(0.0) / count as f64;
        Some(if spread.root { variance.sqrt() } else { variance })
    }
}

struct Variance {
    moments: Vec<Moments>,
    output: DataType,
    spread: Spread,
}

impl Variance {
    fn each(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
        apply: fn(&mut Moments, f64),
    ) -> Result<()> {
        let values = as_type(&args[0], &DataType::Float64)?;
        let values = values.as_primitive::<Float64Type>().values();
        let moments = &mut self.moments;
        for_each(slots, passing(args, filter).as_ref(), |row, slot| {
            apply(&mut moments[slot], values[row]);
        });
        Ok(())
    }
}

impl Accumulator for Variance {
    fn resize(&mut self, slots: usize) {
        self.moments.resize(slots.max(self.moments.len()), Moments::default());
    }

    fn update(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        self.each(slots, args, filter, Moments::add)
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let spreads = slots.iter().map(|slot| self.moments[*slot as usize].spread(self.spread));
        match self.output {
            // Arrow would cut the digits off; Flink rounds half away from zero.
            DataType::Decimal128(precision, scale) => {
                let unit = 10f64.powi(scale.into());
                let spreads: Decimal128Array = spreads
                    .map(|spread| spread.map(|spread| (spread * unit).round() as i128))
                    .collect();
                Ok(Arc::new(spreads.with_precision_and_scale(precision, scale)?))
            }
            ref output => {
                let spreads: Float64Array = spreads.collect();
                Ok(cast(&spreads, output)?)
            }
        }
    }

    fn clear(&mut self, slot: u32) {
        self.moments[slot as usize] = Moments::default();
    }

    fn bytes(&self) -> usize {
        size_of_val(self.moments.as_slice())
    }

    fn save(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let of = || slots.iter().map(|slot| self.moments[*slot as usize]);
        let counts = Int64Array::from_iter_values(of().map(|moments| moments.count));
        let means = Float64Array::from_iter_values(of().map(|moments| moments.mean));
        let squares = Float64Array::from_iter_values(of().map(|moments| moments.squares));
        Ok(vec![Arc::new(counts), Arc::new(means), Arc::new(squares)])
    }

    fn merge(&mut self, slots: &[u32], saved: &[ArrayRef]) -> Result<()> {
        let counts = saved[0].as_primitive::<Int64Type>().values();
        let means = saved[1].as_primitive::<Float64Type>().values();
        let squares = saved[2].as_primitive::<Float64Type>().values();
        for (row, slot) in slots.iter().enumerate() {
            let other = Moments { count: counts[row], mean: means[row], squares: squares[row] };
            self.moments[*slot as usize].merge(other);
        }
        Ok(())
    }

    fn retract(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        self.each(slots, args, filter, Moments::remove)
    }
}
