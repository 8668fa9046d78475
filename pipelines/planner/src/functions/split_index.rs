//! `SPLIT_INDEX(s, separator, index)`: counted from 0; null past the end.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes, longs, text, texts};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Text, Kind::Text, Kind::Long], required: 3 };
    Function {
        name: "split_index",
        form: "SPLIT_INDEX(s, separator, index)",
        about: "counted from 0; null past the end",
        takes,
        gives: text,
        body: Body::Plain(split_index),
    }
}

fn split_index(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let values = texts(&columns[0]).iter().zip(texts(&columns[1])).zip(longs(&columns[2]));
    let made = values.map(|((value, separator), index)| {
        let index = usize::try_from(index?).ok()?;
        // An empty text has no parts, and an empty separator stands for white space.
        match (value?, separator?) {
            ("", _) => None,
            (value, "") => value.split(char::is_whitespace).nth(index),
            (value, separator) => value.split(separator).nth(index),
        }
    });
    Ok(Arc::new(made.collect::<StringArray>()))
}
