//! The rows of matches: each run holds the last row it took, each row the one taken before it, so
//! that runs share what they have in common.

use crate::aggregate::Place;

/// Position of a row taken.
pub type StepId = u32;

const NONE: u32 = u32::MAX;

/// A row taken by a variable.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub variable: usize,
    /// Number of the row in its partition.
    pub arrival: u64,
    pub place: Place,
    before: u32,
    /// Runs that end here and steps that come right after.
    holders: u32,
}

impl Step {
    pub fn before(&self) -> Option<StepId> {
        (self.before != NONE).then_some(self.before)
    }
}

/// Steps, forgotten as soon as nothing holds them.
#[derive(Default)]
pub struct Paths {
    steps: Vec<Step>,
    free: Vec<StepId>,
    /// Since [`Paths::take_added`]; some may be forgotten again.
    added: Vec<StepId>,
}

impl Paths {
    /// A step that nothing holds yet.
    pub fn add(
        &mut self,
        before: Option<StepId>,
        variable: usize,
        arrival: u64,
        place: Place,
    ) -> StepId {
        if let Some(before) = before {
            self.hold(before);
        }
        let before = before.unwrap_or(NONE);
        let step = Step { variable, arrival, place, before, holders: 0 };
        let id = match self.free.pop() {
            Some(free) => {
                self.steps[free as usize] = step;
                free
            }
            None => {
                self.steps.push(step);
                (self.steps.len() - 1) as StepId
            }
        };
        self.added.push(id);
        id
    }

    /// The steps that were added since the last call and are held.
    pub fn take_added(&mut self) -> Vec<StepId> {
        let mut added = std::mem::take(&mut self.added);
        added.sort_unstable();
        added.dedup();
        added.retain(|step| self.steps[*step as usize].holders > 0);
        added
    }

    pub fn hold(&mut self, step: StepId) {
        self.steps[step as usize].holders += 1;
    }

    pub fn release(&mut self, step: Option<StepId>) {
        let mut next = step;
        while let Some(step) = next {
            let held = &mut self.steps[step as usize];
            held.holders -= 1;
            if held.holders > 0 {
                return;
            }
            next = held.before();
            self.free.push(step);
        }
    }

    pub fn step(&self, step: StepId) -> &Step {
        &self.steps[step as usize]
    }

    /// From the last step to the first.
    pub fn back(&self, last: Option<StepId>) -> impl Iterator<Item = &Step> + '_ {
        std::iter::successors(last.map(|last| self.step(last)), |step| {
            step.before().map(|before| self.step(before))
        })
    }

    /// One more than the greatest step there has been.
    pub fn slots_len(&self) -> usize {
        self.steps.len()
    }

    /// Steps held.
    pub fn len(&self) -> usize {
        self.steps.len() - self.free.len()
    }

    /// Bytes of memory that they take, about.
    pub fn bytes(&self) -> usize {
        size_of_val(self.steps.as_slice()) + size_of_val(self.free.as_slice())
    }

    /// The places of all steps held, each once, in order.
    pub fn places(&self) -> Vec<Place> {
        let held = self.steps.iter().filter(|step| step.holders > 0);
        let mut places: Vec<Place> = held.map(|step| step.place).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Rows lie elsewhere now.
    pub fn move_to(&mut self, place: impl Fn(Place) -> Place) {
        for step in self.steps.iter_mut().filter(|step| step.holders > 0) {
            step.place = place(step.place);
        }
    }
}
