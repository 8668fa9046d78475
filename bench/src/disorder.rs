//! Seeded delays: turns events in event-time order into the order in which they would arrive.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1};

use crate::Event;

/// How long events travel, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delays {
    /// Every delay from 0 to the bound is equally likely.
    Uniform { bound_ms: u64 },
    /// Exponential with the mean given, cut at the bound.
    Exponential { mean_ms: u64, bound_ms: u64 },
    /// Mobile and television clients: exponential with a share that is slow (uniform to the bound) and a share that was
    /// off line for a while (uniform over `late_ms`, beyond any sensible watermark).
    Clients { mean_ms: u64, bound_ms: u64, slow_share: f64, late_share: f64, late_ms: (u64, u64) },
}

impl Delays {
    fn sample(&self, random: &mut ChaCha8Rng) -> u64 {
        let exponential = |random: &mut ChaCha8Rng, mean_ms: u64, bound_ms: u64| {
            let delay: f64 = Exp1.sample(random);
            ((delay * mean_ms as f64) as u64).min(bound_ms)
        };
        match *self {
            Self::Uniform { bound_ms } => random.random_range(0..=bound_ms),
            Self::Exponential { mean_ms, bound_ms } => exponential(random, mean_ms, bound_ms),
            Self::Clients { mean_ms, bound_ms, slow_share, late_share, late_ms } => {
                let kind: f64 = random.random();
                if kind < late_share {
                    random.random_range(late_ms.0..=late_ms.1)
                } else if kind < late_share + slow_share {
                    random.random_range(0..=bound_ms)
                } else {
                    exponential(random, mean_ms, bound_ms)
                }
            }
        }
    }
}

/// Yields the events of an event-time ordered iterator by time of arrival (event time + delay); ties keep their order.
///
/// With delays of at most `b`, no event comes more than `b` behind the largest event time seen before it, so a watermark
/// of `b` makes none late. Holds the events under way: about rate x delay of them.
pub struct Disorder<I: Iterator> {
    events: I,
    ahead: Option<I::Item>,
    delays: Delays,
    random: ChaCha8Rng,
    /// Time of arrival, number and slot of each event under way: small, since a heap moves what it holds.
    due: BinaryHeap<Reverse<(i64, u64, u32)>>,
    slots: Vec<Option<I::Item>>,
    free: Vec<u32>,
    sequence: u64,
}

impl<I> Disorder<I>
where
    I: Iterator,
    I::Item: Event,
{
    /// Delays `events`, which must come in event-time order, the same way for the same seed.
    pub fn new(events: I, delays: Delays, seed: u64) -> Self {
        let random = ChaCha8Rng::seed_from_u64(seed);
        let (due, slots, free) = (BinaryHeap::new(), Vec::new(), Vec::new());
        let mut disorder =
            Self { events, ahead: None, delays, random, due, slots, free, sequence: 0 };
        disorder.ahead = disorder.events.next();
        disorder
    }
}

impl<I> Iterator for Disorder<I>
where
    I: Iterator,
    I::Item: Event,
{
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        while let Some(event) = &self.ahead {
            let time_ms = event.event_time_ms();
            // An event not yet drawn cannot arrive before its own event time.
            if self.due.peek().is_some_and(|first| first.0.0 <= time_ms) {
                break;
            }
            let event = std::mem::replace(&mut self.ahead, self.events.next());
            debug_assert!(self.ahead.as_ref().is_none_or(|next| next.event_time_ms() >= time_ms));
            let slot = self.free.pop().unwrap_or_else(|| {
                self.slots.push(None);
                (self.slots.len() - 1) as u32
            });
            self.slots[slot as usize] = event;
            let arrival_ms = time_ms + self.delays.sample(&mut self.random) as i64;
            self.due.push(Reverse((arrival_ms, self.sequence, slot)));
            self.sequence += 1;
        }
        let Reverse((_, _, slot)) = self.due.pop()?;
        self.free.push(slot);
        self.slots[slot as usize].take()
    }
}
