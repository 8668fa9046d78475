//! `TRANSLATE(s, from, to)`: each character of `from` becomes that of `to` at its place.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, all, optional_text, text};

pub fn function() -> Function {
    Function {
        name: "translate",
        form: "TRANSLATE(s, from, to)",
        about: "each character of from becomes that of to at its place, or nothing",
        takes: all(&[Kind::Text, Kind::Text, Kind::Text]),
        gives: text,
        body: Body::Plain(translate),
    }
}

fn translate(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let made = (0..rows).map(|row| {
        let [text, from, to] = [0, 1, 2].map(|position| optional_text(columns, position, row));
        let (text, from, to) = (text?, from?, to?);
        let letter = |c: char| match from.chars().position(|other| other == c) {
            Some(place) => to.chars().nth(place),
            None => Some(c),
        };
        Some(text.chars().filter_map(letter).collect::<String>())
    });
    Ok(Arc::new(made.collect::<StringArray>()))
}
