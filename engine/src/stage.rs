//! One worker's copy of a node: its input channels, their watermarks and barriers.
//!
//! A stage has one channel a forward input and one channel a worker for each exchanged input. It
//! moves in event time with the channel that is furthest behind, and takes its part of a checkpoint
//! when the barrier has come on all channels; a channel that is ahead waits until then.

use std::collections::VecDeque;

use crate::exchange::Element;
use crate::operator::Epoch;
use crate::time::{Millis, TIME_MIN};

struct Channel {
    port: usize,
    watermark: Millis,
    idle: bool,
    ended: bool,
    barrier: bool,
}

/// What an element means to the stage as a whole.
#[derive(Debug)]
pub(crate) enum Step {
    Rows {
        port: usize,
        element: Element,
    },
    /// Event time has come this far.
    Advance(Millis),
    Idle,
    /// The barrier has come on all channels.
    Aligned(Epoch),
    /// All channels have ended.
    Ended,
}

pub(crate) struct Inputs {
    channels: Vec<Channel>,
    watermark: Millis,
    idle: bool,
    ended: bool,
    aligning: Option<Epoch>,
    held: VecDeque<(usize, Element)>,
}

impl Inputs {
    /// `ports` names the port of each channel.
    pub fn new(ports: Vec<usize>) -> Self {
        let channel =
            |port| Channel { port, watermark: TIME_MIN, idle: false, ended: false, barrier: false };
        Self {
            channels: ports.into_iter().map(channel).collect(),
            watermark: TIME_MIN,
            idle: false,
            ended: false,
            aligning: None,
            held: VecDeque::new(),
        }
    }

    pub fn watermark(&self) -> Millis {
        self.watermark
    }

    /// Goes on from a checkpoint: event time does not step back behind it.
    pub fn restore(&mut self, watermark: Millis) {
        self.watermark = watermark;
    }

    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Elements that wait for a barrier on another channel.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Takes an element in; what follows from it for the stage goes into `steps`.
    pub fn accept(&mut self, channel: usize, element: Element, steps: &mut Vec<Step>) {
        if self.aligning.is_some() && self.channels[channel].barrier {
            self.held.push_back((channel, element));
            return;
        }
        let state = &mut self.channels[channel];
        match element {
            Element::Rows(_) => {
                state.idle = false;
                steps.push(Step::Rows { port: state.port, element });
            }
            Element::Watermark(watermark) => {
                state.idle = false;
                state.watermark = state.watermark.max(watermark);
                self.advance(steps);
            }
            Element::Idle => {
                state.idle = true;
                self.advance(steps);
            }
            Element::Barrier(epoch) => {
                state.barrier = true;
                self.aligning = Some(epoch);
                self.align(steps);
            }
            Element::End => {
                state.ended = true;
                self.align(steps);
                self.end(steps);
            }
        }
    }

    /// Elements that waited for the barrier, to be taken in again before any other.
    pub fn release(&mut self) -> VecDeque<(usize, Element)> {
        std::mem::take(&mut self.held)
    }

    fn advance(&mut self, steps: &mut Vec<Step>) {
        let live = self.channels.iter().filter(|channel| !channel.idle);
        let Some(least) = live.map(|channel| channel.watermark).min() else {
            if !self.idle {
                self.idle = true;
                steps.push(Step::Idle);
            }
            return;
        };
        // A channel that comes back from idleness tells those behind by the next watermark.
        let returned = std::mem::take(&mut self.idle);
        if least > self.watermark {
            self.watermark = least;
            steps.push(Step::Advance(least));
        } else if returned && self.watermark > TIME_MIN {
            steps.push(Step::Advance(self.watermark));
        }
    }

    fn align(&mut self, steps: &mut Vec<Step>) {
        let Some(epoch) = self.aligning else { return };
        if self.channels.iter().all(|channel| channel.barrier || channel.ended) {
            self.aligning = None;
            self.channels.iter_mut().for_each(|channel| channel.barrier = false);
            steps.push(Step::Aligned(epoch));
        }
    }

    fn end(&mut self, steps: &mut Vec<Step>) {
        if !self.ended && self.channels.iter().all(|channel| channel.ended) {
            self.ended = true;
            steps.push(Step::Ended);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::TIME_MAX;

    fn steps(inputs: &mut Inputs, channel: usize, element: Element) -> String {
        let mut steps = vec![];
        inputs.accept(channel, element, &mut steps);
        format!("{steps:?}")
    }

    #[test]
    fn time_moves_with_the_slowest_channel_that_is_not_idle() {
        let mut inputs = Inputs::new(vec![0, 1]);
        assert_eq!(steps(&mut inputs, 0, Element::Watermark(10)), "[]");
        assert_eq!(steps(&mut inputs, 1, Element::Watermark(4)), "[Advance(4)]");
        assert_eq!(steps(&mut inputs, 1, Element::Idle), "[Advance(10)]");
        assert_eq!(steps(&mut inputs, 1, Element::Watermark(5)), "[]");
        assert_eq!(inputs.watermark(), 10);
    }

    #[test]
    fn a_channel_ahead_of_the_barrier_waits() {
        let mut inputs = Inputs::new(vec![0, 0]);
        assert_eq!(steps(&mut inputs, 0, Element::Barrier(1)), "[]");
        assert_eq!(steps(&mut inputs, 0, Element::Watermark(7)), "[]");
        assert_eq!(inputs.held(), 1);
        assert_eq!(steps(&mut inputs, 1, Element::Watermark(5)), "[]");
        assert_eq!(steps(&mut inputs, 1, Element::Barrier(1)), "[Aligned(1)]");
        let (channel, element) = inputs.release().pop_front().unwrap();
        assert_eq!(steps(&mut inputs, channel, element), "[Advance(5)]");
    }

    #[test]
    fn an_ended_channel_needs_no_barrier() {
        let mut inputs = Inputs::new(vec![0, 0]);
        assert_eq!(steps(&mut inputs, 0, Element::Barrier(3)), "[]");
        assert_eq!(steps(&mut inputs, 1, Element::Watermark(TIME_MAX)), "[]");
        assert_eq!(steps(&mut inputs, 1, Element::End), "[Aligned(3)]");
        assert_eq!(steps(&mut inputs, 0, Element::End), "[Ended]");
    }
}
