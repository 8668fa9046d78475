//! `SPLIT(s, separator)`: an array of the parts.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use arrow::datatypes::DataType;
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, all, texts};
use crate::types::list_of;

pub fn function() -> Function {
    Function {
        name: "split",
        form: "SPLIT(s, separator)",
        about: "an array of the parts; of the characters where the separator is empty",
        takes: all(&[Kind::Text, Kind::Text]),
        gives: |_| list_of(DataType::Utf8),
        body: Body::Plain(split),
    }
}

fn split(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let mut made = ListBuilder::new(StringBuilder::new());
    for (text, separator) in texts(&columns[0]).iter().zip(texts(&columns[1])) {
        match (text, separator) {
            (Some(""), Some(_)) => made.append_value(std::iter::empty::<Option<&str>>()),
            (Some(text), Some("")) => {
                let letters = text.char_indices();
                let letters = letters.map(|(at, letter)| Some(&text[at..at + letter.len_utf8()]));
                made.append_value(letters);
            }
            (Some(text), Some(separator)) => made.append_value(text.split(separator).map(Some)),
            _ => made.append_null(),
        }
    }
    Ok(Arc::new(made.finish()))
}
