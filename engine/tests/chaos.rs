//! Seeds of the simulation: each ends with what its input says, and replays.

#![allow(clippy::unwrap_used)] // a test that cannot go on should say where

use std::collections::BTreeMap;

use nowcast_engine::simulation::{every_crash_of_an_epoch, simulate};

#[test]
fn whatever_goes_wrong_each_row_takes_effect_once() {
    let seeds = std::env::var("NOWCAST_SEEDS").map_or(500, |seeds| seeds.parse().unwrap());
    let mut faults: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut runs, mut epochs) = (0, 0);
    for seed in 0..seeds {
        let simulated = simulate(seed, false).unwrap();
        runs += simulated.runs;
        epochs += simulated.epochs;
        for (name, times) in simulated.faults {
            *faults.entry(name).or_default() += times;
        }
    }
    println!("{seeds} seeds, {runs} runs, {epochs} checkpoints; {faults:?}");
    for fault in ["crash", "zombie", "write torn", "answer lost", "commit refused"] {
        assert!(faults.contains_key(fault), "no {fault} in {seeds} seeds");
    }
}

#[test]
fn a_seed_replays() {
    for seed in 0..20 {
        assert_eq!(simulate(seed, true).unwrap(), simulate(seed, true).unwrap());
    }
}

#[test]
fn a_crash_at_any_turn_of_an_epoch_loses_and_repeats_nothing() {
    let points: usize = (0..6).map(|seed| every_crash_of_an_epoch(seed).unwrap()).sum();
    println!("{points} crash points");
    assert!(points > 100, "{points}");
}
