//! The highest rate that meets the objectives: doubled until they fail, halved in between, and confirmed.

/// How many times a rate is halved before there is none.
const HALVINGS_MAX: u32 = 10;

/// Confirmations that may fail, each a step down, before the search gives up.
const CONFIRMATIONS_MAX: u32 = 4;

/// Decides which rate is tried next. Rates are events a second.
#[derive(Clone, Debug)]
pub struct Search {
    /// The highest rate that has passed.
    passed: Option<f64>,
    /// The lowest that has failed.
    failed: Option<f64>,
    start: f64,
    /// No rate above it is tried.
    ceiling: f64,
    /// Two rates closer than this factor are one.
    resolution: f64,
    halvings: u32,
    confirmations: u32,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Try this rate for a while.
    Try(f64),
    /// Try it for the whole time: it is the answer unless it fails.
    Confirm(f64),
    /// The highest sustainable rate, or none.
    Found(Option<f64>),
}

impl Search {
    /// `resolution`, above 1: 1.05 finds the rate within 5 %.
    pub fn new(start: f64, ceiling: f64, resolution: f64) -> Self {
        assert!(start > 0.0 && ceiling >= start && resolution > 1.0);
        let (passed, failed) = (None, None);
        Self { passed, failed, start, ceiling, resolution, halvings: 0, confirmations: 0 }
    }

    /// What to do next, after `record` of what was done before.
    pub fn next(&self) -> Step {
        match (self.passed, self.failed) {
            (None, None) => Step::Try(self.start),
            (Some(passed), None) if passed < self.ceiling => {
                Step::Try((passed * 2.0).min(self.ceiling))
            }
            (Some(passed), None) => Step::Confirm(passed),
            (None, Some(_)) if self.halvings > HALVINGS_MAX => Step::Found(None),
            (None, Some(failed)) => Step::Try(failed / 2.0),
            (Some(passed), Some(failed)) if failed / passed > self.resolution => {
                Step::Try((passed * failed).sqrt())
            }
            (Some(_), Some(_)) if self.confirmations >= CONFIRMATIONS_MAX => Step::Found(None),
            (Some(passed), Some(_)) => Step::Confirm(passed),
        }
    }

    /// Takes the verdict on the step that [`next`](Self::next) named; returns the rate once it is confirmed.
    pub fn record(&mut self, passed: bool) -> Option<f64> {
        match (self.next(), passed) {
            (Step::Try(rate), true) => self.passed = Some(rate),
            (Step::Try(rate), false) => {
                self.halvings += 1;
                self.failed = Some(rate);
            }
            (Step::Confirm(rate), true) => return Some(rate),
            (Step::Confirm(rate), false) => {
                self.confirmations += 1;
                // A short trial was kinder than the long one: a step down, to be confirmed itself.
                self.failed = Some(rate);
                self.passed = Some(rate / self.resolution);
            }
            (Step::Found(_), _) => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue that serves `capacity` a second: its latency at a rate after `seconds`, s.
    fn queue_latency_s(capacity: f64, rate: f64, seconds: f64) -> f64 {
        let waiting = 1.0 / (capacity - rate).max(capacity * 1e-3);
        let backlog = ((rate - capacity) * seconds / capacity).max(0.0);
        waiting + backlog
    }

    fn search(mut judge: impl FnMut(f64, bool) -> bool) -> (Option<f64>, u32) {
        let mut search = Search::new(1_000.0, 10_000_000.0, 1.05);
        for trials in 0..100 {
            let found = match search.next() {
                Step::Try(rate) => search.record(judge(rate, false)),
                Step::Confirm(rate) => search.record(judge(rate, true)),
                Step::Found(rate) => return (rate, trials),
            };
            if found.is_some() {
                return (found, trials + 1);
            }
        }
        panic!("the search does not end");
    }

    #[test]
    fn the_capacity_of_a_queue_is_found_within_the_resolution() {
        for capacity in [1.5, 40.0, 1_000.0, 1_001.0, 54_321.0, 3e6] {
            let limit_s = 20.0 / capacity;
            let (found, trials) = search(|rate, confirms| {
                queue_latency_s(capacity, rate, if confirms { 60.0 } else { 15.0 }) < limit_s
            });
            // 1 / (capacity - rate) < 20 / capacity up to 95 % of the capacity.
            let best = capacity * 0.95;
            let found = found.unwrap();
            assert!(found < best && found > best / 1.05, "{capacity}: {found} after {trials}");
            assert!(trials <= 24, "{capacity}: {trials}");
        }
    }

    #[test]
    fn what_only_short_trials_hold_is_not_confirmed() {
        // Long trials see an eighth less.
        let (found, _) = search(|rate, confirms| rate < if confirms { 8_750.0 } else { 10_000.0 });
        let found = found.unwrap();
        assert!(found < 8_750.0 && found > 8_750.0 / 1.1, "{found}");
    }

    #[test]
    fn nothing_is_found_where_nothing_holds_and_the_ceiling_where_all_does() {
        assert_eq!(search(|_, _| false).0, None);
        assert_eq!(search(|_, confirms| !confirms).0, None);
        assert_eq!(search(|_, _| true).0, Some(10_000_000.0));
    }

    #[test]
    fn a_noisy_target_ends_and_is_not_overstated() {
        // Every fifth trial fails whatever the rate.
        let mut number = 0;
        let (found, _) = search(|rate, _| {
            number += 1;
            rate < 50_000.0 && number % 5 != 0
        });
        assert!(found.is_none_or(|rate| rate < 50_000.0));
    }
}
