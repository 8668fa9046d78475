//! `LEFT(s, n)` and `RIGHT(s, n)`.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, all, longs, text, texts};

pub fn left() -> Function {
    Function {
        name: "left",
        form: "LEFT(s, n)",
        about: "the first characters",
        takes: all(&[Kind::Text, Kind::Long]),
        gives: text,
        body: Body::Plain(|columns, _| part(columns, |all, n| 0..n.min(all))),
    }
}

pub fn right() -> Function {
    Function {
        name: "right",
        form: "RIGHT(s, n)",
        about: "the last characters",
        takes: all(&[Kind::Text, Kind::Long]),
        gives: text,
        body: Body::Plain(|columns, _| part(columns, |all, n| all.saturating_sub(n)..all)),
    }
}

fn part(columns: &[ArrayRef], range: fn(usize, usize) -> Range<usize>) -> Result<ArrayRef> {
    let pairs = texts(&columns[0]).iter().zip(longs(&columns[1]));
    let made = pairs.map(|(text, n)| {
        let (text, n) = (text?, usize::try_from(n?).unwrap_or(0));
        let range = range(text.chars().count(), n);
        Some(text.chars().skip(range.start).take(range.len()).collect::<String>())
    });
    Ok(Arc::new(made.collect::<StringArray>()))
}
