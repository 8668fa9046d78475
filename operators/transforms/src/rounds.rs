//! Rows cut into rounds: within one, each partition has one row, or one set of peers. So functions
//! work on columns, a round at a time, and still see the rows of a partition one after the other.

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::{concat, take};
use nowcast_engine::{Millis, Result};

/// Remembers between batches how long its marks are, and which of them are of this batch.
pub(crate) struct RoundsBuilder {
    /// Whether rows of one time are peers.
    peers: bool,
    marks: Vec<Mark>,
    batch: u64,
}

/// The last row of a slot.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    batch: u64,
    round: u32,
    time: Millis,
}

pub(crate) struct Rounds {
    /// Rows by round, in order within each.
    rows: Vec<u32>,
    /// One past the last row of each round.
    ends: Vec<usize>,
}

impl RoundsBuilder {
    pub fn new(peers: bool) -> Self {
        Self { peers, marks: vec![], batch: 0 }
    }

    /// `times` is empty where there are none: then no rows are peers.
    pub fn cut(&mut self, slots: &[u32], slots_len: usize, times: &[Millis]) -> Rounds {
        self.batch += 1;
        self.marks.resize(slots_len.max(self.marks.len()), Mark::default());
        let mut round_of = Vec::with_capacity(slots.len());
        let mut ends: Vec<usize> = vec![];
        for (row, slot) in slots.iter().enumerate() {
            let mark = &mut self.marks[*slot as usize];
            let time = times.get(row).copied();
            let round = match mark.batch == self.batch {
                false => 0,
                true if self.peers && time == Some(mark.time) => mark.round,
                true => mark.round + 1,
            };
            *mark = Mark { batch: self.batch, round, time: time.unwrap_or_default() };
            round_of.push(round as usize);
            if round as usize >= ends.len() {
                ends.resize(round as usize + 1, 0);
            }
            ends[round as usize] += 1;
        }
        let mut start = 0;
        for end in &mut ends {
            start += std::mem::replace(end, start);
        }
        let mut rows = vec![0; slots.len()];
        for (row, round) in round_of.into_iter().enumerate() {
            rows[ends[round]] = row as u32;
            ends[round] += 1;
        }
        Rounds { rows, ends }
    }
}

impl Rounds {
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        self.ends.iter().enumerate().map(|(round, end)| {
            let start = if round == 0 { 0 } else { self.ends[round - 1] };
            &self.rows[start..*end]
        })
    }

    /// Columns with the rows of one round each, put together in the order of the rows.
    pub fn assemble(&self, columns: &[ArrayRef]) -> Result<ArrayRef> {
        if let [one] = columns {
            return Ok(one.clone());
        }
        let columns: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
        let mut position = vec![0; self.rows.len()];
        for (nth, row) in self.rows.iter().enumerate() {
            position[*row as usize] = nth as u32;
        }
        Ok(take(&concat(&columns)?, &UInt32Array::from(position), None)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(peers: bool, slots: &[u32], times: &[Millis]) -> Vec<Vec<u32>> {
        let mut builder = RoundsBuilder::new(peers);
        builder.cut(&[0, 0, 1], 2, &[]);
        builder.cut(slots, 3, times).iter().map(<[u32]>::to_vec).collect()
    }

    #[test]
    fn a_partition_is_once_in_a_round() {
        let slots = [0, 1, 0, 2, 0, 1];
        assert_eq!(rounds(false, &slots, &[]), [vec![0, 1, 3], vec![2, 5], vec![4]]);
    }

    #[test]
    fn peers_share_a_round() {
        let slots = [0, 1, 0, 0, 1];
        let times = [1, 1, 1, 2, 2];
        assert_eq!(rounds(true, &slots, &times), [vec![0, 1, 2], vec![3, 4]]);
        assert_eq!(rounds(false, &slots, &times), [vec![0, 1], vec![2, 4], vec![3]]);
    }
}
