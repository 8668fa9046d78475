//! `nowcast sim`: the engine under a seeded world in which everything that can go wrong does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use nowcast_engine::simulation::{Simulated, Violation, every_crash_of_an_epoch, simulate as run};

#[derive(Args)]
pub struct Simulate {
    /// The first seed; alone, that one seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds, counting from the first.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Crashes each seed's job at every turn between two of its checkpoints, instead of by chance.
    #[arg(long, conflicts_with = "trace")]
    every_crash: bool,
    /// Prints all that happens, turn by turn.
    #[arg(long)]
    trace: bool,
}

/// What all seeds have come to.
#[derive(Default)]
struct Sum {
    runs: usize,
    epochs: u64,
    turns: usize,
    points: usize,
    faults: BTreeMap<&'static str, usize>,
    violations: Vec<Violation>,
}

pub fn simulate(command: &Simulate) -> Result<()> {
    let Simulate { seed, seeds, every_crash, trace } = *command;
    if trace && seeds > 1 {
        bail!("--trace: of one seed alone, not of {seeds}");
    }
    let style = "{bar:40} {pos}/{len} seeds {per_sec} {msg}";
    let bar = ProgressBar::new(seeds).with_style(ProgressStyle::with_template(style)?);
    let (next, stop) = (AtomicU64::new(seed), AtomicBool::new(false));
    let sum = Mutex::new(Sum::default());
    // What a disturbed job says of its troubles is no trouble here.
    let quiet = tracing::subscriber::NoSubscriber::new();
    let work = || {
        let _quiet = (!trace).then(|| tracing::subscriber::set_default(quiet));
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= command.seed + seeds {
                break;
            }
            let told = match every_crash {
                true => every_crash_of_an_epoch(seed).map(|points| (None, points)),
                false => run(seed, trace).map(|simulated| (Some(simulated), 0)),
            };
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            match told {
                Ok((simulated, points)) => sum.add(simulated, points),
                Err(violation) => {
                    stop.store(true, Ordering::Relaxed);
                    sum.violations.push(*violation);
                }
            }
            bar.inc(1);
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores.min(seeds as usize) {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(violation) = sum.violations.first() {
        for note in &violation.notes {
            say!("{note}");
        }
        let seed = violation.seed;
        bail!("{violation}\nnowcast sim --seed {seed} --trace  shows how it came to that");
    }
    let Sum { runs, epochs, turns, points, faults, .. } = sum;
    if every_crash {
        say!("{seeds} seeds, {points} crash points of one epoch each: 0 rows lost, 0 twice");
        return Ok(());
    }
    say!("{seeds} seeds, {runs} runs, {epochs} checkpoints, {turns} turns: 0 rows lost, 0 twice");
    for (fault, times) in faults {
        say!("{times:>9} {fault}");
    }
    Ok(())
}

impl Sum {
    fn add(&mut self, simulated: Option<Simulated>, points: usize) {
        self.points += points;
        let Some(simulated) = simulated else { return };
        for note in &simulated.notes {
            say!("{note}");
        }
        self.runs += simulated.runs;
        self.epochs += simulated.epochs;
        self.turns += simulated.turns;
        for (fault, times) in simulated.faults {
            *self.faults.entry(fault).or_default() += times;
        }
    }
}
