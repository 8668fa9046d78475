//! Open-loop schedule: when each event is meant to start, whatever became of those before it.
//!
//! Latency counts from the intended start: a system that stalls is charged for the events that had to wait (no coordinated
//! omission).

use std::time::Duration;

use crate::Error;

/// A fixed rate after an optional linear ramp from zero. Times are computed from the number of the event, never summed up, so
/// they do not drift.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    rate_per_s: f64,
    ramp_s: f64,
}

impl Schedule {
    /// # Errors
    /// If the rate is not a finite number above zero.
    pub fn new(rate_per_s: f64, ramp: Duration) -> Result<Self, Error> {
        if !rate_per_s.is_finite() || rate_per_s <= 0.0 {
            return Err(Error::Flag(format!(
                "rate {rate_per_s}: expected events per second above zero"
            )));
        }
        Ok(Self { rate_per_s, ramp_s: ramp.as_secs_f64() })
    }

    /// The intended start of event `number` (from 0), since the start of the run.
    pub fn due(&self, number: u64) -> Duration {
        let number = number as f64;
        let in_ramp = self.in_ramp();
        Duration::from_secs_f64(if number < in_ramp {
            // The ramp has seen rate * t^2 / (2 * ramp) events by t.
            (2.0 * self.ramp_s * number / self.rate_per_s).sqrt()
        } else {
            self.ramp_s + (number - in_ramp) / self.rate_per_s
        })
    }

    /// How many events are due at `elapsed` or before: the smallest number whose [`due`](Self::due) lies after it.
    pub fn due_by(&self, elapsed: Duration) -> u64 {
        let elapsed_s = elapsed.as_secs_f64();
        let passed = if elapsed_s < self.ramp_s {
            self.rate_per_s * elapsed_s * elapsed_s / (2.0 * self.ramp_s)
        } else {
            self.in_ramp() + (elapsed_s - self.ramp_s) * self.rate_per_s
        };
        // Rounding may put the inverse one off; `due` decides.
        let mut number = (passed as u64).saturating_sub(1);
        while self.due(number) <= elapsed {
            number += 1;
        }
        number
    }

    fn in_ramp(&self) -> f64 {
        self.rate_per_s * self.ramp_s / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_at_an_odd_rate_does_not_drift() {
        let schedule = Schedule::new(333_333.0, Duration::ZERO).unwrap();
        let day = 24 * 3600;
        for second in [0, 1, 7, 3600, day] {
            let due = schedule.due(second * 333_333);
            assert!(
                due.abs_diff(Duration::from_secs(second)) <= Duration::from_nanos(20),
                "{second}: {due:?}"
            );
        }
    }

    #[test]
    fn starts_never_step_back_and_due_by_is_their_inverse() {
        for schedule in [
            Schedule::new(1000.0, Duration::ZERO).unwrap(),
            Schedule::new(977.3, Duration::from_secs(2)).unwrap(),
            Schedule::new(0.7, Duration::from_millis(1)).unwrap(),
        ] {
            let mut before = Duration::ZERO;
            for number in 0..5000 {
                let due = schedule.due(number);
                assert!(due >= before);
                assert_eq!(schedule.due_by(due), number + 1, "{schedule:?} {number}");
                if let Some(earlier) = due.checked_sub(Duration::from_nanos(1)) {
                    assert_eq!(schedule.due_by(earlier), number, "{schedule:?} {number}");
                }
                before = due;
            }
        }
    }

    #[test]
    fn the_ramp_reaches_the_rate_with_half_the_events() {
        let schedule = Schedule::new(1000.0, Duration::from_secs(10)).unwrap();
        assert_eq!(schedule.due(5000), Duration::from_secs(10));
        assert_eq!(schedule.due(6000), Duration::from_secs(11));
        assert_eq!(schedule.due_by(Duration::from_secs(5)), 1251);
    }

    #[test]
    fn a_rate_of_nothing_is_refused() {
        let error = Schedule::new(0.0, Duration::ZERO).unwrap_err().to_string();
        assert_eq!(error, "rate 0: expected events per second above zero");
        assert!(Schedule::new(f64::NAN, Duration::ZERO).is_err());
    }
}
