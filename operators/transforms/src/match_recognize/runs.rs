//! The runs of one partition through the automaton, and which matches they come to.

use nowcast_engine::{Error, Millis, Result};

use super::paths::{Paths, StepId};
use super::pattern::{Automaton, FINAL, StateId, Truth};
use super::queue::Queue;
use crate::aggregate::Place;

/// Where the search goes on after a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Skip {
    PastLastRow,
    ToNextRow,
    /// To the first row of a variable.
    ToFirst(usize),
    /// To the last row of a variable.
    ToLast(usize),
}

/// What the runs of all partitions go by.
pub struct Rules {
    pub automaton: Automaton,
    pub skip: Skip,
    pub within_ms: Option<i64>,
    /// Whether of two runs in one state the later one comes to nothing: then both go the same ways
    /// from there, and the match of the earlier one displaces that of the later.
    pub earliest_counts: bool,
}

/// A way through the automaton so far.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    pub state: StateId,
    /// `None`: it waits for its first row.
    pub taken: Option<Taken>,
}

/// The rows of a run.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    pub last: StepId,
    /// Number and time of the first row.
    pub arrival: u64,
    pub time: Millis,
}

impl Run {
    pub fn began(&self) -> u64 {
        self.taken.map_or(u64::MAX, |taken| taken.arrival)
    }

    pub fn last(&self) -> Option<StepId> {
        self.taken.map(|taken| taken.last)
    }
}

/// A match that counts, by its last row, which it holds.
pub struct Found {
    pub last: StepId,
    /// When it came to count: the time of the row, or of the end of a run that had begun before it.
    pub time: Millis,
    /// The row among those at hand; `None`: no row, the time.
    pub row: Option<u32>,
}

/// A row at hand.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub place: Place,
    pub time: Millis,
    pub position: u32,
}

/// What one partition keeps.
///
/// A match waits while a run that began before it goes on: only the earliest of those that overlap
/// counts.
pub struct Partition {
    partial: Queue,
    complete: Queue,
    arrived: u64,
}

impl Partition {
    pub fn new(start: StateId) -> Self {
        Self::restored(vec![Run { state: start, taken: None }], vec![], 0)
    }

    /// Runs in the order that [`Partition::partial`] and [`Partition::complete`] gave.
    pub fn restored(partial: Vec<Run>, complete: Vec<Run>, arrived: u64) -> Self {
        Self { partial: Queue::restored(partial), complete: Queue::restored(complete), arrived }
    }

    pub fn partial(&self) -> impl Iterator<Item = &Run> {
        self.partial.iter()
    }

    pub fn complete(&self) -> impl Iterator<Item = &Run> {
        self.complete.iter()
    }

    /// Whether no row is kept.
    pub fn is_idle(&self) -> bool {
        self.complete.len() == 0 && self.partial().all(|run| run.taken.is_none())
    }

    /// Takes a row. `truths` are by run, in the order of [`Partition::partial`]. Returns whether a
    /// run began.
    pub fn advance(
        &mut self,
        row: Row,
        truths: &[Truth],
        rules: &Rules,
        paths: &mut Paths,
        found: &mut Vec<Found>,
    ) -> Result<bool> {
        let arrival = self.arrived;
        self.arrived += 1;
        if let (Some(Run { state, taken: None }), [truth]) = (self.partial.first(), truths)
            && rules.automaton.takings(*state, *truth).next().is_none()
        {
            return Ok(false);
        }
        let mut began = false;
        let mut complete = Queue::default();
        for (run, truth) in std::mem::take(&mut self.partial).into_runs().into_iter().zip(truths) {
            for taking in rules.automaton.takings(run.state, *truth) {
                let last = paths.add(run.last(), taking.variable, arrival, row.place);
                let taken = match run.taken {
                    Some(taken) => Taken { last, ..taken },
                    None => Taken { last, arrival, time: row.time },
                };
                began |= run.taken.is_none();
                let ends = taking.may_end.then_some(FINAL);
                for state in std::iter::once(taking.target).chain(ends) {
                    paths.hold(last);
                    let run = Run { state, taken: Some(taken) };
                    match state {
                        FINAL => complete.push(run),
                        _ => self.partial.push(run),
                    }
                }
            }
            match run.taken {
                Some(taken) => paths.release(Some(taken.last)),
                None => self.partial.push(run),
            }
        }
        complete.into_runs().into_iter().for_each(|run| self.complete.push(run));
        self.settle(row.time, Some(row.position), rules.skip, paths, found)?;
        if rules.earliest_counts {
            self.keep_earliest(paths);
        }
        Ok(began)
    }

    /// Ends the runs that have become too long at `time`.
    pub fn expire(
        &mut self,
        time: Millis,
        rules: &Rules,
        paths: &mut Paths,
        found: &mut Vec<Found>,
    ) -> Result<()> {
        let Some(within_ms) = rules.within_ms else { return Ok(()) };
        while let Some(Run { taken: Some(first), .. }) = self.partial.first().copied()
            && time - first.time >= within_ms
        {
            for run in std::mem::take(&mut self.partial).into_runs() {
                match run.began() == first.arrival {
                    true => paths.release(run.last()),
                    false => self.partial.push(run),
                }
            }
            self.settle(first.time + within_ms, None, rules.skip, paths, found)?;
        }
        Ok(())
    }

    /// Keeps the earliest run of each state. A match that waits may still displace the earliest run
    /// alone: then all stay.
    fn keep_earliest(&mut self, paths: &mut Paths) {
        if self.complete.len() > 0 {
            return;
        }
        let runs: Vec<(StateId, u64)> =
            self.partial().map(|run| (run.state, run.began())).collect();
        let is_later = |run: &Run| {
            runs.iter().any(|(state, began)| *state == run.state && *began < run.began())
        };
        self.partial.remove(is_later).iter().for_each(|run| paths.release(run.last()));
    }

    /// Lets the matches count that no earlier run can displace any more, and ends the runs that they
    /// displace.
    fn settle(
        &mut self,
        time: Millis,
        row: Option<u32>,
        skip: Skip,
        paths: &mut Paths,
        found: &mut Vec<Found>,
    ) -> Result<()> {
        while let Some(first) = self.complete.first()
            && self.partial.first().is_none_or(|run| first.began() <= run.began())
        {
            let Some(Run { taken: Some(taken), .. }) = self.complete.pop() else { break };
            let until = skipped_until(taken, skip, paths)?;
            for queue in [&mut self.partial, &mut self.complete] {
                let displaced = queue.remove(|run| run.began() < until);
                displaced.iter().for_each(|run| paths.release(run.last()));
            }
            found.push(Found { last: taken.last, time, row });
        }
        Ok(())
    }
}

/// The number of the first row with which a further match may begin.
fn skipped_until(taken: Taken, skip: Skip, paths: &Paths) -> Result<u64> {
    let of = |variable| {
        let steps = paths.back(Some(taken.last)).filter(move |step| step.variable == variable);
        steps.map(|step| step.arrival)
    };
    let to = match skip {
        Skip::PastLastRow => return Ok(paths.step(taken.last).arrival + 1),
        Skip::ToNextRow => return Ok(taken.arrival + 1),
        Skip::ToFirst(variable) => of(variable).min(),
        Skip::ToLast(variable) => of(variable).max(),
    };
    match to {
        Some(to) if to > taken.arrival => Ok(to),
        Some(_) => {
            Err(Error::user("AFTER MATCH SKIP leads to the first row of a match, and so nowhere"))
        }
        None => Err(Error::user("AFTER MATCH SKIP leads to a variable without rows in a match")),
    }
}
