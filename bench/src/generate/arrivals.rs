//! Poisson arrivals whose rate follows the clock and the calendar.

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1};

use super::{hour_of_day, weekday};

/// The rate is taken as constant over this long.
const STEP_MS: i64 = 60_000;

/// Evening peak, small hours at a fifth of it; the mean over the day is 1.
const HOURS: [f64; 24] = [
    0.70, 0.45, 0.32, 0.26, 0.25, 0.29, 0.40, 0.55, 0.66, 0.74, 0.82, 0.90, //
    1.00, 1.02, 1.02, 1.06, 1.20, 1.42, 1.72, 2.02, 2.20, 2.12, 1.72, 1.16,
];
/// Monday to Sunday; the mean is 1.
const WEEKDAYS: [f64; 7] = [0.90, 0.88, 0.90, 0.94, 1.08, 1.18, 1.12];

/// The share of the mean rate at a time of day and week, for an audience that watches in the evening and at weekends.
pub fn evening_rhythm(ms: i64) -> f64 {
    let hour = hour_of_day(ms);
    let (low, part) = (hour as usize, hour.fract());
    let daily = HOURS[low] * (1.0 - part) + HOURS[(low + 1) % 24] * part;
    daily * WEEKDAYS[weekday(ms)]
}

/// The times of a Poisson process: unit-rate gaps stretched by the rate of each minute.
pub struct Arrivals {
    now_ms: f64,
}

impl Arrivals {
    pub fn new(start_ms: i64) -> Self {
        Self { now_ms: start_ms as f64 }
    }

    /// The next arrival in milliseconds, given the rate per second at a time. The rate must stay above zero.
    pub fn next_ms(&mut self, random: &mut ChaCha8Rng, rate_per_s: impl Fn(i64) -> f64) -> i64 {
        let mut mass: f64 = Exp1.sample(random);
        loop {
            let rate_per_ms = rate_per_s(self.now_ms as i64) / 1000.0;
            assert!(rate_per_ms > 0.0, "an arrival rate of zero never gives another arrival");
            let step_end_ms = ((self.now_ms as i64).div_euclid(STEP_MS) + 1) * STEP_MS;
            let step_mass = (step_end_ms as f64 - self.now_ms) * rate_per_ms;
            if mass < step_mass {
                self.now_ms += mass / rate_per_ms;
                return self.now_ms as i64;
            }
            mass -= step_mass;
            self.now_ms = step_end_ms as f64;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::generate::{DAY_MS, START_MS};

    #[test]
    fn the_rhythm_has_mean_one() {
        let mean = (0..7 * 24 * 60).map(|m| evening_rhythm(START_MS + m * 60_000)).sum::<f64>()
            / (7.0 * 24.0 * 60.0);
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
    }

    #[test]
    fn arrivals_come_at_the_rate_asked_for() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut arrivals = Arrivals::new(START_MS);
        let end_ms = START_MS + 7 * DAY_MS;
        let mut count = 0;
        while arrivals.next_ms(&mut random, |ms| 0.1 * evening_rhythm(ms)) < end_ms {
            count += 1;
        }
        // 60,480 expected, a Poisson deviation of 246, and 1 % for the rhythm's own mean.
        assert!((count - 60_480_i32).abs() < 5 * 246, "{count}");
    }
}
