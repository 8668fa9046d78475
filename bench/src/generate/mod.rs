//! Synthetic events from a seed: the same seed and settings give the same bytes. None of this is anyone's real behaviour.

pub mod arrivals;
pub mod catalogue;
pub mod clicks;
pub mod demand;
mod profiles;
pub mod sessions;
pub mod subscriptions;
mod wheel;
pub mod workload;

/// Monday 2026-01-05 00:00:00 UTC, where the generators start unless told otherwise.
pub const START_MS: i64 = 1_767_571_200_000;

pub(crate) const HOUR_MS: i64 = 3_600_000;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// Hour of the day in UTC with its fraction, 0.0 to 24.0.
pub(crate) fn hour_of_day(ms: i64) -> f64 {
    ms.rem_euclid(DAY_MS) as f64 / HOUR_MS as f64
}

/// Day of the week in UTC, Monday = 0.
pub(crate) fn weekday(ms: i64) -> usize {
    // 1970-01-01 was a Thursday.
    (ms.div_euclid(DAY_MS) + 3).rem_euclid(7) as usize
}
