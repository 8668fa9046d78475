//! Aggregates in conditions, kept along the runs: each step has the state of the rows up to it, so
//! that a further row costs the same however long the run is.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use nowcast_engine::Result;

use super::Condition;
use super::paths::{Paths, StepId};
use super::reference::{Candidate, Reference};
use crate::aggregate::{Accumulator, AggregateCall, AggregateFunction, Place, Rows, Values};

/// A slot that is filled: with the state of a step, and a row of a variable after it.
struct Fill {
    slot: u32,
    before: Option<StepId>,
    row: Option<(usize, Place)>,
}

#[derive(Default)]
pub struct Running {
    kept: Vec<Kept>,
}

struct Kept {
    variable: Option<usize>,
    call: AggregateCall,
    /// By step, and behind the steps by candidate.
    accumulator: Box<dyn Accumulator>,
}

impl Running {
    /// Keeps the aggregates that conditions read and whose states are small.
    pub fn new<'a>(
        conditions: impl Iterator<Item = &'a Condition>,
        types: &[DataType],
    ) -> Result<Self> {
        let mut running = Self::default();
        for reference in conditions.flat_map(|condition| &condition.references) {
            let Reference::Aggregate { variable, call } = reference else { continue };
            if is_small(&call.function) && running.find(reference).is_none() {
                let accumulator = call.accumulator(types, Rows::Inserted)?;
                running.kept.push(Kept { variable: *variable, call: call.clone(), accumulator });
            }
        }
        Ok(running)
    }

    /// The number of an aggregate that is kept.
    pub fn find(&self, reference: &Reference) -> Option<usize> {
        let Reference::Aggregate { variable, call } = reference else { return None };
        self.kept.iter().position(|kept| kept.variable == *variable && kept.call == *call)
    }

    /// The value of an aggregate for each candidate.
    pub fn evaluate(
        &mut self,
        nth: usize,
        candidates: &[Candidate],
        paths: &Paths,
        values: &Values,
    ) -> Result<ArrayRef> {
        let fill = |(slot, candidate): (u32, &Candidate)| Fill {
            slot,
            before: candidate.last,
            row: candidate.next,
        };
        let fills: Vec<Fill> = (paths.slots_len() as u32..).zip(candidates).map(fill).collect();
        let kept = &mut self.kept[nth];
        kept.fill(&fills, values)?;
        kept.accumulator.evaluate(&fills.iter().map(|fill| fill.slot).collect::<Vec<_>>())
    }

    /// Takes in steps, each after the one before it.
    pub fn extend(&mut self, steps: &[StepId], paths: &Paths, values: &Values) -> Result<()> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let fill = |step: &StepId| {
            let taken = paths.step(*step);
            let row = Some((taken.variable, taken.place));
            Fill { slot: *step, before: taken.before(), row }
        };
        let fills: Vec<Fill> = steps.iter().map(fill).collect();
        self.kept.iter_mut().try_for_each(|kept| kept.fill(&fills, values))
    }
}

impl Kept {
    fn fill(&mut self, fills: &[Fill], values: &Values) -> Result<()> {
        let Some(last) = fills.iter().map(|fill| fill.slot).max() else { return Ok(()) };
        self.accumulator.resize(last as usize + 1);
        let (mut from, mut to) = (vec![], vec![]);
        let (mut slots, mut places) = (vec![], vec![]);
        for Fill { slot, before, row } in fills {
            self.accumulator.clear(*slot);
            if let Some(before) = before {
                from.push(*before);
                to.push(*slot);
            }
            if let Some((variable, place)) = row
                && self.variable.is_none_or(|own| own == *variable)
            {
                slots.push(*slot);
                places.push(*place);
            }
        }
        let states = self.accumulator.save(&from)?;
        self.accumulator.merge(&to, &states)?;
        let args = self.call.args.iter().map(|arg| values.gather(*arg, &places));
        self.accumulator.update(&slots, &args.collect::<Result<Vec<_>>>()?, None)
    }
}

/// Whether a state is not longer than a few values, whatever it is of.
fn is_small(function: &AggregateFunction) -> bool {
    use AggregateFunction::{Avg, Count, FirstValue, LastValue, Max, Min, Spread, Sum};
    matches!(function, Count | Sum | Avg | Min | Max | FirstValue | LastValue | Spread(_))
}
