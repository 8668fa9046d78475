//! Time zones: what their clocks show at an instant, and back.

use arrow::datatypes::TimeUnit;
use chrono::{DateTime, Duration, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

/// The instant of a local time, in UTC: the earlier of two, and past a gap where there is none.
pub fn to_utc(local: NaiveDateTime, zone: Tz) -> NaiveDateTime {
    if zone == Tz::UTC {
        return local;
    }
    match zone.from_local_datetime(&local) {
        chrono::LocalResult::Single(time) | chrono::LocalResult::Ambiguous(time, _) => {
            time.naive_utc()
        }
        chrono::LocalResult::None => {
            // Java shifts by the length of the gap: the offset before it is what holds.
            let before = zone.offset_from_utc_datetime(&(local - Duration::days(1)));
            local - Duration::seconds(i64::from(before.fix().local_minus_utc()))
        }
    }
}

/// What the clock shows at an instant.
pub fn to_local(instant: NaiveDateTime, zone: Tz) -> NaiveDateTime {
    match zone {
        Tz::UTC => instant,
        zone => zone.from_utc_datetime(&instant).naive_local(),
    }
}

/// [`to_local`] of units since the epoch. Offsets are whole seconds, so any unit will do.
pub fn local(time: i64, unit: TimeUnit, zone: Tz) -> i64 {
    moved(time, unit, zone, to_local)
}

/// [`to_utc`] of units since the epoch.
pub fn instant(time: i64, unit: TimeUnit, zone: Tz) -> i64 {
    moved(time, unit, zone, to_utc)
}

/// The time of units since the epoch; none where the calendar has none.
pub fn datetime(time: i64, unit: TimeUnit) -> Option<NaiveDateTime> {
    let time = match unit {
        TimeUnit::Second => DateTime::from_timestamp(time, 0)?,
        TimeUnit::Millisecond => DateTime::from_timestamp_millis(time)?,
        TimeUnit::Microsecond => DateTime::from_timestamp_micros(time)?,
        TimeUnit::Nanosecond => DateTime::from_timestamp_nanos(time),
    };
    Some(time.naive_utc())
}

fn moved(
    time: i64,
    unit: TimeUnit,
    zone: Tz,
    by: impl Fn(NaiveDateTime, Tz) -> NaiveDateTime,
) -> i64 {
    if zone == Tz::UTC {
        return time;
    }
    let per_second = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    let seconds = time.div_euclid(per_second);
    let Some(from) = DateTime::from_timestamp(seconds, 0) else { return time };
    let moved = by(from.naive_utc(), zone).and_utc().timestamp();
    time + (moved - seconds) * per_second
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_and_overlaps_are_those_of_java() {
        let at = |text: &str| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap();
        let berlin = Tz::Europe__Berlin;
        // The clock jumps from 2:00 to 3:00, so 2:30 is 3:30.
        assert_eq!(to_utc(at("2026-03-29 02:30:00"), berlin), at("2026-03-29 01:30:00"));
        // 2:30 comes twice: the first is in summer time.
        assert_eq!(to_utc(at("2026-10-25 02:30:00"), berlin), at("2026-10-25 00:30:00"));
        assert_eq!(to_local(at("2026-10-25 01:30:00"), berlin), at("2026-10-25 02:30:00"));
    }
}
