//! Up to which time each partition has been answered: what a bounded frame goes by for late rows.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use nowcast_engine::Millis;
use nowcast_engine::time::TIME_MIN;

/// A row behind the watermark still counts, as Flink has it, where it is after all rows of its
/// partition that the watermark had passed: it is answered when the watermark moves on.
#[derive(Default)]
pub struct Answered {
    /// By slot.
    partitions: Vec<Partition>,
}

struct Partition {
    until: Millis,
    /// Rows not answered yet: their times, and the watermark behind which they came.
    waiting: BinaryHeap<Reverse<(Millis, Millis)>>,
}

impl Answered {
    pub fn resize(&mut self, slots_len: usize) {
        let new = || Partition { until: TIME_MIN, waiting: BinaryHeap::new() };
        self.partitions.resize_with(slots_len, new);
    }

    /// Whether a row can still be answered; then it waits. One before its own watermark always can:
    /// rows of other source partitions may have had a further watermark, which is not the operator's.
    /// One before 1970 never can: Flink takes its first millisecond for answered.
    pub fn admit(&mut self, slot: u32, time: Millis, watermark: Millis) -> bool {
        if time <= 0 {
            return false;
        }
        let partition = &mut self.partitions[slot as usize];
        let mut later = vec![];
        while let Some(Reverse((held, since))) = partition.waiting.peek().copied()
            && held <= watermark
        {
            partition.waiting.pop();
            match since < watermark {
                true => partition.until = partition.until.max(held),
                false => later.push(Reverse((held, since))),
            }
        }
        partition.waiting.extend(later);
        if time <= watermark && time <= partition.until {
            return false;
        }
        self.wait(slot, time, behind(time, watermark));
        true
    }

    /// A row waits that was admitted behind a watermark.
    pub fn wait(&mut self, slot: u32, time: Millis, since: Millis) {
        self.partitions[slot as usize].waiting.push(Reverse((time, since)));
    }

    /// The rows of a partition are answered up to `time`.
    pub fn answer(&mut self, slot: u32, time: Millis) {
        let partition = &mut self.partitions[slot as usize];
        partition.until = partition.until.max(time);
        while partition.waiting.peek().is_some_and(|Reverse((held, _))| *held <= time) {
            partition.waiting.pop();
        }
    }

    /// The partition is another one from now on.
    pub fn clear(&mut self, slot: u32) {
        if let Some(partition) = self.partitions.get_mut(slot as usize) {
            *partition = Partition { until: TIME_MIN, waiting: BinaryHeap::new() };
        }
    }

    /// Bytes of memory that it takes, about.
    pub fn bytes(&self) -> usize {
        size_of_val(self.partitions.as_slice())
    }

    pub fn until(&self, slot: u32) -> Millis {
        self.partitions[slot as usize].until
    }
}

/// The watermark that a row came behind; `TIME_MIN` where it came before the watermark.
pub fn behind(time: Millis, watermark: Millis) -> Millis {
    if time <= watermark { watermark } else { TIME_MIN }
}
