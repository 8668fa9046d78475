//! JSON fields appended byte by byte: the generators must outrun what they load.

use std::io::Write;

use chrono::{DateTime, Datelike, Timelike};

/// Appends a value that is JSON already under a name that may be anything.
pub(crate) fn raw(out: &mut Vec<u8>, name: &str, value: &str) {
    any_name(out, name);
    out.extend_from_slice(value.as_bytes());
}

/// Appends a string under a name that may be anything.
pub(crate) fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    any_name(out, name);
    serde_json::to_writer(out, value).expect("a string is always JSON");
}

/// Appends a name that may be anything, after a comma unless it is the object's first.
pub(crate) fn any_name(out: &mut Vec<u8>, name: &str) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    serde_json::to_writer(&mut *out, name).expect("a string is always JSON");
    out.push(b':');
}

/// Appends `"name":`, after a comma unless it is the object's first field.
pub(crate) fn field(out: &mut Vec<u8>, name: &str) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

pub(crate) fn integer(out: &mut Vec<u8>, name: &str, value: i64) {
    field(out, name);
    digits(out, value);
}

/// Appends a finite number in its shortest form that reads back the same.
pub(crate) fn number(out: &mut Vec<u8>, name: &str, value: f64) {
    assert!(value.is_finite(), "field {name}: JSON has no {value}");
    field(out, name);
    write!(out, "{value:?}").expect("a Vec takes every write");
}

/// Appends a string that needs no escapes (an identifier of ours).
pub(crate) fn plain(out: &mut Vec<u8>, name: &str, value: &str) {
    debug_assert!(value.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\'));
    field(out, name);
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

pub(crate) fn plain_or_null(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    match value {
        Some(value) => plain(out, name, value),
        None => {
            field(out, name);
            out.extend_from_slice(b"null");
        }
    }
}

/// Appends a time as Flink's SQL format in UTC: `2026-01-05 12:00:00.123`.
pub(crate) fn timestamp(out: &mut Vec<u8>, name: &str, ms: i64) {
    field(out, name);
    time(out, ms);
}

/// The value of [`timestamp`] alone.
pub(crate) fn time(out: &mut Vec<u8>, ms: i64) {
    out.push(b'"');
    let time =
        DateTime::from_timestamp_millis(ms).expect("event times lie within chrono's 262,000 years");
    digits_padded(out, time.year().unsigned_abs(), 4);
    for (sign, part) in [
        (b'-', time.month()),
        (b'-', time.day()),
        (b' ', time.hour()),
        (b':', time.minute()),
        (b':', time.second()),
    ] {
        out.push(sign);
        digits_padded(out, part, 2);
    }
    out.push(b'.');
    digits_padded(out, time.timestamp_subsec_millis(), 3);
    out.push(b'"');
}

/// Appends 16 hexadecimal digits as a string.
pub(crate) fn hex(out: &mut Vec<u8>, name: &str, value: u64) {
    field(out, name);
    out.push(b'"');
    for shift in (0..16).rev() {
        out.push(b"0123456789abcdef"[(value >> (4 * shift)) as usize & 15]);
    }
    out.push(b'"');
}

fn digits(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    let mut buffer = [0u8; 20];
    let mut at = buffer.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&buffer[at..]);
}

fn digits_padded(out: &mut Vec<u8>, value: u32, width: usize) {
    let start = out.len();
    out.resize(start + width, b'0');
    let mut rest = value;
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_object_reads_back() {
        let mut out = b"{".to_vec();
        timestamp(&mut out, "t", 1_767_614_400_123);
        integer(&mut out, "i", i64::MIN);
        number(&mut out, "n", 0.25);
        hex(&mut out, "h", 0xab);
        plain_or_null(&mut out, "none", None);
        out.push(b'}');
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["t"], "2026-01-05 12:00:00.123");
        assert_eq!(value["i"], i64::MIN);
        assert_eq!(value["n"], 0.25);
        assert_eq!(value["h"], "00000000000000ab");
        assert!(value["none"].is_null());
    }
}
