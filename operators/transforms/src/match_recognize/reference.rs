//! What conditions and measures read of the rows of a match, as columns.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use nowcast_engine::{Millis, Result};

use super::paths::{Paths, Step, StepId};
use crate::aggregate::{AggregateCall, Place, Rows, Values, as_type};
use crate::window::time_column;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    First,
    Last,
}

/// Without a variable it is over the rows of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// `FIRST(v.column, offset)` or `LAST(v.column, offset)`; null where there are not so many rows.
    Row { variable: Option<usize>, end: End, offset: u32, column: usize },
    /// Over all rows of the variable.
    Aggregate { variable: Option<usize>, call: AggregateCall },
    /// `MATCH_ROWTIME()`.
    Time,
}

/// The rows that references are read from: those of a run, and perhaps one that a variable would
/// take after them.
#[derive(Clone, Copy)]
pub struct Candidate {
    pub last: Option<StepId>,
    pub next: Option<(usize, Place)>,
    pub time: Millis,
}

/// Reads references of several candidates at once.
pub struct Reader<'a> {
    pub paths: &'a Paths,
    pub values: &'a Values,
    /// Of the input.
    pub types: &'a [DataType],
}

impl Reader<'_> {
    /// The value of each candidate, of type `ty`.
    pub fn column(
        &self,
        reference: &Reference,
        candidates: &[Candidate],
        ty: &DataType,
    ) -> Result<ArrayRef> {
        let column = match reference {
            Reference::Row { variable, end, offset, column } => {
                let place = |candidate| self.place(candidate, *variable, *end, *offset as usize);
                let places: Vec<Place> = candidates.iter().map(place).collect();
                self.values.gather(*column, &places)?
            }
            Reference::Aggregate { variable, call } => {
                self.aggregate(call, *variable, candidates)?
            }
            Reference::Time => {
                return time_column(candidates.iter().map(|of| of.time).collect(), ty);
            }
        };
        as_type(&column, ty)
    }

    fn place(
        &self,
        candidate: &Candidate,
        variable: Option<usize>,
        end: End,
        offset: usize,
    ) -> Place {
        let place = match end {
            End::Last => self.back(candidate, variable).nth(offset),
            End::First => {
                let places: Vec<Place> = self.back(candidate, variable).collect();
                places.len().checked_sub(offset + 1).map(|at| places[at])
            }
        };
        place.unwrap_or(Place::NONE)
    }

    /// The rows of a variable from the last to the first.
    fn back(
        &self,
        candidate: &Candidate,
        variable: Option<usize>,
    ) -> impl Iterator<Item = Place> + '_ {
        let is_of = move |of: usize| variable.is_none_or(|variable| variable == of);
        let next = candidate.next.filter(|(variable, _)| is_of(*variable));
        let steps = self.paths.back(candidate.last).filter(move |step| is_of(step.variable));
        next.map(|(_, place)| place).into_iter().chain(steps.map(|Step { place, .. }| *place))
    }

    fn aggregate(
        &self,
        call: &AggregateCall,
        variable: Option<usize>,
        candidates: &[Candidate],
    ) -> Result<ArrayRef> {
        let (mut slots, mut places) = (vec![], vec![]);
        for (slot, candidate) in candidates.iter().enumerate() {
            let first = places.len();
            places.extend(self.back(candidate, variable));
            places[first..].reverse();
            slots.resize(places.len(), slot as u32);
        }
        let mut accumulator = call.accumulator(self.types, Rows::Inserted)?;
        accumulator.resize(candidates.len());
        let args = call.args.iter().map(|arg| self.values.gather(*arg, &places));
        accumulator.update(&slots, &args.collect::<Result<Vec<_>>>()?, None)?;
        accumulator.evaluate(&(0..candidates.len() as u32).collect::<Vec<_>>())
    }
}
