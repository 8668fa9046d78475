//! `MD5(s)` and the SHA family: hexadecimal digits.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use datafusion_common::Result;

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::scalar::{Body, Function, Kind, all, failed, longs, text, text_of_text, texts};

pub fn functions() -> Vec<Function> {
    let digest = |name, form, about, body| Function {
        name,
        form,
        about,
        takes: all(&[Kind::Text]),
        gives: text,
        body: Body::Plain(body),
    };
    vec![
        digest("md5", "MD5(s)", "128 bits in hexadecimal", |c, _| hashed::<Md5>(c)),
        digest("sha1", "SHA1(s)", "160 bits in hexadecimal", |c, _| hashed::<Sha1>(c)),
        digest("sha224", "SHA224(s)", "224 bits in hexadecimal", |c, _| hashed::<Sha224>(c)),
        digest("sha256", "SHA256(s)", "256 bits in hexadecimal", |c, _| hashed::<Sha256>(c)),
        digest("sha384", "SHA384(s)", "384 bits in hexadecimal", |c, _| hashed::<Sha384>(c)),
        digest("sha512", "SHA512(s)", "512 bits in hexadecimal", |c, _| hashed::<Sha512>(c)),
        Function {
            name: "sha2",
            form: "SHA2(s, bits)",
            about: "224, 256, 384 or 512 bits in hexadecimal",
            takes: all(&[Kind::Text, Kind::Long]),
            gives: text,
            body: Body::Plain(sha2),
        },
    ]
}

fn hex<D: Digest>(text: &str) -> String {
    D::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hashed<D: Digest>(columns: &[ArrayRef]) -> Result<ArrayRef> {
    text_of_text(columns, |text| Some(hex::<D>(text)))
}

fn sha2(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let pairs = texts(&columns[0]).iter().zip(longs(&columns[1]));
    let made = pairs.map(|(text, bits)| {
        let (Some(text), Some(bits)) = (text, bits) else { return Ok(None) };
        Ok(Some(match bits {
            224 => hex::<Sha224>(text),
            256 => hex::<Sha256>(text),
            384 => hex::<Sha384>(text),
            512 => hex::<Sha512>(text),
            other => return Err(failed(format!("SHA2 has no {other} bits"))),
        }))
    });
    Ok(Arc::new(made.collect::<Result<StringArray>>()?))
}
