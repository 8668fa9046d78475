//! Aggregates over the last rows or the last stretch of time.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int64Type};
use nowcast_engine::{Error, Millis, Result};

use super::running::{Inputs, of_round, update};
use super::{Frame, Functions, Ordered};
use crate::aggregate::{Accumulator, AggregateCall, Place, Rows, Values};

/// Keeps the rows in the frame of each slot. An aggregate that can take a row out again does so;
/// the others are computed anew from the frame.
pub struct Bounded {
    reach: Reach,
    inputs: Inputs,
    /// By call; `None`: computed anew.
    retracting: Vec<Option<Box<dyn Accumulator>>>,
    values: Values,
    /// By slot, oldest first.
    frames: Vec<VecDeque<(Millis, Place)>>,
    live: usize,
}

#[derive(Clone, Copy)]
enum Reach {
    Rows(usize),
    Time(Millis),
}

/// Rows that left their frame.
#[derive(Default)]
struct Left {
    slots: Vec<u32>,
    places: Vec<Place>,
}

impl Bounded {
    pub fn new(frame: Frame, calls: &[AggregateCall], types: &[DataType]) -> Result<Self> {
        let reach = match frame {
            Frame::Rows { preceding: Some(rows) } => Reach::Rows(rows as usize + 1),
            Frame::Range { preceding_ms: Some(time) } => Reach::Time(time),
            _ => return Err(Error::bug("a bounded frame without a bound")),
        };
        let inputs = Inputs::new(calls, types);
        let retracting = inputs.accumulators()?.into_iter();
        let retracting = retracting.map(|held| held.retracts().then_some(held)).collect();
        // A frame of `COUNT(*)` alone has no columns, and still rows.
        let values = Values::new(&inputs.types);
        Ok(Self { reach, inputs, retracting, values, frames: vec![], live: 0 })
    }

    /// Takes out of a slot's frame what lies before the frame of `time`.
    fn leave(&mut self, slot: u32, time: Millis, left: &mut Left) {
        let frame = &mut self.frames[slot as usize];
        while let Some((held, place)) = frame.front()
            && match self.reach {
                Reach::Rows(rows) => frame.len() > rows,
                Reach::Time(reach) => *held < time.saturating_sub(reach),
            }
        {
            left.slots.push(slot);
            left.places.push(*place);
            frame.pop_front();
            self.live -= 1;
        }
    }

    /// The value of a call for each of `slots` (each once), from the rows in their frames.
    fn anew(&self, call: &AggregateCall, slots: &[u32]) -> Result<ArrayRef> {
        let (mut of, mut places) = (vec![], vec![]);
        for (nth, slot) in slots.iter().enumerate() {
            let frame = &self.frames[*slot as usize];
            of.extend(frame.iter().map(|_| nth as u32));
            places.extend(frame.iter().map(|(_, place)| *place));
        }
        let mut accumulator = call.accumulator(&self.inputs.types, Rows::Inserted)?;
        accumulator.resize(slots.len());
        update(call, accumulator.as_mut(), &of, &self.values.gather_all(&places)?)?;
        let all: Vec<u32> = (0..slots.len() as u32).collect();
        accumulator.evaluate(&all)
    }

    fn compact(&mut self) -> Result<()> {
        let live: Vec<Place> = self.frames.iter().flatten().map(|(_, place)| *place).collect();
        let place = self.values.compact(&live)?;
        let held = self.frames.iter_mut().flatten();
        held.enumerate().for_each(|(nth, (_, held))| *held = place(nth));
        Ok(())
    }

    fn resize(&mut self, slots_len: usize) {
        self.frames.resize(slots_len.max(self.frames.len()), VecDeque::new());
        for accumulator in self.retracting.iter_mut().flatten() {
            accumulator.resize(slots_len);
        }
    }
}

impl Functions for Bounded {
    fn evaluate(&mut self, ordered: &Ordered<'_>) -> Result<Vec<ArrayRef>> {
        self.resize(ordered.slots_len);
        let columns = self.inputs.of(ordered.rows);
        let place = self.values.push(&columns);
        let mut results = vec![vec![]; self.inputs.calls.len()];
        for rows in ordered.rounds.iter() {
            let (columns, slots) = of_round(&columns, ordered.slots, rows)?;
            let mut left = Left::default();
            for (row, slot) in rows.iter().zip(&slots) {
                let time = ordered.times.get(*row as usize).copied().unwrap_or_default();
                self.frames[*slot as usize].push_back((time, place(*row as usize)));
                self.live += 1;
                self.leave(*slot, time, &mut left);
            }
            let (unique, nth) = distinct(&slots);
            let gone = self.values.gather_all(&left.places)?;
            for (at, results) in results.iter_mut().enumerate() {
                let call = &self.inputs.calls[at];
                results.push(match &mut self.retracting[at] {
                    Some(accumulator) => {
                        update(call, accumulator.as_mut(), &slots, &columns)?;
                        retract(call, accumulator.as_mut(), &left.slots, &gone)?;
                        accumulator.evaluate(&slots)?
                    }
                    None => {
                        let values = self.anew(call, &unique)?;
                        match nth.is_empty() {
                            true => values,
                            false => take(&values, &UInt32Array::from(nth.clone()), None)?,
                        }
                    }
                });
            }
        }
        if self.values.should_compact(self.live) {
            self.compact()?;
        }
        results.iter().map(|results| ordered.rounds.assemble(results)).collect()
    }

    fn save(&self, slots: &[u32]) -> Result<(Vec<u32>, Vec<ArrayRef>)> {
        let (mut of, mut times, mut places) = (vec![], vec![], vec![]);
        for slot in slots {
            for (time, place) in &self.frames[*slot as usize] {
                of.push(*slot);
                times.push(*time);
                places.push(*place);
            }
        }
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(times))];
        columns.extend(self.values.gather_all(&places)?);
        Ok((of, columns))
    }

    fn load(&mut self, slots: &[u32], slots_len: usize, columns: &[ArrayRef]) -> Result<()> {
        self.resize(slots_len);
        let times = columns[0].as_primitive::<Int64Type>();
        let columns = &columns[1..];
        let place = self.values.push(columns);
        for (row, (slot, time)) in slots.iter().zip(times.values()).enumerate() {
            self.frames[*slot as usize].push_back((*time, place(row)));
        }
        self.live += slots.len();
        for (call, accumulator) in self.inputs.calls.iter().zip(&mut self.retracting) {
            if let Some(accumulator) = accumulator {
                update(call, accumulator.as_mut(), slots, columns)?;
            }
        }
        Ok(())
    }

    fn clear(&mut self, slot: u32) {
        // What its rows took goes when the others are moved together.
        self.live -= std::mem::take(&mut self.frames[slot as usize]).len();
        self.retracting.iter_mut().flatten().for_each(|accumulator| accumulator.clear(slot));
    }

    fn bytes(&self) -> usize {
        let frames = size_of_val(self.frames.as_slice()) + self.live * size_of::<(Millis, Place)>();
        let states: usize = self.retracting.iter().flatten().map(|held| held.bytes()).sum();
        self.values.bytes() + frames + states
    }
}

/// The slots of a round, each once, and which of them each row has. Where all differ, that is
/// their own order, and the second is empty.
fn distinct(slots: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let mut unique = slots.to_vec();
    unique.sort_unstable();
    unique.dedup();
    if unique.len() == slots.len() {
        return (slots.to_vec(), vec![]);
    }
    let nth = slots
        .iter()
        .map(|slot| unique.binary_search(slot).expect("it is among the slots of the round") as u32);
    let nth = nth.collect();
    (unique, nth)
}

fn retract(
    call: &AggregateCall,
    accumulator: &mut dyn Accumulator,
    slots: &[u32],
    columns: &[ArrayRef],
) -> Result<()> {
    let args: Vec<ArrayRef> = call.args.iter().map(|arg| columns[*arg].clone()).collect();
    accumulator.retract(slots, &args, call.filter.map(|filter| columns[filter].as_boolean()))
}
