//! Whole jobs under a seeded world in which everything that can go wrong does.
//!
//! The job, its workers, its checkpoints and its sinks are the engine's own; the world around them is
//! made up: the input, a log with transactions, a table, files, an object store with answers that are
//! late, lost or untrue, crashes, and runs that go on after another one has taken over. Whatever
//! happens, what the job has done at its end is what its input says. A seed replays: the same
//! seed gives the same trace.

mod chance;
mod input;
mod job;
mod log;
mod objects;
mod parts;
mod run;
mod sums;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use crate::aside::Discard;
use crate::batch::Batch;
use crate::error::Error;
use crate::job::JobOptions;
use crate::operator::Epoch;
use crate::testing::FixedClock;
use crate::world::{NoTap, World};

use chance::Chance;
use job::Outside;
use objects::Objects;
use run::Run;

/// How many turns there are to a crash, while there are crashes.
const CRASH: usize = 150;

/// Checkpoints after which nothing goes wrong any more.
const EPOCHS: Epoch = 20;

/// Turns after which nothing goes wrong any more, should there be no checkpoints.
const TURNS: usize = 20_000;

/// Turns of a world in which nothing goes wrong until it is said to hang.
const CALM_TURNS: usize = 200_000;

/// What happened in a simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulated {
    pub seed: u64,
    /// A digest of all that happened, in its order.
    pub trace: u64,
    pub turns: usize,
    pub runs: usize,
    pub epochs: Epoch,
    /// How often each kind of fault happened.
    pub faults: BTreeMap<&'static str, usize>,
    /// All that happened, if asked for.
    pub notes: Vec<String>,
}

/// The job has done something else than its input says, or hangs.
#[derive(Debug, thiserror::Error)]
#[error("seed {seed}: {what}")]
pub struct Violation {
    pub seed: u64,
    pub what: String,
    pub notes: Vec<String>,
}

/// When runs are cut off.
#[derive(Debug, Clone, Copy)]
enum Crashes {
    /// By chance, as everything else that may go wrong.
    Chance,
    /// After this turn, once; nothing else goes wrong.
    After(usize),
}

/// Runs the job of a seed to its end through crashes, zombies and faults of all kinds.
///
/// # Errors
/// If its effect is not what its input says.
pub fn simulate(seed: u64, noted: bool) -> Result<Simulated, Box<Violation>> {
    simulated(seed, noted, Crashes::Chance)
}

/// Crashes the job of a seed at every turn between two of its checkpoints, once each; how many turns
/// these are. Nothing else goes wrong.
///
/// # Errors
/// For the first of them after which the effect is not what the input says.
pub fn every_crash_of_an_epoch(seed: u64) -> Result<usize, Box<Violation>> {
    let undisturbed = simulated(seed, true, Crashes::After(usize::MAX))?;
    let turn_of = |epoch: &str| {
        let mut turn = 0;
        undisturbed.notes.iter().find_map(|note| {
            turn = note.strip_prefix("turn ").and_then(|turn| turn.parse().ok()).unwrap_or(turn);
            (note == epoch).then_some(turn)
        })
    };
    let (Some(from), Some(to)) = (turn_of("complete 2"), turn_of("complete 3")) else {
        return Ok(0);
    };
    for turn in from..=to {
        simulated(seed, false, Crashes::After(turn))?;
    }
    Ok(to - from + 1)
}

/// The rows of a batch of integers.
fn rows_of(batch: &Batch) -> Vec<Vec<i64>> {
    let columns = batch.rows().columns().iter();
    let columns: Vec<_> = columns.map(|column| column.as_primitive::<Int64Type>()).collect();
    let row = |row| columns.iter().map(|column| column.value(row)).collect();
    (0..batch.num_rows()).map(row).collect()
}

struct Simulation {
    seed: u64,
    chance: Chance,
    outside: Outside,
    world: World,
    runs: usize,
}

impl Simulation {
    /// Starts the job until it has been started: a start may fail too.
    fn start(&mut self) -> Result<Run, Box<Violation>> {
        for _ in 0..1_000 {
            self.runs += 1;
            let workers = 1 + self.chance.below(3);
            let options = JobOptions {
                workers,
                rows_max: 1 + self.chance.below(20),
                run: format!("run {}", self.runs),
                ..JobOptions::default()
            };
            match Run::start(&self.outside.graph(), &options, &self.world) {
                Ok(run) => {
                    let Run { name, restored, .. } = &run;
                    self.chance.note(format_args!("{name}: {workers} workers from {restored}"));
                    return Ok(run);
                }
                Err(error) => self.chance.note(format_args!("run {}: {error}", self.runs)),
            }
        }
        Err(self.violation("it never starts"))
    }

    fn violation(&self, what: impl ToString) -> Box<Violation> {
        let notes = self.chance.notes();
        Box::new(Violation { seed: self.seed, what: what.to_string(), notes })
    }

    /// Whether the effect is what the input says.
    fn judge(&self) -> Result<(), Box<Violation>> {
        let (effect, expected) = (self.outside.effect(), self.outside.expected());
        if effect == expected {
            return Ok(());
        }
        let mut what = vec![];
        what.extend(differs("log", &effect.log, &expected.log));
        what.extend(differs("parts", &effect.parts, &expected.parts));
        if effect.table != expected.table {
            what.push(format!("table: {:?} instead of {:?}", effect.table, expected.table));
        }
        Err(self.violation(what.join("; ")))
    }
}

/// What is lost and what is too much, of two sorted lists.
fn differs<T: Ord + std::fmt::Debug + Clone>(
    name: &str,
    is: &[T],
    expected: &[T],
) -> Option<String> {
    let count = |rows: &[T]| {
        let mut counts: BTreeMap<T, i64> = BTreeMap::new();
        for row in rows {
            *counts.entry(row.clone()).or_default() += 1;
        }
        counts
    };
    let (is, mut rest) = (count(is), count(expected));
    for (row, times) in is {
        *rest.entry(row).or_default() -= times;
    }
    let lost: Vec<_> = rest.iter().filter(|(_, times)| **times > 0).map(|(row, _)| row).collect();
    let more: Vec<_> = rest.iter().filter(|(_, times)| **times < 0).map(|(row, _)| row).collect();
    let first = |rows: &[&T]| format!("{:?}", rows.first());
    (!lost.is_empty() || !more.is_empty()).then(|| {
        format!(
            "{name}: {} lost, the first {}; {} too much, the first {}",
            lost.len(),
            first(&lost),
            more.len(),
            first(&more)
        )
    })
}

fn simulated(seed: u64, noted: bool, crashes: Crashes) -> Result<Simulated, Box<Violation>> {
    let chance = Chance::new(seed, noted);
    let outside = Outside::draw(&chance);
    if matches!(crashes, Crashes::After(_)) {
        chance.calm();
    }
    let world = World {
        clock: Arc::new(FixedClock(0)),
        store: Some(Arc::new(Objects::new(chance.clone()))),
        aside: Arc::new(Discard),
        tap: Arc::new(NoTap),
    };
    let mut simulation = Simulation { seed, chance, outside, world, runs: 0 };
    let chance = simulation.chance.clone();
    let mut run = simulation.start()?;
    let mut zombies: Vec<Run> = vec![];
    let (mut turns, mut calm, mut complete) = (0, 0, 0);
    loop {
        turns += 1;
        chance.note(format_args!("turn {turns}"));
        let epoch = run.epoch();
        if epoch > complete {
            complete = epoch;
            chance.note(format_args!("complete {epoch}"));
        }
        if complete > EPOCHS || turns > TURNS {
            chance.calm();
            calm += 1;
            if calm > CALM_TURNS {
                return Err(simulation.violation("it hangs"));
            }
        }
        zombies.retain_mut(|zombie| match chance.one_in(3).then(|| zombie.turn(&chance)) {
            Some(Some(ended)) => {
                let told = ended.as_ref().map_or_else(Error::to_string, |()| "done".into());
                chance.note(format_args!("{} after all: {told}", zombie.name));
                false
            }
            _ => true,
        });
        let ended = run.turn(&chance);
        let crash = match crashes {
            Crashes::After(turn) => turn == turns,
            Crashes::Chance => calm == 0 && chance.one_in(CRASH),
        };
        match ended {
            Some(Ok(())) => {
                simulation.judge()?;
                // A run that comes late, and a start after the end, have nothing left to do.
                while let Some(mut zombie) = zombies.pop() {
                    for _ in 0..500 {
                        if zombie.turn(&chance).is_some() {
                            break;
                        }
                    }
                }
                let mut again = simulation.start()?;
                for _ in 0..CALM_TURNS {
                    if again.turn(&chance).is_some() {
                        break;
                    }
                }
                simulation.judge()?;
                return Ok(Simulated {
                    seed,
                    trace: chance.trace(),
                    turns,
                    runs: simulation.runs,
                    epochs: complete,
                    faults: chance.faults(),
                    notes: chance.notes(),
                });
            }
            Some(Err(error)) => {
                chance.note(format_args!("{}: {error}", run.name));
                drop(run);
                run = simulation.start()?;
            }
            None if crash => {
                chance.count("crash");
                let next = simulation.start()?;
                let old = std::mem::replace(&mut run, next);
                if matches!(crashes, Crashes::Chance) && chance.one_in(3) && zombies.len() < 2 {
                    chance.count("zombie");
                    zombies.push(old);
                }
            }
            None => {}
        }
    }
}
