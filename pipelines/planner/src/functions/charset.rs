//! `ENCODE(s, charset)` and `DECODE(bytes, charset)`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, StringArray};
use datafusion_common::{DataFusionError, Result};

use super::scalar::{Body, Function, Kind, all, bytes, failed, text, texts};

pub fn encode_function() -> Function {
    Function {
        name: "encode",
        form: "ENCODE(s, charset)",
        about: "the bytes of a text in UTF-8, UTF-16, US-ASCII or ISO-8859-1",
        takes: all(&[Kind::Text, Kind::Text]),
        gives: bytes,
        body: Body::Plain(encode),
    }
}

pub fn decode_function() -> Function {
    Function {
        name: "decode",
        form: "DECODE(bytes, charset)",
        about: "the text of bytes in UTF-8, UTF-16, US-ASCII or ISO-8859-1",
        takes: all(&[Kind::Bytes, Kind::Text]),
        gives: text,
        body: Body::Plain(decode),
    }
}

fn encode(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let pairs = texts(&columns[0]).iter().zip(texts(&columns[1]));
    let made = pairs.map(|(text, charset)| {
        let (Some(text), Some(charset)) = (text, charset) else { return Ok(None) };
        let single = |last: u32| {
            text.chars().map(|c| if c as u32 <= last { c as u32 as u8 } else { b'?' }).collect()
        };
        let wide = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect();
        Ok(Some(match charset.to_ascii_uppercase().as_str() {
            "UTF-8" => text.as_bytes().to_vec(),
            "US-ASCII" => single(0x7f),
            "ISO-8859-1" => single(0xff),
            "UTF-16BE" => wide(u16::to_be_bytes),
            "UTF-16LE" => wide(u16::to_le_bytes),
            "UTF-16" => [vec![0xfe, 0xff], wide(u16::to_be_bytes)].concat(),
            _ => return Err(unknown(charset)),
        }))
    });
    let made = made.collect::<Result<Vec<Option<Vec<u8>>>>>()?;
    Ok(Arc::new(made.into_iter().collect::<BinaryArray>()))
}

fn decode(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let pairs = columns[0].as_binary::<i32>().iter().zip(texts(&columns[1]));
    let made = pairs.map(|(bytes, charset)| {
        let (Some(bytes), Some(charset)) = (bytes, charset) else { return Ok(None) };
        let single = |last: u8| {
            let letter = |byte: &u8| if *byte <= last { char::from(*byte) } else { '\u{fffd}' };
            bytes.iter().map(letter).collect()
        };
        let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
            let units: Vec<u16> =
                bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        };
        Ok(Some(match charset.to_ascii_uppercase().as_str() {
            "UTF-8" => String::from_utf8_lossy(bytes).into_owned(),
            "US-ASCII" => single(0x7f),
            "ISO-8859-1" => single(0xff),
            "UTF-16BE" => wide(bytes, u16::from_be_bytes),
            "UTF-16LE" => wide(bytes, u16::from_le_bytes),
            "UTF-16" => match bytes {
                [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
                [0xfe, 0xff, rest @ ..] | rest => wide(rest, u16::from_be_bytes),
            },
            _ => return Err(unknown(charset)),
        }))
    });
    Ok(Arc::new(made.collect::<Result<StringArray>>()?))
}

fn unknown(charset: &str) -> DataFusionError {
    failed(format!("unknown charset {charset}"))
}
