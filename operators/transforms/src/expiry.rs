//! State that is forgotten when it has not been written for a while (`table.exec.state.ttl`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use nowcast_engine::Millis;
use nowcast_engine::time::{TIME_MAX, TIME_MIN};

/// When slots were last written, by the wall clock as the worker tells it.
pub(crate) struct Expiry {
    /// `None`: slots are kept forever.
    ttl_ms: Option<i64>,
    now: Millis,
    /// By slot; [`TIME_MAX`] where the slot is free.
    written: Vec<Millis>,
    /// At most one entry a slot: when it was written, or earlier.
    queue: BinaryHeap<Reverse<(Millis, u32)>>,
    /// By slot.
    queued: Vec<bool>,
}

impl Expiry {
    pub fn new(ttl_ms: Option<i64>) -> Self {
        Self { ttl_ms, now: TIME_MIN, written: vec![], queue: BinaryHeap::new(), queued: vec![] }
    }

    /// The slot is written now.
    pub fn touch(&mut self, slot: u32) {
        self.touch_at(slot, self.now);
    }

    /// The slot was written then.
    pub fn touch_at(&mut self, slot: u32, written: Millis) {
        if self.ttl_ms.is_none() {
            return;
        }
        let slots = self.written.len().max(slot as usize + 1);
        self.written.resize(slots, TIME_MAX);
        self.queued.resize(slots, false);
        self.written[slot as usize] = written;
        if !std::mem::replace(&mut self.queued[slot as usize], true) {
            self.queue.push(Reverse((written, slot)));
        }
    }

    /// Whether the slot was written, and is not free since.
    pub fn knows(&self, slot: u32) -> bool {
        self.written.get(slot as usize).is_some_and(|written| *written != TIME_MAX)
    }

    /// When the slots were written: belongs to their state.
    pub fn written(&self, slot: u32) -> Millis {
        self.written.get(slot as usize).copied().unwrap_or(TIME_MIN)
    }

    /// The clock moves on; the slots whose time is over, ascending. They are free then.
    pub fn advance(&mut self, now: Millis) -> Vec<u32> {
        let Some(ttl) = self.ttl_ms else { return vec![] };
        let first = self.now == TIME_MIN;
        self.now = self.now.max(now);
        let mut expired = vec![];
        while let Some(Reverse((queued, slot))) = self.queue.peek().copied()
            && queued.saturating_add(ttl) <= self.now
        {
            self.queue.pop();
            self.queued[slot as usize] = false;
            let written = &mut self.written[slot as usize];
            // What was written before the clock was first told counts as written then.
            if first && *written == TIME_MIN {
                *written = self.now;
            }
            match *written {
                TIME_MAX => {}
                written if written.saturating_add(ttl) > self.now => {
                    self.queue.push(Reverse((written, slot)));
                    self.queued[slot as usize] = true;
                }
                _ => {
                    *written = TIME_MAX;
                    expired.push(slot);
                }
            }
        }
        expired.sort_unstable();
        expired
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        let queue = self.queue.capacity() * size_of::<Reverse<(Millis, u32)>>();
        self.written.capacity() * size_of::<Millis>() + self.queued.capacity() + queue
    }

    /// The slot is free.
    pub fn forget(&mut self, slot: u32) {
        // Its entry stays in the queue, for whoever gets the slot next.
        if let Some(written) = self.written.get_mut(slot as usize) {
            *written = TIME_MAX;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_expires_when_it_has_been_quiet() {
        let mut expiry = Expiry::new(Some(10));
        expiry.touch(0);
        assert_eq!(expiry.advance(100), [0u32; 0]); // counts as written at 100
        expiry.touch(1);
        assert_eq!(expiry.advance(105), [0u32; 0]);
        expiry.touch(0);
        assert_eq!(expiry.advance(110), [1]);
        expiry.forget(0);
        expiry.touch(0);
        assert_eq!(expiry.advance(119), [0u32; 0]);
        assert_eq!(expiry.advance(120), [0]);
        assert_eq!(Expiry::new(None).advance(1), [0u32; 0]);
    }
}
