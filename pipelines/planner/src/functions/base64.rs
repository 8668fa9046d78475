//! `TO_BASE64(s)` and `FROM_BASE64(s)`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, all, failed, text, texts};

pub fn to() -> Function {
    Function {
        name: "to_base64",
        form: "TO_BASE64(s)",
        about: "the bytes in base64",
        takes: all(&[Kind::Bytes]),
        gives: text,
        body: Body::Plain(encode),
    }
}

pub fn from() -> Function {
    Function {
        name: "from_base64",
        form: "FROM_BASE64(s)",
        about: "the text that is in base64",
        takes: all(&[Kind::Text]),
        gives: text,
        body: Body::Plain(decode),
    }
}

fn encode(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let bytes = columns[0].as_binary::<i32>().iter();
    let made = bytes.map(|bytes| bytes.map(|bytes| STANDARD.encode(bytes)));
    Ok(Arc::new(made.collect::<StringArray>()))
}

fn decode(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let made = texts(&columns[0]).iter().map(|text| {
        let Some(text) = text else { return Ok(None) };
        let bytes = STANDARD.decode(text).map_err(|_| failed(format!("'{text}' is no base64")))?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    });
    Ok(Arc::new(made.collect::<Result<StringArray>>()?))
}
