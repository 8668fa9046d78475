//! One field out of a JSON object, without building the rest.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

/// A field, perhaps of an object within: `after.seq`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field(Vec<String>);

impl Field {
    pub fn new(path: &str) -> Self {
        Self(path.split('.').map(str::to_owned).collect())
    }

    /// The integer there: a number, or text that is one. `None` where the object is no JSON, or lacks it.
    pub fn integer(&self, json: &[u8]) -> Option<i64> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let found = Path(&self.0).deserialize(&mut reader).ok()?;
        reader.end().ok()?;
        found
    }
}

struct Path<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Path<'_> {
    type Value = Option<i64>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Option<i64>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Path<'_> {
    type Value = Option<i64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an integer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<i64>, A::Error> {
        let Some((first, rest)) = self.0.split_first() else {
            return Err(A::Error::custom("an object where an integer was expected"));
        };
        let mut found = None;
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if name == first.as_str() {
                found = map.next_value_seed(Path(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Option<i64>, E> {
        Ok(Some(number).filter(|_| self.0.is_empty()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Option<i64>, E> {
        Ok(i64::try_from(number).ok().filter(|_| self.0.is_empty()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Option<i64>, E> {
        // Up to 2^53 a double holds every integer.
        let is_integer = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0;
        Ok(Some(number as i64).filter(|_| is_integer && self.0.is_empty()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Option<i64>, E> {
        Ok(text.parse().ok().filter(|_| self.0.is_empty()))
    }

    fn visit_unit<E>(self) -> Result<Option<i64>, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_found_and_nothing_else() {
        for (path, json, expected) in [
            ("a", r#"{"x":[{"a":1}],"a":42,"b":{"a":7}}"#, Some(42)),
            ("b.a", r#"{"a":42,"b":{"a":7}}"#, Some(7)),
            ("a", r#"{"a":"43"}"#, Some(43)),
            ("a", r#"{"a":1.767614400123456e15}"#, Some(1_767_614_400_123_456)),
            ("\u{e4}", r#"{"\u00e4":5}"#, Some(5)),
            ("a", r#"{"a":1.5}"#, None),
            ("a", r#"{"a":null}"#, None),
            ("a", r#"{"b":1}"#, None),
            ("a", r#"{"a":{"b":1}}"#, None),
            ("a.b", r#"{"a":1}"#, None),
            ("a", r#"[1]"#, None),
            ("a", r#"{"a":1"#, None),
            ("a", r#"{"a":1} x"#, None),
            ("a", "", None),
        ] {
            assert_eq!(Field::new(path).integer(json.as_bytes()), expected, "{path} {json}");
        }
    }
}
