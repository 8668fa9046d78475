//! JSON eight bytes at a time: where the plain part of a string ends, and short integers.

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES << 7;

/// Where the plain part of a string ends that begins at `start`, behind the opening quote: at the first
/// quote, backslash, control character or byte that is not ASCII; at the text's length where there is none.
#[inline]
pub fn plain_end(text: &[u8], start: usize) -> usize {
    let mut at = start;
    loop {
        let word = word_at(text, at);
        // The high bit of a byte says that it is one of those; of bytes above the lowest such byte
        // it is perhaps wrong. Behind the text are zeros, which are control characters.
        let quotes = (word ^ (ONES * u64::from(b'"'))).wrapping_sub(ONES);
        let backslashes = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
        let controls = word.wrapping_sub(ONES * u64::from(b' '));
        let found = (quotes | backslashes | controls | word) & HIGH;
        if found != 0 {
            return (at + found.trailing_zeros() as usize / 8).min(text.len());
        }
        at += 8;
    }
}

/// As [`plain_end`], but bytes that are not ASCII are plain too.
pub fn text_end(text: &[u8], start: usize) -> usize {
    let mut at = plain_end(text, start);
    while text.get(at).is_some_and(|byte| !byte.is_ascii()) {
        at = plain_end(text, at + 1);
    }
    at
}

/// A number of JSON without sign, fraction and exponent: its value and where it ends. `None` where
/// it has no digit, more than 16 of them, or zeros in front.
#[inline]
pub fn digits(text: &[u8], start: usize) -> Option<(u64, usize)> {
    let word = word_at(text, start);
    let (value, count) = eight_digits(word);
    if count > 1 && word as u8 == b'0' {
        return None;
    }
    match count {
        0 => None,
        1..=7 => Some((value, start + count as usize)),
        _ => longer_digits(text, start + 8, value),
    }
}

/// As [`digits`], behind the first eight.
#[cold]
fn longer_digits(text: &[u8], start: usize, high: u64) -> Option<(u64, usize)> {
    let (low, count) = eight_digits(word_at(text, start));
    let end = start + count as usize;
    let too_long = count == 8 && text.get(end).is_some_and(u8::is_ascii_digit);
    (!too_long).then_some((high * 10_u64.pow(count) + low, end))
}

/// The value of the digits that a word begins with, and how many there are.
#[inline]
fn eight_digits(word: u64) -> (u64, u32) {
    let values = word ^ (ONES * u64::from(b'0'));
    let others = (values.wrapping_add(ONES * 0x76) | values) & HIGH;
    let count = others.trailing_zeros() / 8;
    if count == 0 {
        return (0, 0);
    }
    // Zeros in front make eight of them; then neighbours are joined to pairs, fours and all
    // (Daniel Lemire, "Quickly parsing eight digits").
    let eight = values << (64 - 8 * count);
    let pairs = eight.wrapping_mul(10).wrapping_add(eight >> 8);
    let even = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(100 + (1_000_000 << 32));
    let odd = (pairs >> 16 & 0x0000_00ff_0000_00ff).wrapping_mul(1 + (10_000 << 32));
    (even.wrapping_add(odd) >> 32, count)
}

/// Eight bytes from `at` on, the first lowest; zeros behind the end.
#[inline]
fn word_at(text: &[u8], at: usize) -> u64 {
    if let Some(bytes) = text.get(at..).and_then(|rest| rest.first_chunk()) {
        return u64::from_le_bytes(*bytes);
    }
    let rest = text.get(at..).unwrap_or_default();
    match text.last_chunk() {
        // The last eight bytes begin before `at`.
        Some(bytes) if !rest.is_empty() => u64::from_le_bytes(*bytes) >> (64 - 8 * rest.len()),
        _ => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_plain_part_ends_where_a_loop_over_bytes_says(
            text in proptest::collection::vec(
                prop_oneof![4 => 0x20_u8..0x7f, 1 => any::<u8>(), 1 => Just(b'\\'), 1 => Just(b'"')], 0..40,
            ),
            start in 0_usize..9,
        ) {
            let start = start.min(text.len());
            let ends = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
            let end = text[start..].iter().position(ends).map_or(text.len(), |at| start + at);
            prop_assert_eq!(text_end(&text, start), end);
            let plain = text[start..end].iter().take_while(|byte| byte.is_ascii()).count();
            prop_assert_eq!(plain_end(&text, start), start + plain);
        }

        #[test]
        fn digits_are_read_as_the_standard_library_reads_them(
            number in prop_oneof![any::<u64>(), 0_u64..100_000],
            cut in 0_usize..20,
            behind in "[a-z.,}\u{e9}/:]{0,9}",
        ) {
            let number = number.to_string();
            let number = &number[..number.len().min(cut)];
            let expected = match number.parse::<u64>() {
                Ok(value) if number == value.to_string() && number.len() <= 16 => Some((value, number.len() + 1)),
                _ => None,
            };
            let text = format!("x{number}{behind}");
            prop_assert_eq!(digits(text.as_bytes(), 1), expected);
        }
    }

    #[test]
    fn zeros_in_front_are_no_number() {
        assert_eq!(digits(b"007", 0), None);
        assert_eq!(digits(b"0", 0), Some((0, 1)));
        assert_eq!(digits(b"", 0), None);
        assert_eq!(digits(b"1234567812345678", 0), Some((1_234_567_812_345_678, 16)));
    }
}
