//! Numbers as text: the digits of Rust's own `Display` and `Debug`, without their machinery.

use std::fmt::Debug;
use std::io::Write;
use std::ops::Range;

/// Floats that zmij and `Debug` write alike if they have few digits: without an exponent.
const PLAIN: Range<f64> = 1e-4..1e12;

pub fn write_integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The shortest digits that read as the same number, at least one behind the point: `1.0`, `1e16`.
/// What is no number is written as Java has it: `NaN`, `Infinity`.
pub fn write_float<F: zmij::Float + Into<f64> + Copy + Debug>(value: F, out: &mut Vec<u8>) {
    let wide: f64 = value.into();
    if wide == 0.0 || PLAIN.contains(&wide.abs()) {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value);
        // No other number of so few digits reads as the same float. With more there may be two that are
        // as near, and zmij and `Debug` choose differently.
        let alone = if size_of::<F>() == size_of::<f32>() { f32::DIGITS } else { f64::DIGITS };
        if text.len() <= alone as usize {
            return out.extend_from_slice(text.as_bytes());
        }
    }
    let text: &[u8] = match wide {
        _ if wide.is_finite() => {
            return write!(out, "{value:?}").expect("a Vec takes all bytes");
        }
        _ if wide.is_nan() => b"NaN",
        _ if wide > 0.0 => b"Infinity",
        _ => b"-Infinity",
    };
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written<F: zmij::Float + Into<f64> + Copy + Debug>(value: F) -> String {
        let mut out = vec![];
        write_float(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_at_the_ends_of_the_plain_ones() {
        for value in [1e-4_f64, 1e13, 1e16, 0.0, -0.0, 1.0, f64::MAX, f64::MIN_POSITIVE, 5e-324] {
            for value in [value, value.next_up(), value.next_down(), -value] {
                if value.is_finite() {
                    assert_eq!(written(value), format!("{value:?}"));
                }
            }
        }
        for value in [1e-4_f32, 1e13, 1e16, 0.0, 1.0, f32::MAX, f32::MIN_POSITIVE, 1e-45] {
            for value in [value, value.next_up(), value.next_down(), -value] {
                if value.is_finite() {
                    assert_eq!(written(value), format!("{value:?}"));
                }
            }
        }
        let strange = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(written);
        assert_eq!(strange, ["NaN", "Infinity", "-Infinity"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn floats_are_as_debug_has_them(bits: u64, narrow: u32, whole: i64, places in 0..12) {
            let decimal = whole as f64 / 10_f64.powi(places);
            for value in [f64::from_bits(bits), whole as f64, decimal, decimal * 1e-9] {
                if value.is_finite() {
                    prop_assert_eq!(written(value), format!("{value:?}"));
                }
            }
            for value in [f32::from_bits(narrow), whole as f32, decimal as f32] {
                if value.is_finite() {
                    prop_assert_eq!(written(value), format!("{value:?}"));
                }
            }
        }
    }
}
