//! Saved state: a tag, a format version, the postcard encoding (each f64 as its eight bytes), a checksum.

use serde::{Serialize, de::DeserializeOwned};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};

/// Raised when the shape of any saved struct changes.
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;

/// What a saved blob holds; its tag is the first byte, so one cannot be loaded as another.
#[derive(Clone, Copy)]
pub enum Kind {
    Forecaster,
    Completion,
    Scores,
}

impl Kind {
    fn tag(self) -> u8 {
        match self {
            Kind::Forecaster => b'F',
            Kind::Completion => b'C',
            Kind::Scores => b'S',
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Forecaster => "forecaster",
            Kind::Completion => "completion",
            Kind::Scores => "scores",
        }
    }
}

pub fn save<T: Serialize>(kind: Kind, value: &T) -> Vec<u8> {
    let head = vec![kind.tag(), VERSION];
    let mut bytes =
        postcard::to_extend(value, head).expect("our structs hold nothing that postcard refuses");
    bytes.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
    bytes
}

/// The value that [`save`] wrote.
/// # Errors
/// When the bytes are of another kind or version, cut short or changed.
pub fn load<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<T> {
    let refuse = |why: String| Error::Saved { what: kind.name(), why };
    let body = bytes.len().checked_sub(CHECKSUM_BYTES).filter(|body| *body >= 2);
    let (body, checksum) = bytes.split_at(body.ok_or_else(|| refuse("cut short".into()))?);
    if xxh3_64(body).to_le_bytes() != checksum {
        return Err(refuse("checksum differs".into()));
    }
    if body[0] != kind.tag() {
        return Err(refuse(format!("holds another kind, tag {:?}", char::from(body[0]))));
    }
    if body[1] != VERSION {
        return Err(refuse(format!("format version {}, this build reads {VERSION}", body[1])));
    }
    postcard::from_bytes(&body[2..]).map_err(|error| refuse(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_refused() {
        let value = vec![0.1_f64, f64::NAN, f64::INFINITY, -0.0, 5e-324];
        let bytes = save(Kind::Scores, &value);
        let back: Vec<f64> = load(Kind::Scores, &bytes).unwrap();
        assert!(value.iter().zip(&back).all(|(a, b)| a.to_bits() == b.to_bits()));
        for i in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[i] ^= 1;
            assert!(load::<Vec<f64>>(Kind::Scores, &bad).is_err(), "byte {i}");
            assert!(load::<Vec<f64>>(Kind::Scores, &bytes[..i]).is_err(), "length {i}");
        }
        let error = load::<Vec<f64>>(Kind::Completion, &bytes).unwrap_err();
        assert_eq!(error.to_string(), "saved completion: holds another kind, tag 'S'");
    }
}
