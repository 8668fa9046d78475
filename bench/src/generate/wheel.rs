//! A timing wheel: what is due next among hundreds of thousands of open sessions, without a heap's walks through memory.

/// A bucket spans 2^10 ms, about a second.
const SPAN_BITS: u32 = 10;
/// 4.6 hours: more than the longest title and the longest pause together.
const BUCKETS: usize = 1 << 14;

/// Slots by the time at which they are due; ties in order of slot.
pub(super) struct Wheel {
    /// Number of the bucket that `current` holds, counted from 1970.
    at: i64,
    /// Sorted, the first due last.
    current: Vec<(i64, u32)>,
    buckets: Vec<Vec<(i64, u32)>>,
}

impl Wheel {
    pub(super) fn new(start_ms: i64) -> Self {
        Self { at: start_ms >> SPAN_BITS, current: Vec::new(), buckets: vec![Vec::new(); BUCKETS] }
    }

    /// Adds a slot that is due at `ms`: not before the latest popped, and at most 4 hours after.
    pub(super) fn push(&mut self, ms: i64, slot: u32) {
        let ahead = (ms >> SPAN_BITS) - self.at;
        assert!(ahead < BUCKETS as i64, "due beyond the wheel");
        if ahead <= 0 {
            let place = self.current.partition_point(|&other| other > (ms, slot));
            self.current.insert(place, (ms, slot));
        } else {
            self.buckets[Self::bucket(self.at + ahead)].push((ms, slot));
        }
    }

    /// Takes the first slot that is due before `end_ms`, with its time. Slots may be added from `end_ms` on after `None`.
    pub(super) fn pop_before(&mut self, end_ms: i64) -> Option<(i64, u32)> {
        loop {
            if let Some(first) = self.current.pop_if(|first| first.0 < end_ms) {
                return Some(first);
            }
            if !self.current.is_empty() || (self.at + 1) << SPAN_BITS >= end_ms {
                return None;
            }
            self.at += 1;
            std::mem::swap(&mut self.current, &mut self.buckets[Self::bucket(self.at)]);
            self.current.sort_unstable_by(|a, b| b.cmp(a));
        }
    }

    fn bucket(number: i64) -> usize {
        number.rem_euclid(BUCKETS as i64) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn it_pops_what_a_heap_would() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let (mut wheel, mut heap) = (Wheel::new(-5_000), BinaryHeap::new());
        let mut end_ms = -5_000_i64;
        for slot in 0..20_000 {
            let ms =
                end_ms + random.random_range(0..if slot % 3 == 0 { 14_000_000 } else { 3_000 });
            wheel.push(ms, slot);
            heap.push(Reverse((ms, slot)));
            end_ms += random.random_range(0..2_000);
            while let Some(first) = wheel.pop_before(end_ms) {
                assert_eq!(heap.pop(), Some(Reverse(first)));
            }
            assert!(heap.peek().is_none_or(|first| first.0.0 >= end_ms));
        }
    }
}
