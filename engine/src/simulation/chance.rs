//! What a simulated world decides: drawn from the seed, counted, and remembered in the trace.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xxhash_rust::xxh3::Xxh3;

/// The chances of one simulation; all parts of its world share them.
#[derive(Clone)]
pub(super) struct Chance(Arc<Mutex<Drawn>>);

struct Drawn {
    random: u64,
    trace: Xxh3,
    /// All that was noted, where someone wants to read it.
    notes: Option<Vec<String>>,
    faults: BTreeMap<&'static str, usize>,
    /// Nothing goes wrong any more: the simulation shall end.
    calm: bool,
}

impl Chance {
    pub fn new(seed: u64, noted: bool) -> Self {
        // Neighbouring seeds must not begin alike, and xorshift must not begin with 0.
        let random = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self(Arc::new(Mutex::new(Drawn {
            random,
            trace: Xxh3::new(),
            notes: noted.then(Vec::new),
            faults: BTreeMap::new(),
            calm: false,
        })))
    }

    fn drawn(&self) -> MutexGuard<'_, Drawn> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn below(&self, bound: usize) -> usize {
        let mut drawn = self.drawn();
        let random = &mut drawn.random;
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        (*random >> 11) as usize % bound.max(1)
    }

    pub fn one_in(&self, many: usize) -> bool {
        self.below(many) == 0
    }

    /// Whether this goes wrong now, as one of `many` does.
    pub fn fault(&self, name: &'static str, many: usize) -> bool {
        let happens = self.one_in(many) && !self.drawn().calm;
        if happens {
            self.count(name);
        }
        happens
    }

    /// Something has gone wrong.
    pub fn count(&self, name: &'static str) {
        *self.drawn().faults.entry(name).or_default() += 1;
        self.note(format_args!("fault: {name}"));
    }

    pub fn note(&self, what: impl Display) {
        let mut drawn = self.drawn();
        let what = what.to_string();
        drawn.trace.update(what.as_bytes());
        if let Some(notes) = &mut drawn.notes {
            notes.push(what);
        }
    }

    /// From here on nothing goes wrong.
    pub fn calm(&self) {
        self.drawn().calm = true;
    }

    /// A digest of all notes so far.
    pub fn trace(&self) -> u64 {
        self.drawn().trace.digest()
    }

    pub fn notes(&self) -> Vec<String> {
        self.drawn().notes.clone().unwrap_or_default()
    }

    pub fn faults(&self) -> BTreeMap<&'static str, usize> {
        self.drawn().faults.clone()
    }

    /// Lets others go first, for a while.
    pub async fn delay(&self) {
        if self.one_in(2) {
            return;
        }
        for _ in 0..self.below(6) {
            tokio::task::yield_now().await;
        }
    }
}
