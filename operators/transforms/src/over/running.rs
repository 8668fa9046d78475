//! Aggregates from the beginning up to the current row.

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_arrays;
use arrow::datatypes::DataType;
use nowcast_engine::Result;

use super::{Functions, Ordered};
use crate::aggregate::{Accumulator, AggregateCall, Rows};

pub struct Running {
    inputs: Inputs,
    accumulators: Vec<Box<dyn Accumulator>>,
}

/// The columns that aggregates read.
pub struct Inputs {
    /// Positions among the input columns.
    pub columns: Vec<usize>,
    pub types: Vec<DataType>,
    /// With positions among `columns`.
    pub calls: Vec<AggregateCall>,
}

impl Inputs {
    pub fn new(calls: &[AggregateCall], types: &[DataType]) -> Self {
        let mut columns: Vec<usize> =
            calls.iter().flat_map(|call| call.args.iter().chain(&call.filter)).copied().collect();
        columns.sort_unstable();
        columns.dedup();
        let at = |column: &usize| columns.binary_search(column).expect("it is among them");
        let calls = calls.iter().map(|call| AggregateCall {
            args: call.args.iter().map(at).collect(),
            filter: call.filter.as_ref().map(at),
            ..call.clone()
        });
        let calls = calls.collect();
        let types = columns.iter().map(|column| types[*column].clone()).collect();
        Self { columns, types, calls }
    }

    pub fn accumulators(&self) -> Result<Vec<Box<dyn Accumulator>>> {
        self.calls.iter().map(|call| call.accumulator(&self.types, Rows::Inserted)).collect()
    }

    /// The columns read, of all rows.
    pub fn of(&self, rows: &RecordBatch) -> Vec<ArrayRef> {
        self.columns.iter().map(|column| rows.column(*column).clone()).collect()
    }
}

/// The rows of a round: columns read and slots.
pub fn of_round(
    columns: &[ArrayRef],
    slots: &[u32],
    rows: &[u32],
) -> Result<(Vec<ArrayRef>, Vec<u32>)> {
    if rows.len() == slots.len() {
        return Ok((columns.to_vec(), slots.to_vec()));
    }
    let indices = UInt32Array::from(rows.to_vec());
    let slots = rows.iter().map(|row| slots[*row as usize]).collect();
    Ok((take_arrays(columns, &indices, None)?, slots))
}

/// Adds rows to their slots.
pub fn update(
    call: &AggregateCall,
    accumulator: &mut dyn Accumulator,
    slots: &[u32],
    columns: &[ArrayRef],
) -> Result<()> {
    let args: Vec<ArrayRef> = call.args.iter().map(|arg| columns[*arg].clone()).collect();
    accumulator.update(slots, &args, call.filter.map(|filter| columns[filter].as_boolean()))
}

impl Running {
    pub fn new(calls: &[AggregateCall], types: &[DataType]) -> Result<Self> {
        let inputs = Inputs::new(calls, types);
        Ok(Self { accumulators: inputs.accumulators()?, inputs })
    }

    /// Makes room for slots below `slots_len`.
    pub fn resize(&mut self, slots_len: usize) {
        self.accumulators.iter_mut().for_each(|accumulator| accumulator.resize(slots_len));
    }

    /// Forgets the rows of a slot.
    pub fn clear(&mut self, slot: u32) {
        self.accumulators.iter_mut().for_each(|accumulator| accumulator.clear(slot));
    }

    /// Takes rows in that nobody asks the values of.
    pub fn add(&mut self, rows: &RecordBatch, slots: &[u32]) -> Result<()> {
        let columns = self.inputs.of(rows);
        let calls = self.inputs.calls.iter().zip(&mut self.accumulators);
        calls
            .into_iter()
            .try_for_each(|(call, accumulator)| update(call, accumulator.as_mut(), slots, &columns))
    }
}

impl Functions for Running {
    fn evaluate(&mut self, ordered: &Ordered<'_>) -> Result<Vec<ArrayRef>> {
        let columns = self.inputs.of(ordered.rows);
        let mut results = vec![vec![]; self.accumulators.len()];
        self.resize(ordered.slots_len);
        for rows in ordered.rounds.iter() {
            let (columns, slots) = of_round(&columns, ordered.slots, rows)?;
            let calls = self.inputs.calls.iter().zip(&mut self.accumulators);
            for ((call, accumulator), results) in calls.zip(&mut results) {
                update(call, accumulator.as_mut(), &slots, &columns)?;
                results.push(accumulator.evaluate(&slots)?);
            }
        }
        results.iter().map(|results| ordered.rounds.assemble(results)).collect()
    }

    fn save(&self, slots: &[u32]) -> Result<(Vec<u32>, Vec<ArrayRef>)> {
        let states = self.accumulators.iter().map(|accumulator| accumulator.save(slots));
        Ok((slots.to_vec(), states.collect::<Result<Vec<_>>>()?.concat()))
    }

    fn load(&mut self, slots: &[u32], slots_len: usize, mut columns: &[ArrayRef]) -> Result<()> {
        for accumulator in &mut self.accumulators {
            let (own, rest) = columns.split_at(accumulator.save(&[])?.len());
            accumulator.resize(slots_len);
            accumulator.merge(slots, own)?;
            columns = rest;
        }
        Ok(())
    }

    fn clear(&mut self, slot: u32) {
        Running::clear(self, slot);
    }

    fn bytes(&self) -> usize {
        self.accumulators.iter().map(|held| held.bytes()).sum()
    }
}
