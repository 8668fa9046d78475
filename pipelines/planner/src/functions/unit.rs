//! Units of time: parts of a timestamp, its floor, and steps from one to another.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime};
use chrono_tz::Tz;
use datafusion_common::Result;

use super::scalar::{failed, texts, time_column, times};

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
const WEEK_MS: i64 = 7 * DAY_MS;
/// 1970-01-04 was the first Sunday, on which a week begins.
const FIRST_SUNDAY_MS: i64 = 3 * DAY_MS;

/// A length of time: fixed, or of the calendar.
#[derive(Debug, Clone, Copy)]
enum Length {
    Millis(i64),
    Months(i64),
}

fn length(unit: &str) -> Result<Length> {
    Ok(match unit.strip_suffix('S').unwrap_or(unit) {
        "MILLISECOND" => Length::Millis(1),
        "SECOND" => Length::Millis(SECOND_MS),
        "MINUTE" => Length::Millis(MINUTE_MS),
        "HOUR" => Length::Millis(HOUR_MS),
        "DAY" => Length::Millis(DAY_MS),
        "WEEK" => Length::Millis(WEEK_MS),
        "MONTH" => Length::Months(1),
        "QUARTER" => Length::Months(3),
        "YEAR" => Length::Months(12),
        other => return Err(failed(format!("{other} is no unit of time"))),
    })
}

fn calendar(time_ms: i64) -> Result<NaiveDateTime> {
    let time = DateTime::from_timestamp_millis(time_ms).map(|time| time.naive_utc());
    time.ok_or_else(|| failed(format!("the time {time_ms} ms is out of range")))
}

/// Of EXTRACT, YEAR(…), HOUR(…) and the like. As in Flink, a time before 1970 is cut towards 1970:
/// its day is the one that ends it, and its hours count backwards.
pub fn part(unit: &str, time_ms: i64) -> Result<i64> {
    let date = calendar(time_ms / DAY_MS * DAY_MS)?;
    let clock_ms = time_ms % DAY_MS;
    Ok(match unit {
        "MILLENNIUM" => (i64::from(date.year()) + 999).div_euclid(1_000),
        "CENTURY" => (i64::from(date.year()) + 99).div_euclid(100),
        "DECADE" => i64::from(date.year()).div_euclid(10),
        "YEAR" => i64::from(date.year()),
        "ISOYEAR" => i64::from(date.iso_week().year()),
        "QUARTER" => i64::from(date.month0() / 3 + 1),
        "MONTH" => i64::from(date.month()),
        "WEEK" => i64::from(date.iso_week().week()),
        "DAY" | "DAYOFMONTH" => i64::from(date.day()),
        "DOY" | "DAYOFYEAR" => i64::from(date.ordinal()),
        "DOW" | "DAYOFWEEK" => i64::from(date.weekday().number_from_sunday()),
        "ISODOW" => i64::from(date.weekday().number_from_monday()),
        "HOUR" => clock_ms / HOUR_MS,
        "MINUTE" => clock_ms % HOUR_MS / MINUTE_MS,
        "SECOND" => clock_ms % MINUTE_MS / SECOND_MS,
        "MILLISECOND" => clock_ms % SECOND_MS,
        "EPOCH" => time_ms / SECOND_MS,
        other => return Err(failed(format!("a time has no part {other}"))),
    })
}

/// `FLOOR(time TO unit)`.
pub fn floor(unit: &str, time_ms: i64) -> Result<i64> {
    Ok(match length(unit)? {
        Length::Millis(WEEK_MS) => time_ms - (time_ms - FIRST_SUNDAY_MS).rem_euclid(WEEK_MS),
        Length::Millis(length) => time_ms - time_ms.rem_euclid(length),
        Length::Months(months) => {
            let time = calendar(time_ms / DAY_MS * DAY_MS)?;
            let month = i64::from(time.month0());
            let first = u32::try_from(month - month % months + 1).unwrap_or(1);
            let day = NaiveDate::from_ymd_opt(time.year(), first, 1);
            let start = day.and_then(|day| day.and_hms_opt(0, 0, 0));
            start.map_or(time_ms, |start| start.and_utc().timestamp_millis())
        }
    })
}

/// `CEIL(time TO unit)`.
pub fn ceil(unit: &str, time_ms: i64) -> Result<i64> {
    // From weeks on, the time of the first day is not looked at.
    let reached = match length(unit)? {
        Length::Millis(length) if length < WEEK_MS => time_ms,
        Length::Millis(_) | Length::Months(_) => time_ms / DAY_MS * DAY_MS,
    };
    match floor(unit, time_ms)? {
        floor if floor == reached => Ok(floor),
        floor => add(unit, 1, floor),
    }
}

/// `TIMESTAMPADD(unit, count, time)`.
pub fn add(unit: &str, count: i64, time_ms: i64) -> Result<i64> {
    let out_of_range = || failed(format!("{count} {unit} after {time_ms} ms is out of range"));
    match length(unit)? {
        Length::Millis(length) => count
            .checked_mul(length)
            .and_then(|step| time_ms.checked_add(step))
            .ok_or_else(out_of_range),
        Length::Months(months) => {
            let months = count.checked_mul(months).ok_or_else(out_of_range)?;
            let step =
                Months::new(u32::try_from(months.unsigned_abs()).map_err(|_| out_of_range())?);
            let time = calendar(time_ms)?;
            let made = match months {
                0.. => time.checked_add_months(step),
                _ => time.checked_sub_months(step),
            };
            Ok(made.ok_or_else(out_of_range)?.and_utc().timestamp_millis())
        }
    }
}

/// `TIMESTAMPDIFF(unit, from, to)`: whole units.
pub fn difference(unit: &str, from_ms: i64, to_ms: i64) -> Result<i64> {
    match length(unit)? {
        Length::Millis(length) => Ok((to_ms - from_ms) / length),
        Length::Months(months) => {
            let (from_day, to_day) = (from_ms.div_euclid(DAY_MS), to_ms.div_euclid(DAY_MS));
            let mut between = months_between(from_day, to_day)?;
            // The last month is not over before the time of day at which it began.
            if add("MONTH", between, from_day * DAY_MS)? == to_day * DAY_MS
                && to_ms.rem_euclid(DAY_MS) < from_ms.rem_euclid(DAY_MS)
            {
                between -= 1;
            }
            Ok(between / months)
        }
    }
}

/// Whole months between two days.
fn months_between(from: i64, to: i64) -> Result<i64> {
    if to < from {
        return Ok(-months_between(to, from)?);
    }
    let (start, end) = (calendar(from * DAY_MS)?, calendar(to * DAY_MS)?);
    let index = |time: &NaiveDateTime| i64::from(time.year()) * 12 + i64::from(time.month0());
    let months = index(&end) - index(&start);
    let reached = add("MONTH", months, from * DAY_MS)?;
    Ok(if reached > to * DAY_MS { months - 1 } else { months })
}

/// Times floored or ceiled to the unit of a second column. The offset of an instant holds for the
/// result too, as in Flink, even where the clock changes between them.
pub fn rounded(
    columns: &[ArrayRef],
    zone: Tz,
    round: fn(&str, i64) -> Result<i64>,
) -> Result<ArrayRef> {
    let ty = columns[0].data_type();
    let (local, instants) = (times(&columns[0], zone)?, times(&columns[0], Tz::UTC)?);
    let values = local.iter().zip(&instants).zip(texts(&columns[1]));
    let is_instant = matches!(ty, DataType::Timestamp(_, Some(_)));
    let made = values.map(|((local, instant), unit)| {
        let (Some(local), Some(instant), Some(unit)) = (local, instant, unit) else {
            return Ok(None);
        };
        let offset = if is_instant { local - instant } else { 0 };
        Ok(Some(round(unit, local)? - offset))
    });
    let made = made.collect::<Result<Vec<_>>>()?;
    time_column(made.into_iter(), ty, Tz::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    // 2021-02-28 13:14:15.678 UTC, a Sunday.
    const TIME: i64 = 1_614_518_055_678;

    #[test]
    fn parts_are_those_of_flink() {
        for (unit, value) in [
            ("YEAR", 2021),
            ("QUARTER", 1),
            ("MONTH", 2),
            ("WEEK", 8),
            ("DAYOFMONTH", 28),
            ("DAYOFYEAR", 59),
            ("DAYOFWEEK", 1),
            ("HOUR", 13),
            ("MINUTE", 14),
            ("SECOND", 15),
        ] {
            assert_eq!(part(unit, TIME).unwrap(), value, "{unit}");
        }
        assert!(part("FORTNIGHT", TIME).is_err());
    }

    #[test]
    fn floors_and_ceilings() {
        assert_eq!(floor("HOUR", TIME).unwrap(), 1_614_517_200_000);
        assert_eq!(floor("MONTH", TIME).unwrap(), 1_612_137_600_000);
        assert_eq!(ceil("MONTH", TIME).unwrap(), 1_614_556_800_000);
        assert_eq!(floor("WEEK", TIME).unwrap(), floor("DAY", TIME).unwrap());
        assert_eq!(floor("HOUR", -1).unwrap(), -HOUR_MS);
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        // 2021-01-31 plus a month is 2021-02-28.
        let january = 1_612_051_200_000;
        assert_eq!(add("MONTH", 1, january).unwrap(), 1_614_470_400_000);
        assert_eq!(difference("MONTH", january, TIME).unwrap(), 1);
        assert_eq!(difference("MONTH", TIME, january).unwrap(), -1);
        assert_eq!(difference("DAY", january, TIME).unwrap(), 28);
    }
}
