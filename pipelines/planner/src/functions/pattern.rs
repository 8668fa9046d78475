//! Java's date patterns (`yyyy-MM-dd HH:mm:ss`), to format and to parse.

use std::fmt::{self, Write as _};

use chrono::{Datelike, Duration, Months, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use datafusion_common::Result;

use super::scalar::failed;

/// Flink's pattern where none is given.
pub const DEFAULT: &str = "yyyy-MM-dd HH:mm:ss";

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A letter so many times, or text that stands for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Field(char, usize),
    Text(String),
}

/// A pattern as read.
#[derive(Debug, Clone)]
pub struct Pattern {
    java: String,
    parts: Vec<Part>,
    /// Times are shown alike from a multiple of so many milliseconds to the next.
    alike_ms: i64,
}

impl Pattern {
    /// # Errors
    /// On a letter that has no meaning.
    pub fn new(java: &str) -> Result<Self> {
        let mut parts = vec![];
        let mut rest = java;
        while let Some(letter) = rest.chars().next() {
            if letter == '\'' {
                let (quoted, after) = rest[1..].split_once('\'').unwrap_or((&rest[1..], ""));
                parts.push(Part::Text(if quoted.is_empty() { "'" } else { quoted }.to_owned()));
                rest = after;
                continue;
            }
            let end = rest.find(|c| c != letter).unwrap_or(rest.len());
            parts.push(match letter {
                letter if "yuMLdDHhKkmsSaEe".contains(letter) => Part::Field(letter, end),
                letter if letter.is_ascii_alphabetic() => {
                    return Err(failed(format!(
                        "letters {} of the date pattern '{java}' are not supported",
                        &rest[..end]
                    )));
                }
                _ => Part::Text(rest[..end].to_owned()),
            });
            rest = &rest[end..];
        }
        let finest = |part: &Part| match part {
            Part::Field('S', _) => 1,
            Part::Field('s', _) => 1_000,
            Part::Field('m', _) => 60_000,
            Part::Field('H' | 'k' | 'h' | 'K' | 'a', _) => 3_600_000,
            _ => 86_400_000,
        };
        let alike_ms = parts.iter().map(finest).min().unwrap_or(86_400_000);
        Ok(Self { java: java.to_owned(), parts, alike_ms })
    }

    pub fn is(&self, java: &str) -> bool {
        self.java == java
    }

    pub fn format(&self, time: NaiveDateTime) -> String {
        let mut made = String::new();
        self.write(time, &mut made);
        made
    }

    /// Adds a time to `made`.
    pub fn write(&self, time: NaiveDateTime, made: &mut String) {
        for part in &self.parts {
            match part {
                Part::Text(text) => made.push_str(text),
                Part::Field(letter, width) => {
                    show(time, *letter, *width, made).expect("a text takes all that is written")
                }
            }
        }
    }

    /// Which of the times that are shown alike one is, in milliseconds since 1970.
    pub fn alike(&self, time_ms: i64) -> i64 {
        time_ms.div_euclid(self.alike_ms)
    }

    /// None where the text is not of this pattern. A day past the end of its month is the last one.
    pub fn parse(&self, text: &str) -> Option<NaiveDateTime> {
        let (found, rest) = self.found(text, Reading::Exact)?;
        rest.is_empty().then(|| found.time())?
    }

    /// As Java's old `SimpleDateFormat`: fields of any length, values past their end count on, and
    /// what follows is not looked at.
    pub fn parse_leniently(&self, text: &str) -> Option<NaiveDateTime> {
        self.found(text, Reading::Lenient)?.0.time_counted_on()
    }

    fn found<'a>(&self, text: &'a str, reading: Reading) -> Option<(Found, &'a str)> {
        let mut rest = text;
        let mut found = Found::default();
        for (position, part) in self.parts.iter().enumerate() {
            rest = match part {
                Part::Text(text) => rest.strip_prefix(text.as_str())?,
                Part::Field(letter, width) => {
                    // A field is as long as it is written where digits follow at once.
                    let next = self.parts.get(position + 1);
                    let adjacent = matches!(next, Some(Part::Field(..)));
                    found.take(rest, *letter, *width, adjacent, reading)?
                }
            };
        }
        Some((found, rest))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Exact,
    Lenient,
}

fn show(time: NaiveDateTime, letter: char, width: usize, to: &mut String) -> fmt::Result {
    let number = match (letter, width) {
        ('y' | 'u', 2) => return write!(to, "{:02}", time.year().rem_euclid(100)),
        ('y' | 'u', _) => return write!(to, "{:0width$}", time.year()),
        ('M' | 'L', 1 | 2) => time.month(),
        ('M' | 'L', 3) => return to.write_str(&MONTHS[time.month0() as usize][..3]),
        ('M' | 'L', _) => return to.write_str(MONTHS[time.month0() as usize]),
        ('d', _) => time.day(),
        ('D', _) => time.ordinal(),
        ('H', _) => time.hour(),
        ('k', _) if time.hour() == 0 => 24,
        ('k', _) => time.hour(),
        ('h', _) => time.hour12().1,
        ('K', _) => time.hour() % 12,
        ('m', _) => time.minute(),
        ('s', _) => time.second(),
        ('S', _) => {
            let nanos = format!("{:09}", time.nanosecond());
            return write!(to, "{:0<width$}", &nanos[..width.min(9)]);
        }
        ('a', _) => return to.write_str(if time.hour() < 12 { "AM" } else { "PM" }),
        ('E', 1..=3) => return to.write_str(&DAYS[day_of(time)][..3]),
        ('E', _) => return to.write_str(DAYS[day_of(time)]),
        _ => time.weekday().number_from_sunday(),
    };
    write!(to, "{number:0width$}")
}

fn day_of(time: NaiveDateTime) -> usize {
    time.weekday().num_days_from_monday() as usize
}

/// The fields of a text so far.
#[derive(Default)]
struct Found {
    year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    day_of_year: Option<u32>,
    hour: Option<u32>,
    half_hour: Option<u32>,
    afternoon: Option<bool>,
    minute: u32,
    second: u32,
    nanos: u32,
}

impl Found {
    /// Reads one field; what comes after it.
    fn take<'a>(
        &mut self,
        text: &'a str,
        letter: char,
        width: usize,
        adjacent: bool,
        reading: Reading,
    ) -> Option<&'a str> {
        let (least, most) = match (letter, width) {
            _ if reading == Reading::Lenient && !adjacent => (1, 9),
            ('y' | 'u', 2) => (2, 2),
            ('y' | 'u', _) => (width, if adjacent { width } else { 19 }),
            ('S', _) => (width, width),
            (_, 1) => (1, if adjacent { 1 } else { 19 }),
            _ => (width, width),
        };
        let named = match (letter, width) {
            ('M' | 'L', 3) => short(&MONTHS),
            ('M' | 'L', 4..) => MONTHS.to_vec(),
            ('E', 1..=3) => short(&DAYS),
            ('E', _) => DAYS.to_vec(),
            ('a', _) => vec!["AM", "PM"],
            _ => vec![],
        };
        if !named.is_empty() {
            let position = named.iter().position(|name| text.starts_with(name))?;
            match letter {
                'a' => self.afternoon = Some(position == 1),
                'M' | 'L' => self.month = Some(position as u32 + 1),
                _ => {}
            }
            return text.strip_prefix(named[position]);
        }
        let digits = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if digits < least {
            return None;
        }
        let number: u32 = text[..digits].parse().ok()?;
        match letter {
            'y' | 'u' if width == 2 => self.year = Some(2000 + number as i32),
            'y' | 'u' => self.year = i32::try_from(number).ok(),
            'M' | 'L' => self.month = Some(number),
            'd' => self.day = Some(number),
            'D' => self.day_of_year = Some(number),
            'H' => self.hour = Some(number),
            'k' => self.hour = Some(number % 24),
            'h' => self.half_hour = Some(number % 12),
            'K' => self.half_hour = Some(number),
            'm' => self.minute = number,
            's' => self.second = number,
            'S' => self.nanos = format!("{:0<9.9}", &text[..digits]).parse().ok()?,
            _ => {}
        }
        Some(&text[digits..])
    }

    fn half_hours(&self) -> Option<u32> {
        self.half_hour.map(|hour| hour + 12 * u32::from(self.afternoon == Some(true)))
    }

    fn time_counted_on(&self) -> Option<NaiveDateTime> {
        let less_one = |field: Option<u32>| i64::from(field.unwrap_or(1)) - 1;
        let year = NaiveDate::from_ymd_opt(self.year.unwrap_or(1970), 1, 1)?;
        let months = less_one(self.month);
        let month = match months {
            0.. => year.checked_add_months(Months::new(months as u32))?,
            _ => year.checked_sub_months(Months::new(1))?,
        };
        let days = less_one(self.day_of_year.or(self.day));
        let hours = i64::from(self.hour.or_else(|| self.half_hours()).unwrap_or(0));
        let seconds = (hours * 60 + i64::from(self.minute)) * 60 + i64::from(self.second);
        let step = Duration::days(days) + Duration::seconds(seconds);
        let start = month.and_hms_opt(0, 0, 0)?;
        (start + Duration::nanoseconds(self.nanos.into())).checked_add_signed(step)
    }

    fn time(&self) -> Option<NaiveDateTime> {
        let year = self.year.unwrap_or(1970);
        let date = match (self.day_of_year, self.day.unwrap_or(1)) {
            (Some(day), _) => NaiveDate::from_yo_opt(year, day)?,
            (None, day @ 1..=31) => {
                let month = self.month.unwrap_or(1);
                (0..4)
                    .find_map(|less| NaiveDate::from_ymd_opt(year, month, day.checked_sub(less)?))?
            }
            _ => return None,
        };
        let hour = self.hour.or_else(|| self.half_hours()).unwrap_or(0);
        let time = NaiveTime::from_hms_nano_opt(hour, self.minute, self.second, self.nanos)?;
        Some(date.and_time(time))
    }
}

fn short<const N: usize>(names: &[&'static str; N]) -> Vec<&'static str> {
    names.iter().map(|name| &name[..3]).collect()
}

/// Keeps the last pattern: it is a literal in practice.
#[derive(Default)]
pub struct Patterns(Option<Pattern>);

impl Patterns {
    pub fn get(&mut self, java: &str) -> Result<&Pattern> {
        let pattern = match self.0.take() {
            Some(known) if known.is(java) => known,
            _ => Pattern::new(java)?,
        };
        Ok(self.0.insert(pattern))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").unwrap()
    }

    #[test]
    fn patterns_format_and_parse() {
        let pattern = Pattern::new("yyyy-MM-dd'T'HH:mm:ss.SSS").unwrap();
        let time = at("2020-09-13 12:26:40.123");
        assert_eq!(pattern.format(time), "2020-09-13T12:26:40.123");
        assert_eq!(pattern.parse("2020-09-13T12:26:40.123"), Some(time));
        let words = Pattern::new("EEE, d MMM yyyy h:mm a").unwrap();
        assert_eq!(words.format(time), "Sun, 13 Sep 2020 12:26 PM");
        assert_eq!(words.parse("Sun, 13 Sep 2020 1:26 PM"), Some(at("2020-09-13 13:26:00")));
        let dense = Pattern::new("yyyyMMddHHmmss").unwrap();
        assert_eq!(dense.parse("20200913122640"), Some(at("2020-09-13 12:26:40")));
        assert_eq!(dense.parse("yesterday"), None);
        assert!(Pattern::new("yyyy-qq").is_err());
    }

    #[test]
    fn times_are_shown_alike_within_their_finest_field() {
        let times = (0..400_000).map(|n: i64| n * 217_391 - 40_000_000_000);
        let times: Vec<i64> =
            times.chain(1_599_999_990_000..1_600_000_010_000).step_by(3).collect();
        for java in ["yyyy-MM-dd", "HH:mm", "h a", "D", "ss", "mm.SS", "'day' E"] {
            let pattern = Pattern::new(java).unwrap();
            let shown = |time: i64| {
                pattern.format(chrono::DateTime::from_timestamp_millis(time).unwrap().naive_utc())
            };
            for pair in times.windows(2) {
                if pattern.alike(pair[0]) == pattern.alike(pair[1]) {
                    assert_eq!(shown(pair[0]), shown(pair[1]), "{java} of {pair:?}");
                }
            }
        }
    }

    #[test]
    fn a_day_too_many_is_the_last_of_its_month() {
        let pattern = Pattern::new("dd.MM.yyyy").unwrap();
        assert_eq!(pattern.parse("31.02.2026"), Some(at("2026-02-28 00:00:00")));
        assert_eq!(pattern.parse("32.01.2026"), None);
        assert_eq!(pattern.parse_leniently("31.2.2026 x"), Some(at("2026-03-03 00:00:00")));
    }
}
