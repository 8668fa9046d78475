//! What settings ask of tables that are written: `table.exec.sink.*`.

use crate::error::{SqlError, SqlResult};
use crate::planner::Settings;

/// What becomes of a null in a column that is NOT NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    /// Its row is a dead letter.
    Refused,
    /// Its row is dropped and nobody hears of it.
    Dropped,
}

/// Whether all rows of a key of the table are kept, so that one alone of them is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Materialize {
    /// Where the query changes rows by another key.
    Auto,
    Never,
    Always,
}

#[derive(Debug, Clone, Copy)]
pub struct SinkRules {
    pub nulls: Nulls,
    pub materialize: Materialize,
}

impl SinkRules {
    pub fn read(settings: &Settings) -> SqlResult<Self> {
        let nulls = [("ERROR", Nulls::Refused), ("DROP", Nulls::Dropped)];
        let materialize = [
            ("AUTO", Materialize::Auto),
            ("NONE", Materialize::Never),
            ("FORCE", Materialize::Always),
        ];
        // Texts are cut where they are longer than their column, either way.
        choice(
            settings,
            "table.exec.sink.type-length-enforcer",
            &[("IGNORE", ()), ("TRIM_PAD", ())],
        )?;
        Ok(Self {
            nulls: choice(settings, "table.exec.sink.not-null-enforcer", &nulls)?,
            materialize: choice(settings, "table.exec.sink.upsert-materialize", &materialize)?,
        })
    }
}

/// One of the named values; the first where nothing is set.
fn choice<T: Copy>(settings: &Settings, key: &str, values: &[(&str, T)]) -> SqlResult<T> {
    let Some(text) = settings.get(key) else { return Ok(values[0].1) };
    match values.iter().find(|(name, _)| name.eq_ignore_ascii_case(text.trim())) {
        Some((_, value)) => Ok(*value),
        None => {
            let names: Vec<_> = values.iter().map(|(name, _)| *name).collect();
            let message = format!("'{key}' = '{text}' is not known here");
            Err(SqlError::nowhere(message).hint(format!("one of {}", names.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_in_any_case() {
        let settings = |key: &str, value: &str| {
            Settings::from([(format!("table.exec.sink.{key}"), value.to_owned())])
        };
        let rules = SinkRules::read(&settings("not-null-enforcer", "drop")).unwrap();
        assert_eq!((rules.nulls, rules.materialize), (Nulls::Dropped, Materialize::Auto));
        let rules = SinkRules::read(&settings("upsert-materialize", "NONE")).unwrap();
        assert_eq!((rules.nulls, rules.materialize), (Nulls::Refused, Materialize::Never));
        for (key, value) in [("upsert-materialize", "perhaps"), ("type-length-enforcer", "ERROR")] {
            assert!(SinkRules::read(&settings(key, value)).is_err(), "{key}");
        }
    }
}
