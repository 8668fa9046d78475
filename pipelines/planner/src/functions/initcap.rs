//! `INITCAP(s)`: the first letter of each word large, the others small.

use super::scalar::{Body, Function, Kind, all, text, text_of_text};

pub fn function() -> Function {
    Function {
        name: "initcap",
        form: "INITCAP(s)",
        about: "the first letter of each word large, the others small",
        takes: all(&[Kind::Text]),
        gives: text,
        body: Body::Plain(|columns, _| text_of_text(columns, initcap)),
    }
}

/// A word is of ASCII letters and digits, as in Flink.
fn initcap(text: &str) -> Option<String> {
    let mut inside = false;
    let letter = |c: char| {
        let made = match inside {
            true => c.to_ascii_lowercase(),
            false => c.to_ascii_uppercase(),
        };
        inside = c.is_ascii_alphanumeric();
        made
    };
    Some(text.chars().map(letter).collect())
}
