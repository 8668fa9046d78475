//! `STR_TO_MAP(s[, between entries, between key and value])`.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::DataType;
use datafusion_common::Result;

use super::cast::map_of;
use super::collection::maps_of;
use super::java_regex::Regexes;
use super::scalar::{Body, Function, Kind, optional_text, some};

pub fn function() -> Function {
    Function {
        name: "str_to_map",
        form: "STR_TO_MAP(s[, between entries, between key and value])",
        about: "a map of texts; the separators are regular expressions, ',' and '=' by default",
        takes: some(&[Kind::Text, Kind::Text, Kind::Text], 1),
        gives: |_| map_of(DataType::Utf8, DataType::Utf8),
        body: Body::Plain(str_to_map),
    }
}

fn str_to_map(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (mut entry_ends, mut key_ends) = (Regexes::default(), Regexes::default());
    let (mut keys, mut values, mut maps) = (vec![], vec![], vec![]);
    for row in 0..rows {
        let separator = |position: usize, default: &'static str| match columns.len() > position {
            true => optional_text(columns, position, row),
            false => Some(default),
        };
        let text = optional_text(columns, 0, row);
        let (Some(text), Some(entry), Some(key)) = (text, separator(1, ","), separator(2, "="))
        else {
            maps.push(None);
            continue;
        };
        let (Some(entry), Some(key)) = (entry_ends.get(entry), key_ends.get(key)) else {
            maps.push(None);
            continue;
        };
        let mut map: Vec<(usize, Option<usize>)> = vec![];
        for part in entry.split(text).flatten() {
            let mut halves = key.splitn(part, 2).flatten();
            let (name, value) = (halves.next().unwrap_or_default(), halves.next());
            // The last value of a key holds.
            map.retain(|(known, _)| keys[*known] != name);
            map.push((keys.len(), value.map(|_| values.len())));
            keys.push(name);
            values.push(value);
        }
        maps.push(Some(map));
    }
    let keys: ArrayRef = Arc::new(StringArray::from(keys));
    let values: ArrayRef = Arc::new(StringArray::from(values));
    maps_of(&keys, &values, maps.into_iter())
}
