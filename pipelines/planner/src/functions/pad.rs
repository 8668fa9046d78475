//! `LPAD(s, n, pad)` and `RPAD(s, n, pad)`: cut where the text is longer.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, all, longs, text, texts};

pub fn left() -> Function {
    Function {
        name: "lpad",
        form: "LPAD(s, n, pad)",
        about: "filled up to n characters in front, or cut",
        takes: all(&[Kind::Text, Kind::Long, Kind::Text]),
        gives: text,
        body: Body::Plain(|columns, _| padded(columns, |text, pad| [pad, text].concat())),
    }
}

pub fn right() -> Function {
    Function {
        name: "rpad",
        form: "RPAD(s, n, pad)",
        about: "filled up to n characters behind, or cut",
        takes: all(&[Kind::Text, Kind::Long, Kind::Text]),
        gives: text,
        body: Body::Plain(|columns, _| padded(columns, |text, pad| [text, pad].concat())),
    }
}

/// Longer texts are refused with null: one row must not fill the memory.
const LENGTH_MAX: usize = 16 << 20;

/// Lengths are those of Java: a character beyond the first 65,536 counts twice.
fn padded(columns: &[ArrayRef], join: fn(Vec<u16>, Vec<u16>) -> Vec<u16>) -> Result<ArrayRef> {
    let values = texts(&columns[0]).iter().zip(longs(&columns[1])).zip(texts(&columns[2]));
    let made = values.map(|((text, length), pad)| {
        let (text, pad) = (text?, pad?);
        let length = usize::try_from(length?).ok().filter(|length| *length <= LENGTH_MAX)?;
        if pad.is_empty() {
            return None;
        }
        let mut units: Vec<u16> = text.encode_utf16().collect();
        if units.len() < length {
            let pad: Vec<u16> = pad.encode_utf16().collect();
            let missing = pad.iter().copied().cycle().take(length - units.len()).collect();
            units = join(units, missing);
        }
        units.truncate(length);
        Some(String::from_utf16_lossy(&units))
    });
    Ok(Arc::new(made.collect::<StringArray>()))
}
