//! The search that runs on the stable compiler: seeded, for some seconds, by changing a small corpus.
//! libFuzzer searches deeper, for it sees which branches an input takes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// How long each target is searched, unless `NOWCAST_FUZZ_SECONDS` says otherwise.
const SECONDS: u64 = 5;

/// What an input may take: a search for bytes that hang a reader as well.
const PATIENCE: Duration = Duration::from_secs(5);

/// Inputs do not outgrow this by being changed.
const BYTES_MAX: usize = 16 << 10;

/// A small generator, seeded: failures come back.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % sides.max(1)
    }

    fn of<'a>(&mut self, all: &[&'a [u8]]) -> &'a [u8] {
        all.get(self.roll(all.len())).copied().unwrap_or_default()
    }

    /// One of the seeds, changed in some places.
    fn input(&mut self, seeds: &[&[u8]], words: &[&[u8]]) -> Vec<u8> {
        let mut input = self.of(seeds).to_vec();
        for _ in 0..1 + self.roll(6) {
            self.change(&mut input, seeds, words);
        }
        input.truncate(BYTES_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, seeds: &[&[u8]], words: &[&[u8]]) {
        let at = self.roll(input.len() + 1);
        let to = (at + self.roll(24)).min(input.len());
        match self.roll(8) {
            0 => drop(input.splice(at..at, self.of(words).iter().copied())),
            1 => drop(input.splice(at..to, self.of(words).iter().copied())),
            2 => drop(input.drain(at..to)),
            3 => {
                let again = input[at..to].to_vec();
                let place = self.roll(input.len() + 1);
                input.splice(place..place, again);
            }
            4 if at < input.len() => input[at] ^= 1 << self.roll(8),
            5 if at < input.len() => input[at] = self.roll(256) as u8,
            6 => input.truncate(at.max(1)),
            _ => {
                let other = self.of(seeds);
                let from = self.roll(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
        }
    }
}

/// Runs a target over its seeds and then over changes of them, until the time is over.
///
/// # Panics
/// With the first input that it does not survive.
pub fn search(name: &str, seeds: &[&[u8]], words: &[&[u8]], run: impl Fn(&[u8])) {
    let seconds = std::env::var("NOWCAST_FUZZ_SECONDS").ok();
    let seconds = seconds.map_or(SECONDS, |given| given.parse().expect("a number of seconds"));
    let seed = std::env::var("NOWCAST_FUZZ_SEED").ok();
    let seed = seed.map_or(1, |given| given.parse().expect("a number"));
    let (mut dice, begun, mut inputs) = (Dice(seed), Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(seconds) || inputs < seeds.len() {
        let input = match seeds.get(inputs) {
            Some(seed) => seed.to_vec(),
            None => dice.input(seeds, words),
        };
        let started = Instant::now();
        let survived = catch_unwind(AssertUnwindSafe(|| run(&input)));
        assert!(survived.is_ok(), "{name}: input {inputs}: b\"{}\"", input.escape_ascii());
        let took = started.elapsed();
        assert!(took < PATIENCE, "{name}: {took:?} for b\"{}\"", input.escape_ascii());
        inputs += 1;
    }
    println!("{name}: {inputs} inputs in {seconds} s");
}
