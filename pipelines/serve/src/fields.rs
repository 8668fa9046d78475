//! Stored texts as JSON values.
//!
//! A store keeps text. A field whose text is valid JSON is passed on as that JSON, byte for byte, so
//! a number keeps all its digits and an array stays an array; any other text becomes a string.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::reader::Fields;

/// Serialises [`Fields`] as one object.
pub struct AsJson<'a>(pub &'a Fields);

impl Serialize for AsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, text) in self.0 {
            match serde_json::from_str::<&RawValue>(text) {
                Ok(value) => map.serialize_entry(name, value)?,
                Err(_) => map.serialize_entry(name, text)?,
            }
        }
        map.end()
    }
}

pub fn text<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.iter().find(|(field, _)| field == name).map(|(_, text)| text.as_str())
}

/// What a text says as JSON, or the text as a JSON string.
pub fn raw(text: &str) -> Box<RawValue> {
    serde_json::from_str(text)
        .or_else(|_| serde_json::value::to_raw_value(text))
        .expect("a str always serialises")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_texts_pass_byte_for_byte_and_others_become_strings() {
        let fields: Fields = [
            ("count", "3"),
            ("decimal", "1.10"),
            ("wide", "123456789012345678901234567890"),
            ("titles", "[7, \"x\"]"),
            ("name", "O \"B\""),
            ("code", "007"),
            ("gap", "NaN"),
            ("empty", ""),
        ]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into();
        assert_eq!(
            serde_json::to_string(&AsJson(&fields)).unwrap(),
            r#"{"count":3,"decimal":1.10,"wide":123456789012345678901234567890,"titles":[7, "x"],"name":"O \"B\"","code":"007","gap":"NaN","empty":""}"#
        );
    }
}
