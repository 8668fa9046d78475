//! What windows go by: the watermark or the wall clock, and the zone on whose clock they are cut.

use arrow::datatypes::TimeUnit::Millisecond;
use chrono::{NaiveDate, Offset, TimeZone};
use chrono_tz::Tz;
use nowcast_engine::time::TIME_MIN;
use nowcast_engine::{Batch, Millis, Time};

use crate::admission::row_watermark;
use crate::zone;

/// What the times of rows are measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    Watermark,
    Wall,
}

/// The bounds of windows are what the clock of `zone` shows: in UTC, or for times without a zone,
/// the times themselves. Instants go through [`WindowClock::shown`] before windows are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowClock {
    pub clock: Clock,
    pub zone: Tz,
    /// Whether the zone's clock is put forward and back each year.
    shifts: bool,
}

const HOUR_MS: i64 = 3_600_000;

impl WindowClock {
    /// The watermark, in UTC.
    pub const EVENT_TIME: Self = Self { clock: Clock::Watermark, zone: Tz::UTC, shifts: false };

    pub fn new(clock: Clock, zone: Tz) -> Self {
        // As far ahead as rules go that are no exceptions of a year.
        let offset = |month| {
            let day = NaiveDate::from_ymd_opt(2037, month, 1)?;
            let offset = zone.offset_from_utc_date(&day).fix();
            Some(offset.local_minus_utc())
        };
        Self { clock, zone, shifts: offset(1) != offset(7) }
    }

    /// What the zone's clock shows at an instant.
    pub fn shown(&self, instant: Millis) -> Millis {
        zone::local(instant, Millisecond, self.zone)
    }

    /// The instant at which the zone's clock shows a time: the earlier of two.
    pub fn instant(&self, shown: Millis) -> Millis {
        zone::instant(shown, Millisecond, self.zone)
    }

    /// Whether a window that ends at `end`, as shown, is over when time has come to `now`.
    pub fn is_over(&self, end: Millis, now: Millis) -> bool {
        self.over_at(end) <= now
    }

    /// When a window that ends at `end`, as shown, is over.
    pub(crate) fn over_at(&self, end: Millis) -> Millis {
        self.last_instant(end - 1)
    }

    /// As Flink sets its timers (`TimeWindowUtil.toEpochMillsForTimer`): where the clock shows an
    /// hour twice a window waits for the second, where it skips one for the skip.
    fn last_instant(&self, shown: Millis) -> Millis {
        let first = self.instant(shown);
        if !self.shifts {
            return first;
        }
        let hour_later = self.instant(shown + HOUR_MS);
        if first == hour_later {
            first - first % HOUR_MS
        } else if hour_later - first > HOUR_MS {
            first + HOUR_MS
        } else {
            first
        }
    }

    /// The instant that a row with the time `instant` counts at when time has come to `now`. By the
    /// wall clock a row counts when it arrives, so it is never late.
    pub fn of_row(&self, instant: Millis, now: Millis) -> Millis {
        match self.clock {
            Clock::Watermark => instant,
            Clock::Wall => instant.max(now.saturating_add(1)),
        }
    }

    /// How far time was for a row when it came; see [`row_watermark`].
    pub(crate) fn row_now(&self, batch: &Batch, row: usize, now: Millis) -> Millis {
        match self.clock {
            Clock::Watermark => row_watermark(batch, row, now),
            Clock::Wall => TIME_MIN,
        }
    }

    /// The instant that the watermark must pass for a window that ends at `end`; none by the wall
    /// clock.
    pub(crate) fn awaits(&self, end: Millis) -> Option<Millis> {
        (self.clock == Clock::Watermark).then(|| self.instant(end))
    }

    /// How far the own clock has come; `None` where `time` tells of the other.
    pub fn progress(&self, time: Time) -> Option<Millis> {
        match (self.clock, time) {
            (Clock::Watermark, Time::Event(now)) | (Clock::Wall, Time::Processing(now)) => {
                Some(now)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn at(text: &str) -> Millis {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    #[test]
    fn a_window_waits_for_the_second_of_an_hour_that_comes_twice() {
        let berlin = WindowClock::new(Clock::Watermark, Tz::Europe__Berlin);
        let end = at("2026-10-25T03:00:00Z");
        assert!(!berlin.is_over(end, at("2026-10-25T00:59:59.999Z")));
        assert!(!berlin.is_over(end, at("2026-10-25T01:59:59.998Z")));
        assert!(berlin.is_over(end, at("2026-10-25T01:59:59.999Z")));
    }

    #[test]
    fn windows_that_end_in_a_skipped_hour_end_with_the_skip() {
        let berlin = WindowClock::new(Clock::Watermark, Tz::Europe__Berlin);
        for end in ["2026-03-29T02:30:00Z", "2026-03-29T03:00:00Z"] {
            assert!(!berlin.is_over(at(end), at("2026-03-29T00:59:59.999Z")));
            assert!(berlin.is_over(at(end), at("2026-03-29T01:00:00Z")));
        }
    }

    #[test]
    fn a_zone_without_summer_time_has_no_exceptions() {
        assert!(!WindowClock::new(Clock::Wall, Tz::Asia__Tokyo).shifts);
        assert!(WindowClock::new(Clock::Wall, Tz::America__New_York).shifts);
        assert!(WindowClock::new(Clock::Wall, Tz::Australia__Sydney).shifts);
    }
}
