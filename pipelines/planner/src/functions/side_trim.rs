//! `LTRIM(s[, what])`, `RTRIM` and `BTRIM`: on the left, the right or both sides.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, optional_text, some, text, texts};

pub fn left() -> Function {
    Function {
        name: "ltrim",
        form: "LTRIM(s[, characters])",
        about: "without the characters, or spaces, in front",
        takes: some(&[Kind::Text, Kind::Text], 1),
        gives: text,
        body: Body::Plain(|columns, _| trimmed(columns, |text, is| text.trim_start_matches(is))),
    }
}

pub fn right() -> Function {
    Function {
        name: "rtrim",
        form: "RTRIM(s[, characters])",
        about: "without the characters, or spaces, behind",
        takes: some(&[Kind::Text, Kind::Text], 1),
        gives: text,
        body: Body::Plain(|columns, _| trimmed(columns, |text, is| text.trim_end_matches(is))),
    }
}

pub fn both() -> Function {
    Function {
        name: "btrim",
        form: "BTRIM(s[, characters])",
        about: "without the characters, or spaces, on both sides",
        takes: some(&[Kind::Text, Kind::Text], 1),
        gives: text,
        body: Body::Plain(|columns, _| trimmed(columns, |text, is| text.trim_matches(is))),
    }
}

type Trim = for<'a> fn(&'a str, &dyn Fn(char) -> bool) -> &'a str;

fn trimmed(columns: &[ArrayRef], trim: Trim) -> Result<ArrayRef> {
    let made = texts(&columns[0]).iter().enumerate().map(|(row, text)| {
        let what = match columns.len() {
            1 => " ",
            _ => optional_text(columns, 1, row)?,
        };
        Some(trim(text?, &|c| what.contains(c)))
    });
    Ok(Arc::new(made.collect::<StringArray>()))
}
