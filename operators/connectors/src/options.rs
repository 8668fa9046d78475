//! Reads a table's `WITH` options by type, and reports those that nobody reads.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nowcast_engine::{Error, Result, TableDefinition, parse_duration, secret};

use crate::nearest::did_you_mean;

#[cfg(test)]
thread_local! {
    /// All keys that were asked for on this thread.
    pub static ASKED: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// The options of one table. A key that was asked for is known; [`Options::finish`] refuses the
/// others. So both ends of a connector read all of its options, also those of the other end.
pub struct Options<'a> {
    table: &'a str,
    given: &'a BTreeMap<String, String>,
    known: RefCell<BTreeSet<String>>,
}

impl<'a> Options<'a> {
    pub fn new(table: &'a TableDefinition) -> Self {
        let known = RefCell::new(BTreeSet::from(["connector".to_owned()]));
        Self { table: &table.name, given: &table.options, known }
    }

    pub fn table(&self) -> &str {
        self.table
    }

    pub fn text(&self, key: &str) -> Option<&'a str> {
        #[cfg(test)]
        ASKED.with_borrow_mut(|asked| asked.insert(key.to_owned()));
        self.known.borrow_mut().insert(key.to_owned());
        self.given.get(key).map(String::as_str)
    }

    pub fn required(&self, key: &str) -> Result<&'a str> {
        self.text(key).ok_or_else(|| {
            Error::user(format!("table \"{}\": option \"{key}\" is missing", self.table))
        })
    }

    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.text(key) {
            None => Ok(default),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
            Some(value) => Err(self.refuse(key, value, "true or false")),
        }
    }

    pub fn parsed<T: std::str::FromStr>(&self, key: &str, expected: &str) -> Result<Option<T>> {
        let Some(value) = self.text(key) else { return Ok(None) };
        value.trim().parse().map(Some).map_err(|_| self.refuse(key, value, expected))
    }

    /// One of the named values; the first is the default.
    pub fn choice<T: Copy>(&self, key: &str, values: &[(&str, T)]) -> Result<T> {
        let Some(value) = self.text(key) else { return Ok(values[0].1) };
        match values.iter().find(|(name, _)| name.eq_ignore_ascii_case(value)) {
            Some((_, chosen)) => Ok(*chosen),
            None => {
                let names: Vec<_> = values.iter().map(|(name, _)| *name).collect();
                Err(self.refuse(key, value, &format!("one of {}", names.join(", "))))
            }
        }
    }

    /// A duration as Flink writes it: `7 d`, `30 min`, `500 ms`; a bare number is milliseconds.
    pub fn duration(&self, key: &str) -> Result<Option<Duration>> {
        let Some(value) = self.text(key) else { return Ok(None) };
        let parsed = parse_duration(value);
        parsed.map(Some).map_err(|_| self.refuse(key, value, "a duration such as 30 min"))
    }

    /// A size as Flink writes it: `128 mb`; a bare number is bytes.
    pub fn memory(&self, key: &str) -> Result<Option<u64>> {
        let Some(value) = self.text(key) else { return Ok(None) };
        parse_memory(value)
            .map(Some)
            .ok_or_else(|| self.refuse(key, value, "a size such as 128 mb"))
    }

    /// The parts of a list such as `a;b`.
    pub fn list(&self, key: &str) -> Option<Vec<&'a str>> {
        let parts = self.text(key)?.split(';').map(str::trim).filter(|part| !part.is_empty());
        Some(parts.collect())
    }

    /// The value that was read of an option which another one asks for.
    ///
    /// # Errors
    /// When it is not there.
    pub fn given<T>(&self, key: &str, value: Option<T>) -> Result<T> {
        match value {
            Some(value) => Ok(value),
            None => {
                let missing = self.required(key).err();
                Err(missing.unwrap_or_else(|| Error::bug("an option read twice")))
            }
        }
    }

    /// Offsets of partitions: `partition:0,offset:42;partition:1,offset:300`.
    pub fn offsets(&self, key: &str) -> Result<Option<BTreeMap<i32, i64>>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let one = |part: &str| {
            let (partition, offset) = part.trim().split_once(',')?;
            let partition = partition.trim().strip_prefix("partition:")?.trim().parse().ok()?;
            Some((partition, offset.trim().strip_prefix("offset:")?.trim().parse().ok()?))
        };
        let parts = text.split(';').filter(|part| !part.trim().is_empty());
        let read: Option<BTreeMap<i32, i64>> = parts.map(one).collect();
        read.map(Some).ok_or_else(|| {
            self.refuse(key, text, "written as partition:0,offset:42;partition:1,offset:300")
        })
    }

    /// All options that begin with `prefix`, without it.
    pub fn prefixed(&self, prefix: &str) -> Vec<(&'a str, &'a str)> {
        let with = |(key, value): (&'a String, &'a String)| {
            Some((key.strip_prefix(prefix)?, value.as_str()))
        };
        let found: Vec<_> = self.given.iter().filter_map(with).collect();
        let mut known = self.known.borrow_mut();
        known.extend(found.iter().map(|(key, _)| format!("{prefix}{key}")));
        found
    }

    pub fn refuse(&self, key: &str, value: &str, expected: &str) -> Error {
        let (table, value) = (self.table, secret::shown(key, value));
        Error::user(format!("table \"{table}\": option \"{key}\" is {expected}, not \"{value}\""))
    }

    /// # Errors
    /// When an option was given that nobody has asked for.
    pub fn finish(self) -> Result<()> {
        let known = self.known.into_inner();
        let Some(stranger) = self.given.keys().find(|key| !known.contains(*key)) else {
            return Ok(());
        };
        let hint = did_you_mean(stranger, known.iter().map(String::as_str));
        let table = self.table;
        Err(Error::user(format!("table \"{table}\": unknown option \"{stranger}\"{hint}")))
    }
}

/// A size as Flink writes it: `128 mb`, `2 gb`; a bare number is bytes.
pub fn parse_size(text: &str) -> Result<u64> {
    parse_memory(text)
        .ok_or_else(|| Error::user(format!("\"{text}\" is no size such as 128 mb or 2 gb")))
}

fn parse_memory(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (number, unit) = number_and_unit(&lower)?;
    let bytes = match unit {
        "" | "b" | "bytes" => 1,
        "k" | "kb" | "kibibytes" => 1 << 10,
        "m" | "mb" | "mebibytes" => 1 << 20,
        "g" | "gb" | "gibibytes" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(bytes)
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    Some((text[..digits].parse().ok()?, text[digits..].trim()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Schema;

    use super::*;

    fn table(options: &[(&str, &str)]) -> TableDefinition {
        TableDefinition {
            name: "clicks".into(),
            schema: Arc::new(Schema::empty()),
            metadata: vec![],
            primary_key: vec![],
            partition_keys: vec![],
            unread: vec![],
            unread_fields: vec![],
            options: options.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        }
    }

    #[test]
    fn unknown_options_are_named_with_their_nearest() {
        let table = table(&[("topci", "clicks")]);
        let options = Options::new(&table);
        assert_eq!(
            options.required("topic").unwrap_err().to_string(),
            "table \"clicks\": option \"topic\" is missing"
        );
        assert_eq!(
            options.finish().unwrap_err().to_string(),
            "table \"clicks\": unknown option \"topci\"; did you mean \"topic\"?"
        );
    }

    #[test]
    fn sizes_are_flinks() {
        assert_eq!(parse_memory("128 MB"), Some(128 << 20));
    }

    #[test]
    fn wrong_values_name_the_option_and_what_it_takes() {
        let table = table(&[("mode", "fast"), ("flag", "yes")]);
        let options = Options::new(&table);
        assert_eq!(
            options.choice("mode", &[("slow", 1), ("slower", 2)]).unwrap_err().to_string(),
            "table \"clicks\": option \"mode\" is one of slow, slower, not \"fast\""
        );
        assert_eq!(
            options.flag("flag", false).unwrap_err().to_string(),
            "table \"clicks\": option \"flag\" is true or false, not \"yes\""
        );
    }
}
