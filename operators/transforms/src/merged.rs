//! Neighbouring slices of a HOP merged ahead of its windows.
//!
//! A window of many slices shares most of them with the window before it. Slices are merged in blocks of two,
//! four, eight and so on, each once, and a window out of few blocks: its cost grows with the logarithm of
//! its slices. Blocks are no state: a checkpoint knows nothing of them, and they are made again from the slices.
//! Which there are follows from the keys of the slices alone, so that sums of floating point are rounded alike
//! after a restart.

use std::collections::BTreeMap;

use nowcast_engine::{Millis, Result};

use crate::groups::{GroupPlan, Groups};

/// Windows of fewer slices are merged slice by slice.
const SLICES_MIN: usize = 12;

/// The share of the keys of its halves that a block may have: slices with few keys in common cost as much to merge as
/// their block does. With half of them at each level all blocks together take no more than the slices.
const SHARE_MAX: f64 = 0.6;

const LEVEL_MAX: u32 = 32;

/// Blocks of `2^level` slices by level and number; the slices are told apart by their last end.
pub(crate) struct Merged {
    step_ms: i64,
    blocks: BTreeMap<(u32, i64), Block>,
}

struct Block {
    /// The last ends of the slices in it.
    lasts: Vec<Millis>,
    /// `None`: it does not pay.
    groups: Option<Groups>,
}

/// A slice as a window sees it.
pub(crate) type Part<'a> = (Millis, &'a Groups);

impl Merged {
    pub fn new(step_ms: i64) -> Self {
        Self { step_ms, blocks: BTreeMap::new() }
    }

    /// The rows of a slice have changed.
    pub fn touch(&mut self, last: Millis) {
        let Some(((top, _), _)) = self.blocks.last_key_value() else { return };
        let (top, cell) = (*top, self.cell(last));
        for level in 1..=top {
            self.blocks.remove(&(level, cell >> level));
        }
    }

    /// Adds slices, in order of time, to the groups of a window that ends at `end`.
    pub fn merge(
        &mut self,
        plan: &GroupPlan,
        end: Millis,
        slices: &[Part],
        whole: &mut Groups,
    ) -> Result<()> {
        if slices.len() < SLICES_MIN || !plan.is_small() {
            self.blocks.clear();
            return slices.iter().try_for_each(|(_, groups)| whole.merge(groups));
        }
        let ended = self.cell(end);
        self.blocks.retain(|(level, number), _| number << level > ended);
        let behind = self.cell(slices[slices.len() - 1].0) + 1;
        let mut at = self.cell(slices[0].0);
        while at < behind {
            let mut level = at.trailing_zeros().min(LEVEL_MAX);
            while level > 0 && at + (1 << level) > behind {
                level -= 1;
            }
            self.add(plan, self.within(slices, level, at >> level), (level, at >> level), whole)?;
            at += 1 << level;
        }
        Ok(())
    }

    /// Bytes of memory that blocks take, about.
    pub fn bytes(&self) -> usize {
        self.blocks.values().filter_map(|block| block.groups.as_ref()).map(Groups::bytes).sum()
    }

    fn cell(&self, last: Millis) -> i64 {
        last.div_euclid(self.step_ms)
    }

    /// Those of the slices that lie in a block.
    fn within<'a, 'b>(&self, slices: &'b [Part<'a>], level: u32, number: i64) -> &'b [Part<'a>] {
        let (first, behind) = (number << level, (number + 1) << level);
        let from = slices.partition_point(|(last, _)| self.cell(*last) < first);
        let to = slices.partition_point(|(last, _)| self.cell(*last) < behind);
        &slices[from..to]
    }

    /// Adds the slices at a place, as their block where it pays.
    fn add(
        &mut self,
        plan: &GroupPlan,
        slices: &[Part],
        place: (u32, i64),
        whole: &mut Groups,
    ) -> Result<()> {
        if let [] | [_] = slices {
            return slices.iter().try_for_each(|(_, groups)| whole.merge(groups));
        }
        self.make(plan, slices, place)?;
        match &self.blocks[&place].groups {
            Some(groups) => whole.merge(groups),
            None => {
                let (level, number) = (place.0 - 1, 2 * place.1);
                [number, number + 1].into_iter().try_for_each(|half| {
                    self.add(plan, self.within(slices, level, half), (level, half), whole)
                })
            }
        }
    }

    /// Makes the block of several slices, unless it is there.
    fn make(&mut self, plan: &GroupPlan, slices: &[Part], place: (u32, i64)) -> Result<()> {
        let is_whole = |block: &Block| block.lasts.iter().eq(slices.iter().map(|(last, _)| last));
        if self.blocks.get(&place).is_some_and(is_whole) {
            return Ok(());
        }
        let (level, number) = (place.0 - 1, 2 * place.1);
        let (mut merged, mut keys) = (Some(Groups::new(plan)?), 0);
        for half in [number, number + 1] {
            let part = match self.within(slices, level, half) {
                [] => continue,
                [(_, one)] => Some(*one),
                parts => {
                    self.make(plan, parts, (level, half))?;
                    self.blocks[&(level, half)].groups.as_ref()
                }
            };
            match (&mut merged, part) {
                (Some(merged), Some(part)) => {
                    keys += part.len();
                    merged.merge(part)?;
                }
                // What is made of halves that do not pay does not.
                _ => merged = None,
            }
        }
        let groups = merged.filter(|merged| merged.len() as f64 <= SHARE_MAX * keys as f64);
        let lasts = slices.iter().map(|(last, _)| *last).collect();
        self.blocks.insert(place, Block { lasts, groups });
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first error")]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use nowcast_engine::Output;

    use super::*;
    use crate::aggregate::{AggregateCall, AggregateFunction};
    use crate::groups::Arriving;
    use crate::window::Span;

    /// SUM without keys.
    fn plan() -> GroupPlan {
        let field = |name: &str| Field::new(name, DataType::Int64, true);
        let output = ["sum", "start", "end", "time"].map(field).to_vec();
        let sum = AggregateCall {
            function: AggregateFunction::Sum,
            args: vec![0],
            distinct: false,
            filter: None,
            output: DataType::Int64,
        };
        let input = Arc::new(Schema::new(vec![field("value")]));
        GroupPlan::new(&[], &[sum], &input, &Arc::new(Schema::new(output))).unwrap()
    }

    fn add(plan: &GroupPlan, groups: &mut Groups, value: i64) {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![value]));
        let rows = RecordBatch::try_from_iter([("value", column)]).unwrap();
        groups.update(plan, &Arriving::new(plan, &rows).unwrap(), vec![0]).unwrap();
    }

    fn sum(plan: &GroupPlan, merged: &mut Merged, end: Millis, slices: &[Groups]) -> i64 {
        let parts: Vec<Part> = (1_i64..).map(|nth| end + nth * 10).zip(slices).collect();
        let (mut whole, mut out) = (Groups::new(plan).unwrap(), Output::default());
        merged.merge(plan, end, &parts, &mut whole).unwrap();
        whole.emit(plan, Span { start: 0, end }, end - 1, &mut out).unwrap();
        out.take_batches()[0].column(0).as_primitive::<Int64Type>().value(0)
    }

    #[test]
    fn blocks_are_kept_between_windows_and_made_anew_when_a_slice_changes() {
        let (plan, mut merged) = (plan(), Merged::new(10));
        let slices = (0..100).map(|value| {
            let mut groups = Groups::new(&plan).unwrap();
            add(&plan, &mut groups, value);
            groups
        });
        let mut slices: Vec<Groups> = slices.collect();
        // The slice at 0 has its last end at 10.
        for first in 0..60 {
            let expected = (first..first + 40).sum::<usize>() as i64;
            assert_eq!(
                sum(&plan, &mut merged, first as i64 * 10, &slices[first..first + 40]),
                expected
            );
        }
        // Cells 61 to 99 end at 620 to 1000: of a pair there are blocks, and one of 32 slices of them all.
        assert!(merged.blocks.len() > 20 && merged.blocks.contains_key(&(5, 2)));
        add(&plan, &mut slices[80], 1_000);
        merged.touch(810);
        assert!(!merged.blocks.contains_key(&(5, 2)) && merged.blocks.contains_key(&(1, 33)));
        let expected = (60..100).sum::<i64>() + 1_000;
        assert_eq!(sum(&plan, &mut merged, 600, &slices[60..100]), expected);
    }
}
