//! `PRINTF(format, value, …)`: as `String.format` of Java.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use chrono_tz::Tz;
use datafusion_common::Result;

use super::cast::text::to_text;
use super::scalar::{Body, Function, Kind, Takes, text};

pub fn function() -> Function {
    Function {
        name: "printf",
        form: "PRINTF(format, value, …)",
        about: "texts and numbers in a format such as %s: %05d %.2f",
        takes: Takes::Many { kind: Kind::Any, least: 1 },
        gives: text,
        body: Body::Plain(printf),
    }
}

/// Wider fields are refused: one row must not fill the memory.
const WIDTH_MAX: usize = 1 << 16;

fn printf(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let formats = cast(&columns[0], &DataType::Utf8)?;
    let values = columns[1..].iter().map(|column| Ok((column, to_text(column, Tz::UTC)?)));
    let values = values.collect::<Result<Vec<_>>>()?;
    let made = (0..rows).map(|row| {
        let formats = formats.as_string::<i32>();
        let mut next = 0;
        formats.is_valid(row).then(|| {
            formatted(formats.value(row), |position| {
                let position = position.unwrap_or_else(|| {
                    next += 1;
                    next - 1
                });
                let (column, text) = values.get(position)?;
                let text = text.is_valid(row).then(|| text.value(row));
                Some((column.data_type(), text))
            })
        })
    });
    // What Java refuses is null.
    Ok(Arc::new(made.map(Option::flatten).collect::<StringArray>()))
}

/// `%[position$][flags][width][.precision]letter`.
fn formatted<'a>(
    format: &str,
    mut argument: impl FnMut(Option<usize>) -> Option<(&'a DataType, Option<&'a str>)>,
) -> Option<String> {
    let mut made = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        made.push_str(before);
        let end = after.find(|c: char| c.is_ascii_alphabetic() || c == '%')?;
        let (mut spec, letter) = (&after[..end], after[end..].chars().next()?);
        rest = &after[end + 1..];
        let mut position = None;
        if let Some((number, others)) = spec.split_once('$') {
            position = Some(number.parse::<usize>().ok()?.checked_sub(1)?);
            spec = others;
        }
        let flags = spec.find(|c| !"-+ 0,(#".contains(c)).unwrap_or(spec.len());
        let (flags, size) = spec.split_at(flags);
        let (width, precision) = size.split_once('.').unwrap_or((size, ""));
        let width = if width.is_empty() { 0 } else { width.parse().ok()? };
        let precision = if precision.is_empty() { None } else { Some(precision.parse().ok()?) };
        if width > WIDTH_MAX || precision.is_some_and(|digits| digits > WIDTH_MAX) {
            return None;
        }
        let shown = match letter {
            '%' => "%".to_owned(),
            'n' => "\n".to_owned(),
            _ => {
                let (ty, value) = argument(position)?;
                field(letter, flags, precision, ty, value)?
            }
        };
        let is_null = shown.eq_ignore_ascii_case("null");
        let missing = width.saturating_sub(shown.chars().count());
        match (flags.contains('-'), flags.contains('0') && letter != 's' && !is_null) {
            (true, _) => made.push_str(&format!("{shown}{}", " ".repeat(missing))),
            (false, false) => made.push_str(&format!("{}{shown}", " ".repeat(missing))),
            (false, true) => {
                let digits = shown.trim_start_matches(['-', '+']);
                let sign = &shown[..shown.len() - digits.len()];
                made.push_str(&format!("{sign}{}{digits}", "0".repeat(missing)));
            }
        }
    }
    made.push_str(rest);
    Some(made)
}

fn field(
    letter: char,
    flags: &str,
    precision: Option<usize>,
    ty: &DataType,
    value: Option<&str>,
) -> Option<String> {
    let Some(value) = value else {
        let null = if letter.is_ascii_uppercase() { "NULL" } else { "null" };
        return Some(null.chars().take(precision.unwrap_or(4)).collect());
    };
    let signed = |text: String| match flags.contains('+') && !text.starts_with('-') {
        true => format!("+{text}"),
        false => text,
    };
    let whole = || ty.is_integer().then(|| value.parse::<i64>().ok())?;
    let digits = precision.unwrap_or(6);
    Some(match letter {
        's' => value.chars().take(precision.unwrap_or(usize::MAX)).collect(),
        'S' => value.to_uppercase(),
        'b' | 'B' => match ty {
            DataType::Boolean => value.to_lowercase(),
            _ => "true".to_owned(),
        },
        'd' if flags.contains(',') => signed(grouped(&whole()?.to_string())),
        'd' => signed(whole()?.to_string()),
        'x' => narrow_hex(whole()?, ty),
        'X' => narrow_hex(whole()?, ty).to_uppercase(),
        'f' if ty.is_floating() || matches!(ty, DataType::Decimal128(..)) => {
            let shown = super::round::shown(value, digits);
            signed(if flags.contains(',') { grouped(&shown) } else { shown })
        }
        'e' if ty.is_floating() => {
            let shown = format!("{:.digits$e}", value.parse::<f64>().ok()?);
            let (mantissa, exponent) = shown.split_once('e')?;
            let exponent: i32 = exponent.parse().ok()?;
            let sign = if exponent < 0 { '-' } else { '+' };
            signed(format!("{mantissa}e{sign}{:02}", exponent.abs()))
        }
        'c' => value.chars().next()?.to_string(),
        _ => return None,
    })
}

/// Negative numbers have the digits of their own width.
fn narrow_hex(value: i64, ty: &DataType) -> String {
    match ty {
        DataType::Int8 => format!("{:x}", value as i8),
        DataType::Int16 => format!("{:x}", value as i16),
        DataType::Int32 => format!("{:x}", value as i32),
        _ => format!("{value:x}"),
    }
}

/// `1,234,567.8`.
fn grouped(number: &str) -> String {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", number),
    };
    let (whole, fraction) = match digits.find('.') {
        Some(point) => digits.split_at(point),
        None => (digits, ""),
    };
    let mut made = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            made.push(',');
        }
        made.push(digit);
    }
    format!("{sign}{made}{fraction}")
}
