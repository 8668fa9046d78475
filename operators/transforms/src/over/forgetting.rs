//! When what is kept of a partition goes.

use nowcast_engine::Millis;

use super::{Frame, OverFunction, OverOrder, OverSpec};
use crate::expiry::Expiry;

/// A partition that is aggregated over a stretch of time goes between one stretch and one and a half behind its last
/// row, as Flink has it: one and a half behind a row, which counts also for those that come within half of one
/// after it. Others go when none of their rows has come for the time to live. Rows that wait keep their partition.
pub(super) struct Forgetting {
    by: By,
    /// Half of the stretch.
    half_ms: Millis,
    expiry: Expiry,
    /// By slot, its rows that wait.
    waiting: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Nothing,
    /// The wall clock.
    Clock,
    /// The times of rows: those of the event or, where rows go by their arrival, of the clock then.
    Rows(OverOrder),
}

impl Forgetting {
    pub fn new(spec: &OverSpec) -> Self {
        // The value some rows before is kept whatever the frame.
        let aggregates = |function: &OverFunction| matches!(function, OverFunction::Aggregate(_));
        let (by, half_ms, kept_ms) = match (spec.frame, spec.ttl_ms) {
            (Frame::Range { preceding_ms: Some(reach) }, _)
                if spec.functions.iter().all(aggregates) =>
            {
                let kept_ms = reach.saturating_add(reach / 2).saturating_add(1);
                (By::Rows(spec.order), reach / 2, Some(kept_ms))
            }
            (_, None) => (By::Nothing, 0, None),
            (_, ttl_ms) => (By::Clock, 0, ttl_ms),
        };
        Self { by, half_ms, expiry: Expiry::new(kept_ms), waiting: vec![] }
    }

    pub fn forgets(&self) -> bool {
        self.by != By::Nothing
    }

    /// Whether the watermark decides, and not the clock.
    pub fn goes_by_watermark(&self) -> bool {
        matches!(self.by, By::Rows(OverOrder::EventTime(_)))
    }

    /// Rows of these slots have come, with these times where a frame asks for them.
    pub fn came(&mut self, slots: &[u32], times: &[Millis]) {
        match self.by {
            By::Nothing => {}
            By::Clock => slots.iter().for_each(|slot| self.expiry.touch(*slot)),
            By::Rows(_) => {
                for (slot, time) in slots.iter().zip(times) {
                    let counts = match self.expiry.knows(*slot) {
                        true => self.expiry.written(*slot).saturating_add(self.half_ms) < *time,
                        false => true,
                    };
                    if counts {
                        self.expiry.touch_at(*slot, *time);
                    }
                }
            }
        }
    }

    /// As [`Forgetting::came`], of rows that had come by the time of a checkpoint. It tells itself what the clock
    /// decides on.
    pub fn had_come(&mut self, slots: &[u32], times: &[Millis]) {
        if self.by != By::Clock {
            self.came(slots, times);
        }
    }

    /// A row of this slot waits.
    pub fn waits(&mut self, slot: u32) {
        if self.forgets() {
            let slots = self.waiting.len().max(slot as usize + 1);
            self.waiting.resize(slots, 0);
            self.waiting[slot as usize] += 1;
        }
    }

    /// Rows of these slots wait no more.
    pub fn answered(&mut self, slots: &[u32]) {
        for slot in slots {
            if let Some(waiting) = self.waiting.get_mut(*slot as usize) {
                *waiting = waiting.saturating_sub(1);
            }
        }
    }

    /// The slots whose time is over, and those that begin anew, for rows of theirs wait.
    pub fn over(&mut self, now: Millis) -> (Vec<u32>, Vec<u32>) {
        let waits = |slot: &u32| self.waiting.get(*slot as usize).is_some_and(|rows| *rows > 0);
        let (anew, over): (Vec<u32>, Vec<u32>) =
            self.expiry.advance(now).into_iter().partition(waits);
        anew.iter().for_each(|slot| self.expiry.touch(*slot));
        (over, anew)
    }

    /// What the age of a slot counts from.
    pub fn written(&self, slot: u32) -> Millis {
        self.expiry.written(slot)
    }

    /// What [`Forgetting::written`] told.
    pub fn was_written(&mut self, slot: u32, at: Millis) {
        self.expiry.touch_at(slot, at);
    }

    /// These are the slots of a checkpoint that was loaded; those that it does not tell the age of are as of now.
    pub fn loaded(&mut self, slots: impl Iterator<Item = u32>) -> Vec<u32> {
        let new: Vec<u32> =
            slots.filter(|slot| self.forgets() && !self.expiry.knows(*slot)).collect();
        new.iter().for_each(|slot| self.expiry.touch(*slot));
        new
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.expiry.bytes() + size_of_val(self.waiting.as_slice())
    }
}
