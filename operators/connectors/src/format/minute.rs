//! Timestamps of which most lie in the same minute as the one before: the minute is read once.

use arrow::datatypes::TimeUnit;

use super::text::{TimestampStandard, parse_timestamp, per_second};

/// Length of `yyyy-MM-dd HH:mm`.
const MINUTE: usize = 16;

/// Reads timestamps of one form.
pub struct Timestamps {
    standard: TimestampStandard,
    zoned: bool,
    unit: TimeUnit,
    /// Of the last timestamp; zeros at first.
    minute: [u8; MINUTE],
    /// The value at the minute's beginning.
    value: i64,
}

impl Timestamps {
    pub fn new(standard: TimestampStandard, zoned: bool, unit: TimeUnit) -> Self {
        Self { standard, zoned, unit, minute: [0; MINUTE], value: 0 }
    }

    /// As [`parse_timestamp`].
    pub fn parse(&mut self, text: &[u8]) -> Option<i64> {
        let seconds = text.split_first_chunk::<MINUTE>();
        let seconds = seconds.and_then(|(minute, rest)| Some((minute, self.seconds(rest)?)));
        if let Some((minute, seconds)) = seconds
            && *minute == self.minute
        {
            return self.value.checked_add(seconds);
        }
        let text = std::str::from_utf8(text).ok()?;
        let value = parse_timestamp(text, self.standard, self.zoned, self.unit)?;
        if let Some((minute, seconds)) = seconds
            && let Some(start) = value.checked_sub(seconds)
        {
            (self.minute, self.value) = (*minute, start);
        }
        Some(value)
    }

    /// What stands behind the minute in the usual forms: `:ss` and `:ss.fff`.
    fn seconds(&self, text: &[u8]) -> Option<i64> {
        let text = if self.zoned { text.strip_suffix(b"Z")? } else { text };
        let (second, millis) = match text {
            [b':', a, b] => (number(&[*a, *b])?, 0),
            [b':', a, b, b'.', c, d, e] => (number(&[*a, *b])?, number(&[*c, *d, *e])?),
            _ => return None,
        };
        let factor = per_second(self.unit);
        (second < 60).then_some(second * factor + millis * factor / 1_000)
    }
}

fn number<const N: usize>(digits: &[u8; N]) -> Option<i64> {
    let digit = |byte: &u8| byte.wrapping_sub(b'0');
    let value = digits.iter().fold(0, |value, byte| value * 10 + i64::from(digit(byte)));
    digits.iter().all(|byte| digit(byte) < 10).then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_is_read_as_if_it_were_alone(
            texts in proptest::collection::vec(
                "(19|20)2[0-2]-0[0-3]-[0-3][0-9][ T](0[0-2]|2[0-4]):[0-6][0-9](:[0-6][0-9](\\.[0-9]{0,10})?)?Z?|.{0,24}",
                1..20,
            ),
            zoned: bool,
            iso: bool,
            unit in prop_oneof![
                Just(TimeUnit::Second), Just(TimeUnit::Millisecond), Just(TimeUnit::Microsecond), Just(TimeUnit::Nanosecond),
            ],
        ) {
            let standard = if iso { TimestampStandard::Iso8601 } else { TimestampStandard::Sql };
            let mut timestamps = Timestamps::new(standard, zoned, unit);
            // Each twice, and with other seconds: in the minute of the one before.
            for text in texts.iter().flat_map(|text| {
                [text.clone(), text.clone(), text.replace(":0", ":5"), text.replace(":5", ":1")]
            }) {
                let alone = parse_timestamp(&text, standard, zoned, unit);
                prop_assert_eq!(timestamps.parse(text.as_bytes()), alone, "{}", text);
            }
        }
    }
}
