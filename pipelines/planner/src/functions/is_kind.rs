//! `IS_ALPHA(s)`, `IS_DIGIT(s)` and `IS_DECIMAL(s)`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, all, boolean, texts};

pub fn functions() -> [Function; 3] {
    let test = |name, form, about, body| Function {
        name,
        form,
        about,
        takes: all(&[Kind::Text]),
        gives: boolean,
        body: Body::Plain(body),
    };
    [
        test("is_alpha", "IS_ALPHA(s)", "whether there are letters alone", |columns, _| {
            whether(columns, |text| text.chars().all(char::is_alphabetic))
        }),
        test("is_digit", "IS_DIGIT(s)", "whether there are digits alone", |columns, _| {
            whether(columns, |text| text.chars().all(char::is_numeric))
        }),
        test("is_decimal", "IS_DECIMAL(s)", "whether the text is a number", |columns, _| {
            whether(columns, |text| {
                let digit = |c: char| if c.is_numeric() && !c.is_ascii() { '1' } else { c };
                let text: String = text.trim().chars().map(digit).collect();
                let digits = text.trim_start_matches(['-', '+']);
                digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
                    && text.parse::<f64>().is_ok()
            })
        }),
    ]
}

/// Null and the empty text are none of these.
fn whether(columns: &[ArrayRef], is: fn(&str) -> bool) -> Result<ArrayRef> {
    let made =
        texts(&columns[0]).iter().map(|text| Some(text.is_some_and(|t| !t.is_empty() && is(t))));
    Ok(Arc::new(made.collect::<BooleanArray>()))
}
