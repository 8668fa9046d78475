//! Row patterns as automata, with the states and transitions that Flink's pattern library makes.

use nowcast_engine::{Error, Result};

/// How often the rows of a variable repeat, one right after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quantifier {
    pub least: u32,
    /// `None`: without end.
    pub most: Option<u32>,
    /// As many rows as possible; otherwise as few.
    pub greedy: bool,
}

impl Quantifier {
    pub const ONCE: Self = Self { least: 1, most: Some(1), greedy: true };
}

/// Variables of one pattern: which of their conditions hold fits one word.
pub const VARIABLES_MAX: usize = 64;

/// Rows of a match that are counted, `m` for `{n,m}`: each makes a state of the automaton.
pub const COUNTED_MAX: usize = 4096;

/// Position of a state.
pub type StateId = u32;

/// The state in which a match is whole.
pub const FINAL: StateId = 0;

/// For each variable a bit: whether its condition holds.
pub type Truth = u64;

/// What a row does to a run, by the state of the run.
pub struct Automaton {
    ways: Vec<Vec<Way>>,
    /// The variables whose conditions decide it.
    asks: Vec<Truth>,
    pub start: StateId,
}

/// A way on from a state.
struct Way {
    open: Test,
    /// The variable that takes the row.
    variable: usize,
    target: StateId,
    /// Where one of these holds, the match may end with the row.
    ends: Vec<Test>,
}

/// Conditions that must hold, and others that must not.
#[derive(Debug, Clone, Copy, Default)]
struct Test {
    wanted: Truth,
    unwanted: Truth,
}

impl Test {
    fn holds(&self, truth: Truth) -> bool {
        self.wanted & !truth == 0 && self.unwanted & truth == 0
    }

    fn and(self, other: Self) -> Self {
        Self { wanted: self.wanted | other.wanted, unwanted: self.unwanted | other.unwanted }
    }

    fn asks(&self) -> Truth {
        self.wanted | self.unwanted
    }
}

impl Way {
    /// Whether no row goes both ways.
    fn excludes(&self, other: &Self) -> bool {
        (self.open.wanted & other.open.unwanted) | (self.open.unwanted & other.open.wanted) != 0
    }
}

/// A row taken by a variable.
pub struct Taking {
    pub variable: usize,
    pub target: StateId,
    /// Whether the match may end with this row, all the same whether it goes on.
    pub may_end: bool,
}

impl Automaton {
    /// # Errors
    /// Of the user, where the pattern has no variable or too many, or matches no rows at all.
    pub fn new(quantifiers: &[Quantifier]) -> Result<Self> {
        if quantifiers.is_empty() || quantifiers.len() > VARIABLES_MAX {
            return Err(Error::user(format!(
                "a pattern has 1 to {VARIABLES_MAX} variables, not {}",
                quantifiers.len()
            )));
        }
        let mut graph = Graph { states: vec![vec![]] };
        let mut start = FINAL;
        for (variable, quantifier) in quantifiers.iter().enumerate().rev() {
            start = graph.variable(variable, *quantifier, start)?;
        }
        if !graph.ends(start).is_empty() {
            return Err(Error::user("a pattern that matches no rows at all"));
        }
        let states = 0..graph.states.len() as StateId;
        let ways: Vec<Vec<Way>> = states.map(|state| graph.ways(state)).collect();
        let asked =
            |way: &Way| way.ends.iter().fold(way.open.asks(), |asked, end| asked | end.asks());
        let asks = ways.iter().map(|ways| ways.iter().map(asked).fold(0, |all, of| all | of));
        Ok(Self { asks: asks.collect(), ways, start })
    }

    /// Whether there is such a state.
    pub fn knows(&self, state: StateId) -> bool {
        (state as usize) < self.ways.len()
    }

    /// Whether there is never more than one way for a row.
    pub fn is_exclusive(&self) -> bool {
        self.ways.iter().all(|ways| {
            let others = |nth: usize| &ways[nth + 1..];
            let mut each = ways.iter().enumerate();
            each.all(|(nth, way)| {
                way.ends.is_empty() && others(nth).iter().all(|other| way.excludes(other))
            })
        })
    }

    /// The variables whose conditions decide what a row does to a run in this state.
    pub fn asks(&self, state: StateId) -> Truth {
        self.asks[state as usize]
    }

    /// All ways in which a row is taken.
    pub fn takings(&self, state: StateId, truth: Truth) -> impl Iterator<Item = Taking> + '_ {
        let open = self.ways[state as usize].iter().filter(move |way| way.open.holds(truth));
        open.map(move |way| Taking {
            variable: way.variable,
            target: way.target,
            may_end: way.ends.iter().any(|end| end.holds(truth)),
        })
    }
}

/// States as Flink makes them, with steps between them that take no row.
struct Graph {
    states: Vec<Vec<Transition>>,
}

#[derive(Clone, Copy)]
struct Transition {
    /// The variable that takes the row; `None`: on to the target with the same row.
    takes: Option<usize>,
    target: StateId,
    open: Test,
}

impl Graph {
    /// The ways on from a state, in the order in which Flink goes them.
    fn ways(&self, state: StateId) -> Vec<Way> {
        let mut ways = vec![];
        let mut pending = vec![(state, Test::default())];
        while let Some((state, before)) = pending.pop() {
            for Transition { takes, target, open } in &self.states[state as usize] {
                let open = before.and(*open);
                match takes {
                    None => pending.push((*target, open)),
                    Some(variable) => ways.push(Way {
                        open,
                        variable: *variable,
                        target: *target,
                        ends: self.ends(*target),
                    }),
                }
            }
        }
        ways
    }

    /// When the final state follows without a further row.
    fn ends(&self, state: StateId) -> Vec<Test> {
        let mut ends = vec![];
        let mut pending = vec![(state, Test::default())];
        while let Some((state, before)) = pending.pop() {
            let steps = self.states[state as usize].iter().filter(|step| step.takes.is_none());
            for Transition { target, open, .. } in steps {
                match *target {
                    FINAL => ends.push(before.and(*open)),
                    target => pending.push((target, before.and(*open))),
                }
            }
        }
        ends
    }

    /// The first state of a variable that `next` follows.
    fn variable(
        &mut self,
        variable: usize,
        quantifier: Quantifier,
        next: StateId,
    ) -> Result<StateId> {
        let Quantifier { least, most, greedy } = quantifier;
        let optional = least == 0;
        let Some(most) = most else {
            let looping = self.state()?;
            self.add(looping, None, next, 0);
            self.add(looping, Some(variable), looping, 1 << variable);
            if greedy {
                self.only_without(next, variable);
            }
            return self.times(variable, least.max(1), least.max(1), optional, looping, next);
        };
        if most == 0 || least > most {
            return Err(Error::user(format!("a variable that repeats {least} to {most} times")));
        }
        if greedy && least.max(1) != most {
            self.only_without(next, variable);
        }
        self.times(variable, least.max(1), most, optional, next, next)
    }

    /// A chain of states that take `least` to `most` rows and end at `sink`; `next` is what follows
    /// where a row is left out.
    fn times(
        &mut self,
        variable: usize,
        least: u32,
        most: u32,
        optional: bool,
        sink: StateId,
        next: StateId,
    ) -> Result<StateId> {
        let mut last = sink;
        for nth in (0..most).rev() {
            let state = self.state()?;
            self.add(state, Some(variable), last, 1 << variable);
            if nth >= least || (nth == 0 && optional) {
                self.add(state, None, next, 0);
            }
            last = state;
        }
        Ok(last)
    }

    fn state(&mut self) -> Result<StateId> {
        // The final state and that of an endless repetition count no rows.
        if self.states.len() > COUNTED_MAX + VARIABLES_MAX {
            return Err(Error::user(format!("a pattern that counts more than {COUNTED_MAX} rows")));
        }
        self.states.push(vec![]);
        Ok((self.states.len() - 1) as StateId)
    }

    fn add(&mut self, from: StateId, takes: Option<usize>, target: StateId, wanted: Truth) {
        let open = Test { wanted, unwanted: 0 };
        self.states[from as usize].push(Transition { takes, target, open });
    }

    /// A greedy variable before a state keeps every row that it can take.
    fn only_without(&mut self, state: StateId, variable: usize) {
        for transition in &mut self.states[state as usize] {
            transition.open.unwanted |= 1 << variable;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: Quantifier = Quantifier { least: 0, most: None, greedy: true };

    #[test]
    fn a_greedy_variable_keeps_what_it_can_take() {
        let automaton = Automaton::new(&[Quantifier::ONCE, ANY, Quantifier::ONCE]).unwrap();
        let after_a = automaton.takings(automaton.start, 0b001).next().unwrap().target;
        let takers = |truth| -> Vec<usize> {
            automaton.takings(after_a, truth).map(|taking| taking.variable).collect()
        };
        assert_eq!(takers(0b110), [1]);
        assert_eq!(takers(0b100), [2]);
        assert!(takers(0b001).is_empty());
        assert_eq!(automaton.asks(automaton.start), 0b001);
        assert_eq!(automaton.asks(after_a), 0b110);
        assert!(automaton.is_exclusive());
        let reluctant = Quantifier { greedy: false, ..ANY };
        let quantifiers = [Quantifier::ONCE, reluctant, Quantifier::ONCE];
        assert!(!Automaton::new(&quantifiers).unwrap().is_exclusive());
    }

    #[test]
    fn a_match_may_end_before_an_optional_variable() {
        let optional = Quantifier { least: 0, most: Some(1), greedy: true };
        let automaton = Automaton::new(&[Quantifier::ONCE, optional]).unwrap();
        let taking = automaton.takings(automaton.start, 0b01).next().unwrap();
        assert!(taking.may_end);
        assert!(Automaton::new(&[optional]).is_err());
    }
}
