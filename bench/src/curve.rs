//! Rates over time, and when each event of such a rate is meant to start, whatever became of those before it.
//!
//! A curve is a chain of straight pieces, so that its integral (how many events are due) and the inverse of that (when an event
//! is due) are exact. Latency counts from the intended start: a system that stalls is charged for the events that had to wait
//! (no coordinated omission).

use std::f64::consts::TAU;
use std::time::Duration;

use crate::Error;

/// Pieces of a whole period of a sine: less than 0.1 % off anywhere.
const SINE_PIECES: u32 = 96;

/// From here on the rate changes evenly until the next knot; after the last it stays.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Knot {
    at_s: f64,
    per_s: f64,
    /// Events due before `at_s`.
    before: f64,
}

/// Events a second by time since the start of a run. Times are computed from the number of an event, never summed up, so they do
/// not drift.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    knots: Vec<Knot>,
}

impl Curve {
    /// Of `(seconds, events a second)`, beginning with second 0; two knots at one time are a jump.
    ///
    /// # Errors
    /// If a rate is negative or not finite, a time steps back, or no event is ever due.
    pub fn new(knots: impl IntoIterator<Item = (f64, f64)>) -> Result<Self, Error> {
        let mut made: Vec<Knot> = vec![];
        for (at_s, per_s) in knots {
            if !per_s.is_finite() || per_s < 0.0 {
                return Err(Error::Flag(format!(
                    "rate {per_s}: expected events per second, not below zero"
                )));
            }
            let before = match made.last() {
                None if at_s == 0.0 => 0.0,
                Some(last) if at_s >= last.at_s && at_s.is_finite() => {
                    last.before + (at_s - last.at_s) * (last.per_s + per_s) / 2.0
                }
                _ => {
                    return Err(Error::Flag(format!("a rate at {at_s} s: times must rise from 0")));
                }
            };
            made.push(Knot { at_s, per_s, before });
        }
        match made.last() {
            Some(last) if last.per_s > 0.0 || last.before >= 1.0 => Ok(Self { knots: made }),
            _ => Err(Error::Flag("rate 0: expected events per second above zero".into())),
        }
    }

    /// The same rate for ever.
    ///
    /// # Errors
    /// As [`Curve::new`].
    pub fn constant(per_s: f64) -> Result<Self, Error> {
        Self::new([(0.0, per_s)])
    }

    /// Straight from one rate to another, which then stays.
    ///
    /// # Errors
    /// As [`Curve::new`].
    pub fn ramp(from_per_s: f64, to_per_s: f64, over: Duration) -> Result<Self, Error> {
        Self::new([(0.0, from_per_s), (over.as_secs_f64(), to_per_s)])
    }

    /// A live event: viewers come within `rise`, stay for `hold` and leave within `fall`.
    ///
    /// # Errors
    /// As [`Curve::new`].
    pub fn live_event(
        per_s: f64,
        peak_per_s: f64,
        at: Duration,
        [rise, hold, fall]: [Duration; 3],
    ) -> Result<Self, Error> {
        let peak = at + rise;
        let over = peak + hold;
        Self::new([
            (0.0, per_s),
            (at.as_secs_f64(), per_s),
            (peak.as_secs_f64(), peak_per_s),
            (over.as_secs_f64(), peak_per_s),
            ((over + fall).as_secs_f64(), per_s),
        ])
    }

    /// Days with a low at 4:00 and a high at 16:00, `swing` (0 to 1) of the mean away from it; `days` of them, each `day` long.
    ///
    /// # Errors
    /// As [`Curve::new`].
    pub fn diurnal(per_s: f64, swing: f64, day: Duration, days: u32) -> Result<Self, Error> {
        let pieces = SINE_PIECES * days.max(1);
        Self::new((0..=pieces).map(|piece| {
            let days = f64::from(piece) / f64::from(SINE_PIECES);
            (days * day.as_secs_f64(), per_s * daily(days, swing))
        }))
    }

    /// A day of a promotion: the rhythm of [`Curve::diurnal`], times `lift` from the opening at 9:00, which halves every 90
    /// minutes, and times half of that at the last call from 20:00 to 21:00.
    ///
    /// # Errors
    /// As [`Curve::new`].
    pub fn promotion_day(per_s: f64, swing: f64, lift: f64, day: Duration) -> Result<Self, Error> {
        let hour_s = day.as_secs_f64() / 24.0;
        let opening = |hour: f64| 1.0 + (lift - 1.0) * (-(hour - 9.0) / 1.5).exp2();
        let usual = |hour: f64| per_s * daily(hour / 24.0, swing);
        let mut knots = vec![];
        for quarter in 0..=96 {
            let hour = f64::from(quarter) / 4.0;
            let lifted = if hour < 9.0 { 1.0 } else { opening(hour) };
            let last_call = if (20.0..21.0).contains(&hour) { 1.0 + lift / 2.0 } else { 1.0 };
            if hour == 9.0 || hour == 20.0 {
                let until_now = if hour == 9.0 { 1.0 } else { lifted };
                knots.push((hour * hour_s, usual(hour) * until_now));
            }
            if hour == 21.0 {
                knots.push((hour * hour_s, usual(hour) * lifted * (1.0 + lift / 2.0)));
            }
            knots.push((hour * hour_s, usual(hour) * lifted * last_call));
        }
        Self::new(knots)
    }

    /// All rates times `factor`.
    ///
    /// # Errors
    /// As [`Curve::new`].
    pub fn times(&self, factor: f64) -> Result<Self, Error> {
        Self::new(self.knots.iter().map(|knot| (knot.at_s, knot.per_s * factor)))
    }

    /// This curve after `warm_up` at its first rate.
    ///
    /// # Errors
    /// As [`Curve::new`].
    pub fn after(&self, warm_up: Duration) -> Result<Self, Error> {
        let warm_up_s = warm_up.as_secs_f64();
        let first = (0.0, self.knots[0].per_s);
        Self::new(
            std::iter::once(first)
                .chain(self.knots.iter().map(|knot| (knot.at_s + warm_up_s, knot.per_s))),
        )
    }

    /// Events a second at `elapsed`.
    pub fn per_s(&self, elapsed: Duration) -> f64 {
        let at_s = elapsed.as_secs_f64();
        let (knot, slope) = self.piece(|knot| knot.at_s <= at_s);
        knot.per_s + slope * (at_s - knot.at_s)
    }

    /// The highest rate until `end`.
    pub fn peak_per_s(&self, end: Duration) -> f64 {
        let until = self.knots.iter().take_while(|knot| knot.at_s <= end.as_secs_f64());
        until.map(|knot| knot.per_s).fold(self.per_s(end), f64::max)
    }

    /// The intended start of event `number` (from 0), since the start of the run; [`Duration::MAX`] if it is never due.
    pub fn due(&self, number: u64) -> Duration {
        let number = number as f64;
        // The first moment at which so many are due, also where a pause follows.
        let (knot, slope) = self.piece(|knot| knot.before < number || knot.at_s == 0.0);
        let left = number - knot.before;
        if left <= 0.0 {
            return Duration::from_secs_f64(knot.at_s);
        }
        // The root of per_s * x + slope * x^2 / 2 = left, in the form that loses no digits.
        let root = (knot.per_s * knot.per_s + 2.0 * slope * left).max(0.0).sqrt();
        let after_s = 2.0 * left / (knot.per_s + root);
        Duration::try_from_secs_f64(knot.at_s + after_s).unwrap_or(Duration::MAX)
    }

    /// How many events are due at `elapsed` or before: the smallest number whose [`due`](Self::due) lies after it.
    pub fn due_by(&self, elapsed: Duration) -> u64 {
        let mut number = (self.integral(elapsed) as u64).saturating_sub(1);
        // Rounding may put the inverse one off; `due` decides.
        while self.due(number) <= elapsed {
            number += 1;
        }
        number
    }

    fn integral(&self, elapsed: Duration) -> f64 {
        let at_s = elapsed.as_secs_f64();
        let (knot, slope) = self.piece(|knot| knot.at_s <= at_s);
        let x = at_s - knot.at_s;
        knot.before + knot.per_s * x + slope * x * x / 2.0
    }

    /// The last knot of the beginning that `is_before`, and how the rate changes after it.
    fn piece(&self, is_before: impl Fn(&Knot) -> bool) -> (&Knot, f64) {
        let next = self.knots.partition_point(is_before).max(1);
        let knot = &self.knots[next - 1];
        let slope = self.knots.get(next).map_or(0.0, |next| {
            let length_s = next.at_s - knot.at_s;
            if length_s > 0.0 { (next.per_s - knot.per_s) / length_s } else { 0.0 }
        });
        (knot, slope)
    }
}

/// The rate at a time of day relative to its mean.
fn daily(days: f64, swing: f64) -> f64 {
    1.0 - swing * ((days - 4.0 / 24.0) * TAU).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn curves() -> [Curve; 7] {
        [
            Curve::constant(1000.0).unwrap(),
            Curve::constant(0.7).unwrap(),
            Curve::ramp(0.0, 977.3, s(2.0)).unwrap(),
            Curve::live_event(100.0, 2000.0, s(1.0), [s(0.5), s(1.0), s(0.0)]).unwrap(),
            Curve::diurnal(500.0, 1.0, s(4.0), 2).unwrap(),
            Curve::promotion_day(300.0, 0.6, 8.0, s(6.0)).unwrap(),
            // A pause.
            Curve::new([(0.0, 500.0), (1.0, 500.0), (1.0, 0.0), (3.0, 0.0), (3.0, 700.0)]).unwrap(),
        ]
    }

    #[test]
    fn a_constant_rate_does_not_drift() {
        let curve = Curve::constant(3.0).unwrap();
        for second in [0, 1, 1000, 86_400, 31_536_000_u64] {
            let due = curve.due(second * 3);
            assert!(
                due.abs_diff(Duration::from_secs(second)) <= Duration::from_nanos(20),
                "{due:?}"
            );
        }
    }

    #[test]
    fn starts_never_step_back_and_due_by_is_their_inverse() {
        for curve in curves() {
            let mut before = Duration::ZERO;
            for number in 0..5000 {
                let due = curve.due(number);
                assert!(due >= before, "{curve:?} {number}");
                assert!(curve.due_by(due) > number, "{curve:?} {number}");
                if let Some(earlier) = due.checked_sub(Duration::from_nanos(1)) {
                    assert!(curve.due_by(earlier) <= number, "{curve:?} {number}");
                }
                before = due;
            }
        }
    }

    /// The rate summed up in small steps, which knows nothing of pieces and roots.
    #[test]
    fn as_many_events_are_due_as_the_rate_sums_up_to() {
        for curve in curves() {
            for seconds in [0.5, 1.0, 2.9, 3.1, 5.0, 7.5] {
                let steps = 200_000_u32;
                let step_s = seconds / f64::from(steps);
                let summed: f64 = (0..steps)
                    .map(|step| curve.per_s(s((f64::from(step) + 0.5) * step_s)) * step_s)
                    .sum();
                // The event of number 0 is due at once.
                let due = curve.due_by(s(seconds)) as f64 - 1.0;
                assert!(
                    (summed - due).abs() <= 1.0 + summed * 1e-3,
                    "{curve:?} {seconds}: {summed} {due}"
                );
            }
        }
    }

    #[test]
    fn the_ramp_reaches_the_rate_with_half_the_events() {
        let curve = Curve::ramp(0.0, 1000.0, s(10.0)).unwrap();
        assert_eq!(curve.due(5000), s(10.0));
        assert_eq!(curve.due(6000), s(11.0));
        assert_eq!(curve.due_by(s(5.0)), 1251);
    }

    #[test]
    fn curves_promise_their_means_and_peaks() {
        let live = Curve::live_event(100.0, 2000.0, s(10.0), [s(2.0), s(5.0), s(3.0)]).unwrap();
        assert_eq!(live.peak_per_s(s(60.0)), 2000.0);
        assert_eq!(live.peak_per_s(s(11.0)), 1050.0);
        // 100 a second for 60 s, and 1,900 more during 5 s and half of 2 s and 3 s.
        assert_eq!(live.due_by(s(60.0)) - 1, 6_000 + 1_900 * 5 + 1_900 * 5 / 2);
        let days = Curve::diurnal(500.0, 0.6, s(40.0), 3).unwrap();
        assert!((days.due_by(s(120.0)) as f64 - 60_000.0).abs() < 30.0);
        assert!((days.peak_per_s(s(120.0)) - 800.0).abs() < 1.0);
        assert!((days.per_s(s(40.0 * 4.0 / 24.0)) - 200.0).abs() < 1.0);
        let promotion = Curve::promotion_day(100.0, 0.0, 8.0, s(24.0)).unwrap();
        assert_eq!(promotion.per_s(s(8.99)), 100.0);
        assert_eq!(promotion.per_s(s(9.0)), 800.0);
        assert!((promotion.per_s(s(10.5)) - 450.0).abs() < 1.0);
        assert!((promotion.per_s(s(20.0)) / promotion.per_s(s(19.99)) - 5.0).abs() < 0.05);
    }

    #[test]
    fn a_curve_can_be_scaled_and_put_off() {
        let curve = Curve::ramp(100.0, 300.0, s(10.0)).unwrap();
        assert_eq!(curve.times(2.0).unwrap().per_s(s(5.0)), 400.0);
        let later = curve.after(s(5.0)).unwrap();
        assert_eq!([later.per_s(s(4.0)), later.per_s(s(10.0))], [100.0, 200.0]);
        assert_eq!(later.due(500), s(5.0));
    }

    #[test]
    fn a_rate_of_nothing_is_refused() {
        let error = Curve::constant(0.0).unwrap_err().to_string();
        assert_eq!(error, "rate 0: expected events per second above zero");
        assert!(Curve::constant(f64::NAN).is_err());
        assert!(Curve::new([(0.0, 1.0), (1.0, -1.0)]).is_err());
        assert!(Curve::new([(0.0, 1.0), (2.0, 1.0), (1.0, 1.0)]).is_err());
        assert!(Curve::new([]).is_err());
    }
}
