//! What came out of the system and when: latency from the intended start, what is behind, what is lost, what came twice.

use std::time::Duration;

use crate::curve::Curve;
use crate::histogram::{Latencies, Recorder};

/// The answers to the events of one run. All times are since its start.
pub struct Answers {
    curve: Curve,
    /// Events of the run.
    events: u64,
    /// The wall clock at the start, microseconds since 1970; also the sequence of event 0.
    started_us: i64,
    /// One bit an event.
    seen: Vec<u64>,
    recorder: Recorder,
    /// Results so far, duplicates and strangers left out.
    pub results: u64,
    pub duplicates: u64,
    /// Results of events that are not of this run.
    pub strangers: u64,
    /// The highest number among the events that were answered.
    newest: Option<u64>,
}

impl Answers {
    pub fn new(curve: Curve, events: u64, started_us: i64, warm_up: Duration) -> Self {
        let words = usize::try_from(events.div_ceil(64)).expect("a run's events fit in memory");
        Self {
            curve,
            events,
            started_us,
            seen: vec![0; words],
            recorder: Recorder::new(warm_up),
            results: 0,
            duplicates: 0,
            strangers: 0,
            newest: None,
        }
    }

    /// A result that carries an event's sequence.
    pub fn sequence(&mut self, sequence: i64, now: Duration) {
        match u64::try_from(sequence.saturating_sub(self.started_us)) {
            Ok(number) if number < self.events => self.event(number, now),
            _ => self.strangers += 1,
        }
    }

    /// The result of event `number`.
    pub fn event(&mut self, number: u64, now: Duration) {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if self.seen[word] & bit != 0 {
            self.duplicates += 1;
            return;
        }
        self.seen[word] |= bit;
        self.record(self.curve.due(number), now);
        self.newest = self.newest.max(Some(number));
    }

    /// A result that carries the intended start of its newest event, microseconds since 1970.
    pub fn intended_us(&mut self, us: i64, now: Duration) {
        let since_us = u64::try_from(us.saturating_sub(self.started_us));
        let Some(intended) = since_us.ok().map(Duration::from_micros).filter(|at| *at <= now)
        else {
            self.strangers += 1;
            return;
        };
        self.record(intended, now);
        // Stamps are cut to whole microseconds: the event itself is due within the next.
        let number = self.curve.due_by(intended + Duration::from_micros(1)).min(self.events);
        self.newest = self.newest.max(number.checked_sub(1));
    }

    fn record(&mut self, intended: Duration, now: Duration) {
        self.results += 1;
        self.recorder.record(intended, now);
    }

    /// How long the event after the newest answered one has been due; nothing while none is.
    pub fn lag(&self, now: Duration) -> Duration {
        let next = self.newest.map_or(0, |newest| newest + 1);
        if next >= self.events {
            return Duration::ZERO;
        }
        now.saturating_sub(self.curve.due(next))
    }

    pub fn is_answered(&self, number: u64) -> bool {
        self.seen[(number / 64) as usize] & (1 << (number % 64)) != 0
    }

    /// Latencies of events that were due after the warm-up.
    pub fn latencies(&self) -> &Latencies {
        &self.recorder.whole
    }

    /// Latencies since this was last asked for, warm-up included.
    pub fn interval(&mut self) -> Latencies {
        self.recorder.interval()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTED_US: i64 = 1_767_614_400_000_000;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Ten events, one each 100 ms; those from 500 ms on are measured.
    fn answers() -> Answers {
        Answers::new(Curve::constant(10.0).unwrap(), 10, STARTED_US, ms(500))
    }

    #[test]
    fn latency_counts_from_the_schedule_and_each_event_once() {
        let mut answers = answers();
        answers.sequence(STARTED_US + 1, ms(130));
        answers.sequence(STARTED_US + 6, ms(650));
        answers.sequence(STARTED_US + 6, ms(660));
        for strange in [-1, 10, i64::MIN, i64::MAX] {
            answers.sequence(STARTED_US.saturating_add(strange), ms(700));
        }
        assert_eq!((answers.results, answers.duplicates, answers.strangers), (2, 1, 4));
        assert_eq!(answers.latencies().count(), 1);
        assert!(answers.latencies().percentile_us(100.0).abs_diff(50_000) <= 50);
        assert_eq!(answers.interval().count(), 2);
        assert_eq!(answers.interval().count(), 0);
        let missing: Vec<u64> = (0..10).filter(|number| !answers.is_answered(*number)).collect();
        assert_eq!(missing, [0, 2, 3, 4, 5, 7, 8, 9]);
    }

    #[test]
    fn the_lag_is_how_long_the_next_event_waits() {
        let mut answers = answers();
        assert_eq!(answers.lag(ms(250)), ms(250));
        answers.event(2, ms(250));
        assert_eq!(answers.lag(ms(290)), ms(0));
        assert_eq!(answers.lag(ms(1_000)), ms(700));
        answers.event(9, ms(1_000));
        assert_eq!(answers.lag(ms(60_000)), ms(0));
    }

    #[test]
    fn results_of_many_events_count_from_the_newest_of_them() {
        let mut answers = answers();
        answers.intended_us(STARTED_US + 600_000, ms(640));
        assert!(answers.latencies().percentile_us(100.0).abs_diff(40_000) <= 40);
        assert_eq!(answers.lag(ms(750)), ms(50));
        // From before the run, or out of the future.
        answers.intended_us(STARTED_US - 1, ms(650));
        answers.intended_us(STARTED_US + 900_000, ms(650));
        assert_eq!((answers.results, answers.strangers), (1, 2));
    }
}
