//! `REVERSE(s)`.

use super::scalar::{Body, Function, Kind, all, text, text_of_text};

pub fn function() -> Function {
    Function {
        name: "reverse",
        form: "REVERSE(s)",
        about: "the characters from last to first",
        takes: all(&[Kind::Text]),
        gives: text,
        body: Body::Plain(|columns, _| {
            text_of_text(columns, |text| Some(text.chars().rev().collect()))
        }),
    }
}
