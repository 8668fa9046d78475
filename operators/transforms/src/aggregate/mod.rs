//! Aggregate functions: state for many groups at once, in vectors by dense slot.

mod approx_distinct;
mod array_agg;
mod arrivals;
mod avg;
mod collect;
mod count;
mod count_distinct;
mod distinct;
mod extremes;
mod first_last;
mod json_array;
mod json_object;
mod list_agg;
mod min_max;
mod multisets;
mod percentile;
mod sum;
mod total;
mod values;
mod variance;

use std::any::Any;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use nowcast_engine::{Error, Result};

pub use percentile::Fraction;
pub(crate) use values::{Place, Values};
pub use variance::Spread;

/// One aggregate of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregateCall {
    pub function: AggregateFunction,
    /// Input columns; none for `COUNT(*)`.
    pub args: Vec<usize>,
    /// `COUNT(DISTINCT x)`: equal values count once.
    pub distinct: bool,
    /// `FILTER (WHERE …)`: a Boolean input column; null is false.
    pub filter: Option<usize>,
    /// Type of the result.
    pub output: DataType,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AggregateFunction {
    /// `COUNT(x)`, or `COUNT(*)` without arguments.
    Count,
    /// About how many values differ, with a standard error of 0.81 %. Takes new rows alone.
    ApproxCountDistinct,
    /// Integers wrap around silently, as Flink's do; a decimal that needs more than 38 digits is
    /// null; floats are summed as `Float64`.
    Sum,
    /// NaN is greater than any number.
    Min,
    Max,
    /// Of integers with an integer result: truncated, as Flink does.
    Avg,
    /// The first value in order of arrival that is not null.
    FirstValue,
    /// The last value in order of arrival that is not null.
    LastValue,
    /// Nulls are left out; null where there is nothing else.
    ListAgg {
        separator: String,
    },
    /// Keeps nulls; null where there are no rows.
    ArrayAgg,
    /// Standard deviation or variance. Of whole numbers cut to whole numbers, as Flink does.
    Spread(Spread),
    /// A map from each value to how often it is there; nulls are left out.
    Collect,
    /// The values at these fractions of the way from the least to the greatest: as a list of
    /// `Float64`, or alone where there is one. A second argument says how often a value counts.
    Percentile(Vec<Fraction>),
    /// Texts of JSON as one JSON array; nulls are left out.
    JsonArray,
    /// Names, and JSON members with these names, as one JSON object; members that are null are left
    /// out.
    JsonObject,
}

/// State of one aggregate for all groups. A group is a slot, given out by `Keys`; its values live
/// in vectors by slot.
///
/// Rows come in order of arrival. `slots`, `args` and `filter` are of one length; a slot may repeat.
/// Slots at or past the last [`Accumulator::resize`] are out of bounds.
pub trait Accumulator: Any + Send {
    /// Makes room for slots below `slots`; new ones are empty. Never shrinks.
    fn resize(&mut self, slots: usize);

    /// Adds a row to each slot.
    fn update(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()>;

    /// The value of each slot, of the call's output type.
    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef>;

    /// Empties a slot, for another group.
    fn clear(&mut self, slot: u32);

    /// Bytes that the state of all slots takes, about; not looked up slot by slot.
    fn bytes(&self) -> usize;

    /// The state of each slot, one row a slot: what [`Accumulator::merge`] takes. It changes
    /// nothing.
    fn save(&self, slots: &[u32]) -> Result<Vec<ArrayRef>>;

    /// Adds saved states to slots, as if their rows came after those here.
    fn merge(&mut self, slots: &[u32], saved: &[ArrayRef]) -> Result<()>;

    /// Adds the states that `theirs` have in `other`, an accumulator of the same call, to slots, as if
    /// their rows came after those here.
    fn merge_from(&mut self, slots: &[u32], other: &dyn Accumulator, theirs: &[u32]) -> Result<()> {
        self.merge(slots, &other.save(theirs)?)
    }

    /// Whether [`Accumulator::retract`] works and leaves what the remaining rows alone would make.
    /// Float sums do not: what rounding lost does not come back.
    fn retracts(&self) -> bool {
        false
    }

    /// Takes rows out that were added before.
    fn retract(
        &mut self,
        _slots: &[u32],
        _args: &[ArrayRef],
        _filter: Option<&BooleanArray>,
    ) -> Result<()> {
        Err(Error::bug("an aggregate without retraction was asked to retract"))
    }
}

/// What an accumulator must be able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Rows are added alone.
    Inserted,
    /// Rows are taken back as well: [`Accumulator::retract`] works.
    Changing,
}

impl AggregateCall {
    /// # Errors
    /// Of the user, for arguments the function does not take.
    pub(crate) fn accumulator(
        &self,
        input: &[DataType],
        rows: Rows,
    ) -> Result<Box<dyn Accumulator>> {
        let types = self.args.iter().map(|arg| {
            let ty = input.get(*arg).cloned();
            ty.ok_or_else(|| Error::bug(format!("{}: no input column {arg}", self.name())))
        });
        let types = types.collect::<Result<Vec<DataType>>>()?;
        if let Some(filter) = self.filter
            && input.get(filter) != Some(&DataType::Boolean)
        {
            return Err(Error::user(format!("{}: FILTER is not a boolean", self.name())));
        }
        if self.distinct
            && !types.is_empty()
            && (&self.function, rows) == (&AggregateFunction::Count, Rows::Inserted)
        {
            return count_distinct::count_distinct(&types, &self.output);
        }
        let plain = self.plain(&types, rows)?;
        if !self.distinct || self.ignores_repeats(rows) {
            return Ok(plain);
        }
        let nulls = match self.function {
            AggregateFunction::ArrayAgg => distinct::Nulls::Kept,
            _ => distinct::Nulls::LeftOut,
        };
        Ok(Box::new(distinct::Distinct::new(plain, &types, nulls)?))
    }

    /// Whether the result depends on which of two changes of a group comes first.
    pub(crate) fn depends_on_order(&self) -> bool {
        use AggregateFunction::{ArrayAgg, FirstValue, LastValue, ListAgg};
        let ordered = matches!(self.function, FirstValue | LastValue | ArrayAgg | ListAgg { .. });
        self.distinct && ordered
    }

    fn plain(&self, types: &[DataType], rows: Rows) -> Result<Box<dyn Accumulator>> {
        use arrivals::Gives;
        let output = &self.output;
        if self.function == AggregateFunction::Count {
            return Ok(Box::new(count::Count::new(output)));
        }
        if self.function == AggregateFunction::JsonObject {
            let object = json_object::json_object(types, output)?;
            return object.ok_or_else(|| Error::bug(format!("JSON_OBJECTAGG of {types:?}")));
        }
        if let (AggregateFunction::Percentile(fractions), [ty, times]) = (&self.function, types) {
            let percentile = percentile::percentile(ty, output, fractions)?;
            let percentile = percentile.filter(|_| times.is_integer());
            let refused = || Error::user(format!("{} cannot take {ty}, {times}", self.name()));
            return percentile.ok_or_else(refused);
        }
        let [ty] = types else {
            return Err(Error::user(format!(
                "{} takes one argument, not {}",
                self.name(),
                types.len()
            )));
        };
        let changing = rows == Rows::Changing;
        let ordered = |gives| arrivals::arrivals(ty, output, gives);
        let min_max = |extreme| match changing {
            true => extremes::extremes(ty, output, extreme),
            false => Ok(min_max::min_max(ty, output, extreme)),
        };
        let first_last = |end| match changing {
            true => ordered(Gives::One(end)),
            false => Ok(first_last::first_last(ty, output, end)),
        };
        let accumulator = match &self.function {
            AggregateFunction::Count | AggregateFunction::JsonObject => None,
            AggregateFunction::ApproxCountDistinct if changing => {
                return Err(Error::user(format!("{} takes new rows alone", self.name())));
            }
            AggregateFunction::ApproxCountDistinct => {
                Some(approx_distinct::approx_distinct(ty, output)?)
            }
            AggregateFunction::Sum => sum::sum(ty, output),
            AggregateFunction::Avg => avg::avg(ty, output),
            AggregateFunction::Min => min_max(min_max::Extreme::Min)?,
            AggregateFunction::Max => min_max(min_max::Extreme::Max)?,
            AggregateFunction::FirstValue => first_last(first_last::End::First)?,
            AggregateFunction::LastValue => first_last(first_last::End::Last)?,
            AggregateFunction::ListAgg { separator } if changing => {
                ordered(Gives::Joined(separator.clone()))?
            }
            AggregateFunction::ListAgg { separator } => list_agg::list_agg(ty, output, separator),
            AggregateFunction::ArrayAgg if changing => ordered(Gives::List)?,
            AggregateFunction::ArrayAgg => array_agg::array_agg(ty, output),
            AggregateFunction::Spread(spread) => variance::variance(ty, output, *spread),
            AggregateFunction::Collect => collect::collect(ty, output)?,
            AggregateFunction::Percentile(fractions) => {
                percentile::percentile(ty, output, fractions)?
            }
            AggregateFunction::JsonArray => json_array::json_array(ty, output, rows)?,
        };
        accumulator.ok_or_else(|| Error::user(format!("{} cannot take {ty}", self.name())))
    }

    /// Whether a repeated value changes nothing anyway.
    fn ignores_repeats(&self, rows: Rows) -> bool {
        use AggregateFunction::{ApproxCountDistinct, FirstValue, Max, Min};
        match self.function {
            Min | Max | ApproxCountDistinct => true,
            FirstValue => rows == Rows::Inserted,
            _ => false,
        }
    }

    fn name(&self) -> &'static str {
        match self.function {
            AggregateFunction::Count => "COUNT",
            AggregateFunction::ApproxCountDistinct => "APPROX_COUNT_DISTINCT",
            AggregateFunction::Sum => "SUM",
            AggregateFunction::Min => "MIN",
            AggregateFunction::Max => "MAX",
            AggregateFunction::Avg => "AVG",
            AggregateFunction::FirstValue => "FIRST_VALUE",
            AggregateFunction::LastValue => "LAST_VALUE",
            AggregateFunction::ListAgg { .. } => "LISTAGG",
            AggregateFunction::ArrayAgg => "ARRAY_AGG",
            AggregateFunction::Spread(Spread { sample: false, root: true }) => "STDDEV_POP",
            AggregateFunction::Spread(Spread { sample: true, root: true }) => "STDDEV_SAMP",
            AggregateFunction::Spread(Spread { sample: false, root: false }) => "VAR_POP",
            AggregateFunction::Spread(Spread { sample: true, root: false }) => "VAR_SAMP",
            AggregateFunction::Collect => "COLLECT",
            AggregateFunction::Percentile(_) => "PERCENTILE",
            AggregateFunction::JsonArray => "JSON_ARRAYAGG",
            AggregateFunction::JsonObject => "JSON_OBJECTAGG",
        }
    }
}

/// The rows that pass the filter and have no null argument; `None`: all.
fn passing(args: &[ArrayRef], filter: Option<&BooleanArray>) -> Option<NullBuffer> {
    let mut passing = filter_mask(filter);
    for arg in args {
        passing = NullBuffer::union(passing.as_ref(), arg.logical_nulls().as_ref());
    }
    passing
}

/// The rows that pass the filter; `None`: all.
fn filter_mask(filter: Option<&BooleanArray>) -> Option<NullBuffer> {
    filter.map(|filter| match filter.nulls() {
        Some(nulls) => NullBuffer::new(filter.values() & nulls.inner()),
        None => NullBuffer::new(filter.values().clone()),
    })
}

/// Calls `apply(row, slot)` for each passing row, in order.
fn for_each(slots: &[u32], passing: Option<&NullBuffer>, mut apply: impl FnMut(usize, usize)) {
    match passing {
        None => slots.iter().enumerate().for_each(|(row, slot)| apply(row, *slot as usize)),
        Some(passing) => {
            passing.valid_indices().for_each(|row| apply(row, slots[row] as usize));
        }
    }
}

/// The column in a type; no copy where it has that type.
pub(crate) fn as_type(column: &ArrayRef, ty: &DataType) -> Result<ArrayRef> {
    match column.data_type() == ty {
        true => Ok(column.clone()),
        false => Ok(cast(column, ty)?),
    }
}
