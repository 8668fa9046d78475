//! Windows over event time: which of them a row belongs to, as Flink's table functions cut them.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, TimestampMillisecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use nowcast_engine::time::period_start;
use nowcast_engine::{Error, Millis, Result};

/// Times and lengths beyond this (146 million years) are refused, so that no sum of them overflows.
pub const TIME_LIMIT: Millis = i64::MAX / 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowKind {
    Tumble { size_ms: i64 },
    Hop { size_ms: i64, slide_ms: i64 },
    Cumulate { max_ms: i64, step_ms: i64 },
}

/// A kind of window and where its cuts lie: at `offset_ms` from the epoch, or a multiple of the
/// period away from it. `[start, end)`, all in ms; times before the epoch are like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub kind: WindowKind,
    pub offset_ms: i64,
}

/// One window: `start <= time < end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub start: Millis,
    pub end: Millis,
}

impl Window {
    /// # Errors
    /// Of the user, where Flink refuses the window: a length that is not positive, a CUMULATE
    /// whose maximum is no multiple of its step.
    pub fn check(&self) -> Result<()> {
        let (name, whole, what, part, parts) = match self.kind {
            WindowKind::Tumble { size_ms } => ("TUMBLE", size_ms, "size", size_ms, "size"),
            WindowKind::Hop { size_ms, slide_ms } => ("HOP", size_ms, "size", slide_ms, "slide"),
            WindowKind::Cumulate { max_ms, step_ms } => {
                ("CUMULATE", max_ms, "maximum size", step_ms, "step")
            }
        };
        if whole > TIME_LIMIT / 4 || self.offset_ms.abs() > TIME_LIMIT / 4 {
            return Err(Error::user(format!("{name}: {what} or offset is too long")));
        }
        if whole <= 0 || part <= 0 {
            return Err(Error::user(format!(
                "{name}: {what} {whole} ms and {parts} {part} ms must be positive"
            )));
        }
        if whole % part != 0 && !matches!(self.kind, WindowKind::Hop { .. }) {
            return Err(Error::user(format!(
                "{name}: {what} {whole} ms must be an integral multiple of {parts} {part} ms"
            )));
        }
        Ok(())
    }

    /// The windows that a row is in end this far apart.
    pub fn step_ms(&self) -> i64 {
        match self.kind {
            WindowKind::Tumble { size_ms } => size_ms,
            WindowKind::Hop { slide_ms, .. } => slide_ms,
            WindowKind::Cumulate { step_ms, .. } => step_ms,
        }
    }

    /// The first and the last end of the windows that a row belongs to; `None` where a HOP that
    /// slides further than its size passes over it.
    pub fn ends_of(&self, time: Millis) -> Option<(Millis, Millis)> {
        let start = |time: Millis, period: i64| period_start(time, period, self.offset_ms);
        match self.kind {
            WindowKind::Tumble { size_ms } => {
                let end = start(time, size_ms) + size_ms;
                Some((end, end))
            }
            WindowKind::Hop { size_ms, slide_ms } => {
                let first = start(time - size_ms, slide_ms) + slide_ms;
                let last = start(time, slide_ms);
                (first <= last).then_some((first + size_ms, last + size_ms))
            }
            WindowKind::Cumulate { max_ms, step_ms } => {
                Some((start(time, step_ms) + step_ms, start(time, max_ms) + max_ms))
            }
        }
    }

    /// The times around `time` that have the same [`Window::ends_of`].
    pub fn alike(&self, time: Millis) -> Range<Millis> {
        let cut = |time: Millis, period: i64| period_start(time, period, self.offset_ms);
        match self.kind {
            WindowKind::Tumble { size_ms: period }
            | WindowKind::Cumulate { step_ms: period, .. } => {
                let start = cut(time, period);
                start..start + period
            }
            // One window begins at each of the latter, one ends at each of the former.
            WindowKind::Hop { size_ms, slide_ms } => {
                let (ended, begun) = (cut(time - size_ms, slide_ms) + size_ms, cut(time, slide_ms));
                ended.max(begun)..ended.min(begun) + slide_ms
            }
        }
    }

    /// The window that ends at `end`, a cut of this window.
    pub fn window_ending(&self, end: Millis) -> Span {
        let start = match self.kind {
            WindowKind::Tumble { size_ms } | WindowKind::Hop { size_ms, .. } => end - size_ms,
            WindowKind::Cumulate { max_ms, .. } => period_start(end - 1, max_ms, self.offset_ms),
        };
        Span { start, end }
    }

    /// The windows a row belongs to, by ascending end. (Flink's HOP lists them by descending start;
    /// rows of one time have no order of their own.)
    pub fn windows_of(&self, time: Millis) -> impl Iterator<Item = Span> + use<> {
        let window = *self;
        let step = self.step_ms();
        let ends = self.ends_of(time).into_iter();
        ends.flat_map(move |(first, last)| {
            (0..=(last - first) / step).map(move |nth| window.window_ending(first + nth * step))
        })
    }
}

/// Times in ms as a column of a time type.
pub(crate) fn time_column(times: Vec<Millis>, ty: &DataType) -> Result<ArrayRef> {
    match ty {
        DataType::Int64 => Ok(Arc::new(Int64Array::from(times))),
        DataType::Timestamp(unit, zone) => {
            let times = TimestampMillisecondArray::from(times).with_timezone_opt(zone.clone());
            match unit {
                TimeUnit::Millisecond => Ok(Arc::new(times)),
                _ => Ok(cast(&times, ty)?),
            }
        }
        other => Err(Error::bug(format!("{other} is not a time column"))),
    }
}

/// Why an event time has no window; `None` where it has.
pub(crate) fn unusable(time: Option<Millis>, name: &str) -> Option<String> {
    match time {
        None => Some(format!("event time `{name}` is null")),
        Some(time) if !(-TIME_LIMIT / 2..=TIME_LIMIT / 2).contains(&time) => {
            Some(format!("event time `{name}` is out of range"))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_alike_from_the_first_to_the_last_of_the_same_windows() {
        let kinds = [
            WindowKind::Tumble { size_ms: 7 },
            WindowKind::Cumulate { max_ms: 12, step_ms: 4 },
            WindowKind::Hop { size_ms: 10, slide_ms: 4 },
            WindowKind::Hop { size_ms: 12, slide_ms: 4 },
            WindowKind::Hop { size_ms: 3, slide_ms: 5 },
        ];
        for kind in kinds {
            let window = Window { kind, offset_ms: 2 };
            for time in -30..30 {
                let alike = window.alike(time);
                assert!(alike.contains(&time), "{kind:?} at {time}");
                for other in -60..60 {
                    let same = window.ends_of(other) == window.ends_of(time);
                    if alike.contains(&other) {
                        assert!(same, "{kind:?} at {time}: {other}");
                    } else if window.ends_of(time).is_some() {
                        assert!(!same, "{kind:?} at {time}: {other}");
                    }
                }
            }
        }
    }
}
