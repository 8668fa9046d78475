//! `s SIMILAR TO pattern [ESCAPE e]`: a regular expression of standard SQL, on the whole text.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use datafusion_common::Result;

use super::java_regex::Regexes;
use super::scalar::{Body, Function, Kind, boolean, failed, optional_text, some};

pub fn function() -> Function {
    Function {
        name: "similar_to",
        form: "s [NOT] SIMILAR TO pattern [ESCAPE e]",
        about: "whether a text is of a pattern with %, _, |, *, +, ?, {n}, (…) and […]",
        takes: some(&[Kind::Text, Kind::Text, Kind::Text], 2),
        gives: boolean,
        body: Body::Plain(similar_to),
    }
}

pub fn like() -> Function {
    Function {
        name: "like",
        form: "s [NOT] LIKE pattern [ESCAPE e]",
        about: "whether a text is of a pattern with % and _",
        body: Body::Plain(|columns, rows| {
            tested(columns, rows, |letter| match letter {
                '%' => Some("(?s:.*)"),
                '_' => Some("."),
                _ => None,
            })
        }),
        ..function()
    }
}

fn similar_to(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    tested(columns, rows, |letter| match letter {
        '%' => Some("(?s:.*)"),
        '_' => Some("."),
        '.' => Some("."),
        '|' => Some("|"),
        '*' => Some("*"),
        '+' => Some("+"),
        '?' => Some("?"),
        '-' => Some("-"),
        '^' => Some("^"),
        ',' => Some(","),
        '(' => Some("("),
        ')' => Some(")"),
        '[' => Some("["),
        ']' => Some("]"),
        '{' => Some("{"),
        '}' => Some("}"),
        _ => None,
    })
}

/// Tests texts against patterns, in which some letters are parts of a regular expression.
fn tested(
    columns: &[ArrayRef],
    rows: usize,
    part: fn(char) -> Option<&'static str>,
) -> Result<ArrayRef> {
    let mut regexes = Regexes::default();
    let made = (0..rows).map(|row| {
        let texts = optional_text(columns, 0, row).zip(optional_text(columns, 1, row));
        let Some((text, pattern)) = texts else { return Ok(None) };
        let escape = optional_text(columns, 2, row).and_then(|escape| escape.chars().next());
        let regex = regexes.get(&to_regex(pattern, escape, part));
        let regex = regex.ok_or_else(|| failed(format!("'{pattern}' is no pattern")))?;
        Ok(Some(regex.is_match(text).unwrap_or(false)))
    });
    Ok(Arc::new(made.collect::<Result<BooleanArray>>()?))
}

fn to_regex(pattern: &str, escape: Option<char>, part: fn(char) -> Option<&'static str>) -> String {
    let mut made = String::from(r"\A(?:");
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        let literal = match (Some(letter) == escape, part(letter)) {
            (true, _) => letters.next().unwrap_or(letter),
            (false, Some(part)) => {
                made.push_str(part);
                continue;
            }
            (false, None) => letter,
        };
        made.push_str(&fancy_regex::escape(literal.encode_utf8(&mut [0; 4])));
    }
    made.push_str(r")\z");
    made
}
